"""Totals, overrides, marks of several people, and a rubric that changes: nothing is run again."""

import csv
import json

import pytest
from grade_class import make_class, make_result, rubric, write_class

from course_utils.errors import CourseError
from course_utils.grading import publishing
from course_utils.grading.marks import (
    Mark,
    codes_of,
    merge,
    read_marks,
    work_digest,
)
from course_utils.grading.overrides import Override
from course_utils.grading.results import Work, results_of
from course_utils.grading.totals import total
from course_utils.messages import Explained

MANUAL = [item.id for item in rubric().of_kind("manual")]


def mark(points, most=3.0, comment=""):
    return Mark(points=points, max=most, comment=comment)


def automatic(result):
    return sum(item.points or 0.0 for item in result.items)


def gradebook(grades):
    with (grades / "gradebook.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


# --- Sums ---------------------------------------------------------------------------------------


def test_without_marks_a_total_is_the_automatic_points_and_the_rest_waits():
    result = make_result(0)
    own = total(result, rubric())
    assert own.points == automatic(result)
    assert own.waiting == MANUAL
    assert not own.final


def test_a_mark_counts_and_no_longer_waits():
    result = make_result(0)
    own = total(result, rubric(), {"readme": {"Ada": mark(2.5)}})
    assert own.points == automatic(result) + 2.5
    assert "readme" not in own.waiting


def test_two_marks_that_differ_are_never_averaged():
    result = make_result(0)
    own = total(result, rubric(), {"readme": {"Ada": mark(1.0), "Bob": mark(3.0)}})
    assert own.line("readme").state == "disagreement"
    assert own.points == automatic(result)
    assert "readme" in own.waiting


def test_two_equal_marks_agree_and_both_are_kept():
    own = total(make_result(0), rubric(), {"readme": {"Ada": mark(1.0), "Bob": mark(1.0)}})
    assert own.line("readme").points == 1.0
    assert set(own.line("readme").marks) == {"Ada", "Bob"}


def test_an_override_decides_over_marks_and_the_computer():
    result = make_result(0)
    change = Override(result.submission, "readme", 2.0, "seen again", "Ada")
    marks = {"readme": {"Ada": mark(1.0), "Bob": mark(3.0)}}
    own = total(result, rubric(), marks, {(result.submission, "readme"): change})
    assert (own.line("readme").points, own.line("readme").state) == (2.0, "changed")


def test_not_gradable_is_no_zero_and_nobody_waits_for_it():
    own = total(make_result(0, status="not gradable"), rubric())
    assert own.points is None
    assert own.waiting == []


def given_up(result):
    """The same, where the grader itself failed: nothing of it is judged."""
    items = [
        item.model_copy(update={"points": None, "state": "not judged", "undecided": True})
        for item in result.items
    ]
    return result.model_copy(update={"items": items})


def overridden(result, points=1.0):
    names = [item.id for item in rubric().items]
    return {(result.submission, n): Override(result.submission, n, points, "r", "w") for n in names}


def test_what_the_grader_failed_at_waits_for_a_person_and_is_no_final_zero():
    result = given_up(make_result(0, status="failed"))
    own = total(result, rubric())
    assert own.waiting == [item.id for item in rubric().items]
    assert not own.final
    decided = total(result, rubric(), overrides=overridden(result))
    assert decided.final
    assert decided.points == len(rubric().items)


def test_not_gradable_counts_once_overrides_have_decided_all_of_it():
    result = given_up(make_result(0, status="not gradable"))
    changes = overridden(result)
    assert total(result, rubric(), overrides=changes).points == len(rubric().items)
    bonus = [item.id for item in rubric().items if item.part == "bonus"]
    untried = [
        item.model_copy(update={"undecided": False, "work": []}) if item.id in bonus else item
        for item in result.items
    ]
    result = result.model_copy(update={"items": untried})
    regular = {key: change for key, change in changes.items() if key[1] not in bonus}
    assert total(result, rubric(), overrides=regular).points == len(regular)
    regular.popitem()
    assert total(result, rubric(), overrides=regular).points is None


def test_bonuses_are_apart_and_one_that_nobody_tried_does_not_wait():
    result = make_result(0)
    bonuses = {item.id for item in rubric().of_part("bonus")}
    bare = [i.model_copy(update={"work": []}) if i.id in bonuses else i for i in result.items]
    own = total(
        result.model_copy(update={"items": bare}), rubric(), {"qlora": {"A": mark(9.0, 10)}}
    )
    assert own.bonus == 9.0
    assert own.regular == automatic(result)
    assert not bonuses & set(own.waiting)


def test_sums_do_not_depend_on_the_order_of_adding():
    items = [i.model_copy(update={"points": 0.1}) if i.points is not None else i
             for i in make_result(0).items]  # fmt: skip
    forward, backward = (make_result(0, items=order) for order in (items, items[::-1]))
    assert total(forward, rubric()).points == total(backward, rubric()).points


# --- A rubric that changes ----------------------------------------------------------------------


def changed_rubric(tmp_path, **points):
    import yaml

    content = rubric().model_dump()
    for item in content["items"]:
        item["points"] = points.get(item["id"], item["points"])
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_changed_rubric_prices_the_class_anew_and_shows_old_and_new(grades, tmp_path):
    before = gradebook(grades)
    stamps = {path: path.stat().st_mtime_ns for path in grades.glob("*/result.json")}
    size, valid = (rubric().item(name).points for name in ("data_size", "data_valid"))
    path = changed_rubric(tmp_path, data_size=size + 1, data_valid=valid - 1)
    class_ = publishing.publish(grades, path)
    after = gradebook(grades)
    for own in class_.totals:
        name = own.result.submission
        if own.line("data_size").points is not None:
            share = own.result.item("data_size").points / size
            assert float(after[name]["data_size"]) == pytest.approx((size + 1) * share, abs=0.005)
    assert class_.changes
    for change in class_.changes:
        assert float(before[change.submission]["total"]) == change.before
        assert float(after[change.submission]["total"]) == change.now
    assert "Changed since the last gradebook" in (grades / "overview.html").read_text()
    assert stamps == {path: path.stat().st_mtime_ns for path in grades.glob("*/result.json")}
    assert publishing.publish(grades, path).changes == []


def test_an_item_that_is_new_in_the_rubric_is_not_judged_and_marks_keep_their_share():
    result = make_result(0)
    without = result.model_copy(update={"items": result.items[1:]})
    own = total(without, rubric(), {"readme": {"Ada": mark(1.5, most=6.0)}})
    assert own.line(result.items[0].id).state == "not judged"
    assert own.line("readme").points == 0.75  # a quarter of 3


# --- overrides.csv ------------------------------------------------------------------------------

HEAD = "submission,item,points,reason,who\n"


def test_an_override_changes_the_gradebook_and_the_feedback_says_why(grades):
    name = results_of(grades)[0].submission
    (grades / "overrides.csv").write_text(f'{HEAD}{name},readme,2.5,"read again, twice",Ada\n')
    publishing.publish(grades)
    assert gradebook(grades)[name]["readme"] == "2.5"
    page = (grades / name / "feedback.html").read_text()
    assert "read again, twice" in page
    assert "Ada" not in page.replace("Ada Lovelace", "")


@pytest.mark.parametrize("form", ["semicolon", "order", "mark"])
def test_an_overrides_file_that_excel_wrote_is_read(grades, form):
    name = results_of(grades)[0].submission
    text = {
        "semicolon": f"submission;item;points;reason;who\r\n{name};readme;2,5;gut;Ada\r\n",
        "order": f"who,reason,points,item,submission\nAda,well,2.5,readme,{name}\n",
        "mark": f"\ufeff{HEAD}{name},readme,2.5,well,Ada\n",
    }[form]
    (grades / "overrides.csv").write_text(text, encoding="utf-8", newline="")
    publishing.publish(grades)
    assert gradebook(grades)[name]["readme"] == "2.5"


def test_bad_lines_are_named_with_their_cure_and_change_nothing(grades):
    name = results_of(grades)[0].submission
    bad = [
        f"{name},readme,2,fine,Ada",
        "nobody,readme,2,x,Ada",
        f"{name},typing,2,x,Ada",
        f"{name},data_size,5,x,Ada",
        f"{name},deployment,two,x,Ada",
        f"{name},deployment,2,,Ada",
        f"{name},deployment,2,x,",
        f"{name},readme,3,again,Bob",
        f"{name},deployment",
    ]
    (grades / "overrides.csv").write_text(HEAD + "\n".join(bad) + "\n")
    before = {p: p.read_bytes() for p in grades.rglob("*") if p.is_file()}
    with pytest.raises(CourseError) as told:
        publishing.publish(grades)
    for line in range(3, 11):
        assert f"line {line}: " in told.value.message
    assert "line 2: " not in told.value.message
    assert before == {p: p.read_bytes() for p in grades.rglob("*") if p.is_file()}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\ufffd\udcff", '"open\n'])
def test_a_file_that_is_no_table_of_overrides_is_refused(grades, text):
    (grades / "overrides.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CourseError, match=r"overrides\.csv"):
        publishing.publish(grades)


# --- Marks of several people --------------------------------------------------------------------


def mark_file(grades, path, marker="Ada", saved="2026-11-28T10:00:00+00:00", points=2.0, **changes):
    """What the page would save: every manual item of the first three students."""
    results = [r for r in results_of(grades) if r.status == "graded"]
    codes = codes_of(grades, [r.submission for r in results_of(grades)])
    marks = {
        codes[result.submission]: {
            item: {"points": min(points, rubric().item(item).points),
                   "max": rubric().item(item).points, "comment": "Well argued. <b>"}
            for item in MANUAL
        }
        for result in results[:3]
    }  # fmt: skip
    content = {
        **{"kind": "grading-marks", "version": 1, "assignment": rubric().assignment},
        **{"rubric": "0" * 16, "marker": marker, "saved": saved, "open": 0},
        **{"marks": marks, "bank": {}},
    } | changes
    path.write_text(json.dumps(content))
    return path


def merged(grades, *paths):
    submissions = [result.submission for result in results_of(grades)]
    merge(grades, paths, rubric(), submissions)
    return read_marks(grades, submissions, rubric())


def test_who_marked_what_is_kept_and_a_disagreement_is_shown(grades, tmp_path):
    ada = mark_file(grades, tmp_path / "a.json", "Ada")
    bob = mark_file(grades, tmp_path / "b.json", "Bob", points=1.0)
    given = merged(grades, ada, bob)
    first = next(iter(given))
    assert {who: mark.points for who, mark in given[first]["readme"].items()} == {
        "Ada": 2,
        "Bob": 1,
    }
    class_ = publishing.publish(grades)
    shown = [(own.result.submission, line.item.id) for own, line in class_.disagreements]
    assert (first, "readme") in shown
    overview = (grades / "overview.html").read_text()
    assert "Markers disagree" in overview
    assert gradebook(grades)[first]["readme"] == ""
    (grades / "overrides.csv").write_text(f"{HEAD}{first},readme,2,talked,Ada and Bob\n")
    publishing.publish(grades)
    assert gradebook(grades)[first]["readme"] == "2"


def given_to(grades, path, marks, hour=10, **more):
    """A file of Ada: (number of the submission, item) -> points."""
    codes = codes_of(grades, names_of(grades))
    written = {}
    for (number, item), points in marks.items():
        own = written.setdefault(codes[names_of(grades)[number]], {})
        own[item] = {"points": points, "max": rubric().item(item).points, "comment": ""} | more
    return mark_file(grades, path, saved=f"2026-11-28T{hour}:00:00+00:00", marks=written)


def names_of(grades):
    return [result.submission for result in results_of(grades)]


def points_of(given, item="readme"):
    return {name: own[item]["Ada"].points for name, own in given.items() if item in own}


def test_marks_of_a_later_file_are_laid_over_the_earlier_ones(grades, tmp_path):
    one = {(0, "readme"): 1.0, (1, "readme"): 1.0}
    other = {(0, "model_choice"): 2.0, (1, "readme"): 1.5}
    first, second, *_ = names_of(grades)
    merged(grades, given_to(grades, tmp_path / "a.json", one))
    later = given_to(grades, tmp_path / "b.json", other, hour=11)
    (told,) = merge(grades, [later], rubric(), names_of(grades))
    given = read_marks(grades, names_of(grades), rubric())
    assert points_of(given) == {first: 1.0, second: 1.5}
    assert points_of(given, "model_choice") == {first: 2.0}
    assert str(told).endswith("ada.json (1 new, 1 replaced an older one, 1 kept from before)")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_the_newest_mark_counts_in_whatever_order_files_come(grades, tmp_path, order, together):
    files = [
        given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0, (1, "readme"): 1.0}),
        given_to(grades, tmp_path / "b.json", {(0, "readme"): 2.0}, hour=11),
    ]
    files = [files[n] for n in order]
    for some in [files] if together else [[path] for path in files]:
        given = merged(grades, *some)
    assert list(points_of(given).values()) == [2.0, 1.0]


