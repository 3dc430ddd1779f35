"""An archive for the public: what quotes work orders stays out, seed and checksum in its place.

    kept, note = public.without_orders(found, names, checklist)

What cannot be read through stays out too: nobody knows whether it quotes one.

The terms of the work orders are not verified, so nobody publishes them (docs/licences.md). Whoever
has the kit builds the same parts from the seed, and the checksum shows that they are the same.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from course_utils import kit, sources
from course_utils.assignments.checklist import Checklist
from course_utils.assignments.folder import LEFT_OUT, Folder
from course_utils.assignments.quoting import Orders
from course_utils.assignments.searchable import (
    fields_of,
    holds_no_text,
    is_json,
    objects_of,
    parts_of,
    text_of,
)
from course_utils.errors import CourseError
from course_utils.ownership import MAKER

QUOTED = "maintenance_log"  # the kind of document whose records quote orders
WHY = (
    "These files quote work orders (M. Hodkiewicz and M. T.-W. Ho, 2016), whose terms are not "
    "verified, or could not be read through, and are left out of this public archive. `again` "
    "makes them again, with the kit and the seed named here; sha256 is of the same part. course "
    "submit check FOLDER compares it."
)


def without_orders(
    found: Folder, names: Sequence[str], checklist: Checklist
) -> tuple[list[str], bytes]:
    """(the files that stay, the content of left_out.json); it is empty where all of them stay."""
    orders = _orders(found, names)
    left = {name: about for name in names if (about := _looked_through(found, name, orders))}
    if not left:
        return list(names), b""
    note = {
        "made_by": MAKER,
        "note": WHY,
        "kit": kit.version(),
        "seed": _seed(found),
        "files": {name: _about(found, name, checklist) | left[name] for name in left},
    }
    text = json.dumps(note, indent=2, ensure_ascii=False) + "\n"
    return [name for name in names if name not in left], text.encode()


def told(note: bytes) -> str:
    """What was left out, as a line."""
    if not note:
        return "public: no file quotes work orders, so none is left out"
    files = json.loads(note)["files"]
    quoting = [name for name, about in files.items() if about["rows_that_quote"]]
    said = [f"{', '.join(quoting)} quote work orders"] if quoting else []
    unread = [name for name in files if name not in quoting]
    said += [f"{name} cannot be read through, so it may quote some" for name in unread]
    if any(name.endswith(".ipynb") for name in quoting):
        said.append("a notebook stays in once its outputs quote none (clear them in a copy)")
    return f"public: {'; '.join(said)}; {LEFT_OUT} stands in their place"


def _about(found: Folder, name: str, checklist: Checklist) -> dict[str, Any]:
    content = found.bytes_of(name)
    about: dict[str, Any] = {"bytes": len(content)}
    about["again"] = checklist.required.get(name, "ask its author")
    if name.lower().endswith(".jsonl"):  # built from a seed; what a model answers has times in it
        about["sha256"] = hashlib.sha256(content).hexdigest()
    return about


def _looked_through(found: Folder, name: str, orders: Orders) -> dict[str, int]:
    """Why a file stays out; {} where it may stay.

    Rows and texts that quote a work order, and what cannot be read: it may hide one.
    """
    if holds_no_text(name):
        return {}
    content = found.bytes_of(name)
    quoting = unread = 0
    for own in objects_of(name, content) if is_json(name) else ():
        if isinstance(own, ValueError):
            unread += 1
        else:
            quoting += sum(_quotes(part, orders) for part in parts_of(own))
    if not is_json(name):
        text = text_of(name, content)
        unread = int(text is None and bool(orders))  # without any order there is none to hide
        quoting = orders.quoted_in(text or "")
    about = {"rows_that_quote": quoting} | ({"lines_not_read": unread} if unread else {})
    return about if quoting or unread else {}


def _quotes(part: dict[str, Any] | str, orders: Orders) -> bool:
    """Whether a row, or a text that is no field of one, quotes an order."""
    if isinstance(part, str):
        return orders.quoted_in(part) > 0
    return part.get("document") == QUOTED or orders.quoted_in(fields_of(part)) > 0


def _orders(found: Folder, names: Sequence[str]) -> Orders:
    """The orders of the table; where it is not on this machine, those of the records in hand."""
    return Orders(_table() if sources.is_prepared() else _in_records(found, names))


@cache
def _table() -> tuple[str, ...]:
    return tuple(map(str, sources.load_work_orders()["OriginalShorttext"]))


def _in_records(found: Folder, names: Sequence[str]) -> Iterator[str]:
    for name in filter(is_json, names):
        for own in objects_of(name, found.bytes_of(name)):
            for part in parts_of(own):
                if isinstance(part, dict) and part.get("document") == QUOTED:
                    # A report or a question is about a sheet of many; here it is the order alone.
                    yield str(part.get("input", "")) if part.get("task") == "understanding" else ""


def _seed(found: Folder) -> int | None:
    """The seed that the data were built with, as the run or the training says."""
    for name in ("run/settings.json", "training.json"):
        try:
            content = found.json(name) if name in found.files else {}
        except CourseError:
            continue
        seed = content.get("seed") if isinstance(content, dict) else None
        if isinstance(seed, int):
            return seed
    return None
