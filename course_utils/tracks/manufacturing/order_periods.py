"""What of the maintenance log can be reported on: half months, months, quarters, years, systems.

The words: data/wordings/manufacturing/order_periods.yaml.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from course_utils.tracks.manufacturing.orders import YEARLY, Order
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_periods")
BUSY = 7  # a month with more orders than this is reported in halves too
MANY = 11  # more orders than this are shown as figures
# Labels that go with "the" once they are followed by "system".
NO_NOUNS = ("Slew", "Induction and Exhaust")


@dataclass(frozen=True)
class Period:
    """What a report is about: some orders, and how to speak of them."""

    subject: str  # "excavator D" or "the hydraulic system of excavator D"
    length: str  # "half" | "month" | "quarter" | "year"
    during: str  # "in March 2004"
    label: str  # "March 2004"
    orders: tuple[Order, ...]
    system: str = ""  # set where the orders are those of one system


def noun(system: str) -> str:
    """The label of a system as a noun that goes with "the"."""
    label = system.lower()
    return SAY.phrase("system_noun", label=label) if system in NO_NOUNS else label


def periods(orders: Sequence[Order]) -> list[Period]:
    """What can be reported: half months, months, quarters, years, and systems in a quarter.

    Each lies in one group. At least four orders, and half months only where the month is busy.
    """
    found = []
    for asset in sorted({order.asset for order in orders}):
        own = [order for order in orders if order.asset == asset]
        found += _by_period(own, asset) + _by_system(own, asset)
    distinct = {(period.system, period.orders): period for period in reversed(found)}
    return [
        period
        for period in reversed(distinct.values())
        if 4 <= len(period.orders) <= (MANY if period.system else 1000)
    ]


def months_of(period: Period) -> dict[str, int]:
    """Name of the month -> its orders, where the time is a quarter or a year."""
    if period.length not in ("quarter", "year"):
        return {}
    counts = Counter(order.date.month for order in period.orders)
    return {SAY["months"][month - 1]: counts[month] for month in sorted(counts)}


def _by_period(orders: Sequence[Order], asset: str) -> list[Period]:
    parts: dict[tuple[str, str, str], list[Order]] = {}
    months = Counter((order.date.year, order.date.month) for order in orders)
    for order in orders:
        lengths = ["month", "quarter"]
        lengths += ["half"] * (months[order.date.year, order.date.month] > BUSY)
        lengths += ["year"] * (asset in YEARLY)
        for length in lengths:
            parts.setdefault((length, *_names(length, order.date)), []).append(order)
    subject = SAY.phrase("asset", asset=asset)
    return [Period(subject, *names, tuple(part)) for names, part in parts.items()]


def _by_system(orders: Sequence[Order], asset: str) -> list[Period]:
    parts: dict[tuple[str, str, str], list[Order]] = {}
    for order in orders:
        for system in order.systems:
            parts.setdefault((system, *_names("quarter", order.date)), []).append(order)
    name = SAY.phrase("asset", asset=asset)
    found = []
    for (system, during, label), part in parts.items():
        subject = SAY.phrase("system_of", system=noun(system), asset=name)
        found.append(Period(subject, "quarter", during, label, tuple(part), system))
    return found


def _names(length: str, day: date) -> tuple[str, str]:
    """How the period of a day is told in a sentence, and in a title."""
    after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    last = (after - date(day.year, day.month, 1)).days
    number = (day.month + 2) // 3
    values = {
        "start": 1 if day.day <= 15 else 16,
        "end": 15 if day.day <= 15 else last,
        "month": SAY["months"][day.month - 1],
        "quarter": SAY["quarters"][number - 1],
        "number": number,
        "year": day.year,
    }
    return SAY.phrase("during", length, **values), SAY.phrase("label", length, **values)
