"""A submission as the judge sees it, for tests of single checks."""

import math

from course_utils.assignments.definition import ASSIGNMENTS, find
from course_utils.assignments.folder import scan
from course_utils.assignments.rubric import load_rubric
from course_utils.execution.sandbox.limits import Limits
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.registry import checks_of
from course_utils.messages import Explained

NAMES = {about.folder: name for name, about in ASSIGNMENTS.items()}


def case_of(folder, assignment, item, box=None, **more):
    """The case of one item; no model stands behind it."""
    rubric = load_rubric(find(NAMES[assignment]).path / "rubric.yaml")
    values = {"limits": Limits(), "models": None, "seed": 7, **more}
    root = folder.resolve()
    return Case(assignment, rubric, rubric.item(item), scan(root), box, **values)


def judged(case):
    """What the check of the case's item says; what it raises counts as the judge counts it."""
    try:
        return checks_of(case.assignment)[case.item.check](case)
    except Explained as error:
        return type("Raised", (), {"points": 0.0, "feedback": str(error), "evidence": ()})()


def worth(item, share):
    """The points that a share of an item is worth: half points, downwards."""
    return math.floor(2 * share * item.points + 1e-9) / 2


def share(case):
    """The share of the item's points that its check gives."""
    return judged(case).points / case.item.points
