"""Questions on band ratios and indices: formula, meaning, and the value of one pixel, computed."""

import random
from collections.abc import Iterator

from course_utils.tracks.geology.drafts import draft, number, sentence
from course_utils.tracks.geology.knowledge import Index
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/indices")
ASPECTS = ("formula", "highlights", "why")
PIXELS = 4  # values that are computed with each index


def index_drafts(index: Index, rng: random.Random) -> Iterator[Draft]:
    """All questions on one index."""
    for aspect in ASPECTS:
        yield _aspect(index, aspect, "", Realiser(rng, f"indices/{aspect}"))
        say = Realiser(rng, f"indices/{aspect} in context")
        yield _aspect(index, aspect, _sheet(index, say), say)
    for _ in range(PIXELS):
        yield _value(index, rng)


def _group(index: Index) -> str:
    return f"indices/{index.sensor}/{index.name}"


def _sheet(index: Index, say: Realiser) -> str:
    name = sentence(SAY.phrase("context_name", name=index.name, sensor=index.sensor))
    lines = [SAY.phrase("context_line", one, value=getattr(index, one)) for one in ASPECTS]
    return " ".join([name, *say.order("parts", lines)])


def _aspect(index: Index, aspect: str, context: str, say: Realiser) -> Draft:
    question = say(
        "question",
        SAY["question"][aspect],
        name=index.name,
        formula=index.formula,
        sensor=index.sensor,
    )
    answer = index.formula if aspect == "formula" else sentence(getattr(index, aspect))
    return draft(say, question, context, answer, index.source, _group(index))


def _value(index: Index, rng: random.Random) -> Draft:
    """One pixel: the reflectances are drawn, the index is computed from what is printed."""
    say = Realiser(rng, "indices/value")
    pixel = {band: round(rng.uniform(0.08, 0.55), 2) for band in index.bands}
    result = index.value(pixel)
    listed = say.order("bands", [f"{band} = {v:.2f}" for band, v in pixel.items()])
    context = say(
        "context",
        SAY["value_context"],
        sensor=index.sensor,
        listed=", ".join(listed),
        formula=index.formula,
        name=index.name,
    )
    question = say("question", SAY["value_question"], name=index.name)
    filled = index.formula
    for band, v in sorted(pixel.items(), key=lambda pair: -len(pair[0])):
        filled = filled.replace(band, f"{v:.2f}")
    answer = SAY.phrase("value_answer", filled=filled, result=result)
    return draft(say, question, context, answer, index.source, _group(index), number(result, 2))
