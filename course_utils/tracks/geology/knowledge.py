"""The hand-written part of the geology track: data/knowledge/geology/*.yaml, read strictly.

One file a topic; each fact names its source. Show what is there:
python -m course_utils.tracks.geology.knowledge
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model, model_validator

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.handwritten import read_as
from course_utils.tracks.knowledge import Strict

FOLDER = kit.DATA / "knowledge" / "geology"
SWIR_BEGINS = 1500  # nm; the bands below are not asked about in questions on OH and carbonate
KEY = re.compile(r"<([^<>]+)>")


def plain(text: str) -> str:
    """The text without the marks around its key words."""
    return KEY.sub(r"\1", text)


def key_of(text: str) -> str:
    """The words between < and >: what a right answer must hold, however it is worded."""
    return KEY.search(text)[1]


def _has_one_key(text: str) -> str:
    if len(KEY.findall(text)) != 1 or {"<", ">"} & set(plain(text)):
        raise ValueError(f"{text!r} marks not exactly one <...>, the words of a right answer")
    return text


Marked = Annotated[str, Field(min_length=4), AfterValidator(_has_one_key)]


class Line(Strict):
    """One absorption: where, what causes it, what it looks like."""

    nm: int = Field(ge=350, le=2500)
    cause: Marked = Field(description="noun phrase: 'the <Al-OH> bond'")
    shape: str = Field(min_length=4, description="noun phrase with its article")


class AbsorbingMineral(Strict):
    name: str
    family: str = Field(description="minerals of one family stay in one part of a split")
    lines: list[Line] = Field(min_length=1, description="the most diagnostic first")
    note: str = Field(description="a sentence")
    source: str

    @model_validator(mode="after")
    def _lines_are_told_apart(self) -> "AbsorbingMineral":
        if len({line.shape for line in self.lines}) < len(self.lines):
            raise ValueError("two lines have the same shape: which wavelength would be asked for?")
        return self


class Zone(Strict):
    """A kind of alteration or weathering."""

    name: str
    article: str = ""
    minerals: list[str] = Field(min_length=2)
    setting: Marked = Field(description="noun phrase: where it lies")
    conditions: Marked = Field(description="noun phrase: which fluid or process")
    shows: Marked = Field(description="noun phrase, said after 'one sees'")
    source: str


class Step(Strict):
    """A step of preprocessing."""

    name: str
    article: str = ""
    purpose: Marked = Field(description="verb phrase: 'turns radiance into <reflectance>'")
    how: Marked = Field(description="imperative, without the full stop")
    omitted: Marked = Field(description="a clause: what happens without it")
    source: str


class Concept(Strict):
    """A method of unmixing and matching, which has a use, or a notion, which occurs somewhere."""

    name: str
    meaning: Marked = Field(description="noun phrase, said after 'it is'")
    use: Marked | None = Field(None, description="of a method: 'unmixing <intimate> mixtures'")
    occurs: Marked | None = Field(None, description="of a notion: 'in <soils>'")
    limit: Marked = Field(description="a clause: where it fails")
    source: str

    @model_validator(mode="after")
    def _either_use_or_place(self) -> "Concept":
        if (self.use is None) == (self.occurs is None):
            raise ValueError("a method has `use`, a notion has `occurs`: give one of the two")
        return self


class Mistake(Strict):
    name: str = Field(description="as a noun with participle: 'shadow mapped as a mineral'")
    symptom: Marked = Field(description="a clause: 'no <pixel> matches'")
    cause: Marked = Field(description="a clause")
    cure: Marked = Field(description="imperative, without the full stop")
    source: str


class Sensor(Strict):
    """A sensor; `range` and `limits` in nm, `sampling` in nm, `pixel` in m, `swath` in km."""

    name: str
    article: str = ""
    mode: str = Field("", description="where its figures hold: 'in target mode'")
    kind: str
    operator: str
    bands: int | None = Field(None, gt=0)
    range: tuple[int, int] | None = None
    sampling: float | None = Field(None, gt=0)
    pixel: float | None = Field(None, gt=0)
    swath: float | None = Field(None, gt=0)
    launch: int | None = Field(None, ge=1972, le=2030)
    limits: dict[str, tuple[float, float]] = Field(default_factory=dict)
    note: str
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> "Sensor":
        for name, (low, high) in {**self.limits, "range": self.range or (0, 1)}.items():
            if low >= high:
                raise ValueError(f"{name}: {low:g} is not below {high:g}")
        return self


class Index(Strict):
    """A band ratio or index; `bands` are names of the sensor's `limits`."""

    name: str
    about: Literal["vegetation", "water", "snow", "iron", "hydroxyl"]
    form: Literal["ratio", "normalised", "shoulders"]
    bands: list[str] = Field(min_length=2, max_length=3)
    sensor: str
    highlights: Marked = Field(description="noun phrase: what has high values")
    why: Marked = Field(description="a clause: which absorption makes it work")
    surfaces: list[str] = Field(min_length=4, description="spectra of the library for its pixels")
    source: str

    @model_validator(mode="after")
    def _right_number_of_bands(self) -> "Index":
        if len(self.bands) != (3 if self.form == "shoulders" else 2):
            raise ValueError(f"{self.form} with {len(self.bands)} bands")
        return self

    @property
    def formula(self) -> str:
        """'(B5 + B7) / B6'."""
        a, b, *c = self.bands
        if self.form == "ratio":
            return f"{a} / {b}"
        return f"({a} - {b}) / ({a} + {b})" if not c else f"({a} + {b}) / {c[0]}"

    def value(self, reflectance: Mapping[str, float]) -> float:
        """The index of one pixel, from reflectances by band name."""
        a, b, *c = (reflectance[band] for band in self.bands)
        if self.form == "ratio":
            return a / b
        return (a - b) / (a + b) if not c else (a + b) / c[0]


