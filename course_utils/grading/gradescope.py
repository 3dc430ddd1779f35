"""Gradescope: the results.json that its autograder reads, one a submission."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.grading.exporting import FOLDER, Exported, ready, write_each
from course_utils.grading.totals import Line, Total

FILE = "results.json"


def write_gradescope(grades: Path, totals: Sequence[Total], provisional: bool = False) -> Exported:
    """GRADES/exports/gradescope/<submission>/results.json."""
    done = Exported(Path(grades) / FOLDER / "gradescope")
    contents = {}
    for own in totals:
        if why := ready(own, provisional):
            done.left_out[own.result.submission] = why
        else:
            contents[own.result.submission] = gradescope(own)
    write_each(done, FILE, contents)
    return done


def gradescope(own: Total) -> dict[str, Any]:
    """The content. Items without points have no `score`: Gradescope shows them without."""
    content = {
        "score": own.points,
        "execution_time": round(own.result.seconds),
        "output": own.result.verdict,
        "output_format": "text",
        "visibility": "after_published",
        "tests": [_test(n, line) for n, line in enumerate(own.lines, start=1)],
    }
    entry = own.result.leaderboard
    if entry and entry.scores:
        content["leaderboard"] = [
            {"name": task, "value": score} for task, score in entry.scores.items()
        ]
    return content


def _test(number: int, line: Line) -> dict[str, Any]:
    found = line.found
    seen = [f"{e.label}: {e.found}" for e in found.evidence] if found else []
    comments = [mark.comment for mark in line.marks.values() if mark.comment and not line.open]
    reason = [line.override.reason] if line.override else []
    texts = [*seen, found.feedback if found else "", *comments, *reason]
    test: dict[str, Any] = {
        "name": line.item.title,
        "number": str(number),
        "max_score": line.item.points,
        "output": "\n".join(filter(None, texts)),
        "output_format": "text",
        "visibility": "after_published",
    }
    if line.points is not None:
        test |= {"score": line.points, "status": "passed" if line.full else "failed"}
    return test
