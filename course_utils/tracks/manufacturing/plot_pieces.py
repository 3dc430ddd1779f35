"""Pieces that the figures of the manufacturing track share: panels, labels, bars with values."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils import drawing, tasks
from course_utils.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    finite,
    label_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Prompts and answers, or the rows of a comparison: apart in grey by hatch and by darkness.
LOOKS = (
    {"color": BLUE},
    {"color": ORANGE, "hatch": "///", "edgecolor": "white"},
    {"color": PALE},
    {"color": GREEN, "hatch": "...", "edgecolor": "white"},
    {"color": RED, "hatch": "xxx", "edgecolor": "white"},
    {"color": SOFT, "hatch": "---", "edgecolor": "white"},
)


def mosaic(
    width: float, height: float, layout: list[list[str]], **options: Any
) -> tuple["Figure", dict[str, "Axes"]]:
    """A figure (inches) with named panels of unequal size, set like those of course_utils.plots."""
    figure = drawing.figure_class()(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    axes = figure.subplot_mosaic(layout, **options)
    for ax in axes.values():
        ax.tick_params(labelsize=11, color=SOFT, labelcolor=INK)
    return figure, axes


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else an empty one: a null section is a missing section."""
    return value if isinstance(value, Mapping) else {}


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers of a mapping."""
    found = {str(name): finite(number) for name, number in mapping(value).items()}
    return {name: number for name, number in found.items() if number is not None}


def ordered(names: Sequence[str]) -> list[str]:
    """Tasks in the order of the course; others behind, as they came."""
    known = [task for task in tasks.TASKS if task in names]
    return known + [name for name in dict.fromkeys(names) if name not in known]


def words(name: str, width: int = 15) -> str:
    """'technical_documentation' as a label of one or two short lines; the rest is cut."""
    text = label_text(name.replace(r"\$", "$").replace("_", " "), 2 * width).replace(r"\$", "$")
    lines = textwrap.wrap(
        text, width, max_lines=2, placeholder="…"
    )  # first wrapped, then escaped: no line ends inside r"\$"
    return "\n".join(lines).replace("$", r"\$")


def bare(ax: "Axes", axis: str) -> None:
    ax.tick_params(axis=axis, length=0)


def bars_across(
    ax: "Axes", values: Sequence[float | None], places: Sequence[float], height: float, **look: Any
) -> None:
    """Horizontal bars with their values; n/a where there is none."""
    digits = look.pop("form", "{:.2f}".format)
    bars = ax.barh(places, [value or 0 for value in values], height, **look)
    texts = ["n/a" if value is None else digits(value) for value in values]
    ax.bar_label(bars, texts, padding=3, size=11)


def hundredths(value: float | None) -> str:
    """0.52 as '.52': three bars stand close, and a score has no digit before its point but 1."""
    if value is None:
        return "n/a"
    return f"{value:.2f}".removeprefix("0") if value else "0"


def score_name(key: Any) -> str:
    return tasks.NAMES.get(key) or label_text(str(key).replace("_", " "))
