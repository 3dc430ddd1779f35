"""What a check found out: points with their evidence, or the reason why nothing could be judged."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from course_utils.grading.results import Evidence

if TYPE_CHECKING:
    from course_utils.grading.judging.case import Case

STEP = 0.5  # points: what an item's points are rounded to, downwards
SLACK = 1e-9  # 2/3 of 6 points are 4, whatever the last binary digit says


@dataclass(frozen=True)
class Judgement:
    """Points of one item. None: not judged; `feedback` then says why."""

    points: float | None
    evidence: tuple[Evidence, ...] = ()  # what the student may see
    feedback: str = ""  # what to do about it
    undecided: bool = False  # not judged, through no fault of the submission


def earned(case: "Case", share: float, *evidence: Evidence, feedback: str = "") -> Judgement:
    """A share (0 to 1) of the item's points, in half points, rounded downwards.

    The feedback says what would earn the rest. Raises ValueError for a share that is none.
    """
    if not (math.isfinite(share) and -SLACK <= share <= 1 + SLACK):
        raise ValueError(f"{case.item.id}: a share of {share}")
    points = math.floor(share * case.item.points / STEP + SLACK) * STEP
    return Judgement(min(max(points, 0.0), float(case.item.points)), evidence, feedback)


def failed(*evidence: Evidence, feedback: str) -> Judgement:
    """No points; the feedback says what was wrong and how to put it right."""
    return Judgement(0.0, evidence, feedback)


def not_judged(reason: str, *evidence: Evidence) -> Judgement:
    """The submission left nothing to judge: no points, and the reason."""
    return Judgement(None, evidence, reason)


def undecided(reason: str, *evidence: Evidence) -> Judgement:
    """The grader or its machine could not judge: no zero, a person decides, and the reason."""
    return Judgement(None, evidence, reason, undecided=True)
