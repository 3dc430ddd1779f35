"""A notebook in the sandbox, seen by its worker: the kernel starts there, and is ended there."""

import contextlib
import logging
import signal
import socket
import subprocess
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from course_utils.execution.guard import Guard
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place

NAME = "course-sandbox"
PROVISIONER = "course_utils.execution.warm.provisioner:ConfinedProvisioner"
END_SECONDS = 20
KEEPERS_MARGIN = 20  # seconds: the guard's clock, which lets the copy show where, comes first


class Confined:
    """A confined kernel in the making, and its end."""

    def __init__(self, told: dict[str, Any], logger: logging.Logger):
        self.place = Place(Path(told["outer"]), told["uid"])
        self.sockets = self.place.sockets
        self.limits = Limits(**told["request"]["limits"])
        self.leash = Leash(socket.socket(fileno=told["keeper"]))
        self.guard = Guard(self.leash, self.limits)
        self.request, self.logger = told["request"], logger
        self.early: list[bytes] = []

    def take_kernels(self) -> None:
        """From now on, every kernel that this process starts is started by the keeper."""
        from jupyter_client.provisioning.factory import KernelProvisionerFactory

        from course_utils.execution.warm.provisioner import ConfinedProvisioner, Held  # late: heavy

        factory = KernelProvisionerFactory.instance()
        factory.provisioners[NAME] = EntryPoint(NAME, PROVISIONER, factory.GROUP_NAME)
        factory.default_provisioner_name = NAME
        limits = self.limits
        if limits.wall:
            limits = limits.with_changes(wall=limits.wall + KEEPERS_MARGIN)
        request = {**self.request, "limits": limits.as_json()}
        ConfinedProvisioner.held = Held(self.leash, request, self.place, self._log)
        self.guard.start()

    def _log(self, piece: bytes) -> None:
        """What is printed past the kernel while cells run; of its start only where that failed."""
        if self.guard.cell_started is None:
            self.early.append(piece)
        elif not self.guard.stopped.is_set():
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        for line in piece.decode("utf-8", "replace").splitlines():
            self.logger.info(line)

    def finish(self) -> dict[str, Any]:
        """End all that is left; return what keeper and guard told."""
        if self.guard.cell_started is None:
            self._write(b"".join(self.early))
        self.guard.stop()
        self.leash.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.leash.wait(END_SECONDS)
        end = dict(self.leash.end or {})
        first = end.get("reason") not in (None, "ended")  # the keeper saw more than was allowed
        told = self.guard.reason or {}
        # A kernel that died is dropped by zmq as well, and a busy keeper tells of its death late.
        died = end.get("code") not in (None, -signal.SIGKILL)
        return end if first or (died and told.get("reason") == "message") else end | told
