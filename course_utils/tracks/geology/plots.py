"""Figures of spectra: one mineral with its features, mixtures, sensor bands; and of the track.

from course_utils import spectra_plots
spectra_plots.plot_spectrum("kaolinite_wxl")
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from course_utils.drawing import (
    BLUE,
    GRID,
    GROUP_STYLES,
    INK,
    ORANGE,
    PALE,
    RED,
    SOFT,
    new_figure,
    require,
    state_finding,
    styled,
)
from course_utils.errors import CourseError
from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.spectra_records import MATERIALS, SENSORS, sensor_bands

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NM, REFLECTANCE = "wavelength (nm)", "reflectance (0 to 1)"
KIND_LOOK = {
    "context": {"color": BLUE},
    "knowledge": {"color": ORANGE, "hatch": "///", "edgecolor": "white"},
    "numeric": {"color": PALE},
}


def _title(name: str) -> str:
    return MATERIALS[name][0] if name in MATERIALS else name.replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@styled
def plot_spectrum(name: str) -> "Figure":
    """A reference spectrum, and its deepest diagnostic feature with the continuum removed.

    `name` as in `spectra.library()`. Raises CourseError for an unknown name.
    """
    own = spectra.spectrum(name)
    found = [(w, spectra.measure(own.nm, own.reflectance, w)) for w in own.windows]
    window, feature = max(found, key=lambda pair: (pair[0].weight, pair[1].depth))
    figure, (whole, near) = new_figure(12, 4.8, ncols=2, width_ratios=[1.35, 1])
    whole.plot(own.nm, own.reflectance, color=INK, linewidth=1.8)
    for _, other in found:
        _fill_feature(whole, own, other, highlighted=other is feature)
    whole.set(xlabel=NM, ylabel=REFLECTANCE, ylim=(0, None))
    whole.set_title(own.label, loc="left", color=SOFT)
    _draw_removed(near, feature)
    width = f", {feature.width:.0f} nm wide at half depth" if feature.width > 0 else ""
    state_finding(
        figure,
        f"{_capital(_title(name))}: absorption at {feature.centre:.0f} nm, depth "
        f"{feature.depth:.2f}{width}",
    )
    return figure


def _fill_feature(
    ax: "Axes", own: spectra.Spectrum, feature: spectra.Feature, highlighted: bool
) -> None:
    color = RED if highlighted else BLUE
    below = feature.continuum * feature.removed
    ax.plot(feature.nm, feature.continuum, color=color, linestyle="--", linewidth=1.6)
    ax.fill_between(feature.nm, below, feature.continuum, color=color, alpha=0.25, linewidth=0)
    bottom = float(below[int(abs(feature.nm - feature.centre).argmin())])
    ax.annotate(
        f"{feature.centre:.0f}",
        (feature.centre, bottom),
        xytext=(0, -16),
        textcoords="offset points",
        ha="center",
        color=color,
        size=11,
    )


def _draw_removed(ax: "Axes", feature: spectra.Feature) -> None:
    ax.axhline(1, color=SOFT, linestyle="--", linewidth=1.2)
    ax.plot(feature.nm, feature.removed, color=RED, linewidth=2)
    bottom = 1 - feature.depth
    ax.vlines(feature.centre, bottom, 1, color=INK, linestyle=":", linewidth=1.5)
    ax.annotate(
        f"depth {feature.depth:.2f}",
        (feature.centre, 1 - feature.depth / 4),
        xytext=(6, 0),
        textcoords="offset points",
        color=INK,
    )
    ax.set(xlabel=NM, ylabel="reflectance / continuum")
    ax.set_title("Continuum removed", loc="left", color=SOFT)
    ax.grid(color=GRID)


@styled
def plot_mixture(
    first: str, second: str, fractions: Sequence[float] = (0.25, 0.5, 0.75)
) -> "Figure":
    """Two spectra and their linear mixtures; a fraction is that of the first.

    Raises CourseError for an unknown name or a fraction outside 0 to 1.
    """
    require(fractions, "no fraction was given", "pass some, such as (0.25, 0.5)")
    members = [spectra.spectrum(name) for name in (first, second)]
    nm, (a, b) = members[0].nm, (member.reflectance for member in members)
    figure, ax = new_figure(10, 5.2)
    both = _both_measured(a, b)
    low = max(float(nm[both][0]), 1300.0)
    shown = both & (nm >= low)
    ax.plot(nm[shown], a[shown], color=BLUE, linewidth=2.4, label=_title(first))
    for fraction, look in zip(fractions, _mixture_looks(len(fractions)), strict=True):
        mixed = spectra.mix([a, b], [fraction, 1 - fraction])
        ax.plot(nm[shown], mixed[shown], label=f"{fraction:.0%} {_title(first)}", **look)
    ax.plot(nm[shown], b[shown], color=RED, linewidth=2.4, linestyle="--", label=_title(second))
    ax.set(xlabel=NM, ylabel=REFLECTANCE, ylim=(0, None))
    ax.legend(ncols=2, loc="lower left")
    told = spectra.unmix(spectra.mix([a, b], [fractions[0], 1 - fractions[0]]), [a, b])[0]
    state_finding(
        figure,
        f"A linear mixture lies between its members at every wavelength: least squares finds "
        f"{told:.0%} for {fractions[0]:.0%} {_title(first)}",
    )
    return figure


def _both_measured(a: "np.ndarray", b: "np.ndarray") -> "np.ndarray":
    import numpy as np

    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        raise CourseError(
            "the two spectra share no measured wavelength", "choose spectra of the same range"
        )
    return both


def _mixture_looks(count: int) -> list[dict[str, Any]]:
    styles = [(0, (1, 1)), (0, (4, 1.5)), (0, (6, 1, 1, 1))]
    return [
        {"color": SOFT, "linewidth": 1.5, "linestyle": styles[i % len(styles)]}
        for i in range(count)
    ]


@styled
def plot_resampled(name: str, sensors: Sequence[str] = ("ASTER", "WorldView-3")) -> "Figure":
    """A spectrum as a laboratory sees it and as sensors with few bands see it (SWIR).

    Raises CourseError for an unknown spectrum or sensor.
    """
    own = spectra.spectrum(name)
    unknown = [sensor for sensor in sensors if sensor not in SENSORS]
    if unknown or not sensors:
        raise CourseError(f"unknown sensors: {unknown}", f"known: {', '.join(SENSORS)}")
    figure, ax = new_figure(10, 5.2)
    shown = (own.nm >= 1500) & (own.nm <= 2450)
    ax.plot(
        own.nm[shown], own.reflectance[shown], color=INK, linewidth=1.6, label="laboratory, 1 nm"
    )
    darkest = []
    for sensor, look in zip(sensors, GROUP_STYLES, strict=False):
        bands = sensor_bands(sensor)
        values = spectra.resample(own.nm, own.reflectance, bands)
        _draw_bands(ax, bands, values, sensor, look)
        darkest.append(f"{sensor} {bands[int(values.argmin())].name}")
    ax.set(xlabel=NM, ylabel=REFLECTANCE, ylim=(0, None))
    ax.legend(loc="lower left")
    state_finding(
        figure,
        f"{_capital(_title(name))} through {len(sensor_bands(sensors[0]))} bands: the shape of its "
        f"features is lost; darkest band: {', '.join(darkest)}",
    )
    return figure


def _draw_bands(
    ax: "Axes",
    bands: Sequence[spectra.Band],
    values: "np.ndarray",
    sensor: str,
    look: Mapping[str, Any],
) -> None:
    color = look["color"]
    for band, value in zip(bands, values, strict=True):
        ax.hlines(value, band.low, band.high, color=color, linewidth=5, alpha=0.6)
    centres = [band.centre for band in bands]
    ax.plot(
        centres, values, color=color, marker=look["marker"], linestyle="none", label=sensor, ms=8
    )


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
