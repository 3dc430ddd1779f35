"""A notebook in the sandbox, seen by the run that starts it: its place and its keeper."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.execution.notebooks import SKIPPED_FOLDERS
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place, copy_in, remove
from course_utils.execution.workers import WorkerServer


@dataclass(frozen=True)
class Custody:
    """A sandbox and its limits, for all notebooks of a run."""

    box: Sandbox
    limits: Limits
    workers: WorkerServer | None = None  # forks the notebooks' clients

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
    stays: bool  # the place, after the notebook's end

    @classmethod
    def of(cls, custody: Custody, source: Path, place: Place | None) -> "Custodian":
        """With the caller's place, or a new one that goes at the end."""
        stays, place = place is not None, place or custody.admit(source)
        return cls(custody, place, custody.box.lease(place), stays)

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
        if not self.stays:
            remove(self.place)
