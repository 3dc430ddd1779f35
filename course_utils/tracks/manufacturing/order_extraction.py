"""Work orders to be turned into JSON: the cleaned orders, asked for in many wordings.

The sentences: data/wordings/manufacturing/order_extraction.yaml.
"""

import random
from datetime import date
from typing import TYPE_CHECKING

from course_utils.records import normalise
from course_utils.sources import clean_work_orders
from course_utils.tracks.manufacturing.orders import group_name
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

if TYPE_CHECKING:
    import pandas

SAY = Wordings("manufacturing/order_extraction")


def instruction_to_extract(say: Realiser) -> str:
    """One of 768 ways to ask for the JSON record of a work order."""
    only = say("only", SAY["remark"])
    keys = say("keys", SAY["keys"])
    demand = say("demand", SAY["demand"], keys=keys)
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
