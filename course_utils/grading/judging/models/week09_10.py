"""Weeks 9-10: losses and answers of base model and adapter, computed again."""

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import evaluation, tasks
from course_utils.assignments.definition import find
from course_utils.assignments.folder import json_object, number_in
from course_utils.errors import CourseError
from course_utils.grading.judging import tolerances
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK09_10, note_stated, reading, unmet
from course_utils.grading.judging.files.data import broken_lines, readable_parts
from course_utils.grading.judging.files.evaluation import not_evaluated
from course_utils.grading.judging.judgement import Judgement, earned, failed, not_judged, undecided
from course_utils.grading.judging.models.audit import Ask, audit, improves
from course_utils.grading.judging.models.common import (
    Record,
    drawn_by_task,
    note_answers,
    reproduction,
    scores_agree,
)
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.probing.evidence import Part
from course_utils.grading.results import Evidence

TRAINING, LOG = "run/training.json", "reports/training_log.txt"
BASELINE, EVALUATION = "run/baseline.json", "run/evaluation.json"
# What perplexity and loss are called in the log, with the digits it prints.
STATED = re.compile(r"^perplexity[ :]+([\d.]+)", re.M | re.I)


# --- Losses -------------------------------------------------------------------------------------


@check(WEEK09_10, needs=("config_valid", "adapter_loads"))
def validation_improves(case: Case) -> Judgement:
    """All points for a loss at least 20 % lower with the adapter, half for any drop."""
    told: Mapping[str, Any] = {}
    with contextlib.suppress(CourseError), reading(case, TRAINING):
        told = json_object(case.folder.json(TRAINING))
    records, quantization = validation_records(case), case.models.config.quantization
    return improves(case, records, _asked(case), 0.20, 0.5, told, quantization)


@check(WEEK09_10, needs=("config_valid", "adapter_loads"))
def training_log_true(case: Case) -> Judgement:
    """All points, where run/training.json and the log agree with our loss and with each other.

    Of a part with a broken line others would be drawn than the run had, so a person has to look.
    """
    if problem := unmet(case, "run.training"):
        return problem
    val = readable_parts(case).get("val")
    if val and (broken := broken_lines(val)):
        lines = f"{len(broken)} of {val.lines:,} lines of data/val.jsonl"
        return not_judged(f"not judged: {lines} are no records, so those of the run are not known")
    with reading(case, TRAINING):
        content = json_object(case.folder.json(TRAINING))
        loss, stated = (number_in(content[name], name) for name in ("eval_loss", "perplexity"))
    quantization = case.models.config.quantization
    found = audit(case, validation_records(case), content, quantization, _asked(case))
    note_stated(case, f"{TRAINING}: eval_loss", f"{loss:.4f}", f"{found.found:.4f}", found.agrees)
    printed = _printed(case)
    evidence = [
        Evidence(
            label="validation loss",
            found=f"{found.found:.4f}",
            stated=f"{loss:.4f}",
            note=found.note,
        ),
        Evidence(
            label="perplexity",
            found=f"{math.exp(min(found.found, 50)):.3f}",
            stated=f"{stated:.3f}",
            note=f"the log prints {printed or 'none'}",
        ),
    ]
    problems = []
    if not found.agrees:
        problems.append(say("week09_10.judged.log_differs", "loss"))
    if not math.isclose(math.exp(min(loss, 50)), stated, rel_tol=tolerances.PRINTED):
        problems.append(say("week09_10.judged.log_differs", "perplexity"))
    if printed is None or not math.isclose(printed, stated, rel_tol=tolerances.PRINTED):
        problems.append(say("week09_10.judged.log_differs", "printed"))
    if problems:
        return failed(*evidence, feedback=advise(*problems))
    return earned(case, 1, *evidence)


def validation_records(case: Case) -> list[Record]:
    """The validation records of the run, drawn again as scripts/train.py draws them."""
    if "validation" not in case.facts:
        config = case.models.config
        pool = _part(case, "val")
        case.facts["validation"] = evaluation.draw(
            pool, config.val_records, config.seed, config.tasks
        )
    return case.facts["validation"]


