"""A submission of week 5: parameter analysis, records, adapter, test questions, report.

report = check_submission("my_lab"); Console().print(report.render())
pack_submission("my_lab")                  # my_lab.zip, without base weights and checkpoints

Nothing of the folder is run; what all assignments have in common is in checklist.py.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from course_utils import records as records_module
from course_utils import splits
from course_utils.assignments import checklist
from course_utils.assignments.checklist import (
    ATTENTION,
    Checklist,
    SubmissionReport,
    Warn,
    in_folders,
    json_object,
    listed,
    matrix_of,
    number_in,
    show,
)
from course_utils.errors import CourseError
from course_utils.lab import analysis, parameters
from course_utils.tasks import token_f1

LEAST_RECORDS, LEAST_QUESTIONS = 20, 5
MOST_RECORDS, MOST_QUESTIONS = 20_000, 2_000
LONGEST_ANSWER = 20_000  # characters
TITLES = {
    0: "The folder",
    1: "Part 1: parameter analysis",
    2: "Part 2: your own records",
    3: "Part 3: the adapter",
    4: "Part 4: test questions",
    5: "Part 5: report",
}
STARTER = "copy it from a new starter: course assignment start week05 another_folder"
TRAIN = "run python train_lora.py --data records.jsonl --out adapter/, which writes it"
ASK = "run python inference_lora.py --adapter adapter/ --questions test_questions.jsonl"
REPORT = "run course report . --format pdf (or pptx)"
ANALYSIS, RECORDS, ADAPTER = analysis.NOTEBOOK, "records.jsonl", "adapter"
TRAINING, QUESTIONS = "training.json", "test_questions.jsonl"
# Every file of the structure, and what to do when it is not there.
REQUIRED = {
    ANALYSIS: STARTER,
    RECORDS: f"write at least {LEAST_RECORDS} records of your own field, one JSON object a line",
    f"{ADAPTER}/adapter_config.json": TRAIN,
    f"{ADAPTER}/adapter_model.safetensors": TRAIN,
    TRAINING: TRAIN,
    QUESTIONS: f"write at least {LEAST_QUESTIONS} questions (instruction, context, expected)",
}
REPORTS = ("report.pdf", "report.pptx")  # one of them
# What a file of this kind begins with, and so what it is, whatever its name says.
BEGINS = {".pdf": b"%PDF-", ".pptx": b"PK\x03\x04"}
ALSO = {
    *("README.md", "train_lora.py", "inference_lora.py", "requirements.txt", "held_out.jsonl"),
    *("answers.json", "held_out_answers.json", "report.html", "report.md", "prepare_records.py"),
}
# Folders of your own evidence: (levels below it, endings). sweep/ belongs to the bonus own_sweep.
FOLDERS = {
    "figures": (1, {".png", ".svg", ".pdf"}),
    "sweep": (2, {".json", ".jsonl", ".md", ".png"}),
}


@dataclass
class Visit(checklist.Visit):
    """What the checks of one submission share: each leaves behind what the later ones need."""

    gaps: dict[str, list[analysis.Gap]] = field(default_factory=dict)
    records: list[dict] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, parameters.Value] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)


def check_submission(folder: str | Path) -> SubmissionReport:
    """Walk the checklist. Raises CourseError only when there is no folder to look at."""
    found = checklist.scan(checklist.root_of(folder), REQUIRED)
    return checklist.walk(Visit(found, CHECKLIST))


def pack_submission(
    folder: str | Path,
    target: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
) -> Path:
    """Check, then write the structure's files as one .zip; see `checklist.pack`."""
    root = checklist.root_of(folder)
    target = checklist.archive_path(root, target, overwrite)
    return checklist.pack(check_submission(root), CHECKLIST, target, force)


def belongs(name: str) -> bool:
    """Whether a file is part of the submission's structure (and so goes into the archive)."""
    listed = name in REQUIRED or name in REPORTS or name in ALSO
    return listed or in_folders(name, ADAPTER, FOLDERS)


CHECKLIST = Checklist(TITLES, REQUIRED, belongs, ADAPTER, TRAIN)
_check = CHECKLIST.check
CHECKLIST.check_folder()


# --- Part 1: parameter analysis -----------------------------------------------------------------


@_check("analysis.notebook", 1, ANALYSIS)
def _notebook(visit: Visit) -> str:
    content = json_object(visit.folder.json(ANALYSIS))
    for gap in analysis.find_gaps(content, executed=True):
        visit.gaps.setdefault(gap.parameter, []).append(gap)
    code = [
        cell
        for cell in content["cells"]
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]
    for number, cell in enumerate(code, start=1):
        if any(output.get("output_type") == "error" for output in cell.get("outputs", ())):
            raise CourseError(
                f"code cell {number} stopped with an error",
                "correct it, run all cells again, and save",
            )
    run = sum(bool(cell.get("outputs") or cell.get("execution_count")) for cell in code)
    if run < len(code):
        raise Warn(
            f"{run} of {len(code)} code cells were run",
            "restart the kernel, run all cells, save: a reader wants to see the figures",
        )
    return f"{len(content['cells'])} cells, all code cells were run"


