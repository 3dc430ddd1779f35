"""Adapters side by side: the main score of each task, memory, time and perplexity."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import tasks
from course_utils.drawing import (
    INK,
    SOFT,
    add_grid,
    excludes_zero,
    finite,
    interval_text,
    label_text,
    plain_number,
    require,
    say,
    signed,
    state_finding,
    styled,
)
from course_utils.tracks.manufacturing.plot_pieces import (
    LOOKS,
    bare,
    bars_across,
    hundredths,
    mapping,
    mosaic,
    numbers,
    ordered,
    score_name,
    words,
)
from course_utils.tracks.wording import listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Cost of a row -> (heading with its unit, what a sentence calls it).
COSTS = {
    "memory_gb": ("Memory (GiB)", "memory"),
    "seconds": ("Time (s)", "time"),
    "perplexity": ("Perplexity", "perplexity"),
}


@styled
def plot_adapters(rows: Sequence[Mapping[str, Any]], against: str = "") -> "Figure":
    """Adapters side by side: main score of each task, memory, time and perplexity.

    Rows: {"name", "scores": {task: 0..1}, "intervals": {task: {"mean", "low", "high"}} | None,
    "memory_gb", "seconds", "perplexity"}; null or missing is written as n/a. The intervals are
    those of the scores and drawn as whiskers; or, when `against` names what was compared with
    ("LoRA", "the base model"), those of the differences, and written in a table.
    """
    rows = [mapping(row) for row in rows or []]
    scores = [numbers(row.get("scores")) for row in rows]
    measured = any(scores) or any(finite(row.get(key)) is not None for row in rows for key in COSTS)
    require(measured, "no adapter was measured", "train and evaluate at least one adapter")
    names = [
        label_text(row.get("name") or f"row {index + 1}", 30) for index, row in enumerate(rows)
    ]
    found = ordered([task for own in scores for task in own])
    figure, axes = mosaic(
        12.5,
        max(5.4, 1.8 + 3 * (0.55 + 0.4 * len(rows))),
        [["scores", key] for key in COSTS],
        width_ratios=[1.75, 1],
    )
    numbered = bool(against) and sum(bool(mapping(row.get("intervals"))) for row in rows) > 1
    if numbered:  # so that a task's differences say whose they are
        names = [f"{index}: {name}" for index, name in enumerate(names, 1)]
    _draw_adapter_scores(axes["scores"], rows, names, found, against)
    for key, (title, _) in COSTS.items():
        _draw_cost(axes[key], [finite(row.get(key)) for row in rows], names, title)
    if found:
        handles = axes["scores"].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower left", ncols=3)
    state_finding(figure, adapters_finding(rows, against))
    return figure


def _draw_adapter_scores(
    ax: "Axes",
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    found: Sequence[str],
    against: str,
) -> None:
    ax.set_title("Main score of each task (higher is better)", loc="left")
    if not found:
        ax.set_axis_off()
        say(ax, "no score was measured")
        return
    width = 0.86 / len(rows)
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        own = numbers(row.get("scores"))
        places = [at + (index - (len(rows) - 1) / 2) * width for at in range(len(found))]
        look = LOOKS[index % len(LOOKS)]
        heights = [own.get(task) or 0 for task in found]
        ax.bar(places, heights, width * 0.94, label=name, **look)
        for place, task in zip(places, found, strict=True):
            _mark_score(ax, place, own.get(task), None if against else _whisker(row, task))
    ax.set_xticks(range(len(found)), [_task_label(task, rows, against) for task in found])
    ax.set_ylim(0, 1.12)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ax.set_ylabel("score (0 to 1)")
    if against:
        ax.set_xlabel(f"numbers: difference to {label_text(against)}, 95 % interval", color=SOFT)
    elif any(_whisker(row, task) for row in rows for task in found):
        ax.set_xlabel("whiskers: 95 % interval", color=SOFT)
    bare(ax, "x")
    add_grid(ax)


def _whisker(row: Mapping[str, Any], task: str) -> tuple[float, float] | None:
    interval = mapping(mapping(row.get("intervals")).get(task))
    low, high = finite(interval.get("low")), finite(interval.get("high"))
    return None if low is None or high is None else (low, high)


def _mark_score(
    ax: "Axes", place: float, value: float | None, whisker: tuple[float, float] | None
) -> None:
    """The value above its bar, and above the whisker where there is one."""
    top = max(value or 0, whisker[1] if whisker and value is not None else 0)
    if whisker and value is not None:
        ax.plot([place, place], whisker, color="white", lw=5, zorder=3)
        ax.plot([place, place], whisker, color=INK, lw=2, zorder=4, marker="_", ms=9, mew=2)
    ax.annotate(
        hundredths(value), (place, top), (0, 3), textcoords="offset points", ha="center", size=11
    )


def _task_label(task: str, rows: Sequence[Mapping[str, Any]], against: str) -> str:
    """Task, its main score, and the rows' differences where the intervals are differences."""
    lines = [words(task)]
    if task in tasks.MAIN_SCORE:
        lines.append(score_name(tasks.MAIN_SCORE[task]))
    having = [i for i, row in enumerate(rows, 1) if mapping(row.get("intervals"))]
    for index in having if against else []:
        interval = mapping(rows[index - 1]["intervals"].get(task))
        text = interval_text(interval) if finite(interval.get("mean")) is not None else "n/a"
        lines.append(f"{index}: {text}" if len(having) > 1 else text)
    return "\n".join(lines)


