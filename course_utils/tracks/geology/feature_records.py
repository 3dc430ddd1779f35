"""Questions on the known absorptions of a mineral: their causes, their wavelengths.

With a context the answer stands in it; without one it has to be known.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.tracks.geology.drafts import (
    WAVELENGTH_TOLERANCE,
    Question,
    group_of,
    rounded,
)
from course_utils.tracks.geology.knowledge import AbsorbingMineral, Line, key_of, plain
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/features")
IN_PROSE = 0.5  # of the causes are asked for in a sentence as well
IN_MICROMETRES = 0.3  # of the wavelengths from memory are asked in µm, the others in nm


def feature_drafts(
    mineral: AbsorbingMineral, others: Sequence[AbsorbingMineral], rng: random.Random
) -> Iterator[Draft]:
    """All questions on one mineral's absorptions."""
    causes = sorted({key_of(line.cause) for one in others for line in one.lines})
    for line in mineral.lines:
        yield _cause(mineral, line, causes, rng)
        if rng.random() < IN_PROSE:
            yield _why(mineral, line, causes, rng)
        yield _wavelength(mineral, line, rng)
    if len({key_of(line.cause) for line in mineral.lines}) > 1:
        for line in mineral.lines:
            yield _cause_in_context(mineral, line, causes, rng)
    if len(mineral.lines) > 1:
        yield _longest_in_context(mineral, rng)
    yield _which_mineral(mineral, others, rng)


def _names(mineral: AbsorbingMineral) -> dict[str, str]:
    return {"name": mineral.name, "Name": capital(mineral.name)}


def _ask(mineral: AbsorbingMineral, say: Realiser, text: str, context: str = "") -> Question:
    return Question(say, text, context, mineral.source, group_of(mineral.family))


def _wrong(line: Line, causes: Sequence[str]) -> list[str]:
    """Other causes; not the sulfate of "molecular water with the sulfate group"."""
    return [cause for cause in causes if cause not in plain(line.cause)]


def _cause(
    mineral: AbsorbingMineral, line: Line, causes: Sequence[str], rng: random.Random
) -> Draft:
    say = Realiser(rng, "features/cause")
    text = say("question", SAY["cause_question"], nm=line.nm, **_names(mineral))
    return _ask(mineral, say, text).name(key_of(line.cause), _wrong(line, causes))


def _why(mineral: AbsorbingMineral, line: Line, causes: Sequence[str], rng: random.Random) -> Draft:
    say = Realiser(rng, "features/why")
    text = say("question", SAY["why_question"], nm=line.nm, **_names(mineral))
    answer = SAY.phrase("why_answer", cause=plain(line.cause))
    return _ask(mineral, say, text).sentence(answer, key_of(line.cause), causes)


def _wavelength(mineral: AbsorbingMineral, line: Line, rng: random.Random) -> Draft:
    scale, decimals, unit = (1000, 3, "µm") if rng.random() < IN_MICROMETRES else (1, 0, "nm")
    say = Realiser(rng, "features/wavelength")
    text = say(
        "question",
        SAY["wavelength_question"],
        shape=line.shape,
        cause=plain(line.cause),
        unit=unit,
        **_names(mineral),
    )
    value = rounded(line.nm / scale, decimals)
    within = rounded(WAVELENGTH_TOLERANCE / scale, 2 if decimals else 0)
    return _ask(mineral, say, text).number(value, unit, within)


def _sheet(mineral: AbsorbingMineral, say: Realiser) -> str:
    """The mineral's absorptions in one line."""
    lines = [
        SAY.phrase("sheet_line", nm=line.nm, cause=plain(line.cause)) for line in mineral.lines
    ]
    listed = "; ".join(say.order("lines", lines))
    return say("sheet", SAY["sheet"], lines=listed, note=mineral.note, **_names(mineral))


def _cause_in_context(
    mineral: AbsorbingMineral, line: Line, causes: Sequence[str], rng: random.Random
) -> Draft:
    say = Realiser(rng, "features/cause in context")
    context = _sheet(mineral, say)
    text = say("question", SAY["cause_in_context_question"], nm=line.nm)
    return _ask(mineral, say, text, context).name(key_of(line.cause), _wrong(line, causes))


def _longest_in_context(mineral: AbsorbingMineral, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/longest in context")
    context = _sheet(mineral, say)
    which = "longest" if rng.random() < 0.5 else "shortest"
    nm = (max if which == "longest" else min)(line.nm for line in mineral.lines)
    text = say("question", SAY["longest_question"][which], name=mineral.name)
    return _ask(mineral, say, text, context).number(str(nm), "nm")


def _which_mineral(
    mineral: AbsorbingMineral, others: Sequence[AbsorbingMineral], rng: random.Random
) -> Draft:
    """Three candidates, of which only one absorbs near what was measured."""
    main = mineral.lines[0].nm
    far = [
        other
        for other in others
        if other.family != mineral.family and all(abs(line.nm - main) > 12 for line in other.lines)
    ]
    chosen = [*rng.sample(far, 2), mineral]
    rng.shuffle(chosen)
    say = Realiser(rng, "features/which mineral")
    listed = "; ".join(
        f"{one.name} {', '.join(str(line.nm) for line in one.lines)} nm" for one in chosen
    )
    measured = main + rng.randint(-4, 4)
    context = say("context", SAY["which_mineral_context"], listed=listed, nm=measured)
    text = say("question", SAY["which_mineral_question"])
    return _ask(mineral, say, text, context).name(mineral.name, [one.name for one in chosen])
