"""Control-chart figures, the rules of a chart, and what follows for a lot and its process.

Formulas: D. C. Montgomery, Introduction to Statistical Quality Control (charts chapter 6,
capability chapter 8); NIST/SEMATECH e-Handbook of Statistical Methods, sections 6.1.6 and 6.3.2;
ISO 22514-2 for the indices. They are a few lines of arithmetic and every step matters to a
student, so no library is used: on PyPI, process-improve is maintained but brings a data-analysis
stack for it, and the small chart packages have one release or one author. The tests hold the
figures against Montgomery's hard-bake process (example 6.1) and cases worked out by hand.

Factors are fractions: with fractions as readings every figure is exact and is rounded once, where
it is written down (`half_up`). With floats the functions compute in floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from course_utils.errors import CourseError

Number = Fraction | float


def half_up(value: Fraction, decimals: int) -> Decimal:
    """An exact number rounded to that many decimals, a half away from 0."""
    units = (2 * abs(value) * 10**decimals + 1) // 2
    return Decimal(-units if value < 0 else units).scaleb(-decimals)


def average(values: Sequence[Number]) -> Number:
    """Arithmetic mean, exact where the values are."""
    return sum(values) / len(values)


# ---------------------------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constants:
    """Factors for subgroups of one size (Montgomery, appendix VI)."""

    a2: Fraction
    d3: Fraction
    d4: Fraction
    d2: Fraction  # mean range of a normal sample in units of sigma


_TABLE = {
    2: "1.880 0     3.267 1.128",
    3: "1.023 0     2.574 1.693",
    4: "0.729 0     2.282 2.059",
    5: "0.577 0     2.114 2.326",
    6: "0.483 0     2.004 2.534",
    7: "0.419 0.076 1.924 2.704",
    8: "0.373 0.136 1.864 2.847",
    9: "0.337 0.184 1.816 2.970",
    10: "0.308 0.223 1.777 3.078",
}
CONSTANTS = {size: Constants(*map(Fraction, row.split())) for size, row in _TABLE.items()}


@dataclass(frozen=True)
class Limits:
    """Limits of an X-bar and R chart, in the unit of the measurements.

    Zone A is the outer third on each side of the mean, and what lies beyond it.
    """

    mean_low: Number
    mean_high: Number
    range_low: Number
    range_high: Number
    zone_low: Number
    zone_high: Number


@dataclass(frozen=True)
class Signal:
    """A rule that the chart breaks, and the subgroups (from 1) that break it."""

    rule: str
    subgroups: tuple[int, ...]


def constants(size: int) -> Constants:
    """Chart factors for subgroups of `size` pieces."""
    if size not in CONSTANTS:
        raise CourseError(
            f"there are no chart factors for subgroups of {size}",
            "use 2 to 10 pieces; larger subgroups need an s chart instead of a range chart",
        )
    return CONSTANTS[size]


def chart_limits(mean: Number, mean_range: Number, size: int) -> Limits:
    """X-bar: mean -/+ A2 Rbar; R: D3 Rbar to D4 Rbar (Montgomery, equations 6.4 and 6.5)."""
    factors = constants(size)
    reach = factors.a2 * mean_range
    return Limits(
        mean - reach,
        mean + reach,
        factors.d3 * mean_range,
        factors.d4 * mean_range,
        mean - reach * 2 / 3,
        mean + reach * 2 / 3,
    )


def within_sigma(mean_range: Number, size: int) -> Number:
    """Standard deviation within subgroups, Rbar/d2 (Montgomery, equation 6.6)."""
    return mean_range / constants(size).d2


def capability(
    mean: Number, sigma: Number, lower: Number | None, upper: Number | None
) -> tuple[Number | None, Number]:
    """(Cp, Cpk); Cp is None where only one limit is given.

    Cp = (USL - LSL)/6 sigma, Cpk = min(USL - mean, mean - LSL)/3 sigma (ISO 22514-2; NIST 6.1.6).
    """
    if not sigma > 0:
        raise CourseError(f"sigma is {sigma}", "capability needs a spread above 0")
    if lower is None and upper is None:
        raise CourseError("there is no tolerance limit", "give a lower limit, an upper one or both")
    sides = [upper - mean] if upper is not None else []
    sides += [mean - lower] if lower is not None else []
    cp = (upper - lower) / (6 * sigma) if len(sides) == 2 else None
    return cp, min(sides) / (3 * sigma)


def first_pass_yield(produced: int, scrap: int, rework: int) -> Fraction:
    """Share (0 to 1) of pieces that were right at once: (produced - scrap - rework)/produced."""
    _check_counts(produced, scrap, rework)
    return Fraction(produced - scrap - rework, produced)


def scrap_rate(produced: int, scrap: int) -> Fraction:
    """Share (0 to 1) of pieces that were thrown away."""
    _check_counts(produced, scrap, 0)
    return Fraction(scrap, produced)


def _check_counts(produced: int, scrap: int, rework: int) -> None:
    if produced < 1 or min(scrap, rework) < 0 or scrap + rework > produced:
        raise CourseError(
            f"produced {produced}, scrap {scrap}, rework {rework} do not fit together",
            "scrap and rework are parts of what was produced",
        )


def pareto(defects: dict[str, int]) -> list[tuple[str, int, Fraction]]:
    """(kind, count, share 0 to 1), largest first; equal counts keep their order."""
    total = sum(defects.values())
    if total < 1:
        raise CourseError("no defect was counted", "a Pareto needs at least one")
    ranked = sorted(defects.items(), key=lambda item: -item[1])
    return [(kind, count, Fraction(count, total)) for kind, count in ranked]


# ---------------------------------------------------------------------------------------------
# Rules of the chart (Montgomery, section 5.3.3)
# ---------------------------------------------------------------------------------------------

RISING, FALLING = "rising trend", "falling trend"
OUTSIDE = "mean outside limits"
ZONE = "two of three in zone A"
RANGE = "range above limit"
RULES = (RISING, FALLING, OUTSIDE, ZONE, RANGE)
IN_CONTROL = "in control"  # none of them is broken
TREND = 6  # means in a row


def outside(values: Sequence[Number], low: Number, high: Number) -> list[int]:
    """Numbers (from 1) of the values below `low` or above `high`."""
    return [i for i, value in enumerate(values, 1) if not low <= value <= high]


def two_of_three(values: Sequence[Number], low: Number, high: Number) -> list[int]:
    """Values outside that belong to two of three in a row on one side (Western Electric)."""
    found: set[int] = set()
    for out in ([value > high for value in values], [value < low for value in values]):
        for i in range(len(out) - 2):
            if sum(out[i : i + 3]) >= 2:
                found |= {j + 1 for j in range(i, i + 3) if out[j]}
    return sorted(found)


def rising(values: Sequence[Number], length: int = TREND) -> list[int]:
    """All values of the runs in which at least `length` in a row lie above the one before."""
    found, run = [], []
    for i, value in enumerate(values, 1):
        run = [*run, i] if run and value > values[i - 2] else [i]
        if len(run) >= length:
            found += run if len(run) == length else [i]
    return found


def signals(means: Sequence[Number], ranges: Sequence[Number], size: int) -> list[Signal]:
    """Every rule that the charts of a lot break; the limits come from the lot itself.

    The rule of eight in a row on one side of the mean is not among them: no more than eight
    subgroups stand on a sheet, and they cannot all lie on one side of their own mean.
    """
    limits = chart_limits(average(means), average(ranges), size)
    found = {
        RISING: rising(means),
        FALLING: rising([-value for value in means]),
        OUTSIDE: outside(means, limits.mean_low, limits.mean_high),
        ZONE: two_of_three(means, limits.zone_low, limits.zone_high),
        RANGE: outside(ranges, limits.range_low, limits.range_high),
    }
    return [Signal(rule, tuple(found[rule])) for rule in RULES if found[rule]]


# ---------------------------------------------------------------------------------------------
# What follows: one finding on the lot, one on its process
# ---------------------------------------------------------------------------------------------

RELEASE, SORT, HOLD = DISPOSITIONS = ("release", "sort", "hold")
UNSTABLE, CAPABLE, OFF_CENTRE, SPREAD = ("unstable", "capable", "off centre", "spread too large")
TOO_NEAR = "too near the limit"
FINDINGS = (UNSTABLE, CAPABLE, OFF_CENTRE, SPREAD)
ONE_LIMIT_FINDINGS = (UNSTABLE, CAPABLE, TOO_NEAR)
OFF_BY = Fraction("0.20")  # Cp - Cpk from which the centre is off as well, where Cp is short


def disposition(found: Sequence[Signal], piece_outside: bool) -> str:
    """What happens to the lot, from its own chart and pieces.

    hold: something disturbed the process, so the sample does not speak for all pieces; sort: the
    process ran evenly, but a measured piece lies outside the tolerance; release: neither.
    """
    return HOLD if found else SORT if piece_outside else RELEASE


def process_finding(
    cp: Number | None, cpk: Number, required: Number, found: Sequence[Signal]
) -> tuple[str, ...]:
    """What is wrong with the process, one or two of FINDINGS.

    Capability is not judged before the process is stable. Where Cp reaches what is required, the
    centre is all that is wrong; the spread is named only where Cp itself falls short.
    """
    if found:
        return (UNSTABLE,)
    if cpk >= required:
        return (CAPABLE,)
    if cp is None:
        return (TOO_NEAR,)
    if cp >= required:
        return (OFF_CENTRE,)
    return (OFF_CENTRE, SPREAD) if cp - cpk >= OFF_BY else (SPREAD,)
