"""Questions on sensors: their figures, their range, the width and the centre of their bands."""

import random
from collections.abc import Iterator

from course_utils.facts import Fact
from course_utils.tracks.geology.drafts import Question, number_of
from course_utils.tracks.geology.knowledge import Sensor, titled
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/sensors")
UNITS = {"bands": "bands", "sampling": "nm", "pixel": "m", "swath": "km", "launch": ""}
REACHED = {  # nm
    **{"jarosite": 434, "hematite": 860, "white mica": 2200, "calcite": 2340},
    **{"OH stretch": 2760, "quartz": 9000},
}
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


def _ask(sensor: Sensor, say: Realiser, text: str, context: str) -> Question:
    return Question(say, text, context, sensor.source, f"sensors/{sensor.name}")


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
        name=titled(sensor),
        kind=sensor.kind,
        operator=sensor.operator,
        mode=_mode(sensor),
        note=sensor.note,
    )


def _mode(sensor: Sensor) -> str:
    """' in its target mode', or nothing: where the figures hold."""
    return f" {sensor.mode}" if sensor.mode else ""


def _figure(sensor: Sensor, figure: str, context: str, say: Realiser) -> Draft:
    wordings = SAY["figure_question"][figure]
    text = say("question", wordings, name=titled(sensor), mode=_mode(sensor))
    return _ask(sensor, say, text, context).number(
        number_of(getattr(sensor, figure)), UNITS[figure]
    )


def _aspect(sensor: Sensor, aspect: str, rng: random.Random) -> Draft:
    """What it is, or who runs it; wrong is the other of the two."""
    say = Realiser(rng, f"sensors/{aspect} in context")
    context = _data_sheet(sensor, say)
    text = say("question", SAY["aspect_question"][aspect], name=titled(sensor))
    other = {"kind": sensor.operator, "operator": sensor.kind}[aspect]
    return _ask(sensor, say, text, context).name(getattr(sensor, aspect), [other])


def _reach(sensor: Sensor, rng: random.Random) -> Iterator[Draft]:
    """Whether a sensor's range holds an absorption: one that it holds, and one that it does not."""
    low, high = sensor.range
    inside = [name for name, nm in REACHED.items() if low <= nm <= high]
    outside = [name for name in REACHED if name not in inside]
    for mineral in (rng.choice(inside), rng.choice(outside)):
        nm = REACHED[mineral]
        say = Realiser(rng, "sensors/reach")
        what = SAY.phrase("reach_target", mineral)
        text = say("question", SAY["reach_question"], name=titled(sensor), what=what, nm=nm)
        context = _data_sheet(sensor, say)
        yield _ask(sensor, say, text, context).yes_no(
            low <= nm <= high,
            SAY.phrase("reach_reason", low=low, high=high),
            SAY.phrase("reach_asked"),
            [Fact("range", str(low), "nm", limit="between", upper=str(high))],
        )


def _limits(sensor: Sensor, say: Realiser) -> str:
    listed = ", ".join(f"{name} {low:g}-{high:g}" for name, (low, high) in sensor.limits.items())
    return say("context", SAY["limits"], name=titled(sensor), listed=listed)


def _band_width(sensor: Sensor, band: str, rng: random.Random) -> Draft:
    low, high = sensor.limits[band]
    say = Realiser(rng, "sensors/band width")
    context = _limits(sensor, say)
    text = say("question", SAY["width_question"], band=band)
    return _ask(sensor, say, text, context).number(number_of(high - low), "nm")


def _band_centre(sensor: Sensor, band: str, rng: random.Random) -> Draft:
    low, high = sensor.limits[band]
    say = Realiser(rng, "sensors/band centre")
    context = _limits(sensor, say)
    text = say("question", SAY["centre_question"], band=band)
    return _ask(sensor, say, text, context).number(number_of((low + high) / 2), "nm")
