"""Questions on minerals: formula, hardness, specific gravity, crystal system, metal content.

The figures are those of `minerals.table()`; what is compared or divided is computed here.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.errors import CourseError
from course_utils.tracks.geology import minerals
from course_utils.tracks.geology.minerals import SOURCE, Mineral
from course_utils.tracks.geology.spectra_records import draft, group_of, number
from course_utils.tracks.wording import Draft, Realiser

# These have spectra too: their records share a group with them.
FAMILY = {
    **dict.fromkeys(("Calcite", "Aragonite", "Rhodochrosite"), "carbonate"),
    **dict.fromkeys(("Quartz", "Chalcedony", "Opal"), "silica"),
    **dict.fromkeys(("Tremolite", "Actinolite"), "talc and amphibole"),
    **dict.fromkeys(("Orthoclase", "Sanidine"), "alkali feldspar"),
    **dict.fromkeys(("Labradorite", "Andesine", "Bytownite"), "plagioclase"),
    **dict.fromkeys(("Grossular", "Hydrogrossular", "Andradite", "Uvarovite"), "garnet"),
    **dict.fromkeys(("Almandine", "Pyrope", "Spessartine"), "garnet"),
    **dict.fromkeys(("Elbaite", "Schorl", "Dravite"), "tourmaline"),
    **dict.fromkeys(("Augite", "Diopside", "Enstatite", "Jadeite"), "pyroxene"),
    **dict.fromkeys(("Realgar", "Orpiment"), "arsenic sulfide"),
}
METALS = ("Cu", "Pb", "Sn", "W", "Cr", "Mn", "Fe", "Zr", "Ti", "As", "Ba", "Sr", "Mo", "Be", "Al")
COMMON = ("Ca", "Mg", "S", "F", "Na", "C", "Cl", "B", "Si")
ELEMENT = {
    **{"Cu": "copper", "Pb": "lead", "Sn": "tin", "W": "tungsten", "Cr": "chromium"},
    **{"Mn": "manganese", "Fe": "iron", "Zr": "zirconium", "Ti": "titanium", "As": "arsenic"},
    **{"Ba": "barium", "Sr": "strontium", "Mo": "molybdenum", "Be": "beryllium"},
    **{"Al": "aluminium", "Ca": "calcium", "Mg": "magnesium", "S": "sulfur", "F": "fluorine"},
    **{"Na": "sodium", "C": "carbon", "Cl": "chlorine", "B": "boron", "Si": "silicon"},
}


def group(mineral: Mineral) -> str:
    """Species of one family stay together: their figures are alike."""
    return group_of(FAMILY.get(mineral.name, mineral.name.lower()))


def span(ends: tuple[float, float]) -> str:
    """'3' or '6 to 7'."""
    low, high = ends
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def mineral_drafts(mineral: Mineral, others: Sequence[Mineral], seed: int) -> Iterator[Draft]:
    """All questions on one mineral; `others` are what it is compared with."""
    for kind, build in _BUILDERS.items():
        rng = random.Random(f"{seed}/{mineral.name}/{kind}")
        yield from build(mineral, others, rng)


# --- Context and one question about it ----------------------------------------------------------


def _properties(mineral: Mineral) -> dict[str, str]:
    known = {
        "formula": mineral.formula,
        "crystal system": mineral.crystal_system,
        "Mohs hardness": span(mineral.hardness) if mineral.hardness else "",
        "specific gravity": span(mineral.specific_gravity) if mineral.specific_gravity else "",
        "lustre": mineral.lustre,
        "cleavage": mineral.cleavage,
        "fracture": mineral.fracture,
        "class": mineral.mineral_class,
    }
    return {name: text for name, text in known.items() if text}


def card(mineral: Mineral, rng: random.Random, say: Realiser, wanted: str = "") -> str:
    """A few properties in a drawn order, the wanted one among them."""
    known = _properties(mineral)
    names = rng.sample([name for name in known if name != wanted], rng.randint(3, 4))
    names = say.order("order", [*names, *([wanted] if wanted else [])])
    listed = [f"{name} {known[name]}" for name in names]
    return say(
        "card",
        [
            "{name}: {text}.",
            "{name}. {sentence}.",
            "Data sheet {name}: {text}.",
            "{name} - {text}.",
        ],
        name=mineral.name,
        text="; ".join(listed),
        sentence=". ".join(line[:1].upper() + line[1:] for line in listed),
    )


ASKED = {
    "formula": [
        "What is the formula of {name}?",
        "Give the chemical formula of {name}.",
        "{name}: chemical formula?",
        "How does one write {name} as a formula?",
    ],
    "crystal system": [
        "In which crystal system does {name} crystallise?",
        "Which crystal system does {name} belong to?",
        "{name}: crystal system?",
    ],
    "Mohs hardness": [
        "How hard is {name} on the Mohs scale?",
        "Mohs hardness of {name}?",
        "{name}: where on the scale of Mohs?",
    ],
    "specific gravity": [
        "What is the specific gravity of {name}?",
        "Which specific gravity is given for {name}?",
    ],
    "lustre": ["What lustre does {name} have?", "Describe the lustre of {name}."],
    "cleavage": ["How does {name} cleave?", "Describe the cleavage of {name}."],
    "class": [
        "To which mineral class does {name} belong?",
        "Which class of minerals is {name} in?",
    ],
}
TOLD = {
    "formula": ["{value}", "{Name} is {value}."],
    "crystal system": ["{Value}.", "{Name} is {value}."],
    "Mohs hardness": ["{value}", "{Name} has a Mohs hardness of {value}."],
    "specific gravity": ["{value}", "The specific gravity of {name} is {value}."],
    "lustre": ["{Value}.", "{Name} has a {value} lustre."],
    "cleavage": ["{Value}.", "Cleavage: {value}."],
    "class": ["{Value}.", "{Name} belongs to the {value}."],
}


def _from_context(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    for wanted in rng.sample([n for n in _properties(mineral) if n in ASKED], 2):
        say = Realiser(rng, f"properties/{wanted} in context")
        context = card(mineral, rng, say, wanted)
        yield _one_property(mineral, wanted, context, say)


def _from_memory(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    for wanted in rng.sample(["formula", "Mohs hardness", "crystal system"], 2):
        if wanted in _properties(mineral):
            say = Realiser(rng, f"properties/{wanted} from memory")
            yield _one_property(mineral, wanted, "", say)


def _one_property(mineral: Mineral, wanted: str, context: str, say: Realiser) -> Draft:
    value, name = _properties(mineral)[wanted], mineral.name.lower()
    question = say("question", ASKED[wanted], name=name)
    values = {"value": value, "Value": value[:1].upper() + value[1:]}
    answer = say("answer", TOLD[wanted], name=name, Name=mineral.name, **values)
    single = _single_number(mineral, wanted)
    fact = number(single, len(f"{single:g}".partition(".")[2])) if single else None
    return draft(say, question, context, answer, SOURCE, group(mineral), fact)


def _single_number(mineral: Mineral, wanted: str) -> float | None:
    ends = {"Mohs hardness": mineral.hardness, "specific gravity": mineral.specific_gravity}
    low, high = ends.get(wanted) or (None, None)
    return low if low == high else None


# --- Two minerals -------------------------------------------------------------------------------


def _scratch(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    known = [o for o in others if o.hardness and mineral.hardness and _apart(o, mineral)]
    for other in rng.sample(known, min(2, len(known))):
        say = Realiser(rng, "properties/scratch")
        a, b = rng.sample([mineral, other], 2)
        context = say(
            "context",
            [
                "Mohs hardness: {a} {x}, {b} {y}.",
                "{a} has a hardness of {x}, {b} of {y} (Mohs).",
                "Hardness on the Mohs scale is {x} for {a} and {y} for {b}.",
            ],
            a=a.name.lower(),
            b=b.name.lower(),
            x=span(a.hardness),
            y=span(b.hardness),
        )
        question = say(
            "question",
            [
                "Does {a} scratch {b}?",
                "Can you scratch {b} with {a}?",
                "Will a piece of {a} leave a scratch on {b}?",
            ],
            a=a.name.lower(),
            b=b.name.lower(),
        )
        harder = a.hardness[0] > b.hardness[1]
        answer = say(
            "yes" if harder else "no",
            ["Yes, {x} is harder than {y}.", "Yes: {x} is above {y}."]
            if harder
            else ["No, {x} is softer than {y}.", "No: {x} is below {y}."],
            x=span(a.hardness),
            y=span(b.hardness),
        )
        yield draft(say, question, context, answer, SOURCE, group(mineral))


def _apart(a: Mineral, b: Mineral) -> bool:
    return a.hardness[0] > b.hardness[1] or b.hardness[0] > a.hardness[1]


def _which_is_it(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    """A measured specific gravity or hardness, and three minerals of which one fits."""
    ends = mineral.specific_gravity
    if not ends:
        return
    far = [
        o
        for o in others
        if o.specific_gravity
        and (o.specific_gravity[0] > ends[1] + 0.15 or o.specific_gravity[1] < ends[0] - 0.15)
    ]
    say = Realiser(rng, "properties/which fits")
    chosen = [*rng.sample(far, 2), mineral]
    rng.shuffle(chosen)
    measured = round(rng.uniform(*ends), 2)
    listed = ", ".join(f"{m.name.lower()} {span(m.specific_gravity)}" for m in chosen)
    context = say(
        "context",
        [
            "Measured specific gravity {x:.2f}. Candidates: {listed}.",
            "Specific gravity of {listed}. The specimen has {x:.2f}.",
            "A specimen has a specific gravity of {x:.2f}; known are {listed}.",
        ],
        x=measured,
        listed=listed,
    )
    question = say(
        "question",
        ["Which mineral fits?", "Which candidate is it?", "Name the mineral that agrees."],
    )
    answer = say(
        "answer",
        ["{name}, {span}.", "{name}: {x:.2f} agrees with {span}."],
        name=mineral.name,
        span=span(ends),
        x=measured,
    )
    yield draft(say, question, context, answer, SOURCE, group(mineral))


# --- Computed -----------------------------------------------------------------------------------


def _weighing(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    """Mass in air and volume of displaced water: specific gravity is their quotient."""
    if not mineral.specific_gravity:
        return
    say = Realiser(rng, "properties/weighing")
    volume = rng.randrange(20, 120) / 10
    mass = round(volume * rng.uniform(*mineral.specific_gravity), 1)
    context = say(
        "context",
        [
            "A specimen of {name} weighs {mass:.1f} g and displaces {volume:.1f} mL of water.",
            "{Name}: mass {mass:.1f} g, displaced water {volume:.1f} mL.",
            "Displacement test on {name}: {mass:.1f} g, {volume:.1f} mL.",
        ],
        name=mineral.name.lower(),
        Name=mineral.name,
        mass=mass,
        volume=volume,
    )
    question = say(
        "question",
        [
            "What is its specific gravity?",
            "Compute the specific gravity.",
            "Which density results?",
        ],
    )
    density = mass / volume
    answer = f"{mass:.1f} / {volume:.1f} = {density:.2f}"
    yield draft(say, question, context, answer, SOURCE, group(mineral), number(density, 2))


def _metal_content(mineral: Mineral, others: Sequence[Mineral], rng: random.Random):
    """Mass percent of the metal in the pure mineral, from the formula."""
    try:
        atoms = minerals.composition(mineral.formula)
    except CourseError:
        return  # a solid solution has no one composition
    for element in [e for e in (*METALS, *COMMON) if e in atoms][:2]:
        share = minerals.mass_percent(mineral.formula, element)
        say = Realiser(rng, "properties/metal content")
        values = {"element": ELEMENT[element], "name": mineral.name.lower()}
        question = say(
            "question",
            [
                "How much {element} does pure {name} hold, in mass percent?",
                "Mass percent of {element} in {name}?",
                "What share of the mass of {name} is {element}?",
            ],
            **values,
        )
        weight = atoms[element] * minerals.ATOMIC_WEIGHT[element]
        total = 100 * weight / share
        context = say(
            "context",
            [
                "{formula}, molar mass {total:.1f} g/mol; {n} x {symbol} = {weight:.1f} g/mol.",
                "Formula {formula}. One mole weighs {total:.1f} g, its {element} {weight:.1f} g.",
            ],
            formula=mineral.formula,
            total=total,
            n=atoms[element],
            symbol=element,
            weight=weight,
            element=ELEMENT[element],
        )
        percent = 100 * round(weight, 1) / round(total, 1)
        answer = f"100 x {weight:.1f} / {total:.1f} = {percent:.0f} %"
        fact = number(percent, 0, "%")
        yield draft(say, question, context, answer, SOURCE, group(mineral), fact)


_BUILDERS = {
    "context": _from_context,
    "memory": _from_memory,
    "scratch": _scratch,
    "fits": _which_is_it,
    "weighing": _weighing,
    "metal": _metal_content,
}
