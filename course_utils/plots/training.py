"""The figure of a training run: loss, perplexity, learning rate and gradient norm."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GREEN,
    INK,
    PALE,
    RED,
    SOFT,
    add_grid,
    add_legend,
    finite,
    from_zero,
    new_figure,
    plain_log,
    plain_number,
    require,
    say,
    state_finding,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
        plain_log(ax, "y", both)
    elif min(both) < 2:
        ax.set_ylim(1, max(both) * 1.05)  # 1 is a model that is certain of every token
    ax.set_ylabel("perplexity")
    at_end = f": {plain_number(values[-1])} at the end" if values else ""
    ax.set_title(f"Perplexity{at_end}", loc="left")


def _exp(losses: Sequence[float]) -> list[float]:
    return [math.exp(min(loss, 50)) for loss in losses]


def _draw_learning_rate(ax: "Axes", series: Series) -> None:
    ax.set_title("Learning rate", loc="left")
    steps, values = series
    if not steps or max(values) <= 0:
        say(ax, "no learning rate was logged")
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
        say(ax, "no gradient norm was logged")
        return
    marker = "o" if len(steps) < 12 else ""
    ax.plot(steps, values, color=RED, lw=1.8, marker=marker)
    from_zero(ax, values)
    ax.set_ylabel("norm before clipping")
    middle = sorted(values)[len(values) // 2]
    ax.set_title(f"Gradient norm: median {middle:.2f}, largest {max(values):.2f}", loc="left")


def _mark_resume(ax: "Axes", stopped_at: int | None, resumed_from: int | None) -> None:
    if resumed_from is not None:
        ax.axvline(resumed_from, color=INK, lw=1.6, ls="-.", label=f"resumed from {resumed_from}")
    if stopped_at is not None and stopped_at != resumed_from:
        ax.axvline(stopped_at, color=INK, lw=1.6, ls=":", label=f"stopped at {stopped_at}")
        if resumed_from is not None:
            ax.axvspan(resumed_from, stopped_at, color=PALE, alpha=0.35, lw=0)
