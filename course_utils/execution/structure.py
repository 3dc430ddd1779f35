"""What a notebook's JSON must hold before it can be run, and what of it a run starts from.

Other people's notebooks come from many programs. What the libraries below would trip over is found
here, before any notebook starts, and named with its cell and its cure.
"""

import re
from collections.abc import Mapping
from typing import Any

from course_utils.errors import CourseError

FORMAT = 4
CELL_TYPES = ("code", "markdown", "raw")
FIRST_WITH_IDS = 5  # of the minor numbers of format 4
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
INJECTED = "injected-parameters"  # papermill's tag on the cell that it adds


def check_structure(raw: Any) -> None:
    """Raise CourseError for the first thing in a notebook's JSON that no run could work with."""
    if not isinstance(raw, dict) or not _is_int(raw.get("nbformat")):
        raise CourseError("JSON without 'nbformat' and 'cells'", "name another file")
    if not 1 <= raw["nbformat"] <= FORMAT:
        raise CourseError(
            f"nbformat {raw['nbformat']}: the kit reads the formats 1 to {FORMAT}",
            f"save it as format {FORMAT} where it was made; if its cells look as usual, "
            f'"nbformat": {FORMAT} in the file is enough',
        )
    if raw["nbformat"] < FORMAT:
        return  # nbformat converts it; what comes out is checked again
    _check_metadata(raw)
    if not isinstance(raw.get("cells"), list):
        found = _name(raw["cells"]) if "cells" in raw else "missing"
        raise CourseError(f"'cells' is {found}, not a list of cells", AGAIN)
    for number, cell in enumerate(raw["cells"], start=1):
        _check_cell(f"cell {number} of {len(raw['cells'])}", cell)


AGAIN = "save it again where it was made, or take it out of the list"


def _check_metadata(raw: Mapping[str, Any]) -> None:
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        found = _name(metadata) if "metadata" in raw else "missing"
        raise CourseError(
            f"the notebook's 'metadata' is {found}", 'write "metadata": {} in the file'
        )
    for key, example in (("kernelspec", "python3"), ("language_info", "python")):
        part = metadata.get(key, {})
        cure = f'take "{key}" out of the file\'s metadata, or write {{"name": "{example}"}} there'
        if not isinstance(part, dict):
            raise CourseError(f"'{key}' is {_name(part)}, not an object", cure)
        for inner in ("name", "language"):
            if not isinstance(part.get(inner, ""), str):
                raise CourseError(f"'{inner}' of '{key}' is {_name(part[inner])}, not a text", cure)


def _check_cell(place: str, cell: Any) -> None:
    if not isinstance(cell, dict):
        raise CourseError(f"{place} is {_name(cell)}, not an object", AGAIN)
    kind = cell.get("cell_type")
    if kind not in CELL_TYPES:
        raise CourseError(
            f"{place} has the type {kind!r}",
            f"the types are {', '.join(CELL_TYPES)}; {AGAIN}",
        )
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise CourseError(
            f"{place}: 'source' is {_name(source)}, not a text",
            'write "source": "" there, or the cell\'s text',
        )
    if _has_half_character("".join(lines)):
        raise CourseError(
            f"{place} holds half of a character (\\ud800 to \\udfff)", "write it anew"
        )
    metadata = cell.get("metadata")
    if not isinstance(metadata, dict):
        found = _name(metadata) if "metadata" in cell else "missing"
        raise CourseError(f"{place}: 'metadata' is {found}", "write {} there")
    tags = metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise CourseError(
            f"{place}: 'tags' is {_name(tags)}, not a list of words",
            'write "tags": [] there, or take "tags" out of the cell\'s metadata',
        )


def as_run(raw: dict[str, Any]) -> dict[str, Any]:
    """A checked notebook as a run starts from it: without what an earlier run left.

    Cells have whole texts as source. Outputs go, and so do papermill's notes, the cells with
    parameters that it injected, and the state of widgets: they would count as cells, or break the
    libraries that read them back.
    """
    metadata = {k: v for k, v in raw["metadata"].items() if k not in ("papermill", "widgets")}
    minor = raw.get("nbformat_minor")
    minor = minor if _is_int(minor) and 0 <= minor <= 5 else 5
    kept = [cell for cell in raw["cells"] if INJECTED not in cell["metadata"].get("tags", [])]
    return {
        "nbformat": FORMAT,
        "nbformat_minor": minor,
        "metadata": metadata,
        "cells": [_cell_as_run(cell, minor) for cell in kept],
    }


def _cell_as_run(cell: dict[str, Any], minor: int) -> dict[str, Any]:
    kept = {"cell_type": cell["cell_type"], "source": "".join(cell["source"])}
    kept["metadata"] = {k: v for k, v in cell["metadata"].items() if k != "papermill"}
    name = cell.get("id")
    if minor >= FIRST_WITH_IDS and isinstance(name, str) and CELL_ID.fullmatch(name):
        kept["id"] = name
    if cell["cell_type"] != "code" and isinstance(cell.get("attachments"), dict):
        files = cell["attachments"].items()
        kept["attachments"] = {name: file for name, file in files if isinstance(file, dict)}
    if cell["cell_type"] == "code":
        kept |= {"outputs": [], "execution_count": None}
    return kept


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _has_half_character(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _name(value: Any) -> str:
    """What a JSON value is, in a word."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
