"""Gold: work orders that were read and labelled twice, stored without their texts.

    orders = read_gold()
    texts = texts_of(orders, sources.load_work_orders())

Each line of data/gold/work_orders.jsonl names a row of the table and the checksum of its text, what
the two readers wrote, what was settled, and why where that was more than copying. The guideline
lies beside it. Gold is for scoring only: no model and no rule may be trained on it.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.order_fields import Labels, outside, published

if TYPE_CHECKING:
    import pandas

FILE = kit.DATA / "gold" / "work_orders.jsonl"
GROUP = "gold "  # the groups of gold orders begin so, and hold no other record
CURE = "data/gold/guideline.md and data/gold/labels.yaml say what a label may be"


class GoldOrder(BaseModel):
    """One order: what two readers stated of its text, and what holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    row: int = Field(ge=0, description="position in the raw table, from 0")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the text, single spaces")
    labels: dict[str, list[str]]
    first: dict[str, list[str]]
    second: dict[str, list[str]]
    reason: str = Field("", description="why, where the readers differed or both were mended")

    @property
    def differed(self) -> bool:
        """Whether the two readers stated something else."""
        return as_sets(self.first) != as_sets(self.second)

    @property
    def mended(self) -> bool:
        """Whether both stated the same, and the guideline, made clearer later, says otherwise."""
        return not self.differed and as_sets(self.first) != as_sets(self.labels)


def as_sets(labels: dict[str, list[str]]) -> Labels:
    """Lists of values as sets: their order does not count."""
    return {field: set(values) for field, values in labels.items()}


def checksum(text: str) -> str:
    """What stands for a text: sha256 of its words with single spaces between them."""
    return sha256(" ".join(text.split()).encode()).hexdigest()


def read_gold(file: Path = FILE) -> list[GoldOrder]:
    """All gold orders. Raises CourseError with file, line and cure for anything odd in it."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(
            f"{file}: {error}", "the folder data/ is incomplete: clone it again"
        ) from None
    told = [(f"{file}:{number}", line) for number, line in enumerate(lines, start=1) if line]
    orders = [_read_line(place, line) for place, line in told]
    rows = [order.row for order in orders]
    twice = next((row for row in rows if rows.count(row) > 1), None)
    if twice is not None:
        raise CourseError(f"{file}: row {twice} stands there twice", "keep one of the two lines")
    return orders


def _read_line(place: str, line: str) -> GoldOrder:
    try:
        order = GoldOrder.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise CourseError(f"{place}: {where}: {first['msg']}", CURE) from None
    for labels in (order.labels, order.first, order.second):
        for field, values in labels.items():
            if not values or len(set(values)) < len(values):
                raise CourseError(f"{place}: {field} is empty or names a value twice", CURE)
        for field, value in outside(labels):
            raise CourseError(f"{place}: {field}: {value!r} is not in the closed set", CURE)
    if (order.differed or order.mended) and not order.reason:
        raise CourseError(f"{place}: settled without a reason", "add why, in a few words")
    return order


def texts_of(orders: Iterable[GoldOrder], table: "pandas.DataFrame") -> list[str]:
    """The texts of gold orders, out of the raw table; CourseError where one is another text."""
    every = table["OriginalShorttext"].fillna("")
    texts = []
    for order in orders:
        text = " ".join(every.iloc[order.row].split()) if order.row < len(every) else ""
        if checksum(text) != order.sha256:
            raise CourseError(
                f"row {order.row} of the work orders is not the text that was labelled as gold",
                "gold belongs to the table that the kit fetches: remove excavators-cleaned.csv "
                "from the cache and run `course data prepare`",
            )
        texts.append(text)
    return texts


def published_labels(orders: Iterable[GoldOrder], table: "pandas.DataFrame") -> list[Labels]:
    """What the table itself says of these rows, all its values, two spellings of one made alike."""
    rows = table.fillna("")
    return [published(rows.iloc[order.row]) for order in orders]


def is_gold(record: Mapping[str, str]) -> bool:
    """Whether a record of a track is a gold order: its group says so, see `gold_group`."""
    return record.get("group", "").startswith(GROUP)


def gold_group(group: str) -> str:
    """The group of a gold order whose machine and time are those of `group`."""
    return f"{GROUP}{group}"
