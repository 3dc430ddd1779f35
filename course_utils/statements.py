"""What a text states: figures with unit and direction, and names; and what of it the text denies.

    reading = read("The limit is at most 90 °C; the lot is not released.")
    reading.figures[0].limit            "at most"
    reading.mentions(("release",))      [Mention("release", denied=True, ...)]

No judge and no model: rules on words, so the same text always states the same.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from course_utils import units
from course_utils.facts import NUMBER, to_number

# --- Sentences, and what denies them ------------------------------------------------------------

_SHORT = ("no", "nos", "max", "min", "approx", "vs", "ca", "fig", "incl", "resp", "e.g", "i.e")
_SENTENCE_END = re.compile(
    r"\n+|;\s+|(?<=[.!?])"
    + "".join(rf"(?<!\b{word}\.)(?<!\b{word.capitalize()}\.)" for word in _SHORT)
    + r"\s+(?=[A-Z\d(*\"-])"
)
_QUOTED = re.compile(r'"[^"\n]{1,150}"|\u201c[^\u201d\n]{1,150}\u201d')
# "It is not the case that ...": all of the sentence is denied, wherever the words stand in it.
_DENIES_ALL = re.compile(
    r"(?:\bnot|n't|\bnever)\s+(?:the\s+case|true)\b"
    r"|(?:\bnot|n't)\s+(?:right|correct)\s+(?:that|to)\b"
    r"|\b(?:is|was)\s+(?:false|wrong|untrue|incorrect)\s+(?:that|to)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|without|no|none|hardly)\b(?!\.\s?\d)"
    r"|n['\u2019]t\b|\brather\s+than\b|\binstead\s+of\b|\bruled?\s+out\b|\bfails?\s+to\b",
    re.IGNORECASE,
)
# "No fault is more common than burr" names burr; "not only burr" too.
_NO_NEGATION = re.compile(
    r"\bnot\s+(?:only|just)\b|\bno\s+doubt\b|\bnothing\s+but\b"
    r"|\b(?:no|none|nothing)\b[^.;]{0,60}?\b(?:more|other|\w+er)\b[^.;]{0,30}?\bthan\b",
    re.IGNORECASE,
)
# Where the reach of a "not" ends, looked at from the name backwards.
_CLAUSE_END = re.compile(
    r"[.:;!?()\n\u2013\u2014]|\s-\s|\b(?:but|and|so|because|since|although|though|while|whereas|"
    r"therefore|hence|thus|then|if|when|until|unless|before|after|which)\b|,(?!\s*(?:or|nor)\b)",
    re.IGNORECASE,
)
_BETWEEN_NAMES = re.compile(r"(?:[\s~]|\bor\b|\bnor\b)*")  # other names stand as ~ there
# "Release is not possible", "release is ruled out": the denial follows its name.
_DENIED_AFTER = re.compile(
    r"\W*(?:(?!(?:which|that|who)\b)\w+\s+){0,3}?"
    r"(?:(?:is|are|was|were|does|do|did|will|would|can|could|should|may|must|has|have)\s*"
    r"(?:not\b(?!\s+only)|n['\u2019]t\b|never\b)|cannot\b|"
    r"(?:is|are|was|were)\s+(?:ruled\s+out|excluded|refused|wrong|false|incorrect|untrue|"
    r"out\s+of\s+the\s+question|impossible))",
    re.IGNORECASE,
)

# --- Figures ------------------------------------------------------------------------------------

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
# Numbers that are no figures: dates, times, marks of a list, standards, "3 sigma".
_NO_FIGURE = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}\.\d{{1,2}}\.\d{{4}}\b|\b\d{{1,2}}:\d{{2}}\b"
    rf"|\b(?:\d{{1,2}}\s+)?{_MONTH}\s+\d{{4}}\b|\b\d{{1,2}}\s+{_MONTH}\b"
    r"|\b(?:in|since|during)\s+(?:19|20)\d\d\b(?!\s?[%°.]\w?)"
    r"|(?m:^)[^\S\n]*\d{1,2}[.)](?=\s)"
    r"|\b(?:ISO|DIN|EN|IEC|API|ASTM|VDI|NFPA|OSHA|ANSI|ASME|BS|AGMA|DGUV|FEM|TRBS)(?:[/ ][A-Z]+)*"
    r"[\s-]?[A-Z]?\d[\d.:-]*"
    r"|\b[1-6][\s-]?(?:sigma|σ)"
)
# The 3 of "subgroup 3" and all numbers of "subgroups 3, 4 and 7 to 9" count nothing.
_LABELS = re.compile(
    r"\b(subgroup|sample|no|number|step|rule|lot|batch|order|machine|line|shift|point|cavity|"
    r"spindle|unit|item|row|position|part|table|section|figure|page|clause|annex|chapter|sheet|"
    r"class|grade|type|zone|stage|station|band|channel|test|run|excavator|loader|truck|pump|press)"
    r"(?:e?s)?(?:\.|\s*#)?\s+(\d{1,4}(?:(?:\s*(?:,|&|-|\u2013|to|or|and|,\s*and)\s*)\d{1,4})*)"
    r"(?![\d.]*\d|\s?[%°])",
    re.IGNORECASE,
)

# A number's direction stands before it ("at most 90 °C", "must not exceed 90 °C") ...
_DIRECTION = re.compile(
    r"(?P<most>\bat\s+(?:the\s+)?most\b|\bmax(?:imum\b|\.|\b)|\bup\s+to\b|≤|⩽|<=|\bupper\s+limit\b|"
    r"\bnot\s+later\s+than\b)"
    r"|(?P<least>\bat\s+(?:the\s+)?least\b|\bminimum\b|\bmin\.|\bmin(?=\s*$)|≥|⩾|>=|"
    r"\blower\s+limit\b)"
    r"|(?P<up>\babove\b|\bover\b|\bexceed\w*|\b(?:more|greater|higher|larger)\s+than\b|"
    r"\bbeyond\b|>)"
    r"|(?P<down>\bbelow\b|\bunder\b|\b(?:less|lower|fewer|smaller)\s+than\b|<)"
    r"|(?P<within>\bwithin\b)",
    re.IGNORECASE,
)
# ... or behind its unit ("90 °C or less", "90 °C max.").
_BEHIND = re.compile(
    r"[\s,(]*(?:(?P<most>or\s+(?:less|below|lower|under|fewer)\b|at\s+(?:the\s+)?most\b|"
    r"max(?:imum\b|\.|\b)|as\s+(?:a|the)\s+(?:maximum|upper\s+limit)\b|"
    r"(?:must|may|shall|should|can|is|are)\s*(?:not|never)\s+(?:to\s+)?be\s+(?:exceeded|passed)\b)"
    r"|(?P<least>or\s+(?:more|above|higher|over)\b|at\s+(?:the\s+)?least\b|min(?:imum\b|\.)|"
    r"as\s+(?:a|the)\s+(?:minimum|lower\s+limit)\b))(?!\s*(?:of\s+)?[\d\u2212-])",
    re.IGNORECASE,
)
# "92 °C is above 90 °C" compares two readings; only "must be above", "above the limit" limit them.
_COMPARES = re.compile(
    r"\b(?:is|are|was|were|lies|lie|lay|reads?|stands|reached|exceeds|exceeded)\s+"
    r"(?:(?:not|well|far|just|already|clearly|slightly|still|only|[\d.,]+\s?\S+)\s+)*$|^$",
    re.IGNORECASE,
)
_LIMIT_WORD = re.compile(r"\b(?:limits?|threshold|requirement|allowed|permitted)\b", re.IGNORECASE)
# "not 90 °C", "rather than about 90 °C": the number itself is denied.
_FIGURE_DENIED = re.compile(
    r"(?:\b(?:not|never|nor|neither|rather\s+than|instead\s+of|no\s+longer)\b|n['\u2019]t\b)"
    r"(?:[\s(]+(?:the|a|an|about|exactly|equal|equals?|to|at|of|really|actually|be|is|between|from|"
    r"any))*\W*$",
    re.IGNORECASE,
)
_FIGURE_DENIED_AFTER = re.compile(
    r"\W*(?:[^\s.,;:]+\s+){0,2}?(?:is|was|are)\s*(?:(?:not|n['\u2019]t)\s+(?:right|correct|the\s+(?:answer|limit|value|"
    r"result)|it)|wrong|false|incorrect|untrue)\b",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s*(?:to|and|-|\u2013|\u2014|…|\.\.\.?|through|up\s+to)\s*", re.IGNORECASE)
# Characters before a number, and behind its unit, in which its direction is looked for, and around
# a name in which it is denied. Without an end, a text of ten thousand numbers is read as often.
_REACH, _CLAUSE_REACH = 90, 600


@dataclass(frozen=True)
class Figure:
    """A number as a text states it. `unit` in usual symbols, "" where no known unit stands."""

    number: float
    decimals: int
    unit: str
    limit: str  # "at most", "at least" or "": no direction stated
    denied: bool
    label: str  # "subgroup" where it is the 3 of "subgroup 3"
    start: int
    end: int  # behind the unit
    sentence: str
    following: str  # what stands behind the number: "work orders in all"


@dataclass(frozen=True)
class Mention:
    """A name as a text states it."""

    name: str
    start: int
    end: int
    denied: bool


@dataclass(frozen=True)
class Reading:
    """A text with its figures, in order, and the pairs of them that are ranges."""

    text: str
    figures: tuple[Figure, ...]
    ranges: tuple[tuple[Figure, Figure], ...]
    _starts: tuple[int, ...] = field(repr=False)

    def mentions(self, names: Iterable[str]) -> list[Mention]:
        """Where the names stand, as words; of names inside each other the longer one counts."""
        pattern, order = _pattern(frozenset(names))
        if pattern is None:
            return []
        matches = list(pattern.finditer(self.text))
        text = self.text
        for match in matches:  # the "not" of "not capable" denies no other name
            text = text[: match.start()] + "~" * (match.end() - match.start()) + text[match.end() :]
        return [
            Mention(
                order[match.lastindex - 1],
                match.start(),
                match.end(),
                self._denies(text, match.start(), match.end()),
            )
            for match in matches
        ]

    def sentence(self, place: int) -> str:
        """The sentence around a place in the text."""
        return self.text[slice(*self._sentence(place))]

    def _sentence(self, place: int) -> tuple[int, int]:
        index = bisect_right(self._starts, place)
        end = self._starts[index] if index < len(self._starts) else len(self.text)
        return self._starts[index - 1], end

    def _denies(self, text: str, start: int, end: int) -> bool:
        first, last = self._sentence(start)
        if _denies_all(text[first:last]):
            return True
        first, last = max(first, start - _CLAUSE_REACH), min(last, end + _CLAUSE_REACH)
        before = _NO_NEGATION.sub("", _clause_before(text[first:start]))
        clause_end = _CLAUSE_END.search(text, end, last)
        after = text[end : clause_end.start() if clause_end else last]
        return bool(_NOT.search(before) or _DENIED_AFTER.match(after))


def _clause_before(text: str) -> str:
    """What of the sentence before a name can deny it: back to where the clause begins.

    In a list ("do not release, adjust or scrap") the "not" reaches over its commas.
    """
    ends = list(_CLAUSE_END.finditer(text))
    while ends and ends[-1][0] == "," and _BETWEEN_NAMES.fullmatch(text, ends[-1].end()):
        ends.pop()
    return text[ends[-1].end() :] if ends else text


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text; a decimal point or "no. 3" ends none."""
    starts = _sentence_starts(text)
    parts = (text[i:j] for i, j in zip(starts, (*starts[1:], len(text)), strict=True))
    return [part.strip() for part in parts if part.strip()]


