"""The figures of a lot: exact, as they are written down, and only for lots without a close call.

Look at one lot:  python -m course_utils.tracks.manufacturing.lot_figures 7
A figure is computed in full precision and rounded once. Lots are drawn again where a reader with
the printed sheet could get another figure or another conclusion (`settled`).
"""

import math
import random
import sys
from dataclasses import dataclass
from fractions import Fraction

from course_utils.tracks.manufacturing.control_charts import (
    OFF_BY,
    Limits,
    Signal,
    average,
    capability,
    chart_limits,
    constants,
    disposition,
    first_pass_yield,
    half_up,
    process_finding,
    scrap_rate,
    signals,
    within_sigma,
)
from course_utils.tracks.manufacturing.lot_simulation import Lot, count_lot, measure_lot

LEAST_CPK = Fraction("0.30")  # worse processes are stopped and fill no sheet
INDEX = 2  # decimals of Cp and Cpk


@dataclass(frozen=True)
class Figures:
    """What the sample of a lot says, in full precision; lengths in the unit of the part."""

    means: tuple[Fraction, ...]
    ranges: tuple[Fraction, ...]
    lowest: Fraction
    highest: Fraction
    mean: Fraction
    mean_range: Fraction
    sigma: Fraction
    reach: Fraction  # A2 Rbar: from the mean to a control limit
    limits: Limits
    cp: Fraction | None
    cpk: Fraction
    signals: tuple[Signal, ...]
    disposition: str
    finding: tuple[str, ...]


def figures(lot: Lot) -> Figures:
    """All figures of a sample, nothing rounded."""
    scale = 10**lot.part.decimals
    means = tuple(Fraction(sum(row), lot.size * scale) for row in lot.steps)
    ranges = tuple(Fraction(max(row) - min(row), scale) for row in lot.steps)
    lowest, highest = (
        Fraction(min(map(min, lot.steps)), scale),
        Fraction(max(map(max, lot.steps)), scale),
    )
    mean, mean_range = average(means), average(ranges)
    sigma = within_sigma(mean_range, lot.size)
    cp, cpk = capability(mean, sigma, lot.lower, lot.upper)
    found = tuple(signals(means, ranges, lot.size))
    low = lowest if lot.lower is None else lot.lower
    high = highest if lot.upper is None else lot.upper
    limits = chart_limits(mean, mean_range, lot.size)
    return Figures(
        means=means,
        ranges=ranges,
        lowest=lowest,
        highest=highest,
        mean=mean,
        mean_range=mean_range,
        sigma=sigma,
        reach=limits.mean_high - mean,
        limits=limits,
        cp=cp,
        cpk=cpk,
        signals=found,
        disposition=disposition(found, lowest < low or highest > high),
        finding=process_finding(cp, cpk, Fraction(str(lot.part.required)), found),
    )


def three_figures(value: Fraction) -> int:
    """Decimals that leave a number above 0 three significant figures."""
    return 2 - math.floor(math.log10(value))


def written(lot: Lot, fig: Figures) -> dict[str, str]:
    """The figures as they stand on paper: each rounded once from the exact one."""
    d = lot.part.decimals
    lengths = {
        "mean": (fig.mean, d + 1),
        "lcl": (fig.limits.mean_low, d + 1),
        "ucl": (fig.limits.mean_high, d + 1),
        "zone_low": (fig.limits.zone_low, d + 1),
        "zone_high": (fig.limits.zone_high, d + 1),
        "range_ucl": (fig.limits.range_high, d + 1),
        "mean_range": (fig.mean_range, three_figures(fig.mean_range)),
        "sigma": (fig.sigma, three_figures(fig.sigma)),
        "reach": (fig.reach, three_figures(fig.reach)),
        "third": (fig.reach * 2 / 3, three_figures(fig.reach * 2 / 3)),
        "cpk": (fig.cpk, INDEX),
    }
    if fig.cp is None:
        lengths["room"] = (room(lot, fig.mean), d + 1)
    else:
        lengths |= {"cp": (fig.cp, INDEX), "correction": (lot.nominal - fig.mean, d + 1)}
    return {name: f"{half_up(value, decimals):f}" for name, (value, decimals) in lengths.items()}


def room(lot: Lot, mean: Fraction) -> Fraction:
    """From the mean to the only limit."""
    return abs((lot.upper if lot.lower is None else lot.lower) - mean)


def written_counts(lot: Lot) -> dict[str, str]:
    """The shares of a lot in per cent, with one decimal."""
    shares = {
        "yield_percent": first_pass_yield(lot.produced, lot.scrap, lot.rework),
        "scrap_percent": scrap_rate(lot.produced, lot.scrap),
        "rework_percent": scrap_rate(lot.produced, lot.rework),
    }
    return {name: percent(share) for name, share in shares.items()}


