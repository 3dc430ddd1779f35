"""Technical documentation: data sheets, lists of components, maintenance plans, questions on them.

The sentences: data/wordings/manufacturing/documentation.yaml; what they say of a machine:
data/knowledge/manufacturing.
"""

import random
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

from course_utils.facts import Fact
from course_utils.tracks.knowledge import Component, Equipment, Quantity
from course_utils.tracks.manufacturing.equipment_text import (
    DOCUMENTATION,
    NAME,
    NUMBER,
    SENTENCE,
    YES_NO,
    amount,
    announced,
    article,
    ask_for_json,
    draft,
    is_plural,
    json_text,
    limit_fact,
    limit_keys,
    limit_text,
    name_fact,
    yes_fact,
)
from course_utils.tracks.manufacturing.readings import draw_reading
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

Row = TypeVar("Row")
SAY = Wordings("manufacturing/documentation")
READ = ("at ", "on ", "with ", "by ", "in ", "from ", "between ")  # "at the outlet": can be told
RUNNING_HOURS = re.compile(r"every (\d+) h")


def documentation_drafts(equipment: Equipment, rng: random.Random) -> Iterator[Draft]:
    """All records of the documentation of one kind of equipment."""
    for quantity in equipment.specifications:
        yield _value_question(equipment, quantity, rng)
        yield _name_question(equipment, quantity, rng)
        yield from _agreement_question(equipment, quantity, rng)
        yield _specification_understanding(equipment, quantity, rng)
    for part in equipment.components:
        for backwards in (False, True):
            yield _component_question(equipment, part, backwards, rng)
    for item in equipment.maintenance:
        yield from _plan_questions(equipment, item, rng)


def _record(
    say: Realiser, equipment: Equipment, question: str, given: str, answer: str,
    facts: Sequence[Fact], form: str, case: str = "",
) -> Draft:  # fmt: skip
    asked = announced(say, question, form, case)
    return draft(
        say, "qa", DOCUMENTATION, _group(equipment), asked, given, answer, equipment, facts, form
    )


def _group(equipment: Equipment) -> str:
    return f"{equipment.id}/documentation"


def _hidden(wanted: Row, others: list[Row], rng: random.Random) -> list[Row]:
    """The wanted row among the others, not first: the beginning of a sheet is no answer."""
    place = rng.randint(1, len(others))
    return [*others[:place], wanted, *others[place:]]


# --- Data sheets --------------------------------------------------------------------------------


def _data_sheet(
    say: Realiser, equipment: Equipment, quantity: Quantity
) -> tuple[str, list[Quantity]]:
    """Six or seven specifications, the wanted one among them, in one of several layouts."""
    rng = say.rng
    others = [other for other in equipment.specifications if other.name != quantity.name]
    rows = _hidden(quantity, rng.sample(others, min(len(others), rng.choice([5, 6]))), rng)
    layout = say("layout", ["lines", "prose", "table", "dash"])
    names = {"machine": equipment.name, "example": equipment.example}
    head = say("head", SAY["data_sheet_head"], **names)
    if layout == "prose":
        told = "; ".join(f"{row.name} {limit_text(row)}" for row in rows)
        names |= {"head": head, "function": equipment.function, "figures": told}
        return SAY.phrase("data_sheet_prose", **names), rows
    mark = {"lines": ": ", "table": " | ", "dash": " - "}[layout]
    return "\n".join([head, *(f"{row.name}{mark}{limit_text(row)}" for row in rows)]), rows


def _value_question(equipment: Equipment, quantity: Quantity, rng: random.Random) -> Draft:
    say = Realiser(rng, "qa/specification")
    sheet, _ = _data_sheet(say, equipment, quantity)
    names = {"quantity": quantity.name, "machine": equipment.name}
    question = say("question", SAY["specification"], **names)
    facts = [limit_fact(quantity)]
    return _record(say, equipment, question, sheet, limit_text(quantity), facts, NUMBER)


def _name_question(equipment: Equipment, quantity: Quantity, rng: random.Random) -> Draft:
    """Which quantity has a value; other rows with the same figure would be right too."""
    say = Realiser(rng, "qa/specification-name")
    sheet, rows = _data_sheet(say, equipment, quantity)
    value = limit_text(quantity)
    question = say("question", SAY["specification_name"], machine=equipment.name, value=value)
    right = [row.name for row in rows if limit_text(row) == value]
    others = [row.name for row in rows if row.name not in right]
    fact = name_fact(" & ".join(right), others)
    case = "several names" if len(right) > 1 else ""
    return _record(say, equipment, question, sheet, "; ".join(right), [fact], NAME, case)


def _agreement_question(
    equipment: Equipment, quantity: Quantity, rng: random.Random
) -> Iterator[Draft]:
    """Whether a value keeps to the limit of the sheet, or is the one that the sheet gives."""
    say, yes = Realiser(rng, "qa/specification-agrees"), rng.random() < 0.5
    plain = quantity.limit == "equal to"
    if plain:
        value = quantity.value if yes else _another(quantity.value, rng)
    else:
        reading = draw_reading(quantity, yes, rng)
        if not reading:
            return
        value = str(reading.mean)
    sheet, _ = _data_sheet(say, equipment, quantity)
    names = {"quantity": quantity.name, "machine": equipment.name}
    names |= {"value": amount(value, quantity.unit), "limit": limit_text(quantity)}
    question = say("question", SAY["agreement" if plain else "keeping"], **names)
    case = f"{'plain' if plain else 'limit'}_{'yes' if yes else 'no'}"
    answer = SAY.phrase("agreement_answer", case, **names)
    facts = [yes_fact(yes), limit_fact(quantity, "figure" if plain else "limit")]
    yield _record(say, equipment, question, sheet, answer, facts, YES_NO)


