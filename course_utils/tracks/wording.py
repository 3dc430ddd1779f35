"""Saying the same thing in many ways, and remembering which way was taken.

Synthetic records teach a model their template when there are few of them. So each sentence has
several wordings, each choice is drawn from a seed, and the choices together are the record's
template, which `course data build` counts.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Draft:
    """A record on its way into the track, with the wording that realised it."""

    record: dict[str, str]
    template: str


class Realiser:
    """Chooses among wordings; one object for each record.

    >>> say = Realiser(random.Random(7), "qa/limit")
    >>> text = say("question", ["What is the limit for {what}?", "How high may {what} be?"],
    ...            what="the oil temperature")
    >>> say.template in ("qa/limit:question0", "qa/limit:question1")
    True
    """

    def __init__(self, rng: random.Random, name: str) -> None:
        self.rng = rng
        self.name = name
        self._chosen: list[str] = []

    def __call__(self, slot: str, wordings: Sequence[str], **values: Any) -> str:
        """One of the wordings with the values filled in; `slot` names the place in the text."""
        if not wordings:
            raise CourseError(f"{self.name}: the slot {slot} has no wording", "write at least one")
        index = self.rng.randrange(len(wordings))
        self._chosen.append(f"{slot}{index}")
        return fill(wordings[index], values, f"{self.name}, {slot}")

    def order(self, slot: str, parts: Sequence[str]) -> list[str]:
        """The parts in a drawn order, which counts as a choice of wording too."""
        order = list(range(len(parts)))
        self.rng.shuffle(order)
        self._chosen.append(f"{slot}{''.join(map(str, order))}")
        return [parts[index] for index in order]

    @property
    def template(self) -> str:
        """Which wordings were taken so far."""
        return f"{self.name}:{'.'.join(self._chosen)}"


def fill(wording: str, values: Mapping[str, Any], place: str) -> str:
    """The wording with its values; CourseError that names `place` where one is not known there."""
    try:
        return wording.format(**values)
    except (KeyError, IndexError, AttributeError, ValueError):
        known = ", ".join(values) or "none"
        problem = f"{place}: {wording!r} cannot be filled in; values known here: {known}"
        raise CourseError(problem, "mend the wording in data/wordings") from None


def capital(text: str) -> str:
    """The text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def listing(items: Sequence[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'; empty where there is nothing."""
    return f" {word} ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def template_shares(drafts: Iterable[Draft]) -> dict[str, tuple[str, float, int]]:
    """task -> (most frequent template, its share of the task's records, number of templates)."""
    counts: dict[str, Counter] = {}
    for draft in drafts:
        counts.setdefault(draft.record["task"], Counter())[draft.template] += 1
    shares = {}
    for task, counter in sorted(counts.items()):
        template, most = counter.most_common(1)[0]
        shares[task] = (template, most / counter.total(), len(counter))
    return shares


def distinct_ngrams(texts: Sequence[str], n: int = 3) -> float:
    """Distinct word n-grams as a share of all n-grams (0 to 1), as in Li et al. (2016).

    It falls with the amount of text, so compare only sets of like size.
    """
    grams = [gram for text in texts for gram in _ngrams(text, n)]
    if not grams:
        raise CourseError(f"no text has {n} words", "pass longer texts")
    return len(set(grams)) / len(grams)


def self_bleu(texts: Sequence[str], sample: int = 100, seed: int = 0) -> float:
    """Mean BLEU (0 to 100) of a text against the others of a sample: high means alike.

    Zhu et al. (2018), with sacrebleu's sentence BLEU; `sample` texts are drawn from the seed.
    """
    from sacrebleu.metrics import BLEU

    drawn = random.Random(seed).sample(list(texts), min(sample, len(texts)))
    if len(drawn) < 2:
        raise CourseError(f"{len(drawn)} texts: none to compare with", "pass at least two texts")
    scorer = BLEU(effective_order=True)
    scores = [
        scorer.sentence_score(text, drawn[:index] + drawn[index + 1 :]).score
        for index, text in enumerate(drawn)
    ]
    return sum(scores) / len(scores)


def diversity(
    records: Sequence[Mapping[str, str]],
    sample: int = 200,
    sides: Sequence[str] = ("prompt", "answer"),
) -> dict[str, dict]:
    """task -> {"prompt", "answer"} -> {"distinct_3", "self_bleu"} over a sample of each task.

    Both figures use samples of equal size, so the tasks can be compared. Bare answers have no
    runs of three words: leave them out of `sides`.
    """
    figures: dict[str, dict] = {}
    for task in sorted({record["task"] for record in records}):
        own = [record for record in records if record["task"] == task]
        drawn = random.Random(0).sample(own, min(sample, len(own)))
        texts = {
            "prompt": [f"{record['instruction']}\n{record['input']}" for record in drawn],
            "answer": [record["output"] for record in drawn],
        }
        figures[task] = {
            side: {"distinct_3": distinct_ngrams(texts[side]), "self_bleu": self_bleu(texts[side])}
            for side in sides
        }
        figures[task]["records"] = len(drawn)
    return figures


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.casefold().split()
    return list(zip(*(words[start:] for start in range(n)), strict=False))
