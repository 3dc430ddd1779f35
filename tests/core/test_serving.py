"""`course serve` beside a notebook: it answers, it stops, and it says why it does not start."""

import re
import subprocess
import sys

import psutil
import pytest
from random_adapters import random_adapter

from course_utils import kit, latency, serving
from course_utils.errors import CourseError

PROMPT = [{"role": "user", "content": "PUMP LEAKS"}]
SLOW = ("--engine", "transformers")  # converts nothing, and is there without requirements-serve.txt


@pytest.fixture(scope="module")
def adapter(nano_model_path, tmp_path_factory):
    return random_adapter(nano_model_path, tmp_path_factory.mktemp("served") / "adapter")


@pytest.fixture(scope="module")
def server(adapter):
    with serving.serve(adapter, *SLOW) as started:
        yield started


def test_it_tells_its_engine_its_memory_and_how_long_it_took(server):
    assert server.health()["engine"] == "transformers"
    assert server.memory() > 50
    assert server.load_seconds > 0


def test_a_stream_is_timed_and_counts_its_tokens(server):
    timed = latency.of_endpoint(server.client(), "tuned", PROMPT, 6)
    assert 0 < timed.first <= timed.seconds
    assert 1 <= timed.tokens <= 6


def test_requests_at_once_are_all_answered(server):
    timed, seconds = latency.at_once(server.client(), "base", [PROMPT] * 3, 4, users=3)
    assert len(timed) == 3
    assert seconds >= max(one.seconds for one in timed)


def test_an_error_in_the_block_stops_the_server(adapter):
    with pytest.raises(ZeroDivisionError), serving.serve(adapter, *SLOW) as started:
        raise ZeroDivisionError
    assert started.process.poll() is not None
    assert not psutil.pid_exists(started.process.pid)


def test_a_server_that_was_stopped_can_be_stopped_again():
    words = "print('ready: http://127.0.0.1:9', flush=True); import time; time.sleep(60)"
    started = serving.start_program([sys.executable, "-c", words])
    assert psutil.pid_exists(started.process.pid)
    started.stop()
    assert started.process.poll() is not None
    started.stop()  # a second time does nothing


def test_a_program_that_ends_is_told_with_its_last_lines():
    with pytest.raises(CourseError, match="it ended with code 3; its last lines: no such model"):
        serving.start_program([sys.executable, "-c", "print('no such model'); raise SystemExit(3)"])


def test_one_that_is_never_ready_is_stopped():
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(CourseError, match="not ready within 1 s"):
        serving.start_program(command, start_seconds=1)
    assert subprocess.list2cmdline(command) not in {
        subprocess.list2cmdline(p.cmdline()) for p in psutil.Process().children()
    }


def test_the_cure_for_a_missing_llamacpp_installs_it():
    [file] = re.findall(r"pip install -r (\S+)", serving.LLAMACPP_MISSING)
    assert "xllamacpp" in (kit.ROOT / file).read_text(encoding="utf-8")
