"""`course data gold`: how far the readers of the gold orders agree, and how right labels are."""

from dataclasses import asdict
from itertools import compress
from operator import and_
from typing import Annotated, Any

import typer

from course_utils import gold, gold_scores, sources
from course_utils.console import print_json
from course_utils.order_fields import Labels, within_closed_set
from course_utils.order_labels import apply_rules
from course_utils.splits import normalise


def mount(app: typer.Typer) -> None:
    """Add `gold` to the `course data` commands."""
    app.command("gold", epilog="Example:  course data gold --json")(data_gold)


def data_gold(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Gold work orders: how far two readers agree, and how right the silver labels are.

    Each was labelled twice after data/gold/guideline.md, and none is for training. A model that
    only repeats the labels it was trained on gets no further than they do.
    """
    orders = gold.read_gold()
    summary = {
        "orders": len(orders),
        "differed": sum(order.differed for order in orders),
        "mended": sum(order.mended for order in orders),
        "agreement": [asdict(row) for row in gold_scores.agreement(orders)],
        "against_gold": labels_against_gold(orders),
    }
    if as_json:
        print_json(summary)
        return
    print("\n".join([*agreement_lines(summary), "", *score_lines(summary["against_gold"])]))
    print(f"Gold: {gold.FILE}")


def labels_against_gold(orders: list[gold.GoldOrder]) -> dict[str, dict[str, Any]]:
    """Published labels and our rules, scored against gold.

    Silver is the rules' labels of the orders that cleaning keeps to be trained on (it would, if
    they were not gold); strong silver those that the table labels alike.
    """
    table = sources.load_work_orders()
    texts = gold.texts_of(orders, table)
    published = gold.published_labels(orders, table)
    ruled = [apply_rules(text) for text in texts]
    every = sources.table_says(table)
    said = [every[normalise(text)] for text in texts]
    sure = [not one for one in map(sources.is_doubtful, ruled, said)]
    strong = list(map(sources.is_strong, ruled, said))
    everything = [True] * len(orders)
    rows: dict[str, tuple[list[Labels], list[bool]]] = {
        "published, all values": (published, everything),
        "published, closed set": (list(map(within_closed_set, published)), everything),
        "our rules, all orders": (ruled, everything),
        "silver: trained on": (ruled, sure),
        "strong silver of it": (ruled, list(map(and_, sure, strong))),
    }
    return {
        name: gold_scores.score(list(compress(labels, chosen)), list(compress(orders, chosen)))
        for name, (labels, chosen) in rows.items()
    }


def agreement_lines(summary: dict[str, Any]) -> list[str]:
    """The table of agreement, with how many orders had to be settled."""
    lines = [
        f"Two readings by a language model, {summary['orders']} orders: {summary['differed']} "
        f"settled where they differed, {summary['mended']} mended where both did.",
        f"{'field':<14}{'values':>8}{'kappa':>8}{'F1':>8}{'same':>8}",
    ]
    for row in summary["agreement"]:
        kappa = "-" if row["kappa"] is None else f"{row['kappa']:.3f}"
        lines.append(
            f"{row['field']:<14}{row['values']:>8}{kappa:>8}{row['f1']:>8.3f}{row['same']:>8.3f}"
        )
    return lines


def score_lines(against: dict[str, dict[str, Any]]) -> list[str]:
    """F1 of each set of labels: all fields with its interval, then field by field."""
    fields = [name for name in next(iter(against.values()))["f1"] if name != "all"]
    head = f"{'F1 against gold':<23}{'orders':>7}  {'all fields (95 %)':<19}"
    lines = [head + "".join(f"{field:>{len(field) + 2}}" for field in fields) + f"{'exact':>7}"]
    for name, row in against.items():
        middle, low, high = (f"{row['f1']['all'][end]:.2f}" for end in ("mean", "low", "high"))
        cells = "".join(f"{row['f1'][field]['mean']:>{len(field) + 2}.2f}" for field in fields)
        lines.append(
            f"{name:<23}{row['orders']:>7}  {f'{middle} ({low} to {high})':<19}{cells}"
            f"{row['exact']:>7.2f}"
        )
    return lines
