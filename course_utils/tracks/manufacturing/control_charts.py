"""Control-chart figures of a production lot, and lots simulated from a seed.

Look at one lot:  python -m course_utils.tracks.manufacturing.control_charts 7
Formulas: D. C. Montgomery, Introduction to Statistical Quality Control (charts chapter 6,
capability chapter 8); NIST/SEMATECH e-Handbook of Statistical Methods, sections 6.1.6 and 6.3.2;
ISO 22514-2 for the indices. They are a few lines of arithmetic and every step matters to a
student, so no library is used: on PyPI, process-improve is maintained but brings a data-analysis
stack for it, and the small chart packages have one release or one author. The tests hold the
figures against Montgomery's hard-bake process (example 6.1) and cases worked out by hand.

All lots are invented. Real limits need 20 to 25 subgroups (Montgomery, section 6.2); 5 to 8, which
fit a short sheet, only show the arithmetic.
"""

import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from course_utils.errors import CourseError

# ---------------------------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constants:
    """Factors for subgroups of one size (Montgomery, appendix VI)."""

    a2: float
    d3: float
    d4: float
    d2: float  # mean range of a normal sample in units of sigma


CONSTANTS = {
    2: Constants(1.880, 0, 3.267, 1.128),
    3: Constants(1.023, 0, 2.574, 1.693),
    4: Constants(0.729, 0, 2.282, 2.059),
    5: Constants(0.577, 0, 2.114, 2.326),
    6: Constants(0.483, 0, 2.004, 2.534),
    7: Constants(0.419, 0.076, 1.924, 2.704),
    8: Constants(0.373, 0.136, 1.864, 2.847),
    9: Constants(0.337, 0.184, 1.816, 2.970),
    10: Constants(0.308, 0.223, 1.777, 3.078),
}


@dataclass(frozen=True)
class Limits:
    """Limits of an X-bar and R chart, in the unit of the measurements."""

    mean_low: float
    mean_high: float
    range_low: float
    range_high: float


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


def chart_limits(mean: float, mean_range: float, size: int) -> Limits:
    """X-bar: mean -/+ A2 Rbar; R: D3 Rbar to D4 Rbar (Montgomery, equations 6.4 and 6.5)."""
    factors = constants(size)
    return Limits(
        mean - factors.a2 * mean_range,
        mean + factors.a2 * mean_range,
        factors.d3 * mean_range,
        factors.d4 * mean_range,
    )


def within_sigma(mean_range: float, size: int) -> float:
    """Standard deviation within subgroups, Rbar/d2 (Montgomery, equation 6.6)."""
    return mean_range / constants(size).d2


def capability(
    mean: float, sigma: float, lower: float | None, upper: float | None
) -> tuple[float | None, float]:
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


def first_pass_yield(produced: int, scrap: int, rework: int) -> float:
    """Share (0 to 1) of pieces that were right at once: (produced - scrap - rework)/produced."""
    _check_counts(produced, scrap, rework)
    return (produced - scrap - rework) / produced


def scrap_rate(produced: int, scrap: int) -> float:
    """Share (0 to 1) of pieces that were thrown away."""
    _check_counts(produced, scrap, 0)
    return scrap / produced


def _check_counts(produced: int, scrap: int, rework: int) -> None:
    if produced < 1 or min(scrap, rework) < 0 or scrap + rework > produced:
        raise CourseError(
            f"produced {produced}, scrap {scrap}, rework {rework} do not fit together",
            "scrap and rework are parts of what was produced",
        )


def pareto(defects: dict[str, int]) -> list[tuple[str, int, float]]:
    """(kind, count, share 0 to 1), largest first; equal counts keep their order."""
    total = sum(defects.values())
    if total < 1:
        raise CourseError("no defect was counted", "a Pareto needs at least one")
    ranked = sorted(defects.items(), key=lambda item: -item[1])
    return [(kind, count, count / total) for kind, count in ranked]


# ---------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------

BEYOND = "beyond 3 sigma"
RANGE = "range above its limit"
TWO_OF_THREE = "two of three beyond 2 sigma"
RISING, FALLING = "rising trend", "falling trend"
RUN_ABOVE, RUN_BELOW = "run above nominal", "run below nominal"


def beyond(values: Sequence[float], centre: float, distance: float) -> list[int]:
    """Numbers (from 1) of the values further than `distance` from the centre."""
    return [i for i, value in enumerate(values, 1) if abs(value - centre) > distance]


