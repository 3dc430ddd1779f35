"""Questions on the hand-written knowledge: absorptions, alteration, sensors, methods, mistakes.

With a context the answer stands in it; without one it has to be known. Numbers are computed.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from course_utils.tracks.geology.knowledge import (
    AbsorbingMineral,
    Concept,
    Index,
    Knowledge,
    Mistake,
    Sensor,
    Step,
    Zone,
)
from course_utils.tracks.geology.spectra_records import draft, group_of, number
from course_utils.tracks.wording import Draft, Realiser

FROM_MEMORY = 0.6  # of the questions on an aspect are asked without the context as well


def topic_drafts(knowledge: Knowledge, seed: int) -> Iterator[Draft]:
    """All questions on the hand-written knowledge."""
    for mineral in knowledge.minerals:
        yield from _absorptions(mineral, knowledge.minerals, _rng(seed, mineral.name))
    for entry in (*knowledge.zones, *knowledge.steps, *knowledge.concepts, *knowledge.mistakes):
        yield from _aspects(entry, _rng(seed, entry.name))
    for zone in knowledge.zones:
        yield _which_zone(zone, knowledge.zones, _rng(seed, f"zone {zone.name}"))
    for sensor in knowledge.sensors:
        yield from _sensor(sensor, _rng(seed, sensor.name))
    for index in knowledge.indices:
        yield from _index(index, _rng(seed, index.name))


def _rng(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed}/topics/{name}")


def sentence(text: str) -> str:
    """With a capital letter and a full stop: 'pH' and 'N-FINDR' stay as they are."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


# --- Absorptions --------------------------------------------------------------------------------


def _absorptions(
    mineral: AbsorbingMineral, others: Sequence[AbsorbingMineral], rng: random.Random
) -> Iterator[Draft]:
    for line in mineral.lines:
        yield from _one_line(mineral, line.nm, line.cause, line.shape, rng)
        yield _cause_in_context(mineral, line.nm, rng)
    yield _wavelength_in_context(mineral, rng)
    yield from _which_mineral(mineral, others, rng)


def _one_line(
    mineral: AbsorbingMineral, nm: int, cause: str, shape: str, rng: random.Random
) -> Iterator[Draft]:
    group, name = group_of(mineral.family), mineral.name
    say = Realiser(rng, "features/cause")
    question = say(
        "question",
        [
            "What causes the absorption of {name} near {nm} nm?",
            "Why does {name} absorb near {nm} nm?",
            "{Name} has a band near {nm} nm. Which bond or ion makes it?",
            "To what is the {nm} nm feature of {name} due?",
        ],
        name=name,
        Name=sentence(name)[:-1],
        nm=nm,
    )
    answer = sentence(say("answer", ["{cause}", "it is due to {cause}"], cause=cause))
    yield draft(say, question, "", answer, mineral.source, group)

    micrometres = rng.random() < 0.3
    value, unit = (f"{nm / 1000:.3f}", "µm") if micrometres else (f"{nm}", "nm")
    say = Realiser(rng, "features/wavelength")
    question = say(
        "question",
        [
            "{Name} has {shape}. At which wavelength, in {unit}?",
            "Give the wavelength, in {unit}: {name}, {shape}, due to {cause}.",
            "Where does {name} absorb through {cause}? It is {shape}; answer in {unit}.",
            "In {unit}, where is {shape} of {name}, caused by {cause}?",
        ],
        name=name,
        Name=sentence(name)[:-1],
        shape=shape,
        cause=cause,
        unit=unit,
    )
    answer = say("answer", ["Near {v} {u}.", "{v} {u}.", "At about {v} {u}."], v=value, u=unit)
    fact = number(float(value), 3 if micrometres else 0, unit)
    yield draft(say, question, "", answer, mineral.source, group, fact)


def _sheet(mineral: AbsorbingMineral, say: Realiser) -> str:
    """The mineral's absorptions in one line."""
    lines = say.order("lines", [f"{line.nm} nm {line.cause}" for line in mineral.lines])
    return say(
        "sheet",
        [
            "{Name}, absorptions: {lines}. {note}",
            "Spectral notes on {name}. {note} Bands: {lines}.",
            "{Name} ({lines}). {note}",
        ],
        name=mineral.name,
        Name=sentence(mineral.name)[:-1],
        lines="; ".join(lines),
        note=mineral.note,
    )


