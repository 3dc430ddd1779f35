"""Questions on the measured spectrum of one material; the answers are computed.

Each question prints a short table (nm: reflectance); its answer is computed from the printed
digits, so that a reader with a pocket calculator comes to the same number.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.drafts import (
    WAVELENGTH_TOLERANCE,
    Question,
    group_of,
    rounded,
)
from course_utils.tracks.geology.materials import Material
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/spectra")
VARIANTS = 2  # tables of each feature, with shifted bands
CLEAR = 0.003  # reflectance by which the lowest band lies below the next
NOISE = (0, 100, 50)  # signal-to-noise ratios of the spectra to be named; 0 = none added


# --- A table of one feature ---------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A spectrum as it is printed: band centres in nm and reflectances with three decimals."""

    nm: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def text(self) -> str:
        return ", ".join(f"{nm}: {v:.3f}" for nm, v in zip(self.nm, self.values, strict=True))

    def continuum(self, at: int) -> float:
        """Straight line between the first and the last band."""
        share = (self.nm[at] - self.nm[0]) / (self.nm[-1] - self.nm[0])
        return self.values[0] + share * (self.values[-1] - self.values[0])

    @property
    def deepest(self) -> int:
        """Index of the band that lies lowest below the continuum."""
        inner = range(1, len(self.nm) - 1)
        return min(inner, key=lambda i: self.values[i] / self.continuum(i))

    @property
    def lowest(self) -> int:
        return min(range(len(self.nm)), key=lambda i: self.values[i])

    @property
    def is_complete(self) -> bool:
        """False where a band was not measured (NaN differs from itself)."""
        return all(value == value for value in self.values)

    def has_clear_minimum(self) -> bool:
        """The lowest band is inside, and no other is nearly as low."""
        first, second = sorted(self.values)[:2]
        return 0 < self.lowest < len(self.nm) - 1 and second - first >= CLEAR

    def without_continuum(self) -> "Table":
        """The ratios to the continuum of all bands but the first and the last, where it is 1."""
        inner = range(1, len(self.nm) - 1)
        return Table(
            tuple(self.nm[i] for i in inner),
            tuple(round(self.values[i] / self.continuum(i), 3) for i in inner),
        )


def table_of(
    material: Material, window: spectra.Window, rng: random.Random, snr: float = 0
) -> Table:
    """The window in 7 to 9 narrow bands; with noise where a signal-to-noise ratio is given."""
    own = material.spectrum
    low, high = sum(window.left) / 2, sum(window.right) / 2
    shift = rng.uniform(-0.03, 0.03) * (high - low)
    bands = spectra.narrow_bands(low + shift, high + shift, rng.randint(7, 9))
    values = spectra.resample(own.nm, own.reflectance, bands)
    if snr:
        values = spectra.add_noise(values, snr, rng.randrange(2**31))
    return Table(
        tuple(round(band.centre) for band in bands), tuple(round(float(v), 3) for v in values)
    )


# --- Questions on one table ---------------------------------------------------------------------


def spectrum_drafts(material: Material, seed: int) -> Iterator[Draft]:
    """All questions on one material's own spectrum."""
    for index, (window, feature) in enumerate(material.features):
        for variant in range(VARIANTS):
            rng = random.Random(f"{seed}/{material.name}/{index}/{variant}")
            table = table_of(material, window, rng)
            if not table.is_complete:
                continue
            yield from _lowest(material, table, rng)
            yield _depth(material, table, rng)
            if variant:
                yield from _removed(material, window, rng)
            else:
                yield _continuum(material, table, rng)
        rng = random.Random(f"{seed}/{material.name}/{index}")
        yield _centre(material, window, feature, rng)
        yield _width(material, feature, rng)
        yield _wavenumber(material, feature, rng)


def _ask(material: Material, say: Realiser, text: str, context: str = "") -> Question:
    return Question(say, text, context, material.source, group_of(material.family))


def _context(say: Realiser, material: Material, table: Table, wordings: str = "table") -> str:
    return say("context", SAY[wordings], what=material.title, table=table.text)


def _lowest(material: Material, table: Table, rng: random.Random) -> Iterator[Draft]:
    if not table.has_clear_minimum():
        return
    say = Realiser(rng, "spectra/lowest band")
    text = say("question", SAY["lowest_question"])
    context = _context(say, material, table)
    yield _ask(material, say, text, context).number(str(table.nm[table.lowest]), "nm")


