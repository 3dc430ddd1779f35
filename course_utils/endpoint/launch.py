"""From what the user named to a running server: source, engine, self-test, examples.

app = app_for(find(folder), Choice(), Options())
"""

import contextlib
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from course_utils.chat import record_messages
from course_utils.endpoint import api, conversion, selftest
from course_utils.endpoint.app import Check, Options, build
from course_utils.endpoint.engines import Engine, choose
from course_utils.endpoint.llamacpp import CONTEXT, LlamaCpp, Weights
from course_utils.endpoint.local import Transformers
from course_utils.endpoint.source import Source
from course_utils.endpoint.upstream import Remote
from course_utils.endpoint.vllm import Vllm
from course_utils.errors import CourseError
from course_utils.jsonlines import read_line

EXAMPLES = 40


@dataclass(frozen=True)
class Choice:
    """How a model is to be served."""

    engine: str = "auto"
    form: str = "q8_0"
    merged: bool = False
    slots: int = 8
    context: int = CONTEXT
    threads: int = 0  # 0: the cores that are idle


def app_for(source: Source, choice: Choice, options: Options) -> FastAPI:
    """The application for a source; converts it first where the engine needs that."""
    engine, check = engine_for(source, choice)
    return build(engine, options, check)


def app_before(upstream: Remote, options: Options) -> FastAPI:
    """The application before another server, by whose model names it is asked."""

    async def check(engine: Engine) -> None:
        await selftest.acts(engine)

    return build(upstream, options, check)


def engine_for(source: Source, choice: Choice) -> tuple[Engine, Check]:
    """The engine and its self-test."""
    name = choose(choice.engine)
    if name == "llamacpp":
        weights = weights_for(source, choice)
        engine: Any = LlamaCpp(weights, choice.slots, choice.context, choice.threads)
        folder = conversion.pair_folder(source)
        return engine, partial(_same, source=source, form=choice.form, folder=folder)
    made = Vllm(source, choice.context, choice.slots) if name == "vllm" else Transformers(source)
    return made, _acts


async def _acts(engine: Engine) -> None:
    await selftest.acts(engine)


async def _same(engine: Engine, **facts: Any) -> None:
    await selftest.same_as_trained(engine, **facts)


def weights_for(source: Source, choice: Choice) -> dict[str, Weights]:
    """The GGUF files for each model name."""
    base = conversion.base_file(source, choice.form)
    if source.adapter is None:
        return {"tuned": Weights(base)}
    if choice.merged or source.must_merge:
        return {
            "base": Weights(base),
            "tuned": Weights(conversion.merged_file(source, choice.form)),
        }
    adapter = conversion.adapter_file(source, choice.form)
    return {"base": Weights(base), "tuned": Weights(base, adapter)}


def examples_of(folder: Path) -> tuple[api.Example, ...]:
    """The first test records of a run, as the model is asked; none where there is no such file."""
    path = Path(folder) / "data" / "test.jsonl"
    if not path.is_file():
        return ()
    found = []
    with path.open("rb") as lines:
        for number, line in enumerate(islice(lines, EXAMPLES), start=1):
            record, _, problems = read_line((number, 0, line), set())
            if record is None or any(problem.severity == "error" for problem in problems):
                continue  # the page offers what can be asked; `course data check` names the rest
            with contextlib.suppress(CourseError, ValueError):  # of no schema; a field is no text
                messages = record_messages(record)
                answer = messages["completion"][0]["content"]
                found.append(api.Example(messages=messages["prompt"], expected=answer))
    return tuple(found)
