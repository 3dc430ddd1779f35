"""Records of the kind `maintenance_log`, realised from the real excavator work orders.

One order may stand in several rows of the table, one for each system it was filed under: rows
with the same asset, date, text, type and cost are one order here, with the labels of all its rows.
Costs are rounded to whole AUD, order by order, before anything is added up, so each total is the
sum of the figures that a reader sees. An order at 0 AUD counts as an order and adds nothing; a
negative cost is a credit and lowers the total. Systems and failure modes are the labels of
the table (a rule set made them, so some are wrong); an order that names two systems counts for
both. "Unspecified" and "Hours" are not failure modes and are left out.

A record's group is the asset and quarter of its orders, "excavator D 2005-Q3"; excavator A has so
few orders that its group is the whole year, "excavator A 2006". So its years can be reported as
years, and no record uses orders of another group than its own.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from course_utils.facts import Fact, format_facts
from course_utils.sources import clean_work_orders, load_work_orders
from course_utils.splits import NEAR, incidence, normalise
from course_utils.tracks.wording import Draft, Realiser

if TYPE_CHECKING:
    import pandas

LONGEST = 1300  # characters of instruction, input and output together
WORDS = (50, 110)  # of a report
MANY = 11  # more orders than this are shown as figures
YEARLY = ("A",)  # assets whose orders are grouped by year
NOT_A_MODE = {"Unspecified", "Hours"}
MONTHS = "January February March April May June July August September October November December"
QUARTERS = ("first", "second", "third", "fourth")

# ---------------------------------------------------------------------------------------------
# Orders and their figures
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """One work order; `cost` in whole AUD, `systems` and `modes` as labelled, `code` PM01..."""

    asset: str
    date: date
    text: str
    code: str
    cost: int
    systems: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return group_name(self.asset, self.date)


def group_name(asset: str, day: date) -> str:
    """Asset and quarter, or asset and year where the asset has few orders."""
    period = f"{day.year}" if asset in YEARLY else f"{day.year}-Q{(day.month + 2) // 3}"
    return f"excavator {asset} {period}"


def read_orders(table: "pandas.DataFrame") -> list[Order]:
    """The orders of a table, by asset and date; rows that repeat an order are merged."""
    rows = table.fillna("")
    rows = rows[rows["PMType"].str.fullmatch(r"PM\d\d")]
    merged: dict[tuple, tuple[dict, dict]] = {}
    for row in rows.to_dict("records"):
        text = " ".join(row["OriginalShorttext"].split())
        cost = int(Decimal(row["Cost"]).quantize(Decimal(1), ROUND_HALF_UP))
        key = (row["Asset"], date.fromisoformat(row["BscStartDate"]), text, row["PMType"], cost)
        systems, modes = merged.setdefault(key, ({}, {}))  # dicts, for the order of appearance
        systems.update(dict.fromkeys(_labels(row["MajorSystem"], {"Not Trans"})))
        modes.update(dict.fromkeys(_labels(row["FM"], NOT_A_MODE)))
    orders = [Order(*key, tuple(systems), tuple(modes)) for key, (systems, modes) in merged.items()]
    return sorted(orders, key=lambda order: (order.asset, order.date))


def _labels(value: str, without: set[str]) -> list[str]:
    names = [name.strip() for name in value.split("_")]
    # The table writes the same system in two ways.
    names = ["Hydraulic Cylinders" if name == "Hydraulic Cylinder" else name for name in names]
    return [name for name in names if name and name not in without]


@dataclass(frozen=True)
class Figures:
    """What a report states about some orders; None where a figure is tied or does not exist."""

    orders: int
    cost: int
    codes: dict[str, int]
    systems: dict[str, tuple[int, int]]  # name -> orders, AUD; most orders first
    modes: dict[str, int]
    unnamed: tuple[int, int]  # orders without a system: number, AUD
    free: int
    credits: int
    costliest: Order | None
    failure_dates: tuple[date, ...]
    mtbf: str | None

    @property
    def top_system(self) -> str | None:
        return most({name: count for name, (count, _) in self.systems.items()})

    @property
    def top_mode(self) -> str | None:
        return most(self.modes)

    def share(self, code: str) -> str:
        """Share of the orders of one type in %, one decimal unless it is whole."""
        return decimal(100 * self.codes.get(code, 0), self.orders)


def most(counts: dict[str, int]) -> str | None:
    """The name with the largest count; None for a tie, and for a count below 2."""
    ranked = sorted(counts.values(), reverse=True)
    if not ranked or ranked[0] < 2 or ranked[1:2] == ranked[:1]:
        return None
    return max(counts, key=counts.__getitem__)


def decimal(over: int, under: int) -> str:
    """A ratio with one decimal, halves rounded up; "100" where it is whole."""
    text = str((Decimal(over) / Decimal(under)).quantize(Decimal("0.1"), ROUND_HALF_UP))
    return text.removesuffix(".0") if over % under == 0 else text


def mean_time_between_failures(days: Iterable[date]) -> str | None:
    """Mean number of calendar days between consecutive distinct failure dates, one decimal.

    A failure date is a day with at least one PM01 (repair) order. This is the plain calendar
    definition, (last - first) / (dates - 1): the standards count operating time instead
    (IEC 60050-192), which the orders do not record. None for fewer than three dates.
    """
    distinct = sorted(set(days))
    if len(distinct) < 3:
        return None
    between = Decimal((distinct[-1] - distinct[0]).days) / (len(distinct) - 1)
    return str(between.quantize(Decimal("0.1"), ROUND_HALF_UP))


def figures(orders: Sequence[Order]) -> Figures:
    """Counts, costs and times of some orders (at least one), in order of date."""
    systems: dict[str, tuple[int, int]] = {}
    for order in orders:
        for system in order.systems:
            count, cost = systems.get(system, (0, 0))
            systems[system] = (count + 1, cost + order.cost)
    modes = Counter(mode for order in orders for mode in order.modes)
    unnamed = [order.cost for order in orders if not order.systems]
    failures = sorted({order.date for order in orders if order.code == "PM01"})
    highest = max(order.cost for order in orders)
    dear = [order for order in orders if order.cost == highest]
    return Figures(
        orders=len(orders),
        cost=sum(order.cost for order in orders),
        codes=dict(sorted(Counter(order.code for order in orders).items())),
        systems=dict(sorted(systems.items(), key=lambda item: (-item[1][0], item[0]))),
        modes=dict(sorted(modes.items(), key=lambda item: (-item[1], item[0]))),
        unnamed=(len(unnamed), sum(unnamed)),
        free=sum(order.cost == 0 for order in orders),
        credits=-sum(min(order.cost, 0) for order in orders),
        costliest=dear[0] if len(dear) == 1 and highest > 0 else None,
        failure_dates=tuple(failures),
        mtbf=mean_time_between_failures(failures),
    )


# ---------------------------------------------------------------------------------------------
# How orders and figures are shown to the reader
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Period:
    """What a report is about: some orders, and how to speak of them."""

    subject: str  # "excavator D" or "the hydraulic system of excavator D"
    during: str  # "in March 2004"
    label: str  # "March 2004"
    orders: tuple[Order, ...]
    system: str = ""  # set where the orders are those of one system


# header, one order; "{labels}" are the system (unless the title says it) and the failure mode
LAYOUTS = (
    ("date | order | {columns} | AUD", "{date} | {text} | {labels} | {cost}"),
    ("date, AUD, order [{columns}]", "{date}, {cost}, {text} [{labels}]"),
    ("date: order [{columns}] cost", "- {date}: {text} [{labels}] {cost} AUD"),
    ("AUD on date: order ({columns})", "{cost} on {date}: {text} ({labels})"),
)


def show_orders(say: Realiser, title: str, orders: Sequence[Order], with_system: bool) -> str:
    """A title, the columns, and a line for each order; types other than PM01 are marked."""
    header, line = LAYOUTS[int(say("lines", [str(i) for i in range(len(LAYOUTS))]))]
    columns = "system | failure mode" if with_system else "failure mode"
    lines = [title, header.format(columns=columns)]
    for order in orders:
        labels = [" + ".join(order.systems) or "-"] * with_system + [" + ".join(order.modes) or "-"]
        text = order.text if order.code == "PM01" else f"{order.code} {order.text}"
        values = {"date": order.date, "text": text, "cost": order.cost}
        lines.append(line.format(labels=" | ".join(labels), **values))
    return "\n".join(lines)


def show_figures(say: Realiser, period: Period, what: Figures) -> str:
    """The figures of a period as a table, as lines of text, or as JSON."""
    costly = sorted(period.orders, key=lambda order: -order.cost)[:3]
    rows = [(name, count, cost) for name, (count, cost) in list(what.systems.items())[:5]]
    rows += [("no system named", *what.unnamed)] if what.unnamed[0] else []
    modes = list(what.modes.items())[:4]
    show = (_as_table, _as_text, _as_json)[int(say("figures", ["0", "1", "2"]))]
    return show(period, what, rows, modes, costly)


def _head(period: Period, what: Figures) -> dict[str, str]:
    """The single figures; a report needs the failure dates for the mean time between failures."""
    names = {"PM01": "PM01 repair", "PM02": "PM02 replacement"}
    codes = ", ".join(f"{names.get(code, code)} {n}" for code, n in what.codes.items())
    head = {"orders": f"{what.orders} ({codes})", "total AUD": str(what.cost)}
    head |= {"at no cost": str(what.free)} if what.free else {}
    head |= {"of which credits AUD": str(-what.credits)} if what.credits else {}
    if what.failure_dates:
        first, last = what.failure_dates[0], what.failure_dates[-1]
        head["failure dates (PM01)"] = f"{len(what.failure_dates)}, {first} to {last}"
    return head


def _as_table(period: Period, what: Figures, rows: list, modes: list, costly: list) -> str:
    lines = [_title(period), *(f"{name}: {value}" for name, value in _head(period, what).items())]
    lines += ["system | orders | AUD", *(f"{name} | {n} | {cost}" for name, n, cost in rows)]
    lines += ["failure mode | orders"] * bool(modes) + [f"{name} | {n}" for name, n in modes]
    lines += ["costliest orders", *(f"{o.date} | {o.text} | {o.cost}" for o in costly)]
    return "\n".join(lines)


def _as_text(period: Period, what: Figures, rows: list, modes: list, costly: list) -> str:
    head = ". ".join(f"{name}: {value}" for name, value in _head(period, what).items())
    lines = [f"{_title(period)}. {head}."]
    lines += ["Systems: " + ", ".join(f"{name} {n} ({cost} AUD)" for name, n, cost in rows) + "."]
    if modes:
        lines += ["Failure modes: " + ", ".join(f"{name} {n}" for name, n in modes) + "."]
    lines += ["Highest costs: " + ", ".join(f'{o.cost} "{o.text}" {o.date}' for o in costly) + "."]
    return "\n".join(lines)


def _as_json(period: Period, what: Figures, rows: list, modes: list, costly: list) -> str:
    blocks = {
        "asset": period.subject,
        "period": period.label,
        **_head(period, what),
        "systems": {name: {"orders": n, "AUD": cost} for name, n, cost in rows},
        "failure modes": dict(modes),
        "costliest": [[str(o.date), o.text, o.cost] for o in costly],
    }
    return json.dumps({name: value for name, value in blocks.items() if value})


def _title(period: Period) -> str:
    return f"{_upper(period.subject)}, {period.label}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---------------------------------------------------------------------------------------------
# Understanding: work order -> JSON
# ---------------------------------------------------------------------------------------------

KEYS = (
    "system, part, action, failure_mode, location",
    "system, part, action, failure_mode and location",
    "`system`, `part`, `action`, `failure_mode`, `location`",
    '"system", "part", "action", "failure_mode", "location"',
)
ONLY = (
    "Only what is stated.",
    "Leave out every key that the text does not support.",
    "Put in only what the work order states.",
    "Do not guess: a key without a stated value is left out.",
    "Give a key only where the order says something about it.",
    "Nothing that is not stated.",
    "Skip the keys for which nothing is stated.",
    "Add nothing of your own, and drop keys that stay empty.",
)
DEMANDS = (
    "Turn the work order into JSON: {keys}.",
    "Turn this maintenance work order into a JSON object with the keys {keys}.",
    "Read the work order and answer in JSON with the keys {keys}.",
    "Extract {keys} from the work order and return them as JSON.",
    "Write the work order as one JSON record. Possible keys: {keys}.",
    "Code the following work order for the maintenance database. Format: JSON. Keys: {keys}.",
    "What does this work order say? Answer as JSON with the keys {keys}.",
    "Fill in a JSON record ({keys}) from the short text of the work order.",
    "A fitter typed the order below. Bring it into JSON with the keys {keys}.",
    "Convert the entry of the maintenance log to JSON, using the keys {keys}.",
    "Structured record wanted (JSON; keys {keys}) for this work order.",
    "Label the work order: {keys}, as JSON.",
)


def instruction_to_extract(say: Realiser) -> str:
    """One of 768 ways to ask for the JSON record of a work order."""
    only = say("only", ONLY)
    demand = say("demand", DEMANDS, keys=say("keys", KEYS))
    return " ".join(say.order("first", [demand, only]))


def understanding_drafts(table: "pandas.DataFrame", seed: int) -> list[Draft]:
    """The cleaned work orders with an instruction in many wordings.

    The group is that of the first order with the text. Texts that resemble one of another group
    are dropped, since the two may come to lie in different parts.
    """
    rows = table.fillna("")
    rows = rows[rows["PMType"].str.fullmatch(r"PM\d\d")]
    booked: dict[tuple[str, str], date] = {}
    for asset, text, day in zip(
        rows["Asset"], rows["OriginalShorttext"], rows["BscStartDate"], strict=True
    ):
        booked.setdefault((f"excavator {asset}", normalise(text)), date.fromisoformat(day))
    drafts = []
    for number, record in enumerate(clean_work_orders(table).records):
        day = booked[record["source"], normalise(record["input"])]
        group = group_name(record["source"].removeprefix("excavator "), day)
        say = Realiser(random.Random(f"{seed} understanding {number}"), "understanding")
        record = record | {"instruction": instruction_to_extract(say), "group": group}
        drafts.append(Draft(record, say.template))
    return drafts


def without_near_copies(drafts: Sequence[Draft]) -> list[Draft]:
    """Drop each draft whose input resembles (Jaccard >= NEAR) one kept before of another group.

    Compared exactly, all with all: tables of figures look so much alike that hashing them first
    saves nothing.
    """
    import numpy as np

    vocabulary: dict[str, int] = {}
    texts = [normalise(draft.record["input"]) for draft in drafts]
    rows = incidence(texts, vocabulary)  # (drafts, n-grams), 0 or 1
    sizes = np.diff(rows.indptr)
    like: list[set[int]] = [set() for _ in drafts]
    for start in range(0, len(texts), 256):  # rows at a time, to bound the memory
        shared = (rows[start : start + 256] @ rows.T).tocoo()
        left = start + shared.row
        near = shared.data >= NEAR * (sizes[left] + sizes[shared.col] - shared.data)
        for i, j in zip(left[near].tolist(), shared.col[near].tolist(), strict=True):
            like[i].add(j)
    kept: dict[int, str] = {}
    for i, draft in enumerate(drafts):
        group = draft.record["group"]
        if all(kept.get(j, group) == group for j in like[i]):
            kept[i] = group
    return [drafts[i] for i in kept]


# ---------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------

# What is wanted, as the instruction names it.
WANTED = {
    "orders": (
        "the number of work orders",
        "how many work orders there were",
        "the count of work orders",
    ),
    "cost": (
        "the total cost in AUD",
        "what they cost in total (AUD)",
        "the sum of the costs (AUD)",
    ),
    "system": (
        "the most frequent system with its number of orders",
        "which system is named most often and in how many orders",
        "the system with most orders, and how many",
    ),
    "mode": (
        "the most frequent failure mode",
        "which failure mode is most frequent",
        "the commonest failure mode",
    ),
    "repairs": (
        "the share of repairs (PM01) in %",
        "what percentage of the orders are repairs (PM01)",
        "the percentage of PM01 (repair) orders",
    ),
    "replacements": (
        "the share of replacements (PM02) in %",
        "what percentage of the orders are replacements (PM02)",
        "the percentage of PM02 (replacement) orders",
    ),
    "costliest": (
        "the costliest order and its cost",
        "which order cost most, and how much",
        "the most expensive order with its cost in AUD",
    ),
    "mtbf": (
        "the mean time between failures (calendar days between PM01 dates)",
        "the mean time between failures, in calendar days from one PM01 date to the next",
        "the mean number of calendar days between failure (PM01) dates",
    ),
    "free": (
        "the number of orders at no cost",
        "how many orders cost nothing",
        "the count of orders without cost",
    ),
    "mean": ("the mean cost per order", "what an order cost on average", "the average cost in AUD"),
}
REPORT_DEMANDS = (
    "Write a maintenance report on {subject} for {label}. Include {wanted}.",
    "Summarise the maintenance of {subject}, {label}, in a short report. State {wanted}.",
    "Prepare the maintenance report for {label}, {subject}. It must give {wanted}.",
    "The maintenance manager needs a report on {subject}, {label}. Report {wanted}.",
    "Report on {subject}, {label}. Contents: {wanted}.",
    "From the data below, write up {label} for {subject}: {wanted}.",
    "Draft a note for the reliability meeting on {subject}, {label}. Cover {wanted}.",
    "Turn this into a maintenance report ({label}) and name {wanted}.",
    "We review {subject} on the basis of {label}. Write the report, with {wanted}.",
    "Give an account of the work on {subject}, {label}. I want to read {wanted}.",
    "Compile the report on {subject} for {label} from the records below. Needed: {wanted}.",
    "What happened to {subject}, {label}? Answer as a report that states {wanted}.",
)
# How the report shall look: the instruction says it, since nothing in the input does.
FORMS = {
    "prose": ("Write one paragraph.", "Use running text.", "No list, no headings."),
    "finding": (
        "Begin with {first}.",
        "Put {first} first, then the rest.",
        "Open with {first}.",
    ),
    "bullets": ("Use bullet points.", "As a bullet list with a title.", "Title and bullets."),
    "key figures": (
        "One opening sentence, then the other figures as a list.",
        "Start with a sentence, then list the key figures.",
        "A sentence for the overview, bullets for the rest.",
    ),
    "sections": (
        "Use labelled paragraphs.",
        "One line for each topic, with its heading.",
        "Give each topic its own labelled line.",
    ),
    "numbered": ("Number the findings.", "As a numbered list.", "Write numbered points."),
    "memo": (
        "Write it as a memo with a subject line.",
        "Form: memo, subject first.",
        "Set it out as a memo.",
    ),
}
# Sentences for each item. None may be false for any count: they are past tense, and say "named",
# because the labels of the table are all that is known.
SENTENCES = {
    "overview": (
        "{Who} had {n} work orders {during}, at a total cost of {cost}.",
        "{During}, {n} work orders were booked on {who} and cost {cost} in total.",
        "A total of {n} work orders for {who} {during} came to {cost}.",
        "Maintenance of {who} {during} took {n} work orders and {cost}.",
        "{n} work orders were raised for {who} {during}, and {cost} was charged to them.",
        "The log of {who} shows {n} work orders {during}, with a total cost of {cost}.",
        "Spending on {who} {during} was {cost}, spread over {n} work orders.",
        "{During}, {cost} was charged to {n} work orders on {who}.",
        "The bill for {who} {during} was {cost}, from {n} work orders.",
    ),
    "system": (
        "The system named most often was the {system}, with {k} orders.",
        "No system came up more often than the {system}, which had {k} orders.",
        "The {system} headed the list of systems with {k} orders.",
        "With {k} orders, the {system} needed attention more often than any other named system.",
        "Sorted by system, the {system} came first: {k} orders.",
        "Among the named systems the {system} drew the most work orders, {k} orders in all.",
        "{k} orders concerned the {system}, more than any other system named.",
        "Most frequent among the systems was the {system} ({k} orders).",
    ),
    "mode": (
        "The most frequent failure mode was {mode} ({m} orders).",
        "{Mode} was the failure mode recorded most often, in {m} orders.",
        'Where a failure mode was recorded, it was most often "{mode}": {m} orders.',
        "Of the failure modes, {mode} came up most, {m} times.",
        "{m} orders carried the failure mode {mode}, the most frequent one.",
        "As to failure modes, {mode} led with {m} orders.",
        'Among the recorded failure modes "{mode}" was the commonest, with {m} orders.',
    ),
    "repairs": (
        "Repair orders (PM01) made up {repairs} % of all orders.",
        "{repairs} % of the orders were repairs (PM01).",
        "Repairs of type PM01 accounted for {repairs} % of the work orders.",
        "By order type, {repairs} % were PM01, that is repairs.",
        "The share of repairs (PM01) was {repairs} %.",
        "Of these orders, {repairs} % were of type PM01 (repair).",
    ),
    "replacements": (
        "Replacement orders (PM02) made up {replacements} % of all orders.",
        "{replacements} % of the orders were replacements (PM02).",
        "Replacements of type PM02 accounted for {replacements} % of the work orders.",
        "The share of replacements (PM02) was {replacements} %.",
        "Of these orders, {replacements} % were of type PM02 (replacement).",
    ),
    "costliest": (
        'The costliest order was "{text}" on {date}, at {top}.',
        'The largest single cost, {top}, went to "{text}" ({date}).',
        'Highest by cost was "{text}" of {date}, at {top}.',
        '"{text}", booked on {date}, cost the most: {top}.',
        'At {top}, "{text}" on {date} was the most expensive order.',
        'The highest charge was {top}, for "{text}" on {date}.',
        'No order cost more than "{text}" ({date}), which came to {top}.',
        'The most expensive job, dated {date}, was "{text}"; it cost {top}.',
    ),
    "mtbf": (
        "The mean time between failures, in calendar days, was {mtbf} days.",
        "Counted in calendar days from one PM01 date to the next, the mean time between failures "
        "was {mtbf} days.",
        "Failure dates (days with a PM01 order) lay {mtbf} days apart on average, the mean time "
        "between failures in calendar days.",
        "Over {dates} failure dates the mean time between failures, calendar days, was "
        "{mtbf} days.",
        "On average {mtbf} days passed from one failure date to the next (mean time between "
        "failures, calendar days).",
        "Mean time between failures, taken as calendar days between PM01 dates, came to "
        "{mtbf} days.",
        "A mean time between failures of {mtbf} days follows from {dates} dates with PM01 orders, "
        "in calendar days.",
    ),
    "free": (
        "{z} orders were booked at no cost.",
        "No cost was charged to {z} orders.",
        "For {z} orders the cost was zero.",
        "{z} orders show a cost of 0 AUD.",
    ),
    "mean": (
        "The mean cost per order was {mean}.",
        "On average an order cost {mean}.",
        "{mean} was the average cost of an order.",
        "The average cost was {mean} an order.",
    ),
}
# The same for lists.
FRAGMENTS = {
    "orders": ("Work orders: {n}", "Number of work orders: {n}", "Orders booked: {n}"),
    "cost": ("Total cost: {cost}", "Cost of all orders: {cost}", "Cost in total: {cost}"),
    "system": (
        "Most frequent system: {system}, {k} orders",
        "System named most often: {system} ({k} orders)",
        "Leading system: the {system} with {k} orders",
        "{k} orders for the {system}, the most frequent system",
    ),
    "mode": (
        "Most frequent failure mode: {mode}, {m} orders",
        "Commonest failure mode: {mode} ({m} orders)",
        "Failure mode recorded most often: {mode}, {m} times",
    ),
    "repairs": (
        "Share of repairs (PM01): {repairs} %",
        "Repairs, PM01: {repairs} % of the orders",
        "{repairs} % repair orders (PM01)",
    ),
    "replacements": (
        "Share of replacements (PM02): {replacements} %",
        "Replacements, PM02: {replacements} % of the orders",
        "{replacements} % replacement orders (PM02)",
    ),
    "costliest": (
        'Costliest order: "{text}", {date}, {top}',
        'Highest single cost: {top} for "{text}" on {date}',
        'Most expensive: {date}, "{text}" at {top}',
    ),
    "mtbf": (
        "Mean time between failures, calendar days: {mtbf} days",
        "Mean time between failures (calendar days between PM01 dates): {mtbf} days",
        "{mtbf} days mean time between failures, in calendar days, from {dates} failure dates",
    ),
    "free": ("At no cost: {z} orders", "Orders without cost: {z} orders", "{z} orders at 0 AUD"),
    "mean": ("Mean cost per order: {mean}", "Average cost: {mean}", "{mean} per order on average"),
}
# True and useful, but not asked for.
EXTRAS = {
    "credit": (
        "Credits of {credit} are already deducted.",
        "The total allows for credits of {credit}.",
    ),
    "others": (
        "Other systems named: {others}.",
        "Also named: {others}.",
        "Further systems by number of orders: {others}.",
    ),
    "span": (
        "The first order is dated {begin}, the last {end}.",
        "Orders run from {begin} to {end}.",
        "All orders fall between {begin} and {end}.",
    ),
    "unnamed": (
        "{u} of the orders name no system.",
        "No system was named in {u} of the orders.",
        "In {u} of the orders the system was left open.",
    ),
    "other modes": (
        "Other failure modes recorded: {more}.",
        "Also recorded as failure modes: {more}.",
    ),
}
TITLES = (
    "Maintenance report: {subject}, {label}",
    "{Subject}, maintenance in brief, {label}",
    "{label}: work orders of {subject}",
    "Maintenance of {subject} ({label})",
    "Work order summary, {subject}, {label}",
)
TOPICS = {
    "Workload": ("overview",),
    "Systems and failures": ("system", "mode"),
    "Costs": ("costliest", "free", "mean"),
    "Reliability": ("mtbf", "repairs", "replacements"),
    "Also": ("extra",),
}
HEADINGS = {
    "Workload": ("Workload", "Overview", "Volume and cost"),
    "Systems and failures": ("Systems and failures", "What failed", "Where the work went"),
    "Costs": ("Costs", "Cost drivers", "Money"),
    "Reliability": ("Reliability", "Order types and failures", "Reliability figures"),
    "Also": ("Also", "Further", "Remarks"),
}


def periods(orders: Sequence[Order]) -> list[Period]:
    """What can be reported: half months, months, quarters, years, and systems in a quarter.

    Each lies in one group. At least four orders, and half months only where the month is busy.
    """
    found = []
    for asset in sorted({order.asset for order in orders}):
        own = [order for order in orders if order.asset == asset]
        name = f"excavator {asset}"
        for (during, label), part in _by_period(own, asset).items():
            found.append(Period(name, during, label, tuple(part)))
        for (during, label, system), part in _by_system(own).items():
            subject = f"the {noun(system)} of {name}"
            found.append(Period(subject, during, label, tuple(part), system))
    distinct = {(period.system, period.orders): period for period in reversed(found)}
    return [
        period
        for period in reversed(distinct.values())
        if 4 <= len(period.orders) <= (MANY if period.system else 1000)
    ]


def _by_period(orders: Sequence[Order], asset: str) -> dict[tuple[str, str], list[Order]]:
    parts: dict[tuple[str, str], list[Order]] = {}
    months = Counter((order.date.year, order.date.month) for order in orders)
    for order in orders:
        day = order.date
        month = f"{MONTHS.split()[day.month - 1]} {day.year}"
        names = [(f"in {month}", month), _quarter(day)]
        if months[day.year, day.month] > 11:
            after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            last = (after - date(day.year, day.month, 1)).days
            start, end = (1, 15) if day.day <= 15 else (16, last)
            names += [(f"from {start} to {end} {month}", f"{start} to {end} {month}")]
        names += [(f"in {day.year}", f"{day.year}")] * (asset in YEARLY)
        for key in names:
            parts.setdefault(key, []).append(order)
    return parts


def _by_system(orders: Sequence[Order]) -> dict[tuple[str, str, str], list[Order]]:
    parts: dict[tuple[str, str, str], list[Order]] = {}
    for order in orders:
        for system in order.systems:
            parts.setdefault((*_quarter(order.date), system), []).append(order)
    return parts


def _quarter(day: date) -> tuple[str, str]:
    number = (day.month + 2) // 3
    return f"in the {QUARTERS[number - 1]} quarter of {day.year}", f"Q{number} {day.year}"


def choose_items(rng: random.Random, period: Period, what: Figures) -> dict[str, list[Fact]]:
    """Item -> its facts: number and cost always, and others up to 5 to 7 facts. Ties are never
    asked for; a share of 100 % says little and is rarely taken.
    """
    facts = {
        "orders": [Fact("work orders", str(what.orders))],
        "cost": [Fact("total cost", str(what.cost), "AUD")],
    }
    more = _possible_items(period, what)
    if what.share("PM01") == "100" and rng.random() < 0.85:
        more.pop("repairs", None)
    likely = [name for name in ("system", "mode", "costliest", "mtbf") if name in more]
    rest = [name for name in more if name not in likely]
    rng.shuffle(likely)
    rng.shuffle(rest)
    if likely and rest and rng.random() < 0.6:  # make room for a rarer item
        likely, rest = likely[:-1], rest + likely[-1:]
    wanted = rng.choice((5, 6, 6, 7))
    for name in likely + rest:
        if sum(map(len, facts.values())) + len(more[name]) <= wanted:
            facts[name] = more[name]
    return facts


def _possible_items(period: Period, what: Figures) -> dict[str, list[Fact]]:
    items = {}
    if what.top_system and not period.system:
        count = str(what.systems[what.top_system][0])
        top = Fact("most frequent system", what.top_system)
        items["system"] = [top, Fact("orders of that system", count, "orders")]
    if what.top_mode:
        items["mode"] = [Fact("most frequent failure mode", what.top_mode)]
    items["repairs"] = [Fact("share of repairs", what.share("PM01"), "%")]
    if what.codes.get("PM02"):
        items["replacements"] = [Fact("share of replacements", what.share("PM02"), "%")]
    if what.costliest:
        items["costliest"] = [Fact("costliest order", str(what.costliest.cost), "AUD")]
    if what.mtbf:
        name = "mean time between failures, calendar days"
        items["mtbf"] = [Fact(name, what.mtbf, "d")]
    if what.free > 1:
        items["free"] = [Fact("orders at no cost", str(what.free), "orders")]
    items["mean"] = [Fact("mean cost", money(what.cost, what.orders), "AUD")]
    return items


def money(cost: int, orders: int) -> str:
    """Cost per order in whole AUD, halves rounded away from zero."""
    return str((Decimal(cost) / orders).quantize(Decimal(1), ROUND_HALF_UP))


def report_values(rng: random.Random, period: Period, what: Figures) -> dict[str, str]:
    """What the wordings are filled with; one way to write money for each report."""
    aud = rng.choice(("AUD {:,}", "{:,} AUD", "AUD {}", "A${:,}")).format
    values = {
        "who": period.subject,
        "subject": period.subject,
        "during": period.during,
        "n": str(what.orders),
        "cost": aud(what.cost),
        "repairs": what.share("PM01"),
        "replacements": what.share("PM02"),
        "dates": str(len(what.failure_dates)),
        "mtbf": what.mtbf or "",
        "z": str(what.free),
        "mean": aud(int(money(what.cost, what.orders))),
        "credit": aud(what.credits),
        "u": str(what.unnamed[0]),
        "begin": str(period.orders[0].date),
        "end": str(period.orders[-1].date),
        "others": _rest(what, what.top_system),
        "more": _list([f"{m.lower()} ({n})" for m, n in what.modes.items() if m != what.top_mode]),
    }
    if what.top_system:
        values |= {"system": noun(what.top_system), "k": str(what.systems[what.top_system][0])}
    if what.top_mode:
        values |= {"mode": what.top_mode.lower(), "m": str(what.modes[what.top_mode])}
    if what.costliest:
        text = what.costliest.text.rstrip(" .,")
        values |= {"text": text, "date": str(what.costliest.date), "top": aud(what.costliest.cost)}
    return values | {name.capitalize(): _upper(values[name]) for name in CAPITALS & set(values)}


CAPITALS = {"who", "during", "subject", "mode"}


def noun(system: str) -> str:
    """The label of a system as a noun that goes with "the"."""
    label = system.lower()
    return f"{label} system" if system in ("Slew", "Induction and Exhaust") else label


def _rest(what: Figures, top: str | None) -> str:
    names = [(name, count) for name, (count, _) in what.systems.items() if name != top]
    return _list([f"{noun(name)} ({count})" for name, count in names])


def _list(parts: Sequence[str]) -> str:
    """Words with commas and "and"; empty where there are more than three, which nobody reads."""
    if not 0 < len(parts) <= 3:
        return ""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _extras(say: Realiser, values: dict[str, str], what: Figures, items: list[str]) -> list[str]:
    """Names of further remarks that are true here: none to two, and credits always."""
    possible = ["span"]
    if "system" in items:
        possible += ["others"] * bool(values["others"]) + ["unnamed"] * (what.unnamed[0] > 1)
    if "mode" in items:
        possible += ["other modes"] * bool(values["more"])
    say.rng.shuffle(possible)
    return ["credit"] * bool(what.credits) + possible[: say.rng.randrange(3)]


def write_report(say: Realiser, period: Period, what: Figures, form: str, items: list[str]) -> str:
    """The report in one of seven forms; `items` in the order in which they are told."""
    values = report_values(say.rng, period, what) | {"label": period.label}
    rest = items[2:]  # the first two, orders and cost, share the overview
    listed = {"bullets": items, "key figures": rest}.get(form)
    extras = [say(extra, EXTRAS[extra], **values) for extra in _extras(say, values, what, items)]
    title = _upper(say("title", TITLES, **values)) if form not in UNTITLED else ""
    overview = say("overview", SENTENCES["overview"], **values) if form != "bullets" else ""
    if listed:
        lines = [f"- {say(f'{item}-', FRAGMENTS[item], **values)}" for item in listed]
        return "\n".join([overview or title, *lines, *extras])
    told = {"overview": overview} | {item: say(item, SENTENCES[item], **values) for item in rest}
    if form == "sections":
        return f"{title}\n{_sections(say, told, extras)}"
    sentences = [*told.values(), *extras]
    if form == "finding":
        sentences[:2] = sentences[1::-1]
    if form == "numbered":
        return "\n".join([title, *(f"{i}. {line}" for i, line in enumerate(sentences, start=1))])
    return (f"Subject: {title}\n" if title else "") + " ".join(sentences)


UNTITLED = ("prose", "finding", "key figures")


def _sections(say: Realiser, told: dict[str, str], extras: Sequence[str]) -> str:
    """A line with a heading for each topic that has something to tell."""
    told = told | ({"extra": " ".join(extras)} if extras else {})
    lines = []
    for topic, members in TOPICS.items():
        own = [sentence for item, sentence in told.items() if item in members]
        if own:
            lines.append(f"{say(topic, HEADINGS[topic])}: {' '.join(own)}")
    return "\n".join(lines)


def report_draft(seed: int, number: int, period: Period) -> Draft | None:
    """One report, or None where no wording fits WORDS and LONGEST (twelve are tried)."""
    what = figures(period.orders)
    if what.cost <= 0:
        return None
    for attempt in range(12):
        rng = random.Random(f"{seed} report {number} {attempt}")
        say = Realiser(rng, "report")
        facts = choose_items(rng, period, what)
        if sum(map(len, facts.values())) < 5:
            continue
        form = say("form", list(FORMS))
        items = ["orders", "cost", *say.order("items", list(facts)[2:])]
        instruction = _instruction_to_report(say, period, form, items)
        body = _report_input(say, period, what)
        answer = write_report(say, period, what, form, items)
        words = len(re.findall(r"\w[\w.,'/-]*", answer))
        if WORDS[0] <= words <= WORDS[1] and len(instruction + body + answer) <= LONGEST:
            told = format_facts(fact for item in items for fact in facts[item])
            return _draft(say, "report", instruction, body, answer, told, period.orders[0])
    return None


def _instruction_to_report(say: Realiser, period: Period, form: str, items: list[str]) -> str:
    names = [say(f"?{item}", WANTED[item]) for item in say.order("wanted", items)]
    wanted = ", ".join(names[:-1]) + " and " + names[-1]
    texts = {"subject": period.subject, "label": period.label, "wanted": wanted}
    demand = say("demand", REPORT_DEMANDS, **texts)
    shape = say("shape", FORMS[form], first=WANTED[items[2]][0])
    return f"{demand} {shape}"


def _report_input(say: Realiser, period: Period, what: Figures) -> str:
    """The orders themselves where they are few, otherwise their figures."""
    if len(period.orders) > MANY:
        return show_figures(say, period, what)
    title = f"{_title(period)}. Type PM01 (repair) unless marked; PM02: replacement."
    return show_orders(say, title, period.orders, with_system=not period.system)


def report_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """A report for each period that gives at least five facts and fits."""
    drafts = (report_draft(seed, i, period) for i, period in enumerate(periods(orders)))
    return [draft for draft in drafts if draft]


def _draft(
    say: Realiser, task: str, instruction: str, body: str, answer: str, facts: str, order: Order
) -> Draft:
    record = {
        "instruction": instruction,
        "input": body,
        "output": answer,
        "task": task,
        "document": "maintenance_log",
        "source": f"excavator {order.asset}",
        "group": order.group,
        "facts": facts,
    }
    return Draft(record, say.template)


# ---------------------------------------------------------------------------------------------
# Questions
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A question with exactly one answer: its kind, the words to fill in, and the facts."""

    kind: str
    values: dict[str, str]
    facts: tuple[Fact, ...]


