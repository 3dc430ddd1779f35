"""What an output folder remembers of its runs, and the lock that keeps a second run out."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.files import write_json_atomic

LOCK_SECONDS = 15  # more than a worker needs to end after its parent was killed


def read_state(folder: Path) -> dict[str, dict[str, Any]]:
    """name -> {fingerprint, seconds, started, finished}; a missing or broken file is no state."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(state, dict):
        return {}
    return {n: e for n, e in state.items() if isinstance(e, dict) and "fingerprint" in e}


def remember(folder: Path, name: str, entry: dict[str, Any] | None) -> None:
    """Write (or, with None, forget) a notebook's entry in state.json."""
    state = read_state(folder)
    state.pop(name, None)
    if entry:
        state[name] = entry
    write_json_atomic(folder / "state.json", state)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[list[int]]:
    """Hold the output folder for this run; yields the file number that the child inherits.

    After `kill -9` the old child still holds the lock while it ends itself, so a resumed run waits.
    Raises CourseError when another run keeps it. Some network drives can't lock: then nothing.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield []
        return
    with (folder / ".lock").open("w", encoding="utf-8") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{folder}: another run is writing into this folder"
                    cure = "wait for it, end it, or choose another output folder"
                    raise CourseError(message, cure) from None
                time.sleep(0.1)
            except OSError:
                break
        yield [lock.fileno()]
