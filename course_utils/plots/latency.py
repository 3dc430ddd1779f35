"""The figure of inference: seconds and tokens per second, by mode and users at once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PALE,
    add_grid,
    finite,
    grouped_bars,
    label_text,
    new_figure,
    plain_number,
    require,
    state_finding,
    styled,
)
from course_utils.schemas import count_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def plot_latency(latency: Sequence[Mapping[str, Any]]) -> "Figure":
    """Seconds for an answer each and generated tokens per second, by mode and users at once."""
    require(latency, "the latency table is empty", "run notebook 05")
    modes = list(dict.fromkeys(str(row["mode"]) for row in latency))
    sizes = sorted({row["batch_size"] for row in latency})
    figure, axes = new_figure(11, 4.6, ncols=2)
    panels = (
        ("seconds", "seconds for an answer each"),
        ("tokens_per_second", "generated tokens/s"),
    )
    for ax, (key, label) in zip(axes, panels, strict=True):
        _draw_latency(ax, latency, modes, sizes, key)
        ax.set_ylabel(label)
        ax.set_xlabel("users asking at once")
        add_grid(ax)
    axes[0].set_title("Time (lower is better)", loc="left")
    axes[1].set_title("Throughput (higher is better)", loc="left")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(modes))
    state_finding(figure, _latency_finding(latency))
    return figure


def _draw_latency(
    ax: "Axes",
    latency: Sequence[Mapping[str, Any]],
    modes: Sequence[str],
    sizes: Sequence[int],
    key: str,
) -> None:
    colors = [ORANGE, BLUE, PALE, GREEN]
    top = max((finite(row.get(key)) or 0 for row in latency), default=0)
    bars = {}
    for index, mode in enumerate(modes):
        rows = {row["batch_size"]: finite(row.get(key)) for row in latency if row["mode"] == mode}
        style = {"color": colors[index % 4], "hatch": "" if index % 2 else "///"}
        bars[label_text(mode)] = [rows.get(s) for s in sizes], {**style, "edgecolor": "white"}
    grouped_bars(ax, list(map(str, sizes)), bars, lambda v: "" if v is None else plain_number(v))
    ax.set_ylim(0, top * 1.14 or 1)


def _latency_finding(latency: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for row in latency if finite(row.get("tokens_per_second"))]
    if not rows:
        return "Latency by mode and users at once"
    fast = max(rows, key=lambda row: row["tokens_per_second"])
    slow = min(rows, key=lambda row: row["tokens_per_second"])
    rate = f"{plain_number(fast['tokens_per_second'])} tokens/s"
    mode = label_text(fast["mode"])
    users = count_of(fast["batch_size"], "user")
    finding = f"{mode[:1].upper()}{mode[1:]} with {users} is fastest"
    if fast is slow:
        return f"{finding}: {rate}"
    ratio = fast["tokens_per_second"] / slow["tokens_per_second"]
    slowest = f"{label_text(slow['mode'])} with {slow['batch_size']}"
    return f"{finding}: {rate}, {ratio:.1f} times as many as {slowest}"
