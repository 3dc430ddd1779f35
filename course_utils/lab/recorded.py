"""What really happened: figures and sentences about the recorded runs of the parameter lab.

    sweep = sweeps.read_sweep("learning_rate")
    lab_recorded.plot_recorded(sweep)                    # every measure against the value
    lab_recorded.sentence(sweep, 5e-4)                   # "recorded at 0.0005: ..."
    lab_recorded.failures()                              # the failure gallery's entries

Dots are single runs (one a seed), the line joins their means, the band reaches from the lowest
to the highest. Three seeds show a spread, not an interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    STYLE,
    add_grid,
    finite,
    label_text,
    styled,
)
from course_utils.errors import CourseError
from course_utils.lab import parameters, sweeps
from course_utils.lab.canvas import new_figure, packed, put_title
from course_utils.lab.parameters import PARAMETERS, Value, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from course_utils.lab.sweeps import Sweep

Runs = Sequence[Mapping[str, Any]]
# Measure of a run -> (title of its axes, unit in a sentence, digits).
MEASURES = {
    "eval_loss": ("loss (nats per token)", "", 3),
    "perplexity": ("validation perplexity", "", 3),
    "field_f1": ("field F1 (held-out)", "", 2),
    "cpu_seconds": ("processor time (s)", " s", 0),  # the cores were shared: no wall time
    "peak_memory_gb": ("peak memory (GiB)", " GiB", 2),
}
NAMES = {
    "eval_loss": "validation loss",
    "final_train_loss": "final training loss",
    "perplexity": "perplexity",
    "field_f1": "field F1",
    "cpu_seconds": "processor time",
    "peak_memory_gb": "peak memory",
}


def good(runs: Runs) -> list[Mapping[str, Any]]:
    """The runs that ended with a loss."""
    return [run for run in runs if run.get("status") == "ok"]


def by_value(sweep: "Sweep") -> dict[Value, list[Mapping[str, Any]]]:
    """The runs of each value, in slider order."""
    return {value: sweep.of_value(value) for value in sweep.values()}


def measured(runs: Runs, measure: str) -> list[float]:
    """The numbers of one measure, without runs that have none."""
    found = (finite(run.get(measure)) for run in runs)
    return [value for value in found if value is not None]


def seeds(runs: Runs) -> int:
    """Different seeds among the runs."""
    return len({run.get("seed") for run in runs})


# ---------------------------------------------------------------- sentences


def sentence(sweep: "Sweep", value: Value) -> str:
    """What was recorded at a slider's value, or at the nearest one that was recorded."""
    values = list(by_value(sweep))
    if not values:
        return "No run was recorded for this parameter yet."
    near = nearest(sweep.parameter, values, value)
    if near is None:
        return f"No run was recorded at {text_of(value)}."
    runs = sweep.of_value(near)
    place = f"at {text_of(near)}"
    if near != value:
        place = f"nearest to {text_of(value)}, {place}"
    lost = [run.get("status") for run in runs if run.get("status") != "ok"]
    parts = [_range_text(good(runs), name) for name in MEASURES]
    told = ", ".join(part for part in parts if part)
    told = told or "no run ended well"
    count = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    lost_text = f"; {len(lost)} of them {' and '.join(sorted(set(lost)))}" if lost else ""
    return f"Recorded {place} ({count}{lost_text}): {told}."


def about(known: Mapping[str, Any], runs: Runs) -> str:
    """What the recorded runs were made with, from the sweep files' own heading."""
    if not known:
        return "No run was recorded yet: course sweep --resume makes them."
    start = parameters.start_values()
    other = ", ".join(
        f"{name} {text_of(value)}"
        for name, value in known["centre"].items()
        if value != start[name]
    )
    steps = steps_of(runs)
    length = f" ({steps} optimiser steps)" if steps else ""
    return (
        f"Recorded runs: {known['base_model']}, {known['train_records']} training records, scored "
        f"on {known['test_records']} held-out ones; {known['track']}. Their centre{length} differs "
        f"from the start values in: {other or 'nothing'}."
    )


def steps_of(runs: Runs) -> int | None:
    """Optimiser steps of the runs, where all have the same."""
    steps = {run["steps"] for run in runs if run.get("steps")}
    return steps.pop() if len(steps) == 1 else None


