"""A stated validation loss, held against the adapter on records that a seed draws.

training.json names the loss of each validation record. A mean can't be lowered without lowering
most of them, and nobody knows which ones are drawn: so a few computed again tell as much as all.
Without these losses (another script, records that training left out) all are computed again.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from course_utils.grading.judging import tolerances
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import Judgement
from course_utils.grading.judging.models.common import (
    Losses,
    Record,
    drawn,
    improvement,
    loss_tolerance,
    mean_loss,
    standard_error,
)
from course_utils.grading.probing.probe import losses_in

STATED = "validation_losses"  # in training.json: [nats or null, tokens] of each record, in order
Ask = Callable[[Sequence[Record], bool], Losses]  # (records, with the adapter?)


@dataclass(frozen=True)
class Audit:
    """What became of a stated validation loss (nats a token)."""

    found: float  # of all records where the stated losses hold, else of those computed again
    agrees: bool
    note: str  # how many were computed again, and what agrees


def audit(
    case: Case, records: Sequence[Record], told: Mapping[str, Any], quantization: str, ask: Ask
) -> Audit:
    """Whether `told`, the content of training.json, states the adapter's loss on these records."""
    stated = losses_in(told.get(STATED), len(records))
    most = tolerances.LOSS_RECORDS if stated is None else tolerances.SAMPLED
    places = drawn(records, most, case.seed)
    losses = [row for asked in _in_two(records, places) for row in ask(asked, True)]
    whole = stated is not None or len(places) == len(records)
    allowed = loss_tolerance(quantization, losses, whole)
    found = mean_loss(losses)
    note = f"{len(places)} of {len(records)} records computed again; within {allowed:.4f} agrees"
    loss = float(told["eval_loss"])
    if stated is None:
        return Audit(found, abs(found - loss) <= allowed, note)
    if not _agree([stated[i] for i in places], losses, allowed):
        return Audit(found, False, note)
    of_all = mean_loss(stated)
    return Audit(of_all, math.isclose(of_all, loss, rel_tol=tolerances.PRINTED), note)


def improves(
    case: Case,
    records: Sequence[Record],
    ask: Ask,
    full: float,
    part: float,
    told: Mapping[str, Any],
    quantization: str,
) -> Judgement:
    """All points for a loss that fell by the share `full`, the share `part` for any drop.

    A few records decide where their pairs leave no doubt; else what `told`, the content of
    training.json, states of the others, where it holds for the few and no lie could matter; else
    more are asked, a few at a time, until one of both is so or all are.
    """
    marks = (full, tolerances.DROP)
    places = drawn(records, tolerances.LOSS_RECORDS, case.seed)
    few, *others = _in_two(records, places)
    before, after = ask(few, False), ask(few, True)
    if not others or _is_clear(before, after, marks):
        return improvement(case, before, after, full, part)
    before = [*before, *ask(others[0], False)]
    if (stated := losses_in(told.get(STATED), len(records))) is None:
        return improvement(case, before, [*after, *ask(others[0], True)], full, part)
    own = [stated[i] for i in places]
    while len(after) < len(own) and not _settles(before, after, own, marks, quantization):
        more = places[len(after) :][: tolerances.SAMPLED]
        after = [*after, *ask([records[i] for i in more], True)]
    asked, how = len(after), ""
    if asked < len(own):
        how = f"{asked} of them computed again, the others as training.json states them"
    return improvement(case, before, [*after, *own[asked:]], full, part, how)


def _settles(
    before: Losses, after: Losses, own: Losses, marks: Sequence[float], quantization: str
) -> bool:
    """Whether the stated losses `own` hold for those computed, and the others' decide then."""
    sample, rest = own[: len(after)], own[len(after) :]
    allowed = loss_tolerance(quantization, after, whole=True)
    holds = _agree(sample, after, allowed) and _same_tokens(rest, before[len(after) :])
    return holds and _stands(before, after, rest, marks)


def _in_two(records: Sequence[Record], places: Sequence[int]) -> list[list[Record]]:
    """The sample, and the others: what is asked of a sample is known when all are wanted."""
    few, others = places[: tolerances.SAMPLED], places[tolerances.SAMPLED :]
    return [[records[i] for i in own] for own in (few, others) if own]


def _agree(stated: Losses, found: Losses, allowed: float) -> bool:
    """Whether means are alike, of records that have as many tokens."""
    alike = abs(mean_loss(stated) - mean_loss(found)) <= allowed  # infinity is not near itself
    return alike and _same_tokens(stated, found)


def _same_tokens(left: Losses, right: Losses) -> bool:
    return all(a[1] == b[1] for a, b in zip(left, right, strict=True))


def _stands(before: Losses, sample: Losses, stated: Losses, marks: Sequence[float]) -> bool:
    """Whether the drop passes or misses each mark, whatever was lowered of `stated`, unseen.

    `before` are the losses of all without the adapter, `sample` those with it that were computed.
    So many of the others may have been lowered as a drawn sample misses once in twenty, and each
    may in truth be left at the highest share that was seen. Nobody raises a loss.
    """
    own, others = before[: len(sample)], before[len(sample) :]
    most = max(new / old if old else 1.0 for (new, _), (old, _) in zip(sample, own, strict=True))
    hidden = nlargest(
        missed(len(before), len(sample)),
        (max(0.0, most * old - new) for (new, _), (old, _) in zip(stated, others, strict=True)),
    )
    of = sum(old for old, _ in before)
    left = sum(new for new, _ in (*sample, *stated)) / of
    drop, rounding, lowered = 1 - left, tolerances.LOSS * left, sum(hidden) / of
    return math.isfinite(drop) and all(
        drop + rounding < mark or drop - rounding - lowered >= mark for mark in marks
    )


def missed(records: int, sample: int) -> int:
    """The most records of which a drawn sample holds none with a probability of 5 % or more."""
    count = 0
    while math.comb(records - count - 1, sample) >= tolerances.UNSEEN * math.comb(records, sample):
        count += 1
    return count


def _is_clear(before: Losses, after: Losses, marks: Sequence[float]) -> bool:
    """Whether the share by which the loss fell is some standard errors away from each mark.

    The ratio of two losses of a record takes the place of nats a token; an infinite one is clear.
    """
    pairs = [(new, old) for (new, _), (old, _) in zip(after, before, strict=True)]
    drop, error = 1 - mean_loss(pairs), standard_error(pairs)
    return not math.isfinite(drop) or all(
        abs(drop - mark) > tolerances.ERRORS * error for mark in marks
    )