def _asked(case: Case) -> Ask:
    """Losses of validation records, cut as training cut them; each question is computed once."""
    length = case.models.config.max_length
    return lambda records, tuned: case.models.losses(records, tuned, max_length=length)


def _part(case: Case, part: str) -> list[Record]:
    """The records of data/PART.jsonl that can be read. Raises CourseError where there are none."""
    report = readable_parts(case).get(part)
    if report is None or not report.records:
        raise CourseError(
            f"data/{part}.jsonl: no record of it can be read", "run python scripts/prepare_data.py"
        )
    return [record for _, record in report.records]


def _printed(case: Case) -> float | None:
    """The last perplexity that the log states."""
    if LOG not in case.folder.files or case.folder.size_problem(LOG):
        return None
    found = STATED.findall(case.folder.text(LOG))
    try:
        return float(found[-1][:20]) if found else None
    except ValueError:
        return None


# --- Answers ------------------------------------------------------------------------------------


@check(WEEK09_10, needs=("config_valid",))
def baseline_reproduced(case: Case) -> Judgement:
    """Points by the share of the base model's answers that are those in run/baseline.json."""
    rows = _predictions(case)
    with reading(case, BASELINE):
        stored = json_object(case.folder.json(BASELINE))["systems"]["zero_shot"]["answers"]
        texts = [str(stored[i]) for i in range(len(rows))]
    places = drawn_by_task(rows, tolerances.BASELINE, case.seed)
    found = case.models.answers([rows[i] for i in places], tuned=False, like=_part(case, "train"))
    # What a weak baseline would gain is a score, so scores decide: a wrong answer may be another.
    agreeing = [
        scores_agree(texts[i], answer, rows[i]) for i, answer in zip(places, found, strict=True)
    ]
    same = sum(texts[i].strip() == answer for i, answer in zip(places, found, strict=True))
    return reproduction(case, agreeing, same, "the base model")


@check(WEEK09_10, needs=("config_valid", "adapter_loads"))
def answers_reproduced(case: Case) -> Judgement:
    """Points by the share of the adapter's answers whose score is that of the stored answer."""
    places, asked = _own_questions(case)
    found = _of_the_adapter(case)["own"]
    with reading(case, EVALUATION):
        tuned = [str(case.facts["predictions"][i]["tuned"]) for i in places]
    agreeing = [scores_agree(*three) for three in zip(tuned, found, asked, strict=True)]
    same = sum(old.strip() == new for old, new in zip(tuned, found, strict=True))
    case.facts["reproduced"] = {}  # of each task: a gain of answers that are not its own is no gain
    for task, places_of_task in tasks.by_task(asked).items():
        own = [agreeing[i] for i in places_of_task]
        case.facts["reproduced"][task] = sum(own) / len(own)
        note_answers(case, f"your adapter, {task}", own)
    return reproduction(case, agreeing, same, "your adapter")


def _predictions(case: Case) -> list[Record]:
    """The test records that the evaluation answered, as their rows say; checked by the checklist.

    A line of data/test.jsonl that is broken, or stands twice, costs `data_valid` and no answer.
    Raises CourseError where run/evaluation.json can not be used.
    """
    if problem := not_evaluated(case):
        raise CourseError(f"{EVALUATION} can not be used", problem.feedback)
    with reading(case, EVALUATION):
        rows = json_object(case.folder.json(EVALUATION))["predictions"]
        case.facts["predictions"] = rows
        return [_as_record(row) for row in rows]


