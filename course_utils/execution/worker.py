"""The child process that executes one notebook with papermill.

`execution.execute_notebooks` starts it and talks with it over three pipes:

stdin   one JSON line, the job. It then stays open: when it closes, the parent is gone (even by
        `kill -9`), and the worker ends the kernel, everything below it, and itself.
stdout  JSON lines, the events: start, cell, and last `end` with the verdict.
stderr  the notebook's log: papermill's lines, the cells' outputs, tracebacks.

papermill's own verdict isn't enough: after `sys.exit(0)` in a cell it reports success, and after a
dead kernel it marks cells that never ran "completed". `judge` looks at the executed cells instead.
"""

import contextlib
import ctypes
import json
import logging
import os
import re
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from course_utils.files import write_text_atomic

KERNEL_START_SECONDS = 180  # a busy machine has needed more than papermill's 60
LONGEST_SOCKET_PATH = 90  # a unix socket's path must stay under 104 bytes on macOS
PROGRESS_LINE_SECONDS = 10
ERROR_WIDTH = 400
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DEAD_KERNEL_EXIT = "if no cell calls os._exit, the machine may have run out of memory"


class UnusableNotebook(Exception):
    """The notebook can't be started at all; the arguments are the problem and its cure."""


# --- Ending processes -------------------------------------------------------------------------


