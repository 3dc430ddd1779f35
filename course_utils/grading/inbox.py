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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from course_utils.assignments.checklist import RELEASE
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.folder import show
from course_utils.errors import CourseError
from course_utils.grading import archives, names
from course_utils.grading.finding import say, wrong
from course_utils.grading.results import Lms, Owner
from course_utils.messages import Explained

CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?:(?P<late>LATE)_)?(?P<user>\d+)"
    r"_(?P<file>\d+)_(?P<rest>.+)"
)
MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_(?P<kind>file|onlinetext)_?.*")
SCHEMA, LARGEST = "classroom50/result/v1", 10 * 1024 * 1024
# What a release's result.json says of the submission; score and tests are the grader's to say.
KEPT = (
    *("classroom", "assignment", "assignment_type", "owner", "submission", "commit", "release"),
    *("review", "datetime", "submitted_by"),
)
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
    found = _one_each([_submission(entry) for entry in entries])
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


def _submission(entry: os.DirEntry) -> Submission:
    path = Path(entry.path)
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        problem = wrong("inbox.name_not_utf8", name=show(entry.name, 80))
        return Submission(entry.name, names.slug(entry.name), path, problem=problem)
    base = _named(path, entry.is_dir(follow_symlinks=False))
    if entry.is_symlink():
        return replace(base, problem=wrong("inbox.link", name=show(entry.name, 80)))
    if entry.is_dir() or archives.is_archive(path):
        return base
    return replace(base, problem=_none(path))


def _none(path: Path) -> Explained:
    return wrong("inbox.no_submission", name=show(path.name, 80))


def _named(path: Path, is_folder: bool) -> Submission:
    """Whose it is, by its name and, in a release, by its result.json."""
    if found := MOODLE.fullmatch(path.name):
        ids, slug = {"moodle": found["user"]}, names.slug(found["name"], found["user"])
        problem = None if found["kind"] == "file" else _none(path)
        return Submission(found["name"], slug, path, "moodle", ids, problem=problem)
    if not is_folder and (found := CANVAS.fullmatch(path.name)):
        ids = {"canvas": found["user"], "canvas_file": found["file"]}
        slug = names.slug(found["name"], found["user"])
        return Submission(found["name"], slug, path, "canvas", ids, bool(found["late"]))
    if is_folder and (release := read_release(path / RELEASE)):
        ids = {"owner": str(release["owner"]), "repository": path.name}
        return Submission(
            str(release["owner"]), names.slug(path.name), path, "classroom50", ids, release=release
        )
    plain = path.name if is_folder else _without_ending(path.name)
    return Submission(plain, names.slug(plain), path)


def _without_ending(name: str) -> str:
    ending = next((e for e in archives.ENDINGS if name.lower().endswith(e)), "")
    return name[: -len(ending)] if ending else name


def read_release(path: Path) -> dict[str, Any]:
    """What a Classroom 50 release says of its submission; {} where there is none."""
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return {}
    texts = [name for name in KEPT if name not in ("submitted_by", "assignment_type")]
    if not all(isinstance(content.get(name), str) and content[name] for name in texts):
        return {}
    return {name: content[name] for name in KEPT if name in content}


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
    if _is_submission(path) or not levels:
        return path
    inside = [p for p in sorted(path.iterdir()) if p.name not in ASIDE | {RELEASE, "results.json"}]
    inside = [p for p in inside if not p.name.startswith(".")]
    packed = [p for p in inside if archives.is_archive(p) and p.is_file() and not p.is_symlink()]
    folders = [p for p in inside if p.is_dir() and not p.is_symlink()]
    if not inside:
        raise wrong("inbox.empty")
    if len(packed) == 1 and not folders and not target.exists():  # one archive deep, no more
        return _root(packed[0], target, levels - 1)
    if len(folders) == 1 and not packed:
        return _root(folders[0], target, levels - 1)
    return path


def _is_submission(folder: Path) -> bool:
    marks = [mark for assignment in ASSIGNMENTS.values() for mark in assignment.marks]
    return any(os.path.lexists(folder / mark) for mark in marks)