def _section(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        gaps = visit.gaps.get(name, [])
        if gaps:
            more = f" (and {len(gaps) - 1} more)" if gaps[1:] else ""
            raise CourseError(f"{name}: {gaps[0].said}{more}", gaps[0].cure)
        return f"{name}: four answers and a figure"

    return judge


for _name in parameters.PARAMETERS:
    _check(f"analysis.{_name}", 1, ANALYSIS, "analysis.notebook")(_section(_name))


# --- Part 2: records ----------------------------------------------------------------------------


@_check("records", 2, RECORDS)
def _records(visit: Visit) -> str:
    report = records_module.check_file(visit.folder.path(RECORDS), "geology")
    if report.errors:
        first = report.errors[0]
        count = f" (and {len(report.errors) - 1} more errors)" if report.errors[1:] else ""
        where = f"line {first.line}: " if first.line else ""
        raise CourseError(
            f"{where}{first.message}{count}", f"{first.cure} All: course data check {RECORDS}"
        )
    if len(report.records) > MOST_RECORDS:
        raise CourseError(f"more than {MOST_RECORDS:,} records", "hand in a sample of them")
    visit.records = [record for _, record in report.records]
    return f"{len(visit.records):,} records, every line right"


@_check("records.count", 2, RECORDS, "records")
def _records_count(visit: Visit) -> str:
    count = len(visit.records)
    if count < LEAST_RECORDS:
        raise CourseError(
            f"{count} record{'' if count == 1 else 's'}, at least {LEAST_RECORDS} are asked for",
            f"write {LEAST_RECORDS - count} more; variants of the same question do not count",
        )
    return f"{count:,} records, at least {LEAST_RECORDS} are asked for"


@_check("records.sources", 2, RECORDS, "records")
def _records_sources(visit: Visit) -> str:
    bare = sum(not record.get("source") for record in visit.records)
    if bare:
        raise Warn(
            f"{bare} of {len(visit.records):,} records name no source",
            'add "source": "book, page" or "own measurement": a fact can be looked up then',
        )
    return "every record names its source"


# --- Part 3: the adapter and its log ------------------------------------------------------------

CHECKLIST.check_adapter(3)


@_check("training", 3, TRAINING)
def _training(visit: Visit) -> str:
    content = json_object(visit.folder.json(TRAINING))
    loss, value = (number_in(content[name], name) for name in ("eval_loss", "perplexity"))
    if loss > 50 or not math.isclose(math.exp(loss), value, rel_tol=1e-4):
        raise CourseError(
            f"perplexity {value:.4g} is not exp(eval_loss) with eval_loss {loss:.4g}",
            "run train_lora.py again; its numbers are not edited",
        )
    if not any(isinstance(row, dict) and "loss" in row for row in content["log"]):
        raise CourseError("its log holds no training loss", TRAIN)
    visit.settings = parameters.checked(json_object(content["parameters"]))
    if parameters.from_command(content["command"]) != visit.settings:
        raise CourseError("its command is not the one of its parameters", TRAIN)
    visit.training = content
    final = number_in(content["final_train_loss"], "final_train_loss")
    return f"final train loss {final:.4f}, validation loss {loss:.4f}, perplexity {value:.3f}"


@_check("training.adapter", 3, TRAINING, "training", "adapter.config", "adapter.weights")
def _training_adapter(visit: Visit) -> str:
    """The adapter beside training.json is the one that it tells of."""
    settings, adapter = visit.settings, visit.adapter
    ranks = {shape[0] for name, shape in visit.shapes.items() if matrix_of(name) == "A"}
    pairs = [("lora_r", settings["lora_r"], rank) for rank in sorted(ranks | {adapter["r"]})]
    for name in ("lora_alpha", "lora_dropout"):
        pairs.append((name, settings[name], adapter.get(name)))
    for name, told, found in pairs:
        if told != found:
            raise CourseError(
                f"{name}: {told} in {TRAINING}, {show(found, 20)} in the adapter",
                "hand in the adapter and the training.json of one run",
            )
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in visit.shapes}
    if settings["include_mlp"] is layers.issubset(ATTENTION):
        raise CourseError(
            f"include_mlp: {parameters.text_of(settings['include_mlp'])} in {TRAINING}, "
            f"but the adapter sits on {listed(layers, 9)}",
            "hand in the adapter and the training.json of one run",
        )
    return f"rank {settings['lora_r']}, alpha {settings['lora_alpha']:g} on {listed(layers, 9)}"


@_check("training.records", 3, TRAINING, "training", "records")
def _training_records(visit: Visit) -> str:
    data = json_object(visit.training["data"])
    used, have = data["train"] + data["validation"], len(visit.records)
    if not used:
        raise CourseError("it was trained on no records", TRAIN)
    if used != have:
        raise Warn(
            f"{used} records were used in training, {RECORDS} has {have}",
            "train with the file that you hand in, or say in the report where validation came from",
        )
    return f"trained on {data['train']}, validated on {data['validation']} records"


