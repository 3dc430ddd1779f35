"""Pages and what they name: links, files, commands, options, make targets, and the tables' claims.

Each check is a function that returns a list of problems. It is called on every page, where the
list must be empty, and on a page with a planted fault, which it must name.
"""

import contextlib
import hashlib
import io
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import nbformat
import pytest
import typer
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.testing import CliRunner

import course_utils
from course_utils import kit
from course_utils.assignments import tables
from course_utils.commands.main import command_line

ROOT = kit.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IN_GIT = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="not a git checkout: nothing is ignored"
)
ARCHITECTURE = ROOT / "docs" / "architecture.md"
HOUSE = (ROOT / "docs" / "house.svg").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("data", "benchmarks")),
    *sorted((ROOT / "assignments").glob("*/README.md")),
    *sorted((ROOT / "assignments").glob("*/bonuses/**/README.md")),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [str(path.relative_to(ROOT)) for path in (*PAGES, *NOTEBOOKS)]


# --- Reading --------------------------------------------------------------------------------------


@dataclass
class Page:
    """A page as Markdown: its links, its pieces of code, its headings, its tables."""

    path: Path
    text: str

    def tokens(self) -> Iterator[Token]:
        for token in MarkdownIt("commonmark").enable("table").parse(self.text):
            yield token
            yield from token.children or ()

    def links(self) -> list[str]:
        targets = (token.attrGet("href") or token.attrGet("src") for token in self.tokens())
        return [target for target in targets if target]

    def code(self) -> list[str]:
        """Each code span, and each line of a fenced block that is no data."""
        found = []
        for token in self.tokens():
            if token.type == "code_inline":
                found.append(token.content)
            elif token.type == "fence" and token.info.strip() in ("", "bash", "python"):
                found += token.content.replace("\\\n", " ").splitlines()
        return found

    def anchors(self) -> set[str]:
        """What GitHub makes of the headings."""
        tokens = list(self.tokens())
        titles = (
            "".join(child.content for child in tokens[i + 1].children or ())
            for i, token in enumerate(tokens)
            if token.type == "heading_open"
        )
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def rows(self) -> list[list[str]]:
        """The cells of all table rows, as Markdown."""
        lines = [line for line in self.text.splitlines() if line.startswith("| ")]
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def load(path: Path) -> Page:
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return Page(path, "\n\n".join(c.source for c in cells if c.cell_type == "markdown"))
    return Page(path, path.read_text(encoding="utf-8"))


def planted(text: str) -> Page:
    return Page(ROOT / "docs" / "planted.md", text)


# --- Checks of every page -------------------------------------------------------------------------


def links_astray(page: Page) -> list[str]:
    """Links to files that are not there, or to headings that the file does not have."""
    problems = []
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not (target == page.path or target.exists()):
            problems.append(f"{link}: no such file")
        elif anchor and anchor not in (page if target == page.path else load(target)).anchors():
            problems.append(f"{link}: no such heading")
    return problems


FOLDERS = "course_utils|tests|benchmarks|notebooks|assignments|docs"
FILE = re.compile(
    rf"(?<![\w./-])((?:{FOLDERS}|data/(?:knowledge|wordings|sweeps|memory|gold))/[\w./*-]*"
    r"|requirements[\w-]*\.txt|constraints\.txt|pyproject\.toml|[A-Z]{4,}\.(?:md|cff))"
)


def files_astray(page: Page) -> list[str]:
    """Paths in code that start at the kit's folder and lead nowhere; NAME stands for any name."""
    problems = []
    for code in page.code():
        if page.path.parent.name == "data":  # the data sheet names the files beside it
            code = re.sub(r"^(?=(?:knowledge|wordings|sweeps|memory|gold)/)", "data/", code)
        for name in FILE.findall(code):
            wanted = name.rstrip("./,") if not name.endswith("/") else name
            pattern = re.sub(r"(?:OTHER_)?NAME", "*", wanted)
            if "*" in pattern and wanted != pattern and "*" not in wanted:
                pattern = str(Path(pattern.partition("*")[0]).parent)  # a name yet to be chosen
            if not any(ROOT.glob(pattern)) and not (ROOT / wanted).exists():
                problems.append(f"`{wanted}`: no such file")
    return problems


def modules_astray(page: Page) -> list[str]:
    """Modules of the package, or names in them, that are not there."""
    problems = []
    for name in re.findall(r"\bcourse_utils(?:\.\w+)+", "\n".join(page.code())):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            problems.append(f"`{name}`: no such module or name")
    return problems


@cache
def course() -> click.Group:
    return typer.main.get_command(command_line())


