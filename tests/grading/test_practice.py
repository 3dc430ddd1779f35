"""What a student reads at the end of `course grade FOLDER --practice`."""

from grade_class import make_result, rubric

from course_utils.grading.practice import practice_sum


def told(assignment):
    return practice_sum(make_result(0, assignment=assignment), rubric(assignment))


def test_bonus_points_are_told_where_a_computer_gives_some():
    assert " of 10 bonus points; a person marks up to 45 more." in told("week05")


def test_no_bonus_points_are_told_where_people_give_them_all():
    assert " of 77 points that were judged here; a person marks up to 23 more." in told("week09_10")
