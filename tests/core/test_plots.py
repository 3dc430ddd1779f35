"""The figures: what they state is computed from the data, and they can be shown anywhere."""

import base64
import functools
import io
import json
import os
import subprocess
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils import drawing, plots
from course_utils.errors import CourseError

SCORES = {"field_f1": 0.2, "exact_match": 0.0, "rougeL": 0.4, "bleu": 12.0, "perplexity": 5.0}
TUNED = {"field_f1": 0.7, "exact_match": 0.2, "rougeL": 0.8, "bleu": 60.0, "perplexity": 1.25}
GAIN = {"mean": 0.5, "low": 0.44, "high": 0.56}
AROUND_ZERO = {"mean": 0.01, "low": -0.02, "high": 0.04}
RESULTS = {
    "base": SCORES,
    "base_prompt": "few_shot",
    "baselines": {"zero_shot": {**SCORES, "field_f1": 0.0, "perplexity": 19.0}, "few_shot": SCORES},
    "tuned": TUNED,
    "difference": {"field_f1": GAIN, "bleu": {"mean": 48.0, "low": 44.0, "high": 52.0}},
}
LOG = [
    {"step": 5, "loss": 2.0, "learning_rate": 1e-3, "grad_norm": 3.0},
    {"step": 10, "loss": 1.0, "learning_rate": 5e-4, "grad_norm": 1.0},
    {"step": 10, "eval_loss": 0.9, "eval_perplexity": 2.46},
    {"step": 20, "loss": 0.5, "learning_rate": 0.0, "grad_norm": 0.5},
    {"step": 20, "eval_loss": 0.4, "eval_perplexity": 1.49},
    {"step": 20, "train_loss": 1.1, "train_runtime": 12.0},
]
LORA = [
    {"targets": "q_proj, v_proj", "rank": r, "trainable": 50_000 * r, "total": 10**8}
    for r in (8, 16)
]
LATENCY = [
    {"mode": "unmerged", "batch_size": 1, "seconds": 4.0, "tokens_per_second": 10.0},
    {"mode": "merged", "batch_size": 8, "seconds": 8.0, "tokens_per_second": 80.0},
]
DRAWN = {
    "lengths": lambda: plots.plot_length_histogram([50, 60, 70, 200], 128),
    "coverage": lambda: plots.plot_field_coverage({"part": 9, "location": 3}, 10),
    "top": lambda: plots.plot_top_values(["hose", "hose", "seat"], "part"),
    "training": lambda: plots.plot_training(LOG, stopped_at=20, resumed_from=10),
    "parameters": lambda: plots.plot_lora_parameters(LORA),
    "shapes": lambda: plots.plot_lora_shapes(576, 1536, 8),
    "scale": lambda: plots.plot_lora_scale([8, 16], [4, 8]),
    "comparison": lambda: plots.plot_comparison(RESULTS),
    "latency": lambda: plots.plot_latency(LATENCY),
    "differences": lambda: plots.plot_differences({"field_f1": GAIN, "perplexity": AROUND_ZERO}),
}
FINDINGS = {
    "lengths": "max_length 128 cuts 1 of 4 records (25.0 %)",
    "coverage": "'part' is filled in 90 % of 10 records, 'location' in 30 %",
    "top": "'part' has 2 values; 'hose' leads with 67 % of 3 records",
    "training": "Eval loss falls from 0.90 to 0.40 by step 20 (resumed from step 10)",
    "parameters": "r = 16 on q_proj, v_proj trains 800,000 parameters, 0.8 % of the model",
    "shapes": "With r = 8, B and A hold 1.9 % as many numbers as W (16,896 against 884,736)",
    "scale": "With alpha = 16, alpha / r multiplies the update by 4 at r = 4 and by 2 at r = 8",
    "comparison": "lifts field F1 from 0.20 to 0.70 (+0.50, 95 % interval +0.44 to +0.56)",
    "latency": "Merged with 8 users is fastest: 80 tokens/s, 8.0 times as many as unmerged with 1",
    "differences": "improves 1 of 2 metrics; 1 unclear",
}


