"""An exported file, read back by csv as the LMS would: its own columns, filled, and none added."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from grade_class import NAMES, make_result, rubric, write_class

from course_utils.assignments.folder import show
from course_utils.commands import main as cli
from course_utils.errors import CourseError
from course_utils.grading import publishing
from course_utils.grading.canvas import write_canvas
from course_utils.grading.classroom50 import halves, write_classroom50
from course_utils.grading.gradescope import write_gradescope
from course_utils.grading.moodle import write_moodle
from course_utils.grading.results import Item, Owner

WEEK = "Weeks 9-10: manufacturing (4711)"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def marked(number, **changes):
    """A result that waits for nobody, with 10.25 points on its first item's account."""
    result = make_result(number, **changes)
    items = [
        Item(id=i.id, title=i.title, points=i.max, max=i.max, state="scored", feedback=i.feedback)
        if i.points is not None
        else Item(id=i.id, title=i.title, points=None, max=i.max, state="not judged")
        for i in result.items
    ]
    return result.model_copy(update={"items": items})


@pytest.fixture
def grades(tmp_path):
    """Five students, of whom the last waits for a person and one is not gradable."""
    results = [marked(0), marked(1), marked(2), make_result(3), marked(4, status="not gradable")]
    folder = write_class(tmp_path / "grades", results)
    publishing.publish(folder)
    return folder


def totals(folder):
    return publishing.totals_of(folder)[0]


def canvas_file(tmp_path, end="\r\n", delimiter=",", points="100.00", mark="\ufeff", extra=True):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", WEEK]
    head += ["Essay (4712)"] if extra else []
    writer.writerow([*head, "Current Score"])
    more = [""] if extra else []
    writer.writerow(["", "", "", "", "", "Manual Posting", *more, "(read only)"])
    most = ["50"] if extra else []
    writer.writerow(["    Points Possible", "", "", "", "", points, *most, "(read only)"])
    for number in range(5):
        name = f"{show(NAMES[number], 60)}, the"
        row = [name, str(1000 + number), f"U{number}", f"u{number}", "S1", ""]
        writer.writerow([*row, *(["7"] if extra else []), "3"])
    writer.writerow(["Student, Test", "9999", "", "", "S1", "", *(["1"] if extra else []), ""])
    path = tmp_path / "canvas.csv"
    path.write_bytes((mark + out.getvalue()).encode())
    return path


def table(path, delimiter=","):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter, strict=True))


# --- Canvas -------------------------------------------------------------------------------------


def test_canvas_gets_its_own_file_with_one_column_filled(grades, tmp_path):
    template = canvas_file(tmp_path)
    done = write_canvas(grades, totals(grades), template, WEEK)
    before, after = table(template), table(done.path)
    changed = [(r, c) for r, row in enumerate(before) for c, cell in enumerate(row)
               if after[r][c] != cell]  # fmt: skip
    assert [len(row) for row in after] == [len(row) for row in before]
    assert changed == [(3, 5), (4, 5), (5, 5)]
    points = [own.points for own in totals(grades)]
    assert {float(after[row][5]) for row, _ in changed} <= set(points)
    assert done.written == 3
    assert len(done.left_out) == 2
    assert any("waits for a person" in why for why in done.left_out.values())


def test_who_did_not_come_from_an_lms_is_left_out_with_that_reason(tmp_path):
    owner = Owner(name="Kim Poe", lms="folder")
    own = write_class(tmp_path / "own", [marked(0, owner=owner)])
    filled = [
        write_canvas(own, totals(own), canvas_file(tmp_path), WEEK),
        write_moodle(own, totals(own), moodle_file(tmp_path)),
    ]
    for done, lms in zip(filled, ("Canvas", "Moodle"), strict=True):
        assert [f"did not come from {lms}" in why for why in done.left_out.values()] == [True]


@pytest.mark.parametrize(("end", "mark"), [("\n", ""), ("\r\n", "\ufeff")])
def test_canvas_gets_line_ends_and_mark_back_as_they_were(grades, tmp_path, end, mark):
    template = canvas_file(tmp_path, end=end, mark=mark)
    raw = write_canvas(grades, totals(grades), template, "Weeks 9").path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") == bool(mark)
    assert (b"\r\n" in raw) == (end == "\r\n")