def command_problem(words: list[str]) -> str:
    """What is wrong with the words after `course`; empty if nothing."""
    command, path = course(), ["course"]
    while hasattr(command, "commands") and words and not words[0].startswith(("-", "…", "...")):
        if words[0] not in command.commands and (unnamed := getattr(command, "unnamed", "")):
            words = [unnamed, *words]
        if words[0] not in command.commands:
            return f"`{' '.join([*path, words[0]])}`: no such command"
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    for word in words:
        name = word.partition("=")[0]
        if re.fullmatch(r"--?[a-z][\w-]*", name) and name not in {*options, "--help"}:
            return f"`{' '.join(path)} {name}`: no such option"
    return ""


def commands_astray(page: Page) -> list[str]:
    """Commands of the kit that it does not have, or options that they do not take."""
    problems = []
    for code in page.code():
        for part in re.split(r"\s(?:&&|\||;)\s|; do ", code):
            with contextlib.suppress(ValueError):  # an open quote: no command line
                words = shlex.split(part, comments=True)
                if words and words[0] in ("course", ".venv/bin/course"):
                    problems.append(command_problem(words[1:]))
    return [problem for problem in problems if problem]


TARGETS = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def make_targets_astray(page: Page) -> list[str]:
    wanted = (re.match(r"make ([a-z0-9-]+)", code) for code in page.code())
    return [f"`make {m[1]}`: no such target" for m in wanted if m and m[1] not in TARGETS]


CHECKS = (links_astray, files_astray, modules_astray, commands_astray, make_targets_astray)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_a_page_names_is_there(name, check):
    assert check(load(ROOT / name)) == []


@pytest.mark.parametrize(
    ("check", "text", "problem"),
    [
        (links_astray, "[a](nowhere.md)", "nowhere.md: no such file"),
        (links_astray, "![a](nowhere.png)", "nowhere.png: no such file"),
        (links_astray, "[a](words.md#nothing)", "words.md#nothing: no such heading"),
        (links_astray, "# A\n\n[a](#b)", "#b: no such heading"),
        (files_astray, "`course_utils/nothing.py`", "`course_utils/nothing.py`: no such file"),
        (files_astray, "`course_utils/*.nothing`", "`course_utils/*.nothing`: no such file"),
        (files_astray, "```\nls data/sweeps/no.json\n```", "`data/sweeps/no.json`: no such file"),
        (modules_astray, "`course_utils.lab.no`", "`course_utils.lab.no`: no such module or name"),
        (modules_astray, "`course_utils.chat.no`", "`course_utils.chat.no`: no such module"),
        (commands_astray, "`course fly`", "`course fly`: no such command"),
        (commands_astray, "`course data fly x`", "`course data fly`: no such command"),
        (commands_astray, "`course run --fly`", "`course run --fly`: no such option"),
        (commands_astray, "```bash\na | b; do course lab --x\n```", "`course lab --x`: no such "),
        (make_targets_astray, "`make coffee`", "`make coffee`: no such target"),
    ],
)
def test_a_planted_fault_is_named(check, text, problem):
    [found] = check(planted(text))
    assert found.startswith(problem)


def test_what_is_there_is_no_fault():
    page = planted(
        "# The `b` & c\n\n[a](words.md#of-this-kit) [b](#the-b--c) [c](https://example.org/x)\n\n"
        "`course data check x.jsonl --write y.jsonl`, `course run -p lora_r 8`, `make test`, "
        "`course_utils/*.py`, `course_utils/tracks/NAME/track.py`, `course_utils.chat`, "
        "`course …`"
    )
    assert [problem for check in CHECKS for problem in check(page)] == []


def commands_named() -> list[tuple[str, ...]]:
    """Every command of the kit, groups included: pages can name no others."""
    groups = course().commands
    return [
        *((name,) for name in groups),
        *((name, inner) for name, g in groups.items() for inner in getattr(g, "commands", ())),
    ]


