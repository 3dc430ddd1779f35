"""The course's figures: each function returns a matplotlib `Figure` whose title states the finding.

    from course_utils import plots
    plots.plot_length_histogram(lengths, max_length=160)      # last line of a cell: it is shown

Readable from the back row and in grey: large type, line styles and hatches beside the colours,
which are Okabe and Ito's (told apart by colour-blind readers). The figures stay out of pyplot's
global list, so nothing needs closing, no window opens, and a notebook shows each one once.
"""

import base64
import functools
import io
import math
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
INK, SOFT, PALE, GRID = "#1f2933", "#52606d", "#b8c0c9", "#e4e7eb"
# Light, hatched, dark: the three systems stay apart when printed in grey.
SYSTEMS = {
    "zero_shot": ("base, zero-shot", {"color": PALE}),
    "few_shot": ("base, few-shot", {"color": ORANGE, "hatch": "///", "edgecolor": "white"}),
    "tuned": ("tuned", {"color": BLUE}),
}
# Metric -> (label in a figure, factor that brings it to 0..1). Perplexity has its own axis.
SHARE_METRICS = {
    "field_f1": ("field F1", 1.0),
    "exact_match": ("exact match", 1.0),
    "rouge1": ("ROUGE-1", 1.0),
    "rouge2": ("ROUGE-2", 1.0),
    "rougeL": ("ROUGE-L", 1.0),
    "bleu": ("BLEU / 100", 0.01),
}
# The metric a headline is about: the first of these that applies.
HEADLINE_METRICS = ("field_f1", "rougeL", "bleu", "exact_match", "rouge1", "rouge2")
GROUP_STYLES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": ORANGE, "linestyle": "--", "marker": "s"},
    {"color": GREEN, "linestyle": "-.", "marker": "^"},
    {"color": RED, "linestyle": ":", "marker": "D"},
)
HATCHES = ("", "///", "...", "xxx")
STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 1.2,
}


# ---------------------------------------------------------------- shared pieces


def figure_to_data_uri(figure: "Figure", dpi: int = 110) -> str:
    """The figure as `data:image/png;base64,…`, for a page that must not ask another for anything.

    A figure made with pyplot is closed afterwards (its memory would stay until the kernel ends).
    """
    png = to_png(figure, dpi)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def save_figure(figure: "Figure", path: Path, dpi: int = 110) -> Path:
    """The figure as a PNG file, written whole or not at all."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(to_png(figure, dpi))
    return Path(path)


def figure_title(figure: "Figure") -> str:
    """The finding a figure's title states, on one line (the report's alternative text)."""
    return " ".join(figure.get_suptitle().split())


def excludes_zero(interval: Mapping[str, Any] | None) -> bool:
    """Whether a bootstrap interval {mean, low, high} lies on one side of 0."""
    if not interval:
        return False
    low, high = finite(interval.get("low")), finite(interval.get("high"))
    return low is not None and high is not None and (low > 0 or high < 0)


def finite(value: Any) -> float | None:
    """`value` as a float, or None where it is no finite number (null, NaN, text)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, a true minus sign included: +0.52, −0.14."""
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        text = text.replace("-", "+")
    return text.replace("-", "−")


def interval_text(interval: Mapping[str, Any], factor: float = 1.0, digits: int = 2) -> str:
    """'+0.52 [+0.48, +0.56]': the mean and the ends of a bootstrap interval."""
    mean, low, high = _interval_parts(interval, factor, digits)
    return f"{mean} [{low}, {high}]"


def _interval_parts(interval: Mapping[str, Any], factor: float, digits: int = 2) -> list[str]:
    parts = [finite(interval.get(name)) for name in ("mean", "low", "high")]
    return [signed(part * factor, digits) if part is not None else "?" for part in parts]


def to_png(figure: "Figure", dpi: float) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


@functools.cache
def figure_class() -> type:
    from matplotlib.figure import Figure

    class CourseFigure(Figure):
        """A Figure that shows itself as a cell's last line, without pyplot's global list."""

        def _repr_png_(self) -> bytes:
            return to_png(self, 100)

    return CourseFigure


def styled(draw: Callable[..., "Figure"]) -> Callable[..., "Figure"]:
    """Run a drawing function with the course's style and leave the reader's own style alone."""

    @functools.wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> "Figure":
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float, height: float, **subplots: Any) -> tuple["Figure", Any]:
    """A figure (inches) and its axes."""
    figure = figure_class()(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    axes = figure.subplots(**subplots)
    for ax in figure.axes:
        ax.tick_params(labelsize=11, color=SOFT, labelcolor=INK)
    return figure, axes


def state_finding(figure: "Figure", finding: str) -> None:
    """Put the finding on top, wrapped to the width of the figure (14 pt: about 8 letters/inch)."""
    width = int(figure.get_figwidth() * 8)
    finding = re.sub(r" (?=[=%])|(?<==) ", "\u00a0", finding)  # "r = 8" and "95 %" stay together
    figure.suptitle(
        "\n".join(textwrap.wrap(finding, width)), x=0.012, ha="left", size=14, weight="bold"
    )


def percent_text(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def plain_number(value: float) -> str:
    """A perplexity: 1.27, 18.9, 44,356."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def from_zero(ax: "Axes", values: Sequence[float], room: float = 1.1) -> None:
    """A y axis that starts at 0 and leaves room above the largest value."""
    ax.set_ylim(0, max(values, default=0) * room or 1)


