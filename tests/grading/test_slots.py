"""One submission a GPU at a time; no GPU is needed to see who waits for whom."""

import contextlib
import threading
import time
from types import SimpleNamespace

import pytest

from course_utils.assignments.definition import find
from course_utils.execution.sandbox.system import DEVICES
from course_utils.grading import publishing, single, slots
from course_utils.grading.batch import grade_class
from course_utils.grading.judging import registry
from course_utils.grading.judging.judgement import earned
from course_utils.grading.workshop import Plan

GPU = ["/dev/nvidia0"]


def waits(folder, devices, others):
    """Whether a second thread with `others` waits while this one holds a slot."""
    inside = threading.Event()

    def second():
        with slots.gpu_slot(others, folder):
            inside.set()

    thread = threading.Thread(target=second, daemon=True)
    with slots.gpu_slot(devices, folder):
        thread.start()
        waited = not inside.wait(0.3)
    thread.join(10)
    assert inside.is_set(), "who waited must have its turn"
    return waited


@pytest.mark.parametrize(
    ("devices", "others", "expected"),
    [(GPU, GPU, True), ([], GPU, False), (GPU, [], False), ([], [], False)],
)
def test_two_submissions_share_no_gpu_and_nobody_waits_without_one(
    tmp_path, devices, others, expected
):
    assert waits(tmp_path, devices, others) is expected


def test_who_sees_another_gpu_does_not_wait(tmp_path, monkeypatch):
    monkeypatch.setenv(slots.VISIBLE, "0")
    with slots.gpu_slot(GPU, tmp_path):
        monkeypatch.setenv(slots.VISIBLE, "1")
        assert waits(tmp_path, GPU, []) is False


def test_a_submission_that_fails_gives_its_slot_back(tmp_path):
    with pytest.raises(ZeroDivisionError), slots.gpu_slot(GPU, tmp_path):
        raise ZeroDivisionError
    assert waits(tmp_path, GPU, GPU)


# --- A batch with more jobs than slots ----------------------------------------------------------


class Room:
    """A check that counts how many submissions are judged at a moment."""

    def __init__(self):
        self.guard, self.inside, self.most = threading.Lock(), 0, 0

    def check(self, case):
        with self.guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.05)
        with self.guard:
            self.inside -= 1
        return earned(case, 1)


@pytest.fixture
def room(quick):
    """In place of every check of week 5."""
    room, assignment = Room(), find("week05").folder
    registry.CHECKS[assignment] = dict.fromkeys(registry.CHECKS[assignment], room.check)
    return room


def graded(tmp_path, submissions, jobs):
    for number in range(submissions):
        (tmp_path / "inbox" / f"s{number}").mkdir(parents=True)
        (tmp_path / "inbox" / f"s{number}" / "README.md").write_text(str(number))
    rubric = publishing.rubric_of("week05", None)
    plan = Plan(tmp_path / "grades", "week05", rubric, "none", jobs, warm=False)
    said = []
    screen = SimpleNamespace(is_terminal=False, print=lambda text, **_: said.append(str(text)))
    return grade_class(tmp_path / "inbox", plan, screen).results, " ".join(said)


@pytest.mark.parametrize(("device", "most"), [("/dev/null", 1), ("", 3)], ids=["one GPU", "no GPU"])
def test_three_jobs_on_one_gpu_are_judged_one_after_the_other(
    room, tmp_path, monkeypatch, device, most
):
    """The device's file is real, and so is the lock; what judges is quick."""
    monkeypatch.setenv(DEVICES, device)
    results, said = graded(tmp_path, submissions=5, jobs=3)
    assert room.most == most
    assert ("one at a time, for the GPU" in said) is bool(device)
    assert {result.status for result in results} == {"graded"}
    assert len({tuple(item.points for item in result.items) for result in results}) == 1


def test_the_time_that_others_had_the_gpu_is_not_counted(room, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)

    @contextlib.contextmanager
    def slot(devices):
        clock.now += 500  # another submission's
        yield

    monkeypatch.setattr(single, "gpu_slot", slot)
    monkeypatch.setattr(single, "time", SimpleNamespace(monotonic=lambda: clock.now))
    [result], _ = graded(tmp_path, submissions=1, jobs=1)
    assert result.seconds == 0
