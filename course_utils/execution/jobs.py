"""A notebook to run as a job, what became of it, and the plan of a whole run."""

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.notebooks import declared_parameters, read_notebook
from course_utils.execution.state import read_state

Limits = Mapping[str, float] | float | None


@dataclass
class NotebookResult:
    """What became of one notebook. `cell` counts code cells from 1, as `In [cell]` in the copy."""

    name: str
    source: Path
    status: str  # done | skipped | failed | timed_out | interrupted | invalid
    seconds: float = 0.0
    cell: int | None = None
    cells: int = 0
    error: str = ""
    cure: str = ""
    executed: Path | None = None
    log: Path | None = None

    @property
    def ok(self) -> bool:
        return self.status in ("done", "skipped")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after everything was ended; `results` holds what was reached until then."""

    def __init__(self, results: list[NotebookResult]):
        super().__init__("interrupted")
        self.results = results


@dataclass
class Job:
    """One notebook to run: what it is, what it gets, where its files go."""

    name: str
    source: Path
    folder: Path
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

    def scraps(self, pattern: str = "*") -> list[Path]:
        """Hidden files beside the copy: the progress file, a copy half-written at a power cut."""
        return list(self.folder.glob(f".{glob.escape(self.name)}.{pattern}"))

    def result(self, status: str, **fields: Any) -> NotebookResult:
        return NotebookResult(self.name, self.source, status, **fields)


def output_names(notebooks: Sequence[Path]) -> list[str]:
    """A distinct output name for each notebook: its stem, with its folder where two are alike."""
    stems = [path.stem for path in notebooks]
    names: list[str] = []
    for path, stem in zip(notebooks, stems, strict=True):
        name = stem if stems.count(stem) == 1 else f"{path.resolve().parent.name}-{stem}"
        number = 2
        while name in names or (name != stem and name in stems):
            name, number = f"{path.resolve().parent.name}-{stem}-{number}", number + 1
        names.append(name)
    return names


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
    if not entry or entry["fingerprint"] != job.fingerprint or not job.path(".ipynb").exists():
        return False
    before = state.get(previous or "", {}).get("finished", "")
    return not chain or str(entry.get("started", "")) >= before


def plan_jobs(
    notebooks: Sequence[Path],
    folder: Path,
    parameters: Mapping[str, Any],
    limits: Limits,
    fingerprint: str,
    expected: Mapping[str, float] | None,
) -> list[Job]:
    """One job a notebook; a notebook that can't be read gets a job with its problem."""
    state = read_state(folder)
    jobs = []
    for path, name in zip(notebooks, output_names(notebooks), strict=True):
        job = Job(name, path.resolve(), folder, limit=_named(limits, name, path))
        job.expected = _named(expected, name, path) or state.get(name, {}).get("seconds")
        if job.path(".ipynb").resolve() == job.source:
            raise CourseError(
                f"{path}: the executed copy would overwrite the notebook",
                "choose another output folder",
            )
        try:
            notebook = read_notebook(path)
            declared = declared_parameters(notebook) or set()
            job.passed = {k: v for k, v in parameters.items() if k in declared}
            job.fingerprint = notebook_fingerprint(notebook, job.passed, fingerprint)
        except CourseError as problem:
            job.problem = problem
        jobs.append(job)
    return jobs
