"""Records of the kind `maintenance_log`, realised from the real excavator work orders.

orders.py says what an order and its figures are; order_extraction.py, order_reports.py and
order_qa.py make the records of the three tasks.
"""

from collections.abc import Collection, Sequence

from course_utils.gold import GROUP, is_gold
from course_utils.sources import load_work_orders
from course_utils.splits import NEAR, incidence, normalise
from course_utils.tracks.manufacturing.order_extraction import understanding_drafts
from course_utils.tracks.manufacturing.order_qa import qa_drafts
from course_utils.tracks.manufacturing.order_reports import report_drafts
from course_utils.tracks.manufacturing.orders import read_orders, without_gold
from course_utils.tracks.wording import Draft


def maintenance_drafts(seed: int, groups: Collection[str] | None = None) -> list[Draft]:
    """All records of the kind `maintenance_log`: understanding, report, qa. Same seed, same list.

    Those of gold orders (`gold.is_gold`) come first and are for the test part alone. With `groups`,
    only the orders of these. The work orders must be prepared (`sources.is_prepared`) or reachable.
    """
    table = load_work_orders()
    orders = without_gold(read_orders(table), table)
    drafts = understanding_drafts(table, seed)
    if groups is not None:
        orders = [order for order in orders if order.group in groups]
        drafts = [draft for draft in drafts if draft.record["group"] in groups]
    drafts += report_drafts(orders, seed) + qa_drafts(orders, seed)
    return without_near_copies(drafts)


def without_near_copies(drafts: Sequence[Draft]) -> list[Draft]:
    """Drop each draft whose input resembles (Jaccard >= NEAR) one kept before of another group.

    Gold orders all stay, and count as one group: they come to lie in one part. Compared exactly,
    all with all: tables of figures look so much alike that hashing them first saves nothing.
    """
    import numpy as np

    texts = [normalise(draft.record["input"]) for draft in drafts]
    [rows] = incidence(texts)  # (drafts, n-grams), 0 or 1
    turned = rows.T.tocsr()  # once: each product would turn it anew
    sizes = np.diff(rows.indptr)
    like: list[set[int]] = [set() for _ in drafts]
    for start in range(0, len(texts), 256):  # rows at a time, to bound the memory
        shared = (rows[start : start + 256] @ turned).tocoo()
        left = start + shared.row
        near = shared.data >= NEAR * (sizes[left] + sizes[shared.col] - shared.data)
        for i, j in zip(left[near].tolist(), shared.col[near].tolist(), strict=True):
            like[i].add(j)
    kept: dict[int, str] = {}
    for i, draft in enumerate(drafts):
        group = GROUP if is_gold(draft.record) else draft.record["group"]
        if all(kept.get(j, group) == group for j in like[i]):
            kept[i] = group
    return [drafts[i] for i in kept]
