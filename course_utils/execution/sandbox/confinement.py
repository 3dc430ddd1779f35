"""What a child does to itself, in the last moment before a stranger's code runs in it."""

import base64
import os
from dataclasses import asdict, dataclass
from typing import Any

from course_utils.execution.sandbox import landlock
from course_utils.execution.sandbox.filter import load_filter
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.privileges import (
    be_first_victim,
    become,
    no_new_privileges,
    set_rlimits,
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")


@dataclass(frozen=True)
class Confinement:
    """How a child is confined. It travels to the keeper as JSON."""

    level: str = "none"
    uid: int | None = None  # to become, where the keeper is root
    readable: tuple[str, ...] = ()
    listable: tuple[str, ...] = ()  # folders whose names may be read, but none of their files
    writable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # of a GPU
    landlock: bool = False
    keep_reading: bool = False  # past folders that are closed to other users
    seccomp: str = ""  # BPF, base64
    own_user: bool = False  # no other process has the child's user: RLIMIT_NPROC can count

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def apply(self, limits: Limits) -> None:
        """Confine this process for good; raises OSError where a part of it fails."""
        if self.level == "none":
            return
        set_rlimits(limits, self.own_user, address_space=not self.devices)
        be_first_victim()
        os.umask(0o022)
        if self.uid is not None and os.getuid() == 0:
            become(self.uid, self.keep_reading)
        no_new_privileges()
        if self.landlock:
            nodes = [f"/dev/{name}" for name in DEVICES]
            writable = (*self.writable, *(("/proc/self",) if self.devices else ()))
            devices = [*nodes, *self.devices]
            landlock.restrict(self.readable, writable, devices, listable=self.listable)
        if self.seccomp:
            load_filter(base64.b64decode(self.seccomp))
