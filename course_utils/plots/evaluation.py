"""Figures of the evaluation: base against tuned, and their differences with intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    INK,
    RIVAL_LOOK,
    SOFT,
    SYSTEMS,
    add_grid,
    excludes_zero,
    finite,
    grouped_bars,
    interval_parts,
    interval_text,
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

# Metric -> (label in a figure, factor that brings it to 0..1). Perplexity has its own axis.
SHARE_METRICS = {
    "task_score": ("mean task score", 1.0),
    "field_f1": ("field F1", 1.0),
    "fact_f1": ("fact F1", 1.0),
    "fact_match": ("fact match", 1.0),
    "token_f1": ("token F1", 1.0),
    "exact_match": ("exact match", 1.0),
    "rouge1": ("ROUGE-1", 1.0),
    "rouge2": ("ROUGE-2", 1.0),
    "rougeL": ("ROUGE-L", 1.0),
    "bleu": ("BLEU / 100", 0.01),
}

# The metric a headline is about: the first of these that applies. The order is that of
# tasks.main_of: several tasks have a mean, questions fact match where they name their facts.
HEADLINE_METRICS = (
    *("task_score", "field_f1", "fact_f1", "fact_match", "token_f1"),
    *("rougeL", "bleu", "exact_match", "rouge1", "rouge2"),
)
DRAWN = ("task_score", "field_f1", "fact_f1", "fact_match", "exact_match", "rougeL", "bleu")
MOST_DRAWN = 5  # metrics side by side; more would leave no room for their names


@styled
def plot_comparison(results: Mapping[str, Any]) -> "Figure":
    """Base zero-shot, few-shot, best cheap rival, tuned: shares in one panel, perplexity beside.

    `results` is results.json. Under each metric stands the tuned model's gain over the base
    prompt that counts (`base_prompt`), with its 95 % paired bootstrap interval.
    """
    systems = _systems(results)
    difference = results.get("difference") or {}
    about = _headline_metric(results)
    drawn = DRAWN if about in ("", *DRAWN) else (about, *DRAWN)
    keys = [
        key for key in drawn if any(finite(scores.get(key)) is not None for _, scores in systems)
    ][:MOST_DRAWN]
    require(keys, "the results hold no score", "run notebooks 02 and 04")
    ratios = {"width_ratios": [len(keys) * 1.15 + 0.3, 1.8]}
    figure, (ax, ppl) = new_figure(11.5, 5.2, ncols=2, gridspec_kw=ratios)
    bars = {}
    for name, scores in systems:
        label, style = SYSTEMS[name]
        if name == "tuned":
            bars |= _rival_bars(results, keys)
        bars[label] = [_scaled(scores, key) for key in keys], style
    labels = [_metric_with_gain(key, difference) for key in keys]
    grouped_bars(ax, labels, bars, _share_text)
    ax.set_ylim(0, 1.28 if len(bars) <= 3 else 1.4)
    ax.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    ax.set_ylabel("score (0 to 1)")
    ax.set_title("Scores (higher is better)", loc="left")
    if difference:
        base = _base_name(results)
        ax.set_xlabel(f"under each metric: tuned − {base}, with its 95 % interval", color=SOFT)
    add_grid(ax)
    ax.legend(loc="upper left", ncols=2 if len(bars) > 3 else 3)
    _draw_perplexity_bars(ppl, systems)
    state_finding(figure, comparison_finding(results))
    return figure


def _share_text(value: float | None) -> str:
    """What stands above a bar: a bare 0 where two of "0.00" side by side would run together."""
    if value is None:
        return "n/a"
    return "0" if round(value, 2) == 0 else f"{value:.2f}"


def _systems(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The systems that were scored, in the order they are drawn."""
    baselines = results.get("baselines") or {}
    if not any(baselines.values()):
        baselines = {results.get("base_prompt") or "zero_shot": results.get("base") or {}}
    found = [(name, baselines.get(name)) for name in ("zero_shot", "few_shot")]
    return [(name, scores) for name, scores in [*found, ("tuned", results.get("tuned"))] if scores]


def _rival_bars(results: Mapping[str, Any], keys: Sequence[str]) -> dict[str, tuple]:
    """The bars of the best cheap rival; none where the run has no rivals."""
    name = results.get("rival")
    scores = (results.get("rivals") or {}).get(name)
    if not scores:
        return {}
    return {f"cheap rival: {name}": ([_scaled(scores, key) for key in keys], RIVAL_LOOK)}


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
    mean, low, high = interval_parts(interval, factor)
    return f"{label}\n{mean}\n[{low}, {high}]"


def _draw_perplexity_bars(ax: "Axes", systems: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Bars on a log axis start at 1, the perplexity of a model that is certain of each token."""
    values = [(name, finite(scores.get("perplexity"))) for name, scores in systems]
    known = [value for _, value in values if value is not None and value >= 1]
    ax.set_title("Perplexity (lower is better)", loc="left")
    if not known:
        ax.set_axis_off()
        say(ax, "does not apply")
        return
    for index, (name, value) in enumerate(values):
        if value is not None and value >= 1:
            bar = ax.bar(index, value - 1, 0.72, bottom=1, **SYSTEMS[name][1])
            ax.bar_label(bar, [plain_number(value)], padding=2, size=11)
    top = max(known)
    plain_log(ax, "y", [1, top])
    ax.set_ylim(1, max(top, 1.1) ** 1.12)
    names = [SYSTEMS[name][0].replace(", ", "\n") for name, _ in values]
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("per completion token (log scale)")
    add_grid(ax)


def comparison_finding(results: Mapping[str, Any]) -> str:
    """The main result in one line, by the first of HEADLINE_METRICS that applies."""
    base, tuned = results.get("base") or {}, results.get("tuned") or {}
    difference = results.get("difference") or {}
    if not tuned:
        return _base_finding(results)
    if key := _headline_metric(results):
        label = SHARE_METRICS[key][0]
        before, after = _scaled(base, key), _scaled(tuned, key)
        change = f"from {before:.2f} to {after:.2f}"
        if not difference.get(key):
            return f"Fine-tuning takes {label} {change}; without an interval it may be chance"
        mean, low, high = interval_parts(difference[key], SHARE_METRICS[key][1])
        if not excludes_zero(difference[key]):
            return f"No clear change of {label}: {change} ({mean}, 95 % interval {low} to {high})"
        verb = "lifts" if after > before else "lowers"
        gain = f"({mean}, 95 % interval {low} to {high})"
        return f"Fine-tuning {verb} {label} {change} {gain}"
    return "Scores of the systems that were evaluated"


def _headline_metric(results: Mapping[str, Any]) -> str:
    """The first of HEADLINE_METRICS that base and tuned model have; "" where there is none."""
    sides = [results.get(side) or {} for side in ("base", "tuned")]
    both = (k for k in HEADLINE_METRICS if all(_scaled(side, k) is not None for side in sides))
    return next(both, "")


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
