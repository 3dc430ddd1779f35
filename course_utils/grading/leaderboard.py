"""The leaderboard: hidden-record scores, computed by the grader, of those who chose to be on it.

Rows are students under the name they chose, and the cheap rivals. A row's place is its mean over
the tasks; an entry without a score is last. The compute stands beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from course_utils.grading.results import Entry, Result


@dataclass(frozen=True)
class Row:
    """One line; `entry` is None for a rival."""

    place: int | None  # equal means, equal places; rivals and rows without a score have none
    name: str
    scores: Mapping[str, float]
    mean: float | None
    entry: Entry | None = None


def leaderboard(results: Sequence[Result]) -> tuple[list[str], list[Row]]:
    """The tasks, and the rows from best to last. ([], []) when nobody chose to stand on it."""
    entries = [result.leaderboard for result in results if result.leaderboard]
    tasks = list(dict.fromkeys(task for entry in entries for task in entry.scores or {}))
    rows = [_row(entry.name, entry.scores or {}, tasks, entry) for entry in entries]
    rows += [_row(name, scores, tasks) for name, scores in _rivals(entries).items()]
    rows.sort(key=lambda row: (row.mean is None, -(row.mean or 0.0), row.name.casefold()))
    means = [row.mean for row in rows if row.entry and row.mean is not None]
    placed = [
        Row(1 + sum(mean > row.mean for mean in means), row.name, row.scores, row.mean, row.entry)
        if row.entry and row.mean is not None
        else row
        for row in rows
    ]
    return tasks, placed


def _row(
    name: str, scores: Mapping[str, float], tasks: Sequence[str], entry: Entry | None = None
) -> Row:
    """A row that lacks a task has no mean: leaving out the hardest one must not pay."""
    whole = bool(tasks) and all(task in scores for task in tasks)
    mean = round(fmean(scores[task] for task in tasks), 4) if whole else None
    return Row(None, name, scores, mean, entry)


def _rivals(entries: Sequence[Entry]) -> dict[str, dict[str, float]]:
    """Cheap method -> task -> score: on the same records all entries agree; if not, the middle."""
    found: dict[str, dict[str, list[float]]] = {}
    for entry in entries:
        for name, scores in entry.rivals.items():
            for task, score in scores.items():
                found.setdefault(name, {}).setdefault(task, []).append(score)
    return {
        name: {task: median(values) for task, values in tasks.items()}
        for name, tasks in found.items()
    }
