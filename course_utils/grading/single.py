"""One submission from its archive to its result; whatever happens, there is a verdict.

graded = grade_one(submission, shop, tell)
graded.result.verdict     # "graded", "time limit in cell 7 (...)", "rejected: ...", ...
"""

import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils import __version__
from course_utils.assignments.checkers import checker_of
from course_utils.assignments.folder import listed, scan, show
from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.execution.jobs import NotebookResult
from course_utils.execution.sandbox.box import Outcome
from course_utils.files import FULL, atomic_path, told, write_text_atomic
from course_utils.grading.archives import is_archive
from course_utils.grading.cache import BatchStopped
from course_utils.grading.finding import wrong
from course_utils.grading.inbox import Submission, opened
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.curves import figures_of
from course_utils.grading.judging.judge import Judged, in_words, judge, unjudged
from course_utils.grading.judging.keeping import content_of
from course_utils.grading.judging.prints import prints_of
from course_utils.grading.judging.standing import standing_of
from course_utils.grading.probing.evidence import ModelEvidence
from course_utils.grading.results import Result, Status, rubric_fingerprint, write_result
from course_utils.grading.slots import gpu_slot
from course_utils.grading.workshop import Workshop
from course_utils.hardware import GIB
from course_utils.messages import Explained

EXECUTED, LOG = "executed.ipynb", "log.txt"
TOO_LONG = ("wall", "cell", "cpu")
BROKEN = ("memory", "disk", "output", "files", "processes", "message", "died", "protocol")
Tell = Callable[[str], None]


@dataclass
class Graded:
    """A result and what is kept beside it."""

    result: Result
    log: list[str] = field(default_factory=list)
    executed: Path | None = None


def grade_one(submission: Submission, shop: Workshop, tell: Tell = lambda item: None) -> Graded:
    """Open, judge and name the verdict. Raises BatchStopped for a full disk, and nothing else."""
    shop.check_space()
    try:
        tell("waits for the GPU" if shop.box.devices else "opening")
        with gpu_slot(shop.box.devices):
            started = time.monotonic()  # how long others had the GPU is nobody's own time
            with opened(submission, shop.work) as root:
                graded = _judged(submission, root, shop, tell, started)
    except BatchStopped:
        raise
    except Explained as problem:
        graded = without(submission, shop, "rejected", f"rejected: {in_words(problem)}")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise BatchStopped.no_space(Path(error.filename or shop.work)) from None
        reason = f"the grader itself failed here: {type(error).__name__}"
        graded = without(submission, shop, "failed", reason)
        graded.log += traceback.format_exception(error)
    shop.check_space()
    return graded


def keep(graded: Graded, grades: Path) -> None:
    """Write result.json, the log and the executed notebook into the submission's own folder."""
    folder = grades / graded.result.submission
    kept = folder / EXECUTED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if graded.executed and graded.executed.is_file():
            with atomic_path(kept) as temporary:
                shutil.copyfile(graded.executed, temporary)
        else:
            kept.unlink(missing_ok=True)
        write_text_atomic(folder / LOG, "\n".join(line.rstrip() for line in graded.log) + "\n")
        write_result(grades, graded.result)
    except OSError as error:
        if error.errno in FULL:
            raise BatchStopped.no_space(Path(error.filename or folder)) from None
        raise told(error) or error from None
    except CourseError as error:
        raise BatchStopped(error.message, error.cure) from None


def key_of(submission: Submission, setting: str) -> str:
    """What a result depends on: another key means that the submission is graded again."""
    path, parts = submission.path, [setting, submission.owner().model_dump(mode="json")]
    if submission.problem:
        return digest([*parts, in_words(submission.problem)])
    if path.is_file():
        return digest([*parts, sha256_of(path)])
    folder = scan(path)
    packed = [name for name in sorted(folder.files) if is_archive(Path(name))]  # of any size
    return digest([*parts, content_of(folder), *(sha256_of(path / name) for name in packed)])


