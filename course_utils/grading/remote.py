"""One submission, judged by a worker of a cluster: JSON in, JSON out.

    graded = judged_there(submission, shop, cluster)     # sends a request, takes the answer
    answer = judge_one(request)                          # what the worker is asked to call

Batch and workers share a file system: the kit, the inbox and the folder of grades have the same
paths everywhere. Where a submission is unpacked and run is the worker's own disk.
"""

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_utils.assignments.rubric import Rubric
from course_utils.digests import digest
from course_utils.errors import CourseError
from course_utils.execution.sandbox.levels import choose_level
from course_utils.execution.sandbox.limits import Limits
from course_utils.files import write_text_atomic
from course_utils.grading.cache import BatchStopped, grader_fingerprint
from course_utils.grading.cluster import Cluster
from course_utils.grading.inbox import Submission
from course_utils.grading.results import Owner, Result
from course_utils.grading.single import EXECUTED, Graded, grade_one, without
from course_utils.grading.workshop import Plan, Workshop

STARTS = "starts"  # in the batch's folder for what runs now: who began which submission
TRIES = 2  # starts of one submission: the second after its worker died
MOST_LOG, MOST_EXECUTED = 20_000, 50_000_000  # lines, bytes that travel back

_open: dict[str, Workshop] = {}  # of this process, by its plan
_guard = threading.Lock()


# --- At the batch -------------------------------------------------------------------------------


def request_of(submission: Submission, shop: Workshop, starts: Path) -> dict[str, Any]:
    """What a worker has to know. `starts`: a folder in which it notes that it began."""
    plan = shop.plan
    return {
        "kit": grader_fingerprint(),
        "setting": shop.setting,
        "starts": str(starts.resolve()),
        "submission": {
            "name": submission.name,
            "slug": submission.slug,
            "path": str(submission.path.resolve()),
            "owner": submission.owner().model_dump(mode="json"),
            "notes": list(submission.notes),
        },
        "plan": {
            "grades": str(plan.grades.resolve()),
            "assignment": plan.assignment,
            "rubric": plan.rubric.model_dump(mode="json"),
            "level": plan.level,
            "warm": plan.warm,
            "limits": plan.limits.as_json(),
        },
    }


def judged_there(submission: Submission, shop: Workshop, cluster: Cluster) -> Graded:
    """Have a worker judge one. Raises BatchStopped for what concerns every submission."""
    starts = shop.work / STARTS / submission.slug
    answer = cluster.submit(judge_one, request_of(submission, shop, starts)).result()
    return graded_from(answer, submission, shop)


def graded_from(answer: dict[str, Any], submission: Submission, shop: Workshop) -> Graded:
    """What a worker found. Raises BatchStopped for what concerns every submission."""
    if stopped := answer.get("stopped"):
        raise BatchStopped(*map(str, stopped))
    if died := answer.get("died"):
        return died_twice(died, submission, shop)
    result = Result.model_validate(answer["result"], strict=False)
    executed = None
    if answer.get("executed"):
        executed = shop.work / f"{submission.slug}.out" / EXECUTED
        write_text_atomic(executed, answer["executed"])
    return Graded(result, list(answer["log"]), executed)


def died_twice(places: list[str], submission: Submission, shop: Workshop) -> Graded:
    """The verdict of a submission whose worker died at each try: nothing of it is judged.

    The student reads the verdict; which machines they were stands in the log.
    """
    reason = f"its worker of the cluster died {len(places)} times"
    graded = without(submission, shop, "failed", reason)
    graded.log += [f"a worker died: {place}" for place in places]
    return graded


# --- On the worker ------------------------------------------------------------------------------


def judge_one(request: dict[str, Any]) -> dict[str, Any]:
    """{"result", "log", "executed"}, or {"died": places}, or {"stopped": [message, cure]}."""
    try:
        if request["kit"] != grader_fingerprint():
            raise CourseError(
                f"{socket.gethostname()}: the kit there is another one than the batch's",
                "start the workers from the kit's folder that `course grade` runs from",
            )
        if died := note_start(Path(request["starts"])):
            return {"died": died}
        shop = _workshop(request["plan"], request["setting"])
        graded = grade_one(_submission(request["submission"]), shop)
    except CourseError as problem:  # BatchStopped too: both concern every submission
        return {"stopped": [problem.message, problem.cure]}
    try:
        return _answer(graded)
    finally:
        slug = request["submission"]["slug"]
        shutil.rmtree(shop.work / f"{slug}.out", ignore_errors=True)


def note_start(folder: Path) -> list[str]:
    """Note this start of a submission. Where it began TRIES times before: who began, and no note.

    A file for each start, made by its worker: so a worker that died while others' submissions
    waited for it takes no try from them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = sorted(folder.iterdir())
    if len(before) >= TRIES:
        return [path.read_text(encoding="utf-8").strip() for path in before]
    place = f"{socket.gethostname()}, process {os.getpid()}"
    (folder / f"{len(before) + 1}").write_text(place + "\n", encoding="utf-8")
    return []


def _workshop(plan: dict[str, Any], setting: str) -> Workshop:
    """The one of this process, opened for the first submission of a batch.

    A later batch may have other hidden records or thresholds: what was open for the same grades is
    closed. Raises CourseError where this process would judge otherwise than the batch.
    """
    key = digest([plan, setting])
    with _guard:
        if key not in _open:
            same = [k for k, shop in _open.items() if shop.plan.grades == Path(plan["grades"])]
            for old in map(_open.pop, same):
                _close(old, old.work.parent)
            work = Path(tempfile.mkdtemp(prefix="course-grade-"))
            own = Plan(
                grades=Path(plan["grades"]),
                assignment=plan["assignment"],
                rubric=Rubric.model_validate(plan["rubric"]),
                level=choose_level(plan["level"]).level,
                warm=plan["warm"],
                limits=Limits(**plan["limits"]),
                work=work / "work",
            )
            shop = Workshop(own)
            shop.__enter__()
            atexit.register(_close, shop, work)
            if shop.setting != setting:
                _close(shop, work)
                raise CourseError(
                    f"{socket.gethostname()}: it would judge by other thresholds, versions or "
                    f"hidden records than the batch",
                    "end the workers and start them anew: they keep what they read at their start",
                )
            _open[key] = shop
        return _open[key]


def _close(shop: Workshop, work: Path) -> None:
    with contextlib.suppress(Exception):
        shop.__exit__(None, None, None)
    shutil.rmtree(work, ignore_errors=True)


def _submission(told: dict[str, Any]) -> Submission:
    owner = Owner.model_validate(told["owner"])
    found = Submission(
        told["name"], told["slug"], Path(told["path"]), owner.lms, owner.ids, owner.late,
        owner.release,
    )  # fmt: skip
    return replace(found, notes=tuple(told["notes"]))


def _answer(graded: Graded) -> dict[str, Any]:
    executed = graded.executed
    small = executed and executed.is_file() and executed.stat().st_size <= MOST_EXECUTED
    return {
        "result": graded.result.model_dump(mode="json"),
        "log": graded.log[:MOST_LOG],
        "executed": executed.read_text(encoding="utf-8", errors="replace") if small else None,
    }
