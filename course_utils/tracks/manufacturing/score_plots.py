"""What fine-tuning changes in each task: scores, their intervals, perplexity."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import tasks
from course_utils.drawing import (
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
from course_utils.tracks.manufacturing.plot_pieces import (
    bare,
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

Interval = Mapping[str, Any]


@styled
def plot_tasks(comparison: Mapping[str, Any]) -> "Figure":
    """A panel for each task: base zero-shot, base few-shot and tuned on the scores of that task.

    `comparison` is what `evaluation.compare` returns. Above each panel stands tuned minus base
    (the better prompt) on the main score, with its 95 % paired bootstrap interval; below it the
    perplexity per completion token.
    """
    entries = {str(task): mapping(entry) for task, entry in mapping(comparison).items()}
    entries = {task: entries[task] for task in ordered(list(entries)) if _systems(entries[task])}
    require(entries, "no task was scored", "run scripts/evaluate.py first")
    shown = {task: _shares(task, entry) for task, entry in entries.items()}
    widths = [max(len(keys), 3) + 0.35 for keys in shown.values()]
    figure, axes = mosaic(
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
    found = {name: numbers(entry.get(name)) for name in SYSTEMS}
    return {name: scores for name, scores in found.items() if scores}


def _shares(task: str, entry: Mapping[str, Any]) -> list[str]:
    """The task's scores that run from 0 to 1, the main one first; 1 is best in all of them."""
    measured = [key for scores in _systems(entry).values() for key in scores]
    keys = tasks.SCORES.get(task) or dict.fromkeys(measured)
    return [key for key in keys if key not in tasks.LOWER_IS_BETTER and key in measured]


def _factor(key: str) -> float:
    return 0.01 if key == "bleu" else 1.0


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
        ax.bar_label(bars, [hundredths(value) for value in values], padding=2, size=11)
    labels = ["BLEU\n/ 100" if key == "bleu" else words(score_name(key), 9) for key in keys]
    ax.set_xticks(range(len(keys)), labels)
    for key, label in zip(keys, ax.get_xticklabels(), strict=True):
        label.set_weight("bold" if key == _main(task, entry) else "normal")
    room = max(3 - len(keys), 0) / 2  # a task with two scores keeps bars as wide as the others'
    ax.set_xlim(-0.55 - room, max(len(keys), 1) - 0.45 + room)
    ax.set_ylim(0, 1.08)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    bare(ax, "x")
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


def _change(task: str, entry: Mapping[str, Any]) -> str:
    """Two lines: 'field F1: gain' and '+0.52 [+0.48, +0.56]'."""
    interval = _interval(task, entry)
    name = score_name(_main(task, entry))
    if interval is None:
        return f"{name}: not compared\n"
    verdict = {"unclear": "no gain shown"}.get(_verdict(task, entry), _verdict(task, entry))
    return f"{name}: {verdict}\n{interval_text(interval, _factor(_main(task, entry)))}"


def _interval(task: str, entry: Mapping[str, Any]) -> Interval | None:
    found = mapping(mapping(entry.get("difference")).get(_main(task, entry)))
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
    bare(ax, "y")


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
    plain = {name: listing([label_text(t) for t in found]) for name, found in kinds.items()}
    parts = []
    for name, verb in (("gain", "improves"), ("loss", "worsens")):
        if kinds[name]:
            moves = [_move(task, comparison[task]) for task in kinds[name]]
            parts.append(f"{verb} {listing(moves)}")
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
    """'report (fact F1 0.20 to 0.72)'."""
    main = _main(task, entry)
    systems = _systems(entry)
    before = numbers(entry.get("base")).get(main)
    after = systems.get("tuned", {}).get(main)
    if before is None or after is None:
        gain = signed(_interval(task, entry)["mean"] * _factor(main))
        return f"{label_text(task)} ({score_name(main)} {gain})"
    before, after = before * _factor(main), after * _factor(main)
    return f"{label_text(task)} ({score_name(main)} {before:.2f} to {after:.2f})"
