"""What the answers say: win rates with their intervals, agreement, the finding in a sentence."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from course_utils.errors import CourseError
from course_utils.metrics import bootstrap_interval, cohen_kappa, wilson_interval

CATEGORIES = {
    "tuned": "tuned better",
    "equal": "equal",
    "unusable": "both unusable",
    "base": "base better",
}


def agreement(first: Sequence[str], second: Sequence[str]) -> dict[str, Any]:
    """{"n", "raw", "kappa", "reason"} of two reviewers' categories for the same items.

    `raw` is the share of items with the same category, `kappa` that of Cohen (1960); None, with
    the reason, where it is not defined.
    """
    n = len(first)
    if not n:
        return {"n": 0, "raw": None, "kappa": None, "reason": "no item was judged by both"}
    raw = sum(a == b for a, b in zip(first, second, strict=True)) / n
    kappa, reason = cohen_kappa(first, second), None
    if kappa is None:
        reason = f"both always chose {CATEGORIES.get(first[0], first[0])!r}"
    return {"n": n, "raw": raw, "kappa": kappa, "reason": reason}


def summarise(
    key: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    *,
    samples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """What the reviewers found, pooled, by reviewer, by task, and how far they agree.

    Each row holds counts (judged, tuned, base, equal, unusable), `win_rate` = tuned / (tuned +
    base) with its Wilson interval, and `win_rate_half_ties`, in which equal and both unusable
    count half, with a 95 % bootstrap interval over items. Several reviewers of one item do not
    tell as much as several items: only the bootstrap, which draws whole items, allows for that.
    Raises CourseError when nothing was judged.
    """
    judged = [
        (
            each["reviewer"],
            item,
            key["tasks"][item],
            _category(answer["choice"], key["tuned"][item]),
        )
        for each in answers
        for item, answer in sorted(each["answers"].items())
    ]
    if not judged:
        raise CourseError(
            "the files hold no judgement: every pair is still open",
            "ask the reviewers to choose for at least some pairs and to save again",
        )
    names = [each["reviewer"] for each in answers]

    def row(of: str | None = None, column: int = 0) -> dict[str, Any]:
        chosen = [(each[1], each[3]) for each in judged if of is None or each[column] == of]
        return _tally(chosen, samples, seed)

    return {
        **{name: key.get(name) for name in ("review", "title", "records")},
        "items": len(key["tuned"]),
        "identical": key.get("identical") or {},
        "pooled": row(),
        "reviewers": {name: row(name) for name in names},
        "tasks": {task: row(task, 2) for task in sorted(set(key["tasks"].values()))},
        "sides": dict(Counter(a["choice"] for each in answers for a in each["answers"].values())),
        "agreement": _agreements(names, judged),
        "comments": _comments(key, answers),
    }


def _category(choice: str, tuned_side: str) -> str:
    if choice not in ("a", "b"):
        return choice
    return "tuned" if choice == tuned_side else "base"


def _tally(judged: Sequence[tuple[str, str]], samples: int, seed: int) -> dict[str, Any]:
    """One row of the summary from (item, category) pairs."""
    counts = Counter(category for _, category in judged)
    row = {"judged": len(judged), **{category: counts[category] for category in CATEGORIES}}
    row["win_rate"] = wilson_interval(row["tuned"], row["tuned"] + row["base"])
    row["win_rate_half_ties"] = _bootstrap_over_items(judged, samples, seed)
    return row


def _bootstrap_over_items(
    judged: Sequence[tuple[str, str]], samples: int, seed: int
) -> dict[str, float] | None:
    """Share of wins with ties as half; its interval from drawing items with all their judgements.

    Efron (1979): draw as many items as there are, with replacement; the middle 95 % of the shares.
    """
    import numpy as np

    if not judged:
        return None
    items = {item: row for row, item in enumerate(sorted({item for item, _ in judged}))}
    points, counts = np.zeros(len(items)), np.zeros(len(items))
    for item, category in judged:
        points[items[item]] += {"tuned": 1.0, "base": 0.0}.get(category, 0.5)
        counts[items[item]] += 1
    draws = np.random.default_rng(seed).integers(0, len(items), (samples, len(items)))
    shares = points[draws].sum(axis=1) / counts[draws].sum(axis=1)  # (samples,)
    return bootstrap_interval(shares, points.sum() / counts.sum())


def _agreements(names: Sequence[str], judged: Iterable[tuple[str, str, str, str]]) -> list[dict]:
    chosen: dict[str, dict[str, str]] = {name: {} for name in names}
    for name, item, _, category in judged:
        chosen[name][item] = category
    pairs = []
    for one, two in combinations(names, 2):
        common = sorted(chosen[one].keys() & chosen[two].keys())
        found = agreement([chosen[one][i] for i in common], [chosen[two][i] for i in common])
        pairs.append({"reviewers": [one, two], **found})
    return pairs


def _comments(key: Mapping[str, Any], answers: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "reviewer": each["reviewer"],
            "item": item,
            "task": key["tasks"][item],
            "found": _category(answer["choice"], key["tuned"][item]),
            "tuned": key["tuned"][item].upper(),  # the comment may speak of "A" and "B"
            "comment": answer["comment"],
        }
        for each in answers
        for item, answer in sorted(each["answers"].items())
        if answer["comment"]
    ]


def finding(summary: Mapping[str, Any]) -> str:
    """The result in one sentence; a preference only where both intervals exclude 50 %."""
    pooled, reviewers = summary["pooled"], len(summary["reviewers"])
    who = f"{reviewers} reviewers" if reviewers > 1 else "One reviewer"
    rate, half = pooled["win_rate"], pooled["win_rate_half_ties"]
    if rate is None:
        return f"{who} found no answer better than the other in {pooled['judged']} judgements"
    decided = f"of {pooled['tuned'] + pooled['base']} decided judgements"
    wins = f"wins {percent(rate['mean'])} % {decided} (95 % interval {_range(rate)} %)"
    verb = "prefer" if reviewers > 1 else "prefers"
    if min(rate["low"], half["low"]) > 0.5:
        return f"{who} {verb} the tuned model: it {wins}"
    if max(rate["high"], half["high"]) < 0.5:
        return f"{who} {verb} the base model: the tuned one {wins}"
    unsure = rate["low"] > 0.5 or rate["high"] < 0.5
    with_ties = f"; with ties as half {_range(half)} %" if unsure else ""
    return f"No clear preference: the tuned model {wins}{with_ties}"


def percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _range(interval: Mapping[str, float]) -> str:
    return f"{percent(interval['low'])} to {percent(interval['high'])}"


def rate_text(interval: Mapping[str, float] | None) -> str:
    return f"{percent(interval['mean'])} % [{_range(interval)}]" if interval else "-"


def summary_rows(summary: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(kind, name, row) of all rows: together, each reviewer (where several), each task."""
    rows = [("all", "all judgements", summary["pooled"])]
    if len(summary["reviewers"]) > 1:
        rows += [("reviewer", name, row) for name, row in summary["reviewers"].items()]
    return rows + [("task", name, row) for name, row in summary["tasks"].items()]
