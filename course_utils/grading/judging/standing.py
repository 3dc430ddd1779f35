"""A submission's line on the leaderboard, if it chose one: scores that the grader computed itself.

    result.leaderboard = standing_of(case)      # None without a leaderboard.yaml

The adapter answers hidden records, the first few of each task, the same for everybody; a cheap
method answers the same ones from the submission's own training records. What the submission says
of its compute is shown as stated.
"""

import math
import random
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any

from course_utils import rivals, tasks
from course_utils.assignments import week05
from course_utils.assignments.folder import show
from course_utils.assignments.leaderboard import chosen_name
from course_utils.digests import digest
from course_utils.errors import CourseError
from course_utils.grading import hidden as hidden_module
from course_utils.grading.cache import BatchStopped, sources
from course_utils.grading.hidden import Record
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import readable_records
from course_utils.grading.results import Entry
from course_utils.messages import Explained

WEEK05 = "week05_parameter_lab"
COUNT = {"understanding": 20, "report": 8, "qa": 20}  # records; a report takes the longest
MOST_TRAINED = 4000  # records of a task that a rival learns from
TRAINING = {"week09_10_manufacturing": "run/training.json", WEEK05: week05.TRAINING}


def standing_of(case: Case) -> Entry | None:
    """The entry; without scores where the adapter could not be asked. None for who chose none."""
    try:
        name = chosen_name(case.folder)
    except Explained:  # the quick check says what is wrong with the file
        return None
    if name is None or case.hidden is None:
        return None
    stated = _stated(case)
    try:
        base = case.models.base
        asked = {task: records for task in case.hidden.tasks if (records := _records(case, task))}
        scores = _scores(case, asked)
    except BatchStopped:
        raise
    except (CourseError, AttributeError):
        return Entry(name=name, **stated)
    return Entry(name=name, scores=scores, rivals=_rivals(case, asked), base_model=base, **stated)


def _records(case: Case, task: str) -> list[Record]:
    return case.hidden.records(task, COUNT[task], unlike=_own(case))


def _scores(case: Case, asked: Mapping[str, Sequence[Record]]) -> dict[str, float]:
    """Task -> mean main score; asked in one go, which shares the batches."""
    records = [record for own in asked.values() for record in own]
    # Their own references say how long an answer may be: the same for every submission.
    answers = iter(case.models.answers(records, tuned=True, like=records))
    return {task: _score(list(islice(answers, len(own))), own) for task, own in asked.items()}


def _score(answers: Sequence[str], records: Sequence[Record]) -> float:
    """The mean of the task's main score."""
    found = [tasks.main_score(text, own) for text, own in zip(answers, records, strict=True)]
    return round(fmean(score for score in found if score is not None), 4)


# --- Cheap rivals -------------------------------------------------------------------------------


def _own(case: Case) -> list[Record]:
    """The submission's training records; [] where they can't be read."""
    if "training records" not in case.facts:
        name, schema = "data/train.jsonl", "manufacturing"
        if case.assignment == WEEK05:
            name, schema = week05.RECORDS, "geology"
        try:
            found = readable_records(case, name, schema) if name in case.folder.files else []
        except CourseError:
            found = []
        case.facts["training records"] = found
    return case.facts["training records"]


def _rivals(case: Case, asked: Mapping[str, Sequence[Record]]) -> dict[str, dict[str, float]]:
    """Method -> task -> score. Whoever trained on the same records shares one computation."""
    own = _own(case)
    found: dict[str, dict[str, float]] = {}
    for task, records in asked.items():
        train = [record for record in own if tasks.task_of(record) == task]
        if len(train) > MOST_TRAINED:
            train = random.Random(case.seed).sample(train, MOST_TRAINED)
        if not train:
            continue
        key = ["rivals", sources(rivals, hidden_module), digest(train), digest(list(records))]
        scores = case.shared.get(key, lambda t=train, r=records: _scores_of_rivals(t, r))
        for method, score in scores.items():
            found.setdefault(method, {})[task] = score
    return found


def _scores_of_rivals(train: Sequence[Record], records: Sequence[Record]) -> dict[str, float]:
    answered = rivals.answer(train, records)
    return {name: _score(rival.answers, records) for name, rival in answered.items()}


# --- What it says of its compute ----------------------------------------------------------------


def _stated(case: Case) -> dict[str, Any]:
    """Preset, minutes and tokens as the submission states them; what is no number is left out."""
    training = _json(case, TRAINING[case.assignment])
    seconds, tokens = _number(training.get("seconds")), _number(training.get("tokens"))
    return {
        "preset": _preset(case, training),
        "minutes": None if seconds is None else round(seconds / 60, 1),
        "tokens": None if tokens is None else int(tokens),
    }


def _preset(case: Case, training: Mapping[str, Any]) -> str:
    """The preset's name, and the GPU or processor it ran on."""
    settings = _json(case, "run/settings.json")
    values = settings.get("settings")
    preset = values.get("preset") if isinstance(values, dict) else None
    hardware = settings.get("hardware") or training.get("hardware")
    hardware = hardware if isinstance(hardware, dict) else {}
    device = hardware.get("gpu_name") or hardware.get("cpu_model")
    told = [text for text in (preset, device) if isinstance(text, str) and text]
    return show(", ".join(told), 40)


def _json(case: Case, name: str) -> dict[str, Any]:
    try:
        content = case.folder.json(name) if name in case.folder.files else {}
    except CourseError:
        return {}
    return content if isinstance(content, dict) else {}


def _number(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return value if fits and math.isfinite(value) and 0 <= value < 1e15 else None
