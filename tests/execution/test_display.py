"""Where a run stands: what the kernel reports, what a terminal shows."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from course_utils.execution.display import Progress, TerminalDisplay
from course_utils.execution.jobs import Job
from course_utils.progress import PROGRESS_FILE, read_progress, report_progress


def test_reported_progress_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress"))
    report_progress(3, 3, "step")
    assert read_progress(tmp_path / "progress") == {"done": 3.0, "total": 3.0, "text": "step"}
    assert [path.name for path in tmp_path.iterdir()] == ["progress"]


def test_progress_without_a_listener_or_a_folder_is_silent(tmp_path, monkeypatch):
    monkeypatch.delenv(PROGRESS_FILE, raising=False)
    report_progress(1, 1)
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "missing" / "progress"))
    report_progress(1, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"done": 1, "total": 0}', '{"done": "x"}'])
def test_broken_progress_file_is_no_progress(tmp_path, text):
    (tmp_path / "progress").write_text(text, encoding="utf-8")
    assert read_progress(tmp_path / "progress") == {}


def test_remaining_time_follows_the_pace_of_the_finished_notebooks(tmp_path):
    jobs = [Job(name, Path(name), tmp_path, expected=60) for name in "abc"]
    progress = Progress(jobs)
    assert progress.remaining(0, elapsed=10) == 50 + 120
    progress.finished(jobs[0], seconds=120)
    assert progress.remaining(1, elapsed=20) == 100 + 120
    jobs[2].expected = None
    assert Progress(jobs).remaining(1, elapsed=20) is None
    assert Progress(jobs).remaining(2, elapsed=20, share=0.5) == 20


def test_terminal_shows_a_bar_with_the_cell_and_the_time_left(tmp_path):
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=120)
    job = Job("03_lora_sft", tmp_path, tmp_path, expected=600)
    with TerminalDisplay(console, [job]) as display:
        display.start(0)
        display.tick(0, 60, 4, 10, {"done": 5, "total": 20, "text": "step 5"})
        display.bars.refresh()
        display.end(0, job.result("done", seconds=70))
    assert "cell 4/10, 25% step 5, 1 min 00 s, about 9 min 00 s left" in printed.getvalue()
    assert "done after 1 min 10 s" in printed.getvalue()