def _another(value: str, rng: random.Random) -> str:
    """A figure with the same decimals that is clearly another one."""
    right = Decimal(value)
    step = Decimal(1).scaleb(right.as_tuple().exponent)
    share = Decimal(rng.choice(("0.7", "0.8", "0.9", "1.1", "1.2", "1.3")))
    other = (right * share).quantize(step)
    return str(other if other != right else right + step)


def _specification_understanding(
    equipment: Equipment, quantity: Quantity, rng: random.Random
) -> Draft:
    say = Realiser(rng, "understanding/specification")
    text = say(
        "text",
        SAY["specification_note"],
        machine=equipment.name,
        A_machine=capital(article(equipment.name)),
        example=equipment.example,
        quantity=quantity.name,
        Quantity=capital(quantity.name),
        value=limit_text(quantity),
    )
    if quantity.how.startswith(READ):
        text += f" {say('how', SAY['reading_method'], how=quantity.how)}"
    values = {"equipment": equipment.name, "quantity": quantity.name, **limit_keys(quantity)}
    request = ask_for_json(say, "documentation", values)
    answer = json_text(values)
    return draft(
        say, "understanding", DOCUMENTATION, _group(equipment), request, text, answer, equipment
    )


# --- Components ---------------------------------------------------------------------------------


def _component_question(
    equipment: Equipment, part: Component, backwards: bool, rng: random.Random
) -> Draft:
    """What a component does, or which component does it, from a list of five or six."""
    say = Realiser(rng, f"qa/component-{'name' if backwards else 'function'}")
    others = [other for other in equipment.components if other.name != part.name]
    shown = _hidden(part, rng.sample(others, min(len(others), rng.choice([4, 5]))), rng)
    sheet = _component_list(say, equipment, shown)
    words, plural = SAY["component_name" if backwards else "component_function"], is_plural(part)
    names = {"component": part.name, "function": part.function, "machine": equipment.name}
    asked = words["asked"] + ([] if plural else words["asked_of_one"])
    question = say("question", asked, **names)
    if backwards:
        facts = [name_fact(part.name, [one.name for one in shown])]
        return _record(say, equipment, question, sheet, part.name, facts, NAME)
    answer = SAY.phrase("component_answer", **names)
    facts = [name_fact(part.function, [one.function for one in shown])]
    return _record(say, equipment, question, sheet, answer, facts, SENTENCE)


def _component_list(say: Realiser, equipment: Equipment, parts: Sequence[Component]) -> str:
    names = {"machine": equipment.name, "a_machine": article(equipment.name)}
    head = say("head", SAY["component_list_head"], **names)
    layout = say("layout", ["prose", "colon", "dash", "table", "job"])
    rows = [
        SAY.phrase(
            "component_list",
            layout,
            component=one.name,
            Component=capital(one.name),
            function=one.function,
        )
        for one in parts
    ]
    return f"{head}\n{(' ' if layout in ('prose', 'job') else chr(10)).join(rows)}"


# --- Maintenance plans --------------------------------------------------------------------------


def _plan_questions(equipment: Equipment, item: str, rng: random.Random) -> Iterator[Draft]:
    """Interval -> work, work -> interval, from a plan of 'every 500 h: change ...' lines; and
    whether a work is due, where its interval is in running hours."""
    plan = [[piece.strip() for piece in line.partition(":")[::2]] for line in equipment.maintenance]
    interval, work = (piece.strip() for piece in item.partition(":")[::2])
    if not work or sum(one == interval for one, _ in plan) > 1:
        return
    names = {"interval": interval, "work": work, "machine": equipment.name}
    say = Realiser(rng, "qa/plan-work")
    question = say("question", SAY["plan_work"], **names)
    facts = [name_fact(work, [other for _, other in plan])]
    sheet = _plan(say, equipment)
    yield _record(say, equipment, question, sheet, f"{capital(work)}.", facts, SENTENCE)
    say = Realiser(rng, "qa/plan-interval")
    question = say("question", SAY["plan_interval"], **names)
    facts = [name_fact(interval, [other for other, _ in plan])]
    sheet = _plan(say, equipment)
    yield _record(say, equipment, question, sheet, interval, facts, NAME, "interval only")
    if hours := RUNNING_HOURS.fullmatch(interval):
        yield _due_question(equipment, names, int(hours.group(1)), rng)


def _due_question(
    equipment: Equipment, names: dict[str, str], hours: int, rng: random.Random
) -> Draft:
    say, due = Realiser(rng, "qa/plan-due"), rng.random() < 0.5
    since = round(hours * (rng.uniform(1.02, 1.4) if due else rng.uniform(0.5, 0.97)))
    since = max(since, hours + 1) if due else min(since, hours - 1)  # 10 h of 10 h would be both
    names |= {"since": f"{since} h", "hours": f"{hours} h"}
    question = say("question", SAY["plan_due"], **names)
    answer = SAY.phrase("plan_due_answer", "due" if due else "early", **names)
    facts = [yes_fact(due), Fact("interval", str(hours), "h")]
    return _record(say, equipment, question, _plan(say, equipment), answer, facts, YES_NO)


def _plan(say: Realiser, equipment: Equipment) -> str:
    lines = say.order("plan", list(equipment.maintenance))
    head = say("head", SAY["plan_head"], machine=equipment.name)
    mark = say("mark", ["", "- ", "* "])
    return "\n".join([head, *(f"{mark}{line}" for line in lines)])
