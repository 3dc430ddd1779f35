"""How the kit draws: colours, style, and the pieces that every figure is made of.

Readable from the back row and in grey: large type, line styles and hatches beside the colours,
which are Okabe and Ito's (told apart by colour-blind readers). The figures stay out of pyplot's
global list, so nothing needs closing, no window opens, and a notebook shows each one once.
"""

import base64
import functools
import io
import math
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"

INK, SOFT, PALE, GRID = "#1f2933", "#52606d", "#b8c0c9", "#e4e7eb"

# Light, hatched, dark: the three systems stay apart when printed in grey.
SYSTEMS = {
    "zero_shot": ("base, zero-shot", {"color": PALE}),
    "few_shot": ("base, few-shot", {"color": ORANGE, "hatch": "///", "edgecolor": "white"}),
    "tuned": ("tuned", {"color": BLUE}),
}
RIVAL_LOOK = {
    "color": GREEN,
    "hatch": "..",
    "edgecolor": "white",
}  # the best method without a model

GROUP_STYLES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": ORANGE, "linestyle": "--", "marker": "s"},
    {"color": GREEN, "linestyle": "-.", "marker": "^"},
    {"color": RED, "linestyle": ":", "marker": "D"},
)

HATCHES = ("", "///", "...", "xxx")

STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 1.2,
}


def figure_to_data_uri(figure: "Figure", dpi: int = 110) -> str:
    """The figure as `data:image/png;base64,…`, for a page that must not ask another for anything.

    A figure made with pyplot is closed afterwards (its memory would stay until the kernel ends).
    """
    png = to_png(figure, dpi)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def save_figure(figure: "Figure", path: Path, dpi: int = 110) -> Path:
    """The figure as a PNG file, written whole or not at all."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(to_png(figure, dpi))
    return Path(path)


def figure_title(figure: "Figure") -> str:
    """The finding a figure's title states, on one line (the alternative text of its picture)."""
    return " ".join(figure.get_suptitle().split())


def excludes_zero(interval: Mapping[str, Any] | None) -> bool:
    """Whether a bootstrap interval {mean, low, high} lies on one side of 0."""
    if not interval:
        return False
    low, high = finite(interval.get("low")), finite(interval.get("high"))
    return low is not None and high is not None and (low > 0 or high < 0)


def finite(value: Any) -> float | None:
    """`value` as a float, or None where it is no finite number (null, NaN, text)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def short_number(value: float, digits: int = 2) -> str:
    """A number in eight characters at most: 0.67, 18.90, 9,216, 44.4k, 1.23M, 1.23e+15."""
    if abs(value) < 10_000:
        return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"
    rounded = float(f"{value:.3g}")  # before the unit is chosen: 999,999 is 1M, not 1000k
    if abs(rounded) >= 1e12:
        return f"{rounded:.3g}"
    units = {1e9: "B", 1e6: "M", 1e3: "k"}
    limit = next(limit for limit in units if abs(rounded) >= limit)
    return f"{rounded / limit:g}{units[limit]}"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, a true minus sign included: +0.52, −0.14, −44.4k."""
    size = short_number(abs(value), digits)
    return ("−" if value < 0 and size.strip("0.") else "+") + size


def interval_text(interval: Mapping[str, Any], factor: float = 1.0, digits: int = 2) -> str:
    """'+0.52 [+0.48, +0.56]': the mean and the ends of a bootstrap interval."""
    mean, low, high = interval_parts(interval, factor, digits)
    return f"{mean} [{low}, {high}]"


def interval_parts(interval: Mapping[str, Any], factor: float, digits: int = 2) -> list[str]:
    parts = [finite(interval.get(name)) for name in ("mean", "low", "high")]
    return [signed(part * factor, digits) if part is not None else "?" for part in parts]


def to_png(figure: "Figure", dpi: float) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


@functools.cache
def figure_class() -> type:
    from matplotlib.figure import Figure

    class CourseFigure(Figure):
        """A Figure that shows itself as a cell's last line, without pyplot's global list."""

        def _repr_png_(self) -> bytes:
            return to_png(self, 100)

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            """The picture, and its finding for those who do not see it.

            Where pyplot has put in its own way to draw figures, the metadata stay. The kit's pages
            and nbconvert's classic template read the alternative text there.
            """
            title = figure_title(self)
            data = {"image/png": self._repr_png_(), "text/plain": title or repr(self)}
            return data, {"image/png": {"alt": title}} if title else {}

    return CourseFigure


def styled(draw: Callable[..., "Figure"]) -> Callable[..., "Figure"]:
    """Run a drawing function with the course's style and leave the reader's own style alone."""

    @functools.wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> "Figure":
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float, height: float, **subplots: Any) -> tuple["Figure", Any]:
    """A figure (inches) and its axes."""
    figure = figure_class()(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, wspace=0.04, hspace=0.06)
    axes = figure.subplots(**subplots)
    for ax in figure.axes:
        ax.tick_params(labelsize=11, color=SOFT, labelcolor=INK)
    return figure, axes


