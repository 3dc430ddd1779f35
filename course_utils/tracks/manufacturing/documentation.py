"""Technical documentation: data sheets, lists of components, maintenance plans, questions on them.

The sentences: data/wordings/manufacturing/documentation.yaml; what they say of a machine:
data/knowledge/manufacturing.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.tracks.knowledge import Component, Equipment, Quantity
from course_utils.tracks.manufacturing.equipment_text import (
    DOCUMENTATION,
    answer_facts,
    article,
    ask_for_json,
    draft,
    is_plural,
    json_text,
    limit_text,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/documentation")
EXCERPTS_PER_QUANTITY = 3
READ = ("at ", "on ", "with ", "by ", "in ", "from ", "between ")  # "at the outlet": can be told


def documentation_drafts(equipment: Equipment, rng: random.Random) -> Iterator[Draft]:
    """All records of the documentation of one kind of equipment."""
    group = f"{equipment.id}/documentation"
    for quantity in equipment.specifications:
        for _ in range(EXCERPTS_PER_QUANTITY):
            yield _specification_question(equipment, quantity, rng, group)
        yield _specification_understanding(equipment, quantity, rng, group)
    for part in equipment.components:
        for backwards in (False, True):
            yield _component_question(equipment, part, backwards, rng, group)
    for item in equipment.maintenance:
        yield from _maintenance_question(equipment, item, rng, group)


# --- Data sheets --------------------------------------------------------------------------------


def _data_sheet(say: Realiser, equipment: Equipment, quantity: Quantity) -> str:
    """Four or five specifications, the wanted one among them, in one of several layouts."""
    rng = say.rng
    others = [other for other in equipment.specifications if other.name != quantity.name]
    rows = [quantity, *rng.sample(others, min(len(others), rng.choice([3, 4])))]
    rng.shuffle(rows)
    layout = say("layout", ["lines", "prose", "table", "dash"])
    names = {"machine": equipment.name, "example": equipment.example}
    head = say("head", SAY["data_sheet_head"], **names)
    if layout == "prose":
        told = ", ".join(f"{row.name} {limit_text(row)}" for row in rows)
        names |= {"head": head, "function": equipment.function, "figures": told}
        return SAY.phrase("data_sheet_prose", **names)
    mark = {"lines": ": ", "table": " | ", "dash": " - "}[layout]
    return "\n".join([head, *(f"{row.name}{mark}{limit_text(row)}" for row in rows)])


def _specification_question(
    equipment: Equipment, quantity: Quantity, rng: random.Random, group: str
) -> Draft:
    say, words = Realiser(rng, "qa/specification"), SAY["specification"]
    sheet = _data_sheet(say, equipment, quantity)
    names = {"quantity": quantity.name, "Quantity": capital(quantity.name)}
    question = say("question", words["asked"], machine=equipment.name, **names)
    answer = capital(say("answer", words["answers"], answer=limit_text(quantity), **names))
    facts = []
    if quantity.limit != "between":
        facts = answer_facts(quantity.value, quantity.unit, quantity.name)
    return draft(say, "qa", DOCUMENTATION, group, question, sheet, answer, equipment, facts)


def _specification_understanding(
    equipment: Equipment, quantity: Quantity, rng: random.Random, group: str
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
        a_quantity=article(quantity.name),
        value=limit_text(quantity),
    )
    if quantity.how.startswith(READ):
        text += f" {say('how', SAY['reading_method'], how=quantity.how)}"
    values = {"equipment": equipment.name, "quantity": quantity.name, "value": quantity.value}
    values |= {"upper": quantity.upper} if quantity.limit == "between" else {}
    values |= {"unit": quantity.unit} if quantity.unit else {}
    request = ask_for_json(say, "documentation", values)
    answer = json_text(values)
    return draft(say, "understanding", DOCUMENTATION, group, request, text, answer, equipment)


# --- Components ---------------------------------------------------------------------------------


def _component_question(
    equipment: Equipment, part: Component, backwards: bool, rng: random.Random, group: str
) -> Draft:
    """What a component does, or which component does it, from a list of three or four."""
    say = Realiser(rng, f"qa/component-{'name' if backwards else 'function'}")
    others = [other for other in equipment.components if other.name != part.name]
    shown = [part, *rng.sample(others, min(len(others), rng.choice([2, 3])))]
    rng.shuffle(shown)
    sheet = _component_list(say, equipment, shown)
    words, plural = SAY["component_name" if backwards else "component_function"], is_plural(part)
    names = {"component": part.name, "function": part.function, "machine": equipment.name}
    asked = words["asked"] + ([] if plural else words["asked_of_one"])
    question = say("question", asked, **names)
    answers = words["answers_of_several" if plural else "answers_of_one"]
    answer = say("answer", answers, **names)
    facts = answer_facts(part.name) if backwards else []
    return draft(say, "qa", DOCUMENTATION, group, question, sheet, answer, equipment, facts)


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


def _maintenance_question(
    equipment: Equipment, item: str, rng: random.Random, group: str
) -> Iterator[Draft]:
    """Interval -> work, and work -> interval, from a plan of 'every 500 h: change ...' lines."""
    interval, colon, work = (piece.strip() for piece in item.partition(":"))
    if not colon or sum(one.startswith(f"{interval}:") for one in equipment.maintenance) > 1:
        return
    names = {"interval": interval, "work": work, "machine": equipment.name}
    for asked in ("work", "interval"):
        say, words = Realiser(rng, f"qa/plan-{asked}"), SAY[f"plan_{asked}"]
        plan = say.order("plan", list(equipment.maintenance))
        head = say("head", SAY["plan_head"], **names)
        mark = say("mark", ["", "- ", "* "])
        sheet = "\n".join([head, *(f"{mark}{line}" for line in plan)])
        question = say("question", words["asked"], **names)
        answer = capital(say("answer", words["answers"], **names))
        facts = answer_facts(interval) if asked == "interval" else []
        yield draft(say, "qa", DOCUMENTATION, group, question, sheet, answer, equipment, facts)
