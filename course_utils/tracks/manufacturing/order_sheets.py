"""How work orders and their figures are shown: line by line, or as table, text or JSON.

The words: data/wordings/manufacturing/order_sheets.yaml.
"""

import json
from collections.abc import Sequence

from course_utils.tracks.manufacturing.order_periods import Period
from course_utils.tracks.manufacturing.orders import Figures, Order
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_sheets")


def show_orders(say: Realiser, heading: str, orders: Sequence[Order], with_system: bool) -> str:
    """A title, the columns, and a line for each order; types other than PM01 are marked."""
    columns = SAY.phrase("columns", "with_system" if with_system else "without_system")
    kept = {name: f"{{{name}}}" for name in ("date", "text", "labels", "cost")}  # filled below
    header, line = say("lines", SAY["lines"], columns=columns, **kept).split("\n")
    lines = [heading, header]
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
    rows += [(SAY.phrase("no_system"), *what.unnamed)] if what.unnamed[0] else []
    modes = list(what.modes.items())[:4]
    show = (_as_table, _as_text, _as_json)[int(say("figures", ["0", "1", "2"]))]
    return show(period, _head(what), rows, modes, costly)


def _head(what: Figures) -> dict[str, str]:
    """The single figures; a report needs the failure dates for the mean time between failures."""
    types = SAY["order_types"]
    codes = ", ".join(f"{types.get(code, [code])[0]} {n}" for code, n in what.codes.items())
    head = {"orders": f"{what.orders} ({codes})", "cost": str(what.cost)}
    head |= {"free": str(what.free)} if what.free else {}
    head |= {"credits": str(-what.credits)} if what.credits else {}
    if what.failure_dates:
        dates = {"first": what.failure_dates[0], "last": what.failure_dates[-1]}
        count = len(what.failure_dates)
        head["failure_dates"] = SAY.phrase("failure_dates", count=count, **dates)
    return {SAY.phrase("figures", name): value for name, value in head.items()}


def _as_table(period: Period, head: dict, rows: list, modes: list, costly: list) -> str:
    lines = [title(period), *(f"{name}: {value}" for name, value in head.items())]
    lines += [SAY.phrase("table", "systems")]
    lines += [f"{name} | {n} | {cost}" for name, n, cost in rows]
    if modes:
        lines += [SAY.phrase("table", "modes"), *(f"{name} | {n}" for name, n in modes)]
    lines += [SAY.phrase("table", "costliest")]
    return "\n".join([*lines, *(f"{o.date} | {o.text} | {o.cost}" for o in costly)])


def _as_text(period: Period, head: dict, rows: list, modes: list, costly: list) -> str:
    told = ". ".join(f"{name}: {value}" for name, value in head.items())
    lists = {
        "systems": ", ".join(f"{name} {n} ({cost} AUD)" for name, n, cost in rows),
        "modes": ", ".join(f"{name} {n}" for name, n in modes),
        "costliest": ", ".join(f'{o.cost} "{o.text}" {o.date}' for o in costly),
    }
    lines = [SAY.phrase("text", name, list=text) for name, text in lists.items() if text]
    return "\n".join([f"{title(period)}. {told}.", *lines])


def _as_json(period: Period, head: dict, rows: list, modes: list, costly: list) -> str:
    blocks = {
        "asset": period.subject,
        "period": period.label,
        **head,
        "systems": {name: {"orders": n, "AUD": cost} for name, n, cost in rows},
        "failure modes": dict(modes),
        "costliest": [[str(o.date), o.text, o.cost] for o in costly],
    }
    return json.dumps({name: value for name, value in blocks.items() if value})


def title(period: Period) -> str:
    """Machine and time, above orders or figures."""
    return SAY.phrase("title", Subject=capital(period.subject), label=period.label)


def draft(
    say: Realiser, task: str, instruction: str, body: str, answer: str, facts: str, order: Order
) -> Draft:
    """A record on the maintenance log."""
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