def state_finding(figure: "Figure", finding: str) -> None:
    """Put the finding on top, wrapped to the width of the figure (14 pt: about 8 letters/inch)."""
    width = int(figure.get_figwidth() * 8)
    finding = re.sub(r" (?=[=%])|(?<==) ", "\u00a0", finding)  # "r = 8" and "95 %" stay together
    figure.suptitle(
        "\n".join(textwrap.wrap(finding, width)), x=0.012, ha="left", size=14, weight="bold"
    )


def percent_text(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def plain_number(value: float) -> str:
    """A perplexity: 1.27, 18.9, 44,356."""
    return f"{value:.3g}" if float(f"{value:.3g}") < 1000 else f"{value:,.0f}"


def from_zero(ax: "Axes", values: Sequence[float], room: float = 1.1) -> None:
    """A y axis that starts at 0 and leaves room above the largest value."""
    ax.set_ylim(0, max(values, default=0) * room or 1)


def add_legend(ax: "Axes", **place: Any) -> None:
    """A legend that stays readable on top of lines and bands."""
    ax.legend(frameon=True, facecolor="white", edgecolor="none", framealpha=0.92, **place)


def add_grid(ax: "Axes", axis: str = "y") -> None:
    ax.grid(axis=axis, color=GRID, linewidth=1)


def label_text(value: Any, width: int = 34) -> str:
    """Text from data as a label: one line, cut, no control characters, `$` is not mathematics."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text if len(text) <= width else text[: width - 1] + "…"
    return text.replace("$", r"\$") or "(empty)"


def compact_number(number: float) -> str:
    """1234567 -> '1.23 M', 9216 -> '9,216'; B is a billion, as in the names of models."""
    for limit, unit in ((1e9, "B"), (1e6, "M")):
        shown = float(f"{number / limit:.3g}")  # rounded first: 999,999,999 is 1 B, not 1,000 M
        if abs(shown) >= 1:
            return f"{shown:,.10g} {unit}"
    return f"{number:,.0f}"


def require(data: Any, what: str, cure: str) -> None:
    if not data:
        raise CourseError(f"nothing to draw: {what}", cure)


def plain_log(ax: "Axes", axis: str, values: Sequence[float]) -> None:
    """A log axis with ticks in plain numbers at 1, 2, 5, 10, … inside the data's range."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(values), max(values)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) < 5 else (1,)
    which = ax.xaxis if axis == "x" else ax.yaxis
    ax.set(**{f"{axis}scale": "log"})
    which.set_major_locator(FixedLocator([s * 10.0**d for d in decades for s in steps]))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    which.set_minor_locator(NullLocator())


def say(ax: "Axes", text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=SOFT)


def grouped_bars(
    ax: "Axes",
    places: Sequence[str],
    series: Mapping[str, tuple[Sequence[float | None], Mapping[str, Any]]],
    number: Callable[[float | None], str],
) -> None:
    """Bars side by side at each place, with their numbers on top.

    `series`: label -> (a value for each place, style).
    """
    width = 0.8 / len(series)
    for index, (label, (values, style)) in enumerate(series.items()):
        middles = [at + (index - (len(series) - 1) / 2) * width for at in range(len(places))]
        bars = ax.bar(middles, [value or 0 for value in values], width * 0.94, label=label, **style)
        ax.bar_label(bars, [number(value) for value in values], padding=2, size=11)
    ax.set_xticks(range(len(places)), places)
    ax.tick_params(axis="x", length=0)


def paired_marks(
    ax: "Axes", rows: Sequence[str], sides: Mapping[str, Sequence[Mapping[str, float]]]
) -> None:
    """Two marks a row with their intervals {mean, low, high}: before light, after dark."""
    styles = ({"color": SOFT, "marker": "s", "mfc": "white"}, {"color": BLUE, "marker": "o"})
    for shift, style, (label, side) in zip((-0.14, 0.14), styles, sides.items(), strict=True):
        places = [row + shift for row in range(len(rows))]
        # At 0 and 1 the interval's end can miss the share by a rounding error.
        ends = [
            [max(0.0, one["mean"] - one["low"]) for one in side],
            [max(0.0, one["high"] - one["mean"]) for one in side],
        ]
        means = [one["mean"] for one in side]
        ax.errorbar(means, places, xerr=ends, capsize=3, lw=1.8, ls="none", ms=8, label=label,
                    **style)  # fmt: skip
    ax.set_yticks(range(len(rows)), rows)
    add_grid(ax, "x")
