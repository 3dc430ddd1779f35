"""Whether an answer states what its record asks for: fact match of questions, fact F1 of reports.

    fact_match("At most 90 °C.", record)            True
    report_counts(text, record)                     Counts(right=4, missed=1, wrong=2, cut=False)

A text that lists everything, copies its input or denies the truth must not pay. So beside what is
right, all that a text states besides counts against it; `course data self-check` measures it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from course_utils import units
from course_utils.errors import CourseError
from course_utils.facts import ANSWER, Fact, parse_facts
from course_utils.schemas import QUESTION_FORMS, REPORT_FORMS
from course_utils.statements import Figure, Mention, Reading, labelled, read

WORKING_SHOWN, FIGURES_GIVEN = REPORT_FORMS
NUMBER_ONLY, NAME_ONLY, YES_OR_NO, ONE_SENTENCE = QUESTION_FORMS
# Words that an answer may be longer than twice its reference before it is cut.
ROOM = {"report": 20, "qa": 8}

Record = Mapping[str, str]


def reference_of(record: Record) -> str:
    """The right answer, of a record of either schema."""
    return record["output"] if "output" in record else record["answer"]


def input_of(record: Record) -> str:
    """The text that the record is about, of a record of either schema."""
    return record.get("input", record.get("context", ""))


# --- One fact in a text -------------------------------------------------------------------------


def states(text: str, facts: Iterable[Fact], named: bool = True) -> list[bool]:
    """For each fact, whether the text states it and nothing that contradicts it.

    `named`: a number without a unit needs a word of its fact's name in the same sentence, or any
    bare number would do; a question has named it already.
    """
    facts = list(facts)
    told = _Told(read(text), facts, named)
    return [told.right(fact) for fact in facts]


class _Told:
    """What a text says about the facts of one record."""

    def __init__(self, reading: Reading, facts: Sequence[Fact], named: bool, allowed: str = ""):
        self.reading, self.facts, self.named, self.allowed = reading, facts, named, allowed
        mentions = reading.mentions(_names(tuple(facts)))
        spans = [(m.start, m.end) for m in mentions]
        self.figures = [f for f in reading.figures if not _inside(f, spans)]
        self.by_name: dict[str, list[Mention]] = {}
        for mention in mentions:
            self.by_name.setdefault(mention.name, []).append(mention)

    def right(self, fact: Fact) -> bool:
        if is_yes_or_no(fact):
            return said_yes_or_no(self.reading.text) == fact.value.casefold()
        if _is_list(fact):
            return self._lists(fact)
        if fact.number is None:
            stated = all(self._is_stated(name) for name in fact.values)
            return stated and not self.rivals(fact)
        return self._states_number(fact)

    def _is_stated(self, name: str) -> bool:
        """Whether a name is stated, and stated more often than denied."""
        denied = [mention.denied for mention in self.by_name.get(name, [])]
        return denied.count(False) > denied.count(True)

    def rivals(self, fact: Fact) -> set[str]:
        """Other values of the fact's closed set that the text states."""
        own = {value for other in self.facts for value in other.values}
        names = [name for name in fact.others if name not in own]
        return {name for name in names if any(not m.denied for m in self.by_name.get(name, []))}

    def _states_number(self, fact: Fact) -> bool:
        equal = [figure for figure in self.figures if self.is_equal(figure, fact)]
        if any(figure.denied for figure in equal):
            return False
        if fact.limit == "between":
            return self._states_range(fact)
        if fact.limit:
            return any(f.limit == fact.limit for f in equal) and not any(
                f.limit and f.limit != fact.limit for f in equal
            )
        rivals = [_parse_rival(text) for text in fact.others]
        return bool(equal) and not any(
            self.is_equal(figure, rival) and not figure.denied
            for rival in rivals
            for figure in self.figures
            if not self.is_equal(figure, fact)
        )

    def is_equal(self, figure: Figure, fact: Fact, number: float | None = None) -> bool:
        """Whether a figure has the fact's number (or the one given) and unit, and is about it."""
        wanted = fact.number if number is None else number
        free = fact.tolerance
        if figure.decimals < fact.decimals and not fact.within:
            free = 0.0  # 95 does not state 95.1
        if not _is_near(figure.number, wanted, free) or not _has_unit(figure, fact.unit):
            return False
        about = fact.unit or not self.named or fact.name == ANSWER
        return bool(about) or _names_it(figure, fact.name)

    def _states_range(self, fact: Fact) -> bool:
        ends = (fact.number, float(fact.upper))
        for low, high in self.reading.ranges:
            if self._are(low, high, fact, ends) and not (low.denied or high.denied):
                return True
        return any(
            self._are(low, high, fact, ends)
            and (low.limit, high.limit) == ("at least", "at most")
            and not (low.denied or high.denied)
            for low in self.figures
            for high in self.figures
        )

    def _are(self, low: Figure, high: Figure, fact: Fact, ends: tuple) -> bool:
        return self.is_equal(low, fact, ends[0]) and self.is_equal(high, fact, ends[1])

    def _lists(self, fact: Fact) -> bool:
        """Whether the numbers of a list ("subgroups 3, 4 and 7") are the right ones and no more."""
        stated = self.listed(fact)
        if any(f.denied and not f.unit and str(int(f.number)) in fact.values for f in self.figures):
            return False
        return set(map(int, fact.values)) <= stated and not self.listed_too_much(fact, stated)

    def listed(self, fact: Fact) -> set[int]:
        found = _labels_of(self.reading.text, fact)
        if not found and not self.named:
            found = {int(f.number) for f in self.figures if not f.unit and f.number.is_integer()}
        return found

    def listed_too_much(self, fact: Fact, stated: set[int]) -> set[int]:
        own = {int(v) for other in self.facts if _is_list(other) for v in other.values}
        own |= {int(f.number) for f in self.facts if f.number and not f.unit}
        return stated - own - _labels_of(self.allowed, fact)

    def belongs(self, figure: Figure) -> bool:
        """Whether a figure is one that a fact asks for, its direction right or left unsaid."""
        return not figure.denied and any(self._fits(figure, fact) for fact in self.facts)

    def _fits(self, figure: Figure, fact: Fact) -> bool:
        if fact.number is None:
            return _is_list(fact) and figure.number in set(map(int, fact.values))
        if fact.limit == "between":
            ends = ((fact.number, "at least"), (float(fact.upper), "at most"))
            return any(
                self.is_equal(figure, fact, end) and figure.limit in ("", limit)
                for end, limit in ends
            )
        if not self.is_equal(figure, fact):
            return False
        return not fact.limit or figure.limit in ("", fact.limit)

    def contradicts(self, figure: Figure) -> bool:
        """Whether a figure turns the direction of a limit round."""
        return not self.belongs(figure) and any(
            fact.limit and self.is_equal(figure, fact, end)
            for fact in self.facts
            for end in filter(None, (fact.number, float(fact.upper or 0)))
        )