def not_yet(centre: "Sweep", others: Sequence["Sweep"]) -> str:
    """Which parameters' runs are older than the centre's and have another centre; often none."""
    old = [one for one in others if one.about and sweeps.differences(one.about, centre.about)]
    if not old:
        return ""
    names = ", ".join(one.parameter for one in old)
    records = {one.about["train_records"] for one in old}
    return (
        f"Older runs, of {' or '.join(map(str, sorted(records)))} training records and around "
        f"another centre, still stand for: {names}. Compare them with each other only."
    )


def one_value(sweep: "Sweep") -> str:
    """What to say where the runs cannot compare values."""
    count = len(sweep.runs)
    runs = f"{count} {'run' if count == 1 else 'runs'}"
    if not count:
        return "No run was recorded yet."
    value = text_of(sweep.runs[0]["value"])
    return f"Recorded: {runs}, all with {sweep.parameter} {value}; nothing to compare."


def _range_text(runs: Runs, measure: str) -> str:
    """'validation loss 0.312 (0.309 to 0.316)', or '' where nothing was measured."""
    values = measured(runs, measure)
    if not values:
        return ""
    _, unit, digits = MEASURES[measure]
    text = f"{NAMES[measure]} {fmean(values):.{digits}f}{unit}"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return text if low == high else f"{text} ({low} to {high})"


def nearest(parameter: str, values: Sequence[Value], wanted: Value) -> Value | None:
    """The recorded value closest to the wanted one, on the parameter's own scale.

    None where a choice was not recorded: it has no neighbours.
    """
    if wanted in values or PARAMETERS[parameter].kind in ("bool", "choice"):
        return wanted if wanted in values else None
    scale = math.log if PARAMETERS[parameter].log else float
    return min(values, key=lambda value: abs(scale(float(value)) - scale(float(wanted))))


def headline(sweep: "Sweep") -> str:
    """The finding over the figure: where the validation loss is lowest, if seeds allow to say."""
    # As findings.levels: a mean over those that did not diverge would hide that some did.
    kept = {value: runs for value, runs in by_value(sweep).items() if len(good(runs)) == len(runs)}
    groups = {value: measured(runs, "eval_loss") for value, runs in kept.items()}
    groups = {value: losses for value, losses in groups.items() if losses}
    number = seeds(sweep.runs)
    count = f"{len(sweep.runs)} runs, {number} {'seed' if number == 1 else 'seeds'}"
    if len(groups) < 2:
        return f"Recorded: {count}, all with one value of {sweep.parameter}"
    means = {value: fmean(losses) for value, losses in groups.items()}
    best = min(means, key=means.__getitem__)
    apart = max(means.values()) - min(means.values())
    spread = max(max(losses) - min(losses) for losses in groups.values())
    if spread and apart <= spread:
        return (
            f"Recorded: no {sweep.parameter} stands out. The validation losses' means differ by "
            f"{apart:.3f}, the seeds of one value by up to {spread:.3f} ({count})"
        )
    if number == 1:
        count += ", so chance is not measured"
    worst = max(means, key=means.__getitem__)
    where = f"{sweep.parameter} {text_of(best)} ({means[best]:.3f})"
    return (
        f"Recorded: validation loss is lowest at {where} and highest at "
        f"{text_of(worst)} ({means[worst]:.3f}; {count})"
    )


# ---------------------------------------------------------------- the figure of a sweep


def positions(parameter: str, values: Sequence[Value]) -> list[float]:
    """Where the values stand on the axis: evenly, or as their logarithms do."""
    known = PARAMETERS[parameter]
    if known.kind in ("bool", "choice"):
        return [float(place) for place in range(len(values))]
    return [math.log10(float(v)) if known.log else float(v) for v in values]


def short(value: Value) -> str:
    """A tick label: 2e-5, 0.03, true, constant with a line break before its tail."""
    if isinstance(value, float) and 0 < value < 0.01:
        return f"{value:.0e}".replace("e-0", "e-")
    return text_of(value).replace("constant_with_warmup", "constant\n+warm-up").replace("_", "\n")


