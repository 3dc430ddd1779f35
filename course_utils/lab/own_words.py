"""Whether an answer is one's own, or the text that everybody was given.

own_words.source_of("How loud the adapter is: ...")   # "the lab, section 7", or "" for own words

Given are the lab, the hand-out, the examples in the check's messages, the failure gallery and,
where the kit holds it, the reference solution. Sentences are compared by their content words:
order, function words and endings are left out, so that a sentence which was only turned round is
still recognised. A rare word weighs more than one that every text on the subject has.
"""

import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from course_utils import kit
from course_utils.lab import parameters
from course_utils.lab import recorded as lab_recorded
from course_utils.messages import Room

LAB = kit.NOTEBOOKS / "parameter_lab.ipynb"
HANDOUT = kit.ASSIGNMENTS / "week05_parameter_lab"
SOLUTION = HANDOUT / "solution" / "parameter_analysis.ipynb"
# The lab's 52 model answers, with synonyms for every third word and most function words dropped,
# reach this in all 13 sections; none of the reference solution's 52 does, which says the same
# things in other words (tests/lab/test_own_words.py counts both again).
TAKEN = 0.7
LONGEST = 4_000  # characters that are compared; an answer is two to four sentences
SHORT = 5  # content words; a shorter sentence is read with its neighbour
_COMMON = """
a about after all also an and any are as at be been before between both but by can do does down each
every for from had has have here how if in into is it its less may more most must no nor not of on
one ones only or other our out over same so than that the their them then there these they this
those to under up very was we were what when where which who will with without would you your
"""
COMMON = frozenset(_COMMON.split())
ENDINGS = ("ing", "ed", "es", "s")
MARKS = re.compile(r"<!--.*?-->|https?://\S+", re.S)


@dataclass(frozen=True)
class Passage:
    """Two neighbouring sentences of a given text, as content words."""

    place: str
    words: frozenset[str]


def source_of(answer: str, solution: bool = True) -> str:
    """Where most of an answer's words stand together; "" for an answer in own words.

    `solution` False leaves the reference solution out.
    """
    weights, rare = _weights(), math.log(len(_given()) + 1)

    def weight(words: Iterable[str]) -> float:
        return sum(weights.get(word, rare) for word in words)

    given = [*_given(), *(_solution() if solution else ())]
    score, length = 0.0, 0
    places: Counter[str] = Counter()
    for sentence in _sentences(answer[:LONGEST]):
        words = frozenset(sentence)
        best = max(given, key=lambda passage: weight(words & passage.words))
        share = weight(words & best.words) / (weight(words) or 1)
        score, length = score + share * len(sentence), length + len(sentence)
        places[best.place] += round(100 * share * len(sentence))
    return places.most_common(1)[0][0] if length and score / length >= TAKEN else ""


def is_reference(notebook: Mapping[str, object]) -> bool:
    """Whether a notebook holds the marks of the reference solution: then it is the solution."""
    return "### BEGIN SOLUTION" in json.dumps(notebook.get("cells"))


# --- Texts as sentences of content words --------------------------------------------------------


def _sentences(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    for part in re.split(r"(?<=[.!?;:])\s+|\n+", MARKS.sub(" ", text)):
        words = [_stem(w) for w in re.findall(r"\w+", part.casefold()) if w not in COMMON]
        if found and (len(words) < SHORT or len(found[-1]) < SHORT):
            found[-1] += words
        elif words:
            found.append(words)
    return found


def _stem(word: str) -> str:
    """A word without its ending: steps and step, raised and raise are one."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 3:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e") if len(word) > 4 else word


def _passages(texts: Mapping[str, Sequence[str]]) -> Iterator[Passage]:
    for place, own in texts.items():
        for text in own:
            sentences = _sentences(text)
            for one, two in pairwise([*sentences, []]):  # none of a text without a sentence
                yield Passage(place, frozenset(one) | frozenset(two))


# --- What was given -----------------------------------------------------------------------------


@cache
def _given() -> tuple[Passage, ...]:
    gallery = [" ".join(texts) for texts in lab_recorded.TEXTS.values()]
    known = [f"{p.controls}. {p.source}" for p in parameters.SETTABLE.values()]
    examples = [message.example for message in Room(__file__).known.values()]
    texts = {
        **_cells(LAB, "the lab"),
        "the hand-out": [_read(HANDOUT / "README.md")],
        "the examples of course explain": examples,
        "the lab's failure gallery": gallery,
        "the lab's help": known,
    }
    return tuple(_passages(texts))


@cache
def _solution() -> tuple[Passage, ...]:
    """The reference solution's; none in a student's edition, which has no solution."""
    return tuple(_passages(_cells(SOLUTION, "the reference solution", sections=False)))


@cache
def _weights() -> dict[str, float]:
    """Word -> the logarithm of how rare it is in what everybody has."""
    counts = Counter(word for passage in _given() for word in passage.words)
    total = len(_given()) + 1
    return {word: math.log(total / (count + 1)) for word, count in counts.items()}


def _cells(path: Path, name: str, sections: bool = True) -> dict[str, list[str]]:
    """Place -> the texts of a notebook; a section is named by its number."""
    content = _read(path)
    texts: dict[str, list[str]] = {}
    for cell in json.loads(content)["cells"] if content else ():
        if cell["cell_type"] == "markdown":
            source = "".join(cell["source"])
            number = re.match(r"## (\d+)\.", source)
            place = f"{name}, section {number[1]}" if sections and number else name
            texts.setdefault(place, []).append(source)
    return texts


def _read(path: Path) -> str:
    """The text of a file; "" where the package is without it, or a sandbox keeps it shut."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
