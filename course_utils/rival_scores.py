"""A tuned model beside cheap rivals, by task and by form: scores, the best rival, intervals.

    cheap = rival_scores.measure(train, test)           # seconds: what needs no language model
    table = rival_scores.compare(test, base, tuned, cheap, seed=42)
    print("\\n".join(rival_scores.table_lines(table)))

The best rival of a row is chosen by the very records that it is compared on. That favours it: where
the tuned model is said to be better, it is better than the luckiest of them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import metrics, rivals, scoring, tasks
from course_utils.drawing import interval_text
from course_utils.rival_results import best_rival
from course_utils.scoring import Record

# A form with fewer records gets no interval. With 20 records a share of 0.5 is known to within
# 0.2; a bootstrap over fewer is too narrow to be believed.
LEAST = 20
SAMPLES = 1000
Answers = Sequence[str]


def measure(train: Sequence[Record], test: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """task -> rival -> {"seconds", "answers"}: fitted to all training records of the task.

    The answers stand in the order of the task's test records. A task without training records has
    no rival.
    """
    known = tasks.by_task(train)
    found = {}
    for task, indices in tasks.by_task(test).items():
        if task not in known:
            continue
        own = [train[i] for i in known[task]]
        answered = rivals.answer(own, [test[i] for i in indices])
        found[task] = {
            name: {"seconds": one.seconds, "answers": one.answers} for name, one in answered.items()
        }
    return found


def compare(
    records: Sequence[Record],
    base: Answers,
    tuned: Answers,
    cheap: Mapping[str, Mapping[str, Mapping[str, Any]]],
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """task -> {"score", "methods", "rows"}: every rival's scores, and the table by task and form.

    "score" is what the rows are about: the main score, or token F1 of questions without facts.
    "methods" is {rival: {score: value, "seconds"}}. A row holds "form" ("" for the whole task),
    "records", and the score of "base", "tuned" and each of "rivals"; "rival" is the best of those
    that were fitted, "over" {rival: 95 % interval of tuned minus it} (paired bootstrap; {} where a
    form has too few records, or nothing could be scored).
    """
    found = {}
    for task, indices in tasks.by_task(records).items():
        if not cheap.get(task):
            continue
        own = [records[i] for i in indices]
        answers = {name: one["answers"] for name, one in cheap[task].items()}
        scored = _Scored(
            own,
            {"base": [base[i] for i in indices], "tuned": [tuned[i] for i in indices]} | answers,
        )
        methods = {
            name: {**scores_of(text, own), "seconds": cheap[task][name].get("seconds")}
            for name, text in answers.items()
        }
        rows = _rows(scored, list(answers), seed)
        found[task] = {"score": scored.score, "methods": methods, "rows": rows}
    return found


def scores_of(answers: Answers, records: Sequence[Record]) -> dict[str, float | None]:
    """The scores of one task that need no likelihood: all but perplexity."""
    count = len(records)
    scores = tasks.score_task(answers, records, [0.0] * count, [1] * count)
    return {name: value for name, value in scores.items() if name != "perplexity"}


class _Scored:
    """The answers of several systems to the records of one task, each scored once."""

    def __init__(self, records: Sequence[Record], systems: Mapping[str, Answers]):
        self.records, self.systems = records, systems
        task = tasks.task_of(records[0])
        self.score = tasks.MAIN_SCORE[task]
        if task == "qa" and not any(map(scoring.facts_of, records)):
            self.score = "token_f1"
        # Field F1 is no mean over records: its counts are added up.
        self.columns = {
            name: tasks.record_scores(answers, records)[self.score]
            for name, answers in systems.items()
            if task != "understanding"
        }

    def value(self, name: str, places: Sequence[int]) -> float | None:
        """A system's score over these records; None where nothing could be scored."""
        if not self.columns:
            own = [self.records[i] for i in places]
            return scores_of([self.systems[name][i] for i in places], own)[self.score]
        known = [v for i in places if not math.isnan(v := float(self.columns[name][i]))]
        return sum(known) / len(known) if known else None

    def over(self, name: str, places: Sequence[int], seed: int) -> dict[str, float] | None:
        """The interval of tuned minus this system."""
        pair = (name, "tuned")
        if self.columns:
            return tasks.bootstrap_means(
                *(self.columns[one][list(places)] for one in pair), SAMPLES, seed
            )
        references = [scoring.reference_of(self.records[i]) for i in places]
        tables = [
            {"predictions": [self.systems[one][i] for i in places], "references": references}
            for one in pair
        ]
        return metrics.paired_bootstrap(*tables, SAMPLES, seed)[self.score]


