"""The three tasks of the manufacturing track and the scores that mean something for each.

understanding   short text -> JSON record       field F1, exact match
report          sheet or orders -> report       fact F1, its recall and precision, ROUGE-L, BLEU
qa              question about a text -> answer  fact match; token F1 where the answer is prose
Perplexity of the completions stands beside all of them, and of report and qa the share of answers
that were longer than their form allows and so were cut. Records of geology are questions. Records
of one's own are scored by the same rules: `main_of` chooses by their `task` and `facts`.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import metrics, scoring
from course_utils.errors import CourseError
from course_utils.scoring import Record

if TYPE_CHECKING:
    import numpy as np

TASKS = ("understanding", "report", "qa")
MAIN_SCORE = {"understanding": "field_f1", "report": "fact_f1", "qa": "fact_match"}
SCORES = {
    "understanding": ("field_f1", "exact_match", "perplexity"),
    "report": ("fact_f1", "fact_recall", "fact_precision", "rougeL", "bleu", "cut", "perplexity"),
    "qa": ("fact_match", "token_f1", "rougeL", "cut", "perplexity"),
}
NAMES = {  # for tables and figures
    "field_f1": "field F1",
    "exact_match": "exact match",
    "fact_f1": "fact F1",
    "fact_recall": "fact recall",
    "fact_precision": "fact precision",
    "fact_match": "fact match",
    "token_f1": "token F1",
    "task_score": "mean task score",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "cut": "share cut",
    "perplexity": "perplexity",
}
LOWER_IS_BETTER = ("cut", "perplexity")

# A score for each record; NaN where it does not apply to that record.
Columns = dict[str, "np.ndarray"]


def task_of(record: Record) -> str:
    """The record's task; without one, a JSON answer is understanding and any other is qa."""
    if record.get("task"):
        return record["task"]
    structured = metrics.parse_record(scoring.reference_of(record)) is not None
    return "understanding" if structured else "qa"


def token_f1(prediction: str, reference: str) -> float:
    """F1 (0 to 1) over the words of an answer, as bags; case, punctuation and articles ignored.

    The measure of SQuAD (Rajpurkar et al. 2016), except that a point inside a number and a
    sign before it stay, so 4.5 and 45 are different words.
    """
    told, asked = Counter(_words(prediction)), Counter(_words(reference))
    shared = (told & asked).total()
    if not told or not asked:
        return float(told == asked)
    return 2 * shared / (told.total() + asked.total())


def _words(text: str) -> list[str]:
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text.casefold())  # 1,500 is 1500
    # A sign before a number is no punctuation: -5 and 5 are different words too.
    signed = (re.sub(r"^[^\w\u2212-]*[\u2212-](?=\d)", "\u2212", word) for word in text.split())
    words = [word for word in (word.strip(string.punctuation) for word in signed) if word]
    # An answer that is nothing but "A" (a shift, an excavator) keeps it.
    return [word for word in words if word not in ("a", "an", "the")] or words


def record_scores(predictions: Sequence[str], records: Sequence[Record]) -> Columns:
    """The scores that are means over records: {score: (records,)}, for records of one task.

    NaN where a score does not apply: no facts in the record, no prose in its answer.
    """
    import numpy as np

    task = _one_task(records)
    score = {"report": _report_scores, "qa": _answer_scores}.get(task)
    if score is None:
        return {}
    rows = [score(text, record) for text, record in zip(predictions, records, strict=True)]
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def _report_scores(text: str, record: Record) -> dict[str, float]:
    counts = scoring.report_counts(text, record)
    if counts is None:
        return dict.fromkeys(("fact_f1", "fact_recall", "fact_precision", "cut"), math.nan)
    return {
        "fact_f1": counts.f1,
        "fact_recall": counts.recall,
        "fact_precision": counts.precision,
        "cut": float(counts.cut),
    }


def _answer_scores(text: str, record: Record) -> dict[str, float]:
    known = bool(scoring.facts_of(record))
    prose = scoring.form_of(record) in ("", scoring.ONE_SENTENCE, scoring.YES_OR_NO)
    return {
        "fact_match": float(scoring.fact_match(text, record)) if known else math.nan,
        "token_f1": token_f1(text, scoring.reference_of(record)) if prose else math.nan,
        "cut": float(scoring.part_read(text, record) != text.strip()) if known else math.nan,
    }


def main_score(text: str, record: Record) -> float | None:
    """The main score (0 to 1) of one answer; None for a report or question without facts.

    Records of your own need not name facts. Token F1 and ROUGE-L tell what words such an answer has
    in common with its reference, which a copy of the input has, too.
    """
    task = task_of(record)
    if task == "understanding":
        return metrics.record_f1(text, scoring.reference_of(record))
    if task == "report":
        counts = scoring.report_counts(text, record)
        return counts.f1 if counts else None
    return float(scoring.fact_match(text, record)) if scoring.facts_of(record) else None


# --- Records of several tasks scored together: what the notebooks do -----------------------------


def main_of(records: Sequence[Record]) -> str:
    """The name of the score that speaks for these records, chosen from their `task` and `facts`.

    Field F1 for JSON, fact F1 for reports, fact match for questions; where no record names its
    facts ROUGE-L and token F1 instead. Of several tasks `task_score`, the mean of `record_score`.
    """
    found = by_task(records)
    if len(found) > 1:
        return "task_score"
    (task,) = found
    if task == "understanding" or any(map(scoring.facts_of, records)):
        return MAIN_SCORE[task]
    return {"report": "rougeL", "qa": "token_f1"}[task]


