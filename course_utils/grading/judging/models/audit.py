"""A stated validation loss, held against the adapter on records that a seed draws.

training.json names the loss of each validation record. A mean can't be lowered without lowering
most of them, and nobody knows which ones are drawn: so a few computed again tell as much as all.
Without these losses (another script, records that training left out) all are computed again.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    own = [stated[i] for i in places]
    same_tokens = all(a[1] == b[1] for a, b in zip(own, losses, strict=True))
    if not same_tokens or not abs(mean_loss(own) - found) <= allowed:  # infinity is not near itself
        return Audit(found, False, note)
    of_all = mean_loss(stated)
    return Audit(of_all, math.isclose(of_all, loss, rel_tol=tolerances.PRINTED), note)


def improves(
    case: Case, records: Sequence[Record], ask: Ask, full: float, part: float
) -> Judgement:
    """All points for a loss that fell by the share `full`, the share `part` for any drop.

    A few records decide where their pairs leave no doubt; else the others are asked too.
    """
    places = drawn(records, tolerances.LOSS_RECORDS, case.seed)
    before, after = [], []
    for asked in _in_two(records, places):
        before += ask(asked, False)
        after += ask(asked, True)
        if _is_clear(before, after, (full, tolerances.DROP)):
            break
    return improvement(case, before, after, full, part)


def _in_two(records: Sequence[Record], places: Sequence[int]) -> list[list[Record]]:
    """The sample, and the others: what is asked of a sample is known when all are wanted."""
    few, others = places[: tolerances.SAMPLED], places[tolerances.SAMPLED :]
    return [[records[i] for i in own] for own in (few, others) if own]


def _is_clear(before: Losses, after: Losses, marks: Sequence[float]) -> bool:
    """Whether the share by which the loss fell is some standard errors away from each mark.

    The ratio of two losses of a record takes the place of nats a token; an infinite one is clear.
    """
    pairs = [(new, old) for (new, _), (old, _) in zip(after, before, strict=True)]
    drop, error = 1 - mean_loss(pairs), standard_error(pairs)
    return not math.isfinite(drop) or all(
        abs(drop - mark) > tolerances.ERRORS * error for mark in marks
    )
