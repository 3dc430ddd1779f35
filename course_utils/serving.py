"""`course serve` beside a notebook or script: started, awaited, and stopped when the block ends.

with serving.serve("runs/my-run") as server:
    server.client().chat.completions.create(model="tuned", ...)
"""

import atexit
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import kit
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from openai import OpenAI

START_SECONDS = 600  # a first start converts the model
STOP_SECONDS = 40  # answers that are being written may end first
LLAMACPP_MISSING = (
    "llama.cpp is not installed, so the endpoint runs on PyTorch: slower, nothing is quantized and "
    "no schema enforced. For llama.cpp: pip install -r requirements-serve.txt -c constraints.txt"
)


@dataclass(frozen=True)
class Served:
    """A running endpoint; `stop` ends it, and so does the end of this process."""

    url: str
    process: subprocess.Popen
    load_seconds: float  # from the command to the first answer, the self-test included

    def client(self, **options: Any) -> "OpenAI":
        """OpenAI's own client, with this server's address."""
        from openai import OpenAI

        wanted = {"api_key": "none needed", "max_retries": 0, "timeout": 600} | options
        return OpenAI(base_url=f"{self.url}/v1", **wanted)

    def health(self) -> dict[str, Any]:
        """What /health tells: status, engine, models."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
            return json.load(answer)

    def memory(self) -> float:
        """Resident memory of the server, in MB."""
        return memory_of(self.process.pid)

    def stop(self) -> None:
        """Let answers end, then end the server; a second call does nothing."""
        atexit.unregister(self.stop)
        _stop(self.process)


def free_port() -> int:
    """A port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_llamacpp() -> bool:
    """Whether the fast engine is installed (requirements-serve.txt)."""
    return find_spec("xllamacpp") is not None


def memory_of(process: int) -> float:
    """Resident memory of a process and its children, in MB."""
    import psutil

    family = psutil.Process(process)
    return sum(p.memory_info().rss for p in (family, *family.children(recursive=True))) / 1e6


def start(folder: Path | str, *options: str, start_seconds: float = START_SECONDS) -> Served:
    """`course serve FOLDER OPTIONS`, on this machine only and a free port.

    What it converts is told as it happens. Raises CourseError with the server's last lines when it
    does not come up.
    """
    command = [sys.executable, "-m", "course_utils", "serve", str(folder), *options]
    return start_program(command, start_seconds)


def start_program(command: Sequence[str], start_seconds: float = START_SECONDS) -> Served:
    """A program that serves and prints a line `ready: http://...` when it answers."""
    with tempfile.TemporaryDirectory(prefix="course-serve-") as temporary:
        log, started = Path(temporary) / "server.log", time.monotonic()
        with log.open("wb") as sink:
            process = _start(command, sink)
        try:
            url = _wait_until_ready(process, log, start_seconds)
        except BaseException:
            _stop(process)
            raise
    served = Served(url, process, time.monotonic() - started)
    atexit.register(served.stop)
    return served


@contextlib.contextmanager
def serve(folder: Path | str, *options: str, **more: Any) -> Iterator[Served]:
    """`start`, and `stop` when the block ends, with or without an error."""
    served = start(folder, *options, **more)
    try:
        yield served
    finally:
        served.stop()


def _start(command: Sequence[str], sink: Any) -> subprocess.Popen:
    paths = [str(kit.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    # A kernel's number of threads was chosen when it started; the server looks for itself.
    environment.pop("OMP_NUM_THREADS", None)
    return subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment)


def _wait_until_ready(process: subprocess.Popen, log: Path, seconds: float) -> str:
    """The address that the server prints; its other lines are printed here."""
    deadline, told = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        for line in (line.rstrip() for line in lines[told:] if line.endswith("\n")):
            told += 1
            if found := re.match(r"ready: (http\S+)", line):
                return found[1]
            if line.startswith(("converting", "comparing", "  done")):
                print(line, flush=True)
        if ended:
            raise _did_not_start(lines, f"it ended with code {process.returncode}")
        time.sleep(0.05)
    raise _did_not_start(lines, f"it was not ready within {seconds:.0f} s")


def _did_not_start(lines: list[str], reason: str) -> CourseError:
    last = " / ".join(line.strip() for line in lines[-3:])
    return CourseError(
        f"the endpoint did not start: {reason}; its last lines: {last or 'none'}",
        "start it in a terminal to see all of it",
    )


def _stop(process: subprocess.Popen) -> None:
    """Ask, then insist."""
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=15)