def two_of_three(values: Sequence[float], centre: float, sigma: float) -> list[int]:
    """Values that make two of three in a row beyond 2 sigma on one side (Western Electric)."""
    found: set[int] = set()
    for side in (1, -1):
        out = [side * (value - centre) > 2 * sigma for value in values]
        for i in range(len(out) - 2):
            if sum(out[i : i + 3]) >= 2:
                found |= {j + 1 for j in range(i, i + 3) if out[j]}
    return sorted(found)


def monotone(values: Sequence[float], length: int = 6) -> tuple[int, list[int]]:
    """(1 rising, -1 falling, 0 neither; the values) of the first `length` in a row that do so."""
    for side in (1, -1):
        start = 0
        for i in range(len(values)):
            if i and side * (values[i] - values[i - 1]) <= 0:
                start = i
            if i - start + 1 >= length:
                return side, list(range(start + 1, i + 2))
    return 0, []


def one_side(values: Sequence[float], centre: float, length: int = 8) -> tuple[int, list[int]]:
    """(1 above, -1 below, 0 neither; the values) of the first `length` in a row on one side."""
    for side in (1, -1):
        start = 0
        for i, value in enumerate(values):
            if side * (value - centre) <= 0:
                start = i + 1
            elif i - start + 1 >= length:
                return side, list(range(start + 1, i + 2))
    return 0, []


def signals(
    means: Sequence[float], ranges: Sequence[float], size: int, nominal: float | None = None
) -> list[Signal]:
    """Rules broken by the charts of a lot, a trend first, as it explains the rest.

    Rules: Montgomery, section 5.3.3. Limits come from the lot itself. Runs are counted about the
    nominal value: about their own grand mean, 8 subgroups can never all lie on one side.
    """
    mean, mean_range = fmean(means), fmean(ranges)
    limits = chart_limits(mean, mean_range, size)
    sigma = (limits.mean_high - mean) / 3  # of a subgroup mean
    trend, rising = monotone(means)
    side, run = (0, []) if nominal is None else one_side(means, nominal)
    found = [
        (RISING if trend > 0 else FALLING, rising),
        (BEYOND, beyond(means, mean, limits.mean_high - mean)),
        (RANGE, [i for i, value in enumerate(ranges, 1) if value > limits.range_high]),
        (TWO_OF_THREE, two_of_three(means, mean, sigma)),
        (RUN_ABOVE if side > 0 else RUN_BELOW, run),
    ]
    return [Signal(rule, tuple(which)) for rule, which in found if which]


