"""Facts that an answer must state: written beside a record, looked for in a text.

A record's `facts` is one line: "work orders=12; limit=at most 90 °C; top system=Bucket | Engine;
rules=trend & beyond 3 sigma | no signal; band=2205 ± 10 nm". After "|" stand the other values of a
closed set; after "±" how far an answer may lie from the number, in the same unit.
They were computed when the record was made, so an answer can be scored without a judge.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from course_utils.errors import CourseError

# Not the 12 of "CP-12" and not the 4 of "4,5"; "2004 125" are two numbers, "12 500" is one.
NUMBER = re.compile(
    r"(?<![\w.])(?<!\d,)(?<![^\W\d]-)[-+\u2212]?"
    r"(?:\d{1,3}(?:[,\u202f\u00a0 ]\d{3}(?!\d))+|\d+)(?:\.\d+)?(?![.,]?\d)"
)
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")  # its day is no number of anything
# What stands for a unit in text: several spellings of the same thing count as the same.
SAME_UNIT = {
    "hours": "h",
    "hour": "h",
    "hrs": "h",
    "days": "d",
    "day": "d",
    "minutes": "min",
    "minute": "min",
    "seconds": "s",
    "second": "s",
    "percent": "%",
    "per cent": "%",
    "a$": "AUD",
    "degrees c": "°C",
    "deg c": "°C",
    "ppm": "ppm",
}
ANSWER = "answer"  # the name of the one fact of a question's record
LIMITS = ("at most", "at least", "between")
ALSO, OR_ELSE, WITHIN = " & ", " | ", " ± "
BEFORE = ("AUD", "EUR", "USD")  # a currency may stand before its number


@dataclass(frozen=True)
class Fact:
    """One thing that an answer must state: a number, a limit, a name, or values of a closed set.

    `limit` gives a number its direction ("at most"; "between" with `upper`). `others` are the
    further values of a closed set, which the answer must not state. `within` is how far a right
    number may lie from this one, where more than its last digit is free (a band of 2205 ± 10 nm).
    """

    name: str
    value: str
    unit: str = ""
    limit: str = ""  # one of LIMITS
    upper: str = ""
    others: tuple[str, ...] = ()
    within: str = ""

    @cached_property
    def number(self) -> float | None:
        """The value as a number, or None where it is a name."""
        return to_number(self.value) if NUMBER.fullmatch(self.value) else None

    @cached_property
    def decimals(self) -> int:
        """Digits behind the point, as the number is written."""
        return len(self.value.partition(".")[2])

    @cached_property
    def tolerance(self) -> float:
        """How far a right number may lie from this one.

        One in its last written digit; nothing for a limit, which is copied, for a whole number
        below 100, which is a count, and where one digit is more than a twentieth of the number.
        """
        if self.within:
            return to_number(self.within)
        digit = 10.0**-self.decimals
        least = 20 if self.decimals else 100
        return 0.0 if self.limit or abs(self.number or 0) < least * digit else digit

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The right names: several where all of them must be stated."""
        return tuple(self.value.split(ALSO))

    @property
    def right(self) -> str:
        """The right value in words: "at most 90 °C", "gear wheel"."""
        number = f"{self.value} and {self.upper}" if self.upper else self.value
        around = f"{WITHIN}{self.within}" if self.within else ""
        return " ".join(filter(None, (self.limit, number + around, self.unit)))

    def __str__(self) -> str:
        return f"{self.name}={OR_ELSE.join((self.right, *self.others))}"


def format_facts(facts: Iterable[Fact]) -> str:
    """Facts as one line. Raises CourseError for a part that holds one of the separators."""
    facts = list(facts)
    for fact in facts:
        parts = (fact.name, fact.unit, fact.limit, fact.upper, fact.within)
        parts += (*fact.values, *fact.others)
        if any(mark in part for part in parts for mark in (";", "=", "|", ALSO)):
            raise CourseError(f"the fact {fact!r} holds one of ; = | &", "use other words for it")
        if not fact.name or not fact.value:
            raise CourseError(f"the fact {fact!r} has no name or no value", "give both")
    return "; ".join(map(str, facts))


def parse_facts(text: str) -> list[Fact]:
    """The facts of one line; the reverse of `format_facts`.

    A value is a number and a unit where it begins with a number, otherwise a name.
    Raises CourseError for a part without "=".
    """
    facts = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        right, *others = (piece.strip() for piece in value.split("|"))
        if not equals or not name or not right:
            raise CourseError(
                f"facts: {part!r} is not NAME=VALUE", 'write "work orders=12; cost=100 AUD"'
            )
        facts.append(_parse_value(name, right, tuple(others)))
    return facts


