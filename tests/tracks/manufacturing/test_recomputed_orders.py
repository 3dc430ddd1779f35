"""Every figure on work orders, reckoned again from the texts of the records: no disagreement.

Nothing here calls a builder. Listed orders are read back from the sheet (order_texts.py), figures
that are given are compared with the table itself, and each line of a working is done again.
"""

import re

import pytest
from order_texts import (
    MONTHS,
    Sums,
    figures_of,
    first,
    listed,
    orders_of_title,
    read_log,
    rounded,
)

from course_utils.facts import parse_facts
from course_utils.tracks.manufacturing.order_records import maintenance_drafts


@pytest.fixture(scope="module")
def records(prepared):
    """The records on the maintenance log of a full build, but for understanding."""
    made = [draft.record for draft in maintenance_drafts(42)]
    return [record for record in made if record["task"] != "understanding"]


@pytest.fixture(scope="module")
def log(prepared):
    return read_log()


def of(records, form):
    found = [record for record in records if record["form"] == form]
    assert len(found) >= 100, form
    return found


def right(record):
    """Fact name -> (value, unit), and the rivals by name."""
    facts = parse_facts(record["facts"])
    return {f.name: (f.value, f.unit) for f in facts}, {f.name: set(f.others) for f in facts}


def shown(record):
    return Sums(listed(record["input"]))


def test_every_sheet_can_be_read_back(records):
    for record in records:
        assert len(listed(record["input"])) >= 4 or figures_of(record["input"])["systems"]


def test_every_listed_order_stands_in_the_table_with_what_its_text_states(records, log):
    for record in records:
        own = {(o.day, o.code, o.text, o.cost): o for o in log[record["source"][-1]]}
        has_system = "system | failure mode" in record["input"]
        for line in listed(record["input"]):
            order = own[line.day, line.code, line.text, line.cost]
            assert set(line.modes) == set(order.modes)
            assert not has_system or set(line.systems) == set(order.systems)


def test_facts_of_reports_with_working_follow_from_the_listed_orders(records):
    for record in of(records, "working shown"):
        sums, (told, others) = shown(record), right(record)
        expected = {
            "total cost": (str(sums.total), "AUD"),
            "mean cost": (sums.mean, "AUD"),
            "share of the costliest order": (rounded(100 * max(sums.costs), sums.total), "%"),
            "share unplanned": (sums.share(len(sums.pm01)), "%"),
            "share at no cost": (sums.share(sums.free), "%"),
            "mean days between PM01 dates": (sums.between, "days"),
        }
        for name, counts in (("system", sums.systems), ("failure mode", sums.modes)):
            if f"most frequent {name}" in told:
                best = first(counts)
                expected[f"most frequent {name}"] = (best, "")
                expected[f"share of that {name.split()[-1]}"] = (sums.share(counts[best]), "%")
                assert others[f"most frequent {name}"] == set(counts) - {best}
        assert {name: expected[name] for name in told} == told


SUM = re.compile(r"(-?\d+) ([+-]) (\d+) = (-?\d+)")
QUOTIENT = re.compile(r"(-?\d+) / (\d+) = (-?[\d.]+)( %)?")


def test_every_line_of_a_working_is_done_right(records):
    lines = 0
    for record in of(records, "working shown"):
        for a, sign, b, total in SUM.findall(record["output"]):
            assert int(a) + int(sign + b) == int(total)
            lines += 1
        for over, under, told, percent in QUOTIENT.findall(record["output"]):
            places = "0.1" if "." in told else "1"
            assert rounded(int(over) * (100 if percent else 1), int(under), places) == told
            lines += 1
    assert lines > 1500


def test_every_figure_of_a_working_is_of_its_orders(records):
    for record in of(records, "working shown"):
        sums, text = shown(record), record["output"]
        running = [sum(sums.costs[: i + 1]) for i in range(sums.n)]
        counts = {sums.n, sums.free, *sums.systems.values(), *sums.modes.values()}
        days = sorted(set(sums.pm01))
        span = [(days[-1] - days[0]).days, len(days), len(days) - 1] if days else []
        known = {*running, *map(abs, sums.costs), *counts, *span, len(sums.pm01), int(sums.mean)}
        told = re.sub(r"\d{4}-\d\d-\d\d|Finding:.*|PM0\d", "", text)
        numbers = set(map(int, re.findall(r"(?<![\d.])\d+(?![\d.]*\d)(?! %)", told)))
        assert numbers <= known, (numbers - known, text)


def given(records):
    found = [record for record in records if not listed(record["input"])]
    assert len(found) >= 300
    return found


def test_a_report_lists_all_orders_of_its_title(records, log):
    for record in of(records, "working shown"):
        of_title = orders_of_title(record["input"].split("\n")[0], log)
        key = lambda order: (order.day, order.code, order.text, order.cost)  # noqa: E731
        assert sorted(map(key, listed(record["input"]))) == sorted(map(key, of_title))


