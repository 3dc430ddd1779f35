"""Builds a class: folders and archives as students hand them in, and what each must earn.

python tests/classroom/build.py week05 runs/class_week05              # the class of the long test
python tests/classroom/build.py week09_10 runs/class --only small     # its small part
python tests/classroom/build.py week05 runs/two --only bruno empty    # two members
python tests/classroom/compare.py runs/two/expected.yaml runs/two_grades    # once it is graded

Writes OUT/inbox/ and OUT/expected.yaml. The class is described in week05.yaml and week09_10.yaml
beside this file: a row says what was done to an honest submission and what it costs, argued from
the hand-out. Where points depend on what the nano model learned, `expectations.py` computes them
from the honest run.
"""

import argparse
import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # as a script: tests/ is where the class is imported from
    sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml
from classroom import (
    changes,
    changes_week05,
    changes_week09_10,
    expectations,
    study,
    study_week05,
    study_week09_10,
)
from pydantic import BaseModel, ConfigDict

from course_utils import kit, ownership
from course_utils.assignments import scripts
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.files import write_text_atomic
from course_utils.grading import names

Change = str | dict[str, Any]
HERE = Path(__file__).parent
STUDIES = {"week05": study_week05, "week09_10": study_week09_10}
OWN_CHANGES = {"week05": changes_week05, "week09_10": changes_week09_10}
Form = Literal["folder", "zip", "nested", "canvas", "moodle"]


class Row(BaseModel):
    """One member of the class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str  # the argument from the hand-out
    name: str = ""  # of the folder, where the row's own can't be
    form: Form = "folder"
    like: str = ""  # whose work it is a copy of; else an own training
    before: list[Change] = []  # done before training
    changes: list[Change] = []  # done afterwards
    share: dict[str, float | tuple[float, float] | Literal["reached"]] = {}  # two: between
    not_judged: list[str] = []
    reported: list[str] = []  # findings of the integrity report that must appear
    status: str = "graded"
    groups: list[Literal["small", "demo"]] = []
    whole: bool = False  # the whole notebook instead of one of a second


class ClassFile(BaseModel):
    """A class: what the honest reference earns, and its members."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    honest: dict[str, float | tuple[float, float]]  # item -> share, where it is not all
    may_be_reported: list[str]  # true of every member, since the model is nano
    members: dict[str, Row]


def read_class(assignment: str, *only: str) -> ClassFile:
    """The class file; with `only`, the members of these groups or names, and whom they copied."""
    content = yaml.safe_load((HERE / f"{assignment}.yaml").read_text("utf-8"))
    found = ClassFile.model_validate(content)
    chosen = {
        name for name, row in found.members.items() if not only or {name, *row.groups} & set(only)
    }
    for name in sorted(chosen):
        row = found.members[name]
        chosen |= {row.like, _source_of_words(row)} - {""}
    # In the class's order: whose words are copied is built before who copies them.
    members = {name: row for name, row in found.members.items() if name in chosen}
    return found.model_copy(update={"members": members})


def _source_of_words(row: Row) -> str:
    words = [
        entry["words_of"]
        for entry in row.changes
        if isinstance(entry, dict) and "words_of" in entry
    ]
    return words[0] if words else ""


def build(assignment: str, out: Path, *only: str) -> Path:
    """OUT/inbox and OUT/expected.yaml; honest work is kept in runs/classroom and built once."""
    found = read_class(assignment, *only)
    inbox = out / "inbox"
    ownership.claim(out, of="class")
    ownership.clear(out, ["inbox", "work", "expected.yaml", "built.json", "grades"])
    inbox.mkdir()
    everybody = list(read_class(assignment).members)  # a seed is a place in the whole class
    expected = {}
    for name, row in found.members.items():
        work = out / "work" / (row.name or name)
        _member(assignment, name, row, work, everybody)
        honest = (
            None if nothing_handed_in(row) else _trained(assignment, row.like or name, everybody)
        )
        own = expectations.expected(assignment, found, row, work, honest)
        expected[_slug(name, row)] = {"member": name, **own}
        _hand_in(name, row, work, inbox)
    shutil.rmtree(out / "work")
    expectations.name_the_copied(expected, found)
    text = yaml.safe_dump(expected, allow_unicode=True, sort_keys=False)
    write_text_atomic(out / "expected.yaml", text)
    return out