def is_yes_or_no(fact: Fact) -> bool:
    """Whether the fact is the yes or no of an answer."""
    return {"yes", "no"} == {value.casefold() for value in (fact.value, *fact.others)}


_ANSWERED = re.compile(r"[\W_]*(yes|no)\b", re.IGNORECASE)
# Further on a "no" is an answer where a clause begins or ends with it, unless it is "no. 3".
_ANSWERED_TOO = re.compile(
    r"(?<![^\s,;:.!?/(])(yes|no)(?=\s*(?:[,;:/!]|[.](?!\s?\d)|$|or\b|and\b))"
    r"|(?<=[.;:!?])\s*(yes|no)(?=[.,;:!])",
    re.IGNORECASE,
)


def said_yes_or_no(text: str) -> str:
    """The yes or no that a text begins with; "" where it begins otherwise or says the other too."""
    first = _ANSWERED.match(text)
    said = {"".join(words).casefold() for words in _ANSWERED_TOO.findall(text)}
    return first[1].casefold() if first and said <= {first[1].casefold()} else ""


def _is_list(fact: Fact) -> bool:
    """Whether the values are numbers that label something: subgroups 3, 4 and 7."""
    return len(fact.values) > 1 and all(value.isdigit() for value in fact.values)


def _labels_of(text: str, fact: Fact) -> set[int]:
    """Numbers that the text gives after the fact's own word: of "subgroups", those of subgroups."""
    name = fact.name.casefold()
    return {n for word, numbers in labelled(text) if word in name for n in numbers}


@lru_cache(maxsize=20_000)
def _names(facts: tuple[Fact, ...]) -> frozenset[str]:
    """All names to look for in a text about these facts: right ones and their rivals."""
    return frozenset(
        name
        for fact in facts
        if fact.number is None and not is_yes_or_no(fact) and not _is_list(fact)
        for name in (*fact.values, *fact.others)
    )


