"""The keeper: one small process that starts a submission, watches it and ends all of it.

It is trusted and runs nothing of a stranger. It gets one request over its socket, forks the child
(which confines itself, `confinement.py`), and looks at all that the child starts: memory, time,
processes, disk. It tells the end as a JSON line. When the socket closes, whoever asked is gone
(even by `kill -9`), and the keeper ends everything.

A fresh keeper is a process of its own; a warm one was forked by the zygote (`warm/zygote.py`), and
its child runs Python without starting one.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil

from course_utils.execution.processes import adopt_orphans, descendants
from course_utils.execution.sandbox.confinement import Confinement
from course_utils.execution.sandbox.limits import SHARED_MEMORY, Limits
from course_utils.execution.sandbox.usage import folder_size, proportional, shared_memory, usage_of

TICK = 0.1  # seconds
DISK_TICK = 1.0
# Seconds between two exact looks at the memory of processes that do not grow, and growth that asks
# for one at once. The kernel walks through all pages meanwhile, and the processes wait for it.
MEMORY_TICK, GROWN = 1.0, 1.05
MOST_REQUEST = 4_000_000  # bytes
MOST_OPEN = 4096
NOT_CONFINED = 120  # exit code of a child that could not confine itself
NOT_STARTED = 127


def main() -> None:
    """A fresh keeper: its socket is the number in the first argument."""
    keep(socket.socket(fileno=int(sys.argv[1])), run_program)


def run_program(argv: list[str]) -> int:
    """Replace this process by a program."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
    return NOT_STARTED


def keep(connection: socket.socket, run: Callable[[list[str]], int]) -> None:
    """Serve one request; `run` runs its argv in the child and returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its socket closes
    adopt_orphans()
    request, files = _receive(connection)
    if request is None or "argv" not in request:  # let go before it began
        return
    child = _start(request, files, connection, run)
    for number in files:
        os.close(number)
    Watch(child, request, connection).until_the_end()


def _receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The request (one JSON line) and its three files: stdin, stdout, stderr."""
    text, files = b"", []
    while not text.endswith(b"\n") and len(text) < MOST_REQUEST:
        piece, received, _, _ = socket.recv_fds(connection, 65536, 3)
        files += received
        if not piece:
            return None, files
        text += piece
    return json.loads(text), files


def _start(
    request: dict[str, Any],
    files: list[int],
    connection: socket.socket,
    run: Callable[[list[str]], int],
) -> int:
    child = os.fork()
    if child:
        return child
    code = NOT_CONFINED
    try:
        connection.close()
        os.setsid()
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for target, number in enumerate(files):
            os.dup2(number, target)
        os.closerange(3, MOST_OPEN)  # a stranger gets these three files and no other
        os.environ.clear()
        os.environ.update(request["environment"])
        Confinement(**request["confinement"]).apply(Limits(**request["limits"]))
        os.chdir(request["cwd"])
        code = run(request["argv"])
    except BaseException as error:  # whatever it is, the child must not go on as a keeper
        with contextlib.suppress(BaseException):
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


