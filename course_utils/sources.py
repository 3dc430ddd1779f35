"""Where the records come from: the real excavator work orders of the manufacturing track.

5,485 work orders of five mining excavators, 2001-2011, collected by Hodkiewicz and Ho (2016,
doi 10.1108/JQME-04-2015-0013, University of Western Australia), carried by NIST's package
nist-nestor 0.4.4. They are fetched at set-up and never copied into this repository.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.packages import PackagedFile, cache_folder, extract
from course_utils.splits import near_duplicate_groups, normalise, split_by_group

if TYPE_CHECKING:
    import pandas

# 0.5.0 dropped the tables, so the version is part of the address.
WORK_ORDERS = PackagedFile(
    package="nist-nestor",
    version="0.4.4",
    member="nestor/datasets/excavators-cleaned.csv",
    sha256="006c4f71bc1ff2edc2adf064107a054a6cf2f2027a53ba2cf748ccb7b4e517a2",
)
SOURCE = (
    "Hodkiewicz and Ho 2016 (doi 10.1108/JQME-04-2015-0013), from the package nist-nestor 0.4.4"
)
LICENCE = (
    "NIST declares the package public domain; the table is the work of Hodkiewicz and Ho, "
    "University of Western Australia: attribute both, fetch it, do not copy it"
)

# column in the table -> field in the record, in the order in which the answer states them
FIELDS = {
    "MajorSystem": "system",
    "Part": "part",
    "Action": "action",
    "FM": "failure_mode",
    "Location": "location",
}
INSTRUCTION = (
    "Turn the work order into JSON: system, part, action, failure_mode, location. "
    "Only what is stated."
)


def is_prepared() -> bool:
    """Whether the work orders lie in the cache."""
    return _table_path().is_file()


def _table_path() -> Path:
    return cache_folder() / "data" / "excavators-cleaned.csv"


def work_orders_path() -> Path:
    """The table as a file; fetched once, then served from the cache."""
    path = _table_path()
    return path if path.is_file() else extract(WORK_ORDERS, path)


def load_work_orders() -> "pandas.DataFrame":
    """The raw table, 5,485 rows; every column as text, missing values as empty text."""
    import pandas

    return pandas.read_csv(work_orders_path(), dtype=str, keep_default_na=False, na_values=["NA"])


@dataclass
class Cleaned:
    """Records with what was dropped on the way, and why."""

    raw: int
    records: list[dict]
    dropped: dict[str, int] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)


def clean_work_orders(table: "pandas.DataFrame", threshold: float = 0.7) -> Cleaned:
    """Work orders -> records: broken rows, poor labels and duplicates out, with their numbers.

    `threshold` is the Jaccard similarity of character n-grams above which two texts count as near
    duplicates; they share a `group` and so can never sit in two parts of the split.
    """

    dropped: dict[str, int] = {}

    def keep(rows: "pandas.DataFrame", mask: "pandas.Series", reason: str) -> "pandas.DataFrame":
        dropped[reason] = int((~mask).sum())
        return rows[mask]

    rows = table.fillna("")
    rows = keep(rows, rows["PMType"].str.fullmatch(r"PM\d\d"), "broken row (columns shifted)")
    rows = rows.assign(text=rows["OriginalShorttext"].str.split().str.join(" "))
    rows = rows.assign(key=rows["text"].map(normalise), answer=rows.apply(_answer, axis=1))
    rows = keep(rows, rows["text"].str.len() >= 8, "text shorter than 8 characters")
    stated = rows["answer"].map(lambda answer: len(json.loads(answer)))
    rows = keep(rows, stated >= 2, "fewer than two labelled fields")
    labels = rows.groupby("key")["answer"].transform("nunique")
    rows = keep(rows, labels == 1, "same text, conflicting labels")
    rows = keep(rows, ~rows["key"].duplicated(), "exact duplicate (case and spacing ignored)")
    return _drop_near_copies(rows, dropped, len(table), threshold)


def _drop_near_copies(
    rows: "pandas.DataFrame", dropped: dict[str, int], raw: int, threshold: float
) -> Cleaned:
    """Drop texts that say the same but for digits and punctuation; group the merely similar."""
    skeleton = rows["key"].map(lambda key: re.sub(r"[^a-z]+", " ", key).strip())
    copies = (skeleton + rows["answer"]).duplicated()
    dropped["near duplicate with the same labels (digits and punctuation ignored)"] = int(
        copies.sum()
    )
    rows = rows[~copies]
    groups = near_duplicate_groups(list(rows["text"]), threshold=threshold)
    records = [
        work_order_record(text, answer, group=f"g{group:04d}", asset=asset)
        for text, answer, group, asset in zip(
            rows["text"], rows["answer"], groups, rows["Asset"], strict=True
        )
    ]
    return Cleaned(raw=raw, records=records, dropped=dropped, groups=list(groups))


def _answer(row: "pandas.Series") -> str:
    """The labels of one row as compact JSON; several values of one field are joined by '; '."""
    record = {}
    for column, name in FIELDS.items():
        values = [value.strip() for value in row[column].split("_") if value.strip()]
        if values:
            record[name] = "; ".join(values)
    return json.dumps(record, ensure_ascii=False)


def work_order_record(text: str, answer: str, group: str = "", asset: str = "") -> dict:
    """One record of the manufacturing schema: short text in, JSON record out."""
    record = {
        "instruction": INSTRUCTION,
        "input": text,
        "output": answer,
        "task": "understanding",
        "document": "maintenance_log",
        "source": f"excavator {asset}" if asset else "excavator work orders",
    }
    return {**record, "group": group} if group else record


def split_work_orders(cleaned: Cleaned, sizes: dict[str, int], seed: int) -> dict[str, list[dict]]:
    """Train, validation and test parts of the wanted sizes; a group stays in one part."""
    return split_by_group(cleaned.records, cleaned.groups, sizes, seed)


def general_text() -> str:
    """About 900 words on everyday topics, written for this course: the forgetting probe."""
    path = kit.DATA / "general_text.txt"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(
            f"{path}: {error.strerror}", "the folder data/ of the kit is incomplete: clone it again"
        ) from None
