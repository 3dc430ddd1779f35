"""`course` with quick checks in place of those that need a model: for tests of the batch itself.

python quick_checks.py grade inbox --assignment week05 --out grades

Points follow from the submission's files alone. A file says what else happens to its check:
`boom` (an error of the grader's own), `wait` (a second), `ungradable`, `sandboxed` (a process),
`dies` and `dies_once` (the process that judges is killed).
"""

import hashlib
import os
import signal
import sys
import time

from course_utils.assignments.definition import ASSIGNMENTS, find
from course_utils.assignments.rubric import load_rubric
from course_utils.commands import main
from course_utils.errors import CourseError
from course_utils.execution.sandbox.limits import MIB, Limits
from course_utils.grading import workshop
from course_utils.grading.judging import registry
from course_utils.grading.judging.judgement import earned
from course_utils.grading.probing.evidence import NotGradable
from course_utils.grading.results import Evidence

SMALL = Limits(wall=30, memory=300 * MIB, processes=64, disk=20 * MIB)


def score(case):
    """A share of the points that only the files decide, kept in the batch's cache."""
    if case.item.id == case.rubric.of_kind("automatic")[0].id:
        happen(case)
    content = [[name, case.folder.bytes_of(name).hex()] for name in sorted(case.folder.files)]
    found = case.shared.get(["quick", case.item.id, content], lambda: _share(content))
    return earned(case, found, Evidence(label="share", found=f"{found:g}"))


def _share(content):
    with open("computed.log", "a") as file:
        file.write("computed\n")
    return hashlib.sha256(str(content).encode()).digest()[0] / 255


def happen(case):
    files = case.folder.files
    if "wait" in files:
        time.sleep(1)
    if "wrong" in files:
        raise CourseError("records.jsonl: line 3 is no JSON", "write it again")
    if "ungradable" in files:
        raise NotGradable("base model x/y is not on this machine", "course model get x/y")
    if "dies" in files:
        os.kill(os.getpid(), signal.SIGKILL)
    if "dies_once" in files and not os.path.exists("died_once"):
        open("died_once", "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if "boom" in files:
        raise TypeError("a fault of the grader")
    if "sandboxed" in files:
        outcome, found = case.box.call("json:dumps", [1], case.box.place(), SMALL)
        assert found == "[1]", outcome


def install():
    registry.check_modules()
    workshop.hidden_records = lambda *_: None  # seconds that no test here is about
    for name in ASSIGNMENTS:
        rubric = load_rubric(find(name).path / "rubric.yaml")
        checks = {item.check: score for item in rubric.of_kind("automatic")}
        registry.CHECKS[rubric.assignment] = checks
        registry.NEEDS[rubric.assignment] = {}


if __name__ == "__main__":
    install()
    workshop.LEAST_SPACE = int(os.environ.get("LEAST_SPACE", workshop.LEAST_SPACE))
    sys.argv[0] = "course"
    main.main()
