"""Questions on the known absorptions of a mineral: their causes, their wavelengths.

With a context the answer stands in it; without one it has to be known.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.tracks.geology.drafts import draft, group_of, number, sentence
from course_utils.tracks.geology.knowledge import AbsorbingMineral, Line
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/features")
IN_MICROMETRES = 0.3  # of the wavelengths from memory are asked in µm, the others in nm


def feature_drafts(
    mineral: AbsorbingMineral, others: Sequence[AbsorbingMineral], rng: random.Random
) -> Iterator[Draft]:
    """All questions on one mineral's absorptions."""
    for line in mineral.lines:
        yield _cause(mineral, line, rng)
        yield _wavelength(mineral, line, rng)
        yield _cause_in_context(mineral, line.nm, rng)
    yield _longest_in_context(mineral, rng)
    yield _which_mineral(mineral, others, rng)


def _names(mineral: AbsorbingMineral) -> dict[str, str]:
    return {"name": mineral.name, "Name": capital(mineral.name)}


def _cause(mineral: AbsorbingMineral, line: Line, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/cause")
    question = say("question", SAY["cause_question"], nm=line.nm, **_names(mineral))
    answer = sentence(say("answer", SAY["cause_answer"], cause=line.cause))
    return draft(say, question, "", answer, mineral.source, group_of(mineral.family))


def _wavelength(mineral: AbsorbingMineral, line: Line, rng: random.Random) -> Draft:
    micrometres = rng.random() < IN_MICROMETRES
    value, unit = (f"{line.nm / 1000:.3f}", "µm") if micrometres else (f"{line.nm}", "nm")
    say = Realiser(rng, "features/wavelength")
    question = say(
        "question",
        SAY["wavelength_question"],
        shape=line.shape,
        cause=line.cause,
        unit=unit,
        **_names(mineral),
    )
    answer = say("answer", SAY["wavelength_answer"], v=value, u=unit)
    fact = number(float(value), 3 if micrometres else 0, unit)
    return draft(say, question, "", answer, mineral.source, group_of(mineral.family), fact)


def _sheet(mineral: AbsorbingMineral, say: Realiser) -> str:
    """The mineral's absorptions in one line."""
    lines = [SAY.phrase("sheet_line", nm=line.nm, cause=line.cause) for line in mineral.lines]
    listed = "; ".join(say.order("lines", lines))
    return say("sheet", SAY["sheet"], lines=listed, note=mineral.note, **_names(mineral))


def _cause_in_context(mineral: AbsorbingMineral, nm: int, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/cause in context")
    context = _sheet(mineral, say)
    question = say("question", SAY["cause_in_context_question"], nm=nm)
    cause = next(line.cause for line in mineral.lines if line.nm == nm)
    answer = say("answer", SAY["cause_in_context_answer"], cause=cause, name=mineral.name)
    return draft(say, question, context, sentence(answer), mineral.source, group_of(mineral.family))


def _longest_in_context(mineral: AbsorbingMineral, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/longest in context")
    context = _sheet(mineral, say)
    which = "longest" if rng.random() < 0.5 else "shortest"
    nm = (max if which == "longest" else min)(line.nm for line in mineral.lines)
    question = say("question", SAY["longest_question"][which], name=mineral.name)
    answer = say("answer", SAY["longest_answer"], nm=nm)
    fact = number(nm, 0, "nm")
    return draft(say, question, context, answer, mineral.source, group_of(mineral.family), fact)


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
    question = say("question", SAY["which_mineral_question"])
    answer = say("answer", SAY["which_mineral_answer"], Name=capital(mineral.name), main=main)
    return draft(say, question, context, answer, mineral.source, group_of(mineral.family))
