"""What every engine offers the app, and which one is taken.

An engine gets a request in OpenAI's shape, less the model's name (which it gets apart), and gives
OpenAI-shaped answers or chunks. llamacpp.py, local.py and upstream.py hold the engines.
"""

import os
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from course_utils.errors import CourseError, UsageError

Kind = Literal["chat", "text"]
VARIABLE = "COURSE_ENGINE"  # what `auto` takes, where a machine's owner has decided
NAMES = ("auto", "llamacpp", "transformers", "vllm")


class Engine(Protocol):
    """Answers of one or more models, one name each."""

    name: str
    models: tuple[str, ...]
    slots: int  # requests that it works on at a time
    enforces_schemas: bool
    tells_likelihoods: bool  # on request, in OpenAI's `logprobs`

    async def start(self) -> None:
        """Load the models; CourseError when that fails."""

    async def answer(self, kind: Kind, model: str, body: dict[str, Any]) -> dict[str, Any]:
        """A whole answer; ApiError when the engine refuses the request."""

    def stream(self, kind: Kind, model: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Chunks, the last one with usage figures; closing the iterator ends the generation."""

    async def close(self) -> None:
        """Stop and free everything."""


def choose(wanted: str) -> str:
    """The engine for this machine: llamacpp where it is installed, vllm on a GPU that has it.

    Raises CourseError when the wanted one is not installed.
    """
    if wanted not in NAMES:
        raise UsageError(f"--engine {wanted}: unknown", f"one of: {', '.join(NAMES)}")
    if wanted == "auto" and (forced := os.environ.get(VARIABLE, "auto")) != "auto":
        return choose(forced)
    modules = {"llamacpp": "xllamacpp", "vllm": "vllm", "transformers": "transformers"}
    if wanted != "auto":
        if not find_spec(modules[wanted]):
            raise CourseError(
                f"--engine {wanted}: {modules[wanted]} is not installed",
                "pip install vllm (needs a GPU), or name a running server with --upstream"
                if wanted == "vllm"
                else "pip install -r requirements-serve.txt -c constraints.txt",
            )
        return wanted
    if find_spec("vllm") and _has_gpu():
        return "vllm"
    return "llamacpp" if find_spec("xllamacpp") else "transformers"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
