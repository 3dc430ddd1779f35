"""overview.html for the instructor: the class at a glance, and what still waits for a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.assignments.rubric import Item, Rubric
from course_utils.grading import charts, pages
from course_utils.grading.feedback import FILE as FEEDBACK
from course_utils.grading.integrity import TITLES, Suspicion
from course_utils.grading.totals import Change, Line, Total

FILE = "overview.html"
SLOWEST = 10
PIECES = 5  # of an item's bar: shares of its points


@dataclass(frozen=True)
class Published:
    """All that the pages about a class are made from."""

    totals: Sequence[Total]
    rubric: Rubric
    names: Mapping[str, str]  # submission -> what it is called on the page
    suspicions: Sequence[Suspicion]
    changes: Sequence[Change] = ()

    @property
    def disagreements(self) -> list[tuple[Total, Line]]:
        """Items that two people gave different points for the same work."""
        lines = [(own, line) for own in self.totals for line in own.lines]
        return [(own, line) for own, line in lines if line.state == "disagreement"]


def write_overview(grades: Path, class_: Published) -> Path:
    """The page."""
    return pages.write_page(Path(grades) / FILE, "overview", **overview_view(class_))


def overview_view(class_: Published) -> dict[str, Any]:
    """What the page shows."""
    totals, rubric, results = class_.totals, class_.rubric, [t.result for t in class_.totals]
    points = [own.points for own in totals if own.points is not None]
    return {
        "class_": class_,
        "names": class_.names,
        "rubric": rubric,
        "feedback": FEEDBACK,
        "statuses": Counter(result.status for result in results).most_common(),
        "sandboxes": Counter(result.sandbox for result in results).most_common(),
        "histogram": charts.histogram(points, rubric.points),
        "middle": charts.middle(points),
        "items": [_item(name, totals) for name in (item.id for item in rubric.items)],
        "verdicts": Counter(r.verdict for r in results if r.status != "graded").most_common(),
        "cells": sorted(Counter(r.failed_cell for r in results if r.failed_cell).items()),
        "ran": sum(r.failed_cell is None and r.cells is not None for r in results),
        "slowest": sorted(results, key=lambda r: -r.seconds)[:SLOWEST],
        "seconds": sum(result.seconds for result in results),
        "memory": max((r.memory_gb for r in results if r.memory_gb is not None), default=None),
        "kinds": Counter(TITLES[own.kind] for own in class_.suspicions).items(),
        "waiting": _waiting(totals),
        "undecided": [(own, own.undecided) for own in totals if own.undecided],
        "again": [(own, line) for own in totals for line in own.lines if line.earlier],
        "disagreements": class_.disagreements,
        "rivals": _rivals(totals),
    }


def _item(name: str, totals: Sequence[Total]) -> dict[str, Any]:
    """How one item went: the mean, how many have all, none or are open, and a bar of shares."""
    lines = [own.line(name) for own in totals if own.points is not None]
    item = totals[0].line(name).item
    given = [line.points for line in lines if line.points is not None]
    shares = [min(PIECES - 1, int(PIECES * points / item.points)) for points in given]
    counts = Counter(shares)
    return {
        "item": item,
        "mean": sum(given) / len(given) if given else None,
        "given": len(given),
        "full": sum(line.full for line in lines),
        "open": sum(line.open for line in lines),
        "not_judged": sum(line.state == "not judged" for line in lines),
        "pieces": [(counts[n], counts[n] / len(given) if given else 0.0) for n in range(PIECES)],
    }


def _waiting(totals: Sequence[Total]) -> list[tuple[Item, int]]:
    """Items that wait for a marker, with how many submissions, in the rubric's order."""
    counts = Counter(name for own in totals for name in set(own.waiting) - set(own.undecided))
    order = [line.item for line in totals[0].lines]
    return [(item, counts[item.id]) for item in order if counts[item.id]]


def _rivals(totals: Sequence[Total]) -> list[dict[str, Any]]:
    """Per score: the middle of base, adapter and each cheap rival over the class; unscored."""
    rows: dict[tuple[str, str], dict[str, list[float]]] = {}
    for own in totals:
        for task, scores in own.result.figures.scores.items():
            for metric, score in scores.items():
                row = rows.setdefault((task, metric), {})
                values = {"base": score.base, "tuned": score.tuned, **score.rivals}
                for name, value in values.items():
                    if value is not None:
                        row.setdefault(name, []).append(value)
    return [
        {"task": task, "metric": metric, "values": {n: charts.middle(v) for n, v in row.items()}}
        for (task, metric), row in rows.items()
    ]
