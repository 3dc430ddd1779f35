"""A class judged: verdicts, neighbours unmoved, nothing lost, nothing done twice.

Quick checks stand in for those that need a model (tests/quick_checks.py); inbox, sandbox, cache,
journal and pages are the real ones.
"""

import csv
import functools
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import quick_checks
from grade_class import make_result
from odd_folders import inbox_too_deep
from sandboxes import level_or_skip

from course_utils.assignments.definition import find
from course_utils.errors import CourseError, UsageError
from course_utils.grading import names, publishing, workshop
from course_utils.grading.batch import grade_class
from course_utils.grading.cache import BatchStopped
from course_utils.grading.gradescope import write_gradescope
from course_utils.grading.inbox import SCHEMA, find_submissions
from course_utils.grading.journal import Journal, done_before
from course_utils.grading.marks import merge
from course_utils.grading.results import read_result
from course_utils.grading.single import Graded, keep, key_of
from course_utils.grading.workshop import Plan, level_for

NAMES = ("ada", "bob", "cyd", "dan", "eve")
PROGRAM = [sys.executable, quick_checks.__file__, "grade"]


class Screen:
    """A console that keeps its lines."""

    is_terminal = False

    def __init__(self):
        self.lines = []

    def print(self, text, **_):
        self.lines.append(str(text))


@pytest.fixture
def inbox(tmp_path):
    for name in NAMES:
        submission(tmp_path / "inbox" / name, name)
    return tmp_path / "inbox"


def submission(folder, text, *marks):
    folder.mkdir(parents=True)
    (folder / "parameter_analysis.ipynb").write_text("{}")
    (folder / "README.md").write_text(text)
    for mark in marks:
        (folder / mark).touch()
    return folder


def plan(grades, jobs=1, rubric=None, level="none", warm=False):
    used = publishing.rubric_of("week05", rubric)
    return Plan(grades, "week05", used, level, jobs, warm)


def grade(inbox, grades, resume=False, only=(), **options):
    screen = Screen()
    outcome = grade_class(inbox, plan(grades, **options), screen, resume, only)
    publishing.publish(grades, options.get("rubric"))
    return outcome, screen


def book(grades):
    """The gradebook apart from times."""
    rows = list(csv.reader(io.StringIO((grades / "gradebook.csv").read_text("utf-8-sig"))))
    at = rows[0].index("seconds")
    return [row[:at] + row[at + 1 :] for row in rows]


def course(*words, folder, **options):
    command = [*PROGRAM, *map(str, words)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **options
    )


# --- Verdicts -----------------------------------------------------------------------------------


