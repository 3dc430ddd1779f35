"""Inspection reports: values are drawn and held against the limits of the knowledge base.

The sentences: data/wordings/manufacturing/inspections.yaml.
"""

import random
from collections.abc import Mapping
from decimal import Decimal

from course_utils.facts import Fact
from course_utils.tracks.knowledge import Equipment, FailureMode, Quantity
from course_utils.tracks.manufacturing.equipment_text import (
    MANUAL,
    amount,
    article,
    draft,
    inside,
    limit_text,
    verb,
)
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/inspections")


def measure(quantity: Quantity, within: bool, rng: random.Random) -> tuple[str, str, str] | None:
    """A drawn measurement: (value, limit it is compared with, deviation from that), as texts.

    None where the quantity has no one-sided or two-sided limit to be compared with.
    """
    if quantity.limit == "equal to":
        return None
    low = Decimal(quantity.value)
    step = Decimal(1).scaleb(low.as_tuple().exponent)
    share = Decimal(str(round(rng.uniform(0.06, 0.4), 3)))
    if quantity.limit == "between":
        high = Decimal(quantity.upper)
        above = rng.random() < 0.5
        limit = high if above else low
        shift = max(step, (share * (high - low) / 2).quantize(step))
    else:
        limit = low
        shift = max(step, (share * abs(limit)).quantize(step))
        above = quantity.limit == "at most"
    value = limit + (shift if above != within else -shift)
    if value < 0 <= limit:  # no negative pressures or lengths
        return None
    return f"{value}", f"{limit}", f"{abs(value - limit)}"


def inspection_report(
    equipment: Equipment, mode: FailureMode, number: int, rng: random.Random, group: str
) -> Draft | None:
    """A report on one reading; None where nothing in the failure mode can be measured."""
    say = Realiser(rng, "report/inspection")
    usable = [check for check in mode.checks if check.unit and check.limit != "equal to"]
    if not usable:
        return None
    check = usable[number % len(usable)]
    within = rng.random() < 0.4
    measured = measure(check, within, rng)
    if measured is None:
        return None
    values = _values(equipment, mode, check, rng)
    value, limit, deviation = (amount(text, check.unit) for text in measured)
    values |= {"value": value, "side": "within" if within else "outside"}
    sheet = say("sheet", SAY["sheet"], limit=limit_text(check), **values)
    answer = _report_text(say, values | {"limit": limit, "deviation": deviation}, within)
    facts = [
        Fact("machine", values["asset"]),
        Fact("component", mode.component),
        Fact("measured", measured[0], check.unit),
        Fact("limit", measured[1], check.unit),
        Fact("deviation", measured[2], check.unit),
        Fact("verdict", values["side"]),
    ]
    request = say("ask", SAY["request"])
    return draft(say, "report", MANUAL, group, request, sheet, answer, equipment, facts)


def _values(
    equipment: Equipment, mode: FailureMode, check: Quantity, rng: random.Random
) -> dict[str, str]:
    """What sheet and report say of the machine; which symptom, cause and remedy is drawn."""
    letters = "".join(word[0] for word in equipment.name.split()).upper()
    drawn = {"asset": f"{letters}-{rng.randint(101, 989)}"}
    for name, known in (
        ("symptom", mode.symptoms),
        ("cause", mode.causes),
        ("action", mode.actions),
        ("safety", mode.safety),
    ):
        drawn[name] = inside(rng.choice(known))
    return drawn | {
        "machine": equipment.name,
        "a_machine": article(equipment.name),
        "component": mode.component,
        "fault": mode.name,
        "check": check.name,
        "A_check": capital(article(check.name)),
        "was": verb(equipment, mode.component, "was", "were"),
    }


def _report_text(say: Realiser, values: Mapping[str, str], within: bool) -> str:
    told = [say("open", SAY["opening"], **values), say("finding", SAY["finding"], **values)]
    if within:
        return " ".join([*told, say("verdict", SAY["in_order"])])
    told += [say("cause", SAY["cause"], **values), say("remedy", SAY["remedy"], **values)]
    return " ".join(told)
