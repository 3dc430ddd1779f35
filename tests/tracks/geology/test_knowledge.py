"""The hand-written knowledge agrees with what was measured; a mistake in a file is named."""

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
        ("features.yaml", "nm: 2205", "nm: 22050", r"minerals\.1\.lines\.0\.nm"),
        ("mistakes.yaml", "    cure: dry", "    cures: dry", "Field required|Extra inputs"),
        ("sensors.yaml", "B4: [1600, 1700]", "B4: [1700, 1600]", "1700 is not below 1600"),
        ("indices.yaml", "[TM3, TM1]", "[TM3, TM9]", "has no band TM9"),
        ("indices.yaml", "bands: [TM3, TM1]", "bands: [TM3, TM1, TM2]", "ratio with 3 bands"),
        ("unmixing.yaml", "source: hapke1981", "source: hapke", "source 'hapke' is not listed"),
        ("alteration.yaml", "- name: skarn", "- name: greisen", "greisen is there twice"),
        ("alteration.yaml", "zones:", "areas:", "holds not `sources` and `zones`"),
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
