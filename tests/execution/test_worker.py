"""The worker's end waits for nobody: not for a heartbeat, nor for itself; bounds stay."""

import logging
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from sandboxes import opened
from small_notebooks import run, write_notebook

from course_utils.execution import running
from course_utils.execution.alone import run_notebook
from course_utils.execution.client import QUEUE
from course_utils.execution.confined import Confined
from course_utils.execution.custody import Custody
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.worker import Runner
from course_utils.execution.workers import WorkerServer

# The heartbeat finds no kernel and opens a socket anew each time, as at the end of a notebook.
ENDS = """
import asyncio, logging, sys, time
from course_utils.execution.worker import Runner
for _ in range(3):
    manager = Runner({"sockets": sys.argv[1]}, print, logging.getLogger()).kernel_manager_class()()
    manager.write_connection_file()
    client = manager.client()
    client.hb_channel.time_to_dead = 0.002
    client.start_channels()
    time.sleep(0.1)
    asyncio.run(manager._async_cleanup_resources())
    client.stop_channels()
"""


def test_a_manager_ends_while_the_heartbeat_opens_sockets(tmp_path):
    command = [sys.executable, "-c", ENDS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_client_has_the_bounds_in_a_context_of_its_own(tmp_path):
    runner = Runner({"sockets": str(tmp_path)}, print, logging.getLogger())
    manager = runner.kernel_manager_class()()
    client = manager.client()
    assert client.context is not manager.context
    assert client.context.rcvhwm == manager.context.rcvhwm == QUEUE


# --- Where something dies, or does not end ------------------------------------------------------

STAYS = """import json, sys, time
sys.stdin.readline()
print(json.dumps({"event": "end", "status": "done", "cells": 0}), flush=True)
time.sleep(600)"""


def test_a_worker_that_told_its_verdict_and_stays_is_ended(tmp_path, monkeypatch):
    def start(job, log, *_):
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-S", "-c", STAYS], stdin=pipe, stdout=pipe)

    monkeypatch.setattr(running, "_start_worker", start)
    monkeypatch.setattr(running, "WORKER_EXIT_SECONDS", 0.5)
    notebook = write_notebook(tmp_path / "one.ipynb", "1")
    assert run([notebook], tmp_path / "out")["one"].status == "done"


def test_a_server_of_workers_that_was_killed_is_started_again(tmp_path):
    notebook = write_notebook(tmp_path / "in" / "one.ipynb", "print(1)")
    with opened("limits") as box, WorkerServer() as server:
        server.process.kill()
        server.process.wait()
        custody = Custody(box, Limits(wall=120), workers=server)
        assert run_notebook(notebook, tmp_path / "out", custody).verdict.text == "finished"


@pytest.mark.parametrize(("code", "reason"), [(-signal.SIGSEGV, "ended"), (-9, "message")])
def test_a_kernel_that_died_is_not_taken_for_one_that_was_cut_off(code, reason):
    confined = Confined.__new__(Confined)
    confined.guard = SimpleNamespace(
        cell_started=1.0, stop=lambda: None, reason={"reason": "message", "limit": 8}
    )
    confined.leash = SimpleNamespace(
        kill=lambda: None, wait=lambda seconds: None, end={"reason": "ended", "code": code}
    )
    assert confined.finish()["reason"] == reason
