"""What the checks of files share: the checklist of this submission, and notes for the report.

visit = visit_of(case)                       # week05.Visit or week09_10.Visit, one a submission
if missing := unmet(case, "run.evaluation"): # a check of the checklist that must have passed
    return missing
with reading(case, "run/evaluation.json"):   # what a student's file makes Python raise
    ...
note_stated(case, "qa, tuned: fact match", "0.91", "0.44")
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from course_utils import tasks
from course_utils.assignments import hollow
from course_utils.assignments.checkers import checker_of
from course_utils.assignments.checklist import finding_of
from course_utils.assignments.figures import Figure
from course_utils.assignments.findings import Finding, wrong
from course_utils.assignments.folder import show
from course_utils.errors import CourseError
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.judgement import Judgement, failed
from course_utils.grading.results import Evidence, Stated
from course_utils.messages import Explained
from course_utils.records import check_file

WEEK05, WEEK09_10 = "week05_parameter_lab", "week09_10_manufacturing"
HOLLOW = ("folder.solution", "folder.starter")  # asked of every submission
SHOWN = 5  # figures that differ, in an item's evidence; all stand in the integrity report


def visit_of(case: Case) -> Any:
    """The checklist's Visit of this submission, made once; hollow work is noted."""
    if "visit" not in case.facts:
        assignment = checker_of(case.assignment)
        folder = replace(case.folder, required=assignment.REQUIRED)
        case.facts["visit"] = assignment.Visit(folder, assignment.CHECKLIST)
        for name in HOLLOW:
            note_hollow(case, finding_of(case.facts["visit"], name))
    return case.facts["visit"]


def finding(case: Case, name: str, met: Sequence[str] = ()) -> Finding:
    """The finding of one check of the checklist, or of what it needs; a warning is noted."""
    found = finding_of(visit_of(case), name, met)
    note_hollow(case, found)
    return found


def unmet(case: Case, *names: str, met: Sequence[str] = ()) -> Judgement | None:
    """No points, where one of these checks of the checklist failed; None where all are met."""
    for name in names:
        found = finding(case, name, met)
        if found.state in ("missing", "wrong"):
            return failed(Evidence(label=found.path, found=found.message), feedback=advice(found))
    return None


def advice(found: Finding) -> str:
    """What a finding says to do, and where more stands."""
    more = f" (course explain {found.message_id})" if found.message_id else ""
    return f"{found.path}: {found.cure or found.message}{more}"


def readable_records(case: Case, name: str, schema: str) -> list[dict[str, Any]]:
    """The records of a file whose lines can be read: a broken line hides none of the others.

    Raises CourseError where the file has no lines.
    """
    return [record for _, record in check_file(case.folder.path(name), schema, near=None).records]


@contextmanager
def reading(case: Case, name: str) -> Iterator[None]:
    """A student's file may hold anything: what that makes Python raise is a CourseError."""
    try:
        yield
    except Explained:
        raise
    except CourseError as error:  # of a reader of the kit: the path of this machine tells nothing
        problem = error.message.replace(f"{case.folder.root}{os.sep}", "")
        raise wrong("file.refused", problem=show(problem), cure=error.cure) from None
    except Exception as error:
        what = f"{type(error).__name__}: {show(error, 80)}"
        again = visit_of(case).folder.again(name)
        raise wrong("file.not_as_written", problem=f"{name}: {what}", again=again) from None


# --- Notes for the report of the class ----------------------------------------------------------


def note_stated(case: Case, name: str, stated: Any, found: Any, agrees: bool | None = None) -> None:
    """A figure that the student states, beside ours; each name once."""
    own = case.facts.setdefault("stated", [])
    texts = {"stated": show(stated, 80), "found": show(found, 80)}
    equal = texts["stated"] == texts["found"] if agrees is None else agrees
    if all(known.name != name for known in own):
        own.append(Stated(name=name, agrees=equal, **texts))


def note_figures(case: Case, found: Iterable[Figure], place: str) -> list[Figure]:
    """Note every figure; returns those that differ."""
    differing = []
    for figure in found:
        note_stated(case, name_of(figure, place), *figure.texts(), figure.agrees)
        if not figure.agrees:
            differing.append(figure)
    return differing


def name_of(figure: Figure, place: str) -> str:
    return f"{place}: {figure.where}, {tasks.NAMES.get(figure.name, figure.name)}"


def figure_evidence(figures: Iterable[Figure]) -> list[Evidence]:
    """The first of them, as stated and as they follow."""
    rows = []
    for figure in figures:
        stated, found = figure.texts()
        label = f"{figure.where}, {tasks.NAMES.get(figure.name, figure.name)}"
        rows.append(Evidence(label=label, found=found, stated=stated))
    more = [Evidence(label="and more", found=f"{len(rows) - SHOWN} further figures differ")]
    return rows[:SHOWN] + (more if rows[SHOWN:] else [])


def note_hollow(case: Case, found: Finding) -> None:
    """Note a finding that there is nothing in it; any other is left alone."""
    if found.message_id.startswith("hollow."):
        place = "" if found.path == "." else f"{found.path}: "
        note_warning(case, found.message_id, f"{place}{found.message}")


def note_zeros(case: Case, scores: Iterable[Any], path: str) -> None:
    """Note a tuned model whose scores are all 0."""
    try:
        hollow.no_zeros(scores)
    except Explained as warning:
        note_warning(case, warning.id, f"{path}: {warning.message}")


def note_warning(case: Case, name: str, text: str) -> None:
    """A message's ID for the class's report (facts["hollow"]), its text for facts["warnings"]."""
    for key, value in (("hollow", name), ("warnings", text)):
        known = case.facts.setdefault(key, [])
        if value not in known:
            known.append(value)
