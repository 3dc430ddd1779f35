"""How often the instructions were followed, and what changed: shares with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from course_utils.assignments.bonuses.instructions.exercises import Exercise
from course_utils.assignments.bonuses.instructions.kinds import KINDS
from course_utils.errors import CourseError
from course_utils.metrics import bootstrap_interval, wilson_interval


def check_answers(
    answers: Sequence[str],
    prompts: Sequence[Exercise],
    stopped: Sequence[bool] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Shares (0 to 1) with their 95 % intervals, {"mean", "low", "high"}.

    "prompt_level": prompts whose instructions were all followed; "stops"; "kinds" (each with its
    "count"): Wilson's interval. "instruction_level": instructions followed, from a bootstrap over
    prompts, because the two instructions of a prompt share one answer. "new_kinds" and
    "trained_kinds": prompts without and with training on their kinds. "followed" holds the single
    decisions. Raises CourseError when the counts do not fit.
    """
    _check_lengths(answers, prompts, stopped)
    followed = [prompt.follows(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    whole = [all(row) for row in followed]
    trained = [all(KINDS[c.kind].trained for c in prompt.constraints) for prompt in prompts]
    result = {
        "prompts": len(prompts),
        "instructions": sum(map(len, followed)),
        "prompt_level": wilson_interval(sum(whole), len(whole)),
        "instruction_level": _instruction_interval(followed, samples, seed),
        "stops": None if stopped is None else wilson_interval(sum(stopped), len(stopped)),
        "kinds": {},
        "followed": followed,
        "stopped": None if stopped is None else list(stopped),
    }
    for name, wanted in (("trained_kinds", True), ("new_kinds", False)):
        own = [ok for ok, known in zip(whole, trained, strict=True) if known == wanted]
        result[name] = wilson_interval(sum(own), len(own))
    for kind in KINDS:
        own = [
            ok
            for prompt, row in zip(prompts, followed, strict=True)
            for constraint, ok in zip(prompt.constraints, row, strict=True)
            if constraint.kind == kind
        ]
        if own:
            result["kinds"][kind] = {"count": len(own), **wilson_interval(sum(own), len(own))}
    return result


def _check_lengths(
    answers: Sequence[str], prompts: Sequence[Exercise], stopped: Sequence[bool] | None
) -> None:
    if not prompts:
        raise CourseError("there is no prompt to check", "ask for at least one")
    for what, items in (("answers", answers), ("values of `stopped`", stopped)):
        if items is not None and len(items) != len(prompts):
            raise CourseError(
                f"{len(items)} {what} came with {len(prompts)} prompts", "pass one for each prompt"
            )


def _resampled(size: int, samples: int, seed: int) -> Any:
    """How often each of `samples` draws with replacement takes each prompt: (samples, size)."""
    import numpy as np

    draws = np.random.default_rng(seed).integers(0, size, (samples, size))
    return np.stack([np.bincount(draw, minlength=size) for draw in draws])


def _instruction_interval(
    followed: Sequence[Sequence[bool]], samples: int, seed: int
) -> dict[str, float]:
    import numpy as np

    hits = np.array([sum(row) for row in followed])
    counts = np.array([len(row) for row in followed])
    weights = _resampled(len(followed), samples, seed)
    return bootstrap_interval(weights @ hits / (weights @ counts), hits.sum() / counts.sum())


def compare_checks(
    before: Mapping[str, Any], after: Mapping[str, Any], samples: int = 1000, seed: int = 0
) -> dict[str, dict[str, float] | None]:
    """After minus before on the same prompts: {"prompt_level", "instruction_level", "stops"}.

    Each {"mean", "low", "high"}: the difference and its 95 % interval from a paired bootstrap
    (Koehn 2004: the same drawn prompts for both). Raises CourseError for different prompts.
    """
    import numpy as np

    shapes = [[len(row) for row in check["followed"]] for check in (before, after)]
    if shapes[0] != shapes[1]:
        raise CourseError("the two checks are of different prompts", "check the same prompts twice")
    weights = _resampled(len(shapes[0]), samples, seed)

    def difference(column: Callable[[Mapping], list[float]], sizes: list[int]) -> dict[str, float]:
        gain = np.array(column(after), float) - np.array(column(before), float)
        drawn = weights @ gain / (weights @ np.array(sizes))
        return bootstrap_interval(drawn, gain.sum() / sum(sizes))

    ones = [1] * len(shapes[0])
    stops = before["stopped"] is not None and after["stopped"] is not None
    return {
        "prompt_level": difference(lambda c: [all(row) for row in c["followed"]], ones),
        "instruction_level": difference(lambda c: [sum(row) for row in c["followed"]], shapes[0]),
        "stops": difference(lambda c: c["stopped"], ones) if stops else None,
    }
