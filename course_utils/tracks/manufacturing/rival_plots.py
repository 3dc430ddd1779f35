"""The tuned model beside the best cheap rival, by task and by form of answer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import rival_scores, rivals
from course_utils.drawing import (
    GREEN,
    INK,
    RIVAL_LOOK,
    SYSTEMS,
    add_grid,
    excludes_zero,
    interval_text,
    label_text,
    require,
    state_finding,
    styled,
)
from course_utils.tracks.manufacturing.plot_pieces import bare, bars_across, mosaic, words
from course_utils.tracks.wording import listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Named = tuple[str, str, Mapping[str, Any]]  # task, score, row
PROGRAM_LOOK = {"color": INK}


@styled
def plot_rivals(comparison: Mapping[str, Any]) -> "Figure":
    """Scores on the left, tuned minus best fitted rival with its 95 % interval on the right.

    `comparison` is what `rival_scores.compare` returns. A program that was written by hand is drawn
    as a bar of its own; it is never the best fitted rival.
    """
    rows = [(task, own["score"], row) for task, own in comparison.items() for row in own["rows"]]
    require(rows, "no rival was measured", "run scripts/evaluate.py first")
    layout = [["scores", "over"]]
    figure, axes = mosaic(14, 1.9 + 0.95 * len(rows), layout, width_ratios=[1.5, 1])
    _draw_scores(axes["scores"], rows)
    _draw_intervals(axes["over"], rows)
    handles = axes["scores"].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower left", ncols=4)
    state_finding(figure, rivals_finding(rows))
    return figure


def _draw_scores(ax: "Axes", rows: Sequence[Named]) -> None:
    systems = {
        "base, better prompt": (lambda row: row["base"], SYSTEMS["few_shot"][1]),
        "best fitted rival": (lambda row: row["rivals"].get(row["rival"]), RIVAL_LOOK),
        "program written by hand": (_program, PROGRAM_LOOK),
        "tuned": (lambda row: row["tuned"], SYSTEMS["tuned"][1]),
    }
    if all(_program(row) is None for _, _, row in rows):
        systems.pop("program written by hand")
    height = 0.84 / len(systems)
    for index, (name, (value, look)) in enumerate(systems.items()):
        shown = [(at, value(row)) for at, (_, _, row) in enumerate(rows)]
        if name.startswith("program"):  # no bar where there is no program
            shown = [(at, number) for at, number in shown if number is not None]
        places = [at + (index - (len(systems) - 1) / 2) * height for at, _ in shown]
        bars_across(ax, [v for _, v in shown], places, 0.92 * height, label=name, **look)
    ax.set_yticks(range(len(rows)), [_label(*named) for named in rows])
    ax.set_ylim(len(rows) - 0.45, -0.6)
    ax.set_xlim(0, 1.12)
    ax.set_xlabel("score (0 to 1)")
    bare(ax, "y")
    add_grid(ax, "x")


def _program(row: Mapping[str, Any]) -> float | None:
    found = (row["rivals"].get(name) for name in rivals.BY_HAND)
    return next((value for value in found if value is not None), None)


def _label(task: str, score: str, row: Mapping[str, Any]) -> str:
    name = row["form"] or f"{task}, all"
    return f"{words(name, 24)}\n({row['records']} records)"


def _draw_intervals(ax: "Axes", rows: Sequence[Named]) -> None:
    for at, (_, _, row) in enumerate(rows):
        interval = rival_scores.over_best(row)
        if not interval:
            ax.text(-1.08, at, "too few records for an interval", va="center", size=11, color=INK)
            continue
        mean, low, high = (interval[end] for end in ("mean", "low", "high"))
        color = INK if not excludes_zero(interval) else SYSTEMS["tuned"][1]["color"]
        color = GREEN if high < 0 else color
        ax.errorbar(
            mean, at, xerr=[[mean - low], [high - mean]], fmt="o", color=color, capsize=5, lw=2.5
        )
        told = f"{interval_text(interval)}, {label_text(row['rival'], 20)}"
        ax.text(-1.08, at - 0.2, told, ha="left", va="bottom", size=11)
    ax.axvline(0, color=INK, lw=1)
    ax.set_xlim(-1.12, 1.12)
    ax.set_ylim(len(rows) - 0.45, -0.6)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_yticks([])
    ax.set_title("Tuned − best fitted rival, 95 % interval", loc="left")
    ax.set_xlabel("left: take the cheap method; right: the tuned model wins")
    add_grid(ax, "x")


def rivals_finding(rows: Sequence[Named]) -> str:
    """Where the tuned model is ahead of every fitted rival, and where a cheap method is."""
    whole = [(task, rival_scores.winner(rival_scores.over_best(row))) for task, _, row in rows
             if not row["form"]]  # fmt: skip
    parts = []
    for who, told in (
        ("tuned", "The tuned model beats every fitted rival on"),
        ("rival", "a cheap method is the right choice for"),
    ):
        if names := [label_text(task) for task, first in whole if first == who]:
            parts.append(f"{told} {listing(names)}")
    text = "; ".join(parts) or "No clear difference between the tuned model and the cheap rivals"
    return text[0].upper() + text[1:]
