"""Questions on the hand-written knowledge: alteration, preprocessing, unmixing, mistakes.

With a context the answer stands in it; without one it has to be known. What is asked on
absorptions, sensors and indices stands in files of their own; `topic_drafts` collects all.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from course_utils.tracks.geology.drafts import Question, sentence
from course_utils.tracks.geology.feature_records import feature_drafts
from course_utils.tracks.geology.index_records import index_drafts
from course_utils.tracks.geology.knowledge import (
    Concept,
    Knowledge,
    Mistake,
    Step,
    Zone,
    key_of,
    plain,
    titled,
)
from course_utils.tracks.geology.sensor_records import sensor_drafts
from course_utils.tracks.wording import Draft, Realiser, listing
from course_utils.tracks.wordings import Wordings

FROM_MEMORY = 0.5  # of the questions on an aspect are asked without the context as well
OPTIONS = 4  # names to choose from
Entry = Zone | Step | Concept | Mistake
TOPIC = {Zone: "alteration", Step: "preprocessing", Concept: "unmixing", Mistake: "mistakes"}
SAY = {kind: Wordings(f"geology/{topic}") for kind, topic in TOPIC.items()}
PROSE: Mapping[type, Sequence[str]] = {
    Zone: ("setting", "conditions", "shows"),
    Step: ("purpose", "how", "omitted"),
    Concept: ("meaning", "use", "occurs", "limit"),
    Mistake: ("cause", "cure", "symptom"),
}


def topic_drafts(knowledge: Knowledge, seed: int) -> Iterator[Draft]:
    """All questions on the hand-written knowledge."""
    for mineral in knowledge.minerals:
        yield from feature_drafts(mineral, knowledge.minerals, _rng(seed, mineral.name))
    for entries in (knowledge.zones, knowledge.steps, knowledge.concepts, knowledge.mistakes):
        for entry in entries:
            yield from _aspects(entry, entries, _rng(seed, entry.name))
    for zone in knowledge.zones:
        yield from _zone_drafts(zone, knowledge.zones, _rng(seed, f"zone {zone.name}"))
    for sensor in knowledge.sensors:
        yield from sensor_drafts(sensor, _rng(seed, sensor.name))
    for index in knowledge.indices:
        yield from index_drafts(index, knowledge.indices, _rng(seed, index.name))


def _rng(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/topics/{name}")


def _prose(entry: Entry) -> list[str]:
    """Its aspects that are told in prose."""
    return [aspect for aspect in PROSE[type(entry)] if getattr(entry, aspect)]


def _aspects(entry: Entry, others: Sequence[Entry], rng: random.Random) -> Iterator[Draft]:
    topic = TOPIC[type(entry)]
    for aspect in _prose(entry):
        say = Realiser(rng, f"{topic}/{aspect} in context")
        context = _context(entry, say)
        beside = [key_of(getattr(entry, one)) for one in _prose(entry) if one != aspect]
        yield _sentence(entry, aspect, context, beside, say)
        if rng.random() < FROM_MEMORY:
            say = Realiser(rng, f"{topic}/{aspect}")
            yield _sentence(entry, aspect, "", _keys(entry, others, aspect, rng), say)
        yield _choice(entry, others, aspect, rng)


def _keys(entry: Entry, others: Sequence[Entry], aspect: str, rng: random.Random) -> list[str]:
    """What the same aspect is of others."""
    far = [one for one in others if one != entry and getattr(one, aspect)]
    return [key_of(getattr(one, aspect)) for one in rng.sample(far, min(OPTIONS - 1, len(far)))]


def _ask(entry: Entry, say: Realiser, text: str, context: str = "") -> Question:
    return Question(say, text, context, entry.source, f"{TOPIC[type(entry)]}/{entry.name}")


def _said(entry: Entry) -> str:
    return titled(entry) if isinstance(entry, Zone | Step) else entry.name


def _context(entry: Entry, say: Realiser) -> str:
    """All aspects in a drawn order."""
    told = SAY[type(entry)]
    values = {aspect: plain(getattr(entry, aspect)) for aspect in _prose(entry)}
    if isinstance(entry, Zone):
        values["minerals"] = ", ".join(entry.minerals)
    lines = [
        told.phrase("context_line", aspect, value=values[aspect])
        for aspect in say.order("aspects", list(values))
    ]
    return " ".join([sentence(entry.name), *lines])


def _sentence(
    entry: Entry, aspect: str, context: str, beside: Sequence[str], say: Realiser
) -> Draft:
    words, value = SAY[type(entry)], getattr(entry, aspect)
    given = {"symptom": plain(entry.symptom)} if isinstance(entry, Mistake) else {}
    text = say("question", words["question"][aspect], name=_said(entry), **given)
    answer = words.phrase("answer", aspect, value=plain(value))
    return _ask(entry, say, text, context).sentence(answer, key_of(value), beside)


def _choice(entry: Entry, others: Sequence[Entry], aspect: str, rng: random.Random) -> Draft:
    """Which of four names an aspect belongs to; it has to be known."""
    words = SAY[type(entry)]
    say = Realiser(rng, f"{TOPIC[type(entry)]}/which {aspect}")
    far = [one for one in others if one != entry and _differs(entry, one, aspect)]
    chosen = [*rng.sample(far, OPTIONS - 1), entry]
    rng.shuffle(chosen)
    names = [one.name for one in chosen]
    value = plain(getattr(entry, aspect))
    text = say("question", words["choice"][aspect], value=value, listed="; ".join(names))
    return _ask(entry, say, text).name(entry.name, names)


def _differs(entry: Entry, other: Entry, aspect: str) -> bool:
    """Not where the same words mark both: either name would be right."""
    told = getattr(other, aspect)
    return told is None or key_of(told) != key_of(getattr(entry, aspect))


def _zone_drafts(zone: Zone, others: Sequence[Zone], rng: random.Random) -> Iterator[Draft]:
    yield _minerals(zone, rng)
    for with_context in (True, False):
        yield _which_zone(zone, others, with_context, rng)


def _minerals(zone: Zone, rng: random.Random) -> Draft:
    """Which minerals are typical; they stand in the context."""
    say, words = Realiser(rng, "alteration/minerals in context"), SAY[Zone]
    context = _context(zone, say)
    text = say("question", words["minerals_question"], name=titled(zone))
    return _ask(zone, say, text, context).names(
        zone.minerals, [key_of(getattr(zone, aspect)) for aspect in PROSE[Zone]]
    )


def _which_zone(
    zone: Zone, others: Sequence[Zone], with_context: bool, rng: random.Random
) -> Draft:
    """Minerals of a sample, and three zones of which one has them; which, is told or not."""
    say = Realiser(rng, f"alteration/which zone{'' if with_context else ' from memory'}")
    words = SAY[Zone]
    seen = zone.minerals if not with_context else rng.sample(zone.minerals, 2)
    far = [other for other in others if not set(seen) <= set(other.minerals) and other != zone]
    chosen = [*rng.sample(far, 2), zone]
    rng.shuffle(chosen)
    names = [one.name for one in chosen]
    found = listing(seen)
    if with_context:
        listed = "; ".join(f"{one.name} ({', '.join(one.minerals)})" for one in chosen)
        context = say("context", words["which_zone_context"], seen=found, listed=listed)
        text = say("question", words["which_zone_question"])
        return _ask(zone, say, text, context).name(zone.name, names)
    text = say("question", words["zone_of_minerals"], seen=found, listed="; ".join(names))
    return _ask(zone, say, text).name(zone.name, names)
