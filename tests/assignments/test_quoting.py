"""What quotes a work order is found in any file of text; ordinary words are no quotation."""

import html
import io
import json
import time
import zipfile
from importlib.util import find_spec

import pytest

from course_utils import sources
from course_utils.assignments import public
from course_utils.assignments.folder import scan
from course_utils.assignments.quoting import Orders
from course_utils.assignments.week09_10 import CHECKLIST

LONG, SHORT = 'REPLACE BLOWN "O" RING & HOSE R/H ENG', "COOLANT LEAK"
WRAPPED = 'replace  blown "o" ring\n    & hose r/h\teng'
NOTEBOOK = {"cell_type": "code", "execution_count": 1, "metadata": {}, "source": ["records[0]"]}


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(sources, "is_prepared", lambda: True)
    monkeypatch.setattr(public, "_table", lambda: (LONG, SHORT, "OIL LEAK"))


@pytest.fixture
def left_out(tmp_path):
    """What a public archive of one file leaves out, as left_out.json says it."""

    def look(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        _, note = public.without_orders(scan(tmp_path), [name], CHECKLIST)
        return json.loads(note)["files"].get(name) if note else None

    return look


def notebook(**output):
    cell = NOTEBOOK | {"outputs": [output]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


# --- In a text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"asked:\n\n    {WRAPPED}\n\nexpected:",
        f"the order {LONG.lower()}, of 2005",
        html.escape(LONG),
        f"<td>{html.escape(LONG)}</td>",
        json.dumps({"input": LONG}),
        json.dumps(json.dumps({"input": LONG})),
        r"REPLACE BLOWN \"O\" RING \u0026 HOSE R/H\nENG",
        "REPLACE BLOWN \x1b[31m“O” RING\x1b[0m & **HOSE** R/H ENG",  # noqa: RUF001
        f"| 2005-03-01 | {SHORT} |",
        f"    {SHORT}.",
        f"12    {SHORT.title()}",
        f"input: {SHORT}",
        f"['{SHORT}', 'x']",
    ],
)
def test_an_order_is_found_however_it_is_written(text):
    assert Orders([LONG, SHORT]).quoted_in(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "A coolant leak is found by the level; oil leak",
        "## Engine coolant leak",
        "Replace the blown ring and the hose.",
        "REPLACE BLOWN O RING & HOSES R/H ENG",
        "",
    ],
)
def test_ordinary_words_are_no_quotation(text):
    assert Orders([LONG, SHORT, "OIL LEAK"]).quoted_in(text) == 0


def test_an_order_is_found_where_two_parts_of_a_long_text_meet():
    text = "word\n" * 4_999 + WRAPPED + "\nword" * 9
    assert Orders([LONG]).quoted_in(text) == 1


def test_twenty_megabytes_are_searched_in_seconds():
    text = "the gearbox of the conveyor was cleaned and its oil was changed\n" * 320_000
    started = time.process_time()
    assert Orders([LONG, SHORT]).quoted_in(text) == 0
    assert time.process_time() - started < 30  # it takes about 3


# --- In files -----------------------------------------------------------------------------------

QUOTING = {
    "reports/evaluation_results.md": f"**qa**\n\nasked:\n\n    Work order.\n    {LONG}\n",
    "reports/table.csv": f"text,part\n{SHORT},Hose\n",
    "reports/excel.csv": f"text,part\n{LONG},Hose\n".encode("utf-16"),
    "reports/notes.txt": WRAPPED,
    "reports/review/review.html": f"<script>{json.dumps([{'input': LONG}])}</script>",
    "reports/figure.svg": f"<svg><!-- {html.escape(LONG)} --></svg>",
    "configs/new_samples.yaml": f"samples:\n  - input: {SHORT}\n",
    "scripts/try.py": f"ask('''{LONG}''')\n",
    "run/examples.json": json.dumps({"shown": ["x", {"text": f"Order: {LONG}."}]}),
    "run/by_order.json": json.dumps({LONG: 0.5}),
    "source.ipynb": json.dumps({"cells": [NOTEBOOK | {"source": ["# so:\n", f"ask({LONG!r})\n"]}]}),
    "stream.ipynb": notebook(output_type="stream", text=["12 records\n", f"{SHORT}\n"]),
    "frame.ipynb": notebook(
        output_type="execute_result", data={"text/html": ["<td>", html.escape(LONG), "</td>"]}
    ),
}