def test_a_mark_is_as_new_as_it_says_and_not_as_its_file(grades, tmp_path):
    old = given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0}, 12, when="2026-11-28T08")
    newer = given_to(grades, tmp_path / "b.json", {(0, "readme"): 2.0}, 11, when="2026-11-28T09")
    assert list(points_of(merged(grades, newer, old)).values()) == [2.0]


def test_a_mark_that_is_emptied_is_taken_back_and_the_terminal_says_which(grades, tmp_path):
    merged(grades, given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0}))
    back = given_to(grades, tmp_path / "b.json", {(0, "readme"): None}, hour=11)
    (told,) = merge(grades, [back], rubric(), names_of(grades))
    code = codes_of(grades, names_of(grades))[names_of(grades)[0]]
    assert str(told).endswith(f"(1 taken back: {code} readme)")
    assert merged(grades, tmp_path / "a.json") == {}  # an older file does not bring it back


def test_two_marks_of_one_marker_at_one_time_are_refused(grades, tmp_path):
    files = [
        given_to(grades, tmp_path / f"{points}.json", {(0, "readme"): points})
        for points in (1.0, 2.0)
    ]
    with pytest.raises(Explained, match=r"2.0\.json: .*1 and 2"):
        merged(grades, *files)
    assert not list((grades / "marks").glob("*.json"))