@pytest.mark.parametrize("words", commands_named(), ids=" ".join)
def test_every_command_answers_help(words):
    done = CliRunner().invoke(command_line(), [*words, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_every_command_is_named_on_a_page():
    text = "\n".join("\n".join(load(page).code()) for page in PAGES)
    assert [w for w in commands_named() if f"course {' '.join(w)}" not in text] == []


def test_every_benchmark_has_its_section():
    scripts = [
        path.name
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    ]
    sections = load(ROOT / "benchmarks" / "README.md").anchors()
    assert [s for s in scripts if not any(a.startswith(s.replace(".", "")) for a in sections)] == []


# --- README, architecture, instructors ------------------------------------------------------------


def test_readme_is_one_page_with_the_commands_to_begin_with():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text) < 7000
    block = text.partition("```bash\n")[2].partition("```")[0]
    commands = [line.partition("#")[0].strip() for line in block.splitlines()]
    assert commands == ["make course PRESET=quick", "make course", "make test", "make grade-demo"]


def test_every_page_of_docs_is_reached_from_the_readme():
    linked = {link.partition("#")[0] for link in load(ROOT / "README.md").links()}
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert pages <= linked


def change_rows() -> list[list[str]]:
    rows = [row for row in load(ARCHITECTURE).rows() if len(row) == 3]
    start = next(i for i, row in enumerate(rows) if row[0].startswith("I want to change"))
    end = next(i for i, row in enumerate(rows) if row[0] == "step")
    return [row for row in rows[start + 1 : end] if not row[0].startswith("**")]


def wrong_place(row: list[str]) -> list[str]:
    """What the third column promises and no file of the second one holds."""
    names = [name for name in re.findall(r"`([^`]+)`", row[1]) if "/" in name or "." in name]
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in names if (ROOT / name).is_file()]
    words = re.findall(r"`([^`]+)`", row[2])
    missing = [word for word in words if not any(word in text for text in texts)]
    return missing if texts else names


def test_the_table_of_changes_has_at_least_twenty_rows():
    assert len(change_rows()) >= 20


@pytest.mark.parametrize("row", change_rows(), ids=lambda row: row[0])
def test_what_one_wants_to_change_is_where_the_table_says(row):
    assert wrong_place(row) == []


def test_a_row_that_points_elsewhere_is_seen():
    assert wrong_place(["a preset", "`course_utils/presets.yaml`", "`no such`"]) == ["no such"]
    assert wrong_place(["a preset", "`course_utils/x.yaml`", ""]) == ["course_utils/x.yaml"]


def contract(kind: str) -> list[dict]:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    return [contract for contract in contracts if contract["type"] == kind]


def test_the_rooms_of_the_contract_stand_on_the_page_in_its_order():
    """Whoever adds a module to the contract in pyproject.toml adds it to "The rooms" too."""
    [layers] = contract("layers")
    floors = [
        {name for name in re.split(r"[|:\s]+", floor) if name and not name.startswith("(")}
        for floor in layers["layers"]
    ]
    rows = [row for row in load(ARCHITECTURE).rows() if len(row) == 3]
    start = next(i for i, row in enumerate(rows) if row[0] == "floor")
    shown = [set(re.findall(r"`(\w+)`", row[0])) for row in rows[start + 1 :]]
    upper = [names for floor in floors[:4] for names in ({name} for name in sorted(floor))]
    assert shown[: len(upper)] == upper
    assert shown[len(upper) : len(upper) + len(floors[4:])] == floors[4:]


def test_the_picture_of_the_house_has_the_rooms_of_the_contract_from_roof_to_ground():
    """It is drawn by hand: docs/house.svg is text, for any editor."""
    [layers] = contract("layers")
    upper = [room for floor in layers["layers"][:4] for room in re.findall(r"\w+", floor)]
    drawn = re.findall(r'class="room">(\w+)/<', HOUSE.partition("<!-- Outside")[0])
    assert drawn == [*upper, "execution"]


def test_no_page_needs_a_script_to_show_a_picture():
    """GitHub draws Mermaid; an editor and the site without network show its source."""
    assert [str(path) for path in PAGES if "```mermaid" in load(path).text] == []
    assert "http" not in HOUSE.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_packages_with_one_place_stand_on_the_page():
    rows = {tuple(re.findall(r"`([\w.]+)`", "|".join(row))) for row in load(ARCHITECTURE).rows()}
    for rule in contract("protected"):
        assert (*rule["protected_modules"], *rule["allowed_importers"]) in rows


def test_the_python_on_the_page_prints_what_its_comments_say():
    [block] = re.findall(r"```python\n(.*?)```", ARCHITECTURE.read_text("utf-8"), re.S)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "architecture.md", "exec"), {})
    assert printed.getvalue().splitlines() == re.findall(r"^print.*  # (.+)$", block, re.M)


def test_tables_made_from_the_rubrics_say_the_same():
    """Mend it with: course rubric check --write."""
    assert [problem for page in tables.pages() for problem in page.differs()] == []