ASK = {
    "count system": (
        "How many of these orders name {label} as system?",
        "Count the orders filed under {label}.",
        "In how many orders is {label} the system, alone or with another?",
        "How often does {label} occur as a system?",
        "What is the number of work orders for the system {label}?",
    ),
    "count mode": (
        "How many orders have the failure mode {mode}?",
        "Count the orders with {mode} as failure mode.",
        "In how many cases is the failure mode {mode}?",
        "How often was {mode} recorded as failure mode?",
    ),
    "costliest": (
        "Which order was the costliest?",
        "What was the most expensive job, and what did it cost?",
        "Name the work order with the highest cost.",
        "Where was the most money spent in a single order?",
        "Which entry has the largest cost?",
    ),
    "cost system": (
        "What did the orders filed under {label} cost in total?",
        "Add up the cost of all orders that name {label} as system.",
        "How much was spent on {label}, going by the named systems?",
        "What is the total for the system {label} in AUD?",
    ),
    "cost all": (
        "What do these orders cost altogether?",
        "Add up the costs. What is the total?",
        "How much was spent in all on these orders?",
        "What is the sum of the costs in AUD?",
    ),
    "latest": (
        "When was the latest order filed under {label}?",
        "On which date does {label} appear for the last time as a system?",
        "Give the date of the most recent order for the system {label}.",
        "Going by these orders, when did the system {label} last need work?",
    ),
    "gap": (
        "How many days lie between the first and the last order with failure mode {mode}?",
        "From the first to the last {mode} (failure mode): how many days?",
        "How many days after the first order with failure mode {mode} was the last one booked?",
        "How long, in days, is it from the earliest to the latest failure of mode {mode}?",
    ),
    "top system": (
        "Which system is named most often?",
        "Which system recurs most?",
        "What system do the orders name more often than any other?",
        "Of the systems named, which is the most frequent?",
    ),
    "top mode": (
        "Which failure mode is the most frequent?",
        "What failure mode occurs most often here?",
        "Which way of failing do the orders record most?",
        "Name the commonest failure mode.",
    ),
    "done": (
        "What was done to the {thing}?",
        "{Was} the {thing} repaired or replaced, and when?",
        "Which work was ordered on the {thing}?",
        "What does the log say was done about the {thing}, and on what date?",
        "Repair or replacement: which was it for the {thing}?",
    ),
    "above": (
        "How many orders cost more than {limit} AUD?",
        "Count the orders above {limit} AUD.",
        "In how many cases was the cost higher than {limit} AUD?",
        "How many of the jobs went over {limit} AUD?",
    ),
    "free": (
        "How many orders were booked at no cost?",
        "Count the orders with a cost of 0 AUD.",
        "For how many of the orders is no cost shown (0 AUD)?",
    ),
    "span": (
        "How many days passed between the first and the last order shown?",
        "How many days lie between the earliest and the latest order date?",
        "How many days after the first order was the last one booked?",
        "From first to last date: how many days is that?",
    ),
    "dearest": (
        "Which system cost the most in total?",
        "On which named system was the most money spent?",
        "Add up the cost by system: which system comes out highest?",
        "Which of the systems was the most expensive, all its orders together?",
    ),
    "share": (
        "What percentage of the orders name {label} as system?",
        "What share of these orders is filed under {label}, in %?",
        "How large is the share of the system {label} among the orders, in per cent?",
    ),
    "difference": (
        "How much more did {a} cost than {b}?",
        "By how many AUD does the cost of {a} exceed that of {b}?",
        "What is the cost difference between {a} and {b}?",
    ),
    "longest": (
        "What was the longest gap, in days, between two consecutive order dates?",
        "Between which two consecutive order dates is the gap longest, and how many days is it?",
        "How long was the longest quiet period between two order dates, in days?",
    ),
}
TELL = {
    "count system": (
        "{System} came up in {count}.",
        "{count} named {system} as system.",
        "The log has {count} filed under {system}.",
        "Filed under {system}: {count}.",
    ),
    "count mode": (
        "The failure mode {mode} was recorded in {count}.",
        "{count} had the failure mode {mode}.",
        "With failure mode {mode} there was a total of {count}.",
        "Recorded as {mode}: {count}.",
    ),
    "costliest": (
        'The costliest order was "{text}" on {date}, at {cost} AUD.',
        '"{text}" ({date}) had the highest cost, {cost} AUD.',
        'It was "{text}", booked on {date} for {cost} AUD.',
        'The largest cost, {cost} AUD, belongs to "{text}" of {date}.',
    ),
    "cost system": (
        "The orders filed under {system} cost {cost} AUD in total.",
        "{cost} AUD was spent on {system} in {count}.",
        "{System} came to {cost} AUD, the sum of {count}.",
        "In total {cost} AUD, from {count} that named {system}.",
    ),
    "cost all": (
        "The {n} orders cost {cost} AUD altogether.",
        "The total is {cost} AUD for {n} orders.",
        "Together they come to {cost} AUD.",
        "{cost} AUD was spent in all.",
    ),
    "latest": (
        "The latest order for {system} is dated {date}.",
        "{System} last came up on {date}.",
        "On {date}; no later order shown names {system}.",
        "The most recent entry for {system} is that of {date}.",
    ),
    "gap": (
        "{days} lie between the first order with failure mode {mode} ({begin}) and the last "
        "({end}).",
        "The failure mode {mode} was first recorded on {begin} and last on {end}, {days} later.",
        "From {begin} to {end}, so {days}.",
        "It is {days} from {begin} to {end}, the first and last dates with {mode}.",
    ),
    "top system": (
        "{System} came up most often, in {count}.",
        "The most frequent system is {system} with {count}.",
        "It is {system}, with {count}.",
        "{count} named {system}, more than any other system.",
    ),
    "top mode": (
        "{mode} is the most frequent failure mode, with {count}.",
        "The failure mode recorded most often is {mode} ({count}).",
        "It is {mode}, recorded in {count}.",
        "{count} recorded {mode}, more than any other failure mode.",
    ),
    "done": (
        "The {thing} {was} {done} under the order of {date}.",
        "According to the order of {date}, the {thing} {was} {done}.",
        '{Done}: the order of {date} reads "{text}".',
        'The order "{text}" of {date} says that the {thing} {was} to be {done}.',
    ),
    "above": (
        "{count} cost more than {limit} AUD.",
        "There was a total of {count} above {limit} AUD.",
        "The limit of {limit} AUD was exceeded by {count}.",
        "More than {limit} AUD was charged to {count}.",
    ),
    "free": (
        "{count} came at no cost.",
        "No cost was booked to {count}.",
        "A cost of 0 AUD is shown for {count}.",
        "The log shows 0 AUD for {count}.",
    ),
    "span": (
        "The orders run from {begin} to {end}, which is {days}.",
        "{days} passed between the first order ({begin}) and the last ({end}).",
        "The last order, of {end}, was booked {days} after the first, of {begin}.",
        "From {begin} to {end} it is {days}.",
    ),
    "dearest": (
        "{System} cost the most, {cost} AUD in total.",
        "The highest total is that of {system}, {cost} AUD.",
        "Most was spent on {system}: {cost} AUD.",
        "It is {system}, whose orders add up to {cost} AUD.",
    ),
    "share": (
        "{share} % of the orders name {system}, {k} of {n}.",
        "{System} came up in {k} of {n} orders, or {share} %.",
        "The share of {system} is {share} % ({k} of {n}).",
        "With {k} of {n} orders, {system} had a share of {share} %.",
    ),
    "difference": (
        "{A} cost {difference} AUD more than {b}: {cost_a} against {cost_b} AUD.",
        "The difference is {difference} AUD, {cost_a} for {a} less {cost_b} for {b}.",
        "By {difference} AUD, since {a} cost {cost_a} AUD and {b} {cost_b} AUD.",
    ),
    "longest": (
        "The longest gap was {days}, from {begin} to {end}.",
        "It was {days}: after {begin} the next order date is {end}.",
        "The longest gap lies between {begin} and {end}: {days}.",
    ),
}
FRAMES = (
    "{question}",
    "{question} Answer in one sentence.",
    "Use the data below. {question}",
    "{question} Go by the log only.",
    "Question on the maintenance log: {question}",
)
# An order that says nothing but "replace/repair THING", so that the answer is in the text.
SIDES = r"l/h|r/h|lh|rh|lhs|rhs|left|right|hand|u/s|broken|faulty|blown|cracked|worn|damaged"
DONE = re.compile(
    rf"(?P<verb>replaced?|change ?out|repair|fix|swap|reweld|weld) (?:(?:{SIDES}) )*"
    r"(?P<thing>[a-z]{3,}(?: [a-z]{3,}){0,2})[. ]*",
    re.IGNORECASE,
)
VERBS = {"repair": "repaired", "fix": "repaired", "reweld": "rewelded", "weld": "welded"}
NO_THING = re.compile(
    r"\b(and|with|for|the|from|not|out|all|new|that|off|has|per|leak\w*|faults?|damage|system|broken"
    r"|worn|cracks?|cracked|missing|loose|hand|side|stop|down|problem|some|various|under|near"
    r"|around|into|due|hrs|please|on|in|at|to|of|completed|warranty|text|see|repairs?|done"
    r"|lost|chipped|mis\w*|split|bent|charging|lts|defects|error|one|both|circuit|blown|ryco|dungs"
    r"|dipstik|snsor|rhs|lhs|right|left|first|com|comm)\b"
)


