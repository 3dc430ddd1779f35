"""leaderboard.yaml: a submission that holds it chose to stand on the class's leaderboard.

    name: Team Bauxite        # shown to the whole class; your own name stays out of it

Without the file, nobody is on it. The name is the only key.
"""

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from course_utils.assignments.findings import warn
from course_utils.assignments.folder import Folder, show
from course_utils.messages import Explained

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
    if FILE not in folder.files:
        return None
    if folder.files[FILE] > LARGEST:
        raise warn("leaderboard.name", problem=f"longer than {LARGEST:,} bytes")
    try:
        content = yaml.safe_load(folder.text(FILE))
        return Chosen.model_validate(content).name
    except Explained as problem:
        raise warn("leaderboard.name", problem=problem.message) from None
    except (yaml.YAMLError, RecursionError):
        raise warn("leaderboard.name", problem="no YAML") from None
    except ValueError as error:  # pydantic's, of which the input is not shown
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        place = ".".join(map(str, first["loc"])) or "the whole file"
        problem = f"{show(place, 40)}: {show(first['msg'], 80)}"
        raise warn("leaderboard.name", problem=problem) from None
