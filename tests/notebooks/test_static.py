"""All notebooks, read and not run: what breaks on a student's machine and can be seen beforehand.

Each check is a function that returns a list of problems. It is called on every notebook, where
the list must be empty, and on a small notebook with one planted fault, which it must name.
"""

import ast
import io
import json
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.assignments import setup_cell
from course_utils.environment import canonical, read_requirements
from course_utils.execution.notebooks import declared_values
from course_utils.execution.reading import read_notebook

ROOT = Path(__file__).parents[2]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
ASSIGNMENTS = sorted((ROOT / "assignments").glob("**/*.ipynb"))
NUMBERED = [path for path in COURSE if path.stem[:2].isdigit()]
ADDRESS = setup_cell.stated()
SETUP = ADDRESS.setup_cell()
HERE = f"{ADDRESS.repository.removeprefix('https://github.com/')}/blob/{ADDRESS.revision}"

MOST_LINES, MOST_MEDIAN = 30, 8  # of a code cell; blank lines do not count for the median
CODE_CELLS = range(12, 27)
HEADINGS = ("You will be able to", "Time and hardware", "Exercises")
LOCAL_PATH = re.compile(
    r"(?<![\w.:/~*-])/(?:home|root|Users|work|tmp|mnt|opt|srv|media|private|workspace)/"
    r"|\b[A-Za-z]:\\\w|file://"
)
COLAB = "https://colab.research.google.com/github"
COLAB_LINK = re.compile(rf"{re.escape(COLAB)}/([^/]+/[^/]+/blob/[^/]+)/([^)\s\"]+)")


# --- Reading ----------------------------------------------------------------------------------


@cache
def load(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def trees(notebook: NotebookNode) -> Iterator[tuple[str, ast.Module]]:
    """("code cell 3", its syntax tree) for each code cell that is Python."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        try:
            yield f"code cell {number}", ast.parse(cell.source)
        except SyntaxError:
            continue  # `cells_that_do_not_parse` says so


def nodes(notebook: NotebookNode, *kinds: type) -> Iterator[tuple[str, ast.AST]]:
    for place, tree in trees(notebook):
        yield from ((place, node) for node in ast.walk(tree) if isinstance(node, kinds))


# --- Checks of every notebook -----------------------------------------------------------------


def not_valid(notebook: NotebookNode) -> list[str]:
    """Jupyter refuses to open what nbformat refuses."""
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [str(error).splitlines()[0]]
    return []


def cells_that_do_not_parse(notebook: NotebookNode) -> list[str]:
    """Plain Python: also no `%magic`, which only IPython can read."""
    problems = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            problems.append(f"code cell {number}, line {error.lineno}: {error.msg}")
    return problems


def outputs_left_behind(notebook: NotebookNode) -> list[str]:
    """Outputs go stale, make large diffs, and show the author's paths."""
    return [
        f"code cell {number} has {what}"
        for number, cell in enumerate(code_cells(notebook), start=1)
        for what, there in [
            ("outputs", cell.get("outputs")),
            ("an execution_count", cell.get("execution_count") is not None),
        ]
        if there
    ]


def lint_findings(notebook: NotebookNode) -> list[str]:
    """Names that are not bound by an earlier cell, unused imports: ruff reads cells in order."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F"]
    command += ["--output-format", "json", "--stdin-filename", "x.ipynb", "-"]
    done = subprocess.run(
        command, input=nbformat.writes(notebook), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return [
        f"cell {finding['cell']}, line {finding['location']['row']}: {finding['message']}"
        for finding in json.loads(done.stdout)
    ]


@cache
def distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@cache
def required() -> set[str]:
    return set(read_requirements(ROOT / "requirements.txt"))


def imports_not_installed(notebook: NotebookNode) -> list[str]:
    """A student has only what requirements.txt names."""
    problems = []
    for place, node in nodes(notebook, ast.Import, ast.ImportFrom):
        names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        for name in (str(name).partition(".")[0] for name in names):
            owners = {canonical(owner) for owner in distributions().get(name, [])}
            known = name in sys.stdlib_module_names or name == "course_utils"
            if not known and not owners & required():
                problems.append(f"{place} imports {name}, which requirements.txt does not install")
    return problems


def local_paths(notebook: NotebookNode) -> list[str]:
    """A path that exists on the author's machine only."""
    return [
        f"cell {number}: {found.group()}"
        for number, cell in enumerate(notebook.cells, start=1)
        for found in LOCAL_PATH.finditer(cell.source)
    ]


def metadata_left_behind(notebook: NotebookNode) -> list[str]:
    """Widget states, personal kernels and cell timings: noise that can stop a notebook opening."""
    allowed = {"kernelspec", "language_info"}
    problems = [f"notebook metadata {key}" for key in notebook.metadata if key not in allowed]
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        problems.append(f"the kernel is {kernel!r}, which others do not have; use python3")
    for number, cell in enumerate(notebook.cells, start=1):
        extra = sorted(set(cell.metadata) - {"tags"})
        problems += [f"cell {number} has metadata {extra}"] if extra else []
    return problems


def colab_badges_astray(notebook: NotebookNode) -> list[str]:
    return badge_problems(markdown(notebook))


# --- Checks of the course's notebooks ---------------------------------------------------------


def parameters_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]


