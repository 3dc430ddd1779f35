"""A submission of weeks 9-10: walk the checklist, say what is missing, pack it.

report = check_submission("my_submission"); console().print(report.render())
pack_submission("my_submission")            # my_submission.zip, without base weights

What it has in common with other assignments is in checklist.py, what the checks say in
messages.yaml.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import records as records_module
from course_utils import rival_scores, splits, tasks
from course_utils.assignments import (
    checklist,
    deployment,
    figures,
    hollow,
    leaderboard,
    packing,
    setup_cell,
    submitted,
    writeup,
)
from course_utils.assignments.adapter import ATTENTION, matrix_of
from course_utils.assignments.checklist import Checklist, in_folders, record_error
from course_utils.assignments.configuration import ALL_LINEAR, LoraFile, read_config
from course_utils.assignments.findings import SubmissionReport, warn, wrong
from course_utils.assignments.folder import (
    LEFT_OUT,
    PLACEHOLDER,
    WRITE,
    json_object,
    listed,
    no_placeholder,
    number_in,
    scan,
    show,
)
from course_utils.digests import sha256_of
from course_utils.environment import read_requirements
from course_utils.handwritten import has_aliases
from course_utils.records import CheckReport
from course_utils.schemas import count_of

PARTS = ("train", "val", "test")
PREPARE, TRAIN, EVALUATE, MEASURE = (
    f"run python scripts/{name}, which writes it"
    for name in ("prepare_data.py", "train.py", "evaluate.py", "serve.py --measure")
)
STARTER = "copy it from a new starter: course assignment start manufacturing another_folder"
# Every file of the structure, and what to do when it is not there.
REQUIRED = {
    "README.md": WRITE,
    "finetuning_pipeline.ipynb": STARTER,
    "requirements.txt": STARTER,
    "data/train.jsonl": PREPARE,
    "data/val.jsonl": PREPARE,
    "data/test.jsonl": PREPARE,
    "scripts/prepare_data.py": STARTER,
    "scripts/train.py": STARTER,
    "scripts/evaluate.py": STARTER,
    "scripts/serve.py": STARTER,
    "models/finetuned_model/adapter_config.json": TRAIN,
    "models/finetuned_model/adapter_model.safetensors": TRAIN,
    "configs/lora_config.yaml": "four lines do: r, lora_alpha, target_modules, lora_dropout",
    "configs/new_samples.yaml": "two samples of each task; the starter's file has an example",
    "reports/training_log.txt": TRAIN,
    "reports/evaluation_results.md": EVALUATE,
    "reports/comparison_baseline.md": EVALUATE,
    "reports/latency.md": MEASURE,
    "run/settings.json": PREPARE,
    "run/data_summary.json": PREPARE,
    "run/baseline.json": EVALUATE,
    "run/training.json": TRAIN,
    "run/evaluation.json": EVALUATE,
    "run/endpoint.json": MEASURE,
}
ADAPTER = "models/finetuned_model"
# What else belongs to the structure: folder -> (levels below it, endings).
ALSO = {
    "scripts": (1, {".py"}),
    "configs": (1, {".yaml", ".yml", ".json"}),
    "reports": (4, {".md", ".txt", ".json", ".jsonl", ".csv", ".html", ".png", ".svg", ".pdf"}),
    # run/bonus_*/ holds what the bonuses write, run/model_comparison/ what part 2 measured
    "run": (3, {".json", ".md", ".png", ".html"}),
}
MOST_RECORDS, MOST_ANSWERS = 60_000, 10_000
LONGEST_ANSWER = 20_000  # characters
README_WORDS = 80


# --- The checklist ------------------------------------------------------------------------------


@dataclass
class Visit(checklist.Visit):
    """What the checks of one submission share: each leaves behind what the later ones need."""

    minimum: int | None = None  # records asked for, where not as assignment.yaml says
    reports: dict[str, CheckReport] = field(default_factory=dict)  # of each part that was read
    parts: dict[str, list[dict]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    overlap: dict[str, Any] | None = None  # between the parts, once it was measured
    config: LoraFile | None = None
    training: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    rivals: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, str]] = field(default_factory=list)
    endpoint: dict[str, Any] = field(default_factory=dict)


def check_submission(folder: str | Path, minimum: int | None = None) -> SubmissionReport:
    """Walk the checklist; `minimum` records instead of those that assignment.yaml asks for.

    Raises CourseError only when there is no folder to look at.
    """
    found = scan(checklist.root_of(folder), REQUIRED)
    return checklist.walk(Visit(found, CHECKLIST, minimum=minimum))


def belongs(name: str) -> bool:
    """Whether a file is part of the submission's structure (and so goes into the archive)."""
    named = name in REQUIRED or name in (leaderboard.FILE, submitted.FILE, LEFT_OUT)
    return named or in_folders(name, ADAPTER, ALSO)