def add_legend(ax: "Axes", **place: Any) -> None:
    """A legend that stays readable on top of lines and bands."""
    ax.legend(frameon=True, facecolor="white", edgecolor="none", framealpha=0.92, **place)


def add_grid(ax: "Axes", axis: str = "y") -> None:
    ax.grid(axis=axis, color=GRID, linewidth=1)


def label_text(value: Any, width: int = 34) -> str:
    """Text from data as a label: one line, cut, no control characters, `$` is not mathematics."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text if len(text) <= width else text[: width - 1] + "…"
    return text.replace("$", r"\$") or "(empty)"


def compact_number(number: float) -> str:
    """1234567 -> '1.23 M', 9216 -> '9,216'."""
    for limit, unit in ((1e9, "B"), (1e6, "M")):
        if abs(number) >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:,.0f}"


def require(data: Any, what: str, cure: str) -> None:
    if not data:
        raise CourseError(f"nothing to draw: {what}", cure)


# ---------------------------------------------------------------- data


@styled
def plot_length_histogram(
    lengths: Sequence[int],
    max_length: int,
    parts: Mapping[str, Sequence[int]] | None = None,
) -> "Figure":
    """Tokens per record, with percentiles and the share that `max_length` cuts.

    `lengths` counts tokens (prompt and completion) of every record; `parts` may give the same
    lengths by part, {"train": […], "val": […]}, to stack them.
    """
    import numpy as np

    require(len(lengths), "there are no lengths", "tokenize at least one record first")
    all_lengths = np.asarray(lengths)
    cut = int((all_lengths > max_length).sum())
    p50, p95, p99 = np.percentile(all_lengths, [50, 95, 99])
    # A few giants would squeeze the rest into one bar: they are counted in the last one.
    limit = int(max(max_length * 1.08, min(all_lengths.max(), p99 * 1.6))) + 1
    groups = parts or {"records": lengths}
    figure, ax = new_figure(10, 4.8)
    bars = ax.hist(
        [np.clip(np.asarray(values), 0, limit) for values in groups.values()],
        bins=np.linspace(0, limit, 49),
        stacked=True,
        color=[BLUE, ORANGE, PALE, GREEN][: len(groups)] if len(groups) <= 4 else None,
        label=[f"{label_text(name)} ({len(values):,})" for name, values in groups.items()],
        edgecolor="white",
        linewidth=0.6,
    )[2]
    if len(groups) > 1:
        for container, hatch in zip(bars, HATCHES, strict=False):
            for patch in container:
                patch.set_hatch(hatch)
    lines = (("median", p50, ":"), ("95th percentile", p95, "-."), ("99th percentile", p99, "--"))
    for name, value, style in lines:
        ax.axvline(value, color="white", linewidth=4, alpha=0.8)  # keeps the line off the bars
        ax.axvline(value, color=INK, linestyle=style, linewidth=2, label=f"{name}: {value:.0f}")
    ax.axvline(max_length, color=RED, linewidth=3, label=f"max_length: {max_length}")
    ax.set_xlim(0, limit)
    beyond = all_lengths.max() > limit
    note = f" (the last bar counts all up to {all_lengths.max():,})" if beyond else ""
    ax.set_xlabel(f"tokens per record{note}")
    ax.set_ylabel("records")
    add_grid(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    total = len(all_lengths)
    share = f"{cut:,} of {total:,} records ({percent_text(cut / total, 1)})" if cut else "no record"
    finding = f"max_length {max_length} cuts {share}; 95 % need at most {math.ceil(p95)} tokens"
    state_finding(figure, finding)
    return figure


@styled
def plot_field_coverage(records_fields: Mapping[str, int], total: int) -> "Figure":
    """In how many of `total` records each field is filled: {field: records}."""
    require(records_fields and total > 0, "no record has a field", "look at the records' outputs")
    rows = sorted(records_fields.items(), key=lambda item: -item[1])
    shares = [count / total for _, count in rows]
    figure, ax = new_figure(9, 1.9 + 0.46 * len(rows))
    _share_bars(ax, [name for name, _ in rows], [count for _, count in rows], shares)
    ax.set_xlabel("share of the records that fill the field (%)")
    (most, _), (least, _) = rows[0], rows[-1]
    finding = f"'{label_text(most)}' is filled in {percent_text(shares[0])} of {total:,} records"
    if len(rows) > 1:
        finding += f", '{label_text(least)}' in {percent_text(shares[-1])}"
    state_finding(figure, finding)
    return figure


@styled
def plot_top_values(
    values: Sequence[str] | Mapping[str, int], field: str, top: int = 12
) -> "Figure":
    """The `top` commonest values of a field, from the values themselves or {value: records}."""
    counts = Counter(values)
    require(counts, f"field {field!r} has no values", "choose another field")
    rows, total = counts.most_common(top), sum(counts.values())
    shares = [count / total for _, count in rows]
    figure, ax = new_figure(9, 1.9 + 0.40 * len(rows))
    _share_bars(ax, [name for name, _ in rows], [count for _, count in rows], shares)
    ax.set_xlabel(f"share of the records with a value for '{label_text(field)}' (%)")
    if len(rows) < len(counts):
        what = f"The {len(rows)} commonest of {len(counts):,} values of '{label_text(field)}'"
        finding = f"{what} cover {percent_text(sum(shares))} of {total:,} records"
    else:
        finding = (
            f"'{label_text(field)}' has {len(counts)} values; '{label_text(rows[0][0])}' leads "
            f"with {percent_text(shares[0])} of {total:,} records"
        )
    state_finding(figure, finding)
    return figure


def _share_bars(
    ax: "Axes", names: Sequence[str], counts: Sequence[int], shares: Sequence[float]
) -> None:
    percent = [100 * share for share in shares]
    bars = ax.barh(range(len(names)), percent, color=BLUE, height=0.68)
    labels = [f"{count:,}  ({p:.0f} %)" for count, p in zip(counts, percent, strict=True)]
    ax.bar_label(bars, labels, padding=5, size=11)
    ax.set_yticks(range(len(names)), [label_text(name) for name in names])
    ax.invert_yaxis()
    ax.set_xlim(0, max(percent) * 1.22 or 1)
    ax.tick_params(axis="y", length=0)
    add_grid(ax, "x")


# ---------------------------------------------------------------- training


@styled
def plot_training(
    log: Sequence[Mapping[str, Any]],
    stopped_at: int | None = None,
    resumed_from: int | None = None,
) -> "Figure":
    """Loss, perplexity, learning rate and gradient norm against the optimiser step.

    `log` is training.json's: {"step", "loss"?, "eval_loss"?, "learning_rate"?, "grad_norm"?}.
    `stopped_at` and `resumed_from` are steps of the resume drill: both are marked.
    """
    cure = "run notebook 03 for at least one logging interval"
    require(log, "the training log is empty", cure)
    train, evaluation = _series(log, "loss"), _series(log, "eval_loss")
    require(train[0] or evaluation[0], "the training log holds no loss", cure)
    figure, axes = new_figure(11, 7.2, nrows=2, ncols=2)
    _draw_loss(axes[0, 0], train, evaluation)
    _draw_perplexity(axes[0, 1], log, train, evaluation)
    _draw_learning_rate(axes[1, 0], _series(log, "learning_rate"))
    _draw_gradient_norm(axes[1, 1], _series(log, "grad_norm"))
    last = max(train[0] + evaluation[0])
    for ax in axes.flat:
        ax.set_xlim(0, last * 1.02 or 1)
        ax.set_xlabel("optimiser step")
        add_grid(ax)
        _mark_resume(ax, stopped_at, resumed_from)
    add_legend(axes[0, 0], loc="best")
    state_finding(figure, _training_finding(train, evaluation, resumed_from))
    return figure


Series = tuple[list[int], list[float]]


def _series(log: Sequence[Mapping[str, Any]], key: str) -> Series:
    """Steps and values of one logged quantity; a step logged twice keeps its last value."""
    points = {}
    for entry in log:
        step, value = finite(entry.get("step")), finite(entry.get(key))
        if step is not None and value is not None:
            points[int(step)] = value
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def _training_finding(train: Series, evaluation: Series, resumed_from: int | None) -> str:
    name, (steps, values) = ("Eval", evaluation) if evaluation[0] else ("Training", train)
    best = min(range(len(values)), key=values.__getitem__)
    verb = "falls" if values[-1] <= values[0] else "rises"
    finding = f"{name} loss {verb} from {values[0]:.2f} to {values[-1]:.2f} by step {steps[-1]}"
    if len(values) == 1:
        finding = f"{name} loss is {values[0]:.2f} at step {steps[0]}"
    elif best != len(values) - 1:
        finding += f"; its best, {values[best]:.2f}, was at step {steps[best]}"
    return f"{finding} (resumed from step {resumed_from})" if resumed_from is not None else finding


def _draw_loss(ax: "Axes", train: Series, evaluation: Series) -> None:
    marker = "o" if len(train[0]) < 12 else ""
    if train[0]:
        ax.plot(*train, color=SOFT, lw=1.6, marker=marker, ms=5, label="train")
    if evaluation[0]:
        ax.plot(*evaluation, color=BLUE, ls="--", lw=2.4, marker="o", ms=8, label="eval")
    ax.set_ylabel("loss (nats per token)")
    ax.set_title("Loss on completion tokens", loc="left")
    from_zero(ax, [*train[1], *evaluation[1]])


def _draw_perplexity(
    ax: "Axes", log: Sequence[Mapping[str, Any]], train: Series, evaluation: Series
) -> None:
    measured = _series(log, "eval_perplexity")
    steps, values = measured if measured[0] else (evaluation[0], _exp(evaluation[1]))
    train_values = _exp(train[1])
    if train[0]:
        marker = "o" if len(train[0]) < 12 else ""
        ax.plot(train[0], train_values, color=SOFT, lw=1.6, marker=marker, ms=5)
    if steps:
        ax.plot(steps, values, color=BLUE, ls="--", lw=2.4, marker="o", ms=8)
    both = [*train_values, *values]
    if max(both) > 8 * min(both):
        _plain_log(ax, "y", both)
    elif min(both) < 2:
        ax.set_ylim(1, max(both) * 1.05)  # 1 is a model that is certain of every token
    ax.set_ylabel("perplexity")
    at_end = f": {plain_number(values[-1])} at the end" if values else ""
    ax.set_title(f"Perplexity{at_end}", loc="left")


def _exp(losses: Sequence[float]) -> list[float]:
    return [math.exp(min(loss, 50)) for loss in losses]


def _plain_log(ax: "Axes", axis: str, values: Sequence[float]) -> None:
    """A log axis with ticks in plain numbers at 1, 2, 5, 10, … inside the data's range."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(values), max(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) < 5 else (1,)
    which = ax.xaxis if axis == "x" else ax.yaxis
    ax.set(**{f"{axis}scale": "log"})
    which.set_major_locator(FixedLocator([s * 10.0**d for d in decades for s in steps]))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    which.set_minor_locator(NullLocator())


