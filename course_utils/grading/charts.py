"""The small charts of feedback and overview: where things stand; templates/figures draws them.

Everything is a number between 0 and 1 along the axes, so that a template needs no arithmetic. Only
finite numbers get in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from course_utils.grading.results import Figures

MOST_POINTS = 400  # of a curve
LEAST_OTHERS = 5  # fewer other students are no distribution, and could be told apart
BINS = 10


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A curve as "x,y x,y ...", y downwards as SVG has it."""

    name: str
    points: str
    last: float


@dataclass(frozen=True)
class Curve:
    """Losses over steps."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class Strip:
    """One score: base model and adapter on a scale, with the class behind it."""

    task: str
    metric: str
    base: float | None
    tuned: float | None
    interval: tuple[float, float] | None  # of the difference, as text shows it
    box: tuple[float, float, float, float, float] | None  # class: least, quartiles, most
    places: dict[str, float]  # name of a value above -> where it stands
    ticks: list[Tick]
    rivals: dict[str, float]


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    name: str
    count: int
    height: float


def curve(figures: Figures) -> Curve | None:
    """The training curve; None where nothing was logged."""
    series = {
        "training": [(x, y) for x, y in figures.train_loss],
        "validation": [(x, y) for x, y in figures.eval_loss],
    }
    series = {name: _thin(sorted(points)) for name, points in series.items() if points}
    if not series:
        return None
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_low, x_high, x_ticks = scale(min(xs), max(xs))
    y_low, y_high, y_ticks = scale(min(0.0, *ys), max(ys))
    lines = [
        Line(name, " ".join(_point(p, x_low, x_high, y_low, y_high) for p in points), points[-1][1])
        for name, points in series.items()
    ]
    return Curve(lines, x_ticks, [Tick(round(1 - t.at, 4), t.text) for t in y_ticks])


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = math.ceil(len(points) / MOST_POINTS)
    return points[::step] + ([points[-1]] if (len(points) - 1) % step else [])


def _point(point: tuple[float, float], x0: float, x1: float, y0: float, y1: float) -> str:
    return f"{place(point[0], x0, x1):.4f},{1 - place(point[1], y0, y1):.4f}"


def place(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, from 0 to 1."""
    return round(min(1.0, max(0.0, (value - low) / (high - low))), 4) if high > low else 0.5


def scale(low: float, high: float) -> tuple[float, float, list[Tick]]:
    """Round ends and 3 to 6 ticks between them."""
    if high <= low:
        high = low + 1.0
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ends = first * step, last * step
    ticks = [Tick(place(n * step, *ends), f"{n * step:.6g}") for n in range(first, last + 1)]
    return *ends, ticks


def strips(own: Figures, others: Sequence[Figures]) -> list[Strip]:
    """Each score of a student against the scores of all others."""
    found = []
    for task, scores in own.scores.items():
        for metric, score in scores.items():
            if score.tuned is None:
                continue
            rest = [f.scores.get(task, {}).get(metric) for f in others]
            rest = [other.tuned for other in rest if other and other.tuned is not None]
            found.append(_strip(task, metric, score, rest))
    return found


def _strip(task, metric, score, rest: list[float]) -> Strip:
    box = None
    if len(rest) >= LEAST_OTHERS:
        box = (min(rest), *quantiles(rest, n=4, method="inclusive"), max(rest))
    values = {"base": score.base, "tuned": score.tuned}
    values |= dict(zip(("least", "low", "middle", "high", "most"), box or (), strict=False))
    values |= {f"rival {name}": value for name, value in score.rivals.items()}
    known = {name: value for name, value in values.items() if value is not None}
    low, high, ticks = scale(min(0.0, *known.values()), max(known.values()))
    places = {name: place(value, low, high) for name, value in known.items()}
    interval = None if score.low is None or score.high is None else (score.low, score.high)
    return Strip(
        task, metric, score.base, score.tuned, interval, box, places, ticks, dict(score.rivals)
    )


def histogram(values: Sequence[float], most: float, bins: int = BINS) -> list[Bar]:
    """How many values lie in each tenth of `most`; what is above counts into the last."""
    width = most / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int(value / width)))] += 1
    high = max(counts, default=0) or 1
    return [
        Bar(f"{n * width:g} to {(n + 1) * width:g}", count, count / high)
        for n, count in enumerate(counts)
    ]


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None
