"""Holding a submission: the other end of a keeper's socket, shaped like a `subprocess.Popen`."""

import contextlib
import json
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

LOST = {"reason": None, "code": None, "lost": True}


class Leash:
    """A submission that a keeper runs. `end` is what the keeper told, once it is over."""

    stdin = stdout = stderr = None
    pid = 0  # of the child: a number of another process table, so none is told

    def __init__(self, connection: socket.socket, process: subprocess.Popen | None = None):
        self.connection, self.process = connection, process  # a fresh keeper's own process
        self.end: dict[str, Any] | None = None
        self.own_reason: dict[str, Any] | None = None
        self.text, self.lock = b"", threading.Lock()

    def begin(self, request: dict[str, Any], files: Sequence[int]) -> None:
        """Send the request; `files` become the child's stdin, stdout and stderr."""
        words = json.dumps(request).encode() + b"\n"
        with contextlib.suppress(OSError):  # a keeper that is dead is seen by `poll`
            sent = socket.send_fds(self.connection, [words], list(files))
            self.connection.sendall(words[sent:])

    def poll(self) -> int | None:
        """The exit code (of a killed one -9), or None while it runs."""
        self._listen(0)
        return self.returncode

    @property
    def returncode(self) -> int | None:
        if self.end is None:
            return None
        code = self.end.get("code")
        return -signal.SIGKILL if code is None else code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises TimeoutExpired as Popen does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.end is None:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            self._listen(left)
            if left == 0 and self.end is None:
                raise subprocess.TimeoutExpired("submission", timeout)
        return self.returncode

    def _listen(self, seconds: float | None) -> None:
        with self.lock:
            if self.end is not None or not select.select([self.connection], [], [], seconds)[0]:
                return
            try:
                piece = self.connection.recv(65536)
            except OSError:
                piece = b""
            self.text += piece
            lines = self.text.split(b"\n")
            if len(lines) > 1:
                self.end = json.loads(lines[0])
            elif not piece:
                self.end = dict(LOST)
            if self.end is not None and self.own_reason and self.end["reason"] == "ended":
                self.end |= self.own_reason

    def send_signal(self, number: int) -> None:
        if number == signal.SIGKILL:
            self.kill()
        else:
            self._tell({"signal": int(number)})

    def terminate(self) -> None:
        self._tell({"signal": int(signal.SIGTERM)})

    def kill(self, reason: str = "ended", used: float | None = None, limit: float | None = None):
        """End it and all it started; the first reason given stays."""
        self.own_reason = self.own_reason or {"reason": reason, "used": used, "limit": limit}
        self._tell({"kill": True})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Let go: the keeper, if it still runs, ends everything."""
        self.connection.close()
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
                return
            self.process.kill()
            self.process.wait()
