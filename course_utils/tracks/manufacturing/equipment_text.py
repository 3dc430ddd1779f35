"""Small pieces of text about equipment, and the records of manuals and documentation.

The instructions that both kinds of document share: data/wordings/manufacturing/equipment_text.yaml.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from course_utils.facts import Fact, format_facts
from course_utils.tracks.knowledge import Component, Equipment, Quantity
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/equipment_text")
SOURCE = "knowledge base: {}"
MANUAL, DOCUMENTATION = "equipment_manual", "technical_documentation"


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


def inside(text: str) -> str:
    """An imperative inside a sentence; abbreviations keep their capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def is_plural(part: Component) -> bool:
    """A plural component ("shaft bearings") has the plural verb in its function: "carry"."""
    return not part.function.split()[0].rstrip(",").endswith("s")


def verb(equipment: Equipment, component: str, singular: str, plural: str) -> str:
    """The form that goes with a component of this equipment."""
    found = [part for part in equipment.components if part.name == component]
    return plural if found and is_plural(found[0]) else singular


def ask_for_json(say: Realiser, document: str, keys: Iterable[str]) -> str:
    """The instruction to turn a text into JSON; `document` is "manual" or "documentation"."""
    request = say("ask", SAY["record_request"][document], keys=", ".join(keys))
    return f"{request} {say('tail', SAY['record_ending'])}".strip()


def json_text(values: Mapping[str, str]) -> str:
    """One JSON object, with letters such as µ as they are."""
    return json.dumps(values, ensure_ascii=False)


def answer_facts(value: str, unit: str = "", name: str = "") -> list[Fact]:
    """The one fact of a question, if it can be written as one.

    A bare number cannot be told from another one in the quantity's name ("ratio at 10 µm").
    """
    doubtful = not unit and any(char.isdigit() for char in name)
    clean = not any(mark in value for mark in ";=")
    return [Fact("answer", value, unit)] if clean and not doubtful else []


def draft(
    say: Realiser, task: str, document: str, group: str, instruction: str, given: str, answer: str,
    equipment: Equipment, facts: Sequence[Fact] = (),
) -> Draft:  # fmt: skip
    """A record about a piece of equipment."""
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