@pytest.mark.parametrize("name", QUOTING)
def test_a_file_of_text_that_quotes_an_order_stays_out(name, table, left_out):
    assert left_out(name, QUOTING[name])["rows_that_quote"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reports/page.md", "A coolant leak costs oil leak after oil leak."),
        ("figure.png", b"\x89PNG\0" + LONG.encode()),
        ("adapter_model.safetensors", b"\0\1"),
        ("plot.ipynb", notebook(output_type="display_data", data={"image/png": [LONG]})),
        ("a.jsonl", '{"document": "equipment_manual", "input": "a coolant leak"}\n\n'),
    ],
)
def test_what_quotes_none_stays_in(name, content, table, left_out):
    assert left_out(name, content) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reports/page.txt", b"\0\1\2"),
        ("reports/report.docx", b"PK\3\4\0"),
        ("report.pdf", b"%PDF-1.7 no more of it"),
        ("report.pptx", b"PK\3\4\0"),
        ("broken.ipynb", "{"),
    ],
)
def test_a_text_that_cannot_be_searched_stays_out(name, content, table, left_out):
    assert left_out(name, content)["lines_not_read"] == 1


def test_slides_are_searched_paragraph_by_paragraph(table, left_out):
    def slides(text):
        runs = "".join(f"<a:r><a:t>{html.escape(part)}</a:t></a:r>" for part in text)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("ppt/slides/slide1.xml", f"<p:sld><a:p>{runs}</a:p></p:sld>")
        return file.getvalue()

    assert left_out("report.pptx", slides([LONG[:9], LONG[9:]]))["rows_that_quote"] == 1
    assert left_out("report.pptx", slides(["Nothing of it"])) is None


@pytest.mark.skipif(not find_spec("pypdf"), reason="no pypdf: requirements-grading.txt")
def test_a_pdf_is_searched_too(table, left_out):
    from matplotlib import pyplot

    for text, found in ((LONG, True), ("Nothing of it", False)):
        figure, file = pyplot.figure(), io.BytesIO()
        figure.text(0.1, 0.5, text)
        figure.savefig(file, format="pdf")
        pyplot.close(figure)
        assert bool(left_out("report.pdf", file.getvalue())) is found


def test_without_the_table_the_records_in_hand_say_what_an_order_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "is_prepared", lambda: False)
    order = {"document": "maintenance_log", "task": "understanding", "input": LONG}
    (tmp_path / "train.jsonl").write_text(json.dumps(order) + "\n")
    (tmp_path / "page.md").write_text(f"asked: {LONG}\n")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7 no more of it")
    found = scan(tmp_path)
    names, note = public.without_orders(found, sorted(found.files), CHECKLIST)
    assert json.loads(note)["files"].keys() == {"page.md", "report.pdf", "train.jsonl"}
    assert names == []
    # Where there is neither, there is none to hide.
    names, note = public.without_orders(found, ["page.md", "report.pdf"], CHECKLIST)
    assert (names, note) == (["page.md", "report.pdf"], b"")


def test_who_packs_hears_how_a_notebook_stays_in(table, tmp_path):
    (tmp_path / "mine.ipynb").write_text(QUOTING["stream.ipynb"])
    _, note = public.without_orders(scan(tmp_path), ["mine.ipynb"], CHECKLIST)
    assert "mine.ipynb quote work orders" in public.told(note)
    assert "clear them" in public.told(note)