def test_every_submission_ends_in_a_verdict_and_neighbours_do_not_move(quick, inbox, tmp_path):
    grade(inbox, tmp_path / "alone")
    expected = {row[0]: row for row in book(tmp_path / "alone")}
    submission(inbox / "broken", "x", "boom")
    submission(inbox / "elsewhere", "x", "ungradable")
    submission(inbox / "wrong", "x", "wrong")
    (inbox / "nothing").mkdir()
    (inbox / "essay.docx").write_text("x")
    with zipfile.ZipFile(inbox / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records.jsonl", b"\0" * 150_000_000)
    (inbox / "link").symlink_to(inbox / "ada")
    os.mkdir(os.fsencode(inbox) + b"/m\xfcller")
    grades = tmp_path / "grades"
    outcome, _ = grade(inbox, grades, jobs=2)
    found = {row[0]: row for row in book(grades)}
    assert {name: found[name] for name in NAMES} == {name: expected[name] for name in NAMES}
    verdicts = {r.owner.name.split(".")[0]: (r.status, r.verdict) for r in outcome.results}
    assert verdicts["wrong"] == ("graded", "graded")
    assert verdicts["broken"] == ("graded", "graded")
    assert verdicts["elsewhere"][0] == "not gradable"
    assert "course model get x/y" in verdicts["elsewhere"][1]
    for name, words in {"nothing": "nothing in it", "bomb": "unpacks to more"}.items():
        assert verdicts[name][0] == "rejected"
        assert words in verdicts[name][1]
    assert {s for s, _ in verdicts.values()} == {"graded", "not gradable", "rejected"}
    assert len(found) == len(NAMES) + 9


def test_a_public_archive_is_turned_away_and_what_it_lacks_is_named(quick, inbox, tmp_path):
    folder = submission(inbox / "public", "x")
    note = {"files": {"records.jsonl": {"rows_that_quote": 3}, "notes.md": {}, "README.md": {}}}
    (folder / "left_out.json").write_text(json.dumps(note))
    outcome, _ = grade(inbox, tmp_path / "grades", only=["public"])
    [result] = outcome.results
    assert result.status == "rejected"
    assert "public archive: records.jsonl were left out" in result.verdict


def test_a_fault_of_the_grader_stands_in_the_warnings_and_the_log(quick, inbox, tmp_path):
    submission(inbox / "broken", "x", "boom")
    grades = tmp_path / "grades"
    grade(inbox, grades, only=["broken"])
    assert "the grader itself failed at" in read_result(grades / "broken").warnings[0]
    assert "a fault of the grader" in (grades / "broken" / "log.txt").read_text()


def test_the_level_stands_in_every_result_and_the_journal(quick, inbox, tmp_path):
    level = level_or_skip("limits")
    submission(inbox / "runs", "x", "sandboxed")
    outcome, _ = grade(inbox, tmp_path / "grades", level=level)
    assert {result.sandbox for result in outcome.results} == {"limits"}
    lines = (tmp_path / "grades" / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["sandbox"] == "limits"


def test_two_at_a_time_give_the_same_gradebook_as_one(quick, inbox, tmp_path):
    for name in ("one", "four"):
        grade(inbox, tmp_path / name, jobs=1 if name == "one" else 4)
    assert book(tmp_path / "one") == book(tmp_path / "four")


def test_forked_and_fresh_processes_give_the_same_gradebook(quick, inbox, tmp_path):
    level = level_or_skip("limits")
    submission(inbox / "runs", "x", "sandboxed")
    for name in ("warm", "fresh"):
        grade(inbox, tmp_path / name, level=level, warm=name == "warm")
    assert book(tmp_path / "warm") == book(tmp_path / "fresh")


# --- What is done again -------------------------------------------------------------------------


def computed(folder):
    path = folder / "computed.log"
    count = path.read_text().count("computed") if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def test_a_second_run_computes_only_what_changed(quick, inbox, tmp_path):
    grades = tmp_path / "grades"
    grade(inbox, grades)
    each = computed(tmp_path) // len(NAMES)
    assert each > 10
    grade(inbox, grades)
    assert computed(tmp_path) == 0
    (inbox / "bob" / "README.md").write_text("another text")
    grade(inbox, grades)
    assert computed(tmp_path) == each


def test_resume_judges_only_what_changed_or_is_new(quick, inbox, tmp_path):
    grades = tmp_path / "grades"
    grade(inbox, grades)
    outcome, screen = grade(inbox, grades, resume=True)
    assert (len(outcome.results), outcome.before) == (0, 5)
    assert any("5 of 5 submissions are graded already" in line for line in screen.lines)
    (inbox / "bob" / "README.md").write_text("another text")
    submission(inbox / "new", "new")
    (grades / "cyd" / "result.json").unlink()
    outcome, _ = grade(inbox, grades, resume=True)
    assert [result.submission for result in outcome.results] == ["bob", "cyd", "new"]


def test_another_rubric_prices_the_class_anew_and_computes_nothing(quick, inbox, tmp_path):
    grades = tmp_path / "grades"
    grade(inbox, grades)
    before = {row[0]: row for row in book(grades)}
    computed(tmp_path)
    own = Path(find("week05").path / "rubric.yaml").read_text()
    assert own.count("points: 13\n") == 1
    assert own.count("points: 8\n") == 1
    changed = own.replace("points: 13\n", "points: 11\n").replace("points: 8\n", "points: 10\n")
    (tmp_path / "rubric.yaml").write_text(changed)
    grade_class(inbox, plan(grades, rubric=tmp_path / "rubric.yaml"), Screen())
    class_ = publishing.publish(grades, tmp_path / "rubric.yaml")
    assert computed(tmp_path) == 0
    assert class_.changes
    for change in class_.changes:
        assert f"{change.before:g}" == before[change.submission][-4]
        assert change.now != change.before


@pytest.mark.parametrize("count", [1, 2])
def test_another_archive_of_the_same_size_is_no_finished_work(tmp_path, count):
    folder = tmp_path / "inbox" / "Jane_1_assignsubmission_file"
    folder.mkdir(parents=True)
    keys = set()
    for content in (b"a", b"b"):
        for number in range(count):
            (folder / f"lab{number}.zip").write_bytes(content * 21_000_000)
        [found] = find_submissions(tmp_path / "inbox")
        keys.add(key_of(found, "x"))
    assert len(keys) == 2


# --- Nothing lost -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """An inbox that takes some seconds, and the gradebook of an undisturbed run."""
    folder = tmp_path_factory.mktemp("slow")
    for number in range(8):
        submission(folder / "inbox" / f"s{number}", str(number), "wait")
    done = course(*WORDS, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "inbox", book(folder / "grades")


WORDS = ("inbox", "--assignment", "week05", "--out", "grades", "--sandbox", "none", "--no-warm")


def started(inbox, tmp_path):
    shutil.copytree(inbox, tmp_path / "inbox")
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*PROGRAM, *WORDS], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
    )
    deadline = time.monotonic() + 60
    while len(done_before(tmp_path / "grades")) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_kill_and_resume_give_the_gradebook_of_an_undisturbed_run(slow, tmp_path):
    inbox, expected = slow
    process = started(inbox, tmp_path)
    rng = random.Random(7)
    for _ in range(2):
        time.sleep(rng.uniform(0.5, 4))
        process.kill()
        process.wait()
        words = [*PROGRAM, *WORDS, "--resume"]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    assert process.wait(120) == 0
    assert book(tmp_path / "grades") == expected
    assert not (tmp_path / "grades" / ".work").exists()


def test_ctrl_c_says_how_to_go_on_and_keeps_what_is_finished(slow, tmp_path):
    inbox, expected = slow
    process = started(inbox, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "the same command and --resume" in err
    assert "course run" not in out + err
    assert "Traceback" not in err
    again = course(*WORDS, "--resume", folder=tmp_path)
    assert "graded already" in again.stdout
    assert book(tmp_path / "grades") == expected


def test_a_torn_line_of_the_journal_is_passed_over(quick, inbox, tmp_path):
    grades = tmp_path / "grades"
    grade(inbox, grades)
    with (grades / "journal.jsonl").open("a") as file:
        file.write('{"event": "begun", "submi')
    outcome, _ = grade(inbox, grades, resume=True)
    assert outcome.before == 5


def test_two_batches_at_a_time_are_refused(inbox, tmp_path):
    publishing.claim(tmp_path / "grades", "week05")
    with Journal(tmp_path / "grades"):
        second = course(*WORDS, folder=tmp_path)
    assert second.returncode == 1
    assert "another `course grade` is at work" in second.stderr
    assert "--out" in second.stderr


SECOND = """
from pathlib import Path
from course_utils.errors import CourseError
from course_utils.grading import publishing
from course_utils.grading.batch import grade_class
from course_utils.grading.workshop import Plan
plan = Plan(Path("grades"), "week05", publishing.rubric_of("week05", None), "none", warm=False)
try:
    grade_class(Path("inbox"), plan, None, hidden=Path("own.jsonl"))
except CourseError as error:
    print(error.message)
"""


def test_a_batch_that_is_turned_away_leaves_the_hidden_records_of_the_first(inbox, tmp_path):
    publishing.claim(tmp_path / "grades", "week05")
    hidden = tmp_path / "grades" / "hidden.jsonl"
    hidden.write_text("of the first batch")
    (tmp_path / "own.jsonl").write_text('{"instruction": "i", "input": "x", "output": "y"}\n')
    command = [sys.executable, "-c", SECOND]
    with Journal(tmp_path / "grades"):
        second = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
    assert "another `course grade` is at work" in second.stdout, second.stderr
    assert hidden.read_text() == "of the first batch"


FULL = """
mount -t tmpfs -o size={size} tmpfs "$1" || exit 77
cd "$2" && LEAST_SPACE={least} exec {python} {program} grade inbox --assignment week05 \
    --out "$1" --sandbox none --no-warm
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
@pytest.mark.parametrize(("size", "least"), [("1m", "200000000"), ("40k", "0")])
def test_a_full_disk_stops_with_a_message(tmp_path, size, least):
    (tmp_path / "disk").mkdir()
    for number in range(8):
        submission(tmp_path / "inbox" / f"s{number}", str(number))
    script = FULL.format(
        size=size, least=least, python=sys.executable, program=quick_checks.__file__
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path / "disk"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no space left" in done.stderr.lower()
    assert "free some disk space" in done.stderr
    assert "Traceback" not in done.stderr


# --- One submission's trouble -------------------------------------------------------------------


def test_what_is_odd_about_one_stops_no_other(quick, tmp_path):
    inbox = inbox_too_deep(tmp_path)
    submission(inbox / "ada", "x")
    open(os.fsencode(inbox) + b"/" + ("Лабораторная " * 5 + ".zip").encode("cp866"), "xb").close()
    who = functools.reduce(lambda inner, _: {"a": inner}, range(300), {})
    texts = ("classroom", "assignment", "submission", "commit", "release", "review", "datetime")
    told = {"schema": SCHEMA, "owner": "bob", "submitted_by": who} | dict.fromkeys(texts, "x")
    (submission(inbox / "bob", "x") / "result.json").write_text(json.dumps(told))
    outcome, _ = grade(inbox, tmp_path / "grades")
    found = {r.submission[:4]: (r.status, r.verdict) for r in outcome.results}
    assert found.pop("deep") == ("failed", "the grader itself failed here: OSError")
    assert {name: status for name, (status, _) in found.items()} == {
        **{"ada": "graded", "bob": "graded", "zip-": "rejected"},
    }
    again, _ = grade(inbox, tmp_path / "grades", resume=True)
    assert [result.submission for result in again.results] == ["deep"]


@pytest.mark.parametrize("name", ["executed.ipynb", "log.txt", "result.json", "."])
def test_what_cannot_be_written_is_not_said_to_be_a_full_disk(tmp_path, name):
    result = make_result(0)
    folder = tmp_path / result.submission
    (folder / name).mkdir(parents=True) if name != "." else folder.touch()
    executed = tmp_path / "executed.ipynb"
    executed.touch()
    with pytest.raises(CourseError, match=result.submission) as told:
        keep(Graded(result, [], executed), tmp_path)
    assert "space" not in f"{told.value.message} {told.value.cure}"


def test_no_student_gets_the_name_of_something_of_ours(quick, inbox, tmp_path):
    grades = tmp_path / "grades"
    for name in ("marks", "exports", "secret"):
        submission(inbox / name, name)
    outcome, _ = grade(inbox, grades)
    own, submissions = publishing.rubric_of("week05"), [r.submission for r in outcome.results]
    file = {"kind": "grading-marks", "version": 1, "assignment": own.assignment, "rubric": "0"}
    file |= {"marker": "Ada", "saved": "2026-11-28T10:00:00+00:00", "open": 0, "marks": {}}
    (tmp_path / "ada.json").write_text(json.dumps(file | {"bank": {}}))
    merge(grades, [tmp_path / "ada.json"], own, submissions)
    write_gradescope(grades, publishing.totals_to_export(grades), provisional=True)
    ours = {path.name for path in grades.iterdir()} - set(submissions)
    assert {"marks", "exports", "secret", "gradebook.csv"} <= ours
    assert [name for name in ours if names.slug(name) == name] == []


@pytest.mark.parametrize(
    "words", [("--assignment", "week05", "--sandbox", "none"), ("--practice",)]
)
def test_the_folder_that_one_is_in_can_be_graded(inbox, tmp_path, words):
    folder = inbox / "ada" if "--practice" in words else inbox
    done = course(".", *words, "--no-warm", folder=folder)
    assert done.returncode == 0, done.stderr
    assert folder.with_name(f"{folder.name}.grades").is_dir()


# --- What is refused ----------------------------------------------------------------------------


def test_a_rubric_with_a_missing_check_is_refused_before_anything_is_written(
    quick, inbox, tmp_path
):
    own = (find("week05").path / "rubric.yaml").read_text()
    changed = own.replace("check: records_valid", "check: records_vaild")
    (tmp_path / "rubric.yaml").write_text(changed)
    with pytest.raises(CourseError, match="records_vaild"):
        grade(inbox, tmp_path / "grades", rubric=tmp_path / "rubric.yaml")
    assert not (tmp_path / "grades").exists()


def test_somebody_elses_folder_is_not_graded_into(quick, inbox, tmp_path):
    (tmp_path / "grades").mkdir()
    (tmp_path / "grades" / "thesis.tex").write_text("mine")
    with pytest.raises(CourseError, match="did not make"):
        grade(inbox, tmp_path / "grades")


def test_only_takes_names_that_begin_so(quick, inbox, tmp_path):
    outcome, _ = grade(inbox, tmp_path / "grades", only=["a", "bo"])
    assert [result.submission for result in outcome.results] == ["ada", "bob"]
    with pytest.raises(UsageError, match="no submission begins so") as error:
        grade(inbox, tmp_path / "grades", only=["zoe"])
    assert "ada, bob" in error.value.cure


def test_strangers_work_is_refused_without_a_sandbox(monkeypatch):
    from course_utils.execution.sandbox.levels import Tried

    weak = (
        Tried("bwrap", False, "bubblewrap is not installed", "apt-get install bubblewrap"),
        Tried("landlock", False, "this kernel has no Landlock"),
        Tried("limits", True),
    )
    monkeypatch.setattr(workshop, "probe", lambda: weak)
    monkeypatch.setattr(workshop, "choose_level", lambda wanted: weak[2])
    with pytest.raises(CourseError, match="apt-get install bubblewrap") as error:
        level_for("auto")
    assert "--sandbox limits" in error.value.cure
    assert level_for("limits").level == "limits"
    assert level_for("auto", practice=True).level == "limits"


def test_little_space_stops_before_a_submission_is_blamed(quick, inbox, tmp_path, monkeypatch):
    monkeypatch.setattr(workshop, "LEAST_SPACE", 10**18)
    with pytest.raises(BatchStopped, match="no space left"):
        grade(inbox, tmp_path / "grades")
    assert not list((tmp_path / "grades").glob("*/result.json"))


def test_the_assignment_has_to_be_named(inbox, tmp_path):
    done = course("inbox", "--out", "grades", folder=tmp_path)
    assert done.returncode == 2
    assert "--assignment manufacturing" in done.stderr


# --- Practice -----------------------------------------------------------------------------------


def test_practice_tells_points_and_what_is_missing_and_writes_a_page(tmp_path):
    submission(tmp_path / "my_lab", "x", "wrong")
    done = course("my_lab", "--practice", "--sandbox", "none", "--no-warm", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "records.jsonl: line 3 is no JSON" in done.stdout
    assert "It would earn" in done.stdout
    page = (tmp_path / "my_lab.grades" / "my_lab" / "feedback.html").read_text()
    assert "line 3 is no JSON" in page
    assert (tmp_path / "my_lab.grades" / ".gitignore").read_text().endswith("\n*\n")


def test_practice_is_for_one_submission(inbox, tmp_path):
    done = course("inbox", "--practice", "--assignment", "week05", folder=tmp_path)
    assert done.returncode == 1
    assert "leave --practice out" in done.stderr