def test_marks_of_a_student_who_left_the_class_are_kept(grades, tmp_path):
    path = given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0, (1, "readme"): 2.0})
    left, *rest = names_of(grades)
    merge(grades, [path], rubric(), rest)
    assert list(points_of(read_marks(grades, rest, rubric())).values()) == [2.0]
    assert left in read_marks(grades, [left, *rest], rubric())


def handed_in_again(grades, number=0):
    """Other text for every item of this submission."""
    result = results_of(grades)[number]
    new = [i.model_copy(update={"work": [Work(kind="text", content="new")]}) for i in result.items]
    write_class(grades, [result.model_copy(update={"items": new})])


def test_marks_of_an_earlier_hand_in_wait_to_be_looked_at_again(grades, tmp_path, capsys):
    first = results_of(grades)[0]
    shown = work_digest(first.item("readme"))
    merged(grades, given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0}, looked_at=shown))
    own = publishing.publish(grades).totals[0]
    assert (own.line("readme").state, own.earlier) == ("marked", [])
    handed_in_again(grades)
    own = publishing.publish(grades).totals[0]
    assert (own.line("readme").points, own.earlier) == (None, ["readme"])
    assert f"{first.submission} (readme)" in capsys.readouterr().out
    assert "Marked on an earlier hand-in" in (grades / "overview.html").read_text()
    shown = work_digest(results_of(grades)[0].item("readme"))
    merged(grades, given_to(grades, tmp_path / "b.json", {(0, "readme"): 1.0}, 11, looked_at=shown))
    assert publishing.publish(grades).totals[0].line("readme").points == 1.0


