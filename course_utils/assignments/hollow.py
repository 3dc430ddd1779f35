"""Submissions that have the form and nothing in it: warnings, since a person has to decide.

The reference solution's own marks, the nano model, scores of nothing but 0, files still the
starter's. Each would otherwise be called complete, since nothing is missing and nothing wrong.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from course_utils.assignments.findings import warn
from course_utils.assignments.folder import PLACEHOLDER, Folder, listed, scan, show
from course_utils.assignments.regions import NAMED
from course_utils.messages import Explained

if TYPE_CHECKING:
    from course_utils.assignments.checklist import Visit

READ = (".py", ".md", ".yaml", ".yml", ".ipynb")
NANO = "nano"


def _texts(folder: Folder) -> Iterator[tuple[str, str]]:
    """(name, text) of the files that a student writes, within their limits."""
    for name in sorted(folder.files):
        if name.endswith(READ) and not folder.size_problem(name):
            try:
                yield name, folder.text(name)
            except Explained:  # unreadable: named by the check of that file
                continue


@cache
def _to_write(starter_folder: Path) -> dict[str, str]:
    """Name -> text of the starter's files in which something has to be written."""
    texts = _texts(scan(starter_folder)) if starter_folder.is_dir() else ()
    return {name: _sources(name, text) for name, text in texts if PLACEHOLDER.search(text)}


def _sources(name: str, text: str) -> str:
    """The text; of a notebook its cells, since running it changes the rest."""
    if not name.endswith(".ipynb"):
        return text
    try:
        cells = [cell["source"] for cell in json.loads(text)["cells"]]
        return "\n".join(cell if isinstance(cell, str) else "".join(cell) for cell in cells)
    except (ValueError, KeyError, TypeError, RecursionError):  # its own check names that
        return text


def solution(visit: "Visit") -> str:
    """No file holds the marks that only the reference solution has."""
    if found := [name for name, text in _texts(visit.folder) if NAMED.search(text)]:
        raise warn("hollow.solution", names=listed(found))
    return "no marks of the reference solution"


def starter(visit: "Visit") -> str:
    """Every file that has to be written differs from the starter's."""
    if names := untouched(visit.folder, visit.checklist.starter):
        raise warn("hollow.starter", names=listed(names))
    return "nothing is still the starter's"


def untouched(folder: Folder, starter_folder: Path | None) -> list[str]:
    """The files that have to be written and are still the starter's."""
    given = _to_write(starter_folder) if starter_folder else {}
    written = ((name, text) for name, text in _texts(folder) if name in given)
    return [name for name, text in written if _sources(name, text) == given[name]]


def model(visit: "Visit") -> str:
    """The base model is not the one for trying out."""
    config = visit.folder.json(f"{visit.checklist.adapter}/adapter_config.json")
    name = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if isinstance(name, str) and _is_nano(name):
        raise warn("hollow.nano", name=show(name, 80))
    return "not the nano model"


def _is_nano(name: str) -> bool:
    """By its name or by the folder it is kept in."""
    return PurePosixPath(name.replace("\\", "/")).name.casefold() == NANO


def no_zeros(scores: Iterable[Any]) -> None:
    """Raises a warning when the tuned model's scores are all 0 as they are printed."""
    numbers = [s for s in scores if isinstance(s, int | float) and not isinstance(s, bool)]
    if numbers and all(round(number, 3) == 0 for number in numbers):
        raise warn("hollow.zero", count=len(numbers))