def test_canvas_with_a_comma_as_decimal_gets_commas(tmp_path):
    first = marked(0)
    half = first.items[0].model_copy(update={"points": first.items[0].max - 0.5})
    grades = write_class(
        tmp_path / "one", [first.model_copy(update={"items": [half, *first.items[1:]]})]
    )
    template = canvas_file(tmp_path, delimiter=";", points="100,0", extra=False)
    done = write_canvas(grades, totals(grades), template)
    rows = table(done.path, ";")
    automatic = sum(i.points for i in rubric().of_kind("automatic") if i.part != "bonus")
    assert rows[3][5] == f"{automatic - 0.5:.1f}".replace(".", ",")


def test_canvas_with_several_assignments_asks_which(grades, tmp_path):
    with pytest.raises(CourseError, match="several assignments") as told:
        write_canvas(grades, totals(grades), canvas_file(tmp_path))
    assert "Essay (4712)" in told.value.message
    with pytest.raises(CourseError, match="none of its assignments"):
        write_canvas(grades, totals(grades), canvas_file(tmp_path), "Week 1")


def test_canvas_that_counts_to_other_points_is_refused(grades, tmp_path):
    with pytest.raises(CourseError, match="worth 10 points there, 100 here"):
        write_canvas(grades, totals(grades), canvas_file(tmp_path, points="10"), WEEK)


@pytest.mark.parametrize("text", ["Name,Grade\nx,1\n", "", "\0\n"])
def test_a_file_of_no_lms_is_refused(grades, tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    for write in (write_canvas, write_moodle):
        with pytest.raises(CourseError, match=r"x\.csv"):
            write(grades, totals(grades), path)


def test_provisional_totals_go_out_only_when_asked_for(grades, tmp_path):
    done = write_canvas(grades, totals(grades), canvas_file(tmp_path), WEEK, provisional=True)
    assert done.written == 4
    assert list(done.left_out.values()) == ["graded"]  # not gradable: its own verdict


def test_a_fault_of_the_grader_is_not_exported_as_points(tmp_path):
    item = make_result(0).items[0]
    failed = item.model_copy(update={"points": None, "state": "not judged", "undecided": True})
    result = marked(0)
    result = result.model_copy(update={"items": [failed, *result.items[1:]]})
    own = write_class(tmp_path / "own", [result])
    done = write_canvas(own, totals(own), canvas_file(tmp_path), WEEK)
    assert done.written == 0
    assert list(done.left_out.values()) == [f"waits for a person: {item.id}"]


def test_two_totals_for_one_student_of_the_lms_are_left_out_and_named(tmp_path):
    owners = [Owner(name=n, lms="moodle", ids={"moodle": "70"}) for n in ("Bob Roe", "Jane Doe")]
    results = [marked(n, owner=owner) for n, owner in enumerate(owners)]
    own = write_class(tmp_path / "own", results)
    done = write_moodle(own, totals(own), moodle_file(tmp_path))
    assert done.written == 0
    one, other = (result.submission for result in results)
    assert f"70 is also that of {other}" in done.left_out[one]
    assert one in done.left_out[other]


# --- Moodle -------------------------------------------------------------------------------------

HEAD = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade",
        "Grade can be changed", "Last modified (submission)", "Feedback comments"]  # fmt: skip


def moodle_grades(tmp_path):
    results = [
        marked(n, owner=Owner(name=show(NAMES[n], 200), lms="moodle", ids={"moodle": f"{70 + n}"}))
        for n in range(4)
    ]
    return write_class(tmp_path / "moodle", results)


def moodle_file(tmp_path, head=HEAD, most="100.00", locked=2):
    rows = [
        dict(zip(HEAD, [f"Participant {70 + n}", show(NAMES[n], 60), "x@y", "Submitted", "", most,
                        "No" if n == locked else "Yes", "Friday, 1 May", "old"], strict=True))
        for n in range(3)
    ]  # fmt: skip
    path = tmp_path / "moodle.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([row[name] for name in head] for row in rows)
    return path


