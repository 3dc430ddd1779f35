"""A base model in the zygote, so that the processes forked from it do not load it again.

    Sandbox(..., imports=preload.imports(), environment=preload.environment(base))

The zygote must make no thread that a fork would lose. So it loads with one thread, in which no
OpenMP team is ever started, without transformers' own loading threads, and never onto a GPU.
"""

import json
import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from course_utils import models
from course_utils.execution.warm import zygote
from course_utils.grading.probing.bases import Base

VARIABLE = "COURSE_PRELOAD"
FUNCTION = f"{__name__}:base_model()"
_held: dict[str, Any] = {}


def imports() -> list[str]:
    """The zygote's list, with the base model behind it."""
    return [*zygote.IMPORTED, "course_utils.grading.probing.inside", FUNCTION]


def environment(base: Base) -> dict[str, str]:
    """What tells the zygote which model to load."""
    return {VARIABLE: json.dumps([base.folder, base.precision, base.quantization])}


def base_model() -> None:
    """Load what the environment names. Called in the zygote."""
    import torch

    wanted = json.loads(os.environ.get(VARIABLE, "[]"))
    if not wanted or wanted[2] != "none" or torch.cuda.is_available():
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _held["model"], _held["wanted"] = load(wanted), wanted
    finally:
        torch.set_num_threads(threads)


def held(wanted: Sequence[str]) -> tuple[Any, Any] | None:
    """(model, tokenizer) where this process was forked with just that one."""
    return _held["model"] if _held.get("wanted") == list(wanted) else None


def load(wanted: Sequence[str]) -> tuple[Any, Any]:
    """(model, tokenizer) of [folder, precision, quantization]; on a GPU where there is one."""
    folder, precision, quantization = wanted
    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"
    settings = SimpleNamespace(quantization=quantization, precision=precision)
    model = models.load_model(folder, precision, models.quantization_for(settings))
    return model, models.load_tokenizer(folder)
