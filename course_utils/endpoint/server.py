"""Start and stop: the socket first, then the model; a signal lets answers end.

course serve runs/manufacturing-cpu
"""

import asyncio
import logging
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from course_utils.errors import CourseError

BACKLOG = 512
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, before anything slow begins; CourseError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    if os.name != "nt":  # elsewhere it only skips the wait after a server's end
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise CourseError(
            f"{host}:{port}: this address can't be used ({error.strerror or error})",
            "another server may listen there: choose another --port, or 0 for a free one",
        ) from None
    return made


def listen_at(path: Path) -> socket.socket:
    """A listening socket file, for this user only; a dead server's file is replaced.

    Raises CourseError where no socket file can be made, or something else has that name: a server
    that listens, or a file that is no socket.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise CourseError("--uds: this system has no socket files", "use --port")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead(path)
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except CourseError:
        made.close()
        raise
    except OSError as error:  # "AF_UNIX path too long" has no strerror
        made.close()
        raise CourseError(
            f"{path}: no socket file can be made here ({error.strerror or error})",
            "name a new file in a folder of yours; the whole path has fewer than 104 characters",
        ) from None
    return made


def _remove_dead(path: Path) -> None:
    """Remove a socket file on which nobody listens; CourseError where the name is in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CourseError(
                f"{path}: this is no socket file, so it stays",
                "name another file with --uds, or move this one away",
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except (BlockingIOError, TimeoutError):
        pass  # it listens, and more are waiting than its queue holds
    raise CourseError(
        f"{path}: a server listens there",
        "end that one first, or name another file with --uds",
    )


def address_of(listening: socket.socket) -> str:
    """Where a client on this machine finds the server."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, which first tells the app that the end is near."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, started: Callable[[], None]) -> None:
        super().__init__(config)
        self.app, self.told = app, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.app.state.starting.add_done_callback(self._started)

    def _started(self, _: object) -> None:
        if self.app.state.gate.state == "ready":
            self.told()
        elif self.app.state.gate.state == "failed":  # nothing to serve: end, and say why
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal lets answers end, a second Ctrl-C does not wait for them."""
        gate = self.app.state.gate
        if self.should_exit and sig == signal.SIGINT:
            self.loop.call_soon_threadsafe(gate.hurry.set)
        elif not self.should_exit:
            print(f"stopping; answers being written: {gate.running}", flush=True)
            self.loop.call_soon_threadsafe(gate.stop, self.app.state.options.grace_seconds)
            self.should_exit = True


def serve(app: FastAPI, listening: socket.socket, started: Callable[[], None]) -> None:
    """Answer until a signal comes; CourseError when the model did not start or its test failed."""
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(app.state.options.grace_seconds) + 5,
        timeout_keep_alive=15,
    )
    server = _Server(config, app, started)
    with listening:
        server.run(sockets=[listening])
    if app.state.gate.state == "failed":
        raise app.state.starting.exception()
