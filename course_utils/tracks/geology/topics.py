"""Questions on the hand-written knowledge: alteration, preprocessing, unmixing, mistakes.

With a context the answer stands in it; without one it has to be known. What is asked on
absorptions, sensors and indices stands in files of their own; `topic_drafts` collects all.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from course_utils.tracks.geology.drafts import draft, sentence
from course_utils.tracks.geology.feature_records import feature_drafts
from course_utils.tracks.geology.index_records import index_drafts
from course_utils.tracks.geology.knowledge import Concept, Knowledge, Mistake, Step, Zone
from course_utils.tracks.geology.sensor_records import sensor_drafts
from course_utils.tracks.wording import Draft, Realiser
from course_utils.tracks.wordings import Wordings

FROM_MEMORY = 0.6  # of the questions on an aspect are asked without the context as well
Entry = Zone | Step | Concept | Mistake
TOPIC = {Zone: "alteration", Step: "preprocessing", Concept: "unmixing", Mistake: "mistakes"}
SAY = {kind: Wordings(f"geology/{topic}") for kind, topic in TOPIC.items()}
ASPECTS: Mapping[type, Sequence[str]] = {
    Zone: ("minerals", "setting", "conditions", "shows"),
    Step: ("purpose", "how", "omitted"),
    Concept: ("meaning", "use", "limit"),
    Mistake: ("cause", "cure", "symptom"),
}


def topic_drafts(knowledge: Knowledge, seed: int) -> Iterator[Draft]:
    """All questions on the hand-written knowledge."""
    for mineral in knowledge.minerals:
        yield from feature_drafts(mineral, knowledge.minerals, _rng(seed, mineral.name))
    for entry in (*knowledge.zones, *knowledge.steps, *knowledge.concepts, *knowledge.mistakes):
        yield from _aspects(entry, _rng(seed, entry.name))
    for zone in knowledge.zones:
        yield _which_zone(zone, knowledge.zones, _rng(seed, f"zone {zone.name}"))
    for sensor in knowledge.sensors:
        yield from sensor_drafts(sensor, _rng(seed, sensor.name))
    for index in knowledge.indices:
        yield from index_drafts(index, _rng(seed, index.name))


def _rng(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/topics/{name}")


def _aspects(entry: Entry, rng: random.Random) -> Iterator[Draft]:
    kind, topic = type(entry), TOPIC[type(entry)]
    for aspect in ASPECTS[kind]:
        say = Realiser(rng, f"{topic}/{aspect} in context")
        yield _aspect(entry, aspect, _context(entry, say), say)
        if rng.random() < FROM_MEMORY:
            yield _aspect(entry, aspect, "", Realiser(rng, f"{topic}/{aspect}"))


def _value(entry: Entry, aspect: str) -> str:
    value = getattr(entry, aspect)
    return value if isinstance(value, str) else ", ".join(value)


def _context(entry: Entry, say: Realiser) -> str:
    """All aspects in a drawn order."""
    told = SAY[type(entry)]
    aspects = say.order("aspects", ASPECTS[type(entry)])
    lines = [told.phrase("context_line", aspect, value=_value(entry, aspect)) for aspect in aspects]
    return " ".join([sentence(entry.name), *lines])


def _aspect(entry: Entry, aspect: str, context: str, say: Realiser) -> Draft:
    kind = type(entry)
    given = {"symptom": entry.symptom} if kind is Mistake else {}
    question = say("question", SAY[kind]["question"][aspect], name=entry.name, **given)
    answer = sentence(SAY[kind].phrase("answer", aspect, value=_value(entry, aspect)))
    return draft(say, question, context, answer, entry.source, f"{TOPIC[kind]}/{entry.name}")


def _which_zone(zone: Zone, others: Sequence[Zone], rng: random.Random) -> Draft:
    """Minerals of a hand specimen, and three zones of which one has them."""
    say, words = Realiser(rng, "alteration/which zone"), SAY[Zone]
    seen = rng.sample(zone.minerals, 2)
    far = [other for other in others if not set(seen) <= set(other.minerals) and other != zone]
    chosen = [*rng.sample(far, 2), zone]
    rng.shuffle(chosen)
    listed = "; ".join(f"{one.name} ({', '.join(one.minerals)})" for one in chosen)
    found = " and ".join(seen)
    context = say("context", words["which_zone_context"], seen=found, listed=listed)
    question = say("question", words["which_zone_question"])
    answer = sentence(say("answer", words["which_zone_answer"], name=zone.name, seen=found))
    return draft(say, question, context, answer, zone.source, f"alteration/{zone.name}")
