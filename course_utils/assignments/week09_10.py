"""A submission of weeks 9-10: walk the checklist, say what is missing, pack it.

report = check_submission("my_submission"); Console().print(report.render())
pack_submission("my_submission")            # my_submission.zip, without base weights

What its folder and its adapter have in common with other assignments: checklist.py.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import evaluation, kit, splits, tasks
from course_utils import records as records_module
from course_utils.assignments import checklist, writeup
from course_utils.assignments.checklist import (
    ATTENTION,
    PLACEHOLDER,
    WRITE,
    Checklist,
    SubmissionReport,
    Warn,
    in_folders,
    json_object,
    listed,
    matrix_of,
    no_placeholder,
    number_in,
    show,
)
from course_utils.assignments.configuration import ALL_LINEAR, LoraFile, read_config
from course_utils.environment import read_requirements
from course_utils.errors import CourseError

MINIMUM = 5000  # records that the assignment asks for
PARTS = ("train", "val", "test")
TITLES = {
    0: "The folder",
    1: "Part 1: data preparation",
    2: "Part 2: model selection",
    3: "Part 3: LoRA fine-tuning",
    4: "Part 4: evaluation",
    5: "Part 5: documentation and deployment",
}
PREPARE, TRAIN, EVALUATE = (
    f"run python scripts/{name}.py, which writes it"
    for name in ("prepare_data", "train", "evaluate")
)
STARTER = "copy it from a new starter: course assignment start week09_10 another_folder"
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
    "models/finetuned_model/adapter_config.json": TRAIN,
    "models/finetuned_model/adapter_model.safetensors": TRAIN,
    "configs/lora_config.yaml": "four lines do: r, lora_alpha, target_modules, lora_dropout",
    "reports/training_log.txt": TRAIN,
    "reports/evaluation_results.md": EVALUATE,
    "reports/comparison_baseline.md": EVALUATE,
    "run/settings.json": PREPARE,
    "run/data_summary.json": PREPARE,
    "run/baseline.json": EVALUATE,
    "run/training.json": TRAIN,
    "run/evaluation.json": EVALUATE,
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

    minimum: int = MINIMUM
    parts: dict[str, list[dict]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    config: LoraFile | None = None
    training: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)


def check_submission(folder: str | Path, minimum: int = MINIMUM) -> SubmissionReport:
    """Walk the checklist; `minimum` is the number of records asked for.

    Raises CourseError only when there is no folder to look at.
    """
    found = checklist.scan(checklist.root_of(folder), REQUIRED)
    return checklist.walk(Visit(found, CHECKLIST, minimum=minimum))


def belongs(name: str) -> bool:
    """Whether a file is part of the submission's structure (and so goes into the archive)."""
    return name in REQUIRED or in_folders(name, ADAPTER, ALSO)


CHECKLIST = Checklist(TITLES, REQUIRED, belongs, ADAPTER, TRAIN)
CHECKS = CHECKLIST.checks
_check = CHECKLIST.check
CHECKLIST.check_folder()


# --- Part 1: data -------------------------------------------------------------------------------