def _as_record(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of run/evaluation.json as the record that was asked."""
    fields = {"task": "task", "instruction": "instruction", "input": "input"}
    fields |= {"output": "reference", "facts": "facts", "form": "form"}
    return {name: str(row.get(key, "")) for name, key in fields.items()}


@check(WEEK09_10, needs=("adapter_loads", "adapter_trained"))
def unseen_records(case: Case) -> Judgement:
    """Points by the share of the tasks on which the adapter beats the base model."""
    if case.hidden is None:
        return undecided("records that nobody was given are with the instructor only")
    wanted = find(case.assignment).thresholds.tasks
    if lacking := [task for task in wanted if task not in case.hidden.tasks]:
        return undecided(f"there are no hidden records of {', '.join(lacking)}")
    asked = _hidden_questions(case)
    base = case.models.answers(asked, tuned=False, like=asked)
    tuned = _of_the_adapter(case)["hidden"]
    if more := _more_of_the_lost(case, asked, base, tuned):
        base = [*base, *case.models.answers(more, tuned=False, like=more)]
        tuned = [*tuned, *case.models.answers(more, tuned=True, like=more)]
        asked = [*asked, *more]
    evidence, won = [], []
    for task, places in tasks.by_task(asked).items():
        before, after = (_mean_score(side, asked, places) for side in (base, tuned))
        won.append(after > before)
        name = tasks.NAMES[tasks.MAIN_SCORE[task]]
        note = f"base model {before:.3f}; {len(places)} hidden records"
        evidence.append(Evidence(label=f"{task}, {name}", found=f"{after:.3f}", note=note))
        case.facts.setdefault("unseen", {})[task] = (before, after)
    lost = [task for task, wins in zip(tasks.by_task(asked), won, strict=True) if not wins]
    problems = [say("week09_10.judged.unseen_lost", tasks=", ".join(lost))] if lost else []
    return earned(case, sum(won) / len(wanted), *evidence, feedback=advise(*problems))


def _own_questions(case: Case) -> tuple[list[int], list[Record]]:
    """(places among the evaluation's rows, their records) that the adapter is asked again."""
    rows = _predictions(case)
    places = drawn_by_task(rows, tolerances.ANSWERED, case.seed)
    return places, [rows[i] for i in places]


def _hidden_questions(case: Case, count: int = tolerances.HIDDEN) -> list[Record]:
    """`count` hidden records of each task, none of them near to one of the submission's own."""
    own = [*_part(case, "train"), *_part(case, "val"), *_part(case, "test")]
    return [
        record
        for task in find(case.assignment).thresholds.tasks
        if case.hidden is not None and task in case.hidden.tasks
        for record in case.hidden.records(task, count, unlike=own)
    ]


def _more_of_the_lost(
    case: Case, asked: Sequence[Record], base: Sequence[str], tuned: Sequence[str]
) -> list[Record]:
    """Further hidden records of the tasks that were not won: few are hard on a small gain."""
    lost = [
        task
        for task, places in tasks.by_task(asked).items()
        if _mean_score(tuned, asked, places) <= _mean_score(base, asked, places)
    ]
    further = _hidden_questions(case, tolerances.HIDDEN_IN_DOUBT) if lost else []
    return [record for record in further if record["task"] in lost and record not in asked]


def _of_the_adapter(case: Case) -> dict[str, list[str]]:
    """The adapter's answers to its "own" and to the "hidden" questions, all asked at once.

    A part whose records can't be read is left out: the check that needs it says why.
    """
    if "answers" not in case.facts:
        parts = {}
        with contextlib.suppress(CourseError):
            parts["own"] = Part(_own_questions(case)[1], like=_part(case, "train"))
        with contextlib.suppress(CourseError):
            # Their own references say how long an answer may be: the same for every submission.
            hidden = _hidden_questions(case)
            parts["hidden"] = Part(hidden, like=hidden)
        found = case.models.answers_of(list(parts.values()), tuned=True)
        case.facts["answers"] = dict(zip(parts, found, strict=True))
    return case.facts["answers"]


def _mean_score(answers: Sequence[str], records: Sequence[Record], places: Sequence[int]) -> float:
    scores = [tasks.main_score(answers[i], records[i]) for i in places]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else 0.0
