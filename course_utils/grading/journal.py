"""GRADES/journal.jsonl: what a batch did, line by line, so that nothing is lost however it ends.

    with Journal(grades) as journal:
        journal.write("done", submission="jane-doe", key=key, verdict="graded")
    done_before(grades)                     # submission -> key of what was finished last

One process writes, and holds the folder of grades while it does. Each line is on the disk before
the next submission begins; a line that a power cut tore is passed over by whoever reads.
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course_utils import ownership
from course_utils.files import FULL
from course_utils.grading.cache import BatchStopped

FILE = "journal.jsonl"


class Journal:
    """The one writer; entered, it holds the folder. Raises CourseError where another one does."""

    def __init__(self, grades: Path) -> None:
        self.grades, self.path = grades, grades / FILE
        self.guard = threading.Lock()

    def __enter__(self) -> "Journal":
        ownership.lock(
            self.grades,
            "another `course grade` is at work on it",
            "wait for its end, or grade into another folder with --out",
        )
        self.file = self.path.open("ab")
        if self.file.tell() and self.path.read_bytes()[-1:] != b"\n":
            self._append(b"\n")  # the last line was torn: it stays alone
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        ownership.unlock(self.grades)

    def write(self, event: str, **facts: Any) -> None:
        """Append a line and see it to the disk. Raises BatchStopped when that is full."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **facts}
        with self.guard:
            self._append(json.dumps(line).encode("ascii") + b"\n")

    def _append(self, line: bytes) -> None:
        try:
            self.file.write(line)
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise BatchStopped.no_space(self.path) from None


def read_journal(grades: Path) -> list[dict[str, Any]]:
    """All whole lines, oldest first; [] where there is no journal."""
    try:
        lines = (Path(grades) / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            found.append(content)
    return found


def done_before(grades: Path) -> dict[str, str]:
    """Submission -> the key under which it was finished last; one begun since is not finished."""
    done: dict[str, str] = {}
    for line in read_journal(grades):
        name = str(line.get("submission", ""))
        if line.get("event") == "done":
            done[name] = str(line.get("key", ""))
        elif line.get("event") == "begun":
            done.pop(name, None)
    return done
