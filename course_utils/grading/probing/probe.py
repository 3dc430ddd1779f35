"""One base model and one adapter, asked in the sandbox; the same question is computed once a batch.

    probe = Probe(base, adapter, box, limits, shared)
    probe.losses(records, tuned=True)         # [(nats, tokens), ...]
    probe.answers(records, tuned=False)       # from the batch's cache where it was asked before

Every answer comes back as JSON and is checked in form: its process may have been taken over by
whatever lies in the adapter's file.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from course_utils import chat, decoding, evaluation, generation, models, tasks
from course_utils.assignments.folder import show
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place, hand_over, remove
from course_utils.grading import cache
from course_utils.grading.probing import adapter as adapters
from course_utils.grading.probing import inside, preload
from course_utils.grading.probing.adapter import Adapter
from course_utils.grading.probing.bases import Base

Record = Mapping[str, str]
LONGEST = 20_000  # characters of an answer
LARGEST = 2**31  # of a count, or of nats: a whole number of a thousand digits is no float
LIKE = 20  # records of training that say how long an answer may be: the longest of each task


class NotMeasured(CourseError):
    """The grader's own process did not come to its end: the item is not judged, and no zero."""


@dataclass(frozen=True)
class Part:
    """Records that are asked, and how long their answers may be.

    `like` are records of training: an answer may be as long as the longest of its task there, as
    the scripts do it. Without them, `max_new_tokens` is the limit.
    """

    records: Sequence[Record]
    max_new_tokens: int = 64
    like: Sequence[Record] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "records": _plain(self.records),
            "max_new_tokens": self.max_new_tokens,
            "like": _plain(longest_answers(self.like)),
        }


@dataclass(frozen=True)
class LoadReport:
    """What became of an adapter's tensors on the base model."""

    layers: int  # of the model that got an adapter
    missing: list[str]  # places in the model for which the file has nothing (the first 20)
    unmatched: list[str]  # tensors of the file that found no place (the first 20)
    counts: tuple[int, int]  # of both

    @property
    def complete(self) -> bool:
        return self.counts == (0, 0) and self.layers > 0


@dataclass
class Probe:
    """`adapter` may be None: then only the base model can be asked."""

    base: Base
    adapter: Adapter | None
    box: Sandbox
    limits: Limits
    shared: cache.Shared = field(default_factory=cache.Shared)
    threads: int = 1
    cpu_seconds: dict[str, float] = field(default_factory=dict)  # of each call, for measurements

    def load_report(self) -> LoadReport:
        """Raises CourseError where the adapter does not fit the base model at all."""
        found = self._ask("load_report", {}, tuned=True)
        names = (found["missing"], found["unmatched"]) if isinstance(found, dict) else ()
        counts = found.get("counts") if isinstance(found, dict) else None
        if not (
            len(names) == 2
            and all(isinstance(own, list) and all(isinstance(n, str) for n in own) for own in names)
            and _is_count(found.get("layers"))
            and isinstance(counts, list)
            and len(counts) == 2
            and all(map(_is_count, counts))
        ):
            raise _strange("load_report")
        shown = [[show(name, 120) for name in own[:20]] for own in names]
        return LoadReport(found["layers"], *shown, tuple(counts))

    def losses(
        self, records: Sequence[Record], tuned: bool, max_length: int | None = None
    ) -> list[tuple[float, int]]:
        """(nats, tokens) of each record's answer; infinity where the model gives no number.

        `max_length` cuts the records as training did, in tokens.
        """
        if not records:
            return []
        request = {"records": _plain(records), "max_length": max_length}
        return checked_losses(self._ask("losses", request, tuned), len(records))

    def answers(
        self,
        records: Sequence[Record],
        tuned: bool,
        max_new_tokens: int = 64,
        like: Sequence[Record] = (),
        batch_size: int = inside.ANSWERED,
    ) -> list[str]:
        """Greedy answers in the order of the records, of all tasks at once; see `Part`.

        The same records in the same batches round alike: so a script's answers come back letter by
        letter on its machine.
        """
        return self.answers_of([Part(records, max_new_tokens, like)], tuned, batch_size)[0]

    def answers_of(
        self, parts: Sequence[Part], tuned: bool, batch_size: int = inside.ANSWERED
    ) -> list[list[str]]:
        """Greedy answers of each part, asked at once: writing many takes little more than a few."""
        if not any(part.records for part in parts):
            return [[] for _ in parts]
        request = {"parts": [part.as_json() for part in parts], "batch_size": batch_size}
        found = self._ask("answers", request, tuned)
        if not (
            isinstance(found, list)
            and len(found) == len(parts)
            and all(
                _are_answers(own, len(part.records)) for own, part in zip(found, parts, strict=True)
            )
        ):
            raise _strange("answers")
        return found

    def _ask(self, name: str, request: dict[str, Any], tuned: bool) -> Any:
        """What the function answers, from the batch's cache or from a new process."""
        if tuned and self.adapter is None:
            raise CourseError("there is no adapter to ask", adapters.TRAIN)
        who = self.adapter.digest if tuned else "base"
        base = [self.base.name, self.base.precision, self.base.quantization, self.threads]
        key = [name, base, who, request, _code()]
        return self.shared.get(key, lambda: self._compute(name, request, tuned))

    def _compute(self, name: str, request: dict[str, Any], tuned: bool) -> Any:
        adapter = self.adapter if tuned else None
        place = self.box.place()
        try:
            if adapter is not None:
                (place.folder / inside.ADAPTER).write_bytes(adapter.weights)
                hand_over(place)
            asked = {
                **request,
                "base": self.base.as_json(),
                "adapter": adapter.config if adapter else None,
                "threads": self.threads,
            }
            function = getattr(inside, name)
            return asked_in(self.box, function, asked, place, self.limits, self.cpu_seconds)
        finally:
            remove(place)