def percent(share: Fraction) -> str:
    """A share (0 to 1) in per cent, with one decimal."""
    return f"{half_up(100 * share, 1):f}"


def step_by_step(lot: Lot, told: dict[str, str]) -> dict[str, Fraction]:
    """The figures that rest on others, computed from the others as written."""
    paper = {name: Fraction(text) for name, text in told.items()}
    mean, mean_range, reach = paper["mean"], paper["mean_range"], paper["reach"]
    cp, cpk = capability(mean, paper["sigma"], lot.lower, lot.upper)
    steps = {
        "sigma": within_sigma(mean_range, lot.size),
        "reach": constants(lot.size).a2 * mean_range,
        "third": reach * 2 / 3,
        "lcl": mean - reach,
        "ucl": mean + reach,
        "zone_low": mean - paper["third"],
        "zone_high": mean + paper["third"],
        "range_ucl": constants(lot.size).d4 * mean_range,
        "cpk": cpk,
    }
    if cp is None:
        return steps | {"room": room(lot, mean)}
    return steps | {"cp": cp, "correction": lot.nominal - mean}


def in_one_go(lot: Lot, told: dict[str, str]) -> dict[str, Fraction]:
    """The same from mean and mean range as written, where nothing is rounded on the way."""
    mean, mean_range = Fraction(told["mean"]), Fraction(told["mean_range"])
    limits = chart_limits(mean, mean_range, lot.size)
    sigma = within_sigma(mean_range, lot.size)
    cp, cpk = capability(mean, sigma, lot.lower, lot.upper)
    found = {
        "lcl": limits.mean_low,
        "ucl": limits.mean_high,
        "zone_low": limits.zone_low,
        "zone_high": limits.zone_high,
        "cpk": cpk,
    }
    return found | ({} if cp is None else {"cp": cp})


def settled(lot: Lot) -> bool:
    """Whether every reader of the sheet gets the same figures and the same conclusions.

    False where a figure computed from rounded ones, step by step or in one go, would differ from
    the exact one in its last digit, where a decision lies within a digit of its limit, and for lots
    that an engineer would not judge by the pieces on the sheet: Cpk below 1 without a piece out of
    tolerance.
    """
    if not _ranges_settled(lot):
        return False
    fig = figures(lot)
    if fig.cpk < LEAST_CPK or (fig.cpk < 1 and fig.disposition == "release"):
        return False
    told = written(lot, fig)
    return _same_on_paper(lot, told) and _no_close_call(lot, fig)


def _ranges_settled(lot: Lot) -> bool:
    """The part of it that the ranges decide: quick, and most lots fail here."""
    ranges = [max(row) - min(row) for row in lot.steps]
    if not all(ranges):
        return False
    exact = Fraction(sum(ranges), len(ranges) * 10**lot.part.decimals)
    paper, factors = Fraction(half_up(exact, three_figures(exact))), constants(lot.size)
    return all(
        half_up(factor * exact, three_figures(factor * exact))
        == half_up(factor * paper, three_figures(factor * exact))
        for factor in (1 / factors.d2, factors.a2)
    )


def _same_on_paper(lot: Lot, told: dict[str, str]) -> bool:
    return told.get("correction", "1").strip("-0.") != "" and all(
        f"{half_up(value, len(told[name].partition('.')[2])):f}" == told[name]
        for way in (step_by_step, in_one_go)
        for name, value in way(lot, told).items()
    )


def _no_close_call(lot: Lot, fig: Figures) -> bool:
    digit, index = Fraction(1, 10 ** (lot.part.decimals + 1)), Fraction(1, 10**INDEX)
    limits, required = fig.limits, Fraction(str(lot.part.required))
    edges = (limits.mean_low, limits.mean_high, limits.zone_low, limits.zone_high)
    gaps = [abs(mean - edge) / digit for mean in fig.means for edge in edges]
    gaps += [abs(value - limits.range_high) / digit for value in fig.ranges]
    gaps += [abs(fig.cpk - required) / index]
    if fig.cp is not None:
        # the difference of two rounded indices may be a digit off
        gaps += [abs(fig.cp - required) / index, abs(fig.cp - fig.cpk - OFF_BY) / (2 * index)]
    return min(gaps) >= 1


def draw_lot(rng: random.Random) -> Lot:
    """A settled lot; about one in twelve is."""
    while not settled(lot := measure_lot(rng)):
        pass
    return count_lot(lot, rng)


if __name__ == "__main__":
    drawn = draw_lot(random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    print(drawn, written(drawn, figures(drawn)), sep="\n")
