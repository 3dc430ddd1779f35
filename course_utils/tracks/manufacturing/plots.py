"""Figures of the manufacturing track: its data, its three tasks, and adapters side by side.

    from course_utils import task_plots
    task_plots.plot_tasks(evaluation["tasks"])      # last line of a cell: it is shown

Like course_utils.plots: the title states the finding, hatches stand beside colours (readable in
grey), and a value that was not measured is written as n/a, never drawn as 0.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import drawing, tasks
from course_utils.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    SYSTEMS,
    add_grid,
    excludes_zero,
    finite,
    interval_text,
    label_text,
    plain_log,
    plain_number,
    require,
    say,
    signed,
    state_finding,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = Mapping[str, Any]
# Prompts and answers, or the rows of a comparison: apart in grey by hatch and by darkness.
LOOKS = (
    {"color": BLUE},
    {"color": ORANGE, "hatch": "///", "edgecolor": "white"},
    {"color": PALE},
    {"color": GREEN, "hatch": "...", "edgecolor": "white"},
    {"color": RED, "hatch": "xxx", "edgecolor": "white"},
    {"color": SOFT, "hatch": "---", "edgecolor": "white"},
)
# Cost of a row -> (heading with its unit, what one says when it is smaller, and when larger).
COSTS = {
    "memory_gb": ("Memory (GB)", "memory"),
    "seconds": ("Time (s)", "time"),
    "perplexity": ("Perplexity", "perplexity"),
}


# ---------------------------------------------------------------- shared pieces


def _mosaic(
    width: float, height: float, layout: list[list[str]], **options: Any
) -> tuple["Figure", dict[str, "Axes"]]:
    """A figure (inches) with named panels of unequal size, set like those of course_utils.plots."""
    figure = drawing.figure_class()(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    axes = figure.subplot_mosaic(layout, **options)
    for ax in axes.values():
        ax.tick_params(labelsize=11, color=SOFT, labelcolor=INK)
    return figure, axes


def _mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else an empty one: a null section is a missing section."""
    return value if isinstance(value, Mapping) else {}


def _numbers(value: Any) -> dict[str, float]:
    """The finite numbers of a mapping."""
    found = {str(name): finite(number) for name, number in _mapping(value).items()}
    return {name: number for name, number in found.items() if number is not None}


def _ordered(names: Sequence[str]) -> list[str]:
    """Tasks in the order of the course; others behind, as they came."""
    known = [task for task in tasks.TASKS if task in names]
    return known + [name for name in dict.fromkeys(names) if name not in known]


def _words(name: str, width: int = 15) -> str:
    """'technical_documentation' as a label of one or two short lines; the rest is cut."""
    text = label_text(name.replace(r"\$", "$").replace("_", " "), 2 * width).replace(r"\$", "$")
    lines = textwrap.wrap(
        text, width, max_lines=2, placeholder="…"
    )  # first wrapped, then escaped: no line ends inside r"\$"
    return "\n".join(lines).replace("$", r"\$")


