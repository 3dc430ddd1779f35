"""Totals: computed whenever a page is made, never stored.

A line is one item of one submission: automatic points, priced by the rubric that holds today, or a
person's mark, or the override. Nothing is run again for that, so a changed rubric, a new mark or an
override costs a second for a whole class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from course_utils.assignments.rubric import Item as RubricItem
from course_utils.assignments.rubric import Rubric
from course_utils.grading.marks import Mark, work_digest
from course_utils.grading.numbers import priced, rounded
from course_utils.grading.overrides import Override, Overrides
from course_utils.grading.results import Item, Result

# scored, failed: by the computer; marked: by a person; changed: by an override.
LineState = Literal[
    "scored", "failed", "not judged", "marked", "waiting", "disagreement", "changed"
]
OPEN = ("waiting", "disagreement")


@dataclass(frozen=True)
class Line:
    """What one item is worth to one student, and why."""

    item: RubricItem
    state: LineState
    points: float | None
    found: Item | None  # what the grader wrote; None: the rubric has the item since
    marks: Mapping[str, Mark] = field(default_factory=dict)  # marker -> mark
    override: Override | None = None

    @property
    def undecided(self) -> bool:
        """Not judged, through no fault of the submission: grade it again, or override it."""
        return self.state == "not judged" and self.found is not None and self.found.undecided

    @property
    def open(self) -> bool:
        """A person has still to decide."""
        return self.state in OPEN or self.undecided

    @property
    def earlier(self) -> bool:
        """A person marked an earlier hand-in of it, and has still to look at this one."""
        return self.state == "waiting" and bool(self.marks)

    @property
    def full(self) -> bool:
        return self.points is not None and self.points >= self.item.points


@dataclass(frozen=True)
class Total:
    """One student's lines and sums. `points` is None where nothing can be said: not gradable.

    Overrides for all that could not be judged there make it a total like any other.
    """

    result: Result
    lines: list[Line]
    most: float  # without bonuses

    def _sum(self, bonus: bool) -> float:
        own = [line for line in self.lines if (line.item.part == "bonus") == bonus]
        return rounded(sum(line.points or 0.0 for line in own))

    @property
    def regular(self) -> float:
        """Points so far, without bonuses."""
        return self._sum(bonus=False)

    @property
    def bonus(self) -> float:
        return self._sum(bonus=True)

    @property
    def gradable(self) -> bool:
        """Whether its points say something: it was judged here, or people decided all of it."""
        if self.result.status != "not gradable":
            return True
        left = [own for own in self.lines if own.open or own.state == "not judged"]
        return all(_passed_over(own.item, own.found) and not own.undecided for own in left)

    @property
    def points(self) -> float | None:
        """All points so far; *not gradable* is not zero."""
        return rounded(self.regular + self.bonus) if self.gradable else None

    @property
    def waiting(self) -> list[str]:
        """Items that a person has still to decide; none for what cannot be graded here."""
        return [line.item.id for line in self.lines if line.open and self.gradable]

    @property
    def earlier(self) -> list[str]:
        """Items of which a person marked an earlier hand-in; they wait again."""
        return [line.item.id for line in self.lines if line.earlier and self.gradable]

    @property
    def undecided(self) -> list[str]:
        """Items that could not be judged, through no fault of the submission, and keep it open."""
        return [line.item.id for line in self.lines if line.undecided and self.gradable]

    @property
    def not_judged(self) -> list[str]:
        return [line.item.id for line in self.lines if line.state == "not judged"]

    @property
    def final(self) -> bool:
        """Nothing is awaited: this is the mark."""
        return self.points is not None and not self.waiting

    def line(self, name: str) -> Line:
        """The line of this item."""
        return next(line for line in self.lines if line.item.id == name)


def total(
    result: Result,
    rubric: Rubric,
    marks: Mapping[str, Mapping[str, Mark]] | None = None,
    overrides: Overrides | None = None,
) -> Total:
    """The lines of one result, in the rubric's order. `marks`: item -> marker -> mark."""
    lines = [
        _line(result, item, (marks or {}).get(item.id, {}), overrides or {})
        for item in rubric.items
    ]
    return Total(result, lines, float(rubric.points))


def _line(
    result: Result, item: RubricItem, marks: Mapping[str, Mark], overrides: Overrides
) -> Line:
    found = result.item(item.id)
    override = overrides.get((result.submission, item.id))
    if override:
        return Line(item, "changed", override.points, found, marks, override)
    if item.kind == "manual":
        return _marked(item, found, marks, result.status)
    if found is None or found.state in ("manual", "not judged") or found.points is None:
        return Line(item, "not judged", None, found)
    return Line(item, found.state, priced(found.points, found.max, item.points), found)


def _marked(item: RubricItem, found: Item | None, marks: Mapping[str, Mark], status: str) -> Line:
    shown = work_digest(found) if marks else ""
    valid = {who: mark for who, mark in marks.items() if mark.looked_at in ("", shown)}
    given = {
        priced(mark.points, mark.max, item.points)
        for mark in valid.values()
        if mark.points is not None
    }
    if len(given) > 1:
        return Line(item, "disagreement", None, found, valid)
    if given:
        return Line(item, "marked", given.pop(), found, valid)
    if status == "rejected" or (found and found.state == "not judged") or _passed_over(item, found):
        return Line(item, "not judged", None, found)  # there is nothing to read
    return Line(item, "waiting", None, found, marks)  # of an earlier hand-in, if any


def _passed_over(item: RubricItem, found: Item | None) -> bool:
    """A bonus for which nothing was handed in: nobody waits for it."""
    return item.part == "bonus" and not (found and found.work)


@dataclass(frozen=True)
class Change:
    """A total that is not what it was."""

    submission: str
    name: str
    before: float | None
    now: float | None


def changes(before: Mapping[str, float | None], totals: Sequence[Total]) -> list[Change]:
    """Old and new total of every submission whose total changed; new submissions are no change."""
    return [
        Change(
            own.result.submission, own.result.owner.name, before[own.result.submission], own.points
        )
        for own in totals
        if own.result.submission in before and before[own.result.submission] != own.points
    ]
