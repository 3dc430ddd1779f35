"""Real papermill, real kernels: small notebooks are written, executed, broken and interrupted."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from rich.console import Console
from small_notebooks import outputs, run, wait_until, write_notebook

from course_utils.errors import CourseError
from course_utils.execution import running, state
from course_utils.execution.display import failure_lines, summary_table
from course_utils.execution.notebooks import find_notebooks
from course_utils.execution.processes import is_gone
from course_utils.execution.state import locked
from course_utils.execution.worker import judge

ROOT = Path(__file__).parents[2]

# --- One batch of every kind ------------------------------------------------------------------

# Without its first letter: the paths of this machine are taken out of executed copies.
GOOD = """import os
from course_utils.progress import report_progress
report_progress(1, 2, "half")
print(records * 2, os.environ["COURSE_FLAG"], os.getcwd()[1:])"""
DAEMON = """import subprocess, sys
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(sleeper, start_new_session=True).pid)"""
OTHER_KERNEL = {"kernelspec": {"name": "someones-env", "display_name": "x", "language": "python"}}
JULIA = {"kernelspec": {"name": "julia-1.10", "display_name": "Julia", "language": "julia"}}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Good and bad notebooks run in one batch: (results by name, what was printed, folder)."""
    folder = tmp_path_factory.mktemp("batch") / "a {brace}"
    (folder / "broken.ipynb").parent.mkdir()
    (folder / "broken.ipynb").write_text('{"cells": [', encoding="utf-8")
    (folder / "empty.ipynb").write_text("", encoding="utf-8")
    notebooks = [
        write_notebook(folder / "raises.ipynb", "1", "raise ValueError('boom')", "3"),
        write_notebook(folder / "one" / "same.ipynb", GOOD, parameters="records = 1  # x = 1"),
        write_notebook(folder / "two" / "same.ipynb", "1 + 1"),
        write_notebook(folder / "sys_exit.ipynb", "1", "import sys; sys.exit(0)", "3"),
        write_notebook(folder / "os_exit.ipynb", "1", "import os; os._exit(0)", "3"),
        write_notebook(
            folder / "foreign.ipynb", DAEMON, "1 / 0", metadata=OTHER_KERNEL, tag="raises-exception"
        ),
        write_notebook(folder / "julia.ipynb", "1", metadata=JULIA),
        folder / "broken.ipynb",
        folder / "empty.ipynb",
        folder / "missing.ipynb",
    ]
    printed = io.StringIO()
    out = folder / "out"
    results = run(notebooks, out, {"records": 21}, console=Console(file=printed), cwd=folder)
    return results, printed.getvalue(), folder


def test_batch_goes_on_after_failures(batch):
    statuses = {name: result.status for name, result in batch[0].items()}
    assert statuses == {
        "raises": "failed",
        "one-same": "done",
        "two-same": "done",
        "sys_exit": "failed",
        "os_exit": "failed",
        "foreign": "done",
        "julia": "invalid",
        "broken": "invalid",
        "empty": "invalid",
        "missing": "invalid",
    }


def test_notebook_gets_parameters_environment_and_working_folder(batch):
    results, _, folder = batch
    assert f"42 flag {str(folder)[1:]}" in outputs(results["one-same"])


def test_failing_cell_is_told_in_three_lines(batch):
    result = batch[0]["raises"]
    lines = failure_lines(result)
    assert lines == ["raises, cell 2 of 3", "ValueError: boom", f"Log: {result.log}"]
    assert "raise ValueError('boom')" in result.log.read_text(encoding="utf-8")
    assert result.executed.name == "raises.failed.ipynb"


@pytest.mark.parametrize(("name", "word"), [("sys_exit", "SystemExit"), ("os_exit", "memory")])
def test_notebook_that_ends_itself_has_failed(batch, name, word):
    result = batch[0][name]
    assert (result.cell, result.cells) == (2, 3)
    assert word in result.error


def test_cell_tagged_raises_exception_may_raise(batch):
    copy = nbformat.read(batch[0]["foreign"].executed, as_version=4)
    assert "ZeroDivisionError" in str(copy.cells[-1].outputs)
    assert "papermill-error" not in str(copy.cells)


