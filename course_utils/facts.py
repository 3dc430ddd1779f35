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
ANSWER = "answer"  # the name of the one fact of a question's record
LIMITS = ("at most", "at least", "between")
ALSO, OR_ELSE, WITHIN = " & ", " | ", " ± "


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


def to_number(text: str) -> float:
    """The number of a text that `NUMBER` matches; thousands may be set apart."""
    return float(re.sub(r"[,\u202f\u00a0 ]", "", text).replace("\u2212", "-"))
