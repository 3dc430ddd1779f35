"""Executing notebooks: one after another, each in a child process, with limits and a memory.

Into the output folder go, for the notebook `03_lora_sft.ipynb`:

03_lora_sft.partial.ipynb  while it runs: written whole after every cell
03_lora_sft.ipynb          when it finished
03_lora_sft.failed.ipynb   when a cell failed or the time was up
03_lora_sft.log            papermill's lines, the cells' outputs, the traceback
state.json                 what finished, with which settings: `resume` skips it

Ctrl-C reaches this process alone; it ends the child, its kernel and all they started.
"""

import ast
import contextlib
import difflib
import glob
import hashlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.execution.worker import descendants, end_processes
from course_utils.files import write_json_atomic
from course_utils.progress import PROGRESS_FILE, read_progress

TICK_SECONDS = 0.25
PLAIN_LINE_SECONDS = 60
INTERRUPT_GRACE = 8  # seconds for a cell to take KeyboardInterrupt, so that the copy shows where
TERMINATE_GRACE = 3
WORKER_EXIT_SECONDS = 30
LOCK_SECONDS = 15  # more than a worker needs to end after its parent was killed
SKIPPED_FOLDERS = {".ipynb_checkpoints", "node_modules", "__pycache__", "site-packages"}
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


# --- Finding and reading notebooks ------------------------------------------------------------


def find_notebooks(paths: Iterable[Path | str]) -> list[Path]:
    """The notebooks named by files and folders, each once; a folder's own are sorted.

    In folders, checkpoints, hidden folders and executed copies are left out.
    Raises CourseError for a path that is missing, no notebook, or a folder without any.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = [p for p in _walk(path) if not _is_executed_copy(p)]
            if not inside:
                raise CourseError(f"{path}: no notebook (.ipynb) in this folder", "name another")
        elif path.is_file() and path.suffix == ".ipynb":
            inside = [path]
        elif path.is_file():
            raise CourseError(f"{path}: not a notebook", "name a file that ends in .ipynb")
        else:
            raise CourseError(f"{path}: no such file or folder", "check the path")
        for notebook in inside:
            found.setdefault(notebook.resolve(), notebook)
    return list(found.values())


def _walk(folder: Path) -> list[Path]:
    notebooks: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith(".")]
        notebooks += [Path(place, f) for f in files if f.endswith(".ipynb") and f[0] != "."]
    return sorted(notebooks)


def _is_executed_copy(path: Path) -> bool:
    """Made by a run: by its ending, or because the run's state file beside it lists it."""
    return path.name.endswith((".partial.ipynb", ".failed.ipynb")) or (
        path.stem in read_state(path.parent)
    )


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook in format 4. Raises CourseError when the file can't be one."""
    cure = "save it again from Jupyter, or take it out of the list"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CourseError(f"{path}: no such file", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path}: can't be read as UTF-8 text ({error})", cure) from None
    if not text.strip():
        raise CourseError(f"{path}: the file is empty", cure)
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise CourseError(f"{path}: not a notebook, broken JSON ({error})", cure) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
        raise CourseError(f"{path}: not a notebook, JSON without 'nbformat' and 'cells'", cure)
    try:
        return _as_format_4(text, raw)
    except Exception as error:  # nbformat raises whatever it trips over
        reason = f"{type(error).__name__}: {error}"
        raise CourseError(f"{path}: not a valid notebook ({reason})", cure) from None