def _rows(scored: _Scored, names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """The whole task, then each form where there are several."""
    each = [record.get("form", "") for record in scored.records]
    forms = sorted(set(filter(None, each)))
    rows = []
    for form in ["", *(forms if len(forms) > 1 else [])]:
        places = [i for i, own in enumerate(each) if not form or own == form]
        told = {name: scored.value(name, places) for name in names}
        fitted = {name: {"score": v} for name, v in told.items() if name not in rivals.BY_HAND}
        enough = not form or len(places) >= LEAST
        over = {name: scored.over(name, places, seed) for name in names} if enough else {}
        rows.append(
            {
                "form": form,
                "records": len(places),
                "base": scored.value("base", places),
                "tuned": scored.value("tuned", places),
                "rivals": told,
                "rival": best_rival(fitted, "score"),
                "over": {name: interval for name, interval in over.items() if interval},
            }
        )
    return rows


# --- In words -----------------------------------------------------------------------------------


def label(task: str, row: Mapping[str, Any]) -> str:
    """ "report" or "report, figures given"."""
    return f"{task}, {row['form']}" if row["form"] else task


def over_best(row: Mapping[str, Any]) -> Mapping[str, float] | None:
    """The interval of tuned minus the best fitted rival."""
    return row["over"].get(row["rival"])


def winner(interval: Mapping[str, float] | None) -> str:
    """Who is ahead by the whole interval: "tuned", "rival", or "" where that is open."""
    if not interval:
        return ""
    if interval["low"] > 0:
        return "tuned"
    return "rival" if interval["high"] < 0 else ""


def verdict(comparison: Mapping[str, Mapping[str, Any]]) -> str:
    """One sentence each: where the tuned model wins, where the cheap method is the right choice."""
    ahead: dict[str, list[str]] = {"tuned": [], "rival": [], "": []}
    by_hand: list[str] = []
    for task, own in comparison.items():
        for row in own["rows"]:
            if over_best(row):
                first = winner(over_best(row))
                more = f" ({row['rival']})" if first == "rival" else ""
                ahead[first].append(label(task, row) + more)
            if any(winner(row["over"].get(name)) == "rival" for name in rivals.BY_HAND):
                by_hand.append(label(task, row))
    told = []
    if ahead["tuned"]:
        told.append(f"The tuned model beats every fitted rival here: {'; '.join(ahead['tuned'])}.")
    if ahead["rival"]:
        told.append(f"The cheap method is the right choice here: {'; '.join(ahead['rival'])}.")
    if ahead[""]:
        told.append(f"No clear difference here: {'; '.join(ahead[''])}.")
    if by_hand:
        told.append(
            f"A program written by hand for the known rule beats it here: {'; '.join(by_hand)}."
        )
    return " ".join(told) or "No row has an interval: nothing can be said."


def table_text(comparison: Mapping[str, Mapping[str, Any]]) -> str:
    """The table for a terminal, a line a task or form, and the verdict below it."""
    width = max(len(label(task, row)) for task, own in comparison.items() for row in own["rows"])
    heads = f"{'base':>7}{'tuned':>7}{'rival':>7}   {'best cheap rival':<18}"
    lines = [f"{'task, form':<{width}}{'records':>9}{heads}tuned - rival [95 % interval]"]
    for task, own in comparison.items():
        for row in own["rows"]:
            best = row["rivals"].get(row["rival"])
            values = "".join(f"{_short(v):>7}" for v in (row["base"], row["tuned"], best))
            interval = over_best(row)
            told = interval_text(interval) if interval else "-"
            name = row["rival"] or "-"
            lines.append(
                f"{label(task, row):<{width}}{row['records']:>9}{values}   {name:<18}{told}"
            )
    return "\n".join([*lines, verdict(comparison)])


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def each_text(table: Mapping[str, Any]) -> list[str]:
    """A line for each rival of a task: its score, and tuned minus it."""
    whole, lines = table["rows"][0], []
    for name, value in whole["rivals"].items():
        interval = whole["over"].get(name)
        told = f"; tuned - {name} {interval_text(interval)}" if interval else ""
        lines.append(f"{name}: {tasks.NAMES[table['score']]} {_short(value)}{told}")
    return lines
