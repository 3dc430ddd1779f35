"""Pages that a run writes anew: what somebody added to one is never lost."""

import argparse
import sys

import pytest

from course_utils import files, ownership
from course_utils.assignments import pages
from course_utils.assignments.bonuses import common as bonus
from course_utils.assignments.bonuses.harness import report as benchmark
from course_utils.assignments.bonuses.harness import running
from course_utils.assignments.bonuses.instructions import report as instructions
from course_utils.assignments.review import report as review
from course_utils.assignments.review.folder import save_review
from course_utils.assignments.review.making import make_review
from course_utils.assignments.selection import comparison
from course_utils.assignments.selection import report as selection
from course_utils.errors import CourseError

MINE = "\nWe think that the second column tells more.\n"


def text_of(content):
    return f"# Result\n\n{content['score']}\n"


@pytest.fixture
def page(tmp_path):
    return pages.write(tmp_path / "result.md", text_of({"score": 1}))


def add(page, words=MINE):
    page.write_text(page.read_text(encoding="utf-8") + words, encoding="utf-8")


def test_a_page_as_it_was_written_is_written_anew(page):
    assert ownership.is_ours(page)
    assert pages.check(page, text_of) == page
    assert pages.place(page, text_of) == page


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + MINE,
        lambda text: MINE + text,
        lambda text: text.replace("# Result", "# Our result"),
        lambda text: text[:-40],
        lambda text: "Half a page about our benchmark.\n",
    ],
    ids=["below", "above", "within", "the mark", "another page"],
)
def test_a_page_with_somebodys_words_is_refused_and_never_replaced(page, change, capsys):
    page.write_text(change(page.read_text()))
    mine = page.read_bytes()
    with pytest.raises(CourseError, match="did not write") as refused:
        pages.check(page, text_of)
    assert "rename it" in refused.value.cure
    beside = pages.write(pages.place(page, text_of), text_of({"score": 2}))
    assert (page.read_bytes(), beside.name) == (mine, "result_new.md")
    assert f"new page: {beside}" in capsys.readouterr().out
    assert pages.place(page, text_of) == beside
    add(beside)
    assert pages.place(page, text_of).name == "result_new2.md"


def test_an_editor_that_only_saves_adds_nothing(page):
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n").rstrip())
    assert pages.check(page, text_of) == page


def test_a_page_without_mark_is_known_by_the_json_beside_it(page):
    """An earlier kit set none; and packing may take a path out of both."""
    page.write_text(text_of({"score": 3}))
    files.write_json_atomic(page.with_suffix(".json"), {"score": 3})
    assert pages.check(page, text_of) == page
    add(page)
    with pytest.raises(CourseError):
        pages.check(page, text_of)
    files.write_text_atomic(page.with_suffix(".json"), "{")
    with pytest.raises(CourseError):
        pages.check(page, text_of)


# --- Who asks before anything is measured -------------------------------------------------------


def test_the_benchmark_looks_at_its_page_before_it_loads_a_model(tmp_path):
    (tmp_path / benchmark.PAGE).write_text(MINE)
    with pytest.raises(CourseError, match=r"benchmark\.md: it holds words"):
        running.run_benchmark("nano", None, tmp_path / "no tasks", out=tmp_path / "base.json")


@pytest.mark.parametrize("name", ["qlora", "multi_task"])
def test_a_bonus_looks_at_its_page_before_it_trains(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--folder", str(tmp_path)])
    asked = (f"bonus_{name}", 240, "of each", "for the scores")
    assert isinstance(bonus.options("Bonus.", *asked), argparse.Namespace)
    files.write_text_atomic(tmp_path / "run" / f"bonus_{name}" / f"{name}.md", MINE)
    with pytest.raises(CourseError, match="it holds words"):
        bonus.options("Bonus.", *asked)


def test_instruction_tuning_can_look_at_its_page_before_it_trains(tmp_path):
    instructions.check_page(tmp_path)
    (tmp_path / instructions.PAGE).write_text(MINE)
    with pytest.raises(CourseError, match="it holds words"):
        instructions.check_page(tmp_path)


def test_a_review_writes_nothing_over_somebodys_words(tmp_path):
    (tmp_path / "human_review.md").write_text(MINE)
    with pytest.raises(CourseError, match="it holds words"):
        review.write_summary({}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["human_review.md"]


def test_a_page_of_somebody_else_is_no_review_and_stays(tmp_path):
    records = [{"instruction": "Why?", "input": "PUMP", "output": "Oil.", "task": "qa"}]
    made = make_review(records, ["a"], ["b"], seed=1, title="Pumps")
    (tmp_path / "review.html").write_text(MINE)
    with pytest.raises(CourseError, match="did not make it"):
        save_review(made, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["review.html"]
    (tmp_path / "review.html").unlink()
    assert ownership.is_ours(save_review(made, tmp_path))
    save_review(made, tmp_path)  # the same review may be written again


def test_a_comparison_says_first_that_its_page_goes_beside_somebodys_words(
    tmp_path, monkeypatch, capsys
):
    """Not refused: the grader runs a notebook that compares in the student's own folder."""
    (tmp_path / "model_comparison.md").write_text(MINE)

    def no_data(*_):
        assert "new page" in capsys.readouterr().out
        raise CourseError("no data", "none")

    monkeypatch.setattr(comparison, "load_data", no_data)
    with pytest.raises(CourseError, match="no data"):
        comparison.run_comparison(tmp_path, out=tmp_path)


# --- What they write ----------------------------------------------------------------------------


def test_words_in_a_comparison_stay_and_the_new_page_is_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "comparison_markdown", lambda result: f"# {result['seed']}\n")
    result = {"rows": [], "seed": 1}
    page = selection.write_comparison(result, tmp_path)
    assert selection.write_comparison(result | {"seed": 2}, tmp_path) == page
    add(page)
    assert selection.write_comparison(result, tmp_path).name == "model_comparison_new.md"
    assert MINE in page.read_text()


def test_words_in_a_page_of_instruction_tuning_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(instructions, "plot_checks", lambda *_: None)
    monkeypatch.setattr(instructions.drawing, "save_figure", lambda *_: None)
    monkeypatch.setattr(instructions, "report_text", lambda result: f"# {result['finding']}\n")
    result = {"before": {}, "after": {}, "finding": "better"}
    page = instructions.write_report(result, tmp_path)
    add(page)
    assert instructions.write_report(result, tmp_path).name == "instruction_tuning_new.md"
    assert MINE in page.read_text()
