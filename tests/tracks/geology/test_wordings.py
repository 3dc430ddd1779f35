"""The words of the geology track: each is used, each that the code asks for is there and filled."""

import importlib
import inspect
import pkgutil
import random
import re

import pytest

from course_utils.errors import CourseError
from course_utils.tracks import geology
from course_utils.tracks.geology import sensor_records
from course_utils.tracks.geology import track as geology_track
from course_utils.tracks.geology.knowledge import load
from course_utils.tracks.geology.sensor_records import sensor_drafts
from course_utils.tracks.wordings import FOLDER, Wordings

MODULES = [
    importlib.import_module(f"{geology.__name__}.{found.name}")
    for found in pkgutil.iter_modules(geology.__path__)
]
FILES = sorted((FOLDER / "geology").glob("*.yaml"))


def words_of(module):
    """The files of wordings that a module reads: `SAY`, or one for each kind of entry."""
    say = getattr(module, "SAY", {})
    return [say] if isinstance(say, Wordings) else list(say.values())


class Heard(str):
    """A wording that notes with which values it was filled in."""

    def format(self, **values):
        self.filled.add(frozenset(values))
        return super().format(**values)


def heard(choices, filled):
    """The wordings of one list; all note in one place."""
    wordings = [Heard(wording) for wording in choices]
    for wording in wordings:
        wording.filled = filled
    return wordings


@pytest.fixture(scope="module")
def used(prepared):
    """(file, entry, case) -> the sets of values that its wordings were filled with in a build."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for words in (words for module in MODULES for words in words_of(module)):
            entries = {}
            for name, entry in words.entries.items():
                single = not isinstance(entry.wordings, dict)
                cases = {"": entry.wordings} if single else entry.wordings
                for case, choices in cases.items():
                    filled = found[words.path.stem, name, case] = set()
                    cases = {**cases, case: heard(choices, filled)}
                wordings = cases[""] if single else cases
                entries[name] = entry.model_copy(update={"wordings": wordings})
            patch.setitem(words.__dict__, "entries", entries)
        geology_track.build_geology(seed=42)
    return found


def test_every_file_is_read_by_one_module():
    read = sorted(words.path for module in MODULES for words in words_of(module))
    assert read == FILES


def test_no_words_are_dead(used):
    assert [place for place, filled in used.items() if not filled] == []
    assert len(used) > 120


def test_every_entry_is_given_the_values_that_it_names(used):
    for (file, name, case), filled in used.items():
        values = Wordings(f"geology/{file}").entries[name].values
        assert filled == {frozenset(values)}, (file, name, case)


def test_every_entry_that_the_code_names_is_there():
    named = 0
    for module in MODULES:
        names = set(re.findall(r'(?:SAY|words)(?:\[|\.phrase\()"(\w+)"', inspect.getsource(module)))
        there = {name for words in words_of(module) for name in words.entries}
        assert names <= there, module.__name__
        named += len(names)
    assert named > 70


def test_no_placeholder_is_left_in_a_record(all_records):
    """Numbers in braces are faces of a crystal: cleavage {110}."""
    texts = [text for record in all_records for text in record.values()]
    assert [text for text in texts if re.search(r"\{\D|\D\}", text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_entry_says_what_it_is_for_and_what_its_letters_mean(path):
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    for name, entry in Wordings(f"geology/{path.stem}").entries.items():
        assert len(entry.about) > 10
        letters = {f"{{{value}}}" for value in entry.values if len(value) == 1}
        assert all(letter in entry.about + head for letter in letters), f"{name}: {letters}"


@pytest.fixture
def mended(monkeypatch, tmp_path):
    """sensors.yaml as somebody changed it, in the place of the file."""

    def change(old, new):
        text = (FOLDER / "geology" / "sensors.yaml").read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "sensors.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
        monkeypatch.setattr(sensor_records, "SAY", Wordings("sensors", tmp_path))
        sensors = load().sensors
        return [d for sensor in sensors for d in sensor_drafts(sensor, random.Random(1))]

    return change


def test_a_sentence_is_mended_without_python(mended):
    texts = [d.record["instruction"] for d in mended("How wide is {band}?", "Breadth of {band}?")]
    assert any(text.startswith("Breadth of B") for text in texts)
    assert not any(text.startswith("How wide is B") for text in texts)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    swath: swath {value} km\n", "", "sensors.yaml: sheet_part.swath is missing"),
        ("reach_question:", "reach_questions:", "sensors.yaml: reach_question is missing"),
        ("How wide is {band}?", "How wide is {bnd}?", r"width_question: .* uses \['bnd'\]"),
        ("How wide is {band}?", "How wide is {band:.1f}?", "How wide is .* cannot be filled in"),
        ("{value} bands", "{value:.1f} bands", "sheet_part bands: .* cannot be filled in"),
        ("    jarosite: the", "    yes: the", "reach_target"),
    ],
)
def test_who_mends_a_sentence_wrongly_is_told_where(mended, old, new, said):
    with pytest.raises(CourseError, match=said):
        mended(old, new)
