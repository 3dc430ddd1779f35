"""A class judged: verdicts, neighbours unmoved, nothing lost, nothing done twice.

Quick checks stand in for those that need a model (tests/quick_checks.py); inbox, sandbox, cache,
journal and pages are the real ones.
"""

import csv
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
from sandboxes import level_or_skip

from course_utils.assignments.definition import find
from course_utils.errors import CourseError, UsageError
from course_utils.grading import publishing, workshop
from course_utils.grading.batch import grade_class
from course_utils.grading.cache import BatchStopped
from course_utils.grading.journal import Journal, done_before
from course_utils.grading.results import read_result
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
