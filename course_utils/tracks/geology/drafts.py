"""What the builders of geology records share: the record, its group, its one number, its words."""

from course_utils.facts import ANSWER, Fact, format_facts
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/system_message")


def draft(
    say: Realiser,
    instruction: str,
    context: str,
    answer: str,
    source: str,
    group: str,
    fact: Fact | None = None,
) -> Draft:
    """A record of the geology schema with the wording that made it."""
    record = {
        "system": SAY.phrase("system"),
        "instruction": capital(instruction),
        "context": capital(context),
        "answer": answer,
        "source": source,
        "group": group,
    }
    if fact:
        record["facts"] = format_facts([fact])
    return Draft(record, say.template)


def number(value: float, decimals: int, unit: str = "") -> Fact:
    """The one fact of a numeric question."""
    return Fact(ANSWER, f"{value:.{decimals}f}", unit)


def decimals_of(text: str) -> int:
    """Digits behind the point: 1 for '2.5'."""
    return len(text.partition(".")[2])


def group_of(family: str) -> str:
    """The `group` of all records on one family of minerals."""
    return f"mineral/{family}"


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")
