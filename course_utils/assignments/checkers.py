"""Which module walks the submissions of an assignment: assignment.yaml names it as `checker`."""

from types import ModuleType

from course_utils.assignments import week05, week09_10
from course_utils.assignments.definition import find
from course_utils.errors import CourseError

CHECKERS: dict[str, ModuleType] = {"week05": week05, "week09_10": week09_10}


def checker_of(assignment: str) -> ModuleType:
    """The module with the CHECKLIST, `check_submission` and `pack_submission` of an assignment."""
    about = find(assignment)
    if about.checker not in CHECKERS:
        known = ", ".join(CHECKERS)
        raise CourseError(
            f"{about.path / 'assignment.yaml'}: there is no checker {about.checker!r}",
            f"name one of {known}; course_utils/assignments/checkers.py lists them",
        )
    return CHECKERS[about.checker]
