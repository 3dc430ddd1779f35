"""The lab's notebook executed as papermill does, its 13 sections, and the `course lab` command."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import lab_words
import nbformat
import pytest

from course_utils.commands import lab as lab_cli
from course_utils.errors import CourseError
from course_utils.lab import explore, parameters
from course_utils.lab.page import ONLY_WITH_CODE, execute, page_of

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / lab_cli.NOTEBOOK
SECTIONS = list(parameters.PARAMETERS)
# A section's answers name who says so. Each of these stands in facts that were looked up.
SOURCES = (
    *("QLoRA", "Unsloth", "tinker", "TRL", "Raschka", "PEFT's benchmark", "LoRA Without Regret"),
    *("litgpt", "Tulu 3", "Hugging Face's course"),
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory, prepared) -> Path:
    """The executed copy, made as `course lab --static` makes it."""
    return execute(NOTEBOOK, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def notebook(executed):
    return nbformat.read(executed, as_version=4)


def test_a_page_of_somebody_elses_is_not_replaced_by_the_static_lab(tmp_path):
    page = tmp_path / "lab.html"
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="this kit did not make it"):
        lab_cli.write_static(page)
    assert page.read_text(encoding="utf-8") == "mine"


def section_cell(notebook, name):
    return next(c for c in notebook.cells if c.source.startswith(f'lab.panel("{name}")'))


def pictures(cell) -> list[bytes]:
    data = [output.get("data", {}) for output in cell.outputs]
    return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]


def printed(cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


# ---------------------------------------------------------------- executed without a browser


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_leaves_its_picture_and_its_command(notebook, name):
    cell = section_cell(notebook, name)
    (png,) = pictures(cell)
    assert png.startswith(b"\x89PNG")
    flag = "bf16" if name == "precision" else name
    assert f"--{flag} " in printed(cell)
    assert "Recorded" in printed(cell)


def test_the_executed_copy_opens_on_github(notebook):
    """GitHub refuses `metadata.widgets` without a state, and shows nothing for a placeholder."""
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    kinds = {
        kind for c in notebook.cells for o in c.get("outputs", []) for kind in o.get("data", {})
    }
    assert explore.WIDGET not in kinds


def test_the_page_holds_every_picture_and_asks_nobody_for_anything(executed):
    page = page_of(executed)
    assert page.count("data:image/png;base64") >= len(SECTIONS)
    assert not re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["']https?:""", page)
    assert "environment.prepare" not in page  # no code


def test_what_the_page_says_needs_no_code_and_nothing_that_moves(executed):
    words = lab_words.visible(page_of(executed))
    assert "Which value would you choose here, and why?" in words
    assert lab_words.about_code(words) == []
    assert lab_words.about_sliders(words) == []


def test_the_notebook_itself_speaks_of_code_in_tagged_cells_only():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    spoken = [c for c in cells if c.cell_type == "markdown" and lab_words.about_code(c.source)]
    assert spoken
    assert all(ONLY_WITH_CODE in c.metadata.get("tags", []) for c in spoken)


@pytest.mark.parametrize(
    "planted",
    [
        *("Run this cell first.", "Replace the formula if you find another.", "The same in code:"),
        *("Write it in place of `None`.", "Run all cells again.", "`checks.lora_r.hint()` helps."),
    ],
)
def test_a_sentence_about_code_is_found(planted):
    assert lab_words.about_code(f"Some text before. {planted} Some after.")


def test_every_picture_of_the_page_says_what_it_shows(executed, notebook):
    alts = re.findall(r'<img[^>]*alt="([^"]*)"', page_of(executed))
    assert len(alts) >= len(SECTIONS)
    assert not [alt for alt in alts if len(alt.split()) < 4 or "No description" in alt]
    (output,) = [o for o in section_cell(notebook, "lora_r").outputs if "data" in o]
    alt = output.metadata["image/png"]["alt"]
    assert alt.startswith("r = 16 trains 4.88 M parameters")
    assert "Recorded: " in alt


def test_the_checks_wait_for_the_student(notebook):
    said = "\n".join(printed(c) for c in notebook.cells if c.cell_type == "code")
    assert said.count("Your turn: ") == 3
    assert "Not yet" not in said


def test_the_closing_table_has_13_complete_sections(notebook):
    import pandas

    (cell,) = [c for c in notebook.cells if c.source == "lab.table()"]
    (table,) = [o.data["text/html"] for o in cell.outputs]
    rows = pandas.read_html(io.StringIO(table), header=0)[0]
    rows = rows[rows["complete"].notna()]  # pandas writes the index's name in a row of its own
    assert list(rows["complete"]) == ["yes"] * 13
    assert min(rows["recorded runs"]) >= 1