def is_gone(process: psutil.Process) -> bool:
    """Ended; a zombie counts, because a container's first process may never collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_gone(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait at most `seconds`; return the processes that still run."""
    deadline = time.monotonic() + seconds
    while (alive := [p for p in processes if not is_gone(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def descendants(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end_processes(processes: Iterable[psutil.Process], grace: float) -> None:
    """Ask the processes to end, wait at most `grace` seconds, then kill what is left."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in wait_gone(processes, grace):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_gone(processes, 5)


def adopt_orphans() -> None:
    """On Linux, a daemon that a cell starts becomes our child, so it can be found and ended."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def hold_leash(parent: int, cleanup: Callable[[], None]) -> None:
    """Block until the parent is gone, then end everything that this worker started."""
    # The pipe closes with the parent. Its process number is asked for as well, every second, since
    # another process that inherited the pipe would hold it open.
    if os.name == "posix":
        while os.getppid() == parent and not select.select([0], [], [], 1.0)[0]:
            pass
    else:
        os.read(0, 1)
    end_processes(descendants(os.getpid()), grace=1)
    cleanup()
    os._exit(1)


# --- The log ----------------------------------------------------------------------------------


# Lines of papermill that mislead: it counts text cells too, and it misreads the parameters cell.
MISLEADING = ("Executing Cell ", "Ending Cell ", "Unable to parse line", "Passed unknown parameter")


class ReadableLog(logging.Filter):
    """Keeps one line of a progress bar per ten seconds: a bar redraws itself ten times a second."""

    last = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith(MISLEADING):
            return False
        record.msg, record.args = ANSI.sub("", text).rstrip("\n"), ()
        if not text.startswith("\r"):
            return bool(text.strip())
        if time.monotonic() - self.last < PROGRESS_LINE_SECONDS:
            return False
        self.last = time.monotonic()
        record.msg = record.msg.rsplit("\r", 1)[-1]
        return bool(record.msg.strip())


def set_up_log() -> logging.Logger:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(ReadableLog())
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.raiseExceptions = False  # a full disk must not turn the log into a second error
    logger = logging.getLogger("papermill")
    logger.setLevel(logging.INFO)
    return logger


# --- Reading and judging a notebook -----------------------------------------------------------


def code_numbers(notebook: dict) -> dict[int, int]:
    """Cell index -> the number that Jupyter shows as `In [number]` after running all cells."""
    numbers: dict[int, int] = {}
    for index, cell in enumerate(notebook["cells"]):
        skipped = "skip-execution" in cell.get("metadata", {}).get("tags", [])
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip() and not skipped:
            numbers[index] = len(numbers) + 1
    return numbers


def one_line(text: str) -> str:
    """An error's text on one line, without colours, the middle left out where it is too long."""
    text = " ".join(ANSI.sub("", text).split())
    if len(text) <= ERROR_WIDTH:
        return text
    return f"{text[: ERROR_WIDTH * 2 // 3]} … {text[-ERROR_WIDTH // 3 :]}"


def judge(notebook: dict) -> dict[str, Any]:
    """The verdict over an executed copy: {"status", "cell", "cells", "error"}.

    A cell tagged `raises-exception` may raise. Any other code cell must have run without error.
    """
    numbers = code_numbers(notebook)
    verdict = {"status": "failed", "cells": len(numbers)}
    for index, number in numbers.items():
        cell = notebook["cells"][index]
        may_raise = "raises-exception" in cell["metadata"].get("tags", [])
        errors = [o for o in cell["outputs"] if o["output_type"] == "error" and not may_raise]
        if errors:
            name, value = errors[-1]["ename"], errors[-1]["evalue"]
            text = f"{name}: {value}".rstrip(": ")
            if name == "SystemExit":
                text += " (the notebook ended itself before its last cell)"
            return {**verdict, "cell": number, "error": one_line(text)}
        if cell["metadata"].get("papermill", {}).get("exception"):
            return {**verdict, "cell": number, "error": "CellExecutionError: the cell failed"}
        if cell.get("execution_count") is None:
            error = "the cell never ran, although the notebook reported success"
            return {**verdict, "cell": number, "error": f"NotExecuted: {error}"}
    return {**verdict, "status": "done", "cell": len(numbers), "error": ""}


def choose_kernel(notebook: dict, logger: logging.Logger) -> tuple[str, str]:
    """(kernel name, language) for a notebook.

    A Python notebook made in another environment names a kernel that isn't here; the course's own
    Python runs it. Raises UnusableNotebook when no kernel fits.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    spec = notebook["metadata"].get("kernelspec", {})
    language = notebook["metadata"].get("language_info", {}).get("name") or spec.get("language")
    wanted, language = spec.get("name") or "python3", language or "python"
    candidates = [wanted, "python3"] if language.lower() == "python" else [wanted]
    for name in candidates:
        with contextlib.suppress(NoSuchKernel):
            KernelSpecManager().get_kernel_spec(name)
            if name != wanted:
                logger.warning(f"No kernel named {wanted} here: running with {name} instead.")
            return name, language
    cure = "install ipykernel: python -m pip install ipykernel"
    if language.lower() != "python":
        cure = "install that kernel, or leave the notebook out: the course runs Python notebooks"
    raise UnusableNotebook(f"no Jupyter kernel named {wanted} ({language})", cure)


# --- Running ----------------------------------------------------------------------------------


class WholeFiles:
    """papermill's way of reading and writing files, with copies written whole or not at all."""

    def read(self, path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    def write(self, text: str, path: str) -> None:
        write_text_atomic(Path(path), text)

    def pretty_path(self, path: str) -> str:
        return path


class Runner:
    """One execution: its job, where it stands, its kernel."""

    def __init__(self, job: dict[str, Any], emit: Callable[..., None], logger: logging.Logger):
        self.job, self.emit, self.logger = job, emit, logger
        self.folder = Path(job["sockets"])  # made and removed by the parent
        self.kernel: Any = None  # the kernel's Popen object
        self.numbers: dict[int, int] = {}
        self.cell: int | None = None

    def cleanup(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def kernel_manager_class(self) -> type:
        """A kernel manager that talks over unix sockets: no port, so no race for one."""
        from jupyter_client import AsyncKernelManager

        runner, socket = self, str(self.folder / "kernel")
        unix = os.name == "posix" and len(socket) < LONGEST_SOCKET_PATH

        class LocalKernelManager(AsyncKernelManager):
            def __init__(self, **kwargs: Any) -> None:
                if unix:
                    kwargs |= {"transport": "ipc", "ip": socket}
                super().__init__(connection_file=str(runner.folder / "kernel.json"), **kwargs)
                runner.manager = self

        return LocalKernelManager

    def on_notebook_start(self, notebook: dict) -> None:
        self.kernel = self.manager.provisioner.process
        self.numbers = code_numbers(notebook)
        self.emit("start", cells=len(self.numbers), kernel=self.kernel.pid)

    def on_cell_start(self, cell: dict, cell_index: int) -> None:
        if cell_index in self.numbers:
            self.cell = self.numbers[cell_index]
            self.emit("cell", cell=self.cell, cells=len(self.numbers))
            if report := os.environ.get("COURSE_PROGRESS_FILE"):  # it was about the cell before
                Path(report).unlink(missing_ok=True)
            self.logger.info(f"--- cell {self.cell} of {len(self.numbers)} ---")

    def execute(self) -> dict[str, Any]:
        """Run the notebook; return the verdict."""
        try:
            self.run_papermill()
        except UnusableNotebook as problem:
            return {"status": "invalid", "error": problem.args[0], "cure": problem.args[1]}
        except Exception as error:  # every end is a verdict, never a silent death of the worker
            return self.explain(error)
        return judge(self.copy())

    def run_papermill(self) -> None:
        # An optional check of addresses in notebooks' schemas, one second to import.
        sys.modules.setdefault("rfc3987_syntax", None)
        kernel_name, language = choose_kernel(self.read(self.job["source"]), self.logger)
        import papermill
        from papermill.iorw import papermill_io

        # papermill fills {placeholders} in paths; a folder's own braces must survive that.
        source, output = (
            self.job[key].replace("{", "{{").replace("}", "}}") for key in ("source", "output")
        )
        papermill_io.register(str(Path(self.job["output"]).parent), WholeFiles())
        papermill.execute_notebook(
            source,
            output,
            parameters=self.job["parameters"],
            kernel_name=kernel_name,
            language=language,
            progress_bar=False,
            log_output=True,
            start_timeout=KERNEL_START_SECONDS,
            kernel_manager_class=self.kernel_manager_class(),
            coalesce_streams=True,
            on_notebook_start=self.on_notebook_start,
            on_cell_start=self.on_cell_start,
        )

    def read(self, path: str) -> dict:
        import nbformat

        return nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)

    def copy(self) -> dict:
        return self.read(self.job["output"])

    def explain(self, error: Exception) -> dict[str, Any]:
        """The verdict for an execution that ended with an exception."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        if isinstance(error, PapermillExecutionError):
            self.logger.error(str(error))
            return self.forgive(judge(self.copy()))
        where = {"status": "failed", "cell": self.cell, "cells": len(self.numbers)}
        if isinstance(error, DeadKernelError):
            text = f"DeadKernelError: {self.kernel_death()}"
        elif self.kernel is None and isinstance(error, RuntimeError):
            text = f"the kernel didn't start: {error}"
        else:
            text = f"{type(error).__name__}: {getattr(error, 'message', error)}"
        self.logger.error(text, exc_info=not isinstance(error, DeadKernelError))
        return {**where, "error": one_line(text), "cure": getattr(error, "cure", "")}

    def forgive(self, verdict: dict[str, Any]) -> dict[str, Any]:
        """papermill also objects to cells tagged `raises-exception`; take its marks out again."""
        if verdict["status"] == "done":
            from papermill.execute import remove_error_markers
            from papermill.iorw import write_ipynb

            write_ipynb(remove_error_markers(self.copy()), self.job["output"])
        return verdict

    def kernel_death(self) -> str:
        """How the kernel ended, in words, naming memory where it may be the cause."""
        code = self.kernel.poll() if self.kernel else None
        if code == -signal.SIGKILL:
            return "the kernel was killed (signal 9): most often the machine ran out of memory"
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the kernel crashed ({name}): a native library failed or memory ran out"
        ending = "" if code is None else f" with exit code {code}"
        return f"the kernel ended{ending}: {DEAD_KERNEL_EXIT}"


def main() -> None:
    """Read the job from stdin, execute it, write events to stdout, end what the notebook left."""
    parent = os.getppid()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # from here on, whatever prints to stdout prints to the log

    def emit(event: str, **fields: Any) -> None:
        with contextlib.suppress(OSError, ValueError):
            events.write(json.dumps({"event": event, **fields}) + "\n")

    job = b""
    while not job.endswith(b"\n"):
        if not (piece := os.read(0, 65536)):
            return
        job += piece
    adopt_orphans()
    runner = Runner(json.loads(job), emit, set_up_log())
    threading.Thread(target=hold_leash, args=(parent, runner.cleanup), daemon=True).start()
    verdict = runner.execute()
    if left := descendants(os.getpid()):
        runner.logger.info(f"Ending {len(left)} processes that the notebook left running.")
        end_processes(left, grace=2)
    emit("end", **verdict)