def _is_near(number: float, wanted: float, free: float) -> bool:
    return abs(number - wanted) <= free + 1e-9 * max(1.0, abs(wanted))


def _inside(figure: Figure, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= figure.start < end for start, end in spans)


@lru_cache(maxsize=20_000)
def _parse_rival(text: str) -> Fact:
    fact = parse_facts(f"rival={text}")[0]
    return fact if fact.number is not None else Fact("rival", "nan")


@lru_cache(maxsize=4096)
def _unit(unit: str) -> str:
    return units.known_unit(unit)


def _has_unit(figure: Figure, unit: str) -> bool:
    known = _unit(unit)
    if known or not unit:
        return units.same_unit(figure.unit, known)
    # No unit of measurement but something counted: "12 work orders", or 12 and no more said.
    following = " ".join(figure.following.casefold().replace("-", " ").split())
    counted = " ".join(unit.casefold().replace("-", " ").split())
    if following.startswith((counted, counted.removesuffix("s"))):
        return True
    said_no_more = not figure.unit and not re.match(r"\w", following)
    return said_no_more and unit.replace(" ", "").isalpha() and unit == unit.casefold()


@lru_cache(maxsize=20_000)
def _name_pattern(name: str) -> re.Pattern:
    words = [word for word in re.findall(r"\w+", name.casefold()) if len(word) > 2]
    if not words:  # a short name is no beginning of a longer one: Cp is not Cpk
        return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)


def _names_it(figure: Figure, name: str) -> bool:
    return bool(_name_pattern(name).search(figure.sentence))


# --- Questions ----------------------------------------------------------------------------------


def form_of(record: Record) -> str:
    """The form of a question's answer; where the record names none, as its facts and answer look.

    A number or a name alone is the bare form only where the reference says nothing else either.
    "" where there are no facts.
    """
    form = record.get("form", "")
    if form in QUESTION_FORMS:
        return form
    facts = facts_of(record)
    if not facts:
        return ""
    if any(map(is_yes_or_no, facts)):
        return YES_OR_NO
    told = _Told(read(reference_of(record)), facts, named=False)
    if all(fact.number is not None for fact in facts):
        bare = all(map(told.belongs, told.figures))
        return NUMBER_ONLY if bare else ONE_SENTENCE
    words = sum(len(name.split()) for fact in facts for name in fact.values)
    return NAME_ONLY if len(reference_of(record).split()) <= words + 1 else ONE_SENTENCE


@lru_cache(maxsize=20_000)
def _parsed(line: str) -> tuple[Fact, ...]:
    return tuple(parse_facts(line))


def facts_of(record: Record) -> tuple[Fact, ...]:
    """The facts of a record; none for records that have none. Raises CourseError for a bad line."""
    return _parsed(record.get("facts") or "")


def cut(text: str, reference: str, room: int) -> str:
    """The text as far as it is read: at most twice the words of the reference, and `room` words."""
    most = 2 * len(reference.split()) + room
    words = list(re.finditer(r"\S+", text))
    return text if len(words) <= most else text[: words[most - 1].end()]


def part_read(text: str, record: Record) -> str:
    """What of an answer is scored: cut to length, of `one sentence` the first one only."""
    text = text.strip()
    if form_of(record) == ONE_SENTENCE:
        text = read(text).sentence(0).strip()
    return cut(text, reference_of(record), ROOM["qa"])


def fact_match(text: str, record: Record) -> bool:
    """Whether an answer to a question states all facts of its record, and nothing against them.

    In the bare forms any other number, or a list of several names, is against them; elsewhere what
    the facts name as rivals, and more than one other figure of the asked unit.
    Raises CourseError for a record without facts.
    """
    facts, form = _needed(record), form_of(record)
    told = _Told(read(part_read(text, record)), facts, named=False)
    if not all(map(told.right, facts)):
        return False
    if form == NUMBER_ONLY:
        return all(map(told.belongs, told.figures))
    if form == NAME_ONLY and not any(map(_is_list, facts)):
        return not _lists_names(told)
    return len(_strangers(told, reference_of(record))) <= 1


def _needed(record: Record) -> tuple[Fact, ...]:
    facts = facts_of(record)
    if not facts:
        raise CourseError("there is no fact to look for", "give the record its facts")
    return facts