CHECKLIST = Checklist("week09_10", REQUIRED, belongs, ADAPTER, TRAIN)
CHECKS = CHECKLIST.checks
_check = CHECKLIST.check
CHECKLIST.check_folder()


# --- Part 1: data -------------------------------------------------------------------------------


def read_part(visit: Visit, part: str) -> CheckReport:
    """The check of data/PART.jsonl, made once; CourseError for what has no lines to check."""
    if part not in visit.reports:
        path = visit.folder.path(f"data/{part}.jsonl")
        # near=None: look-alikes inside a part are no fault, and searching them takes the longest.
        visit.reports[part] = records_module.check_file(path, "manufacturing", near=None)
    return visit.reports[part]


def _data_file(part: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        name = f"data/{part}.jsonl"
        report = read_part(visit, part)
        if report.errors:
            raise record_error(report, name)
        if len(report.records) > MOST_RECORDS:
            raise wrong("records.too_many", most=MOST_RECORDS)
        visit.parts[part] = [record for _, record in report.records]
        visit.lines[part] = [line for line, _ in report.records]
        return f"{len(report.records):,} records, every line right"

    return judge


for _part in PARTS:
    _check(f"data.{_part}", 1, f"data/{_part}.jsonl")(_data_file(_part))
_DATA = tuple(f"data.{part}" for part in PARTS)


@_check("data.size", 1, "data", *_DATA)
def _data_size(visit: Visit) -> str:
    total = sum(map(len, visit.parts.values()))
    least = visit.minimum or visit.checklist.about.thresholds.records
    if total < least:
        raise wrong("week09_10.data.too_few", count=total, least=least)
    return f"{total:,} records, at least {least:,} are asked for"


@_check("data.tasks", 1, "data", *_DATA)
def _data_tasks(visit: Visit) -> str:
    wanted = visit.checklist.about.thresholds.tasks
    for part, own in visit.parts.items():
        absent = [task for task in wanted if task not in tasks.by_task(own)]
        if absent:
            raise wrong("week09_10.data.no_task", part=part, tasks=", ".join(absent))
    return f"{', '.join(wanted)} in every part"


@_check("data.leak", 1, "data", *_DATA)
def _data_leak(visit: Visit) -> str:
    found = overlap_of(visit, visit.parts)
    if found["exact"] or found["near"] or found["groups"]:
        counts = {name: found[name] for name in ("exact", "near", "groups")}
        raise wrong("week09_10.data.leak", **counts, first=_first_leak(visit))
    return f"no overlap in {found['compared']:,} pairs of records"


def overlap_of(visit: Visit, parts: Mapping[str, Sequence[dict]]) -> dict[str, Any]:
    """`splits.overlap` of the parts, measured once: all pairs of records take a while."""
    if visit.overlap is None:
        visit.overlap = splits.overlap(parts)
    return visit.overlap


def _first_leak(visit: Visit) -> str:
    """Where the first record stands that is in two parts."""
    for part, other in (("test", "train"), ("val", "train"), ("test", "val")):
        own, others = visit.parts[part], visit.parts[other]
        close = splits.close_to(own, others)
        groups = {record["group"] for record in others if record.get("group")}
        close |= {i for i, record in enumerate(own) if record.get("group") in groups}
        if close:
            return (
                f"first: data/{part}.jsonl, line {visit.lines[part][min(close)]}, also in {other}"
            )
    return ""


@_check("run.data_summary", 1, "run/data_summary.json", *_DATA)
def _data_summary(visit: Visit) -> str:
    told = json_object(visit.folder.json("run/data_summary.json"))["parts"]
    for part, own in visit.parts.items():
        if told.get(part) != len(own):
            values = {"told": show(told.get(part), 20), "part": part, "count": len(own)}
            raise wrong("week09_10.data.other_summary", **values)
    return "its counts are those of the data files"


def _script(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        text = visit.folder.text(name)
        no_placeholder(text)
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            where = f"line {error.lineno}: " if error.lineno else ""
            problem = f"{where}{error.msg}"
            raise wrong("week09_10.script.syntax", problem=problem, name=name) from None
        except (RecursionError, MemoryError, ValueError):
            raise wrong("week09_10.script.no_python") from None
        if not any(not isinstance(node, ast.Expr) for node in tree.body):
            raise wrong("week09_10.no_code", starter=STARTER)
        return "parses as Python, nothing left open"

    return judge


for _part_number, _name in ((1, "prepare_data"), (3, "train"), (4, "evaluate"), (5, "serve")):
    _check(f"scripts.{_name}", _part_number, f"scripts/{_name}.py")(_script(f"scripts/{_name}.py"))


# --- Part 3: configuration, adapter, training ---------------------------------------------------


@_check("config", 3, "configs/lora_config.yaml")
def _config(visit: Visit) -> str:
    name = "configs/lora_config.yaml"
    text = visit.folder.text(name)
    no_placeholder(text)
    if has_aliases(text):
        raise wrong("week09_10.config.aliases")
    config = visit.config = read_config(visit.folder.path(name))
    targets = config.target_modules
    layers = targets if isinstance(targets, str) else ", ".join(targets)
    return f"r {config.r}, lora_alpha {config.lora_alpha}, {show(layers, 80)}"


CHECKLIST.check_adapter(3)
_BOTH = ("config", "adapter.config", "adapter.weights")
_ADAPTER_RIGHT = ("adapter.trained", "adapter.rank", "adapter.alpha", "adapter.targets")


@_check("adapter.rank", 3, ADAPTER, *_BOTH)
def _adapter_rank(visit: Visit) -> str:
    expected = visit.config.r
    ranks = {shape[0] for name, shape in visit.shapes.items() if matrix_of(name) == "A"}
    if visit.adapter["r"] != expected or ranks != {expected}:
        told = show(visit.adapter["r"], 20)
        found = ", ".join(map(str, sorted(ranks))) or "none"
        raise wrong("week09_10.adapter.rank", expected=expected, told=told, found=found)
    return f"rank {expected} in configuration, adapter_config.json and tensors"


@_check("adapter.alpha", 3, f"{ADAPTER}/adapter_config.json", "config", "adapter.config")
def _adapter_alpha(visit: Visit) -> str:
    config, adapter = visit.config, visit.adapter
    for key in ("lora_alpha", "lora_dropout"):
        if adapter.get(key) != getattr(config, key):
            values = {"expected": getattr(config, key), "told": show(adapter.get(key), 20)}
            raise wrong("week09_10.adapter.alpha", key=key, **values)
    return f"lora_alpha {config.lora_alpha} and lora_dropout {config.lora_dropout} agree"


@_check("adapter.targets", 3, ADAPTER, *_BOTH)
def _adapter_targets(visit: Visit) -> str:
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in visit.shapes}
    wanted = visit.config.target_modules
    if wanted == ALL_LINEAR:
        if layers <= ATTENTION:
            values = {"asked": ALL_LINEAR, "layers": f"only {listed(layers)}"}
            raise wrong("week09_10.adapter.layers", **values)
    elif layers != (asked := {name.rpartition(".")[2] for name in wanted}):
        values = {"asked": listed(asked, 9), "layers": listed(layers, 9)}
        raise wrong("week09_10.adapter.layers", **values)
    return f"adapts {listed(layers, 9)}"


@_check("run.training", 3, "run/training.json")
def _training(visit: Visit) -> str:
    content = visit.training = json_object(visit.folder.json("run/training.json"))
    train, loss, value = (
        number_in(content[name], name) for name in ("final_train_loss", "eval_loss", "perplexity")
    )
    if loss > 50 or not math.isclose(math.exp(loss), value, rel_tol=1e-4):
        script = "python scripts/train.py"
        raise wrong("training.perplexity", loss=loss, perplexity=value, script=script)
    if not any(isinstance(row, dict) and "eval_loss" in row for row in content["log"]):
        raise wrong("week09_10.training.no_evaluation")
    return f"final train loss {train:.4f}, validation loss {loss:.4f}, perplexity {value:.3f}"


_OF_TRAINING = ("config", "run.training", "data.train", "data.val")


@_check("training.made_from", 3, "run/training.json", *_OF_TRAINING, *_ADAPTER_RIGHT)
def _training_made_from(visit: Visit) -> str:
    told = visit.training.get("made_from")
    if told is None:  # starters of before did not write it
        return "does not say what it was made from"
    data = (visit.folder.path(f"data/{part}.jsonl") for part in ("train", "val"))
    if told != visit.config.training_digest(*data):
        raise warn("week09_10.training.made_from")
    return "is of this configuration and this data"


@_check("reports.training_log", 3, "reports/training_log.txt", "run.training")
def _training_log(visit: Visit) -> str:
    text = visit.folder.text("reports/training_log.txt")
    for title, name, form in (
        ("final train loss", "final_train_loss", ".4f"),
        ("perplexity", "perplexity", ".3f"),
    ):
        found = re.findall(rf"^{title}[ :]+([\d.]+)", text, re.M | re.I)
        expected = f"{visit.training[name]:{form}}"
        if not found:
            raise wrong("week09_10.training_log.not_stated", title=title)
        if found[-1] != expected:
            values = {"title": title, "told": found[-1][:20], "expected": expected}
            raise wrong("week09_10.training_log.differs", **values)
    return "its final loss and perplexity are those of run/training.json"


# --- Part 2 and 4: baseline and evaluation ------------------------------------------------------


@_check("run.evaluation", 4, "run/evaluation.json", "data.test")
def _evaluation(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/evaluation.json"))
    rows = content["predictions"]
    if not rows or len(rows) > MOST_ANSWERS:
        raise wrong("week09_10.evaluation.number", count=len(rows))
    texts = ("task", "instruction", "input", "reference", "facts", "base", "tuned")
    for number, row in enumerate(rows, start=1):
        _string(row.get("form", ""))
        long = [key for key in texts if len(_string(row[key])) > LONGEST_ANSWER]
        if long:
            raise wrong("week09_10.evaluation.too_long", number=number, name=long[0])
    strangers = _strangers(rows, visit.parts["test"])
    if strangers:
        values = {"strangers": len(strangers), "count": len(rows), "first": strangers[0]}
        raise wrong("week09_10.evaluation.other_records", **values)
    counts = Counter(row["task"] for row in rows)
    if content["test_records"] != len(rows) or counts != {
        task: result["records"] for task, result in content["tasks"].items()
    }:
        raise wrong("week09_10.evaluation.counts")
    visit.evaluation = content
    return f"{len(rows)} records of data/test.jsonl, answers of base and tuned model stored"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong("week09_10.evaluation.no_text", value=show(value, 30))
    return value


def _strangers(rows: Sequence[Mapping[str, str]], test: Sequence[Mapping[str, str]]) -> list[int]:
    """Numbers of the predictions, from 1, that are no record of the test part, or one twice."""
    left = Counter(_identity(record) for record in test)
    strangers = []
    for number, row in enumerate(rows, 1):
        own = _identity({**row, "output": row["reference"]})
        left[own] -= 1
        if left[own] < 0:
            strangers.append(number)
    return strangers


def _identity(record: Mapping[str, str]) -> tuple[str, ...]:
    more = record.get("facts", ""), record.get("form", ""), tasks.task_of(record)
    return record["instruction"], record["input"], record["output"], *more


@_check("evaluation.scores", 4, "run/evaluation.json", "run.evaluation")
def _evaluation_scores(visit: Visit) -> str:
    content = visit.evaluation
    _all_agree(figures.evaluation_figures(content))
    for task, result in content["tasks"].items():
        main = tasks.MAIN_SCORE[task]
        gain = tasks.is_gain(main, result["difference"][main])
        if result["main"] != main or result["gain"] is not gain:
            raise wrong("week09_10.evaluation.verdict", task=task)
    return "scores and intervals follow from the stored answers (of perplexity, the tuned model's)"


def _all_agree(found: Iterable[figures.Figure]) -> None:
    """Raises Explained for the first figure that is not the recomputed one."""
    if values := _first_that_differs(found):
        raise wrong("week09_10.evaluation.score", **values)


def _first_that_differs(found: Iterable[figures.Figure]) -> dict[str, str]:
    """What a message says of the first figure that is not the recomputed one; {} if all are."""
    for figure in found:
        if not figure.agrees:
            given, right = figure.texts()
            return {"where": figure.where, "name": figure.name, "given": given, "right": right}
    return {}


@_check("evaluation.adapter", 4, "run/evaluation.json", "run.evaluation", *_ADAPTER_RIGHT)
def _evaluation_adapter(visit: Visit) -> str:
    told = visit.evaluation.get("adapter")
    if not told:
        return "it does not say of which adapter it is (an older script wrote it)"
    found = sha256_of(visit.folder.path(f"{ADAPTER}/adapter_model.safetensors"))
    if told != found:
        values = {"told": show(told, 16), "found": show(found, 16)}
        raise wrong("week09_10.evaluation.other_adapter", **values)
    return "of the adapter that is handed in"


@_check("evaluation.zero", 4, "run/evaluation.json", "evaluation.scores")
def _evaluation_zero(visit: Visit) -> str:
    results = visit.evaluation["tasks"].items()
    hollow.no_zeros(result["tuned"].get(tasks.MAIN_SCORE[task]) for task, result in results)
    return "the tuned model's scores are not all 0"


@_check("run.baseline", 2, "run/baseline.json")
def _baseline(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/baseline.json"))
    systems = content["systems"]
    for name in ("zero_shot", "few_shot"):
        answers = systems[name]["answers"]
        if any(len(_string(text)) > LONGEST_ANSWER for text in answers) or not answers:
            raise wrong("week09_10.baseline.no_answers", name=name)
    visit.baseline = systems
    visit.rivals = json_object(content.get("rivals", {}))
    return f"{len(systems['zero_shot']['answers'])} answers zero-shot and few-shot"


@_check("baseline.scores", 2, "run/baseline.json", "run.baseline", "run.evaluation")
def _baseline_scores(visit: Visit) -> str:
    """Both prompts' scores from their answers, and the evaluation's base is the better of them."""
    content, systems = visit.evaluation, visit.baseline
    rows = content["predictions"]
    for prompt in figures.PROMPTS:
        count = len(systems[prompt]["answers"])
        if count != len(rows):
            values = {"answers": count, "prompt": prompt, "count": len(rows)}
            raise wrong("week09_10.baseline.number", **values)
    _all_agree(figures.baseline_figures(content, systems))
    _all_agree(figures.repeated_figures(content, systems))
    for task, result in content["tasks"].items():
        chosen = figures.better_prompt(content, systems, task)
        answers = systems[chosen]["answers"]
        same = all(row["base"] == answers[i] for i, row in enumerate(rows) if row["task"] == task)
        if result["base_prompt"] != chosen or not same:
            raise wrong("week09_10.baseline.weaker", task=task, chosen=chosen)
    return "scores of both prompts follow from the answers; the better one is the baseline"


@_check("evaluation.rivals", 4, "run/evaluation.json", "evaluation.scores", "run.baseline")
def _evaluation_rivals(visit: Visit) -> str:
    """The cheap rivals' scores and intervals, from their answers. An older run has no rivals."""
    told = visit.evaluation.get("rivals")
    if not told and not visit.rivals:
        return "no cheap rivals are stored: written by an older evaluate.py"
    rows = visit.evaluation["predictions"]
    for task, own in visit.rivals.items():
        stored = [row.get("rivals") for row in rows if row["task"] == task]
        texts = [_string(text) for one in own.values() for text in one["answers"]]
        if any(len(text) > LONGEST_ANSWER for text in texts) or stored != [
            {name: one["answers"][i] for name, one in own.items()} for i in range(len(stored))
        ]:
            raise wrong("week09_10.rivals.others")
    sides = ([row[side] for row in rows] for side in ("base", "tuned"))
    seed = visit.evaluation["seed"]
    computed = rival_scores.compare(figures.as_records(rows), *sides, visit.rivals, seed)
    if place := checklist.first_difference(told, computed, "rivals"):
        raise wrong("week09_10.rivals.differ", place=place)
    count = sum(len(own) for own in visit.rivals.values())
    return f"scores and intervals of {count} rivals follow from their answers"


def _page(name: str, write: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        expected = getattr(writeup, write)(visit.evaluation).split("\n")
        own = [line.rstrip() for line in visit.folder.text(name).split("\n")]
        rest = Counter(own)
        rest.subtract(line.rstrip() for line in expected)
        # Examples are indented; elsewhere a line with digits is a line with results.
        lost = [line for line in expected if rest[line.rstrip()] < 0]
        figures = [line for line in lost if re.search(r"\d", line) and not line.startswith("    ")]
        if figures:
            raise wrong("week09_10.page.figures", line=figures[0])
        if lost or any(count for line, count in rest.items() if line):
            raise warn("week09_10.page.words")
        return "word for word what run/evaluation.json gives"

    return judge


for _id, _file, _write in (
    ("reports.evaluation", "reports/evaluation_results.md", "evaluation_page"),
    ("reports.comparison", "reports/comparison_baseline.md", "comparison_page"),
):
    _check(_id, 4, _file, "run.evaluation")(_page(_file, _write))


# --- Parts 3 and 4: notebook, requirements, README ----------------------------------------------


@_check("readme", 4, "README.md")
def _readme(visit: Visit) -> str:
    text = visit.folder.text("README.md")
    no_placeholder(text)
    prose = re.sub(r"```.*?(```|\Z)|^#[^\n]*$", " ", text, flags=re.S | re.M)
    given = set(_starter_lines())
    own = [line for line in prose.splitlines() if line.strip() not in given]
    words = len(re.findall(r"[^\W\d_]{2,}", " ".join(own)))
    if words < README_WORDS:
        kept = " beside the starter's text" if given else ""
        values = {"words": words, "kept": kept, "least": README_WORDS}
        raise wrong("week09_10.readme.too_short", **values)
    return f"{words} words of your own"


def _starter_lines() -> list[str]:
    """Lines of the README that the starter comes with; none where the kit has no starter folder."""
    try:
        text = (CHECKLIST.starter / "README.md").read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


@_check("notebook", 3, "finetuning_pipeline.ipynb")
def _notebook(visit: Visit) -> str:
    content = json_object(visit.folder.json("finetuning_pipeline.ipynb"))
    if content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise wrong("notebook.not_format_4")
    cells = [(cell["cell_type"], "".join(cell["source"]), cell) for cell in content["cells"]]
    for number, (_, source, _) in enumerate(cells, start=1):
        if found := PLACEHOLDER.search(source):
            mark = " ".join(found[0].split())
            raise wrong("file.left_open", place=f"cell {number}", mark=mark)
    code = [cell for kind, source, cell in cells if kind == "code" and source.strip()]
    if not code:
        raise wrong("week09_10.no_code", starter=STARTER)
    checklist.require_run(code)
    return f"{len(cells)} cells, all code cells were run"


@_check("requirements", 3, "requirements.txt")
def _requirements(visit: Visit) -> str:
    visit.folder.text("requirements.txt")  # says where it is not UTF-8
    needs = read_requirements(visit.folder.path("requirements.txt"))
    if not needs:
        raise wrong("week09_10.requirements.empty")
    kit = setup_cell.stated()
    foreign = [name for name, own in needs.items() if own.url and not kit.installs(name, own.url)]
    if foreign:
        raise warn("week09_10.requirements.address", names=listed(foreign), kit=kit.requirement())
    return count_of(len(needs), "package")


@_check("run.settings", 3, "run/settings.json")
def _settings(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/settings.json"))
    versions = ", ".join(
        f"{name} {show(content['versions'][name], 20)}" for name in ("python", "torch", "trl")
    )
    return f"made with {versions}"


# --- Part 5: deployment -------------------------------------------------------------------------


@_check("samples", 5, "configs/new_samples.yaml", *_DATA)
def _samples(visit: Visit) -> str:
    text = visit.folder.text("configs/new_samples.yaml")
    no_placeholder(text)
    samples = deployment.parse_samples(text)
    if short := deployment.short_of_samples(samples, visit.checklist.about.thresholds.tasks):
        least = deployment.LEAST_SAMPLES
        raise wrong("week09_10.samples.too_few", tasks=", ".join(short), least=least)
    known = [record for part in visit.parts.values() for record in part]
    if old := deployment.not_new(samples, known):
        raise wrong("week09_10.samples.not_new", number=old[0])
    visit.samples = samples
    return f"{len(samples)} samples, none of them in data/"


@_check("run.endpoint", 5, "run/endpoint.json", "samples")
def _endpoint(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/endpoint.json"))
    before, after = (content[name]["requests"] for name in ("before", "after"))
    if len(before) != len(after) or not 0 < len(before) <= MOST_ANSWERS:
        raise wrong("week09_10.endpoint.requests", before=len(before), after=len(after))
    for name, right in deployment.figures_again(content).items():
        found = figures.compared(content[name]["figures"], right, f"requests {name}")
        _endpoint_agrees(found)
    speedup = {"speedup": deployment.speedup(content)}
    _endpoint_agrees(figures.compared(content, speedup, "before and after"))
    rows = content["samples"]
    answers = {side: [_string(row[side]) for row in rows] for side in deployment.SIDES}
    own = [{k: row[k] for k in sample} for row, sample in zip(rows, visit.samples, strict=False)]
    if own != visit.samples or len(rows) != len(visit.samples):
        raise wrong("week09_10.endpoint.other_samples")
    for number, row in enumerate(deployment.judged(visit.samples, answers), start=1):
        scores = {name: row[name] for name in ("base_score", "tuned_score")}
        _endpoint_agrees(figures.compared(rows[number - 1], scores, f"sample {number}"))
    visit.endpoint = content
    return f"{len(before)} requests before and after, {len(rows)} samples, scores follow"


def _endpoint_agrees(found: Iterable[figures.Figure]) -> None:
    if values := _first_that_differs(found):
        raise wrong("week09_10.endpoint.score", **values)


@_check("reports.latency", 5, "reports/latency.md", "run.endpoint")
def _latency(visit: Visit) -> str:
    text = visit.folder.text("reports/latency.md")
    expected = deployment.latency_page(visit.endpoint)
    lost = [line for line in expected.split("\n") if line and line not in text.split("\n")]
    if lost:
        raise wrong("week09_10.latency.differs", line=lost[0])
    return "its figures are those of run/endpoint.json"


@_check("readme.api", 5, "README.md", "readme")
def _readme_api(visit: Visit) -> str:
    lines = deployment.api_example(visit.folder.text("README.md")).strip().splitlines()
    return f"an example of {len(lines)} lines (it is run by the grader, not here)"


# --- Packing ------------------------------------------------------------------------------------


def pack_submission(
    folder: str | Path,
    target: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
    public: bool = False,
    minimum: int | None = None,
) -> Path:
    """Check, then write the structure's files as one .zip; see `packing.pack`."""
    root = checklist.root_of(folder)
    target = packing.archive_path(root, target, overwrite)
    return packing.pack(check_submission(root, minimum), CHECKLIST, target, force, public)
