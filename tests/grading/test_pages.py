"""Feedback, overview, marking, integrity and leaderboard: nothing loads, nothing runs, no name.

tests/browser/test_grading_browser.py opens them; here is what can be told from the text.
"""

import json
import re
from html.parser import HTMLParser

import pytest
from grade_class import CLOSING, NAMES, SCRIPT, make_class, make_result, rubric, write_class

from course_utils import messages
from course_utils.assignments.explaining import bearing_on, item_parts
from course_utils.errors import CourseError
from course_utils.grading import charts, marking, pages, publishing
from course_utils.grading.results import Figures, Fingerprints, Score, Work, results_of

LOADS = {"src", "href", "action", "data", "poster", "srcset", "formaction", "background"}


class Page(HTMLParser):
    """Tags, attributes that load, scripts, and the text that a reader sees."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded, self.attributes, self.text = set(), [], set(), []
        self.inside, self.data = "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.inside = tag
        for name, value in attributes:
            self.attributes.add(name)
            if name in LOADS:
                self.loaded.append(value)

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.data += data
        elif self.inside != "style":
            self.text.append(data)

    @property
    def plain(self):
        return " ".join(" ".join(self.text).split())


def pages_of(folder):
    return sorted(folder.rglob("*.html"))


def read(path):
    return Page(path.read_text(encoding="utf-8"))


# --- All pages ----------------------------------------------------------------------------------


def test_every_page_is_made(published):
    names = {path.name for path in pages_of(published)}
    assert names == {"feedback.html", "overview.html", "marking.html", "integrity.html",
                     "leaderboard.html"}  # fmt: skip
    assert len(list(published.glob("*/feedback.html"))) == 14


def test_no_page_loads_anything_and_only_the_marking_page_has_a_script(published):
    for path in pages_of(published):
        page = read(path)
        outside = [a for a in page.loaded if re.match(r"\w+:|//", a) and not a.startswith("data:")]
        assert outside == [], path
        assert ("script" in page.tags) == (path.name == "marking.html"), path
        assert not [name for name in page.attributes if name.startswith("on")], path
        assert "default-src 'none'" in path.read_text(encoding="utf-8")
        assert not page.tags & {"iframe", "object", "embed", "base", "audio", "video"}


def test_what_students_wrote_stands_as_text(published):
    for name in ("overview.html", "zoe-muller-1000/feedback.html"):
        page = read(published / name)
        assert "window.harmed = 1" in page.plain
        assert "{{ 7 * 7 }}" in page.plain or name == "overview.html"
        assert "img" not in page.tags


def test_no_page_holds_a_direction_override_or_a_control_character(published):
    for path in pages_of(published):
        text = path.read_text(encoding="utf-8")
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x7f]", text), path


# --- Feedback -----------------------------------------------------------------------------------


def test_feedback_names_nobody_else(published):
    results = results_of(published)
    for result in results:
        text = read(published / result.submission / "feedback.html").plain
        assert " ".join(result.owner.name.split())[:40] in text
        for other in results:
            if other is not result and len(other.owner.name) > 4 and other.owner.name != SCRIPT:
                assert other.owner.name not in text
                assert other.submission not in text


def test_feedback_has_each_item_as_course_explain_prints_it(published):
    text = read(published / "zoe-muller-1000" / "feedback.html").plain
    for item in rubric().items:
        for part in item_parts(item).values():
            assert " ".join(part.split()) in text
        assert f"course explain {item.id}" in text
    known = {key: message for _, key, message in messages.everything()}
    result = next(r for r in results_of(published) if r.submission == "zoe-muller-1000")
    lost = [item for item in result.items if item.points is not None and item.points < item.max]
    assert lost
    for item in lost:
        for name in bearing_on(item.id, "week09_10"):
            assert " ".join(known[name].why.split()) in text


def test_a_score_stands_against_the_class_only_where_five_others_have_one():
    own = make_result(0).figures
    few, many = ([make_result(n).figures for n in range(1, count)] for count in (5, 6))
    assert all(strip.box is None for strip in charts.strips(own, few))
    assert all(strip.box is not None for strip in charts.strips(own, many))


def test_nothing_to_draw_draws_nothing(tmp_path):
    bare = make_result(10, figures=Figures())
    folder = write_class(tmp_path, [bare])
    publishing.publish(folder)
    page = read(folder / bare.submission / "feedback.html")
    assert "svg" not in page.tags


@pytest.mark.parametrize("losses", [[[0.0, 0.0]], [[0.0, 2.0]] * 3, [[5.0, 1e300], [6.0, 1.0]]])
def test_odd_curves_are_drawn_all_the_same(losses):
    made = charts.curve(Figures(train_loss=losses))
    places = [float(n) for point in made.lines[0].points.split() for n in point.split(",")]
    assert all(0 <= place <= 1 for place in places)
    assert len(made.y_ticks) <= 12


def test_a_long_curve_is_thinned_and_keeps_its_end():
    losses = [[float(n), 1.0 / (n + 1)] for n in range(10_001)]
    made = charts.curve(Figures(train_loss=losses))
    assert len(made.lines[0].points.split()) <= charts.MOST_POINTS + 1
    assert made.lines[0].last == losses[-1][1]


def test_a_score_without_a_base_model_or_a_class_is_drawn():
    (strip,) = charts.strips(Figures(scores={"qa": {"f1": Score(tuned=0.5)}}), [])
    assert (strip.base, strip.box) == (None, None)


def test_not_gradable_is_said_to_be_no_zero(published):
    result = next(r for r in results_of(published) if r.status == "not gradable")
    text = read(published / result.submission / "feedback.html").plain
    assert "not a zero" in text
    assert "base model x/y is not on this machine" in text
    assert "0 of 100" not in text


# --- Overview -----------------------------------------------------------------------------------


def test_the_overview_tells_verdicts_cells_and_what_waits(published):
    text = read(published / "overview.html").plain
    for said in ("time limit in cell 7", "kernel died in cell 4", "code cell 7", "data_decisions",
                 "nearest neighbour", "Waiting for a person", "1.5 GiB"):  # fmt: skip
        assert said in text, said


def test_the_overview_names_whom_the_grader_could_not_judge(tmp_path):
    results = [make_result(number) for number in range(3)]
    first = results[1].items[0]
    lost = first.model_copy(update={"points": None, "state": "not judged", "undecided": True})
    items = [lost, *results[1].items[1:]]
    results[1] = results[1].model_copy(update={"items": items})
    folder = write_class(tmp_path / "grades", results)
    publishing.publish(folder)
    page = (folder / "overview.html").read_text(encoding="utf-8")
    table = page.split("through no fault of the submission")[1].split("</table>")[0]
    assert f'href="{results[1].submission}/feedback.html"' in table
    assert f"<td>{first.id}</td>" in table
    assert table.count("<tr>") == 2  # the head, and one student


def test_links_of_the_overview_lead_to_files_that_are_there(published):
    links = [a for a in read(published / "overview.html").loaded if not a.startswith("data:")]
    assert links
    for link in links:
        assert (published / link).exists(), link


def test_two_of_one_name_are_told_apart_on_the_integrity_page(tmp_path):
    same = Fingerprints(adapter="a" * 64)
    class_ = [make_result(n, name="Jane Doe", integrity=same) for n in range(2)]
    publishing.publish(write_class(tmp_path, class_))
    text = read(tmp_path / "integrity.html").plain
    assert "Jane Doe jane-doe-1000 , Jane Doe jane-doe-1001" in text
    publishing.publish(tmp_path, anonymous=True)
    assert "jane" not in read(tmp_path / "integrity.html").plain.casefold()


def test_anonymous_pages_about_the_class_have_no_name(grades):
    publishing.publish(grades, anonymous=True)
    for name in ("overview.html", "integrity.html", "marking.html"):
        text = (grades / name).read_text(encoding="utf-8")
        assert "Hopper" not in text
        assert "Noether" not in text
    assert "Grace Hopper" in (grades / "gradebook.csv").read_text(encoding="utf-8-sig")


# --- Marking ------------------------------------------------------------------------------------


def marking_data(folder, name="marking.html"):
    return json.loads(read(folder / name).data.partition('"use strict"')[0])


def test_the_marking_page_has_no_name_and_every_manual_item(published):
    text = (published / "marking.html").read_text(encoding="utf-8")
    for result in results_of(published):
        assert result.submission not in text
        if result.owner.name not in (SCRIPT, "-2+3"):
            assert result.owner.name not in text
    data = marking_data(published)
    assert [item["id"] for item in data["items"]] == [i.id for i in rubric().of_kind("manual")]
    assert len(data["students"]) == 12  # less the rejected one and the one not gradable
    assert [s["code"] for s in data["students"]] == sorted(s["code"] for s in data["students"])


def test_students_texts_cannot_end_the_block_they_stand_in(published):
    text = (published / "marking.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert CLOSING in marking_data(published)["contents"]


def test_a_figure_that_several_items_show_stands_once(published):
    contents = marking_data(published)["contents"]
    assert len(contents) == len(set(contents))


def test_a_marking_page_for_one_item(grades):
    publishing.publish(grades, marking=["readme"])
    assert [item["id"] for item in marking_data(grades)["items"]] == ["readme"]
    with pytest.raises(CourseError, match="scored by the computer"):
        publishing.publish(grades, marking=["data_size"])
    with pytest.raises(CourseError, match="no item"):
        publishing.publish(grades, marking=["typing"])


def test_a_misspelt_item_is_refused_before_anything_is_written(grades):
    name = results_of(grades)[0].submission
    line = f"submission,item,points,reason,who\n{name},readme,2,read again,Ada\n"
    (grades / "overrides.csv").write_text(line)
    before = {path: path.read_bytes() for path in grades.rglob("*") if path.is_file()}
    with pytest.raises(CourseError, match="no item 'readmee'"):
        publishing.publish(grades, marking=["readmee"])
    assert before == {path: path.read_bytes() for path in grades.rglob("*") if path.is_file()}


def test_a_class_too_large_for_one_page_gets_a_page_for_each_item(tmp_path, monkeypatch, capsys):
    ids = [item.id for item in rubric().of_kind("manual")]
    work = {name: [Work(kind="text", content=name * 100)] for name in ids}
    result = make_result(0)
    items = [i.model_copy(update={"work": work.get(i.id, [])}) for i in result.items]
    grades = write_class(tmp_path, [result.model_copy(update={"items": items})])
    monkeypatch.setattr(marking, "LARGEST", 100 * max(map(len, ids)))
    publishing.publish(grades)
    pages = [link for link in read(grades / "marking.html").loaded if link.startswith("marking")]
    assert [marking_data(grades, name)["items"][0]["id"] for name in pages] == ids
    assert "marking.html lists them" in capsys.readouterr().out
    assert (grades / "gradebook.csv").exists()
    monkeypatch.undo()
    publishing.publish(grades)
    assert list(grades.glob("marking-*.html")) == []


def test_an_item_too_large_for_one_page_gets_some_with_every_student_once(grades, monkeypatch):
    whole = marking_data(grades)
    publishing.publish(grades, marking=["readme"])
    size = sum(map(len, marking_data(grades)["contents"]))
    monkeypatch.setattr(marking, "LARGEST", size - 1)
    publishing.publish(grades)
    parts = [marking_data(grades, f"marking-readme-{number}.html") for number in (1, 2)]
    codes = [[student["code"] for student in part["students"]] for part in parts]
    assert codes[0] + codes[1] == [student["code"] for student in whole["students"]]
    assert parts[0]["id"] != parts[1]["id"]


def test_a_browser_knows_the_page_again_after_a_late_hand_in(grades):
    before = marking_data(grades)["id"]
    write_class(grades, [make_result(20, name="Late One")])
    publishing.publish(grades)
    assert len(marking_data(grades)["students"]) == 13
    assert marking_data(grades)["id"] == before


# --- Leaderboard --------------------------------------------------------------------------------


def test_the_leaderboard_page_has_chosen_names_only(published):
    text = read(published / "leaderboard.html").plain
    assert "<b>night shift</b>" in text
    for name in NAMES:
        assert " ".join(name.split()) not in text


def test_an_old_leaderboard_goes_when_nobody_is_on_it(tmp_path):
    folder = write_class(tmp_path, make_class(12))
    publishing.publish(folder)
    assert (folder / "leaderboard.html").exists()
    write_class(folder, [r.model_copy(update={"leaderboard": None}) for r in make_class(12)])
    publishing.publish(folder)
    assert not (folder / "leaderboard.html").exists()


def test_a_template_that_lacks_a_value_fails_loudly():
    with pytest.raises(Exception, match="undefined"):
        pages.render("leaderboard", title="x")