# --- Part 4: test questions ---------------------------------------------------------------------


@_check("questions", 4, QUESTIONS)
def _questions(visit: Visit) -> str:
    rows = _json_lines(visit.folder.text(QUESTIONS))
    for number, row in rows:
        for name in ("instruction", "context", "expected"):
            text = row.get(name, "" if name == "context" else None)
            if not isinstance(text, str) or len(text) > LONGEST_ANSWER:
                what = "is missing" if name not in row else "is no text of a sensible length"
                raise CourseError(f"line {number}: field `{name}` {what}", _FIELDS)
            if name != "context" and not text.strip():
                raise CourseError(f"line {number}: field `{name}` is empty", _FIELDS)
    if len(rows) < LEAST_QUESTIONS:
        raise CourseError(
            f"{len(rows)} questions, at least {LEAST_QUESTIONS} are asked for",
            "add questions that no training record answers already",
        )
    if len(rows) > MOST_QUESTIONS:
        raise CourseError(f"more than {MOST_QUESTIONS:,} questions", "hand in fewer")
    prompts = [(row["instruction"], row.get("context", "")) for _, row in rows]
    if len(set(prompts)) < len(prompts):
        raise CourseError("a question stands in it twice", "ask something else instead")
    visit.questions = [row for _, row in rows]
    return f"{len(rows)} questions with the expected answer"


_FIELDS = 'a line is {"instruction": "...", "context": "...", "expected": "..."}; context may be ""'


def _json_lines(text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise CourseError(f"line {number}: no JSON object", _FIELDS) from None
        if not isinstance(row, dict):
            raise CourseError(f"line {number}: no JSON object {{...}}", _FIELDS)
        rows.append((number, row))
    return rows


@_check("questions.answers", 4, QUESTIONS, "questions")
def _answers(visit: Visit) -> str:
    for number, row in enumerate(visit.questions, start=1):
        answer = row.get("answer")
        if not isinstance(answer, str) or len(answer) > LONGEST_ANSWER:
            raise CourseError(f"question {number} has no answer of your adapter", ASK)
    empty = sum(not row["answer"].strip() for row in visit.questions)
    if empty:
        raise Warn(f"{empty} answers are empty", "look at them: was an empty answer learned?")
    return "every question has the adapter's answer"


@_check("questions.held_out", 4, QUESTIONS, "questions", "records")
def _held_out(visit: Visit) -> str:
    known = {_prompt(record) for record in visit.records}
    seen = [i for i, row in enumerate(visit.questions, 1) if _prompt(row) in known]
    if seen:
        raise CourseError(
            f"question {seen[0]} is a training record ({len(seen)} in all): it tests memory alone",
            f"ask something that {RECORDS} does not hold",
        )
    asked = [{"context": "", **row} for row in visit.questions]
    if close := splits.close_to(asked, visit.records):
        raise Warn(
            f"question {min(close) + 1} is nearly a training record ({len(close)} in all)",
            "ask it about something else, or in other words, if you want to see more than memory",
        )
    return f"no question stands in {RECORDS}"


def _prompt(row: Mapping[str, Any]) -> tuple[str, str]:
    normal = splits.normalise
    return normal(row["instruction"]), normal(row.get("context", ""))


@_check("questions.scores", 4, "answers.json", "questions.answers")
def _scores(visit: Visit) -> str:
    """What inference_lora.py wrote beside the questions is about these answers."""
    if "answers.json" not in visit.folder.files:
        raise Warn("not there", f"{ASK}, which writes it: scores, and the base model's answers")
    content = json_object(visit.folder.json("answers.json"))
    rows = content["answers"]
    pairs = [(row["expected"].strip(), row["answer"]) for row in visit.questions]
    if [(row["expected"], row["answer"]) for row in rows] != pairs:
        raise CourseError(f"its answers are not those in {QUESTIONS}", f"{ASK} again")
    mean = sum(token_f1(answer, expected) for expected, answer in pairs) / len(pairs)
    told = number_in(content["tuned"]["token_f1"], "token_f1")
    if not math.isclose(told, mean, abs_tol=1e-4):
        raise CourseError(f"token F1 {told:.4f}, but its answers give {mean:.4f}", f"{ASK} again")
    before = number_in(content["base"]["token_f1"], "token_f1")
    return f"token F1 {mean:.3f}, base model {before:.3f}"


# --- Part 5: report -----------------------------------------------------------------------------


@_check("report", 5, "report.pdf or report.pptx")
def _report(visit: Visit) -> str:
    there = [name for name in REPORTS if name in visit.folder.files]
    if not there:
        raise CourseError("there is neither report.pdf nor report.pptx", REPORT)
    for name in there:
        if problem := visit.folder.size_problem(name):
            raise CourseError(f"{name}: too large ({problem})", "use fewer or smaller pictures")
        suffix = PurePosixPath(name).suffix
        if not visit.folder.bytes_of(name).startswith(BEGINS[suffix]):
            raise CourseError(f"{name}: not a {suffix[1:].upper()} file", REPORT)
    return listed(there)
