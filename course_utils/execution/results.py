"""results.json and results.csv of a batch: one row a notebook, whatever became of it."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.execution.jobs import NotebookResult
from course_utils.execution.state import own_files, plain, remember_file
from course_utils.files import write_json_atomic, write_text_atomic

COLUMNS = (
    *("name", "notebook", "status", "verdict", "seconds", "cell", "cells", "reached", "failed"),
    *("error", "cure", "sandbox", "peak_mib", "copy", "log"),
)
# A spreadsheet takes a text that begins so for a formula, and a student chose some of the texts.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_results(folder: Path, results: Sequence[NotebookResult]) -> list[Path]:
    """Write both files; rows of notebooks that ran here before, and not now, stay.

    A file of that name that is not ours is left: ours is called results-2. Raises CourseError
    where they can't be written.
    """
    table = _own_path(folder, "results.json")
    rows = {row["name"]: row for row in _earlier(table)}
    for result in results:
        row = _row(result)
        if result.status != "not_run" or row["name"] not in rows:
            rows[row["name"]] = row
    sheet = _own_path(folder, "results.csv")
    ordered = [rows[name] for name in sorted(rows)]
    return [
        write_json_atomic(table, {"notebooks": ordered}),
        write_text_atomic(sheet, as_csv(ordered)),
    ]


def _row(result: NotebookResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "notebook": plain(str(result.source)),
        "status": result.status,
        "seconds": round(result.seconds, 1),
        "cell": result.cell,
        "cells": result.cells,
        "error": plain(result.error),
        "cure": plain(result.cure),
        "verdict": plain(result.verdict.text) if result.verdict else "",
        "reached": _numbers(result.verdict.reached if result.verdict else []),
        "failed": _numbers(result.verdict.failed if result.verdict else []),
        "sandbox": result.sandbox,
        "peak_mib": round(result.usage["peak"] / 2**20) if "peak" in result.usage else None,
        "copy": plain(str(result.executed or "")),
        "log": plain(str(result.log or "")),
    }


def _numbers(cells: Sequence[int]) -> str:
    return " ".join(map(str, cells))


def _own_path(folder: Path, name: str) -> Path:
    """The name, or with a number before its ending where somebody else's file has it."""
    stem, ending = os.path.splitext(name)
    number = 1
    while name not in own_files(folder) and os.path.lexists(folder / name):
        number += 1
        name = f"{stem}-{number}{ending}"
    remember_file(folder, name)
    return folder / name


def _earlier(path: Path) -> list[dict[str, Any]]:
    """The rows of the last call; none where there was none, or the file is broken."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["notebooks"]
        return [{c: row.get(c) for c in COLUMNS} for row in rows if isinstance(row["name"], str)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for a spreadsheet; no text of a notebook can act as a formula there."""
    sheet = io.StringIO()
    # Quoted, since a lone \r would end a row.
    writer = csv.writer(sheet, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if row.get(c) is None else _harmless(row[c]) for c in COLUMNS])
    return sheet.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
