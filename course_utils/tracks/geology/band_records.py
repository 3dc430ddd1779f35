"""Questions on what the few bands of a sensor show of a spectrum; the answers are computed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from course_utils.tracks.geology import knowledge as geology_knowledge
from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.drafts import Question, group_of, rounded
from course_utils.tracks.geology.materials import Material
from course_utils.tracks.geology.spectra import Band
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/bands")
SENSORS = ("ASTER", "WorldView-3")  # with bands enough in the SWIR to see a feature
RATIOS = 2  # questions on a ratio for each material and sensor
NONE = "none"  # no band of the sensor


@lru_cache
def all_bands(sensor: str) -> tuple[Band, ...]:
    """The bands of a sensor in data/knowledge/geology/sensors.yaml."""
    limits = geology_knowledge.load().sensor(sensor).limits
    return tuple(Band(name, low, high) for name, (low, high) in limits.items())


def sensor_bands(sensor: str) -> tuple[Band, ...]:
    """Its SWIR bands."""
    return tuple(b for b in all_bands(sensor) if b.low >= geology_knowledge.SWIR_BEGINS)


@dataclass(frozen=True)
class Pixel:
    """A material as the bands of a sensor see it."""

    material: Material
    sensor: str
    bands: Sequence[Band]
    values: Sequence[float]  # rounded to three decimals, as printed
    source: str

    @property
    def is_complete(self) -> bool:
        """False where a band was not measured (NaN differs from itself)."""
        return all(value == value for value in self.values)

    @property
    def text(self) -> str:
        pairs = zip(self.bands, self.values, strict=True)
        return ", ".join(f"{band.name} {value:.3f}" for band, value in pairs)

    def context(self, say: Realiser) -> str:
        """The reflectances in all bands."""
        return say(
            "context",
            SAY["bands_table"],
            what=self.material.title,
            sensor=self.sensor,
            table=self.text,
        )

    @property
    def names(self) -> list[str]:
        """The names of the bands."""
        return [band.name for band in self.bands]

    def asks(self, say: Realiser, text: str, context: str) -> Question:
        """A question on this pixel."""
        return Question(say, text, context, self.source, group_of(self.material.family))


def band_drafts(material: Material, seed: int) -> Iterator[Draft]:
    """All questions on one material in the bands of the sensors."""
    rng = random.Random(f"{seed}/{material.name}/bands")
    for sensor in SENSORS:
        pixel = _pixel(material, sensor)
        for _, feature in material.features:
            if feature.centre >= geology_knowledge.SWIR_BEGINS:
                yield from _which_band(pixel, feature, rng)
        if pixel.is_complete:
            for _ in range(RATIOS):
                yield _ratio(pixel, rng)
            yield from _darkest(pixel, rng)


def _pixel(material: Material, sensor: str) -> Pixel:
    own, bands = material.spectrum, sensor_bands(sensor)
    values = [round(float(v), 3) for v in spectra.resample(own.nm, own.reflectance, bands)]
    source = f"{material.source}; {geology_knowledge.load().sensor(sensor).source}"
    return Pixel(material, sensor, bands, values, source)


def _which_band(pixel: Pixel, feature: spectra.Feature, rng: random.Random) -> Iterator[Draft]:
    holding = [band for band in pixel.bands if band.low <= feature.centre <= band.high]
    if len(holding) > 1:  # ASTER bands 8 and 9 overlap by 5 nm
        return
    say = Realiser(rng, "bands/which")
    context = say(
        "context",
        SAY["which_context"],
        sensor=pixel.sensor,
        listed=", ".join(f"{band.name} {band.low:.0f}-{band.high:.0f}" for band in pixel.bands),
        what=pixel.material.title,
        nm=feature.centre,
    )
    text = say("question", SAY["which_question"])
    right = holding[0].name if holding else NONE
    yield pixel.asks(say, text, context).name(right, [*pixel.names, NONE])


def _ratio(pixel: Pixel, rng: random.Random) -> Draft:
    say = Realiser(rng, "bands/ratio")
    a, b = rng.sample(range(len(pixel.bands)), 2)
    context = pixel.context(say)
    text = say("question", SAY["ratio_question"], a=pixel.names[a], b=pixel.names[b])
    ratio = pixel.values[a] / pixel.values[b]
    return pixel.asks(say, text, context).number(rounded(ratio, 3))


def _darkest(pixel: Pixel, rng: random.Random) -> Iterator[Draft]:
    """Where no other band is nearly as dark. It is not always the band that absorbs most."""
    first, second = sorted(pixel.values)[:2]
    if second - first < 0.003:
        return
    say = Realiser(rng, "bands/darkest")
    context = pixel.context(say)
    text = say("question", SAY["darkest_question"], sensor=pixel.sensor)
    band = pixel.names[pixel.values.index(first)]
    yield pixel.asks(say, text, context).name(band, pixel.names)
