"""The test questions of a run: what was asked, what both models answered, and the scores.

test_questions.jsonl holds the questions; inference_lora.py writes answers.json beside it, and
held_out_answers.json for the records kept out of training.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils.drawing import interval_text
from course_utils.report import METRIC_ROWS
from course_utils.reports.input import clean, clip, number_of, read_object, read_rows, sensible

MIN_QUESTIONS = 5
MAX_QUESTIONS = 12
MAX_LETTERS = 900  # of a text that is shown
FILES = ("answers.json", "test_questions.jsonl")
# File that inference_lora.py writes -> what its scores are means over; the larger part first.
SCORED = {"held_out_answers.json": "held-out questions", "answers.json": "test questions"}
NAMES = {metric: name for metric, (name, _, _) in METRIC_ROWS.items()}
BASE = "base_"  # in a row's scores, before the name of a score of the base model


def questions_of(folder: Path) -> dict[str, Any]:
    """The questions of a run as they are shown, score tables, and notes on what is missing."""
    file, rows = _read(folder)
    # In a file of questions an empty answer is one to be filled in; in answers.json it was given.
    answered = bool(rows) and (file == FILES[0] or any(_text(row.get("answer")) for row in rows))
    shown = rows[:MAX_QUESTIONS]
    notes = []
    if not file:
        notes.append("There are no test questions yet: write test_questions.jsonl (at least 5).")
    elif len(rows) < MIN_QUESTIONS:
        notes.append(f"{file} holds {len(rows)} of at least {MIN_QUESTIONS} questions.")
    if file and not answered:
        notes.append("The model was not asked yet: inference_lora.py writes the answers.")
    if len(rows) > len(shown):
        notes.append(f"The first {len(shown)} of {len(rows)} questions are shown.")
    return {
        "notes": notes,
        "tables": score_tables(folder),
        "rows": [_question(number, row, answered) for number, row in enumerate(shown, 1)],
        "answered": answered,
    }


def _read(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    for name in FILES:
        if (folder / name).is_file() and (rows := read_rows(folder / name)):
            return name, rows
    return ("test_questions.jsonl", []) if (folder / FILES[1]).is_file() else ("", [])


def _question(number: int, row: Mapping[str, Any], asked: bool) -> dict[str, Any]:
    """One question: its number and the parts in the order of reading, (label, text) each."""
    scores = row.get("scores") if isinstance(row.get("scores"), dict) else {}
    parts = [("Question", _text(row.get("instruction")) or "–")]
    if context := _text(row.get("context")):
        parts.append(("Context", context))
    parts.append(("Expected", _text(row.get("expected")) or "–"))
    for label, key, own in (("Tuned model", "answer", ""), ("Base model", "base_answer", BASE)):
        nothing = "(empty answer)" if asked and isinstance(row.get(key), str) else "no answer yet"
        text = _text(row.get(key)) or nothing
        values = [(name, number_of(scores.get(own + name))) for name in NAMES]
        told = ", ".join(f"{NAMES[name]} {sensible(v)}" for name, v in values if v is not None)
        parts.append((label, f"{text}\n({told})" if told else text))
    return {"number": number, "parts": parts}


def _text(value: Any) -> str:
    return "" if value is None else clip(clean(value).strip(), MAX_LETTERS)


# ---------------------------------------------------------------- scores


HEADER = ("Base model", "Tuned model", "Difference [95 %]")
RIVAL_HEADER = ("Rival", "Tuned model", "Tuned minus rival [95 %]")


def score_tables(folder: Path) -> list[dict[str, Any]]:
    """From each file of scores: base against tuned, and tuned against cheap rivals.

    A table is {"title", "header", "rows"}; a row begins with its name.
    """
    tables = []
    for file, of in SCORED.items():
        content = read_object(folder / file) if (folder / file).is_file() else {}
        base, tuned, gaps = (_part(content, name) for name in ("base", "tuned", "difference"))
        rows = [
            [name, *(_shown(side.get(metric)) for side in (base, tuned)), _gap(gaps.get(metric))]
            for metric, name in NAMES.items()
            if number_of(tuned.get(metric)) is not None
        ]
        count = number_of(content.get("questions"))
        title = f"{count:g} {of}" if count else of
        if rows:
            tables.append({"title": title, "header": [f"Mean over {title}", *HEADER], "rows": rows})
        tables += _rival_table(content, title)
    return tables


def _rival_table(content: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """The cheap rivals on the whole part: their score, the tuned model's, the interval."""
    table = _part(_part(content, "rivals"), "table")
    rows = table.get("rows")
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return []
    whole, score = rows[0], NAMES.get(table.get("score"), "Score")
    over = _part(whole, "over")
    told = [
        [
            clip(clean(str(name)), 40),
            _shown(value),
            _shown(whole.get("tuned")),
            _gap(over.get(name)),
        ]
        for name, value in _part(whole, "rivals").items()
    ]
    head = [f"{score} without a language model, {title}", *RIVAL_HEADER]
    return [{"title": f"{title}: cheap rivals", "header": head, "rows": told}] if told else []


def tuned_scores(folder: Path) -> dict[str, float]:
    """The tuned model's scores, 0..1, over the largest part that was scored."""
    for file in ("evaluation.json", *SCORED):
        content = read_object(folder / file) if (folder / file).is_file() else {}
        if found := known_scores(_part(content, "tuned")):
            return found
    return {}


def known_scores(values: Mapping[str, Any]) -> dict[str, float]:
    """The scores among these values; perplexity is a run's own, over its validation part."""
    numbers = {name: number_of(values.get(name)) for name in NAMES if name != "perplexity"}
    return {name: value for name, value in numbers.items() if value is not None}


def _part(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _shown(value: Any) -> str:
    number = number_of(value)
    return "–" if number is None else sensible(number)


def _gap(interval: Any) -> str:
    if not isinstance(interval, dict):
        return "–"
    ends = [number_of(interval.get(end)) for end in ("mean", "low", "high")]
    return "–" if None in ends else interval_text(interval)