def _sentence_starts(text: str) -> tuple[int, ...]:
    whole = _QUOTED.sub(lambda match: re.sub(r"[.!?;]", "~", match[0]), text)
    return (0, *(match.end() for match in _SENTENCE_END.finditer(whole)))


@lru_cache(maxsize=20_000)
def read(text: str) -> Reading:
    """The figures of a text, and the text ready to be searched for names."""
    starts = _sentence_starts(text)
    reading = Reading(text, (), (), starts)
    plain = _NO_FIGURE.sub(lambda match: "~" * len(match[0]), text)
    labels = _label_spans(plain)
    figures: list[Figure] = []
    for match in NUMBER.finditer(plain):
        if figures and match.start() < figures[-1].end:
            continue  # the 15 of "3 N/15 mm"
        sentence = reading._sentence(match.start())
        figure = _figure(plain, match, sentence, figures[-1].end if figures else 0, labels)
        if figure.label:  # what denies a name denies a label, too: "not subgroups 3, 4 and 7"
            denied = reading._denies(plain, match.start(), match.end())
            figure = replace(figure, denied=figure.denied or denied)
        figures.append(figure)
    ranges = _ranges(plain, figures)
    for low, high in ranges:  # "0.2 to 0.8 mm": the unit is said once
        if not figures[low].unit:
            unit, following = figures[high].unit, figures[high].following
            figures[low] = replace(figures[low], unit=unit, following=following)
    pairs = tuple((figures[low], figures[high]) for low, high in ranges)
    return Reading(text, tuple(figures), pairs, starts)


