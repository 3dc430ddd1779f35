"""The inbox: what students handed in, as it came out of a mail folder, Canvas, Moodle or a release.

    for submission in find_submissions("inbox"):
        with opened(submission, "/tmp/work") as folder:     # an archive is unpacked, bounded
            ...

Each folder or archive in it is one submission. What the LMS put in front of a name (who, number,
late) is kept with it and taken off. Nothing is run, no link is followed.

| LMS | how it names things |
|---|---|
| Canvas | `doejane_LATE_1234_56789_submission-1.zip`: user 1234, file 56789, second try |
| Moodle | `Jane Doe_123456_assignsubmission_file/submission.zip`, or with `_` for the last `/` |
| Classroom 50 | `cs-week05-jane/` with the release's `result.json` in it (`gh teacher download`) |
"""

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from course_utils.assignments.checklist import RELEASE
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.folder import listed, show
from course_utils.errors import CourseError
from course_utils.grading import archives, names
from course_utils.grading.finding import say, wrong
from course_utils.grading.results import Lms, Owner
from course_utils.messages import Explained

# Both take `_` out of a person's name. Canvas counts the files of a whole installation, so a number
# below 100, or with a 0 in front, is a part of a date.
CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?:(?P<late>LATE)_)?(?P<user>[1-9][0-9]*)"
    r"_(?P<file>[1-9][0-9]{2,})_(?P<rest>.+)"
)
MOODLE = re.compile(
    r"(?P<name>[^_]+)_(?P<user>[0-9]+)_assignsubmission_(?P<kind>file|onlinetext)_?.*"
)
SCHEMA, LARGEST = "classroom50/result/v1", 10 * 1024 * 1024
# What a release's result.json says of the submission; score and tests are the grader's to say.
TEXTS = (
    *("classroom", "assignment", "owner", "submission", "commit", "release", "review"),
    "datetime",
)
LONGEST, LARGEST_NUMBER, MOST_FIELDS = 500, 10**15, 20  # of a text, of a number, of `submitted_by`
ASIDE = {"scores.csv", "grades.csv", ".course-kit.json", *archives.JUNK}
LEVELS = 3  # folders with nothing but one folder in them, above a submission
RETRY = re.compile(r"-(\d+)(?=(\.tar)?\.[^.]+$)")


@dataclass(frozen=True)
class Submission:
    """One entry of the inbox. `problem` says why it can't be opened; then it is `rejected`."""

    name: str
    slug: str
    path: Path
    lms: Lms = "folder"
    ids: dict[str, str] = field(default_factory=dict)
    late: bool | None = None
    release: dict[str, Any] = field(default_factory=dict)
    problem: Explained | None = None
    notes: tuple[str, ...] = ()

    def owner(self) -> Owner:
        """What of it goes into result.json."""
        plain = show(self.name, 200)
        return Owner(name=plain, lms=self.lms, ids=self.ids, late=self.late, release=self.release)


def find_submissions(inbox: Path | str) -> list[Submission]:
    """Every submission of an inbox, by name. Raises CourseError when there is none to look at."""
    inbox = Path(inbox).expanduser()
    if inbox.is_file() and archives.is_archive(inbox):
        raise CourseError(
            f"{inbox}: this is an archive",
            "of a whole class: unpack it and give the folder; of one submission: put it into a "
            "folder and give that",
        )
    if not inbox.is_dir():
        raise CourseError(f"{inbox}: there is no such folder", "give the folder of all submissions")
    entries = sorted(os.scandir(inbox), key=lambda entry: entry.name)
    entries = [e for e in entries if e.name not in ASIDE and not e.name.startswith(".")]
    canvas = _of_canvas(e.name for e in entries if not e.is_dir(follow_symlinks=False))
    found = _one_each(own for e in entries for own in _tries(_submission(e, e.name in canvas)))
    if not found:
        raise CourseError(
            f"{inbox}: there is no submission in it",
            "put each submission into it as a folder of its own, or as the archive that "
            "`course submit pack` made",
        )
    return sorted(found, key=lambda submission: submission.slug)


