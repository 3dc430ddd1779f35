"""marking.html: people mark the manual items on it, item by item over all students.

One item at a time: the same yardstick for all of them. Names are hidden behind codes, and the codes
give the order. The page keeps its marks in the browser and saves them as JSON; there is no server.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.assignments.explaining import item_parts
from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.grading import pages
from course_utils.grading.marks import KIND, VERSION
from course_utils.grading.results import Result, Work, rubric_fingerprint
from course_utils.report import UNPRINTABLE

FILE = "marking.html"
LARGEST = 100_000_000  # characters of the page: browsers grow slow above


def write_marking(
    grades: Path,
    results: Sequence[Result],
    rubric: Rubric,
    codes: Mapping[str, str],
    only: Sequence[str] = (),
    name: str = FILE,
) -> Path | None:
    """The page; None where nothing waits for a person. `only`: these items.

    Raises CourseError for a page that no browser would open in a reasonable time.
    """
    view = marking_view(results, rubric, codes, only)
    if not view["items"] or not view["students"]:
        return None
    data = json.dumps(view, ensure_ascii=False, sort_keys=True)
    # Inside <script> only "<" could end it; as \u003c it means the same to JSON.
    data = UNPRINTABLE.sub("\ufffd", data).replace("<", "\\u003c")
    if len(data) > LARGEST:
        raise CourseError(
            f"{name}: it would take {len(data) / 1e6:.0f} MB, most of it figures",
            "make a page for some items at a time: course grade totals GRADES --marking readme",
        )
    from markupsafe import Markup

    return pages.write_page(
        Path(grades) / name, "marking", title=rubric.title, id=view["id"], data=Markup(data)
    )


def marking_view(
    results: Sequence[Result], rubric: Rubric, codes: Mapping[str, str], only: Sequence[str] = ()
) -> dict[str, Any]:
    """What the page holds: items, students by code, and each text or figure once."""
    for name in only:
        if rubric.item(name).kind != "manual":
            raise CourseError(f"{name}: scored by the computer", "change it in overrides.csv")
    items = [item for item in rubric.of_kind("manual") if not only or item.id in only]
    shared: dict[str, int] = {}
    students = [
        {"code": codes[result.submission], "work": _works(result, items, shared)}
        for result in results
        if result.status not in ("rejected", "not gradable")
    ]
    students.sort(key=lambda student: student["code"])
    view: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "assignment": rubric.assignment,
        "title": rubric.title,
        "rubric": rubric_fingerprint(rubric),
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
    # By this the browser knows its own kept marks: the same class and items, whatever was re-made.
    known = [rubric.assignment, [i.id for i in items], [s["code"] for s in students]]
    return view | {"id": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]}


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
