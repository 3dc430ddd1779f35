"""Executing notebooks, each in a child process, with limits and a memory.

Into the output folder go, for the notebook `03_lora_sft.ipynb`:

03_lora_sft.partial.ipynb  while it runs: written whole after every cell
03_lora_sft.ipynb          when it finished
03_lora_sft.failed.ipynb   when a cell failed or the time was up
03_lora_sft.log            papermill's lines, the cells' outputs, the traceback
state.json                 what ran and what finished, with which settings: `resume` skips it

Ctrl-C reaches this process alone; it ends the children, their kernels and all they started.
"""

import contextlib
import errno
import queue
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.console import console as make_console
from course_utils.errors import CourseError
from course_utils.execution.custody import Custody
from course_utils.execution.display import PlainDisplay, TerminalDisplay
from course_utils.execution.jobs import (
    BatchEnded,
    Interrupted,
    Job,
    Limits,
    NotebookResult,
    is_fresh,
    plan_jobs,
)
from course_utils.execution.notebooks import validate_parameters
from course_utils.execution.running import Running, end_all, now
from course_utils.execution.sandbox.verdicts import Verdict
from course_utils.execution.state import (
    ENDINGS,
    check_state,
    choose_names,
    claim,
    locked,
    plain,
    read_state,
    source_key,
)
from course_utils.progress import read_progress

TICK_SECONDS = 0.25
SPACE = "free some disk space, then go on with --resume"
WRITABLE = "choose an output folder that you may write to"
# What stops every further notebook as well; any other error of the system is one notebook's own.
FOR_ALL = {
    errno.ENOSPC: SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): SPACE,
    errno.EROFS: WRITABLE,
    errno.EACCES: WRITABLE,
    errno.EPERM: WRITABLE,
    errno.EIO: "the disk or network drive fails: choose another output folder",
    errno.EMFILE: "too many files are open: end other programs, then go on with --resume",
    errno.ENFILE: "too many files are open: end other programs, then go on with --resume",
    errno.ENOMEM: "memory is used up: end other programs, then go on with --resume",
    errno.EAGAIN: "no further process can start: end other programs, then go on with --resume",
}
FOR_ONE = {
    errno.ENAMETOOLONG: "rename the notebook: its name or its path is too long",
    errno.ENOENT: "its folder is gone: check the path",
    errno.EFBIG: "its files are larger than this system allows",
}


