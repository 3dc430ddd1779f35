"""Our own labels of a work order, from rules over whole words: only what the text states.

    apply_rules("C/O slew gearbox LH")  ->  {"action": {"Replace"}, "location": {"Left"}}

The rules are data, data/knowledge/work_orders.yaml, written after data/gold/guideline.md. Fixed
names go first and use up their words: the stick of a "dip stick" is not there for any rule.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.handwritten import read_as
from course_utils.order_fields import Labels, closed_set, outside

FILE = kit.DATA / "knowledge" / "work_orders.yaml"
USED_UP = "|"  # in place of a name, so that the words around it do not come together


class Rule(BaseModel):
    """Words and what they state, where `needs` and `unless` allow it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    words: list[str] = Field(min_length=1)
    states: dict[str, list[str]] = Field(default_factory=dict, description="field -> values")
    needs: list[str] = Field(default_factory=list, description="one of them must be there")
    unless: list[str] = Field(default_factory=list, description="none of them may be there")
    why: str = Field("", description="where it is not obvious; for the reader only")


class RuleFile(BaseModel):
    """The whole file: lists of words, fixed names, rules."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lists: dict[str, list[str]]
    names: list[Rule]
    rules: list[Rule]


class Trigger:
    """A rule made ready: its phrases, and `needs` and `unless` as patterns."""

    def __init__(self, rule: Rule, lists: dict[str, list[str]]) -> None:
        self.phrases = list(_phrases(rule.words, lists))
        self.pattern = _pattern(self.phrases)
        self.states = {field: set(values) for field, values in rule.states.items()}
        self.needs = _pattern(_phrases(rule.needs, lists)) if rule.needs else None
        self.unless = _pattern(_phrases(rule.unless, lists)) if rule.unless else None

    def allowed_by(self, text: str) -> bool:
        """Whether the words of the whole text let the rule speak."""
        if self.unless and self.unless.search(text):
            return False
        return not self.needs or bool(self.needs.search(text))


class Names:
    """All fixed names in one pattern, the longest first."""

    def __init__(self, triggers: Iterable[Trigger]) -> None:
        self.owners: dict[str, list[Trigger]] = {}
        for trigger in triggers:
            for phrase in trigger.phrases:
                self.owners.setdefault(phrase.removeprefix("^ "), []).append(trigger)
        self.pattern = _pattern(phrase for trigger in triggers for phrase in trigger.phrases)

    def take_out(self, text: str, found: Labels) -> str:
        """The text without its fixed names; what they state is added to `found`."""

        def use_up(match: re.Match) -> str:
            speak = [one for one in self.owners[match["phrase"]] if one.allowed_by(text)]
            for trigger in speak:
                _add(found, trigger.states)
            return USED_UP if speak else match[0]

        return self.pattern.sub(use_up, text)


def apply_rules(text: str, file: Path = FILE) -> Labels:
    """{field: values} that the words of an order state; a field without a value is left out."""
    names, rules = load_rules(file)
    whole = plain_words(text)
    found: Labels = {}
    rest = names.take_out(whole, found)
    for rule in rules:
        if rule.pattern.search(rest) and rule.allowed_by(whole):
            _add(found, rule.states)
    return found


def plain_words(text: str) -> str:
    """Lower case, apostrophes dropped, other signs a space: "L/H won't" -> "l h wont"."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", re.sub("['’`]", "", text.lower())).split())


@lru_cache
def load_rules(file: Path = FILE) -> tuple[Names, list[Trigger]]:
    """The fixed names and the rules of a file.

    Raises CourseError that names the file and the place when it cannot be read, or when a rule
    states a value that is not in the closed set.
    """
    cure = "course_utils/order_labels.py describes every key"
    content = read_as(RuleFile, file, cure)
    _check(file, content)
    ready = [
        [Trigger(rule, content.lists) for rule in part] for part in (content.names, content.rules)
    ]
    return Names(ready[0]), ready[1]


def _check(file: Path, content: RuleFile) -> None:
    for rule in (*content.names, *content.rules):
        for field, value in outside(rule.states):
            known = closed_set().get(field)
            raise CourseError(
                f"{file}: {rule.words[0]}: {field} {value!r} is not in the closed set",
                f"choose one of: {', '.join(known or closed_set())}",
            )
        for phrase in (*rule.words, *rule.needs, *rule.unless):
            for name in re.findall(r"<(.*?)>", phrase):
                if name not in content.lists:
                    raise CourseError(
                        f"{file}: {phrase!r}: there is no list {name!r}",
                        f"choose one of: {', '.join(content.lists)}",
                    )


def _phrases(words: Iterable[str], lists: dict[str, list[str]]) -> Iterator[str]:
    """Each phrase once for every word of the lists that it names."""
    for phrase in words:
        parts = re.split(r"<(.*?)>", phrase)  # text, list, text, list, ..., text
        choices = [lists[part] if place % 2 else [part] for place, part in enumerate(parts)]
        yield from ("".join(choice) for choice in product(*choices))


def _pattern(phrases: Iterable[str]) -> re.Pattern:
    """Any of the phrases as whole words, the longest first; a plural s may follow."""
    ordered = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    start = [re.escape(phrase[2:]) for phrase in ordered if phrase.startswith("^ ")]
    anywhere = [re.escape(phrase) for phrase in ordered if not phrase.startswith("^ ")]
    forms = [rf"^(?:{'|'.join(start)})"] * bool(start) + ["|".join(anywhere)] * bool(anywhere)
    return re.compile(rf"(?<!\S)(?P<phrase>{'|'.join(forms)})s?(?!\S)")


def _add(found: Labels, states: Labels) -> None:
    for field, values in states.items():
        found.setdefault(field, set()).update(values)
