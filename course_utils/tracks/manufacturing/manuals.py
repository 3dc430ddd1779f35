"""Records from the knowledge base: equipment manuals and technical documentation.

Every sentence comes from data/knowledge/manufacturing/*.yaml; the measured values of inspection
reports are drawn, and what follows from them (deviation, verdict) is computed.
"""

import json
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal

from course_utils.facts import Fact, format_facts
from course_utils.tracks.knowledge import Component, Equipment, FailureMode, Quantity, load
from course_utils.tracks.wording import Draft, Realiser

SOURCE = "knowledge base: {}"
MANUAL, DOCUMENTATION = "equipment_manual", "technical_documentation"
MANUAL_QUESTIONS = ("limit", "cause", "action", "safety", "component", "effect")
REPORTS_PER_MODE = 3
EXCERPTS_PER_EQUIPMENT = 3


def manual_drafts(seed: int) -> list[Draft]:
    """All drafts of both document kinds; the same list from the same seed."""
    drafts: list[Draft] = []
    for equipment in load():
        for mode in equipment.failure_modes:
            rng = random.Random(f"{seed}/{equipment.id}/{mode.id}")
            drafts += _mode_drafts(equipment, mode, rng)
        drafts += _documentation_drafts(equipment, random.Random(f"{seed}/{equipment.id}"))
    return drafts


# --- Small pieces of text -----------------------------------------------------------------------


def article(noun: str) -> str:
    """The noun with a or an."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def amount(value: str, unit: str) -> str:
    """A number with its unit."""
    return f"{value} {unit}".strip()


def limit_text(quantity: Quantity) -> str:
    """'at most 4.5 mm/s', 'between 40 °C and 60 °C', or just the value."""
    value = amount(quantity.value, quantity.unit)
    if quantity.limit == "between":
        return f"between {value} and {amount(quantity.upper, quantity.unit)}"
    return value if quantity.limit == "equal to" else f"{quantity.limit} {value}"


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _listing(items: Sequence[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"


def _is_plural(part: Component) -> bool:
    """A plural component ("shaft bearings") has the plural verb in its function: "carry"."""
    return not part.function.split()[0].rstrip(",").endswith("s")


def _verb(equipment: Equipment, component: str, singular: str, plural: str) -> str:
    found = [part for part in equipment.components if part.name == component]
    return plural if found and _is_plural(found[0]) else singular


def _lower(text: str) -> str:
    """An imperative inside a sentence; abbreviations keep their capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _record(
    say: Realiser, task: str, document: str, group: str, instruction: str, given: str, answer: str,
    equipment: Equipment, facts: Sequence[Fact] = (),
) -> Draft:  # fmt: skip
    record = {
        "instruction": instruction,
        "input": given,
        "output": answer,
        "task": task,
        "document": document,
        "source": SOURCE.format(equipment.id),
        "group": group,
    }
    return Draft(record | ({"facts": format_facts(facts)} if facts else {}), say.template)


def _answer_facts(value: str, unit: str = "", name: str = "") -> list[Fact]:
    """The one fact of a question, if it can be written as one.

    A bare number cannot be told from another one in the quantity's name ("ratio at 10 µm").
    """
    doubtful = not unit and any(char.isdigit() for char in name)
    clean = not any(mark in value for mark in ";=")
    return [Fact("answer", value, unit)] if clean and not doubtful else []


# --- Equipment manual: one failure mode ---------------------------------------------------------


def _mode_drafts(equipment: Equipment, mode: FailureMode, rng: random.Random) -> Iterator[Draft]:
    group = f"{equipment.id}/{mode.id}"
    for kind in MANUAL_QUESTIONS:
        quantities = mode.checks if kind == "limit" else [None]
        for quantity in quantities:
            draft = _manual_question(equipment, mode, kind, quantity, rng, group)
            if draft:
                yield draft
    for _ in range(2):
        yield _manual_understanding(equipment, mode, rng, group)
    for number in range(REPORTS_PER_MODE):
        draft = _inspection_report(equipment, mode, number, rng, group)
        if draft:
            yield draft


