"""What a student begins with: the starter, copied into a folder of one's own.

    start("parameter_lab", "my_lab")            # course assignment start parameter_lab my_lab
    recognise("my_lab")                         # "parameter_lab"

What the starter is made from: release.py. What an assignment is: definition.py.
"""

import shutil
from pathlib import Path

from course_utils import ownership
from course_utils.assignments import submitted
from course_utils.assignments.checklist import root_of
from course_utils.assignments.definition import find, there
from course_utils.assignments.folder import ASIDE
from course_utils.errors import CourseError


def start(name: str, folder: Path) -> Path:
    """Copy the starter of an assignment into a new folder; never over an existing one.

    Its submission.yaml says afterwards which kit and which starter it began with.
    """
    about = find(name)
    starter = about.path / "starter"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder}: already there", "choose a new folder, or empty this one")
    if not starter.is_dir():
        raise CourseError(f"{starter}: not there", "clone the kit again")
    # From now on it is the student's; what programs left beside it stays where it is.
    unmarked = shutil.ignore_patterns(ownership.MARK, ".DS_Store", *ASIDE)
    was_there = folder.exists()
    try:
        shutil.copytree(starter, folder, dirs_exist_ok=True, ignore=unmarked)
    except shutil.Error as error:  # half a starter would stand in the way of the next try
        _take_back(folder, was_there)
        raise CourseError(
            f"{folder}: the starter was not copied ({error.args[0][0][2]})",
            "free some disk space or choose another folder, then start again",
        ) from None
    for empty in about.empty:
        (folder / empty / ".gitkeep").unlink(missing_ok=True)
    submitted.stamp(folder, about)
    return folder


def _take_back(folder: Path, was_there: bool) -> None:
    """Remove what was copied into a folder that was empty, or not there at all."""
    for path in folder.iterdir() if was_there else [folder]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def recognise(folder: Path) -> str:
    """The id of the assignment that a submission's folder belongs to.

    Raises CourseError when there is no such folder, or when its files fit none or two of them.
    """
    root = root_of(folder)
    known = there()
    found = [n for n, a in known.items() if any((root / mark).exists() for mark in a.marks)]
    if len(found) == 1:
        return found[0]
    why = "files of several assignments" if found else "none of an assignment's files"
    names = " or ".join(f"--assignment {name}" for name in known)
    raise CourseError(f"{folder}: it holds {why}", f"say which it is: {names}")