def looks_like_inbox(folder: Path) -> bool:
    """Whether a folder is no submission itself, but holds folders or archives."""
    if not folder.is_dir() or _is_submission(folder):
        return False
    return any(
        archives.is_archive(path) or (path.is_dir() and not path.name.startswith("."))
        for path in folder.iterdir()
    )


def _of_canvas(files: Iterable[str]) -> Set[str]:
    """The files' names that Canvas gave; in doubt none, so that each stays a row of its own.

    Canvas puts one name before a user's number and gives every file another number; where all
    files begin with the same word, it is no person's name.
    """
    found = [own for file in files if (own := CANVAS.fullmatch(file))]
    of_user, of_file = defaultdict(set), defaultdict(set)
    for own in found:
        of_user[own["user"]].add(own["name"])
        of_file[own["user"], own["file"]].add(_untried(own))
    several = len({(own["user"], _untried(own)) for own in found}) > 1
    if several and len({own["name"] for own in found}) == 1:
        return set()
    plain = {user for user, people in of_user.items() if len(people) > 1}
    plain |= {user for (user, _), rests in of_file.items() if len(rests) > 1}
    return {own[0] for own in found if own["user"] not in plain}


def _untried(found: re.Match[str]) -> str:
    """The student's own name of a file, without the number of the try."""
    return RETRY.sub("", found["rest"])


def _submission(entry: os.DirEntry, by_canvas: bool) -> Submission:
    path = Path(entry.path)
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        problem = wrong("inbox.name_not_utf8", name=show(entry.name, 80))
        return Submission(entry.name, names.slug(entry.name), path, problem=problem)
    base = _named(path, entry.is_dir(follow_symlinks=False), by_canvas)
    if entry.is_symlink():
        return replace(base, problem=wrong("inbox.link", name=show(entry.name, 80)))
    if entry.is_dir() or (entry.is_file() and archives.is_archive(path)):
        return base
    return replace(base, problem=_none(path))


def _none(path: Path) -> Explained:
    return wrong("inbox.no_submission", name=show(path.name, 80))


def _named(path: Path, is_folder: bool, by_canvas: bool) -> Submission:
    """Whose it is, by its name; a release's result.json says it where its repository does too."""
    if found := MOODLE.fullmatch(path.name):
        ids, slug = {"moodle": found["user"]}, names.slug(found["name"], found["user"])
        problem = None if found["kind"] == "file" else _none(path)
        return Submission(found["name"], slug, path, "moodle", ids, problem=problem)
    if by_canvas and (found := CANVAS.fullmatch(path.name)):
        ids = {"canvas": found["user"], "canvas_file": found["file"]}
        slug = names.slug(found["name"], found["user"])
        return Submission(found["name"], slug, path, "canvas", ids, bool(found["late"]))
    if is_folder and (release := read_release(path / RELEASE)):
        ids = {"owner": release["owner"], "repository": path.name}
        name = release["owner"] if path.name.lower() == repository_of(release) else path.name
        return Submission(name, names.slug(path.name), path, "classroom50", ids, release=release)
    plain = path.name if is_folder else _without_ending(path.name)
    return Submission(plain, names.slug(plain), path)


def _without_ending(name: str) -> str:
    ending = next((e for e in archives.ENDINGS if name.lower().endswith(e)), "")
    return name[: -len(ending)] if ending else name


def repository_of(release: Mapping[str, Any]) -> str:
    """The name that Classroom 50 gives a repository: what the owner may be is read from it."""
    return "-".join(release[name] for name in ("classroom", "assignment", "owner")).lower()