def preset_problem(row: list[str], preset: dict) -> str:
    """What a row of the presets page says otherwise than presets.yaml; empty if nothing."""
    _, _, base_model, method, *measured = row
    if preset["base_model"].rpartition("/")[2].lower() not in base_model.lower():
        nano = preset["base_model"] == "nano" and base_model == "two random layers"
        if not nano:
            return f"base model {base_model}"
    if method.startswith("QLoRA") != (preset["quantization"] == "nf4"):
        return f"method {method}"
    known = " ".join(preset["measured"].split())
    missing = [figure for figure in measured if figure.partition(" (")[0] not in known]
    return f"not in presets.yaml: {missing}" if missing else ""


def test_the_presets_page_says_what_the_presets_say():
    presets = yaml.safe_load((ROOT / "course_utils" / "presets.yaml").read_text(encoding="utf-8"))
    rows = [row for row in load(ROOT / "docs" / "presets.md").rows() if len(row) == 6]
    rows = {row[0].strip("`"): row for row in rows if row[0] != "preset"}
    assert set(rows) == set(presets)
    assert {n: p for n, row in rows.items() if (p := preset_problem(row, presets[n]))} == {}


def test_a_preset_row_that_says_more_than_was_measured_is_seen():
    row = ["`t4`", "T4", "Qwen2.5-1.5B-Instruct", "QLoRA, fp16", "12 min", "not measured"]
    preset = {"base_model": "Qwen/Qwen2.5-1.5B-Instruct", "quantization": "nf4"}
    assert "12 min" in preset_problem(row, preset | {"measured": "not measured"})


def test_the_speeds_on_the_results_page_are_those_of_the_benchmark():
    table = load(ROOT / "docs" / "results.md").text.partition("## Speed")[2]
    rows = re.findall(r"^\| .*\d+.*\|$", table, re.M)
    assert len(rows) == 5  # the heading too
    assert [row for row in rows if row not in load(ROOT / "benchmarks" / "README.md").text] == []


# --- Licence, citation, hooks ---------------------------------------------------------------------

APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_the_licence_is_the_full_text_of_apache_2():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["project"]["version"] == course_utils.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["repository-code"] == PROJECT["project"]["urls"]["Repository"]


def hooks() -> dict[str, dict]:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}  # works offline
    return {hook["id"]: hook for repository in config["repos"] for hook in repository["hooks"]}


def run_hook(name: str, *files: Path) -> subprocess.CompletedProcess:
    """A hook's own words, with the programs of this environment."""
    program, *words = shlex.split(hooks()[name]["entry"])
    program = Path(sys.executable).with_name(Path(program).name)
    command = [str(program), *words, *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_hooks_run_programs_of_the_environment():
    assert set(hooks()) == {"ruff-check", "ruff-format", "notebook-outputs", "rooms"}
    for hook in hooks().values():
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")


def test_ruff_hooks_refuse_what_is_wrong(tmp_path):
    (tmp_path / "planted.py").write_text("import os\nx = {'a':1}\n", encoding="utf-8")
    assert run_hook("ruff-check", tmp_path / "planted.py").returncode == 1
    run_hook("ruff-format", tmp_path / "planted.py")
    assert '{"a": 1}' in (tmp_path / "planted.py").read_text(encoding="utf-8")


def test_the_notebook_hook_takes_outputs_out_and_leaves_a_clean_notebook_alone(tmp_path):
    clean = NOTEBOOKS[0].read_bytes()
    notebook = nbformat.reads(clean.decode("utf-8"), as_version=4)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs = [nbformat.v4.new_output("stream", text="hi")]
    (tmp_path / "clean.ipynb").write_bytes(clean)
    nbformat.write(notebook, tmp_path / "full.ipynb")
    done = run_hook("notebook-outputs", tmp_path / "clean.ipynb", tmp_path / "full.ipynb")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clean.ipynb").read_bytes() == clean
    assert (tmp_path / "full.ipynb").read_bytes() == clean


@IN_GIT
@pytest.mark.parametrize(
    "path",
    [
        "inbox/jane-doe.zip",
        "inbox.check.csv",
        "grades/secret",
        "grades_week9/gradebook.csv",
        "marks_ada.json",
        "2026-11-28_Grades-ML101.csv",
        "parameter_lab_a4.pdf",
        "manufacturing_letter.pdf",
        "handouts/manufacturing.pdf",
        "data/hospital/train.jsonl",
    ],
)
def test_what_a_term_leaves_in_a_public_fork_is_not_committed(path):
    assert subprocess.run(["git", "check-ignore", "-q", path], cwd=kit.ROOT).returncode == 0


@IN_GIT
def test_nothing_that_belongs_to_the_kit_is_ignored():
    """A new folder of the kit in data/ has its own line in .gitignore: all others are people's."""
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    found = subprocess.run(command, cwd=kit.ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == ""
