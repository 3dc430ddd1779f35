"""Questions that some work orders answer in one way only.

Each kind has one form of answer (schemas.QUESTION_FORMS), which the instruction announces.
order_qa.py makes records of them; the sentences: data/wordings/manufacturing/order_questions.yaml.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from course_utils.facts import ALSO, Fact
from course_utils.splits import normalise
from course_utils.tracks.manufacturing.order_items import counted, money
from course_utils.tracks.manufacturing.order_periods import noun
from course_utils.tracks.manufacturing.orders import Figures, Order, decimal, figures
from course_utils.tracks.wording import capital

NUMBER, NAME, REASON, SENTENCE = (
    "number and unit only",
    "name only",
    "yes or no, then the reason",
    "one sentence",
)


@dataclass(frozen=True)
class Question:
    """A question with exactly one answer: its kind, form, the words to fill in, and the facts."""

    kind: str
    form: str
    values: dict[str, str]
    facts: tuple[Fact, ...]


# An order that says nothing but "replace/repair THING", so that the answer is in the text.
SIDES = r"l/h|r/h|lh|rh|lhs|rhs|left|right|hand|u/s|broken|faulty|blown|cracked|worn|damaged"
DONE = re.compile(
    rf"(?P<verb>replaced?|change ?out|repair|fix|swap|reweld|weld) (?:(?:{SIDES}) )*"
    r"(?P<thing>[a-z]{3,}(?: [a-z]{3,}){0,2})[. ]*",
    re.IGNORECASE,
)
VERBS = {"repair": "repaired", "fix": "repaired", "reweld": "rewelded", "weld": "welded"}
DEEDS = ("replaced", "repaired", "welded", "rewelded")
NO_THING = re.compile(
    r"\b(and|with|for|the|from|not|out|all|new|that|off|has|per|leak\w*|faults?|damage|system|broken"
    r"|worn|cracks?|cracked|missing|loose|hand|side|stop|down|problem|some|various|under|near"
    r"|around|into|due|hrs|please|on|in|at|to|of|completed|warranty|text|see|repairs?|done"
    r"|lost|chipped|mis\w*|split|bent|charging|lts|defects|error|one|both|circuit|blown|ryco|dungs"
    r"|dipstik|snsor|rhs|lhs|right|left|first|com|comm)\b"
)
# The text of an order in which the date or cost beside it would read as denied.
DENIES = re.compile(r"\b(?:no|nor|not|none|never|without|cannot|hardly)\b|n't", re.IGNORECASE)
COSTS = (100, 250, 500, 1000, 2000, 5000)  # AUD, the limits that are asked about
TOTALS = (1000, 2000, 5000, 10000, 20000, 50000)


def questions(orders: Sequence[Order]) -> list[Question]:
    """Every question that these orders answer in one way only, a name only among others."""
    what = figures(orders)
    asked = _about_systems(orders, what) + _about_modes(orders, what) + _about_costs(orders, what)
    asked += _compared(what) + _about_dates(orders) + _about_work(orders)
    return [one for one in asked if one.form != NAME or one.facts[0].others]


def _name(kind: str, right: str, names: Sequence[str], **values: str) -> Question:
    """A question whose answer is one of the names that stand in the same input."""
    others = tuple(name for name in dict.fromkeys(names) if name not in right.split(ALSO))
    values |= {"name": right.replace(ALSO, "; ")}
    return Question(kind, NAME, values, (Fact("answer", right, others=others),))


def _number(kind: str, fact: Fact, **values: str) -> Question:
    return Question(kind, NUMBER, values | {"number": f"{fact.value} {fact.unit}"}, (fact,))


def _about_systems(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for system, (n, cost) in what.systems.items():
        last = max(order.date for order in orders if system in order.systems)
        asked += [
            _number("count system", counted("answer", n), label=system),
            _name("latest", str(last), [str(order.date) for order in orders], label=system),
        ]
        if n < what.orders:
            share = Fact("answer", decimal(100 * n, what.orders), "%")
            asked.append(_number("share", share, label=system))
        if n > 1:
            asked.append(_number("cost system", Fact("answer", str(cost), "AUD"), label=system))
        own = [order for order in orders if system in order.systems and order.date == last]
        if len(own) == 1 and n > 1 and not DENIES.search(own[0].text):
            asked.append(_latest(system, own[0], orders))
    if what.top_system and len(what.systems) > 1:
        asked.append(_name("top system", what.top_system, list(what.systems)))
    again = [name for name, (n, _) in what.systems.items() if n > 1]
    if 1 < len(again) < len(what.systems):
        asked.append(_name("again", ALSO.join(again), list(what.systems)))
    return asked


def _latest(system: str, order: Order, orders: Sequence[Order]) -> Question:
    values = {"system": f"the {noun(system)}", "date": str(order.date), "order": plain(order.text)}
    return Question("latest order", SENTENCE, values, (_date(order.date, orders),))


def _date(day: date, orders: Sequence[Order]) -> Fact:
    others = sorted({str(order.date) for order in orders} - {str(day)})
    return Fact("date", str(day), others=tuple(others))


def plain(text: str) -> str:
    """The text of an order inside a sentence: without a stop at its end."""
    return text.rstrip(" .,")


def _about_modes(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for mode, n in what.modes.items():
        days = [order.date for order in orders if mode in order.modes]
        between = (max(days) - min(days)).days
        asked.append(_number("count mode", counted("answer", n), mode=mode))
        if between > 1:
            asked.append(_number("gap", Fact("answer", str(between), "days"), mode=mode))
    if what.top_mode and len(what.modes) > 1:
        asked.append(_name("top mode", what.top_mode, list(what.modes)))
    return asked


def _about_costs(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = [
        _number("cost all", Fact("answer", str(what.cost), "AUD")),
        _number("mean", Fact("answer", money(what.cost, what.orders), "AUD")),
    ]
    if what.share("PM01") != "100.0":
        asked.append(_number("unplanned", Fact("answer", what.share("PM01"), "%")))
    top = what.costliest
    if top:
        days = [str(order.date) for order in orders]
        asked.append(_name("costliest", str(top.date), days))
    if top and re.match(r"[A-Za-z]", top.text) and not DENIES.search(top.text):
        values = {"order": plain(top.text), "date": str(top.date), "cost": str(top.cost)}
        facts = (Fact("cost", str(top.cost), "AUD"), _date(top.date, orders))
        asked.append(Question("costliest order", SENTENCE, values, facts))
    if what.free:
        asked.append(_number("free", counted("answer", what.free)))
    for limit in COSTS:
        if 0 < what.above(limit) < len(orders):
            fact = counted("answer", what.above(limit))
            asked.append(_number("above", fact, limit=str(limit)))
    return asked


def _compared(what: Figures) -> list[Question]:
    """Yes or no: two systems, or all orders and a limit; and the dearest system."""
    asked = []
    names = list(what.systems)
    for first in names:
        for second in names:
            (n, cost), (m, less) = what.systems[first], what.systems[second]
            both = {"first": first, "second": second}
            if n != m:
                facts = (counted("first", n), counted("second", m))
                asked.append(_yes("more often", n > m, facts, **both))
            if cost != less and first != second:
                facts = (Fact("first", str(cost), "AUD"), Fact("second", str(less), "AUD"))
                asked.append(_yes("cost more", cost > less, facts, **both))
                if cost > less > 0:
                    fact = Fact("answer", str(cost - less), "AUD")
                    asked.append(_number("difference", fact, **both))
    if what.dearest:
        asked.append(_name("dearest", what.dearest, names))
    total = Fact("total", str(what.cost), "AUD")
    near = sorted(TOTALS, key=lambda limit: abs(limit - what.cost))[:2]  # no giveaway
    asked += [_yes("budget", what.cost > limit, (total,), limit=str(limit)) for limit in near]
    share = Fact("share", what.share("PM01"), "%")
    for limit in (80, 90):
        if what.share("PM01") not in (f"{limit}.0", "100.0"):
            more = 100 * what.codes.get("PM01", 0) > limit * what.orders
            asked.append(_yes("mostly unplanned", more, (share,), limit=str(limit)))
    return asked


def _yes(kind: str, holds: bool, reasons: tuple[Fact, ...], **values: str) -> Question:
    right, wrong = ("yes", "no") if holds else ("no", "yes")
    told = {fact.name: f"{fact.value} {fact.unit}" for fact in reasons}
    told = {f"{name}_figure": text for name, text in told.items()}
    values |= told | {"answer": capital(right)}
    return Question(kind, REASON, values, (Fact("answer", right, others=(wrong,)), *reasons))


def _about_dates(orders: Sequence[Order]) -> list[Question]:
    days = sorted({order.date for order in orders})
    between = (days[-1] - days[0]).days
    asked = []
    if between > 1:
        fact = Fact("answer", str(between), "days")
        asked.append(_number("span", fact))
        facts = (Fact("span", str(between), "days"),)
        for limit in (7, 14, 28):
            if abs(between - limit) in range(1, 8):
                asked.append(_yes("long", between > limit, facts, limit=str(limit)))
    gaps = sorted((b - a).days for a, b in zip(days, days[1:], strict=False))
    if len(gaps) > 1 and gaps[-1] > 1:
        asked.append(_number("longest", Fact("answer", str(gaps[-1]), "days")))
    return asked


def _about_work(orders: Sequence[Order]) -> list[Question]:
    """What was done to a thing; asked where one order alone speaks of it, and says it plainly."""
    asked = []
    for order in orders:
        match = DONE.fullmatch(order.text)
        thing = match["thing"].lower() if match else ""
        if not thing or NO_THING.search(thing):
            continue
        others = " ".join(normalise(other.text) for other in orders if other is not order)
        if any(word.rstrip("s") in others for word in thing.split()):
            continue
        done = VERBS.get(match["verb"].lower(), "replaced")
        plural = thing.endswith("s") and not thing.endswith("ss")
        be = "were" if plural else "was"
        values = {"thing": thing, "be": be, "Be": capital(be)}
        asked.append(_name("done", done, DEEDS, **values))
        facts = (
            Fact("done", done, others=tuple(deed for deed in DEEDS if deed != done)),
            _date(order.date, orders),
        )
        told = values | {"done": done, "date": str(order.date)}
        asked.append(Question("done when", SENTENCE, told, facts))
    return asked


# Kinds that a table of figures answers too.
FROM_FIGURES = {
    *("count system", "share", "cost system", "top system", "again", "count mode", "top mode"),
    *("dearest", "difference", "more often", "cost more", "budget", "mostly unplanned"),
}