def _as_format_4(text: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Cells with whole texts as source. nbformat costs a second to import: only for old formats."""
    if raw["nbformat"] < 4:
        import nbformat

        return nbformat.reads(text, as_version=4)
    for cell in raw["cells"]:
        cell["source"] = "".join(cell["source"])
        if not isinstance(cell["cell_type"], str) or not isinstance(cell["metadata"], dict):
            raise TypeError("a cell has no type or no metadata")
    return raw


def declared_parameters(notebook: Mapping[str, Any]) -> set[str] | None:
    """Names assigned in the cell tagged `parameters`; None when there is no such cell.

    Read with `ast`: papermill's own inspection skips a line with a second `=`, even in a comment.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if not cells:
        return None
    source = cells[0]["source"]
    try:
        lines = ast.parse(source).body
    except SyntaxError:  # another language, or a line with a magic
        return set(re.findall(r"^([^\W\d]\w*)\s*(?::[^=\n]*)?(?:=|<-)(?!=)", source, re.MULTILINE))
    targets: list[ast.expr] = []
    for line in lines:
        targets += line.targets if isinstance(line, ast.Assign) else []
        targets += [line.target] if isinstance(line, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def parse_parameter(text: str) -> Any:
    """The value of `-p NAME TEXT`, as papermill reads it: int, float, True, False, None or text.

    Also true, false, null, and YAML lists, mappings and quoted texts. Raises CourseError for
    broken YAML. `yes`, `no` and `on` stay text, and 1e-4 is a number (PyYAML disagrees on both).
    """
    words = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    if not text.startswith(("[", "{", '"', "'")):
        return text
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CourseError(f"parameter value {text}: not valid YAML ({reason})", "") from None


def validate_parameters(notebooks: Sequence[Path], parameters: Mapping[str, Any]) -> list[str]:
    """Check that each parameter is declared by some notebook; return warnings.

    Raises CourseError with the names that no notebook declares. Notebooks without a `parameters`
    cell (other people's) take no parameters: that is a warning. Unreadable ones aren't judged here.
    """
    if not parameters:
        return []
    declared: dict[Path, set[str] | None] = {}
    for path in notebooks:
        with contextlib.suppress(CourseError):
            declared[path] = declared_parameters(read_notebook(path))
    known = set().union(*(names for names in declared.values() if names))
    unknown = [name for name in parameters if name not in known]
    if unknown and any(names is not None for names in declared.values()):
        hints = [f"{name}{_did_you_mean(name, known)}" for name in unknown]
        raise CourseError(
            f"no notebook declares the parameter {', '.join(hints)}",
            f"use one of: {', '.join(sorted(known)) or 'none are declared'}",
        )
    without = ", ".join(path.name for path, names in declared.items() if names is None)
    warning = f"no cell is tagged 'parameters', so these run with their own values: {without}"
    return [warning] if without else []


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


# --- Planning: names, fingerprints, state -----------------------------------------------------


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


def read_state(folder: Path) -> dict[str, dict[str, Any]]:
    """name -> {fingerprint, seconds, started, finished}; a missing or broken file is no state."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(state, dict):
        return {}
    return {n: e for n, e in state.items() if isinstance(e, dict) and "fingerprint" in e}


def _remember(job: Job, entry: dict[str, Any] | None) -> None:
    """Write (or, with None, forget) a notebook's entry in state.json."""
    state = read_state(job.folder)
    state.pop(job.name, None)
    if entry:
        state[job.name] = entry
    write_json_atomic(job.folder / "state.json", state)


def _is_fresh(job: Job, previous: str | None, chain: bool) -> bool:
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


# --- Showing where it stands ------------------------------------------------------------------


def format_seconds(seconds: float) -> str:
    """45 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Where the whole run stands; `pace` is how much slower than expected this machine is."""

    def __init__(self, jobs: Sequence[Job]):
        self.jobs = list(jobs)
        self.took = self.should_take = 0.0

    def finished(self, job: Job, seconds: float) -> None:
        if job.expected:
            self.took, self.should_take = self.took + seconds, self.should_take + job.expected

    @property
    def pace(self) -> float:
        return min(max(self.took / self.should_take, 0.2), 5.0) if self.should_take else 1.0

    def remaining(self, index: int, elapsed: float, share: float = 0.0) -> float | None:
        """Seconds until all are done, while job `index` runs for `elapsed` seconds; None: unknown.

        `share` (0..1) is how much of its cells the job has done; it serves where no time is known.
        """
        expected = [job.expected for job in self.jobs[index:]]
        if expected[0] is None and share > 0:
            expected[0] = elapsed / share / self.pace
        if any(seconds is None for seconds in expected):
            return None
        now, *later = [seconds * self.pace for seconds in expected]
        return max(now - elapsed, 0.0) + sum(later)


class PlainDisplay:
    """For logs: one line at the start and end of a notebook, one a minute between."""

    def __init__(self, console: Any, jobs: Sequence[Job]):
        self.console, self.progress, self.next_line = console, Progress(jobs), 0.0

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def heading(self, index: int) -> str:
        return f"[{index + 1}/{len(self.progress.jobs)}] {self.progress.jobs[index].name}"

    def start(self, index: int) -> None:
        self.next_line = PLAIN_LINE_SECONDS
        expected = self.progress.jobs[index].expected
        about = f" (about {format_seconds(expected * self.progress.pace)})" if expected else ""
        self.say(f"{self.heading(index)}: started{about}")

    def tick(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> None:
        if elapsed < self.next_line:
            return
        self.next_line = elapsed + PLAIN_LINE_SECONDS
        self.say(f"{self.heading(index)}: {self.describe(index, elapsed, cell, cells, fine)}")

    def describe(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> str:
        parts = [f"cell {cell}/{cells}" if cells else "starting", format_seconds(elapsed)]
        if fine:
            parts.insert(1, f"{fine['done'] / fine['total']:.0%} {fine['text']}".strip())
        left = self.progress.remaining(index, elapsed, _share(cell, cells, fine))
        parts += [f"about {format_seconds(left)} left"] if left else []
        return ", ".join(parts)

    def end(self, index: int, result: NotebookResult) -> None:
        if result.status == "done":
            self.progress.finished(self.progress.jobs[index], result.seconds)
        line = f"{self.heading(index)}: {result.status.replace('_', ' ')}"
        if result.status == "skipped":
            line += " (finished before with the same settings)"
        elif result.status != "invalid":
            line += f" after {format_seconds(result.seconds)}"
        self.say(line)


class TerminalDisplay(PlainDisplay):
    """A bar for the running notebook, redrawn in place; a line stays for each that ended."""

    def __init__(self, console: Any, jobs: Sequence[Job]):
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        super().__init__(console, jobs)
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")]
        self.bars = Bars(*columns, console=console, transient=True)
        self.task: Any = None

    def __enter__(self) -> "TerminalDisplay":
        self.bars.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bars.stop()

    def start(self, index: int) -> None:
        from rich.markup import escape

        title = escape(self.heading(index))
        self.task = self.bars.add_task(title, total=None, text="starting")

    def tick(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> None:
        from rich.markup import escape

        text = escape(self.describe(index, elapsed, cell, cells, fine))
        done = _share(cell, cells, fine)
        self.bars.update(self.task, total=1.0 if cells else None, completed=done, text=text)

    def end(self, index: int, result: NotebookResult) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)
            self.task = None
        super().end(index, result)


def _share(cell: int, cells: int, fine: dict) -> float:
    """The part of a notebook that is done, 0..1: the cells before this one, and part of this."""
    inside = fine["done"] / fine["total"] if fine else 0.0
    return max(cell - 1 + inside, 0.0) / cells if cells else 0.0


# --- Running one notebook ---------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[list[int]]:
    """Hold the output folder for this run; yields the file number that the child inherits.

    After `kill -9` the old child still holds the lock while it ends itself, so a resumed run waits.
    Raises CourseError when another run keeps it. Some network drives can't lock: then nothing.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield []
        return
    with (folder / ".lock").open("w", encoding="utf-8") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{folder}: another run is writing into this folder"
                    cure = "wait for it, end it, or choose another output folder"
                    raise CourseError(message, cure) from None
                time.sleep(0.1)
            except OSError:
                break
        yield [lock.fileno()]


def _start_worker(
    job: Job, log: IO[bytes], environment: Mapping[str, str], cwd: Path, keep: list[int]
) -> subprocess.Popen:
    """The child process, in a session of its own so that Ctrl-C does not reach it."""
    env = {**os.environ, **environment}
    env[PROGRESS_FILE] = str(job.progress_path)
    root = kit.ROOT
    if (root / "pyproject.toml").exists():  # a plain clone: the kernel must find course_utils too
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), env.get("PYTHONPATH")]))
    # -P: a file named like a library in the working folder must not be imported in its place.
    command = [sys.executable, "-P", "-c"]
    return subprocess.Popen(
        [*command, "from course_utils.execution.worker import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=cwd,
        env=env,
        start_new_session=True,
        pass_fds=keep if os.name == "posix" else (),
    )


def _send_job(process: subprocess.Popen, job: Job, sockets: str) -> None:
    text = json.dumps(
        {
            "source": str(job.source),
            "output": str(job.path(".partial.ipynb")),
            "parameters": job.passed,
            "sockets": sockets,
        },
        default=str,
    )
    with contextlib.suppress(OSError):  # a worker that is dead already says so by its exit status
        process.stdin.write(text.encode("utf-8") + b"\n")
        process.stdin.flush()  # and stays open: the worker ends when it closes


def _events(process: subprocess.Popen) -> "queue.Queue[dict | None]":
    """The worker's JSON lines as a queue; None when it has closed its end."""
    events: queue.Queue[dict | None] = queue.Queue()

    def pump() -> None:
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                events.put(json.loads(line))
        events.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return events


def _follow(
    process: subprocess.Popen, job: Job, index: int, display: PlainDisplay, seen: dict[str, Any]
) -> dict[str, Any]:
    """Watch a worker until it ends; return its verdict, or {"status": "timed_out", ...}.

    `seen` (cell, cells, kernel) is kept up to date meanwhile.
    """
    started, events = time.monotonic(), _events(process)
    verdict: dict[str, Any] = {}
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                event = events.get(timeout=TICK_SECONDS)
                if event is None:
                    break
                (verdict if event.pop("event") == "end" else seen).update(event)
            elapsed = time.monotonic() - started
            if job.limit and elapsed > job.limit and not verdict:
                return {**seen, **_time_is_up(job)}
            fine = read_progress(job.progress_path)
            display.tick(index, elapsed, seen["cell"], seen["cells"], fine)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WORKER_EXIT_SECONDS)
    finally:
        _end_worker(process, seen["kernel"])
    return verdict or {**seen, "status": "failed", "error": _worker_death(process.returncode)}


def _time_is_up(job: Job) -> dict[str, Any]:
    minutes = f"{job.limit / 60:g} min"
    return {
        "status": "timed_out",
        "error": f"TimeLimit: not finished within {minutes}, the limit for this notebook",
        "cure": "raise the limit (--time-limit MINUTES) or give the notebook less to do",
    }


def _worker_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"the notebook's process was ended by {name}: the machine may have run out of memory"
    return f"the notebook's process ended early with exit code {code}: the log says why"


def _end_worker(process: subprocess.Popen, kernel: int | None) -> None:
    """End a worker and all below it; a second Ctrl-C meanwhile cuts the grace short."""
    import psutil

    if process.poll() is None:
        tree = [*descendants(process.pid), psutil.Process(process.pid)]
        try:
            _interrupt(process, kernel)
            end_processes({*tree, *descendants(process.pid)}, TERMINATE_GRACE)
        except KeyboardInterrupt:
            end_processes({*tree, *descendants(process.pid)}, 0)
    elif kernel and process.returncode:  # the worker died: its kernel's family may still run
        with contextlib.suppress(psutil.NoSuchProcess):
            end_processes([*descendants(kernel), psutil.Process(kernel)], TERMINATE_GRACE)
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_GRACE)


def _interrupt(process: subprocess.Popen, kernel: int | None) -> None:
    """KeyboardInterrupt in the running cell: the copy then shows where, and finally-blocks run."""
    if kernel is None or os.name != "posix":
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(kernel, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(INTERRUPT_GRACE)


def _run_job(
    job: Job,
    index: int,
    environment: Mapping[str, str],
    cwd: Path,
    display: PlainDisplay,
    keep: list[int],
) -> NotebookResult:
    """Run one notebook in a child process and give its copy the name that its end deserves."""
    endings = [".ipynb", ".partial.ipynb", ".failed.ipynb", ".log"]
    for path in [*map(job.path, endings), *job.scraps()]:
        path.unlink(missing_ok=True)
    display.start(index)
    clock, started = time.monotonic(), datetime.now(UTC).isoformat()
    partial, log_path = job.path(".partial.ipynb"), job.path(".log")
    seen: dict[str, Any] = {"cell": 0, "cells": 0, "kernel": None}
    try:
        temporary = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
        with log_path.open("wb") as log, temporary as sockets:
            process = _start_worker(job, log, environment, cwd, keep)
            _send_job(process, job, sockets)
            verdict = _follow(process, job, index, display, seen)
    except KeyboardInterrupt:
        result = job.result("interrupted", seconds=time.monotonic() - clock, log=log_path)
        result.cell, result.cells = seen["cell"] or None, seen["cells"]
        result.executed = partial if partial.exists() else None
        result.error = "KeyboardInterrupt: stopped by Ctrl-C"
        raise Interrupted([result]) from None
    finally:
        for path in job.scraps("progress*"):
            path.unlink(missing_ok=True)
    seconds, status = time.monotonic() - clock, verdict["status"]
    executed = job.path(".ipynb" if status == "done" else ".failed.ipynb")
    if partial.exists():
        partial.replace(executed)
    if status == "done":
        finished = datetime.now(UTC).isoformat()
        entry = {"fingerprint": job.fingerprint, "seconds": round(seconds, 1)}
        _remember(job, {**entry, "started": started, "finished": finished})
    return job.result(
        status,
        seconds=seconds,
        cell=verdict.get("cell") or None,
        cells=verdict.get("cells", 0),
        error=verdict.get("error", ""),
        cure=verdict.get("cure", ""),
        executed=executed if executed.exists() else None,
        log=log_path,
    )


# --- Running them all -------------------------------------------------------------------------


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
) -> list[NotebookResult]:
    """Execute notebooks in order; one result each, up to the first failure if that stops the run.

    A notebook gets the parameters that it declares, `environment` on top of this process's, and
    `cwd` (default: the caller's) as working folder. `resume` skips what finished with the same
    cells, parameters and `fingerprint`; in a `chain` also only if the one before didn't run since.
    Raises CourseError for unknown parameters or an unusable folder, Interrupted after Ctrl-C.
    """
    from rich.console import Console

    notebooks, folder = [Path(path) for path in notebooks], Path(out_folder).resolve()
    console, cwd = console or Console(), Path(cwd or Path.cwd()).resolve()
    warnings = validate_parameters(notebooks, parameters)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limits = (time_limit_minutes, fingerprint, expected_minutes)
        jobs = plan_jobs(notebooks, folder, parameters, *limits)
        display_class = TerminalDisplay if console.is_terminal else PlainDisplay
        with _locked(folder) as keep, display_class(console, jobs) as display:
            for warning in warnings:
                display.say(f"Warning: {warning}")
            settings = (environment, cwd, display, keep)
            return _run_all(jobs, resume, stop_on_failure, chain, settings)
    except OSError as error:
        raise CourseError(
            f"{error.filename or folder}: {error.strerror or error}",
            "free some disk space, or choose an output folder that you may write to",
        ) from None


def _run_all(
    jobs: Sequence[Job], resume: bool, stop_on_failure: bool, chain: bool, settings: tuple
) -> list[NotebookResult]:
    """Run, skip or refuse each job. `settings` are the last arguments of _run_job."""
    results: list[NotebookResult] = []
    display, previous, all_again = settings[2], None, False
    for index, job in enumerate(jobs):
        if job.problem:
            result = job.result("invalid", error=job.problem.message, cure=job.problem.cure)
        elif resume and not all_again and _is_fresh(job, previous, chain):
            paths = {"executed": job.path(".ipynb"), "log": job.path(".log")}
            result = job.result("skipped", **paths)
        else:
            all_again = chain  # what follows reads what this one writes
            _remember(job, None)  # from now on, until it finishes, it has not finished
            try:
                result = _run_job(job, index, *settings)
            except Interrupted as interrupted:
                display.end(index, interrupted.results[0])
                raise Interrupted(results + interrupted.results) from None
        previous = job.name
        display.end(index, result)
        results.append(result)
        if stop_on_failure and not result.ok:
            break
    return results


# --- Reporting --------------------------------------------------------------------------------


def failure_lines(result: NotebookResult) -> list[str]:
    """Three lines for a person: notebook and cell, the error (with its cure), the log's path."""
    place = "not started" if result.status == "invalid" else "before its first cell"
    if result.cell:
        place = f"cell {result.cell} of {result.cells}"
    error = "; ".join(filter(None, [result.error, result.cure]))
    where = f"Log: {result.log}" if result.log else f"Notebook: {result.source}"
    return [f"{result.name}, {place}", error or result.status, where]


def summary_table(results: Sequence[NotebookResult]) -> Any:
    """A rich table, one row a notebook: name, status, time, cell, error."""
    from rich.table import Table
    from rich.text import Text

    colours = {"done": "green", "skipped": "cyan", "interrupted": "yellow"}
    table = Table("Notebook", "Status", "Time", "Cell", "Error")
    for result in results:
        ran = result.status not in ("skipped", "invalid")
        table.add_row(
            Text(result.name),
            Text(result.status.replace("_", " "), style=colours.get(result.status, "red")),
            format_seconds(result.seconds) if ran else "",
            f"{result.cell}/{result.cells}" if result.cell else "",
            Text(result.error),
        )
    return table
