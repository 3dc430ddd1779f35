"""The cheap rivals on the pages of weeks 9-10, written from run/evaluation.json.

A run from before there were rivals has none, and its pages stay as they were.
"""

from collections.abc import Mapping
from typing import Any

from course_utils import rival_scores, rivals, tasks
from course_utils.assignments import markdown

Comparison = Mapping[str, Mapping[str, Any]]

ABOUT = (
    "Methods without a language model: fitted in seconds to all records of `data/train.jsonl` "
    "(the adapter saw `train_records` of them), asked the same test records. Each cell is the main "
    "score; tuned minus the best of them stands with its 95 % interval (paired bootstrap), where a "
    f"form has at least {rival_scores.LEAST} records. The best is chosen by these same records, "
    "which favours it."
)
BY_HAND = (
    "`report program` was not fitted but written (`course_utils/report_program`, some hundred "
    "lines, by a person who knew each rule and had the training sheets in view): it reads the "
    "figures off the sheet and computes. So it has a column of its own, and where a sheet looks "
    "different it says nothing."
)
ADVICE = (
    "An interval above 0: the tuned model is worth its training. Below 0: take the cheap method. "
    "A closed set of labels with many examples is a linear model's work, and where the rule is "
    "known, write the program: it is right each time, and anybody can read why."
)


def section(comparison: Comparison) -> list[str]:
    """The lines of "Cheap rivals" in reports/comparison_baseline.md."""
    names = list(dict.fromkeys(name for own in comparison.values() for name in own["methods"]))
    by_hand = [name for name in names if name in rivals.BY_HAND]
    rows = [
        [
            _label(task, own["score"], row),
            str(row["records"]),
            *(cell(row[side]) for side in ("base", "tuned")),
            *(cell(row["rivals"].get(name)) for name in names),
            span(rival_scores.over_best(row)),
            *(span(row["over"].get(name)) for name in by_hand),
        ]
        for task, own in comparison.items()
        for row in own["rows"]
    ]
    heads = ["task, form", "records", "base", "tuned", *names, "tuned − best fitted rival"]
    heads += [f"tuned − {name}" for name in by_hand]
    return [
        "## Cheap rivals",
        "",
        ABOUT,
        "",
        *([BY_HAND, ""] if by_hand else []),
        *markdown.table(heads, rows, numbers_from=1),
        "",
        f"**{rival_scores.verdict(comparison)}** {ADVICE}",
        "",
        f"Seconds for fitting and answering: {_seconds(comparison)}.",
        "",
    ]


def _label(task: str, score: str, row: Mapping[str, Any]) -> str:
    if row["form"]:
        return rival_scores.label(task, row)
    return f"**{task}** ({tasks.NAMES[score]})"


def _seconds(comparison: Comparison) -> str:
    told = []
    for task, own in comparison.items():
        known = {name: one["seconds"] for name, one in own["methods"].items()}
        parts = [f"{name} {s:.1f}" for name, s in known.items() if s is not None]
        told.append(f"{task}: {', '.join(parts) or 'not kept'}")
    return "; ".join(told)


def best_line(task: str, comparison: Comparison) -> list[str]:
    """Of one task: the best rival, its score, and how the tuned model stands to it."""
    whole = comparison[task]["rows"][0]
    if whole["rival"] is None:
        return []
    name, value = whole["rival"], cell(whole["rivals"][whole["rival"]])
    main = tasks.NAMES[comparison[task]["score"]]
    over = span(rival_scores.over_best(whole))
    return [f"Best cheap rival: {name}, {main} {value}; tuned − rival {over}.", ""]


def by_form(task: str, comparison: Comparison) -> list[str]:
    """The task's main score for each form: base, tuned, the best rival, and the difference."""
    rows = comparison[task]["rows"][1:]
    if not rows:
        return []
    cells = []
    for row in rows:
        best = row["rival"]
        rival = f"{cell(row['rivals'][best])} ({best})" if best else "–"
        values = [str(row["records"]), cell(row["base"]), cell(row["tuned"])]
        cells.append([row["form"], *values, rival, span(rival_scores.over_best(row))])
    heads = ["form of the answer", "records", "base", "tuned", "best rival", "tuned − rival"]
    name = tasks.NAMES[comparison[task]["score"]]
    return [f"Mean {name} by form:", "", *markdown.table(heads, cells), ""]


def cell(value: float | None) -> str:
    """A score or a perplexity as the pages show it."""
    if value is None:
        return "–"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def span(found: Mapping[str, float] | None) -> str:
    """ "+0.120 [+0.050, +0.190]", or a dash."""
    if found is None:
        return "–"
    mean, low, high = (found[name] for name in ("mean", "low", "high"))
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
