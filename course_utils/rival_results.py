"""Cheap rivals in results.json: their scores, the best of them, tuned minus best, in words.

baseline.json keeps each rival's scores, seconds and answers; evaluation.json the interval of the
tuned model minus the best rival. A run from before there were rivals has none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils.drawing import excludes_zero, finite, interval_text
from course_utils.metrics import RESULT_METRICS

Results = Mapping[str, Any]


def best_rival(rivals: Mapping[str, Mapping[str, Any]], metric: str) -> str | None:
    """The name of the rival with the highest score; None where none has that score."""
    scored = {name: finite(one.get(metric)) for name, one in rivals.items()}
    known = {name: value for name, value in scored.items() if value is not None}
    return max(known, key=known.__getitem__) if known else None


def rivals_in_results(baseline: Mapping, evaluation: Mapping) -> dict[str, Any]:
    """The parts `rivals`, `rival` and `over_rival` of results.json from the two files before it."""
    rivals = {
        name: {metric: finite(one.get(metric)) for metric in RESULT_METRICS}
        | {"seconds": finite(one.get("seconds"))}
        for name, one in (baseline.get("rivals") or {}).items()
    }
    against = evaluation.get("over_rival") or {}
    return {
        "rivals": rivals,
        "rival": evaluation.get("rival") if rivals else None,
        "over_rival": {metric: interval_of(against.get(metric)) for metric in RESULT_METRICS},
    }


def interval_of(interval: Mapping[str, Any] | None) -> dict[str, float] | None:
    """{"mean", "low", "high"} as results.json keeps a difference; None where an end is missing."""
    if interval is None:
        return None
    ends = {name: finite(interval.get(name)) for name in ("mean", "low", "high")}
    return None if None in ends.values() else ends


def rival_sentence(results: Results, metric: str, label: str, digits: int = 2) -> str:
    """How the tuned model stands against the best cheap rival; empty where there is none."""
    name = results.get("rival")
    rival = (results.get("rivals") or {}).get(name) or {}
    value = finite(rival.get(metric))
    if value is None:
        return ""
    seconds = finite(rival.get("seconds"))
    cost = f", {max(seconds, 0.1):.1f} s" if seconds is not None else ""
    told = f"The best cheap rival ({name}{cost}) reaches {label} {value:.{digits}f}"
    interval = (results.get("over_rival") or {}).get(metric)
    if interval is None:
        return f"{told}."
    verdict = "no clear difference to the tuned model"
    if excludes_zero(interval):
        verdict = (
            "the tuned model is better" if interval["mean"] > 0 else "it beats the tuned model"
        )
    span = interval_text(interval, digits=digits)
    return f"{told}: {verdict} (tuned minus rival {span})."


def rival_rows(results: Results, metrics: Sequence[str], digits: int = 3) -> list[dict[str, Any]]:
    """One row a rival for a table: name, the values of these metrics, seconds."""
    rows = []
    for name, scores in (results.get("rivals") or {}).items():
        values = [finite(scores.get(key)) for key in metrics]
        texts = ["–" if value is None else f"{value:.{digits}f}" for value in values]
        seconds = finite(scores.get("seconds"))
        spent = "–" if seconds is None else f"{seconds:.1f}"
        rows.append({"name": name, "values": texts, "seconds": spent})
    return rows
