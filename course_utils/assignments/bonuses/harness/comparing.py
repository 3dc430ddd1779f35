"""Base against tuned on the same questions: paired differences, verdicts, the finding."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import drawing
from course_utils.errors import CourseError
from course_utils.metrics import wilson_interval

METRIC = "acc_norm"  # log-likelihood per byte of the choice, so that a long choice is not punished

LEVEL = 0.05  # of the test that stands behind the words "gained" and "lost"


def paired_difference(base: Sequence[float], tuned: Sequence[float]) -> dict[str, Any]:
    """tuned - base over the same questions: mean, standard error, exact p.

    The standard error is that of the mean of the questions' differences, sd / sqrt(n). p is the
    two-sided exact sign test on the questions that only one of the two got right (McNemar's test
    in its exact form): with few of them a normal interval is too narrow.
    """
    if len(base) != len(tuned) or len(base) < 2:
        raise CourseError(
            f"{len(base)} and {len(tuned)} answers can't be paired",
            "score both models on the same questions, at least 2",
        )
    from scipy.stats import binomtest

    differences = [after - before for before, after in zip(base, tuned, strict=True)]
    gained, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return {
        "difference": statistics.fmean(differences),
        "stderr": statistics.stdev(differences) / math.sqrt(len(differences)),
        "gained": gained,
        "lost": lost,
        "p": binomtest(gained, gained + lost).pvalue if gained + lost else 1.0,
    }


def holm(values: Sequence[float]) -> list[float]:
    """p values made comparable with one level for all of them (Holm 1979).

    Of eight tasks without any change, one in three runs would show one at 5 % by chance alone.
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = highest
    return adjusted


def near_chance(right: Sequence[int], chance: float) -> bool:
    """Whether the 95 % interval of the share of right answers includes chance."""
    interval = wilson_interval(sum(right), len(right))
    return interval["low"] <= chance <= interval["high"]


def score_rows(result: Mapping[str, Any], metric: str = METRIC) -> list[dict[str, Any]]:
    """One row a task of one model: title, n, chance, score, stderr, near_chance, seconds."""
    rows = []
    for task, one in result["tasks"].items():
        used = metric if metric in one else "acc"
        right = one["right"][used]
        rows.append(
            {key: one[key] for key in ("title", "n", "chance", "held_out", "seconds")}
            | {"task": task, "metric": used, "score": one[used], "stderr": one[f"{used}_stderr"]}
            | {"near_chance": near_chance(right, one["chance"])}
        )
    return rows


def compare(
    base: Mapping[str, Any], tuned: Mapping[str, Any], metric: str = METRIC
) -> list[dict[str, Any]]:
    """One row a task, and a last one over all general questions together ("pooled": True).

    Raises CourseError when the two were not asked the same questions in the same way.
    """
    _check_same_questions(base, tuned)
    befores, afters = score_rows(base, metric), score_rows(tuned, metric)
    rows, pairs = [], []
    for before, after in zip(befores, afters, strict=True):
        name, used = before["task"], before["metric"]
        pair = [one["tasks"][name]["right"][used] for one in (base, tuned)]
        pairs.append(pair)
        rows.append(_row(before, after, paired_difference(*pair)))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["verdict"] = _verdict(row, p)
    general = [index for index, row in enumerate(rows) if not row["held_out"]]
    if len(general) > 1:
        answers = [sum((pairs[index][side] for index in general), []) for side in (0, 1)]
        chance = sum(rows[i]["chance"] * rows[i]["n"] for i in general) / len(answers[0])
        rows.append(_pooled_row(*answers, chance))
    return rows


def _row(before: Mapping, after: Mapping, paired: Mapping) -> dict[str, Any]:
    same = {key: before[key] for key in ("task", "title", "metric", "n", "chance", "held_out")}
    scores = {"base": before["score"], "base_stderr": before["stderr"]}
    scores |= {"tuned": after["score"], "tuned_stderr": after["stderr"]}
    chance = {"base_near_chance": before["near_chance"], "tuned_near_chance": after["near_chance"]}
    return {**same, **scores, **chance, **paired, "pooled": False}


def _pooled_row(base: Sequence[int], tuned: Sequence[int], chance: float) -> dict[str, Any]:
    def scored(right: Sequence[int]) -> dict[str, Any]:
        error = statistics.stdev(right) / math.sqrt(len(right))
        near = near_chance(right, chance)
        return {"score": statistics.fmean(right), "stderr": error, "near_chance": near}

    about = {"task": "general", "title": "all general questions", "metric": "pooled"}
    about |= {"n": len(base), "chance": chance, "held_out": False}
    row = _row(about | scored(base), scored(tuned), paired_difference(base, tuned))
    return {**row, "p_holm": row["p"], "verdict": _verdict(row, row["p"]), "pooled": True}


def _verdict(row: Mapping[str, Any], p: float) -> str:
    if p >= LEVEL:
        return f"no difference shown at n = {row['n']}"
    if row["difference"] > 0:
        return "gained"
    return "lost" if row["held_out"] else "lost: forgetting"


def _check_same_questions(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> None:
    cure = "run both models with the same tasks folder, limit, shots and chat setting"
    for key in ("base_model", "chat", "shots", "precision"):
        if base.get(key) != tuned.get(key):
            raise CourseError(f"{key} differs: {base.get(key)} and {tuned.get(key)}", cure)
    if list(base["tasks"]) != list(tuned["tasks"]):
        raise CourseError("base and tuned were scored on different tasks", cure)
    for name, one in base["tasks"].items():
        if one["asked"] != tuned["tasks"][name]["asked"]:
            raise CourseError(f"{name}: base and tuned were asked different questions", cure)


def finding(rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: what tuning brought on the held-out task, and what it cost elsewhere."""
    parts = []
    for row in (row for row in rows if row["held_out"]):
        change = f"{row['base']:.2f} to {row['tuned']:.2f}"
        parts.append(f"manufacturing {change}: {row['verdict']}")
    general = [row for row in rows if not row["held_out"] and not row["pooled"]]
    lost = [row for row in general if row["verdict"].startswith("lost")]
    pooled = next((row for row in rows if row["pooled"]), None)
    if lost:
        names = ", ".join(f"{row['title']} ({drawing.signed(row['difference'])})" for row in lost)
        parts.append(f"forgetting shown on {names}")
    elif pooled and pooled["verdict"].startswith("lost"):
        parts.append(f"forgetting shown over all general questions ({_change(pooled)})")
    elif general:
        of = f"the {len(general)} general tasks" if len(general) > 1 else general[0]["title"]
        parts.append(f"no forgetting shown on {of}" + (f" ({_change(pooled)})" if pooled else ""))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _change(row: Mapping[str, Any]) -> str:
    change = drawing.signed(row["difference"])
    return f"together {change} \u00b1 {row['stderr']:.2f}, n = {row['n']}"
