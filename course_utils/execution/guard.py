"""Watching over a confined kernel from its client's side: time, output, the client's own memory."""

import signal
import threading
import time
from typing import Any

import psutil

from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.limits import MIB, Limits

TICK = 0.1
DROP_SECONDS = 1.5
GRACE = 5  # seconds for a cell to take KeyboardInterrupt, so that the copy shows where
OWN_MEMORY = 512 * MIB  # that this process may grow by while it reads what the kernel sends


class Guard(threading.Thread):
    """Ends the kernel when a limit is passed that the keeper can not see. `reason` says which."""

    def __init__(self, leash: Leash, limits: Limits):
        super().__init__(daemon=True)
        self.leash, self.limits = leash, limits
        self.started = time.monotonic()
        self.cell_started: float | None = None  # before the first cell the kernel starts
        self.printed = 0  # bytes, counted by the client
        self.disconnects: Any = None  # a socket that tells when zmq cut the kernel off
        self.dropped_at: float | None = None
        self.reason: dict[str, Any] | None = None
        self.interrupted_at: float | None = None
        self.own_at_start = psutil.Process().memory_info().rss
        self.stopped = threading.Event()

    def begin_cell(self) -> None:
        self.cell_started = time.monotonic()

    def count(self, size: int) -> None:
        self.printed += size

    def watch_disconnects(self, channel_socket: Any) -> None:
        """zmq drops a peer that sends a message of more than `limits.message` bytes."""
        import zmq

        monitor = channel_socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.disconnects = zmq.Socket.shadow(monitor)  # this thread has no event loop

    def stop(self) -> None:
        self.stopped.set()

    def run(self) -> None:
        try:
            self._watch()
        except BaseException:  # without its guard no kernel goes on
            self.leash.kill()
            raise

    def _watch(self) -> None:
        process = psutil.Process()
        while not self.stopped.wait(TICK):
            now = time.monotonic()
            if self.interrupted_at is not None:
                if now - self.interrupted_at > GRACE:
                    self.leash.kill(**self.reason)
                    return
            elif self.limits.wall and now - self.started > self.limits.wall:
                self._interrupt("wall", now - self.started, self.limits.wall)
            elif self._in_cell(now) > (self.limits.cell or now):
                self._interrupt("cell", self._in_cell(now), self.limits.cell)
            if self.printed > self.limits.output:
                self._end("output", self.printed, self.limits.output)
                return
            grown = process.memory_info().rss - self.own_at_start
            if grown > OWN_MEMORY:
                self._end("output", grown, OWN_MEMORY)
                return
            if self._cut_off(now):
                self._end("message", None, self.limits.message)
                return

    def _in_cell(self, now: float) -> float:
        return now - self.cell_started if self.cell_started is not None else 0.0

    def _cut_off(self, now: float) -> bool:
        """Whether zmq dropped a kernel that lives: one that ends is dropped too, moments before."""
        if self.dropped_at is None and self.disconnects is not None and self.disconnects.poll(0):
            self.dropped_at = now
        return (
            self.dropped_at is not None
            and now - self.dropped_at > DROP_SECONDS
            and self.leash.poll() is None
        )

    def _interrupt(self, reason: str, used: float, limit: float) -> None:
        """KeyboardInterrupt in the running cell; what does not end then is killed."""
        self.reason = {"reason": reason, "used": used, "limit": limit}
        self.interrupted_at = time.monotonic()
        self.leash.send_signal(signal.SIGINT)

    def _end(self, reason: str, used: float | None, limit: float) -> None:
        self.reason = {"reason": reason, "used": used, "limit": limit}
        self.leash.kill(**self.reason)