def _excerpt(
    say: Realiser, equipment: Equipment, mode: FailureMode, must: Sequence[str] = ()
) -> str:
    """A troubleshooting entry in one of several layouts; `must` names parts that stay in."""
    rng = say.rng
    parts = {"symptoms", "causes", "checks", "actions", "safety"}
    dropped = rng.choice(sorted(parts - set(must)))
    parts -= {dropped}
    pick = lambda items, n: rng.sample(list(items), min(n, len(items)))  # noqa: E731
    symptoms, causes = pick(mode.symptoms, 2), pick(mode.causes, 2)
    chosen = {
        "symptoms": symptoms,
        "causes": list(mode.causes) if "causes" in must else causes,
        "checks": [f"{check.name}: {limit_text(check)}" for check in mode.checks],
        "actions": list(mode.actions) if "actions" in must else pick(mode.actions, 2),
        "safety": list(mode.safety)[:1] if "safety" not in must else list(mode.safety),
    }
    chosen = {name: items for name, items in chosen.items() if name in parts}
    layout = say("layout", ["lines", "prose", "table", "bullets"])
    if layout == "prose":
        return _prose(say, equipment, mode, chosen, "effect" in must)
    return _sheet(say, layout, equipment, mode, chosen, "effect" in must)


SHEET_WORDS = {
    "symptoms": ["Symptoms", "What is noticed", "Signs", "Indication"],
    "causes": ["Causes", "Possible causes", "Likely reasons", "Origin"],
    "checks": ["Checks", "Measure", "Limit values", "Inspection points"],
    "actions": ["Remedy", "Corrective action", "What to do", "Repair steps"],
    "safety": ["Safety", "Before you start", "Precaution", "Warning"],
}


def _sheet(
    say: Realiser, layout: str, equipment: Equipment, mode: FailureMode,
    chosen: dict[str, list[str]], with_effect: bool,
) -> str:  # fmt: skip
    head = say(
        "head",
        [
            "{equipment} ({example}) - {fault}",
            "Fault: {fault}\nMachine: {equipment}",
            "Troubleshooting, {equipment}\nFault: {fault}",
            "{equipment} / {component}\nFailure mode: {fault}",
        ],
        equipment=equipment.name, example=equipment.example, fault=mode.name,
        component=mode.component,
    )  # fmt: skip
    rows = [head, f"Component: {mode.component}"]
    for name, items in chosen.items():
        title = say(name, SHEET_WORDS[name])
        if layout == "table":
            rows.append(f"{title} | {' / '.join(items)}")
        elif layout == "bullets":
            rows += [f"{title}:", *(f"- {item}" for item in items)]
        else:
            rows.append(f"{title}: {', '.join(items)}")
    if with_effect:
        rows.append(f"If nothing is done: {mode.effect}")
    return "\n".join(rows)


def _prose(
    say: Realiser, equipment: Equipment, mode: FailureMode, chosen: dict[str, list[str]],
    with_effect: bool,
) -> str:  # fmt: skip
    names = {"fault": mode.name, "machine": equipment.name, "component": mode.component}
    sentences = [
        say(
            "open",
            [
                "On {machine_a}, {fault} concerns the {component}.",
                "This entry covers {fault} on {machine_a}; the part concerned is the {component}.",
                "The {component} of {machine_a} may show {fault}.",
                "{fault_c}: a fault of the {component}, seen on {machine_a}.",
            ],
            machine_a=article(equipment.name),
            fault_c=mode.name[0].upper() + mode.name[1:],
            **names,
        )  # fmt: skip
    ]
    wordings = {
        "symptoms": ["Operators report {x}.", "It shows as {x}.", "Typical signs are {x}."],
        "causes": ["It usually comes from {x}.", "Common causes are {x}.", "Behind it are {x}."],
        "checks": ["Measure and compare: {x}.", "The limits are {x}.", "Check {x}."],
        "safety": ["Before any work: {x}.", "Safety first: {x}.", "For safety, {x}."],
        "actions": ["Then {x}.", "To put it right, {x}.", "Remedy: {x}."],
    }
    for name, items in chosen.items():
        lowered = [_lower(item) for item in items]
        text = _listing(lowered, "or" if name == "causes" else "and")
        sentences.append(say(name, wordings[name], x=text))
    if with_effect:
        sentences.append(f"If nothing is done, {_lower(mode.effect)}.")
    return " ".join(sentences)


