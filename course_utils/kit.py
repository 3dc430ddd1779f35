"""Where the kit itself lies, and which it is: its notebooks, assignments and data, its version."""

import contextlib
import json
import subprocess
from functools import cache
from pathlib import Path

from course_utils import __version__

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
ASSIGNMENTS = ROOT / "assignments"
DATA = ROOT / "data"
EDITION = ROOT / "edition.json"  # in a student edition: what it was made from


@cache
def revision() -> str:
    """The commit that this kit is of, as a student edition or git says; "" where neither does."""
    with contextlib.suppress(OSError, ValueError):
        return str(json.loads(EDITION.read_text(encoding="utf-8"))["revision"])
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%h"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if (ROOT / ".git").exists():  # not that of a folder around the kit
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            return done.stdout.strip()
    return ""


def version() -> str:
    """Version and revision in words, as "0.1.0 (revision 3f2a9c1)"."""
    return f"{__version__} (revision {revision()})" if revision() else __version__