# ---------------------------------------------------------------------------------------------
# Parts
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A product and the characteristic measured on it.

    `sizes` are (nominal, tolerance) for nominal -/+ tolerance; a limit on one side only is
    (limit, 0) with `side` "max" or "min". `required` is the least Cpk for an existing process
    (Montgomery, table 8.4): 1.33, one side 1.25, safety 1.50, safety on one side 1.45.
    """

    name: str
    plural: str
    characteristic: str
    unit: str
    decimals: int  # of the tolerance and of one measurement
    sizes: tuple[tuple[float, float], ...]
    high: str  # what a piece above the tolerance is called
    low: str
    defects: tuple[str, ...]
    station: str
    pieces: tuple[int, int]  # usual lot
    side: str = "both"
    required: float = 1.33
    reworkable: bool = True


PARTS = (
    Part("drive shaft", "shafts", "journal diameter", "mm", 3,
         ((25, 0.021), (30, 0.021), (35, 0.025), (40, 0.025)),
         "oversize journal", "undersize journal",
         ("chatter marks", "burr", "grinding burn", "scratch"), "grinder", (120, 640)),
    Part("bearing housing", "housings", "bore diameter", "mm", 3,
         ((52, 0.030), (62, 0.030), (72, 0.030), (80, 0.035)), "oversize bore", "undersize bore",
         ("tool marks", "burr", "porosity", "damaged thread"), "boring mill", (80, 360)),
    Part("valve plate", "plates", "flatness", "mm", 3,
         ((0.050, 0), (0.040, 0), (0.080, 0)), "flatness error", "",
         ("scratch", "edge chip", "stain", "burr"), "lapping machine", (150, 500), "max", 1.25),
    Part("filled bottle", "bottles", "net weight", "g", 1,
         ((250, 4.5), (500, 7.5), (750, 7.5), (1000, 10)), "overfill", "underfill",
         ("loose cap", "crooked label", "missing date code", "leaking bottle"),
         "filling line", (2400, 9600)),
    Part("wheel hub", "hubs", "bolt tightening torque", "N·m", 1,
         ((110, 9), (120, 10), (140, 12)), "overtorque", "undertorque",
         ("cross-threaded bolt", "missing washer", "damaged bolt head"),
         "nutrunner", (400, 1600), required=1.50),
    Part("screw cap", "caps", "wall thickness", "mm", 2,
         ((1.20, 0.12), (1.50, 0.15), (1.80, 0.15)), "thick wall", "thin wall",
         ("short shot", "flash", "sink mark", "burn mark"), "moulding machine", (3000, 9000),
         reworkable=False),
    Part("hydraulic piston", "pistons", "surface roughness Ra", "µm", 2,
         ((0.40, 0), (0.80, 0), (0.63, 0)), "excess roughness", "",
         ("chatter marks", "scratch", "dent", "rust spot"), "turning centre", (100, 420),
         "max", 1.25),
    Part("sterile pouch", "pouches", "seal strength", "N", 1,
         ((15.0, 0), (12.0, 0), (18.0, 0)), "", "weak seal",
         ("wrinkled seal", "open seal", "pinhole", "smeared print"), "pouch sealer",
         (2000, 8000), "min", 1.45, reworkable=False),
    Part("compression spring", "springs", "load at working length", "N", 1,
         ((45, 3.2), (62, 4.5), (85, 6.0)), "high load", "low load",
         ("bent end coil", "uneven pitch", "surface crack"), "spring coiler", (800, 3200)),
    Part("film resistor", "resistors", "resistance", "Ω", 1,
         ((100, 2.0), (220, 4.4), (470, 9.4)), "high resistance", "low resistance",
         ("bent lead", "chipped coating", "illegible marking"), "laser trimmer", (3000, 9500),
         reworkable=False),
    Part("brake disc", "discs", "lateral runout", "mm", 3,
         ((0.050, 0), (0.040, 0), (0.060, 0)), "excess runout", "",
         ("casting pore", "scratch", "imbalance"), "turning cell", (160, 720), "max", 1.45),
    Part("door panel", "panels", "paint thickness", "µm", 0,
         ((110, 20), (95, 18), (125, 22)), "thick paint", "thin paint",
         ("dirt inclusion", "paint run", "orange peel", "crater"), "paint booth", (140, 480)),
    Part("coffee pack", "packs", "fill weight", "g", 1,
         ((250, 3.5), (500, 5.0), (1000, 9.0)), "overweight pack", "underweight pack",
         ("leaking seal", "misprint", "crushed pack"), "packing line", (1800, 7200)),
    Part("control cable", "reels", "outer diameter", "mm", 2,
         ((6.20, 0.15), (7.80, 0.18), (9.50, 0.20)), "oversize diameter", "undersize diameter",
         ("bare spot", "lump", "faded print"), "extruder", (150, 700), reworkable=False),
    Part("pinion gear", "gears", "tooth thickness", "mm", 3,
         ((4.712, 0.024), (6.283, 0.028), (7.854, 0.030)), "thick tooth", "thin tooth",
         ("nick on flank", "burr", "hob feed marks"), "hobbing machine", (120, 560)),
    Part("hardened pin", "pins", "hardness", "HRC", 1,
         ((60, 2.0), (58, 2.0), (62, 1.8)), "excess hardness", "low hardness",
         ("quench crack", "scale", "bent pin"), "hardening furnace", (500, 2400)),
    Part("circuit board", "boards", "solder paste height", "µm", 0,
         ((120, 30), (150, 36), (100, 24)), "excess paste", "insufficient paste",
         ("bridge", "tombstone", "missing component", "solder ball"), "paste printer",
         (240, 1200)),
    Part("window profile", "profiles", "profile width", "mm", 2,
         ((70.00, 0.30), (82.00, 0.30), (58.00, 0.25)), "excess width", "insufficient width",
         ("die line", "blister", "colour deviation", "warp"), "extrusion line", (300, 1500)),
    Part("fuel injector", "injectors", "static flow", "g/min", 1,
         ((180, 5.4), (210, 6.3), (240, 7.2)), "high flow", "low flow",
         ("leaking tip", "stuck needle", "damaged O-ring"), "flow bench", (200, 900)),
    Part("tablet", "tablets", "weight", "mg", 1,
         ((250, 12), (320, 15), (500, 22)), "overweight tablet", "underweight tablet",
         ("capping", "chipped edge", "sticking", "mottled surface"), "tablet press",
         (4000, 9800), reworkable=False),
    Part("weld bracket", "brackets", "weld throat thickness", "mm", 2,
         ((4.00, 0), (5.00, 0), (3.50, 0)), "", "thin weld throat",
         ("undercut", "spatter", "porosity", "burn-through"), "welding cell", (150, 700),
         "min", 1.45),
    Part("glass lens", "lenses", "centre thickness", "mm", 3,
         ((3.200, 0.050), (4.500, 0.050), (6.000, 0.060)), "thick centre", "thin centre",
         ("scratch", "edge chip", "coating void", "bubble"), "polishing line", (90, 400)),
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Simulated lots
# ---------------------------------------------------------------------------------------------

STATES = ("in control", "shift", "trend", "extra spread", "off centre", "outlier")
STATE_WEIGHTS = (40, 12, 12, 12, 14, 10)


@dataclass(frozen=True)
class Lot:
    """A simulated lot. Each rejected piece is counted once, under its main defect."""

    part: Part
    lower: float | None
    upper: float | None
    nominal: float | None
    state: str  # what was simulated, not what the chart shows
    rows: tuple[tuple[float, ...], ...]  # subgroups of measurements, at the part's decimals
    produced: int
    scrap: int
    rework: int
    defects: dict[str, int]  # by kind, none of 0, largest first, one alone at the top

    @property
    def size(self) -> int:
        return len(self.rows[0])

    @property
    def rejected(self) -> int:
        return self.scrap + self.rework


@dataclass(frozen=True)
class Figures:
    """What a report states, as rounded on the sheet: whoever recomputes gets the same numbers."""

    means: tuple[float, ...]
    ranges: tuple[float, ...]
    mean: float
    mean_range: float
    sigma: float
    cp: float | None
    cpk: float
    limits: Limits
    signals: tuple[Signal, ...]
    yield_percent: float
    scrap_percent: float
    rework_percent: float
    defect: str
    defect_count: int
    defect_percent: float
    decision: str


def simulate_lot(rng: random.Random) -> Lot:
    """One lot; everything is drawn from `rng`."""
    part = rng.choice(PARTS)
    value, tolerance = rng.choice(part.sizes)
    lower = None if part.side == "max" else value - tolerance
    upper = None if part.side == "min" else value + tolerance
    state = rng.choices(STATES, STATE_WEIGHTS)[0]
    mean, sigma = _process(part, value, tolerance, state, rng)
    rows = _measure(part, mean, sigma, state, rng)
    produced = rng.randint(*part.pieces)
    if produced >= 1000:  # large lots are booked in full tens
        produced -= produced % 10
    outside = NormalDist(mean, sigma)
    high = 0.0 if upper is None else 1 - outside.cdf(upper)
    low = 0.0 if lower is None else outside.cdf(lower)
    out = (part.high, high) if high > low else (part.low or part.high, low)
    defects = _defects(part, produced, *out, rng)
    rejected = sum(defects.values())
    share = rng.uniform(0.25, 0.9) if part.reworkable else 1.0
    scrap = sum(rng.random() < share for _ in range(rejected))
    nominal = value if part.side == "both" else None
    return Lot(part, lower, upper, nominal, state, rows, produced, scrap, rejected - scrap, defects)


def _process(
    part: Part, value: float, tolerance: float, state: str, rng: random.Random
) -> tuple[float, float]:
    """Mean and sigma of the process that makes the lot."""
    index = rng.uniform(0.9, 2.0)  # capability of the process when it is left alone
    if part.side == "both":
        sigma = tolerance / (3 * index)
        mean = value + rng.gauss(0, 0.25) * sigma
    else:
        mean = value * (rng.uniform(0.55, 0.7) if part.side == "max" else rng.uniform(1.2, 1.4))
        sigma = abs(value - mean) / (3 * index)
    if state == "extra spread":
        sigma *= rng.uniform(1.4, 1.8)
    if state == "off centre":
        # not further than leaves a Cpk of about 0.4, or most of the lot would be scrap
        room = max(tolerance / sigma - 1.2, 0.6) if part.side == "both" else 1.2
        mean += rng.choice((-1, 1)) * rng.uniform(0.5, 1.0) * min(room, 2.6) * sigma
    return mean, sigma


def _measure(
    part: Part, mean: float, sigma: float, state: str, rng: random.Random
) -> tuple[tuple[float, ...], ...]:
    size = rng.choice((4, 5))
    groups = rng.randint(6, 8) if state in ("trend", "shift") else rng.choice((5, 6, 7, 8, 8))
    side = rng.choice((-1, 1))
    step, slope = rng.uniform(1.6, 2.6), rng.uniform(0.5, 0.8)
    odd = rng.randrange(groups)
    rows = []
    for number in range(groups):
        offset = {
            "shift": side * step * (number >= groups // 2),
            "trend": side * slope * (number - groups / 2),
        }.get(state, 0.0)
        row = [mean + sigma * (offset + rng.gauss(0, 1)) for _ in range(size)]
        if state == "outlier" and number == odd:
            row[rng.randrange(size)] += side * rng.uniform(5, 7) * sigma
        floor = 0.0 if part.side == "max" else -math.inf  # no flatness below 0
        rows.append(tuple(round(max(value, floor), part.decimals) for value in row))
    if all(len(set(row)) == 1 for row in rows):  # a range of 0 everywhere has no sigma
        rows[0] = (rows[0][0] + 10**-part.decimals, *rows[0][1:])
    return tuple(rows)


def _defects(
    part: Part, produced: int, out: str, share_out: float, rng: random.Random
) -> dict[str, int]:
    """Counts by kind, Poisson; the pieces out of tolerance follow from the process."""
    kinds = rng.sample(part.defects, rng.randint(2, 3))
    total = produced * rng.uniform(0.004, 0.04)
    weights = [rng.uniform(0.5, 1.5) / rank for rank in range(1, len(kinds) + 1)]
    counts = {
        kind: poisson(total * weight / sum(weights), rng)
        for kind, weight in zip(kinds, weights, strict=True)
    }
    counts[out] = poisson(produced * min(share_out, 0.12), rng)
    first, second, *rest = sorted(counts, key=lambda kind: (-counts[kind], kind))
    # One kind must lead, or the question has two answers; and one kind alone is no Pareto.
    counts[second] = max(counts[second], 1)
    counts[first] = max(counts[first], counts[second] + 1)
    return {kind: counts[kind] for kind in (first, second, *rest) if counts[kind]}


def poisson(mean: float, rng: random.Random) -> int:
    """A Poisson number (Knuth's product of uniforms)."""
    if mean > 500:  # exp(-mean) comes near 0; a sum of Poisson numbers is one too
        return poisson(500, rng) + poisson(mean - 500, rng)
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def figures(lot: Lot) -> Figures:
    """All figures of a lot. Each is computed from the rounded ones before it, as on paper."""
    d = lot.part.decimals
    means = tuple(round(fmean(row), d + 1) for row in lot.rows)
    ranges = tuple(round(max(row) - min(row), d) for row in lot.rows)
    mean, mean_range = round(fmean(means), d + 1), round(fmean(ranges), d + 1)
    sigma = round(within_sigma(mean_range, lot.size), d + 2)
    cp, cpk = capability(mean, sigma, lot.lower, lot.upper)
    cp, cpk = None if cp is None else round(cp, 2), round(cpk, 2)
    found = tuple(signals(means, ranges, lot.size, lot.nominal))
    defect, count, share = pareto(lot.defects)[0]
    limits = chart_limits(mean, mean_range, lot.size)
    return Figures(
        means, ranges, mean, mean_range, sigma, cp, cpk, limits, found,
        round(100 * first_pass_yield(lot.produced, lot.scrap, lot.rework), 1),
        round(100 * scrap_rate(lot.produced, lot.scrap), 1),
        round(100 * lot.rework / lot.produced, 1),
        defect, count, round(100 * share, 1),
        decide(cp, cpk, lot.part.required, found),
    )  # fmt: skip


def decide(cp: float | None, cpk: float, required: float, found: Sequence[Signal]) -> str:
    """What to do with the lot and its process.

    hold: a special cause, so capability says nothing yet; adjust: the spread is small enough but
    the mean is off; not capable: the index misses the requirement; release: none of these.
    """
    off_nominal = any(signal.rule in (RUN_ABOVE, RUN_BELOW) for signal in found)
    if any(signal.rule not in (RUN_ABOVE, RUN_BELOW) for signal in found):
        return "hold"
    if cp is not None and cp >= required and (cpk < required or off_nominal):
        return "adjust"
    return "release" if cpk >= required else "not capable"


if __name__ == "__main__":
    drawn = simulate_lot(random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    print(drawn, figures(drawn), sep="\n")
