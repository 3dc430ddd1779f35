"""What every track leaves: one file a part and a summary; and the reserve, which it never writes.

The reserve is whole groups that no folder ever holds. They are drawn from the seed as the other
parts are, so who marks an adapter builds the track again, with a seed of his own, and has records
that the adapter cannot have seen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from course_utils import ownership, records, schemas, splits
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.tracks.wording import Draft

RESERVE = "reserve"
PARTS = {"train": 0.71, "val": 0.1, "test": 0.1, RESERVE: 0.09}  # shares of each track
LEAST_RESERVE = 0.08  # whole groups do not add up to the wanted share: this much is promised

Item = TypeVar("Item")


def check_draft(draft: Draft, schema: str, fields: Sequence[str]) -> None:
    """Raises CourseError where a draft is no record of the schema or lacks one of the fields."""
    problems = schemas.validate(draft.record, schema)
    missing = [name for name in fields if not draft.record.get(name)]
    if problems or missing:
        what = problems[0].message if problems else f"field {missing[0]} is missing"
        raise CourseError(
            f"a drafted record is wrong: {what} ({draft.template}: {draft.record})",
            "this is a mistake in the builder of that kind of record; please report it",
        )


def pruned(parts: Mapping[str, Sequence[Draft]]) -> dict[str, list[Draft]]:
    """Without what is like a record of a part that weighs more: reserve, test, val, train."""
    kept = {name: list(part) for name, part in parts.items()}
    ranks = (RESERVE, "test", "val", "train")
    for place, name in enumerate(ranks[1:], start=1):
        own = [draft.record for draft in kept[name]]
        against = [draft.record for other in ranks[:place] for draft in kept[other]]
        close = splits.close_to(own, against)
        kept[name] = [draft for i, draft in enumerate(kept[name]) if i not in close]
    return kept


def handed_out(parts: Mapping[str, Sequence[Item]]) -> dict[str, Sequence[Item]]:
    """The parts that are written to a folder: all but the reserve."""
    return {name: part for name, part in parts.items() if name != RESERVE}


def reserve_of(parts: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, Any]:
    """What is kept back, for the summary: records, groups, and the share of all records (0 to 1).

    Its records have a `group` each.
    """
    kept = parts.get(RESERVE, ())
    total = sum(map(len, parts.values()))
    return {
        "records": len(kept),
        "groups": len({record["group"] for record in kept}),
        "share": len(kept) / total if total else 0.0,
    }


def write_parts(
    parts: Mapping[str, Sequence[dict]], summary: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The files of any track: a part each as JSON lines, and summary.json; returns the summary.

    The reserve is not written: no student may have seen what an adapter is marked on.
    Raises CourseError for a folder that holds files of somebody else.
    """
    ownership.claim(folder, of="a track")
    for name, part in handed_out(parts).items():
        records.write_records(folder / f"{name}.jsonl", part)
    write_json_atomic(folder / "summary.json", summary)
    return summary
