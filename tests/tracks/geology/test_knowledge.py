"""The hand-written knowledge agrees with what was measured; a mistake in a file is named."""

import re

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.geology import knowledge as geology_knowledge
from course_utils.tracks.geology.materials import materials


def test_handwritten_wavelengths_agree_with_measured_spectra(prepared):
    """Within 12 nm, the spacing of the Beckman spectra and the spread among samples."""
    measured = {}
    for material in materials():
        centres = [feature.centre for _, feature in material.features]
        measured.setdefault(material.title.split()[-1].split("-")[-1], []).extend(centres)
    compared = 0
    for mineral in geology_knowledge.load().minerals:
        if mineral.name in measured:
            main = mineral.lines[0].nm
            assert min(abs(main - centre) for centre in measured[mineral.name]) <= 12, mineral.name
            compared += 1
    assert compared >= 15


def test_the_knowledge_has_sources_and_many_facts():
    knowledge = geology_knowledge.load()
    assert geology_knowledge.count_facts(knowledge) > 400
    entries = [entry for part in vars(knowledge).values() for entry in part]
    assert all(len(entry.source) > 15 for entry in entries)


def entry(kind, name):
    return next(one for one in getattr(geology_knowledge.load(), kind) if one.name == name)


def test_the_burn_ratio_is_high_for_leaves_and_low_for_burnt_ground():
    """Key and Benson 2006."""
    nbr = entry("indices", "NBR")
    assert nbr.highlights.startswith("<green vegetation>")
    assert "burnt ground gets low values" in nbr.highlights


def test_the_hydroxyl_ratio_says_nothing_of_carbonate():
    """The carbonate bands lie outside band 12 of Sentinel-2."""
    _, high = entry("sensors", "Sentinel-2 MSI").limits["B12"]
    carbonates = [m for m in geology_knowledge.load().minerals if m.family == "carbonate"]
    assert all(mineral.lines[0].nm > high for mineral in carbonates)
    assert "carbonate" not in entry("indices", "the Sentinel-2 hydroxyl ratio").highlights


@pytest.mark.parametrize(
    ("sensor", "band", "limits"),
    [
        ("ASTER", "B3N", (780, 860)),  # NASA LP DAAC, AST_L1B v003
        ("Landsat 8 OLI", "B2", (452, 512)),  # USGS LSDS-1574
        ("Landsat 8 OLI", "B3", (533, 590)),
        ("Landsat 8 OLI", "B4", (636, 673)),
        ("Landsat 8 OLI", "B5", (851, 879)),
        ("Landsat 8 OLI", "B6", (1566, 1651)),
        ("Landsat 8 OLI", "B7", (2107, 2294)),
        ("Sentinel-2 MSI", "B2", (457.5, 522.5)),  # ESA: centre 490, width 65
        ("Sentinel-2 MSI", "B8", (784.5, 899.5)),  # centre 842, width 115
    ],
)
def test_the_limits_of_a_band_are_those_of_its_handbook(sensor, band, limits):
    assert entry("sensors", sensor).limits[band] == limits


def test_a_figure_that_holds_in_one_mode_only_names_the_mode():
    for name in ("Moon Mineralogy Mapper", "CRISM", "AVIRIS"):
        assert entry("sensors", name).mode


def test_only_a_method_has_a_use():
    """A notion occurs somewhere; who asked what an intimate mixture is for?"""
    notions = {one.name for one in geology_knowledge.load().concepts if one.occurs}
    assert notions == {"intimate mixture", "endmember", "endmember variability"}


def test_without_the_empirical_line_the_image_stays_radiance():
    assert "stays in <radiance>" in entry("steps", "empirical line method").omitted


def test_illite_is_told_from_muscovite_by_a_deeper_water_band():
    (water,) = [line for line in entry("minerals", "illite").lines if line.nm == 1910]
    assert water.shape == "a band deeper than in muscovite"


def test_bands_of_one_cause_are_told_apart_by_more_than_an_adjective():
    """A broad and a very broad band, or a weak and a moderate one: which is meant?"""
    told = re.compile(
        r"first|second|third|deeper|shallower|weaker|shoulder|in the blue|near infrared|edge"
    )
    pairs = 0
    for mineral in geology_knowledge.load().minerals:
        for line in mineral.lines:
            same = [one for one in mineral.lines if one.cause == line.cause]
            if len(same) > 1:
                apart = [bool(told.search(one.shape)) for one in same]
                assert apart.count(False) <= 1, (mineral.name, [one.shape for one in same])
                pairs += 1
    assert pairs > 15


def test_index_values_are_those_of_their_formulas():
    indices = {index.name: index for index in geology_knowledge.load().indices}
    assert indices["NDVI"].value({"B8": 0.5, "B4": 0.1}) == pytest.approx(0.4 / 0.6)
    aloh = indices["the ASTER AlOH content index"]
    assert aloh.formula == "(B5 + B7) / B6"
    assert aloh.value({"B5": 0.4, "B7": 0.5, "B6": 0.3}) == pytest.approx(3.0)


@pytest.fixture
def copied(tmp_path):
    for path in geology_knowledge.FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("features.yaml", "nm: 2205", "nm: 22050", r"minerals\.0\.lines\.0\.nm"),
        ("mistakes.yaml", "    cure: <dry", "    cures: <dry", "Field required|Extra inputs"),
        ("sensors.yaml", "B4: [1600, 1700]", "B4: [1700, 1600]", "1700 is not below 1600"),
        ("indices.yaml", "[TM3, TM1]", "[TM3, TM9]", "has no band TM9"),
        ("indices.yaml", "bands: [TM3, TM1]", "bands: [TM3, TM1, TM2]", "ratio with 3 bands"),
        ("unmixing.yaml", "source: hapke1981", "source: hapke", "source 'hapke' is not listed"),
        ("alteration.yaml", "- name: skarn", "- name: greisen", "greisen is there twice"),
        ("alteration.yaml", "zones:", "areas:", "zones: Field required"),
        ("alteration.yaml", "hot centre of a <porphyry>", "hot centre of a porphyry", "marks not"),
        (
            "mistakes.yaml",
            "    cure: <dry>",
            "    cure: wait\n    cure: <dry>",
            "cure stands twice",
        ),
        (
            "unmixing.yaml",
            "    limit: it needs <grain",
            "    occurs: in <a>\n    limit: it needs <grain",
            "give one of",
        ),
        (
            "features.yaml",
            "the shallower half of a doublet",
            "the deeper half of a doublet",
            "same shape",
        ),
        ("preprocessing.yaml", "steps:", "steps: [", "preprocessing.yaml"),
    ],
)
def test_a_mistake_in_a_knowledge_file_names_file_and_place(copied, file, old, new, message):
    text = (copied / file).read_text(encoding="utf-8")
    assert old in text
    (copied / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CourseError, match=message) as caught:
        geology_knowledge.load(copied)
    assert file in caught.value.message
