"""A class graded in a process of its own, as an instructor does it."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from course_utils.grading import gradebook, publishing, secret

ENVIRONMENT = {"COURSE_THREADS": "1"}
TIMES = "seconds"  # the column of the gradebook that no two runs share


def command(inbox: Path, assignment: str, grades: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "course_utils", "grade", str(inbox)]
    return [*base, "--assignment", assignment, "--out", str(grades), *more]


def grade(inbox: Path, assignment: str, grades: Path, *more: str) -> str:
    """What it printed; fails where it did not end well."""
    done = subprocess.run(
        command(inbox, assignment, grades, *more),
        capture_output=True,
        text=True,
        env=os.environ | ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def beside(grades: Path, folder: Path, assignment: str) -> Path:
    """A new folder of grades with the secret of another: the same draws, nothing known yet."""
    publishing.claim(folder, assignment)
    shutil.copy2(grades / secret.NAME, folder / secret.NAME)
    return folder


def book(grades: Path) -> bytes:
    """The gradebook, byte for byte, but for its times."""
    content = (grades / gradebook.FILE).read_bytes()
    text = content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert _as_written(rows) == text, "else two files that differ could be read as one"
    at = rows[0].index(TIMES)
    bare = _as_written([row[:at] + row[at + 1 :] for row in rows])
    return content[: len(content) - len(text.encode())] + bare.encode()


def _as_written(rows: list[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()
