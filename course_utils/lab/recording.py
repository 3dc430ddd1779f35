"""What recorded runs share: a process for each, training by train_lora.py, scores, progress.

    for job, run, seconds in recording.in_processes(jobs, body, work, parallel=1): ...

`body(job, target)` trains in a process of its own and writes its result to `target`; the sweeps and
the learning curve are made of such runs.
"""

import contextlib
import io
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from course_utils import compat, hardware, metrics
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic, write_text_atomic
from course_utils.lab import parameters
from course_utils.lab import runs as lab_runs
from course_utils.runs import find_root
from course_utils.schemas import count_of

KEPT = (
    "train_loss", "final_train_loss", "eval_loss", "perplexity", "steps", "tokens", "seconds",
    "cpu_seconds", "peak_memory_gb", "trainable_parameters", "versions", "hardware", "command",
)  # fmt: skip
# Scripts that students get whole, to read and to change; they are no modules of the package.
HANDED_OUT = Path(__file__).parent / "handed_out"
SCORES = ("field_f1", "exact_match", "rougeL")
LOGGED = ("step", "loss", "learning_rate", "grad_norm", "eval_loss")


@dataclass
class Outcome:
    """What a recording did: how many runs were there already, made now, failed."""

    kept: int = 0
    made: int = 0
    failed: list[str] = field(default_factory=list)


