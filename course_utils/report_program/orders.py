"""Maintenance reports: sums, shares and means of a list of work orders, or given figures."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from course_utils.report_program.reading import Unreadable, find, percent, rounded

DATE = r"\d{4}-\d\d-\d\d"


@dataclass(frozen=True)
class Order:
    """One work order of the list."""

    day: str
    kind: str
    cost: int
    systems: tuple[str, ...]
    modes: tuple[str, ...]


# What the instruction asks for -> words that say so.
ASKED = {
    "total": r"total cost in aud|sum of the costs|cost in total|total cost(?=,| and|\.)",
    "mean": r"mean cost|average cost|cost on average",
    "costliest": r"costliest order",
    "unplanned": r"unplanned",
    "free": r"no cost|without cost|cost nothing",
    "days": r"days",
    "mode": r"failure mode",
    "system": r"system",
}


def write(instruction: str, sheet: str, shown: bool) -> str:
    """The report, its working shown or the given figures put into sentences."""
    asked = instruction.casefold()
    return "\n".join(_computed(asked, sheet) if shown else _given(asked, sheet))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("+") if part.strip() not in ("-", ""))


def _orders(sheet: str) -> list[Order]:
    """The list, in any of the layouts it comes in."""
    head, *rows = _table(sheet)
    found = []
    for row in rows:
        fields = _fields(head, row)
        found.append(
            Order(
                fields["date"],
                fields["type"],
                int(fields["AUD"]),
                _names(fields.get("system", "")),
                _names(fields.get("failure mode", "")),
            )
        )
    return found


def _table(sheet: str) -> list[str]:
    every = sheet.split("\n")
    starts = [i for i, line in enumerate(every) if re.search(r"\bdate\b.*\btype\b", line)]
    if not starts:
        raise Unreadable("no list of orders")
    return every[starts[0] :]


def _fields(head: str, row: str) -> dict[str, str]:
    if head.startswith("date | "):
        return dict(zip(head.split(" | "), row.split(" | "), strict=True))
    fields = {
        "date": find(DATE, row)[0],
        "type": find(r"\bPM\d+\b", row)[0],
    }
    cost = re.search(r"^(-?\d+) on |, (-?\d+), | (-?\d+) AUD$", row)
    if not cost:
        raise Unreadable(row)
    fields["AUD"] = next(filter(None, cost.groups()))
    inside = find(r"[\[(]([^\[\]()]*)[\])](?: -?\d+ AUD)?$", row)[1]
    names = find(r"[\[(]([^\[\]()]*)[\])](?: cost)?$", head)[1]
    fields |= dict(zip(names.split(" | "), inside.split(" | "), strict=True))
    return fields


# --- Worked out ---------------------------------------------------------------------------------


def _computed(asked: str, sheet: str) -> list[str]:
    orders = _orders(sheet)
    count, costs = len(orders), [order.cost for order in orders]
    total = sum(costs)
    said = []
    items = _items(asked)
    if "total" in items:
        said.append(f"Total cost: {total} AUD")
    if "mean" in items:
        mean = rounded(Decimal(total) / count, 0)
        said.append(f"Mean cost: {total} AUD over {count} work orders, {mean} AUD")
    if "costliest" in items:
        share = percent(max(costs), total)
        said.append(f"Costliest order: {max(costs)} / {total} = {share} % of the cost")
    if "unplanned" in items:
        own = sum(order.kind == "PM01" for order in orders)
        said.append(f"PM01 orders: {own} of {count}, that is {percent(own, count)} % unplanned")
    if "free" in items:
        own = costs.count(0)
        said.append(f"At no cost: {own} / {count} = {percent(own, count)} %")
    if "days" in items:
        said.append(_days(orders))
    if "mode" in items:
        said.append(
            _most("failure mode", [mode for order in orders for mode in order.modes], count)
        )
    if "system" in items:
        said.append(_most("system", [name for order in orders for name in order.systems], count))
    return said


def _items(asked: str) -> set[str]:
    """What is asked for; the log's own name ("the hydraulic system of ...") asks for nothing."""
    plain = re.sub(
        r"(?:hydraulic|[a-z]+) system of (?:excavator|shovel)|total cost in %", " ", asked
    )
    plain = plain.replace("in the total cost", " ").replace("of the total cost", " ")
    return {name for name, words in ASKED.items() if re.search(words, plain)}


def _days(orders: list[Order]) -> str:
    days = sorted({date.fromisoformat(order.day) for order in orders if order.kind == "PM01"})
    if len(days) < 2:
        raise Unreadable("fewer than two PM01 dates")
    span, steps = (days[-1] - days[0]).days, len(days) - 1
    mean = rounded(Decimal(span) / steps, 1)
    return f"PM01 dates: {span} / {steps} = {mean} days between PM01 dates on average"


def _most(what: str, names: list[str], count: int) -> str:
    (most, own), *_ = Counter(names).most_common(1)
    share = percent(own, count)
    return f"Most frequent {what}: {most}, {own} / {count} = {share} %"


# --- Given --------------------------------------------------------------------------------------

