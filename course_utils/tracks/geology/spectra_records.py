"""Questions on real spectra whose answers are computed: features, noise, mixtures, sensor bands.

Each question prints a short table (nm: reflectance); its answer is computed from the printed
digits, so that a reader with a pocket calculator comes to the same number.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from course_utils.facts import ANSWER, Fact, format_facts
from course_utils.tracks.geology import knowledge as geology_knowledge
from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.spectra import Band
from course_utils.tracks.wording import Draft, Realiser

SYSTEM = "You are a geologist. Answer briefly, with units."

# name in the library -> (what to call it, the family of minerals it belongs to); mixtures, and
# second rules on the same measurement, are left out
MATERIALS = {
    "muscovite_lowAl": ("low-Al muscovite", "white mica"),
    "muscovite_medAl": ("medium-Al muscovite", "white mica"),
    "muscovite_medhighAl": ("Al-rich muscovite", "white mica"),
    "muscovite_Fe-rich": ("Fe-rich muscovite", "white mica"),
    "illite_imt1": ("illite IMt-1", "white mica"),
    "illite_gds4": ("illite from Marblehead", "white mica"),
    "kaolinite_wxl": ("well-crystallised kaolinite", "kaolin"),
    "kaolinite_pxl": ("poorly crystallised kaolinite", "kaolin"),
    "kaolinite+clay_mica_or_halloysite": ("halloysite", "kaolin"),
    "kaolinite_or_dickite": ("dickite", "kaolin"),
    "buddingtonite": ("buddingtonite", "buddingtonite"),
    "alunite_K_250C": ("K-alunite", "alunite"),
    "alunite_Na_450C": ("Na-alunite", "alunite"),
    "pyrophyllite": ("pyrophyllite", "pyrophyllite"),
    "jarosite_Na": ("Na-jarosite", "jarosite"),
    "jarosite_K": ("K-jarosite", "jarosite"),
    "montmorillonite_Na": ("Na-montmorillonite", "smectite"),
    "montmorillonite_Ca": ("Ca-montmorillonite", "smectite"),
    "nontronite": ("nontronite", "smectite"),
    "hectorite": ("hectorite", "smectite"),
    "gypsum": ("gypsum", "gypsum"),
    "chlorite_lowFe": ("Fe-poor chlorite", "chlorite"),
    "clinochlore": ("clinochlore", "chlorite"),
    "clinochlore_Fe": ("Fe-bearing clinochlore", "chlorite"),
    "thuringite": ("thuringite", "chlorite"),
    "epidote": ("epidote", "epidote"),
    "calcite": ("calcite", "carbonate"),
    "dolomite": ("dolomite", "carbonate"),
    "carbonate_Fe_bearing": ("siderite", "carbonate"),
    "chalcedony": ("chalcedony", "silica"),
    "hydrated_silica": ("opal (hyalite)", "silica"),
    "tremolite_or_talc": ("tremolite", "talc and amphibole"),
    "talc_or_tremolite": ("talc", "talc and amphibole"),
    "serpentine_antigorite_withsecondfeat": ("antigorite", "serpentine"),
    "serpentine_chrysotile": ("chrysotile", "serpentine"),
    "topaz": ("topaz", "topaz"),
    "vegetation_green": ("green spruce needles", "vegetation"),
    "dry_veg_grass": ("dry grass", "vegetation"),
    "dry_veg_nongrass": ("dry pine needles", "vegetation"),
    "snow_melting": ("melting snow", "snow and water"),
    "snow_slush": ("slush", "snow and water"),
}
LEAST_DEPTH = 0.04  # a shallower feature is no clear question
VARIANTS = 2  # tables of each feature, with shifted bands
SENSORS = ("ASTER", "WorldView-3")  # with bands enough in the SWIR to see a feature


@lru_cache
def sensor_bands(sensor: str) -> tuple[Band, ...]:
    """The SWIR bands of a sensor in data/knowledge/geology/sensors.yaml."""
    limits = geology_knowledge.load().sensor(sensor).limits
    return tuple(
        Band(name, low, high)
        for name, (low, high) in limits.items()
        if low >= geology_knowledge.SWIR_BEGINS
    )


@dataclass(frozen=True, eq=False)
class Material:
    """A pure material with its measured features, deepest first."""

    name: str
    title: str
    family: str
    spectrum: spectra.Spectrum
    features: tuple[tuple[spectra.Window, spectra.Feature], ...]

    @property
    def source(self) -> str:
        return f"{self.spectrum.label}, {spectra.SOURCE}"


@lru_cache
def materials() -> tuple[Material, ...]:
    """The pure materials whose features are deep enough to ask about."""
    found = []
    for name, (title, family) in MATERIALS.items():
        own = spectra.spectrum(name)
        features = [(w, spectra.measure(own.nm, own.reflectance, w)) for w in own.windows]
        clear = [
            (w, f) for w, f in features if f.depth >= LEAST_DEPTH and f.width == f.width
        ]  # NaN differs from itself
        clear.sort(key=lambda pair: (-pair[0].weight, -pair[1].depth))
        found.append(Material(name, title, family, own, tuple(clear)))
    return tuple(found)


def group_of(family: str) -> str:
    """The `group` of all records on one family of minerals."""
    return f"mineral/{family}"


def draft(
    say: Realiser,
    instruction: str,
    context: str,
    answer: str,
    source: str,
    group: str,
    fact: Fact | None = None,
) -> Draft:
    """A record of the geology schema with the wording that made it."""
    question, context = (text[:1].upper() + text[1:] for text in (instruction, context))
    record = {"system": SYSTEM, "instruction": question, "context": context, "answer": answer}
    record |= {"source": source, "group": group}
    if fact:
        record["facts"] = format_facts([fact])
    return Draft(record, say.template)


def number(value: float, decimals: int, unit: str = "") -> Fact:
    """The one fact of a numeric question."""
    return Fact(ANSWER, f"{value:.{decimals}f}", unit)


# --- One spectrum -------------------------------------------------------------------------------


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

    def has_clear_minimum(self) -> bool:
        """The lowest band is inside, and no other is nearly as low."""
        first, second = sorted(self.values)[:2]
        return 0 < self.lowest < len(self.nm) - 1 and second - first >= 0.003


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


def spectrum_drafts(material: Material, seed: int) -> Iterator[Draft]:
    """All questions on one material's own spectrum."""
    for number_of, (window, feature) in enumerate(material.features):
        for variant in range(VARIANTS):
            rng = random.Random(f"{seed}/{material.name}/{number_of}/{variant}")
            table = table_of(material, window, rng)
            if any(value != value for value in table.values):
                continue
            yield from _lowest(material, table, rng)
            yield _depth(material, table, rng)
            yield _removed(material, window, rng) if variant else _continuum(material, table, rng)
        rng = random.Random(f"{seed}/{material.name}/{number_of}")
        yield from _feature_figures(material, window, feature, rng)
    yield from _band_questions(material, random.Random(f"{seed}/{material.name}/bands"))


