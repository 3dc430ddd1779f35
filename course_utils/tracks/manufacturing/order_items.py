"""What a report on work orders may be asked for: items, and the facts that each must state.

Names that stand beside the right one in the same input are the others of its fact. Two items that
name systems are never asked for together: the right name of one may be a wrong one of the other.
"""

import random
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from course_utils.facts import ALSO, Fact
from course_utils.tracks.manufacturing.order_periods import Period, months_of
from course_utils.tracks.manufacturing.orders import Figures, decimal, most

DAYS, MONEY, SHARE = "days", "AUD", "%"
NAMES_SYSTEMS = ("system", "dearest", "watch")
# What is found by comparing.
NAMING = (*NAMES_SYSTEMS, "mode", "busiest", "costliest", "system share", "mode share")
WATCHED = 20  # % of the orders from which a system stands on the watch list

Items = dict[str, list[Fact]]


def items_given(period: Period, what: Figures) -> Items:
    """What a sheet of figures answers in one way only; no ties."""
    items = {"orders": [counted("number of orders", what.orders)]} | _totals(what)
    if planned := what.codes.get("PM02"):
        items["planned"] = [counted("planned change-outs", planned)]
    if what.costliest:
        items["costliest"] = [Fact("highest cost", str(what.costliest.cost), MONEY)]
    if what.free > 1:
        items["free"] = [counted("orders at no cost", what.free)]
    if what.top_mode and len(what.modes) > 1:
        count = counted("orders of that mode", what.modes[what.top_mode])
        items["mode"] = [_first("most frequent failure mode", what.top_mode, what.modes), count]
    if what.top_system and len(what.systems) > 1:
        count = counted("orders of that system", what.systems[what.top_system][0])
        items["system"] = [_first("most frequent system", what.top_system, what.systems), count]
    if dearest := what.dearest:
        cost = Fact("cost of that system", str(what.systems[dearest][1]), MONEY)
        items["dearest"] = [_first("costliest system", dearest, what.systems), cost]
    watched = [name for name in what.systems if is_watched(what, name)]
    if 0 < len(watched) < len(what.systems):
        others = tuple(name for name in what.systems if name not in watched)
        items["watch"] = [Fact("watch list", ALSO.join(watched), others=others)]
    months = months_of(period)
    if len(months) > 1 and (busiest := most(months)):
        count = counted("orders of that month", months[busiest])
        items["busiest"] = [_first("busiest month", busiest, months), count]
    return items


def items_computed(period: Period, what: Figures) -> Items:
    """What a report can compute from the orders themselves, one following from another.

    Shares instead of counts: of few orders, a small count would be right by chance too often.
    """
    items = _totals(what)
    if what.costliest:
        share = decimal(100 * what.costliest.cost, what.cost)
        items["top share"] = [Fact("share of the costliest order", share, SHARE)]
    if what.free:
        items["free share"] = [Fact("share at no cost", what.share_of(what.free), SHARE)]
    if what.top_system and len(what.systems) > 1 and not period.system:
        share = Fact("share of that system", what.share_of(what.systems[what.top_system][0]), SHARE)
        first = _first("most frequent system", what.top_system, what.systems)
        items["system share"] = [first, share]
    if what.top_mode and len(what.modes) > 1:
        share = Fact("share of that mode", what.share_of(what.modes[what.top_mode]), SHARE)
        first = _first("most frequent failure mode", what.top_mode, what.modes)
        items["mode share"] = [first, share]
    return items


def _totals(what: Figures) -> Items:
    """Figures of all orders that either kind of report may be asked for."""
    items = {
        "cost": [Fact("total cost", str(what.cost), MONEY)],
        "mean": [Fact("mean cost", money(what.cost, what.orders), MONEY)],
    }
    if what.share("PM01") != "100.0":
        items["unplanned"] = [Fact("share unplanned", what.share("PM01"), SHARE)]
    if what.between:
        items["between"] = [Fact("mean days between PM01 dates", what.between, DAYS)]
    return items


def is_watched(what: Figures, system: str) -> bool:
    """Whether at least WATCHED % of the orders name the system."""
    return 100 * what.systems[system][0] >= WATCHED * what.orders


def _first(name: str, value: str, all_names: Iterable[str]) -> Fact:
    """The name that comes first, with the others of the input as its rivals."""
    return Fact(name, value, others=tuple(other for other in all_names if other != value))


def counted(name: str, n: int) -> Fact:
    """A number of work orders."""
    return Fact(name, str(n), "work order" if n == 1 else "work orders")


def choose_items(rng: random.Random, possible: Items, least: int) -> Items:
    """Some of the items with at most 6 facts together; one that is found by comparing comes first.

    Empty where there are not `least` facts.
    """
    names = list(possible)
    rng.shuffle(names)
    names.sort(key=lambda name: name != next((one for one in names if one in NAMING), ""))
    wanted = rng.choice((least, 5, 5, 6))
    chosen: Items = {}
    for name in names:
        room = wanted - sum(map(len, chosen.values()))
        if name in NAMES_SYSTEMS and any(other in chosen for other in NAMES_SYSTEMS):
            continue
        if len(possible[name]) <= room:
            chosen[name] = possible[name]
    return chosen if sum(map(len, chosen.values())) >= least else {}


def money(cost: int, orders: int) -> str:
    """Cost per order in whole AUD, halves rounded away from zero."""
    return str((Decimal(cost) / orders).quantize(Decimal(1), ROUND_HALF_UP))