def _figure(
    text: str, match: re.Match, sentence: tuple[int, int], behind: int, labels: dict[int, str]
) -> Figure:
    """The figure of a number in a sentence; `behind` is where the figure before it ends."""
    first, last = sentence
    before = text[max(first, behind, match.start() - _REACH) : match.start()]
    unit, end = units.currency_before(before), match.end()
    if not unit:
        unit, end = units.unit_at(text, match.end())
    reach = min(last, end + _REACH)
    after = text[end:reach]
    limit, denied = _direction(before, after)
    whole = text[first:last]
    return Figure(
        number=to_number(match.group()),
        decimals=len(match.group().partition(".")[2]),
        unit=unit,
        limit=limit,
        denied=denied or _denies_all(whole) or bool(_FIGURE_DENIED_AFTER.match(after)),
        label=labels.get(match.start(), ""),
        start=match.start(),
        end=end,
        sentence=whole,
        following=text[match.end() : reach].strip(" -\u00a0\u202f"),
    )


@lru_cache(maxsize=4096)
def _denies_all(sentence: str) -> bool:
    return _DENIES_ALL.search(sentence) is not None


def _direction(before: str, behind: str) -> tuple[str, bool]:
    """(limit, whether the number is denied) from the words around a number and its unit."""
    if match := _BEHIND.match(behind):
        return f"at {match.lastgroup}", bool(_FIGURE_DENIED.search(before))
    found = list(_DIRECTION.finditer(before))
    if not found:
        return "", bool(_FIGURE_DENIED.search(before))
    last = found[-1]
    between, ahead = before[last.end() :], before[: last.start()]
    kind = last.lastgroup
    if kind in ("most", "least"):
        return f"at {kind}", bool(_FIGURE_DENIED.search(ahead))
    named = _LIMIT_WORD.search(between)
    if kind == "within":
        return ("" if named else "at most"), bool(_FIGURE_DENIED.search(before))
    if named:  # what exceeds the limit shows that it is an upper one
        return ("at most" if kind == "up" else ""), False
    if last[0].casefold() in ("exceeds", "exceeded") or _COMPARES.search(ahead):
        return "", False
    negated = _NOT.search(_clause_before(ahead))
    return ("at most" if bool(negated) is (kind == "up") else "at least"), False


