"""The rubrics and the checks match, one to one."""

import pytest

from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.grading.judging.registry import checks_of, needs_of
from course_utils.grading.publishing import rubric_of


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_each_automatic_item_has_its_check_and_each_check_its_item(assignment):
    rubric = rubric_of(assignment)
    asked = [item.check for item in rubric.of_kind("automatic")]
    assert sorted(asked) == sorted(checks_of(rubric.assignment))


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_a_check_needs_is_a_check_and_no_circle(assignment):
    known = checks_of(rubric_of(assignment).assignment)
    name = rubric_of(assignment).assignment

    def walk(check, path=()):
        assert check in known, f"{path[-1]} needs {check}"
        assert check not in path
        for need in needs_of(name, check):
            walk(need, (*path, check))

    for check in known:
        walk(check)


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_each_check_says_in_a_line_what_earns_its_points(assignment):
    without = [name for name, check in checks_of(rubric_of(assignment).assignment).items()
               if not check.__doc__]  # fmt: skip
    assert without == []