def _member(assignment: str, name: str, row: Row, work: Path, everybody: list[str]) -> None:
    """A member's folder in `work`: honest work, own or a copy, in own words; then what was done."""
    own, seed = STUDIES[assignment], everybody.index(name) + 1
    if row.like:
        shutil.copytree(_trained(assignment, row.like, everybody), work)
        own.finish(work, seed)
    else:
        shutil.copytree(_finished(assignment, name, everybody), work)
    given = [_with_source(entry, work.parent) for entry in row.changes]
    changes.apply(work, given, OWN_CHANGES[assignment].__name__)


def _with_source(entry: Change, folder: Path) -> Change:
    if isinstance(entry, dict) and "words_of" in entry:
        return {"words_of": str(folder / entry["words_of"])}
    return entry


def _finished(assignment: str, name: str, everybody: list[str]) -> Path:
    """Honest work in the member's own words, kept."""
    own, seed = STUDIES[assignment], everybody.index(name) + 1
    trained, row = _trained(assignment, name, everybody), read_class(assignment).members[name]
    if nothing_handed_in(row):
        return trained

    def make(folder: Path) -> None:
        shutil.copytree(trained, folder, dirs_exist_ok=True)
        own.finish(folder, seed)

    return study.kept(f"{trained.name.rpartition('-')[0]}-finished", make)


def _trained(assignment: str, name: str, everybody: list[str]) -> Path:
    """Honest work in the solution's words, kept for the next class from the same sources."""
    own, seed = STUDIES[assignment], everybody.index(name) + 1
    row = read_class(assignment).members[name]
    if nothing_handed_in(row):
        return kit.ASSIGNMENTS / ASSIGNMENTS[assignment].folder / "starter"
    make_shared = own.reference if row.whole else own.short_reference
    shared = study.kept(f"{assignment}-{make_shared.__name__}", make_shared)

    def make(folder: Path) -> None:
        module = OWN_CHANGES[assignment].__name__
        own.study_alone(shared, folder, seed, lambda made: changes.apply(made, row.before, module))

    first = hashlib.sha256(json.dumps([seed, row.before, row.whole]).encode()).hexdigest()[:6]
    return study.kept(f"{assignment}-{names.slug(name)}-{first}", make)


def nothing_handed_in(row: Row) -> bool:
    """Whether the member did nothing: no training is needed for that."""
    return bool({"empty", "starter"} & set(_names(row)))


def _names(row: Row) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in row.changes]


# --- Handing in ---------------------------------------------------------------------------------


def _hand_in(name: str, row: Row, work: Path, inbox: Path) -> None:
    """Into the inbox, in the form in which an LMS gives it out."""
    shown = row.name or name
    if row.form == "folder":
        shutil.copytree(work, inbox / shown)
    elif row.form == "nested":
        shutil.copytree(work, inbox / shown / "submission" / shown)
    elif row.form == "moodle":
        folder = inbox / f"{shown}_{_number(name)}_assignsubmission_file"
        folder.mkdir()
        _zip(work, folder / "submission.zip")
    elif row.form == "canvas":
        _zip(work, inbox / f"{shown}_LATE_{_number(name)}_5{_number(name)}_submission-1.zip")
    else:
        _zip(work, inbox / f"{shown}.zip")


def _number(name: str) -> int:
    """The LMS's number of a student."""
    return 1000 + sum(map(ord, name))


def _slug(name: str, row: Row) -> str:
    """The folder in GRADES, as the inbox names it (grading/inbox.py tells by the same names)."""
    shown = row.name or name
    if row.form in ("canvas", "moodle"):
        return names.slug(shown, str(_number(name)))
    return names.slug(shown)


def _zip(work: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file():
                # No time of its own: a class that is built again is the same, byte for byte.
                name = zipfile.ZipInfo(str(Path(work.name) / path.relative_to(work)))
                name.compress_type = zipfile.ZIP_DEFLATED
                name.external_attr = 0o644 << 16
                archive.writestr(name, path.read_bytes())


def main(given: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assignment", choices=STUDIES)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="members, or small or demo"
    )
    options = parser.parse_args(given)
    out = build(options.assignment, options.out, *options.only)
    print(f"Class: {out / 'inbox'}")
    print(f"Expected: {out / 'expected.yaml'}")


if __name__ == "__main__":
    with scripts.command_line():
        main()
