"""Figures of the manufacturing track: its data, its three tasks, and adapters side by side.

    from course_utils import task_plots
    task_plots.plot_tasks(evaluation["tasks"])      # last line of a cell: it is shown

Like course_utils.plots: the title states the finding, hatches stand beside colours (readable in
grey), and a value that was not measured is written as n/a, never drawn as 0.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    INK,
    RED,
    SOFT,
    add_grid,
    finite,
    label_text,
    require,
    say,
    state_finding,
    styled,
)
from course_utils.tracks.manufacturing.adapter_plots import plot_adapters
from course_utils.tracks.manufacturing.plot_pieces import (
    LOOKS,
    bare,
    bars_across,
    mapping,
    mosaic,
    numbers,
    ordered,
    words,
)
from course_utils.tracks.manufacturing.rival_plots import plot_rivals
from course_utils.tracks.manufacturing.score_plots import plot_tasks
from course_utils.tracks.wording import listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_adapters", "plot_lengths", "plot_rivals", "plot_tasks", "plot_track"]


@styled
def plot_track(summary: Mapping[str, Any]) -> "Figure":
    """Records by document and task, and how varied prompts and answers are.

    `summary` is what `tracks.summarise` returns. With the key `cross`, {document: {task: n}}, the
    left panel is a table of both; without it the two counts stand one above the other.
    """
    summary = mapping(summary)
    cross = {str(name): numbers(row) for name, row in mapping(summary.get("cross")).items()}
    counts = [numbers(summary.get(key)) for key in ("tasks", "documents")]
    require(any(cross.values()) or any(counts), "no record was counted", "build the data first")
    left = [["cross"], ["cross"]] if any(cross.values()) else [["tasks"], ["documents"]]
    figure, axes = mosaic(
        13.5,
        5.4,
        [[*row, "distinct_3", "self_bleu"] for row in left],
        width_ratios=[1.55, 1, 1],
        height_ratios=[max(len(part), 1) + 0.8 for part in counts],
    )
    if "cross" in axes:
        _draw_cross(axes["cross"], cross)
    else:
        _draw_counts(axes["tasks"], counts[0], "task")
        _draw_counts(axes["documents"], counts[1], "document")
    _draw_diversity(axes, mapping(summary.get("diversity")))
    state_finding(figure, track_finding(summary))
    return figure


def _draw_cross(ax: "Axes", cross: Mapping[str, Mapping[str, float]]) -> None:
    """A table whose shade is the number of records; the sums stand outside it."""
    import numpy as np

    names = ordered([task for row in cross.values() for task in row])
    table = np.array([[row.get(task, 0) for task in names] for row in cross.values()])
    ax.imshow(table, cmap="Blues", aspect="auto", vmin=0, vmax=max(1.3 * table.max(), 1))
    ax.set(xlim=(-0.5, len(names) + 0.5), ylim=(len(cross) + 0.4, -0.5))
    for (row, column), value in np.ndenumerate(table):
        tone = "white" if value > 0.7 * table.max() else INK
        ax.text(column, row, f"{value:,.0f}", ha="center", va="center", color=tone, size=14)
    for column, value in enumerate([*table.sum(axis=0), table.sum()]):
        ax.text(column, len(cross), f"{value:,.0f}", **_SUM)
    for row, value in enumerate(table.sum(axis=1)):
        ax.text(len(names), row, f"{value:,.0f}", **_SUM)
    ax.set_xticks(range(len(names) + 1), [*(words(name) for name in names), "all"])
    ax.set_yticks(range(len(cross) + 1), [*(words(name) for name in cross), "all"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.xaxis.tick_top()
    ax.set_title("Records by document and task", loc="left", pad=12)


_SUM = {"ha": "center", "va": "center", "size": 12, "color": INK, "weight": "bold"}


def _draw_counts(ax: "Axes", counts: Mapping[str, float], kind: str) -> None:
    names = ordered(list(counts)) if kind == "task" else sorted(counts)
    ax.set_title(f"Records by {kind}", loc="left")
    if not names:
        ax.set_axis_off()
        say(ax, "not counted")
        return
    values = [counts[name] for name in names]
    bars_across(ax, values, range(len(names)), 0.7, form="{:,.0f}".format, color=SOFT)
    ax.set_yticks(range(len(names)), [words(name, 24) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, max(values) * 1.22 or 1)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    bare(ax, "y")


def _draw_diversity(axes: Mapping[str, "Axes"], diversity: Mapping[str, Any]) -> None:
    names = ordered([str(task) for task in diversity])
    panels = (
        ("distinct_3", "Distinct-3", 1, "distinct share of 3-word runs\n(higher: more varied)"),
        ("self_bleu", "Self-BLEU", 100, "likeness to the others\n(lower: more varied)"),
    )
    for key, title, most, label in panels:
        ax = axes[key]
        ax.set_title(title, loc="left")
        if not names:
            ax.set_axis_off()
            say(ax, "not measured")
            continue
        for index, side in enumerate(("prompt", "answer")):
            found = [numbers(mapping(diversity[task]).get(side)).get(key) for task in names]
            places = [row + (index - 0.5) * 0.4 for row in range(len(names))]
            form = "{:.2f}".format if most == 1 else "{:.0f}".format
            bars_across(ax, found, places, 0.36, form=form, label=f"{side}s", **LOOKS[index])
        shown = [words(name) for name in names] if key == "distinct_3" else [""] * len(names)
        ax.set_yticks(range(len(names)), shown)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(0, most * 1.18)
        ax.set_xticks([0, most / 2, most])
        ax.set_xlabel(label)
        bare(ax, "y")
        add_grid(ax, "x")
    if names:
        handles = axes["distinct_3"].get_legend_handles_labels()
        axes["self_bleu"].figure.legend(*handles, loc="outside lower right", ncols=2)


def track_finding(summary: Mapping[str, Any]) -> str:
    """How many records there are, the smallest task, and how much one wording carries."""
    counts = numbers(summary.get("tasks"))
    if not counts:
        for row in mapping(summary.get("cross")).values():
            for task, number in numbers(row).items():
                counts[task] = counts.get(task, 0) + number
    total = finite(summary.get("kept")) or sum(counts.values())
    total = total or sum(numbers(summary.get("documents")).values())
    parts = []
    if counts:
        smallest = min(counts, key=counts.__getitem__)
        named = f"{counts[smallest]:,.0f} ({label_text(smallest.replace('_', ' '))})"
        parts.append(f"every task has at least {named}" if len(counts) > 1 else f"all of {named}")
    templates = mapping(summary.get("templates")).values()
    shares = [finite(mapping(row).get("share")) for row in templates]
    if shares and None not in shares:
        parts.append(f"no wording carries more than {_at_most(max(shares))} of a task")
    return f"{total:,.0f} records" + (": " + ", ".join(parts) if parts else "")


def _at_most(share: float) -> str:
    """A share rounded up to a tenth of a per cent, so that 'no more than' stays true."""
    import math

    return f"{math.ceil(round(1000 * share, 6)) / 10:.1f} %"


@styled
def plot_lengths(tokens: Mapping[str, Any], max_length: int | None) -> "Figure":
    """Tokens per record of each task: mean (bar), 99th percentile, longest, and `max_length`.

    `tokens` is summary["tokens"]: {task: {"mean", "p99", "longest", "cut"}}, prompt and completion
    counted together; "cut" is the number of records longer than `max_length`.
    """
    rows = {str(task): numbers(found) for task, found in mapping(tokens).items()}
    rows = {task: rows[task] for task in ordered(list(rows)) if rows[task]}
    require(rows, "no length was counted", "run scripts/prepare_data.py first")
    figure, ax = mosaic(11, 2.5 + 0.85 * len(rows), [["lengths"]])
    ax = ax["lengths"]
    for row, found in enumerate(rows.values()):
        _draw_length(ax, row, found, named=row == 0)
    limit = finite(max_length)
    if limit is not None:
        ax.axvline(limit, color=RED, lw=3, label=f"max_length: {limit:.0f}", zorder=1)
    ends = [found.get(key, 0) for found in rows.values() for key in ("mean", "p99", "longest")]
    ax.set_xlim(0, max([*ends, limit or 0]) * 1.06 or 1)
    ax.set_yticks(range(len(rows)), [words(task) for task in rows])
    ax.set_ylim(len(rows) - 0.45, -0.6)
    ax.set_xlabel("tokens per record (prompt and answer)")
    bare(ax, "y")
    add_grid(ax, "x")
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    names = sorted(handles, key=lambda name: name != "mean")  # in the order of a row
    figure.legend([handles[name] for name in names], names, loc="outside lower left", ncols=4)
    state_finding(figure, lengths_finding(rows, limit))
    return figure


def _draw_length(ax: "Axes", row: int, found: Mapping[str, float], named: bool) -> None:
    mean, p99, longest = (found.get(key) for key in ("mean", "p99", "longest"))
    ends = [value for value in (mean, p99, longest) if value is not None]
    if not ends:
        bars_across(ax, [None], [row], 0.42)
        return
    ax.plot([0, max(ends)], [row, row], color=INK, lw=2, zorder=2)
    if mean is not None:
        ax.barh(row, mean, 0.42, zorder=3, label="mean" if named else None, **LOOKS[0])
        inside = mean > 0.12 * max(ends)
        place = {"x": mean / 2, "color": "white"} if inside else {"x": mean, "color": INK}
        ax.text(y=row, s=f"{mean:.0f}", ha="center", va="center", zorder=4, weight="bold", **place)
    marks = (
        ("99th percentile", p99, "D", "white", "bottom"),
        ("longest", longest, "o", INK, "top"),
    )
    for name, value, marker, fill, side in marks:
        if value is None:
            continue
        style = {"ms": 10, "mfc": fill, "mec": INK, "mew": 2, "ls": "", "zorder": 4}
        ax.plot(value, row, marker, label=name if named else None, **style)
        shift = -0.2 if side == "bottom" else 0.2
        ax.text(value, row + shift, f"{value:.0f}", ha="center", va=side, size=11)


def lengths_finding(tokens: Mapping[str, Mapping[str, float]], limit: float | None) -> str:
    """What `max_length` cuts; without it, the longest record."""
    longest = {task: row["longest"] for task, row in tokens.items() if "longest" in row}
    top = max(longest, key=longest.__getitem__, default=None)
    record = f"the longest record ({longest[top]:.0f} tokens, {label_text(top)})" if top else ""
    cut = {task: row["cut"] for task, row in tokens.items() if row.get("cut")}
    if limit is None:
        return f"T{record[1:]} sets what max_length must hold" if top else "Tokens per record"
    if cut:
        parts = [f"{number:,.0f} of the task {label_text(task)}" for task, number in cut.items()]
        return f"max_length {limit:.0f} cuts records: {listing(parts)}"
    if top and longest[top] > limit:  # counted with another max_length
        return f"max_length {limit:.0f} cuts {record}"
    if top:
        return f"max_length {limit:.0f} cuts no record: {record} fits"
    return f"Tokens per record against max_length {limit:.0f}"
