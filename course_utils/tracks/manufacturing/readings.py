"""Drawn readings of a quantity, held against its limit: mean, deviation, side and verdict.

All arithmetic is decimal, at the digits that are written, so that a reader gets the same figures.
"""

import random
from dataclasses import dataclass
from decimal import Decimal
from math import floor, log10

from course_utils.tracks.knowledge import Quantity
from course_utils.tracks.manufacturing.equipment_text import amount

WITHIN, OUTSIDE = VERDICTS = ("within the limit", "outside the limit")
ONE_SIDED = ("over the limit", "under the limit")
TWO_SIDED = (
    "over the upper end",
    "under the upper end",
    "over the lower end",
    "under the lower end",
)
COUNTED = ("years", "days", "wires", "wraps", "starts")  # whole, and read once
TRIES = 20
FINEST = 20  # a limit is at least so many steps of its readings
SHARES = 0.04, 0.22  # of the limit, or of the width of a two-sided one: how far a mean may lie


@dataclass(frozen=True)
class Reading:
    """One or several readings of a quantity; their mean is what the limit is held against.

    `end` is the limit, or the nearer end of a two-sided one.
    """

    quantity: Quantity
    values: tuple[Decimal, ...]
    mean: Decimal
    end: Decimal

    @property
    def deviation(self) -> Decimal:
        """How far the mean lies from the limit, without its sign."""
        return abs(self.mean - self.end)

    @property
    def signed(self) -> str:
        """The deviation with its sign and unit: mean less limit."""
        return f"{'+' if self.mean > self.end else '-'}{self.deviation_text}"

    @property
    def deviation_unit(self) -> str:
        """52 % is 2 percentage points over 50 %; "2 % over" would be 51 %."""
        if self.quantity.unit != "%":
            return self.quantity.unit
        return "percentage point" if str(self.deviation) == "1" else "percentage points"

    @property
    def deviation_text(self) -> str:
        """The deviation with its unit, without its sign."""
        return amount(str(self.deviation), self.deviation_unit)

    @property
    def within(self) -> bool:
        """Whether the mean keeps to the limit."""
        low, high = _ends(self.quantity)
        return low <= self.mean <= high

    @property
    def verdict(self) -> str:
        return WITHIN if self.within else OUTSIDE

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides on which a reading of this quantity may lie."""
        return TWO_SIDED if self.quantity.limit == "between" else ONE_SIDED

    @property
    def side(self) -> str:
        """On which side of its limit the mean lies."""
        over = "over" if self.mean > self.end else "under"
        if self.quantity.limit != "between":
            return f"{over} the limit"
        return f"{over} the {'upper' if self.end == Decimal(self.quantity.upper) else 'lower'} end"

    def text(self, value: Decimal) -> str:
        """A value of this reading with its unit."""
        return amount(str(value), self.quantity.unit)


def draw_reading(
    quantity: Quantity, within: bool, rng: random.Random, count: int = 1
) -> Reading | None:
    """`count` readings whose mean lies on the wanted side of the limit, none of them on the mean.

    None where the quantity has no limit, or no such reading is possible.
    """
    if quantity.limit == "equal to" or Decimal(quantity.value) < 0:
        return None
    count = 1 if quantity.unit in COUNTED else count
    for _ in range(TRIES):
        reading = _draw(quantity, within, rng, count)
        if all(_is_possible(value, quantity) for value in (*reading.values, reading.mean)):
            return reading
    return None


def _draw(quantity: Quantity, within: bool, rng: random.Random, count: int) -> Reading:
    step, (low, high) = _step(quantity), (Decimal(quantity.value), Decimal(quantity.upper or 0))
    upper_end = rng.random() < 0.5 if quantity.limit == "between" else quantity.limit == "at most"
    end = high if upper_end and quantity.limit == "between" else low
    share = Decimal(str(round(rng.uniform(*SHARES), 3)))
    steps = max(1, int((share * _scale(quantity) / step).to_integral_value()))
    mean = end + step * (steps if upper_end != within else -steps)
    offsets = _offsets(count, max(3, steps // 3), rng) if count > 1 else [0]
    return Reading(quantity, tuple(mean + offset * step for offset in offsets), mean, end)


def _offsets(count: int, reach: int, rng: random.Random) -> list[int]:
    """How many steps each reading lies from the mean: never 0, together 0."""
    while True:
        offsets = [rng.choice((-1, 1)) * rng.randint(1, reach) for _ in range(count - 1)]
        offsets.append(-sum(offsets))
        if 0 < abs(offsets[-1]) <= 2 * reach:
            return offsets


def _ends(quantity: Quantity) -> tuple[Decimal, Decimal]:
    value, infinity = Decimal(quantity.value), Decimal("Infinity")
    if quantity.limit == "between":
        return value, Decimal(quantity.upper)
    return (-infinity, value) if quantity.limit == "at most" else (value, infinity)


def _scale(quantity: Quantity) -> Decimal:
    """What deviations are drawn in shares of: the width between two ends, or the limit."""
    if quantity.limit == "between":
        return Decimal(quantity.upper) - Decimal(quantity.value)
    return Decimal(quantity.value) or Decimal(1)


def _step(quantity: Quantity) -> Decimal:
    """The last written digit of a reading: fine enough for its limit, and no finer than needed."""
    if quantity.unit in COUNTED:
        return Decimal(1)
    exponents = [floor(log10(_scale(quantity) / FINEST))]
    exponents += [
        Decimal(end).normalize().as_tuple().exponent
        for end in (quantity.value, quantity.upper)
        if end
    ]
    smallest = min(exponents)
    return Decimal(10**smallest) if smallest >= 0 else Decimal(1).scaleb(smallest)


def _is_possible(value: Decimal, quantity: Quantity) -> bool:
    """No negative lengths; no share above 100 % where the limit is below it."""
    most = Decimal(quantity.upper or quantity.value)
    return value > 0 and not (quantity.unit == "%" and most <= 100 < value)