SHOWN = (
    "Reflectance of {what} (nm: value): {table}",
    "Spectrum of {what}, wavelength in nm and reflectance: {table}",
    "{table} (nm: reflectance; sample: {what})",
    "Laboratory spectrum, {what}. Bands in nm: {table}",
    "{what}; band centre in nm: reflectance. {table}",
)


def _lowest(material: Material, table: Table, rng: random.Random) -> Iterator[Draft]:
    if not table.has_clear_minimum():
        return
    say = Realiser(rng, "spectra/lowest band")
    nm = table.nm[table.lowest]
    question = say(
        "question",
        [
            "At which band is the reflectance lowest?",
            "Which wavelength has the lowest reflectance in this table?",
            "Find the minimum of the spectrum. Which band is it?",
            "Where is the bottom of the absorption, in nm?",
            "Name the band with the smallest reflectance.",
        ],
    )
    answer = say(
        "answer",
        ["{nm} nm.", "The minimum is at {nm} nm ({value:.3f}).", "At {nm} nm."],
        nm=nm,
        value=table.values[table.lowest],
    )
    context = say("context", SHOWN, what=material.title, table=table.text)
    group = group_of(material.family)
    yield draft(say, question, context, answer, material.source, group, number(nm, 0, "nm"))


def _continuum(material: Material, table: Table, rng: random.Random) -> Draft:
    say = Realiser(rng, "spectra/continuum")
    at = table.deepest
    values = {"nm": table.nm[at], "low": table.nm[0], "high": table.nm[-1]}
    question = say(
        "question",
        [
            "What is the continuum at {nm} nm if it is a straight line from {low} to {high} nm?",
            "Draw a straight continuum between {low} and {high} nm. What is its value at {nm} nm?",
            "Continuum reflectance at {nm} nm (straight line, {low} to {high} nm)?",
            "Interpolate the continuum from {low} to {high} nm: how high is it at {nm} nm?",
        ],
        **values,
    )
    share = f"{(table.nm[at] - table.nm[0]) / (table.nm[-1] - table.nm[0]):.3f}"
    answer = say(
        "answer",
        [
            "{first:.3f} + {share} x ({last:.3f} - {first:.3f}) = {result:.3f}",
            "The line passes {nm} nm at {result:.3f}.",
            "{result:.3f}",
        ],
        nm=table.nm[at],
        share=share,
        first=table.values[0],
        last=table.values[-1],
        result=table.continuum(at),
    )
    context = say("context", SHOWN, what=material.title, table=table.text)
    fact = number(table.continuum(at), 3)
    return draft(say, question, context, answer, material.source, group_of(material.family), fact)


