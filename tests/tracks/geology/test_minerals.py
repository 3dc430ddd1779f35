"""The table of minerals, and metal contents computed from formulas."""

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.geology import minerals


def test_well_known_figures_of_minerals(prepared):
    table = {mineral.name: mineral for mineral in minerals.table()}
    assert len(table) > 60
    assert (table["Quartz"].hardness, table["Quartz"].formula) == ((7, 7), "SiO2")
    assert (table["Gypsum"].hardness, table["Calcite"].specific_gravity) == ((2, 2), (2.71, 2.71))
    assert table["Kyanite"].hardness is None  # depends on the direction
    assert not {"Ruby", "Pearl", "Coral"} & set(table)


@pytest.mark.parametrize(
    ("formula", "element", "percent"),
    [
        ("Cu2(CO3)(OH)2", "Cu", 57.5),  # malachite; handbooks: 57.5 % Cu
        ("PbS", "Pb", 86.6),  # galena
        ("SnO2", "Sn", 78.8),  # cassiterite
        ("CaSO4.2H2O", "Ca", 23.3),  # gypsum
        ("FeS2", "Fe", 46.5),  # pyrite
        ("Mg3Si2O5(OH)4", "Mg", 26.3),  # serpentine
    ],
)
def test_metal_content_agrees_with_handbooks(formula, element, percent):
    assert minerals.mass_percent(formula, element) == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize("formula", ["(Mg,Fe)2SiO4", "SiO2.nH2O", "Ca3Al2(SiO4)3-x(OH)4x", ""])
def test_a_solid_solution_has_no_one_composition(formula):
    with pytest.raises(CourseError, match="not a fixed composition"):
        minerals.composition(formula)


def test_an_element_that_does_not_occur_is_named():
    with pytest.raises(CourseError, match="Fe does not occur"):
        minerals.mass_percent("PbS", "Fe")
