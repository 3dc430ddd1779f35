"""The learning curve drawn and put into words: where do tuned model and cheap rivals cross?

    recorded = learning_curve.read()           # data/curve/: an empty one where nothing is recorded
    learning_curve.show(recorded)              # the figure, its alternative text, the sentences
    learning_curve.choice(rival, interval, 2800)   # what one run's interval says of the choice

Every sentence is computed from the files when it is printed. Tuned model and rivals of a seed had
the same records, so they are compared seed by seed. One is ahead where it is so with every seed,
and on average by more than the runs' intervals reach: the seeds are few, the orders asked the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    add_grid,
    add_legend,
    excludes_zero,
    interval_text,
    new_figure,
    plain_log,
    state_finding,
    styled,
    to_png,
)
from course_utils.lab.curve import Curve
from course_utils.lab.curve import read_curve as read

__all__ = ["choice", "plot", "read", "sentences", "show", "title"]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING = "No learning curve was recorded yet: course curve --resume makes it."
BEST = "the best cheap rival"
CHOICE = {
    "ahead": "the tuned model is ahead of every rival",
    "level": "it is open who is ahead",
    "behind": "a cheap method is the right choice",
}
LEADS = {
    "ahead": "the tuned model is ahead",
    "level": "it is open who is ahead",
    "behind": f"{BEST} is ahead",
}
LOOKS = (
    {"color": GREEN, "linestyle": "-.", "marker": "^"},
    {"color": ORANGE, "linestyle": "--", "marker": "s"},
    {"color": SOFT, "linestyle": ":", "marker": "D"},
    {"color": INK, "linestyle": (0, (1, 3)), "marker": "v"},
)


# ---------------------------------------------------------------- who is ahead, and where


@dataclass(frozen=True)
class Standing:
    """The tuned model beside a rival with so many training records."""

    records: int
    rival: str
    difference: float  # of the means: tuned minus rival
    verdict: str  # ahead | level | behind: the tuned model


def standings(curve: Curve, rival: str = BEST) -> list[Standing]:
    """At each size, smallest first; the best rival is chosen anew at each, by its mean."""
    return [_standing(curve, size, rival) for size in curve.sizes()]


def _standing(curve: Curve, size: int, rival: str) -> Standing:
    if rival == BEST:
        rivals = [name for name in curve.methods() if name != "tuned"]
        rival = max(rivals, key=lambda name: fmean(curve.scores(name, size)))
    pairs = zip(curve.scores("tuned", size), curve.scores(rival, size), strict=True)
    apart = [tuned - other for tuned, other in pairs]
    difference, least = fmean(apart), _uncertainty(curve, size)
    ahead = all(x > 0 for x in apart) and difference > least
    behind = all(x < 0 for x in apart) and difference < -least
    verdict = "ahead" if ahead else "behind" if behind else "level"
    return Standing(size, rival, difference, verdict)


def _uncertainty(curve: Curve, size: int) -> float:
    """Half the 95 % interval of tuned minus best rival, of a size's runs; 0 where none has one."""
    intervals = [run.get("over_rival") for run in curve.runs if run["records"] == size]
    halves = [(own["high"] - own["low"]) / 2 for own in intervals if own]
    return fmean(halves) if halves else 0.0


def crossings(found: Sequence[Standing]) -> list[float]:
    """Numbers of records at which the means cross: a straight line between two sizes, log scale."""
    places = []
    for one, two in pairwise(found):
        if one.difference * two.difference < 0:
            share = one.difference / (one.difference - two.difference)
            low, high = math.log(one.records), math.log(two.records)
            places.append(math.exp(low + share * (high - low)))
        elif two.difference == 0:
            places.append(float(two.records))
    return places


# ---------------------------------------------------------------- in words


def title(curve: Curve) -> str:
    """The finding over the figure: who is ahead of the best rival, and where that changes."""
    if not curve.runs:
        return NOTHING
    found = standings(curve)
    if any(one.verdict == "level" for one in found):
        return _leads(found)
    places = crossings(found)
    first, last = found[0], found[-1]
    word = {True: "above", False: "below"}
    before = word[first.difference > 0]
    if not places:
        span = _span(curve)
        return f"No crossing: with {span} the tuned model is {before} {BEST}"
    after = word[last.difference > 0]
    if len(places) > 1:
        at = _listed([_round(place) for place in places])
        return f"Tuned model and {BEST} cross {len(places)} times, at about {at} records"
    return (
        f"The tuned model is {before} {BEST} up to about {_round(places[0])} training records, "
        f"{after} from there on"
    )