def _depth(material: Material, table: Table, rng: random.Random) -> Draft:
    say = Realiser(rng, "spectra/depth")
    at = table.deepest
    line = round(table.continuum(at), 3)
    depth = 1 - table.values[at] / line
    question = say(
        "question",
        [
            "The continuum at {nm} nm is {line:.3f}. How deep is the band there?",
            "Compute the band depth at {nm} nm; the continuum is {line:.3f}.",
            "With a continuum of {line:.3f}, what is the absorption depth at {nm} nm?",
            "Band depth after continuum removal at {nm} nm (continuum {line:.3f})?",
        ],
        nm=table.nm[at],
        line=line,
    )
    answer = say(
        "answer",
        [
            "1 - {value:.3f} / {line:.3f} = {depth:.2f}",
            "Depth = 1 - {value:.3f} / {line:.3f} = {depth:.2f}",
        ],
        value=table.values[at],
        line=line,
        depth=depth,
    )
    context = say("context", SHOWN, what=material.title, table=table.text)
    fact = number(depth, 2)
    return draft(say, question, context, answer, material.source, group_of(material.family), fact)


def _removed(material: Material, window: spectra.Window, rng: random.Random) -> Draft:
    """The continuum-removed spectrum itself is printed; its minimum is 1 - depth."""
    say = Realiser(rng, "spectra/continuum-removed")
    table = table_of(material, window, rng)
    inner = range(1, len(table.nm) - 1)
    removed = Table(
        tuple(table.nm[i] for i in inner),
        tuple(round(table.values[i] / table.continuum(i), 3) for i in inner),
    )
    at = removed.lowest
    question = say(
        "question",
        [
            "How deep is the absorption, and at which band?",
            "Give the depth of the feature and the band of its minimum.",
            "What depth does the feature reach, and where?",
        ],
    )
    depth = 1 - removed.values[at]
    answer = say(
        "answer",
        [
            "At {nm} nm: 1 - {value:.3f} = {depth:.3f}",
            "{nm} nm, 1 - {value:.3f} = {depth:.3f}",
        ],
        nm=removed.nm[at],
        value=removed.values[at],
        depth=depth,
    )
    context = say(
        "context",
        [
            "Continuum-removed spectrum of {what} (nm: value): {table}",
            "{what} after continuum removal, nm: ratio. {table}",
            "Reflectance divided by its continuum, {what}: {table}",
        ],
        what=material.title,
        table=removed.text,
    )
    fact = number(depth, 3)
    return draft(say, question, context, answer, material.source, group_of(material.family), fact)


