"""The whole classes, built, graded one submission at a time, compared and measured: one command.

python tests/classroom/whole.py                               # both classes, in runs/classes
python tests/classroom/whole.py week05 --out runs/classes     # one of them
python tests/classroom/whole.py week09_10 --only small        # a part of it, in a folder of its own

Cut it off whenever you like, by Ctrl-C or `kill`: the same command goes on where it was. What is
trained is kept in runs/classroom, what is graded in OUT. The table stands in OUT/ASSIGNMENT.md too.
The exit status is 1 where a member's points, verdict or findings are not the expected ones.
"""

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":  # as a script: tests/ is where the class is imported from
    sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from classroom import build, study
from classroom.compare import HEAD, Compared, compared

from course_utils import kit
from course_utils.assignments import scripts
from course_utils.execution.sandbox.usage import proportional
from course_utils.files import write_text_atomic

HERE = Path(__file__).parent
DONE_TO_IT = ("build.py", "changes*.py", "expectations.py", "*.yaml")
LOOK = 5.0  # seconds between two looks at the memory: each walks through all pages
GIB = 2**30


def built(assignment: str, folder: Path, only: list[str]) -> Path:
    """The class in `folder`, as it lies there where it was built whole from these sources."""
    mark = folder / "built.json"
    if _read(mark).get("sources") != _sources():
        build.build(assignment, folder, *only)
        write_text_atomic(mark, json.dumps({"sources": _sources()}))
    return folder


def _sources() -> str:
    """What a class depends on: what honest work does, and what is done to it."""
    digest = hashlib.sha256(study.digest_of_sources().encode())
    for pattern in DONE_TO_IT:
        for path in sorted(HERE.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def graded(assignment: str, folder: Path, grades: Path, jobs: int) -> int:
    """Grade on, from where it was. Returns the exit status of `course grade`."""
    command = [sys.executable, "-m", "course_utils", "grade", str(folder / "inbox")]
    command += ["--assignment", assignment, "--out", str(grades), "--resume", "--jobs", str(jobs)]
    environment = {"COURSE_THREADS": "1", "OMP_NUM_THREADS": "1"} | os.environ
    with subprocess.Popen(command, env=environment) as batch, Measured(batch.pid, grades):
        return batch.wait()


class Measured:
    """The most memory that a batch with all its processes held, and its seconds.

    Kept beside the grades over all runs of this script: after an interruption they go on.
    """

    def __init__(self, pid: int, grades: Path) -> None:
        self.path = grades.with_name(f"{grades.name}.measured.json")
        before = _read(self.path)
        self.peak, self.before = before.get("peak", 0), before.get("seconds", 0.0)
        self.process, self.ended = psutil.Process(pid), threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.started = time.monotonic()
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        self._write()

    def _watch(self) -> None:
        while not self.ended.wait(LOOK):
            with contextlib.suppress(psutil.Error):
                running = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, proportional(running))
            self._write()

    def _write(self) -> None:
        seconds = self.before + time.monotonic() - self.started
        write_text_atomic(self.path, json.dumps({"peak": self.peak, "seconds": seconds}))


def _read(path: Path) -> dict:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text("utf-8"))
    return {}


def report(found: list[Compared], grades: Path) -> str:
    """The table, and what the batch needed."""
    lines = [HEAD, *(own.row() for own in found), ""]
    seconds = [own.result.seconds for own in found if own.result]
    agreeing = sum(not own.problems for own in found)
    lines.append(f"{agreeing} of {len(found)} as expected")
    if seconds:
        spread = f"median {statistics.median(seconds):.0f}, most {max(seconds):.0f}"
        lines.append(f"seconds a submission: mean {statistics.mean(seconds):.0f}, {spread}")
    measured = _read(grades.with_name(f"{grades.name}.measured.json"))
    if measured:
        text = f"{measured['seconds']:.0f} s; most memory {measured['peak'] / GIB:.2f} GiB"
        lines.append(f"the batch: {text} (PSS of all its processes)")
    return "\n".join(lines)


def main(given: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assignment", nargs="*", help=f"{', '.join(build.STUDIES)}; default: both")
    parser.add_argument("--out", type=Path, default=kit.ROOT / "runs" / "classes")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="members, or small")
    parser.add_argument("--jobs", type=int, default=1, help="submissions at a time")
    options = parser.parse_args(given)
    chosen = options.assignment or list(build.STUDIES)
    if unknown := set(chosen) - set(build.STUDIES):
        parser.error(f"no such class: {', '.join(sorted(unknown))}")
    differing = 0
    for assignment in chosen:
        name = "-".join([assignment, *sorted(options.only)])
        folder = built(assignment, options.out / name, options.only)
        grades = options.out / f"{name}.grades"
        if status := graded(assignment, folder, grades, options.jobs):
            print("stopped; the same command goes on", file=sys.stderr)
            return status
        found = compared(folder / "expected.yaml", grades)
        text = report(found, grades)
        write_text_atomic(options.out / f"{name}.md", f"# {name}\n\n{text}\n")
        print(f"\n{name}\n\n{text}\n", flush=True)
        differing += sum(bool(own.problems) for own in found)
    return int(differing > 0)


if __name__ == "__main__":
    with scripts.command_line():
        sys.exit(main())
