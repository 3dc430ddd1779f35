"""kill -9 at ten moments of two trainings in one folder: nothing foreign goes, both end well."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from course_utils import ownership
from course_utils.records import write_records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL, fork")
LIMIT = 120  # seconds that one moment may take to come
ADAPTERS = ("adapter_r4", "adapter_r8")
# One process imports the libraries once and forks for each training: this test is about where a
# training dies, not about how Python starts.
SERVER = """
import json, os, signal, sys, traceback
import torch, datasets, peft, transformers, trl
from course_utils.assignments import scripts
from course_utils.lab import recording
script = recording.load_script()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
for line in sys.stdin:
    log, *words = json.loads(line)
    child = os.fork()
    if child == 0:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1), os.dup2(handle, 2)
        try:
            with scripts.command_line():
                script.main(words)
        except SystemExit as end:  # a message with its cure
            print(end)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(0)
    print(child, flush=True)
"""
# What lies in an adapter's folder when a training is killed: each comes after the one before.
MOMENTS = (
    ownership.MARK,
    "checkpoints/settings.json",
    "checkpoints/checkpoint-2",
    "checkpoints/checkpoint-2/trainer_state.json",
    "checkpoints/checkpoint-4",
    "checkpoints/checkpoint-6/trainer_state.json",
    "checkpoints/checkpoint-8",
    ownership.UNFINISHED,
    "adapter_model.safetensors",
    "training.json",
)


@pytest.fixture(scope="module")
def server(nano_model_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate()


@pytest.fixture
def folder(tmp_path):
    """A folder in which somebody already works, with everyday names, and some records."""
    rows = [
        {"system": "", "instruction": f"Hardness of {n}?", "context": "", "answer": f"It is {n}."}
        for n in range(18)
    ]
    write_records(tmp_path / "records.jsonl", rows)
    for name in ("checkpoints/thesis.txt", "checkpoints/checkpoint-2/mine.pt", "training.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"mine": 1}', encoding="utf-8")
    return tmp_path


def start(server, folder, name):
    """Start, or go on with, the training of one adapter; returns its process."""
    words = ["--data", str(folder / "records.jsonl"), "--out", str(folder / name), "--resume"]
    words += [
        "--base_model",
        "nano",
        "--max_length",
        "64",
        "--lora_r",
        name.removeprefix("adapter_r"),
    ]
    words += ["--gradient_accumulation_steps", "1", "--num_train_epochs", "1", "--evaluations", "4"]
    server.stdin.write(json.dumps([str(folder / f"{name}.log"), *words]) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def lives(process):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def kill_at(running, folder, moment):
    """Kill each of the trainings as soon as what it writes is there, or when it has ended.

    Returns the names of those that were killed.
    """
    until, killed = time.monotonic() + LIMIT, set()
    while running:
        for name, process in list(running.items()):
            if (folder / name / moment).exists() or not lives(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed.add(name)
                del running[name]
        assert time.monotonic() < until, f"{moment}: {running}"
        time.sleep(0.001)
    return killed


def wait_for(processes, folder):
    until = time.monotonic() + LIMIT
    while any(map(lives, processes)):
        assert time.monotonic() < until, [p.read_text() for p in folder.glob("*.log")]
        time.sleep(0.02)


def foreign(folder):
    found = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".log"]
    ours = {folder / name for name in ADAPTERS}
    return {p: p.read_bytes() for p in found if not ours & set(p.parents)}


@pytest.fixture
def expected(server, folder):
    """The weights of both adapters when nobody interrupts their trainings."""
    whole = folder / "whole"
    whole.mkdir()
    (whole / "records.jsonl").write_bytes((folder / "records.jsonl").read_bytes())
    wait_for([start(server, whole, name) for name in ADAPTERS], whole)
    return {name: weights(whole, name) for name in ADAPTERS}


def weights(folder, name):
    path = folder / name / "adapter_model.safetensors"
    return path.read_bytes() if path.exists() else None


def test_two_trainings_killed_at_ten_moments_end_as_if_nothing_had_happened(
    server, folder, expected
):
    before, met = foreign(folder), []
    for moment in MOMENTS:
        running = {name: start(server, folder, name) for name in ADAPTERS}
        met += [moment] if kill_at(running, folder, moment) else []
        assert foreign(folder) == before, moment
        for name in ADAPTERS:  # an adapter appears whole or not at all
            assert weights(folder, name) in (None, expected[name]), moment
    assert met[:7] == list(MOMENTS[:7])
    assert len(met) >= 8, met  # the last three are milliseconds apart: a busy machine may miss some
    wait_for([start(server, folder, name) for name in ADAPTERS], folder)
    assert foreign(folder) == before
    for name in ADAPTERS:
        log = (folder / f"{name}.log").read_text(encoding="utf-8")
        assert weights(folder, name) == expected[name], log
        assert (folder / name / "training.json").is_file()
        assert "going on from" in log
        assert "Traceback" not in log


def test_a_second_training_of_the_same_adapter_is_refused_and_the_first_ends_well(server, folder):
    first = start(server, folder, "adapter_r4")
    until = time.monotonic() + LIMIT
    while not (folder / "adapter_r4" / "checkpoints").exists():
        assert time.monotonic() < until
        time.sleep(0.001)
    second = start(server, folder, "adapter_r4")
    wait_for([first, second], folder)
    assert "another training writes this adapter now" in (folder / "adapter_r4.log").read_text()
    assert (folder / "adapter_r4" / "training.json").is_file()