def _continuum(material: Material, table: Table, rng: random.Random) -> Draft:
    say = Realiser(rng, "spectra/continuum")
    nm, low, high = table.nm[table.deepest], table.nm[0], table.nm[-1]
    text = say("question", SAY["continuum_question"], nm=nm, low=low, high=high)
    context = _context(say, material, table)
    return _ask(material, say, text, context).number(rounded(table.continuum(table.deepest), 3))


def _depth(material: Material, table: Table, rng: random.Random) -> Draft:
    say = Realiser(rng, "spectra/depth")
    nm, value = table.nm[table.deepest], table.values[table.deepest]
    line = rounded(table.continuum(table.deepest), 3)
    text = say("question", SAY["depth_question"], nm=nm, line=line)
    context = _context(say, material, table)
    return _ask(material, say, text, context).number(rounded(1 - value / float(line), 3))


def _removed(material: Material, window: spectra.Window, rng: random.Random) -> Iterator[Draft]:
    """The continuum-removed spectrum is printed: its minimum is where the absorption is deepest."""
    table = table_of(material, window, rng).without_continuum()
    if not table.is_complete:
        return
    say = Realiser(rng, "spectra/removed depth")
    text = say("question", SAY["removed_depth_question"])
    context = _context(say, material, table, "removed_context")
    depth = rounded(1 - table.values[table.lowest], 3)
    yield _ask(material, say, text, context).number(depth)
    first, second = sorted(table.values)[:2]
    if second - first >= CLEAR:
        say = Realiser(rng, "spectra/removed band")
        text = say("question", SAY["removed_band_question"])
        context = _context(say, material, table, "removed_context")
        yield _ask(material, say, text, context).number(str(table.nm[table.lowest]), "nm")


# --- Questions on one feature: place, width, wavenumber -----------------------------------------


def _centre(
    material: Material, window: spectra.Window, feature: spectra.Feature, rng: random.Random
) -> Draft:
    say = Realiser(rng, "features/centre")
    nm = round(feature.centre)
    region = "visible" if nm < 700 else "near infrared" if nm < 1300 else "SWIR"
    text = say(
        "question",
        SAY["centre_question"],
        what=material.title,
        low=round(sum(window.left) / 2),
        high=round(sum(window.right) / 2),
        region=SAY.phrase("region", region),
    )
    return _ask(material, say, text).number(str(nm), "nm", within=str(WAVELENGTH_TOLERANCE))


def _width(material: Material, feature: spectra.Feature, rng: random.Random) -> Draft:
    say = Realiser(rng, "spectra/width")
    width = round(feature.width)
    left = round(feature.centre - feature.width * rng.uniform(0.4, 0.6))
    context = say(
        "context",
        SAY["width_context"],
        what=material.title,
        nm=round(feature.centre),
        depth=feature.depth,
        left=left,
        right=left + width,
    )
    text = say("question", SAY["width_question"])
    return _ask(material, say, text, context).number(str(width), "nm")


def _wavenumber(material: Material, feature: spectra.Feature, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/wavenumber")
    nm = round(feature.centre)
    text = say("question", SAY["wavenumber_question"], what=material.title, nm=nm)
    return _ask(material, say, text).number(rounded(1e7 / nm, 0), "cm-1")


# --- Which mineral ------------------------------------------------------------------------------


def identification_drafts(
    material: Material, others: Sequence[Material], seed: int
) -> Iterator[Draft]:
    """Name the material of a table, clean and with noise; the candidates' centres are given."""
    window, feature = material.features[0]
    far = [
        other
        for other in others
        if other.family != material.family
        and other.features
        and abs(other.features[0][1].centre - feature.centre) >= 25
    ]
    for variant, snr in enumerate(NOISE):
        rng = random.Random(f"{seed}/identify/{material.name}/{variant}")
        table = table_of(material, window, rng, snr)
        # Noise may move the lowest band; then the table no longer says what is true.
        clear = table.is_complete and table.has_clear_minimum()
        if clear and abs(table.nm[table.lowest] - feature.centre) <= 12:
            chosen = [*rng.sample(far, 2), material]
            rng.shuffle(chosen)
            yield _identify(material, chosen, table, snr, rng)


def _identify(
    material: Material, chosen: Sequence[Material], table: Table, snr: float, rng: random.Random
) -> Draft:
    say = Realiser(rng, "spectra/identify")
    listed = ", ".join(f"{m.title} {m.features[0][1].centre:.0f} nm" for m in chosen)
    context = say("context", SAY["identify_context"], table=table.text, listed=listed)
    if snr:
        context += " " + SAY.phrase("identify_noise", snr=snr)
    text = say("question", SAY["identify_question"])
    return _ask(material, say, text, context).name(material.title, [one.title for one in chosen])
