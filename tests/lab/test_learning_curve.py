"""The learning curve in words: crossings, verdicts and the sentence of one run's choice."""

import pytest

from course_utils import kit
from course_utils.drawing import figure_title
from course_utils.lab import learning_curve, sweeps
from course_utils.lab.curve import FOLDER, Curve

ABOUT = {"base_model": "nano", "test_records": 220, "least_steps": 200}


def made(**scores):
    """A curve from {method: {records: field F1 of each seed}}; tuned and at least one rival."""
    sizes = scores["tuned"]
    runs = [
        {
            "records": size,
            "seed": seed,
            "passes": 4,
            "field_f1": value,
            "rivals": {
                name: {"field_f1": points[size][seed]}
                for name, points in scores.items()
                if name != "tuned"
            },
            "finished": "2026-11-28T15:00:00+00:00",
            "hardware": {"cpu_model": "AMD EPYC"},
        }
        for size, values in sizes.items()
        for seed, value in enumerate(values)
    ]
    return Curve(ABOUT, runs)


# tuned leads by 0.1 with 100 records and trails by 0.1 with 400: the middle on a log scale is 200
CROSSING = made(
    tuned={100: [0.5, 0.52], 400: [0.6, 0.62]}, linear={100: [0.4, 0.42], 400: [0.7, 0.72]}
)
APART = made(tuned={100: [0.5], 400: [0.6]}, linear={100: [0.4], 400: [0.5]})


def test_the_crossing_is_where_the_lines_meet_on_the_log_scale():
    assert learning_curve.crossings(learning_curve.standings(CROSSING)) == [pytest.approx(200)]
    assert learning_curve.title(CROSSING) == (
        "The tuned model is above the best cheap rival up to about 200 training records, below "
        "from there on"
    )


def test_where_there_is_no_crossing_that_is_said():
    assert learning_curve.title(APART) == (
        "No crossing: with 100 to 400 training records the tuned model is above the best cheap "
        "rival"
    )
    assert learning_curve.sentences(APART)[1] == (
        "Tuned against linear: ahead with 100 and 400 records. The means do not cross."
    )


def test_what_the_seeds_do_not_agree_on_is_level():
    curve = made(tuned={100: [0.5, 0.4]}, linear={100: [0.45, 0.45]})
    (one,) = learning_curve.standings(curve)
    assert one.verdict == "level"
    assert "it is open who is ahead" in learning_curve.sentences(curve)[-1]


@pytest.mark.parametrize(
    ("tuned", "verdict"), [(0.49, "level"), (0.56, "ahead"), (0.41, "level"), (0.39, "behind")]
)
def test_with_one_seed_a_difference_within_the_runs_interval_is_level(tuned, verdict):
    curve = made(tuned={100: [tuned]}, linear={100: [0.45]})
    curve.runs[0]["over_rival"] = {"mean": tuned - 0.45, "low": tuned - 0.5, "high": tuned - 0.4}
    (one,) = learning_curve.standings(curve)
    assert one.verdict == verdict


def test_two_seeds_that_are_ahead_by_next_to_nothing_are_level():
    curve = made(tuned={100: [0.46, 0.455]}, linear={100: [0.45, 0.45]})
    for run in curve.runs:
        run["over_rival"] = {"mean": 0.0, "low": -0.04, "high": 0.04}
    assert [one.verdict for one in learning_curve.standings(curve)] == ["level"]
    for run in curve.runs:
        run["field_f1"] += 0.1
    assert [one.verdict for one in learning_curve.standings(curve)] == ["ahead"]


def test_how_many_seeds_a_size_has_is_said():
    uneven = made(tuned={100: [0.5, 0.5], 400: [0.6]}, linear={100: [0.4, 0.4], 400: [0.5]})
    assert "100 to 400 training records, 1 to 2 seeds a size" in learning_curve.sentences(uneven)[0]
    assert "records, 2 seeds a size" in learning_curve.sentences(CROSSING)[0]
    assert "records, 1 seed a size" in learning_curve.sentences(APART)[0]