def _label_spans(text: str) -> dict[int, str]:
    """place of a number -> the word that it labels, for "subgroups 3, 4 and 7"."""
    return {
        found.start(2) + number.start(): found[1].casefold()
        for found in _LABELS.finditer(text)
        for number in re.finditer(r"\d+", found[2])
    }


def labelled(text: str) -> list[tuple[str, frozenset[int]]]:
    """(word, its numbers) for each list of labels: "subgroups 3 to 5" is {3, 4, 5}."""
    return [
        (found[1].casefold(), _listed(found[2]))
        for found in _LABELS.finditer(_NO_FIGURE.sub("~", text))
    ]


def _listed(text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in re.split(r"\s*(?:,|&|\bor\b|\band\b)\s*", text):
        ends = [int(end) for end in re.findall(r"\d+", part)]
        numbers.update(range(ends[0], ends[-1] + 1) if len(ends) == 2 else ends)
    return frozenset(numbers)


def _ranges(text: str, figures: list[Figure]) -> list[tuple[int, int]]:
    """Neighbours that make a range: "between 0.2 and 0.8 mm", "0.2 mm to 0.8 mm", "0.2-0.8 mm"."""
    found = []
    for index, (low, high) in enumerate(zip(figures, figures[1:], strict=False)):
        joint = text[low.end : high.start]
        if _RANGE.fullmatch(joint) and (
            "and" not in joint.casefold()
            or re.search(r"\bbetween\s*$", text[: low.start], re.IGNORECASE)
        ):
            found.append((index, index + 1))
    return found


# --- Names --------------------------------------------------------------------------------------

_IRREGULAR = {"hold": "held", "keep": "kept", "run": "ran", "send": "sent", "leak": "leakage"}


@lru_cache(maxsize=20_000)
def _pattern(names: frozenset[str]) -> tuple[re.Pattern | None, tuple[str, ...]]:
    order = tuple(sorted(filter(None, names), key=lambda name: (-len(name), name)))
    if not order:
        return None, ()
    parts = "|".join(f"({_spelled(name)})" for name in order)
    return re.compile(rf"(?<![\w.])(?:{parts})(?!\w|-\w*\d|[.,]\d)", re.IGNORECASE), order


@lru_cache(maxsize=20_000)
def _spelled(name: str) -> str:
    """A name as a pattern: spaces or hyphens between its words, and their usual endings."""
    return r"[\s-]+".join(_inflected(word) for word in re.split(r"[\s-]+", name.strip()) if word)


def _inflected(word: str) -> str:
    plain = re.escape(word)
    if len(word) < 4 or not word.isalpha():
        return plain
    if word.casefold() in _IRREGULAR:
        return rf"(?:{plain}(?:s|ing)?|{_IRREGULAR[word.casefold()]})"
    if word[-1] in "eE":
        return rf"{plain[:-1]}(?:e|es|ed|ing)"
    if word[-1] in "yY":
        return rf"{plain[:-1]}(?:y|ies|ied|ying)"
    return rf"{plain}(?:s|es|{plain[-1]}?ed|{plain[-1]}?ing)?"
