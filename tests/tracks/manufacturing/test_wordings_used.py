"""The sentences under data/wordings/manufacturing and the code fit: none missing, none left over.

The track is drafted while every request for a wording is noted, and every wording of a list is
filled in, drawn or not. So a misspelt value in a rare wording is found here and not by a student.
"""

import ast
from pathlib import Path

import pytest

from course_utils.tracks import wordings
from course_utils.tracks.manufacturing import inspectors_notes, lot_simulation, lots, manuals
from course_utils.tracks.manufacturing.order_records import maintenance_drafts
from course_utils.tracks.wording import Realiser, fill
from course_utils.tracks.wordings import Wordings

FILES = sorted(path.stem for path in (wordings.FOLDER / "manufacturing").glob("*.yaml"))
SOURCES = sorted(Path(lots.__file__).parent.glob("*.py"))


class Noted(dict):
    """The cases of an entry; those that are asked for are noted."""

    def __init__(self, cases, note):
        super().__init__(cases)
        self.note = note

    def __getitem__(self, case):
        self.note(case)
        return super().__getitem__(case)

    def get(self, case, default=None):
        found = super().get(case, default)
        if case in self:
            self.note(case)
        return found


@pytest.fixture(scope="module")
def used(prepared):
    """(file, entry, case) of every wording that a build of the track asks for."""
    found = set()
    read, draw = Wordings.__getitem__, Realiser.__call__

    def noted(self, name):
        entry, file = read(self, name), self.path.stem
        if isinstance(entry, dict):
            return Noted(entry, lambda case: found.add((file, name, case)))
        found.add((file, name, ""))
        return entry

    def fill_all(self, slot, choices, **values):
        for wording in choices:
            fill(wording, values, slot)
        return draw(self, slot, choices, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wordings, "__getitem__", noted)
        patch.setattr(Realiser, "__call__", fill_all)
        assert lots.quality_drafts(1, 500)
        assert manuals.manual_drafts(1)
        assert maintenance_drafts(1)
    return found


def stored(file: str) -> set[tuple[str, str, str]]:
    entries = Wordings(f"manufacturing/{file}").entries
    cases = {name: entry.wordings for name, entry in entries.items()}
    return {
        (file, name, case)
        for name, wording in cases.items()
        for case in (wording if isinstance(wording, dict) else [""])
    }


@pytest.mark.parametrize("file", FILES)
def test_every_wording_is_used_and_can_be_filled_in(used, file):
    assert stored(file) - used == set()


def literal_requests(source: Path) -> list[tuple[str, str, str]]:
    """(file, entry, case or "") for each SAY["entry"]["case"] and SAY.phrase("entry", "case")."""
    tree, names, found = ast.parse(source.read_text(encoding="utf-8")), {}, []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="Wordings"), args=[ast.Constant(value=path)]),
            ):
                names[name] = path.removeprefix("manufacturing/")
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(
                value=ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=entry)),
                slice=ast.Constant(value=str(case)),
            ) if name in names:
                found.append((names[name], entry, case))
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=entry)) if (
                name in names
            ):
                found.append((names[name], entry, ""))
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="phrase"),
                args=[ast.Constant(value=entry), *rest],
            ) if name in names:
                case = rest[0].value if rest and isinstance(rest[0], ast.Constant) else ""
                found.append((names[name], entry, case))
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_entry_that_the_code_names_exists(source):
    for file, entry, case in literal_requests(source):
        entries = Wordings(f"manufacturing/{file}").entries
        assert entry in entries, f"{file}.yaml has no {entry}"
        assert not case or case in entries[entry].wordings, f"{file}.yaml: {entry} has no {case}"


def test_requests_are_found_in_the_code():
    found = [request for source in SOURCES for request in literal_requests(source)]
    assert ("lot_questions", "announced", "") in found
    assert ("lot_sheets", "chart", "") in found or ("lot_sheets", "header_labels", "") in found
    assert ("order_reports", "memo_subject", "") in found
    assert {file for file, _, _ in found} == set(FILES)


@pytest.mark.parametrize("kind", ["cosmetic", "final"])
def test_defects_that_the_notes_know_are_defects_of_some_part(kind):
    known = {name for part in lot_simulation.PARTS for name in (*part.defects, part.high, part.low)}
    assert set(inspectors_notes.SAY[kind]) <= known
