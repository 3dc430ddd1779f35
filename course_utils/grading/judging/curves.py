"""What a student's own charts are drawn from: losses over the steps, and scores that were checked.

    result.figures = figures_of(case, items)

Losses are those of the training log, as stated. Scores are taken over only where `scores_true`
found that they follow from the stored answers. What cannot be read leaves its chart out.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from course_utils import tasks
from course_utils.assignments import week05
from course_utils.assignments.folder import Folder
from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.results import Figures, Item, Score

TRAINING = {"week09_10_manufacturing": "run/training.json", "week05_parameter_lab": week05.TRAINING}
EVALUATION = "run/evaluation.json"
MOST = 5_000  # points of a curve


def figures_of(case: Case, items: Iterable[Item]) -> Figures:
    """The curves and scores of one submission."""
    log = _object(case.folder, TRAINING[case.assignment]).get("log")
    rows = [row for row in log if isinstance(row, Mapping)] if isinstance(log, list) else []
    true = any(item.id == "scores_true" and item.points for item in items)
    return Figures(
        train_loss=_curve(rows, "loss"),
        eval_loss=_curve(rows, "eval_loss"),
        scores=_scores(_object(case.folder, EVALUATION)) if true else {},
    )


def _object(folder: Folder, name: str) -> dict[str, Any]:
    """A JSON object of the submission; {} where there is none that can be read."""
    if name not in folder.files or folder.size_problem(name):
        return {}
    try:
        content = folder.json(name)
    except CourseError:  # its own check says what is wrong
        return {}
    return content if isinstance(content, dict) else {}


def _curve(rows: Iterable[Mapping[str, Any]], name: str) -> list[list[float]]:
    points = [[_number(row.get("step")), _number(row.get(name))] for row in rows]
    return [point for point in points if None not in point][:MOST]


def _scores(content: Mapping[str, Any]) -> dict[str, dict[str, Score]]:
    """Main scores of the tasks, base and tuned, with the interval of their difference."""
    found: dict[str, dict[str, Score]] = {}
    for task, metric in tasks.MAIN_SCORE.items():
        result = _at(content, "tasks", task)
        base, tuned = (_number(_at(result, side, metric)) for side in ("base", "tuned"))
        if base is None and tuned is None:
            continue
        low, high = (_number(_at(result, "difference", metric, end)) for end in ("low", "high"))
        found[task] = {metric: Score(base=base, tuned=tuned, low=low, high=high)}
    return found


def _at(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return float(value) if plain and math.isfinite(value) else None
    except OverflowError:
        return None
