"""What the checks that ask a model share: drawing, comparing, and what a student may see."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from course_utils import tasks
from course_utils.grading.judging import tolerances
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import note_stated
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence

Record = Mapping[str, Any]
Losses = Sequence[tuple[float, float]]  # (nats, tokens) of each record


# --- Drawing ------------------------------------------------------------------------------------


def drawn(records: Sequence[Record], count: int, seed: int) -> list[int]:
    """Places of `count` records, drawn by their content: equal records give an equal draw.

    Two submissions with the same test part are asked the same questions, so what the base model
    answers is computed once for both, whatever the order of their files.
    """
    return sorted(range(len(records)), key=lambda i: _rank(records[i], seed))[:count]


def drawn_by_task(records: Sequence[Record], count: int, seed: int) -> list[int]:
    """The same, `count` of each task."""
    places: list[int] = []
    for indices in tasks.by_task(records).values():
        own = [records[i] for i in indices]
        places += [indices[i] for i in drawn(own, count, seed)]
    return places


def _rank(record: Record, seed: int) -> str:
    text = json.dumps([seed, sorted(record.items())], default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


# --- Losses -------------------------------------------------------------------------------------


def mean_loss(losses: Losses) -> float:
    """Nats a token, every token weighing the same; infinity where nothing was learned to say."""
    tokens = sum(count for _, count in losses)
    return sum(nll for nll, _ in losses) / tokens if tokens else math.inf


def standard_error(losses: Losses) -> float:
    """Of `mean_loss` as an estimate for more such records (ratio estimator, Cochran 1977, 6.13)."""
    count = len(losses)
    if count < 2:
        return math.inf
    mean, tokens = mean_loss(losses), sum(count for _, count in losses) / count
    spread = sum((nll - mean * own) ** 2 for nll, own in losses) / (count - 1)
    return math.sqrt(spread / count) / tokens


def loss_tolerance(quantization: str, losses: Losses, whole: bool) -> float:
    """How far a stated mean loss may lie from ours, in nats."""
    relative = tolerances.LOSS_NF4 if quantization == "nf4" else tolerances.LOSS
    allowed = relative * max(mean_loss(losses), 0.1)
    return allowed if whole else allowed + tolerances.ERRORS * standard_error(losses)


def improvement(
    case: Case, before: Losses, after: Losses, full: float, part: float, how: str = ""
) -> Judgement:
    """All points for a loss that fell by the share `full`, the share `part` for any drop.

    `how` the losses were found, where not every one was computed again.
    """
    base, tuned = mean_loss(before), mean_loss(after)
    evidence = [
        Evidence(label="loss without the adapter", found=f"{base:.4f}"),
        Evidence(label="loss with the adapter", found=f"{tuned:.4f}"),
        Evidence(
            label="records", found=f"{len(after)}", note=how or "drawn by a seed, from your own"
        ),
    ]
    if not math.isfinite(tuned):
        return failed(*evidence, feedback=advise(say("judged.loss_no_number")))
    drop = 1 - tuned / base
    evidence.append(Evidence(label="lower by", found=f"{drop:.1%}"))
    if drop >= full:
        return earned(case, 1, *evidence)
    if drop > tolerances.DROP:
        little = say("judged.loss_fell_little", drop=drop, full=full)
        return earned(case, part, *evidence, feedback=advise(little))
    return failed(*evidence, feedback=advise(say("judged.loss_not_fallen", full=full)))


# --- Answers ------------------------------------------------------------------------------------


def likeness(left: str, right: str) -> float:
    """F1 of the words of two answers; 1 where one is the other, cut off."""
    left, right = " ".join(left.split()), " ".join(right.split())
    if left == right:
        return 1.0
    short, long = sorted((left, right), key=len)
    if len(short) >= 40 and long.startswith(short):
        return 1.0
    return tasks.token_f1(left, right)


def scores_agree(stored: str, found: str, record: Record) -> bool:
    """Whether two answers are worth the same: by the main score, or by words where none decides."""
    if stored.strip() == found.strip():
        return True
    told, right = tasks.main_score(stored, record), tasks.main_score(found, record)
    if told is None or right is None:
        return likeness(stored, found) >= tolerances.LIKENESS
    return abs(told - right) <= tolerances.SCORE


def note_answers(case: Case, what: str, agreeing: Sequence[bool]) -> None:
    """For the class's report: stored answers of which most were not given again."""
    if not agreeing:
        return
    told, own = f"{len(agreeing)} stored", f"{sum(agreeing)} given again"
    agrees = sum(agreeing) >= tolerances.OWN * len(agreeing)
    note_stated(case, f"answers of {what}", told, own, agrees)


def reproduction(
    case: Case, agreeing: Sequence[bool], same: int, what: str, answered: Sequence[bool] = ()
) -> Judgement:
    """Points by the share of answers that agree; `same` of them letter by letter.

    `answered`: which hold an answer, where some may not. Who did not ask states nothing false.
    """
    share = sum(agreeing) / len(agreeing)
    note_answers(case, what, list(compress(agreeing, answered)) if answered else agreeing)
    evidence = [
        Evidence(
            label=f"answers of {what}, asked again",
            found=f"{sum(agreeing)} of {len(agreeing)} agree",
            note=f"{same} letter by letter; drawn by a seed",
        )
    ]
    credit = min(1.0, share / tolerances.AGREE)
    if credit == 1:
        return earned(case, 1, *evidence)
    differ = say(
        "judged.answers_differ", agree=sum(agreeing), asked=len(agreeing), least=tolerances.AGREE
    )
    return earned(case, credit, *evidence, feedback=advise(differ))