class Watch:
    """A submission while it runs: its child, what it may use, what it used at most."""

    def __init__(self, child: int, request: dict[str, Any], connection: socket.socket):
        self.child, self.connection = child, connection
        self.limits = Limits(**request["limits"])
        self.limited = request["confinement"]["level"] != "none"
        self.folders = tuple(request["watched"])
        self.shared = request["shared"]  # the user whose shared memory is watched
        self.started, self.next_disk, self.next_memory = time.monotonic(), 0.0, 0.0
        self.looked_at = 0  # bytes resident at the last exact look
        self.cpu_at_start = time.process_time()
        self.cpu_of_dead, self.peak, self.disk, self.code = 0.0, 0, 0, None
        self.reason: dict[str, Any] | None = None
        self.living: list[psutil.Process] = []
        self.ends = [os.pidfd_open(child)] if hasattr(os, "pidfd_open") else []  # wakes at its end

    def until_the_end(self) -> None:
        while self.code is None and self.reason is None:
            self._listen()
            self._collect()
            if self.code is None:
                self.reason = self.reason or self._too_much()
        self._end_all()
        self._tell()

    def _listen(self) -> None:
        """Wait a moment; pass a signal on; end when the other side is gone."""
        ready = select.select([self.connection, *self.ends], [], [], TICK)[0]
        if self.connection not in ready:
            return
        words = self.connection.recv(4096)
        if not words:
            self.reason = {"reason": "abandoned"}
            return
        for line in words.splitlines():
            wanted = json.loads(line)
            if wanted.get("kill"):
                self.reason = {"reason": "ended"}
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(self.child, wanted["signal"])

    def _collect(self) -> None:
        """Collect what has ended: the child, and orphans that became ours."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if not pid:
                    return
                self.cpu_of_dead += used.ru_utime + used.ru_stime
                if pid == self.child:
                    self.code = os.waitstatus_to_exitcode(status)

    def _too_much(self) -> dict[str, Any] | None:
        limits, elapsed = self.limits, time.monotonic() - self.started
        if limits.wall and elapsed > limits.wall:
            return _reason("wall", elapsed, limits.wall)
        self.living = descendants(os.getpid())
        usage = usage_of(self.living)
        cpu = usage.cpu + self.cpu_of_dead
        if not self.limited:
            self.peak = max(self.peak, usage.resident)
            return None
        if limits.cpu and cpu > limits.cpu:
            return _reason("cpu", cpu, limits.cpu)
        if limits.processes and usage.processes > limits.processes:
            return _reason("processes", usage.processes, limits.processes)
        if self.shared is not None and (used := shared_memory(self.shared)) > SHARED_MEMORY:
            return _reason("memory", used, SHARED_MEMORY)
        return self._too_much_memory(usage.resident) or self._too_much_disk()

    def _too_much_memory(self, resident: int) -> dict[str, Any] | None:
        """By the exact figure, never above the resident one: pages are shared with the zygote."""
        memory, now = self.limits.memory, time.monotonic()
        urgent = resident > GROWN * self.looked_at or (memory and resident > memory)
        if resident <= self.peak or not (urgent or now >= self.next_memory):
            return None
        used = proportional(self.living)
        self.peak, self.looked_at = max(self.peak, used), resident
        self.next_memory = now + max(MEMORY_TICK, 10 * (time.monotonic() - now))
        return _reason("memory", used, memory) if memory and used > memory else None

    def _too_much_disk(self) -> dict[str, Any] | None:
        limits, now = self.limits, time.monotonic()
        if now < self.next_disk:
            return None
        self.disk, files = folder_size(self.folders, limits.files)
        self.next_disk = now + max(DISK_TICK, 5 * (time.monotonic() - now))
        if limits.disk and self.disk > limits.disk:
            return _reason("disk", self.disk, limits.disk)
        if limits.files and files > limits.files:
            return _reason("files", files, limits.files)
        return None

    def _end_all(self) -> None:
        """Stop all first, so that nothing forks away, then kill, until nothing is left."""
        for _ in range(200):
            left = descendants(os.getpid())
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for process in left:
                    with contextlib.suppress(OSError):
                        os.kill(process.pid, number)
            self._collect()
            if not left:
                return
            time.sleep(0.01)

    def _tell(self) -> None:
        if self.shared is not None:
            shared_memory(self.shared, remove=True)
        if self.limited:  # what was written in the last second counts too
            self.disk, files = folder_size(self.folders, self.limits.files)
            if self.limits.disk and self.disk > self.limits.disk and not self.reason:
                self.reason = _reason("disk", self.disk, self.limits.disk)
        end = {
            "event": "end",
            "code": self.code,
            "cpu": round(self.cpu_of_dead, 3),
            "watching": round(time.process_time() - self.cpu_at_start, 3),  # the keeper's own
            "peak": self.peak,
            "disk": self.disk,
            "seconds": round(time.monotonic() - self.started, 3),
            **(self.reason or {"reason": None}),
        }
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(end).encode() + b"\n")
            self.connection.close()


def _reason(name: str, used: float, limit: float) -> dict[str, Any]:
    return {"reason": name, "used": used, "limit": limit}
