"""Finding, reading and checking notebooks, and the parameters that they declare."""

import ast
import contextlib
import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.reading import read_notebook
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
            found.setdefault(Path(os.path.realpath(notebook)), notebook)
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


def declared_parameters(notebook: Mapping[str, Any]) -> set[str] | None:
    """Names assigned in the cell tagged `parameters`; None when there is no such cell.

    Read with `ast`: papermill's own inspection skips a line with a second `=`, even in a comment.
    """
    source = _parameters_cell(notebook)
    if source is None:
        return None
    try:
        return {name for name, _ in _assigned(source)}
    except (SyntaxError, ValueError, RecursionError):  # another language, a line with a magic
        return set(re.findall(r"^([^\W\d]\w*)\s*(?::[^=\n]*)?(?:=|<-)(?!=)", source, re.MULTILINE))


def declared_values(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values (texts, numbers, lists ...) of the cell tagged `parameters`."""
    values: dict[str, Any] = {}
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        for name, value in _assigned(_parameters_cell(notebook) or ""):
            values.pop(name, None)
            with contextlib.suppress(ValueError, TypeError, SyntaxError, RecursionError):
                values[name] = ast.literal_eval(value)
    return values


def _parameters_cell(notebook: Mapping[str, Any]) -> str | None:
    cells = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    return cells[0]["source"] if cells else None


def _assigned(source: str) -> list[tuple[str, ast.expr | None]]:
    """(name, value) of each assignment of the outermost level."""
    found: list[tuple[str, ast.expr | None]] = []
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign | ast.AnnAssign):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            found += [(target.id, line.value) for target in targets if isinstance(target, ast.Name)]
    return found


def is_absolute(path: str) -> bool:
    """A path from the root, of this system or another."""
    return bool(re.match(r"^(/|~|\\\\|[A-Za-z]:[\\/])", path))


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


def validate_parameters(
    notebooks: Sequence[Path], parameters: Mapping[str, Any], each: bool = False
) -> list[str]:
    """Check that each parameter is declared by some notebook; return warnings.

    Raises CourseError with the names that no notebook declares. Notebooks without a `parameters`
    cell (other people's) take no parameters: that is a warning, and with `each` so is a notebook
    that declares others. Unreadable ones aren't judged here.
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
    without = [path for path, names in declared.items() if names is None]
    warnings = []
    if without:
        reason = "no cell is tagged 'parameters', so these run with their own values"
        warnings.append(f"{reason}: {_few(without)}")
    for name in parameters if each else ():
        others = [p for p, names in declared.items() if names is not None and name not in names]
        if others and name in known:
            warnings.append(f"these have no parameter {name} and run without it: {_few(others)}")
    return warnings


def _few(paths: Sequence[Path]) -> str:
    """The first names of many."""
    names = [path.name for path in paths[:10]]
    return ", ".join(names) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