def execute_notebooks(
    notebooks: Sequence[Path],
    out_folder: Path,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    time_limit_minutes: Limits,
    resume: bool,
    stop_on_failure: bool,
    fingerprint: str = "",
    expected_minutes: Mapping[str, float] | None = None,
    console: Any = None,
    chain: bool = False,
    cwd: Path | None = None,
    names: Sequence[str] | None = None,
    workers: int = 1,
    custody: Custody | None = None,
) -> list[NotebookResult]:
    """Execute notebooks; one result each, in their order, up to a failure if that stops the run.

    A notebook gets the parameters that it declares, `environment` on top of this process's, and
    `cwd` (default: its own folder) as working folder. `names` are their names in the output folder
    (default: `state.choose_names`). `resume` skips what finished with the same cells, parameters
    and `fingerprint`. In a `chain` each notebook reads what the one before wrote: names are the
    notebooks' own, and one is skipped only if the one before didn't run since. `workers` notebooks
    run at a time. With `custody` each runs in the sandbox, in a copy of its own folder.

    Raises CourseError for unknown parameters or an unusable folder, Interrupted after Ctrl-C,
    BatchEnded where no further notebook can run; the last two hold the results so far.
    """
    notebooks, folder = [Path(path) for path in notebooks], Path(out_folder).resolve()
    console, cwd = console or make_console(), Path(cwd).resolve() if cwd else None
    notes = [f"Warning: {w}" for w in validate_parameters(notebooks, parameters, each=not chain)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_state(folder)
        if chain:
            names = [plain(path.stem) for path in notebooks]
        elif names is None:
            names, taken = choose_names(notebooks, folder)
            notes += [f"Note: {note}" for note in taken]
        limits = (time_limit_minutes, fingerprint, expected_minutes)
        jobs = plan_jobs(notebooks, names, folder, cwd, parameters, *limits)
        lock = contextlib.ExitStack()
        keep = lock.enter_context(locked(folder))
    except OSError as error:
        cure = {errno.EEXIST: "a file has this name", errno.ENOTDIR: "a file has this name"}
        raise CourseError(
            f"{error.filename or folder}: {error.strerror or error}",
            FOR_ALL.get(error.errno) or cure.get(error.errno) or "choose another output folder",
        ) from None
    display_class = TerminalDisplay if console.is_terminal else PlainDisplay
    with lock, display_class(console, jobs, workers) as display:
        for note in notes:
            display.say(note)
        batch = Batch(jobs, environment, display, keep, custody)
        return batch.run(workers, resume, stop_on_failure, chain)


class Batch:
    """Jobs on their way: waiting, running, ended (`results`, by their place)."""

    def __init__(
        self,
        jobs: Sequence[Job],
        environment: Mapping[str, str],
        display: PlainDisplay,
        keep: list[int],
        custody: Custody | None = None,
    ):
        self.custody = custody
        self.waiting = deque(enumerate(jobs))
        self.folder = jobs[0].folder if jobs else Path()
        self.running: list[Running] = []
        self.results: dict[int, NotebookResult] = {}
        self.events: queue.Queue = queue.Queue()
        self.environment, self.display, self.keep = environment, display, keep
        self.all_again, self.previous = False, None  # of a chain

    def run(
        self, workers: int, resume: bool, stop_on_failure: bool, chain: bool
    ) -> list[NotebookResult]:
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < workers:
                    self._begin(*self.waiting.popleft(), resume, chain)
                    if stop_on_failure and not self._all_well():
                        self.waiting.clear()
                self._listen()
                if stop_on_failure and not self._all_well():
                    self.waiting.clear()
        except KeyboardInterrupt:
            self._end_running("KeyboardInterrupt: stopped by Ctrl-C")
            raise Interrupted(self.in_order()) from None
        except BatchEnded as ended:
            self._end_running(f"ended with the batch: {ended.message}")
            raise BatchEnded(ended.message, ended.cure, self.in_order()) from None
        except BaseException:
            end_all(self.running)
            raise
        return self.in_order()

    def in_order(self) -> list[NotebookResult]:
        return [self.results[index] for index in sorted(self.results)]

    def _all_well(self) -> bool:
        return all(result.ok for result in self.results.values())

    def _begin(self, index: int, job: Job, resume: bool, chain: bool) -> None:
        """Refuse, skip or start a job."""
        previous, self.previous = self.previous, job.name
        if job.problem:
            self._ended(index, _invalid(job, job.problem))
            return
        try:
            if resume and not self.all_again and is_fresh(job, previous, chain):
                self._ended(index, _skipped(job))
                return
            self.all_again = chain  # what follows reads what this one writes
            self._make_way(job, chain)
            running = Running(job, index, self.environment, self.keep, self.events, self.custody)
        except (OSError, CourseError) as error:
            self._ended(index, _system_error(job, error), error)
            return
        self.running.append(running)
        self.display.start(index)

    def _make_way(self, job: Job, chain: bool) -> None:
        """From now on, until it finishes, the notebook has not finished; its old files go."""
        entry = {"source": source_key(job.source, job.folder), "started": now()}
        claim(job.folder, job.name, entry, any_source=chain)
        for path in [*map(job.path, ENDINGS), *job.scraps()]:
            path.unlink(missing_ok=True)

    def _listen(self) -> None:
        """Take what the workers tell, at most a moment's; finish what is over."""
        if not self.running:
            return
        with contextlib.suppress(queue.Empty):
            running, event = self.events.get(timeout=TICK_SECONDS)
            running.take(event)
        for one in [one for one in self.running if one.is_over()]:
            self._finish(one)
        for one in self.running:
            fine = read_progress(one.job.progress_path)
            place = (one.seen["cell"], one.seen["cells"])
            self.display.tick(one.index, one.elapsed, *place, fine)

    def _finish(self, one: Running) -> None:
        error = None
        try:
            result = one.finish()
        except (OSError, CourseError) as caught:  # the copy can't be named, the state not written
            error, result = caught, _system_error(one.job, caught)
            result.status, result.seconds, result.log = "failed", one.elapsed, one.job.path(".log")
        self.running.remove(one)
        self._ended(one.index, result, error)
        if result.disk_full:
            raise BatchEnded(result.error, SPACE, [])

    def _ended(
        self, index: int, result: NotebookResult, error: OSError | CourseError | None = None
    ) -> None:
        """Note a result; raise BatchEnded where its error is every notebook's."""
        self.results[index] = result
        self.display.end(index, result)
        if error and _is_for_all(error, self.folder):
            raise BatchEnded(result.error, result.cure, [])

    def _end_running(self, reason: str) -> None:
        end_all(self.running)
        for one in self.running:
            self.results[one.index] = one.interrupted(reason)
            self.display.end(one.index, self.results[one.index])


def _invalid(job: Job, problem: CourseError) -> NotebookResult:
    verdict = Verdict("rejected", f"rejected: {problem.message}")
    return job.result("invalid", error=problem.message, cure=problem.cure, verdict=verdict)


def _skipped(job: Job) -> NotebookResult:
    entry = read_state(job.folder)[job.name]
    cells = entry.get("cells") or 0
    return job.result(
        "skipped",
        seconds=entry.get("seconds") or 0.0,
        cell=cells or None,
        cells=cells,
        executed=job.path(".ipynb"),
        verdict=Verdict("finished", "finished", cells=cells, reached=list(range(1, cells + 1))),
        log=job.path(".log"),
    )


def _cause(error: BaseException) -> OSError | None:
    """The system's error behind an error that was told in our own words."""
    causes = (error, error.__cause__, error.__context__)
    return next((c for c in causes if isinstance(c, OSError) and c.errno), None)


def _is_for_all(error: BaseException, folder: Path) -> bool:
    """Whether an error would meet every further notebook too: in what all of them share."""
    cause = _cause(error)
    if cause is None or cause.errno not in FOR_ALL:
        return False
    place = str(cause.filename or folder)  # one student's folder may be closed to us
    return cause.errno not in (errno.EACCES, errno.EPERM) or place.startswith(str(folder))


def _system_error(job: Job, error: OSError | CourseError) -> NotebookResult:
    """The row of a notebook that the system refuses, or somebody else's file stands in the way."""
    number = getattr(_cause(error), "errno", None)
    if isinstance(error, CourseError):
        text, cure = error.message, error.cure
    else:
        text, cure = f"{error.filename or job.source}: {error.strerror or error}", ""
    cure = FOR_ALL.get(number) or FOR_ONE.get(number) or cure
    verdict = Verdict("rejected", f"rejected: {text}")
    return job.result("invalid", error=text, cure=cure, verdict=verdict)