def _lists_names(told: _Told) -> bool:
    """Whether a bare answer has two parts or more that hold none of the right names."""
    own = [m for fact in told.facts for name in fact.values for m in told.by_name.get(name, [])]
    text = told.reading.text
    for mention in own:
        text = text[: mention.start] + "~" * (mention.end - mention.start) + text[mention.end :]
    parts = re.split(r"[;,/|\n]|\band\b|\bor\b", text)
    return sum(bool(re.search(r"[^\W\d_]", part)) and "~" not in part for part in parts) > 1


def _strangers(told: _Told, reference: str) -> set[float]:
    """Figures of an asked unit that are neither asked for nor in the reference."""
    asked = {_unit(fact.unit) for fact in told.facts if fact.number is not None}
    known = {figure.number for figure in read(reference).figures}
    return {
        figure.number
        for figure in told.figures
        if figure.unit in asked and figure.number not in known and not told.belongs(figure)
    }


# --- Reports ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What a report states: facts that are right or missed, and statements nobody asked for."""

    right: int
    missed: int
    wrong: int
    cut: bool

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision (van Rijsbergen 1979), 0 to 1."""
        return 2 * self.right / (2 * self.right + self.wrong + self.missed)

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed)

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right else 0.0


def report_counts(text: str, record: Record) -> Counts | None:
    """Right, missed and wrong statements of a report; None where there is no fact to look for.

    Right are facts that the text states; of a report whose working is shown, those only that do not
    stand in the input. A name counts where at least half of the figures are right: without them a
    conclusion is a guess. Wrong is every rival name, and every figure that is no fact and does not
    stand in the reference either.
    """
    facts = facts_of(record)
    wanted = _wanted(facts, record.get("form", ""), input_of(record))
    if not wanted:
        return None
    reference = reference_of(record)
    part = cut(text.strip(), reference, ROOM["report"])
    told = _Told(read(part), facts, named=True, allowed=reference)
    right = {fact for fact in wanted if told.right(fact)}
    numbers = {fact for fact in wanted if fact.number is not None}
    numbers = numbers or {fact for fact in facts if fact.number is not None}
    if 2 * sum(map(told.right, numbers)) < len(numbers):
        right &= numbers
    wrong = _untrue_figures(told, reference) + sum(len(told.rivals(fact)) for fact in facts)
    return Counts(len(right), len(wanted) - len(right), wrong, cut=part != text.strip())


@lru_cache(maxsize=20_000)
def _wanted(facts: tuple[Fact, ...], form: str, text: str) -> tuple[Fact, ...]:
    """The facts that count: of a shown working, those that cannot be copied from the input."""
    if form != WORKING_SHOWN:
        return facts
    found = _Told(read(text), facts, named=True)
    return tuple(fact for fact in facts if not found.right(fact))


def _untrue_figures(told: _Told, reference: str) -> int:
    """Different figures of a text that are no fact and do not stand in the reference."""
    neutral = _beside_facts(reference, tuple(told.facts))
    numbers = [fact for fact in told.facts if fact.number is not None]
    untrue = {
        (figure.number, figure.unit)
        for figure in told.figures
        if not figure.label and not figure.denied and not told.belongs(figure)
        if told.contradicts(figure)
        or not (
            any(_is_same(figure, other) for other in neutral)
            or any(told.is_equal(figure, fact) for fact in numbers)
            or _is_bare_fact(figure, numbers)
        )
    }
    lists = [fact for fact in told.facts if _is_list(fact)]
    listed = {n for fact in lists for n in told.listed_too_much(fact, told.listed(fact))}
    return len(untrue) + len(listed)


@lru_cache(maxsize=20_000)
def _beside_facts(reference: str, facts: tuple[Fact, ...]) -> tuple[Figure, ...]:
    """Figures of a reference that are no facts: a report may have them too, and gains nothing."""
    told = _Told(read(reference), facts, named=True)
    return tuple(figure for figure in told.figures if not told.belongs(figure))


def _is_same(figure: Figure, other: Figure) -> bool:
    """Whether two figures are the same, one of them perhaps without its unit."""
    return _is_near(figure.number, other.number, 0.0) and (
        figure.unit == other.unit or not figure.unit or not other.unit
    )


def _is_bare_fact(figure: Figure, facts: Sequence[Fact]) -> bool:
    """A fact's number that lacks its unit or its name: it gains nothing, but it is no lie."""
    return not figure.unit and any(
        _is_near(figure.number, fact.number or 0.0, fact.tolerance) for fact in facts
    )