def test_given_figures_are_those_of_the_table(records, log):
    for record in given(records):
        sums, sheet = Sums(orders_of_title(record["input"], log)), figures_of(record["input"])
        codes = [order.code for order in sums.orders]
        ordered, n = sorted(sums.costs), sums.n
        middle = ordered[(n - 1) // 2] + ordered[n // 2]
        expected = {
            "number of orders": str(n),
            "total cost": f"{sums.total} AUD",
            "mean cost of an order": f"{sums.mean} AUD",
            "median cost of an order": f"{rounded(middle, 2, '1')} AUD",
            "orders above 1000 AUD": str(sum(cost > 1000 for cost in sums.costs)),
            "orders at no cost": str(sums.free),
            "credits already taken off": f"{-sum(c for c in sums.costs if c < 0)} AUD",
            "mean days between PM01 dates": f"{sums.between} days",
            "PM01 dates": f"{len(set(sums.pm01))}, {min(sums.pm01)} to {max(sums.pm01)}",
        }
        for name, code in (("unplanned (PM01)", "PM01"), ("planned change-outs (PM02)", "PM02")):
            count = codes.count(code)
            expected[name] = f"{count} ({sums.share(count)} %)"
        told = {name: value for name, value in sheet.items() if isinstance(value, str)}
        told = {name: value for name, value in told.items() if name not in ("log", "rules")}
        assert len(told) >= 6
        assert told == {name: expected[name] for name in told}
        check_blocks(sheet, sums)


def check_blocks(sheet, sums):
    unnamed = [order.cost for order in sums.orders if not order.systems]
    systems = {
        name: {"orders": n, "% of orders": float(sums.share(n)), "AUD": sums.cost_of(name)}
        for name, n in sums.systems.items()
    }
    if unnamed:
        systems["no system named"] = {"orders": len(unnamed), "AUD": sum(unnamed)}
    assert sheet["systems"] == systems
    modes = {
        name: {"orders": n, "% of orders": float(sums.share(n))} for name, n in sums.modes.items()
    }
    assert sheet.get("failure modes", {}) == modes
    if months := sheet.get("months"):
        counts = {MONTHS[m - 1]: 0 for m in sorted({o.day.month for o in sums.orders})}
        for order in sums.orders:
            counts[MONTHS[order.day.month - 1]] += 1
        assert months == {name: {"orders": n} for name, n in counts.items()}
    if costly := sheet.get("the three costliest orders"):
        assert sorted(row["AUD"] for row in costly.values()) == sorted(sums.costs)[-len(costly) :]


def test_facts_of_reports_from_figures_stand_in_the_sheet(records):
    for record in of(records, "figures given"):
        sheet, (told, others) = figures_of(record["input"]), right(record)
        systems = {name: row for name, row in sheet["systems"].items() if "% of orders" in row}
        names = {
            "most frequent system": (systems, "orders", "orders of that system"),
            "costliest system": (systems, "AUD", "cost of that system"),
            "most frequent failure mode": (
                sheet.get("failure modes", {}),
                "orders",
                "orders of that mode",
            ),
            "busiest month": (sheet.get("months", {}), "orders", "orders of that month"),
        }
        for name, (rows, head, figure) in names.items():
            if name in told:
                best = first({label: row[head] for label, row in rows.items()})
                assert told[name][0] == best
                assert int(told[figure][0]) == rows[best][head]
                assert others[name] == set(rows) - {best}
        if "watch list" in told:
            watched = {name for name, row in systems.items() if row["% of orders"] >= 20}
            assert set(told["watch list"][0].split(" & ")) == watched
            assert others["watch list"] == set(systems) - watched
        if "highest cost" in told:
            costs = [row["AUD"] for row in sheet["the three costliest orders"].values()]
            assert int(told["highest cost"][0]) == max(costs)
        plain = {
            "number of orders": sheet["number of orders"],
            "total cost": sheet["total cost"].split()[0],
            "mean cost": sheet["mean cost of an order"].split()[0],
            "share unplanned": re.findall(r"[\d.]+", sheet.get("unplanned (PM01)", "0 0"))[1],
            "planned change-outs": sheet.get("planned change-outs (PM02)", "").split(" ")[0],
            "orders at no cost": sheet.get("orders at no cost"),
            "mean days between PM01 dates": sheet.get(
                "mean days between PM01 dates", ""
            ).removesuffix(" days"),
        }
        assert {name: told[name][0] for name in plain if name in told} == {
            name: plain[name] for name in plain if name in told
        }


def test_a_sheet_of_figures_holds_many_that_are_not_asked_for(records):
    for record in of(records, "figures given"):
        undated = re.sub(r"\d{4}-\d\d-\d\d", "", record["input"])
        assert len(re.findall(r"(?<![\d-])\d+(?:\.\d+)?", undated)) >= 20
        assert 4 <= len(parse_facts(record["facts"])) <= 6


def test_a_report_tells_no_date_that_its_input_does_not_hold(records):
    for record in records:
        dates = set(re.findall(r"\d{4}-\d\d-\d\d", record["output"]))
        assert dates <= set(re.findall(r"\d{4}-\d\d-\d\d", record["input"]))


def test_nothing_calls_the_types_of_order_repair_or_replacement(records):
    for record in records:
        text = record["instruction"] + record["output"]
        assert not re.search(r"PM0[12] ?\(?rep|(repair|replacement)s? \(?PM0", text, re.I)
        assert "between failures" not in text
