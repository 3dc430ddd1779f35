"""A submission's notebook, executed in the sandbox: credit for what was reached.

Papermill's status, stderr and stored outputs decide nothing. A warning or a progress bar costs
nothing. What counts is which cells began, and which of them raised.
"""

import tempfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from course_utils import kit
from course_utils.assignments import week05, writeup
from course_utils.assignments.folder import Folder, show
from course_utils.assignments.scripts import Workspace
from course_utils.assignments.week09_10 import ADAPTER
from course_utils.errors import CourseError
from course_utils.execution.alone import run_notebook
from course_utils.execution.custody import Custody
from course_utils.execution.jobs import NotebookResult
from course_utils.execution.notebooks import declared_parameters
from course_utils.execution.reading import read_notebook
from course_utils.execution.sandbox.place import Place, hand_over, remove
from course_utils.files import read_json
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK05, WEEK09_10
from course_utils.grading.judging.judgement import Judgement, earned, failed
from course_utils.grading.judging.models.trial import SHORT, copy_files
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.results import Evidence
from course_utils.runs import Run

PIPELINE = "finetuning_pipeline.ipynb"
LEAST = 0.5  # of the starter's code cells: a notebook of one cell runs, and shows nothing
# Seconds that one cell may take, where --cell-limit says nothing. In weeks 9-10 a notebook without
# `compare_models` compares two real models in one cell: 294 s for the reference solution on one
# thread, and a busy machine takes longer.
CELL = {WEEK05: 300.0, WEEK09_10: 900.0}
# The starter's parameters that make a run short. Everything that is stored and current is used; a
# model comparison holds for its machine only, so here the tiny model is measured, by itself.
QUICK = {
    "compare_models": ["nano"],
    "compare_precisions": ["fp32"],
    "compare_records": 2,
    "retrain": False,
    "serve": False,
    "check": False,  # the grader goes through the same checklist itself
}
# Where the stored evidence is of other settings, its notebook would train for an hour: then it
# trains and evaluates the tiny model instead, on few records.
TINY = {"train_records": 24, "max_length": 960}
KEPT_VALUES = ("lora_dropout", "early_stopping_patience", "learning_rate", "warmup_ratio")


@check(WEEK09_10, runs=True)
def notebook_runs(case: Case) -> Judgement:
    """Points by the share of code cells that ran before one failed, time was up or it died."""
    name = PIPELINE
    if missing := _missing(case, name):
        return missing
    whole = is_current(case)
    parameters, leave_out = dict(QUICK), ()
    if not whole and "changes" in (declared_parameters(_read(case.folder, name)) or ()):
        parameters["changes"] = tiny_changes()
        leave_out = (f"{ADAPTER}/", "run/training.json", "run/evaluation.json", "run/baseline.json")
    result = _run(case, name, parameters, leave_out)
    how = "with what was stored" if whole else "on the tiny model: run/ is of other settings"
    return _judge(case, name, result, how)


@check(WEEK05, runs=True)
def analysis_runs(case: Case) -> Judgement:
    """Points by the share of code cells that ran before one failed, time was up or it died."""
    if missing := _missing(case, week05.ANALYSIS):
        return missing
    result = _run(case, week05.ANALYSIS, {}, ())
    return _judge(case, week05.ANALYSIS, result, "with your records and training.json")


def tiny_changes() -> list[str]:
    """What makes the notebook train and evaluate the tiny model, as its parameter `changes`."""
    short = {k: v for k, v in (SHORT | TINY).items() if k not in KEPT_VALUES}
    return [f"{key}={str(value).lower() if isinstance(value, bool) else value}"
            for key, value in short.items()]  # fmt: skip


