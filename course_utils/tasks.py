"""The three tasks of the manufacturing track and the scores that mean something for each.

understanding   short text -> JSON record       field F1, exact match
report          sheet or orders -> report       fact accuracy, ROUGE, BLEU
qa              question about a text -> answer  token F1, ROUGE-L, numeric accuracy
Perplexity of the completions stands beside all of them.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import metrics
from course_utils.errors import CourseError
from course_utils.facts import Fact, answers_number, fact_accuracy, parse_facts

if TYPE_CHECKING:
    import numpy as np

TASKS = ("understanding", "report", "qa")
MAIN_SCORE = {"understanding": "field_f1", "report": "fact_accuracy", "qa": "token_f1"}
SCORES = {
    "understanding": ("field_f1", "exact_match", "perplexity"),
    "report": ("fact_accuracy", "rougeL", "rouge1", "rouge2", "bleu", "perplexity"),
    "qa": ("token_f1", "rougeL", "numeric_accuracy", "perplexity"),
}
NAMES = {  # for tables and figures
    "field_f1": "field F1",
    "exact_match": "exact match",
    "fact_accuracy": "fact accuracy",
    "token_f1": "token F1",
    "numeric_accuracy": "numeric accuracy",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "perplexity": "perplexity",
}
LOWER_IS_BETTER = ("perplexity",)

# A score for each record; NaN where it does not apply to that record.
Columns = dict[str, "np.ndarray"]


def task_of(record: Mapping[str, str]) -> str:
    """The record's task; without one, a JSON answer is understanding and any other is qa."""
    if record.get("task"):
        return record["task"]
    return "understanding" if metrics.parse_record(record["output"]) is not None else "qa"


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


def fact_scores(predictions: Sequence[str], records: Sequence[Mapping[str, str]]) -> list[float]:
    """Fact accuracy (0 to 1) of each answer; NaN for a record without facts."""
    facts = [parse_facts(record.get("facts", "")) for record in records]
    return [
        fact_accuracy(text, own) if own else float("nan")
        for text, own in zip(predictions, facts, strict=True)
    ]


def numeric_scores(predictions: Sequence[str], records: Sequence[Mapping[str, str]]) -> list[float]:
    """1.0 or 0.0 for each answer that should be a number, NaN for the other records."""
    scores = []
    for text, record in zip(predictions, records, strict=True):
        fact = _numeric_fact(record)
        scores.append(float(answers_number(text, fact)) if fact else float("nan"))
    return scores


def _numeric_fact(record: Mapping[str, str]) -> Fact | None:
    facts = parse_facts(record.get("facts", ""))
    return facts[0] if len(facts) == 1 and facts[0].number is not None else None


def record_scores(predictions: Sequence[str], records: Sequence[Mapping[str, str]]) -> Columns:
    """The scores that are means over records: {score: (records,)}, for records of one task."""
    import numpy as np

    task = _one_task(records)
    if task == "report":
        return {"fact_accuracy": np.array(fact_scores(predictions, records))}
    if task == "qa":
        pairs = zip(predictions, records, strict=True)
        return {
            "token_f1": np.array([token_f1(text, record["output"]) for text, record in pairs]),
            "numeric_accuracy": np.array(numeric_scores(predictions, records)),
        }
    return {}


def _one_task(records: Sequence[Mapping[str, str]]) -> str:
    kinds = {task_of(record) for record in records}
    if len(kinds) != 1:
        raise CourseError(
            f"records of {len(kinds)} tasks cannot be scored together ({sorted(kinds)})",
            "score each task by itself: tasks.by_task(records)",
        )
    return kinds.pop()


def by_task(records: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    """task -> indices of its records, in the order of TASKS."""
    found = {task: [i for i, r in enumerate(records) if task_of(r) == task] for task in TASKS}
    return {task: indices for task, indices in found.items() if indices}


def score_task(
    predictions: Sequence[str],
    records: Sequence[Mapping[str, str]],
    nll: Sequence[float],
    tokens: Sequence[int],
) -> dict[str, float | None]:
    """All scores of one task; None where nothing could be scored."""
    import numpy as np

    references = [record["output"] for record in records]
    scores = dict(metrics.score_all(predictions, references, nll, tokens))
    for name, column in record_scores(predictions, records).items():
        known = column[~np.isnan(column)]
        scores[name] = float(known.mean()) if len(known) else None
    return {name: scores.get(name) for name in SCORES[_one_task(records)]}


def compare_task(
    records: Sequence[Mapping[str, str]],
    base: Mapping[str, Sequence[Any]],
    tuned: Mapping[str, Sequence[Any]],
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, float] | None]:
    """{score: {"mean", "low", "high"}} of tuned minus base, 95 % paired bootstrap over records.

    `base` and `tuned` hold columns "answers", "nll", "tokens", one row a record in the same order.
    Every score of a task is resampled with the same draws.
    """
    references = [record["output"] for record in records]
    tables = [
        {
            "predictions": side["answers"],
            "references": references,
            "nll": side["nll"],
            "tokens": side["tokens"],
        }
        for side in (base, tuned)
    ]
    difference = dict(metrics.paired_bootstrap(*tables, samples, seed))
    before = record_scores(base["answers"], records)
    after = record_scores(tuned["answers"], records)
    for name in before:
        difference[name] = _bootstrap_means(before[name], after[name], samples, seed)
    return {name: difference.get(name) for name in SCORES[_one_task(records)]}


def _bootstrap_means(
    before: "np.ndarray", after: "np.ndarray", samples: int, seed: int
) -> dict[str, float] | None:
    """Interval of the difference of two means over records; NaN rows are left out of both."""
    import numpy as np

    gain = (after - before)[~np.isnan(before)]
    if not len(gain):
        return None
    draws = np.random.default_rng(seed).integers(0, len(gain), (samples, len(gain)))
    means = gain[draws].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(gain.mean()), "low": float(low), "high": float(high)}


def is_gain(score: str, interval: Mapping[str, float] | None) -> bool:
    """Whether a whole interval of tuned minus base lies on the better side of 0."""
    if interval is None:
        return False
    return interval["high"] < 0 if score in LOWER_IS_BETTER else interval["low"] > 0