def titled(entry: Zone | Step | Sensor) -> str:
    """Its name as it stands in a sentence: 'a gossan', 'the empirical line method'."""
    return f"{entry.article} {entry.name}".strip()


@dataclass(frozen=True)
class Knowledge:
    """Everything in the folder; the sources are written out in full."""

    minerals: tuple[AbsorbingMineral, ...]
    zones: tuple[Zone, ...]
    steps: tuple[Step, ...]
    concepts: tuple[Concept, ...]
    mistakes: tuple[Mistake, ...]
    sensors: tuple[Sensor, ...]
    indices: tuple[Index, ...]

    def sensor(self, name: str) -> Sensor:
        """Raises CourseError for an unknown one."""
        for sensor in self.sensors:
            if sensor.name == name:
                return sensor
        known = ", ".join(sensor.name for sensor in self.sensors)
        raise CourseError(f"there is no sensor {name!r}", f"known: {known}")


# file -> (its list, the schema of an entry, the attribute of Knowledge)
FILES: dict[str, tuple[str, type[Strict], str]] = {
    "features.yaml": ("minerals", AbsorbingMineral, "minerals"),
    "alteration.yaml": ("zones", Zone, "zones"),
    "preprocessing.yaml": ("steps", Step, "steps"),
    "unmixing.yaml": ("concepts", Concept, "concepts"),
    "mistakes.yaml": ("mistakes", Mistake, "mistakes"),
    "sensors.yaml": ("sensors", Sensor, "sensors"),
    "indices.yaml": ("indices", Index, "indices"),
}


@lru_cache
def load(folder: Path = FOLDER) -> Knowledge:
    """The hand-written knowledge. Raises CourseError that names the file and the place."""
    found = {key: _load_file(folder / name, *rest) for name, (*rest, key) in FILES.items()}
    knowledge = Knowledge(**found)
    _check_indices(folder / "indices.yaml", knowledge)
    return knowledge


def _load_file(path: Path, key: str, schema: type[Strict]) -> tuple[Any, ...]:
    fields: dict[str, Any] = {"sources": (dict[str, str], ...), key: (list[schema], ...)}
    file = create_model(path.stem, __base__=Strict, **fields)
    cure = "course_utils/tracks/geology/knowledge.py describes every key"
    content = read_as(file, path, cure)
    sources, entries = content.sources, getattr(content, key)
    for entry in entries:
        if entry.source not in sources:
            raise CourseError(
                f"{path}: {entry.name}: source {entry.source!r} is not listed",
                "add it to `sources`",
            )
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    unused = set(sources) - {entry.source for entry in entries}
    if twice or unused:
        what = f"{twice[0]} is there twice" if twice else f"source {min(unused)} is not cited"
        raise CourseError(f"{path}: {what}", "remove what is too much")
    return tuple(one.model_copy(update={"source": sources[one.source]}) for one in entries)


def _check_indices(path: Path, knowledge: Knowledge) -> None:
    for index in knowledge.indices:
        missing = set(index.bands) - set(knowledge.sensor(index.sensor).limits)
        if missing:
            raise CourseError(
                f"{path}: {index.name}: {index.sensor} has no band {min(missing)}",
                "use the names in `limits` of sensors.yaml",
            )


# Fields of an entry that say nothing about the world, or only how to speak of it.
NO_FACTS = ("name", "article", "source", "family", "form", "surfaces", "mode")


def count_facts(knowledge: Knowledge) -> int:
    """Number of single facts: every filled value of every entry but names and sources."""
    total = 0
    for entries in vars(knowledge).values():
        for entry in entries:
            for name, value in entry:
                if name in NO_FACTS or value in (None, ""):
                    continue
                total += len(value) if isinstance(value, list | dict) else 1
    return total


if __name__ == "__main__":
    for name, (_, _, attribute) in FILES.items():
        print(f"{name:<22}{len(getattr(load(), attribute)):>4} entries")
    print(f"{count_facts(load())} facts, each entry with its source")
