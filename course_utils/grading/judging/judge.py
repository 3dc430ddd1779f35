"""All items of one submission, in the rubric's order: each check called, whatever it raises told.

    judged = judge(case, log)
    judged.items, judged.not_gradable

What a check raises ends its own item and no other. CourseError is the submission's fault and its
text the feedback; NotGradable is this machine's, and the whole submission is then *not gradable*;
NotMeasured and anything else is a fault of the grader: the item is undecided until a person looks.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.assignments.rubric import Item as RubricItem
from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.files import FULL
from course_utils.grading.cache import BatchStopped
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.work import work_for
from course_utils.grading.judging.judgement import Judgement, not_judged, undecided
from course_utils.grading.judging.keeping import kept
from course_utils.grading.judging.registry import RUNS, checks_of, needs_of
from course_utils.grading.probing.evidence import NotGradable, NotMeasured
from course_utils.grading.results import Item

OURS = "the grader itself failed here"


@dataclass
class Judged:
    """What came of a submission: its items, and what stood in the way."""

    items: list[Item]
    log: list[str] = field(default_factory=list)
    not_gradable: NotGradable | None = None
    broken: list[str] = field(default_factory=list)  # items at which the grader itself failed


def check_rubric(rubric: Rubric) -> None:
    """CourseError where an item names a check that there is not, before anything runs."""
    known = checks_of(rubric.assignment)
    missing = [f"{i.id} ({i.check})" for i in rubric.of_kind("automatic") if i.check not in known]
    if missing:
        raise CourseError(
            f"rubric of {rubric.assignment}: there is no check for {', '.join(missing)}",
            f"write one of these into `check`, or let a person mark the item (kind: manual): "
            f"{', '.join(sorted(known))}",
        )


def judge(case: Case, tell: Callable[[str], None] = lambda item: None) -> Judged:
    """Judge every item of `case.rubric`; `tell` hears the id of the item that is looked at.

    Raises BatchStopped for a full disk, and nothing else.
    """
    return _Bench(case, tell).all()


def unjudged(rubric: Rubric, reason: str, ours: bool) -> list[Item]:
    """The items of a submission that could not be looked at. `ours`: the grader's own fault."""
    judgement = undecided(reason) if ours else not_judged(reason)
    return [_item(item, judgement) for item in rubric.items]


class _Bench:
    """The items of one case, each judged once, needed ones before those that need them."""

    def __init__(self, case: Case, tell: Callable[[str], None]) -> None:
        self.case, self.tell = case, tell
        self.by_check = {item.check: item for item in case.rubric.of_kind("automatic")}
        self.done: dict[str, Item] = {}
        self.judged = Judged([])

    def all(self) -> Judged:
        for item in self.case.rubric.items:
            self._once(item)
        self.judged.items = [self.done[item.id] for item in self.case.rubric.items]
        return self.judged

    def _once(self, item: RubricItem) -> Item:
        if item.id not in self.done:
            unmet = [self._once(need) for need in self._needed(item)]
            unmet = [found for found in unmet if not found.points]
            self.done[item.id] = self._found(item, unmet)
        return self.done[item.id]

    def _needed(self, item: RubricItem) -> list[RubricItem]:
        """Items of the checks that this one needs; a rubric may leave one of them out."""
        names = needs_of(self.case.assignment, item.check or "")
        return [self.by_check[name] for name in names if name in self.by_check]

    def _found(self, item: RubricItem, unmet: Sequence[Item]) -> Item:
        if unmet:
            return _item(item, _without(unmet))
        self.tell(item.id)
        started = time.monotonic()
        try:
            found = self._asked(replace(self.case, item=item))
        except BatchStopped:
            raise
        except NotGradable as problem:
            self.judged.not_gradable = self.judged.not_gradable or problem
            found = _item(item, undecided(in_words(problem)))
        except NotMeasured as problem:
            # For the log alone: that process was asked hidden records.
            self.judged.log.append(f"{item.id}: its last words: {problem.cure or 'none'}")
            found = _item(item, undecided(f"not judged: {problem.message}"))
        except CourseError as problem:
            own = in_words(problem).replace(f"{self.case.folder.root}/", "")  # not our paths
            found = _item(item, Judgement(0.0, feedback=own))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise BatchStopped.no_space(Path(error.filename or ".")) from None
            self.judged.broken.append(item.id)
            self.judged.log += traceback.format_exception(error)
            found = _item(item, undecided(f"{OURS}: {type(error).__name__}"))
        points = "-" if found.points is None else f"{found.points:g}"
        seconds = time.monotonic() - started
        self.judged.log.append(
            f"{item.id}: {found.state}, {points} of {found.max:g} points, {seconds:.1f} s"
        )
        return found

    def _asked(self, case: Case) -> Item:
        if case.item.kind == "manual":
            return _manual(case)
        name = case.item.check or ""
        function = checks_of(case.assignment)[name]
        runs = name in RUNS.get(case.assignment, ())
        return _item(case.item, kept(case, function) if runs else function(case))


def _without(unmet: Sequence[Item]) -> Judgement:
    """What becomes of an item when items that it needs have no points."""
    for found in unmet:
        if found.undecided:
            return undecided(f"not judged: “{found.title}” is undecided")
    return not_judged(f"not judged: “{unmet[0].title}” earned nothing")


def _manual(case: Case) -> Item:
    return Item(
        id=case.item.id,
        title=case.item.title,
        points=None,
        max=case.item.points,
        state="manual",
        work=work_for(case),
    )


def _item(item: RubricItem, judgement: Judgement) -> Item:
    states = {None: "not judged", 0.0: "failed"}
    return Item(
        id=item.id,
        title=item.title,
        points=judgement.points,
        max=item.points,
        state=states.get(judgement.points, "scored"),
        evidence=list(judgement.evidence),
        feedback=judgement.feedback,
        undecided=judgement.undecided,
    )


def in_words(problem: CourseError) -> str:
    """Message and cure as one text."""
    return f"{problem.message}. To mend it: {problem.cure}" if problem.cure else problem.message