def _cause_in_context(mineral: AbsorbingMineral, nm: int, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/cause in context")
    context = _sheet(mineral, say)
    question = say(
        "question",
        [
            "What causes the band at {nm} nm?",
            "Which bond or ion absorbs at {nm} nm here?",
            "Why is there an absorption at {nm} nm?",
            "The feature at {nm} nm: what is its cause?",
        ],
        nm=nm,
    )
    cause = next(line.cause for line in mineral.lines if line.nm == nm)
    answer = sentence(
        say("answer", ["{cause}", "{cause}, in {name}"], cause=cause, name=mineral.name)
    )
    return draft(say, question, context, answer, mineral.source, group_of(mineral.family))


def _wavelength_in_context(mineral: AbsorbingMineral, rng: random.Random) -> Draft:
    say = Realiser(rng, "features/longest in context")
    context = _sheet(mineral, say)
    longest = rng.random() < 0.5
    nm = (max if longest else min)(line.nm for line in mineral.lines)
    question = say(
        "question",
        [
            "At which wavelength is the {which} band of {name}?",
            "Of the bands of {name}, give the one at the {which} wavelength.",
            "Name the {which} wavelength at which {name} absorbs.",
        ],
        which="longest" if longest else "shortest",
        name=mineral.name,
    )
    answer = say("answer", ["{nm} nm.", "At {nm} nm."], nm=nm)
    fact = number(nm, 0, "nm")
    return draft(say, question, context, answer, mineral.source, group_of(mineral.family), fact)


def _which_mineral(
    mineral: AbsorbingMineral, others: Sequence[AbsorbingMineral], rng: random.Random
) -> Iterator[Draft]:
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
    context = say(
        "context",
        [
            "Known absorptions: {listed}. Measured: {nm} nm.",
            "A spectrum has its main absorption at {nm} nm. Candidates: {listed}.",
            "Candidates and their bands: {listed}. The sample absorbs at {nm} nm.",
        ],
        listed=listed,
        nm=measured,
    )
    question = say(
        "question",
        [
            "Which candidate fits best?",
            "Which mineral or material explains the absorption?",
            "What does the sample hold?",
        ],
    )
    answer = say(
        "answer",
        ["{Name}, whose band at {main} nm is nearest.", "{Name} ({main} nm)."],
        Name=sentence(mineral.name)[:-1],
        main=main,
    )
    yield draft(say, question, context, answer, mineral.source, group_of(mineral.family))


# --- Zones, steps, concepts, mistakes: named aspects --------------------------------------------

# aspect -> (questions, answer from the entry's value)
Aspect = tuple[Sequence[str], str]
ASPECTS: Mapping[type, Mapping[str, Aspect]] = {
    Zone: {
        "minerals": (
            [
                "Which minerals are typical of {name}?",
                "Name the minerals of {name}.",
                "What minerals does {name} form?",
                "{name}: which minerals do you expect?",
            ],
            "{value}",
        ),
        "setting": (
            [
                "Where is {name} found?",
                "In which setting does {name} occur?",
                "{name}: where would you look for it?",
                "Give the geological setting of {name}.",
            ],
            "{value}",
        ),
        "conditions": (
            [
                "Under which conditions does {name} form?",
                "What brings about {name}?",
                "{name}: which fluid or process is behind it?",
            ],
            "{value}",
        ),
        "shows": (
            [
                "How does {name} show in a reflectance spectrum?",
                "Which spectral features point to {name}?",
                "{name}: what do you see in the spectrum?",
            ],
            "{value}",
        ),
    },
    Step: {
        "purpose": (
            [
                "What is {name} for?",
                "What does {name} do?",
                "Why is {name} done?",
                "{name}: what is the aim?",
                "Name the purpose of {name}.",
            ],
            "it {value}",
        ),
        "how": (
            [
                "How is {name} done?",
                "How does one carry out {name}?",
                "{name}: what do you do?",
                "Describe {name} in one sentence.",
            ],
            "{value}",
        ),
        "omitted": (
            [
                "What happens without {name}?",
                "What goes wrong if {name} is left out?",
                "{name} was forgotten. What follows?",
                "Which error comes from skipping {name}?",
            ],
            "{value}",
        ),
    },
    Concept: {
        "meaning": (
            [
                'What does "{name}" mean?',
                'Explain the term "{name}" briefly.',
                "{name}: what is it?",
                'Define "{name}" in one sentence.',
            ],
            "{value}",
        ),
        "use": (
            [
                "{name}: what is it for?",
                "{name}: when does it help?",
                'For which purpose does one use "{name}"?',
                "Name a use of this notion or method: {name}.",
            ],
            "{value}",
        ),
        "limit": (
            [
                "{name}: where does it fail?",
                "{name}: what is its weak point?",
                'What must one keep in mind with "{name}"?',
                "Name a limit of this notion or method: {name}.",
            ],
            "{value}",
        ),
    },
    Mistake: {
        "cause": (
            [
                "A map or spectrum shows {symptom}. Why?",
                "What is the likely cause of this: {symptom}?",
                "You see {symptom}. What went wrong?",
                "{name}: how does this mistake come about?",
            ],
            "{value}",
        ),
        "cure": (
            [
                "What helps against this mistake: {name}?",
                "How do you avoid it: {name}?",
                "{name}: what should one do instead?",
                "You see {symptom}. What is the remedy?",
            ],
            "{value}",
        ),
        "symptom": (
            [
                "How do you notice this mistake: {name}?",
                "{name}: what does it look like in the result?",
                "Which sign tells you of this mistake: {name}?",
            ],
            "{value}",
        ),
    },
}
TOPIC = {Zone: "alteration", Step: "preprocessing", Concept: "unmixing", Mistake: "mistakes"}
# How an aspect is introduced in a context.
LABELS = {
    **{"minerals": "Minerals", "setting": "Setting", "conditions": "Conditions"},
    **{"shows": "Spectrum", "purpose": "Purpose", "how": "Method", "omitted": "Without it"},
    **{"meaning": "Meaning", "use": "Use", "limit": "Limit"},
    **{"symptom": "Symptom", "cause": "Cause", "cure": "Cure"},
}


def _aspects(entry: Zone | Step | Concept | Mistake, rng: random.Random) -> Iterator[Draft]:
    for aspect in ASPECTS[type(entry)]:
        yield _aspect(entry, aspect, with_context=True, rng=rng)
        if rng.random() < FROM_MEMORY:
            yield _aspect(entry, aspect, with_context=False, rng=rng)


def _value(entry: Zone | Step | Concept | Mistake, aspect: str) -> str:
    value = getattr(entry, aspect)
    return value if isinstance(value, str) else ", ".join(value)


def _aspect(
    entry: Zone | Step | Concept | Mistake, aspect: str, with_context: bool, rng: random.Random
) -> Draft:
    kind, topic = type(entry), TOPIC[type(entry)]
    say = Realiser(rng, f"{topic}/{aspect}{' in context' if with_context else ''}")
    questions, told = ASPECTS[kind][aspect]
    context = ""
    if with_context:
        names = say.order("aspects", list(ASPECTS[kind]))
        labelled = [f"{LABELS[name]}: {_value(entry, name)}." for name in names]
        context = f"{sentence(entry.name)} {' '.join(labelled)}"
    values = {name: _value(entry, name) for name in ASPECTS[kind]}
    question = say("question", questions, name=entry.name, **values)
    answer = sentence(told.format(value=values[aspect]))
    group = f"{topic}/{entry.name}"
    return draft(say, question, context, answer, entry.source, group)


def _which_zone(zone: Zone, others: Sequence[Zone], rng: random.Random) -> Draft:
    """Minerals of a hand specimen, and three zones of which one has them."""
    say = Realiser(rng, "alteration/which zone")
    seen = rng.sample(zone.minerals, 2)
    far = [other for other in others if not set(seen) <= set(other.minerals) and other != zone]
    chosen = [*rng.sample(far, 2), zone]
    rng.shuffle(chosen)
    context = say(
        "context",
        [
            "Found: {seen}. Zones: {listed}.",
            "{listed}. The sample holds {seen}.",
            "Typical minerals: {listed}. In the thin section: {seen}.",
        ],
        seen=" and ".join(seen),
        listed="; ".join(f"{one.name} ({', '.join(one.minerals)})" for one in chosen),
    )
    question = say(
        "question",
        ["Which of these does the sample point to?", "To which of them does the sample belong?"],
    )
    answer = sentence(
        say("answer", ["{name}", "{name}: it has {seen}"], name=zone.name, seen=" and ".join(seen))
    )
    return draft(say, question, context, answer, zone.source, f"alteration/{zone.name}")


# --- Sensors ------------------------------------------------------------------------------------

# figure -> (questions, unit, how a data sheet prints it)
FIGURES: Mapping[str, tuple[Sequence[str], str, str]] = {
    "bands": (
        ["How many bands does {name} have?", "Number of bands of {name}?"],
        "bands",
        "{} bands",
    ),
    "sampling": (
        ["What is the spectral sampling of {name}?", "How far apart are the bands of {name}?"],
        "nm",
        "sampling {} nm",
    ),
    "pixel": (
        ["How large is a pixel of {name} on the ground?", "Spatial resolution of {name}?"],
        "m",
        "pixel {} m",
    ),
    "swath": (["How wide is the swath of {name}?", "Swath width of {name}?"], "km", "swath {} km"),
    "launch": (["In which year was {name} launched?", "Launch year of {name}?"], "", "launched {}"),
}


def _sensor(sensor: Sensor, rng: random.Random) -> Iterator[Draft]:
    group = f"sensors/{sensor.name}"
    known = [name for name in FIGURES if getattr(sensor, name) is not None]
    for figure in known:
        for with_context in (False, True):
            say = Realiser(rng, f"sensors/{figure}{' in context' if with_context else ''}")
            questions, unit, _ = FIGURES[figure]
            value = f"{getattr(sensor, figure):g}"
            context = _data_sheet(sensor, known, say) if with_context else ""
            question = say("question", questions, name=sensor.name)
            answer = f"{value} {unit}".strip() + "."
            fact = number(float(value), len(value.partition(".")[2]), unit)
            yield draft(say, question, context, answer, sensor.source, group, fact)
    yield from _reach(sensor, known, group, rng)
    yield from _bands_of(sensor, group, rng)
    for aspect in ("kind", "operator"):
        say = Realiser(rng, f"sensors/{aspect} in context")
        context = _data_sheet(sensor, known, say)
        question = say(
            "question",
            {
                "kind": ["What kind of sensor is {name}?", "What is {name}?"],
                "operator": ["Who runs {name}?", "Which organisation is behind {name}?"],
            }[aspect],
            name=sensor.name,
        )
        answer = sentence(getattr(sensor, aspect))
        yield draft(say, question, context, answer, sensor.source, group)


def _data_sheet(sensor: Sensor, known: Sequence[str], say: Realiser) -> str:
    parts = [FIGURES[name][2].format(f"{getattr(sensor, name):g}") for name in known]
    if sensor.range:
        parts.append("range {}-{} nm".format(*sensor.range))
    parts = say.order("figures", parts)
    return say(
        "sheet",
        [
            "{name}, {kind}, operated by {operator}: {parts}. {note}",
            "{name} ({kind}, {operator}). {note} Figures: {parts}.",
            "{note} {name}: {kind}; operator {operator}; {parts}.",
        ],
        name=sensor.name,
        kind=sensor.kind,
        operator=sensor.operator,
        note=sensor.note,
        parts="; ".join(parts),
    )


REACHED = (
    (434, "the blue band of jarosite"),
    (860, "the ferric band of hematite"),
    (2200, "the Al-OH band of white mica"),
    (2340, "the carbonate band of calcite"),
)


def _reach(sensor: Sensor, known: Sequence[str], group: str, rng: random.Random) -> Iterator[Draft]:
    """Whether a sensor's range holds an absorption."""
    if not sensor.range:
        return
    low, high = sensor.range
    for nm, what in rng.sample(REACHED, 2):
        say = Realiser(rng, "sensors/reach")
        question = say(
            "question",
            [
                "Can {name} record {what} near {nm} nm?",
                "Is {what} ({nm} nm) within the range of {name}?",
            ],
            name=sensor.name,
            what=what,
            nm=nm,
        )
        inside = low <= nm <= high
        answer = f"{'Yes' if inside else 'No'}, its range is {low} to {high} nm."
        yield draft(say, question, _data_sheet(sensor, known, say), answer, sensor.source, group)


def _bands_of(sensor: Sensor, group: str, rng: random.Random) -> Iterator[Draft]:
    """Band limits: centre and width, computed; and which band holds a wavelength."""
    if not sensor.limits:
        return
    listed = ", ".join(f"{name} {low}-{high}" for name, (low, high) in sensor.limits.items())
    shown = ["{name} bands in nm: {listed}.", "Band limits of {name}, nm: {listed}."]
    for band, (low, high) in rng.sample(sorted(sensor.limits.items()), min(4, len(sensor.limits))):
        say = Realiser(rng, "sensors/band width")
        context = say("context", shown, name=sensor.name, listed=listed)
        question = say("question", ["How wide is {band}?", "Width of {band}?"], band=band)
        fact = number(high - low, 0, "nm")
        answer = f"{high} - {low} = {high - low} nm"
        yield draft(say, question, context, answer, sensor.source, group, fact)
        say = Realiser(rng, "sensors/band centre")
        context = say("context", shown, name=sensor.name, listed=listed)
        question = say(
            "question",
            ["Where is the centre of {band}?", "Central wavelength of {band}?"],
            band=band,
        )
        centre = (low + high) / 2
        text = f"{centre:g}"
        fact = number(centre, len(text.partition(".")[2]), "nm")
        answer = f"({low} + {high}) / 2 = {text} nm"
        yield draft(say, question, context, answer, sensor.source, group, fact)


# --- Indices ------------------------------------------------------------------------------------


def _index(index: Index, rng: random.Random) -> Iterator[Draft]:
    group = f"indices/{index.sensor}/{index.name}"
    for aspect, told in _INDEX_ASPECTS.items():
        for with_context in (False, True):
            say = Realiser(rng, f"indices/{aspect}{' in context' if with_context else ''}")
            context = _index_sheet(index, say) if with_context else ""
            question = say(
                "question", told, name=index.name, formula=index.formula, sensor=index.sensor
            )
            value = index.formula if aspect == "formula" else sentence(getattr(index, aspect))
            yield draft(say, question, context, value, index.source, group)
    for _ in range(4):
        yield _index_value(index, group, rng)


_INDEX_ASPECTS: Mapping[str, Sequence[str]] = {
    "formula": [
        "Give the formula of {name} with {sensor} bands.",
        "How is {name} computed from {sensor} bands?",
    ],
    "highlights": [
        "What does {name}, {formula} ({sensor}), highlight?",
        "What has high values in {formula} of {sensor} ({name})?",
    ],
    "why": ["Why does {name} work, {formula}?", "Which property makes {name} = {formula} work?"],
}


def _index_sheet(index: Index, say: Realiser) -> str:
    parts = say.order(
        "parts",
        [f"Formula: {index.formula}.", f"High for: {index.highlights}.", f"Because {index.why}."],
    )
    return f"{sentence(f'{index.name} ({index.sensor})')} {' '.join(parts)}"


def _index_value(index: Index, group: str, rng: random.Random) -> Draft:
    """One pixel: the reflectances are drawn, the index is computed from what is printed."""
    say = Realiser(rng, "indices/value")
    pixel = {band: round(rng.uniform(0.08, 0.55), 2) for band in index.bands}
    value = index.value(pixel)
    listed = say.order("bands", [f"{band} = {v:.2f}" for band, v in pixel.items()])
    context = say(
        "context",
        [
            "{sensor} pixel: {listed}. {formula}.",
            "Formula {formula}. Reflectance ({sensor}): {listed}.",
            "{name} is {formula}; measured with {sensor}: {listed}.",
        ],
        sensor=index.sensor,
        listed=", ".join(listed),
        formula=index.formula,
        name=index.name,
    )
    question = say(
        "question",
        ["Compute {name}.", "What is the value of {name}?", "Work out {name} for this pixel."],
        name=index.name,
    )
    filled = index.formula
    for band, v in sorted(pixel.items(), key=lambda pair: -len(pair[0])):
        filled = filled.replace(band, f"{v:.2f}")
    answer = f"{filled} = {value:.2f}"
    return draft(say, question, context, answer, index.source, group, number(value, 2))
