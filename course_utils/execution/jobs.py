"""A notebook to run as a job, what became of it, and the plan of a whole run."""

import glob
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.notebooks import (
    declared_parameters,
    declared_values,
    is_absolute,
)
from course_utils.execution.reading import read_notebook
from course_utils.execution.sandbox.verdicts import Verdict
from course_utils.execution.state import read_state

Limits = Mapping[str, float] | float | None
NAME_BYTES = 255  # of a file name, on Linux and macOS
LONGEST_ENDING = ".partial.ipynb.12345678"  # of a copy while it is written


@dataclass
class NotebookResult:
    """What became of one notebook. `cell` counts code cells from 1, as `In [cell]` in the copy."""

    name: str
    source: Path
    status: str  # done | skipped | failed | timed_out | interrupted | invalid | not_run
    seconds: float = 0.0
    cell: int | None = None
    cells: int = 0
    error: str = ""
    cure: str = ""
    executed: Path | None = None
    log: Path | None = None
    disk_full: bool = False
    verdict: Verdict | None = None
    sandbox: str = ""  # its level; empty: it ran with our rights
    usage: dict[str, Any] = field(
        default_factory=dict
    )  # seconds, cpu, watching; peak, disk (bytes)

    @property
    def ok(self) -> bool:
        return self.status in ("done", "skipped")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after everything was ended; `results` holds what was reached until then."""

    def __init__(self, results: list[NotebookResult]):
        super().__init__("interrupted")
        self.results = results


class BatchEnded(CourseError):
    """No further notebook can run, as on a full disk; `results` holds what was reached."""

    def __init__(self, message: str, cure: str, results: list[NotebookResult]):
        super().__init__(message, cure)
        self.results = results


@dataclass
class Job:
    """One notebook to run: what it is, what it gets, where its files go."""

    name: str
    source: Path
    folder: Path
    cwd: Path = Path()  # where its kernel runs
    passed: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    limit: float | None = None  # seconds
    expected: float | None = None  # seconds
    problem: CourseError | None = None

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"

    @property
    def progress_path(self) -> Path:
        return self.folder / f".{self.name}.progress"

    def scraps(self) -> list[Path]:
        """Hidden files beside the copy: the progress file, a copy half-written at a power cut."""
        name = glob.escape(self.name)
        patterns = (f".{name}.progress", f".{name}.progress.[0-9]*", f".{name}.partial.ipynb.*")
        return [path for pattern in patterns for path in self.folder.glob(pattern)]

    def result(self, status: str, **fields: Any) -> NotebookResult:
        return NotebookResult(self.name, self.source, status, **fields)


def notebook_fingerprint(notebook: Mapping[str, Any], passed: Mapping, fingerprint: str) -> str:
    """sha256 over what decides a run: the cells, the passed parameters, the caller's own string."""
    cells = [
        (c["cell_type"], c["source"], c["metadata"].get("tags", [])) for c in notebook["cells"]
    ]
    text = json.dumps([cells, dict(passed), fingerprint], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _named(values: Limits, job_name: str, source: Path) -> float | None:
    """Seconds for a notebook out of minutes given for all, or by name; 0 and None mean no value."""
    if isinstance(values, Mapping):
        values = values.get(job_name, values.get(source.stem))
    return float(values) * 60 if values else None


def is_fresh(job: Job, previous: str | None, chain: bool) -> bool:
    """Finished before with the same settings and, in a chain, after `previous` last finished."""
    state = read_state(job.folder)
    entry = state.get(job.name)
    if not entry or entry.get("fingerprint") != job.fingerprint or not job.path(".ipynb").exists():
        return False
    before = state.get(previous or "", {}).get("finished", "")
    return not chain or str(entry.get("started", "")) >= before


def plan_jobs(
    notebooks: Sequence[Path],
    names: Sequence[str],
    folder: Path,
    cwd: Path | None,
    parameters: Mapping[str, Any],
    limits: Limits,
    fingerprint: str,
    expected: Mapping[str, float] | None,
) -> list[Job]:
    """One job a notebook; one that can't be read or run here gets a job with its problem."""
    state = read_state(folder)
    jobs = []
    for path, name in zip(notebooks, names, strict=True):
        source = Path(os.path.realpath(path))
        job = Job(name, source, folder, cwd or source.parent, limit=_named(limits, name, path))
        job.expected = _named(expected, name, path) or state.get(name, {}).get("seconds")
        if source.parent == Path(os.path.realpath(folder)):
            raise CourseError(
                f"{path}: the executed copy would overwrite the notebook",
                "choose another output folder",
            )
        try:
            _check_name(job)
            notebook = read_notebook(path)
            declared = declared_parameters(notebook) or set()
            job.passed = {k: v for k, v in parameters.items() if k in declared}
            job.passed |= own_folder(notebook, job, parameters)
            job.fingerprint = notebook_fingerprint(notebook, job.passed, fingerprint)
        except CourseError as problem:
            job.problem = problem
        jobs.append(job)
    return jobs


def _check_name(job: Job) -> None:
    """Raise CourseError for a name that is too long once an ending has come to it."""
    longest = os.fsencode(f".{job.name}{LONGEST_ENDING}")
    if len(longest) > NAME_BYTES:
        most = NAME_BYTES - len(longest) + len(os.fsencode(job.name))
        raise CourseError(
            f"{job.source}: the file name is too long for its copies ({len(os.fsencode(job.name))} "
            f"bytes without .ipynb)",
            f"rename it: at most {most} bytes before .ipynb",
        )


def own_folder(
    notebook: Mapping[str, Any], job: Job, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """{"folder": the notebook's own} where its parameter `folder` means that, and would miss it.

    The assignments' notebooks declare `folder = "."`: the folder in which they lie. Run elsewhere,
    they need its name. A folder of another machine, written in by hand, can't be meant here either.
    """
    given = declared_values(notebook).get("folder")
    if "folder" in parameters or not isinstance(given, str):
        return {}
    own = job.source.parent
    here = given.strip().rstrip("/\\") in ("", ".")
    gone = is_absolute(given) and not Path(given).is_dir()
    return {"folder": str(own)} if (here and job.cwd != own) or gone else {}
