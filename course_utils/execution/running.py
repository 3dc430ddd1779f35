"""One notebook while it runs: its child process, what that tells, and how it is ended."""

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
from typing import IO, Any

import psutil

from course_utils import kit
from course_utils.execution.copies import without_paths
from course_utils.execution.cures import cure_for
from course_utils.execution.custody import Custodian, Custody
from course_utils.execution.jobs import Job, NotebookResult
from course_utils.execution.processes import descendants, end_processes
from course_utils.execution.sandbox.place import Place
from course_utils.execution.sandbox.verdicts import Verdict, notebook_verdict
from course_utils.execution.state import remember, source_key
from course_utils.execution.workers import ForkedWorker, WorkerServer
from course_utils.progress import PROGRESS_FILE

INTERRUPT_GRACE = 8  # seconds for a cell to take KeyboardInterrupt, so that the copy shows where
TERMINATE_GRACE = 3
WORKER_EXIT_SECONDS = 30
SANDBOX_MARGIN = 60  # seconds after a notebook's limit: its own guard comes first and can say where


class Running:
    """A notebook's worker. `seen` (cell, cells, kernel) and `verdict` are what it told so far."""

    def __init__(
        self,
        job: Job,
        index: int,
        environment: Mapping[str, str],
        keep: list[int],
        events: "queue.Queue[tuple[Running, dict | None]]",
        custody: Custody | None = None,
        place: Place | None = None,
    ):
        self.job, self.index = job, index
        self.custodian: Custodian | None = None
        self.clock, self.started = time.monotonic(), now()
        self.seen: dict[str, Any] = {"cell": 0, "cells": 0, "kernel": None}
        self.verdict: dict[str, Any] = {}
        self.told: float | None = None  # when the worker told its verdict
        self.closed = False  # the worker has said all
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(job.path(".log").open("wb"))
            if custody:
                self.custodian = Custodian.of(custody, job.source, place)
                stack.callback(self.custodian.finish)
                keep = [*keep, self.custodian.leash.connection.fileno()]
            sockets = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
            folder = stack.enter_context(sockets)
            server = custody.workers if custody else None
            self.process = _start_worker(job, log, environment, keep, server)
            told = self.custodian and self.custodian.told(job.limit, environment)
            _send_job(self.process, job, folder, told)
            if self.custodian:
                self.custodian.let_go()
            self.stack = stack.pop_all()
        threading.Thread(target=self._pump, args=(events,), daemon=True).start()

    def _pump(self, events: queue.Queue) -> None:
        """The worker's JSON lines as events; None when it has closed its end."""
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                events.put((self, json.loads(line)))
        events.put((self, None))

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.clock

    def take(self, event: dict[str, Any] | None) -> None:
        if event is None:
            self.closed = True
        elif event.pop("event") == "end":
            self.verdict.update(event)
            self.told = time.monotonic()
        else:
            self.seen.update(event)

    def is_over(self) -> bool:
        """Whether the worker has said all, or its time is up, also the time to end after that."""
        if self.told is not None and time.monotonic() - self.told > WORKER_EXIT_SECONDS:
            return True
        limit = self.job.limit and self.job.limit + (SANDBOX_MARGIN if self.custodian else 0)
        if limit and self.elapsed > limit and not (self.verdict or self.closed):
            self.verdict = {**self.seen, **_time_is_up(self.job)}
        return self.closed or self.verdict.get("status") == "timed_out"

    def finish(self) -> NotebookResult:
        """End what is left, and give the copy the name that its end deserves."""
        if self.closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(WORKER_EXIT_SECONDS)
        end_all([self])
        job, seconds = self.job, self.elapsed
        verdict = self.verdict or {
            **self.seen,
            "status": "failed",
            "error": _worker_death(self.process.returncode),
        }
        status, error = verdict["status"], verdict.get("error", "")
        cure = verdict.get("cure") or ""
        if not (cure or self.custodian):  # whose folder is looked into must not hang on a stranger
            cure = cure_for(error, job.source, job.cwd)
        executed = job.path(".ipynb" if status == "done" else ".failed.ipynb")
        if job.path(".partial.ipynb").exists():
            without_paths(job.path(".partial.ipynb"), job.cwd)
            job.path(".partial.ipynb").replace(executed)
        if status == "done":
            self._remember(seconds, verdict.get("cells", 0))
        return job.result(
            status,
            seconds=seconds,
            cell=verdict.get("cell") or None,
            cells=verdict.get("cells", 0),
            error=error,
            cure=cure,
            executed=executed if executed.exists() else None,
            log=job.path(".log"),
            disk_full=bool(verdict.get("disk_full")),
            verdict=self._named(verdict),
            sandbox=self.custodian.custody.box.level if self.custodian else "",
            usage=verdict.get("usage", {}),
        )

    def _named(self, verdict: dict[str, Any]) -> Verdict:
        """The worker's verdict, or one for a worker that did not come to give it."""
        if "verdict" in verdict:
            return Verdict(**verdict["verdict"])
        return notebook_verdict(verdict, {}, list(range(1, (verdict.get("cell") or 0) + 1)), [])

    def _remember(self, seconds: float, cells: int) -> None:
        entry = {"fingerprint": self.job.fingerprint, "seconds": round(seconds, 1), "cells": cells}
        times = {"started": self.started, "finished": now()}
        source = source_key(self.job.source, self.job.folder)
        remember(self.job.folder, self.job.name, {"source": source, **entry, **times})

    def interrupted(self, error: str) -> NotebookResult:
        """The result of a notebook that was ended from outside, after `end_all`."""
        partial = self.job.path(".partial.ipynb")
        return self.job.result(
            "interrupted",
            seconds=self.elapsed,
            cell=self.seen["cell"] or None,
            cells=self.seen["cells"],
            error=error,
            verdict=Verdict("ended", "ended from outside", cell=self.seen["cell"] or None),
            executed=partial if partial.exists() else None,
            log=self.job.path(".log"),
        )