def _data_file(part: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        name = f"data/{part}.jsonl"
        # near=1: look-alikes inside a part are no fault, and searching them takes the longest.
        report = records_module.check_file(visit.folder.path(name), "manufacturing", near=1.0)
        if report.errors:
            first = report.errors[0]
            count = f" (and {len(report.errors) - 1} more errors)" if report.errors[1:] else ""
            where = f"line {first.line}: " if first.line else ""
            raise CourseError(
                f"{where}{first.message}{count}",
                f"{first.cure} All of them: course data check {name}",
            )
        if len(report.records) > MOST_RECORDS:
            raise CourseError(f"more than {MOST_RECORDS:,} records", "hand in a sample of them")
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
    if total < visit.minimum:
        raise CourseError(
            f"{total:,} records, {visit.minimum:,} are asked for",
            "run python scripts/prepare_data.py again, or add records of your own",
        )
    return f"{total:,} records, at least {visit.minimum:,} are asked for"


@_check("data.tasks", 1, "data", *_DATA)
def _data_tasks(visit: Visit) -> str:
    for part, own in visit.parts.items():
        absent = [task for task in tasks.TASKS if task not in tasks.by_task(own)]
        if absent:
            raise CourseError(
                f"data/{part}.jsonl has no record of the task {', '.join(absent)}",
                'each part needs all three; a record names its task: "task": "qa"',
            )
    return f"{', '.join(tasks.TASKS)} in every part"


@_check("data.leak", 1, "data", *_DATA)
def _data_leak(visit: Visit) -> str:
    found = splits.overlap(visit.parts)
    if found["exact"] or found["near"] or found["groups"]:
        raise CourseError(
            f"the parts overlap: {found['exact']} equal prompts, {found['near']} nearly equal, "
            f"{found['groups']} shared groups; {_first_leak(visit)}",
            "split by `group`, and drop from train what is like val or test: records.close_to",
        )
    return f"no overlap in {found['compared']:,} pairs of records"


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
            raise CourseError(
                f"it says {show(told.get(part), 20)} records for {part}, the file has {len(own)}",
                "run python scripts/prepare_data.py again: data and summary come from one run",
            )
    return "its counts are those of the data files"


def _script(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        text = visit.folder.text(name)
        no_placeholder(text)
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            where = f"line {error.lineno}: " if error.lineno else ""
            raise CourseError(
                f"{where}{error.msg}", f"correct it, then run python {name}"
            ) from None
        except (RecursionError, MemoryError, ValueError):
            raise CourseError("not readable as Python", "write it by hand") from None
        if not any(not isinstance(node, ast.Expr) for node in tree.body):
            raise CourseError("there is no code in it", STARTER)
        return "parses as Python, nothing left open"

    return judge


for _part_number, _name in ((1, "prepare_data"), (3, "train"), (4, "evaluate")):
    _check(f"scripts.{_name}", _part_number, f"scripts/{_name}.py")(_script(f"scripts/{_name}.py"))


# --- Part 3: configuration, adapter, training ---------------------------------------------------


@_check("config", 3, "configs/lora_config.yaml")
def _config(visit: Visit) -> str:
    import yaml

    name = "configs/lora_config.yaml"
    text = visit.folder.text(name)
    no_placeholder(text)
    try:  # a few aliases of aliases stand for gigabytes
        aliased = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
    except yaml.YAMLError:
        aliased = False  # the reader below says what is wrong, with its line
    if aliased:
        raise CourseError("it uses YAML aliases (*name)", "write each value out")
    config = visit.config = read_config(visit.folder.path(name))
    targets = config.target_modules
    layers = targets if isinstance(targets, str) else ", ".join(targets)
    return f"r {config.r}, lora_alpha {config.lora_alpha}, {show(layers, 80)}"


CHECKLIST.check_adapter(3)
_BOTH = ("config", "adapter.config", "adapter.weights")
_AGREE = "train again after changing the configuration, or put back the one that you trained with"


@_check("adapter.rank", 3, ADAPTER, *_BOTH)
def _adapter_rank(visit: Visit) -> str:
    expected = visit.config.r
    ranks = {shape[0] for name, shape in visit.shapes.items() if matrix_of(name) == "A"}
    if visit.adapter["r"] != expected or ranks != {expected}:
        told = show(visit.adapter["r"], 20)
        found = ", ".join(map(str, sorted(ranks))) or "none"
        raise CourseError(
            f"rank: {expected} in the configuration, {told} in adapter_config.json, {found} in the "
            "tensors",
            _AGREE,
        )
    return f"rank {expected} in configuration, adapter_config.json and tensors"


@_check("adapter.alpha", 3, f"{ADAPTER}/adapter_config.json", "config", "adapter.config")
def _adapter_alpha(visit: Visit) -> str:
    config, adapter = visit.config, visit.adapter
    for key in ("lora_alpha", "lora_dropout"):
        if adapter.get(key) != getattr(config, key):
            told = show(adapter.get(key), 20)
            raise CourseError(
                f"{key}: {getattr(config, key)} in the configuration, {told} in the adapter", _AGREE
            )
    return f"lora_alpha {config.lora_alpha} and lora_dropout {config.lora_dropout} agree"


@_check("adapter.targets", 3, ADAPTER, *_BOTH)
def _adapter_targets(visit: Visit) -> str:
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in visit.shapes}
    wanted = visit.config.target_modules
    if wanted == ALL_LINEAR:
        if layers <= ATTENTION:
            raise CourseError(
                f"layers: {ALL_LINEAR} in the configuration, only {listed(layers)} adapted", _AGREE
            )
    elif layers != (asked := {name.rpartition(".")[2] for name in wanted}):
        raise CourseError(
            f"layers: {listed(asked, 9)} in the configuration, {listed(layers, 9)} adapted", _AGREE
        )
    return f"adapts {listed(layers, 9)}"


@_check("run.training", 3, "run/training.json")
def _training(visit: Visit) -> str:
    content = visit.training = json_object(visit.folder.json("run/training.json"))
    train, loss, value = (
        number_in(content[name], name) for name in ("final_train_loss", "eval_loss", "perplexity")
    )
    if loss > 50 or not math.isclose(math.exp(loss), value, rel_tol=1e-4):
        raise CourseError(
            f"perplexity {value:.4g} is not exp(eval_loss) with eval_loss {loss:.4g}",
            "run python scripts/train.py again; numbers in run/ are not edited",
        )
    if not any(isinstance(row, dict) and "eval_loss" in row for row in content["log"]):
        raise CourseError("its log holds no evaluation", "set eval_strategy in scripts/train.py")
    return f"final train loss {train:.4f}, validation loss {loss:.4f}, perplexity {value:.3f}"


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
            raise CourseError(f"it does not state the {title}", TRAIN)
        if found[-1] != expected:
            raise CourseError(
                f"{title} {found[-1][:20]}, but run/training.json has {expected}: edited by hand, "
                "or of another run",
                "run python scripts/train.py again; it writes both",
            )
    return "its final loss and perplexity are those of run/training.json"


# --- Part 2 and 4: baseline and evaluation ------------------------------------------------------


@_check("run.evaluation", 4, "run/evaluation.json", "data.test")
def _evaluation(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/evaluation.json"))
    rows = content["predictions"]
    if not rows or len(rows) > MOST_ANSWERS:
        raise CourseError(f"{len(rows)} stored answers", "evaluate 200 records or a few more")
    texts = ("task", "instruction", "input", "reference", "facts", "base", "tuned")
    for number, row in enumerate(rows, start=1):
        long = [key for key in texts if len(_string(row[key])) > LONGEST_ANSWER]
        if long:
            raise CourseError(f"prediction {number}: {long[0]} is too long", EVALUATE)
    known = {_identity(record, "output") for record in visit.parts["test"]}
    strangers = [i for i, row in enumerate(rows, 1) if _identity(row, "reference") not in known]
    if strangers:
        raise CourseError(
            f"{len(strangers)} of {len(rows)} evaluated records are not in data/test.jsonl "
            f"(first: prediction {strangers[0]})",
            "run python scripts/evaluate.py again with the data that you hand in",
        )
    counts = Counter(row["task"] for row in rows)
    if content["test_records"] != len(rows) or counts != {
        task: result["records"] for task, result in content["tasks"].items()
    }:
        raise CourseError("its counts are not those of its stored answers", EVALUATE)
    visit.evaluation = content
    return f"{len(rows)} records of data/test.jsonl, answers of base and tuned model stored"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise CourseError(f"a stored answer is {show(value, 30)}, not a text", EVALUATE)
    return value


def _identity(record: Mapping[str, str], answer: str) -> tuple[str, str, str, str]:
    facts = record.get("facts", "")
    return record["instruction"], record["input"], record[answer], facts


@_check("evaluation.scores", 4, "run/evaluation.json", "run.evaluation")
def _evaluation_scores(visit: Visit) -> str:
    content = visit.evaluation
    for task, result in content["tasks"].items():
        rows = [row for row in content["predictions"] if row["task"] == task]
        sides = {side: [row[side] for row in rows] for side in ("base", "tuned")}
        for side, answers in sides.items():
            _same(result[side], _scores(answers, rows), f"{task}, {side}")
        own = _records(rows)
        tables = [_columns(answers) for answers in sides.values()]
        difference = tasks.compare_task(own, *tables, seed=content["seed"])
        main = tasks.MAIN_SCORE[task]
        for name, interval in difference.items():
            if name != "perplexity" and interval is not None:
                _same(result["difference"][name], interval, f"{task}, difference of {name}")
        if result["main"] != main or result["gain"] is not tasks.is_gain(main, difference[main]):
            raise CourseError(f"{task}: its verdict does not follow from its answers", _HONEST)
    return "scores and intervals follow from the stored answers (perplexity is not recomputed here)"


_HONEST = "run python scripts/evaluate.py again; numbers in run/ are not edited"


def _records(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{**row, "output": row["reference"]} for row in rows]


def _columns(answers: Sequence[str]) -> dict[str, list]:
    # The likelihoods are not stored with the answers; these only fill their place.
    return {"answers": list(answers), "nll": [0.0] * len(answers), "tokens": [1] * len(answers)}


def _scores(answers: Sequence[str], rows: Sequence[Mapping[str, str]]) -> dict[str, float | None]:
    columns = _columns(answers)
    scores = tasks.score_task(columns["answers"], _records(rows), columns["nll"], columns["tokens"])
    return {name: value for name, value in scores.items() if name != "perplexity"}


def _same(told: Mapping[str, Any], computed: Mapping[str, float | None], where: str) -> None:
    """Raises CourseError for the first value that is not the recomputed one."""
    for name, value in computed.items():
        own = told[name]
        if value is None or own is None:
            equal = value is own
        else:
            equal = math.isclose(number_in(own, name), value, rel_tol=1e-4, abs_tol=1e-4)
        if not equal:
            given, right = (f"{v:.4g}" if v is not None else "nothing" for v in (own, value))
            raise CourseError(f"{where}: {name} {given}, but its answers give {right}", _HONEST)


@_check("run.baseline", 2, "run/baseline.json")
def _baseline(visit: Visit) -> str:
    systems = json_object(visit.folder.json("run/baseline.json"))["systems"]
    for name in ("zero_shot", "few_shot"):
        answers = systems[name]["answers"]
        if any(len(_string(text)) > LONGEST_ANSWER for text in answers) or not answers:
            raise CourseError(f"{name}: no answers, or one that is too long", EVALUATE)
    visit.baseline = systems
    return f"{len(systems['zero_shot']['answers'])} answers zero-shot and few-shot"


@_check("baseline.scores", 2, "run/baseline.json", "run.baseline", "run.evaluation")
def _baseline_scores(visit: Visit) -> str:
    """Both prompts' scores from their answers, and the evaluation's base is the better of them."""
    rows = visit.evaluation["predictions"]
    for prompt in ("zero_shot", "few_shot"):
        system = visit.baseline[prompt]
        if len(system["answers"]) != len(rows):
            raise CourseError(
                f"{len(system['answers'])} answers {prompt}, {len(rows)} records were evaluated",
                "run python scripts/evaluate.py --again",
            )
        for task, result in visit.evaluation["tasks"].items():
            own = [i for i, row in enumerate(rows) if row["task"] == task]
            computed = _scores([system["answers"][i] for i in own], [rows[i] for i in own])
            _same(system["scores"][task], computed, f"{task}, {prompt}")
            _same(result[prompt], system["scores"][task], f"{task}, {prompt} in evaluation.json")
    for task, result in visit.evaluation["tasks"].items():
        both = {name: visit.baseline[name]["scores"] for name in ("zero_shot", "few_shot")}
        chosen = evaluation.better_prompt(both, task)
        answers = visit.baseline[chosen]["answers"]
        same = all(row["base"] == answers[i] for i, row in enumerate(rows) if row["task"] == task)
        if result["base_prompt"] != chosen or not same:
            raise CourseError(f"{task}: compared with a baseline other than {chosen}", _HONEST)
    return "scores of both prompts follow from the answers; the better one is the baseline"


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
            raise CourseError(
                f"edited by hand, or of another run: run/evaluation.json gives “{figures[0]}”",
                "run python scripts/evaluate.py again; write your reading into the notebook",
            )
        if lost or any(count for line, count in rest.items() if line):
            raise Warn(
                "edited by hand: the text is not the one that scripts/evaluate.py writes",
                "write your own reading into the notebook or the README",
            )
        return "word for word what run/evaluation.json gives"

    return judge


for _id, _file, _write in (
    ("reports.evaluation", "reports/evaluation_results.md", "evaluation_page"),
    ("reports.comparison", "reports/comparison_baseline.md", "comparison_page"),
):
    _check(_id, 4, _file, "run.evaluation")(_page(_file, _write))


# --- Part 5: documentation ----------------------------------------------------------------------


@_check("readme", 5, "README.md")
def _readme(visit: Visit) -> str:
    text = visit.folder.text("README.md")
    no_placeholder(text)
    prose = re.sub(r"```.*?(```|\Z)|^#[^\n]*$", " ", text, flags=re.S | re.M)
    given = set(_starter_lines())
    own = [line for line in prose.splitlines() if line.strip() not in given]
    words = len(re.findall(r"[^\W\d_]{2,}", " ".join(own)))
    if words < README_WORDS:
        kept = " beside the starter's text" if given else ""
        raise CourseError(
            f"{words} words of your own{kept}, at least {README_WORDS} are asked for",
            "say what it is, how to run it, on what hardware, what came out, what its limits are",
        )
    return f"{words} words of your own"


def _starter_lines() -> list[str]:
    """Lines of the README that the starter comes with; none where the kit has no starter folder."""
    starter = kit.ASSIGNMENTS / "week09_10_manufacturing" / "starter"
    try:
        text = (starter / "README.md").read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


@_check("notebook", 5, "finetuning_pipeline.ipynb")
def _notebook(visit: Visit) -> str:
    content = json_object(visit.folder.json("finetuning_pipeline.ipynb"))
    if content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise CourseError("this is no notebook of format 4", "save it again from Jupyter")
    cells = [(cell["cell_type"], "".join(cell["source"]), cell) for cell in content["cells"]]
    for number, (_, source, _) in enumerate(cells, start=1):
        if found := PLACEHOLDER.search(source):
            raise CourseError(
                f"cell {number}: left open ({' '.join(found[0].split())})",
                "write your own code or answer there and remove the marker",
            )
    code = [cell for kind, source, cell in cells if kind == "code" and source.strip()]
    if not code:
        raise CourseError("there is no code in it", STARTER)
    for number, cell in enumerate(code, start=1):
        if any(output.get("output_type") == "error" for output in cell.get("outputs", ())):
            raise CourseError(
                f"code cell {number} stopped with an error", "correct it and run all cells again"
            )
    run = sum(bool(cell.get("outputs") or cell.get("execution_count")) for cell in code)
    if run < len(code):
        raise Warn(
            f"{run} of {len(code)} code cells were run",
            "restart the kernel, run all cells, save: a reader wants to see the outputs",
        )
    return f"{len(cells)} cells, all code cells were run"


@_check("requirements", 5, "requirements.txt")
def _requirements(visit: Visit) -> str:
    visit.folder.text("requirements.txt")  # says where it is not UTF-8
    needs = read_requirements(visit.folder.path("requirements.txt"))
    if not needs:
        raise CourseError("it names no package", "one a line, for example trl==1.16.0")
    if direct := [name for name, need in needs.items() if need.url]:
        raise Warn(f"{listed(direct)}: from an address", "name a version of the package index")
    return f"{len(needs)} package{'s' if len(needs) > 1 else ''}"


@_check("run.settings", 5, "run/settings.json")
def _settings(visit: Visit) -> str:
    content = json_object(visit.folder.json("run/settings.json"))
    versions = ", ".join(
        f"{name} {show(content['versions'][name], 20)}" for name in ("python", "torch", "trl")
    )
    return f"made with {versions}"


@_check("run.inference", 5, "run/inference.json")
def _inference(visit: Visit) -> str:
    if "run/inference.json" not in visit.folder.files:
        raise Warn("not there", "run the notebook's section on inference, which writes it")
    return f"{len(json_object(visit.folder.json('run/inference.json')))} entries"


# --- Packing ------------------------------------------------------------------------------------


def pack_submission(
    folder: str | Path,
    target: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
    minimum: int = MINIMUM,
) -> Path:
    """Check, then write the structure's files as one .zip; see `checklist.pack`."""
    root = checklist.root_of(folder)
    target = checklist.archive_path(root, target, overwrite)
    return checklist.pack(check_submission(root, minimum), CHECKLIST, target, force)
