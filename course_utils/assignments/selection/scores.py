"""Scores of answers, kept in parts (gained, possible) that can be resampled without the texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import metrics
from course_utils import tasks as task_scores
from course_utils.assignments.selection.choosing import answer_of, records_by_task, task_of

# The score that speaks for a task. Each is a ratio of sums over records (see `score_parts`).
MAIN_SCORES, SCORE_NAMES = task_scores.MAIN_SCORE, task_scores.NAMES
# What stands in for the scores that need facts.
FACT_SCORES = {"fact_match": "token_f1", "fact_f1": "rougeL"}


def main_scores(records: Sequence[dict]) -> dict[str, str]:
    """{task: its main score}; records without a known task: field F1 for JSON, else ROUGE-L."""
    chosen = {}
    for task, pile in records_by_task(records).items():
        structured = all(metrics.parse_record(answer_of(record)) for record in pile)
        metric = MAIN_SCORES.get(task, "field_f1" if structured else "rougeL")
        if metric in FACT_SCORES and not all(record.get("facts") for record in pile):
            metric = FACT_SCORES[metric]  # your own data need not name their facts
        chosen[task] = metric
    return chosen


def score_parts(metric: str, prediction: str, record: Mapping[str, str]) -> tuple[float, float]:
    """(gained, possible) of one record; a task's score is the ratio of their sums.

    Field F1 = sum of 2 tp / sum of (2 tp + fp + fn), which is `metrics.field_f1`; the others are
    means over the records. Sums can be resampled without scoring a text again.
    """
    reference = answer_of(record)
    if metric == "field_f1":
        hits, wrong, missed = metrics.field_counts(prediction, reference)
        return 2.0 * hits, 2.0 * hits + wrong + missed
    if metric in FACT_SCORES:
        score = task_scores.main_score(prediction, record)
        return (0.0, 0.0) if score is None else (score, 1.0)
    if metric == "token_f1":
        return task_scores.token_f1(prediction, reference), 1.0
    return metrics.rouge([prediction], [reference])[metric], 1.0


def score_summary(
    records: Sequence[dict], answers: Sequence[str], wanted: Mapping[str, str]
) -> dict[str, Any]:
    """All scores, each task's main score with its parts, and "main": the mean over the tasks."""
    tasks: dict[str, Any] = {
        task: {"metric": metric, "score": None, "records": 0, "parts": []}
        for task, metric in wanted.items()
    }
    for record, answer in zip(records, answers, strict=True):
        task = tasks[task_of(record)]
        task["parts"].append([*score_parts(task["metric"], answer, record)])
        task["records"] += 1
    for task in tasks.values():
        gained, possible = (sum(column) for column in zip(*task["parts"], strict=True))
        task["score"] = gained / possible if possible else 1.0
    references = [answer_of(record) for record in records]
    return {
        "main": sum(task["score"] for task in tasks.values()) / len(tasks),
        "tasks": tasks,
        "scores": metrics.score_all(answers, references),
    }
