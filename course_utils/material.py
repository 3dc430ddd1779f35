"""What the notebooks start from: the work orders, or a folder of parts of one's own.

material = material_of("brewing", "data/brewing")     # notebook 01
parts = material.split(material.clean(0.7), {"train": 42, "val": 6, "test": 12}, seed=42)

How a file becomes such a folder: own_data.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import chat, evaluation, sources, tasks
from course_utils.errors import CourseError
from course_utils.files import read_object
from course_utils.own_data import NAMES, SUMMARY, Parts, Record
from course_utils.records import read_records
from course_utils.runs import find_root
from course_utils.schemas import schema_of
from course_utils.settings import TRACKS
from course_utils.sources import Cleaned
from course_utils.splits import NEAR, close_to, distinct, near_duplicate_groups, text_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from transformers import PreTrainedTokenizerBase

COPY = "same prompt as an earlier record"
SHOWN = 6  # test records that notebook 05 asks with the adapter off and on
STEP = 8  # tokens: lengths are rounded up to a multiple


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


def material_of(track: str = "manufacturing", data: str | Path | None = None) -> Material:
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


def lengths_for(records: Sequence[Record], tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """{"max_length", "max_new_tokens"} that cut none of the records, rounded up to eights."""
    tokens = [chat.tokenize_record(record, tokenizer) for record in records]
    whole = max(len(own.input_ids) for own in tokens)
    answer = max(own.completion_length for own in tokens)
    return {"max_length": -(-whole // STEP) * STEP, "max_new_tokens": -(-answer // STEP) * STEP}


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
