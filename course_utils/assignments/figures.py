"""Figures that a submission states, beside those that follow from its own stored answers.

The checklist names the first that differs; the grader weighs them all, and lists them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from course_utils import evaluation, tasks
from course_utils.assignments.folder import number_in
from course_utils.lab.questions import Question

PROMPTS = ("zero_shot", "few_shot")
TOLERANCE = 1e-4  # scores are stored with all their digits; rounding by hand is none
COMPARED = ("fact_match", "token_f1", "rougeL")  # of week 5; their likelihoods are not stored


@dataclass(frozen=True)
class Figure:
    """One stated figure. None on either side: nothing could be scored."""

    where: str  # e.g. "qa, tuned"
    name: str  # of the score, a key of tasks.NAMES
    told: float | None
    right: float | None

    @property
    def agrees(self) -> bool:
        if self.told is None or self.right is None:
            return self.told is self.right
        return math.isclose(self.told, self.right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)

    def texts(self) -> tuple[str, str]:
        """(as stated, as it follows), for a reader."""
        told, right = (f"{v:.4g}" if v is not None else "nothing" for v in (self.told, self.right))
        return told, right


def compared(
    told: Mapping[str, Any], right: Mapping[str, float | None], where: str
) -> Iterator[Figure]:
    """Each figure of `right` beside what is told; raises Explained for what is no number."""
    for name, value in right.items():
        own = told[name]
        yield Figure(where, name, None if own is None else number_in(own, name), value)


# --- Weeks 9-10 ---------------------------------------------------------------------------------


def evaluation_figures(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Scores of both models and intervals, as run/evaluation.json states them.

    Perplexity is the tuned model's only, from the likelihoods stored beside its answers.
    """
    for task, result in content["tasks"].items():
        rows = [row for row in content["predictions"] if row["task"] == task]
        sides = {side: [row[side] for row in rows] for side in ("base", "tuned")}
        likelihoods = _likelihoods(rows)
        yield from compared(result["base"], _scores(sides["base"], rows), f"{task}, base")
        tuned = _scores(sides["tuned"], rows, likelihoods)
        yield from compared(result["tuned"], tuned, f"{task}, tuned")
        base, after = (columns(answers) for answers in sides.values())
        difference = tasks.compare_task(as_records(rows), base, after, seed=content["seed"])
        for name, interval in difference.items():
            if name != "perplexity" and interval is not None:
                where = f"{task}, difference of {name}"
                yield from compared(result["difference"][name], interval, where)


def baseline_figures(content: Mapping[str, Any], systems: Mapping[str, Any]) -> Iterator[Figure]:
    """Scores of both prompts, as run/baseline.json states them."""
    for prompt in PROMPTS:
        for task in content["tasks"]:
            right = prompt_scores(systems[prompt], content["predictions"], task)
            yield from compared(systems[prompt]["scores"][task], right, f"{task}, {prompt}")


def repeated_figures(content: Mapping[str, Any], systems: Mapping[str, Any]) -> Iterator[Figure]:
    """The same scores, as run/evaluation.json repeats them."""
    for prompt in PROMPTS:
        for task, result in content["tasks"].items():
            right = prompt_scores(systems[prompt], content["predictions"], task)
            yield from compared(result[prompt], right, f"{task}, {prompt}, in evaluation.json")


def prompt_scores(
    system: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], task: str
) -> dict[str, float | None]:
    """The scores of one prompt's answers, which stand in the order of the predictions."""
    own = [i for i, row in enumerate(rows) if row["task"] == task]
    stored = [{name: system[name][i] for name in ("nll", "tokens") if name in system} for i in own]
    answers = [system["answers"][i] for i in own]
    return _scores(answers, [rows[i] for i in own], _likelihoods(stored))


def better_prompt(content: Mapping[str, Any], systems: Mapping[str, Any], task: str) -> str:
    """The prompt that the tuned model has to beat, by scores computed from the stored answers."""
    rows = content["predictions"]
    scores = {prompt: {task: prompt_scores(systems[prompt], rows, task)} for prompt in PROMPTS}
    for own in scores.values():
        own[task].setdefault("perplexity", None)
    return evaluation.better_prompt(scores, task)


def gain_over(
    content: Mapping[str, Any], system: Mapping[str, Any], task: str
) -> dict[str, float] | None:
    """{"mean", "low", "high"} of tuned minus one prompt's answers, on the task's main score."""
    rows = content["predictions"]
    own = [i for i, row in enumerate(rows) if row["task"] == task]
    if not own:
        return None
    before = columns([system["answers"][i] for i in own])
    after = columns([rows[i]["tuned"] for i in own])
    records = as_records([rows[i] for i in own])
    difference = tasks.compare_task(records, before, after, seed=content["seed"])
    return difference[tasks.MAIN_SCORE[task]]


def as_records(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions as the scores take records."""
    return [{**row, "output": row["reference"]} for row in rows]


def columns(
    answers: Sequence[str], likelihoods: tuple[list[float], list[float]] | None = None
) -> dict[str, list]:
    """The columns that the scores take; without likelihoods, ones that only fill their place."""
    nll, tokens = likelihoods or ([0.0] * len(answers), [1] * len(answers))
    return {"answers": list(answers), "nll": nll, "tokens": tokens}


def _likelihoods(rows: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]] | None:
    """(nll, tokens) of stored rows; None where a row does not hold them."""
    if not rows or any("nll" not in row or "tokens" not in row for row in rows):
        return None
    nll, tokens = ([number_in(row[name], name) for row in rows] for name in ("nll", "tokens"))
    return (nll, tokens) if sum(tokens) > 0 and max(nll) < 1e6 else None


def _scores(
    answers: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    likelihoods: tuple[list[float], list[float]] | None = None,
) -> dict[str, float | None]:
    own = columns(answers, likelihoods)
    scores = tasks.score_task(own["answers"], as_records(rows), own["nll"], own["tokens"])
    return {name: v for name, v in scores.items() if name != "perplexity" or likelihoods}


# --- Week 5 -------------------------------------------------------------------------------------


def answer_figures(content: Mapping[str, Any], questions: Sequence[Question]) -> Iterator[Figure]:
    """The scores of both models in answers.json; `questions` are those of its rows, in order."""
    records = [question.scored() for question in questions]
    for side, column in (("tuned", "answer"), ("base", "base_answer")):
        own = columns([row[column] for row in content["answers"]])
        scores = tasks.score_task(own["answers"], records, own["nll"], own["tokens"])
        right = {name: scores[name] for name in COMPARED}
        yield from compared(content[side], right, side)
