"""What answers that understand nothing get from the scores: `course data self-check FOLDER`.

Each record is answered seven times without a model: by its reference, by a copy of its input, by
lists of values, by the answer that is right most often, and by the reference turned into its
opposite. A score can be fooled where one of them, other than the reference, is paid.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_utils import metrics, scoring, tasks
from course_utils.errors import CourseError
from course_utils.records import read_records
from course_utils.scoring import Record
from course_utils.statements import read, sentences

Cell = tuple[str, str, str]  # task, document, form
Progress = Callable[[str, int, int], None]

REFERENCE, ECHO, ECHO_VALUES, VALUES, MAJORITY, NEGATED, SWAPPED = ROWS = (
    "reference",
    "echo of the input",
    "echo with all closed values",
    "all closed values alone",
    "majority answer",
    "negated reference",
    "swapped limits",
)
PARTS = ("train", "val", "test")
MOST_VALUES = 12  # a fact's name with more different values is no closed set
CANDIDATES = 30  # reports of which the one that scores best elsewhere is the majority answer
LIMIT = 0.05
# Figures that stand in the input may be copied: a copy of it gets something.
LIMIT_GIVEN = 0.25


@dataclass
class Sum:
    """Scores of one row in one cell, added up."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass
class CellResult:
    """One task, document and form: its records and what each row got."""

    cell: Cell
    records: int = 0
    unscored: int = 0
    rows: dict[str, Sum] = field(default_factory=lambda: {row: Sum() for row in ROWS})

    def limit(self, row: str) -> float | None:
        """The most that a row may get here; None where a row is shown for information only."""
        task, _, form = self.cell
        if task == "understanding" or row == REFERENCE:
            return None
        copies = row in (ECHO, ECHO_VALUES, VALUES, MAJORITY)
        given = task == "report" and form != scoring.WORKING_SHOWN
        return LIMIT_GIVEN if copies and given else LIMIT

    def faults(self) -> list[str]:
        """What is wrong with the scores of this cell, in words."""
        found = []
        reference = self.rows[REFERENCE]
        if reference.mean is not None and reference.mean < 1 - 1e-9:
            found.append(f"the reference gets {reference.mean:.3f}, not 1")
        if self.unscored:
            found.append(f"{self.unscored} records have facts but cannot be scored")
        for row, sums in self.rows.items():
            limit = self.limit(row)
            # One record more than the limit allows is luck: a small cell proves nothing.
            if limit is not None and sums.total - 1 > limit * sums.count:
                found.append(f"{row} {sums.mean:.2f}, at most {limit:.2f}")
        return found