def not_one_parameters_cell(notebook: NotebookNode) -> list[str]:
    """papermill writes behind the first one; a second would win over what the user passed."""
    found = len(parameters_cells(notebook))
    return [] if found == 1 else [f"{found} cells are tagged 'parameters', expected 1"]


def parameters_that_are_not_plain(notebook: NotebookNode) -> list[str]:
    """NAME = LITERAL with a comment, so that a person and papermill can read and replace it."""
    problems = []
    for cell in parameters_cells(notebook):
        explained = explained_lines(cell.source)
        for line in ast.parse(cell.source).body:
            shown = ast.unparse(line)
            plain = isinstance(line, ast.Assign) and len(line.targets) == 1
            if not plain or not isinstance(line.targets[0], ast.Name) or not literal(line.value):
                problems.append(f"parameters: {shown!r} is no plain NAME = LITERAL")
            elif explained.isdisjoint(range(line.lineno, line.end_lineno + 1)):
                problems.append(f"parameters: {shown!r} has no comment")
    return problems


def literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def explained_lines(source: str) -> set[int]:
    """Lines that end in a comment, and lines below one that stands alone."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found.add(token.start[0] + alone)
    return found


def cells_of_the_wrong_size(notebook: NotebookNode) -> list[str]:
    """A cell fits on a projector; a notebook fits in an afternoon."""
    sources = [cell.source.splitlines() for cell in code_cells(notebook)]
    problems = [
        f"code cell {number} has {len(lines)} lines, at most {MOST_LINES}"
        for number, lines in enumerate(sources, start=1)
        if len(lines) > MOST_LINES
    ]
    median = statistics.median([sum(bool(line.strip()) for line in lines) for lines in sources])
    if median > MOST_MEDIAN:
        problems.append(f"the median code cell has {median:g} lines, at most {MOST_MEDIAN}")
    if len(sources) not in CODE_CELLS:
        wanted = f"{CODE_CELLS[0]} to {CODE_CELLS[-1]}"
        problems.append(f"{len(sources)} code cells, expected {wanted}")
    return problems


def classes(notebook: NotebookNode) -> list[str]:
    """A class is plumbing; it belongs in course_utils."""
    found = nodes(notebook, ast.ClassDef)
    return [f"{place} defines the class {node.name}" for place, node in found]


def setup_that_does_not_prepare(notebook: NotebookNode) -> list[str]:
    """The first code cell fetches this repository at its tag, and installs what is missing."""
    if code_cells(notebook)[0].source == SETUP:
        return []
    cure = "course adopt --check says what to run"
    return [f"the first code cell is not the set-up cell of {ADDRESS}; {cure}"]


def missing_headings(notebook: NotebookNode) -> list[str]:
    """Title, goals, time and hardware come first; exercises come last."""
    first, text = notebook.cells[0].source, markdown(notebook)
    problems = [f"{heading!r} is missing" for heading in HEADINGS if heading not in text]
    if notebook.cells[0].cell_type != "markdown" or not re.match(r"# (0\d )?\w", first):
        problems.append("the first cell has no title (# 0N ...)")
    return problems


def empty_cells(notebook: NotebookNode) -> list[str]:
    """An empty text before a code cell explains nothing."""
    return [
        f"cell {number} ({cell.cell_type}) is empty"
        for number, cell in enumerate(notebook.cells, start=1)
        if not cell.source.strip()
    ]


EVERYWHERE: list[Callable[[NotebookNode], list[str]]] = [
    not_valid,
    cells_that_do_not_parse,
    outputs_left_behind,
    lint_findings,
    imports_not_installed,
    local_paths,
    metadata_left_behind,
    colab_badges_astray,
    setup_that_does_not_prepare,
]
IN_THE_COURSE = [
    *EVERYWHERE,
    not_one_parameters_cell,
    parameters_that_are_not_plain,
    cells_of_the_wrong_size,
    classes,
    missing_headings,
    empty_cells,
]
WORK = [(check, path) for path in COURSE for check in IN_THE_COURSE]
WORK += [(check, path) for path in ASSIGNMENTS for check in EVERYWHERE]


@pytest.mark.parametrize(
    ("check", "path"), WORK, ids=[f"{path.stem}-{check.__name__}" for check, path in WORK]
)
def test_notebook_has_no(check, path):
    assert check(load(path)) == []


def test_there_are_notebooks():
    assert len(NUMBERED) >= 5


# --- Checks of several files together ---------------------------------------------------------


def wrong_titles(notebooks: dict[str, NotebookNode]) -> list[str]:
    """`03_lora_sft` is titled `# 03 ...`."""
    return [
        name
        for name, nb in notebooks.items()
        if not nb.cells[0].source.startswith(f"# {name[:2]} ")
    ]


def badge_problems(text: str) -> list[str]:
    """Links that open a notebook in Colab: of this address and tag, and of a file that exists."""
    problems = []
    for repository, path in COLAB_LINK.findall(text):
        if repository != HERE:
            problems.append(f"a Colab link opens {repository}, not {HERE}")
        if not (ROOT / path).is_file():
            problems.append(f"a Colab link opens {path}, which does not exist")
    return problems


def notebooks_without_badge(text: str, names: list[str]) -> list[str]:
    linked = {path.rpartition("/")[2] for _, path in COLAB_LINK.findall(text)}
    return [name for name in names if name not in linked]


@pytest.mark.parametrize("path", NUMBERED[1:], ids=lambda path: path.stem)
def test_notebooks_that_go_on_keep_the_runs_track_and_seed(path):
    values = declared_values(read_notebook(path))
    assert (values["track"], values["seed"]) == (None, None)


def test_numbered_notebooks_have_their_number_in_the_title():
    assert wrong_titles({path.stem: load(path) for path in NUMBERED}) == []


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="there is no README.md yet")
def test_readme_has_a_working_colab_badge_for_each_numbered_notebook():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert badge_problems(text) == []
    assert notebooks_without_badge(text, [path.name for path in NUMBERED]) == []


# --- The checks, checked on planted faults ----------------------------------------------------

PARAMETERS = (
    "seed = 42  # of all\n# tokens\nlimit = None\nsizes = [\n    1,\n    -2,\n]  # of batches"
)
TITLE = "# 01 Title\n\n**You will be able to**\n\n**Time and hardware**: see ~/runs or and/or /run."
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def good_notebook() -> NotebookNode:
    """Small, and without any of the faults below."""
    cells = [new_markdown_cell(TITLE), new_code_cell(SETUP)]
    cells.append(new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}))
    cells.append(new_code_cell("import numpy as np\n\nprint(np.pi, seed, limit, sizes)"))
    cells += [new_code_cell(f"display({number})") for number in range(11)]
    return new_notebook(cells=[*cells, new_markdown_cell("## Exercises")], metadata=PYTHON)


def with_code(source: str) -> Callable[[NotebookNode], None]:
    """A fault: the fourth cell holds this source instead."""
    return lambda notebook: notebook.cells[3].update(source=source)


def with_parameters(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[2].update(source=source)


def with_text(text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[-1].update(source=text)


FAULTS = [
    (not_valid, lambda nb: nb.cells[3].pop("outputs"), "'outputs' is a required property"),
    (cells_that_do_not_parse, with_code("x = 1\n%pip install x"), "code cell 3, line 2"),
    (outputs_left_behind, lambda nb: nb.cells[3].update(execution_count=7), "execution_count"),
    (
        outputs_left_behind,
        lambda nb: nb.cells[3].update(outputs=[new_output("stream", text="hi")]),
        "code cell 3 has outputs",
    ),
    (lint_findings, with_code("print(nowhere)"), "Undefined name `nowhere`"),
    (lint_findings, with_code("import json"), "`json` imported but unused"),
    (imports_not_installed, with_code("import pytest"), "imports pytest"),
    (imports_not_installed, with_code("def f():\n    from no_such.x import y"), "no_such"),
    (local_paths, with_code("open('/home/me/data.jsonl')"), "cell 4: /home/"),
    (local_paths, with_text("See `C:\\Users\\me`."), "C:"),
    (metadata_left_behind, lambda nb: nb.metadata.update(widgets={}), "metadata widgets"),
    (metadata_left_behind, lambda nb: nb.metadata.kernelspec.update(name="mine"), "'mine'"),
    (metadata_left_behind, lambda nb: nb.cells[3].metadata.update(scrolled=True), "scrolled"),
    (colab_badges_astray, with_text(f"{COLAB}/me/fork/blob/main/README.md"), "me/fork"),
    (not_one_parameters_cell, lambda nb: nb.cells[2].metadata.clear(), "0 cells"),
    (
        not_one_parameters_cell,
        lambda nb: nb.cells[3].metadata.update(tags=["parameters"]),
        "2 cells",
    ),
    (parameters_that_are_not_plain, with_parameters("seed = 42"), "no comment"),
    (parameters_that_are_not_plain, with_parameters("a = 1  # yes\nb = 2"), "'b = 2' has no"),
    (parameters_that_are_not_plain, with_parameters("a = int(1)  # x"), "no plain"),
    (parameters_that_are_not_plain, with_parameters("import os  # x"), "no plain"),
    (parameters_that_are_not_plain, with_parameters("a: int = 1  # x"), "no plain"),
    (cells_of_the_wrong_size, with_code("x = 1\n" * 31), "31 lines"),
    (
        cells_of_the_wrong_size,
        lambda nb: [cell.update(source="1\n" * 9) for cell in nb.cells],
        "median",
    ),
    (cells_of_the_wrong_size, lambda nb: nb.cells.extend(nb.cells * 2), "42 code cells"),
    (classes, with_code("if True:\n    class Net: ..."), "class Net"),
    (setup_that_does_not_prepare, lambda nb: nb.cells.pop(1), "not the set-up cell"),
    (
        setup_that_does_not_prepare,
        lambda nb: nb.cells[1].update(source=SETUP.replace(ADDRESS.revision, "main")),
        ADDRESS.revision,
    ),
    (missing_headings, with_text("## The end"), "'Exercises' is missing"),
    (missing_headings, lambda nb: nb.cells.pop(0), "title"),
    (empty_cells, lambda nb: nb.cells.insert(1, new_markdown_cell(" \n")), "cell 2 (markdown)"),
]


@pytest.mark.parametrize("check", IN_THE_COURSE, ids=lambda check: check.__name__)
def test_a_good_notebook_has_no(check):
    assert check(good_notebook()) == []


@pytest.mark.parametrize(
    ("check", "plant", "expected"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS]
)
def test_a_planted_fault_is_named(check, plant, expected):
    notebook = good_notebook()
    plant(notebook)
    assert expected in "; ".join(check(notebook))


def test_each_check_has_a_planted_fault():
    assert {fault[0] for fault in FAULTS} == set(IN_THE_COURSE)


def test_a_name_bound_only_by_a_later_cell_is_named():
    notebook = good_notebook()
    notebook.cells[4].source = "print(later)"
    notebook.cells[5].source = "later = 1\nprint(later)"
    assert lint_findings(notebook) == ["cell 5, line 1: Undefined name `later`"]


def test_a_wrong_number_in_the_title_is_named():
    assert wrong_titles({"01_a": good_notebook(), "02_b": good_notebook()}) == ["02_b"]


def test_badges_that_lead_astray_are_named():
    right = f"[![Open](badge.svg)]({COLAB}/{HERE}/notebooks/01_data_prep.ipynb)"
    assert badge_problems(right) == []
    assert notebooks_without_badge(right, ["01_data_prep.ipynb", "02.ipynb"]) == ["02.ipynb"]
    assert "me/fork" in badge_problems(right.replace(HERE, "me/fork/blob/main"))[0]
    assert "99.ipynb" in badge_problems(right.replace("01_data_prep", "99"))[0]
