"""The figures of the tasks: titles claim what the intervals show, nulls are drawn as n/a."""

import copy
import functools
import itertools
import os
import subprocess
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from course_utils import drawing
from course_utils.errors import CourseError
from course_utils.tracks.manufacturing import plots as task_plots
from course_utils.tracks.manufacturing.plot_pieces import words

LONG = "a_task_with_a_name_that_nobody_would_ever_choose_$x$_" * 3


def interval(mean: float, half: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


SUMMARY = {
    "kept": 600,
    "tasks": {"qa": 300, "report": 100, "understanding": 200},
    "documents": {"maintenance_log": 400, "technical_documentation": 200},
    "templates": {"qa": {"share": 0.0021}, "report": {"share": 0.0102}},
    "diversity": {
        task: {
            "prompt": {"distinct_3": 0.5, "self_bleu": 40.0},
            "answer": {"distinct_3": 0.6, "self_bleu": 30.0},
            "records": 100,
        }
        for task in ("qa", "report", "understanding")
    },
}
CROSS = {
    "maintenance_log": {"understanding": 200, "report": 100, "qa": 100},
    "technical_documentation": {"qa": 200},
}
TOKENS = {
    "understanding": {"mean": 92.4, "p99": 182, "longest": 206, "cut": 0},
    "report": {"mean": 399.1, "p99": 552, "longest": 594, "cut": 0},
}
UNDERSTANDING = {
    "records": 80,
    "main": "field_f1",
    "base_prompt": "few_shot",
    "zero_shot": {"field_f1": 0.02, "exact_match": 0.0, "perplexity": 18.9},
    "few_shot": {"field_f1": 0.31, "exact_match": 0.0, "perplexity": 4.2},
    "base": {"field_f1": 0.31, "exact_match": 0.0, "perplexity": 4.2},
    "tuned": {"field_f1": 0.92, "exact_match": 0.55, "perplexity": 1.08},
    "difference": {"field_f1": interval(0.61, 0.05)},
    "gain": True,
}
REPORT_SCORES = {"fact_recall": 0.42, "fact_precision": 0.3, "rougeL": 0.31, "bleu": 8.4}
REPORT_SCORES |= {"cut": 0.18, "perplexity": 6.1}
REPORT = {
    "records": 80,
    "main": "fact_f1",
    "base_prompt": "zero_shot",
    "zero_shot": {"fact_f1": 0.34, **REPORT_SCORES},
    "few_shot": {"fact_f1": 0.28, **REPORT_SCORES},
    "base": {"fact_f1": 0.34, **REPORT_SCORES},
    "tuned": {"fact_f1": 0.36, **REPORT_SCORES, "bleu": 41.2},
    "difference": {"fact_f1": interval(0.02, 0.04)},
    "gain": False,
}
COMPARISON = {"understanding": UNDERSTANDING, "report": REPORT}
LORA = {
    "name": "LoRA",
    "scores": {"understanding": 0.92, "report": 0.71},
    "intervals": {"understanding": interval(0.92, 0.03), "report": interval(0.71, 0.05)},
    "memory_gb": 4.0,
    "seconds": 100,
    "perplexity": 1.5,
}
QLORA = {
    "name": "QLoRA",
    "scores": {"understanding": 0.91, "report": 0.68},
    "intervals": {"understanding": interval(0.91, 0.03), "report": interval(0.68, 0.05)},
    "memory_gb": 2.0,
    "seconds": 250,
    "perplexity": 1.6,
}
NAMED = [{**LORA, "name": LONG}, {**QLORA, "name": "$\\frac{ \x00"}, LORA, QLORA]
DRAWN = {
    "track": lambda: task_plots.plot_track(SUMMARY),
    "cross": lambda: task_plots.plot_track({**SUMMARY, "cross": CROSS}),
    "tasks": lambda: task_plots.plot_tasks(COMPARISON),
    "one task": lambda: task_plots.plot_tasks({"understanding": UNDERSTANDING}),
    "lengths": lambda: task_plots.plot_lengths(TOKENS, 640),
    "adapters": lambda: task_plots.plot_adapters([LORA, QLORA]),
    "differences": lambda: task_plots.plot_adapters([LORA, QLORA], against="the base model"),
    "long names": lambda: task_plots.plot_adapters(NAMED),
    "long task": lambda: task_plots.plot_tasks({LONG: UNDERSTANDING, "report": REPORT}),
    "long document": lambda: task_plots.plot_track({**SUMMARY, "cross": {LONG: {"qa": 3}}}),
    "long lengths": lambda: task_plots.plot_lengths({**TOKENS, LONG: TOKENS["report"]}, 640),
}


@functools.cache
def drawn(name: str):
    """One figure, laid out once, for all the tests that only look at it."""
    figure = DRAWN[name]()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def title(figure) -> str:
    return drawing.figure_title(figure).replace("\u00a0", " ")


def texts(figure) -> list[str]:
    """What is written in a figure, each text once for each place."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def tasks_title(**changes) -> str:
    return title(task_plots.plot_tasks({"understanding": {**UNDERSTANDING, **changes}}))


# ---------------------------------------------------------------- every figure


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_nothing_written_is_cut_off(name):
    figure = drawn(name)
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_tick_labels_and_headings_do_not_overlap(name):
    figure = drawn(name)
    written = [figure._suptitle]
    for ax in figure.axes:
        if ax.axison:
            written += [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label]
            written += [ax._left_title, ax.yaxis.label]
    boxes = [(t.get_text(), t.get_window_extent()) for t in written if t.get_text()]
    # Ticks outside the limits are kept by matplotlib, with a text, and not drawn.
    inside = [(t, b) for t, b in boxes if figure.bbox.contains(b.x0, b.y0)]
    clashes = [
        (one, two)
        for (one, a), (two, b) in itertools.combinations(inside, 2)
        if a.shrunk(0.94, 0.94).overlaps(b.shrunk(0.94, 0.94))
    ]
    assert clashes == []


@pytest.mark.parametrize("name", ["track", "tasks", "lengths", "adapters"])
def test_a_figure_shows_itself_in_a_notebook(name):
    assert drawn(name)._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["tasks", "adapters"])
def test_systems_differ_in_grey(name):
    ax = drawn(name).axes[0]
    bars = [container.patches[0] for container in ax.containers]
    looks = {(bar.get_hatch() or "", grey(bar.get_facecolor())) for bar in bars}
    assert len(looks) == len(bars)
    assert len(bars) == (3 if name == "tasks" else 2)


def grey(color) -> float:
    red, green, blue, _ = color
    return round(0.299 * red + 0.587 * green + 0.114 * blue, 1)


def test_importing_loads_no_heavy_library():
    code = "import sys, course_utils.tracks.manufacturing.plots\n"
    code += "print([m for m in sys.modules if m in "
    code += "('matplotlib', 'numpy', 'pandas', 'torch', 'transformers')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: task_plots.plot_track({}),
        lambda: task_plots.plot_track(None),
        lambda: task_plots.plot_track({"tasks": {}, "documents": None, "cross": {}}),
        lambda: task_plots.plot_lengths({}, 640),
        lambda: task_plots.plot_lengths({"qa": {"mean": None}}, 640),
        lambda: task_plots.plot_tasks({}),
        lambda: task_plots.plot_tasks({"qa": {"tuned": {"token_f1": None}}}),
        lambda: task_plots.plot_adapters([]),
        lambda: task_plots.plot_adapters(None),
        lambda: task_plots.plot_adapters([{"name": "LoRA", "scores": {"qa": None}}]),
    ],
)
def test_nothing_to_draw_is_an_error_with_a_cure(draw):
    with pytest.raises(CourseError, match="nothing to draw") as caught:
        draw()
    assert caught.value.cure


# ---------------------------------------------------------------- the data


def test_track_states_total_smallest_task_and_largest_wording():
    expected = "600 records: every task has at least 100 (report), "
    assert title(drawn("track")) == expected + "no wording carries more than 1.1 % of a task"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0021, "0.3 %"), (0.003, "0.3 %"), (0.02, "2.0 %"), (0.00001, "0.1 %")]
)
def test_a_share_that_is_not_exceeded_is_rounded_up(share, text):
    assert f"more than {text}" in task_plots.track_finding(
        {"tasks": {"qa": 1}, "templates": {"qa": {"share": share}}}
    )


@pytest.mark.parametrize("templates", [{}, None, {"qa": {"share": None}}])
def test_without_wordings_the_title_claims_nothing_about_them(templates):
    figure = task_plots.plot_track({**SUMMARY, "templates": templates})
    assert title(figure) == "600 records: every task has at least 100 (report)"


def test_the_table_has_sums_and_a_0_where_a_document_has_no_such_task():
    written = [text.get_text() for text in drawn("cross").axes[0].texts]
    # 200 + 100 + 100, then 0 + 0 + 200; by task 200, 100, 300; of all 600
    for number, times in (("400", 1), ("200", 4), ("100", 3), ("300", 1), ("600", 1), ("0", 2)):
        assert written.count(number) == times, number


def test_a_track_needs_only_its_table():
    assert title(task_plots.plot_track({"cross": CROSS})) == (
        "600 records: every task has at least 100 (report)"
    )


def test_missing_diversity_is_said_and_a_null_is_no_bar():
    assert "not measured" in texts(task_plots.plot_track({"tasks": {"qa": 3}}))
    some = copy.deepcopy(SUMMARY)
    some["diversity"]["qa"] = {"prompt": None, "answer": {"distinct_3": None, "self_bleu": 7.0}}
    assert texts(task_plots.plot_track(some)).count("n/a") == 3


def test_lengths_say_that_all_records_fit():
    expected = "max_length 640 cuts no record: the longest record (594 tokens, report) fits"
    assert title(drawn("lengths")) == expected


def test_lengths_count_what_is_cut():
    tokens = {**TOKENS, "report": {**TOKENS["report"], "cut": 1212}}
    figure = task_plots.plot_lengths(tokens, 512)
    assert title(figure) == "max_length 512 cuts records: 1,212 of the task report"


def test_lengths_counted_for_another_limit_do_not_claim_that_all_fit():
    assert title(task_plots.plot_lengths(TOKENS, 500)).startswith("max_length 500 cuts the longest")


def test_lengths_without_limit_or_with_nulls_are_drawn():
    figure = task_plots.plot_lengths({"qa": {"mean": 10, "p99": None}, "report": None}, None)
    assert title(figure) == "Tokens per record"
    assert "longest" not in texts(figure)
    no_mean = {"report": {"longest": 594}}
    assert title(task_plots.plot_lengths(no_mean, None)).startswith("The longest record (594")


# ---------------------------------------------------------------- the tasks


def test_a_gain_and_a_task_without_one_are_both_in_the_title():
    assert title(drawn("tasks")) == (
        "Fine-tuning improves understanding (field F1 0.31 to 0.92); no gain is shown on report"
    )


def test_no_gain_anywhere_is_the_title():
    around = {"difference": {"field_f1": interval(0.0, 0.1)}}
    none = {"understanding": {**UNDERSTANDING, **around}, "report": REPORT}
    expected = "No gain is shown on any of 2 tasks: each 95 % interval includes 0"
    assert title(task_plots.plot_tasks(none)) == expected
    one = "No gain is shown on understanding: its 95 % interval includes 0"
    assert tasks_title(**around) == one


def test_the_title_believes_the_interval_and_not_the_word_gain():
    assert "No gain is shown" in tasks_title(gain=True, difference={"field_f1": interval(0.1, 0.1)})


def test_a_loss_is_called_so():
    worse = {"difference": {"field_f1": interval(-0.2, 0.1)}, "tuned": {"field_f1": 0.11}}
    assert tasks_title(**worse) == "Fine-tuning worsens understanding (field F1 0.31 to 0.11)"


@pytest.mark.parametrize("difference", [None, {}, {"field_f1": None}, {"field_f1": {"mean": 0.3}}])
def test_without_an_interval_nothing_is_claimed(difference):
    assert tasks_title(difference=difference).endswith("nothing was compared")
    both = {"understanding": {**UNDERSTANDING, "difference": difference}, "report": REPORT}
    assert title(task_plots.plot_tasks(both)).endswith("; understanding not compared")


def test_the_difference_stands_above_its_panel():
    written = texts(drawn("tasks"))
    assert "field F1: gain\n+0.61 [+0.56, +0.66]" in written
    assert "fact F1: no gain shown\n+0.02 [−0.02, +0.06]" in written


def test_bleu_is_brought_to_0_to_1():
    panel = next(ax for ax in drawn("tasks").axes if "report" in ax.get_title("left"))
    tuned = panel.containers[2]
    assert [bar.get_height() for bar in tuned][-1] == pytest.approx(0.412)


def test_perplexity_panels_share_their_scale():
    panels = [ax for ax in drawn("tasks").axes if ax.get_title("left").startswith("Perplexity")]
    assert len({ax.get_xlim() for ax in panels}) == 1


def test_null_scores_and_perplexities_are_na():
    entry = copy.deepcopy(UNDERSTANDING)
    entry["tuned"] = {"field_f1": None, "exact_match": 0.5, "perplexity": float("nan")}
    entry["records"] = None
    written = texts(task_plots.plot_tasks({"understanding": entry}))
    assert written.count("n/a") == 2
    assert "understanding" in written


def test_a_base_model_alone_is_drawn_without_a_claim():
    base = {"zero_shot": UNDERSTANDING["zero_shot"], "few_shot": None, "tuned": None}
    figure = task_plots.plot_tasks({"understanding": base, "report": None})
    assert title(figure).endswith("nothing was compared")
    assert "tuned" not in texts(figure)


# ---------------------------------------------------------------- adapters


def test_the_second_adapter_is_compared_with_the_first():
    assert title(drawn("adapters")) == (
        "QLoRA against LoRA: 50 % less memory, 2.5 times the time, "
        "main scores −0.03 to −0.01 (their intervals overlap)"
    )


def test_intervals_that_are_apart_are_named():
    far = {**QLORA, "intervals": {**QLORA["intervals"], "report": interval(0.5, 0.05)}}
    far["scores"] = {**QLORA["scores"], "report": 0.5}
    assert "(intervals apart on report)" in title(task_plots.plot_adapters([LORA, far]))


def test_differences_to_the_first_adapter_say_which_are_clear():
    first = {**LORA, "intervals": None}
    moved = {"understanding": interval(-0.01, 0.03), "report": interval(-0.03, 0.02)}
    figure = task_plots.plot_adapters([first, {**QLORA, "intervals": moved}], against="LoRA")
    assert "(clear on report)" in title(figure)
    assert "report\nfact F1\n−0.03 [−0.05, −0.01]" in texts(figure)
    small = {"report": interval(-0.03, 0.05)}
    figure = task_plots.plot_adapters([first, {**QLORA, "intervals": small}], against="LoRA")
    assert "(no difference is clear)" in title(figure)


def test_differences_to_a_third_model_are_numbered_and_claim_nothing_about_the_two():
    figure = drawn("differences")
    assert title(figure).endswith("main scores −0.03 to −0.01")
    assert any("1: +0.71 [+0.66, +0.76]\n2: +0.68" in text for text in texts(figure))
    assert "1: LoRA" in texts(figure)


def test_a_whisker_ends_where_the_interval_ends():
    ends = [list(line.get_ydata()) for line in drawn("adapters").axes[0].lines]
    assert any(end == pytest.approx([0.66, 0.76]) for end in ends)


def test_more_adapters_give_the_range_of_the_mean_and_skip_a_row_without_all_tasks():
    half = {"name": "half", "scores": {"report": 0.99}, "memory_gb": 2.0}
    best = {**LORA, "scores": {"understanding": 0.9, "report": 0.7}}  # mean 0.8
    least = {**QLORA, "scores": {"understanding": 0.8, "report": 0.4}}  # mean 0.6
    figure = task_plots.plot_adapters([best, least, half])
    expected = "Mean main score: QLoRA 0.60 to LoRA 0.80; least memory: QLoRA and half, 2 GiB"
    assert title(figure) == expected


def test_adapter_nulls_are_na_and_a_panel_without_values_says_so():
    bare = {"name": None, "scores": {"report": 0.5}, "intervals": None, "memory_gb": None}
    figure = task_plots.plot_adapters([{**LORA, "perplexity": None}, bare])
    written = texts(figure)
    assert written.count("n/a") == 3  # understanding, memory, time of the second
    assert "not measured" in written
    assert "Row 2 against LoRA: main scores −0.21" in title(figure)


def test_costs_without_scores_are_drawn():
    rows = [{"name": "a", "seconds": 10, "scores": None}, {"name": "b", "seconds": 10}]
    figure = task_plots.plot_adapters(rows)
    assert title(figure) == "B against a: the same time"
    assert "no score was measured" in texts(figure)


def test_text_from_data_is_never_mathematics():
    wrapped = words("$x$ " + "$" * 40, 12).split("\n")
    assert wrapped[0].startswith(r"\$x\$ ")
    assert all(line.count("$") == line.count(r"\$") > 0 for line in wrapped)
    assert r"\$\frac{" in texts(drawn("long names"))
