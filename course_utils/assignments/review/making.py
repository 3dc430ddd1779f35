"""Making a review: pairs of answers to judge, and a coin for the side of each."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from course_utils.errors import CourseError
from course_utils.report import UNPRINTABLE

VERSION = 1

# What a reviewer chooses, in the order of the keys 1 to 4, and what it means once the key is known.
CHOICES = {
    "a": "A is better",
    "b": "B is better",
    "equal": "Equally good",
    "unusable": "Both unusable",
}

KEEP = (
    "Keep this file: it says which answers are the tuned model's. Reviewers get review.html only."
)


@dataclass(frozen=True)
class Review:
    """Pairs of answers to judge (`items`, without a word on who wrote what) and their key."""

    id: str
    title: str
    items: tuple[dict[str, Any], ...]
    key: dict[str, Any] = field(repr=False)

    def public(self) -> dict[str, Any]:
        """What a reviewer gets."""
        return {
            "kind": "review",
            "version": VERSION,
            "id": self.id,
            "title": self.title,
            "items": list(self.items),
        }


def make_review(
    records: Sequence[Mapping[str, Any]],
    base_answers: Sequence[str],
    tuned_answers: Sequence[str],
    *,
    seed: int,
    title: str,
    count: int = 30,
    balanced: bool = True,
    references: bool = True,
) -> Review:
    """Draw `count` pairs (fewer where there are fewer) and throw a coin for the side of each.

    `records` as in the test file (instruction, input, output, task). Equal answers (but for spaces
    at their ends) are ties by construction: they are left out and counted in the key. `balanced`
    gives each task the same number of pairs as far as it has them. With `references` the page
    shows a record's reference when asked. Raises CourseError when nothing is left to compare.
    """
    _check_review(records, base_answers, tuned_answers, title, count)
    title = " ".join(shown_text(title).split())
    columns = enumerate(zip(records, base_answers, tuned_answers, strict=True), 1)
    rows = [
        {**_record_texts(record, number), "base": shown_text(base), "tuned": shown_text(tuned)}
        for number, (record, base, tuned) in columns
    ]
    equal = [row for row in rows if row["base"].strip() == row["tuned"].strip()]
    different = [row for row in rows if row["base"].strip() != row["tuned"].strip()]
    if not different:
        raise CourseError(
            f"the two models gave the same answer to all {len(rows)} records",
            "there is nothing to compare: check that both columns are not one model's",
        )
    rng = random.Random(seed)
    chosen = _draw(different, count, balanced, rng)
    sides = [rng.choice("ab") for _ in chosen]
    items = tuple(
        _item(number, row, side, references)
        for number, (row, side) in enumerate(zip(chosen, sides, strict=True), 1)
    )
    key = {
        **{"kind": "review-key", "version": VERSION, "note": KEEP},
        **{"review": _review_id(title, items), "title": title, "seed": seed},
        "records": len(rows),
        "identical": dict(sorted(Counter(row["task"] for row in equal).items())),
        "tuned": {item["id"]: side for item, side in zip(items, sides, strict=True)},
        "tasks": {item["id"]: item["task"] for item in items},
        "rows": {item["id"]: row["row"] for item, row in zip(items, chosen, strict=True)},
    }
    return Review(key["review"], title, items, key)


def _check_review(records, base_answers, tuned_answers, title: str, count: int) -> None:
    sizes = len(records), len(base_answers), len(tuned_answers)
    if len(set(sizes)) > 1:
        raise CourseError(
            f"{sizes[0]} records came with {sizes[1]} base and {sizes[2]} tuned answers",
            "pass one answer of each model for each record, in the same order",
        )
    if not records:
        raise CourseError("there are no records to review", "pass at least one record")
    if count < 1:
        raise CourseError(f"count is {count}", "ask for at least one pair; 30 is usual")
    if not isinstance(title, str) or not title.strip():
        raise CourseError("the review has no title", 'name it, for example title="Run r16"')
    for name, answers in (("base", base_answers), ("tuned", tuned_answers)):
        bad = next((i for i, text in enumerate(answers) if not isinstance(text, str)), None)
        if bad is not None:
            raise CourseError(
                f"the {name} answer to record {bad + 1} is {type(answers[bad]).__name__}, not text",
                "pass decoded texts; an answer that is missing is the empty string",
            )


def _record_texts(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The texts of a record that a page can show, and its row (from 0) in the test file."""
    texts = {"task": record.get("task") or "all", "reference": record.get("output") or ""}
    texts |= {name: record.get(name) for name in ("instruction", "input")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CourseError(
                f"record {number} has no text {name!r}",
                "a record has instruction, input and output, all texts: course data check FILE",
            )
    return {"row": number - 1, **{name: shown_text(text) for name, text in texts.items()}}


def shown_text(text: str) -> str:
    """No control characters, direction overrides or half characters: they could forge a page."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _draw(rows: list[dict], count: int, balanced: bool, rng: random.Random) -> list[dict]:
    """Shuffle within each task, let the tasks take turns, stop at `count`, mix the tasks."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["task"] if balanced else "", []).append(row)
    for _, group in sorted(groups.items()):
        rng.shuffle(group)
    turns = zip_longest(*(group for _, group in sorted(groups.items())))
    chosen = [row for turn in turns for row in turn if row is not None][:count]
    rng.shuffle(chosen)
    return chosen


def _item(number: int, row: Mapping[str, Any], side: str, references: bool) -> dict[str, Any]:
    first, second = ("tuned", "base") if side == "a" else ("base", "tuned")
    return {
        "id": f"pair-{number:03d}",
        "task": row["task"],
        "instruction": row["instruction"],
        "input": row["input"],
        "reference": (row["reference"] or None) if references else None,
        "answer_a": row[first],
        "answer_b": row[second],
    }


def _review_id(title: str, items: Sequence[Mapping[str, Any]]) -> str:
    """A fingerprint of what the reviewer sees, so that it says no more than that."""
    text = json.dumps([title, list(items)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