@styled
def plot_recorded(sweep: "Sweep") -> "Figure":
    """Loss, perplexity, score, time and memory against the value, with the spread over seeds."""
    figure = new_figure(height=4.9)
    axes = figure.subplots(2, 3).flat
    groups = by_value(sweep)
    places = dict(zip(groups, positions(sweep.parameter, list(groups)), strict=True))
    for ax, (measure, (label, _, _)) in zip(axes, MEASURES.items(), strict=False):
        if measure == "eval_loss":
            _draw_measure(ax, groups, places, "final_train_loss", SOFT, "s", "--", "training")
        name = "validation" if measure == "eval_loss" else ""
        _draw_measure(ax, groups, places, measure, BLUE, "o", "-", name)
        _mark_lost(ax, groups, places)
        _value_axis(ax, sweep.parameter, places)
        ax.set_title(label, loc="left", size=10.5)
        if measure == "eval_loss":
            _legend_above(ax)
        if measure in ("cpu_seconds", "peak_memory_gb", "field_f1"):
            ax.set_ylim(0, (ax.get_ylim()[1] or 1) * 1.05)
    _draw_last(figure.axes[5], sweep, groups)
    for ax in figure.axes:
        ax.tick_params(labelsize=9, color=SOFT, labelcolor=INK)
        add_grid(ax)
    put_title(figure, headline(sweep))
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.085, top=0.83, wspace=0.24, hspace=0.55)
    return figure


def _draw_measure(
    ax: "Axes",
    groups: Mapping[Value, Runs],
    places: Mapping[Value, float],
    measure: str,
    color: str,
    marker: str,
    line: str,
    label: str,
) -> None:
    """Dots for runs, a line through their means, a band from the lowest to the highest."""
    rows = [(places[value], measured(good(runs), measure)) for value, runs in groups.items()]
    rows = [(place, values) for place, values in rows if values]
    if not rows:
        ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color=SOFT)
        return
    x = [place for place, _ in rows]
    ax.fill_between(
        x, [min(v) for _, v in rows], [max(v) for _, v in rows], color=color, alpha=0.18, lw=0
    )
    ax.plot(x, [fmean(v) for _, v in rows], color=color, ls=line, lw=2, label=label)
    dots = [(place, value) for place, values in rows for value in values]
    ax.plot(*zip(*dots, strict=True), marker, color=color, ms=4, alpha=0.8)


def _mark_lost(ax: "Axes", groups: Mapping[Value, Runs], places: Mapping[Value, float]) -> None:
    """An x at the top for a run without a loss."""
    lost = [places[value] for value, runs in groups.items() if len(good(runs)) < len(runs)]
    if lost:
        top = ax.get_xaxis_transform()
        ax.plot(lost, [0.96] * len(lost), "x", color=RED, ms=9, mew=2.4, transform=top)


def _value_axis(ax: "Axes", parameter: str, places: Mapping[Value, float]) -> None:
    spread = max(places.values()) - min(places.values()) or 1.0
    known = PARAMETERS[parameter]
    size = 7.5 if known.kind == "choice" else 9
    ax.set_xlim(min(places.values()) - 0.07 * spread, max(places.values()) + 0.07 * spread)
    keep = _apart(places, spread * (0.13 if known.kind != "choice" else 0))
    ax.set_xticks([places[v] for v in keep], [short(v) for v in keep], size=size)


def _apart(places: Mapping[Value, float], least: float) -> list[Value]:
    """Values whose labels do not run into each other."""
    kept: list[Value] = []
    for value in sorted(places, key=places.__getitem__):
        if not kept or places[value] - places[kept[-1]] >= least:
            kept.append(value)
    return kept


