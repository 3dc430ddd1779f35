"""Base models for grading: from the grader's own registry, and only those that are on this machine.

base = find_base("smollm2-135m-instruct")      # NotGradable where it is not here
Sandbox(..., readable=readable())              # so that submissions' processes can read them
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course_utils import models
from course_utils.assignments.folder import show
from course_utils.errors import CourseError
from course_utils.hardware import choose_precision, detect
from course_utils.packages import cache_folder


class NotGradable(CourseError):
    """This machine lacks what the whole submission needs: it ends *not gradable*, not with 0."""


@dataclass(frozen=True)
class Base:
    """A base model on this machine, and how it is loaded for grading."""

    name: str
    folder: str
    precision: str  # what this machine computes best, whatever the submission was trained in
    quantization: str = "none"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def find_base(name: str, quantization: str = "none") -> Base:
    """The base model of this name. Raises NotGradable with the cure where it is not here."""
    known = models.registry().get(name)
    if known is None:
        raise NotGradable(
            f"base model {show(name, 80)} is not in the grader's registry",
            "`course model list` shows it; course_utils/models.yaml takes a further model",
        )
    folder = _folder_of(known)
    if folder is None:
        get = f"course model prepare {name}" if known.hub is None else f"hf download {known.hub}"
        raise NotGradable(
            f"base model {name} is not on this machine",
            f"fetch it once with `{get}` and grade this submission again, or grade it on a machine "
            "that has it",
        )
    return Base(name, str(folder), _precision(), quantization)


@cache
def _precision() -> str:
    return choose_precision(detect())[0]


def _folder_of(known: models.BaseModel) -> Path | None:
    """Where the weights lie; None where they do not."""
    if known.hub is None:
        folder = cache_folder() / "models" / known.name
        return folder if models.is_prepared(known.name) else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(known.hub, "config.json")
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    return folder if any(folder.glob("*.safetensors")) else None


def readable(names: Iterable[str] | None = None) -> list[Path]:
    """Folders that the sandbox has to show for these models (by default all that are here).

    A Hub model's files are links into a folder beside it, so the whole of it is named.
    """
    wanted = models.registry() if names is None else names
    folders = []
    for name in wanted:
        known = models.registry()[name]
        if folder := _folder_of(known):
            folders.append(folder if known.hub is None else folder.parents[1])
    return folders
