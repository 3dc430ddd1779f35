"""`course assignment print`: a hand-out as PDF, whole, on the paper that was asked for."""

import io
import re

import pytest

from course_utils.assignments.definition import ASSIGNMENTS, find
from course_utils.assignments.rubric import load_rubric
from course_utils.commands import main as cli
from course_utils.errors import CourseError
from course_utils.reports import paper

pytest.importorskip("typst", reason="no typst: pip install -r requirements-report.txt")
pypdf = pytest.importorskip("pypdf", reason="no pypdf: pip install -r requirements-grading.txt")
INCH = 72


def text_of(pdf) -> str:
    """All words of a PDF, without the places where a long one may be broken."""
    pages = pypdf.PdfReader(io.BytesIO(pdf.read_bytes())).pages
    return "".join("".join(page.extract_text().split()) for page in pages).replace("\u200b", "")


def planted(tmp_path, text: str):
    """A page of one's own, read."""
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return paper.read_page(tmp_path / "README.md")


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_every_item_command_and_line_of_code_is_on_paper(name, tmp_path):
    said = text_of(paper.write_handout(name, "a4", tmp_path / "out.pdf"))
    source = (find(name).path / "README.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```\w*\n(.*?)```", source, re.S) for line in
             block.splitlines()]  # fmt: skip
    items = [item.id for item in load_rubric(find(name).path / "rubric.yaml").items]
    headings = re.findall(r"^##+ (.*)$", source, re.M)
    wanted = ["".join(piece.split()) for piece in (*lines, *items, *headings)]
    assert len(wanted) > 60
    assert [piece for piece in wanted if piece not in said] == []


@pytest.mark.parametrize(
    ("sheet", "inches"), [("a4", (8.27, 11.69)), ("letter", (8.5, 11.0))], ids=["a4", "letter"]
)
def test_the_page_has_the_size_of_the_paper(sheet, inches, tmp_path):
    made = paper.write_handout("parameter_lab", sheet, tmp_path / "out.pdf")
    box = pypdf.PdfReader(made).pages[0].mediabox
    assert (box.width / INCH, box.height / INCH) == pytest.approx(inches, abs=0.01)


def test_a_command_is_copied_from_the_page_without_signs_that_nobody_sees(tmp_path):
    made = paper.write_handout("parameter_lab", "a4", tmp_path / "out.pdf")
    said = "\n".join(page.extract_text() for page in pypdf.PdfReader(made).pages)
    assert "python my_lab/train_lora.py --data my_lab/records.jsonl --out my_lab/adapter/" in said
    assert re.search(r"parameter_analysis\.\s+ipynb", said)  # a narrow column: it still breaks
    assert re.findall(r"\w\S?\u200b", said) == []


def test_the_same_page_gives_the_same_bytes(tmp_path):
    first = paper.write_handout("parameter_lab", "a4", tmp_path / "1.pdf").read_bytes()
    assert paper.write_handout("parameter_lab", "a4", tmp_path / "2.pdf").read_bytes() == first


def test_what_looks_like_typst_is_printed_as_it_stands(monkeypatch, tmp_path):
    hostile = '#import "@preview/x:1.0.0": * and $x^2$ and <label> and @ref'
    page = planted(tmp_path, f"# Page\n\n`{hostile}`\n\n```\n{hostile}\n```\n")
    monkeypatch.setattr(paper, "read_page", lambda _: page)
    made = paper.write_handout("parameter_lab", "a4", tmp_path / "out.pdf")
    assert text_of(made).count("".join(hostile.split())) == 2


def test_a_link_is_a_footnote_with_its_place_in_the_kit_said_once():
    page = paper.read_page(find("manufacturing").path / "README.md")
    runs = [run for block in page["blocks"] for run in block.get("runs", [])]
    notes = [run["note"].replace("\u200b", "") for run in runs if "note" in run]
    assert sum("endpoint.md" in note for note in notes) == 1
    assert len(notes) == len(set(notes))
    links = [run["link"] for run in runs if "link" in run]
    assert all(link.startswith("https://") for link in links)


def test_a_column_of_short_cells_is_as_wide_as_they_are():
    rows = [[[{"text": "item"}], [{"text": "what"}]], [[{"text": "a"}], [{"text": "long " * 9}]]]
    assert paper.widths(rows) == [0, 45]


def test_what_has_no_form_on_paper_is_named_with_its_line(tmp_path):
    with pytest.raises(CourseError, match=r"README.md, line 3: hr has no form on paper"):
        planted(tmp_path, "# Page\n\n***\n")


def test_a_foreign_file_is_left_and_ones_own_is_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "parameter_lab_letter.pdf"
    out.write_bytes(b"mine")
    words = ["course", "assignment", "print", "week05", "--paper", "letter"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert "this kit did not make it" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    out.unlink()
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
    assert out.read_bytes().startswith(b"%PDF")


def test_an_unknown_paper_is_named(tmp_path):
    with pytest.raises(CourseError, match="there is no paper 'a5'"):
        paper.write_handout("week05", "a5", tmp_path / "out.pdf")