def check(
    parts: Mapping[str, Sequence[Record]],
    sample: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[CellResult]:
    """Every cell's rows. `parts` is {"train": records, ...}; `sample` records of each cell at most.

    The most frequent answers are those of the training part, or of all where there is none.
    Raises CourseError where no record can be scored.
    """
    for name, part in parts.items():
        _check_facts(name, part)
    train = parts.get("train") or [record for part in parts.values() for record in part]
    cells = _by_cell(record for part in parts.values() for record in part)
    drawn = {cell: _sample(own, sample, f"{seed}/{cell}") for cell, own in cells.items()}
    made = _Answers(train, seed)
    results, done, total = [], 0, sum(map(len, drawn.values()))
    for cell, own in sorted(drawn.items()):
        result = CellResult(cell)
        for record in own:
            _score_record(result, record, made)
            done += 1
            if progress:
                progress("answers that understand nothing", done, total)
        results.append(result)
    if not any(result.rows[REFERENCE].count for result in results):
        raise CourseError(
            "no record can be scored: none has facts or a JSON answer",
            'build the data anew, or give records their facts: "facts": "answer=4.5 mm/s"',
        )
    return results


def read_parts(path: Path) -> dict[str, list[Record]]:
    """{"train": records, ...} of a folder with parts of data, or of one file of records.

    Raises CourseError where there is nothing to read, or a record is broken.
    """
    if path.is_dir():
        files = [path / f"{part}.jsonl" for part in PARTS]
        found = [file for file in files if file.is_file()] or sorted(path.glob("*.jsonl"))
        if not found:
            raise CourseError(
                f"{path}: there is no .jsonl file in it",
                "give a folder of `course data build`, or one file of records",
            )
    else:
        found = [path]
    return {file.stem: read_records(file) for file in found}


def _check_facts(part: str, records: Sequence[Record]) -> None:
    for number, record in enumerate(records, 1):
        try:
            scoring.facts_of(record)
        except CourseError as error:
            raise CourseError(f"{part}, record {number}: {error.message}", error.cure) from None


def cell_of(record: Record) -> Cell:
    """Task, document ("-" in geology) and form of a record."""
    task = tasks.task_of(record)
    form = scoring.form_of(record) if task == "qa" else record.get("form", "")
    return task, record.get("document") or "-", form or "-"


def _by_cell(records: Iterable[Record]) -> dict[Cell, list[Record]]:
    cells: dict[Cell, list[Record]] = defaultdict(list)
    for record in records:
        cells[cell_of(record)].append(record)
    return cells


def _sample(records: list[Record], count: int | None, seed: str) -> list[Record]:
    if count is None or count >= len(records):
        return records
    return random.Random(seed).sample(records, count)


def _score_record(result: CellResult, record: Record, made: "_Answers") -> None:
    result.records += 1
    score = tasks.main_score
    reference = score(scoring.reference_of(record), record)
    if reference is None:
        result.unscored += bool(scoring.facts_of(record))
        return
    values, text = made.values(record), scoring.input_of(record)
    both = (score(f"{values}\n{text}", record), score(f"{text}\n{values}", record))
    told = {
        REFERENCE: reference,
        ECHO: score(text, record),
        ECHO_VALUES: max(both),
        VALUES: score(values, record),
        MAJORITY: score(made.majority(record), record),
    }
    if result.cell[0] != "understanding":
        told[NEGATED] = score(negated(record), record)
        told[SWAPPED] = limits_kept(swapped(scoring.reference_of(record)), record)
    for row, value in told.items():
        result.rows[row].add(value)


# --- The answers --------------------------------------------------------------------------------


class _Answers:
    """Lists of values and most frequent answers, learned from the training part."""

    def __init__(self, train: Sequence[Record], seed: int):
        self.seed, self.cells = seed, _by_cell(train)
        self._values: dict[tuple[str, str], str] = {}
        self._majority: dict[Cell, str] = {}

    def values(self, record: Record) -> str:
        """All values that the facts of this task and document may have, where they are few."""
        key = cell_of(record)[:2]
        if key not in self._values:
            own = [r for cell, part in self.cells.items() if cell[:2] == key for r in part]
            self._values[key] = _closed_values(own, key[0])
        return self._values[key]

    def majority(self, record: Record) -> str:
        """The answer that is right most often in this cell."""
        cell = cell_of(record)
        if cell not in self._majority:
            own = self.cells.get(cell, [])
            best = _best_report if cell[0] == "report" else _most_frequent
            self._majority[cell] = best(own, f"{self.seed}/{cell}") if own else ""
        return self._majority[cell]


def _closed_values(records: Sequence[Record], task: str) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for name, values in _named_values(record, task):
            found[name].update(values)
    few = {name: sorted(values) for name, values in found.items() if len(values) <= MOST_VALUES}
    if task == "understanding":
        return json.dumps(few)
    return "; ".join(value for values in few.values() for value in values)


def _named_values(record: Record, task: str) -> list[tuple[str, Iterable[str]]]:
    if task == "understanding":
        return list((metrics.parse_record(scoring.reference_of(record)) or {}).items())
    return [
        (fact.name, (*fact.values, *fact.others))
        for fact in scoring.facts_of(record)
        if fact.number is None
    ]


def _most_frequent(records: Sequence[Record], seed: str) -> str:
    counts = Counter(scoring.reference_of(record) for record in records)
    return counts.most_common(1)[0][0]


def _best_report(records: Sequence[Record], seed: str) -> str:
    """Of some references the one that scores best, on average, on other records."""
    drawn = _sample(list(records), 2 * CANDIDATES, seed)
    answers, asked = drawn[::2] or drawn, drawn[1::2] or drawn
    texts = [scoring.reference_of(record) for record in answers]
    return max(texts, key=lambda text: sum(tasks.main_score(text, r) or 0.0 for r in asked))


def negated(record: Record) -> str:
    """The reference turned into its opposite, in the words that its form allows."""
    text, form = scoring.reference_of(record), record.get("form", "")
    if form in (scoring.NUMBER_ONLY, scoring.NAME_ONLY):
        return f"not {text}"
    if form == scoring.YES_OR_NO:
        return re.sub(r"\w+", lambda m: {"yes": "No"}.get(m[0].casefold(), "Yes"), text, count=1)
    return " ".join(f"It is not the case that {part}" for part in sentences(text))


_OPPOSITES = [
    ("at most", "at least"),
    ("maximum", "minimum"),
    ("max", "min"),
    ("more", "less"),
    ("more", "fewer"),
    ("above", "below"),
    ("over", "under"),
    ("exceed", "fall below"),
    ("upper", "lower"),
    ("higher", "lower"),
    ("≤", "≥"),
    ("<=", ">="),
    ("<", ">"),
]


@lru_cache(maxsize=1)
def _opposites() -> tuple[dict[str, str], re.Pattern]:
    words: dict[str, str] = {}
    for one, other in _OPPOSITES:
        words.setdefault(one, other)
        words.setdefault(other, one)
    longest = sorted(words, key=len, reverse=True)
    marks = [rf"\b{re.escape(w)}\b" if w[0].isalpha() else re.escape(w) for w in longest]
    return words, re.compile("|".join(marks), re.IGNORECASE)


def swapped(text: str) -> str:
    """A text with the direction of its limits turned round, and the ends of its ranges changed."""
    for low, high in reversed(read(text).ranges):
        ends = [re.match(r"\S*\d", text[figure.start :])[0] for figure in (low, high)]
        text = (
            text[: low.start]
            + ends[1]
            + text[low.start + len(ends[0]) : high.start]
            + ends[0]
            + text[high.start + len(ends[1]) :]
        )
    words, pattern = _opposites()
    return pattern.sub(lambda match: words[match[0].casefold()], text)


def limits_kept(text: str, record: Record) -> float | None:
    """Share (0 to 1) of the record's limits that a text states; None where it has none."""
    facts = scoring.facts_of(record)
    if not any(fact.limit for fact in facts):
        return None
    if tasks.task_of(record) == "qa":
        return float(scoring.fact_match(text, record))
    right = scoring.states(text, facts)
    kept = [told for told, fact in zip(right, facts, strict=True) if fact.limit]
    return sum(kept) / len(kept)


# --- The table ----------------------------------------------------------------------------------

_HEADS = ("reference", "echo", "echo+values", "values", "majority", "negated", "swapped")


def table(results: Sequence[CellResult]) -> str:
    """A line for each cell, a column for each way to answer; "!" marks what is paid too much."""
    lines = []
    for task in tasks.TASKS:
        own = [result for result in results if result.cell[0] == task]
        if own:
            score = tasks.NAMES[tasks.MAIN_SCORE[task]]
            head = f"{task}, {score}"
            lines += [f"{head:<54}{'records':>8}" + "".join(f"{h:>12}" for h in _HEADS)]
            lines += map(_line, own)
    return "\n".join(lines)


def _line(result: CellResult) -> str:
    _, document, form = result.cell
    cells = []
    for row, sums in result.rows.items():
        mark = "!" if any(fault.startswith(f"{row} ") for fault in result.faults()) else " "
        cells.append(f"{'-' if sums.mean is None else f'{sums.mean:.3f}'}{mark}".rjust(12))
    return f"  {document:<24}{form:<28}{result.records:>8}" + "".join(cells)


def verdict(results: Sequence[CellResult]) -> str:
    """The last line: that nothing can be fooled, or what can, where and by how much."""
    told = [
        f"{', '.join(part for part in result.cell if part != '-')}: {'; '.join(faults)}"
        for result in results
        if (faults := result.faults())
    ]
    return "can be fooled: " + " | ".join(told) if told else "nothing can be fooled"


def to_dict(results: Sequence[CellResult]) -> dict[str, Any]:
    """The table as JSON: each cell with its records, means and limits, and what can be fooled."""
    return {
        "cells": [
            {
                **dict(zip(("task", "document", "form"), result.cell, strict=True)),
                "records": result.records,
                "score": tasks.MAIN_SCORE[result.cell[0]],
                "rows": {row: sums.mean for row, sums in result.rows.items()},
                "limits": {row: result.limit(row) for row in ROWS},
                "faults": result.faults(),
            }
            for result in results
        ],
        "verdict": verdict(results),
    }
