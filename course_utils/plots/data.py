"""Figures of the data: how long the records are, which fields they fill, with what."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from course_utils.drawing import (
    BLUE,
    GREEN,
    HATCHES,
    INK,
    ORANGE,
    PALE,
    RED,
    add_grid,
    label_text,
    new_figure,
    percent_text,
    require,
    state_finding,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def plot_length_histogram(
    lengths: Sequence[int],
    max_length: int,
    parts: Mapping[str, Sequence[int]] | None = None,
) -> "Figure":
    """Tokens per record, with percentiles and the share that `max_length` cuts.

    `lengths` counts tokens (prompt and completion) of every record; `parts` may give the same
    lengths by part, {"train": […], "val": […]}, to stack them.
    """
    import numpy as np

    require(len(lengths), "there are no lengths", "tokenize at least one record first")
    all_lengths = np.asarray(lengths)
    cut = int((all_lengths > max_length).sum())
    p50, p95, p99 = np.percentile(all_lengths, [50, 95, 99])
    # A few giants would squeeze the rest into one bar: they are counted in the last one.
    limit = int(max(max_length * 1.08, min(all_lengths.max(), p99 * 1.6))) + 1
    groups = parts or {"records": lengths}
    figure, ax = new_figure(10, 4.8)
    bars = ax.hist(
        [np.clip(np.asarray(values), 0, limit) for values in groups.values()],
        bins=np.linspace(0, limit, 49),
        stacked=True,
        color=[BLUE, ORANGE, PALE, GREEN][: len(groups)] if len(groups) <= 4 else None,
        label=[f"{label_text(name)} ({len(values):,})" for name, values in groups.items()],
        edgecolor="white",
        linewidth=0.6,
    )[2]
    if len(groups) > 1:
        for container, hatch in zip(bars, HATCHES, strict=False):
            for patch in container:
                patch.set_hatch(hatch)
    lines = (("median", p50, ":"), ("95th percentile", p95, "-."), ("99th percentile", p99, "--"))
    for name, value, style in lines:
        ax.axvline(value, color="white", linewidth=4, alpha=0.8)  # keeps the line off the bars
        ax.axvline(value, color=INK, linestyle=style, linewidth=2, label=f"{name}: {value:.0f}")
    ax.axvline(max_length, color=RED, linewidth=3, label=f"max_length: {max_length}")
    ax.set_xlim(0, limit)
    beyond = all_lengths.max() > limit
    note = f" (the last bar counts all up to {all_lengths.max():,})" if beyond else ""
    ax.set_xlabel(f"tokens per record{note}")
    ax.set_ylabel("records")
    add_grid(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    total = len(all_lengths)
    share = f"{cut:,} of {total:,} records ({percent_text(cut / total, 1)})" if cut else "no record"
    finding = f"max_length {max_length} cuts {share}; 95 % need at most {math.ceil(p95)} tokens"
    state_finding(figure, finding)
    return figure


@styled
def plot_field_coverage(records_fields: Mapping[str, int], total: int) -> "Figure":
    """In how many of `total` records each field is filled: {field: records}."""
    require(records_fields and total > 0, "no record has a field", "look at the records' outputs")
    rows = sorted(records_fields.items(), key=lambda item: -item[1])
    shares = [count / total for _, count in rows]
    figure, ax = new_figure(9, 1.9 + 0.46 * len(rows))
    _share_bars(ax, [name for name, _ in rows], [count for _, count in rows], shares)
    ax.set_xlabel("share of the records that fill the field (%)")
    (most, _), (least, _) = rows[0], rows[-1]
    finding = f"'{label_text(most)}' is filled in {percent_text(shares[0])} of {total:,} records"
    if len(rows) > 1:
        finding += f", '{label_text(least)}' in {percent_text(shares[-1])}"
    state_finding(figure, finding)
    return figure


@styled
def plot_top_values(
    values: Sequence[str] | Mapping[str, int], field: str, top: int = 12
) -> "Figure":
    """The `top` commonest values of a field, from the values themselves or {value: records}."""
    counts = Counter(values)
    require(counts, f"field {field!r} has no values", "choose another field")
    rows, total = counts.most_common(top), sum(counts.values())
    shares = [count / total for _, count in rows]
    figure, ax = new_figure(9, 1.9 + 0.40 * len(rows))
    _share_bars(ax, [name for name, _ in rows], [count for _, count in rows], shares)
    ax.set_xlabel(f"share of the records with a value for '{label_text(field)}' (%)")
    if len(rows) < len(counts):
        what = f"The {len(rows)} commonest of {len(counts):,} values of '{label_text(field)}'"
        finding = f"{what} cover {percent_text(sum(shares))} of {total:,} records"
    else:
        finding = (
            f"'{label_text(field)}' has {len(counts)} values; '{label_text(rows[0][0])}' leads "
            f"with {percent_text(shares[0])} of {total:,} records"
        )
    state_finding(figure, finding)
    return figure


def _share_bars(
    ax: "Axes", names: Sequence[str], counts: Sequence[int], shares: Sequence[float]
) -> None:
    percent = [100 * share for share in shares]
    bars = ax.barh(range(len(names)), percent, color=BLUE, height=0.68)
    labels = [f"{count:,}  ({p:.0f} %)" for count, p in zip(counts, percent, strict=True)]
    ax.bar_label(bars, labels, padding=5, size=11)
    ax.set_yticks(range(len(names)), [label_text(name) for name in names])
    ax.invert_yaxis()
    ax.set_xlim(0, max(percent) * 1.22 or 1)
    ax.tick_params(axis="y", length=0)
    add_grid(ax, "x")
