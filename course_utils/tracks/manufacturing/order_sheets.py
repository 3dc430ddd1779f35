"""How work orders and their figures are shown: line by line, or as table, text or JSON.

The words: data/wordings/manufacturing/order_sheets.yaml.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence

from course_utils.tracks.manufacturing.order_items import WATCHED, money
from course_utils.tracks.manufacturing.order_periods import Period, months_of
from course_utils.tracks.manufacturing.orders import Figures, Order
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("manufacturing/order_sheets")

LONGEST = 620  # tokens of a record, by estimate
# Block of a sheet of figures -> its rows: name, and figures by their heads. In the block without
# a name each figure stands alone.
Blocks = dict[str, dict[str, dict[str, object] | str]]


def show_orders(
    say: Realiser,
    heading: str,
    orders: Sequence[Order],
    with_system: bool = True,
    rules: bool = True,
) -> str:
    """A title, the rules of reckoning, the columns, and a line for each order."""
    columns = SAY.phrase("columns", "with_system" if with_system else "without_system")
    kept = {name: f"{{{name}}}" for name in ("date", "code", "text", "labels", "cost")}
    header, line = say("lines", SAY["lines"], columns=columns, **kept).split("\n")
    lines = [heading, *([say("rules", SAY["rules"])] if rules else []), header]
    for order in orders:
        labels = [" + ".join(order.systems) or "-"] * with_system + [" + ".join(order.modes) or "-"]
        values = {"date": order.date, "code": order.code, "text": order.text, "cost": order.cost}
        lines.append(line.format(labels=" | ".join(labels), **values))
    return "\n".join(lines)


def show_figures(say: Realiser, period: Period, what: Figures, asked: Collection[str]) -> str:
    """The figures of a period as a table, as lines of text, or as JSON, in a drawn order.

    Which name comes first, a reader finds out himself. Months and costly orders stand there where
    they are asked about (`busiest`, `costliest`), or by chance.
    """
    shown = {name for name in ("busiest", "costliest") if name in asked or say.rng.random() < 0.4}
    blocks = _blocks(period, what, shown)
    figures = _single_figures(what)
    names = say.order("blocks", list(blocks))
    # Most that is asked for stands alone: never on top, or whoever copies a beginning had it.
    names.insert(say.rng.randint(1, len(names)), "")
    blocks[""] = {name: figures[name] for name in say.order("figures", list(figures))}
    blocks = {name: blocks[name] for name in names}
    show = (_as_table, _as_text, _as_json)[int(say("layout", ["0", "1", "2"]))]
    rules = [say("types", SAY["types"])]
    rules += [say("watch", SAY["watch"], share=WATCHED)] if "watch" in asked else []
    return show(title(period), " ".join(rules), blocks)


def _single_figures(what: Figures) -> dict[str, str]:
    """The figures that stand alone, by what they are called."""
    figures = {"orders": str(what.orders)}
    for name, code in (("unplanned", "PM01"), ("planned", "PM02")):
        if what.codes.get(code):
            figures[name] = SAY.phrase("counted", n=what.codes[code], share=what.share(code))
    figures |= {"cost": f"{what.cost} AUD", "mean": f"{money(what.cost, what.orders)} AUD"}
    figures |= {"median": f"{what.median} AUD", "above": str(what.above(1000))}
    figures |= {"free": str(what.free)} if what.free else {}
    figures |= {"credits": f"{what.credits} AUD"} if what.credits else {}
    if what.between:
        first, last, count = what.pm01_dates[0], what.pm01_dates[-1], len(what.pm01_dates)
        figures["dates"] = SAY.phrase("dates", count=count, first=first, last=last)
        figures["between"] = f"{what.between} days"
    return {SAY.phrase("figures", name): value for name, value in figures.items()}


def _blocks(period: Period, what: Figures, shown: Collection[str]) -> Blocks:
    """Systems, failure modes, months and costly orders; names in the order of the alphabet."""
    heads = SAY["heads"]
    orders, share, cost = (heads[name][0] for name in ("orders", "share", "cost"))
    systems = {
        name: {orders: n, share: float(what.share_of(n)), cost: aud}
        for name, (n, aud) in sorted(what.systems.items())
    }
    if what.unnamed[0]:
        systems[SAY.phrase("no_system")] = {orders: what.unnamed[0], cost: what.unnamed[1]}
    modes = {
        name: {orders: n, share: float(what.share_of(n))} for name, n in sorted(what.modes.items())
    }
    months = months_of(period) if "busiest" in shown else {}
    months = {name: {orders: n} for name, n in months.items()}
    dearest = sorted(period.orders, key=lambda order: -order.cost)
    some = sorted(dearest[:3], key=lambda order: order.date) if "costliest" in shown else []
    costly: dict[str, dict[str, object]] = {}
    for order in some:
        label = f'"{order.text}", {order.date}'
        costly[f"{label} again" if label in costly else label] = {cost: order.cost}
    blocks = {"systems": systems, "modes": modes, "months": months, "costliest": costly}
    return {SAY.phrase("blocks", name): rows for name, rows in blocks.items() if rows}


def _as_table(title: str, rules: str, blocks: Blocks) -> str:
    lines = [title, rules]
    for name, rows in blocks.items():
        if not name:
            lines += [f"{label}: {value}" for label, value in rows.items()]
            continue
        heads = list(dict.fromkeys(head for row in rows.values() for head in row))
        lines.append(" | ".join([name, *heads]))
        for label, row in rows.items():
            lines.append(" | ".join([label, *(str(row.get(head, "-")) for head in heads)]))
    return "\n".join(lines)


def _as_text(title: str, rules: str, blocks: Blocks) -> str:
    lines = [f"{title}. {rules}"]
    for name, rows in blocks.items():
        if not name:
            told = "; ".join(f"{label} {value}" for label, value in rows.items())
            lines.append(f"{capital(told)}.")
            continue
        parts = (f"{label} ({_cells(row)})" for label, row in rows.items())
        lines.append(f"{capital(name)}: {', '.join(parts)}.")
    return "\n".join(lines)


def _cells(row: dict[str, object]) -> str:
    return ", ".join(f"{head} {value}" for head, value in row.items())


def _as_json(title: str, rules: str, blocks: Blocks) -> str:
    content: dict[str, object] = {"log": title, "rules": rules}
    for name, rows in blocks.items():
        content |= {name: rows} if name else rows
    return json.dumps(content, ensure_ascii=False)


def title(period: Period) -> str:
    """Machine and time, above orders or figures."""
    return SAY.phrase("title", Subject=capital(period.subject), label=period.label)


def draft(
    say: Realiser, task: str, form: str, texts: tuple[str, str, str], facts: str, order: Order
) -> Draft:
    """A record on the maintenance log; `texts` are instruction, input and output."""
    instruction, body, answer = texts
    record = {
        "instruction": instruction,
        "input": body,
        "output": answer,
        "task": task,
        "document": "maintenance_log",
        "form": form,
        "source": f"excavator {order.asset}",
        "group": order.group,
        "facts": facts,
    }
    return Draft(record, say.template)


def tokens_about(record: Mapping[str, str]) -> int:
    """Tokens of a record: SmolLM2's tokenizer comes within 40 of it, and is not needed.

    Least squares over 750 reports: a digit costs more than a token, since a space before it is one.
    """
    text = record["instruction"] + record["input"] + record["output"]
    digits, rare = len(re.findall(r"\d", text)), len(re.findall(r"[^a-z\d\s]", text))
    return round(26 + 1.33 * digits + 0.41 * rare + 0.235 * (len(text) - digits - rare))
