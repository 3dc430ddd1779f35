"""How far the two readers of gold agree, and how right any labels are against gold.

F1 between two readers is a measure of agreement of its own: it is what kappa comes to when nearly
everything that could be said is left unsaid (Hripcsak and Rothschild 2005,
doi 10.1197/jamia.M1733). Kappa itself is taken value by value, stated or not stated, since an order
may have several values in one field, and averaged over the values that a reader used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from course_utils import metrics
from course_utils.errors import CourseError
from course_utils.gold import GoldOrder, as_sets
from course_utils.order_fields import Labels, as_answer, closed_set


@dataclass(frozen=True)
class Agreement:
    """Two readers on one field, or on all: shares 0 to 1, kappa None where it is not defined."""

    field: str
    values: int
    kappa: float | None
    f1: float
    same: float


def agreement(orders: Sequence[GoldOrder]) -> list[Agreement]:
    """A row a field, and one for whole records (its kappa: the mean over all values)."""
    first = [as_sets(order.first) for order in orders]
    second = [as_sets(order.second) for order in orders]
    every = list(closed_set())
    rows = [_agree(field, [field], first, second) for field in every]
    return [*rows, _agree("all", every, first, second)]


def _agree(
    name: str, fields: Sequence[str], first: Sequence[Labels], second: Sequence[Labels]
) -> Agreement:
    kappas = [kappa for field in fields for kappa in _kappas(field, first, second)]
    ours = [as_answer(labels, fields) for labels in first]
    theirs = [as_answer(labels, fields) for labels in second]
    return Agreement(
        field=name,
        values=len(kappas),
        kappa=fmean(kappas) if kappas else None,
        f1=metrics.field_f1(ours, theirs),
        same=metrics.exact_match(ours, theirs),
    )


def _kappas(field: str, first: Sequence[Labels], second: Sequence[Labels]) -> list[float]:
    """Cohen's kappa of each value of a field that a reader used, and not for every order."""
    found = []
    for value in closed_set()[field]:
        ours, theirs = (
            ["stated" if value in labels.get(field, ()) else "not" for labels in reader]
            for reader in (first, second)
        )
        kappa = metrics.cohen_kappa(ours, theirs)
        found += [] if kappa is None else [kappa]
    return found


def score(
    labels: Sequence[Labels], orders: Sequence[GoldOrder], samples: int = 1000
) -> dict[str, Any]:
    """{"orders", "f1": {field or "all": {"mean", "low", "high"}}, "exact"} of labels against gold.

    Micro F1 with the 95 % bootstrap interval over orders; exact is the share of whole records.
    """
    if len(labels) != len(orders) or not orders:
        raise CourseError(
            f"{len(labels)} labels came with {len(orders)} gold orders",
            "give one record of labels for each gold order, in the same order",
        )
    gold = [as_sets(order.labels) for order in orders]
    parts = {field: [field] for field in closed_set()} | {"all": []}
    scores = {}
    for name, fields in parts.items():
        answers = [as_answer(one, fields) for one in labels]
        truth = [as_answer(one, fields) for one in gold]
        scores[name] = metrics.field_f1_interval(answers, truth, samples)
    exact = metrics.exact_match(
        [as_answer(one) for one in labels], [as_answer(one) for one in gold]
    )
    return {"orders": len(orders), "f1": scores, "exact": exact}