def test_moodle_gets_grade_and_comment_and_nothing_else(tmp_path):
    grades, template = moodle_grades(tmp_path), moodle_file(tmp_path)
    done = write_moodle(grades, totals(grades), template)
    before, after = table(template), table(done.path)
    changed = {(r, HEAD[c]) for r, row in enumerate(before) for c, cell in enumerate(row)
               if after[r][c] != cell}  # fmt: skip
    assert changed == {(r, name) for r in (1, 2) for name in ("Grade", "Feedback comments")}
    assert after[0] == HEAD
    assert done.written == 2
    assert len(done.left_out) == 2  # one is locked, one has no row
    feedback = after[1][HEAD.index("Feedback comments")]
    assert "<script" not in feedback
    most = f"{rubric().items[0].points:g}"
    assert feedback.startswith(f"<p>graded</p><ul><li>Enough records: {most} / {most}</li>")


def test_moodle_without_a_column_for_comments_gets_none(tmp_path):
    grades = moodle_grades(tmp_path)
    template = moodle_file(tmp_path, head=HEAD[:-1])
    assert table(write_moodle(grades, totals(grades), template).path)[0] == HEAD[:-1]


def test_moodle_gets_its_maximum_for_more_points_and_the_comment_says_how_many(tmp_path):
    """Its import passes over a grade above the maximum, and the student would have none."""
    grades, template = moodle_grades(tmp_path), moodle_file(tmp_path)
    first = next(own for own in totals(grades) if own.result.owner.ids["moodle"] == "70")
    name = first.result.submission
    given = [f"{name},{line.item.id},{line.item.points},well done,A." for line in first.lines]
    text = "\n".join(["submission,item,points,reason,who", *given])
    (grades / "overrides.csv").write_text(f"{text}\n", encoding="utf-8")
    done = write_moodle(grades, totals(grades), template)
    row = table(done.path)[1]
    assert row[HEAD.index("Grade")] == "100"
    assert "150 points of 100" in row[HEAD.index("Feedback comments")]
    assert done.changed == {name: "100 in place of 150: Moodle takes no more"}
    assert f"changed: {name}: " in "\n".join(done.lines())


def test_moodle_that_counts_to_other_points_is_refused(tmp_path):
    grades = moodle_grades(tmp_path)
    with pytest.raises(CourseError, match="worth 20 points there"):
        write_moodle(grades, totals(grades), moodle_file(tmp_path, most="20.00"))


# --- Gradescope ---------------------------------------------------------------------------------


def test_gradescope_gets_a_results_json_with_its_own_fields(grades):
    done = write_gradescope(grades, totals(grades), provisional=True)
    paths = sorted(done.path.glob("*/results.json"))
    assert len(paths) == done.written == 4
    fields = {"score", "max_score", "status", "name", "number", "output", "output_format",
              "visibility"}  # fmt: skip
    for path in paths:
        content = json.loads(path.read_text())
        assert content["score"] == next(
            own.points for own in totals(grades) if own.result.submission == path.parent.name
        )
        assert len(content["tests"]) == len(rubric().items)
        for test in content["tests"]:
            assert test.keys() <= fields
            assert test.get("score", 0) <= test["max_score"]
            assert test["visibility"] == "after_published"


def test_an_earlier_score_of_one_that_is_left_out_now_is_gone(grades):
    early = write_gradescope(grades, totals(grades), provisional=True)
    done = write_gradescope(grades, totals(grades))
    [gone] = done.removed
    assert gone.parent.name in done.left_out
    assert early.written == 4
    assert len(list(done.path.glob("*/results.json"))) == done.written == 3
    assert f"removed: {gone}" in "\n".join(done.lines())


# --- Classroom 50 -------------------------------------------------------------------------------

RELEASE = {
    "classroom": "ML",
    "assignment": "week9",
    "assignment_type": "individual",
    "owner": "Ada",
    "submission": "submit/2026-11-01T10-00-00Z-a1b2c3d",
    "commit": "https://github.com/x/commit/abc",
    "release": "https://github.com/x/releases/tag/y",
    "review": "https://github.com/x/commit/abc",
    "datetime": "2026-11-01T10:00:00Z",
    "submitted_by": {"username": "ada", "id": 7},
}
REQUIRED = {"schema", "classroom", "assignment", "assignment_type", "owner", "submission", "commit",
            "release", "review", "datetime", "score", "max-score", "tests"}  # fmt: skip


