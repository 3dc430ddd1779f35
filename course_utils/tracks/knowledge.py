"""The hand-written knowledge base: equipment, how it fails, what to check, what to do.

One YAML file for each kind of equipment in data/knowledge/manufacturing/. Every leaf is a fact.
Show what is there:  python -m course_utils.tracks.knowledge
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.handwritten import read_as

FOLDER = kit.DATA / "knowledge" / "manufacturing"
Limit = Literal["at most", "at least", "between", "equal to"]
TRADE = "trade value"  # the source of a figure that no standard or handbook gives


class Strict(BaseModel):
    """A misspelt key in a hand-written file is an error, not a silent gap."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantity(Strict):
    """A number with its unit, as a specification or as the limit of a check.

    `value` is text, so that 0.50 stays 0.50; `upper` is only used with "between".
    """

    name: str = Field(min_length=3, description="without the unit: 'oil temperature'")
    limit: Limit = "equal to"
    value: str = Field(pattern=r"^-?\d+(\.\d+)?$")
    upper: str | None = Field(None, pattern=r"^-?\d+(\.\d+)?$")
    unit: str = Field(description="SI or usual unit, or '' for a ratio")
    how: str = Field("", description="where or with what it is measured")
    source: str = Field(
        min_length=3, description=f"standard, handbook, maker or formula; or '{TRADE}'"
    )

    @property
    def cited(self) -> bool:
        """Whether the figure names where it stands; a trade value is usual, and no rule."""
        return self.source != TRADE


class Component(Strict):
    name: str
    function: str = Field(description="verb phrase: 'carries the radial load'")


class Symptom(Strict):
    """What an operator reports; in YAML a plain text, or {text: ..., stop: true}."""

    text: str = Field(description="noun phrase")
    stop: bool = Field(False, description="it alone takes the machine out of service")

    @model_validator(mode="before")
    @classmethod
    def _plain_text(cls, value: object) -> object:
        return {"text": value} if isinstance(value, str) else value


class Remedy(Strict):
    """A cause, what removes this very cause, and what makes that work safe: one link."""

    cause: str = Field(description="noun phrase")
    action: str = Field(description="imperative, without the full stop")
    safety: str = Field(description="imperative, before this action begins")
    origin: str = Field("", description="the part where this cause is mended, if it is another one")
    repair: str = Field(
        "", description="imperative, what else a damaged part needs: the action ends only the cause"
    )


class FailureMode(Strict):
    """One way to fail. The group of its records, so it never lies in two parts of a split."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str = Field(description="noun phrase: 'mechanical seal leakage'")
    component: str = Field(description="the part where the fault sits")
    reported: list[Symptom] = Field(min_length=2, alias="symptoms")
    checks: list[Quantity] = Field(min_length=1)
    remedies: list[Remedy] = Field(min_length=2)
    further_actions: list[str] = Field([], alias="actions", description="for no one cause alone")
    effect: str = Field("", description="what happens if nothing is done, a clause")

    @property
    def symptoms(self) -> list[str]:
        """What operators report, in the order of the file."""
        return [symptom.text for symptom in self.reported]

    @property
    def origins(self) -> list[str]:
        """The other parts where a cause is mended, each once."""
        return list(dict.fromkeys(remedy.origin for remedy in self.remedies if remedy.origin))

    @property
    def causes(self) -> list[str]:
        """One for each remedy."""
        return [remedy.cause for remedy in self.remedies]

    @property
    def actions(self) -> list[str]:
        """Each once: those of the remedies, then the further ones."""
        return list(dict.fromkeys([one.action for one in self.remedies] + self.further_actions))

    @property
    def repairs(self) -> list[str]:
        """What a damaged part needs beside the actions, each once."""
        return list(dict.fromkeys(remedy.repair for remedy in self.remedies if remedy.repair))

    @property
    def safety(self) -> list[str]:
        """Each once, in the order of the remedies."""
        return list(dict.fromkeys(remedy.safety for remedy in self.remedies))


class Equipment(Strict):
    """One kind of equipment."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str = Field(description="singular, without article: 'centrifugal pump'")
    function: str = Field(description="verb phrase: 'moves liquid by ...'")
    example: str = Field(description="the size meant by the figures: '75 kW, 4-pole, IP55'")
    specifications: list[Quantity] = Field(min_length=6)
    components: list[Component] = Field(min_length=5)
    failure_modes: list[FailureMode] = Field(min_length=5)
    maintenance: list[str] = Field(min_length=3, description="'every 500 h: change ...'")
    sources: list[str] = Field(description="full titles of what is cited in short elsewhere")

    def facts(self) -> Iterator[str]:
        """Every fact, one short text each."""
        yield self.function
        yield from (quantity.name for quantity in self.specifications)
        yield from (f"{part.name} {part.function}" for part in self.components)
        yield from self.maintenance
        for mode in self.failure_modes:
            yield from (*mode.symptoms, *mode.causes, *mode.actions, *mode.repairs, *mode.safety)
            yield from (check.name for check in mode.checks)


@lru_cache
def load(folder: Path = FOLDER) -> tuple[Equipment, ...]:
    """All equipment, in the order of the file names.

    Raises CourseError that names the file and the place when a file cannot be read.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise CourseError(f"{folder}: there is no knowledge file", "clone the kit again")
    return tuple(_load_file(path) for path in files)


def _load_file(path: Path) -> Equipment:
    cure = "course_utils/tracks/knowledge.py describes every key"
    equipment = read_as(Equipment, path, cure)
    _check_consistency(path, equipment)
    return equipment


def _check_consistency(path: Path, equipment: Equipment) -> None:
    parts = {part.name for part in equipment.components}
    for mode in equipment.failure_modes:
        named = [("component", mode.component), *(("origin", part) for part in mode.origins)]
        for key, part in named:
            if part not in parts:
                raise CourseError(
                    f"{path}: failure mode {mode.id}: {key} {part!r} is not listed",
                    f"add it to components; there are: {', '.join(sorted(parts))}",
                )
        if mode.component in mode.origins:
            raise CourseError(
                f"{path}: failure mode {mode.id}: origin {mode.component!r} is its component",
                "leave origin out: it names another part",
            )
    for quantity in _quantities(equipment):
        if (quantity.limit == "between") != (quantity.upper is not None):
            raise CourseError(
                f"{path}: {quantity.name}: 'between' and `upper` belong together",
                "give both or neither",
            )
    ids = [mode.id for mode in equipment.failure_modes]
    if len(set(ids)) < len(ids):
        raise CourseError(f"{path}: a failure mode's id is there twice", "rename one of them")


def _quantities(equipment: Equipment) -> Iterator[Quantity]:
    yield from equipment.specifications
    for mode in equipment.failure_modes:
        yield from mode.checks


def count_facts(equipment: tuple[Equipment, ...]) -> int:
    """Number of facts in the knowledge base."""
    return sum(len(list(one.facts())) for one in equipment)


def count_sources(equipment: tuple[Equipment, ...]) -> tuple[int, int]:
    """Figures that name a source, and all figures; the others are trade values."""
    quantities = [quantity for one in equipment for quantity in _quantities(one)]
    return sum(quantity.cited for quantity in quantities), len(quantities)


if __name__ == "__main__":
    for one in load():
        cited = sum(quantity.cited for quantity in _quantities(one))
        print(
            f"{one.name:<32} {len(list(one.facts())):>4} facts, "
            f"{len(one.failure_modes)} failure modes, {cited} figures with a source"
        )
    print(f"{count_facts(load())} facts on {len(load())} kinds of equipment")
    print("{} of {} figures name a source".format(*count_sources(load())))