def _feature_figures(
    material: Material, window: spectra.Window, feature: spectra.Feature, rng: random.Random
) -> Iterator[Draft]:
    """Centre from memory, width from the half-depth points, conversion to other units."""
    group, centre = group_of(material.family), round(feature.centre)
    region = "visible" if centre < 700 else "near infrared" if centre < 1300 else "SWIR"
    say = Realiser(rng, "features/centre")
    low, high = round(sum(window.left) / 2), round(sum(window.right) / 2)
    question = say(
        "question",
        [
            "Where is the absorption of {what} between {low} and {high} nm?",
            "Centre of the {what} absorption in the {region}, between {low} and {high} nm?",
            "{what}: centre of the feature between {low} and {high} nm?",
            "Between {low} and {high} nm lies an absorption of {what}. At which wavelength?",
        ],
        what=material.title,
        low=low,
        high=high,
        region=region,
    )
    answer = say("answer", ["{nm} nm.", "At {nm} nm.", "Near {nm} nm."], nm=centre)
    yield draft(say, question, "", answer, material.source, group, number(centre, 0, "nm"))

    say = Realiser(rng, "spectra/width")
    left = round(feature.centre - feature.width * rng.uniform(0.4, 0.6))
    right = left + round(feature.width)
    context = say(
        "context",
        [
            "{what}, feature at {nm} nm, depth {depth:.2f}. Half the depth is reached at {left} "
            "and {right} nm.",
            "The {nm} nm absorption of {what} falls to half its depth at {left} nm and rises again "
            "to it at {right} nm. Its depth is {depth:.2f}.",
            "Half-depth points of the {what} feature (centre {nm} nm): {left} nm, {right} nm.",
        ],
        what=material.title,
        nm=centre,
        depth=feature.depth,
        left=left,
        right=right,
    )
    question = say(
        "question",
        [
            "What is the full width at half depth?",
            "How wide is the feature (FWHM)?",
            "Give the width of the absorption at half its depth.",
        ],
    )
    answer = say(
        "answer",
        ["{right} - {left} = {width} nm", "{width} nm"],
        right=right,
        left=left,
        width=right - left,
    )
    fact = number(right - left, 0, "nm")
    yield draft(say, question, context, answer, material.source, group, fact)

    say = Realiser(rng, "features/wavenumber")
    wavenumber = round(1e7 / centre)
    question = say(
        "question",
        [
            "Convert the {what} absorption at {nm} nm to a wavenumber.",
            "The {what} band lies at {nm} nm. Which wavenumber is that?",
            "Express {nm} nm ({what}) in cm-1.",
        ],
        what=material.title,
        nm=centre,
    )
    answer = say("answer", ["10,000,000 / {nm} = {k} cm-1", "{k} cm-1"], nm=centre, k=wavenumber)
    fact = number(wavenumber, 0, "cm-1")
    yield draft(say, question, "", answer, material.source, group, fact)


# --- Which mineral ------------------------------------------------------------------------------


