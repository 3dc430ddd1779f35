"""Marks do not depend on how many run at a time, how processes start, or what was interrupted.

Over the small class of week 5, judged for real on the nano model.
"""

import os
import random
import shutil
import signal
import subprocess
import time

import psutil
import pytest
from classroom.batches import ENVIRONMENT, beside, book, command, grade
from classroom.compare import same_marks

from course_utils.execution.sandbox.box import PREFIX
from course_utils.grading.journal import done_before
from course_utils.grading.results import results_of

KILLS, MOST = 10, 2  # a kill comes after 0 to MOST further submissions, at a moment of the next
WAYS = {
    "two at a time": ["--jobs", "2"],
    "spawn": ["--no-warm"],
    "spawn, two at a time": ["--no-warm", "--jobs", "2"],
}

pytestmark = pytest.mark.long


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
def test_marks_do_not_depend_on_how_processes_start(small, tmp_path, options):
    grades = beside(small / "grades", tmp_path / "grades", "week05")
    grade(small / "inbox", "week05", grades, *options)
    assert same_marks(small / "grades", grades) == []
    assert book(grades) == book(small / "grades")


def test_a_batch_that_is_killed_ten_times_gives_the_same_gradebook(small, tmp_path):
    """Where a batch ends before its kill, its gradebook is compared and another one begun."""
    rng, kills, progress = random.Random(7), 0, []
    one = float((small / "seconds").read_text()) / len(results_of(small / "grades"))
    grades = beside(small / "grades", tmp_path / "grades", "week05")
    while kills < KILLS:
        further, moment = rng.randint(0, MOST), rng.uniform(0, one)
        killed, pid = killed_after(further, moment, small / "inbox", grades)
        kills += killed
        progress.append(len(done_before(grades)))
        print(f"kill {kills}: {progress[-1]} graded", flush=True)
        assert nothing_left_of(pid), "a killed batch must take its submissions with it"
        if not killed:
            assert book(grades) == book(small / "grades")
            shutil.rmtree(grades)
            beside(small / "grades", grades, "week05")
    grade(small / "inbox", "week05", grades, "--resume")
    assert any(progress), "no kill came after a submission was graded"
    assert same_marks(small / "grades", grades) == []
    assert book(grades) == book(small / "grades")
    assert not (grades / ".work").exists()


def killed_after(further, seconds, inbox, grades):
    """(whether `kill -9` met the batch at work, its process id)."""
    words = command(inbox, "week05", grades, "--resume")
    batch = subprocess.Popen(
        words, start_new_session=True, stdout=subprocess.DEVNULL, env=os.environ | ENVIRONMENT
    )
    enough = len(done_before(grades)) + further
    while batch.poll() is None and len(done_before(grades)) < enough:
        time.sleep(0.1)
    try:
        batch.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(batch.pid, signal.SIGKILL)
        batch.wait()
        return True, batch.pid
    assert batch.returncode == 0
    return False, batch.pid


def nothing_left_of(pid, seconds=30):
    """Whether all that a batch had started in its sandbox is gone, within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(f"{PREFIX}{pid}-" in words for words in command_lines()):
            return True
        time.sleep(0.5)
    return False


def command_lines():
    for process in psutil.process_iter(["cmdline"]):
        yield " ".join(process.info["cmdline"] or ())
