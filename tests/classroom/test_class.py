"""A class of each assignment: marks as the hand-out says, every cheat reported, nobody else.

The small class runs with `make test`, the whole ones with `make classroom` (an hour each, most of
it training; what was trained once is kept in runs/classroom).
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from classroom.build import STUDIES, build, read_class
from classroom.compare import differences, same_marks

from course_utils.grading.results import results_of

KILLS = 10
TIMES = {"seconds", "memory_gb", "graded_at"}  # columns of the gradebook that no two runs share


def command(inbox: Path, assignment: str, grades: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "course_utils", "grade", str(inbox)]
    return [*base, "--assignment", assignment, "--out", str(grades), *more]


def grade(inbox: Path, assignment: str, grades: Path, *more: str) -> str:
    """A batch in a process of its own, as an instructor runs it."""
    environment = os.environ | {"COURSE_THREADS": "1"}
    done = subprocess.run(
        command(inbox, assignment, grades, *more), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def small(prepared, tmp_path_factory):
    """(the class, its grades): honest, incomplete, forged, copied and empty."""
    folder = build("week05", tmp_path_factory.mktemp("small") / "class", "small")
    grade(folder / "inbox", "week05", folder / "grades")
    return folder


def test_the_small_class_gets_the_marks_that_the_handout_promises(small):
    assert differences(small / "expected.yaml", small / "grades") == []


def test_a_second_run_changes_no_mark(small, tmp_path):
    before = [result.model_dump(exclude={"seconds", "memory_gb"}) for result in _results(small)]
    grade(small / "inbox", "week05", small / "grades", "--resume")
    after = [result.model_dump(exclude={"seconds", "memory_gb"}) for result in _results(small)]
    assert before == after


def _results(folder: Path):
    return results_of(folder / "grades")


@pytest.mark.parametrize("assignment", STUDIES)
def test_a_class_has_thirty_members_and_an_argument_for_each(assignment):
    members = read_class(assignment).members
    assert len(members) >= 30
    assert all(len(row.why.split()) >= 5 for row in members.values())


# --- Long ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=STUDIES)
def whole(request, prepared, tmp_path_factory):
    folder = build(request.param, tmp_path_factory.mktemp("whole") / "class")
    grade(folder / "inbox", request.param, folder / "grades", "--jobs", "2")
    return folder


@pytest.mark.long
def test_the_class_gets_the_marks_that_the_handout_promises(whole):
    assert differences(whole / "expected.yaml", whole / "grades") == []


@pytest.mark.long
@pytest.mark.parametrize("options", [["--jobs", "2"], ["--no-warm"]], ids=["two jobs", "spawn"])
def test_marks_do_not_depend_on_how_processes_start(small, tmp_path, options):
    grade(small / "inbox", "week05", tmp_path / "grades", *options)
    assert same_marks(small / "grades", tmp_path / "grades") == []


def gradebook(grades: Path) -> list[dict[str, str]]:
    """The gradebook without its times."""
    with (grades / "gradebook.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if name not in TIMES} for row in rows]


@pytest.mark.long
def test_a_batch_that_is_killed_ten_times_gives_the_same_gradebook(small, tmp_path):
    rng = random.Random(7)
    grades = tmp_path / "grades"
    for _ in range(KILLS):
        words = command(small / "inbox", "week05", grades, "--resume")
        # A group of its own: `kill -9` of the group takes nothing else with it.
        batch = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(3, 25))
        os.kill(batch.pid, signal.SIGKILL)
        batch.wait()
    grade(small / "inbox", "week05", grades, "--resume")
    assert gradebook(grades) == gradebook(small / "grades")