def identification_drafts(
    material: Material, others: Sequence[Material], seed: int
) -> Iterator[Draft]:
    """Name the material of a table, clean and with noise; the candidates' centres are given."""
    for variant, snr in enumerate((0, 100, 50)):
        rng = random.Random(f"{seed}/identify/{material.name}/{variant}")
        window, feature = material.features[0]
        far = [
            o
            for o in others
            if o.family != material.family
            and o.features
            and abs(o.features[0][1].centre - feature.centre) >= 25
        ]
        if len(far) < 2:
            continue
        table = table_of(material, window, rng, snr)
        # Noise may move the lowest band; then the table no longer says what is true.
        if any(v != v for v in table.values) or not table.has_clear_minimum():
            continue
        if abs(table.nm[table.lowest] - feature.centre) > 12:
            continue
        chosen = [*rng.sample(far, 2), material]
        rng.shuffle(chosen)
        say = Realiser(rng, "spectra/identify")
        listed = ", ".join(f"{m.title} {m.features[0][1].centre:.0f} nm" for m in chosen)
        context = say(
            "context",
            [
                "Spectrum (nm: reflectance): {table}. Main absorptions: {listed}.",
                "Candidates: {listed}. Measured (nm: reflectance): {table}.",
                "Known centres: {listed}. Unknown sample, nm: reflectance: {table}.",
            ],
            table=table.text,
            listed=listed,
        )
        if snr:
            context += f" Signal-to-noise ratio {snr}."
        question = say(
            "question",
            [
                "Which mineral or material is it?",
                "Which of the candidates fits this spectrum?",
                "Name the material of the unknown spectrum.",
                "What was measured here?",
            ],
        )
        answer = say(
            "answer",
            [
                "{what}: the minimum at {nm} nm is nearest to {centre:.0f} nm.",
                "{what}; lowest band {nm} nm, its absorption is at {centre:.0f} nm.",
            ],
            what=material.title,
            nm=table.nm[table.lowest],
            centre=feature.centre,
        )
        answer = answer[:1].upper() + answer[1:]
        yield draft(say, question, context, answer, material.source, group_of(material.family))


# --- The bands of a sensor ----------------------------------------------------------------------


def _band_questions(material: Material, rng: random.Random) -> Iterator[Draft]:
    own, group = material.spectrum, group_of(material.family)
    for sensor in SENSORS:
        bands = sensor_bands(sensor)
        source = f"{material.source}; {geology_knowledge.load().sensor(sensor).source}"
        values = [round(float(v), 3) for v in spectra.resample(own.nm, own.reflectance, bands)]
        for _, feature in material.features:
            if feature.centre < geology_knowledge.SWIR_BEGINS:
                continue
            yield from _which_band(material, sensor, bands, feature, source, rng)
        if any(v != v for v in values):
            continue
        texts = [f"{band.name} {value:.3f}" for band, value in zip(bands, values, strict=True)]
        for _ in range(2):
            say = Realiser(rng, "bands/ratio")
            a, b = rng.sample(range(len(bands)), 2)
            ratio = values[a] / values[b]
            context = say(
                "context", BANDS_SHOWN, what=material.title, sensor=sensor, table=", ".join(texts)
            )
            question = say(
                "question",
                [
                    "What is the ratio {a} / {b}?",
                    "Compute the band ratio {a}/{b}.",
                    "Divide {a} by {b}.",
                ],
                a=bands[a].name,
                b=bands[b].name,
            )
            answer = say(
                "answer",
                ["{x:.3f} / {y:.3f} = {r:.2f}", "{a} / {b} = {r:.2f}"],
                a=bands[a].name,
                b=bands[b].name,
                x=values[a],
                y=values[b],
                r=ratio,
            )
            yield draft(say, question, context, answer, source, group, number(ratio, 2))
        low = min(range(len(bands)), key=values.__getitem__)
        if sorted(values)[1] - values[low] >= 0.003:
            say = Realiser(rng, "bands/lowest")
            context = say(
                "context", BANDS_SHOWN, what=material.title, sensor=sensor, table=", ".join(texts)
            )
            question = say(
                "question",
                [
                    "Which band is darkest?",
                    "In which band does the target absorb most?",
                    "Name the {sensor} band with the lowest reflectance.",
                ],
                sensor=sensor,
            )
            answer = say(
                "answer", ["{b} ({v:.3f}).", "{b}, with {v:.3f}."], b=bands[low].name, v=values[low]
            )
            yield draft(say, question, context, answer, source, group)