def test_process_left_by_a_notebook_is_ended(batch):
    pid = int(outputs(batch[0]["foreign"]).split()[0])
    assert not psutil.pid_exists(pid) or is_gone(psutil.Process(pid))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("julia", "no Jupyter kernel named julia-1.10"),
        ("broken", "broken JSON"),
        ("empty", "the file is empty"),
        ("missing", "no such file"),
    ],
)
def test_unusable_notebook_is_invalid_with_a_cure(batch, name, words):
    result = batch[0][name]
    assert words in result.error
    assert result.cure
    assert failure_lines(result)[0] == f"{name}, not started"


def test_only_whole_named_files_are_left(batch):
    left = {path.name for path in (batch[2] / "out").iterdir()}
    copies = {"one-same.ipynb", "two-same.ipynb", "foreign.ipynb"}
    copies |= {f"{name}.failed.ipynb" for name in ("raises", "sys_exit", "os_exit")}
    logs = {f"{name}.log" for name in batch[0] if name not in ("broken", "empty", "missing")}
    assert left == copies | logs | {"state.json", ".lock"}


def test_without_a_terminal_each_notebook_prints_a_start_and_an_end(batch):
    lines = [line for line in batch[1].splitlines() if "raises:" in line]
    assert [line.split(" after")[0] for line in lines] == [
        "[1/10] raises: started",
        "[1/10] raises: failed",
    ]


def test_notebooks_without_parameters_cell_are_warned_about(batch):
    warnings = [line for line in batch[1].splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1
    assert "sys_exit.ipynb" in warnings[0]


def test_summary_has_a_row_for_each_notebook(batch):
    table = summary_table(list(batch[0].values()))
    printed = io.StringIO()
    Console(file=printed, width=200).print(table)
    assert table.row_count == 10
    assert "ValueError: boom" in printed.getvalue()


def test_executed_copies_are_not_found_as_notebooks(batch):
    stems = sorted(path.stem for path in find_notebooks([batch[2]]))
    sources = "broken empty foreign julia os_exit raises same same sys_exit"
    assert stems == sources.split()


# --- Limits, resuming, interruption -----------------------------------------------------------


def test_time_limit_ends_a_stubborn_notebook_and_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "INTERRUPT_GRACE", 1)
    monkeypatch.setattr(running, "TERMINATE_GRACE", 1)
    stubborn = f"""{DAEMON}
import os, time, signal
print(os.getpid())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass"""
    notebook = write_notebook(tmp_path / "slow.ipynb", stubborn)

    def printed(log: Path) -> list[int]:
        text = log.read_text(encoding="utf-8")
        return [int(n) for n in re.findall(r"(?:^|\s)(\d+)$", text, re.MULTILINE)]

    # A busy machine takes long to start a kernel: the time begins when both have said who they are.
    begun = property(lambda own: 60.0 * (len(printed(own.job.path(".log"))) > 1))
    monkeypatch.setattr(running.Running, "elapsed", begun)
    result = run([notebook], tmp_path / "out", time_limit_minutes={"slow": 0.12})["slow"]
    assert result.status == "timed_out"
    assert "0.12 min" in result.error
    assert "--time-limit" in failure_lines(result)[1]
    pids = printed(result.log)
    assert len(pids) == 2
    assert all(not psutil.pid_exists(pid) or is_gone(psutil.Process(pid)) for pid in pids)


def test_resume_skips_what_is_the_same_and_reruns_what_follows_a_change(tmp_path):
    first = write_notebook(tmp_path / "first.ipynb", "x", parameters="x = 1")
    second = write_notebook(tmp_path / "second.ipynb", "1")

    def statuses(parameters: dict) -> list[str]:
        options = {"resume": True, "chain": True}
        results = run([first, second], tmp_path / "out", parameters, **options)
        return [result.status for result in results.values()]

    assert statuses({}) == ["done", "done"]
    assert statuses({}) == ["skipped", "skipped"]
    write_notebook(second, "2")
    assert statuses({}) == ["skipped", "done"]
    assert statuses({"x": 2}) == ["done", "done"]


RUNNER = """
import json, sys
from pathlib import Path
from course_utils.execution.runner import Interrupted, execute_notebooks
out, *notebooks = map(Path, sys.argv[1:])
try:
    results = execute_notebooks(notebooks, out, {}, {"OMP_NUM_THREADS": "1"}, 5, True, True)
except Interrupted as interrupted:
    results = interrupted.results
print(json.dumps([[r.name, r.status, r.cell, r.error] for r in results]))
"""


