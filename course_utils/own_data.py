"""Data of one's own: a file of records split into parts, and a folder of parts for notebook 01.

    course data split brewing.jsonl --out data/brewing     # split_file, write_split
    material = own_data.material("brewing", "data/brewing")  # what notebook 01 starts from

Whole groups stand in one part: records with the same `group`, and records whose texts are nearly
the same. Each task is split by itself, so that every part has all of them.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, evaluation, sources, tasks
from course_utils.errors import CourseError
from course_utils.files import read_object, write_json_atomic
from course_utils.records import CheckReport, check_file, read_records, write_records
from course_utils.runs import find_root
from course_utils.schemas import schema_of
from course_utils.settings import TRACKS
from course_utils.sources import Cleaned
from course_utils.splits import (
    NEAR,
    close_to,
    near_duplicate_groups,
    overlap,
    prompt_key,
    split_by_group,
    text_of,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from transformers import PreTrainedTokenizerBase

Record = dict[str, str]
Parts = dict[str, list[Record]]

NAMES = ("train", "val", "test")
SUMMARY = "summary.json"
OWNER = "course data split"  # in the mark of a folder that it wrote
COPY = "same prompt as an earlier record"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
LEAST_RECORDS = 12  # fewer make no three parts that say anything
SHOWN = 6  # test records that notebook 05 asks with the adapter off and on
STEP = 8  # tokens: lengths are rounded up to a multiple


# --- A file split into parts --------------------------------------------------------------------


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


def lengths_for(records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """{"max_length", "max_new_tokens"} that cut none of the records, rounded up to eights."""
    tokens = [chat.tokenize_record(record, tokenizer) for record in records]
    whole = max(len(own.input_ids) for own in tokens)
    answer = max(own.completion_length for own in tokens)
    return {"max_length": -(-whole // STEP) * STEP, "max_new_tokens": -(-answer // STEP) * STEP}


def track_of(folder: Path) -> str:
    """The track that a folder of parts is of: its summary's word, or the folder's name."""
    told = read_object(folder / SUMMARY).get("track")
    return told if isinstance(told, str) and NAME.fullmatch(told) else track_name(folder)


# --- What notebook 01 starts from ---------------------------------------------------------------


@dataclass
class Material:
    """Raw records to look at, and how they become parts.

    `shown`: columns worth reading; `fields`: those whose filling is counted; `counted`: the one
    whose values are. `clean(threshold)` and `split(cleaned, sizes, seed)` as in `sources`.
    """

    table: "DataFrame"
    shown: list[str]
    fields: list[str]
    counted: str
    clean: Callable[[float], Cleaned]
    split: Callable[[Cleaned, dict[str, int], int], Parts]
    source: str
    licence: str


def material(track: str = "manufacturing", data: str | Path | None = None) -> Material:
    """The work orders, or the parts in the folder `data`, which counts from the kit's folder.

    Raises CourseError for a track that is not the kit's and has no folder.
    """
    if data is not None:
        return _of_folder(find_root() / data)  # an absolute path stays as it is
    if track != "manufacturing":
        raise CourseError(
            f"the track {track!r} has no data here: `data` names no folder of parts",
            f"set it: data = 'data/{track}', which {_maker(track)} writes",
        )
    table = sources.load_work_orders()
    return Material(
        table,
        ["OriginalShorttext", *sources.FIELDS],
        list(sources.FIELDS),
        "Part",
        partial(sources.clean_work_orders, table),
        sources.split_work_orders,
        sources.SOURCE,
        sources.LICENCE,
    )


def _maker(track: str) -> str:
    made_here = track == "geology"
    return f"course data build --track {track}" if made_here else f"course data split {track}.jsonl"


def read_parts(folder: Path) -> Parts:
    """The three parts of a folder, in the schema of the notebooks.

    Raises CourseError for a part that is missing or has a broken line.
    """
    missing = [name for name in NAMES if not (folder / f"{name}.jsonl").is_file()]
    if missing:
        raise CourseError(
            f"{folder}: no {', '.join(f'{name}.jsonl' for name in missing)} in it",
            f"course data split FILE --out {folder} writes all three",
        )
    return {
        name: [as_task(record) for record in read_records(folder / f"{name}.jsonl")]
        for name in NAMES
    }


def as_task(record: Mapping[str, str]) -> Record:
    """A record as instruction, input, output: one of geology has its role and question before."""
    if schema_of(record) != "geology":
        return dict(record)
    asked = " ".join(filter(None, (record["system"], record["instruction"])))
    same = {name: record[name] for name in ("form", "source", "group", "facts") if name in record}
    own = {"instruction": asked, "input": record["context"], "output": record["answer"]}
    return {**own, "task": "qa", **same}


def _of_folder(folder: Path) -> Material:
    parts = read_parts(folder)
    rows = [record for part in parts.values() for record in part]
    summary = read_object(folder / SUMMARY)
    table = sources.as_table(rows)
    source, licence = "data of one's own", "not told"
    if summary.get("track") in TRACKS:
        source, licence = f"the kit's track {summary['track']}", "see data/README.md"
    fields = [name for name in ("task", "form", "facts", "group", "source") if name in table]
    kept = _Kept(parts)
    return Material(
        table,
        ["instruction", "input", "output"],
        fields or ["output"],
        "task" if "task" in table else "output",
        kept.clean,
        kept.split,
        str(summary.get("source") or source),
        str(summary.get("licence") or licence),
    )


def distinct(records: Sequence[Record]) -> list[Record]:
    """The first of each prompt."""
    first: dict[tuple[str, ...], Record] = {}
    for record in records:
        first.setdefault(prompt_key(record, schema_of(record)), record)
    return list(first.values())


def to_ask(own: Sequence[str | Mapping[str, str]] | None, test: Sequence[Record]) -> list[Record]:
    """The records that notebook 05 asks: the first of the test part, or texts of one's own.

    A text takes the place of the first test record's input; a mapping the place of its fields.
    """
    if own is None:
        return [dict(record) for record in test[:SHOWN]]
    places = [{"input": one} if isinstance(one, str) else dict(one) for one in own]
    return [{**test[0], **place} for place in places]


def shown(record: Mapping[str, str]) -> str:
    """A record's question as a person reads it: of JSON tasks the text, else instruction and text.

    The instruction of JSON tasks is the same in each of them.
    """
    told = [record["input"]]
    if tasks.task_of(record) != "understanding" or not record["input"]:
        told.insert(0, record["instruction"])
    return "\n".join(filter(None, told))


class _Kept:
    """Parts of one's own: they stay as they were split; only what leaks or stands twice goes."""

    def __init__(self, parts: Parts) -> None:
        self.raw = sum(map(len, parts.values()))
        self.parts = parts

    def clean(self, threshold: float = NEAR) -> Cleaned:
        """The test part as it is; of the others, what is near to it, or to train, is dropped."""
        own = {name: distinct(part) for name, part in self.parts.items()}
        dropped = {COPY: self.raw - sum(map(len, own.values()))}
        for name, other in (("train", "test"), ("val", "test"), ("val", "train")):
            near = close_to(own[name], own[other], threshold)
            groups = {record.get("group") for record in own[other]} - {None}
            near |= {i for i, one in enumerate(own[name]) if one.get("group") in groups}
            dropped[f"{name}: near a record of {other}, or of its group"] = len(near)
            own[name] = [record for i, record in enumerate(own[name]) if i not in near]
        if empty := [name for name, part in own.items() if not part]:
            raise CourseError(
                f"nothing is left of {' and '.join(empty)} without what stands in another part",
                "split the records anew: course data split FILE --out FOLDER",
            )
        trained = tasks.by_task(own["train"])
        if strange := [task for task in tasks.by_task(own["test"]) if task not in trained]:
            raise CourseError(
                f"the test part has the task {', '.join(strange)}, the training part has not",
                "split the records anew: course data split FILE --out FOLDER",
            )
        self.parts = own
        records = own["train"] + own["val"]
        groups = near_duplicate_groups([text_of(record) for record in records], threshold)
        return Cleaned(self.raw, records, dropped, groups, own["test"])

    def split(self, cleaned: Cleaned, sizes: Mapping[str, int], seed: int) -> Parts:
        """Each part, or as many of its records as the preset takes, drawn evenly from its tasks."""
        return {name: _some(self.parts[name], size, seed) for name, size in sizes.items()}


def _some(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    if count >= len(records):
        return list(records)
    return evaluation.draw(records, count, seed, list(tasks.by_task(records)))
