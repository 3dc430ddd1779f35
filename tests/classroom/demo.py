"""Grades a small class, honest and cheating, and says where to look: `make grade-demo`.

python tests/classroom/demo.py runs/grade_demo

The class is built from week 5's reference solution on the nano model (the first time that takes a
minute more; what was trained is kept in runs/classroom).
"""

import argparse
import contextlib
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # as a script: tests/ is where the class is imported from
    sys.path.insert(0, str(Path(__file__).parents[1]))

from classroom import study
from classroom.build import build

from course_utils.assignments import scripts

FEEDBACK = "log_lowered"  # whose page shows most: points kept, points lost, figures that differ


def main(given: list[str] | None = None) -> int:
    """The command line; the exit status is that of `course grade`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a new folder, or the demo's own")
    out = parser.parse_args(given).out
    started = time.monotonic()
    log = study.KEPT / "demo.log"
    print(f"The students train first; what they see is in {log}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as told,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
    ):
        build("week05", out, "demo")
    print(f"a class of {len(list((out / 'inbox').iterdir()))} in {out / 'inbox'}", flush=True)
    command = [sys.executable, "-m", "course_utils", "grade", str(out / "inbox")]
    command += ["--assignment", "week05", "--out", str(out / "grades"), "--jobs", "2"]
    if status := subprocess.run(command).returncode:
        return status
    print(f"\nThe class was built and graded in {time.monotonic() - started:.0f} s.")
    for title, name in (
        ("Gradebook", "gradebook.csv"),
        ("Overview", "overview.html"),
        ("Feedback of one student", f"{FEEDBACK}/feedback.html"),
    ):
        print(f"{title}: {out / 'grades' / name}")
    return 0


if __name__ == "__main__":
    with scripts.command_line():
        sys.exit(main())