def _draw_learning_rate(ax: "Axes", series: Series) -> None:
    ax.set_title("Learning rate", loc="left")
    steps, values = series
    if not steps or max(values) <= 0:
        _say(ax, "no learning rate was logged")
        return
    peak = max(range(len(values)), key=values.__getitem__)
    exponent = math.floor(math.log10(values[peak]))
    marker = "o" if len(steps) < 12 else ""
    ax.plot(steps, [v / 10.0**exponent for v in values], color=GREEN, lw=2.2, marker=marker)
    from_zero(ax, [values[peak] / 10.0**exponent])
    ax.set_ylabel(f"learning rate (× 1e{exponent})")
    ax.set_title(f"Learning rate: peak {values[peak]:.1e} at step {steps[peak]}", loc="left")


def _draw_gradient_norm(ax: "Axes", series: Series) -> None:
    ax.set_title("Gradient norm", loc="left")
    steps, values = series
    if not steps:
        _say(ax, "no gradient norm was logged")
        return
    marker = "o" if len(steps) < 12 else ""
    ax.plot(steps, values, color=RED, lw=1.8, marker=marker)
    from_zero(ax, values)
    ax.set_ylabel("norm before clipping")
    middle = sorted(values)[len(values) // 2]
    ax.set_title(f"Gradient norm: median {middle:.2f}, largest {max(values):.2f}", loc="left")


def _say(ax: "Axes", text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=SOFT)


def _mark_resume(ax: "Axes", stopped_at: int | None, resumed_from: int | None) -> None:
    if resumed_from is not None:
        ax.axvline(resumed_from, color=INK, lw=1.6, ls="-.", label=f"resumed from {resumed_from}")
    if stopped_at is not None and stopped_at != resumed_from:
        ax.axvline(stopped_at, color=INK, lw=1.6, ls=":", label=f"stopped at {stopped_at}")
        if resumed_from is not None:
            ax.axvspan(resumed_from, stopped_at, color=PALE, alpha=0.35, lw=0)


# ---------------------------------------------------------------- LoRA in pictures


@styled
def plot_lora_parameters(table: Sequence[Mapping[str, Any]]) -> "Figure":
    """Trainable parameters against rank, a line for each choice of target modules.

    Rows: {"targets": "attention + MLP", "rank": 16, "trainable": 4884480, "total"?: 134515008}.
    """
    require(table, "the parameter table is empty", "give at least one row")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in table:
        groups.setdefault(str(row["targets"]), []).append(row)
    figure, ax = new_figure(10, 5)
    for index, (name, rows) in enumerate(groups.items()):
        rows = sorted(rows, key=lambda row: row["rank"])
        style = GROUP_STYLES[index % len(GROUP_STYLES)]
        ax.plot(
            [row["rank"] for row in rows],
            [row["trainable"] for row in rows],
            lw=2.4,
            ms=8,
            label=label_text(name, 48),
            **style,
        )
        ax.annotate(
            compact_number(rows[-1]["trainable"]),
            (rows[-1]["rank"], rows[-1]["trainable"]),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
        )
    _plain_log(ax, "y", [row["trainable"] for row in table])
    from matplotlib.ticker import FuncFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact_number(value)))
    ranks = sorted({row["rank"] for row in table})
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranks, [str(rank) for rank in ranks])
    ax.set_xticks([], minor=True)
    ax.margins(x=0.1)
    ax.set_xlabel("rank r (log scale)")
    ax.set_ylabel("trainable parameters (log scale)")
    add_grid(ax)
    add_legend(ax, loc="upper left")
    largest = max(table, key=lambda row: row["trainable"])
    finding = f"r = {largest['rank']} on {label_text(largest['targets'], 48)} trains "
    finding += f"{compact_number(largest['trainable'])} parameters"
    if largest.get("total"):
        finding += f", {percent_text(largest['trainable'] / largest['total'], 1)} of the model"
    state_finding(figure, f"{finding}; doubling r doubles them" if len(ranks) > 1 else finding)
    return figure