BANDS_SHOWN = (
    "{what} resampled to {sensor}: {table}",
    "{sensor} reflectances of {what}: {table}",
    "{table} ({sensor}, {what})",
    "Pixel of {what} in {sensor} bands: {table}",
)


def _which_band(
    material: Material,
    sensor: str,
    bands: Sequence[Band],
    feature: spectra.Feature,
    source: str,
    rng: random.Random,
) -> Iterator[Draft]:
    holding = [band for band in bands if band.low <= feature.centre <= band.high]
    if len(holding) > 1:  # ASTER bands 8 and 9 overlap by 5 nm
        return
    say = Realiser(rng, "bands/which")
    listed = ", ".join(f"{band.name} {band.low:.0f}-{band.high:.0f}" for band in bands)
    context = say(
        "context",
        [
            "{sensor} bands in nm: {listed}. The absorption of {what} lies at {nm:.0f} nm.",
            "{what}: absorption at {nm:.0f} nm. {sensor} (nm): {listed}.",
            "Sensor {sensor}, band limits in nm: {listed}. Target: {what}, feature at {nm:.0f} nm.",
        ],
        sensor=sensor,
        listed=listed,
        what=material.title,
        nm=feature.centre,
    )
    question = say(
        "question",
        [
            "Which band contains the centre of the absorption?",
            "In which band does the feature fall?",
            "Which of these bands sees the absorption centre?",
        ],
    )
    if holding:
        answer = say(
            "answer",
            ["{b}, {low:.0f} to {high:.0f} nm.", "{b} ({low:.0f}-{high:.0f} nm)."],
            b=holding[0].name,
            low=holding[0].low,
            high=holding[0].high,
        )
    else:
        answer = say("none", ["None of them.", "None: it lies between or outside these bands."])
    yield draft(say, question, context, answer, source, group_of(material.family))


# --- Mixtures -----------------------------------------------------------------------------------

BANDS_OF_MIXTURE = (2120, 2165, 2210, 2260, 2310, 2335, 2385)


def mixture_drafts(a: Material, b: Material, seed: int) -> Iterator[Draft]:
    """Two materials mixed linearly with known fractions; the tables print three bands."""
    family = "+".join(sorted({a.family, b.family}))
    group = group_of(family) if a.family == b.family else f"mixture/{family}"
    source = f"computed mixture of {a.spectrum.label} and {b.spectrum.label}, {spectra.SOURCE}"
    for variant in range(2):
        rng = random.Random(f"{seed}/mix/{a.name}/{b.name}/{variant}")
        fraction = rng.randrange(10, 95, 5) / 100
        bands = rng.sample(_telling_bands(a, b), 3)
        x, y = (_values_at(m, bands) for m in (a, b))
        mixed = [round(fraction * p + (1 - fraction) * q, 3) for p, q in zip(x, y, strict=True)]
        told = [(m - q) / (p - q) for p, q, m in zip(x, y, mixed, strict=True)]
        if all(abs(value - fraction) < 0.004 for value in told):  # else rounding hides the truth
            yield _fraction((a, b), bands, (x, y, mixed), fraction, source, group, rng)
        yield _forward((a, b), bands[0], (x[0], y[0]), fraction, source, group, rng)


def _values_at(material: Material, bands: Sequence[int]) -> list[float]:
    own = material.spectrum
    narrow = [Band(str(nm), nm - 5, nm + 5) for nm in bands]
    return [round(float(v), 3) for v in spectra.resample(own.nm, own.reflectance, narrow)]


def _telling_bands(a: Material, b: Material) -> list[int]:
    """The three bands in which the two differ most."""
    x, y = (_values_at(m, BANDS_OF_MIXTURE) for m in (a, b))
    order = sorted(range(len(x)), key=lambda i: -abs(x[i] - y[i]))
    return [BANDS_OF_MIXTURE[i] for i in sorted(order[:3])]