def test_the_title_claims_no_crossing_where_it_is_open_who_is_ahead():
    curve = made(
        tuned={20: [0.5, 0.3], 100: [0.5, 0.4], 400: [0.6, 0.6]},
        linear={20: [0.4, 0.4], 100: [0.45, 0.45], 400: [0.8, 0.8]},
    )
    assert learning_curve.title(curve) == (
        "With 20 and 100 training records it is open who is ahead, with 400 the best cheap rival "
        "is ahead"
    )
    assert not [line for line in learning_curve.plot(curve).axes[0].lines if line.get_lw() == 1]
    assert [line for line in learning_curve.plot(CROSSING).axes[0].lines if line.get_lw() == 1]


def test_up_to_where_all_are_trained_equally_long_is_said():
    curve = made(tuned={100: [0.5], 400: [0.6]}, linear={100: [0.4], 400: [0.5]})
    for run in curve.runs:
        run["steps"] = 200
    told = learning_curve.sentences(curve)[0]
    assert told.endswith("With 100 and 400 records all are trained equally long: more records are "
                         "then other records, and not more steps.")  # fmt: skip


def test_the_best_rival_is_chosen_anew_at_each_size():
    curve = made(
        tuned={20: [0.5], 200: [0.5]},
        nearest={20: [0.4], 200: [0.45]},
        linear={20: [0.1], 200: [0.8]},
    )
    assert [one.rival for one in learning_curve.standings(curve)] == ["nearest", "linear"]


def test_the_sentences_say_when_with_what_and_who_is_ahead_where():
    told = learning_curve.sentences(CROSSING)
    assert told[0].startswith("Recorded 2026-11-28 on AMD EPYC: 4 runs of nano, 100 to 400 ")
    assert told[1] == (
        "Tuned against linear: ahead with 100 records, behind with 400. "
        "The means cross at about 200 records."
    )
    assert told[2] == (
        "So the tuned model is ahead of every rival with 100 records; "
        "a cheap method is the right choice with 400 records."
    )


def test_the_figure_states_the_finding_and_has_a_line_a_method():
    figure = learning_curve.plot(CROSSING)
    assert figure_title(figure) == learning_curve.title(CROSSING)
    _, names = figure.axes[0].get_legend_handles_labels()
    assert names == ["tuned", "linear"]
    assert figure.axes[0].get_xscale() == "log"


def test_the_alternative_text_has_every_mean():
    assert learning_curve.alternative_text(CROSSING).endswith(
        "Field F1 with 100, 400 training records: tuned 0.51, 0.61; linear 0.41, 0.71."
    )


def test_nothing_recorded_is_said_and_not_drawn(tmp_path, capsys):
    learning_curve.show(learning_curve.read(tmp_path))
    assert capsys.readouterr().out == f"{learning_curve.NOTHING}\n"


def test_what_is_recorded_into_the_kits_data_is_kept_by_git():
    """Runs of hours were left out of commits, unseen, since their folder was ignored."""
    kept = (kit.ROOT / ".gitignore").read_text().splitlines()
    for folder in (FOLDER, sweeps.FOLDER):
        assert f"!/{folder.relative_to(kit.ROOT).as_posix()}/" in kept


def test_the_recorded_files_can_be_shown(capsys):
    curve = learning_curve.read(FOLDER)
    learning_curve.show(curve)
    assert ("Recorded " in capsys.readouterr().out) == bool(curve.runs)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.02, 0.08, "worth its minutes"),
        (-0.02, 0.08, "The interval holds 0"),
        (-0.08, -0.02, "The cheap method is the right choice"),
    ],
)
def test_the_choice_follows_the_interval(low, high, said):
    interval = {"mean": (low + high) / 2, "low": low, "high": high}
    assert said in learning_curve.choice("linear model", interval, 2800)