def test_marks_that_do_not_say_what_they_were_for_stay_valid(grades, tmp_path):
    merged(grades, given_to(grades, tmp_path / "a.json", {(0, "readme"): 1.0}))
    handed_in_again(grades)
    assert publishing.publish(grades).totals[0].line("readme").state == "marked"


def test_marks_of_two_hand_ins_do_not_disagree():
    ada, bob = (Mark(points=p, max=3.0, looked_at=work) for p, work in ((1.0, "old"), (2.0, "new")))
    assert (
        total(make_result(0), rubric(), {"readme": {"Ada": ada, "Bob": bob}}).line("readme").state
        == "waiting"
    )  # neither is of what lies there now


def test_markers_disagree_by_what_marks_are_worth_today(grades, tmp_path):
    changed = rubric().model_copy(
        update={
            "items": [
                i.model_copy(update={"points": 6}) if i.id == "readme" else i
                for i in rubric().items
            ]
        }
    )
    first = names_of(grades)[0]
    code = codes_of(grades, [first])[first]
    files = [  # full points before and after, then the same number of other points
        mark_file(grades, tmp_path / f"{who}.json", who,
                  marks={code: {"readme": {"points": points, "max": most}}})
        for who, points, most in (("Ada", 3, 3), ("Bob", 6, 6), ("Carl", 3, 6))
    ]  # fmt: skip

    def disagreed():
        given = read_marks(grades, names_of(grades), changed)
        return [
            (result.submission, line.item.id)
            for result in results_of(grades)
            for line in total(result, changed, given.get(result.submission)).lines
            if line.state == "disagreement"
        ]

    merge(grades, files[:2], changed, names_of(grades))
    assert disagreed() == []
    merge(grades, files[2:], changed, names_of(grades))
    assert disagreed() == [(first, "readme")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "review-answers"}, "marks.unreadable"),
        ({"marker": " \u202e "}, "marks.unreadable"),
        ({"marks": [1]}, "marks.unreadable"),
        ({"assignment": "week05_parameter_lab"}, "marks.other_assignment"),
        ({"marks": {"S-000000": {"readme": {"points": 1, "max": 3}}}}, "marks.no_submission"),
        ({"marks": {"S-1": {"data_size": {"points": 1, "max": 4}}}}, "marks.no_item"),
        ({"marks": {"S-1": {"readme": {"points": 9, "max": 3}}}}, "marks.points"),
        ({"marks": {"S-1": {"readme": {"points": -1, "max": 3}}}}, "marks.unreadable"),
        ({"marks": {"S-1": {"readme": {"points": "NaN", "max": 3}}}}, "marks.unreadable"),
    ],
)
def test_a_file_of_marks_that_does_not_fit_is_named_and_nothing_is_taken(
    grades, tmp_path, change, message
):
    good = mark_file(grades, tmp_path / "good.json", "Bob")
    bad = mark_file(grades, tmp_path / "bad.json", **change)
    with pytest.raises(Explained) as told:
        merged(grades, good, bad)
    assert told.value.id == message
    assert str(bad) in told.value.message
    assert not list((grades / "marks").glob("*.json"))


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"[" * 100_000, b'{"kind": NaN}'])
def test_a_file_that_is_no_json_is_named(grades, tmp_path, raw):
    path = tmp_path / "marks.json"
    path.write_bytes(raw)
    with pytest.raises(Explained, match="no marks could be read"):
        merged(grades, path)


