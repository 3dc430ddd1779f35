"""Questions on sensors: their figures, their range, the width and the centre of their bands."""

import random
from collections.abc import Iterator

from course_utils.tracks.geology.drafts import decimals_of, draft, number, sentence
from course_utils.tracks.geology.knowledge import Sensor
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/sensors")
UNITS = {"bands": "bands", "sampling": "nm", "pixel": "m", "swath": "km", "launch": ""}
REACHED = {"jarosite": 434, "hematite": 860, "white mica": 2200, "calcite": 2340}  # nm
BANDS = 4  # of a sensor are asked about


def sensor_drafts(sensor: Sensor, rng: random.Random) -> Iterator[Draft]:
    """All questions on one sensor."""
    for figure in _known(sensor):
        yield _figure(sensor, figure, "", Realiser(rng, f"sensors/{figure}"))
        say = Realiser(rng, f"sensors/{figure} in context")
        yield _figure(sensor, figure, _data_sheet(sensor, say), say)
    if sensor.range:
        yield from _reach(sensor, rng)
    for band in rng.sample(sorted(sensor.limits), min(BANDS, len(sensor.limits))):
        yield _band_width(sensor, band, rng)
        yield _band_centre(sensor, band, rng)
    for aspect in ("kind", "operator"):
        yield _aspect(sensor, aspect, rng)


def _known(sensor: Sensor) -> list[str]:
    return [name for name in UNITS if getattr(sensor, name) is not None]


def _group(sensor: Sensor) -> str:
    return f"sensors/{sensor.name}"


def _data_sheet(sensor: Sensor, say: Realiser) -> str:
    figures = {name: f"{getattr(sensor, name):g}" for name in _known(sensor)}
    parts = [SAY.phrase("sheet_part", name, value=value) for name, value in figures.items()]
    if sensor.range:
        low, high = sensor.range
        parts.append(SAY.phrase("sheet_range", low=low, high=high))
    return say(
        "sheet",
        SAY["sheet"],
        parts="; ".join(say.order("figures", parts)),
        name=sensor.name,
        kind=sensor.kind,
        operator=sensor.operator,
        note=sensor.note,
    )


def _figure(sensor: Sensor, figure: str, context: str, say: Realiser) -> Draft:
    value = f"{getattr(sensor, figure):g}"
    question = say("question", SAY["figure_question"][figure], name=sensor.name)
    answer = SAY.phrase("figure_answer", figure, value=value)
    fact = number(float(value), decimals_of(value), UNITS[figure])
    return draft(say, question, context, answer, sensor.source, _group(sensor), fact)


def _aspect(sensor: Sensor, aspect: str, rng: random.Random) -> Draft:
    say = Realiser(rng, f"sensors/{aspect} in context")
    context = _data_sheet(sensor, say)
    question = say("question", SAY["aspect_question"][aspect], name=sensor.name)
    answer = sentence(getattr(sensor, aspect))
    return draft(say, question, context, answer, sensor.source, _group(sensor))


def _reach(sensor: Sensor, rng: random.Random) -> Iterator[Draft]:
    """Whether a sensor's range holds an absorption."""
    low, high = sensor.range
    for mineral, nm in rng.sample(list(REACHED.items()), 2):
        say = Realiser(rng, "sensors/reach")
        what = SAY.phrase("reach_target", mineral)
        question = say("question", SAY["reach_question"], name=sensor.name, what=what, nm=nm)
        told = "yes" if low <= nm <= high else "no"
        answer = SAY.phrase("reach_answer", told, low=low, high=high)
        context = _data_sheet(sensor, say)
        yield draft(say, question, context, answer, sensor.source, _group(sensor))


def _limits(sensor: Sensor, say: Realiser) -> str:
    listed = ", ".join(f"{name} {low}-{high}" for name, (low, high) in sensor.limits.items())
    return say("context", SAY["limits"], name=sensor.name, listed=listed)


def _band_width(sensor: Sensor, band: str, rng: random.Random) -> Draft:
    low, high = sensor.limits[band]
    say = Realiser(rng, "sensors/band width")
    context = _limits(sensor, say)
    question = say("question", SAY["width_question"], band=band)
    answer = SAY.phrase("width_answer", low=low, high=high, width=high - low)
    fact = number(high - low, 0, "nm")
    return draft(say, question, context, answer, sensor.source, _group(sensor), fact)


def _band_centre(sensor: Sensor, band: str, rng: random.Random) -> Draft:
    low, high = sensor.limits[band]
    say = Realiser(rng, "sensors/band centre")
    context = _limits(sensor, say)
    question = say("question", SAY["centre_question"], band=band)
    centre = f"{(low + high) / 2:g}"
    answer = SAY.phrase("centre_answer", low=low, high=high, centre=centre)
    fact = number(float(centre), decimals_of(centre), "nm")
    return draft(say, question, context, answer, sensor.source, _group(sensor), fact)
