"""submission.yaml: who hands a submission in, and which starter of which kit it began with.

    group: Bauxite
    members: [Ada Lovelace, Grace Hopper]
    assignment: parameter_lab
    kit: 0.1.0 (revision 3f2a9c1)
    starter: 5d0c2e77a1b4

A student fills in the first two; `course assignment start` writes the others, so that everybody can
see who began with an older starter.
"""

import hashlib
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from course_utils import kit, ownership
from course_utils.assignments.definition import Definition
from course_utils.assignments.findings import Warn, warn
from course_utils.assignments.folder import ASIDE, Folder, show, yaml_as
from course_utils.files import write_text_atomic
from course_utils.handwritten import Words

FILE = "submission.yaml"
LARGEST = 10_000  # bytes
LONGEST, MOST = 200, 100  # characters of a name, members of a group


class Submitted(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    group: str = Field("", max_length=LONGEST)
    members: list[str] = Field([], max_length=MOST)
    assignment: str = Field("", max_length=LONGEST)
    kit: str = Field("", max_length=LONGEST)
    starter: str = Field("", max_length=LONGEST)

    @field_validator("members")
    @classmethod
    def _are_names(cls, members: list[str]) -> list[str]:
        names = [member.strip() for member in members]
        if any(not name or len(name) > LONGEST for name in names):
            raise ValueError("a name is empty, or longer than 200 characters")
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice")
        return members

    @property
    def names(self) -> list[str]:
        """Everybody in it, as one prints them."""
        return [show(member.strip(), 60) for member in self.members]


def fingerprint(starter: Path, about: Definition) -> str:
    """Twelve characters that are the same for starters with the same files.

    What programs leave beside them (.DS_Store, __pycache__) is not the starter's.
    """
    listed = about.solution
    own = {*listed.regions, *listed.given, *listed.made, *(f"{n}/.gitkeep" for n in about.empty)}
    digest = hashlib.sha256()
    for path in sorted(path for path in starter.rglob("*") if path.is_file()):
        within = path.relative_to(starter)
        name = within.as_posix()
        aside = any(part in ASIDE or part.startswith(".") for part in within.parts)
        if path.name not in (ownership.MARK, FILE) and (name in own or not aside):
            digest.update(f"{name}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def stamp(folder: Path, about: Definition) -> None:
    """Write into a new submission which assignment, kit and starter it began with."""
    path = folder / FILE
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    starter = fingerprint(about.path / "starter", about)
    values = {"assignment": about.id, "kit": kit.version(), "starter": starter}
    for name, value in values.items():
        text = re.sub(rf'^{name}: ""$', f'{name}: "{value}"', text, flags=re.M)
    write_text_atomic(path, text)


def read_submitted(folder: Folder) -> Submitted | None:
    """What a submission says of itself; None without the file.

    Raises Explained (a warning) where the file cannot be read.
    """
    # As text: of a student's number 0012345, YAML's own reading makes another number.
    return yaml_as(Submitted, folder, FILE, LARGEST, _unreadable, Words)


def _unreadable(problem: str) -> Warn:
    return warn("submission.unreadable", problem=problem)


def judge(folder: Folder, about: Definition) -> str:
    """Who hands in, as the check says it; raises a warning for what an instructor has to know."""
    found = read_submitted(folder)
    if found is None:
        raise warn("submission.missing")
    count = len(found.members)
    if not count:
        raise warn("submission.nobody")
    if not about.group.least <= count <= about.group.most:
        raise warn("submission.group", count=count, group=str(about.group))
    if found.starter and found.starter != (own := fingerprint(about.path / "starter", about)):
        values = {"kit": show(found.kit, 40) or "no version", "now": kit.version()}
        raise warn("submission.starter", theirs=show(found.starter, 20), own=own, **values)
    group = f"{show(found.group, 60)}: " if found.group.strip() else ""
    return f"{group}{', '.join(found.names)}"