def _leads(found: Sequence[Standing]) -> str:
    """'With 20 to 100 training records it is open who is ahead, with 200 to 800 ... is ahead'."""
    parts, noun = [], " training records"
    for verdict, group in groupby(found, key=lambda one: one.verdict):
        parts.append(f"with {_range([one.records for one in group])}{noun} {LEADS[verdict]}")
        noun = ""
    words = ", ".join(parts)
    return words[0].upper() + words[1:]


def sentences(curve: Curve) -> list[str]:
    """What was recorded and when, and how the tuned model stands against each rival."""
    if not curve.runs:
        return [NOTHING]
    rivals = [name for name in curve.methods() if name != "tuned"]
    return [_made(curve), *(_against(curve, name) for name in rivals), _best(curve)]


def _made(curve: Curve) -> str:
    about, runs = curve.about, curve.runs
    each = sorted({len(curve.scores("tuned", size)) for size in curve.sizes()})
    seeds = " to ".join(dict.fromkeys([str(each[0]), str(each[-1])]))
    days = sorted({run["finished"][:10] for run in runs if run.get("finished")})
    when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else "on a day not noted"
    least = curve.sizes()[0]
    passes = next(run["passes"] for run in runs if run["records"] == least)
    machines = sorted({f"{run['hardware']['cpu_model']}" for run in runs if run.get("hardware")})
    return (
        f"Recorded {when} on {_listed(machines) or 'a machine not noted'}: {len(runs)} runs of "
        f"{about['base_model']}, {_span(curve)}, {seeds} {'seed' if each == [1] else 'seeds'} a "
        f"size, all asked the same {about['test_records']} "
        f"gold orders. At least {about['least_steps']} optimiser steps: {least} records are "
        f"passed {passes} times.{_as_long(curve)}"
    )


def _as_long(curve: Curve) -> str:
    """Up to which size more records are no longer training; "" where that is no size."""
    most = 1.1 * curve.about["least_steps"]
    equal = sorted({run["records"] for run in curve.runs if run.get("steps", math.inf) <= most})
    if len(equal) < 2:
        return ""
    return (
        f" With {_range(equal)} records all are trained equally long: more records are then other "
        "records, and not more steps."
    )


def _span(curve: Curve) -> str:
    sizes = curve.sizes()
    if len(sizes) == 1:
        return f"{sizes[0]:,} training records"
    return f"{sizes[0]:,} to {sizes[-1]:,} training records"


def _against(curve: Curve, rival: str) -> str:
    found = standings(curve, rival)
    return f"Tuned against {rival}: {_groups(found)}. {_crossing_text(found)}"


def _groups(found: Sequence[Standing]) -> str:
    """'behind with 20 and 50 records, level with 100, ahead with 200 to 3,488'."""
    parts = []
    for verdict, group in groupby(found, key=lambda one: one.verdict):
        parts.append(f"{verdict} with {_range([one.records for one in group])}")
    parts[0] += " records"
    return ", ".join(parts)


def _range(sizes: Sequence[int]) -> str:
    """'20', '20 and 50', '20 to 3,488': neighbours in the list of sizes."""
    words = [f"{size:,}" for size in sizes]
    return f"{words[0]} to {words[-1]}" if len(words) > 2 else _listed(words)


def _crossing_text(found: Sequence[Standing]) -> str:
    places = crossings(found)
    if not places:
        return "The means do not cross."
    return f"The means cross at about {_listed([_round(place) for place in places])} records."


def _best(curve: Curve) -> str:
    found = standings(curve)
    if all(one.verdict == "ahead" for one in found):
        return "Here the tuned model is worth its minutes at every size."
    if all(one.verdict == "behind" for one in found):
        return "Here a cheap method is the right choice at every size."
    told = [
        f"{CHOICE[verdict]} with {_range([one.records for one in group])} records"
        for verdict, group in groupby(found, key=lambda one: one.verdict)
    ]
    return f"So {'; '.join(told)}."