QUESTIONS = {
    "limit": [
        "Which limit does the manual give for the {x}?",
        "What does the {x} have to be? Quote the manual's value.",
        "Look up the permitted {x}.",
        "A technician has just measured the {x}. With which value must it be compared?",
        "State the acceptance limit of the {x} with its unit.",
        "What is the limit value for the {x} of the {machine}?",
        "Give the figure that the excerpt names for the {x}.",
        "Up to or from which value is the {x} in order?",
    ],
    "cause": [
        "What may have caused the {fault}?",
        "Name the causes that the manual lists for {fault}.",
        "Why does {fault} happen, according to the excerpt?",
        "What lies behind {fault} on this machine?",
        "Which reasons should be ruled out when there is {fault}?",
        "List the possible origins of the {fault}.",
        "The {component} {has} failed with {fault}. What are the usual reasons?",
    ],
    "action": [
        "What should be done about the {fault}?",
        "How is {fault} put right?",
        "Which corrective actions does the manual give?",
        "Tell the fitter what to do about the {fault}.",
        "Give the repair steps for the {component}.",
        "The diagnosis is {fault}. What comes next?",
        "List the remedies in the order of the excerpt.",
    ],
    "safety": [
        "What must be observed before work on the {component} begins?",
        "Which safety steps come before the repair?",
        "How is the {machine} made safe for this job?",
        "Name the precautions for this repair.",
        "What does the manual demand for safety?",
        "A new colleague is about to start. What has to be done first for safety?",
    ],
    "component": [
        "Which component is concerned?",
        "Where does the fault sit?",
        "Which part of the {machine} should be inspected?",
        "Name the component that this entry is about.",
        "What part does {fault} affect?",
        "Which component should the work order name?",
    ],
    "effect": [
        "What happens if nothing is done?",
        "What is the consequence of ignoring the {fault}?",
        "Why should the {fault} not wait?",
        "What does the excerpt expect if the {fault} is left alone?",
        "Describe the consequential damage.",
        "The repair is to be postponed. What has to be expected?",
    ],
}
ANSWERS = {
    "limit": [
        "{x} for the {name}.",
        "The {name} has to be {x}.",
        "{x}.",
        "The manual gives {x}.",
        "For the {name} the value is {x}.",
    ],
    "cause": ["{x}.", "The manual lists {x}.", "Possible causes: {x}.", "It comes from {x}."],
    "action": ["{x}.", "The steps are: {x}.", "Remedy: {x}.", "Do this: {x}."],
    "safety": ["{x}.", "First: {x}.", "Before the work: {x}.", "The manual demands: {x}."],
    "component": ["The {x}.", "It is the {x}.", "The fault sits in the {x}.", "{x}."],
    "effect": ["{x}.", "If it is ignored, {x}.", "The consequence: {x}.", "Otherwise {x}."],
}
NEEDED = {
    "limit": ["checks"], "cause": ["causes"], "action": ["actions"], "safety": ["safety"],
    "component": [], "effect": ["effect"],
}  # fmt: skip


def _manual_question(
    equipment: Equipment, mode: FailureMode, kind: str, quantity: Quantity | None,
    rng: random.Random, group: str,
) -> Draft | None:  # fmt: skip
    if kind == "effect" and not mode.effect:
        return None
    say = Realiser(rng, f"qa/manual-{kind}")
    excerpt = _excerpt(say, equipment, mode, NEEDED[kind])
    x = quantity.name if quantity else ""
    question = say(
        "question", QUESTIONS[kind], x=x, fault=mode.name, component=mode.component,
        machine=equipment.name, has=_verb(equipment, mode.component, "has", "have"),
    )  # fmt: skip
    texts = {
        "limit": lambda: limit_text(quantity),
        "cause": lambda: _listing(list(mode.causes), "or"),
        "action": lambda: ", ".join([mode.actions[0], *map(_lower, mode.actions[1:])]),
        "safety": lambda: ", ".join([mode.safety[0], *map(_lower, mode.safety[1:])]),
        "component": lambda: mode.component,
        "effect": lambda: mode.effect,
    }
    text = texts[kind]()
    answer = say("answer", ANSWERS[kind], x=text, name=x)
    facts: list[Fact] = []
    if kind == "limit" and quantity.limit != "between":
        facts = _answer_facts(quantity.value, quantity.unit, quantity.name)
    elif kind == "component":
        facts = _answer_facts(mode.component)
    return _record(
        say, "qa", MANUAL, group, question, excerpt, answer[0].upper() + answer[1:], equipment,
        facts,
    )  # fmt: skip


