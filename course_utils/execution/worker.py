"""The child process that executes one notebook with papermill.

`running.Running` starts it and talks with it over three pipes:

stdin   one JSON line, the job. It then stays open: when it closes, the parent is gone (even by
        `kill -9`), and the worker ends the kernel, everything below it, and itself.
stdout  JSON lines, the events: start, cell, and last `end` with the verdict.
stderr  the notebook's log: papermill's lines, the cells' outputs, tracebacks.

papermill's own verdict isn't enough: after `sys.exit(0)` in a cell it reports success, and after a
dead kernel it marks cells that never ran "completed". `judge` looks at the executed cells instead.
"""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.client import QUEUE, engine_class
from course_utils.execution.confined import Confined
from course_utils.execution.kernels import (
    UnusableNotebook,
    choose_kernel,
    environment_first,
    own_kernel,
    program_of,
)
from course_utils.execution.processes import (
    adopt_orphans,
    descendants,
    end_processes,
    hold_leash,
)
from course_utils.execution.reading import read_notebook
from course_utils.execution.sandbox.verdicts import notebook_verdict
from course_utils.files import write_text_atomic

KERNEL_START_SECONDS = 180  # a busy machine has needed more than papermill's 60
LONGEST_SOCKET_PATH = 90  # a unix socket's path must stay under 104 bytes on macOS
PROGRESS_LINE_SECONDS = 10
ERROR_WIDTH = 400
DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STATUS = {"wall": "timed_out", "cell": "timed_out"}
DEAD_KERNEL_EXIT = "if no cell calls os._exit, the machine may have run out of memory"


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


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk was the cause: no further notebook could write its copy either."""
    causes = (error, error.__cause__, error.__context__)
    return any(getattr(cause, "errno", None) in DISK_FULL for cause in causes)


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


# --- Running ----------------------------------------------------------------------------------


class WholeFiles:
    """papermill's way of reading and writing files.

    It reads what a run starts from, and copies are written whole or not at all.
    """

    def read(self, path: str) -> str:
        return json.dumps(read_notebook(Path(path)))

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
        self.spec: Any = None  # what starts it
        self.numbers: dict[int, int] = {}
        self.cell: int | None = None
        self.reached: list[int] = []
        self.confined = Confined(job["sandbox"], logger) if job.get("sandbox") else None

    def cleanup(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def bound(self, context: Any) -> None:
        """Set how much may wait in the sockets of a context, and how large one message may be."""
        context.rcvhwm = QUEUE  # what does not fit in is dropped without a word
        if self.confined:
            context.maxmsgsize = self.confined.limits.message

    def kernel_manager_class(self) -> type:
        """A kernel manager that talks over unix sockets: no port, so no race for one."""
        from jupyter_client import AsyncKernelManager

        runner, folder = self, self.confined.sockets if self.confined else self.folder
        socket = str(folder / "kernel")
        unix = os.name == "posix" and len(socket) < LONGEST_SOCKET_PATH

        class LocalKernelManager(AsyncKernelManager):
            def __init__(self, **kwargs: Any) -> None:
                if unix:
                    kwargs |= {"transport": "ipc", "ip": socket}
                super().__init__(connection_file=str(folder / "kernel.json"), **kwargs)
                self._kernel_spec = runner.spec
                runner.bound(self.context)
                runner.manager = self

            def client(self, **kwargs: Any) -> Any:
                """A client whose context is its own and has these bounds.

                In the manager's context it could hang: the manager ends that while the client's
                heartbeat may open a socket in it, and an end waits for all sockets.
                """
                client = super().client(**kwargs)
                runner.bound(client.context)
                return client

        return LocalKernelManager

    def on_notebook_start(self, notebook: dict) -> None:
        self.kernel = self.manager.provisioner.process
        self.numbers = code_numbers(notebook)
        self.emit("start", cells=len(self.numbers), kernel=self.kernel.pid or None)

    def on_cell_start(self, cell: dict, cell_index: int) -> None:
        if cell_index in self.numbers:
            self.cell = self.numbers[cell_index]
            self.reached.append(self.cell)
            self.emit("cell", cell=self.cell, cells=len(self.numbers))
            if self.confined:
                self.confined.guard.begin_cell()
            if report := os.environ.get("COURSE_PROGRESS_FILE"):  # it was about the cell before
                Path(report).unlink(missing_ok=True)
            self.logger.info(f"--- cell {self.cell} of {len(self.numbers)} ---")

    def execute(self) -> dict[str, Any]:
        """Run the notebook; return how it ended, with its `verdict`."""
        judged = self._execute()
        end = self.confined.finish() if self.confined else {}
        verdict = notebook_verdict(judged, end, self.reached, self.failed_cells())
        if end.get("reason") not in (None, "ended"):
            judged |= {"status": STATUS.get(verdict.reason, "failed"), "error": verdict.text}
        usage = {
            key: end[key] for key in ("seconds", "cpu", "watching", "peak", "disk") if key in end
        }
        return {**judged, "verdict": verdict.as_json(), "usage": usage}

    def failed_cells(self) -> list[int]:
        """Numbers of the cells whose copy holds an error."""
        with contextlib.suppress(Exception):  # there may be no copy, or half of one
            copy = self.copy()  # papermill puts cells of its own beside the one that failed
            outputs = {n: copy["cells"][i]["outputs"] for i, n in code_numbers(copy).items()}
            return [n for n, o in outputs.items() if any(x["output_type"] == "error" for x in o)]
        return []

    def _execute(self) -> dict[str, Any]:
        try:
            self.run_papermill()
        except UnusableNotebook as problem:
            return {"status": "invalid", "error": problem.args[0], "cure": problem.args[1]}
        except Exception as error:  # every end is a verdict, never a silent death of the worker
            return self.explain(error)
        return judge(self.copy())

    def run_papermill(self) -> None:
        leave_out_slow_imports()
        try:
            source_notebook = read_notebook(Path(self.job["source"]))
        except CourseError as problem:
            raise UnusableNotebook(problem.message, problem.cure) from None
        if self.confined:
            self.spec, kernel_name, language = own_kernel(source_notebook)
            self.confined.take_kernels()
        else:
            self.spec, kernel_name, language = choose_kernel(source_notebook, self.logger)
            environment = environment_first(program_of(self.spec), os.environ)
            os.environ.clear()
            os.environ.update(environment)
        import papermill
        from papermill.engines import papermill_engines
        from papermill.iorw import papermill_io

        # papermill fills {placeholders} in paths; a folder's own braces must survive that.
        source, output = (
            self.job[key].replace("{", "{{").replace("}", "}}") for key in ("source", "output")
        )
        for key in ("source", "output"):
            papermill_io.register(str(Path(self.job[key]).parent), WholeFiles())
        guard = self.confined.guard if self.confined else None
        papermill_engines.register("course", engine_class(guard))
        papermill.execute_notebook(
            source,
            output,
            parameters=self.job["parameters"],
            engine_name="course",
            kernel_name=kernel_name,
            language=language,
            progress_bar=False,
            log_output=True,
            start_timeout=KERNEL_START_SECONDS,
            kernel_manager_class=self.kernel_manager_class(),
            on_notebook_start=self.on_notebook_start,
            on_cell_start=self.on_cell_start,
        )

    def copy(self) -> dict:
        """The executed copy, as far as it was written."""
        import nbformat

        return nbformat.reads(Path(self.job["output"]).read_text(encoding="utf-8"), as_version=4)

    def explain(self, error: Exception) -> dict[str, Any]:
        """The verdict for an execution that ended with an exception."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        if isinstance(error, PapermillExecutionError):
            self.logger.error(str(error))
            return self.forgive(judge(self.copy()))
        where = {"status": "failed", "cell": self.cell, "cells": len(self.numbers)}
        cure = getattr(error, "cure", "")
        if isinstance(error, DeadKernelError):
            text = f"DeadKernelError: {self.kernel_death()}"
        elif self.kernel is None and isinstance(error, RuntimeError):
            text = f"the kernel didn't start: {error}"
        elif self.kernel is None and not isinstance(error, OSError | CourseError):
            where["status"] = "invalid"
            text = f"not a valid notebook ({type(error).__name__}: {error})"
            cure = "open it in Jupyter and save it, or take it out of the list; the log says more"
        else:
            text = f"{type(error).__name__}: {getattr(error, 'message', error)}"
            where["protocol"] = bool(self.confined) and not isinstance(error, OSError | CourseError)
        self.logger.error(text, exc_info=not isinstance(error, DeadKernelError))
        where["disk_full"] = is_disk_full(error)
        return {**where, "error": one_line(text), "cure": cure}

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


def leave_out_slow_imports() -> None:
    """An optional check of addresses in notebooks' schemas, and files on Hadoop: seconds each."""
    for name in ("rfc3987_syntax", "pyarrow"):
        sys.modules.setdefault(name, None)


def import_early() -> None:
    """Everything that `Runner` imports when it runs, for a process that forks workers."""
    leave_out_slow_imports()
    import_module("course_utils.execution.warm.provisioner")
    import_module("papermill")
    engine_class()


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
