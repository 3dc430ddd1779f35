"""What earns points: an assignment's rubric.yaml, read and checked.

rubric = load_rubric("assignments/week09_10_manufacturing/rubric.yaml")
rubric.item("data_no_leak").points
"""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from course_utils.errors import CourseError
from course_utils.handwritten import read_yaml

NAME = r"^[a-z][a-z0-9_]*$"  # an id is a column of the gradebook, a check is a function
SIZE_LIMIT = 1_000_000  # bytes

Part = int | Literal["bonus"]


class Item(BaseModel):
    """One line of the gradebook: what is scored, for how much, and by whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=NAME)
    part: Part
    title: str = Field(min_length=1)
    points: int = Field(ge=1)
    kind: Literal["automatic", "manual"]
    check: str | None = Field(None, pattern=NAME, description="function that scores the item")
    description: str = Field(min_length=1, description="what earns the points, for the student")
    rationale: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check_fits_kind(self) -> "Item":
        if self.kind == "automatic" and not self.check:
            raise ValueError("an automatic item needs `check`, the function that scores it")
        if self.kind == "manual" and self.check:
            raise ValueError("a manual item is scored by a person and takes no `check`")
        return self


class PartOfRubric(BaseModel):
    """A part of the hand-out and what it is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: int = Field(ge=1)
    title: str = Field(min_length=1)
    points: int = Field(ge=1)


class Rubric(BaseModel):
    """Every item of one assignment; its sums are checked by `load_rubric`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    assignment: str = Field(pattern=NAME, description="the folder's name")
    title: str = ""  # assignment.yaml has it
    points: int = Field(ge=1)
    bonus_points: int = Field(0, ge=0)
    parts: list[PartOfRubric] = Field(min_length=1)
    items: list[Item] = Field(min_length=1)

    def of_part(self, part: Part) -> list[Item]:
        """The items of one part, or of "bonus", in the file's order."""
        return [item for item in self.items if item.part == part]

    def of_kind(self, kind: str) -> list[Item]:
        """The items scored by a function ("automatic") or by a person ("manual")."""
        return [item for item in self.items if item.kind == kind]

    def item(self, name: str) -> Item:
        """The item with this id. Raises CourseError that lists the known ones."""
        found = {item.id: item for item in self.items}
        if name not in found:
            raise CourseError(f"the rubric has no item {name!r}", f"items: {', '.join(found)}")
        return found[name]


def load_rubric(path: str | Path) -> Rubric:
    """Read rubric.yaml. Raises CourseError that names the file, the item and what was wrong."""
    path = Path(path)
    content = _parse(path)
    try:
        rubric = Rubric.model_validate(content)
    except ValidationError as error:
        raise CourseError(
            f"{path}: {_explain(error, content)}",
            "an item has id, part, title, points, kind, check (if automatic), description, "
            "rationale; course_utils/assignments/rubric.py has the limits",
        ) from None
    for problem, cure in _wrong_sums(rubric):
        raise CourseError(f"{path}: {problem}", cure)
    return rubric


def _parse(path: Path) -> dict[str, Any]:
    import yaml

    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise CourseError(f"{path}: larger than {SIZE_LIMIT:,} bytes", "name a rubric.yaml")
        content = read_yaml(path)
    except FileNotFoundError:
        raise CourseError(f"{path}: there is no such file", "name a rubric.yaml") from None
    except UnicodeDecodeError:
        raise CourseError(f"{path}: this is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", "check the path") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or f"not readable ({type(error).__name__})"
        raise CourseError(
            f"{path}: {where}{what}", "indent alike, quote texts with : or #"
        ) from None
    if not isinstance(content, dict):
        raise CourseError(f"{path}: this is no rubric", "it begins with assignment, parts, items")
    return content


def _explain(error: ValidationError, content: dict[str, Any]) -> str:
    """Each problem behind the id of its item (or its number where the id itself is missing)."""
    lines = []
    for problem in error.errors():
        where = [str(step) for step in problem["loc"] if step not in ("int", "literal['bonus']")]
        message = problem["msg"].removeprefix("Value error, ")
        if where[0] == "items" and len(where) > 1:
            number = int(where[1])
            item = content["items"][number]
            name = item.get("id") if isinstance(item, dict) else None
            title = f"item {name}" if isinstance(name, str) and name else f"item no. {number + 1}"
            where = [title, *where[2:]]
        lines.append(f"{', '.join(where)}: {message}")
    return "; ".join(dict.fromkeys(lines))


def _wrong_sums(rubric: Rubric) -> list[tuple[str, str]]:
    """Double ids, unknown parts and sums that do not add up, each with its cure; or nothing."""
    problems = []
    for name, count in Counter(item.id for item in rubric.items).items():
        if count > 1:
            found = f"item {name} stands {count} times; an id must be unique"
            problems.append((found, "give one of them another id"))
    points = {part.part: part.points for part in rubric.parts}
    if len(points) < len(rubric.parts):
        problems.append(("a part stands twice in `parts`", "number the parts, or remove one"))
    for item in rubric.items:
        if item.part != "bonus" and item.part not in points:
            found = f"item {item.id}: there is no part {item.part}"
            problems.append((found, "name a part that `parts` lists, or bonus"))
    for part, expected in points.items():
        own = sum(item.points for item in rubric.of_part(part))
        if own != expected:
            found = f"the items of part {part} add up to {own} points, not {expected}"
            cure = f"change an item's points, or write points: {own} at part {part} in `parts`"
            problems.append((found, cure))
    if (own := sum(points.values())) != rubric.points:
        found = f"the parts add up to {own} points, not {rubric.points}"
        problems.append(
            (found, f"change a part's points, or write points: {own} at the file's top")
        )
    bonus = sum(item.points for item in rubric.of_part("bonus"))
    if bonus != rubric.bonus_points:
        found = f"the bonuses add up to {bonus} points, not {rubric.bonus_points}"
        cure = f"write bonus_points: {bonus} at the file's top, or change a bonus's points"
        problems.append((found, cure))
    return problems