def read_release(path: Path) -> dict[str, Any]:
    """What a Classroom 50 release says of its submission; {} where there is none."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return {}
    told = {name: content.get(name) for name in TEXTS}
    kept = {name: own for name, own in told.items() if isinstance(own, str) and own and _fits(own)}
    if len(kept) < len(TEXTS):
        return {}
    if isinstance(kind := content.get("assignment_type"), str) and _fits(kind):
        kept["assignment_type"] = kind
    who = content.get("submitted_by")
    if isinstance(who, dict) and len(who) <= MOST_FIELDS and all(map(_fits, [*who, *who.values()])):
        kept["submitted_by"] = who
    return kept


def _fits(value: Any) -> bool:
    """A short text or a number: nothing else of a stranger's goes into result.json."""
    if isinstance(value, str):
        return len(value) <= LONGEST and value.isprintable()
    return value is None or (isinstance(value, int | float) and abs(value) < LARGEST_NUMBER)


def _tries(submission: Submission) -> list[Submission]:
    """The archives of a Moodle folder, each as Moodle's flat form has it; else the submission.

    Only there the folder's name says that all in it is one student's.
    """
    if submission.lms != "moodle" or submission.problem or not submission.path.is_dir():
        return [submission]
    try:
        inside = _inside(submission.path)
        packed = _archives(inside)
        several = len(packed) > 1 and not _folders(inside) and not _is_submission(submission.path)
    except OSError:  # whoever opens it says so
        several = False
    return [replace(submission, path=path) for path in packed] if several else [submission]


def _one_each(found: Iterable[Submission]) -> list[Submission]:
    """Several files of one student: the last try of its archives counts, and the rest is named."""
    groups: dict[str, list[Submission]] = {}
    for submission in found:
        groups.setdefault(submission.slug, []).append(submission)
    return [_chosen(own) for own in groups.values()]


def _chosen(own: list[Submission]) -> Submission:
    if len(own) == 1:
        return own[0]
    archived = [s for s in own if s.problem is None] or own
    last = max(archived, key=_order)
    others = ", ".join(show(s.path.name, 80) for s in own if s is not last)
    chosen = f"{show(last.path.name, 80)} ({others})"
    return replace(last, notes=(say("inbox.several", names=chosen).found,))


def _order(submission: Submission) -> tuple[int, int, str]:
    """Canvas numbers the tries in the name, and the files as they come."""
    retry = RETRY.search(submission.path.name)
    number = int(submission.ids.get("canvas_file", "0"))
    return (int(retry[1]) if retry else 0, number, submission.path.name)


# --- Opening ------------------------------------------------------------------------------------


@contextmanager
def opened(submission: Submission, work: Path | str) -> Iterator[Path]:
    """The folder that holds the submission's files; an archive's is removed again at the end.

    Raises Explained for what can't be opened, with its reason.
    """
    if submission.problem:
        raise submission.problem
    target = Path(work) / submission.slug
    try:
        yield _root(submission.path, target, LEVELS)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _root(path: Path, target: Path, levels: int) -> Path:
    """Past a folder or an archive that holds nothing but the next one."""
    if not path.is_dir():
        path = archives.unpack(path, target)
    if _is_submission(path):
        return path
    inside = _inside(path)
    if not inside:
        raise wrong("inbox.empty")
    packed, folders = _archives(inside), _folders(inside)
    if levels and len(packed) == 1 and not folders and not target.exists():  # one archive deep
        return _root(packed[0], target, levels - 1)
    if packed:
        raise wrong("inbox.unopened", names=listed(own.name for own in packed))
    return _root(folders[0], target, levels - 1) if levels and len(folders) == 1 else path


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder, without what systems and LMSs add."""
    found = [p for p in sorted(folder.iterdir()) if p.name not in ASIDE | {RELEASE, "results.json"}]
    return [path for path in found if not path.name.startswith(".")]


def _archives(paths: Iterable[Path]) -> list[Path]:
    found = [path for path in paths if archives.is_archive(path)]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _folders(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def _is_submission(folder: Path) -> bool:
    marks = [mark for assignment in ASSIGNMENTS.values() for mark in assignment.marks]
    return any(os.path.lexists(folder / mark) for mark in marks)