def is_current(case: Case) -> bool:
    """Whether the stored run is of this configuration, these data and this adapter.

    Then the notebook shows it and computes nothing of it again.
    """
    files = case.folder.files
    needed = ("run/training.json", "run/evaluation.json", "data/train.jsonl", "data/val.jsonl")
    if any(name not in files or case.folder.size_problem(name) for name in needed):
        return False
    try:
        config = case.models.config
        run = Run(case.folder.root / "run", config.settings())
        workspace = Workspace(case.folder.root, config, run, Namespace(data=None))
        return writeup.is_trained(workspace) and writeup.is_evaluated(workspace)
    except (CourseError, OSError, AttributeError):
        return False


def _missing(case: Case, name: str) -> Judgement | None:
    if name not in case.folder.files:
        return failed(feedback=advise(say("judged.notebook_missing", name=name)))
    if problem := case.folder.size_problem(name):
        large = say("judged.notebook_too_large", name=name, problem=problem)
        return failed(Evidence(label=name, found=problem), feedback=advise(large))
    return None


def _read(folder: Folder, name: str) -> Any:
    return read_notebook(folder.path(name))


def _run(
    case: Case, name: str, parameters: Mapping[str, Any], leave_out: tuple[str, ...]
) -> NotebookResult:
    """Execute a copy of the submission; the executed notebook goes to `case.out`."""
    out = case.out or Path(tempfile.mkdtemp(prefix="course-executed-"))
    place = case.box.place()
    try:
        _furnish(case, place, name, leave_out)
        limits = case.limits.with_changes(cell=case.limits.cell or CELL[case.assignment])
        custody = Custody(case.box, limits, case.workers)
        environment = {"OMP_NUM_THREADS": str(case.models.threads)}
        result = run_notebook(
            place.folder / name, out, custody, place, parameters, environment, Path(name).stem
        )
    finally:
        remove(place)
    case.facts[name] = _without_paths(result, place)
    return result


def _without_paths(result: NotebookResult, place: Place) -> NotebookResult:
    """The sandbox's own folder says nothing to a student."""
    result.error = place.outside(result.error)
    if result.verdict:
        result.verdict = replace(result.verdict, text=place.outside(result.verdict.text))
    return result


def _furnish(case: Case, place: Place, name: str, leave_out: tuple[str, ...]) -> None:
    wanted = tuple(own for own in case.folder.files if not own.startswith(leave_out or ("\0",)))
    others = tuple(own for own in wanted if own.endswith(".ipynb") and own != name)
    copy_files(case.folder, place, tuple(own for own in wanted if own not in others))
    hand_over(place)


def _judge(case: Case, name: str, result: NotebookResult, how: str) -> Judgement:
    verdict = result.verdict
    cells, least = result.cells or verdict.cells, _starter_cells(case.assignment, name)
    ran = cells if verdict.ok else max(0, (verdict.cell or 1) - 1)
    evidence = [
        Evidence(label="how it ended", found=verdict.text),
        Evidence(label="code cells that ran", found=f"{ran} of {cells}", note=how),
    ]
    if not cells:
        return failed(*evidence, feedback=advise(say("judged.notebook_no_code", name=name)))
    share = ran / cells * min(1.0, cells / (LEAST * least) if least else 1.0)
    if share == 1:
        return earned(case, 1, *evidence)
    if verdict.ok:
        few = say("judged.notebook_few_cells", cells=cells, least=least)
        return earned(case, share, *evidence, feedback=advise(few))
    said = f" ({show(result.error, 200)})" if result.error else ""
    stopped = say("judged.notebook_stopped", verdict=verdict.text, said=said)
    return earned(case, share, *evidence, feedback=advise(stopped))


def _starter_cells(assignment: str, name: str) -> int:
    """Code cells of the starter's notebook; 0 where the kit has no starter."""
    path = kit.ASSIGNMENTS / assignment / "starter" / name
    try:
        cells = read_json(path)["cells"]
    except (CourseError, KeyError, TypeError):
        return 0
    return sum(cell["cell_type"] == "code" and bool(cell["source"]) for cell in cells)
