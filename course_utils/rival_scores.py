"""A tuned model beside cheap rivals, by task and by form: scores, the best rival, intervals.

    cheap = rival_scores.measure(train, test)           # seconds: what needs no language model
    table = rival_scores.compare(test, base, tuned, cheap, seed=42)
    print("\\n".join(rival_scores.table_lines(table)))

The best rival of a row is chosen by the very records that it is compared on. That favours it: where
the tuned model is said to be better, it is better than the luckiest of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils import rivals, tasks
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
    """task -> {"methods", "rows"}: every rival's scores, and the table by task and form.

    "methods" is {rival: {score: value, "seconds"}}. A row holds "form" ("" for the whole task),
    "records", and the main score of "base", "tuned" and each of "rivals"; "rival" is the best of
    those that were fitted, "over_rival" the 95 % interval of tuned minus it (paired bootstrap; None
    where a form has too few records, or no record names its facts). "over_program" is the same for
    a program that was written by hand, {} where there is none.
    """
    found = {}
    for task, indices in tasks.by_task(records).items():
        if not cheap.get(task):
            continue
        own = [records[i] for i in indices]
        sides = {"base": [base[i] for i in indices], "tuned": [tuned[i] for i in indices]}
        answers = {name: one["answers"] for name, one in cheap[task].items()}
        methods = {
            name: {**scores_of(text, own), "seconds": cheap[task][name].get("seconds")}
            for name, text in answers.items()
        }
        found[task] = {"methods": methods, "rows": _rows(own, sides, answers, seed)}
    return found


def scores_of(answers: Answers, records: Sequence[Record]) -> dict[str, float | None]:
    """The scores of one task that need no likelihood: all but perplexity."""
    count = len(records)
    scores = tasks.score_task(answers, records, [0.0] * count, [1] * count)
    return {name: value for name, value in scores.items() if name != "perplexity"}


def _rows(
    records: Sequence[Record],
    sides: Mapping[str, Answers],
    answers: Mapping[str, Answers],
    seed: int,
) -> list[dict[str, Any]]:
    """The whole task, then each form where there are several."""
    forms = sorted({form for record in records if (form := record.get("form", ""))})
    rows = []
    for form in ["", *(forms if len(forms) > 1 else [])]:
        places = [i for i, record in enumerate(records) if not form or record.get("form") == form]
        own = [records[i] for i in places]
        base, tuned = ([sides[side][i] for i in places] for side in ("base", "tuned"))
        told = {name: [text[i] for i in places] for name, text in answers.items()}
        main = {name: _main(text, own) for name, text in told.items()}
        fitted = {name: {"main": v} for name, v in main.items() if name not in rivals.BY_HAND}
        best = best_rival(fitted, "main")
        enough = not form or len(own) >= LEAST

        def over(name: str, own: Sequence[Record] = own, told=told, tuned=tuned):
            return tasks.compare_main(own, told[name], tuned, SAMPLES, seed)

        rows.append(
            {
                "form": form,
                "records": len(own),
                "base": _main(base, own),
                "tuned": _main(tuned, own),
                "rivals": main,
                "rival": best,
                "over_rival": over(best) if enough and best else None,
                "over_program": {n: over(n) for n in told if enough and n in rivals.BY_HAND},
            }
        )
    return rows


def _main(answers: Answers, records: Sequence[Record]) -> float | None:
    """The main score of records of one task; None where nothing could be scored."""
    import numpy as np

    task = tasks.task_of(records[0])
    if task == "understanding":
        return scores_of(answers, records)["field_f1"]
    column = tasks.record_scores(answers, records)[tasks.MAIN_SCORE[task]]
    known = column[~np.isnan(column)]
    return float(known.mean()) if len(known) else None


# --- In words -----------------------------------------------------------------------------------


def label(task: str, row: Mapping[str, Any]) -> str:
    """ "report" or "report, figures given"."""
    return f"{task}, {row['form']}" if row["form"] else task


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
            if row["over_rival"]:
                first = winner(row["over_rival"])
                more = f" ({row['rival']})" if first == "rival" else ""
                ahead[first].append(label(task, row) + more)
            if any(winner(interval) == "rival" for interval in row["over_program"].values()):
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
            interval = row["over_rival"]
            told = interval_text(interval) if interval else "-"
            name = row["rival"] or "-"
            lines.append(
                f"{label(task, row):<{width}}{row['records']:>9}{values}   {name:<18}{told}"
            )
    return "\n".join([*lines, verdict(comparison)])


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
