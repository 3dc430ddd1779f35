"""The zygote: it imports what submissions import, once, and forks a keeper for each.

Rules for this process, each of them a hang or a leak that somebody had:

- no tensor operation: OpenMP's threads do not survive a fork (pytorch #17199)
- no CUDA: a forked child can not use a GPU that its parent has opened
- no zmq context, event loop or HTTP session before the fork
- no secret: a child can read all that was in this memory
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import psutil

from course_utils.execution.sandbox.keeper import keep
from course_utils.execution.warm.child import run

# Modules, or names in them: transformers loads its parts when they are first named.
IMPORTED = (
    *["numpy", "pandas", "torch", "torch.utils.data", "safetensors.torch", "accelerate"],
    *["transformers:AutoModelForCausalLM", "transformers:AutoTokenizer", "transformers:Trainer"],
    *["transformers:TrainingArguments", "transformers:PreTrainedTokenizerFast"],
    *["transformers.models.llama.modeling_llama", "transformers.models.qwen2.modeling_qwen2"],
    *["datasets", "datasets:load_dataset", "peft:LoraConfig", "peft:PeftModel"],
    *["peft:get_peft_model", "trl:SFTTrainer", "trl:SFTConfig", "matplotlib.font_manager"],
    *["ipykernel.kernelapp", "ipykernel.ipkernel", "IPython", "ipywidgets"],
    *["course_utils.training", "course_utils.chat", "course_utils.models"],
)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    started = time.monotonic()
    missing = import_all(json.loads(sys.argv[2]) if len(sys.argv) > 2 else IMPORTED)
    told = {
        "seconds": round(time.monotonic() - started, 2),
        "bytes": psutil.Process().memory_info().rss,
        "missing": missing,
        "threads": other_threads(),
    }
    check_fork_is_safe()
    with contextlib.suppress(OSError):
        control.send(json.dumps(told).encode())
    serve(control)


def import_all(names: Sequence[str]) -> list[str]:
    """Import the names, and call those that end in "()"; returns what is not installed here."""
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asks for a GPU without opening it
    missing = []
    with warnings.catch_warnings(), in_a_notebook():
        warnings.simplefilter("ignore")
        for name in names:
            module, _, part = name.removesuffix("()").partition(":")
            try:
                found = getattr(importlib.import_module(module), part, None)
                if name.endswith("()"):
                    found()
            except ModuleNotFoundError as error:
                missing.append(f"{name} ({error})")
    gc.collect()
    gc.freeze()  # else the first collection in a child copies every page
    return missing


@contextlib.contextmanager
def in_a_notebook():
    """Libraries ask while they are imported whether they show their bars in a notebook."""
    builtins = sys.modules["builtins"]
    builtins.get_ipython = lambda: SimpleNamespace(config={"IPKernelApp": {}})
    try:
        yield
    finally:
        del builtins.get_ipython


def other_threads() -> list[str]:
    """Names of the threads that libraries started: they will be missing in a child."""
    tasks = Path("/proc/self/task").iterdir()
    return sorted((t / "comm").read_text().strip() for t in tasks if t.name != str(os.getpid()))


def check_fork_is_safe() -> None:
    """End with a message where something in this process would not survive a fork."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        sys.exit("an imported library opened the GPU: children could not use it")


def serve(control: socket.socket) -> None:
    """Fork a keeper for each socket that comes over the control socket; end when that closes."""
    while True:
        readable = select.select([control], [], [], 1.0)[0]
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not readable:
            continue
        word, files, _, _ = socket.recv_fds(control, 16, 1)
        if not word:
            return
        connection = socket.socket(fileno=files[0])
        if os.fork() == 0:
            control.close()
            try:
                os.setsid()
                keep(connection, run)
            finally:
                os._exit(0)
        connection.close()
