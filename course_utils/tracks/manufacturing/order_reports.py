"""Maintenance reports, in two forms: from the orders with the working, or from figures given.

Few orders are listed and the report computes (order_working.py); of many, the figures are given,
and the report chooses what was asked for among them, words it, and says which name comes first.
The sentences: data/wordings/manufacturing/order_reports.yaml.
"""

import random
from collections.abc import Iterable, Sequence

from course_utils.facts import Fact, format_facts
from course_utils.tracks.manufacturing.order_items import (
    MONEY,
    NAMES_SYSTEMS,
    Items,
    choose_items,
    items_computed,
    items_given,
)
from course_utils.tracks.manufacturing.order_periods import MANY, Period, noun, periods
from course_utils.tracks.manufacturing.order_sheets import (
    LONGEST,
    draft,
    show_figures,
    show_orders,
    title,
    tokens_about,
)
from course_utils.tracks.manufacturing.order_working import write_working
from course_utils.tracks.manufacturing.orders import Figures, Order, figures
from course_utils.tracks.wording import Draft, Realiser, capital, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_reports")
WORKING, GIVEN = "working shown", "figures given"
LEAST = {WORKING: 3, GIVEN: 4}  # facts
# The order in which a report computes: what follows from the total comes after it.
IN_ORDER = (
    *("cost", "mean", "top share", "unplanned", "free share", "between", "system share"),
    "mode share",
)


def report_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """A report for each period that gives enough facts and fits."""
    drafts = (report_draft(seed, i, period) for i, period in enumerate(periods(orders)))
    return [draft for draft in drafts if draft]


def report_draft(seed: int, number: int, period: Period) -> Draft | None:
    """One report, or None where nothing fits into LONGEST (sixteen choices are tried)."""
    what = figures(period.orders)
    if what.cost <= 0:
        return None
    form = GIVEN if len(period.orders) > MANY else WORKING
    possible = (items_given if form == GIVEN else items_computed)(period, what)
    for attempt in range(16):
        rng = random.Random(f"{seed} report {number} {attempt}")
        items = choose_items(rng, possible, LEAST[form])
        if not items:
            continue
        write = write_given if form == GIVEN else write_shown
        texts = write(say := Realiser(rng, f"report/{form}"), period, what, items)
        told = format_facts(fact for facts in items.values() for fact in facts)
        made = draft(say, "report", form, texts, told, period.orders[0])
        if tokens_about(made.record) <= LONGEST:
            return made
    return None


def write_shown(say: Realiser, period: Period, what: Figures, items: Items) -> tuple[str, str, str]:
    """Instruction, listed orders, and a report that computes."""
    items = {name: items[name] for name in IN_ORDER if name in items}
    demand = _demand(say, period, items)
    form = say("working", SAY["working"])
    body = show_orders(say, title(period), period.orders, with_system=not period.system)
    return f"{demand} {form}", body, write_working(say, period, what, items)


def write_given(say: Realiser, period: Period, what: Figures, items: Items) -> tuple[str, str, str]:
    """Instruction, a sheet of figures, and a report that chooses and words."""
    items = {name: items[name] for name in say.order("items", list(items))}
    shape = say("shape", list(SAY["shapes"]))
    demand = _demand(say, period, items)
    form = say("given", SAY["given"])
    look = say(f"look {shape}", SAY["shapes"][shape])
    body = show_figures(say, period, what, items)
    return f"{demand} {form} {look}", body, _word(say, period, what, items, shape)


def _demand(say: Realiser, period: Period, items: Iterable[str]) -> str:
    names = [say(f"?{item}", SAY[item]["wanted"]) for item in items]
    texts = {"subject": period.subject, "label": period.label, "wanted": listing(names)}
    return say("demand", SAY["request"], **texts)


def _word(say: Realiser, period: Period, what: Figures, items: Items, shape: str) -> str:
    """The report in one of four shapes; items in the order in which they were asked for."""
    common = {"who": period.subject, "during": period.during, "label": period.label}
    common |= {"date": str(what.costliest.date)} if what.costliest else {}
    money = say("money", SAY["money"], amount="{}")  # filled in item by item
    case = "listed" if shape == "bullets" else "told"
    told = []
    for item, facts in items.items():
        values = _capitals(common | _spoken(item, facts, money))
        told.append(say(item, SAY[item][case], **values))
    if shape == "prose":
        return " ".join(told)
    heading = capital(say("title", SAY["title"], **_capitals(common)))
    if shape == "memo":
        return f"{SAY.phrase('memo_subject', title=heading)}\n{' '.join(told)}"
    marks = ["-"] * len(told) if shape == "bullets" else [f"{i + 1}." for i in range(len(told))]
    lines = (f"{mark} {line}" for mark, line in zip(marks, told, strict=True))
    return "\n".join([heading, *lines])


def _spoken(item: str, facts: Sequence[Fact], money: str) -> dict[str, str]:
    """The name and the number of an item, as they are put into a sentence."""
    values = {}
    for fact in facts:
        if fact.number is not None:
            number = money.format(fact.value) if fact.unit == MONEY else f"{fact.value} {fact.unit}"
            values["number"] = number
        elif item in NAMES_SYSTEMS:
            values["name"] = listing([f"the {noun(name)}" for name in fact.values])
        else:
            values["name"] = fact.value.lower() if item == "mode" else fact.value
    return values


def _capitals(values: dict[str, str]) -> dict[str, str]:
    """Who, During and Name beside who, during and name: these begin sentences too."""
    return values | {name.capitalize(): capital(text) for name, text in values.items()}
