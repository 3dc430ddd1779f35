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


@dataclass(frozen=True)
class Kind:
    """One kind of instruction: the function that verifies it and how a prompt says it.

    The check says it only in the wordings of `for_check`, which training never sees.
    """

    follows: Callable[..., bool]
    for_training: tuple[str, ...]
    for_check: tuple[str, ...]

    @property
    def description(self) -> str:
        return (self.follows.__doc__ or "").strip()

    @property
    def trained(self) -> bool:
        """Whether training records hold this kind; two kinds are for the check alone."""
        return bool(self.for_training)


KINDS: dict[str, Kind] = {
    "json_keys": Kind(
        has_json_keys,
        (
            "Answer with a JSON object that has the keys {keys}.",
            "Give the answer as JSON, keys: {keys}.",
            "Return only JSON with exactly these keys: {keys}.",
            "Write one JSON object and nothing else; its keys are {keys}.",
        ),
        ("Put the answer into a JSON object with {keys} as its keys.",
         "Only a JSON object may stand in the answer. Keys: {keys}."),
    ),
    "at_most_words": Kind(
        has_at_most_words,
        (
            "Use at most {count} words.",
            "The answer may have no more than {count} words.",
            "Stay within {count} words.",
            "Write {count} words or fewer.",
        ),
        ("Keep it to {count} words at most.", "Do not write more than {count} words."),
    ),
    "bullets": Kind(
        has_bullets,
        (
            "Answer with exactly {count} bullet points, each on a line that begins with '- '.",
            "Write {count} bullet points ('- ') and nothing else.",
            "Make a list of {count} lines, each starting with '- '.",
            "Use exactly {count} bullets; begin each with '- '.",
        ),
        ("The answer must be {count} bullet points, one a line, with '- ' in front.",
         "Format: exactly {count} lines that start with '- '."),
    ),
    "include_word": Kind(
        includes_word,
        (
            "Use the word '{word}' in the answer.",
            "The answer must contain the word '{word}'.",
            "Mention the word '{word}'.",
            "Include the word '{word}'.",
        ),
        ("Make sure that the word '{word}' occurs.", "Somewhere, write the word '{word}'."),
    ),
    "avoid_word": Kind(
        avoids_word,
        (
            "Do not use the word '{word}'.",
            "The word '{word}' must not occur in the answer.",
            "Avoid the word '{word}'.",
            "Answer without the word '{word}'.",
        ),
        ("Leave out the word '{word}'.", "Never write the word '{word}'."),
    ),
    "lower_case": Kind(
        is_lower_case,
        (
            "Write everything in lower case.",
            "Use small letters only.",
            "Do not use any capital letter.",
            "The whole answer must be in lower case.",
        ),
        ("Only lower-case letters are allowed.", "Answer in small letters, without capitals."),
    ),
    "begins_with": Kind(
        begins_with,
        (
            "Begin the answer with '{phrase}'.",
            "The first words must be '{phrase}'.",
            "Start with the words '{phrase}'.",
            "Put '{phrase}' in front of the answer.",
        ),
        ("Let the answer open with '{phrase}'.", "Your answer has to start with '{phrase}'."),
    ),
    "ends_with": Kind(
        ends_with,
        (
            "End the answer with '{phrase}'",
            "The last words must be '{phrase}'",
            "Finish with the words '{phrase}'",
            "Put '{phrase}' at the end of the answer.",
        ),
        ("Let the answer close with '{phrase}'", "Your answer has to end with '{phrase}'"),
    ),
    "sentences": Kind(
        has_sentences,
        (
            "Write exactly {count} sentences.",
            "The answer must have {count} sentences, no more and no fewer.",
            "Use {count} sentences.",
            "Answer in exactly {count} sentences.",
        ),
        ("Form {count} sentences, not one more or less.", "Length: exactly {count} sentences."),
    ),
    "yes_no": Kind(
        is_yes_or_no,
        (
            "Answer only yes or no.",
            "Reply with the one word yes or no.",
            "Say just yes or no.",
            "Yes or no? Nothing else.",
        ),
        ("A plain yes or no is enough, write no other word.",
         "The only answers allowed are yes and no."),
    ),
    "number_with_unit": Kind(
        is_number_with_unit,
        (
            "Give only the number and its unit ({unit}).",
            "Answer with the figure in {unit} and nothing else.",
            "Write just the value with the unit {unit}.",
            "The answer is one number followed by {unit}.",
        ),
        ("Reply with nothing but the value in {unit}.",
         "No sentence: only the figure and {unit}."),
    ),
    "capital_title": Kind(
        has_capital_title,
        (
            "Put a title in capital letters on the first line.",
            "The first line must be a title in capitals; the text follows below.",
            "Begin with a heading in capital letters on its own line.",
            "Write a title in capitals, then the text on the next line.",
        ),
        ("Above the text, give a heading in capital letters.",
         "Line one is a title written in capitals, the text comes under it."),
    ),
    "separated_items": Kind(
        has_separated_items,
        (
            "Give {count} items in one line, separated by '{mark}'.",
            "Write {count} items with '{mark}' between them, on one line.",
            "Separate the {count} items with '{mark}'; no line breaks.",
            "One line, {count} items, '{mark}' between the items.",
        ),
        ("Put '{mark}' between the {count} items and keep them on a single line.",
         "Format: {count} items on one line, divided by '{mark}'."),
    ),
    "numbered_steps": Kind(
        has_numbered_steps,
        (),
        ("Number the lines: 1. to {count}., one item each, nothing else.",
         "Answer as a numbered list with exactly {count} items (1., 2., ...)."),
    ),
    "upper_case": Kind(
        is_upper_case,
        (),
        ("Write the whole answer in capital letters.", "Use capital letters only."),
    ),
}  # fmt: skip

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
