"""A submission of week 5: parameter analysis, records, adapter, test questions, report.

report = check_submission("my_lab"); console().print(report.render())
pack_submission("my_lab")                  # my_lab.zip, without base weights and checkpoints

Nothing of the folder is run; what all assignments have in common is in checklist.py, and what the
checks say in messages.yaml.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from course_utils import provenance, splits, tasks
from course_utils import records as records_module
from course_utils.assignments import checklist, figures, hollow, leaderboard, packing, submitted
from course_utils.assignments.adapter import ATTENTION, matrix_of
from course_utils.assignments.checklist import Checklist, in_folders, record_error
from course_utils.assignments.findings import SubmissionReport, warn, wrong
from course_utils.assignments.folder import LEFT_OUT, json_object, listed, number_in, scan, show
from course_utils.lab import analysis, parameters
from course_utils.lab.questions import against_rivals, question_of
from course_utils.messages import Explained
from course_utils.records import CheckReport

MOST_RECORDS, MOST_QUESTIONS = 20_000, 2_000
LONGEST_ANSWER = 20_000  # characters
STARTER = "copy it from a new starter: course assignment start parameter_lab another_folder"
TRAIN = "run python train_lora.py --data records.jsonl --out adapter/, which writes it"
ANALYSIS, RECORDS, ADAPTER = analysis.NOTEBOOK, "records.jsonl", "adapter"
TRAINING, QUESTIONS = "training.json", "test_questions.jsonl"
# Every file of the structure, and what to do when it is not there.
REQUIRED = {
    ANALYSIS: STARTER,
    RECORDS: "write records of your own field, one JSON object a line; the hand-out says how many",
    f"{ADAPTER}/adapter_config.json": TRAIN,
    f"{ADAPTER}/adapter_model.safetensors": TRAIN,
    TRAINING: TRAIN,
    QUESTIONS: "write questions (instruction, context, expected); the hand-out says how many",
}
REPORTS = ("report.pdf", "report.pptx")  # one of them
# What a file of this kind begins with, and so what it is, whatever its name says.
BEGINS = {".pdf": b"%PDF-", ".pptx": b"PK\x03\x04"}
ALSO = {
    *("README.md", "train_lora.py", "inference_lora.py", "requirements.txt", "held_out.jsonl"),
    *("answers.json", "held_out_answers.json", "report.html", "report.md", "prepare_records.py"),
    *(leaderboard.FILE, submitted.FILE, LEFT_OUT),
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
    code: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)  # cell, its section
    report: CheckReport | None = None  # of records.jsonl, once it was read
    records: list[dict] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, parameters.Value] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)


def check_submission(folder: str | Path) -> SubmissionReport:
    """Walk the checklist. Raises CourseError only when there is no folder to look at."""
    found = scan(checklist.root_of(folder), REQUIRED)
    return checklist.walk(Visit(found, CHECKLIST))


def pack_submission(
    folder: str | Path,
    target: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
    public: bool = False,
) -> Path:
    """Check, then write the structure's files as one .zip; see `packing.pack`."""
    root = checklist.root_of(folder)
    target = packing.archive_path(root, target, overwrite)
    return packing.pack(check_submission(root), CHECKLIST, target, force, public)


def belongs(name: str) -> bool:
    """Whether a file is part of the submission's structure (and so goes into the archive)."""
    listed = name in REQUIRED or name in REPORTS or name in ALSO
    return listed or in_folders(name, ADAPTER, FOLDERS)


CHECKLIST = Checklist("week05", REQUIRED, belongs, ADAPTER, TRAIN)
_check = CHECKLIST.check
CHECKLIST.check_folder()


# --- Part 1: parameter analysis -----------------------------------------------------------------


@_check("analysis.notebook", 1, ANALYSIS)
def _notebook(visit: Visit) -> str:
    content = json_object(visit.folder.json(ANALYSIS))
    for gap in analysis.find_gaps(content, executed=True):
        visit.gaps.setdefault(gap.parameter, []).append(gap)
    visit.code = analysis.sections_of_code(content)
    return f"{len(content['cells'])} cells"


