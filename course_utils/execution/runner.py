"""Executing notebooks: one after another, each in a child process, with limits and a memory.

Into the output folder go, for the notebook `03_lora_sft.ipynb`:

03_lora_sft.partial.ipynb  while it runs: written whole after every cell
03_lora_sft.ipynb          when it finished
03_lora_sft.failed.ipynb   when a cell failed or the time was up
03_lora_sft.log            papermill's lines, the cells' outputs, the traceback
state.json                 what finished, with which settings: `resume` skips it

Ctrl-C reaches this process alone; it ends the child, its kernel and all they started.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.execution.display import PlainDisplay, TerminalDisplay
from course_utils.execution.jobs import (
    Interrupted,
    Job,
    Limits,
    NotebookResult,
    is_fresh,
    plan_jobs,
)
from course_utils.execution.notebooks import validate_parameters
from course_utils.execution.state import locked, remember
from course_utils.execution.worker import descendants, end_processes
from course_utils.progress import PROGRESS_FILE, read_progress

TICK_SECONDS = 0.25

INTERRUPT_GRACE = 8  # seconds for a cell to take KeyboardInterrupt, so that the copy shows where
TERMINATE_GRACE = 3
WORKER_EXIT_SECONDS = 30


def _start_worker(
    job: Job, log: IO[bytes], environment: Mapping[str, str], cwd: Path, keep: list[int]
) -> subprocess.Popen:
    """The child process, in a session of its own so that Ctrl-C does not reach it."""
    env = {**os.environ, **environment}
    env[PROGRESS_FILE] = str(job.progress_path)
    root = kit.ROOT
    if (root / "pyproject.toml").exists():  # a plain clone: the kernel must find course_utils too
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH")]))
    # -P: a file named like a library in the working folder must not be imported in its place.
    command = [sys.executable, "-P", "-c"]
    return subprocess.Popen(
        [*command, "from course_utils.execution.worker import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=cwd,
        env=env,
        start_new_session=True,
        pass_fds=keep if os.name == "posix" else (),
    )


def _send_job(process: subprocess.Popen, job: Job, sockets: str) -> None:
    text = json.dumps(
        {
            "source": str(job.source),
            "output": str(job.path(".partial.ipynb")),
            "parameters": job.passed,
            "sockets": sockets,
        },
        default=str,
    )
    with contextlib.suppress(OSError):  # a worker that is dead already says so by its exit status
        process.stdin.write(text.encode("utf-8") + b"\n")
        process.stdin.flush()  # and stays open: the worker ends when it closes


def _events(process: subprocess.Popen) -> "queue.Queue[dict | None]":
    """The worker's JSON lines as a queue; None when it has closed its end."""
    events: queue.Queue[dict | None] = queue.Queue()

    def pump() -> None:
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                events.put(json.loads(line))
        events.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return events


def _follow(
    process: subprocess.Popen, job: Job, index: int, display: PlainDisplay, seen: dict[str, Any]
) -> dict[str, Any]:
    """Watch a worker until it ends; return its verdict, or {"status": "timed_out", ...}.

    `seen` (cell, cells, kernel) is kept up to date meanwhile.
    """
    started, events = time.monotonic(), _events(process)
    verdict: dict[str, Any] = {}
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                event = events.get(timeout=TICK_SECONDS)
                if event is None:
                    break
                (verdict if event.pop("event") == "end" else seen).update(event)
            elapsed = time.monotonic() - started
            if job.limit and elapsed > job.limit and not verdict:
                return {**seen, **_time_is_up(job)}
            fine = read_progress(job.progress_path)
            display.tick(index, elapsed, seen["cell"], seen["cells"], fine)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WORKER_EXIT_SECONDS)
    finally:
        _end_worker(process, seen["kernel"])
    return verdict or {**seen, "status": "failed", "error": _worker_death(process.returncode)}


def _time_is_up(job: Job) -> dict[str, Any]:
    minutes = f"{job.limit / 60:g} min"
    return {
        "status": "timed_out",
        "error": f"TimeLimit: not finished within {minutes}, the limit for this notebook",
        "cure": "raise the limit (--time-limit MINUTES) or give the notebook less to do",
    }


def _worker_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"the notebook's process was ended by {name}: the machine may have run out of memory"
    return f"the notebook's process ended early with exit code {code}: the log says why"


def _end_worker(process: subprocess.Popen, kernel: int | None) -> None:
    """End a worker and all below it; a second Ctrl-C meanwhile cuts the grace short."""
    import psutil

    if process.poll() is None:
        tree = [*descendants(process.pid), psutil.Process(process.pid)]
        try:
            _interrupt(process, kernel)
            end_processes({*tree, *descendants(process.pid)}, TERMINATE_GRACE)
        except KeyboardInterrupt:
            end_processes({*tree, *descendants(process.pid)}, 0)
    elif kernel and process.returncode:  # the worker died: its kernel's family may still run
        with contextlib.suppress(psutil.NoSuchProcess):
            end_processes([*descendants(kernel), psutil.Process(kernel)], TERMINATE_GRACE)
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_GRACE)