# ---------------------------------------------------------------- what the notebook says


def texts() -> dict[str, str]:
    """Section -> the text before its panel."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    found = {}
    for text, code in zip(cells, cells[1:], strict=False):
        if match := re.match(r'lab\.panel\("(\w+)"\)', code.source):
            found[match.group(1)] = text.source
    return found


def test_the_sections_are_the_13_parameters_in_order():
    assert list(texts()) == SECTIONS
    assert list(explore.CONTROLS) == SECTIONS


@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_answers_the_four_questions_and_names_a_source(name):
    text = texts()[name]
    answers = [
        re.search(rf"\*\*{re.escape(question)}\*\* (.+)", text)
        for question in parameters.QUESTIONS.values()
    ]
    assert all(answer and len(answer.group(1).split()) >= 4 for answer in answers)
    assert any(source in text for source in SOURCES)
    assert "Expect" in text


def test_every_source_that_a_section_names_has_a_title_and_an_address():
    (listed,) = [
        c.source
        for c in nbformat.read(NOTEBOOK, as_version=4).cells
        if c.source.startswith("## Sources")
    ]
    rows = re.findall(r"^- \*\*(.+?)\*\*: (.+?)\. (<https:.+)$", listed, re.MULTILINE)
    named = [name for name, _, _ in rows]
    assert len(rows) == listed.count("\n- ")
    assert all(any(name in source for name in named) for source in SOURCES)
    for name, title, addresses in rows:
        assert "*" in title, name
        assert re.fullmatch(r"(<https://[^>\s]+>(, )?)+", addresses), name
    everything = " ".join(texts().values())
    unused = [name for name in named if name.split(" (")[0] not in everything]
    assert unused == []


def test_no_base_model_is_loaded():
    code = "".join(c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells)
    assert not re.search(r"load_base|load_model|from_pretrained", code)


# ---------------------------------------------------------------- course lab


def course(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "course_utils", "lab", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_both_programs_at_once_are_wrong_usage():
    done = course("--voila", "--jupyter")
    assert done.returncode == 2
    assert "one of them" in done.stderr


def test_the_copy_is_the_students_and_stays(tmp_path):
    copy = lab_cli.own_copy(tmp_path)
    assert copy.read_bytes() == NOTEBOOK.read_bytes()
    copy.write_text("mine", encoding="utf-8")
    assert lab_cli.own_copy(tmp_path).read_text(encoding="utf-8") == "mine"


def test_what_is_not_installed_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr(lab_cli, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="(?s)voila and jupyterlab.*requirements-lab"):
        lab_cli.choose()
    with pytest.raises(CourseError, match="^jupyterlab"):
        lab_cli.choose("jupyter")


def test_the_servers_leave_out_what_is_no_student_s(tmp_path):
    """nbgrader's buttons, and in Voila the cells that speak of code."""
    folder = lab_cli.settings_beside(tmp_path / lab_cli.NOTEBOOK)
    config = json.loads((folder / "labconfig" / "page_config.json").read_text("utf-8"))
    assert config == {"disabledExtensions": {"@jupyter/nbgrader": True}}
    assert str(folder) in lab_cli.environment_of("t", folder)["JUPYTER_CONFIG_PATH"]
    words = lab_cli.command_of("voila", tmp_path / lab_cli.NOTEBOOK, 8123)
    assert "--TagRemovePreprocessor.remove_cell_tags=only-with-code" in words


@pytest.mark.parametrize("program", ["voila", "jupyter"])
def test_the_server_listens_here_only_and_the_token_is_not_on_its_command_line(program):
    words = lab_cli.command_of(program, Path("x/parameter_lab.ipynb"), 8123)
    assert any(word.endswith(".ip=127.0.0.1") for word in words)
    assert not any("token=" in word and "auto_token=True" not in word for word in words)
    assert "token=secret" in lab_cli.address_of(program, Path("x.ipynb"), 8123, "secret")


def test_a_server_that_ends_at_once_says_why(tmp_path):
    """A notebook that is not there: the server starts, complains and ends."""
    pytest.importorskip("voila")
    missing = tmp_path / "nothing.ipynb"
    with (
        pytest.raises(CourseError, match="the server ended at once"),
        lab_cli.server("voila", missing, lab_cli.free_port()),
    ):
        pass