@_check("analysis.run", 1, ANALYSIS, "analysis.notebook")
def _run(visit: Visit) -> str:
    """Apart from the sections' own checks: where it stopped, they still say what they lack."""
    checklist.require_run([cell for cell, _ in visit.code], [name for _, name in visit.code])
    return "all code cells were run"


def _section(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        gaps = visit.gaps.get(name, [])
        if gaps:
            more = f" (and {len(gaps) - 1} more)" if gaps[1:] else ""
            said = gaps[0].said
            raise Explained(replace(said, found=f"{said.found}{more}"))
        return "four answers and a figure"

    return judge


for _name in parameters.PARAMETERS:
    _check(f"analysis.{_name}", 1, ANALYSIS, "analysis.notebook", subject=_name)(_section(_name))


# --- Part 2: records ----------------------------------------------------------------------------


def read_own_records(visit: Visit) -> CheckReport:
    """The check of records.jsonl, made once; CourseError for what has no lines to check."""
    if visit.report is None:
        visit.report = records_module.check_file(visit.folder.path(RECORDS), "geology")
    return visit.report


@_check("records", 2, RECORDS)
def _records(visit: Visit) -> str:
    report = read_own_records(visit)
    if len(report.records) > MOST_RECORDS:
        raise wrong("records.too_many", most=MOST_RECORDS)
    visit.records = [record for _, record in report.records]
    if report.errors:
        raise record_error(report, RECORDS)
    return f"{len(visit.records):,} records, every line right"


@_check("records.count", 2, RECORDS, "records")
def _records_count(visit: Visit) -> str:
    count, least = len(visit.records), visit.checklist.about.thresholds.records
    if count < least:
        records = f"{count} record{'' if count == 1 else 's'}"
        values = {"least": least, "missing": least - count}
        raise wrong("week05.records.too_few", records=records, **values)
    return f"{count:,} records, at least {least} are asked for"


@_check("records.sources", 2, RECORDS, "records")
def _records_sources(visit: Visit) -> str:
    bare = sum(not record.get("source") for record in visit.records)
    if bare:
        raise warn("week05.records.no_source", bare=bare, count=len(visit.records))
    return "every record names its source"


# --- Part 3: the adapter and its log ------------------------------------------------------------

CHECKLIST.check_adapter(3)


@_check("training", 3, TRAINING)
def _training(visit: Visit) -> str:
    content = json_object(visit.folder.json(TRAINING))
    loss, value = (number_in(content[name], name) for name in ("eval_loss", "perplexity"))
    if loss > 50 or not math.isclose(math.exp(loss), value, rel_tol=1e-4):
        raise wrong("training.perplexity", loss=loss, perplexity=value, script="train_lora.py")
    if not any(isinstance(row, dict) and "loss" in row for row in content["log"]):
        raise wrong("week05.training.no_loss", train=TRAIN)
    visit.settings = parameters.checked(json_object(content["parameters"]))
    if parameters.from_command(content["command"]) != visit.settings:
        raise wrong("week05.training.other_command", train=TRAIN)
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
            values = {"name": name, "told": told, "found": show(found, 20)}
            raise wrong("week05.training.other_adapter", **values)
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in visit.shapes}
    if settings["include_mlp"] is layers.issubset(ATTENTION):
        told = parameters.text_of(settings["include_mlp"])
        raise wrong("week05.training.other_layers", told=told, layers=listed(layers, 9))
    return f"rank {settings['lora_r']}, alpha {settings['lora_alpha']:g} on {listed(layers, 9)}"


@_check("training.weights", 3, TRAINING, "training.adapter", "adapter.trained")
def _training_weights(visit: Visit) -> str:
    """The adapter beside training.json is the very one that it tells of, by its weights."""
    told = _told(visit.training, "adapter")
    if not told:
        return "it does not say of which adapter it is (an older script wrote it)"
    if told != (found := _weights_of(visit)):
        values = {"name": "checksum of the weights", "told": told, "found": found}
        raise wrong("week05.training.other_adapter", **values)
    return "of the adapter that is handed in"