def record_score(text: str, record: Record) -> float:
    """One answer by its record's main score (0 to 1); by token F1 where the record has no facts."""
    score = main_score(text, record)
    return token_f1(text, scoring.reference_of(record)) if score is None else score


def score_all(
    predictions: Sequence[str],
    records: Sequence[Record],
    nll: Sequence[float] | None = None,
    tokens: Sequence[int] | None = None,
) -> dict[str, float | None]:
    """`metrics.score_all` with the scores that look at facts and tasks; None where one is none."""
    references = list(map(scoring.reference_of, records))
    scores = metrics.score_all(predictions, references, nll, tokens)
    for name, column in _columns(predictions, records).items():
        known = [value for value in column if not math.isnan(value)]
        scores[name] = sum(known) / len(known) if known else None
    return scores


def paired_bootstrap(
    base: Mapping[str, Sequence[Any]],
    tuned: Mapping[str, Sequence[Any]],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float] | None]:
    """`metrics.paired_bootstrap` with the scores of `score_all`; the tables hold `records`, too."""
    difference = metrics.paired_bootstrap(base, tuned, samples, seed)
    before, after = (_columns(side["predictions"], side["records"]) for side in (base, tuned))
    for name in metrics.RECORD_METRICS:
        difference[name] = bootstrap_means(before[name], after[name], samples, seed)
    return difference


def _columns(predictions: Sequence[str], records: Sequence[Record]) -> Columns:
    """One row a record of `metrics.RECORD_METRICS`; NaN where a score is none of its task's."""
    import numpy as np

    found = by_task(records)
    columns = {name: np.full(len(records), math.nan) for name in metrics.RECORD_METRICS}
    for indices in found.values():
        own = [records[i] for i in indices]
        for name, column in record_scores([predictions[i] for i in indices], own).items():
            if name in columns:
                columns[name][indices] = column
    if len(found) > 1:
        pairs = zip(predictions, records, strict=True)
        columns["task_score"][:] = [record_score(text, record) for text, record in pairs]
    return columns


def answer_score(answers: Sequence[str], records: Sequence[Record]) -> tuple[str, float]:
    """(name, value) of the main score of these answers, as a table has it."""
    name = main_of(records)
    return NAMES[name], score_all(answers, records)[name] or 0.0


def _one_task(records: Sequence[Record]) -> str:
    kinds = {task_of(record) for record in records}
    if len(kinds) != 1:
        raise CourseError(
            f"records of {len(kinds)} tasks cannot be scored together ({sorted(kinds)})",
            "score each task by itself: tasks.by_task(records)",
        )
    return kinds.pop()


def by_task(records: Sequence[Record]) -> dict[str, list[int]]:
    """task -> indices of its records, in the order of TASKS."""
    found = {task: [i for i, r in enumerate(records) if task_of(r) == task] for task in TASKS}
    return {task: indices for task, indices in found.items() if indices}


def score_task(
    predictions: Sequence[str],
    records: Sequence[Record],
    nll: Sequence[float],
    tokens: Sequence[int],
) -> dict[str, float | None]:
    """All scores of one task; None where nothing could be scored."""
    import numpy as np

    references, names = list(map(scoring.reference_of, records)), SCORES[_one_task(records)]
    scores = dict(metrics.score_all(predictions, references, nll, tokens, names))
    for name, column in record_scores(predictions, records).items():
        known = column[~np.isnan(column)]
        scores[name] = float(known.mean()) if len(known) else None
    return {name: scores.get(name) for name in names}


def compare_task(
    records: Sequence[Record],
    base: Mapping[str, Sequence[Any]],
    tuned: Mapping[str, Sequence[Any]],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float] | None]:
    """{score: {"mean", "low", "high"}} of tuned minus base, 95 % paired bootstrap over records.

    `base` and `tuned` hold columns "answers", "nll", "tokens", one row a record in the same order.
    Every score of a task is resampled with the same draws.
    """
    references, names = list(map(scoring.reference_of, records)), SCORES[_one_task(records)]
    tables = [
        {
            "predictions": side["answers"],
            "references": references,
            "nll": side["nll"],
            "tokens": side["tokens"],
        }
        for side in (base, tuned)
    ]
    difference = dict(metrics.paired_bootstrap(*tables, samples, seed, names))
    before = record_scores(base["answers"], records)
    after = record_scores(tuned["answers"], records)
    for name in before:
        difference[name] = bootstrap_means(before[name], after[name], samples, seed)
    return {name: difference.get(name) for name in names}


def bootstrap_means(
    before: "np.ndarray", after: "np.ndarray", samples: int, seed: int
) -> dict[str, float] | None:
    """Interval of the difference of two means over records; NaN rows are left out of both."""
    import numpy as np

    gain = (after - before)[~np.isnan(before)]
    if not len(gain):
        return None
    draws = np.random.default_rng(seed).integers(0, len(gain), (samples, len(gain)))
    means = gain[draws].mean(axis=1)
    return metrics.bootstrap_interval(means, gain.mean())


def is_gain(score: str, interval: Mapping[str, float] | None) -> bool:
    """Whether a whole interval of tuned minus base lies on the better side of 0."""
    if interval is None:
        return False
    return interval["high"] < 0 if score in LOWER_IS_BETTER else interval["low"] > 0