# A figure of the sheet, its sentence, and the words of an instruction that asks for it.
FIGURES = (
    (
        "number of orders",
        "Number of orders: {} work orders",
        r"number of work orders|how many work orders|count of work orders",
    ),
    ("total cost", "Total cost: {}", r"total cost|sum of the costs|cost in total"),
    (
        "mean cost of an order",
        "Mean cost of an order: {}",
        r"mean cost|average cost|cost on average",
    ),
    ("unplanned (PM01)", "Unplanned: {} of the orders", r"unplanned"),
    ("planned change-outs (PM02)", "Planned change-outs: {} work orders", r"change-outs?"),
    (
        "orders at no cost",
        "Orders at no cost: {} work orders",
        r"no cost|without cost|cost nothing",
    ),
    ("mean days between PM01 dates", "Mean days between PM01 dates: {}", r"days"),
)

# A table, what its largest row is, by which column, the words that ask for it.
TABLES = (
    ("failure modes", "Most frequent failure mode", "orders", r"failure mode"),
    (
        "systems",
        "Costliest system",
        "AUD",
        r"system (?:that|which) cost|(?:costliest|expensive) system|system was the most expensive",
    ),
    (
        "systems",
        "Most frequent system",
        "orders",
        r"frequent system|system with (?:the )?most|system is named|named most",
    ),
    ("months", "Busiest month", "orders", r"month with|busiest month|month had"),
)


def _given(asked: str, sheet: str) -> list[str]:
    figures, tables = _read(sheet)
    said = []
    for name, sentence, words in FIGURES:
        if re.search(words, asked.replace("unplanned (pm01)", "unplanned")):
            value = figures[name]
            share = re.search(r"\(([\d.]+ %)\)", value)
            value = share[1] if share and name.startswith("unplanned") else value.split(" (")[0]
            said.append(f"{sentence.format(value)}.")
    if "watch" in asked:
        least = Decimal(find(r"system (?:with|that)(?: at least)? ([\d.]+) %", sheet)[1])
        names = [n for n, row in tables["systems"].items() if row.get("% of orders", 0) >= least]
        said.append(f"Watch list: {' and '.join(names)}.")
    if re.search(r"most expensive order|costliest order|highest (?:single )?cost", asked):
        day, row = max(tables["costliest"].items(), key=lambda item: item[1]["AUD"])
        said.append(f"Highest cost of an order: {row['AUD']} AUD, on {find(DATE, day)[0]}.")
    for table, what, column, words in TABLES:
        if re.search(words, asked):
            named = {n: row for n, row in tables[table].items() if n != "no system named"}
            name = max(named, key=lambda name: named[name][column])
            value = named[name][column]
            unit = f"{value} AUD" if column == "AUD" else f"{value} work orders"
            said.append(f"{what}: {name}, {unit}.")
    return said


Tables = dict[str, dict[str, dict[str, Decimal]]]


def _read(sheet: str) -> tuple[dict[str, str], Tables]:
    """The figures of a sheet and its tables, from any of the layouts it comes in."""
    if sheet.startswith("{"):
        return _from_json(json.loads(sheet))
    figures: dict[str, str] = {}
    tables: Tables = {}
    own: dict[str, dict[str, Decimal]] = {}
    heads: list[str] = []
    for line in sheet.split("\n")[1:]:
        running = re.match(r"(Systems|Failure modes|Months|The three costliest orders): ", line)
        cells = line.split(" | ")
        if running:
            tables[_table_name(running[1])] = _from_text(line[running.end() :])
        elif len(cells) > 1 and cells[1] in ("orders", "AUD"):
            own, heads = tables.setdefault(_table_name(cells[0]), {}), cells[1:]
        elif len(cells) > 1:
            values = zip(heads, cells[1:], strict=True)
            own[cells[0]] = {head: Decimal(text) for head, text in values if text != "-"}
        elif "; " in line and ": " not in line:
            figures |= dict(map(_figure, line.rstrip(".").split("; ")))
        elif ": " in line:
            name, value = line.split(": ", 1)
            figures[name] = value
    return figures, tables


def _table_name(title: str) -> str:
    title = title.casefold()
    return "costliest" if "costliest" in title else title


def _figure(text: str) -> tuple[str, str]:
    """ "Total cost 4533 AUD" -> ("total cost", "4533 AUD")."""
    found = find(r"^(.*?\)|[^\d]*?(?:PM01 dates|above \d+ AUD)?[^\d]*?) (\d.*)$", text)
    return found[1][0].lower() + found[1][1:], found[2]


def _from_text(text: str) -> dict[str, dict[str, Decimal]]:
    """ "Bucket (orders 4, % of orders 33.3, AUD 2088), ..." """
    rows = {}
    for name, inside in re.findall(r'("[^"]*", [\d-]+|[^,()][^()]*?) \(([^()]*)\)', text):
        parts = (part.rsplit(" ", 1) for part in inside.split(", "))
        rows[name.lstrip(", ")] = {head: Decimal(value) for head, value in parts}
    return rows


def _from_json(content: dict) -> tuple[dict[str, str], Tables]:
    figures = {name: value for name, value in content.items() if isinstance(value, str)}
    tables = {
        _table_name(title): {
            name: {head: Decimal(str(value)) for head, value in row.items()}
            for name, row in rows.items()
        }
        for title, rows in content.items()
        if isinstance(rows, dict)
    }
    return figures, tables