UNDERSTAND = [
    "Extract the fault entry as JSON with the keys {keys}.",
    "Read the manual entry and return JSON: {keys}.",
    "Turn this troubleshooting text into a JSON record ({keys}).",
    "Fill a JSON object from the text; keys: {keys}.",
    "Give the entry as structured data, JSON with {keys}.",
    "From the excerpt, write one JSON object with {keys}.",
    "Which machine, part and fault is this about? Answer as JSON: {keys}.",
    "Convert the text to JSON. Use the keys {keys}.",
]
TAILS = [
    "",
    " Only what is stated.",
    " Leave nothing to guesswork.",
    " Use the words of the text.",
    " No comments.",
    " Copy values as they stand.",
]


def _manual_understanding(
    equipment: Equipment, mode: FailureMode, rng: random.Random, group: str
) -> Draft:
    say = Realiser(rng, "understanding/manual")
    quantity = rng.choice(mode.checks)
    action, symptom = rng.choice(mode.actions), rng.choice(mode.symptoms)
    values = {
        "equipment": equipment.name, "component": mode.component, "failure_mode": mode.name,
        "symptom": symptom, "check": quantity.name, "limit": limit_text(quantity),
        "action": action,
    }  # fmt: skip
    extra = rng.sample(["symptom", "check", "action"], rng.choice([1, 2, 3]))
    keys = ["equipment", "component", "failure_mode"]
    keys += [name for name in ("symptom", "check", "action") if name in extra]
    keys += ["limit"] if "check" in extra else []
    opening = [
        "{machine}, {component}: {fault}.",
        "The {component} of the {machine} {shows} {fault}.",
        "Note on {machine_a}. Component {component}, fault {fault}.",
        "{fault_c} at the {component} ({machine}).",
        "Machine: {machine}. Fault found: {fault}, in the {component}.",
    ]
    sentences = [
        say(
            "open",
            opening,
            machine=equipment.name,
            machine_a=article(equipment.name),
            component=mode.component,
            fault=mode.name,
            fault_c=mode.name[0].upper() + mode.name[1:],
            shows=_verb(equipment, mode.component, "shows", "show"),
        )  # fmt: skip
    ]
    stated = {
        "symptom": ["Noticed: {x}.", "The operator reports {x}.", "Symptom is {x}."],
        "check": ["Check the {x}: {y}.", "The {x} must be {y}.", "Limit for the {x}: {y}."],
        "action": ["Action: {x}.", "To do: {x}.", "The manual says: {x}."],
    }
    more = [say(name, stated[name], x=_lower(values[name]), y=values["limit"]) for name in extra]
    text = " ".join([*sentences, *say.order("order", more)])
    instruction = say("ask", UNDERSTAND, keys=", ".join(keys)) + say("tail", TAILS)
    values |= {"symptom": _lower(symptom), "action": _lower(action), "check": _lower(quantity.name)}
    answer = json.dumps({key: values[key] for key in keys}, ensure_ascii=False)
    return _record(say, "understanding", MANUAL, group, instruction, text, answer, equipment)


# --- Inspection reports: measured against limits ------------------------------------------------


def _measure(quantity: Quantity, inside: bool, rng: random.Random) -> tuple[str, str, str] | None:
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
        outward = 1 if above else -1
        value = limit + shift * (outward if not inside else -outward)
    else:
        limit = low
        shift = max(step, (share * abs(limit)).quantize(step))
        outward = 1 if quantity.limit == "at most" else -1
        value = limit + shift * (outward if not inside else -outward)
    if value < 0 <= limit:  # no negative pressures or lengths
        return None
    return f"{value}", f"{limit}", f"{abs(value - limit)}"