@styled
def plot_lora_shapes(in_features: int, out_features: int, rank: int) -> "Figure":
    """LoRA in pictures: W (out x in) beside B (out x r) and A (r x in), drawn to scale."""
    for name, value in (("in", in_features), ("out", out_features), ("rank", rank)):
        require(value > 0, f"{name} = {value}", "sizes and rank must be at least 1")
    full, low_rank = in_features * out_features, rank * (in_features + out_features)
    unit = max(in_features, out_features)
    wide, high, r = in_features / unit, out_features / unit, rank / unit
    # Everything stands on one middle line, so that it reads as the equation W + alpha/r B A.
    left_b = wide + 0.56
    left_a = left_b + r + 0.32
    total_width, total_height = left_a + wide + 0.3, max(high, r) + 0.5
    figure, ax = new_figure(11, min(5.4, 0.9 + 10 * total_height / total_width))
    _matrix(ax, 0, (wide, high), PALE, "W  (frozen)", (out_features, in_features))
    _matrix(ax, left_b, (r, high), ORANGE, "B  (trained)", (out_features, rank))
    _matrix(ax, left_a, (wide, r), BLUE, "A  (trained)", (rank, in_features))
    plus = r"$+\;\frac{\alpha}{r}\;\cdot$"
    ax.text(wide + 0.28, 0, plus, size=28, ha="center", va="center")
    ax.text(left_b + r + 0.16, 0, "×", size=24, ha="center", va="center")
    ax.text(left_a + wide + 0.14, -total_height / 2, "drawn to scale", ha="right", color=SOFT)
    ax.set_xlim(-0.15, left_a + wide + 0.15)
    ax.set_ylim(-total_height / 2, total_height / 2)
    ax.set_aspect("equal")
    ax.axis("off")
    share = low_rank / full
    finding = f"With r = {rank}, B and A hold {percent_text(share, 1)} as many numbers as W"
    if share >= 1:
        finding = f"r = {rank} saves nothing: B and A hold {share:.1f} times the numbers of W"
    state_finding(figure, f"{finding} ({low_rank:,} against {full:,})")
    return figure


