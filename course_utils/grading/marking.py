"""marking.html: people mark the manual items on it, item by item over all students.

Where it would be too large for a browser, it lists pages that there are instead, one for each item.
One item at a time: the same yardstick for all of them. Names are hidden behind codes, and the codes
give the order. The page keeps its marks in the browser and saves them as JSON; there is no server.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import ownership
from course_utils.assignments.explaining import item_parts
from course_utils.assignments.rubric import Item, Rubric
from course_utils.digests import digest
from course_utils.errors import CourseError
from course_utils.grading import pages
from course_utils.grading.marks import KIND, VERSION, Codes, work_digest
from course_utils.grading.results import Result, Work, rubric_fingerprint
from course_utils.report import UNPRINTABLE

FILE, FILES = "marking.html", "marking-*.html"
LARGEST = 100_000_000  # characters of what a page shows: browsers grow slow above


def manual_items(rubric: Rubric, only: Sequence[str] = ()) -> list[Item]:
    """The items that people mark, or those of `only`. CourseError for one that they do not."""
    for name in only:
        if rubric.item(name).kind != "manual":
            raise CourseError(f"{name}: scored by the computer", "change it in overrides.csv")
    return [item for item in rubric.of_kind("manual") if not only or item.id in only]


def write_marking(
    grades: Path,
    results: Sequence[Result],
    rubric: Rubric,
    codes: Codes,
    only: Sequence[str] = (),
) -> list[Path]:
    """The pages that people mark on; none where nothing is left to them. `only`: these items."""
    grades, items = Path(grades), manual_items(rubric, only)
    shown = [r for r in results if r.status not in ("rejected", "not gradable")]
    shown.sort(key=lambda result: codes.known[result.submission])
    if not items or not shown:
        return []
    views = _views(shown, rubric, codes, items)
    for path in sorted(grades.glob(FILES)):  # of a class that was larger, or other items
        if path.name not in views and path.is_file() and ownership.is_ours(path):
            path.unlink()
    if FILE not in views:
        pages.write_page(grades / FILE, "marking_pages", title=rubric.title, views=views)
    return [_write(grades / name, rubric, view) for name, view in views.items()]


def _views(
    results: Sequence[Result], rubric: Rubric, codes: Codes, items: Sequence[Item]
) -> dict[str, dict[str, Any]]:
    """Name of a page -> what it holds: one for all, or some for each item."""
    whole = marking_view(results, rubric, codes, items)
    if _fits(whole):
        return {FILE: whole}
    found = {}
    for item in items:
        parts = _parts(results, rubric, codes, item)
        for number, part in enumerate(parts, start=1):
            known = f"{item.id}-{number}" if len(parts) > 1 else item.id
            found[FILES.replace("*", known)] = part | {"id": digest([part["id"], number])[:16]}
    return found


def _parts(
    results: Sequence[Result], rubric: Rubric, codes: Codes, item: Item
) -> list[dict[str, Any]]:
    """One item's view, halved until each part fits."""
    view = marking_view(results, rubric, codes, [item])
    half = len(results) // 2
    if _fits(view) or not half:
        return [view]
    return [v for own in (results[:half], results[half:]) for v in _parts(own, rubric, codes, item)]


def _fits(view: Mapping[str, Any]) -> bool:
    return sum(map(len, view["contents"])) <= LARGEST


def _write(path: Path, rubric: Rubric, view: Mapping[str, Any]) -> Path:
    from markupsafe import Markup

    data = json.dumps(view, ensure_ascii=False, sort_keys=True)
    # Inside <script> only "<" could end it; as \u003c it means the same to JSON.
    data = UNPRINTABLE.sub("\ufffd", data).replace("<", "\\u003c")
    return pages.write_page(path, "marking", title=rubric.title, id=view["id"], data=Markup(data))


def marking_view(
    results: Sequence[Result], rubric: Rubric, codes: Codes, items: Sequence[Item]
) -> dict[str, Any]:
    """What a page holds: items, students by code, and each text or figure once."""
    shared: dict[str, int] = {}
    students = [
        {
            "code": codes.known[result.submission],
            "work": _works(result, items, shared),
            "looked_at": {item.id: work_digest(result.item(item.id)) for item in items},
        }
        for result in results
    ]
    view: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "assignment": rubric.assignment,
        "title": rubric.title,
        "rubric": rubric_fingerprint(rubric),
        "manual": [item.id for item in rubric.of_kind("manual")],  # of all pages
        "items": [
            {
                "id": i.id,
                "part": str(i.part),
                "title": i.title,
                "max": i.points,
                "bonus": i.part == "bonus",
                "parts": item_parts(i),
            }
            for i in items
        ],  # fmt: skip
        "students": students,
        "contents": list(shared),
    }
    # By this the browser knows its own kept marks: the same class, whoever came late.
    view["class"] = digest([rubric.assignment, codes.folder])[:16]
    return view | {"id": digest([view["class"], [item.id for item in items]])[:16]}


def _works(result: Result, items: Sequence[Any], shared: dict[str, int]) -> dict[str, list]:
    """item -> [kind, title, number of the content]."""
    found = {item.id: result.item(item.id) for item in items}
    return {
        name: [_work(work, shared) for work in own.work] + _evidence(own, shared)
        for name, own in found.items()
        if own
    }


def _work(work: Work, shared: dict[str, int]) -> list[Any]:
    return [work.kind, work.title, shared.setdefault(work.content, len(shared))]


def _evidence(own: Any, shared: dict[str, int]) -> list[list[Any]]:
    """Figures that the grader computed for the item, as lines of text."""
    lines = [
        ": ".join(filter(None, (e.label, e.found))) + (f" ({e.note})" if e.note else "")
        for e in own.evidence
    ]
    text = "\n".join(lines)
    return [["text", "computed", shared.setdefault(text, len(shared))]] if text else []