def _told(content: Mapping[str, Any], what: str) -> str:
    """The print of what a file says it is about; "" where an older script wrote it."""
    prints = content.get(provenance.PRINTS)
    told = prints.get(what) if isinstance(prints, dict) else None
    return show(told, 16) if told else ""


def _weights_of(visit: Visit) -> str:
    return provenance.of_weights(visit.folder.path(ADAPTER))


@_check("training.records", 3, TRAINING, "training", "records")
def _training_records(visit: Visit) -> str:
    data = json_object(visit.training["data"])
    used, have = data["train"] + data["validation"], len(visit.records)
    if not used:
        raise wrong("week05.training.no_records", train=TRAIN)
    if used != have:
        raise warn("week05.training.other_records", "count", used=used, have=have)
    told = _told(visit.training, "records")
    if told and told != provenance.of_records(visit.folder.path(RECORDS)):
        raise warn("week05.training.other_records", "content")
    return f"trained on {data['train']}, validated on {data['validation']} records"


# --- Part 4: test questions ---------------------------------------------------------------------


@_check("questions", 4, QUESTIONS)
def _questions(visit: Visit) -> str:
    rows = json_lines(visit.folder.text(QUESTIONS))
    for number, row in rows:
        require_question(number, row)
    if not rows:
        least = visit.checklist.about.thresholds.questions
        raise wrong("week05.questions.too_few", count=0, least=least)
    if len(rows) > MOST_QUESTIONS:
        raise wrong("week05.questions.too_many", most=MOST_QUESTIONS)
    visit.questions = [row for _, row in rows]
    return f"{len(rows)} questions with the expected answer"


@_check("questions.count", 4, QUESTIONS, "questions")
def _questions_count(visit: Visit) -> str:
    """Apart from their form: what was answered of too few questions can still be checked."""
    count, least = len(visit.questions), visit.checklist.about.thresholds.questions
    if count < least:
        raise wrong("week05.questions.too_few", count=count, least=least)
    prompts = {(row["instruction"], row.get("context", "")) for row in visit.questions}
    if len(prompts) < count:
        raise wrong("week05.questions.twice")
    return f"{count} different questions, at least {least} are asked for"


def require_question(number: int, row: Mapping[str, Any]) -> None:
    """Raises Explained for what a question lacks, apart from its answer; `number`: of its line."""
    for name in ("facts", "form"):
        if not isinstance(row.get(name, ""), str):
            raise wrong("week05.questions.field", "no_text", line=number, name=name)
    for name in ("instruction", "context", "expected"):
        text = row.get(name, "" if name == "context" else None)
        if not isinstance(text, str) or len(text) > LONGEST_ANSWER:
            case = "missing" if name not in row else "no_text"
            raise wrong("week05.questions.field", case, line=number, name=name)
        if name != "context" and not text.strip():
            raise wrong("week05.questions.field", "empty", line=number, name=name)


def json_lines(text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise wrong("week05.questions.no_json", line=number) from None
        if not isinstance(row, dict):
            raise wrong("week05.questions.no_json", line=number)
        rows.append((number, row))
    return rows


@_check("questions.answers", 4, QUESTIONS, "questions")
def _answers(visit: Visit) -> str:
    for number, row in enumerate(visit.questions, start=1):
        answer = row.get("answer")
        if not isinstance(answer, str) or len(answer) > LONGEST_ANSWER:
            raise wrong("week05.questions.no_answer", number=number)
    empty = sum(not row["answer"].strip() for row in visit.questions)
    if empty:
        raise warn("week05.questions.empty_answers", empty=empty)
    return "every question has the adapter's answer"


@_check("questions.held_out", 4, QUESTIONS, "questions", "records")
def _held_out(visit: Visit) -> str:
    seen, close = questions_in_records(visit.questions, visit.records)
    if seen:
        raise wrong("week05.questions.in_records", number=seen[0], count=len(seen))
    if close:
        raise warn("week05.questions.near_records", number=close[0], count=len(close))
    return f"no question stands in {RECORDS}"


def questions_in_records(
    questions: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, str]]
) -> tuple[list[int], list[int]]:
    """Numbers, from 1, of the questions that are a record exactly, and of those nearly so."""
    known = {_prompt(record) for record in records}
    seen = [i for i, row in enumerate(questions, 1) if _prompt(row) in known]
    asked = [{"context": "", **row} for row in questions]
    close = sorted(i + 1 for i in splits.close_to(asked, records))
    return seen, [number for number in close if number not in seen]