def _matrix(
    ax: "Axes",
    left: float,
    size: tuple[float, float],
    color: str,
    name: str,
    shape: tuple[int, int],
) -> None:
    """One rectangle to scale, centred on the line y = 0; its outline keeps a rank of 1 visible."""
    from matplotlib.patches import Rectangle

    width, height = size
    box = Rectangle((left, -height / 2), width, height, fc=color, ec=color, lw=1.6)
    ax.add_patch(box)
    center = left + width / 2
    ax.text(center, height / 2 + 0.05, name, ha="center", va="bottom", size=13, weight="bold")
    text = f"{shape[0]:,} × {shape[1]:,}\n= {shape[0] * shape[1]:,}"
    ax.text(center, -height / 2 - 0.04, text, ha="center", va="top", size=12)


@styled
def plot_lora_scale(alphas: Sequence[int], ranks: Sequence[int]) -> "Figure":
    """The factor alpha / r by which the update B·A counts, for each pair."""
    import numpy as np

    require(len(alphas) and len(ranks), "no alpha or no rank", "give at least one of each")
    scale = np.array([[alpha / rank for rank in ranks] for alpha in alphas])
    figure, ax = new_figure(1.6 + 1.15 * max(len(ranks), 5), 2.2 + 0.62 * len(alphas))
    ax.imshow(np.log2(scale), cmap="Blues", aspect="auto", vmin=-6, vmax=6)
    for (row, column), value in np.ndenumerate(scale):
        tone = "white" if np.log2(value) > 1.5 else INK
        ax.text(column, row, f"{value:.3g}", ha="center", va="center", color=tone, size=14)
    ax.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    ax.set_yticks(range(len(alphas)), [str(alpha) for alpha in alphas])
    ax.set_xlabel("rank r")
    ax.set_ylabel("lora_alpha")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    first, last = ranks[0], ranks[-1]
    alpha = alphas[len(alphas) // 2]
    finding = f"With alpha = {alpha}, alpha / r multiplies the update by {alpha / first:.3g}"
    finding += f" at r = {first}"
    if last != first:
        finding += f" and by {alpha / last:.3g} at r = {last}"
    state_finding(figure, finding)
    return figure


# ---------------------------------------------------------------- evaluation


@styled
def plot_comparison(results: Mapping[str, Any]) -> "Figure":
    """Base zero-shot, base few-shot and tuned: shares in one panel, perplexity in the other.

    `results` is results.json. Under each metric stands the tuned model's gain over the base
    prompt that counts (`base_prompt`), with its 95 % paired bootstrap interval.
    """
    systems = _systems(results)
    difference = results.get("difference") or {}
    keys = [
        key
        for key in ("field_f1", "exact_match", "rougeL", "bleu")
        if any(finite(scores.get(key)) is not None for _, scores in systems)
    ]
    require(keys, "the results hold no score", "run notebooks 02 and 04")
    ratios = {"width_ratios": [len(keys) * 1.15 + 0.3, 1.8]}
    figure, (ax, ppl) = new_figure(11.5, 5.2, ncols=2, gridspec_kw=ratios)
    width = 0.8 / len(systems)
    for index, (name, scores) in enumerate(systems):
        label, style = SYSTEMS[name]
        values = [_scaled(scores, key) for key in keys]
        places = [at + (index - (len(systems) - 1) / 2) * width for at in range(len(keys))]
        heights = [value or 0 for value in values]
        bars = ax.bar(places, heights, width * 0.94, label=label, **style)
        ax.bar_label(bars, ["n/a" if v is None else f"{v:.2f}" for v in values], padding=2, size=11)
    labels = [_metric_with_gain(key, difference) for key in keys]
    ax.set_xticks(range(len(keys)), labels)
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(0, 1.28)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ax.set_ylabel("score (0 to 1)")
    ax.set_title("Scores (higher is better)", loc="left")
    if difference:
        base = _base_name(results)
        ax.set_xlabel(f"under each metric: tuned − {base}, with its 95 % interval", color=SOFT)
    add_grid(ax)
    ax.legend(loc="upper left", ncols=3)
    _draw_perplexity_bars(ppl, systems)
    state_finding(figure, comparison_finding(results))
    return figure


def _systems(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The systems that were scored, in the order they are drawn."""
    baselines = results.get("baselines") or {}
    if not any(baselines.values()):
        baselines = {results.get("base_prompt") or "zero_shot": results.get("base") or {}}
    found = [(name, baselines.get(name)) for name in ("zero_shot", "few_shot")]
    return [(name, scores) for name, scores in [*found, ("tuned", results.get("tuned"))] if scores]


def _base_name(results: Mapping[str, Any]) -> str:
    name = results.get("base_prompt")
    return SYSTEMS[name][0] if name in SYSTEMS else "base"


def _scaled(scores: Mapping[str, Any], key: str) -> float | None:
    value = finite(scores.get(key))
    return None if value is None else value * SHARE_METRICS[key][1]


def _metric_with_gain(key: str, difference: Mapping[str, Any]) -> str:
    label, factor = SHARE_METRICS[key]
    interval = difference.get(key)
    if not interval or finite(interval.get("mean")) is None:
        return label
    mean, low, high = _interval_parts(interval, factor)
    return f"{label}\n{mean}\n[{low}, {high}]"


def _draw_perplexity_bars(ax: "Axes", systems: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Bars on a log axis start at 1, the perplexity of a model that is certain of each token."""
    values = [(name, finite(scores.get("perplexity"))) for name, scores in systems]
    known = [value for _, value in values if value is not None and value >= 1]
    ax.set_title("Perplexity (lower is better)", loc="left")
    if not known:
        ax.set_axis_off()
        _say(ax, "does not apply")
        return
    for index, (name, value) in enumerate(values):
        if value is not None and value >= 1:
            bar = ax.bar(index, value - 1, 0.72, bottom=1, **SYSTEMS[name][1])
            ax.bar_label(bar, [plain_number(value)], padding=2, size=11)
    top = max(known)
    _plain_log(ax, "y", [1, top])
    ax.set_ylim(1, max(top, 1.1) ** 1.12)
    names = [SYSTEMS[name][0].replace(", ", "\n") for name, _ in values]
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("per completion token (log scale)")
    add_grid(ax)


def comparison_finding(results: Mapping[str, Any]) -> str:
    """The main result in one line: field F1 where it applies, else the first metric that does."""
    base, tuned = results.get("base") or {}, results.get("tuned") or {}
    difference = results.get("difference") or {}
    if not tuned:
        return _base_finding(results)
    for key in HEADLINE_METRICS:
        label = SHARE_METRICS[key][0]
        before, after = _scaled(base, key), _scaled(tuned, key)
        if before is None or after is None:
            continue
        change = f"from {before:.2f} to {after:.2f}"
        if not excludes_zero(difference.get(key)):
            return f"Fine-tuning leaves {label} about where it was: {change}"
        verb = "lifts" if after > before else "lowers"
        mean, low, high = _interval_parts(difference[key], SHARE_METRICS[key][1])
        gain = f"({mean}, 95 % interval {low} to {high})"
        return f"Fine-tuning {verb} {label} {change} {gain}"
    return "Scores of the systems that were evaluated"


def _base_finding(results: Mapping[str, Any]) -> str:
    """What the base model reaches by prompting alone, before there is an adapter."""
    systems = _systems(results)
    for key in HEADLINE_METRICS:
        known = [(_scaled(scores, key), name) for name, scores in systems]
        known = [(value, name) for value, name in known if value is not None]
        if known:
            best, name = max(known)
            label = SHARE_METRICS[key][0]
            return f"Without fine-tuning {label} reaches {best:.2f} ({SYSTEMS[name][0]})"
    return "No score was measured yet"


@styled
def plot_differences(difference: Mapping[str, Mapping[str, Any] | None]) -> "Figure":
    """Forest plot of tuned − base with 95 % paired bootstrap intervals.

    Filled squares: the interval excludes 0. Perplexity, where lower is better, has its own axis.
    """
    known = {key: value for key, value in difference.items() if value and _ends(value)}
    require(known, "there are no differences", "run notebook 04")
    shares = [key for key in SHARE_METRICS if key in known]
    panels = [shares] if shares else []
    panels += [["perplexity"]] if "perplexity" in known else []
    require(panels, "no known metric among the differences", "run notebook 04")
    heights = [0.6 + len(panel) for panel in panels]
    figure, axes = new_figure(
        11,
        1.6 + 0.42 * sum(heights) + 0.35 * len(panels),
        nrows=len(panels),
        gridspec_kw={"height_ratios": heights},
        squeeze=False,
    )
    for ax, panel in zip(axes[:, 0], panels, strict=True):
        _draw_forest(ax, panel, known)
    clear = [key for key in [*shares, "perplexity"] if excludes_zero(known.get(key))]
    better = [key for key in clear if (known[key]["mean"] < 0) == (key == "perplexity")]
    count = sum(map(len, panels))
    finding = f"Fine-tuning improves {len(better)} of {count} metrics"
    if len(clear) > len(better):
        finding += f", worsens {len(clear) - len(better)}"
    unclear = count - len(clear)
    state_finding(figure, f"{finding}; {unclear} unclear (95 % interval includes 0)" if unclear else
           f"{finding} (no 95 % interval includes 0)")  # fmt: skip
    return figure


def _ends(interval: Mapping[str, Any]) -> bool:
    return all(finite(interval.get(name)) is not None for name in ("mean", "low", "high"))


def _draw_forest(ax: "Axes", keys: Sequence[str], difference: Mapping[str, Any]) -> None:
    names, texts = [], []
    for row, key in enumerate(keys):
        label, factor = SHARE_METRICS.get(key, (key, 1.0))
        mean, low, high = (difference[key][name] * factor for name in ("mean", "low", "high"))
        fill = BLUE if excludes_zero(difference[key]) else "white"
        ax.plot([low, high], [row, row], color=INK, lw=2.2, solid_capstyle="butt")
        ax.plot([low, low, high, high], [row] * 4, "|", color=INK, ms=11, mew=2)
        ax.plot(mean, row, "s", ms=11, mfc=fill, mec=BLUE, mew=2)
        names.append(label)
        texts.append(interval_text(difference[key], factor))
    ax.axvline(0, color=INK, lw=1.6)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.08)
    right = ax.secondary_yaxis("right")
    right.set_yticks(range(len(texts)), texts)
    right.tick_params(length=0, labelsize=11, labelcolor=INK)
    right.spines["right"].set_visible(False)
    lower = keys == ["perplexity"]
    ax.set_xlabel("tuned − base" + (" (lower is better)" if lower else " (higher is better)"))
    add_grid(ax, "x")


# ---------------------------------------------------------------- inference


@styled
def plot_latency(latency: Sequence[Mapping[str, Any]]) -> "Figure":
    """Wall-clock seconds and generated tokens per second, by mode and batch size."""
    require(latency, "the latency table is empty", "run notebook 05")
    modes = list(dict.fromkeys(str(row["mode"]) for row in latency))
    sizes = sorted({row["batch_size"] for row in latency})
    figure, axes = new_figure(11, 4.6, ncols=2)
    panels = (("seconds", "wall-clock time (s)"), ("tokens_per_second", "generated tokens/s"))
    for ax, (key, label) in zip(axes, panels, strict=True):
        _draw_latency(ax, latency, modes, sizes, key)
        ax.set_ylabel(label)
        ax.set_xlabel("batch size (prompts generated together)")
        add_grid(ax)
    axes[0].set_title("Time (lower is better)", loc="left")
    axes[1].set_title("Throughput (higher is better)", loc="left")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(modes))
    state_finding(figure, _latency_finding(latency))
    return figure


