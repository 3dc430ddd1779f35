"""The figure of the geology track: records by topic and kind of question."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from course_utils.drawing import BLUE, INK, ORANGE, PALE, new_figure, require, state_finding, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND_LOOK = {
    "context": {"color": BLUE},
    "knowledge": {"color": ORANGE, "hatch": "///", "edgecolor": "white"},
    "numeric": {"color": PALE},
}


@styled
def plot_track(summary: Mapping[str, Any]) -> "Figure":
    """Records by topic and kind of question; `summary` is what `geology.summarise` returns."""
    cross = summary.get("cross") or {}
    require(cross, "no record was counted", "build the data first")
    topics = sorted(cross, key=lambda topic: sum(cross[topic].values()))
    figure, ax = new_figure(11, 0.45 * len(topics) + 2.2)
    left = [0] * len(topics)
    for kind, look in KIND_LOOK.items():
        counts = [cross[topic].get(kind, 0) for topic in topics]
        ax.barh(topics, counts, left=left, label=kind, **look)
        left = [a + b for a, b in zip(left, counts, strict=True)]
    for place, total in enumerate(left):
        ax.text(total + max(left) * 0.01, place, f"{total:,}", va="center", color=INK)
    ax.set(xlabel="records")
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower right", title="kind of question")
    numeric = summary["kinds"]["numeric"] / summary["kept"]
    state_finding(
        figure,
        f"{summary['kept']:,} records on {len(topics)} topics in {summary['groups']} groups; "
        f"{numeric:.0%} ask for a number that can be checked",
    )
    return figure