def _prompt(row: Mapping[str, Any]) -> tuple[str, str]:
    normal = splits.normalise
    return normal(row["instruction"]), normal(row.get("context", ""))


@_check("questions.adapter", 4, "answers.json", "questions.answers", "training.weights")
def _answers_adapter(visit: Visit) -> str:
    """answers.json is of the adapter that is handed in, by its weights."""
    if "answers.json" not in visit.folder.files:
        return "not there: nothing to compare"
    told = _told(json_object(visit.folder.json("answers.json")), "adapter")
    if not told:
        return "it does not say of which adapter it is (an older script wrote it)"
    if told != (found := _weights_of(visit)):
        raise wrong("week05.answers.other_adapter", told=told, found=found)
    return "of the adapter that is handed in"


@_check("questions.scores", 4, "answers.json", "questions.answers")
def _scores(visit: Visit) -> str:
    """What inference_lora.py wrote beside the questions is about these answers."""
    if "answers.json" not in visit.folder.files:
        raise warn("week05.answers.missing")
    content = json_object(visit.folder.json("answers.json"))
    rows = content["answers"]
    pairs = [(row["expected"].strip(), row["answer"]) for row in visit.questions]
    if [(row["expected"], row["answer"]) for row in rows] != pairs:
        raise wrong("week05.answers.others")
    questions = [question_of(row) for row in visit.questions]
    stated = list(figures.answer_figures(content, questions))
    for figure in stated:
        if not figure.agrees:
            told, right = figure.texts()
            name = f"{tasks.NAMES[figure.name]} of the {figure.where} model"
            raise wrong("week05.answers.score", name=name, told=told, right=right)
    main = [f for f in stated if f.name in ("fact_match", "token_f1") and f.right is not None]
    hollow.no_zeros(figure.right for figure in main if figure.where == "tuned")
    return "; ".join(f"{f.where}: {tasks.NAMES[f.name]} {f.right:.3f}" for f in main)


def _rivals(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        """The cheap rivals' scores and intervals follow from the answers beside them."""
        if name not in visit.folder.files:
            return "not there: nothing to compare"
        content = json_object(visit.folder.json(name))
        told = content.get("rivals")
        if not told:
            return "no cheap rivals are stored"
        rows = content["answers"]
        asked = [question_of(row).scored() for row in rows]
        sides = [row["base_answer"] for row in rows], [row["answer"] for row in rows]
        computed = against_rivals(asked, *sides, json_object(json_object(told)["cheap"]))
        if place := checklist.first_difference(told, computed, "rivals"):
            raise wrong("week05.answers.rivals", place=place)
        return f"{len(told['cheap'])} cheap rivals, their scores follow from their answers"

    return judge


for _file in ("answers.json", "held_out_answers.json"):
    _check(f"questions.rivals.{_file.partition('.')[0]}", 4, _file, "questions")(_rivals(_file))


# --- Part 5: report -----------------------------------------------------------------------------


@_check("report", 5, "report.pdf or report.pptx")
def _report(visit: Visit) -> str:
    there = [name for name in REPORTS if name in visit.folder.files]
    if not there:
        raise wrong("week05.report.missing")
    for name in there:
        if problem := visit.folder.size_problem(name):
            raise wrong("week05.report.too_large", name=name, problem=problem)
        suffix = PurePosixPath(name).suffix
        if not visit.folder.bytes_of(name).startswith(BEGINS[suffix]):
            raise wrong("week05.report.other_kind", name=name, kind=suffix[1:].upper())
    return listed(there)