def asked_in(
    box: Sandbox,
    function: Callable[..., Any],
    request: Mapping[str, Any],
    place: Place,
    limits: Limits,
    cpu_seconds: dict[str, float],
) -> Any:
    """What a `told` function answers in the sandbox. Its CPU seconds are added under its name.

    Raises NotMeasured where its process did not end by itself, and the CourseError it told.
    """
    name = function.__name__
    outcome, answer = box.call(f"{function.__module__}:{name}", request, place, limits)
    label = f"{name}, {'tuned' if request.get('adapter') else 'base'}"
    cpu_seconds[label] = cpu_seconds.get(label, 0.0) + outcome.cpu_seconds
    if not outcome.verdict.ok:
        last = outcome.stderr.strip().splitlines()[-1:] or [""]
        told = f"the grader's own process ended early ({outcome.verdict.text})"
        raise NotMeasured(told, show(last[0], 200))
    if isinstance(answer, dict) and answer.keys() == {"problem"}:
        texts = answer["problem"]
        if isinstance(texts, list) and len(texts) == 2:
            raise CourseError(*(show(text, 500) for text in texts))
    if not isinstance(answer, dict) or answer.keys() != {"value"}:
        raise _strange(name)
    return answer["value"]


def checked_losses(found: Any, count: int) -> list[tuple[float, int]]:
    """Rows of `metrics.loss_rows`, checked in form. Raises CourseError for anything else."""
    if (losses := losses_in(found, count)) is None:
        raise _strange("losses")
    return losses


def losses_in(found: Any, count: int) -> list[tuple[float, int]] | None:
    """The same; None for anything else. It may come from a stranger's file."""
    if not (isinstance(found, list) and len(found) == count and all(map(_is_loss, found))):
        return None
    return [(math.inf if nll is None else float(nll), tokens) for nll, tokens in found]


def longest_answers(records: Sequence[Record]) -> list[Record]:
    """The records with the longest answers of each task, by characters."""
    kept: list[Record] = []
    for indices in tasks.by_task(records).values():
        own = sorted((records[i] for i in indices), key=lambda record: -len(record["output"]))
        kept += own[:LIKE]
    return kept


def _plain(records: Sequence[Record]) -> list[dict[str, str]]:
    return [dict(record) for record in records]


def _code() -> str:
    """Of what decides the answers: another version of it computes again."""
    return cache.sources(inside, preload, chat, decoding, evaluation, generation, models)


def _are_answers(found: Any, count: int) -> bool:
    return (
        isinstance(found, list)
        and len(found) == count
        and all(isinstance(text, str) and len(text) <= LONGEST for text in found)
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def _is_loss(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 2 or not _is_count(row[1]):
        return False
    nll = row[0]
    number = isinstance(nll, int | float) and not isinstance(nll, bool)
    return nll is None or (number and 0 <= nll < LARGEST)


def _strange(name: str) -> CourseError:
    return CourseError(
        f"the process that holds the adapter sent back what is no answer to `{name}`",
        "an adapter is data; save it again with `save_pretrained`",
    )
