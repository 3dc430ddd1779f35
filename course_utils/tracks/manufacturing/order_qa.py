"""Records of questions on work orders: which is asked of which orders, in which words.

The sentences: data/wordings/manufacturing/order_questions.yaml.
"""

import random
from collections import Counter
from collections.abc import Sequence

from course_utils.facts import format_facts
from course_utils.tracks.manufacturing.order_periods import MANY, periods
from course_utils.tracks.manufacturing.order_questions import (
    FROM_FIGURES,
    NAME,
    NUMBER,
    REASON,
    SENTENCE,
    Question,
    questions,
)
from course_utils.tracks.manufacturing.order_sheets import (
    LONGEST,
    draft,
    show_figures,
    show_orders,
    tokens_about,
)
from course_utils.tracks.manufacturing.orders import Order, figures
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_questions")
RECKONED = ("share", "mean", "unplanned", "mostly unplanned")  # need the rules of the sheet
# Records with one and the same answer, at most: none is worth guessing.
SAME_ANSWER = {NUMBER: 15, NAME: 9, REASON: 7, SENTENCE: 1}


class Chooser:
    """Takes, of the questions that orders answer, one of the kind asked least so far."""

    def __init__(self) -> None:
        self.kinds: Counter = Counter()
        self.answers: Counter = Counter()

    def __call__(self, rng: random.Random, possible: Sequence[Question]) -> Question | None:
        """None where each possible answer was given often enough."""
        open_ = [one for one in possible if self.answers[_right(one)] < SAME_ANSWER[one.form]]
        if not open_:
            return None
        fewest = min(self.kinds[one.kind] for one in open_)
        question = rng.choice([one for one in open_ if self.kinds[one.kind] == fewest])
        self.kinds[question.kind] += 1
        self.answers[_right(question)] += 1
        return question


def _right(question: Question) -> tuple[tuple[str, str], ...]:
    """What the answer states, whatever stands beside it in the input."""
    return tuple((fact.value, fact.unit) for fact in question.facts)


def qa_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """One question for each extract of 5 to 10 orders, and one on the figures of busy months."""
    choose = Chooser()
    drafts = []
    for number, extract in enumerate(extracts(orders, random.Random(f"{seed} extracts"))):
        rng = random.Random(f"{seed} qa {number}")
        if question := choose(rng, questions(extract)):
            drafts.append(_on_orders(Realiser(rng, "qa"), question, extract))
    months = [p for p in periods(orders) if len(p.orders) > MANY and p.length != "half"]
    for number, period in enumerate(months):
        rng = random.Random(f"{seed} qa figures {number}")
        possible = [one for one in questions(period.orders) if one.kind in FROM_FIGURES]
        if question := choose(rng, possible):
            say = Realiser(rng, "qa")
            body = show_figures(say, period, figures(period.orders), ())
            drafts.append(_record(say, question, body, period.orders[0]))
    return [one for one in drafts if tokens_about(one.record) <= LONGEST]


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


def _on_orders(say: Realiser, question: Question, orders: Sequence[Order]) -> Draft:
    name, _, period = orders[0].group.rpartition(" ")
    names = {"name": name, "Name": capital(name), "period": period}
    title = say("title", SAY["title"], **names)
    rules = question.kind in RECKONED
    return _record(say, question, show_orders(say, title, orders, rules=rules), orders[0])


def _record(say: Realiser, question: Question, body: str, order: Order) -> Draft:
    kind, words = question.kind, SAY[question.kind]
    asked = say(f"{kind}?", words["asked"], **question.values)
    form = say("form", SAY["forms"][question.form])
    instruction = say("frame", SAY["frame"], question=asked, form=form)
    answer = say(f"{kind}=", words["answers"], **question.values)
    texts = (instruction, body, capital(answer))
    return draft(say, "qa", question.form, texts, format_facts(question.facts), order)