def test_codes_stay_the_same_and_tell_no_name(grades):
    submissions = [result.submission for result in results_of(grades)]
    codes = codes_of(grades, submissions)
    assert codes == codes_of(grades, submissions)
    assert len(set(codes.values())) == len(codes)
    assert codes_of(grades, [*submissions, "new-one"])[submissions[0]] == codes[submissions[0]]


# --- The gradebook ------------------------------------------------------------------------------


def test_no_cell_of_the_gradebook_is_a_formula_and_names_survive(published):
    rows = gradebook(published)
    assert len(rows) == 14
    for row in rows.values():
        assert None not in row
        assert not [c for c in row.values() if c.startswith(("=", "+", "@", "\t", "\r"))]
        assert not [c for c in row.values() if c.startswith("-") and not c[1:].isdigit()]
    names = {row["name"] for row in rows.values()}
    assert {"Zoë Müller", "王小明", 'O\'Brien, "Pat"', "'-2+3"} <= names


def test_the_gradebook_is_the_same_bytes_for_the_same_class_in_any_order(tmp_path):
    one = write_class(tmp_path / "one", make_class(5))
    two = write_class(tmp_path / "two", make_class(5)[::-1])
    for folder in (one, two):
        publishing.publish(folder)
    assert (one / "gradebook.csv").read_bytes() == (two / "gradebook.csv").read_bytes()


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig"])
def test_a_gradebook_that_excel_saved_is_compared_and_replaced(grades, encoding):
    text = (grades / "gradebook.csv").read_text("utf-8-sig").replace(",", ";")
    (grades / "gradebook.csv").write_bytes(text.encode(encoding, "replace"))
    first = results_of(grades)[0].submission
    (grades / "overrides.csv").write_text(f"{HEAD}{first},readme,2,read again,Ada\n")
    assert [c.submission for c in publishing.publish(grades).changes] == [first]
    assert gradebook(grades)[first]["readme"] == "2"


@pytest.mark.parametrize("raw", [b"", b"a,b\n1,2\n", "submission\ttotal\n".encode("utf-16")])
def test_a_gradebook_that_can_not_be_read_stops_no_page_but_an_export(grades, raw, capsys):
    whole = (grades / "gradebook.csv").read_bytes()
    (grades / "gradebook.csv").write_bytes(raw)
    with pytest.raises(CourseError, match=r"gradebook\.csv"):
        publishing.totals_to_export(grades)
    publishing.publish(grades)
    assert "new totals were not compared" in capsys.readouterr().out
    assert (grades / "gradebook.csv").read_bytes() == whole


def test_publishing_twice_changes_no_byte(grades):
    def state():
        return {p.relative_to(grades): p.read_bytes() for p in grades.rglob("*") if p.is_file()}

    publishing.publish(grades)
    before = state()
    publishing.publish(grades)
    assert state() == before


def test_a_class_in_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(CourseError, match="this kit did not make"):
        write_class(tmp_path, make_class(1))


def test_a_page_that_somebody_else_wrote_is_not_replaced(grades):
    (grades / "overview.html").write_text("my notes")
    with pytest.raises(CourseError, match=r"overview\.html"):
        publishing.publish(grades)
    assert (grades / "overview.html").read_text() == "my notes"


def test_every_item_of_a_week_5_class_is_in_its_gradebook(tmp_path):
    folder = write_class(tmp_path, [make_result(n, assignment="week05") for n in range(3)])
    publishing.publish(folder)
    row = next(iter(gradebook(folder).values()))
    assert {item.id for item in rubric("week05").items} <= row.keys()