def released(tmp_path, repository="ml-week9-ada", release=RELEASE, points=None):
    ids = {"owner": release.get("owner", ""), "repository": repository}
    owner = Owner(name="Ada", lms="classroom50", ids=ids, release=release)
    result = marked(0, owner=owner)
    if points is not None:
        first = result.items[0].model_copy(update={"points": points})
        result = result.model_copy(update={"items": [first, *result.items[1:]]})
    return write_class(tmp_path / "released", [result])


def test_classroom50_gets_its_schema_in_whole_halves(tmp_path):
    grades = released(tmp_path, points=2.5)
    done = write_classroom50(grades, totals(grades), now=NOW)
    content = json.loads((done.path / "ml-week9-ada" / "result.json").read_text())
    assert content.keys() == REQUIRED | {"graded_at", "submitted_by"}
    assert content["schema"] == "classroom50/result/v1"
    assert content["datetime"] == RELEASE["datetime"]
    assert content["graded_at"] == "2026-11-28T12:00:00Z"
    assert all(type(test[name]) is int for test in content["tests"] for name in
               ("score", "max-score"))  # fmt: skip
    assert content["score"] == sum(test["score"] for test in content["tests"])
    assert content["score"] == 2 * totals(grades)[0].points
    assert content["max-score"] == 2 * (rubric().points + rubric().bonus_points)
    first = content["tests"][0]
    assert (first["score"], first["max-score"], first["points"], first["passed"]) == (
        5,
        2 * rubric().items[0].points,
        2.5,
        False,
    )


@pytest.mark.parametrize(("points", "expected"), [(0, 0), (0.24, 0), (0.25, 1), (2.5, 5), (3, 6)])
def test_what_lies_between_halves_goes_to_the_nearest(points, expected):
    assert halves(points) == expected


@pytest.mark.parametrize("repository", ["ml-week9-bob", "", "ml-week9-ada2"])
def test_a_result_json_that_names_another_owner_is_not_graded_into(tmp_path, repository):
    grades = released(tmp_path, repository)
    done = write_classroom50(grades, totals(grades), now=NOW)
    assert done.written == 0
    assert "names the owner Ada" in next(iter(done.left_out.values()))
    assert not list(done.path.glob("*/result.json"))


def test_without_a_release_there_is_nothing_to_fill(grades):
    done = write_classroom50(grades, totals(grades), now=NOW)
    assert done.written == 0
    assert len(done.left_out) == 5


# --- The command --------------------------------------------------------------------------------


def course(monkeypatch, capsys, *words):
    """(exit code, what was printed)."""
    monkeypatch.setattr("sys.argv", ["course", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code or 0, said.out + said.err


def test_the_commands_totals_export_and_leaderboard(grades, tmp_path, monkeypatch, capsys):
    template = canvas_file(tmp_path)
    code, said = course(monkeypatch, capsys, "grade", "export", grades, "--canvas", template,
                        "--column", "Weeks 9", "--gradescope")  # fmt: skip
    assert code == 0
    assert "3 written" in said
    assert said.count("left out: ") == 4
    code, said = course(monkeypatch, capsys, "grade", "totals", grades)
    assert (code, "5 submissions: 4 graded, 1 not gradable" in said) == (0, True)
    assert "1 waits for a person, who marks" in said
    code, said = course(monkeypatch, capsys, "grade", "leaderboard", grades)
    assert (code, "Nobody chose to be on it" in said) == (0, True)
    assert course(monkeypatch, capsys, "grade", "export", grades)[0] == 2
    assert course(monkeypatch, capsys, "grade", "totals", tmp_path / "none")[0] == 1


def test_what_the_gradebook_does_not_say_is_not_exported(grades):
    [first, *_] = publishing.totals_to_export(grades)
    item = first.lines[0].item
    with (grades / "overrides.csv").open("a", encoding="utf-8") as file:
        file.write(f"{first.result.submission},{item.id},0,our mistake,A. Lovelace\n")
    with pytest.raises(CourseError, match=f"of 1 submission .{first.result.submission}: ") as told:
        publishing.totals_to_export(grades)
    assert "course grade totals" in told.value.cure
    publishing.publish(grades)
    assert publishing.totals_to_export(grades)[0].points < first.points