@functools.cache
def drawn(name: str):
    """One figure for all the tests that only look at it."""
    return DRAWN[name]()


def image(figure):
    """The figure's pixels, as they are embedded in the report."""
    from PIL import Image

    uri = drawing.figure_to_data_uri(figure, dpi=40)
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def texts(figure) -> str:
    """Everything written in a figure."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return "\n".join(found.get_text() for found in figure.findobj(Text))


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_the_title_states_what_the_data_say(name):
    assert FINDINGS[name] in drawing.figure_title(drawn(name))


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_nothing_written_is_cut_off(name):
    figure = drawn(name)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_figure_becomes_an_image_with_something_on_it(name):
    picture = image(drawn(name))
    assert len(picture.convert("L").getcolors()) > 20


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"shapes"}))
def test_every_panel_has_labelled_axes(name):
    for ax in drawn(name).axes:
        categories = [label.get_text() for label in ax.get_yticklabels() + ax.get_xticklabels()]
        assert ax.get_xlabel() or any(categories)
        assert ax.get_ylabel() or any(categories)
        assert ax.get_xlabel() or ax.get_ylabel()


@pytest.mark.parametrize("name", ["comparison", "latency"])
def test_bars_differ_in_grey(name):
    bars = [c.patches[0] for c in drawn(name).axes[0].containers]
    looks = {(bar.get_hatch() or "", _grey(bar.get_facecolor())) for bar in bars}
    assert len(looks) == len(bars)


def _grey(color) -> float:
    red, green, blue, _ = color
    return round(0.299 * red + 0.587 * green + 0.114 * blue, 1)


def test_figures_stay_out_of_pyplot_and_leave_its_style_alone():
    import matplotlib
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    for draw in DRAWN.values():
        draw()
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_a_pyplot_figure_is_closed_when_it_is_embedded():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure()
    drawing.figure_to_data_uri(figure)
    assert not plt.fignum_exists(figure.number)


def test_a_notebook_shows_the_figure_without_pyplot():
    assert drawn("scale")._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", DRAWN)
def test_what_a_notebook_shows_says_the_finding_to_those_who_do_not_see_it(name):
    data, metadata = drawn(name)._repr_mimebundle_()
    title = drawing.figure_title(drawn(name))
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata == {"image/png": {"alt": title}}
    assert data["text/plain"] == title != ""


def test_the_alternative_text_stays_where_pyplot_shows_figures_in_its_own_way():
    from IPython.core.formatters import DisplayFormatter
    from matplotlib.figure import Figure

    formatter = DisplayFormatter()
    formatter.formatters["image/png"].for_type(Figure, lambda figure: b"pyplot's own picture")
    data, metadata = formatter.format(drawn("scale"))
    assert data["image/png"] == b"pyplot's own picture"
    assert metadata["image/png"]["alt"] == drawing.figure_title(drawn("scale"))


def test_a_figure_without_a_title_has_no_alternative_text():
    data, metadata = drawing.new_figure(3, 2)[0]._repr_mimebundle_()
    assert data["text/plain"].startswith("<CourseFigure")
    assert metadata == {}


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        *[(0.6714, 3, "0.671"), (0, 2, "0.00"), (999.99, 1, "1,000.0"), (1000, 2, "1,000")],
        *[(9999.4, 2, "9,999"), (10_000, 2, "10k"), (44_356.2, 2, "44.4k"), (-44_356, 2, "-44.4k")],
        *[(999_499, 2, "999k"), (999_999, 2, "1M"), (1.234e6, 0, "1.23M"), (2e9, 2, "2B")],
        *[(1.234e15, 2, "1.23e+15")],
    ],
)
def test_a_large_number_is_shortened(value, digits, text):
    assert drawing.short_number(value, digits) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *[(0, "0"), (9216, "9,216"), (999_499, "999,499"), (999_500, "1 M"), (-999_999, "-1 M")],
        *[(1_234_567, "1.23 M"), (33_792_000, "33.8 M"), (999_499_999, "999 M")],
        *[(999_500_000, "1 B"), (999_999_999, "1 B"), (8.03e9, "8.03 B"), (999.4e9, "999 B")],
        *[(999.9e9, "1,000 B"), (1.234e12, "1,230 B")],
    ],
)
def test_a_number_of_parameters_goes_up_a_unit_where_its_rounded_value_does(number, text):
    assert drawing.compact_number(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.272, "1.27"), (18.94, "18.9"), (999.4, "999"), (999.6, "1,000"), (44_356.2, "44,356")],
)
def test_a_number_without_a_unit_is_never_a_power_of_ten(value, text):
    assert drawing.plain_number(value) == text


def test_the_ticks_of_a_log_axis_are_plain_numbers():
    figure, ax = drawing.new_figure(4, 3)
    drawing.plain_log(ax, "x", [0.02, 40_000])
    told = ax.xaxis.get_major_formatter()
    assert [told(tick) for tick in (0.02, 1.0, 1000.0, 10_000.0)] == [
        "0.02",
        "1",
        "1,000",
        "10,000",
    ]


def test_a_signed_number_keeps_its_sign_when_it_is_shortened():
    told = [drawing.signed(value) for value in (0.525, -0.525, -0.001, -44_356, 44_356)]
    assert told == ["+0.53", "−0.53", "+0.00", "−44.4k", "+44.4k"]


def test_importing_plots_loads_no_heavy_library():
    code = "import sys, course_utils.plots; print([m for m in sys.modules if m in "
    code += "('matplotlib', 'numpy', 'pandas', 'torch')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# ---------------------------------------------------------------- single figures


def test_a_length_equal_to_max_length_is_not_cut():
    title = drawing.figure_title(plots.plot_length_histogram([128, 128], 128))
    assert "cuts no record" in title


def test_a_giant_is_counted_in_the_last_bar():
    figure = plots.plot_length_histogram([50] * 500 + [100_000], 128)
    ax = figure.axes[0]
    assert ax.get_xlim()[1] < 200
    assert sum(patch.get_height() for patch in ax.patches) == 501
    assert "the last bar counts all up to 100,000" in ax.get_xlabel()


def test_parts_are_stacked_and_named():
    figure = plots.plot_length_histogram([5, 6, 7], 10, {"train": [5, 6], "test": [7]})
    assert "train (2)" in texts(figure)
    assert "test (1)" in texts(figure)


def test_text_from_data_is_never_mathematics():
    hostile = "$\\frac{1}{$x$} \x00 \ud800 a\nb " + "long " * 50
    written = texts(plots.plot_top_values([hostile, "hose"], "$part$"))
    assert max(map(len, written.split("\n"))) < 120
    image(plots.plot_top_values([hostile, "$x^2$", "hose"], "$part$"))


def test_training_marks_the_resume_and_names_the_best_step():
    log = [*LOG, {"step": 30, "eval_loss": 0.6}]
    figure = plots.plot_training(log, stopped_at=25, resumed_from=20)
    assert "its best, 0.40, was at step 20" in drawing.figure_title(figure)
    for ax in figure.axes:
        assert {20, 25} <= {line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}
    assert "resumed from 20" in texts(figure)


def test_training_draws_a_log_without_evaluation_or_gradient_norm():
    log = [{"step": 1, "loss": 11.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": None}]
    figure = plots.plot_training(log)
    assert drawing.figure_title(figure) == "Training loss is 11.00 at step 1"
    assert "no gradient norm was logged" in texts(figure)


def test_a_step_logged_twice_counts_once():
    log = [{"step": 5, "loss": 2.0}, {"step": 10, "loss": 9.0}, {"step": 10, "loss": 1.0}]
    line = plots.plot_training(log).axes[0].lines[0]
    assert list(line.get_ydata()) == [2.0, 1.0]


def test_lora_rectangles_are_to_scale():
    figure = plots.plot_lora_shapes(in_features=576, out_features=1536, rank=64)
    w, b, a = ((p.get_width(), p.get_height()) for p in figure.axes[0].patches)
    assert w == pytest.approx((576 / 1536, 1))
    assert b == pytest.approx((64 / 1536, 1))
    assert a == pytest.approx((576 / 1536, 64 / 1536))
    assert figure.axes[0].get_aspect() == 1


def test_a_rank_that_saves_nothing_is_called_so():
    assert "saves nothing" in drawing.figure_title(plots.plot_lora_shapes(64, 64, 64))


def test_comparison_prints_the_interval_and_scales_bleu():
    written = texts(plots.plot_comparison(RESULTS))
    assert "BLEU / 100\n+0.48\n[+0.44, +0.52]" in written
    assert "tuned − base, few-shot" in written


def test_comparison_leaves_out_a_metric_that_does_not_apply():
    results = json.loads(json.dumps(RESULTS))
    for scores in (results["base"], results["tuned"], *results["baselines"].values()):
        scores["field_f1"] = scores["perplexity"] = None
    figure = plots.plot_comparison(results)
    assert "field F1" not in texts(figure)
    assert "does not apply" in texts(figure)


def test_comparison_of_the_base_model_alone_claims_no_gain():
    title = drawing.figure_title(
        plots.plot_comparison({**RESULTS, "tuned": None, "difference": {}})
    )
    assert title == "Without fine-tuning field F1 reaches 0.20 (base, few-shot)"


def test_an_interval_that_includes_zero_is_not_called_a_gain():
    results = {**RESULTS, "difference": {"field_f1": AROUND_ZERO}}
    assert "No clear change of field F1" in drawing.figure_title(plots.plot_comparison(results))


def test_without_an_interval_no_change_is_judged():
    results = {**RESULTS, "difference": {}}
    assert "without an interval" in drawing.figure_title(plots.plot_comparison(results))


def test_the_metric_of_the_title_is_drawn():
    results = {**RESULTS, "base": {"token_f1": 0.2, "bleu": 5.0}, "difference": {}}
    figure = plots.plot_comparison({**results, "tuned": {"token_f1": 0.6, "bleu": 9.0}})
    assert "token F1" in drawing.figure_title(figure)
    assert any("token F1" in label.get_text() for label in figure.axes[0].get_xticklabels())


def test_lower_perplexity_counts_as_better():
    lower = {"mean": -4.0, "low": -5.0, "high": -3.0}
    assert "improves 1 of 1" in drawing.figure_title(plots.plot_differences({"perplexity": lower}))
    higher = {"mean": 4.0, "low": 3.0, "high": 5.0}
    title = drawing.figure_title(plots.plot_differences({"perplexity": higher}))
    assert "improves 0 of 1 metrics, worsens 1" in title


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(GAIN, True), (AROUND_ZERO, False), ({"low": 0.0, "high": 1.0}, False), (None, False)],
)
def test_excludes_zero(interval, expected):
    assert drawing.excludes_zero(interval) is expected


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "+0.50"), (-0.5, "−0.50"), (-0.001, "+0.00"), (0.0, "+0.00")]
)
def test_signed(value, text):
    assert drawing.signed(value) == text


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.plot_length_histogram([], 128),
        lambda: plots.plot_field_coverage({}, 0),
        lambda: plots.plot_top_values([], "part"),
        lambda: plots.plot_training([]),
        lambda: plots.plot_training([{"step": 1, "train_runtime": 3.0}]),
        lambda: plots.plot_lora_parameters([]),
        lambda: plots.plot_lora_shapes(576, 576, 0),
        lambda: plots.plot_lora_scale([], []),
        lambda: plots.plot_comparison({}),
        lambda: plots.plot_differences({"bleu": None}),
        lambda: plots.plot_latency([]),
    ],
)
def test_nothing_to_draw_is_an_error_with_a_cure(draw):
    with pytest.raises(CourseError, match="nothing to draw") as caught:
        draw()
    assert caught.value.cure