def _draw_last(ax: "Axes", sweep: "Sweep", groups: Mapping[Value, Runs]) -> None:
    """The sixth picture: training curves, or what max_new_tokens does to the score."""
    rows = [row for run in sweep.runs for row in run.get("new_tokens") or []]
    if sweep.parameter == "max_length" and rows:
        limits = sorted({row["max_new_tokens"] for row in rows})
        scores = [[r["field_f1"] for r in rows if r["max_new_tokens"] == n] for n in limits]
        ax.plot(limits, [fmean(s) for s in scores], color=ORANGE, marker="s", lw=2)
        ax.fill_between(
            limits,
            [min(s) for s in scores],
            [max(s) for s in scores],
            color=ORANGE,
            alpha=0.2,
            lw=0,
        )
        ax.set_title("field F1 against max_new_tokens", loc="left", size=10.5)
        ax.set_ylim(0)
        return
    curves = [(v, _curve(good(runs)[0], "loss")) for v, runs in groups.items() if good(runs)]
    shown = curves if len(curves) <= 3 else [curves[0], curves[len(curves) // 2], curves[-1]]
    styles = ((PALE, "-", 3.2), (ORANGE, "--", 2.0), (INK, ":", 2.0))
    for (value, (steps, losses)), (color, line, width) in zip(shown, styles, strict=False):
        ax.plot(
            steps, losses, color=color, ls=line, lw=width, label=short(value).replace("\n", " ")
        )
    ax.set_title("training loss by step, one seed", loc="left", size=10.5)
    if shown:
        _legend_above(ax)


def _legend_above(ax: "Axes") -> None:
    """A legend in one row with room made for it, so that it lies on no line."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.24 * (high - low))
    long = sum(map(len, ax.get_legend_handles_labels()[1])) > 20  # "inverse sqrt" beside two others
    size = {"fontsize": 8, "columnspacing": 0.7, "handlelength": 1.3, "handletextpad": 0.4}
    if not long:
        size = {"fontsize": 8.5, "columnspacing": 1.0, "handlelength": 1.8}
    ax.legend(loc="upper center", ncols=3, borderaxespad=0.15, **size)


def _curve(run: Mapping[str, Any], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one logged quantity."""
    points = [(e["step"], finite(e.get(key))) for e in run.get("log") or [] if key in e]
    points = [(step, value) for step, value in points if value is not None]
    return [step for step, _ in points], [value for _, value in points]


class Marked:
    """The figure of a sweep as pixels, with a line painted at the slider's value.

    The figure is drawn once; a moved slider costs a copy of the pixels and a PNG.
    """

    def __init__(self, sweep: "Sweep") -> None:
        import matplotlib
        import numpy as np

        figure = self._figure = plot_recorded(sweep)
        with matplotlib.rc_context(STYLE):
            figure.canvas.draw()
        self.title = headline(sweep)
        self.pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].copy()
        self.parameter, self.values = sweep.parameter, list(by_value(sweep))
        height = self.pixels.shape[0]
        count = 5  # the sixth picture has another axis
        # Below the first picture's legend.
        tops = [ax.bbox.y1 - (0 if number else 0.19 * ax.bbox.height)
                for number, ax in enumerate(figure.axes[:count])]  # fmt: skip
        self.boxes = [
            (ax.transData, height - top, height - ax.bbox.y0, ax.bbox.x0, ax.bbox.x1)
            for ax, top in zip(figure.axes, tops, strict=False)
        ]

    def png(self, value: Value) -> bytes:
        """The figure with `value` marked, or a note where it lies outside the axis."""
        pixels = self.pixels.copy()
        place = self._place(value)
        marked = False
        for transform, top, bottom, left, right in self.boxes if place is not None else ():
            x = transform.transform((place, 0))[0]
            if left <= x <= right:
                pixels[int(top) : int(bottom) : 2, int(x) - 1 : int(x) + 1] = (213, 94, 0)
                marked = True
        return packed(pixels if marked else self._with_note)

    @cached_property
    def _with_note(self) -> Any:
        """The pixels with a sentence in place of the line; drawn when first needed."""
        import matplotlib
        import numpy as np

        note = "no line: the value lies outside the recorded ones"
        with matplotlib.rc_context(STYLE):
            self._figure.text(0.985, 0.004, note, ha="right", va="bottom", size=9.5, color=RED)
            self._figure.canvas.draw()
        return np.asarray(self._figure.canvas.buffer_rgba())[:, :, :3].copy()

    def _place(self, value: Value) -> float | None:
        if PARAMETERS[self.parameter].kind in ("bool", "choice"):
            return float(self.values.index(value)) if value in self.values else None
        if PARAMETERS[self.parameter].log and float(value) <= 0:
            return None
        return positions(self.parameter, [value])[0]


# ---------------------------------------------------------------- the failure gallery


@dataclass(frozen=True)
class Failure:
    """One way to go wrong: what one sees, why, what helps, and the runs that show it."""

    name: str
    title: str
    symptom: str
    cause: str
    cure: str
    runs: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    healthy: list[Mapping[str, Any]] = field(default_factory=list, repr=False)

    def recorded(self) -> str:
        """What the runs say beside the healthy ones; nothing when there is none."""
        if not self.runs:
            return "no run was recorded yet"
        lost = [run for run in self.runs if run.get("status") != "ok"]
        parts = [
            f"{NAMES[name]} {_one(self.runs, name)} (healthy: {_one(self.healthy, name)})"
            for name in ("final_train_loss", "eval_loss", "field_f1")
            if measured(self.runs, name)
        ]
        if jump := _jump(self.runs[0]):
            parts.insert(0, jump)
        if lost:
            parts.insert(0, f"{len(lost)} of {len(self.runs)} {_end(lost)}")
        errors = {run.get("error") for run in lost if run.get("error")}
        parts += [f"message: {label_text(error, 160)}" for error in sorted(errors)]
        return f"{len(self.runs)} {'run' if len(self.runs) == 1 else 'runs'}: {'; '.join(parts)}"

    def answer(self) -> Mapping[str, str] | None:
        """One answer of such a model, with its input and reference."""
        return next((run["answers"][0] for run in self.runs if run.get("answers")), None)


def _end(lost: Runs) -> str:
    """How runs that diverged ended: with a loss far too high, or with none."""
    if len(measured(lost, "eval_loss")) == len(lost):
        return "ended far above where it began"
    return "ended without a usable loss"


def _jump(run: Mapping[str, Any]) -> str:
    """Where the training loss was higher than at the first step, if it was by a twentieth."""
    steps, losses = _curve(run, "loss")
    if not losses or max(losses) <= 1.05 * losses[0]:
        return ""
    highest = max(losses)
    step = steps[losses.index(highest)]
    return f"training loss up to {highest:.2f} in step {step}, from {losses[0]:.2f} in the first"


def _one(runs: Runs, measure: str) -> str:
    values = measured(runs, measure)
    return f"{fmean(values):.2f}" if values else "none"


# name -> (title, symptom, cause, cure)
TEXTS = {
    "learning_rate_times_10": (
        "Learning rate ten times too high",
        "the loss climbs where it should fall; the answers are noise, often one sign over and over",
        "ten times the highest rate of the sweep: every step overshoots",
        "divide the learning rate by 3 or by 10 first, before you touch anything else",
    ),
    "padding_learned": (
        "Padding is trained (pad = EOS, unmasked)",
        "a training loss that looks wonderful, and answers that are no better for it",
        "every record is filled up with end tokens, and predicting those is most of the loss",
        "mask by length, never by the pad token; look at the labels of one batch before training",
    ),
    "eos_not_learned": (
        "The end of the answer is masked (pad = EOS)",
        "answers that do not stop, object after object; a score of the first one does not see it",
        "the padding token is the end token, so hiding the padding hides the end as well",
        "mask by length, never by the pad token; count the end tokens that are trained",
    ),
    "wrong_template": (
        "Another prompt at inference than in training",
        '"at home it was better": the same questions score less, after a short training nothing',
        "the chat template was left out, or is another one, when the model is asked",
        "build the prompt with the same function in training and at inference",
    ),
    "answers_truncated": (
        "max_length cuts off the answers",
        "a training loss like the healthy runs', a validation loss far above; answers stop short",
        "so few tokens hold the prompt and the first words of an answer: the rest is never seen",
        "take the 95th to 99th percentile of your lengths, and count what is cut",
    ),
    "fp16_adapter": (
        "Trainable weights in fp16 (on a CPU: a stand-in for fp16 on a T4)",
        "the loss explodes or reads 0; gradient norms are no numbers; answers are empty",
        "fp16 ends at 65,504, and Adam's smallest constant, 1e-8, is 0 in it: it divides by zero",
        "keep the adapter in fp32 and let bf16 or fp16 do the products only",
    ),
    "attention_only": (
        "Adapters on attention only",
        "training looks normal; what it costs shows in the losses at the end, if at all",
        "the MLP layers, more than half of the model, cannot adapt",
        "include_mlp true; if memory is short, lower r instead",
    ),
    "no_warmup": (
        "No warm-up at a high learning rate (1e-2)",
        "the loss jumps in the first steps; then a run heals or does not",
        "Adam's averages are empty at the start, and the first steps are full ones",
        "a jump alone is no failure: compare the end with the healthy runs, which have a tenth of "
        "the rate, in loss and in score. If it stays high, warm up or lower the rate",
    ),
    "long_warmup": (
        "The same learning rate with a long warm-up (40 %)",
        "for comparison with the picture above: look for the jump, and at both ends",
        "the steps are small while Adam's averages fill",
        "where both end alike the jump cost nothing; in a longer run it can cost the run",
    ),
}


def failures() -> list[Failure]:
    """The gallery's entries with their recorded runs; what was not recorded yet has none.

    Healthy runs are those of the centre that the failure's own runs were made around.
    """
    broken, healthy = _with_centre("failures")
    attention, beside = _with_centre("include_mlp")
    runs = {name: [run for run in broken if run["parameter"] == name] for name in TEXTS}
    runs["attention_only"] = [run for run in attention if run["value"] is False]
    centre = [run for run in _with_centre("start")[0] if run.get("wrong_template")]
    runs["wrong_template"] = [
        {**run, **run["wrong_template"], "eval_loss": None, "final_train_loss": None}
        for run in centre
    ]
    # On the same records; runs of before do not have it.
    asked_right = [{**run, **run["wrong_template"].get("with_template", {})} for run in centre]
    around = {"attention_only": beside, "wrong_template": asked_right}
    return [
        Failure(name, *texts, runs[name], around.get(name, healthy))
        for name, texts in TEXTS.items()
    ]


def _with_centre(name: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """(recorded runs, the centre's of their kind); none of either where something is missing."""
    try:
        sweep = sweeps.read_sweep(name)
        return sweep.runs, sweeps.start_of(sweep.about, sweeps.FOLDER / f"{name}.json")
    except CourseError:
        return [], []


@styled
def plot_failure(failure: Failure) -> "Figure":
    """The recorded curves of a failure beside healthy ones, and the score of both."""
    figure = new_figure(height=3.1)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    _draw_curves(left, failure.healthy, BLUE, "-", "healthy")
    _draw_curves(left, failure.runs, RED, "--", "this failure")
    if left.lines:
        left.legend(fontsize=9.5)
    left.set(xlabel="optimiser step", ylabel="training loss")
    _draw_scores(right, failure)
    for ax in (left, right):
        ax.tick_params(labelsize=9.5)
        ax.xaxis.label.set_size(10)
        ax.yaxis.label.set_size(10)
        add_grid(ax)
    put_title(figure, failure.title)
    figure.subplots_adjust(left=0.07, right=0.985, bottom=0.17, top=0.87, wspace=0.22)
    return figure


def _draw_curves(ax: "Axes", runs: Runs, color: str, line: str, label: str) -> None:
    """All runs' curves; a step whose loss is no number is marked at the bottom."""
    for number, run in enumerate(runs):
        steps, losses = _curve(run, "loss")
        width, marker = (2.2, "o") if line == "--" else (1.8, "")
        some = max(1, len(steps) // 12)  # a marker at each of 60 steps would hide the line
        ax.plot(steps, losses, color=color, ls=line, lw=width, marker=marker, ms=4,
                markevery=some, label=None if number else label)  # fmt: skip
        lost = [
            e["step"] for e in run.get("log") or [] if "loss" in e and finite(e["loss"]) is None
        ]
        if lost:
            ax.plot(lost, [0.03] * len(lost), "x", color=RED, transform=ax.get_xaxis_transform())


def _draw_scores(ax: "Axes", failure: Failure) -> None:
    wrong = {"color": RED, "hatch": "///", "edgecolor": "white"}
    pairs = (("healthy", failure.healthy, {"color": BLUE}), ("this failure", failure.runs, wrong))
    for place, (_, runs, style) in enumerate(pairs):
        values = measured(runs, "field_f1")
        if values:
            bar = ax.bar(place, fmean(values), width=0.6, **style)
            ax.bar_label(bar, [f"{fmean(values):.2f}"], size=10, padding=6)
            ax.plot([place] * len(values), values, "o", color=INK, ms=4)
        else:
            ax.text(place, 0.02, "none", ha="center", size=10, color=SOFT)
    ax.set_xticks([0, 1], [name for name, _, _ in pairs])
    ax.set_xlim(-0.6, 1.6)
    ax.set_ylim(0, 1)
    ax.set_ylabel("field F1")
