"""The student edition: the kit without solutions, tests and history, searched before it is written.

    export("student_edition")        # course assignment export student_edition

edition.yaml lists what goes into it and what is left out. Links to what is left out become plain
text, the README says what this is, and edition.json says which kit it was made from.
"""

import posixpath
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from course_utils import __version__, kit, ownership
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.regions import Problem, source_lines
from course_utils.assignments.release import search, solution_lines, telling
from course_utils.errors import CourseError
from course_utils.files import atomic_path, write_json_atomic
from course_utils.handwritten import read_as

LIST = Path(__file__).with_name("edition.yaml")
OF = "student edition"  # in the folder's mark
# Letters and digits from which on a line is looked for in the whole kit: of a region; of a file
# that is kept back whole, most of which is like any other script.
TELLING, TELLING_OF_A_FILE = 20, 40
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
NOTE = """\
> **Student edition** of the Fine-Tuning Course Kit {version}: everything
> that your commands need, without reference solutions, tests and history. `make setup` installs it;
> the hand-outs are in `assignments/`.
"""


class Contents(BaseModel):
    """edition.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    takes: tuple[str, ...]
    leaves_out: tuple[str, ...]
    targets: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


@dataclass
class Edition:
    """What was written, what stayed out on purpose, and what stayed out since nobody listed it."""

    folder: Path
    files: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


@cache
def contents() -> Contents:
    """The list of what an edition holds. Raises CourseError that names the place."""
    return read_as(Contents, LIST, "course_utils/assignments/edition.py says what it holds")


def export(folder: Path) -> Edition:
    """Write the student edition into a new folder, or again into one that this made.

    Raises CourseError with a list when a line of a solution stands in what would be written, when
    the folder is somebody else's, or when git cannot say what belongs to the kit.
    """
    _check_target(folder)
    made = _chosen(folder, tracked())
    kept = _with_folders(made.files)
    texts = {name: _text(name, kept) for name in made.files}
    _refuse(leaks({name: text for name, text in texts.items() if text is not None}))
    ownership.claim(folder, of=OF)
    ownership.forget_files(folder, keep=made.files)
    for name, text in texts.items():
        raw = (kit.ROOT / name).read_bytes() if text is None else text.encode("utf-8")
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(raw)
    about = {"edition": "student", "kit": __version__, "revision": kit.revision() + _changes()}
    write_json_atomic(folder / kit.EDITION.name, about)
    ownership.note_files(folder, [*made.files, kit.EDITION.name])
    return made


def _check_target(folder: Path) -> None:
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not empty and ownership.owner_of(folder) != OF:
        raise CourseError(
            f"{folder}: is there already, and is no student edition that this kit made; nothing "
            "was touched",
            "name a new folder",
        )
    if folder.resolve().is_relative_to(kit.ROOT / "course_utils"):
        raise CourseError(f"{folder}: lies in the package itself", "name a folder elsewhere")


def _git(*words: str) -> str:
    command = ["git", "-C", str(kit.ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        raise CourseError(
            f"{kit.ROOT}: git does not say which files belong to the kit",
            "export from a clone of the kit (git clone), with git installed",
        ) from None
    return done.stdout


def tracked() -> list[str]:
    """The files of the kit that git tracks: nothing that a class or a run left beside them."""
    if not (kit.ROOT / ".git").exists():  # git would answer for a folder around it
        raise CourseError(
            f"{kit.ROOT}: is no clone, so nobody says which files belong to the kit",
            "export from a clone of the kit (git clone)",
        )
    names = _git("ls-files", "-z").split("\0")
    return sorted(name for name in names if name and (kit.ROOT / name).is_file())


def _changes() -> str:
    """What the revision is followed by when tracked files were changed since."""
    return " with changes" if _git("status", "--porcelain", "--untracked-files=no").strip() else ""


def _chosen(folder: Path, names: Iterable[str]) -> Edition:
    lists, made = contents(), Edition(folder)
    for name in names:
        out = next((own for own in lists.leaves_out if _below(name, own)), None)
        top = name.partition("/")[0]
        if out:
            made.left_out += [out] if out not in made.left_out else []
        elif top in lists.takes:
            made.files.append(name)
        else:
            made.unlisted += [top] if top not in made.unlisted else []
    return made


def _below(name: str, pattern: str) -> bool:
    """Whether a file is what a pattern names, or lies in it."""
    path = PurePosixPath(name)
    return any(fnmatch(own.as_posix(), pattern) for own in (path, *path.parents))


# --- Texts of the edition -----------------------------------------------------------------------


def _with_folders(files: Iterable[str]) -> set[str]:
    """The files and the folders that they lie in: where a link of the edition may lead."""
    folders = {parent for file in files for parent in PurePosixPath(file).parents}
    return {*files, *(folder.as_posix() for folder in folders)}


def _text(name: str, kept: set[str]) -> str | None:
    """A file's text as the edition has it; None for what is no text."""
    try:
        text = (kit.ROOT / name).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not name.endswith(".md"):
        return text
    text = _without_targets(_without_links(text, name, kept))
    if name == "README.md":
        title, _, rest = text.partition("\n")
        return f"{title}\n\n{NOTE.format(version=kit.version())}{rest}"
    return text


def _without_links(text: str, name: str, kept: set[str]) -> str:
    """Links to what the edition leaves out become their own words; pictures of it go."""

    def plain(found: re.Match) -> str:
        target = found[2].partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if path in kept:
            return found[0]
        return "" if found[0].startswith("!") else found[1]

    return LINK.sub(plain, text)


def _without_targets(text: str) -> str:
    """Without the lines that call a target of make which the edition has no files for."""
    calls = re.compile(rf"make ({'|'.join(contents().targets)})\b")
    return "".join(line for line in text.splitlines(True) if not calls.match(line))


# --- Nothing of a solution ----------------------------------------------------------------------


def hidden_lines() -> dict[str, str]:
    """Every line that no student gets -> where it stands: regions, and files that are kept back."""
    lines: dict[str, str] = {}
    whole = _all_lines(sorted((kit.NOTEBOOKS / "solutions").rglob("*")))
    for about in ASSIGNMENTS.values():
        solution = about.path / "solution"
        if solution.is_dir():
            lines |= solution_lines(solution, about.solution)
            whole |= _all_lines(solution / name for name in about.solution.kept_back)
    given = _all_lines(kit.NOTEBOOKS.glob("*.ipynb"))  # solved notebooks repeat what is given
    found = {line: whole[line] for line in telling(whole, TELLING_OF_A_FILE) if line not in given}
    return found | {line: lines[line] for line in telling(lines, TELLING)}


def _all_lines(paths: Iterable[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        if not path.is_file() or path.name == "submission.yaml":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found |= {line.strip(): f"{path}, {where}" for where, line in source_lines(path.name, text)}
    return found


def leaks(texts: Mapping[str, str]) -> list[Problem]:
    """Where a solution's line or marker stands in these files."""
    shown = set(contents().shown)
    lines = {line: where for line, where in hidden_lines().items() if line not in shown}
    return list(search(texts, lines))


def _refuse(problems: list[Problem]) -> None:
    if problems:
        told = "".join(f"\n    {problem}" for problem in problems)
        count = "one place" if len(problems) == 1 else f"{len(problems)} places"
        raise CourseError(
            f"a solution stands in {count} of the edition, so nothing was written:{told}",
            f"mend what is listed; a line that the course shows on purpose goes under `shown` in "
            f"{LIST.relative_to(kit.ROOT)}",
        )