def load_script() -> Any:
    """train_lora.py as a module: the file that the starter of the parameter lab is a copy of."""
    spec = spec_from_file_location("train_lora", HANDED_OUT / parameters.SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- one run
def record_run(
    run: dict[str, Any],
    target: Path,
    words_of: Callable[[Path], Sequence[str]],
    train_and_score: Callable[[Sequence[str]], None],
) -> None:
    """Make a run in a folder of its own, write the RUN to `target`; a failure is one with an error.

    `words_of(folder)`: what stands after `train_lora.py`; `train_and_score(words)` fills the RUN.
    """
    compat.quiet_known_noise()
    started = time.time()
    run |= dict.fromkeys((*KEPT, *SCORES, "adapter_mb"))
    run |= {"log": [], "answers": [], "error": None}
    with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as work:
        words = words_of(Path(work))
        run["command"] = " ".join(["python", parameters.SCRIPT, *words]).replace(work, ".")
        try:
            train_and_score(words)
            run["status"] = "diverged" if has_diverged(run) else "ok"
        except (CourseError, RuntimeError, ValueError) as error:
            run |= {"status": "failed", "error": f"{type(error).__name__}: {str(error)[:400]}"}
    run["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    run["total_seconds"] = round(time.time() - started, 1)
    write_json_atomic(target, run)


def train(words: Sequence[str], record: dict[str, Any]) -> tuple[Any, Any]:
    """Train as `train_lora.py` with these words; put what it gave into the RUN at once.

    Returns the trained model and its tokenizer. The scoring that follows may fail: what training
    gave stays in the record.
    """
    script = load_script()
    options = script.read_arguments(words)
    lab_runs.complete(options)
    trained = script.train(options)
    size = (options.out / "adapter_model.safetensors").stat().st_size
    record["adapter_mb"] = round(size / 1e6, 3)
    summary = script.summarise(options, trained)
    record |= {name: finite(summary[name]) for name in KEPT if name != "command"}
    record["log"] = [logged(entry) for entry in summary["log"]]
    return trained.trainer.model, trained.tokenizer


def has_diverged(run: Mapping[str, Any]) -> bool:
    """Whether the validation loss is no number, or half as high again as the loss at the start."""
    losses = [entry["loss"] for entry in run["log"] if entry.get("loss") is not None]
    end = run["eval_loss"]
    return end is None or not losses or end > 1.5 * losses[0]


def scores(answers: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Field F1, exact match and ROUGE-L of answers."""
    found = metrics.score_all(answers, references, names=SCORES)
    return {name: found[name] for name in SCORES}


def finite(value: Any) -> Any:
    """NaN and infinity become None: JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def logged(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a line of the trainer's log."""
    return {
        name: _rounded(finite(float(entry[name])) if name != "step" else entry[name])
        for name in LOGGED
        if name in entry
    }


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


# ---------------------------------------------------------------- many runs
Body = Callable[[Any, Path], None]
DIED = "the process ended before its result was written; its log lies in the work folder"
# What a run takes on one thread of an AMD EPYC without bf16 instructions; finished runs correct it.
SECONDS_A_RUN = 12  # start of the process, loading
SECONDS_A_PASS = 0.69  # a record of 54 tokens forwards and backwards, in fp32
SECONDS_AN_ANSWER = 0.35


def estimate(passes: float, validation: int, answers: int) -> float:
    """Seconds that a run may take: records passed through, validation passes, answers."""
    forward = SECONDS_A_PASS / 3
    return (
        SECONDS_A_RUN + passes * SECONDS_A_PASS + validation * forward + answers * SECONDS_AN_ANSWER
    )


class Clock:
    """Says how long runs will take, from estimates that the finished ones correct."""

    def __init__(self, estimates: Sequence[float], console: Any, parallel: int = 1) -> None:
        self.waiting, self.console, self.parallel = list(estimates), console, parallel
        self.expected = self.real = 0.0
        if self.waiting:
            self._print(f"{self._runs()} to make, {self.left()}")

    def left(self) -> str:
        """The time left in words."""
        correction = self.real / self.expected if self.expected else 1.0
        at_once = max(1, min(self.parallel, len(self.waiting)))
        minutes = sum(self.waiting) * correction / at_once / 60
        return f"about {minutes:.0f} min" if minutes >= 1 else "less than a minute"

    def tell(self, text: str, estimated: float, seconds: float) -> None:
        """Print a line for a finished run: what it gave, its seconds, the time left."""
        self.waiting.remove(estimated)
        self.expected, self.real = self.expected + estimated, self.real + seconds
        left = f"; {self._runs()} left, {self.left()}" if self.waiting else ""
        self._print(f"{text}, {seconds:.0f} s{left}")

    def _runs(self) -> str:
        return count_of(len(self.waiting), "run")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def in_processes(
    jobs: Sequence[Any], body: Body, work: Path, parallel: int
) -> Iterator[tuple[Any, dict[str, Any] | None, float]]:
    """(job, what `body` wrote, seconds) as they finish; None for a process that died.

    Ctrl-C ends all of them.
    """
    context = _context()
    waiting, running = list(jobs), {}
    work.mkdir(parents=True, exist_ok=True)
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                job = waiting.pop(0)
                target = work / f"run-{os.getpid()}-{len(waiting)}.json"
                target.unlink(missing_ok=True)
                arguments = (job, body, target, str(find_root()), parallel)
                process = context.Process(target=_in_process, args=arguments, daemon=True)
                with _uninterrupted():
                    process.start()
                    running[process] = (job, target, time.time())
            multiprocessing.connection.wait([process.sentinel for process in running], timeout=5)
            for process in [p for p in running if not p.is_alive()]:
                job, target, started = running.pop(process)
                found = read_json(target) if target.is_file() else None
                yield job, found, time.time() - started
                target.unlink(missing_ok=True)
    finally:
        for process in running:
            process.terminate()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and a termination wait for the block's end: a process half started is in no list."""
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _context() -> Any:
    """A fork server that has imported the libraries once; elsewhere plain new processes."""
    import multiprocessing.connection

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers", "peft", "trl", "datasets"])
    return context


def _in_process(job: Any, body: Body, target: Path, root: str, parallel: int) -> None:
    """A run's process: its output goes to a log beside the result."""
    os.chdir(root)  # the data's names are relative to it
    _set_threads(parallel)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            body(job, target)
        except BaseException:
            import traceback

            write_text_atomic(target.with_suffix(".log"), text.getvalue() + traceback.format_exc())
            sys.exit(1)


def _set_threads(parallel: int) -> None:
    """As many threads as OMP_NUM_THREADS says; else an equal share of the cores for each run."""
    if "OMP_NUM_THREADS" in os.environ:
        return  # torch has read it
    import torch

    torch.set_num_threads(max(1, hardware.usable_cores() // parallel))


def choose_parallel() -> int:
    """How many runs at once: one a core where memory allows 4 GiB each; one on a GPU."""
    machine = hardware.detect()
    if machine.capability:
        return 1
    return max(1, min(machine.cores, int(machine.ram_gb // 4)))
