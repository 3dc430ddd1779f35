"""Work orders of the real excavators: read from the table, counted and added up.

One order may stand in several rows of the table, one for each system it was filed under: rows
with the same asset, date, text, type and cost are one order here, with the labels of all its rows.
Costs are rounded to whole AUD, order by order, before anything is added up, so each total is the
sum of the figures that a reader sees. An order at 0 AUD counts as an order and adds nothing; a
negative cost is a credit and lowers the total. Systems and failure modes are what our rules read
in the text (course_utils/order_labels.py); an order that names two systems counts for both.

A PM01 order is unplanned (corrective), a PM02 order a planned change-out: the table's column
SuspSugg says so, and its own actions call a third of the PM01 orders replacements.

Gold orders are in no report and no question: whoever trains on these must not have seen them.

A record's group is the asset and quarter of its orders, "excavator D 2005-Q3"; excavator A has so
few orders that its group is the whole year, "excavator A 2006". So its years can be reported as
years, and no record uses orders of another group than its own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from course_utils.gold import read_gold, texts_of
from course_utils.order_fields import closed_set
from course_utils.order_labels import apply_rules
from course_utils.splits import normalise

if TYPE_CHECKING:
    import pandas

YEARLY = ("A",)  # assets whose orders are grouped by year


@dataclass(frozen=True)
class Order:
    """One work order; `cost` in whole AUD, `systems` and `modes` as labelled, `code` PM01..."""

    asset: str
    date: date
    text: str
    code: str
    cost: int
    systems: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return group_name(self.asset, self.date)


def group_name(asset: str, day: date) -> str:
    """Asset and quarter, or asset and year where the asset has few orders."""
    period = f"{day.year}" if asset in YEARLY else f"{day.year}-Q{(day.month + 2) // 3}"
    return f"excavator {asset} {period}"


def read_orders(table: "pandas.DataFrame") -> list[Order]:
    """The orders of a table, by asset and date; rows that repeat an order are one."""
    rows = table.fillna("")
    rows = rows[rows["PMType"].str.fullmatch(r"PM\d\d")]
    labels = {}
    for row in rows.to_dict("records"):
        text = " ".join(row["OriginalShorttext"].split())
        cost = int(Decimal(row["Cost"]).quantize(Decimal(1), ROUND_HALF_UP))
        key = (row["Asset"], date.fromisoformat(row["BscStartDate"]), text, row["PMType"], cost)
        labels[key] = _stated(text)
    orders = [Order(*key, *stated) for key, stated in labels.items()]
    return sorted(orders, key=lambda order: (order.asset, order.date))


def _stated(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Systems and failure modes of a text, in the order of the closed set."""
    found = apply_rules(text)
    systems, modes = (
        tuple(value for value in closed_set()[field] if value in found.get(field, ()))
        for field in ("system", "failure_mode")
    )
    return systems, modes


def without_gold(orders: Iterable[Order], table: "pandas.DataFrame") -> list[Order]:
    """The orders that have not the text of a gold one."""
    gold = {normalise(text) for text in texts_of(read_gold(), table)}
    return [order for order in orders if normalise(order.text) not in gold]


@dataclass(frozen=True)
class Figures:
    """What a report states about some orders; None where a figure is tied or does not exist."""

    orders: int
    cost: int
    codes: dict[str, int]
    systems: dict[str, tuple[int, int]]  # name -> orders, AUD; most orders first
    modes: dict[str, int]
    unnamed: tuple[int, int]  # orders without a system: number, AUD
    free: int
    credits: int
    costs: tuple[int, ...]
    costliest: Order | None
    pm01_dates: tuple[date, ...]  # days with an unplanned order, each once
    between: str | None  # mean number of days from one of them to the next

    @property
    def top_system(self) -> str | None:
        return most({name: count for name, (count, _) in self.systems.items()})

    @property
    def median(self) -> int:
        """Cost of the middle order in whole AUD, of two middle ones the mean, halves up."""
        ordered, middle = sorted(self.costs), len(self.costs) // 2
        two = ordered[middle - 1 + len(ordered) % 2 : middle + 1]
        return int((Decimal(sum(two)) / len(two)).quantize(Decimal(1), ROUND_HALF_UP))

    def above(self, limit: int) -> int:
        """Number of orders that cost more than this many AUD."""
        return sum(cost > limit for cost in self.costs)

    @property
    def dearest(self) -> str | None:
        """The system whose orders cost most together; None where there is none to compare."""
        ranked = sorted((cost, name) for name, (_, cost) in self.systems.items())
        if len(ranked) < 2 or ranked[-1][0] <= 0 or ranked[-1][0] == ranked[-2][0]:
            return None
        return ranked[-1][1]

    @property
    def top_mode(self) -> str | None:
        return most(self.modes)

    def share(self, code: str) -> str:
        """Share of the orders of one type in %, one decimal."""
        return self.share_of(self.codes.get(code, 0))

    def share_of(self, orders: int) -> str:
        """Share of so many orders in %, one decimal."""
        return decimal(100 * orders, self.orders)


def most(counts: dict[str, int]) -> str | None:
    """The name with the largest count; None for a tie, and for a count below 2."""
    ranked = sorted(counts.values(), reverse=True)
    if not ranked or ranked[0] < 2 or ranked[1:2] == ranked[:1]:
        return None
    return max(counts, key=counts.__getitem__)


def decimal(over: int, under: int) -> str:
    """A ratio with one decimal, halves rounded up."""
    return str((Decimal(over) / Decimal(under)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def mean_days_between(days: Iterable[date]) -> str | None:
    """Mean number of days from one distinct date to the next, (last - first) / (dates - 1).

    Of PM01 dates this is no mean time between failures: that counts operating time (IEC
    60050-192), which the orders do not record, and PM01 orders are not all failures ("install new
    lights"). One decimal; None for fewer than three dates.
    """
    distinct = sorted(set(days))
    if len(distinct) < 3:
        return None
    return decimal((distinct[-1] - distinct[0]).days, len(distinct) - 1)


def figures(orders: Sequence[Order]) -> Figures:
    """Counts, costs and times of some orders (at least one), in order of date."""
    systems: dict[str, tuple[int, int]] = {}
    for order in orders:
        for system in order.systems:
            count, cost = systems.get(system, (0, 0))
            systems[system] = (count + 1, cost + order.cost)
    modes = Counter(mode for order in orders for mode in order.modes)
    unnamed = [order.cost for order in orders if not order.systems]
    unplanned = sorted({order.date for order in orders if order.code == "PM01"})
    highest = max(order.cost for order in orders)
    dear = [order for order in orders if order.cost == highest]
    return Figures(
        orders=len(orders),
        cost=sum(order.cost for order in orders),
        codes=dict(sorted(Counter(order.code for order in orders).items())),
        systems=dict(sorted(systems.items(), key=lambda item: (-item[1][0], item[0]))),
        modes=dict(sorted(modes.items(), key=lambda item: (-item[1], item[0]))),
        unnamed=(len(unnamed), sum(unnamed)),
        costs=tuple(order.cost for order in orders),
        free=sum(order.cost == 0 for order in orders),
        credits=-sum(min(order.cost, 0) for order in orders),
        costliest=dear[0] if len(dear) == 1 and highest > 0 else None,
        pm01_dates=tuple(unplanned),
        between=mean_days_between(unplanned),
    )
