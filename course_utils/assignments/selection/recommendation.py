"""The recommendation: the smallest candidate that is not clearly worse than the best."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from course_utils import drawing
from course_utils.assignments.selection.candidates import short_name
from course_utils.metrics import bootstrap_interval

FEW_RECORDS = 20  # below that, an interval from resampled records promises more than it knows


def main_difference(
    best: Mapping[str, Any], other: Mapping[str, Any], seed: int = 0, samples: int = 1000
) -> dict[str, float]:
    """{"mean", "low", "high"} of the few-shot main score of `best` minus `other`, 95 % interval.

    A paired bootstrap: records are drawn with replacement within each task, the same for both.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    gains = []
    for task, found in best["few_shot"]["tasks"].items():
        size = len(found["parts"])
        weights = draw.multinomial(size, [1 / size] * size, samples)  # (samples, records)
        shares = []
        for row in (best, other):
            gained, possible = (weights @ np.array(row["few_shot"]["tasks"][task]["parts"])).T
            shares.append(np.where(possible > 0, gained / np.maximum(possible, 1e-9), 1.0))
        gains.append(shares[0] - shares[1])
    gain = np.mean(gains, axis=0)
    return bootstrap_interval(gain, gain.mean())


def recommend(rows: Sequence[Mapping[str, Any]], records: int, seed: int = 0) -> dict[str, Any]:
    """The candidate to start with: the smallest of those not clearly worse than the best.

    Best by few-shot main score; not clearly worse: the interval of the difference includes 0;
    smallest by the weights, which is also what a larger machine would have to hold. Keys: model,
    precision (None where nothing can be recommended), tied, finding (a title), text.
    """
    done = [row for row in rows if row["status"] == "done"]
    on = f"On these {records} records" if records != 1 else "On this one record"
    nothing = {"model": None, "precision": None, "tied": []}
    if not done:
        text = "No candidate was measured; the reasons stand in the table."
        return {**nothing, "finding": "No candidate was measured", "text": text}
    best = max(done, key=_main)
    if _main(best) <= 0:
        finding = f"{on} no candidate scores above 0"
        text = f"{finding} with few-shot prompts: the score cannot decide between them."
        return {**nothing, "finding": finding, "text": text}
    gaps = {id(row): main_difference(best, row, seed) for row in done if row is not best}
    tied = [row for row in done if row is not best and gaps[id(row)]["low"] <= 0]
    chosen = min([best, *tied], key=lambda row: (row["memory_gb"]["weights"], row is not best))
    return {
        "model": chosen["model"],
        "precision": chosen["precision"],
        "tied": [row_label(row) for row in tied],
        "finding": _finding(on, best, chosen, tied, done, records),
        "text": _advice(on, best, chosen, tied, done, gaps.get(id(chosen)), records),
    }


def _finding(
    on: str, best: Any, chosen: Any, tied: Sequence[Any], done: Sequence[Any], records: int
) -> str:
    """The recommendation as a figure's title."""
    names = _namer(done)
    if len(done) == 1:
        return f"{on} {names(best)} scores {_main(best):.2f} few-shot"
    if records < FEW_RECORDS:
        return f"{on}, too few to rank by, {names(best)} scores best few-shot: {_main(best):.2f}"
    if not tied:
        return f"{on} {names(best)} scores clearly best few-shot: {_main(best):.2f}"
    if chosen is best:
        return f"{on} {names(best)} scores best few-shot ({_main(best):.2f}), not clearly so"
    return (
        f"{on} {names(chosen)} scores about as well as the best ({_main(chosen):.2f} against "
        f"{_main(best):.2f}) with {_gib(chosen)} of weights"
    )


def _advice(
    on: str,
    best: Any,
    chosen: Any,
    tied: Sequence[Any],
    done: Sequence[Any],
    gap: Mapping[str, float] | None,
    records: int,
) -> str:
    """The recommendation in words: what was seen, how sure it is, what it costs."""
    words = [f"{on}, {row_label(best)} has the best few-shot score ({_main(best):.3f})."]
    if len(done) == 1:
        words = [
            f"{on}, {row_label(best)} scores {_main(best):.3f} few-shot; there is no other row to "
            "compare it with."
        ]
    elif chosen is not best and gap:
        interval = drawing.interval_text(gap, digits=3).replace("−", "-")
        words.append(
            f"{row_label(chosen)} scores {_main(chosen):.3f}, which is not clearly less "
            f"(the best minus it: {interval}), and has the smallest weights of those within that "
            f"uncertainty: {_gib(chosen)} against {_gib(best)}. Start with it."
        )
    elif tied:
        others = ", ".join(row_label(row) for row in tied)
        words.append(f"Not clearly worse, but not smaller: {others}. Start with the best.")
    elif records >= FEW_RECORDS:
        words.append("The others are clearly worse (no 95 % interval includes 0). Start with it.")
    words += _speed_remark(best, chosen)
    if records < FEW_RECORDS and len(done) > 1:
        words.append(f"{records} records are too few to rank models: use 40 or more.")
    return " ".join(words)


def _speed_remark(best: Any, chosen: Any) -> list[str]:
    mine, its = (row["tokens_per_second"]["1"] for row in (chosen, best))
    if chosen is best or mine > its / 1.25:
        return []
    slower, faster = drawing.plain_number(mine), drawing.plain_number(its)
    return [f"It is slower: {slower} tokens/s one by one, against {faster}."]


def _main(row: Mapping[str, Any]) -> float:
    return row["few_shot"]["main"]


def _gib(row: Mapping[str, Any]) -> str:
    return f"{row['memory_gb']['weights']:.2f} GiB"


def row_label(row: Mapping[str, Any]) -> str:
    return f"{short_name(row['model'])} in {row['precision']}"


def _namer(rows: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], str]:
    """Labels as short as they can be: the precision alone where there is but one model."""
    one = len({row["model"] for row in rows}) == 1 and len(rows) > 1
    return (lambda row: row["precision"]) if one else row_label
