"""leaderboard.yaml: a submission that holds it chose to stand on the class's leaderboard.

    name: Team Bauxite        # shown to the whole class; your own name stays out of it

Without the file, nobody is on it. The name is the only key.
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from course_utils.assignments.findings import Warn, warn
from course_utils.assignments.folder import Folder, yaml_as

FILE = "leaderboard.yaml"
LARGEST = 1000  # bytes
LONGEST = 60  # characters, as grading's Entry has it


class Chosen(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=LONGEST)

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable() or not name.strip():
            raise ValueError("not one line of printable text")
        return name.strip()


def chosen_name(folder: Folder) -> str | None:
    """The name that a submission wants on the leaderboard; None without the file.

    Raises Explained (a warning) where the file says something else: then nobody is on it.
    """
    chosen = yaml_as(Chosen, folder, FILE, LARGEST, _unreadable)
    return chosen.name if chosen else None


def _unreadable(problem: str) -> Warn:
    return warn("leaderboard.name", problem=problem)
