"""How runs end: the sentence for each end, and real notebooks in the sandbox."""

import sys

import nbformat
import pytest
from sandboxes import opened
from small_notebooks import run, write_notebook

from course_utils.execution.alone import run_notebook
from course_utils.execution.custody import Custody
from course_utils.execution.sandbox.limits import GIB, MIB, Limits
from course_utils.execution.sandbox.verdicts import (
    Verdict,
    command_verdict,
    limit_sentence,
    notebook_verdict,
)
from course_utils.execution.workers import WorkerServer

LIMITS = Limits(wall=60, cell=3, memory=400 * MIB, disk=50 * MIB, output=3 * MIB)


@pytest.mark.parametrize(
    ("reason", "used", "limit", "sentence"),
    [
        ("memory", 3.1 * GIB, 3 * GIB, "memory 3.1 of 3.0 GiB"),
        ("memory", 1.2 * GIB, 900 * MIB, "memory 1.2 GiB of 900 MiB"),
        ("disk", 312 * MIB, 300 * MIB, "disk 312 of 300 MiB"),
        ("message", None, 8 * MIB, "output in one piece of more than 8 MiB"),
        ("processes", 130, 128, "130 processes and threads of at most 128"),
    ],
)
def test_a_limit_is_told_with_used_and_allowed(reason, used, limit, sentence):
    assert limit_sentence(reason, used, limit) == sentence


@pytest.mark.parametrize(
    ("judged", "end", "text"),
    [
        ({"status": "done"}, {}, "finished"),
        ({"status": "done"}, {"reason": "ended"}, "finished"),
        ({"status": "failed", "error": "KeyError: 'x'"}, {}, "KeyError in cell 2"),
        ({"status": "failed", "error": "SystemExit: 0 ..."}, {}, "stopped by sys.exit in cell 2"),
        (
            {"status": "failed", "error": "DeadKernelError: ..."},
            {"code": -11},
            "kernel died in cell 2 (SIGSEGV)",
        ),
        (
            {"status": "failed", "error": "DeadKernelError: ..."},
            {"reason": "memory", "used": 3.1 * GIB, "limit": 3 * GIB},
            "memory 3.1 of 3.0 GiB in cell 2",
        ),
        (
            {"status": "failed", "error": "KeyboardInterrupt"},
            {"reason": "cell", "used": 61, "limit": 60},
            "time limit in cell 2 (60 s for a cell)",
        ),
        ({"status": "invalid", "error": "broken JSON"}, {}, "rejected: broken JSON"),
    ],
)
def test_a_notebooks_end_has_one_sentence(judged, end, text):
    verdict = notebook_verdict({"cell": 2, "cells": 3, **judged}, end, [1, 2], [])
    assert verdict.text == text


def test_a_verdict_travels_as_json():
    verdict = command_verdict({"code": 0})
    assert Verdict(**verdict.as_json()) == verdict


# --- Real notebooks -------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="no sandbox on Windows")
BAR = """import sys, time, warnings
warnings.warn("old")
print("to stderr", file=sys.stderr)
for n in range(20):
    print(f"\\r{n}/20", end="", file=sys.stderr)
open("made.txt", "w").write("mine")"""
ENDS = {
    "good": (["1", BAR, "3"], "finished"),
    "raises": (["1", "1 / 0", "3"], "ZeroDivisionError in cell 2"),
    "sys_exit": (["1", "import sys; sys.exit(0)", "3"], "stopped by sys.exit in cell 2"),
    "os_exit": (["1", "import os; os._exit(0)", "3"], "kernel died in cell 2 (exit code 0)"),
    "crash": (["1", "import os; os.kill(os.getpid(), 11)"], "kernel died in cell 2 (SIGSEGV)"),
    "loop": (["1", "while True: pass", "3"], "time limit in cell 2 (3 s for a cell)"),
    "memory": (
        ["import time\nx = []\nwhile True:\n    x.append(b'1' * 20_000_000); time.sleep(0.05)"],
        "of 400 MiB in cell 1",
    ),
    "disk": (
        ["import time\nfor n in range(99):\n    open(f'{n}', 'wb').write(b'1' * 5_000_000)\n"
         "    time.sleep(0.05)\ntime.sleep(2)"],
        "of 50 MiB in cell 1",
    ),
    "output": (["1", "import time\nwhile True: print('x' * 5000); time.sleep(0.002)"], "of 3 MiB"),
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Each notebook's result, two at a time through a warm sandbox of the strongest level."""
    folder = tmp_path_factory.mktemp("verdicts")
    notebooks = [
        write_notebook(folder / "in" / name / f"{name}.ipynb", *cells)
        for name, (cells, _) in ENDS.items()
    ]
    with opened("auto", warm=True) as box, WorkerServer() as workers:
        custody = Custody(box, LIMITS, workers=workers)
        yield run(notebooks, folder / "out", custody=custody, workers=2, time_limit_minutes=1)


@posix
@pytest.mark.parametrize("name", ENDS)
@pytest.mark.long
def test_a_notebook_ends_in_its_named_verdict(results, name):
    assert ENDS[name][1] in results[name].verdict.text


@posix
@pytest.mark.long
def test_reached_and_failed_cells_are_told(results):
    told = {n: (r.verdict.reached, r.verdict.failed) for n, r in results.items()}
    assert told["good"] == ([1, 2, 3], [])
    assert told["raises"] == ([1, 2], [2])
    assert told["os_exit"] == ([1, 2], [])


@posix
@pytest.mark.long
def test_level_and_use_are_written_into_each_result(results):
    for result in results.values():
        assert result.sandbox in ("bwrap", "landlock", "limits")
        assert result.usage["peak"] > 10 * MIB
        assert result.usage["seconds"] > 0


@posix
@pytest.mark.long
def test_a_loop_that_is_interrupted_shows_in_the_copy_where(results):
    copy = nbformat.read(results["loop"].executed, as_version=4)
    assert "KeyboardInterrupt" in str(copy.cells)


@posix
def test_one_notebook_alone_in_a_place_that_stays(tmp_path):
    notebook = write_notebook(
        tmp_path / "in" / "hw.ipynb", "print(size)", BAR, parameters="size = 1"
    )
    (tmp_path / "in" / "data.csv").write_text("a", encoding="utf-8")
    (tmp_path / "in" / "other.ipynb").write_text("{}", encoding="utf-8")
    with opened("auto") as box:
        custody = Custody(box, LIMITS)
        place = custody.admit(notebook)
        values = {"size": 7, "unknown": 1}
        result = run_notebook(notebook, tmp_path / "out", custody, place, values)
        assert result.verdict.text == "finished", result.log.read_text(encoding="utf-8")
        assert (place.folder / "made.txt").read_text(encoding="utf-8") == "mine"
        assert (place.folder / "data.csv").exists()
        assert not (place.folder / "other.ipynb").exists()  # in a flat inbox: somebody else's
    assert not (tmp_path / "in" / "made.txt").exists()
    assert nbformat.read(result.executed, as_version=4).cells[2].outputs == []
    assert "7" in str(nbformat.read(result.executed, as_version=4).cells)


@posix
def test_a_file_that_is_no_notebook_is_rejected(tmp_path):
    (tmp_path / "hw.ipynb").write_text("no JSON", encoding="utf-8")
    with opened("auto") as box:
        result = run_notebook(tmp_path / "hw.ipynb", tmp_path / "out", Custody(box, LIMITS))
    assert result.verdict.reason == "rejected"
    assert "broken JSON" in result.verdict.text
