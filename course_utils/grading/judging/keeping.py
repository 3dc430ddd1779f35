"""Full points of a check that executes what was handed in, kept by all that they depend on.

    judgement = kept(case, function)

A changed rubric or another mended check then runs no notebook, script or server again. What fell
short is not kept but tried again: the machine's load may have been the reason.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from course_utils import kit
from course_utils.assignments.definition import find
from course_utils.assignments.folder import Folder
from course_utils.digests import digest, sha256_of
from course_utils.execution.jobs import NotebookResult
from course_utils.files import write_text_atomic
from course_utils.grading import probing
from course_utils.grading.cache import digest_of_files
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import Judgement, earned
from course_utils.grading.results import Evidence

HERE = Path(__file__).parent
BELOW = ("assignments", "endpoint", "execution", "lab", "tracks")  # rooms that checks stand on
LARGEST = 5_000_000  # characters of an executed notebook that are kept with it


class _NotKept(Exception):
    """Carries a judgement past the cache."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__("less than full points")
        self.judgement = judgement


def kept(case: Case, function: Callable[[Case], Judgement]) -> Judgement:
    """What the function answers, or answered before to the same submission with full points."""

    def ask() -> dict[str, Any]:
        before = set(case.facts)
        judgement = function(case)
        if judgement.points != case.item.points:
            raise _NotKept(judgement)
        runs = [case.facts[name] for name in case.facts if name not in before]
        notebook = next((own for own in runs if isinstance(own, NotebookResult)), None)
        evidence = [own.model_dump() for own in judgement.evidence]
        said = {"evidence": evidence, "feedback": judgement.feedback}
        return said | {"notebook": _told(notebook) if notebook else None}

    if "content" not in case.facts:
        case.facts["content"] = content_of(case.folder)
    where = [case.assignment, function.__name__, case.facts["content"]]
    key = ["full points", *where, case.seed, case.limits.as_json(), _sources()]
    key.append(find(case.assignment).model_dump_json())  # thresholds, tasks
    try:
        found = case.shared.get(key, ask)
    except _NotKept as less:
        return less.judgement
    if told := found["notebook"]:
        case.facts.setdefault(told["name"], _again(case, told))
    evidence = [Evidence(**own) for own in found["evidence"]]
    return earned(case, 1, *evidence, feedback=found["feedback"])


def content_of(folder: Folder) -> str:
    """A digest of a submission's files; of those that nobody opens, of their sizes."""
    files = [
        [name, size, "" if folder.size_problem(name) else sha256_of(folder.path(name))]
        for name, size in sorted(folder.files.items())
    ]
    return digest([ascii(files), ascii(sorted(folder.links)), ascii(sorted(folder.strange))])


@cache
def _sources() -> str:
    """Of all code that runs and judges what was handed in: the checks, and the rooms below them."""
    package = kit.ROOT / "course_utils"
    folders = [HERE, Path(probing.__file__).parent, *(package / name for name in BELOW)]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    return digest_of_files([*files, *package.glob("*.py")])


def _told(notebook: NotebookResult) -> dict[str, Any]:
    """What is kept of a run: its place, its size, its peak, its executed copy."""
    path = notebook.executed
    text = path.read_text(encoding="utf-8") if path and path.is_file() else ""
    peak = int(notebook.usage.get("peak") or 0)
    kept = {"name": notebook.name, "cells": notebook.cells, "seconds": notebook.seconds}
    return kept | {"peak": peak, "text": text if len(text) <= LARGEST else ""}


def _again(case: Case, told: dict[str, Any]) -> NotebookResult:
    """The run as it was: it had ended well, since it earned full points."""
    executed = None
    if told["text"] and case.out:
        executed = write_text_atomic(case.out / f"{told['name']}.ipynb", told["text"])
    return NotebookResult(
        told["name"],
        case.folder.root,
        "done",
        seconds=told["seconds"],
        cells=told["cells"],
        executed=executed,
        usage={"peak": told["peak"]},
    )