def _draw_cost(
    ax: "Axes", values: Sequence[float | None], names: Sequence[str], title: str
) -> None:
    ax.set_title(f"{title}, lower is better", loc="left")
    known = [value for value in values if value is not None]
    if not known:
        ax.set_axis_off()
        say(ax, "not measured")
        return
    for row, value in enumerate(values):
        bars_across(ax, [value], [row], 0.74, form=plain_number, **LOOKS[row % len(LOOKS)])
    ax.set_yticks(range(len(names)), [words(name, 18) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(min(*known, 0), max(known) * 1.25 or 1)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    bare(ax, "y")


def adapters_finding(rows: Sequence[Mapping[str, Any]], against: str = "") -> str:
    """Two rows: the second against the first. More: the best on average and the lightest."""
    names = [
        label_text(row.get("name") or f"row {index + 1}", 30) for index, row in enumerate(rows)
    ]
    if len(rows) != 2:
        return _best_finding(rows, names)
    first, second = rows
    parts = [
        _ratio(finite(second.get(key)), finite(first.get(key)), name)
        for key, (_, name) in COSTS.items()
        if key != "perplexity"
    ]
    before, after = numbers(first.get("scores")), numbers(second.get("scores"))
    moves = [after[task] - before[task] for task in before if task in after]
    if moves:
        ends = [signed(value) for value in (min(moves), max(moves))]
        span = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
        note = _overlap(first, second)
        if against:  # intervals of differences say it only where they are to the first row
            note = _clear(second) if against == first.get("name") else ""
        parts.append(f"main scores {span}{note}")
    parts = [part for part in parts if part]
    head = f"{names[1][:1].upper()}{names[1][1:]} against {names[0]}"
    return f"{head}: {', '.join(parts)}" if parts else f"{head}: no value was measured for both"


def _ratio(value: float | None, before: float | None, name: str) -> str:
    """'39 % less memory', '1.4 times the time', 'the same time'."""
    if value is None or before is None or value <= 0 or before <= 0:
        return ""
    ratio = value / before
    if abs(ratio - 1) < 0.005:
        return f"the same {name}"
    if ratio < 1:
        return f"{100 * (1 - ratio):.0f} % less {name}"
    return (
        f"{100 * (ratio - 1):.0f} % more {name}"
        if ratio < 1.95
        else f"{ratio:.1f} times the {name}"
    )


def _overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Whether the intervals of two rows' scores are apart; empty without intervals."""
    both = [
        (task, _whisker(first, task), _whisker(second, task))
        for task in ordered(list(numbers(first.get("scores"))))
    ]
    both = [(task, a, b) for task, a, b in both if a and b]
    apart = [label_text(task) for task, a, b in both if a[1] < b[0] or b[1] < a[0]]
    if not both:
        return ""
    return f" (intervals apart on {listing(apart)})" if apart else " (their intervals overlap)"


def _clear(row: Mapping[str, Any]) -> str:
    """Where a row's differences exclude 0; empty without intervals."""
    found = {str(task): mapping(value) for task, value in mapping(row.get("intervals")).items()}
    if not any(found.values()):
        return ""
    clear = [label_text(task) for task in ordered(list(found)) if excludes_zero(found[task])]
    return f" (clear on {listing(clear)})" if clear else " (no difference is clear)"


def _best_finding(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Range of the mean scores, over rows that have every task: like is compared with like."""
    scores = [numbers(row.get("scores")) for row in rows]
    every = {task for own in scores for task in own}
    whole = {
        name: sum(own.values()) / len(every)
        for name, own in zip(names, scores, strict=True)
        if every and set(own) == every
    }
    parts = []
    if whole:
        ends = [min(whole, key=whole.__getitem__), max(whole, key=whole.__getitem__)]
        text = " to ".join(f"{name} {whole[name]:.2f}" for name in dict.fromkeys(ends))
        parts.append(f"Mean main score: {text}")
    memory = [finite(row.get("memory_gb")) for row in rows]
    known = [value for value in memory if value is not None]
    if len(known) > 1:
        least = [n for n, value in zip(names, memory, strict=True) if value == min(known)]
        parts.append(f"least memory: {listing(least)}, {plain_number(min(known))} GiB")
    text = "; ".join(parts) or f"What was measured of {len(rows)} adapters"
    return text[:1].upper() + text[1:]