def _listed(words: Sequence[str]) -> str:
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _round(place: float) -> str:
    """Two digits: the sizes lie too far apart for more."""
    digits = 1 - math.floor(math.log10(place))
    return f"{round(place, digits):,.0f}"


def choice(rival: str, interval: Mapping[str, Any] | None, records: int) -> str:
    """What a run's interval of *tuned minus best rival* says about the choice between them."""
    where = f"with these {records:,} training records"
    if not interval:
        return f"No rival answered in this form {where}: there is nothing to choose between."
    span = interval_text(interval)
    if not excludes_zero(interval):
        return (
            f"Tuned minus {rival}: {span}, {where}. The interval holds 0: on this task the cheap "
            "method does as well as far as these records can tell, and takes seconds."
        )
    if interval["mean"] > 0:
        return (
            f"Tuned minus {rival}: {span}, {where}. Every cheap method is behind: the tuned model "
            "is worth its minutes."
        )
    return (
        f"Tuned minus {rival}: {span}, {where}. The cheap method is the right choice for this task "
        "and this many records."
    )


# ---------------------------------------------------------------- drawn


@styled
def plot(curve: Curve) -> "Figure":
    """Field F1 against training records (log): mean and spread over seeds, rivals beside it."""
    figure, ax = new_figure(9.6, 4.6)
    _draw(ax, curve, "tuned", {"color": BLUE, "linestyle": "-", "marker": "o"}, 2.8)
    rivals = [name for name in curve.methods() if name != "tuned"]
    rivals.sort(key=lambda name: -fmean(curve.scores(name, curve.sizes()[-1])))
    for name, look in zip(rivals, LOOKS, strict=False):
        _draw(ax, curve, name, look, 2.0)
    found = standings(curve)
    clear = all(one.verdict != "level" for one in found)  # else the lines touch, and say nothing
    for place in crossings(found) if clear else ():
        ax.axvline(place, color=INK, lw=1, ls=(0, (4, 3)))
        ax.annotate(_round(place), (place, 1), xytext=(3, -2), textcoords="offset points",
                    va="top", size=10.5)  # fmt: skip
    sizes = curve.sizes()
    plain_log(ax, "x", [sizes[0] * 0.9, sizes[-1] * 1.1])
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.set(xlabel="training records (log scale)", ylabel="field F1 on gold", ylim=(0, 1))
    add_grid(ax)
    add_legend(ax, loc="best")
    state_finding(figure, title(curve))
    return figure


def _draw(ax: "Axes", curve: Curve, method: str, look: Mapping[str, Any], width: float) -> None:
    """A line through the means, a band from the lowest seed to the highest, a mark a run."""
    rows = [(size, curve.scores(method, size)) for size in curve.sizes()]
    x = [size for size, _ in rows]
    ax.fill_between(x, [min(v) for _, v in rows], [max(v) for _, v in rows],
                    color=look["color"], alpha=0.18, lw=0)  # fmt: skip
    ax.plot(x, [fmean(v) for _, v in rows], color=look["color"], ls=look["linestyle"], lw=width,
            marker=look["marker"], ms=6, label=method)  # fmt: skip
    for size, values in rows:
        ax.plot([size] * len(values), values, look["marker"], color=look["color"], ms=3, alpha=0.6)


def alternative_text(curve: Curve) -> str:
    """The figure for those who do not see it: its finding, and the means it draws."""
    rows = []
    for method in curve.methods():
        values = [f"{fmean(curve.scores(method, size)):.2f}" for size in curve.sizes()]
        rows.append(f"{method} {', '.join(values)}")
    sizes = ", ".join(f"{size:,}" for size in curve.sizes())
    return f"{title(curve)}. Field F1 with {sizes} training records: {'; '.join(rows)}."


def show(curve: Curve) -> None:
    """In a notebook: the figure with its alternative text, and the sentences below it."""
    import base64
    import textwrap

    from IPython.display import display

    if curve.runs:
        words = alternative_text(curve)
        png = base64.b64encode(to_png(plot(curve), 100)).decode("ascii")
        bundle = {"image/png": png, "text/plain": words}
        display(bundle, raw=True, metadata={"image/png": {"alt": words}})
    for text in sentences(curve):
        print(textwrap.fill(text, 100))
