"""One fold of week 5's cross-validation, trained again by the kit's own script."""

import argparse
from typing import Any

from course_utils.digests import digest
from course_utils.execution.sandbox.place import hand_over, remove
from course_utils.grading import cache
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import visit_of
from course_utils.grading.judging.models.common import Losses
from course_utils.grading.probing import fold
from course_utils.grading.probing.probe import asked_in, checked_losses
from course_utils.lab import parameters, recording, runs


def train_fold(case: Case, options: argparse.Namespace, number: int) -> Losses:
    """(nats, tokens) of the records that fold `number` (from 0) validates on.

    Its adapter is trained here on the others. Raises NotMeasured where that did not end.
    """
    # Students are asked not to change their copy; what runs is the original.
    script = (recording.HANDED_OUT / parameters.SCRIPT).read_text(encoding="utf-8")
    visit, base = visit_of(case), case.models.model
    request: dict[str, Any] = {
        "command": str(visit.training["command"]),
        "seed": options.seed,
        "records": visit.records,
        "fold": number,
        "base": base.as_json(),
        "threads": case.models.threads,
    }
    key = ["fold", request, digest(script), cache.sources(fold, runs)]
    held = runs.split_folds(visit.records, options)[number][1]
    return checked_losses(case.shared.get(key, lambda: _compute(case, request, script)), len(held))


def _compute(case: Case, request: dict[str, Any], script: str) -> Any:
    place = case.box.place()
    try:
        (place.folder / fold.SCRIPT).write_text(script, encoding="utf-8")
        hand_over(place)
        seconds = case.models.cpu_seconds
        return asked_in(case.box, fold.losses, request, place, case.limits, seconds)
    finally:
        remove(place)
