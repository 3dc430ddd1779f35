"""Finding, reading and checking notebooks, and the parameters that they declare."""

import ast
import contextlib
import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.state import read_state

SKIPPED_FOLDERS = {".ipynb_checkpoints", "node_modules", "__pycache__", "site-packages"}


def find_notebooks(paths: Iterable[Path | str]) -> list[Path]:
    """The notebooks named by files and folders, each once; a folder's own are sorted.

    In folders, checkpoints, hidden folders and executed copies are left out.
    Raises CourseError for a path that is missing, no notebook, or a folder without any.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = [p for p in _walk(path) if not _is_executed_copy(p)]
            if not inside:
                raise CourseError(f"{path}: no notebook (.ipynb) in this folder", "name another")
        elif path.is_file() and path.suffix == ".ipynb":
            inside = [path]
        elif path.is_file():
            raise CourseError(f"{path}: not a notebook", "name a file that ends in .ipynb")
        else:
            raise CourseError(f"{path}: no such file or folder", "check the path")
        for notebook in inside:
            found.setdefault(notebook.resolve(), notebook)
    return list(found.values())


def _walk(folder: Path) -> list[Path]:
    notebooks: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith(".")]
        notebooks += [Path(place, f) for f in files if f.endswith(".ipynb") and f[0] != "."]
    return sorted(notebooks)


def _is_executed_copy(path: Path) -> bool:
    """Made by a run: by its ending, or because the run's state file beside it lists it."""
    return path.name.endswith((".partial.ipynb", ".failed.ipynb")) or (
        path.stem in read_state(path.parent)
    )


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook in format 4. Raises CourseError when the file can't be one."""
    cure = "save it again from Jupyter, or take it out of the list"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CourseError(f"{path}: no such file", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path}: can't be read as UTF-8 text ({error})", cure) from None
    if not text.strip():
        raise CourseError(f"{path}: the file is empty", cure)
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise CourseError(f"{path}: not a notebook, broken JSON ({error})", cure) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
        raise CourseError(f"{path}: not a notebook, JSON without 'nbformat' and 'cells'", cure)
    try:
        return _as_format_4(text, raw)
    except Exception as error:  # nbformat raises whatever it trips over
        reason = f"{type(error).__name__}: {error}"
        raise CourseError(f"{path}: not a valid notebook ({reason})", cure) from None


def _as_format_4(text: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Cells with whole texts as source. nbformat costs a second to import: only for old formats."""
    if raw["nbformat"] < 4:
        import nbformat

        return nbformat.reads(text, as_version=4)
    for cell in raw["cells"]:
        cell["source"] = "".join(cell["source"])
        if not isinstance(cell["cell_type"], str) or not isinstance(cell["metadata"], dict):
            raise TypeError("a cell has no type or no metadata")
    return raw


def declared_parameters(notebook: Mapping[str, Any]) -> set[str] | None:
    """Names assigned in the cell tagged `parameters`; None when there is no such cell.

    Read with `ast`: papermill's own inspection skips a line with a second `=`, even in a comment.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if not cells:
        return None
    source = cells[0]["source"]
    try:
        lines = ast.parse(source).body
    except SyntaxError:  # another language, or a line with a magic
        return set(re.findall(r"^([^\W\d]\w*)\s*(?::[^=\n]*)?(?:=|<-)(?!=)", source, re.MULTILINE))
    targets: list[ast.expr] = []
    for line in lines:
        targets += line.targets if isinstance(line, ast.Assign) else []
        targets += [line.target] if isinstance(line, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def parse_parameter(text: str) -> Any:
    """The value of `-p NAME TEXT`, as papermill reads it: int, float, True, False, None or text.

    Also true, false, null, and YAML lists, mappings and quoted texts. Raises CourseError for
    broken YAML. `yes`, `no` and `on` stay text, and 1e-4 is a number (PyYAML disagrees on both).
    """
    words = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    if not text.startswith(("[", "{", '"', "'")):
        return text
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CourseError(f"parameter value {text}: not valid YAML ({reason})", "") from None


def validate_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> list[str]:
    """Check that each parameter is declared by some notebook; return warnings.

    Raises CourseError with the names that no notebook declares. Notebooks without a `parameters`
    cell (other people's) take no parameters: that is a warning. Unreadable ones aren't judged here.
    """
    if not parameters:
        return []
    declared: dict[Path, set[str] | None] = {}
    for path in notebooks:
        with contextlib.suppress(CourseError):
            declared[path] = declared_parameters(read_notebook(path))
    known = set().union(*(names for names in declared.values() if names))
    unknown = [name for name in parameters if name not in known]
    if unknown and any(names is not None for names in declared.values()):
        hints = [f"{name}{_did_you_mean(name, known)}" for name in unknown]
        raise CourseError(
            f"no notebook declares the parameter {', '.join(hints)}",
            f"use one of: {', '.join(sorted(known)) or 'none are declared'}",
        )
    without = ", ".join(path.name for path, names in declared.items() if names is None)
    warning = f"no cell is tagged 'parameters', so these run with their own values: {without}"
    return [warning] if without else []


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
