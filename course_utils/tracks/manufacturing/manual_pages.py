"""A page of an equipment manual: some troubleshooting entries of one machine.

A question is asked on one entry; the others hold the values that it must not be confused with.
The sentences: data/wordings/manufacturing/manual_pages.yaml.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from course_utils.tracks.knowledge import Equipment, FailureMode
from course_utils.tracks.manufacturing.equipment_text import limit_text
from course_utils.tracks.wording import Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/manual_pages")
ENTRIES = 4  # of a page; the last page of a machine may have more
PARTS_SHOWN = 5  # names in the list of the machine's parts
EXTRA = ("symptoms", "checks", "causes", "effect")  # what an excerpt may show beside what it must
COVERS = {
    "remedies": ("causes",),
    "safe_remedies": ("causes", "remedies"),
    "whole_remedies": ("causes", "remedies"),
}


@dataclass(frozen=True)
class Page:
    """Entries that are shown together, so they are one group: whole in one part of the data."""

    equipment: Equipment
    modes: tuple[FailureMode, ...]
    group: str

    def around(self, mode: FailureMode, count: int, rng: random.Random) -> "Page":
        """An excerpt of the page: one entry and drawn others, `count` in all, in a drawn order."""
        others = [other for other in self.modes if other is not mode]
        shown = [mode, *rng.sample(others, min(count - 1, len(others)))]
        rng.shuffle(shown)
        return replace(self, modes=tuple(shown))

    def linked(self, name: str) -> list[str]:
        """All causes, actions, repairs or safety steps ("cause", ...) of the page."""
        found = [getattr(one, name) for mode in self.modes for one in mode.remedies]
        return [one for one in found if one]

    @property
    def faults(self) -> list[str]:
        return [mode.name for mode in self.modes]

    @property
    def stop_signs(self) -> list[str]:
        """The symptoms that alone take the machine out of service."""
        return [sign.text for mode in self.modes for sign in mode.reported if sign.stop]


def pages(equipment: Equipment) -> list[Page]:
    """All failure modes of a machine, each on one page, in the order of its file."""
    modes = equipment.failure_modes
    starts = range(0, max(1, len(modes) - len(modes) % ENTRIES), ENTRIES)
    ends = [*list(starts)[1:], len(modes)]
    shown = [tuple(modes[a:b]) for a, b in zip(starts, ends, strict=True)]
    ids = ["+".join(mode.id for mode in own) for own in shown]
    return [
        Page(equipment, own, f"{equipment.id}/{name}") for own, name in zip(shown, ids, strict=True)
    ]


def excerpt(say: Realiser, page: Page, must: Sequence[str], extras: int = 1) -> str:
    """The page in one of several layouts: the parts `must` of each entry, and drawn further ones.

    Parts: "component", "origins" (causes that are mended elsewhere), "symptoms", "causes",
    "remedies" (cause and action), "safe_remedies" (with the safety step),
    "whole_remedies" (with the repair of a damaged part), "checks", "effect".
    """
    covered = {name for part in must for name in COVERS.get(part, ())} | set(must)
    free = [part for part in EXTRA if part not in covered]
    shown = say.order("order", [*must, *say.rng.sample(free, min(extras, len(free)))])
    layout = say("layout", ["lines", "prose", "table", "bullets"])
    machine = page.equipment
    head = say("head", SAY["head"], machine=machine.name, example=machine.example)
    marks = {part: say(part, SAY["labels"][part]) for part in shown}
    if "symptoms" in shown:
        marks["stop"] = say("stop", SAY["labels"]["stop"])
    blocks = [_entry(mode, layout, marks) for mode in page.modes]
    if "component" in must:
        blocks.append(_parts_list(say, page))
    return "\n".join([head, *blocks])


def _entry(mode: FailureMode, layout: str, marks: Mapping[str, str]) -> str:
    text = [SAY.phrase("entry", "prose" if layout == "prose" else "lines", fault=mode.name)]
    for part, mark in marks.items():
        items = shown_items(mode, part)
        if layout == "bullets" and len(items) > 1:
            text += [f"{mark}:", *(f"- {item}" for item in items)]
        elif layout == "table":
            text.append(f"{mark} | {' / '.join(items)}")
        else:
            text.append(f"{mark}: {'; '.join(items)}{'.' if layout == 'prose' else ''}")
    return (" " if layout == "prose" else "\n").join(text)


def shown_items(mode: FailureMode, part: str) -> list[str]:
    """What one part of an entry lists."""
    if part in ("symptoms", "stop"):
        found = [sign.text for sign in mode.reported if sign.stop == (part == "stop")]
    elif part == "component":
        found = [mode.component]
    elif part == "origins":
        found = [SAY.phrase("origin", **one.model_dump()) for one in mode.remedies if one.origin]
    elif part == "whole_remedies":
        found = [
            SAY.phrase("remedy", part if one.repair else "remedies", **one.model_dump())
            for one in mode.remedies
        ]
    elif part in ("remedies", "safe_remedies"):
        found = [SAY.phrase("remedy", part, **one.model_dump()) for one in mode.remedies]
    elif part == "checks":
        found = [f"{check.name}: {limit_text(check)}" for check in mode.checks]
    else:
        found = [mode.effect] if part == "effect" else mode.causes
    return [item for item in found if item] or ["none"]


def _parts_list(say: Realiser, page: Page) -> str:
    """A list of the machine's parts, the asked one among them: so there are rivals for it."""
    return say("parts", SAY["parts_list"], parts="; ".join(shown_parts(page)))


def shown_parts(page: Page) -> list[str]:
    """The parts that the entries name and the first others of the machine, in its own order."""
    named = {part for mode in page.modes for part in (mode.component, *mode.origins)}
    known = [part.name for part in page.equipment.components]
    further = [part for part in known if part not in named][: PARTS_SHOWN - len(named)]
    return [part for part in known if part in named or part in further]
