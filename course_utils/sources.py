"""Where the records come from: the real excavator work orders of the manufacturing track.

5,485 work orders of five mining excavators, 2001-2011, collected by Hodkiewicz and Ho (2016,
doi 10.1108/JQME-04-2015-0013, University of Western Australia), carried by NIST's package
nist-nestor 0.4.4. They are fetched at set-up and never copied into this repository.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import gold, kit
from course_utils.errors import CourseError
from course_utils.order_fields import FIELDS as FIELDS  # notebooks read it here
from course_utils.order_fields import (
    Labels,
    as_answer,
    closed_set,
    pairs,
    published,
    within_closed_set,
)
from course_utils.order_labels import apply_rules
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

COPIES = "near duplicate with the same labels"
# Short on purpose: it stands in every record, and on a CPU time is tokens. What keys and values
# look like, the training records show.
INSTRUCTION = "Work order to JSON, only what is stated."


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


def as_table(records: Sequence[Mapping[str, str]]) -> "pandas.DataFrame":
    """Records of one's own as a table, one row each; a field that a record lacks is missing."""
    import pandas

    return pandas.DataFrame(list(records))


@dataclass
class Cleaned:
    """Records with what was dropped on the way, and why.

    `records` carry silver labels, to be trained on; `gold` those that were read one by one, to be
    tested on. No record shares its text, or a group of near copies, with a gold one. `strong` is
    the number of records whose labels the table states too, all of them and no other. `labels`
    says field by field how many labels stand in both, and how many in one alone.
    """

    raw: int
    records: list[dict]
    dropped: dict[str, int] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    gold: list[dict] = field(default_factory=list)
    strong: int = 0
    labels: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Records of both kinds."""
        return len(self.records) + len(self.gold)


def clean_work_orders(table: "pandas.DataFrame", threshold: float = 0.7) -> Cleaned:
    """Work orders -> records: broken rows, copies and doubtful labels out, with their numbers.

    The labels are those of our own rules (data/knowledge/work_orders.yaml), or gold. An order is
    doubtful where the rules find nothing, or nothing that the table states. `threshold` is the
    Jaccard similarity of character n-grams above which two texts count as near duplicates; they
    share a `group` and so can never sit in two parts of the split.
    """
    keep = _Sieve()
    rows = _labelled(_distinct(table, keep), table_says(table), threshold)
    golden = rows[rows["gold"]]
    like_gold = rows["number"].isin(set(golden["number"]))
    silver = rows[~rows["gold"]]
    silver = keep(silver, ~like_gold[silver.index], "near duplicate of a gold order")
    silver = keep(silver, silver["labels"].map(bool), "no word that a rule knows")
    silver = keep(silver, ~silver["doubtful"], "no label in common with the table")
    skeleton = silver["key"].map(lambda key: re.sub(r"[^a-z]+", " ", key).strip())
    copies = (skeleton + silver["labels"].map(as_answer)).duplicated()
    silver = keep(silver, ~copies, f"{COPIES} (digits and punctuation ignored)")
    return Cleaned(
        raw=len(table),
        records=_records(silver),
        dropped=keep.dropped,
        groups=list(silver["number"]),
        gold=_records(golden),
        strong=int(silver["strong"].sum()),
        labels=_compared(silver),
    )


class _Sieve:
    """Keeps some rows and remembers how many of the others fell through, and why."""

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}

    def __call__(
        self, rows: "pandas.DataFrame", mask: "pandas.Series", reason: str
    ) -> "pandas.DataFrame":
        self.dropped[reason] = int((~mask).sum())
        return rows[mask]


def table_says(table: "pandas.DataFrame") -> dict[str, list[Labels]]:
    """Normalised text -> the published labels of every row that has it."""
    said: dict[str, list[Labels]] = {}
    for row in table.fillna("").to_dict("records"):
        said.setdefault(normalise(row["OriginalShorttext"]), []).append(published(row))
    return said


def is_doubtful(labels: Labels, said: list[Labels]) -> bool:
    """Whether labels of our rules are none, or none that the table states for the text."""
    return not any(pairs(labels) & pairs(one) for one in said)


def is_strong(labels: Labels, said: list[Labels]) -> bool:
    """Whether the table states the same labels and no other, but for what no text can state."""
    return any(within_closed_set(one) == labels for one in said)


def _distinct(table: "pandas.DataFrame", keep: _Sieve) -> "pandas.DataFrame":
    """One row a text."""
    rows = table.fillna("")
    rows = keep(rows, rows["PMType"].str.fullmatch(r"PM\d\d"), "broken row (columns shifted)")
    rows = rows.assign(text=rows["OriginalShorttext"].str.split().str.join(" "))
    rows = keep(rows, rows["text"].str.len() >= 8, "text shorter than 8 characters")
    rows = rows.assign(key=rows["text"].map(normalise))
    return keep(rows, ~rows["key"].duplicated(), "exact duplicate (case and spacing ignored)")


def _labelled(
    rows: "pandas.DataFrame", said: Mapping[str, list[Labels]], threshold: float
) -> "pandas.DataFrame":
    """With gold labels or ours, what the table says, and a group number."""
    read = {order.sha256: gold.as_sets(order.labels) for order in gold.read_gold()}
    settled = [read.get(gold.checksum(text)) for text in rows["text"]]
    labels = [
        apply_rules(text) if one is None else one
        for text, one in zip(rows["text"], settled, strict=True)
    ]
    said_of_each = [said[key] for key in rows["key"]]
    return rows.assign(
        labels=labels,
        said=said_of_each,
        gold=[one is not None for one in settled],
        doubtful=list(map(is_doubtful, labels, said_of_each)),
        strong=list(map(is_strong, labels, said_of_each)),
        number=near_duplicate_groups(list(rows["text"]), threshold=threshold),
    )


def _records(rows: "pandas.DataFrame") -> list[dict]:
    return [
        work_order_record(text, as_answer(labels), group=f"g{number:04d}", asset=asset)
        for text, labels, number, asset in zip(
            rows["text"], rows["labels"], rows["number"], rows["Asset"], strict=True
        )
    ]


def _compared(rows: "pandas.DataFrame") -> dict[str, dict[str, int]]:
    """field -> how many labels rules and table both state, and how many one of them alone."""
    counts = {name: dict.fromkeys(("both", "table only", "rules only"), 0) for name in closed_set()}
    for labels, said in zip(rows["labels"], rows["said"], strict=True):
        ours, theirs = pairs(labels), set().union(*map(pairs, said))
        sides = {"both": ours & theirs, "table only": theirs - ours, "rules only": ours - theirs}
        for side, stated in sides.items():
            for name, _ in stated:
                counts[name][side] += 1
    return counts


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
    """Parts of the wanted sizes: `test` out of the gold orders, the others out of the silver ones.

    A group stays in one part. Raises CourseError where more is wanted than there is.
    """
    test = sizes.get("test", 0)
    if test > len(cleaned.gold):
        raise CourseError(
            f"{test} test records are wanted, {len(cleaned.gold)} work orders have gold labels",
            "choose fewer: no other order is fit to be tested on",
        )
    others = {name: size for name, size in sizes.items() if name != "test"}
    parts = split_by_group(cleaned.records, cleaned.groups, others, seed)
    parts["test"] = random.Random(seed).sample(cleaned.gold, test)
    return {name: parts[name] for name in sizes}


def general_text() -> str:
    """About 900 words on everyday topics, written for this course: the forgetting probe."""
    path = kit.DATA / "general_text.txt"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(
            f"{path}: {error.strerror}", "the folder data/ of the kit is incomplete: clone it again"
        ) from None
