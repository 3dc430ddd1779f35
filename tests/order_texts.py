"""What the texts of records on work orders say, read back without the code that wrote them."""

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from course_utils import gold, sources
from course_utils.order_labels import apply_rules
from course_utils.splits import normalise

MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
DAY, CODE, AUD = r"(?P<day>\d{4}-\d\d-\d\d)", r"(?P<code>PM\d\d)", r"(?P<cost>-?\d+)"
LINES = [
    re.compile(rf"{DAY} \| {CODE} \| (?P<text>[^|]*) \| (?P<labels>.*) \| {AUD}"),
    re.compile(rf"{DAY}, {CODE}, {AUD}, (?P<text>.*) \[(?P<labels>[^\[\]]*)\]"),
    re.compile(rf"- {DAY}, {CODE}: (?P<text>.*) \[(?P<labels>[^\[\]]*)\] {AUD} AUD"),
    re.compile(rf"{AUD} on {DAY}, {CODE}: (?P<text>.*) \((?P<labels>[^()]*)\)"),
]


@dataclass(frozen=True)
class Line:
    """One order as a sheet shows it."""

    day: date
    code: str
    text: str
    systems: tuple[str, ...]
    modes: tuple[str, ...]
    cost: int


def listed(text: str) -> list[Line]:
    """The orders of a sheet; empty where it gives figures."""
    rows = (match for line in text.split("\n") for form in LINES if (match := form.fullmatch(line)))
    return [_line(row) for row in rows]


def _line(row: re.Match) -> Line:
    *first, modes = row["labels"].split(" | ")
    systems = _names(first[0]) if first else ()
    day = date.fromisoformat(row["day"])
    return Line(day, row["code"], row["text"], systems, _names(modes), int(row["cost"]))


def _names(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(" + "))


def rounded(over: int, under: int, places: str = "0.1") -> str:
    return str((Decimal(over) / under).quantize(Decimal(places), ROUND_HALF_UP))


class Sums:
    """Everything that is reckoned from some orders, by the plainest way."""

    def __init__(self, orders: list[Line]) -> None:
        self.orders, self.n = orders, len(orders)
        self.costs = [order.cost for order in orders]
        self.total = sum(self.costs)
        self.mean = rounded(self.total, self.n, "1")
        self.pm01 = [order.day for order in orders if order.code == "PM01"]
        days = sorted(set(self.pm01))
        self.between = rounded((days[-1] - days[0]).days, len(days) - 1) if len(days) > 2 else ""
        self.systems = Counter(name for order in orders for name in order.systems)
        self.modes = Counter(name for order in orders for name in order.modes)
        self.free = self.costs.count(0)

    def share(self, n: int) -> str:
        return rounded(100 * n, self.n)

    def cost_of(self, system: str) -> int:
        return sum(order.cost for order in self.orders if system in order.systems)


def first(counts: dict[str, int]) -> str:
    """The name with the largest number; an error where two have it."""
    (best,) = [name for name, n in counts.items() if n == max(counts.values())]
    return best


Figures = dict[str, object]  # name -> "12 (80.0 %)", or a block: name -> {head: figure}


def figures_of(text: str) -> Figures:
    """A sheet of figures, whichever of its three layouts it has."""
    if text.startswith("{"):
        return json.loads(text)
    return _of_table(text) if "\nsystems | " in text else _of_prose(text)


def _of_table(text: str) -> Figures:
    found: Figures = {}
    heads: list[str] = []
    block: dict[str, dict] = {}
    for line in text.split("\n")[2:]:
        cells = line.split(" | ")
        if len(cells) == 1:
            name, value = line.split(": ")
            found[name] = value
        elif all(re.fullmatch(r"-|-?[\d.]+", cell) for cell in cells[1:]):
            row = zip(heads, cells[1:], strict=True)
            block[cells[0]] = {head: float(cell) for head, cell in row if cell != "-"}
        else:
            name, *heads = cells
            found[name] = block = {}
    return found


ROW = r"(?:, )?(?P<name>.+?) \((?P<cells>(?:[^\d\s(][^\d,()]*-?[\d.]+(?:, )?)+)\)"


def _of_prose(text: str) -> Figures:
    found: Figures = {}
    for line in text.split("\n")[1:]:
        name, _, rest = line.partition(": ")
        if name.lower() not in ("systems", "failure modes", "months", "the three costliest orders"):
            parts = line.removesuffix(".").split("; ")
            found |= {_key(part): part.removeprefix(part[: len(_key(part))])[1:] for part in parts}
            continue
        rows = re.finditer(ROW, rest.removesuffix("."))
        found[name.lower()] = {row["name"]: _cells(row["cells"]) for row in rows}
    return {
        name[:1].lower() + name[1:] if name[:2] != "PM" else name: v for name, v in found.items()
    }


def _key(part: str) -> str:
    return re.match(r"(orders above 1000 AUD|PM01 dates|.*?(?= -?\d))", part, re.I)[1]


def _cells(text: str) -> dict[str, float]:
    return {name: float(n) for name, n in re.findall(r"(AUD|orders|% of orders) (-?[\d.]+)", text)}


# --- The table itself ---


def read_log() -> dict[str, list[Line]]:
    """asset -> its orders, out of the CSV file; rows that repeat one are one; no gold text."""
    texts = gold.texts_of(gold.read_gold(), sources.load_work_orders())
    known = {normalise(text) for text in texts}
    with sources.work_orders_path().open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if re.fullmatch(r"PM\d\d", row["PMType"])]
    found = defaultdict(dict)
    for row in rows:
        text = " ".join(row["OriginalShorttext"].split())
        if normalise(text) not in known:
            cost = int(Decimal(row["Cost"]).quantize(Decimal(1), ROUND_HALF_UP))
            key = (date.fromisoformat(row["BscStartDate"]), row["PMType"], text, cost)
            labels = apply_rules(text)
            systems = tuple(labels.get("system", ()))
            modes = tuple(labels.get("failure_mode", ()))
            found[row["Asset"]][key] = Line(*key[:3], systems, modes, cost)
    return {asset: list(orders.values()) for asset, orders in found.items()}


PERIOD = re.compile(
    r"(?:The (?P<system>.*?)(?: system)? of e|E)xcavator (?P<asset>[A-E]), "
    r"(?:(?P<start>\d+) to (?P<end>\d+) )?(?:Q(?P<quarter>\d) )?(?:(?P<month>[A-Z][a-z]+) )?"
    r"(?P<year>\d{4})"
)


def orders_of_title(text: str, log: dict[str, list[Line]]) -> list[Line]:
    """The orders of the log that a title speaks of."""
    title = PERIOD.search(text)
    found = []
    for order in log[title["asset"]]:
        day = order.day
        inside = day.year == int(title["year"])
        inside &= not title["month"] or MONTHS[day.month - 1] == title["month"]
        inside &= not title["quarter"] or (day.month + 2) // 3 == int(title["quarter"])
        inside &= not title["start"] or int(title["start"]) <= day.day <= int(title["end"])
        systems = {re.sub(" system$", "", name.lower()) for name in order.systems}
        inside &= not title["system"] or title["system"] in systems
        found += [order] * inside
    return found
