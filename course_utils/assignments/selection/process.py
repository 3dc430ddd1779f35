"""One candidate's process: its job and environment, what it wrote, and how it ended."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from course_utils import hardware, kit
from course_utils.assignments.selection.candidates import Candidate, short_name
from course_utils.assignments.selection.measuring import PROMPTS
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.hardware import Hardware
from course_utils.packages import cache_folder
from course_utils.progress import PROGRESS_FILE, read_progress
from course_utils.runs import versions

# What a worker writes about its candidate.
MEASURED = (
    *("parameters", "compute_precision", "memory_gb", "tokens_per_second", "load_seconds"),
    *PROMPTS,
    *("threads", "seconds"),
)


@contextlib.contextmanager
def working_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="course-selection-") as temporary:
            yield Path(temporary)
        return
    place = Path(folder) / "candidates"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"{place}: {error.strerror or error}", "choose another folder") from None
    yield place


def process_environment(machine: Hardware) -> dict[str, str]:
    """The worker's environment: threads as set, else the free cores; no special allocator.

    The allocator settings of a notebook kernel trade memory for speed, so they would be measured.
    """
    special = {name for _, name, _ in hardware.HEAP_OPTIONS}
    environment = {k: v for k, v in os.environ.items() if k not in special}
    if not environment.get("OMP_NUM_THREADS", "").isdigit() or environment.get("COURSE_THREADS"):
        threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(threads)
    root = str(kit.ROOT)
    paths = [root, environment.get("PYTHONPATH", "")]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def job_of(candidate: Candidate, shared: Mapping[str, Any], machine: Hardware) -> dict[str, Any]:
    """All that shapes a candidate's row; equal jobs have equal rows, up to the clock's noise.

    Threads are not part of it: they depend on what else the machine does at the moment.
    """
    compute = candidate.precision
    if compute == "nf4":  # weights in 4 bits, matrix products in what the machine does well
        compute = hardware.choose_precision(machine)[0]
    folder = cache_folder() / "models" / candidate.name
    if Path(candidate.name).expanduser().is_dir():
        folder = Path(candidate.name).expanduser()
    weights = [
        [path.name, path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.glob("*.safetensors"))
    ]
    return {
        "name": candidate.name,
        "precision": candidate.precision,
        "compute": compute,
        **shared,
        "weights": weights,
        "versions": versions(),
        "machine": [machine.cpu_model, machine.gpu_name],
    }


class Worker:
    """One candidate's job, outcome and log files, and the process between them."""

    def __init__(
        self,
        place: Path,
        candidate: Candidate,
        job: Mapping[str, Any],
        environment: Mapping[str, str],
        seconds: float,
    ) -> None:
        text = json.dumps(job, sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
        name = "".join(c if c.isalnum() or c in "-." else "_" for c in short_name(candidate.name))
        stem = f"{name[:60]}-{candidate.precision}-{digest}"
        self.job, self.seconds = job, seconds
        self.job_path, self.out_path = place / f"{stem}.job.json", place / f"{stem}.json"
        self.log_path, self.progress_path = place / f"{stem}.log", place / f".{stem}.progress"
        self.environment = {**environment, PROGRESS_FILE: str(self.progress_path)}

    def saved(self) -> dict[str, Any] | None:
        """The outcome of an earlier run of this job, if it finished."""
        with contextlib.suppress(CourseError):
            outcome = read_json(self.out_path) if self.out_path.is_file() else None
            row = outcome.get("row") if isinstance(outcome, dict) else None
            if isinstance(row, dict) and row.keys() >= set(MEASURED):
                return outcome
        return None

    def run(self, say: Callable[[str], Any]) -> dict[str, Any]:
        """Start the process and wait; the outcome it wrote, or an error that says how it ended."""
        write_json_atomic(self.job_path, self.job)
        self.out_path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "course_utils.assignments.selection"]
        try:
            with (
                self.log_path.open("wb") as log,
                subprocess.Popen(
                    [*command, str(self.job_path), str(self.out_path)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                ) as process,
            ):
                late = self._wait(process, say)
            if late:
                return {"error": f"stopped after {self.seconds / 60:g} minutes", "cure": LATE_CURE}
            return self._outcome(process.returncode)
        finally:
            self.job_path.unlink(missing_ok=True)
            for path in self.progress_path.parent.glob(f"{self.progress_path.name}*"):
                path.unlink(missing_ok=True)

    def _wait(self, process: subprocess.Popen, say: Callable[[str], Any]) -> bool:
        """Until the process ends; True when its time was over. It never outlives this call."""
        end = time.monotonic() + self.seconds
        try:
            while time.monotonic() < end:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(0.5, self.seconds))
                    return False
                seen = read_progress(self.progress_path)
                if seen:
                    say(f"{seen['text']} {seen['done']:.0f}/{seen['total']:.0f}")
            return True
        finally:  # also after Ctrl-C
            if process.poll() is None:
                process.kill()
                process.wait()

    def _outcome(self, code: int) -> dict[str, Any]:
        if self.out_path.is_file():
            outcome = read_json(self.out_path)
            if "row" in outcome:
                self.log_path.unlink(missing_ok=True)
            return outcome
        if code == -getattr(signal, "SIGKILL", 9):
            return {
                "error": "killed by the system, most likely for want of memory",
                "cure": "close other programs, take nf4 or a smaller model",
            }
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1][:160] if lines else "it said nothing"
        return {"error": f"its process ended with code {code}: {last}", "cure": "see the log"}


LATE_CURE = "compare fewer records or shorter answers, or raise the time limit"
