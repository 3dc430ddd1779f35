"""`course serve` in a process of its own, as a user starts it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from course_utils import kit

GONE = "499"  # status of a request whose client has hung up
START_SECONDS = 240  # a first start converts; a busy machine is slow, not broken


class Running:
    """A `course serve` in a process of its own."""

    def __init__(self, *words: str | Path, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "course_utils", "serve", *map(str, words)]
        paths = os.pathsep.join([str(kit.ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, **(environment or {})},
        )
        self.said = ""
        self.url = ""
        self._wait()

    def _wait(self) -> None:
        limit = threading.Timer(START_SECONDS, self.process.kill)  # also of a server that is silent
        limit.start()
        try:
            for line in self.process.stdout:
                self.said += line
                if found := re.match(r"ready: (http\S+)", line):
                    self.url = found[1]
                if line.startswith("Ctrl-C"):
                    return
            self.process.wait(10)
        finally:
            limit.cancel()

    def client(self, **options):
        from openai import OpenAI

        wanted = {"api_key": "none", "max_retries": 0, "timeout": 120} | options
        return OpenAI(base_url=f"{self.url}/v1", **wanted)

    def stop(self) -> str:
        """Ask it to end; what it said."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            rest, _ = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
        return self.said + rest


@contextlib.contextmanager
def running(*words, **options):
    server = Running(*words, **options)
    try:
        yield server
    finally:
        server.stop()


def until_idle(http) -> None:
    """Nothing runs any more; an answer given up must not run to its end."""
    deadline = time.monotonic() + 120
    while "course_requests_running 0.0" not in http.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hang_up(http, ask: Callable[[], None]) -> None:
    """Give up answers until the server has counted one.

    The first may end by itself before the server hears of it, and the place is given back a moment
    before the count.
    """
    before, deadline = _hung_up(http), time.monotonic() + 60
    while _hung_up(http) == before:
        assert time.monotonic() < deadline, "no request was counted as given up"
        ask()
        until_idle(http)


def _hung_up(http) -> float:
    from prometheus_client.parser import text_string_to_metric_families  # of the server's extra

    families = text_string_to_metric_families(http.get("/metrics").text)
    found = [one for family in families for one in family.samples]
    return sum(one.value for one in found if one.labels.get("status") == GONE)
