"""The figure of the rivals: its title says who wins, a row without an interval says so."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils.errors import CourseError
from course_utils.tracks.manufacturing import plots as task_plots


def row(form="", records=30, over=0.3, **rivals):
    best = max((name for name in rivals if name != "report program"), key=rivals.get)
    interval = {"mean": over, "low": over - 0.1, "high": over + 0.1}
    return {
        "form": form,
        "records": records,
        "base": 0.1,
        "tuned": 0.5,
        "rivals": rivals,
        "rival": best,
        "over": {best: interval} if records >= 20 else {},
    }


COMPARISON = {
    "understanding": {
        "score": "field_f1",
        "methods": {},
        "rows": [row(over=-0.3, **{"linear model": 0.8})],
    },
    "report": {
        "score": "fact_f1",
        "methods": {},
        "rows": [
            row(**{"majority": 0.2, "report program": 1.0}),
            row("working shown", 5, **{"majority": 0.0, "report program": 1.0}),
        ],
    },
}


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_title_says_who_is_ahead():
    figure = task_plots.plot_rivals(COMPARISON)
    title = figure.get_suptitle()
    assert "beats every fitted rival on report" in title
    assert "a cheap method is the right choice for understanding" in title


def test_each_interval_names_its_rival_and_too_few_records_are_said():
    shown = texts(task_plots.plot_rivals(COMPARISON))
    assert "−0.30 [−0.40, −0.20], linear model" in shown
    assert "too few records for an interval" in shown
    assert shown.count("1.00") == 2  # the program has a bar where there is one


def test_nothing_to_draw_is_an_error_with_a_cure():
    with pytest.raises(CourseError, match="no rival was measured"):
        task_plots.plot_rivals({})
