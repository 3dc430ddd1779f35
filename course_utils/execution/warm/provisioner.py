"""A kernel provisioner: Jupyter's kernels start in the sandbox, warm where that is safe.

The run's own worker gives it a keeper (`ConfinedProvisioner.held`). Any other program that starts
kernels (papermill, nbclient, nbgrader) can use it too, without a change: with the variable
JUPYTER_DEFAULT_PROVISIONER_NAME=course-sandbox it opens a sandbox of its own; COURSE_SANDBOX names
the level (default: auto).
"""

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.levels import choose_level
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place, copy_in, remove

LOG_BYTES = 10_000_000  # of what a kernel's processes print past the kernel


class Held:
    """A keeper that waits for a kernel, and the request that only lacks the command."""

    def __init__(self, leash: Leash, request: dict[str, Any], place: Place, log: Callable):
        self.leash, self.request, self.place, self.log = leash, request, place, log

    def launch(self, command: list[str], connection_file: str) -> Leash:
        if self.place.uid is not None:
            os.chown(connection_file, self.place.uid, self.place.uid)
        read, write = os.pipe()
        with open(os.devnull, "rb") as nothing:
            self.leash.begin({**self.request, "argv": command}, [nothing.fileno(), write, write])
        os.close(write)
        threading.Thread(target=self._pump, args=(read,), daemon=True).start()
        return self.leash

    def _pump(self, number: int) -> None:
        """What is printed past the kernel goes into the log, and past a size nowhere."""
        room = LOG_BYTES
        with open(number, "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                if room > 0:
                    self.log(piece[:room])
                    room -= len(piece)


class ConfinedProvisioner(LocalProvisioner):
    """Starts a kernel by way of a keeper."""

    held: Held | None = None  # the worker's; class attribute: one worker, one kernel
    box: Sandbox | None = None  # where nobody gives a keeper
    own: Held | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        if type(self).held is None:
            self.own = self._own(kwargs.get("cwd") or os.getcwd())
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        held = type(self).held or self.own
        # The program is this environment's Python, whatever the notebook asks for.
        self.process = held.launch([sys.executable, *cmd[1:]], self.parent.connection_file)
        self.pid, self.pgid, self.cwd = 0, None, held.request["cwd"]
        return self.connection_info

    async def wait(self) -> int | None:
        while self.process and self.process.poll() is None:
            await asyncio.sleep(0.02)
        self.process = None
        return 0

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if self.own and not restart:
            self.own.leash.close()
            remove(self.own.place)

    def _own(self, cwd: str) -> Held:
        """A keeper of this process's own sandbox, and sockets in its place instead of ports.

        The kernel works in a copy of its folder.
        """
        cls = type(self)
        if cls.box is None:
            level = choose_level(os.environ.get("COURSE_SANDBOX", "auto")).level
            cls.box = Sandbox(level, warm=True).__enter__()
            atexit.register(cls.box.__exit__)
        limits, place = Limits(), cls.box.place()
        copy_in(Path(cwd), place, limits)
        manager = self.parent
        manager.transport, manager.ip = "ipc", str(place.sockets / "s")
        manager.connection_file = str(place.sockets / "kernel.json")
        return Held(
            cls.box.lease(place), cls.box.request(place, [], limits), place, lambda piece: None
        )
