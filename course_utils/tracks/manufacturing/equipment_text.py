"""Small pieces of text about equipment, and the records of manuals and documentation.

The instructions that both kinds of document share: data/wordings/manufacturing/equipment_text.yaml.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from course_utils.facts import ANSWER, Fact, format_facts
from course_utils.schemas import QUESTION_FORMS
from course_utils.tracks.knowledge import Component, Equipment, Quantity
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/equipment_text")
SOURCE = "knowledge base: {}"
MANUAL, DOCUMENTATION = "equipment_manual", "technical_documentation"
NUMBER, NAME, YES_NO, SENTENCE = QUESTION_FORMS
WITHOUT_ARTICLE = ("too ", "no ", "lack ")  # "too much oil in the compressed air"


def article(noun: str) -> str:
    """The noun with a or an."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def definite(noun: str) -> str:
    """The noun phrase with its article, for a sentence: 'the worn hoist brake'.

    "the" suits one thing, several and what cannot be counted; a or an would not.
    """
    return noun if noun.startswith(WITHOUT_ARTICLE) else f"the {noun}"


def amount(value: str, unit: str) -> str:
    """A number with its unit."""
    return f"{value} {unit}".strip()


def limit_text(quantity: Quantity) -> str:
    """'at most 4.5 mm/s', 'between 40 and 60 °C', or just the value; as facts write it."""
    if quantity.limit == "between":
        return f"between {quantity.value} and {amount(quantity.upper, quantity.unit)}"
    value = amount(quantity.value, quantity.unit)
    return value if quantity.limit == "equal to" else f"{quantity.limit} {value}"


def limit_fact(quantity: Quantity, name: str = ANSWER) -> Fact:
    """The figure of a quantity as a fact, with its direction where it is a limit."""
    limit = "" if quantity.limit == "equal to" else quantity.limit
    return Fact(name, quantity.value, quantity.unit, limit, quantity.upper or "")


def limit_keys(quantity: Quantity) -> dict[str, str]:
    """The figure of a quantity for JSON: which limit it is is half of its meaning."""
    limit = {} if quantity.limit == "equal to" else {"limit": quantity.limit}
    upper = {"upper": quantity.upper} if quantity.upper else {}
    unit = {"unit": quantity.unit} if quantity.unit else {}
    return limit | {"value": quantity.value} | upper | unit


def inside(text: str) -> str:
    """An imperative inside a sentence; abbreviations keep their capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def is_plural(part: Component) -> bool:
    """A plural component ("shaft bearings") has the plural verb in its function: "carry".

    A verb that ends in "ss" has no ending yet: the smoke tubes "pass", a bolt "passes".
    """
    word = part.function.split()[0].rstrip(",")
    return not word.endswith("s") or word.endswith("ss")


def verb(equipment: Equipment, component: str, singular: str, plural: str) -> str:
    """The form that goes with a component of this equipment."""
    found = [part for part in equipment.components if part.name == component]
    return plural if found and is_plural(found[0]) else singular


def rivals(value: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """The other candidates, each once; without those that the right value itself contains.

    A "belt scraper" cannot be named without the word "belt".
    """
    others = dict.fromkeys(one for one in candidates if one != value)
    return tuple(
        one for one in others if not re.search(rf"(?<!\w){re.escape(one)}(?!\w)", value, re.I)
    )


def name_fact(value: str, candidates: Iterable[str], name: str = ANSWER) -> Fact:
    """A name from the input as a fact; the other candidates stand there too."""
    return Fact(name, value, others=rivals(value, candidates))


def yes_fact(yes: bool) -> Fact:
    """The yes or no of an answer."""
    right, wrong = ("yes", "no") if yes else ("no", "yes")
    return Fact(ANSWER, right, others=(wrong,))


def announced(say: Realiser, question: str, form: str, case: str = "") -> str:
    """The question with what its answer has to look like; `case` is a finer case of the form."""
    return f"{question} {say('form', SAY['announcement'][case or form])}"


def ask_for_json(say: Realiser, document: str, keys: Iterable[str]) -> str:
    """The instruction to turn a text into JSON; `document` is "manual" or "documentation"."""
    request = say("ask", SAY["record_request"][document], keys=", ".join(keys))
    return f"{request} {say('tail', SAY['record_ending'])}".strip()


def json_text(values: Mapping[str, str]) -> str:
    """One JSON object, with letters such as µ as they are."""
    return json.dumps(values, ensure_ascii=False)


def draft(
    say: Realiser, task: str, document: str, group: str, instruction: str, given: str, answer: str,
    equipment: Equipment, facts: Sequence[Fact] = (), form: str = "",
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
    record |= {"form": form} if form else {}
    return Draft(record | ({"facts": format_facts(facts)} if facts else {}), say.template)