def _judged(
    submission: Submission, root: Path, shop: Workshop, tell: Tell, started: float
) -> Graded:
    plan = shop.plan
    out = shop.work / f"{submission.slug}.out"
    out.mkdir(exist_ok=True)
    folder = scan(root.resolve(), checker_of(plan.assignment).REQUIRED)
    if absent := sorted((folder.left_out.keys() & folder.required.keys()) - folder.files.keys()):
        raise wrong("inbox.public", names=listed(absent, 6))
    tell("hidden records")  # drawn once for a class, which takes a while
    case = Case(
        assignment=plan.rubric.assignment,
        rubric=plan.rubric,
        item=plan.rubric.items[0],
        folder=folder,
        box=shop.box,
        limits=plan.limits,
        models=ModelEvidence(folder, plan.rubric.assignment, shop.box, plan.limits, shop.shared),
        hidden=shop.hidden,
        jobs=plan.jobs,
        seed=shop.seed,
        shared=shop.shared,
        out=out,
        workers=shop.workers,
    )
    judged = judge(case, tell)
    compared = _for_the_class(case, shop, judged, tell)
    notebook = next((f for f in case.facts.values() if isinstance(f, NotebookResult)), None)
    status, verdict = verdict_of(judged, notebook)
    peaks = [f.peak_bytes for f in case.facts.values() if isinstance(f, Outcome)]
    peaks += [int(notebook.usage.get("peak") or 0)] if notebook else []
    result = _result(submission, shop, status, verdict).model_copy(
        update={
            "items": judged.items,
            "warnings": [*submission.notes, *case.facts.get("warnings", ()), *_broken(judged)],
            "seconds": round(time.monotonic() - started, 1),
            "memory_gb": round(max(peaks) / GIB, 2) if peaks else None,
            "failed_cell": notebook.cell if notebook and not notebook.ok else None,
            "cells": notebook.cells if notebook else None,
            "figures": figures_of(case, judged.items),
            **compared,
        }
    )
    return Graded(result, judged.log, notebook.executed if notebook else None)


def verdict_of(judged: Judged, notebook: NotebookResult | None) -> tuple[Status, str]:
    """How the submission ended, in a name and in words."""
    if problem := judged.not_gradable:
        return "not gradable", f"not gradable here: {in_words(problem)}"
    verdict = notebook.verdict if notebook else None
    if verdict is None or verdict.ok:
        return "graded", "graded"
    if verdict.reason in TOO_LONG:
        return "timed out", verdict.text
    if verdict.reason in BROKEN:
        return "failed", verdict.text
    return "graded", f"graded; notebook: {verdict.text}"


def _for_the_class(case: Case, shop: Workshop, judged: Judged, tell: Tell) -> dict[str, Any]:
    """What is compared over the class; a fault in it costs nobody a mark."""
    if shop.plan.practice:
        return {}
    found: dict[str, Any] = {}
    for name, find in {"integrity": prints_of, "leaderboard": standing_of}.items():
        tell(name)
        started = time.monotonic()
        try:
            found[name] = find(case)
            judged.log.append(f"{name}: {time.monotonic() - started:.1f} s")
        except BatchStopped:
            raise
        except CourseError as problem:
            judged.log.append(f"{name}: {in_words(problem)}")
        except Exception as error:
            judged.broken.append(name)
            judged.log += traceback.format_exception(error)
    return found


def _broken(judged: Judged) -> list[str]:
    if not judged.broken:
        return []
    return [f"the grader itself failed at {', '.join(judged.broken)}: see {LOG}"]


def without(submission: Submission, shop: Workshop, status: Status, verdict: str) -> Graded:
    """The result of a submission that could not be looked at."""
    return Graded(_result(submission, shop, status, show(verdict, 600)), [verdict])


def _result(submission: Submission, shop: Workshop, status: Status, verdict: str) -> Result:
    plan = shop.plan
    return Result(
        submission=submission.slug,
        owner=submission.owner(),
        assignment=plan.assignment,
        kit_version=__version__,
        rubric=rubric_fingerprint(plan.rubric),
        status=status,
        verdict=show(verdict, 600),
        sandbox=plan.level,
        items=unjudged(plan.rubric, verdict, ours=status == "failed"),
        warnings=list(submission.notes),
    )