def _parse_value(name: str, text: str, others: tuple[str, ...]) -> Fact:
    limit = next((limit for limit in LIMITS if text.startswith(f"{limit} ")), "")
    rest = text.removeprefix(limit).strip()
    first = NUMBER.match(rest)
    listed = ALSO in text  # "subgroups=3 & 4 & 7": labels, no number with a unit
    if listed or not first or not (first.end() == len(rest) or rest[first.end()] == " "):
        return Fact(name, text, others=others)
    after, upper = rest[first.end() :].strip(), ""
    if limit == "between" and after.startswith("and "):
        second = NUMBER.match(after := after.removeprefix("and ").strip())
        if second:
            upper, after = second.group(), after[second.end() :].strip()
    within = NUMBER.match(after.removeprefix(WITHIN.strip()).strip())
    if not after.startswith(WITHIN.strip()) or not within:
        return Fact(name, first.group(), after, limit, upper, others)
    unit = after.removeprefix(WITHIN.strip()).strip()[within.end() :].strip()
    return Fact(name, first.group(), unit, limit, upper, others, within.group())


def stands_in(text: str, fact: Fact) -> bool:
    """Whether a text states a fact: the name as words, or the number with its unit beside it.

    A number counts when it has the fact's value at the fact's own decimals (12.50 states 12.5) and
    the unit follows it, or precedes it for currencies. Without a unit, a word of the fact's name
    must stand in the same sentence, or any bare number would do (unless the name is "answer").
    """
    number = fact.number
    if number is None:
        return re.search(rf"(?<!\w){re.escape(_plain(fact.value))}(?!\w)", _plain(text)) is not None
    for sentence in _sentences(_without_dates(text)):
        if not fact.unit and fact.name != ANSWER and not _names(sentence, fact.name):
            continue
        for match in NUMBER.finditer(sentence):
            if _equal(match.group(), fact) and _has_unit(sentence, match, fact.unit):
                return True
    return False


def answers_number(text: str, fact: Fact) -> bool:
    """Whether the first or the last number with the fact's unit in a text is the right one.

    A result stands in front or at the end of its working ("6 x 4.439 gives Cp = 0.68"). Only these
    two count: an answer that lists all numbers of the sheet must not count as right.
    """
    text = _without_dates(text)
    told = [m.group() for m in NUMBER.finditer(text) if _has_unit(text, m, fact.unit)]
    return any(_equal(number, fact) for number in (told[:1] + told[-1:]))


def fact_accuracy(text: str, facts: Iterable[Fact]) -> float:
    """Share (0 to 1) of the facts that the text states."""
    found = [stands_in(text, fact) for fact in facts]
    if not found:
        raise CourseError("there is no fact to look for", "give the record its facts")
    return sum(found) / len(found)


def to_number(text: str) -> float:
    return float(re.sub(r"[,\u202f\u00a0 ]", "", text).replace("\u2212", "-"))


def _equal(text: str, fact: Fact) -> bool:
    decimals = len(fact.value.partition(".")[2])
    return round(to_number(text), decimals) == round(fact.number, decimals) and (
        # 12 does not state 12.46: a coarser number is another one.
        len(text.partition(".")[2]) >= decimals or to_number(text) == fact.number
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _without_dates(text: str) -> str:
    return DATE.sub("date", text)


def _sentences(text: str) -> list[str]:
    """Sentences and lines; a decimal point, or the one in "no. 3", does not end a sentence."""
    return re.split(r"\n|;\s+|(?<=[.!?])(?<!\b[Nn]o\.)\s+(?=[A-Z\d(-])", text)


def _names(sentence: str, name: str) -> bool:
    plain = _plain(sentence)
    words = [word for word in re.findall(r"\w+", name.casefold()) if len(word) > 2]
    if not words:  # a short name is no beginning of a longer one: Cp is not Cpk
        return re.search(rf"(?<!\w){re.escape(_plain(name))}(?!\w)", plain) is not None
    return any(re.search(rf"(?<!\w){re.escape(word)}", plain) for word in words)


def _has_unit(sentence: str, match: re.Match, unit: str) -> bool:
    if not unit:
        return True
    after = sentence[match.end() :].lstrip(" \u202f\u00a0-")
    if _begins_with_unit(after, unit):
        return True
    before = sentence[: match.start()].rstrip()
    return unit in BEFORE and before.endswith((unit, "A$" if unit == "AUD" else unit))


def _begins_with_unit(text: str, unit: str) -> bool:
    unit = SAME_UNIT.get(unit.casefold(), unit)
    spellings = {unit} | {long for long, short in SAME_UNIT.items() if short == unit}
    spellings |= {unit.replace("·", " "), unit.replace("µ", "u"), unit.replace("³", "3")}
    spellings |= {unit.replace("²", "2")}
    lower = text.casefold()
    # What follows must not make another unit of it: 4.5 mm/s is no length, 5 min⁻¹ no time.
    return any(
        re.match(rf"{re.escape(spelling.casefold())}(?![\w²³⁻^]|[/·*]\w)", lower)
        for spelling in spellings
    )
