"""The files that every track leaves: one a part, and a summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import ownership, records
from course_utils.files import write_json_atomic

RESERVE = "reserve"  # the part that stays with whoever marks


def write_parts(
    parts: Mapping[str, Sequence[dict]], summary: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The files of any track: a part each as JSON lines, and summary.json; returns the summary.

    The reserve is not written: no student may have seen what an adapter is marked on.
    Raises CourseError for a folder that holds files of somebody else.
    """
    ownership.claim(folder, of="a track")
    for name, part in parts.items():
        if name != RESERVE:
            records.write_records(folder / f"{name}.jsonl", part)
    write_json_atomic(folder / "summary.json", summary)
    return summary
