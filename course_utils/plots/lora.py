"""LoRA in pictures: parameters against rank, the shapes of the matrices, the scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GROUP_STYLES,
    INK,
    ORANGE,
    PALE,
    SOFT,
    add_grid,
    add_legend,
    compact_number,
    label_text,
    new_figure,
    percent_text,
    plain_log,
    require,
    state_finding,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def plot_lora_parameters(table: Sequence[Mapping[str, Any]]) -> "Figure":
    """Trainable parameters against rank, a line for each choice of target modules.

    Rows: {"targets": "attention + MLP", "rank": 16, "trainable": 4884480, "total"?: 134515008}.
    """
    require(table, "the parameter table is empty", "give at least one row")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in table:
        groups.setdefault(str(row["targets"]), []).append(row)
    figure, ax = new_figure(10, 5)
    for index, (name, rows) in enumerate(groups.items()):
        rows = sorted(rows, key=lambda row: row["rank"])
        style = GROUP_STYLES[index % len(GROUP_STYLES)]
        ax.plot(
            [row["rank"] for row in rows],
            [row["trainable"] for row in rows],
            lw=2.4,
            ms=8,
            label=label_text(name, 48),
            **style,
        )
        ax.annotate(
            compact_number(rows[-1]["trainable"]),
            (rows[-1]["rank"], rows[-1]["trainable"]),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
        )
    plain_log(ax, "y", [row["trainable"] for row in table])
    from matplotlib.ticker import FuncFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: compact_number(value)))
    ranks = sorted({row["rank"] for row in table})
    ax.set_xscale("log", base=2)
    ax.set_xticks(ranks, [str(rank) for rank in ranks])
    ax.set_xticks([], minor=True)
    ax.margins(x=0.1)
    ax.set_xlabel("rank r (log scale)")
    ax.set_ylabel("trainable parameters (log scale)")
    add_grid(ax)
    add_legend(ax, loc="upper left")
    largest = max(table, key=lambda row: row["trainable"])
    finding = f"r = {largest['rank']} on {label_text(largest['targets'], 48)} trains "
    finding += f"{compact_number(largest['trainable'])} parameters"
    if largest.get("total"):
        finding += f", {percent_text(largest['trainable'] / largest['total'], 1)} of the model"
    state_finding(figure, f"{finding}; doubling r doubles them" if len(ranks) > 1 else finding)
    return figure


@styled
def plot_lora_shapes(in_features: int, out_features: int, rank: int) -> "Figure":
    """LoRA in pictures: W (out x in) beside B (out x r) and A (r x in), drawn to scale."""
    for name, value in (("in", in_features), ("out", out_features), ("rank", rank)):
        require(value > 0, f"{name} = {value}", "sizes and rank must be at least 1")
    full, low_rank = in_features * out_features, rank * (in_features + out_features)
    unit = max(in_features, out_features)
    wide, high, r = in_features / unit, out_features / unit, rank / unit
    # Everything stands on one middle line, so that it reads as the equation W + alpha/r B A.
    left_b = wide + 0.56
    left_a = left_b + r + 0.32
    total_width, total_height = left_a + wide + 0.3, max(high, r) + 0.5
    figure, ax = new_figure(11, min(5.4, 0.9 + 10 * total_height / total_width))
    _matrix(ax, 0, (wide, high), PALE, "W  (frozen)", (out_features, in_features))
    _matrix(ax, left_b, (r, high), ORANGE, "B  (trained)", (out_features, rank))
    _matrix(ax, left_a, (wide, r), BLUE, "A  (trained)", (rank, in_features))
    plus = r"$+\;\frac{\alpha}{r}\;\cdot$"
    ax.text(wide + 0.28, 0, plus, size=28, ha="center", va="center")
    ax.text(left_b + r + 0.16, 0, "×", size=24, ha="center", va="center")
    ax.text(left_a + wide + 0.14, -total_height / 2, "drawn to scale", ha="right", color=SOFT)
    ax.set_xlim(-0.15, left_a + wide + 0.15)
    ax.set_ylim(-total_height / 2, total_height / 2)
    ax.set_aspect("equal")
    ax.axis("off")
    share = low_rank / full
    finding = f"With r = {rank}, B and A hold {percent_text(share, 1)} as many numbers as W"
    if share >= 1:
        finding = f"r = {rank} saves nothing: B and A hold {share:.1f} times the numbers of W"
    state_finding(figure, f"{finding} ({low_rank:,} against {full:,})")
    return figure


def _matrix(
    ax: "Axes",
    left: float,
    size: tuple[float, float],
    color: str,
    name: str,
    shape: tuple[int, int],
) -> None:
    """One rectangle to scale, centred on the line y = 0; its outline keeps a rank of 1 visible."""
    from matplotlib.patches import Rectangle

    width, height = size
    box = Rectangle((left, -height / 2), width, height, fc=color, ec=color, lw=1.6)
    ax.add_patch(box)
    center = left + width / 2
    ax.text(center, height / 2 + 0.05, name, ha="center", va="bottom", size=13, weight="bold")
    text = f"{shape[0]:,} × {shape[1]:,}\n= {shape[0] * shape[1]:,}"
    ax.text(center, -height / 2 - 0.04, text, ha="center", va="top", size=12)


@styled
def plot_lora_scale(alphas: Sequence[int], ranks: Sequence[int]) -> "Figure":
    """The factor alpha / r by which the update B·A counts, for each pair."""
    import numpy as np

    require(len(alphas) and len(ranks), "no alpha or no rank", "give at least one of each")
    scale = np.array([[alpha / rank for rank in ranks] for alpha in alphas])
    figure, ax = new_figure(1.6 + 1.15 * max(len(ranks), 5), 2.2 + 0.62 * len(alphas))
    ax.imshow(np.log2(scale), cmap="Blues", aspect="auto", vmin=-6, vmax=6)
    for (row, column), value in np.ndenumerate(scale):
        tone = "white" if np.log2(value) > 1.5 else INK
        ax.text(column, row, f"{value:.3g}", ha="center", va="center", color=tone, size=14)
    ax.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
    ax.set_yticks(range(len(alphas)), [str(alpha) for alpha in alphas])
    ax.set_xlabel("rank r")
    ax.set_ylabel("lora_alpha")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    first, last = ranks[0], ranks[-1]
    alpha = alphas[len(alphas) // 2]
    finding = f"With alpha = {alpha}, alpha / r multiplies the update by {alpha / first:.3g}"
    finding += f" at r = {first}"
    if last != first:
        finding += f" and by {alpha / last:.3g} at r = {last}"
    state_finding(figure, finding)
    return figure
