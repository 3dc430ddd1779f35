"""How far a long cell is: told by the kernel, read by whoever runs the notebook."""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

PROGRESS_FILE = "COURSE_PROGRESS_FILE"
PROGRESS_SECONDS = 0.2  # a training step may take a millisecond; a person reads slower

_last_report = 0.0


def report_progress(done: float, total: float, text: str = "") -> None:
    """Tell the runner how far a long cell is; does nothing when no runner listens.

    Never raises: a full disk must not stop a training run because of its progress bar.
    """
    global _last_report
    target = os.environ.get(PROGRESS_FILE)
    now = time.monotonic()
    if not target or (now - _last_report < PROGRESS_SECONDS and done < total):
        return
    _last_report = now
    temporary = f"{target}.{os.getpid()}"
    with contextlib.suppress(OSError, TypeError, ValueError):
        Path(temporary).write_text(
            json.dumps({"done": float(done), "total": float(total), "text": str(text)}),
            encoding="utf-8",
        )
        os.replace(temporary, target)


def read_progress(path: Path) -> dict[str, Any]:
    """What the kernel last reported, or {}; the file is the notebook's, so nothing is trusted."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        total = float(found["total"])
        done = min(max(float(found["done"]), 0.0), total)
        text = " ".join(str(found.get("text", "")).split())[:60]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {"done": done, "total": total, "text": text} if total > 0 else {}
