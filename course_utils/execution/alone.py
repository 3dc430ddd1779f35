"""One notebook of a submission, run in the sandbox and told by its verdict."""

import queue
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.custody import Custody
from course_utils.execution.jobs import Job, NotebookResult
from course_utils.execution.notebooks import declared_parameters
from course_utils.execution.reading import read_notebook
from course_utils.execution.running import Running
from course_utils.execution.sandbox.place import Place
from course_utils.execution.sandbox.verdicts import Verdict


def run_notebook(
    source: Path,
    out_folder: Path,
    custody: Custody,
    place: Place | None = None,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    name: str = "executed",
) -> NotebookResult:
    """Run a notebook; into `out_folder` go NAME.ipynb (or NAME.failed.ipynb) and NAME.log.

    It runs in `place`, which stays when it was given, or in a copy of its own folder. It gets those
    parameters that it declares. A notebook that can't be read is a verdict (rejected), no error.
    Several may run at a time, in threads, each into a folder of its own.
    """
    source, folder = Path(source).resolve(), Path(out_folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(name, source, folder, cwd=folder, limit=custody.limits.wall)
    try:
        declared = declared_parameters(read_notebook(source)) or set()
        job.passed = {k: v for k, v in (parameters or {}).items() if k in declared}
        events: queue.Queue = queue.Queue()
        running = Running(job, 0, environment or {}, [], events, custody, place)
    except CourseError as problem:
        verdict = Verdict("rejected", f"rejected: {problem.message}")
        return job.result("invalid", error=problem.message, cure=problem.cure, verdict=verdict)
    while not running.is_over():
        try:
            running.take(events.get(timeout=0.25)[1])
        except queue.Empty:
            continue
    return running.finish()