def questions(orders: Sequence[Order]) -> list[Question]:
    """Every question that these orders answer in one way only."""
    what = figures(orders)
    asked = _about_systems(orders, what) + _about_modes(orders, what)
    asked += _about_costs(orders, what) + _about_dates(orders) + _about_work(orders)
    return asked


def _counted(n: int) -> tuple[str, Fact]:
    """A number of orders as words and as the fact that the answer must state."""
    unit = "work order" if n == 1 else "work orders"
    return f"{n} {unit}", Fact("answer", str(n), unit)


def _about_systems(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for system, (n, cost) in what.systems.items():
        count, counted = _counted(n)
        last = str(max(order.date for order in orders if system in order.systems))
        share = decimal(100 * n, what.orders)
        values = {"label": system, "system": f"the {noun(system)}", "count": count, "date": last}
        values |= {"System": f"The {noun(system)}", "cost": str(cost), "share": share}
        values |= {"k": str(n), "n": str(what.orders)}
        found = {"count system": counted, "latest": Fact("answer", last)}
        if n < what.orders:
            found["share"] = Fact("answer", share, "%")
        if n > 1:
            found["cost system"] = Fact("answer", str(cost), "AUD")
        asked += [Question(kind, values, (fact,)) for kind, fact in found.items()]
        if system == what.top_system:
            facts = (Fact("answer", system), Fact("occurrences", *count.split(" ", 1)))
            asked.append(Question("top system", values, facts))
    return asked


def _about_modes(orders: Sequence[Order], what: Figures) -> list[Question]:
    asked = []
    for mode, n in what.modes.items():
        count, counted = _counted(n)
        days = [order.date for order in orders if mode in order.modes]
        between = (max(days) - min(days)).days
        values = {"mode": mode, "count": count, **_span(min(days), max(days))}
        asked.append(Question("count mode", values, (counted,)))
        if between > 1:
            asked.append(Question("gap", values, (Fact("answer", str(between), "d"),)))
        if mode == what.top_mode:
            facts = (Fact("answer", mode), Fact("occurrences", *count.split(" ", 1)))
            asked.append(Question("top mode", values, facts))
    return asked


def _span(begin: date, end: date) -> dict[str, str]:
    days = f"{(end - begin).days} days"
    return {"begin": str(begin), "end": str(end), "days": days}


def _about_costs(orders: Sequence[Order], what: Figures) -> list[Question]:
    total = {"cost": str(what.cost), "n": str(what.orders)}
    asked = [Question("cost all", total, (Fact("answer", str(what.cost), "AUD"),))]
    top = what.costliest
    if top and re.match(r"[A-Za-z]", top.text):
        text = top.text.rstrip(" .,")
        values = {"text": text, "date": str(top.date), "cost": str(top.cost)}
        facts = (Fact("answer", text), Fact("cost", str(top.cost), "AUD"))
        asked.append(Question("costliest", values, facts))
    if what.free:
        count, counted = _counted(what.free)
        asked.append(Question("free", {"count": count}, (counted,)))
    for limit in (100, 250, 500, 1000, 2000, 5000):
        above = sum(order.cost > limit for order in orders)
        if 0 < above < len(orders):
            count, counted = _counted(above)
            asked.append(Question("above", {"count": count, "limit": str(limit)}, (counted,)))
    return asked + _between_systems(what)


def _between_systems(what: Figures) -> list[Question]:
    """The dearest system, and the two dearest compared; not where two cost the same."""
    ranked = sorted(((cost, name) for name, (_, cost) in what.systems.items()), reverse=True)
    if len(ranked) < 2 or ranked[0][0] == ranked[1][0]:
        return []
    (cost, first), (less, second) = ranked[:2]
    values = {"system": f"the {noun(first)}", "System": f"The {noun(first)}", "cost": str(cost)}
    facts = (Fact("answer", first), Fact("cost", str(cost), "AUD"))
    asked = [Question("dearest", values, facts)]
    if less > 0:
        values = {"a": f"the {noun(first)}", "A": f"The {noun(first)}", "b": f"the {noun(second)}"}
        values |= {"cost_a": str(cost), "cost_b": str(less), "difference": str(cost - less)}
        fact = Fact("answer", str(cost - less), "AUD")
        asked.append(Question("difference", values, (fact,)))
    return asked


def _about_dates(orders: Sequence[Order]) -> list[Question]:
    days = sorted({order.date for order in orders})
    between = (days[-1] - days[0]).days
    asked = []
    if between > 1:
        values = _span(days[0], days[-1])
        asked.append(Question("span", values, (Fact("answer", str(between), "d"),)))
    gaps = sorted(((b - a).days, a, b) for a, b in zip(days, days[1:], strict=False))
    if len(gaps) > 1 and gaps[-1][0] > max(1, gaps[-2][0]):
        length, begin, end = gaps[-1]
        fact = Fact("answer", str(length), "d")
        asked.append(Question("longest", _span(begin, end), (fact,)))
    return asked


def _about_work(orders: Sequence[Order]) -> list[Question]:
    """What was done to a thing; asked where one order alone speaks of it, and says it plainly."""
    asked = []
    for order in orders:
        match = DONE.fullmatch(order.text)
        thing = match["thing"].lower() if match else ""
        if not thing or NO_THING.search(thing):
            continue
        others = " ".join(normalise(other.text) for other in orders if other is not order)
        if any(word.rstrip("s") in others for word in thing.split()):
            continue
        done = VERBS.get(match["verb"].lower(), "replaced")
        plural = thing.endswith("s") and not thing.endswith("ss")
        values = {
            "thing": thing,
            "done": done,
            "Done": _upper(done),
            "date": str(order.date),
            "text": order.text,
        }
        values |= {"was": "were" if plural else "was", "Was": "Were" if plural else "Was"}
        facts = (Fact("answer", done), Fact("date", str(order.date)))
        asked.append(Question("done", values, facts))
    return asked


# Kinds that a table of figures answers too.
FROM_FIGURES = {
    *("count system", "share", "cost system", "top system", "count mode", "top mode"),
    *("costliest", "dearest", "difference"),
}
EXTRACTS = (
    "{Name}, {period}, from the work order log",
    "Maintenance log, {name}, {period} (extract)",
    "{Name}: some work orders of {period}",
    "Work orders of {name}, {period}, consecutive entries",
)


def qa_drafts(orders: Sequence[Order], seed: int) -> list[Draft]:
    """One question for each extract of 5 to 10 orders, and for some months one on the figures.

    Of the questions that an extract answers, one of the kind asked least so far is taken.
    """
    asked: Counter = Counter()
    drafts = []
    for number, extract in enumerate(extracts(orders, random.Random(f"{seed} extracts"))):
        rng = random.Random(f"{seed} qa {number}")
        say = Realiser(rng, "qa")
        question = _least_asked(rng, asked, questions(extract))
        name, _, period = extract[0].group.rpartition(" ")
        title = say("title", EXTRACTS, name=name, Name=_upper(name), period=period)
        body = show_orders(say, title, extract, with_system=True)
        drafts.append(_qa_draft(say, question, body, extract[0]))
    months = [p for p in periods(orders) if len(p.orders) > MANY and p.during.startswith("in ")]
    for number, period in enumerate(months):
        rng = random.Random(f"{seed} qa figures {number}")
        what = figures(period.orders)
        possible = [q for q in questions(period.orders) if q.kind in FROM_FIGURES]
        if len(what.systems) <= 5 and len(what.modes) <= 4 and possible:
            say = Realiser(rng, "qa")
            body = show_figures(say, period, what)
            question = _least_asked(rng, asked, possible)
            drafts.append(_qa_draft(say, question, body, period.orders[0]))
    return drafts


def extracts(orders: Sequence[Order], rng: random.Random) -> list[list[Order]]:
    """Runs of 5 to 10 consecutive orders of one group; they overlap by about half."""
    members: dict[str, list[Order]] = {}
    for order in orders:
        members.setdefault(order.group, []).append(order)
    runs = []
    for own in members.values():
        start = 0
        while start + 5 <= len(own):
            run = own[start : start + rng.randint(5, 10)]
            runs.append(run)
            start += rng.randint(3, 5)
    return runs


def _least_asked(rng: random.Random, asked: Counter, possible: list[Question]) -> Question:
    fewest = min(asked[question.kind] for question in possible)
    question = rng.choice([q for q in possible if asked[q.kind] == fewest])
    asked[question.kind] += 1
    return question


def _qa_draft(say: Realiser, question: Question, body: str, order: Order) -> Draft:
    kind = question.kind
    text = say(f"{kind}?", ASK[kind], **question.values)
    instruction = say("frame", FRAMES, question=text)
    answer = _upper(say(f"{kind}=", TELL[kind], **question.values))
    return _draft(say, "qa", instruction, body, answer, format_facts(question.facts), order)


# ---------------------------------------------------------------------------------------------
# All
# ---------------------------------------------------------------------------------------------


def maintenance_drafts(seed: int) -> list[Draft]:
    """All records of the kind `maintenance_log`: understanding, report, qa. Same seed, same list.

    The work orders must be prepared (`sources.is_prepared`) or reachable.
    """
    table = load_work_orders()
    orders = read_orders(table)
    drafts = understanding_drafts(table, seed)
    drafts += report_drafts(orders, seed) + qa_drafts(orders, seed)
    return without_near_copies(drafts)
