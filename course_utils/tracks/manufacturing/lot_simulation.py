"""Parts of an invented works, and production lots of them simulated from a seed.

All lots are invented. Real control limits need 20 to 25 subgroups (Montgomery, section 6.2); 5 to
8, which fit a short sheet, only show the arithmetic.
"""

import math
import random
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import NormalDist

# ---------------------------------------------------------------------------------------------
# Parts
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A product and the characteristic measured on it.

    `sizes` are (nominal, tolerance) for nominal -/+ tolerance; a limit on one side only is
    (limit, 0) with `side` "max" or "min". `required` is the least Cpk for an existing process
    (Montgomery, table 8.4): 1.33, one side 1.25, safety 1.50, safety on one side 1.45. Where fine
    sizes are read on a comparator, in µm above a basic size, `measured` says so: few digits.
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
    measured: str = ""  # how the sheet calls the readings, if not by the characteristic

    @property
    def reading(self) -> str:
        """What is measured, as the sheet calls it."""
        return self.measured or self.characteristic


PARTS = (
    Part("drive shaft", "shafts", "journal diameter", "µm", 0, ((20, 12), (32, 12), (45, 15)),
         "oversize journal", "undersize journal",
         ("chatter marks", "burr", "grinding burn", "scratch"), "grinder", (120, 640),
         measured="journal diameter above 25 mm"),
    Part("bearing housing", "housings", "bore diameter", "µm", 0,
         ((15, 15), (28, 18), (45, 15)), "oversize bore", "undersize bore",
         ("tool marks", "burr", "porosity", "damaged thread"), "boring mill", (80, 360),
         measured="bore diameter above 62 mm"),
    Part("valve plate", "plates", "flatness", "µm", 0,
         ((50, 0), (40, 0), (80, 0)), "flatness error", "",
         ("scratch", "edge chip", "stain", "burr"), "lapping machine", (150, 500), "max", 1.25),
    Part("filled bottle", "bottles", "net weight", "g", 0,
         ((250, 6), (500, 8), (750, 8), (1000, 10)), "overfill", "underfill",
         ("loose cap", "crooked label", "missing date code", "leaking bottle"),
         "filling line", (2400, 9600)),
    Part("wheel hub", "hubs", "bolt tightening torque", "N·m", 0,
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
    Part("brake disc", "discs", "lateral runout", "µm", 0,
         ((50, 0), (40, 0), (60, 0)), "excess runout", "",
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
    Part("pinion gear", "gears", "tooth thickness", "µm", 0,
         ((60, 24), (83, 28), (54, 30)), "thick tooth", "thin tooth",
         ("nick on flank", "burr", "hob feed marks"), "hobbing machine", (120, 560),
         measured="tooth thickness above 6.2 mm"),
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
    Part("tablet", "tablets", "weight", "mg", 0,
         ((250, 12), (320, 15), (500, 22)), "overweight tablet", "underweight tablet",
         ("capping", "chipped edge", "sticking", "mottled surface"), "tablet press",
         (4000, 9800), reworkable=False),
    Part("weld bracket", "brackets", "weld throat thickness", "mm", 2,
         ((4.00, 0), (5.00, 0), (3.50, 0)), "", "thin weld throat",
         ("undercut", "spatter", "porosity", "burn-through"), "welding cell", (150, 700),
         "min", 1.45),
    Part("glass lens", "lenses", "centre thickness", "mm", 2,
         ((3.20, 0.10), (4.50, 0.10), (6.00, 0.12)), "thick centre", "thin centre",
         ("scratch", "edge chip", "coating void", "bubble"), "polishing line", (90, 400)),
)  # fmt: skip

# ---------------------------------------------------------------------------------------------
# Simulated lots
# ---------------------------------------------------------------------------------------------

STATES = ("in control", "shift", "trend", "extra spread", "off centre", "outlier")
STATE_WEIGHTS = (34, 10, 14, 12, 34, 10)


@dataclass(frozen=True)
class Lot:
    """A simulated lot. Each rejected piece is counted once, under its main defect."""

    part: Part
    lower: Fraction | None
    upper: Fraction | None
    nominal: Fraction | None
    process: NormalDist  # what was simulated, not what the chart shows
    steps: tuple[tuple[int, ...], ...]  # subgroups of readings, in steps of the part's decimals
    produced: int = 0
    scrap: int = 0
    rework: int = 0
    defects: dict[str, int] = field(default_factory=dict)  # none of 0, largest first, one on top

    @property
    def size(self) -> int:
        return len(self.steps[0])

    @property
    def rejected(self) -> int:
        return self.scrap + self.rework


def measure_lot(rng: random.Random) -> Lot:
    """The sample of a lot, without counts of pieces; everything is drawn from `rng`."""
    part = rng.choice(PARTS)
    value, tolerance = rng.choice(part.sizes)
    exact, room = Fraction(str(value)), Fraction(str(tolerance))
    lower = None if part.side == "max" else exact - room
    upper = None if part.side == "min" else exact + room
    nominal = exact if part.side == "both" else None
    state = rng.choices(STATES, STATE_WEIGHTS)[0]
    mean, sigma = _process(part, value, tolerance, state, rng)
    steps = _measure(part, mean, sigma, state, rng)
    return Lot(part, lower, upper, nominal, NormalDist(mean, sigma), steps)


def count_lot(lot: Lot, rng: random.Random) -> Lot:
    """The lot with its pieces and rejects; those out of tolerance follow from the process."""
    part = lot.part
    produced = rng.randint(*part.pieces)
    if produced >= 1000:  # large lots are booked in full tens
        produced -= produced % 10
    high = 0.0 if lot.upper is None else 1 - lot.process.cdf(float(lot.upper))
    low = 0.0 if lot.lower is None else lot.process.cdf(float(lot.lower))
    out = (part.high, high) if high > low else (part.low or part.high, low)
    defects = _defects(part, produced, *out, rng)
    rejected = sum(defects.values())
    share = rng.uniform(0.25, 0.9) if part.reworkable else 1.0
    scrap = sum(rng.random() < share for _ in range(rejected))
    return replace(lot, produced=produced, scrap=scrap, rework=rejected - scrap, defects=defects)


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
) -> tuple[tuple[int, ...], ...]:
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
        rows.append(as_read([max(value, floor) for value in row], part.decimals))
    return tuple(rows)


def as_read(row: list[float], decimals: int) -> tuple[int, ...]:
    """Readings in whole steps of the gauge.

    The sum of four is made even: then the mean of a subgroup is exact with one more decimal, and
    what stands on the sheet is no rounded figure.
    """
    steps = [round(value * 10**decimals) for value in row]
    if len(steps) == 4:
        steps[-1] += sum(steps) % 2
    return tuple(steps)


def _defects(
    part: Part, produced: int, out: str, share_out: float, rng: random.Random
) -> dict[str, int]:
    """Counts by kind, Poisson; the pieces out of tolerance follow from the process."""
    kinds = rng.sample(part.defects, rng.randint(2, len(part.defects)))
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
