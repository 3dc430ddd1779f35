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
from pathlib import PurePosixPath
from typing import Any

from course_utils import kit, sources
from course_utils.assignments.checklist import Checklist
from course_utils.assignments.folder import LEFT_OUT, Folder
from course_utils.errors import CourseError
from course_utils.ownership import MAKER
from course_utils.splits import normalise

QUOTED = "maintenance_log"  # the kind of document whose records quote orders
SHORTEST = 12  # characters of an order: a shorter text may be anybody's
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
    left = {name: about for name in names if (about := _looked_through(found, name))}
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
    return f"public: {'; '.join(said)}; {LEFT_OUT} stands in their place"


def _about(found: Folder, name: str, checklist: Checklist) -> dict[str, Any]:
    content = found.bytes_of(name)
    about: dict[str, Any] = {"bytes": len(content)}
    about["again"] = checklist.required.get(name, "ask its author")
    if name.lower().endswith(".jsonl"):  # built from a seed; what a model answers has times in it
        about["sha256"] = hashlib.sha256(content).hexdigest()
    return about


def _looked_through(found: Folder, name: str) -> dict[str, int]:
    """Of a file of data or of answers, why it stays out; {} where it may stay.

    Rows that hold a whole work order, and lines that are no JSON: each may hide one.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in (".jsonl", ".json"):
        return {}
    text = found.bytes_of(name).decode("utf-8-sig", errors="replace")
    quoting = unread = 0
    for piece in text.split("\n") if ending == ".jsonl" else [text]:
        try:
            rows = _rows(json.loads(piece)) if piece.strip() else ()
        except (ValueError, RecursionError):
            unread += 1
        else:
            quoting += sum(map(_quotes, rows))
    about = {"rows_that_quote": quoting} | ({"lines_not_read": unread} if unread else {})
    return about if quoting or unread else {}


def _rows(content: Any) -> Iterator[dict]:
    """Every object in it, at any depth."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _quotes(row: dict) -> bool:
    if row.get("document") == QUOTED:
        return True
    texts = (normalise(value) for value in row.values() if isinstance(value, str))
    return any(len(text) >= SHORTEST and text in _order_texts() for text in texts)


@cache
def _order_texts() -> frozenset[str]:
    """The orders as compared; none where the table is not on this machine."""
    if not sources.is_prepared():
        return frozenset()
    return frozenset(
        normalise(str(text)) for text in sources.load_work_orders()["OriginalShorttext"]
    )


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
