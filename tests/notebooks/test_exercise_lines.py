"""The lines of code in an exercise run where the student stands: at the end of the notebook.

Each exercise is done alone. A line that needs a name which only another exercise binds stops with
a NameError, and nothing says where the name would come from.
"""

import ast
import json
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils import kit

NUMBERED = sorted(kit.NOTEBOOKS.glob("0*.ipynb"))
LINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
BINDS = (ast.Import, ast.ImportFrom, ast.Assign)
CODE = (ast.Call, ast.Subscript, *BINDS)


def exercises(notebook) -> dict[int, str]:
    """Number -> text."""
    text = notebook.cells[-1].source.partition("## Exercises")[2]
    parts = re.split(r"^(\d+)\. ", text, flags=re.MULTILINE)
    return {int(number): said for number, said in zip(parts[1::2], parts[2::2], strict=True)}


def lines_of(text: str) -> list[str]:
    """What stands between backticks and is Python that does something."""
    found = []
    for line in LINE.findall(text):
        for whole in (line, f"{line} pass"):  # a `with` or a `for` alone
            try:
                tree = ast.parse(whole)
            except SyntaxError:
                continue
            if any(isinstance(node, CODE) for node in ast.walk(tree)):
                found.append(whole)
            break
    return found


def undefined(notebook) -> list[str]:
    """What ruff says of names that no cell has bound; it reads the cells in order."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    command += ["--output-format", "json", "--stdin-filename", "x.ipynb", "-"]
    done = subprocess.run(
        command, input=nbformat.writes(notebook), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return [finding["message"] for finding in json.loads(done.stdout)]


def unbound(notebook) -> list[str]:
    """Names that an exercise uses, and neither the notebook nor the exercise has bound.

    What binds a name may stand after its use, as in "`f(x)`, with `x = 1`". A word of its own, as
    `n` in "for each `n`", is what the student fills in; an exercise that names another ("exercise
    5") may use what that one binds.
    """
    every = exercises(notebook)
    problems = []
    for number, text in every.items():
        before = [every[int(other)] for other in re.findall(r"exercise (\d)", text)]
        words = [word for word in LINE.findall(text) if word.isidentifier()]
        own = [line for part in (*before, text) for line in lines_of(part)]
        own.sort(key=lambda line: not isinstance(ast.parse(line).body[0], BINDS))
        lines = [f"{word} = None" for word in words if f"{word} = " not in "\n".join(own)] + own
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        done = new_notebook(cells=[*cells, new_code_cell("\n".join(lines))])
        problems += [f"exercise {number}: {found}" for found in undefined(done)]
    return problems


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_each_exercise_binds_the_names_that_its_lines_use(path):
    assert unbound(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1. Ask `there(late)`.", "exercise 1: Undefined name `late`"),
        ("1. Ask `late = 1`, then `there(late)`.", None),
        ("1. Ask `there(late)` for each `late`.", None),
        ("1. Ask `from x import late`.\n2. Ask `there(late)`.", "exercise 2"),
        ("1. Ask `from x import late`.\n2. With `late` of exercise 1: `there(late)`.", None),
        ("1. Ask `with there(1) as one:`, and in it `one[late]`.", "Undefined name `late`"),
    ],
)
def test_a_planted_name_is_found(text, said):
    cells = [new_code_cell("there = print"), new_markdown_cell(f"## Exercises\n\n{text}")]
    found = unbound(new_notebook(cells=cells))
    assert len(found) == bool(said)
    assert all(said in one for one in found)
