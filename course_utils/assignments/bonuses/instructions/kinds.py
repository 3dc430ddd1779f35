"""Kinds of instruction: the checker of each, how a prompt says it, and which go together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from course_utils.assignments.bonuses.instructions.checkers import (
    avoids_word,
    begins_with,
    ends_with,
    has_at_most_words,
    has_bullets,
    has_capital_title,
    has_json_keys,
    has_numbered_steps,
    has_sentences,
    has_separated_items,
    includes_word,
    is_lower_case,
    is_number_with_unit,
    is_upper_case,
    is_yes_or_no,
)
from course_utils.errors import CourseError
from course_utils.tracks.wordings import Wordings

SAY = Wordings("bonuses/instruction_kinds")


@dataclass(frozen=True)
class Kind:
    """One kind of instruction: the function that verifies it, and how a prompt says it."""

    name: str
    follows: Callable[..., bool]

    @property
    def wordings(self) -> Mapping[str, list[str]]:
        """Those of "train" and of "check", which training never sees."""
        return SAY[self.name]

    @property
    def description(self) -> str:
        return (self.follows.__doc__ or "").strip()

    @property
    def trained(self) -> bool:
        """Whether training records hold this kind; two kinds are for the check alone."""
        return "train" in self.wordings


_FOLLOWS = {
    "json_keys": has_json_keys,
    "at_most_words": has_at_most_words,
    "bullets": has_bullets,
    "include_word": includes_word,
    "avoid_word": avoids_word,
    "lower_case": is_lower_case,
    "begins_with": begins_with,
    "ends_with": ends_with,
    "sentences": has_sentences,
    "yes_no": is_yes_or_no,
    "number_with_unit": is_number_with_unit,
    "capital_title": has_capital_title,
    "separated_items": has_separated_items,
    "numbered_steps": has_numbered_steps,
    "upper_case": is_upper_case,
}
KINDS = {name: Kind(name, follows) for name, follows in _FOLLOWS.items()}

# What one prompt may ask for together. The kinds that are never trained stand alone.
PAIRS = (
    ("sentences", "begins_with"), ("sentences", "ends_with"), ("sentences", "lower_case"),
    ("sentences", "include_word"), ("sentences", "avoid_word"), ("bullets", "lower_case"),
    ("bullets", "at_most_words"), ("separated_items", "lower_case"),
    ("separated_items", "at_most_words"), ("begins_with", "ends_with"),
    ("begins_with", "at_most_words"), ("capital_title", "ends_with"),
    ("capital_title", "at_most_words"), ("lower_case", "avoid_word"),
    ("include_word", "at_most_words"),
)  # fmt: skip


def follows(kind: str, answer: str, **arguments: Any) -> bool:
    """Whether an answer follows one instruction; an empty answer follows none."""
    if kind not in KINDS:
        raise CourseError(
            f"there is no kind of instruction {kind!r}", f"choose one of: {', '.join(KINDS)}"
        )
    answer = answer.strip()
    return bool(answer) and KINDS[kind].follows(answer, **arguments)


@dataclass(frozen=True)
class Constraint:
    """One instruction of a prompt: its kind and what it asks for."""

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def follows(self, answer: str) -> bool:
        """Whether an answer follows it."""
        return follows(self.kind, answer, **self.arguments)
