"""The self-test at every start: does the adapter act, and is it the model that was trained?

At the first start the engine is compared with PyTorch: both give each token of the same answers a
likelihood, and the two may differ by rounding only. A wrong scale, a wrong order of rows, another
tokenizer or chat template differ by far more. What the engine answered then is kept, and a later
start, which loads no PyTorch, compares with it.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import models
from course_utils.chat import Messages, prompt_ids
from course_utils.endpoint.conversion import use_idle_cores
from course_utils.endpoint.engines import Engine
from course_utils.endpoint.source import Source
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic

TOKENS = 8  # of each answer that is compared with PyTorch
LATER = 3  # at a later start: a damaged file shows at the first token
# Mean difference of a token's log-likelihood, in nats, that rounding may make. Measured on the
# embedded model with an adapter: f16 0.002, q8_0 0.07.
ALLOWED = {"f16": 0.05, "q8_0": 0.25}
ROUNDING = 1e-3  # nats; batches of another size round differently
PROMPTS: tuple[Messages, ...] = (
    [{"role": "user", "content": "L/H TRACK MOTOR LEAKING OIL"}],
    [{"role": "user", "content": "What should be checked when a bearing runs hot?"}],
    [{"role": "user", "content": "Which mineral absorbs light at 2.2 micrometres?"}],
)


@dataclass(frozen=True)
class Probe:
    """A short greedy answer, and (token, log-likelihood) of its tokens where the engine tells."""

    text: str
    tokens: list[tuple[int, float]]


Probes = dict[str, list[Probe]]


async def probe(
    engine: Engine, prompts: Sequence[Messages] = PROMPTS, tokens: int = TOKENS
) -> Probes:
    """What each model answers to each prompt, asked one after the other.

    So llama.cpp reads what the prompts of a model begin with (its template) only once.
    """

    async def one(model: str, prompt: Messages) -> Probe:
        body = {"messages": prompt, "max_tokens": tokens, "temperature": 0.0, "top_p": 1.0}
        body |= {"logprobs": True, "top_logprobs": 1} if engine.tells_likelihoods else {}
        answer = await engine.answer("chat", model, body)
        choice = answer["choices"][0]
        told = (choice.get("logprobs") or {}).get("content") or []
        pairs = [(int(token.get("id", -1)), float(token["logprob"])) for token in told]
        return Probe(str(choice["message"]["content"]), pairs)

    return {model: [await one(model, prompt) for prompt in prompts] for model in engine.models}


async def acts(
    engine: Engine, prompts: Sequence[Messages] = PROMPTS, tokens: int = TOKENS
) -> Probes:
    """The answers; CourseError when base and tuned do not differ at all.

    Where the words are the same, the likelihoods must differ: a weak adapter is an adapter.
    """
    found = await probe(engine, prompts, tokens)
    if {"base", "tuned"} <= set(found) and _alike(found["base"], found["tuned"]):
        raise CourseError(
            f"base and tuned gave the same answers to {len(prompts)} questions: the adapter has "
            "no effect",
            "train it longer, or look whether the adapter fits the base model (--base)",
        )
    return found


def _alike(first: list[Probe], second: list[Probe]) -> bool:
    if [p.text for p in first] != [p.text for p in second]:
        return False
    pairs = zip(first, second, strict=True)
    differences = [abs(a - b) for p, q in pairs for (_, a), (_, b) in zip(p.tokens, q.tokens)]  # noqa: B905
    return max(differences, default=0.0) < ROUNDING


async def same_as_trained(
    engine: Any, source: Source, form: str, folder: Path, prompts: Sequence[Messages] = PROMPTS
) -> None:
    """`acts`, and the engine computes what PyTorch computes; CourseError otherwise.

    The result is kept in `folder`; a later start is compared with the answers of the first.
    """
    import xllamacpp

    kind = f"{form}-merged" if engine.merged else form
    note = folder / f"verified-{kind}-{xllamacpp.__version__}.json"
    asked = {"prompts": list(prompts), "tokens": TOKENS}
    if (known := _read(note, asked)) is not None:
        _compare_with_first(_texts(await acts(engine, prompts, LATER)), known)
        return
    found = await acts(engine, prompts)
    print("comparing once with the model in PyTorch ...", flush=True)
    differences = await asyncio.to_thread(_differences, source, prompts, found)
    for model, difference in differences.items():
        if not difference <= ALLOWED[form]:
            raise CourseError(
                f"{model}: the engine's likelihoods differ from PyTorch's by {difference:.2f} nats "
                f"a token; rounding explains {ALLOWED[form]}",
                "serve it with --engine transformers, and report which base model it is",
            )
    write_json_atomic(note, {"asked": asked, "answers": _texts(found), "nats_a_token": differences})


def _texts(found: Probes) -> dict[str, list[str]]:
    return {model: [probe.text for probe in probes] for model, probes in found.items()}


def _read(note: Path, asked: dict[str, Any]) -> dict[str, list[str]] | None:
    """The answers of the first start, if it asked the same."""
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return dict(known["answers"]) if known["asked"] == asked else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _compare_with_first(found: dict[str, list[str]], first: dict[str, list[str]]) -> None:
    """`found` holds the beginnings of the first answers.

    Rounding may turn one answer of a model (another number of threads), not two.
    """
    for model, texts in found.items():
        pairs = zip(texts, first.get(model, ()), strict=False)
        changed = sum(not whole.startswith(beginning) for beginning, whole in pairs)
        if changed > 1:
            raise CourseError(
                f"{model}: {changed} of {len(texts)} answers differ from those that were compared "
                "with PyTorch",
                "a converted file may be damaged: delete the folder gguf in the kit's cache",
            )


def _differences(source: Source, prompts: Sequence[Messages], engine: Probes) -> dict[str, float]:
    """Mean difference of the log-likelihoods between engine and PyTorch, for each model."""
    use_idle_cores()
    tokenizer = models.load_tokenizer(str(source.base))
    base = models.load_model(str(source.base))
    model = models.load_adapter(base, source.adapter) if source.adapter else base
    starts = [prompt_ids(prompt, tokenizer) for prompt in prompts]
    found = {}
    for name, probes in engine.items():
        if name == "base":
            with model.disable_adapter():
                found[name] = _mean_difference(model, starts, probes)
        else:
            found[name] = _mean_difference(model, starts, probes)
    return found


def _mean_difference(model: Any, starts: list[list[int]], probes: list[Probe]) -> float:
    import torch

    differences = []
    for start, answer in zip(starts, probes, strict=True):
        tokens = [token for token, _ in answer.tokens]
        ids = torch.tensor([start + tokens], device=model.device)
        with torch.no_grad():
            logits = model(ids).logits[0, len(start) - 1 : -1].float()  # (answer, vocabulary)
        own = logits.log_softmax(-1)[range(len(tokens)), tokens].tolist()
        differences += [abs(a - b) for a, (_, b) in zip(own, answer.tokens, strict=True)]
    return sum(differences) / max(1, len(differences))