def _inspection_report(
    equipment: Equipment, mode: FailureMode, number: int, rng: random.Random, group: str
) -> Draft | None:
    say = Realiser(rng, "report/inspection")
    usable = [check for check in mode.checks if check.unit and check.limit != "equal to"]
    if not usable:
        return None
    check = usable[number % len(usable)]
    inside = rng.random() < 0.4
    measured = _measure(check, inside, rng)
    if measured is None:
        return None
    value, limit, deviation = (amount(text, check.unit) for text in measured)
    asset = f"{''.join(word[0] for word in equipment.name.split()).upper()}-{rng.randint(101, 989)}"
    symptom = _lower(rng.choice(mode.symptoms))
    cause = _lower(rng.choice(mode.causes))
    action, safety = _lower(rng.choice(mode.actions)), _lower(rng.choice(mode.safety))
    given = _inspection_sheet(
        say, equipment, mode, check, asset, symptom, cause, action, safety, value
    )
    answer = _inspection_text(
        say, equipment, mode, check, asset, symptom, cause, action, safety, value, limit,
        deviation, inside,
    )  # fmt: skip
    facts = [
        Fact("machine", asset),
        Fact("component", mode.component),
        Fact("measured", measured[0], check.unit),
        Fact("limit", measured[1], check.unit),
        Fact("deviation", measured[2], check.unit),
        Fact("verdict", "within" if inside else "outside"),
    ]
    instruction = say(
        "ask",
        [
            "Write the inspection report.",
            "Write a short report on this inspection: finding, limit, deviation, what to do.",
            "Draft the inspection report for the maintenance planner.",
            "Summarise the inspection in a report with the deviation from the limit.",
            "Turn the inspection sheet into a report.",
            "Report on the inspection. Say whether the value is within its limit and by how much.",
            "Compose the report that goes with this inspection sheet.",
            "Prepare the inspection report, with the deviation worked out.",
        ],
    )
    return _record(say, "report", MANUAL, group, instruction, given, answer, equipment, facts)


def _inspection_sheet(
    say: Realiser, equipment: Equipment, mode: FailureMode, check: Quantity, asset: str,
    symptom: str, cause: str, action: str, safety: str, value: str,
) -> str:  # fmt: skip
    values = {
        "machine": equipment.name, "asset": asset, "component": mode.component,
        "fault": mode.name, "check": check.name, "limit": limit_text(check), "value": value,
        "symptom": symptom, "cause": cause, "action": action, "safety": safety,
    }  # fmt: skip
    return say(
        "sheet",
        [
            "Machine: {machine} {asset}\nComponent: {component}\nReported: {symptom}\n"
            "{check}: measured {value}, required {limit}\nSuspected: {cause}\n"
            "Action: {action}\nSafety: {safety}",
            "{asset} ({machine}), {component}. Complaint: {symptom}. Reading {value} for the "
            "{check}; the manual wants {limit}. Suspected cause: {cause}. Remedy: {action}. "
            "Before: {safety}.",
            "asset,{asset}\nmachine,{machine}\npart,{component}\nsymptom,{symptom}\n"
            "check,{check}\nlimit,{limit}\nreading,{value}\ncause,{cause}\naction,{action}\n"
            "safety,{safety}",
            "Inspection of {asset}, {machine}. The crew noticed {symptom} at the {component}. "
            "{check}, limit {limit}: {value}. Cause in view: {cause}. Safety: {safety}. "
            "Planned: {action}.",
            "{machine} {asset} | {component} | {fault}\nlimit: {check} {limit}\nfound: {value}\n"
            "symptom: {symptom}\ncause?: {cause}\ndo: {action}\nfirst: {safety}",
        ],
        **values,
    )


