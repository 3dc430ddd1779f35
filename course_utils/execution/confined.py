"""A notebook in the sandbox: its place and keeper on the run's side, its kernel on the worker's."""

import contextlib
import logging
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from course_utils.execution.guard import Guard
from course_utils.execution.notebooks import SKIPPED_FOLDERS
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place, copy_in, remove

NAME = "course-sandbox"
PROVISIONER = "course_utils.execution.warm.provisioner:ConfinedProvisioner"
END_SECONDS = 20
KEEPERS_MARGIN = 20  # seconds: the guard's clock, which lets the copy show where, comes first


@dataclass(frozen=True)
class Custody:
    """A sandbox and its limits, for all notebooks of a run."""

    box: Sandbox
    limits: Limits
    keep: bool = False  # the place of a notebook, after its end

    def admit(self, source: Path) -> Place:
        """A place with the notebook's folder in it, without what belongs to others.

        Left out are other notebooks and folders that hold notebooks: in a flat inbox they are
        somebody else's. Raises CourseError where the folder is larger than the limits.
        """
        place = self.box.place()
        copy_in(source.parent, place, self.limits, lambda path: is_anothers(path, source))
        return place


def is_anothers(path: Path, source: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return path.name in SKIPPED_FOLDERS or any(path.rglob("*.ipynb"))
    return path.suffix == ".ipynb" and path != source


@dataclass
class Custodian:
    """One notebook's place and keeper, as the run that started it holds them."""

    custody: Custody
    place: Place
    leash: Leash

    @classmethod
    def of(cls, custody: Custody, place: Place) -> "Custodian":
        return cls(custody, place, custody.box.lease(place, custody.limits))

    def told(self, limit: float | None, environment: Mapping[str, str]) -> dict[str, Any]:
        """What the worker is told: the number of the keeper's socket, which it inherits, and more.

        `limit` is the notebook's own, in seconds.
        """
        limits = self.custody.limits
        if limit:
            limits = limits.with_changes(wall=limit)
        box = self.custody.box
        request = box.request(self.place, [], limits, environment)
        return {
            "keeper": self.leash.connection.fileno(),
            "request": request,
            "outer": str(self.place.outer),
            "uid": self.place.uid,
        }

    def let_go(self) -> None:
        """The worker holds the socket now; when it ends, the keeper ends everything."""
        self.leash.connection.close()

    def finish(self) -> None:
        self.leash.close()
        if not self.custody.keep:
            remove(self.place)


class Confined:
    """A confined kernel in the making, and its end."""

    def __init__(self, told: dict[str, Any], logger: logging.Logger):
        self.place = Place(Path(told["outer"]), told["uid"])
        self.sockets = self.place.sockets
        self.limits = Limits(**told["request"]["limits"])
        self.leash = Leash(socket.socket(fileno=told["keeper"]))
        self.guard = Guard(self.leash, self.limits)
        self.request, self.logger = told["request"], logger

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
        for line in piece.decode("utf-8", "replace").splitlines():
            self.logger.info(line)

    def finish(self) -> dict[str, Any]:
        """End all that is left; return what keeper and guard told."""
        self.guard.stop()
        self.leash.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.leash.wait(END_SECONDS)
        end = dict(self.leash.end or {})
        first = end.get("reason") not in (None, "ended")  # the keeper saw more than was allowed
        return end if first else end | (self.guard.reason or {})
