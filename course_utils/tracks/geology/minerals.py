"""Figures on minerals: formula, crystal system, hardness, specific gravity, from a packaged table.

The table is gemmology-mineral-database 2.3.0 (MIT licence). It was made for gemmologists, so gem
varieties and what is no mineral are left out here, and so are rows that contradict handbooks;
single values that do are put right (CORRECTED). What stays are species, and a few names that a
geologist uses like one: apatite and olivine (series or groups), chalcedony and three plagioclases.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.packages import PackagedFile, cache_folder, extract

DATABASE = PackagedFile(
    package="gemmology-mineral-database",
    version="2.3.0",
    member="mineral_database/data/minerals.db",
    sha256="d3c68e545707b06a6887b4fb74a069b53396c79ebff07d2990e23b7fd9bb7308",
)
SOURCE = "gemmology-mineral-database 2.3.0"

# Gem varieties of another row, groups, aggregates and organic gems.
NO_SPECIES = {
    *("Alexandrite", "Amazonite", "Amethyst", "Ametrine", "Aquamarine", "Bronzite", "Citrine"),
    *("Chrome Diopside", "Colour-Change Garnet", "Coral", "Demantoid", "Emerald", "Garnet"),
    *("Goshenite", "Heliodor", "Hessonite", "Hiddenite", "Jet", "Kunzite", "Maw-Sit-Sit"),
    *("Maxixe-type Beryl", "Moldavite", "Moonstone", "Morganite", "Nephrite", "Obsidian"),
    *("Padparadscha Sapphire", "Pearl", "Pink Sapphire", "Plagioclase (Albite Twin)"),
    *("Red Beryl", "Rhodolite", "Rose Quartz", "Ruby", "Sapphire", "Smoky Quartz"),
    *("Star Diopside", "Sunstone", "Tanzanite", "Tourmaline", "Tsavorite"),
    "Serpentine",  # a group of monoclinic, trigonal and orthorhombic minerals
}
# Rows that do not say what handbooks say: staurolite is monoclinic, chrysocolla is no glass,
# the formulas of taaffeite and scapolite are others.
DOUBTFUL = {"Staurolite", "Chrysocolla", "Taaffeite", "Musgravite", "Scapolite"}
NAMES = {"Sphene (Titanite)": "Titanite", "Peridot": "Olivine"}
# name -> (what handbooks say instead of the table, which handbook)
CORRECTED: Mapping[str, tuple[Mapping[str, object], str]] = {
    # PbMoO4 holds no tungsten.
    "Wulfenite": ({"mineral_class": "molybdates"}, "class after its formula"),
    # Their formulas hold Si2O7 groups.
    "Vesuvianite": ({"mineral_class": "sorosilicates"}, "class after Strunz 9.BG and Dana 58"),
    "Kornerupine": ({"mineral_class": "sorosilicates"}, "class after Strunz 9.BJ"),
    "Epidote": (
        {"formula": "Ca2(Al,Fe)3(Si2O7)(SiO4)O(OH)"},
        "formula after the Handbook of Mineralogy",
    ),
    # The table's row is peridot, the gem of about Fo90; olivine runs from forsterite to fayalite.
    "Olivine": (
        {"specific_gravity": (3.22, 4.39), "hardness": (6.5, 7.0)},
        "figures from forsterite to fayalite after Deer, Howie and Zussman",
    ),
}

# Standard atomic weights, IUPAC 2021 (abridged), of the elements in formulas that are asked for.
ATOMIC_WEIGHT = {
    **{"H": 1.008, "Be": 9.0122, "B": 10.81, "C": 12.011, "O": 15.999, "F": 18.998},
    **{"Na": 22.990, "Mg": 24.305, "Al": 26.982, "Si": 28.085, "S": 32.06, "Cl": 35.45},
    **{"Ca": 40.078, "Ti": 47.867, "Cr": 51.996, "Mn": 54.938, "Fe": 55.845, "Cu": 63.546},
    **{"As": 74.922, "Sr": 87.62, "Zr": 91.224, "Mo": 95.95, "Sn": 118.71, "Ba": 137.33},
    **{"W": 183.84, "Pb": 207.2, "Li": 6.94, "K": 39.098, "P": 30.974},
}


@dataclass(frozen=True)
class Mineral:
    """One mineral species; a range has equal ends where the table gives one value."""

    name: str
    formula: str
    crystal_system: str
    mineral_class: str
    hardness: tuple[float, float] | None  # Mohs
    specific_gravity: tuple[float, float] | None
    lustre: str
    cleavage: str
    fracture: str
    source: str = SOURCE


def _data_path() -> Path:
    return cache_folder() / "data" / "minerals.db"


def is_prepared() -> bool:
    """Whether the table lies in the cache."""
    return _data_path().is_file()


def prepare() -> Path:
    """Fetch the table once; afterwards it is read from the cache."""
    path = _data_path()
    return path if path.is_file() else extract(DATABASE, path)


def table() -> tuple[Mineral, ...]:
    """The mineral species of the table, by name."""
    return _read(prepare())


@lru_cache
def _read(path: Path) -> tuple[Mineral, ...]:
    import sqlite3

    columns = (
        "name, chemistry, crystal_system, category, hardness_min, hardness_max, sg_min, sg_max, "
        "lustre, cleavage, fracture"
    )
    query = f"SELECT {columns} FROM mineral_families WHERE origin = 'natural' ORDER BY name"
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            rows = connection.execute(query).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise CourseError(
            f"{path}: {error}", "delete this file; course data prepare fetches it again"
        ) from None
    return tuple(_mineral(row) for row in rows if row[0] not in NO_SPECIES | DOUBTFUL)


def _mineral(row: tuple) -> Mineral:
    name, formula, system, category, hard_low, hard_high, low, high, *rest = row
    lustre, cleavage, fracture = (_short(text) for text in rest)
    mineral = Mineral(
        name=NAMES.get(name, name),
        formula=formula,
        crystal_system=system,
        mineral_class=category.lower(),
        # One end missing means that the hardness depends on the direction (kyanite).
        hardness=(hard_low, hard_high) if hard_low and hard_high else None,
        specific_gravity=(low, high) if low and high else None,
        lustre=lustre,
        cleavage=cleavage,
        fracture=fracture,
    )
    values, why = CORRECTED.get(mineral.name, ({}, ""))
    return replace(mineral, source=f"{SOURCE}; {why}", **values) if values else mineral


def _short(text: str | None) -> str:
    """A remark in brackets is left out: 'Vitreous (crystals)' -> 'vitreous'."""
    plain = re.sub(r"\s*\([^)]*\)", "", text or "").split(";")[0].strip()
    return plain[:1].lower() + plain[1:]


def composition(formula: str) -> Mapping[str, float]:
    """Atoms of each element in a formula such as Cu2(CO3)(OH)2 or CaSO4.2H2O.

    Raises CourseError for a formula with a choice of elements, "(Mg,Fe)", or an open number.
    """
    if not re.fullmatch(r"(?:[A-Z][a-z]?|\d+|[().])+", formula):
        raise CourseError(f"{formula}: not a fixed composition", "use an end member's formula")
    total: dict[str, float] = {}
    for part in formula.split("."):
        number, rest = re.fullmatch(r"(\d*)(.*)", part).groups()
        for element, count in _atoms(rest).items():
            total[element] = total.get(element, 0) + count * int(number or 1)
    return total


def _atoms(formula: str) -> dict[str, int]:
    while inner := re.search(r"\(([^()]*)\)(\d*)", formula):
        repeated = "".join(
            f"{element}{count * int(inner[2] or 1)}" for element, count in _atoms(inner[1]).items()
        )
        formula = formula[: inner.start()] + repeated + formula[inner.end() :]
    counts: dict[str, int] = {}
    for element, number in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        counts[element] = counts.get(element, 0) + int(number or 1)
    return counts


def molar_mass(formula: str) -> float:
    """Mass of one mole in g. Raises CourseError for an element without a weight in the table."""
    atoms = composition(formula)
    for element in sorted(set(atoms) - set(ATOMIC_WEIGHT)):
        raise CourseError(
            f"{formula}: {element} has no weight in the table",
            "see ATOMIC_WEIGHT in course_utils/tracks/geology/minerals.py",
        )
    return sum(count * ATOMIC_WEIGHT[name] for name, count in atoms.items())