def _inspection_text(
    say: Realiser, equipment: Equipment, mode: FailureMode, check: Quantity, asset: str,
    symptom: str, cause: str, action: str, safety: str, value: str, limit: str, deviation: str,
    inside: bool,
) -> str:  # fmt: skip
    side = "within" if inside else "outside"
    names = {
        "machine": equipment.name, "asset": asset, "component": mode.component,
        "check": check.name, "value": value, "limit": limit, "deviation": deviation,
        "symptom": symptom, "cause": cause, "action": action, "safety": safety, "side": side,
        "check_a": _sentence(article(check.name))[:-1],
    }  # fmt: skip
    opening = say(
        "open",
        [
            "{asset}, {machine_a}, was inspected after {symptom}; it concerns the {component}.",
            "After a complaint of {symptom}, the {component} of {machine} {asset} {was} inspected.",
            "Inspection of the {component} on {machine} {asset}. Reason: {symptom}.",
            "The crew of {asset} ({machine}) reported {symptom}, so the {component} {was} checked.",
            "Report on {machine} {asset}: the {component} {was} looked at after {symptom}.",
        ],
        machine_a=article(equipment.name),
        was=_verb(equipment, mode.component, "was", "were"), **names,
    )  # fmt: skip
    finding = say(
        "finding",
        [
            "The {check} was measured at {value}; that is {deviation} {side} the limit of {limit}.",
            "{check_a} of {value} was found, against a limit of {limit}: {deviation} {side} it.",
            "With {value}, the {check} lies {side} its limit of {limit}, by {deviation}.",
            "Measured {check}: {value}. Limit: {limit}. The reading is {side} by {deviation}.",
            "The limit of the {check} is {limit}; the reading of {value} is {deviation} {side} it.",
        ],
        **names,
    )
    if inside:
        verdict = say(
            "verdict",
            [
                "The reading gives no reason to stop the machine; watch it at the next round.",
                "This value is in order, so look for another explanation of the complaint.",
                "The machine may stay in service; repeat the measurement at the next inspection.",
                "No repair follows from this reading; keep the complaint open and measure again.",
            ],
        )
        return " ".join([opening, finding, verdict])
    cause_said = say(
        "cause",
        [
            "Suspected cause: {cause}.",
            "The likely reason is {cause}.",
            "The inspector suspects {cause}.",
            "This points to {cause}.",
        ],
        **names,
    )
    remedy = say(
        "remedy",
        [
            "Action required: {action}. Before that, {safety}.",
            "First {safety}; then {action}.",
            "For safety, {safety}. The remedy: {action}.",
            "Plan the repair: {action}. Safety: {safety}.",
        ],
        **names,
    )
    return " ".join([opening, finding, cause_said, remedy])


# --- Technical documentation: one kind of equipment ---------------------------------------------


def _documentation_drafts(equipment: Equipment, rng: random.Random) -> Iterator[Draft]:
    group = f"{equipment.id}/documentation"
    for quantity in equipment.specifications:
        for _ in range(EXCERPTS_PER_EQUIPMENT):
            yield _specification_question(equipment, quantity, rng, group)
        yield _specification_understanding(equipment, quantity, rng, group)
    for part in equipment.components:
        for backwards in (False, True):
            yield _component_question(equipment, part, backwards, rng, group)
    for item in equipment.maintenance:
        yield from _maintenance_question(equipment, item, rng, group)


def _data_sheet(say: Realiser, equipment: Equipment, quantity: Quantity) -> str:
    """Four or five specifications, the wanted one among them, in one of several layouts."""
    rng = say.rng
    others = [other for other in equipment.specifications if other.name != quantity.name]
    rows = [quantity, *rng.sample(others, min(len(others), rng.choice([3, 4])))]
    rng.shuffle(rows)
    layout = say("layout", ["lines", "prose", "table", "dash"])
    head = say(
        "head",
        [
            "Data sheet: {name} ({example})",
            "{name}, {example}",
            "Technical data of the {name}",
            "Specification, {name}, size {example}",
        ],
        name=equipment.name, example=equipment.example,
    )  # fmt: skip
    if layout == "prose":
        told = ", ".join(f"{row.name} {limit_text(row)}" for row in rows)
        return f"{head}. The {equipment.name} {equipment.function}. Figures: {told}."
    mark = {"lines": ": ", "table": " | ", "dash": " - "}[layout]
    return "\n".join([head, *(f"{row.name}{mark}{limit_text(row)}" for row in rows)])


