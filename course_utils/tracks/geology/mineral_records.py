"""Questions on minerals: formula, hardness, specific gravity, crystal system, metal content.

The figures are those of `minerals.table()`; what is compared or divided is computed here.
"""

import random
from collections.abc import Iterator, Sequence

from course_utils.errors import CourseError
from course_utils.tracks.geology import minerals
from course_utils.tracks.geology.drafts import decimals_of, draft, group_of, number
from course_utils.tracks.geology.minerals import SOURCE, Mineral
from course_utils.tracks.wording import Draft, Realiser, capital
from course_utils.tracks.wordings import Wordings

SAY = Wordings("geology/minerals")

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
    """What is known of it; the names are those of `card_line` in minerals.yaml."""
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


def card(mineral: Mineral, rng: random.Random, say: Realiser, wanted: str) -> str:
    """A few properties in a drawn order, the wanted one among them."""
    known = _properties(mineral)
    names = rng.sample([name for name in known if name != wanted], rng.randint(3, 4))
    names = say.order("order", [*names, wanted])
    listed = [SAY.phrase("card_line", name, value=known[name]) for name in names]
    return say(
        "card",
        SAY["card"],
        Name=mineral.name,
        text="; ".join(listed),
        sentences=". ".join(map(capital, listed)),
    )


def _from_context(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    asked = SAY["property_question"]
    for wanted in rng.sample([name for name in _properties(mineral) if name in asked], 2):
        say = Realiser(rng, f"properties/{wanted} in context")
        context = card(mineral, rng, say, wanted)
        yield _one_property(mineral, wanted, context, say)


def _from_memory(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    for wanted in rng.sample(["formula", "Mohs hardness", "crystal system"], 2):
        if wanted in _properties(mineral):
            say = Realiser(rng, f"properties/{wanted} from memory")
            yield _one_property(mineral, wanted, "", say)


def _one_property(mineral: Mineral, wanted: str, context: str, say: Realiser) -> Draft:
    value, name = _properties(mineral)[wanted], mineral.name.lower()
    question = say("question", SAY["property_question"][wanted], name=name)
    answer = say(
        "answer",
        SAY["property_answer"][wanted],
        name=name,
        Name=mineral.name,
        value=value,
        Value=capital(value),
    )
    single = _single_number(mineral, wanted)
    fact = number(single, decimals_of(f"{single:g}")) if single else None
    return draft(say, question, context, answer, SOURCE, group(mineral), fact)


def _single_number(mineral: Mineral, wanted: str) -> float | None:
    ends = {"Mohs hardness": mineral.hardness, "specific gravity": mineral.specific_gravity}
    low, high = ends.get(wanted) or (None, None)
    return low if low == high else None


# --- Two minerals -------------------------------------------------------------------------------


def _scratch(mineral: Mineral, others: Sequence[Mineral], rng: random.Random) -> Iterator[Draft]:
    known = [o for o in others if o.hardness and mineral.hardness and _apart(o, mineral)]
    for other in rng.sample(known, min(2, len(known))):
        say = Realiser(rng, "properties/scratch")
        a, b = rng.sample([mineral, other], 2)
        names = {"a": a.name.lower(), "b": b.name.lower()}
        hardness = {"x": span(a.hardness), "y": span(b.hardness)}
        context = say("context", SAY["scratch_context"], **names, **hardness)
        question = say("question", SAY["scratch_question"], **names)
        told = "yes" if a.hardness[0] > b.hardness[1] else "no"
        answer = say(told, SAY["scratch_answer"][told], **hardness)
        yield draft(say, question, context, answer, SOURCE, group(mineral))


def _apart(a: Mineral, b: Mineral) -> bool:
    return a.hardness[0] > b.hardness[1] or b.hardness[0] > a.hardness[1]


def _which_is_it(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    """A measured specific gravity, and three minerals of which one fits."""
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
    context = say("context", SAY["which_fits_context"], x=measured, listed=listed)
    question = say("question", SAY["which_fits_question"])
    answer = say("answer", SAY["which_fits_answer"], Name=mineral.name, span=span(ends), x=measured)
    yield draft(say, question, context, answer, SOURCE, group(mineral))


# --- Computed -----------------------------------------------------------------------------------


def _weighing(mineral: Mineral, others: Sequence[Mineral], rng: random.Random) -> Iterator[Draft]:
    """Mass in air and volume of displaced water: specific gravity is their quotient."""
    if not mineral.specific_gravity:
        return
    say = Realiser(rng, "properties/weighing")
    volume = rng.randrange(20, 120) / 10
    mass = round(volume * rng.uniform(*mineral.specific_gravity), 1)
    names = {"name": mineral.name.lower(), "Name": mineral.name}
    context = say("context", SAY["weighing_context"], mass=mass, volume=volume, **names)
    question = say("question", SAY["weighing_question"])
    density = mass / volume
    answer = SAY.phrase("weighing_answer", mass=mass, volume=volume, density=density)
    yield draft(say, question, context, answer, SOURCE, group(mineral), number(density, 2))


def _metal_content(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    """Mass percent of the metal in the pure mineral, from the formula."""
    try:
        atoms = minerals.composition(mineral.formula)
    except CourseError:
        return  # a solid solution has no one composition
    for element in [e for e in (*METALS, *COMMON) if e in atoms][:2]:
        say = Realiser(rng, "properties/metal content")
        name = ELEMENT[element]
        question = say("question", SAY["metal_question"], element=name, name=mineral.name.lower())
        weight = atoms[element] * minerals.ATOMIC_WEIGHT[element]
        total = 100 * weight / minerals.mass_percent(mineral.formula, element)
        context = say(
            "context",
            SAY["metal_context"],
            formula=mineral.formula,
            total=total,
            n=atoms[element],
            symbol=element,
            weight=weight,
            element=name,
        )
        percent = 100 * round(weight, 1) / round(total, 1)
        answer = SAY.phrase("metal_answer", weight=weight, total=total, percent=percent)
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
