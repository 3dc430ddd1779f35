"""A server that forks workers: one has imported papermill, so that none after it has to.

A worker (worker.py) is a client, one for each notebook; it runs nothing of a stranger. Where a
fork is not safe, `running.py` starts each by itself: the same code, half a second of imports more.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_utils.execution.worker import import_early
from course_utils.execution.worker import main as work

SERVER = "from course_utils.execution.workers import serve; serve()"
MOST_FILES = 16
HIGH = 500  # numbers of files that nothing in a worker has yet


class ForkedWorker:
    """A worker as a `subprocess.Popen`: pid, stdin, stdout, poll, wait, returncode."""

    def __init__(self, stdin: int, stdout: int, status: int):
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.status, self.returncode = status, None
        with contextlib.suppress(ValueError):
            self.pid = int(os.read(status, 16))
            return
        self.pid, self.returncode = 0, 1  # the server is gone, or the system has no process left
        os.close(status)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self.status], [], [], 0)[0]:
            told = os.read(self.status, 16)
            self.returncode = int(told) if told else -signal.SIGKILL
            os.close(self.status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("worker", timeout)
            select.select([self.status], [], [], left)
        return self.returncode


class WorkerServer:
    """Starts workers; ends with the `with` block, and with this process."""

    def __enter__(self) -> "WorkerServer":
        self.lock = threading.Lock()
        self._begin()
        return self

    def _begin(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )

    def __exit__(self, *_: object) -> None:
        self._finish()

    def _finish(self) -> None:
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
            return
        self.process.kill()
        self.process.wait()

    def start(
        self, cwd: Path, environment: Mapping[str, str], log: int, keep: Sequence[int]
    ) -> ForkedWorker:
        """A worker whose stderr is `log`; it keeps the files `keep` under their numbers."""
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        read_status, write_status = os.pipe()
        theirs = [read_in, write_out, log, *keep, write_status]
        request = {"cwd": str(cwd), "environment": dict(environment), "numbers": [0, 1, 2, *keep]}
        try:
            with tempfile.TemporaryFile() as long:  # a message has its limit, an environment not
                long.write(json.dumps(request).encode())
                long.flush()
                self._send([*theirs, long.fileno()])
        except OSError:
            for number in (write_in, read_out, read_status):
                os.close(number)
            raise
        finally:
            for number in (read_in, write_out, write_status):
                os.close(number)
        return ForkedWorker(write_in, read_out, read_status)

    def _send(self, files: Sequence[int]) -> None:
        """Ask for a worker; where the server was killed, ask a new one, once."""
        with self.lock:
            try:
                socket.send_fds(self.control, [b"work"], files)
            except OSError:
                self._finish()
                self._begin()
                socket.send_fds(self.control, [b"work"], files)


def serve() -> None:
    """The server's loop: fork a worker for each request, tell the status of each that ended."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import_early()
    statuses: dict[int, int] = {}
    while True:
        readable = select.select([control], [], [], 0.05 if statuses else 1)[0]
        _tell_ended(statuses)
        if not readable:
            continue
        word, files, _, _ = socket.recv_fds(control, 16, MOST_FILES)
        if not word:
            return
        *files, status, long = files
        with open(long, "rb") as file:
            file.seek(0)
            request = json.loads(file.read())
        try:
            pid = os.fork()
        except OSError:  # no process or no memory at this moment: who asked reads no number
            for number in (*files, status):
                os.close(number)
            continue
        if pid == 0:
            _become_worker(request, files, [control.fileno(), status, *statuses.values()])
        os.write(status, b"%d" % pid)
        statuses[pid] = status
        for number in files:
            os.close(number)


def _tell_ended(statuses: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            number = statuses.pop(pid)
            with contextlib.suppress(OSError):
                os.write(number, b"%d" % os.waitstatus_to_exitcode(status))
            os.close(number)


def _become_worker(request: dict, files: list[int], others: list[int]) -> None:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in others:
            os.close(number)
        high = [fcntl.fcntl(number, fcntl.F_DUPFD, HIGH) for number in files]
        for number in files:
            os.close(number)
        for number, target in zip(high, request["numbers"], strict=True):
            os.dup2(number, target)
            os.close(number)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        tempfile.tempdir = None
        random.seed()
        work()
        code = 0
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)