def can_be_mixed(a: Material, b: Material) -> bool:
    """Whether the two differ enough for a fraction to show in three decimals."""
    x, y = (_values_at(m, BANDS_OF_MIXTURE) for m in (a, b))
    gaps = sorted((abs(p - q) for p, q in zip(x, y, strict=True)), reverse=True)
    return all(gap == gap for gap in gaps) and gaps[2] >= 0.05


def _fraction(
    two: tuple[Material, Material],
    bands: Sequence[int],
    rows: tuple[list[float], list[float], list[float]],
    fraction: float,
    source: str,
    group: str,
    rng: random.Random,
) -> Draft:
    say = Realiser(rng, "mixture/fraction")
    lines = [
        f"{name} {', '.join(f'{v:.3f}' for v in row)}"
        for name, row in zip((two[0].title, two[1].title, "pixel"), rows, strict=True)
    ]
    context = say(
        "context",
        [
            "Reflectance at {bands} nm: {lines}.",
            "Bands {bands} nm. {lines}.",
            "Endmembers and mixed pixel at {bands} nm: {lines}.",
        ],
        bands=", ".join(map(str, bands)),
        lines="; ".join(lines),
    )
    question = say(
        "question",
        [
            "The pixel is a linear mixture. What is the fraction of {what}?",
            "Unmix the pixel: how much {what}, as a fraction?",
            "Which share of the pixel is {what} (linear mixing, 0 to 1)?",
            "Linear unmixing: give the fraction of {what}.",
            "What part of this pixel's area is {what}, from 0 to 1?",
        ],
        what=two[0].title,
    )
    x, y, m = (row[0] for row in rows)
    answer = say(
        "answer",
        [
            "({m:.3f} - {y:.3f}) / ({x:.3f} - {y:.3f}) = {f:.2f}",
            "At {nm} nm: ({m:.3f} - {y:.3f}) / ({x:.3f} - {y:.3f}) = {f:.2f}",
        ],
        m=m,
        x=x,
        y=y,
        f=fraction,
        nm=bands[0],
    )
    return draft(say, question, context, answer, source, group, number(fraction, 2))


def _forward(
    two: tuple[Material, Material],
    nm: int,
    values: tuple[float, float],
    fraction: float,
    source: str,
    group: str,
    rng: random.Random,
) -> Draft:
    say = Realiser(rng, "mixture/forward")
    names = {"a": two[0].title, "b": two[1].title, "nm": nm}
    p, q = round(100 * fraction), round(100 - 100 * fraction)
    context = say(
        "context",
        [
            "At {nm} nm {a} reflects {x:.3f}, {b} {y:.3f}.",
            "Reflectance at {nm} nm: {a} {x:.3f}; {b} {y:.3f}.",
            "Endmembers at {nm} nm: {b} {y:.3f}, {a} {x:.3f}.",
            "{a} {x:.3f} and {b} {y:.3f}, both at {nm} nm.",
        ],
        x=values[0],
        y=values[1],
        **names,
    )
    question = say(
        "question",
        [
            "What does a pixel of {p} % {a} and {q} % {b} reflect at {nm} nm?",
            "Mix {p} % {a} with {q} % {b} linearly: reflectance at {nm} nm?",
            "A pixel holds {p} % {a} and {q} % {b}. Give its reflectance at {nm} nm.",
            "Expected reflectance at {nm} nm for {p} % {a}, the rest {b}?",
            "{q} % {b}, {p} % {a}: which reflectance at {nm} nm?",
        ],
        p=p,
        q=q,
        **names,
    )
    result = round(fraction * values[0] + (1 - fraction) * values[1], 3)
    answer = say(
        "answer",
        [
            "{f:.2f} x {x:.3f} + {g:.2f} x {y:.3f} = {r:.3f}",
            "Linear mixing: {f:.2f} x {x:.3f} + {g:.2f} x {y:.3f} = {r:.3f}",
        ],
        f=fraction,
        g=1 - fraction,
        x=values[0],
        y=values[1],
        r=result,
    )
    return draft(say, question, context, answer, source, group, number(result, 3))
