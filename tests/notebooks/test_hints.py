"""The line that a check prints as its solution runs in the cell where the check stands."""

import ast
import builtins
import re
from collections.abc import Iterator

import nbformat
import pytest
from solved import OPEN

from course_utils import kit
from course_utils.checks import CHECKS


def asked() -> Iterator[tuple[str, str, str, set[str]]]:
    """(notebook, the student's variable, the check, names that the cells have bound so far)."""
    for path in sorted(kit.NOTEBOOKS.glob("*.ipynb")):
        known: set[str] = set()
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                known |= bound(cell.source)
                for variable in OPEN.findall(cell.source):
                    check = re.search(rf"checks\.(\w+)\([^)]*\b{variable}\b", cell.source)[1]
                    yield path.stem, variable, check, set(known)


def bound(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    modules = [
        alias for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for alias in n.names
    ]
    return names | {(alias.asname or alias.name).split(".")[0] for alias in modules}


ASKED = list(asked())


def test_every_notebook_asks_for_an_answer():
    assert {name for name, *_ in ASKED} == {path.stem for path in kit.NOTEBOOKS.glob("*.ipynb")}


@pytest.mark.parametrize(
    ("name", "variable", "check", "known"),
    ASKED,
    ids=[f"{name}-{check}" for name, _, check, _ in ASKED],
)
def test_the_line_answers_this_cell_with_names_that_it_knows(name, variable, check, known):
    line = CHECKS[check].message.example
    assert line.startswith(f"{variable} = ")
    needed = {n.id for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Name)}
    assert needed - bound(line) - known - set(dir(builtins)) == set()
