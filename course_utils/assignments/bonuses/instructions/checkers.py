"""What a small function can verify about an answer: its form, not its truth."""

import json
import re
from collections.abc import Sequence


def has_json_keys(answer: str, keys: Sequence[str]) -> bool:
    """The whole answer is one JSON object with exactly these keys."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", answer, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and set(found) == set(keys)


def has_at_most_words(answer: str, count: int) -> bool:
    """The answer has no more than `count` words (what spaces separate)."""
    return len(answer.split()) <= count


def has_bullets(answer: str, count: int) -> bool:
    """The answer is exactly `count` lines that begin with a dash, and nothing else."""
    lines = _lines(answer)
    return len(lines) == count and all(re.match(r"[-*•]\s+\S", line) for line in lines)


def has_numbered_steps(answer: str, count: int) -> bool:
    """The answer is exactly the lines 1. to `count`. and nothing else."""
    numbers = [re.match(r"(\d+)[.)]\s+\S", line) for line in _lines(answer)]
    return [match and int(match[1]) for match in numbers] == list(range(1, count + 1))


def includes_word(answer: str, word: str) -> bool:
    """The word stands in the answer as a whole word; capitals do not matter."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", answer, re.IGNORECASE) is not None


def avoids_word(answer: str, word: str) -> bool:
    """The word does not stand in the answer as a whole word; capitals do not matter."""
    return not includes_word(answer, word)


def is_lower_case(answer: str) -> bool:
    """There is a letter, and no capital letter."""
    return answer.islower()


def is_upper_case(answer: str) -> bool:
    """There is a letter, and no small letter."""
    return answer.isupper()


def begins_with(answer: str, phrase: str) -> bool:
    """The answer begins with the phrase, letter for letter, and goes on after it."""
    return answer.startswith(phrase) and len(answer) > len(phrase)


def ends_with(answer: str, phrase: str) -> bool:
    """The answer ends with the phrase, letter for letter, after something else."""
    return answer.endswith(phrase) and len(answer) > len(phrase)


def has_sentences(answer: str, count: int) -> bool:
    """The answer has exactly `count` sentences; a new line begins a new one too."""
    return len(split_sentences(answer)) == count


def is_yes_or_no(answer: str) -> bool:
    """The answer is the one word yes or no."""
    return re.fullmatch(r"(yes|no)[.!]?", answer, re.IGNORECASE) is not None


def is_number_with_unit(answer: str, unit: str) -> bool:
    """The answer is one number and its unit, nothing else."""
    return re.fullmatch(rf"[-+]?\d+([.,]\d+)*\s*{re.escape(unit)}\.?", answer) is not None


def has_capital_title(answer: str) -> bool:
    """The first line is in capital letters, and a text in ordinary letters follows."""
    title, _, text = answer.partition("\n")
    return title.isupper() and bool(text.strip()) and not text.isupper()


def has_separated_items(answer: str, mark: str, count: int) -> bool:
    """One line of exactly `count` items, with the mark between them."""
    items = answer.split(mark)
    return "\n" not in answer and len(items) == count and all(item.strip() for item in items)


def split_sentences(text: str) -> list[str]:
    """Sentences and lines; a decimal point ends none."""
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part.strip()]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
