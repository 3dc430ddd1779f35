"""Questions on minerals: formula, hardness, specific gravity, crystal system, metal content.

The figures are those of `minerals.table()`; what is compared or divided is computed here, from the
digits that the question prints.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from course_utils.errors import CourseError
from course_utils.facts import Fact
from course_utils.tracks.geology import minerals
from course_utils.tracks.geology.drafts import Question, group_of, number_of, rounded
from course_utils.tracks.geology.minerals import Mineral
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


SYSTEMS = (
    "cubic",
    "hexagonal",
    "trigonal",
    "tetragonal",
    "orthorhombic",
    "monoclinic",
    "triclinic",
)
RANGES = ("Mohs hardness", "specific gravity")
WRONG = 6  # minerals whose formulas or systems stand for wrong answers
HARDNESS_TOLERANCE = "0.5"  # handbooks differ by half a step


def group(mineral: Mineral) -> str:
    """Species of one family stay together: their figures are alike."""
    return group_of(FAMILY.get(mineral.name, mineral.name.lower()))


def question(mineral: Mineral, say: Realiser, text: str, context: str) -> Question:
    return Question(say, text, context, mineral.source, group(mineral))


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
    if mineral.crystal_system == "amorphous":
        del known["crystal system"]  # opal: there is none to be asked for
    return {name: text for name, text in known.items() if text}


def card(mineral: Mineral, say: Realiser, names: Sequence[str]) -> str:
    """The named properties in a drawn order."""
    known = _properties(mineral)
    listed = [
        SAY.phrase("card_line", name, value=known[name]) for name in say.order("order", names)
    ]
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
    known = _properties(mineral)
    for wanted in rng.sample([name for name in known if name in SAY["property_question"]], 2):
        say = Realiser(rng, f"properties/{wanted} in context")
        shown = rng.sample([name for name in known if name != wanted], rng.randint(3, 4))
        context = card(mineral, say, [*shown, wanted])
        beside = [known[name] for name in shown if name not in RANGES]
        yield _one_property(mineral, wanted, context, beside, say)


def _from_memory(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    known = _properties(mineral)
    asked = [name for name in ("formula", "crystal system") if name in known]
    if mineral.hardness and len(set(mineral.hardness)) == 1:
        asked.append("Mohs hardness")  # a range is known to nobody by heart
    for wanted in rng.sample(asked, min(2, len(asked))):
        say = Realiser(rng, f"properties/{wanted} from memory")
        drawn = map(_properties, rng.sample(others, WRONG))
        beside = [properties[wanted] for properties in drawn if wanted in properties]
        yield _one_property(mineral, wanted, "", beside, say)


def _one_property(
    mineral: Mineral, wanted: str, context: str, beside: Sequence[str], say: Realiser
) -> Draft:
    """`beside`: values that are no answer, of this mineral or of others."""
    text = say("question", SAY["property_question"][wanted], name=mineral.name.lower())
    asked = question(mineral, say, text, context)
    if wanted in RANGES:
        low, high = mineral.hardness if wanted == "Mohs hardness" else mineral.specific_gravity
        if low < high:
            return asked.range(number_of(low), number_of(high))
        within = "" if context else HARDNESS_TOLERANCE
        return asked.number(number_of(low), within=within, announcement="number or range")
    value = _properties(mineral)[wanted]
    systems = SYSTEMS if wanted == "crystal system" else ()
    announcement = {"formula": "formula", "lustre": "property", "cleavage": "property"}
    return asked.name(value, [*systems, *beside], announcement.get(wanted, "name"))


# --- Two minerals -------------------------------------------------------------------------------


def _scratch(mineral: Mineral, others: Sequence[Mineral], rng: random.Random) -> Iterator[Draft]:
    known = [o for o in others if o.hardness and mineral.hardness and _apart(o, mineral)]
    for other in rng.sample(known, min(2, len(known))):
        say = Realiser(rng, "properties/scratch")
        a, b = rng.sample([mineral, other], 2)
        names = {"a": a.name.lower(), "b": b.name.lower()}
        hardness = {"x": span(a.hardness), "y": span(b.hardness)}
        context = say("context", SAY["scratch_context"], **names, **hardness)
        text = say("question", SAY["scratch_question"], **names)
        harder = a.hardness[0] > b.hardness[1]
        # What decides are the ends that face each other.
        ends = [_end(a, 0 if harder else 1), _end(b, 1 if harder else 0)]
        reason = SAY.phrase("scratch_reason", a=names["a"], b=names["b"], x=ends[0], y=ends[1])
        facts = [_end_fact(one, end) for one, end in zip((a, b), ends, strict=True)]
        asked = question(mineral, say, text, context)
        yield asked.yes_no(harder, reason, SAY.phrase("scratch_asked"), facts)


def _end(mineral: Mineral, side: int) -> str:
    """The lower (0) or upper (1) end of its hardness: '7', 'at least 6.5', 'at most 4'."""
    low, high = mineral.hardness
    limit = "" if low == high else ("at least ", "at most ")[side]
    return f"{limit}{number_of(mineral.hardness[side])}"


def _end_fact(mineral: Mineral, end: str) -> Fact:
    *limit, value = end.rsplit(" ", 1)
    return Fact(mineral.name.lower(), value, limit="".join(limit))


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
    asked = question(mineral, say, say("question", SAY["which_fits_question"]), context)
    yield asked.name(mineral.name.lower(), [one.name.lower() for one in chosen if one != mineral])


# --- Computed -----------------------------------------------------------------------------------


def _weighing(mineral: Mineral, others: Sequence[Mineral], rng: random.Random) -> Iterator[Draft]:
    """Mass in air and volume of displaced water: the quotient is the density in g/cm³."""
    if not mineral.specific_gravity:
        return
    say = Realiser(rng, "properties/weighing")
    volume = rng.randrange(20, 120) / 10
    mass = round(volume * rng.uniform(*mineral.specific_gravity), 1)
    names = {"name": mineral.name.lower(), "Name": mineral.name}
    context = say("context", SAY["weighing_context"], mass=mass, volume=volume, **names)
    wanted, unit = rng.choice((("specific gravity", ""), ("density", "g/cm³")))
    text = say("question", SAY["weighing_question"][wanted])
    yield question(mineral, say, text, context).number(rounded(mass / volume, 2), unit)


def _compound(mineral: Mineral) -> Mapping[str, float]:
    """Atoms of each element; none for a solid solution (no one composition) and for diamond."""
    try:
        atoms = minerals.composition(mineral.formula)
    except CourseError:
        return {}
    return atoms if len(atoms) > 1 else {}


def _metal_content(
    mineral: Mineral, others: Sequence[Mineral], rng: random.Random
) -> Iterator[Draft]:
    """Mass percent of the metal in the pure mineral, from the formula."""
    atoms = _compound(mineral)
    for element in [e for e in (*METALS, *COMMON) if e in atoms][:2]:
        say = Realiser(rng, "properties/metal content")
        name = ELEMENT[element]
        weight = rounded(atoms[element] * minerals.ATOMIC_WEIGHT[element], 1)
        total = rounded(minerals.molar_mass(mineral.formula), 1)
        text = say("question", SAY["metal_question"], element=name, name=mineral.name.lower())
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
        percent = rounded(100 * float(weight) / float(total), 1)
        yield question(mineral, say, text, context).number(percent, "%")


def _molar_mass(mineral: Mineral, others: Sequence[Mineral], rng: random.Random) -> Iterator[Draft]:
    """The weights of the elements are given; the formula has to be read."""
    atoms = _compound(mineral)
    if not atoms:
        return
    say = Realiser(rng, "properties/molar mass")
    weights = ", ".join(f"{one} {minerals.ATOMIC_WEIGHT[one]:.2f}" for one in atoms)
    context = say("context", SAY["molar_context"], formula=mineral.formula, weights=weights)
    text = say("question", SAY["molar_question"], name=mineral.name.lower())
    total = sum(count * float(f"{minerals.ATOMIC_WEIGHT[one]:.2f}") for one, count in atoms.items())
    yield question(mineral, say, text, context).number(rounded(total, 1), "g/mol")


_BUILDERS = {
    "context": _from_context,
    "memory": _from_memory,
    "scratch": _scratch,
    "fits": _which_is_it,
    "weighing": _weighing,
    "metal": _metal_content,
    "molar mass": _molar_mass,
}
