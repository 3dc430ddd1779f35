"""The held-out task: multiple choice made from the qa records of the test part."""

import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from course_utils.errors import CourseError
from course_utils.facts import Fact, parse_facts, to_number
from course_utils.scoring import is_yes_or_no
from course_utils.units import known_unit

NEIGHBOURS = 12  # distractors are drawn from the answers to this many questions of like wording

# Where too few answers share a unit: the right number times these, in an order drawn by the seed.
FACTORS = (0.5, 0.75, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class _Answered:
    """A question of the test part with the one fact that answers it."""

    question: str
    fact: Fact
    document: str
    group: str

    @property
    def text(self) -> str:
        return self.fact.right

    @property
    def kind(self) -> str:
        """Answers of one kind can stand in for each other: numbers of one unit, or names."""
        if self.fact.number is None:
            return f"name in {self.document}"
        return f"number {known_unit(self.fact.unit) or self.fact.unit}"


def manufacturing_questions(
    records: Iterable[Mapping[str, str]], seed: int = 42
) -> list[dict[str, Any]]:
    """Multiple choice out of qa records whose answer is one fact: the answer and 3 distractors.

    Distractors are answers to other questions of the test part, of like wording and the same unit
    (numbers) or the same kind of document (names, and then from another group, because questions
    about one failure may have the same answer in other words). Where fewer than three numbers
    share a unit, the missing ones are made from the right one; a name without three others is left
    out. "made" counts the made ones. Same records and seed, same questions.
    """
    answered = list(filter(None, map(_answered, records)))
    pools: dict[str, list[_Answered]] = {}
    for item in answered:
        pools.setdefault(item.kind, []).append(item)
    questions, seen = [], set()
    for item in answered:
        if item.question not in seen:
            seen.add(item.question)
            questions.append(_multiple_choice(item, pools[item.kind], seed))
    found = [question for question in questions if question]
    if not found:
        raise CourseError(
            "no question could be made: no qa record has a fact and enough others of its kind",
            'give the test part, with qa records that carry "facts": "answer=4.5 mm/s"',
        )
    return found


def _answered(record: Mapping[str, str]) -> _Answered | None:
    facts = parse_facts(record.get("facts") or "") if record.get("task") == "qa" else []
    named = [fact for fact in facts if fact.name == "answer"] or facts
    if len(named) != 1 or is_yes_or_no(named[0]):
        return None
    question = "\n".join(filter(None, (record["instruction"].strip(), record["input"].strip())))
    return _Answered(question, named[0], record.get("document", ""), record.get("group", ""))


def _multiple_choice(
    item: _Answered, pool: Sequence[_Answered], seed: int
) -> dict[str, Any] | None:
    rng = random.Random(f"{seed}:{item.question}")
    wrong: list[_Answered] = []
    for other in sorted(pool, key=lambda other: (-_likeness(item, other), other.text)):
        same_case = item.fact.number is None and item.group and item.group == other.group
        if len(wrong) == NEIGHBOURS:
            break
        if not same_case and not any(_same_answer(other, known) for known in [item, *wrong]):
            wrong.append(other)
    chosen = [other.text for other in rng.sample(wrong, min(3, len(wrong)))]
    made = _made_numbers(item, chosen, rng) if len(chosen) < 3 else []
    choices = [item.text, *chosen, *made]
    if len(choices) < 4:
        return None
    rng.shuffle(choices)
    answer = choices.index(item.text)
    return {**_item(item.question, choices, answer), "made": len(made)}


def _item(question: str, choices: Sequence[str], answer: int) -> dict[str, Any]:
    """As `_question`, with the line breaks of the record kept."""
    return {"question": question, "choices": list(choices), "answer": answer}


def _likeness(one: _Answered, other: _Answered) -> float:
    """Shared words of two questions as a share of all their words (Jaccard), 0 to 1."""
    a, b = (set(_words(each.question)) for each in (one, other))
    return len(a & b) / (len(a | b) or 1)


def _same_answer(one: _Answered, other: _Answered) -> bool:
    """Equal numbers however written (4.5, 4.50), equal names, or one name inside the other."""
    if one.fact.number is not None and other.fact.number is not None:
        return math.isclose(one.fact.number, other.fact.number, rel_tol=1e-9)
    a, b = (" ".join(["", *_words(each.text), ""]) for each in (one, other))
    return a in b or b in a


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _made_numbers(item: _Answered, chosen: Sequence[str], rng: random.Random) -> list[str]:
    """Wrong numbers with the right one's unit and decimals, as many as are missing to three."""
    number = item.fact.number
    if not number:  # a name, or 0: times anything it stays 0
        return []
    decimals = len(item.fact.value.partition(".")[2])
    factors, made = list(FACTORS), []
    rng.shuffle(factors)
    taken = {item.text, *chosen}
    for factor in factors:
        value = f"{number * factor:.{decimals}f}"
        text = replace(item.fact, value=value, upper=_times(item.fact.upper, factor)).right
        if text not in taken and not math.isclose(float(value), number):
            taken.add(text)
            made.append(text)
    return made[: 3 - len(chosen)]


def _times(number: str, factor: float) -> str:
    """A number as text times a factor, with its decimals; "" where there is none."""
    return f"{to_number(number) * factor:.{len(number.partition('.')[2])}f}" if number else ""
