"""What the lab's panels are drawn on: one figure used again, a layout by numbers, bars for stops.

A panel redraws while a slider moves, so nothing here searches for room: tens of milliseconds
instead of hundreds.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    INK,
    PALE,
    RED,
    SOFT,
    STYLE,
    add_grid,
    add_legend,
    figure_class,
)
from course_utils.lab.parameters import text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, DPI = 9.6, 3.9, 90  # inches and dots per inch: 864 x 351 pixels
TITLE_SIZE = 12.5


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> "Figure":
    """A figure (inches) with a canvas that gives its pixels; no layout engine."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with matplotlib.rc_context(STYLE):
        figure = figure_class()(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def packed(pixels: Any) -> bytes:
    """RGBA pixels as PNG bytes without the alpha channel, packed quickly rather than tightly."""
    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels)[:, :, :3]).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def axes_on(figure: "Figure", columns: int = 1, **place: Any) -> Any:
    """One or more axes below the title, placed by numbers."""
    place = {"left": 0.085, "right": 0.975, "bottom": 0.155, "wspace": 0.26} | place
    ratios = place.pop("width_ratios", None)
    axes = figure.subplots(1, columns, width_ratios=ratios)
    figure.subplots_adjust(**place)
    for ax in figure.axes:
        ax.tick_params(labelsize=10, color=SOFT, labelcolor=INK)
        ax.xaxis.label.set_size(10.5)
        ax.yaxis.label.set_size(10.5)
        ax.locator_params(axis="y", nbins=5)
    return axes


def put_title(figure: "Figure", text: str) -> int:
    """The title, wrapped (9 to 10 letters an inch at this size); returns its lines."""
    lines = textwrap.wrap(text, int(figure.get_figwidth() * 9.5))
    place = {"x": 0.012, "y": 0.985, "ha": "left", "va": "top"}
    figure.suptitle("\n".join(lines), size=TITLE_SIZE, weight="bold", **place)
    return len(lines)


def state_finding(figure: "Figure", finding: str) -> None:
    """The finding on top, and the axes moved up to it: one line of title or two."""
    figure.subplots_adjust(top=0.95 - 0.068 * put_title(figure, finding))
    # Labels at fixed places: finding room for them takes a third of the time.
    for ax in figure.axes:
        box = ax.get_position()
        middle = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        ax.xaxis.set_label_coords(middle[0], 0.062, transform=figure.transFigure)
        away = 0.062 if len(ax.get_yticks()) else 0.02
        ax.yaxis.set_label_coords(box.x0 - away, middle[1], transform=figure.transFigure)


def stop_bars(
    ax: "Axes", stops: Sequence[Any], values: Sequence[float], chosen: Any, number: str = "{:,}"
) -> None:
    """A bar with its `number` for each slider stop; the chosen one is dark and hatched."""
    bars = ax.bar(range(len(stops)), values, color=PALE, width=0.72)
    if chosen in stops:
        bars[list(stops).index(chosen)].set(facecolor=BLUE, hatch="///", edgecolor="white")
    # White behind the numbers: a level drawn across them must not strike them out.
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    texts = [number.format(value) for value in values]
    ax.bar_label(bars, texts, size=9.5, padding=2, bbox=box, zorder=3)
    ax.set_xticks(range(len(stops)), [text_of(stop) for stop in stops])
    ax.set_ylim(0, max(values, default=1) * 1.2 or 1)
    ax.set_yticks([])  # the bars carry their numbers
    ax.spines["left"].set_visible(False)


def line_at(ax: "Axes", value: float, text: str, loc: str = "upper left") -> None:
    """A level to compare with, named in the legend; outside the axis it would only squeeze."""
    top = ax.get_ylim()[1]
    if value < top:
        ax.axhline(value, color=RED, ls="--", lw=1.6, label=text, zorder=1.5)
        ax.set_ylim(0, max(top, 1.3 * value))  # the legend stands above the line
        add_legend(ax, loc=loc, fontsize=9.5)


def stacked_bars(
    ax: "Axes",
    rows: Mapping[str, Mapping[str, float]],
    styles: Mapping[str, Mapping[str, Any]],
    texts: Sequence[str],
    **text_style: Any,
) -> None:
    """A horizontal bar a row, stacked from its parts, with a text at its end; parts in a legend."""
    for row, (parts, text) in enumerate(zip(rows.values(), texts, strict=True)):
        end = 0.0
        for part, style in styles.items():
            style = {"edgecolor": "white", "linewidth": 0.6, **style}
            label = part if row == 0 else None
            size = parts.get(part, 0.0)
            ax.barh(row, size, left=end, height=0.64, label=label, **style)
            end += size
        ax.text(end, row, f"  {text}", va="center", **text_style)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.invert_yaxis()
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10)
    add_grid(ax, "x")
