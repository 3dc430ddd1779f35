"""Work orders to be turned into JSON: the cleaned orders, asked for in many wordings.

The sentences: data/wordings/manufacturing/order_extraction.yaml.
"""

import random
from datetime import date
from typing import TYPE_CHECKING

from course_utils.gold import gold_group
from course_utils.records import normalise
from course_utils.sources import clean_work_orders
from course_utils.tracks.manufacturing.orders import group_name
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

if TYPE_CHECKING:
    import pandas

SAY = Wordings("manufacturing/order_extraction")


def instruction_to_extract(say: Realiser) -> str:
    """One of 384 ways to ask for the JSON record of a work order."""
    only = say("only", SAY["remark"])
    keys = say("keys", SAY["keys"])
    demand = say("demand", SAY["demand"], keys=keys)
    return " ".join(say.order("first", [demand, only]))


def understanding_drafts(table: "pandas.DataFrame", seed: int) -> list[Draft]:
    """The cleaned work orders with an instruction in many wordings: the gold ones, then the silver.

    The group is that of the first order with the text: asset and quarter. A gold order's group is
    one of its own (`gold.is_gold`), since 101 of 115 quarters have a gold order and could not be
    trained on; no silver order has its text or resembles it.
    """
    rows = table.fillna("")
    rows = rows[rows["PMType"].str.fullmatch(r"PM\d\d")]
    first: dict[str, str] = {}
    for asset, text, day in zip(
        rows["Asset"], rows["OriginalShorttext"], rows["BscStartDate"], strict=True
    ):
        first.setdefault(normalise(text), group_name(asset, date.fromisoformat(day)))
    cleaned = clean_work_orders(table)
    drafts = []
    for number, record in enumerate([*cleaned.gold, *cleaned.records]):
        group = first[normalise(record["input"])]
        group = gold_group(group) if number < len(cleaned.gold) else group
        say = Realiser(random.Random(f"{seed} understanding {number}"), "understanding")
        record = record | {"instruction": instruction_to_extract(say), "group": group}
        drafts.append(Draft(record, say.template))
    return drafts
