"""The endpoint: for now `transformers serve` on loopback, started and stopped cleanly.

A faster, documented endpoint with several engines will take this module's place in the course.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from course_utils.errors import CourseError

START_SECONDS = 180


def free_port() -> int:
    """A port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serve_folder(model_folder: Path, start_seconds: float = START_SECONDS) -> Iterator[str]:
    """Serve a merged model on 127.0.0.1 and yield the base address; stopped when the block ends.

    The name to ask for is the folder's path. Raises CourseError with the end of the server's log
    when it does not come up.
    """
    if not (Path(model_folder) / "config.json").is_file():
        raise CourseError(
            f"{model_folder}: this is no merged model (config.json is missing)",
            "merge the adapter first: transformers serve does not load adapters",
        )
    with tempfile.TemporaryDirectory(prefix="course-serve-") as folder:
        log = Path(folder) / "server.log"
        hub = Path(folder) / "hub"  # /v1/models fails unless this folder exists
        hub.mkdir()
        port = free_port()
        with log.open("wb") as sink:
            process = _start(port, hub, sink)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, url, log, start_seconds)
            yield url
        finally:
            _stop(process)


def _start(port: int, hub: Path, sink: object) -> subprocess.Popen:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", device]
    environment = {**os.environ, "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, env=environment)


def _wait_until_ready(process: subprocess.Popen, url: str, log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _did_not_start(log, f"it ended with code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise _did_not_start(log, f"it did not answer within {seconds:.0f} s")


def _did_not_start(log: Path, reason: str) -> CourseError:
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    return CourseError(
        f"transformers serve did not start: {reason}; its last lines: {' / '.join(last)}",
        "install what it needs (pip install -r requirements.txt), or set serve = False",
    )


def _stop(process: subprocess.Popen) -> None:
    """Ask, then insist."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=15)