def _draw_latency(
    ax: "Axes",
    latency: Sequence[Mapping[str, Any]],
    modes: Sequence[str],
    sizes: Sequence[int],
    key: str,
) -> None:
    width = 0.8 / len(modes)
    colors = [ORANGE, BLUE, PALE, GREEN]
    top = max((finite(row.get(key)) or 0 for row in latency), default=0)
    for index, mode in enumerate(modes):
        rows = {row["batch_size"]: finite(row.get(key)) for row in latency if row["mode"] == mode}
        places = [at + (index - (len(modes) - 1) / 2) * width for at in range(len(sizes))]
        values = [rows.get(size) for size in sizes]
        bars = ax.bar(
            places,
            [value or 0 for value in values],
            width * 0.94,
            color=colors[index % 4],
            hatch="///" if index % 2 == 0 else "",
            edgecolor="white",
            label=label_text(mode),
        )
        ax.bar_label(bars, ["" if v is None else f"{v:.3g}" for v in values], padding=2, size=11)
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(0, top * 1.14 or 1)


def _latency_finding(latency: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for row in latency if finite(row.get("tokens_per_second"))]
    if not rows:
        return "Latency by mode and batch size"
    fast = max(rows, key=lambda row: row["tokens_per_second"])
    slow = min(rows, key=lambda row: row["tokens_per_second"])
    rate = f"{fast['tokens_per_second']:.3g} tokens/s"
    finding = (
        f"{label_text(fast['mode']).capitalize()} at batch size {fast['batch_size']} is fastest"
    )
    if fast is slow:
        return f"{finding}: {rate}"
    ratio = fast["tokens_per_second"] / slow["tokens_per_second"]
    slowest = f"{label_text(slow['mode'])} at {slow['batch_size']}"
    return f"{finding}: {rate}, {ratio:.1f} times as many as {slowest}"
