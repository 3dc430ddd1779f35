"""What answers that understand nothing get from the scores, and what right bare ones lose.

    course data build --track manufacturing --out runs/data --seed 42
    python benchmarks/fooled_scores.py --data runs/data          # seconds; a table for each score

Four answers that need no model, each to every record of the test part:
    echo of the input     the record's own sheet, text or orders, word for word
    all closed values     every value that names of the training part's answers may take, where
                          they are few (`decision`: release, adjust, hold, not capable)
    echo + closed values  both, one after the other
    bare answer           the right values and nothing else: "95.1 %" where the reference wraps
                          them in a sentence; for JSON the reference itself
A score measures understanding only as far as a model lies above the first three rows.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # works from a plain clone, installed or not

from course_utils import metrics, tasks  # noqa: E402
from course_utils.console import console  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.facts import parse_facts  # noqa: E402
from course_utils.files import write_json_atomic  # noqa: E402
from course_utils.records import read_records  # noqa: E402

Record = Mapping[str, str]
MOST_VALUES = 12  # a fact's name with more different values is not a closed set
SCORES = {
    "understanding": ("field_f1",),
    "report": ("fact_accuracy",),
    "qa": ("token_f1", "numeric_accuracy"),
}


def closed_values(train: Sequence[Record], most: int = MOST_VALUES) -> dict[str, dict]:
    """task -> name -> its values in the training part, where they are words and few."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for record in train:
        for name, value in _named_values(record):
            found[tasks.task_of(record)][name].add(value)
    return {
        task: {name: sorted(values) for name, values in names.items() if len(values) <= most}
        for task, names in found.items()
    }


def _named_values(record: Record) -> list[tuple[str, str]]:
    if tasks.task_of(record) == "understanding":
        answer = metrics.parse_record(record["output"]) or {}
        return [(name, value) for name, values in answer.items() for value in values]
    return [
        (fact.name, fact.value)
        for fact in parse_facts(record.get("facts", ""))
        if fact.number is None
    ]


def answers(closed: Mapping[str, Mapping]) -> dict[str, Callable[[Record], str]]:
    """Row -> the answer that it gives to a record."""

    def all_closed(record: Record) -> str:
        names = closed.get(tasks.task_of(record), {})
        if tasks.task_of(record) == "understanding":
            return json.dumps(names)
        return "; ".join(value for values in names.values() for value in values)

    return {
        "echo of the input": lambda record: record["input"],
        "all closed values": all_closed,
        "echo + closed values": lambda record: f"{record['input']}\n{all_closed(record)}",
        "bare answer": bare,
    }


def bare(record: Record) -> str:
    """The right values of a record without a sentence around them."""
    facts = parse_facts(record.get("facts", ""))
    if not facts:
        return record["output"]
    values = [f"{fact.value} {fact.unit}".strip() for fact in facts]
    if tasks.task_of(record) == "report":  # a number without a unit needs its name to be found
        values = [f"{fact.name} {value}" for fact, value in zip(facts, values, strict=True)]
    return "; ".join(values)


def scores(records: Sequence[Record], rows: Mapping[str, Callable]) -> dict[str, dict]:
    """task -> {"records", row -> {score: mean}}; records without facts are left out of two tasks.

    Raises CourseError when no record can be scored.
    """
    found = {}
    for task, places in tasks.by_task(records).items():
        own = [records[place] for place in places]
        if task != "understanding":
            own = [record for record in own if record.get("facts")]
        if own:
            table = {row: _means(task, [make(r) for r in own], own) for row, make in rows.items()}
            found[task] = {"records": len(own), "rows": table}
    if not found:
        raise CourseError("no record can be scored", "build the manufacturing track anew")
    return found


def _means(task: str, texts: list[str], records: Sequence[Record]) -> dict[str, float]:
    import numpy as np

    if task == "understanding":
        return {"field_f1": metrics.field_f1(texts, [record["output"] for record in records])}
    columns = tasks.record_scores(texts, records)
    return {
        name: float(np.nanmean(columns[name]))
        for name in SCORES[task]
        if not np.isnan(columns[name]).all()
    }


def table(found: Mapping[str, Mapping]) -> str:
    """The rows of all tasks as text."""
    lines = []
    for task, result in found.items():
        names = next(iter(result["rows"].values()))
        head = "".join(f"{tasks.NAMES[name]:>18}" for name in names)
        lines.append(f"{task + ', ' + str(result['records']) + ' records':<28}{head}")
        lines += [
            f"  {row:<26}" + "".join(f"{value:>18.2f}" for value in values.values())
            for row, values in result["rows"].items()
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of `course data build`")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, too")
    options = parser.parse_args(arguments)
    try:
        train, test = (read_records(options.data / f"{part}.jsonl") for part in ("train", "test"))
        found = scores(test, answers(closed_values(train)))
        if options.out:
            write_json_atomic(options.out, found)
    except CourseError as error:
        console().print(str(error), style="red", soft_wrap=True, markup=False)
        return 1
    console().print(table(found), soft_wrap=True, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