def start_runner(out: Path, *notebooks: Path, before: str = "") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", before + RUNNER, str(out), *map(str, notebooks)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def statuses_of(runner: subprocess.Popen) -> list:
    """[name, status, cell, error] of each result."""
    return json.loads(runner.communicate(timeout=90)[0].splitlines()[-1])


@pytest.fixture
def waiting(tmp_path):
    """A notebook whose cell writes its kernel's pid, then waits for the file `go`."""
    source = f"""import os, time, pathlib
pathlib.Path({str(tmp_path / "new")!r}).write_text(str(os.getpid()))
os.replace({str(tmp_path / "new")!r}, {str(tmp_path / "pid")!r})
while not pathlib.Path({str(tmp_path / "go")!r}).exists():
    time.sleep(0.05)"""
    return write_notebook(tmp_path / "waiting.ipynb", "1", source)


def kernel_once_running(tmp_path: Path) -> psutil.Process:
    wait_until((tmp_path / "pid").exists)
    return psutil.Process(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_ctrl_c_ends_the_kernel_and_the_run_can_be_resumed(tmp_path, waiting):
    quick = write_notebook(tmp_path / "quick.ipynb", "1")
    runner = start_runner(tmp_path / "out", quick, waiting)
    kernel = kernel_once_running(tmp_path)
    runner.send_signal(signal.SIGINT)
    quick_result, interrupted = statuses_of(runner)
    assert quick_result[:3] == ["quick", "done", 1]
    assert interrupted[:3] == ["waiting", "interrupted", 2]
    assert is_gone(kernel)
    assert not (tmp_path / "out" / "waiting.ipynb").exists()
    (tmp_path / "go").touch()
    resumed = run([quick, waiting], tmp_path / "out", resume=True)
    assert [result.status for result in resumed.values()] == ["skipped", "done"]


def test_kill_9_of_the_runner_leaves_no_kernel_and_the_run_can_be_resumed(tmp_path, waiting):
    runner = start_runner(tmp_path / "out", waiting)
    kernel = kernel_once_running(tmp_path)
    worker = kernel.parent()
    runner.kill()
    runner.communicate()
    wait_until(lambda: is_gone(kernel) and is_gone(worker), 30)
    (tmp_path / "go").touch()
    assert run([waiting], tmp_path / "out", resume=True)["waiting"].status == "done"
    assert not list((tmp_path / "out").glob("*.partial.ipynb"))


def test_copy_that_can_not_be_written_is_reported_and_not_left_half_written(tmp_path):
    """A file size limit stands in for a full disk: the same write fails in the same place."""
    notebook = write_notebook(tmp_path / "large.ipynb", "'x' * 100_000")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
    runner = start_runner(tmp_path / "out", notebook, before=limit)
    [[_, status, cell, error]] = statuses_of(runner)
    assert (status, cell) == ("failed", 1)
    assert "not written" in error
    for copy in (tmp_path / "out").glob("*.ipynb"):
        nbformat.validate(nbformat.read(copy, as_version=4))
    assert not (tmp_path / "out" / "large.ipynb").exists()


def test_second_run_into_the_same_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "LOCK_SECONDS", 0)
    notebook = write_notebook(tmp_path / "mine.ipynb", "1")
    (tmp_path / "out").mkdir()
    with (
        locked(tmp_path / "out"),
        pytest.raises(CourseError, match="another run is writing"),
    ):
        run([notebook], tmp_path / "out")


def test_output_folder_that_holds_the_notebook_is_refused(tmp_path):
    notebook = write_notebook(tmp_path / "mine.ipynb", "1")
    with pytest.raises(CourseError, match="would overwrite the notebook"):
        run([notebook], tmp_path)


def test_success_with_a_cell_that_never_ran_is_a_failure():
    cell = {"cell_type": "code", "source": "1", "outputs": [], "metadata": {}}
    verdict = judge({"cells": [{**cell, "execution_count": 1}, {**cell, "execution_count": None}]})
    assert (verdict["status"], verdict["cell"], verdict["cells"]) == ("failed", 2, 2)
