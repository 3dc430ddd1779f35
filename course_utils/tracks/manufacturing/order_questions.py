"""Questions that some work orders answer in one way only.

The sentences: data/wordings/manufacturing/order_questions.yaml.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from course_utils.facts import Fact, format_facts
from course_utils.records import normalise
from course_utils.tracks.manufacturing.order_periods import MANY, noun, periods
from course_utils.tracks.manufacturing.order_sheets import draft, show_figures, show_orders
from course_utils.tracks.manufacturing.orders import Figures, Order, decimal, figures
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_questions")


@dataclass(frozen=True)
class Question:
    """A question with exactly one answer: its kind, the words to fill in, and the facts."""

    kind: str
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
NO_THING = re.compile(
    r"\b(and|with|for|the|from|not|out|all|new|that|off|has|per|leak\w*|faults?|damage|system|broken"
    r"|worn|cracks?|cracked|missing|loose|hand|side|stop|down|problem|some|various|under|near"
    r"|around|into|due|hrs|please|on|in|at|to|of|completed|warranty|text|see|repairs?|done"
    r"|lost|chipped|mis\w*|split|bent|charging|lts|defects|error|one|both|circuit|blown|ryco|dungs"
    r"|dipstik|snsor|rhs|lhs|right|left|first|com|comm)\b"
)


def questions(orders: Sequence[Order]) -> list[Question]:
    """Every question that these orders answer in one way only."""
    what = figures(orders)
    asked = _about_systems(orders, what) + _about_modes(orders, what)
    asked += _about_costs(orders, what) + _about_dates(orders) + _about_work(orders)
    return asked


def _counted(n: int) -> tuple[str, Fact]:
    """A number of orders as words and as the fact that the answer must state."""
    unit = "work order" if n == 1 else "work orders"
    return f"{n} {unit}", Fact("answer", str(n), unit)


def _about_systems(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for system, (n, cost) in what.systems.items():
        count, counted = _counted(n)
        last = str(max(order.date for order in orders if system in order.systems))
        share = decimal(100 * n, what.orders)
        values = {"label": system, "system": f"the {noun(system)}", "count": count, "date": last}
        values |= {"System": f"The {noun(system)}", "cost": str(cost), "share": share}
        values |= {"number": str(n), "orders": str(what.orders)}
        found = {"count system": counted, "latest": Fact("answer", last)}
        if n < what.orders:
            found["share"] = Fact("answer", share, "%")
        if n > 1:
            found["cost system"] = Fact("answer", str(cost), "AUD")
        asked += [Question(kind, values, (fact,)) for kind, fact in found.items()]
        if system == what.top_system:
            facts = (Fact("answer", system), Fact("occurrences", *count.split(" ", 1)))
            asked.append(Question("top system", values, facts))
    return asked


def _about_modes(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for mode, n in what.modes.items():
        count, counted = _counted(n)
        days = [order.date for order in orders if mode in order.modes]
        between = (max(days) - min(days)).days
        values = {"mode": mode, "count": count, **_span(min(days), max(days))}
        asked.append(Question("count mode", values, (counted,)))
        if between > 1:
            asked.append(Question("gap", values, (Fact("answer", str(between), "d"),)))
        if mode == what.top_mode:
            facts = (Fact("answer", mode), Fact("occurrences", *count.split(" ", 1)))
            asked.append(Question("top mode", values, facts))
    return asked


def _span(begin: date, end: date) -> dict[str, str]:
    days = f"{(end - begin).days} days"
    return {"begin": str(begin), "end": str(end), "days": days}


def _about_costs(orders: Sequence[Order], what: Figures) -> list[Question]:
    total = {"cost": str(what.cost), "orders": str(what.orders)}
    asked = [Question("cost all", total, (Fact("answer", str(what.cost), "AUD"),))]
    top = what.costliest
    if top and re.match(r"[A-Za-z]", top.text):
        text = top.text.rstrip(" .,")
        values = {"order": text, "date": str(top.date), "cost": str(top.cost)}
        facts = (Fact("answer", text), Fact("cost", str(top.cost), "AUD"))
        asked.append(Question("costliest", values, facts))
    if what.free:
        count, counted = _counted(what.free)
        asked.append(Question("free", {"count": count}, (counted,)))
    for limit in (100, 250, 500, 1000, 2000, 5000):
        above = sum(order.cost > limit for order in orders)
        if 0 < above < len(orders):
            count, counted = _counted(above)
            asked.append(Question("above", {"count": count, "limit": str(limit)}, (counted,)))
    return asked + _between_systems(what)


def _between_systems(what: Figures) -> list[Question]:
    """The dearest system, and the two dearest compared; not where two cost the same."""
    ranked = sorted(((cost, name) for name, (_, cost) in what.systems.items()), reverse=True)
    if len(ranked) < 2 or ranked[0][0] == ranked[1][0]:
        return []
    (cost, first), (less, second) = ranked[:2]
    values = {"system": f"the {noun(first)}", "System": f"The {noun(first)}", "cost": str(cost)}
    facts = (Fact("answer", first), Fact("cost", str(cost), "AUD"))
    asked = [Question("dearest", values, facts)]
    if less > 0:
        names = {"first": f"the {noun(first)}", "second": f"the {noun(second)}"}
        values = names | {"First": capital(names["first"]), "difference": str(cost - less)}
        values |= {"first_cost": str(cost), "second_cost": str(less)}
        fact = Fact("answer", str(cost - less), "AUD")
        asked.append(Question("difference", values, (fact,)))
    return asked


def _about_dates(orders: Sequence[Order]) -> list[Question]:
    days = sorted({order.date for order in orders})
    between = (days[-1] - days[0]).days
    asked = []
    if between > 1:
        values = _span(days[0], days[-1])
        asked.append(Question("span", values, (Fact("answer", str(between), "d"),)))
    gaps = sorted(((b - a).days, a, b) for a, b in zip(days, days[1:], strict=False))
    if len(gaps) > 1 and gaps[-1][0] > max(1, gaps[-2][0]):
        length, begin, end = gaps[-1]
        fact = Fact("answer", str(length), "d")
        asked.append(Question("longest", _span(begin, end), (fact,)))
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
        values = {
            "thing": thing,
            "done": done,
            "Done": capital(done),
            "date": str(order.date),
            "order": order.text,
        }
        values |= {"was": "were" if plural else "was", "Was": "Were" if plural else "Was"}
        facts = (Fact("answer", done), Fact("date", str(order.date)))
        asked.append(Question("done", values, facts))
    return asked


# Kinds that a table of figures answers too.
FROM_FIGURES = {
    *("count system", "share", "cost system", "top system", "count mode", "top mode"),
    *("costliest", "dearest", "difference"),
}


def qa_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """One question for each extract of 5 to 10 orders, and for some months one on the figures.

    Of the questions that an extract answers, one of the kind asked least so far is taken.
    """
    asked: Counter = Counter()
    drafts = []
    for number, extract in enumerate(extracts(orders, random.Random(f"{seed} extracts"))):
        rng = random.Random(f"{seed} qa {number}")
        say = Realiser(rng, "qa")
        question = _least_asked(rng, asked, questions(extract))
        name, _, period = extract[0].group.rpartition(" ")
        names = {"name": name, "Name": capital(name), "period": period}
        body = show_orders(say, say("title", SAY["title"], **names), extract, with_system=True)
        drafts.append(_qa_draft(say, question, body, extract[0]))
    months = [p for p in periods(orders) if len(p.orders) > MANY and p.length != "half"]
    for number, period in enumerate(months):
        rng = random.Random(f"{seed} qa figures {number}")
        what = figures(period.orders)
        possible = [q for q in questions(period.orders) if q.kind in FROM_FIGURES]
        if len(what.systems) <= 5 and len(what.modes) <= 4 and possible:
            say = Realiser(rng, "qa")
            body = show_figures(say, period, what)
            question = _least_asked(rng, asked, possible)
            drafts.append(_qa_draft(say, question, body, period.orders[0]))
    return drafts


def extracts(orders: Sequence[Order], rng: random.Random) -> list[list[Order]]:
    """Runs of 5 to 10 consecutive orders of one group; they overlap by about half."""
    members: dict[str, list[Order]] = {}
    for order in orders:
        members.setdefault(order.group, []).append(order)
    runs = []
    for own in members.values():
        start = 0
        while start + 5 <= len(own):
            run = own[start : start + rng.randint(5, 10)]
            runs.append(run)
            start += rng.randint(3, 5)
    return runs


def _least_asked(rng: random.Random, asked: Counter, possible: list[Question]) -> Question:
    fewest = min(asked[question.kind] for question in possible)
    question = rng.choice([q for q in possible if asked[q.kind] == fewest])
    asked[question.kind] += 1
    return question


def _qa_draft(say: Realiser, question: Question, body: str, order: Order) -> Draft:
    kind, words = question.kind, SAY[question.kind]
    text = say(f"{kind}?", words["asked"], **question.values)
    instruction = say("frame", SAY["frame"], question=text)
    answer = capital(say(f"{kind}=", words["answers"], **question.values))
    return draft(say, "qa", instruction, body, answer, format_facts(question.facts), order)