def _specification_question(
    equipment: Equipment, quantity: Quantity, rng: random.Random, group: str
) -> Draft:
    say = Realiser(rng, "qa/specification")
    sheet = _data_sheet(say, equipment, quantity)
    question = say(
        "question",
        [
            "What is the {x} of the {machine}?",
            "Look up the {x}.",
            "Which value does the data sheet give for the {x}?",
            "State the {x} with its unit.",
            "Find the {x} in the technical data.",
            "What {x} does this {machine} have?",
            "The planner needs the {x}. What is it?",
            "Quote the figure for the {x}.",
        ],
        x=quantity.name, machine=equipment.name,
    )  # fmt: skip
    answer = say(
        "answer",
        [
            "{x}.",
            "The {name} is {x}.",
            "{name_c}: {x}.",
            "It is {x}.",
            "The data sheet gives {x}.",
        ],
        x=limit_text(quantity), name=quantity.name,
        name_c=quantity.name[0].upper() + quantity.name[1:],
    )  # fmt: skip
    facts = (
        []
        if quantity.limit == "between"
        else _answer_facts(quantity.value, quantity.unit, quantity.name)
    )
    return _record(
        say, "qa", DOCUMENTATION, group, question, sheet, answer[0].upper() + answer[1:],
        equipment, facts,
    )  # fmt: skip


def _specification_understanding(
    equipment: Equipment, quantity: Quantity, rng: random.Random, group: str
) -> Draft:
    say = Realiser(rng, "understanding/specification")
    text = say(
        "text",
        [
            "{machine_a_c} of this size ({example}) has {x_a} of {y}.",
            "Technical data, {machine}: {x} {y}.",
            "For the {machine}, the {x} is given as {y} (size: {example}).",
            "The data sheet of the {machine} lists {y} under {x}.",
            "{x_c} of the {machine}: {y}.",
            "Size {example}. Machine: {machine}. {x_c}: {y}.",
        ],
        machine=equipment.name, example=equipment.example, x=quantity.name,
        y=limit_text(quantity), x_c=quantity.name[0].upper() + quantity.name[1:],
        machine_a_c=_sentence(article(equipment.name))[:-1], x_a=article(quantity.name),
    )  # fmt: skip
    how = f" {say('how', ['Measured', 'To be read', 'Taken'])} {quantity.how}." if (
        quantity.how.startswith(("at ", "on ", "with ", "by ", "in ", "from ", "between "))
    ) else ""  # fmt: skip
    values = {"equipment": equipment.name, "quantity": quantity.name, "value": quantity.value}
    if quantity.limit == "between":
        values["upper"] = quantity.upper
    values |= {"unit": quantity.unit} if quantity.unit else {}
    instruction = say("ask", UNDERSTAND[1:6:2] + UNDERSTAND[7:], keys=", ".join(values))
    instruction += say("tail", TAILS)
    answer = json.dumps(values, ensure_ascii=False)
    return _record(
        say, "understanding", DOCUMENTATION, group, instruction, text + how, answer, equipment
    )


# A plural component ("shaft bearings") takes the plural verb of its function ("carry the load").
FUNCTION_QUESTIONS = [
    "Describe the job of the {p}.",
    "Explain the function of the {p} in one sentence.",
    "What is the purpose of the {p}?",
    "Say in a few words what the {p} must achieve.",
]
SINGULAR_FUNCTION_QUESTIONS = ["What does the {p} do?", "What is the {p} for?"]
NAME_QUESTIONS = [
    "Which component has this job: {f}?",
    "Name the component with this function: {f}.",
    "Find the part of the {m} described by '{f}'.",
    "Look up the part of the {m} whose job is listed as: {f}.",
]
SINGULAR_NAME_QUESTIONS = [
    "Which component {f}?",
    "What is the part called that {f}?",
    "Which part of the {m} {f}?",
    "Something in the {m} {f}. What is it?",
]


