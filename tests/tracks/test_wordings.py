"""Wordings are data with a strict schema: a slip is named with its file and place."""

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.wordings import Wordings, placeholders

GOOD = """
means:
  about: the mean of all readings
  values: [mean]
  wordings: ["It averages {mean}.", "The mean is {mean}."]
endings:
  about: the last sentence
  wordings:
    hold: [Hold the lot.]
    release: [Release the lot.]
effect:
  about: what happens if nothing is done
  values: [effect]
  wordings: "If nothing is done: {effect}"
pause:
  about: what stands between two parts, mostly nothing
  repeats: true
  wordings: ["", "", " - "]
"""


@pytest.fixture
def read(tmp_path):
    def from_text(text: str) -> Wordings:
        (tmp_path / "lots.yaml").write_text(text, encoding="utf-8")
        return Wordings("lots", tmp_path)

    return from_text


def test_an_entry_is_a_list_or_a_dict_of_lists(read):
    say = read(GOOD)
    assert say["means"] == ["It averages {mean}.", "The mean is {mean}."]
    assert say["endings"]["hold"] == ["Hold the lot."]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("is {mean}.", "is {mena}.", "means: Value error, 'The mean is {mena}.' uses ['mena']"),
        ("is {mean}.", "is {mean.", "means: Value error, 'The mean is {mean.': "),
        ("endings:", "means:", "means stands twice"),
        ("release:", "hold:", "hold stands twice"),
        ("The mean is {mean}.", "It averages {mean}.", "the same wording stands twice"),
        ("values: [mean]", "valeus: [mean]", "means.valeus"),
        ("about: the last sentence", "about: ''", "endings.about"),
        ("hold: [Hold the lot.]", "hold: []", "endings.wordings"),
        ("hold: [Hold the lot.]", "hold:", "endings.wordings"),
        ("means:", "means", "lots.yaml"),
        (GOOD, "", "lots.yaml"),
    ],
)
def test_a_slip_is_named(read, old, new, said):
    with pytest.raises(CourseError, match="lots.yaml") as problem:
        read(GOOD.replace(old, new))["means"]
    assert said in str(problem.value)


def test_a_phrase_with_one_wording_is_filled_in_and_not_drawn(read):
    say = read(GOOD)
    assert say.phrase("effect", effect="{it} stops") == "If nothing is done: {it} stops"
    assert say.phrase("endings", "hold") == "Hold the lot."
    assert say["effect"] == ["If nothing is done: {effect}"]


def test_a_phrase_without_its_value_is_named(read):
    with pytest.raises(CourseError, match="lots.yaml: effect: 'If nothing is done: {effect}'"):
        read(GOOD).phrase("effect", cause="wear")


@pytest.mark.parametrize("place", [("means",), ("endings",), ("pause",)])
def test_a_phrase_with_a_choice_is_refused(read, place):
    with pytest.raises(CourseError, match=f"lots.yaml: {place[0]} needs exactly one wording"):
        read(GOOD).phrase(*place)


def test_a_wording_stands_twice_only_where_that_is_said(read):
    assert read(GOOD)["pause"] == ["", "", " - "]
    with pytest.raises(CourseError, match="pause: .*the same wording stands twice"):
        read(GOOD.replace("  repeats: true\n", ""))["pause"]


def test_a_name_that_is_not_there_is_named(read):
    with pytest.raises(CourseError, match="medians is missing"):
        read(GOOD)["medians"]


def test_placeholders_are_the_names_in_braces():
    assert placeholders("{a} and {b.c}, {{no}}, {d[0]}") == {"a", "b", "d"}
