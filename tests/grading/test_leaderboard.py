"""The leaderboard: chosen names, hidden-record scores, cheap rivals; no score, last place."""

from grade_class import make_result

from course_utils.grading.leaderboard import leaderboard
from course_utils.grading.results import Entry

RIVALS = {"nearest neighbour": {"qa": 0.5, "report": 0.5}}


def entered(number, name, scores, **more):
    entry = Entry(name=name, scores=scores, rivals=RIVALS, preset="cpu", minutes=3.0, **more)
    return make_result(number, leaderboard=entry)


def test_rows_are_in_order_of_the_mean_and_rivals_stand_between_them():
    tasks, rows = leaderboard([
        entered(0, "low", {"qa": 0.2, "report": 0.4}),
        entered(1, "high", {"qa": 0.8, "report": 0.6}),
        entered(2, "nothing", None),
        entered(3, "half", {"qa": 1.0}),
        make_result(4),
    ])  # fmt: skip
    assert tasks == ["qa", "report"]
    assert [row.name for row in rows] == ["high", "nearest neighbour", "low", "half", "nothing"]
    assert [row.place for row in rows] == [1, None, 2, None, None]
    assert [row.mean for row in rows[:3]] == [0.7, 0.5, 0.3]


def test_equal_means_share_a_place():
    means = {"b": 0.6, "a": 0.6, "c": 0.5}
    students = [
        entered(n, name, {"qa": s, "report": s}) for n, (name, s) in enumerate(means.items())
    ]
    _, rows = leaderboard(students)
    assert [(row.name, row.place) for row in rows if row.entry] == [("a", 1), ("b", 1), ("c", 3)]


def test_who_did_not_choose_to_be_on_it_is_not():
    assert leaderboard([make_result(0), make_result(1)]) == ([], [])