def _component_question(
    equipment: Equipment, part: Component, backwards: bool, rng: random.Random, group: str
) -> Draft:
    """What a component does, or which component does it, from a list of three or four."""
    say = Realiser(rng, f"qa/component-{'name' if backwards else 'function'}")
    others = [other for other in equipment.components if other.name != part.name]
    shown = [part, *rng.sample(others, min(len(others), rng.choice([2, 3])))]
    rng.shuffle(shown)
    sheet = _component_list(say, equipment, shown)
    singular = not _is_plural(part)
    if backwards:
        wordings = NAME_QUESTIONS + (SINGULAR_NAME_QUESTIONS if singular else [])
        question = say("question", wordings, f=part.function, m=equipment.name)
        answers = ["The {p}.", "It is the {p}.", "That is the {p}."]
        answer = say("answer", answers if singular else ["The {p}.", "Answer: the {p}."],
                     p=part.name)  # fmt: skip
        facts = _answer_facts(part.name)
    else:
        wordings = FUNCTION_QUESTIONS + (SINGULAR_FUNCTION_QUESTIONS if singular else [])
        question = say("question", wordings, p=part.name)
        subject = "It" if singular else "They"
        answer = say("answer", [f"{subject} {{f}}.", "The {p} {f}."], p=part.name, f=part.function)
        facts = []
    return _record(say, "qa", DOCUMENTATION, group, question, sheet, answer, equipment, facts)


def _component_list(say: Realiser, equipment: Equipment, parts: Sequence[Component]) -> str:
    head = say("head", ["{m}: components", "How {a} is built", "Main parts of the {m}"],
               m=equipment.name, a=article(equipment.name))  # fmt: skip
    layout = say("layout", ["prose", "colon", "dash", "table", "job"])
    forms = {
        "prose": "The {p} {f}.", "colon": "{c}: {f}", "dash": "- {p}: {f}", "table": "{p} | {f}",
        "job": "Job of the {p}: {f}.",
    }  # fmt: skip
    rows = [
        forms[layout].format(p=one.name, f=one.function, c=one.name[0].upper() + one.name[1:])
        for one in parts
    ]
    return f"{head}\n{(' ' if layout in ('prose', 'job') else chr(10)).join(rows)}"


def _maintenance_question(
    equipment: Equipment, item: str, rng: random.Random, group: str
) -> Iterator[Draft]:
    """Interval -> work, and work -> interval, from a plan of 'every 500 h: change ...' lines."""
    interval, colon, work = (piece.strip() for piece in item.partition(":"))
    if not colon or sum(one.startswith(f"{interval}:") for one in equipment.maintenance) > 1:
        return
    for forwards in (True, False):
        say = Realiser(rng, f"qa/plan-{'work' if forwards else 'interval'}")
        plan = say.order("plan", list(equipment.maintenance))
        head = say("head", ["Maintenance plan, {m}", "Service schedule of the {m}",
                            "{m}: work at regular intervals"], m=equipment.name)  # fmt: skip
        mark = say("mark", ["", "- ", "* "])
        sheet = "\n".join([head, *(f"{mark}{line}" for line in plan)])
        if forwards:
            question = say(
                "question",
                [
                    "What is due {i}?",
                    "Which work does the plan ask for {i}?",
                    "Tell the crew what to do {i}.",
                    "What has to be done on the {m} {i}?",
                    "Look up the work that comes {i}.",
                ],
                i=interval, m=equipment.name,
            )  # fmt: skip
            answer = say("answer", ["{w}.", "The plan says: {w}.", "Due then: {w}."], w=work)
        else:
            question = say(
                "question",
                [
                    "How often does the plan ask for this: {w}?",
                    "At which interval is this due: {w}?",
                    "When is it time to do this on the {m}: {w}?",
                    "The task is: {w}. How often?",
                    "Find the interval for this work: {w}.",
                ],
                w=work, m=equipment.name,
            )  # fmt: skip
            answer = say("answer", ["{i}.", "It is due {i}.", "The plan says {i}."], i=interval)
        answer = answer[0].upper() + answer[1:]
        facts = [] if forwards else _answer_facts(interval)
        yield _record(say, "qa", DOCUMENTATION, group, question, sheet, answer, equipment, facts)