def _interrupt(process: subprocess.Popen, kernel: int | None) -> None:
    """KeyboardInterrupt in the running cell: the copy then shows where, and finally-blocks run."""
    if kernel is None or os.name != "posix":
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(kernel, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(INTERRUPT_GRACE)


def _run_job(
    job: Job,
    index: int,
    environment: Mapping[str, str],
    cwd: Path,
    display: PlainDisplay,
    keep: list[int],
) -> NotebookResult:
    """Run one notebook in a child process and give its copy the name that its end deserves."""
    endings = [".ipynb", ".partial.ipynb", ".failed.ipynb", ".log"]
    for path in [*map(job.path, endings), *job.scraps()]:
        path.unlink(missing_ok=True)
    display.start(index)
    clock, started = time.monotonic(), datetime.now(UTC).isoformat()
    partial, log_path = job.path(".partial.ipynb"), job.path(".log")
    seen: dict[str, Any] = {"cell": 0, "cells": 0, "kernel": None}
    try:
        temporary = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
        with log_path.open("wb") as log, temporary as sockets:
            process = _start_worker(job, log, environment, cwd, keep)
            _send_job(process, job, sockets)
            verdict = _follow(process, job, index, display, seen)
    except KeyboardInterrupt:
        result = job.result("interrupted", seconds=time.monotonic() - clock, log=log_path)
        result.cell, result.cells = seen["cell"] or None, seen["cells"]
        result.executed = partial if partial.exists() else None
        result.error = "KeyboardInterrupt: stopped by Ctrl-C"
        raise Interrupted([result]) from None
    finally:
        for path in job.scraps("progress*"):
            path.unlink(missing_ok=True)
    seconds, status = time.monotonic() - clock, verdict["status"]
    executed = job.path(".ipynb" if status == "done" else ".failed.ipynb")
    if partial.exists():
        partial.replace(executed)
    if status == "done":
        finished = datetime.now(UTC).isoformat()
        entry = {"fingerprint": job.fingerprint, "seconds": round(seconds, 1)}
        remember(job.folder, job.name, {**entry, "started": started, "finished": finished})
    return job.result(
        status,
        seconds=seconds,
        cell=verdict.get("cell") or None,
        cells=verdict.get("cells", 0),
        error=verdict.get("error", ""),
        cure=verdict.get("cure", ""),
        executed=executed if executed.exists() else None,
        log=log_path,
    )


def execute_notebooks(
    notebooks: Sequence[Path],
    out_folder: Path,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    time_limit_minutes: Limits,
    resume: bool,
    stop_on_failure: bool,
    fingerprint: str = "",
    expected_minutes: Mapping[str, float] | None = None,
    console: Any = None,
    chain: bool = False,
    cwd: Path | None = None,
) -> list[NotebookResult]:
    """Execute notebooks in order; one result each, up to the first failure if that stops the run.

    A notebook gets the parameters that it declares, `environment` on top of this process's, and
    `cwd` (default: the caller's) as working folder. `resume` skips what finished with the same
    cells, parameters and `fingerprint`; in a `chain` also only if the one before didn't run since.
    Raises CourseError for unknown parameters or an unusable folder, Interrupted after Ctrl-C.
    """
    from rich.console import Console

    notebooks, folder = [Path(path) for path in notebooks], Path(out_folder).resolve()
    console, cwd = console or Console(), Path(cwd or Path.cwd()).resolve()
    warnings = validate_parameters(notebooks, parameters)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limits = (time_limit_minutes, fingerprint, expected_minutes)
        jobs = plan_jobs(notebooks, folder, parameters, *limits)
        display_class = TerminalDisplay if console.is_terminal else PlainDisplay
        with locked(folder) as keep, display_class(console, jobs) as display:
            for warning in warnings:
                display.say(f"Warning: {warning}")
            settings = (environment, cwd, display, keep)
            return _run_all(jobs, resume, stop_on_failure, chain, settings)
    except OSError as error:
        raise CourseError(
            f"{error.filename or folder}: {error.strerror or error}",
            "free some disk space, or choose an output folder that you may write to",
        ) from None


def _run_all(
    jobs: Sequence[Job], resume: bool, stop_on_failure: bool, chain: bool, settings: tuple
) -> list[NotebookResult]:
    """Run, skip or refuse each job. `settings` are the last arguments of _run_job."""
    results: list[NotebookResult] = []
    display, previous, all_again = settings[2], None, False
    for index, job in enumerate(jobs):
        if job.problem:
            result = job.result("invalid", error=job.problem.message, cure=job.problem.cure)
        elif resume and not all_again and is_fresh(job, previous, chain):
            paths = {"executed": job.path(".ipynb"), "log": job.path(".log")}
            result = job.result("skipped", **paths)
        else:
            all_again = chain  # what follows reads what this one writes
            remember(
                job.folder, job.name, None
            )  # from now on, until it finishes, it has not finished
            try:
                result = _run_job(job, index, *settings)
            except Interrupted as interrupted:
                display.end(index, interrupted.results[0])
                raise Interrupted(results + interrupted.results) from None
        previous = job.name
        display.end(index, result)
        results.append(result)
        if stop_on_failure and not result.ok:
            break
    return results
