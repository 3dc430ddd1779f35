"""Questions on band ratios and indices: formula, meaning, and the value of one pixel, computed."""

import random
from collections.abc import Iterator, Sequence
from itertools import permutations

from course_utils.tracks.geology import spectra
from course_utils.tracks.geology.band_records import all_bands
from course_utils.tracks.geology.drafts import Question, rounded, sentence
from course_utils.tracks.geology.knowledge import Index, key_of, plain
from course_utils.tracks.geology.materials import title_of
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/indices")
ASPECTS = ("formula", "highlights", "why")
PROSE = ("highlights", "why")
BRIGHTNESS = (0.8, 1.15)  # a slope turned from or to the sun; it leaves ratios as they are


def index_drafts(index: Index, others: Sequence[Index], rng: random.Random) -> Iterator[Draft]:
    """All questions on one index."""
    for context in (False, True):
        yield _formula(index, context, rng)
        for aspect in PROSE:
            yield _prose(index, aspect, others, context, rng)
    for surface in index.surfaces:
        yield _value(index, surface, rng)


def _ask(index: Index, say: Realiser, text: str, context: str, source: str = "") -> Question:
    group = f"indices/{index.sensor}/{index.name}"
    return Question(say, text, context, source or index.source, group)


def _start(index: Index, aspect: str, with_context: bool, rng: random.Random) -> Question:
    """The question on one aspect, with the whole entry as context or without."""
    say = Realiser(rng, f"indices/{aspect}{' in context' if with_context else ''}")
    context = _sheet(index, say) if with_context else ""
    names = {"name": index.name, "formula": index.formula, "sensor": index.sensor}
    return _ask(index, say, say("question", SAY["question"][aspect], **names), context)


def _sheet(index: Index, say: Realiser) -> str:
    name = sentence(SAY.phrase("context_name", name=index.name, sensor=index.sensor))
    lines = [SAY.phrase("context_line", one, value=plain(getattr(index, one))) for one in ASPECTS]
    return " ".join([name, *say.order("parts", lines)])


def _formula(index: Index, with_context: bool, rng: random.Random) -> Draft:
    """Wrong are the same bands in another order, and what else the context says."""
    turned = [
        index.model_copy(update={"bands": list(bands)}).formula
        for bands in permutations(index.bands)
    ]
    same = {index.formula}
    if index.form == "shoulders":  # a sum may be written in either order
        a, b, c = index.bands
        same.add(f"({b} + {a}) / {c}")
    others = [one for one in turned if one not in same]
    beside = [key_of(getattr(index, aspect)) for aspect in PROSE] if with_context else []
    return _start(index, "formula", with_context, rng).name(
        index.formula, [*others, *beside], "formula"
    )


def _prose(
    index: Index, aspect: str, others: Sequence[Index], with_context: bool, rng: random.Random
) -> Draft:
    value = getattr(index, aspect)
    asked = _start(index, aspect, with_context, rng)
    if with_context:
        beside = [key_of(getattr(index, one)) for one in PROSE if one != aspect]
    else:
        # "Clay, white mica and alunite" is right for any index of OH-bearing minerals.
        wrong = [one for one in others if one.about != index.about]
        beside = [key_of(getattr(one, aspect)) for one in rng.sample(wrong, 4)]
    answer = SAY.phrase("answer", aspect, value=plain(value))
    return asked.sentence(answer, key_of(value), beside)


def _value(index: Index, surface: str, rng: random.Random) -> Draft:
    """One pixel: a real surface, brighter or darker, in the bands of the sensor."""
    say = Realiser(rng, "indices/value")
    own = spectra.spectrum(surface)
    bands = [band for band in all_bands(index.sensor) if band.name in index.bands]
    light = rng.uniform(*BRIGHTNESS)
    seen = spectra.resample(own.nm, own.reflectance, bands)
    pixel = {
        band.name: min(0.99, round(light * float(value), 3))
        for band, value in zip(bands, seen, strict=True)
    }
    listed = say.order("bands", [f"{band} {value:.3f}" for band, value in pixel.items()])
    context = say(
        "context",
        SAY["value_context"],
        what=title_of(surface),
        sensor=index.sensor,
        listed=", ".join(listed),
        formula=index.formula,
        name=index.name,
    )
    text = say("question", SAY["value_question"], name=index.name)
    source = f"{index.source}; pixel: {own.label}, {spectra.SOURCE}"
    return _ask(index, say, text, context, source).number(rounded(index.value(pixel), 2))
