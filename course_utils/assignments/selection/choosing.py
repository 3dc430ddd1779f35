"""Which records are scored, and which are shown as examples in a few-shot prompt."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import chat
from course_utils.errors import CourseError
from course_utils.records import read_records
from course_utils.splits import split_by_group


def load_data(data: Path, count: int, seed: int) -> tuple[list[dict], list[dict]]:
    """(`count` test records, training records) of a folder or of one file.

    A folder holds train.jsonl and test.jsonl (or data/ with both, as a run folder does). A file is
    split by group, a third for examples. Tasks are drawn evenly. Raises CourseError for a missing
    or broken file.
    """
    data = Path(data)
    if count < 1:
        raise CourseError(f"records is {count}", "score at least one record; 40 is a good start")
    if data.is_dir():
        folder = data / "data" if (data / "data" / "test.jsonl").is_file() else data
        parts = {name: folder / f"{name}.jsonl" for name in ("train", "test")}
        missing = [path.name for path in parts.values() if not path.is_file()]
        if missing:
            raise CourseError(
                f"{data}: there is no {' and no '.join(missing)}",
                "give a folder with train.jsonl and test.jsonl (notebook 01 writes them to the run "
                "folder's data/), or one .jsonl file",
            )
        train, test = read_records(parts["train"]), read_records(parts["test"])
    else:
        records = read_records(data)
        groups = [record.get("group") or f"record {i}" for i, record in enumerate(records)]
        sizes = {"train": len(records) // 3, "test": len(records) - len(records) // 3}
        split = split_by_group(records, groups, sizes, seed)
        train, test = split["train"], split["test"]
    if not test:
        raise CourseError(f"{data}: there is no record to score", "bring more records")
    return choose_records(test, count, seed), train


def choose_records(records: Sequence[dict], count: int, seed: int) -> list[dict]:
    """`count` records, as many of each task as there are of any other; fewer if there are fewer."""
    piles = records_by_task(records)
    for task, pile in piles.items():
        random.Random(f"{seed} {task}").shuffle(pile)
    chosen: list[dict] = []
    while len(chosen) < count and any(piles.values()):
        for pile in piles.values():
            if pile and len(chosen) < count:
                chosen.append(pile.pop())
    return chosen


def choose_examples(
    records: Sequence[dict], train_records: Sequence[dict], count: int, seed: int
) -> dict[str, list[dict]]:
    """{task: `count` solved examples from the training records}, for each task of `records`.

    A record is shown examples of its own task. Raises CourseError where there are too few.
    """
    if count < 1:
        raise CourseError(f"few_shot_examples is {count}", "show at least one example; 3 is usual")
    piles, examples = records_by_task(train_records), {}
    for task in records_by_task(records):
        pile = piles.get(task, [])
        if len(pile) < count:
            of_task = "" if task == "all" else f" of the task {task}"
            raise CourseError(
                f"{len(pile)} training records{of_task}, {count} few-shot examples wanted",
                "add training records or lower few_shot_examples",
            )
        examples[task] = random.Random(f"{seed} {task}").sample(pile, count)
    return examples


def task_of(record: Mapping[str, Any]) -> str:
    return record.get("task") or "all"


def records_by_task(records: Sequence[dict]) -> dict[str, list[dict]]:
    piles: dict[str, list[dict]] = {}
    for record in records:
        piles.setdefault(task_of(record), []).append(record)
    return dict(sorted(piles.items()))


def answer_of(record: dict) -> str:
    return chat.record_messages(record)["completion"][0]["content"]
