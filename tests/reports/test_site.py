"""The site: executed notebooks, lab, hand-outs and documentation as pages that stand alone.

The notebooks here were not run by a model: what a run would have printed is written in.
"""

import json
import re
from html.parser import HTMLParser
from importlib.util import find_spec

import nbformat
import pytest
import site_runs

from course_utils import kit, ownership
from course_utils.assignments import edition
from course_utils.errors import CourseError
from course_utils.reports import site

BUILT = pytest.mark.skipif(
    not all(map(find_spec, ("sphinx", "myst_nb", "furo"))),
    reason="no Sphinx: pip install -r requirements-site.txt",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "run"
    site_runs.make(folder)
    return folder


def texts(run):
    return site._texts(run, links_of(run))


def links_of(run):
    return site.Links(site.sources(run, site_runs.lab_of(run)))


@pytest.fixture(scope="module")
def pages(run):
    return texts(run)


@pytest.fixture(scope="module")
def built(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "a site"
    return site.build(run, site_runs.lab_of(run), out)


class Reader(HTMLParser):
    """What a page asks a browser to fetch, where its links lead, and what it says."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.links, self.said = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])
        elif tag == "link" and named.get("rel") in ("stylesheet", "preload", "icon"):
            self.fetched.append(named["href"])
        elif named.get("src"):
            self.fetched.append(named["src"])

    def handle_data(self, data):
        self.said.append(data)


# --- What goes into it --------------------------------------------------------------------------


def test_every_page_of_docs_and_every_hand_out_has_a_place_in_the_margin():
    shown = [path for paths in site.groups().values() for path in paths]
    assert len(shown) == len(set(shown))
    wanted = [*kit.ROOT.glob("docs/*.md"), *kit.ROOT.glob("assignments/*/README.md")]
    assert {path.relative_to(kit.ROOT).as_posix() for path in wanted} <= set(shown)


def test_no_page_holds_a_line_of_a_solution(pages):
    assert len(edition.hidden_lines()) > 150
    assert edition.leaks(pages) == []


def test_a_solution_in_an_output_stops_the_build(run, tmp_path):
    line = next(line for line in edition.hidden_lines() if line not in edition.contents().shown)
    path = run / "notebooks" / "02_baseline.ipynb"
    before = path.read_bytes()
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs = [nbformat.v4.new_output("stream", text=f"{line}\n")]
    nbformat.write(notebook, path)
    try:
        with pytest.raises(CourseError, match="a solution would stand on the site"):
            site.refuse_solutions(texts(run))
    finally:
        path.write_bytes(before)


def test_paths_of_the_machine_are_taken_out(run, pages):
    assert "written: ./data/train.jsonl" in pages["notebooks/01_data_prep.ipynb"]
    assert [name for name, text in pages.items() if str(run) in text] == []


def test_the_lab_has_no_code_and_the_others_no_widgets(pages):
    lab = nbformat.reads(pages[site.LAB], as_version=4)
    code = [cell for cell in lab.cells if cell.cell_type == "code"]
    assert code
    assert all("remove-input" in cell.metadata["tags"] for cell in code)
    assert [name for name, text in pages.items() if site.WIDGET in text] == []


def test_pages_say_which_run_their_outputs_are_of(pages):
    title = nbformat.reads(pages["notebooks/03_lora_sft.ipynb"], as_version=4).cells[0].source
    assert "course run --preset quick" in title
    assert "a CPU, 2 cores, no GPU, 2026-11-28" in title


@pytest.mark.parametrize(
    ("page", "text", "wanted"),
    [
        ("docs/students.md", "[r](../README.md#the-notebooks)", "[r](../index.md#the-notebooks)"),
        ("README.md", "[d](docs/words.md)", "[d](docs/words.md)"),
        ("docs/words.md", "[a](#of-this-kit)", "[a](#of-this-kit)"),
        ("docs/students.md", "[s](../assignments/week05_parameter_lab/solution)", "s"),
        ("README.md", "[![Open](https://x.org/b.svg)](https://x.org/n)", "[Open](https://x.org/n)"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_is_words(run, page, text, wanted):
    assert links_of(run).turn(text, page) == wanted


def test_a_link_to_a_file_that_is_no_page_leads_to_the_repository(run):
    links = links_of(run)
    turned = links.turn("[p](../course_utils/presets.yaml)", "docs/presets.md")
    assert turned == f"[p]({links.home.place('course_utils/presets.yaml')})"


def test_a_notebook_that_was_not_run_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"01_data_prep.ipynb: this run has not executed"):
        site.sources(tmp_path, tmp_path)


def test_without_sphinx_the_cure_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="a site needs the package sphinx") as told:
        site.check(tmp_path / "out")
    assert "requirements-site.txt" in told.value.cure


# --- What comes out of it -----------------------------------------------------------------------


@BUILT
def test_sphinx_finds_nothing_wrong_with_the_pages(built):
    assert built.warnings == []
    assert (built.start.parent / "notebooks" / "parameter_lab.html").is_file()


@BUILT
def test_a_page_fetches_files_of_the_folder_only_and_its_links_lead_somewhere(built):
    for path in built.start.parent.rglob("*.html"):
        page = Reader(path.read_text(encoding="utf-8"))
        for target in (*page.fetched, *page.links):
            name = target.partition("#")[0].partition("?")[0]
            if target in page.fetched:
                assert not re.match(r"(https?:)?//", target), (path, target)
            if name and not re.match(r"[a-z]+:", name):
                assert (path.parent / name).exists(), (path, target)


@BUILT
def test_figures_carry_their_finding_and_the_set_up_cell_is_folded(built):
    text = (built.start.parent / "notebooks" / "03_lora_sft.html").read_text(encoding="utf-8")
    assert '<img alt="The loss falls"' in text
    assert "tag_hide-input" in text


def plain(line):
    """A line without the marks that a browser does not show."""
    return re.sub(r"[`*_]", "", line).strip()


@BUILT
def test_no_line_of_a_solution_is_said_on_the_site(built):
    shown = edition.contents().shown
    lines = {plain(line) for line in edition.hidden_lines() if line not in shown}
    for path in built.start.parent.rglob("*.html"):
        said = "".join(Reader(path.read_text(encoding="utf-8")).said)
        assert lines.isdisjoint(map(plain, said.splitlines())), path


@BUILT
def test_a_second_build_takes_the_place_of_the_first_and_leaves_what_is_ones_own(built, run):
    out = built.start.parent
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    stale = out / "stale.html"
    stale.write_text("of a page that is gone", encoding="utf-8")
    names = json.loads((out / ownership.MARK).read_text(encoding="utf-8"))["files"]
    ownership.note_files(out, [*names, "stale.html"])
    site.build(run, site_runs.lab_of(run), out)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not stale.exists()


def test_a_foreign_folder_is_left(tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError):
        site.build(run, site_runs.lab_of(run), tmp_path / "out")
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8") == "mine"
