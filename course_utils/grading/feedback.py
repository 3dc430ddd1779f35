"""feedback.html of one student: each item, what was looked at and found, how to improve.

No other name and no hidden record: of the rest of the class it has a distribution of scores, where
at least five others have one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.assignments.explaining import bearing_on, item_parts
from course_utils.assignments.rubric import Rubric
from course_utils.grading import charts, pages
from course_utils.grading.results import Result
from course_utils.grading.totals import Line, Total

FILE = "feedback.html"


def write_feedback(
    grades: Path, own: Total, rubric: Rubric, assignment: str, everybody: Sequence[Result]
) -> Path:
    """The page of one submission. `assignment`: its short name, e.g. week05."""
    path = Path(grades) / own.result.submission / FILE
    return pages.write_page(path, "feedback", **feedback_view(own, rubric, assignment, everybody))


def feedback_view(
    own: Total, rubric: Rubric, assignment: str, everybody: Sequence[Result]
) -> dict[str, Any]:
    """What the page shows."""
    result = own.result
    others = [r.figures for r in everybody if r.submission != result.submission]
    heads = [(part.part, part.title, part.points) for part in rubric.parts]
    if rubric.bonus_points:
        heads.append(("bonus", None, rubric.bonus_points))
    parts = [
        {
            "part": part,
            "title": title,
            "most": most,
            "lines": [_shown(line, assignment) for line in own.lines if line.item.part == part],
        }
        for part, title, most in heads
    ]
    for part in parts:
        part["points"] = sum(row["points"] or 0.0 for row in part["lines"])
    return {
        "own": own,
        "result": result,
        "rubric": rubric,
        "parts": parts,
        "curve": charts.curve(result.figures),
        "strips": charts.strips(result.figures, others),
        "least_others": charts.LEAST_OTHERS,
    }


def _shown(line: Line, assignment: str) -> dict[str, Any]:
    """One item. The comments of markers stand without their names."""
    found = line.found
    return {
        "item": line.item,
        "state": line.state,
        "points": line.points,
        "full": line.full,
        "parts": item_parts(line.item),
        "evidence": found.evidence if found else [],
        "feedback": found.feedback if found else "",
        "comments": [m.comment for m in line.marks.values() if m.comment and not line.open],
        "override": line.override,
        "messages": [] if line.full else list(bearing_on(line.item.id, assignment)),
    }
