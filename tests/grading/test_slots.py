"""One submission a GPU at a time; no GPU is needed to see who waits for whom."""

import threading

import pytest

from course_utils.grading import slots

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
