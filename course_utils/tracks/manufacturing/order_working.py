"""Maintenance reports with their working: from the orders themselves, line by line, to a finding.

A small model computes only what it writes, so each sum is a chain of single additions and each
share names both of its numbers. The sentences: data/wordings/manufacturing/order_working.yaml.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from course_utils.tracks.manufacturing.order_items import Items, money
from course_utils.tracks.manufacturing.order_periods import Period, noun
from course_utils.tracks.manufacturing.orders import Figures, Order, decimal
from course_utils.tracks.wording import Realiser, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_working")
FROM_TOTAL = ("mean", "top share")  # bring their additions along where no total stands above
FINDINGS = ("system share", "mode share", "unplanned")
TIMES = {2: "twice", 3: "three times", 4: "four times"}


def write_working(say: Realiser, period: Period, what: Figures, items: Items) -> str:
    """A line for each item, in the order in which it was asked for, and the finding."""
    values = _values(period, what)
    lines = []
    totalled = False
    for item in items:
        wordings = SAY[item]
        if item in FROM_TOTAL:
            wordings = wordings["after total" if totalled else "alone"]
        totalled |= item in ("cost", *FROM_TOTAL)
        lines.append(say(item, wordings, **values))
    finding = next((item for item in FINDINGS if item in items), "cost")
    return "\n".join([*lines, say("finding", SAY["finding"][finding], **values)])


def _values(period: Period, what: Figures) -> dict[str, str]:
    """What the wordings are filled with."""
    orders, unplanned = period.orders, what.codes.get("PM01", 0)
    values = {
        "orders": str(what.orders),
        "chain": chain([order.cost for order in orders if order.cost]),
        "cost": str(what.cost),
        "mean": money(what.cost, what.orders),
        "top": str(max(order.cost for order in orders)),
        "top_share": decimal(100 * max(order.cost for order in orders), what.cost),
        "unplanned_orders": str(unplanned),
        "unplanned": what.share("PM01"),
        "free": str(what.free),
        "free_share": what.share_of(what.free),
        "free_dates": _dates(order.date for order in orders if not order.cost),
        "who": period.subject,
        "during": period.during,
    }
    if what.between:
        first, last = what.pm01_dates[0], what.pm01_dates[-1]
        values |= {
            "pm01_dates": str(len(what.pm01_dates)),
            "steps": str(len(what.pm01_dates) - 1),
            "first": str(first),
            "last": str(last),
            "days": str((last - first).days),
            "between": what.between,
        }
    if what.top_system:
        values |= {"system": noun(what.top_system)}
        values |= _named("system", [o for o in orders if what.top_system in o.systems], what)
    if what.top_mode:
        values |= {"mode": what.top_mode.lower()}
        values |= _named("mode", [o for o in orders if what.top_mode in o.modes], what)
    return values


def _named(name: str, orders: Sequence[Order], what: Figures) -> dict[str, str]:
    return {
        f"{name}_orders": str(len(orders)),
        f"{name}_dates": _dates(order.date for order in orders),
        f"{name}_share": what.share_of(len(orders)),
    }


def _dates(days: Iterable[date]) -> str:
    """The dates of some orders, "2004-03-01, 2004-03-05 twice and 2004-03-20"."""
    counts = Counter(days)
    return listing(
        [f"{day} {TIMES.get(n, f'{n} times')}" if n > 1 else str(day) for day, n in counts.items()]
    )


def chain(costs: Sequence[int]) -> str:
    """Sums of two numbers at a time: [100, 251, -50] is "100 + 251 = 351, 351 - 50 = 301"."""
    steps, total = [], costs[0]
    for cost in costs[1:]:
        sign = "-" if cost < 0 else "+"
        steps.append(f"{total} {sign} {abs(cost)} = {total + cost}")
        total += cost
    return ", ".join(steps) or str(total)