def _listed(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _bare(ax: "Axes", axis: str) -> None:
    ax.tick_params(axis=axis, length=0)


def _bars_across(
    ax: "Axes", values: Sequence[float | None], places: Sequence[float], height: float, **look: Any
) -> None:
    """Horizontal bars with their values; n/a where there is none."""
    digits = look.pop("form", "{:.2f}".format)
    bars = ax.barh(places, [value or 0 for value in values], height, **look)
    texts = ["n/a" if value is None else digits(value) for value in values]
    ax.bar_label(bars, texts, padding=3, size=11)


# ---------------------------------------------------------------- the data


@styled
def plot_track(summary: Mapping[str, Any]) -> "Figure":
    """Records by document and task, and how varied prompts and answers are.

    `summary` is what `tracks.summarise` returns. With the key `cross`, {document: {task: n}}, the
    left panel is a table of both; without it the two counts stand one above the other.
    """
    summary = _mapping(summary)
    cross = {str(name): _numbers(row) for name, row in _mapping(summary.get("cross")).items()}
    counts = [_numbers(summary.get(key)) for key in ("tasks", "documents")]
    require(any(cross.values()) or any(counts), "no record was counted", "build the data first")
    left = [["cross"], ["cross"]] if any(cross.values()) else [["tasks"], ["documents"]]
    figure, axes = _mosaic(
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
    _draw_diversity(axes, _mapping(summary.get("diversity")))
    state_finding(figure, track_finding(summary))
    return figure


def _draw_cross(ax: "Axes", cross: Mapping[str, Mapping[str, float]]) -> None:
    """A table whose shade is the number of records; the sums stand outside it."""
    import numpy as np

    names = _ordered([task for row in cross.values() for task in row])
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
    ax.set_xticks(range(len(names) + 1), [*(_words(name) for name in names), "all"])
    ax.set_yticks(range(len(cross) + 1), [*(_words(name) for name in cross), "all"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.xaxis.tick_top()
    ax.set_title("Records by document and task", loc="left", pad=12)


_SUM = {"ha": "center", "va": "center", "size": 12, "color": INK, "weight": "bold"}


def _draw_counts(ax: "Axes", counts: Mapping[str, float], kind: str) -> None:
    names = _ordered(list(counts)) if kind == "task" else sorted(counts)
    ax.set_title(f"Records by {kind}", loc="left")
    if not names:
        ax.set_axis_off()
        say(ax, "not counted")
        return
    values = [counts[name] for name in names]
    _bars_across(ax, values, range(len(names)), 0.7, form="{:,.0f}".format, color=SOFT)
    ax.set_yticks(range(len(names)), [_words(name, 24) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, max(values) * 1.22 or 1)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    _bare(ax, "y")


def _draw_diversity(axes: Mapping[str, "Axes"], diversity: Mapping[str, Any]) -> None:
    names = _ordered([str(task) for task in diversity])
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
            found = [_numbers(_mapping(diversity[task]).get(side)).get(key) for task in names]
            places = [row + (index - 0.5) * 0.4 for row in range(len(names))]
            form = "{:.2f}".format if most == 1 else "{:.0f}".format
            _bars_across(ax, found, places, 0.36, form=form, label=f"{side}s", **LOOKS[index])
        shown = [_words(name) for name in names] if key == "distinct_3" else [""] * len(names)
        ax.set_yticks(range(len(names)), shown)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlim(0, most * 1.18)
        ax.set_xticks([0, most / 2, most])
        ax.set_xlabel(label)
        _bare(ax, "y")
        add_grid(ax, "x")
    if names:
        handles = axes["distinct_3"].get_legend_handles_labels()
        axes["self_bleu"].figure.legend(*handles, loc="outside lower right", ncols=2)


def track_finding(summary: Mapping[str, Any]) -> str:
    """How many records there are, the smallest task, and how much one wording carries."""
    counts = _numbers(summary.get("tasks"))
    if not counts:
        for row in _mapping(summary.get("cross")).values():
            for task, number in _numbers(row).items():
                counts[task] = counts.get(task, 0) + number
    total = finite(summary.get("kept")) or sum(counts.values())
    total = total or sum(_numbers(summary.get("documents")).values())
    parts = []
    if counts:
        smallest = min(counts, key=counts.__getitem__)
        named = f"{counts[smallest]:,.0f} ({label_text(smallest.replace('_', ' '))})"
        parts.append(f"every task has at least {named}" if len(counts) > 1 else f"all of {named}")
    templates = _mapping(summary.get("templates")).values()
    shares = [finite(_mapping(row).get("share")) for row in templates]
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
    rows = {str(task): _numbers(found) for task, found in _mapping(tokens).items()}
    rows = {task: rows[task] for task in _ordered(list(rows)) if rows[task]}
    require(rows, "no length was counted", "run scripts/prepare_data.py first")
    figure, ax = _mosaic(11, 2.5 + 0.85 * len(rows), [["lengths"]])
    ax = ax["lengths"]
    for row, found in enumerate(rows.values()):
        _draw_length(ax, row, found, named=row == 0)
    limit = finite(max_length)
    if limit is not None:
        ax.axvline(limit, color=RED, lw=3, label=f"max_length: {limit:.0f}", zorder=1)
    ends = [found.get(key, 0) for found in rows.values() for key in ("mean", "p99", "longest")]
    ax.set_xlim(0, max([*ends, limit or 0]) * 1.06 or 1)
    ax.set_yticks(range(len(rows)), [_words(task) for task in rows])
    ax.set_ylim(len(rows) - 0.45, -0.6)
    ax.set_xlabel("tokens per record (prompt and answer)")
    _bare(ax, "y")
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
        _bars_across(ax, [None], [row], 0.42)
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
        return f"max_length {limit:.0f} cuts records: {_listed(parts)}"
    if top and longest[top] > limit:  # counted with another max_length
        return f"max_length {limit:.0f} cuts {record}"
    if top:
        return f"max_length {limit:.0f} cuts no record: {record} fits"
    return f"Tokens per record against max_length {limit:.0f}"


# ---------------------------------------------------------------- the tasks


@styled
def plot_tasks(comparison: Mapping[str, Any]) -> "Figure":
    """A panel for each task: base zero-shot, base few-shot and tuned on the scores of that task.

    `comparison` is what `evaluation.compare` returns. Above each panel stands tuned minus base
    (the better prompt) on the main score, with its 95 % paired bootstrap interval; below it the
    perplexity per completion token.
    """
    entries = {str(task): _mapping(entry) for task, entry in _mapping(comparison).items()}
    entries = {task: entries[task] for task in _ordered(list(entries)) if _systems(entries[task])}
    require(entries, "no task was scored", "run scripts/evaluate.py first")
    shown = {task: _shares(task, entry) for task, entry in entries.items()}
    widths = [max(len(keys), 3) + 0.35 for keys in shown.values()]
    figure, axes = _mosaic(
        max(1.9 + 0.97 * sum(widths), 9.4),
        6.8,
        [list(entries), [f"{task} perplexity" for task in entries]],
        width_ratios=widths,
        height_ratios=[3.3, 1],
    )
    worst = max((v for e in entries.values() for v in _perplexities(e).values()), default=1)
    for index, (task, entry) in enumerate(entries.items()):
        _draw_scores(axes[task], task, entry, shown[task])
        _draw_task_perplexity(axes[f"{task} perplexity"], entry, worst, named=index == 0)
        if index == 0:
            axes[task].set_ylabel("score (0 to 1)")
        else:
            axes[task].tick_params(axis="y", labelleft=False)
    names = {name for entry in entries.values() for name in _systems(entry)}
    _systems_legend(figure, [name for name in SYSTEMS if name in names])
    state_finding(figure, tasks_finding(entries))
    return figure


def _systems(entry: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The systems that have a score in a task, in the order they are drawn."""
    found = {name: _numbers(entry.get(name)) for name in SYSTEMS}
    return {name: scores for name, scores in found.items() if scores}


def _shares(task: str, entry: Mapping[str, Any]) -> list[str]:
    """The task's scores that run from 0 to 1, the main one first."""
    measured = [key for scores in _systems(entry).values() for key in scores]
    keys = tasks.SCORES.get(task) or dict.fromkeys(measured)
    return [key for key in keys if key != "perplexity" and key in measured]


def _factor(key: str) -> float:
    return 0.01 if key == "bleu" else 1.0


def _name(key: Any) -> str:
    return tasks.NAMES.get(key) or label_text(str(key).replace("_", " "))


def _main(task: str, entry: Mapping[str, Any]) -> str:
    return str(entry.get("main") or "") or tasks.MAIN_SCORE.get(task) or "score"


def _draw_scores(ax: "Axes", task: str, entry: Mapping[str, Any], keys: Sequence[str]) -> None:
    systems = _systems(entry)
    width = 0.86 / len(systems)
    for index, (name, scores) in enumerate(systems.items()):
        values = [scores.get(key) for key in keys]
        values = [v if v is None else v * _factor(k) for k, v in zip(keys, values, strict=True)]
        places = [at + (index - (len(systems) - 1) / 2) * width for at in range(len(keys))]
        bars = ax.bar(places, [v or 0 for v in values], width * 0.95, **SYSTEMS[name][1])
        ax.bar_label(bars, [_hundredths(value) for value in values], padding=2, size=11)
    labels = ["BLEU\n/ 100" if key == "bleu" else _words(_name(key), 9) for key in keys]
    ax.set_xticks(range(len(keys)), labels)
    for key, label in zip(keys, ax.get_xticklabels(), strict=True):
        label.set_weight("bold" if key == _main(task, entry) else "normal")
    room = max(3 - len(keys), 0) / 2  # a task with two scores keeps bars as wide as the others'
    ax.set_xlim(-0.55 - room, max(len(keys), 1) - 0.45 + room)
    ax.set_ylim(0, 1.08)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    _bare(ax, "x")
    add_grid(ax)
    count = finite(entry.get("records"))
    ax.set_title(
        label_text(task.replace("_", " "), 18)
        + (f" ({count:,.0f} records)" if count is not None else ""),
        loc="left",
        weight="bold",
        pad=42,
    )
    ax.text(0, 1.03, _change(task, entry), transform=ax.transAxes, size=12, va="bottom")
    if not keys:
        say(ax, "no score applies")


def _hundredths(value: float | None) -> str:
    """0.52 as '.52': three bars stand close, and a score has no digit before its point but 1."""
    if value is None:
        return "n/a"
    return f"{value:.2f}".removeprefix("0") if value else "0"


def _change(task: str, entry: Mapping[str, Any]) -> str:
    """Two lines: 'field F1: gain' and '+0.52 [+0.48, +0.56]'."""
    interval = _interval(task, entry)
    name = _name(_main(task, entry))
    if interval is None:
        return f"{name}: not compared\n"
    verdict = {"unclear": "no gain shown"}.get(_verdict(task, entry), _verdict(task, entry))
    return f"{name}: {verdict}\n{interval_text(interval, _factor(_main(task, entry)))}"


def _interval(task: str, entry: Mapping[str, Any]) -> Interval | None:
    found = _mapping(_mapping(entry.get("difference")).get(_main(task, entry)))
    known = all(finite(found.get(name)) is not None for name in ("mean", "low", "high"))
    return found if known else None


def _verdict(task: str, entry: Mapping[str, Any]) -> str:
    """gain, loss, unclear (the interval includes 0) or unknown (nothing to compare)."""
    interval = _interval(task, entry)
    if interval is None:
        return "unknown"
    if tasks.is_gain(_main(task, entry), interval):
        return "gain"
    return "loss" if excludes_zero(interval) else "unclear"


def _perplexities(entry: Mapping[str, Any]) -> dict[str, float]:
    found = {name: scores.get("perplexity", 0) for name, scores in _systems(entry).items()}
    return {name: value for name, value in found.items() if value >= 1}


def _draw_task_perplexity(ax: "Axes", entry: Mapping[str, Any], worst: float, named: bool) -> None:
    """Bars on a log axis start at 1, the perplexity of a model certain of each token.

    `worst` is the largest of all tasks: the panels share their scale.
    """
    systems, known = _systems(entry), _perplexities(entry)
    ax.set_title("Perplexity, lower is better (log)", loc="left", size=11)
    if not known:
        ax.set_axis_off()
        say(ax, "not measured")
        return
    for row, name in enumerate(systems):
        value = known.get(name)
        ax.barh(row, (value or 1) - 1, 0.78, left=1, **SYSTEMS[name][1])
        text = "n/a" if value is None else plain_number(value)
        ax.annotate(
            text, (value or 1, row), (4, 0), textcoords="offset points", va="center", size=11
        )
    plain_log(ax, "x", [1, max(worst, 1.1)])
    ax.set_xlim(1, max(worst, 1.1) ** 1.35)
    ax.set_ylim(len(systems) - 0.4, -0.6)
    names = [SYSTEMS[name][0].replace("base, ", "") for name in systems]
    ax.set_yticks(range(len(systems)), names if named else [""] * len(systems))
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    _bare(ax, "y")


def _systems_legend(figure: "Figure", names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    looks = {name: dict(SYSTEMS[name][1]) for name in names}
    handles = [
        Patch(label=SYSTEMS[name][0], facecolor=look.pop("color"), **look)
        for name, look in looks.items()
    ]
    handles.append(Patch(alpha=0, label="[ ]: tuned − better base prompt, 95 % interval"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, columnspacing=1.2)


def tasks_finding(comparison: Mapping[str, Mapping[str, Any]]) -> str:
    """Which tasks gain on their main score; what is not shown is said too."""
    kinds: dict[str, list[str]] = {"gain": [], "loss": [], "unclear": [], "unknown": []}
    for task, entry in comparison.items():
        kinds[_verdict(task, entry)].append(task)
    if len(kinds["unknown"]) == len(comparison):
        return "Scores of the systems that were evaluated; nothing was compared"
    plain = {name: _listed([label_text(t) for t in found]) for name, found in kinds.items()}
    parts = []
    for name, verb in (("gain", "improves"), ("loss", "worsens")):
        if kinds[name]:
            moves = [_move(task, comparison[task]) for task in kinds[name]]
            parts.append(f"{verb} {_listed(moves)}")
    if not parts:
        count = len(kinds["unclear"])
        of = f"on {plain['unclear']}" if count < 2 else f"on any of {count} tasks"
        what = "its 95 % interval includes 0" if count < 2 else "each 95 % interval includes 0"
        text = f"No gain is shown {of}: {what}"
    else:
        text = "Fine-tuning " + " and ".join(parts)
        text += f"; no gain is shown on {plain['unclear']}" if kinds["unclear"] else ""
    return text + (f"; {plain['unknown']} not compared" if kinds["unknown"] else "")


def _move(task: str, entry: Mapping[str, Any]) -> str:
    """'report (fact accuracy 0.20 to 0.72)'."""
    main = _main(task, entry)
    systems = _systems(entry)
    before = _numbers(entry.get("base")).get(main)
    after = systems.get("tuned", {}).get(main)
    if before is None or after is None:
        gain = signed(_interval(task, entry)["mean"] * _factor(main))
        return f"{label_text(task)} ({_name(main)} {gain})"
    before, after = before * _factor(main), after * _factor(main)
    return f"{label_text(task)} ({_name(main)} {before:.2f} to {after:.2f})"


# ---------------------------------------------------------------- adapters side by side


@styled
def plot_adapters(rows: Sequence[Mapping[str, Any]], against: str = "") -> "Figure":
    """Adapters side by side: main score of each task, memory, time and perplexity.

    Rows: {"name", "scores": {task: 0..1}, "intervals": {task: {"mean", "low", "high"}} | None,
    "memory_gb", "seconds", "perplexity"}; null or missing is written as n/a. The intervals are
    those of the scores and drawn as whiskers; or, when `against` names what was compared with
    ("LoRA", "the base model"), those of the differences, and written in a table.
    """
    rows = [_mapping(row) for row in rows or []]
    scores = [_numbers(row.get("scores")) for row in rows]
    measured = any(scores) or any(finite(row.get(key)) is not None for row in rows for key in COSTS)
    require(measured, "no adapter was measured", "train and evaluate at least one adapter")
    names = [
        label_text(row.get("name") or f"row {index + 1}", 30) for index, row in enumerate(rows)
    ]
    found = _ordered([task for own in scores for task in own])
    figure, axes = _mosaic(
        12.5,
        max(5.4, 1.8 + 3 * (0.55 + 0.4 * len(rows))),
        [["scores", key] for key in COSTS],
        width_ratios=[1.75, 1],
    )
    numbered = bool(against) and sum(bool(_mapping(row.get("intervals"))) for row in rows) > 1
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
        own = _numbers(row.get("scores"))
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
    _bare(ax, "x")
    add_grid(ax)


def _whisker(row: Mapping[str, Any], task: str) -> tuple[float, float] | None:
    interval = _mapping(_mapping(row.get("intervals")).get(task))
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
        _hundredths(value), (place, top), (0, 3), textcoords="offset points", ha="center", size=11
    )


def _task_label(task: str, rows: Sequence[Mapping[str, Any]], against: str) -> str:
    """Task, its main score, and the rows' differences where the intervals are differences."""
    lines = [_words(task)]
    if task in tasks.MAIN_SCORE:
        lines.append(_name(tasks.MAIN_SCORE[task]))
    having = [i for i, row in enumerate(rows, 1) if _mapping(row.get("intervals"))]
    for index in having if against else []:
        interval = _mapping(rows[index - 1]["intervals"].get(task))
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
        _bars_across(ax, [value], [row], 0.74, form=plain_number, **LOOKS[row % len(LOOKS)])
    ax.set_yticks(range(len(names)), [_words(name, 18) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(min(*known, 0), max(known) * 1.25 or 1)
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    _bare(ax, "y")


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
    before, after = _numbers(first.get("scores")), _numbers(second.get("scores"))
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
        for task in _ordered(list(_numbers(first.get("scores"))))
    ]
    both = [(task, a, b) for task, a, b in both if a and b]
    apart = [label_text(task) for task, a, b in both if a[1] < b[0] or b[1] < a[0]]
    if not both:
        return ""
    return f" (intervals apart on {_listed(apart)})" if apart else " (their intervals overlap)"


def _clear(row: Mapping[str, Any]) -> str:
    """Where a row's differences exclude 0; empty without intervals."""
    found = {str(task): _mapping(value) for task, value in _mapping(row.get("intervals")).items()}
    if not any(found.values()):
        return ""
    clear = [label_text(task) for task in _ordered(list(found)) if excludes_zero(found[task])]
    return f" (clear on {_listed(clear)})" if clear else " (no difference is clear)"


def _best_finding(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Range of the mean scores, over rows that have every task: like is compared with like."""
    scores = [_numbers(row.get("scores")) for row in rows]
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
        parts.append(f"least memory: {_listed(least)}, {plain_number(min(known))} GB")
    text = "; ".join(parts) or f"What was measured of {len(rows)} adapters"
    return text[:1].upper() + text[1:]