def now() -> str:
    return datetime.now(UTC).isoformat()


def _start_worker(
    job: Job,
    log: IO[bytes],
    environment: Mapping[str, str],
    keep: list[int],
    server: WorkerServer | None,
) -> subprocess.Popen | ForkedWorker:
    """The child process, in a session of its own so that Ctrl-C does not reach it."""
    env = {**os.environ, **environment}
    env[PROGRESS_FILE] = str(job.progress_path)
    root = kit.ROOT
    if (root / "pyproject.toml").exists():  # a plain clone: the kernel must find course_utils too
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH")]))
    if server:
        return server.start(job.cwd, env, log.fileno(), keep)
    # -P: a file named like a library in the working folder must not be imported in its place.
    command = [sys.executable, "-P", "-c"]
    return subprocess.Popen(
        [*command, "from course_utils.execution.worker import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=job.cwd,
        env=env,
        start_new_session=True,
        pass_fds=keep if os.name == "posix" else (),
    )


def _send_job(
    process: subprocess.Popen, job: Job, sockets: str, sandbox: dict[str, Any] | None
) -> None:
    passed = dict(job.passed)
    if sandbox and passed.get("folder") == str(job.source.parent):
        passed["folder"] = sandbox["request"]["cwd"]  # it runs in a copy of its folder
    text = json.dumps(
        {
            "source": str(job.source),
            "output": str(job.path(".partial.ipynb")),
            "parameters": passed,
            "sockets": sockets,
            "sandbox": sandbox,
        },
        default=str,
    )
    with contextlib.suppress(OSError):  # a worker that is dead already says so by its exit status
        process.stdin.write(text.encode("utf-8") + b"\n")
        process.stdin.flush()  # and stays open: the worker ends when it closes


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


def end_all(running: Sequence[Running]) -> None:
    """End workers and all below them; a second Ctrl-C meanwhile cuts the grace short."""
    alive = [one for one in running if one.process.poll() is None]
    tree = [p for one in alive for p in _family(one.process.pid)]
    try:
        for one in alive:
            _interrupt(one)
        _wait_all([one.process for one in alive], INTERRUPT_GRACE)
        tree += [p for one in alive for p in _family(one.process.pid)]
        end_processes(set(tree), TERMINATE_GRACE)
    except KeyboardInterrupt:
        end_processes({*tree, *(p for one in alive for p in _family(one.process.pid))}, 0)
    for one in running:
        kernel = one.seen["kernel"]
        if one not in alive and kernel and one.process.returncode:
            # The worker died by itself: its kernel's family may still run.
            end_processes(_family(kernel), TERMINATE_GRACE)
        with contextlib.suppress(OSError):
            one.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(TERMINATE_GRACE)
        one.stack.close()
        for path in one.job.scraps():
            if ".progress" in path.name:
                path.unlink(missing_ok=True)


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [*descendants(pid), psutil.Process(pid)]
    return []


def _interrupt(one: Running) -> None:
    """KeyboardInterrupt in the running cell: the copy then shows where, and finally-blocks run."""
    if one.seen["kernel"] and os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.seen["kernel"], signal.SIGINT)


def _wait_all(processes: Sequence[subprocess.Popen], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0))
