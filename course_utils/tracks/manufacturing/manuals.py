"""Records from the knowledge base: equipment manuals, here, and technical documentation.

Every sentence comes from data/knowledge/manufacturing and data/wordings/manufacturing
(manuals.yaml, inspections.yaml, documentation.yaml); the measured values of inspection reports
are drawn, and what follows from them (deviation, verdict) is computed.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.facts import Fact
from course_utils.tracks.knowledge import Equipment, FailureMode, Quantity, load
from course_utils.tracks.manufacturing.documentation import documentation_drafts
from course_utils.tracks.manufacturing.equipment_text import (
    MANUAL,
    answer_facts,
    article,
    ask_for_json,
    draft,
    inside,
    json_text,
    limit_text,
    verb,
)
from course_utils.tracks.manufacturing.inspections import inspection_report
from course_utils.tracks.wording import Draft, Realiser, capital, listing
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/manuals")
REPORTS_PER_MODE = 3
# What is asked about a failure mode, and the parts of the entry that the answer stands in.
NEEDED = {
    "limit": ["checks"],
    "cause": ["causes"],
    "action": ["actions"],
    "safety": ["safety"],
    "component": [],
    "effect": ["effect"],
}


def manual_drafts(seed: int) -> list[Draft]:
    """All drafts of both document kinds; the same list from the same seed."""
    drafts: list[Draft] = []
    for equipment in load():
        for mode in equipment.failure_modes:
            rng = random.Random(f"{seed}/{equipment.id}/{mode.id}")
            drafts += _mode_drafts(equipment, mode, rng)
        drafts += documentation_drafts(equipment, random.Random(f"{seed}/{equipment.id}"))
    return drafts


def _mode_drafts(equipment: Equipment, mode: FailureMode, rng: random.Random) -> Iterator[Draft]:
    group = f"{equipment.id}/{mode.id}"
    for kind in NEEDED:
        quantities = mode.checks if kind == "limit" else [None]
        for quantity in quantities:
            question = _manual_question(equipment, mode, kind, quantity, rng, group)
            if question:
                yield question
    for _ in range(2):
        yield _manual_understanding(equipment, mode, rng, group)
    for number in range(REPORTS_PER_MODE):
        report = inspection_report(equipment, mode, number, rng, group)
        if report:
            yield report


# --- A troubleshooting entry --------------------------------------------------------------------


def _excerpt(
    say: Realiser, equipment: Equipment, mode: FailureMode, must: Sequence[str] = ()
) -> str:
    """A troubleshooting entry in one of several layouts; `must` names parts that stay in."""
    rng = say.rng
    parts = {"symptoms", "causes", "checks", "actions", "safety"}
    dropped = rng.choice(sorted(parts - set(must)))
    parts -= {dropped}
    symptoms, causes = _two(mode.symptoms, rng), _two(mode.causes, rng)
    chosen = {
        "symptoms": symptoms,
        "causes": list(mode.causes) if "causes" in must else causes,
        "checks": [f"{check.name}: {limit_text(check)}" for check in mode.checks],
        "actions": list(mode.actions) if "actions" in must else _two(mode.actions, rng),
        "safety": list(mode.safety)[:1] if "safety" not in must else list(mode.safety),
    }
    chosen = {name: items for name, items in chosen.items() if name in parts}
    layout = say("layout", ["lines", "prose", "table", "bullets"])
    if layout == "prose":
        return _prose(say, equipment, mode, chosen, "effect" in must)
    return _sheet(say, layout, equipment, mode, chosen, "effect" in must)


def _two(items: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(list(items), min(2, len(items)))


def _sheet(
    say: Realiser, layout: str, equipment: Equipment, mode: FailureMode,
    chosen: dict[str, list[str]], with_effect: bool,
) -> str:  # fmt: skip
    names = {"fault": mode.name, "component": mode.component}
    names |= {"machine": equipment.name, "example": equipment.example}
    head = say("head", SAY["sheet_head"], **names)
    rows = [head, SAY.phrase("sheet_component", component=mode.component)]
    for name, items in chosen.items():
        title = say(name, SAY["sheet_labels"][name])
        if layout == "table":
            rows.append(f"{title} | {' / '.join(items)}")
        elif layout == "bullets":
            rows += [f"{title}:", *(f"- {item}" for item in items)]
        else:
            rows.append(f"{title}: {', '.join(items)}")
    if with_effect:
        rows.append(SAY.phrase("sheet_effect", effect=mode.effect))
    return "\n".join(rows)


def _prose(
    say: Realiser, equipment: Equipment, mode: FailureMode, chosen: dict[str, list[str]],
    with_effect: bool,
) -> str:  # fmt: skip
    names = {"fault": mode.name, "Fault": capital(mode.name), "component": mode.component}
    sentences = [say("open", SAY["prose_opening"], a_machine=article(equipment.name), **names)]
    for name, items in chosen.items():
        text = listing([inside(item) for item in items], "or" if name == "causes" else "and")
        sentences.append(say(name, SAY["prose"][name], list=text))
    if with_effect:
        sentences.append(SAY.phrase("prose_effect", effect=inside(mode.effect)))
    return " ".join(sentences)


# --- Questions on it ----------------------------------------------------------------------------


def _manual_question(
    equipment: Equipment, mode: FailureMode, kind: str, quantity: Quantity | None,
    rng: random.Random, group: str,
) -> Draft | None:  # fmt: skip
    if kind == "effect" and not mode.effect:
        return None
    say, words = Realiser(rng, f"qa/manual-{kind}"), SAY[kind]
    excerpt = _excerpt(say, equipment, mode, NEEDED[kind])
    names = {
        "quantity": quantity.name if quantity else "",
        "fault": mode.name,
        "component": mode.component,
        "machine": equipment.name,
        "has": verb(equipment, mode.component, "has", "have"),
    }
    question = say("question", words["asked"], **names)
    text = _answer_text(mode, kind, quantity)
    answer = capital(say("answer", words["answers"], answer=text, **names))
    facts: list[Fact] = []
    if kind == "limit" and quantity.limit != "between":
        facts = answer_facts(quantity.value, quantity.unit, quantity.name)
    elif kind == "component":
        facts = answer_facts(mode.component)
    return draft(say, "qa", MANUAL, group, question, excerpt, answer, equipment, facts)


def _answer_text(mode: FailureMode, kind: str, quantity: Quantity | None) -> str:
    """What the answer states, as the knowledge base words it."""
    if kind == "limit":
        return limit_text(quantity)
    if kind == "cause":
        return listing(list(mode.causes), "or")
    if kind in ("action", "safety"):
        first, *rest = mode.actions if kind == "action" else mode.safety
        return ", ".join([first, *map(inside, rest)])
    return mode.component if kind == "component" else mode.effect


# --- A note to be turned into JSON --------------------------------------------------------------


def _manual_understanding(
    equipment: Equipment, mode: FailureMode, rng: random.Random, group: str
) -> Draft:
    say = Realiser(rng, "understanding/manual")
    quantity = rng.choice(mode.checks)
    action, symptom = rng.choice(mode.actions), rng.choice(mode.symptoms)
    values = {
        "equipment": equipment.name,
        "component": mode.component,
        "failure_mode": mode.name,
        "symptom": inside(symptom),
        "check": inside(quantity.name),
        "limit": limit_text(quantity),
        "action": inside(action),
    }
    extra = rng.sample(["symptom", "check", "action"], rng.choice([1, 2, 3]))
    keys = ["equipment", "component", "failure_mode"]
    keys += [name for name in ("symptom", "check", "action") if name in extra]
    keys += ["limit"] if "check" in extra else []
    opening = say(
        "open",
        SAY["note_opening"],
        machine=equipment.name,
        a_machine=article(equipment.name),
        component=mode.component,
        fault=mode.name,
        Fault=capital(mode.name),
        shows=verb(equipment, mode.component, "shows", "show"),
    )
    more = [
        say(name, SAY["note"][name], detail=values[name], limit=values["limit"]) for name in extra
    ]
    text = " ".join([opening, *say.order("order", more)])
    request = ask_for_json(say, "manual", keys)
    answer = json_text({key: values[key] for key in keys})
    return draft(say, "understanding", MANUAL, group, request, text, answer, equipment)
