"""Data of one's own: a file of records split into parts, whole groups in one part.

    course data split brewing.jsonl --out data/brewing     # split_file, write_split

Records with the same `group` stand in one part, and so do records whose texts are nearly the same.
Each task is split by itself, so that every part has all of them. What the notebooks make of a
folder of parts: material.py.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import tasks
from course_utils.errors import CourseError
from course_utils.files import read_object, write_json_atomic
from course_utils.records import CheckReport, check_file, write_records
from course_utils.splits import NEAR, near_duplicate_groups, overlap, split_by_group, text_of

Record = dict[str, str]
Parts = dict[str, list[Record]]

NAMES = ("train", "val", "test")
SUMMARY = "summary.json"
OWNER = "course data split"  # in the mark of a folder that it wrote
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
LEAST_RECORDS = 12  # fewer make no three parts that say anything


@dataclass
class Split:
    """The parts of a file, and what was counted on the way."""

    report: CheckReport
    parts: Parts
    groups: int
    overlap: Mapping[str, Any]

    @property
    def records(self) -> list[Record]:
        return [record for part in self.parts.values() for record in part]

    def lines(self) -> list[str]:
        """For a terminal: each part by task, then the overlap."""
        told = []
        for name, part in self.parts.items():
            found = ", ".join(f"{task} {len(own)}" for task, own in tasks.by_task(part).items())
            told.append(f"{name:<5} {len(part):>6,} records: {found}")
        shared = ", ".join(f"{self.overlap[name]} {name}" for name in ("exact", "near", "groups"))
        pairs = f"{self.overlap['compared']:,} pairs compared"
        return [*told, f"{self.groups} groups; overlap between the parts: {shared}, {pairs}"]


def split_file(
    path: Path, val: float = 0.15, test: float = 0.2, seed: int = 42, threshold: float = NEAR
) -> Split:
    """Check a file of records and split it: the shares `val` and `test`, the rest to train on.

    Raises CourseError for a file with errors, and where the groups are too few for three parts.
    """
    report = check_file(path, near=None)
    if report.errors:
        first = report.errors[0]
        raise CourseError(
            f"{path}: {len(report.errors)} errors; {first.told(report.unit)}",
            f"course data check {path} names all of them; split the file that --write writes",
        )
    records = [record for _, record in report.records]
    if len(records) < LEAST_RECORDS:
        raise CourseError(
            f"{path}: {len(records)} records are too few for three parts",
            f"bring {LEAST_RECORDS} or more; 60 are enough to try the way, hundreds to learn",
        )
    members = _components(records, threshold)
    parts = _deal(records, members, {"val": val, "test": test}, seed)
    return Split(report, parts, len(set(members)), overlap(parts, threshold))


def _components(records: Sequence[Record], threshold: float) -> list[int]:
    """A number for each record; the same for those that share a group or a near text."""
    alike = near_duplicate_groups([text_of(record) for record in records], threshold)
    root: dict[object, object] = {}

    def find(one: object) -> object:
        while root.setdefault(one, one) != one:
            one = root[one]
        return one

    for near, record in zip(alike, records, strict=True):
        if record.get("group"):
            root[find(record["group"])] = find(near)
    numbers: dict[object, int] = {}
    return [numbers.setdefault(find(near), len(numbers)) for near in alike]


def _deal(
    records: Sequence[Record], members: Sequence[int], shares: Mapping[str, float], seed: int
) -> Parts:
    """Each kind of component (by its tasks) dealt by itself; what is left over is trained on."""
    kinds: dict[int, set[str]] = {}
    for record, member in zip(records, members, strict=True):
        kinds.setdefault(member, set()).add(tasks.task_of(record))
    home: dict[int, str] = {}
    for kind in sorted({tuple(sorted(kind)) for kind in kinds.values()}):
        own = [i for i, member in enumerate(members) if tuple(sorted(kinds[member])) == kind]
        sizes = {name: max(1, round(share * len(own))) for name, share in shares.items()}
        if sum(sizes.values()) >= len(own):
            raise _too_few(kind, len({members[i] for i in own}))
        numbered = [{"index": i} for i in own]
        dealt = split_by_group(numbered, [members[i] for i in own], sizes, seed)
        for name, part in dealt.items():
            if not part:
                raise _too_few(kind, len({members[i] for i in own}))
            home |= {one["index"]: name for one in part}
        if all(i in home for i in own):
            raise _too_few(kind, len({members[i] for i in own}))
    parts: Parts = {name: [] for name in NAMES}
    for i, record in enumerate(records):
        group = record.get("group") or f"near-{members[i]:04d}"
        parts[home.get(i, "train")].append({**record, "group": group})
    for name, part in parts.items():
        random.Random(f"{seed}/{name}").shuffle(part)
    return parts


def _too_few(kind: Sequence[str], groups: int) -> CourseError:
    return CourseError(
        f"{groups} groups of {' and '.join(kind)} cannot fill train, val and test: a group of "
        "records, or of nearly equal texts, stands whole in one part",
        "bring more groups, or give `group` only to records that tell each other's answer",
    )


def write_split(found: Split, folder: Path, about: Mapping[str, Any]) -> Path:
    """Write the parts and summary.json into a folder that is ours; returns the folder.

    `about`: track, seed, source and licence, as they are told in the report.
    """
    for name, part in found.parts.items():
        write_records(folder / f"{name}.jsonl", part)
    summary = {
        **about,
        "raw": found.report.lines,
        "dropped": {},
        "kept": len(found.records),
        "groups": found.groups,
        "parts": {name: len(part) for name, part in found.parts.items()},
        "overlap": {name: found.overlap[name] for name in ("exact", "near", "groups")},
    }
    write_json_atomic(folder / SUMMARY, summary)
    return folder


def track_name(path: Path) -> str:
    """A file's name as the name of a track: "My Brewing.jsonl" -> "my-brewing"."""
    stem = path.name.partition(".")[0].casefold()
    return re.sub(r"[^a-z0-9_]+", "-", stem).strip("-_") or "own"


def track_of(folder: Path) -> str:
    """The track that a folder of parts is of: its summary's word, or the folder's name."""
    told = read_object(folder / SUMMARY).get("track")
    return told if isinstance(told, str) and NAME.fullmatch(told) else track_name(folder)
