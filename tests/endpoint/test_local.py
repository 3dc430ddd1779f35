"""The engine that converts nothing: PyTorch behind the same interface."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from random_adapters import random_adapter

from course_utils import models
from course_utils.endpoint import engines, local, selftest
from course_utils.endpoint.app import Options, build
from course_utils.endpoint.local import Transformers, precision_for
from course_utils.endpoint.source import find
from course_utils.generation import generate_answers
from course_utils.hardware import Hardware

QUESTION = [{"role": "user", "content": "GREASE PUMP LEAKING"}]
GREEDY = {"messages": QUESTION, "max_tokens": 8, "temperature": 0}
pytestmark = pytest.mark.usefixtures("serving")


def ask(adapter, *bodies, path="/v1/chat/completions"):
    """The answers to these bodies, from an app in this process."""

    async def run():
        app = build(Transformers(find(adapter)), Options(hosts=("test",)))
        async with app.router.lifespan_context(app):
            await app.state.starting
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return [await client.post(path, json=body) for body in bodies]

    return asyncio.run(run())


def text(answer) -> str:
    return answer.json()["choices"][0]["message"]["content"]


def test_it_answers_as_generate_does(adapter):
    base, tuned = ask(adapter, GREEDY | {"model": "base"}, GREEDY | {"model": "tuned"})
    model = models.load_adapter(models.load_model("nano"), adapter)
    tokenizer = models.load_tokenizer("nano")
    assert text(tuned).strip() == generate_answers(model, tokenizer, [QUESTION], 8)[0]
    with model.disable_adapter():
        assert text(base).strip() == generate_answers(model, tokenizer, [QUESTION], 8)[0]
    assert tuned.json()["usage"]["completion_tokens"] == 8
    assert tuned.json()["choices"][0]["finish_reason"] == "length"


def test_a_stop_string_that_comes_in_two_pieces(adapter):
    [whole] = ask(adapter, GREEDY | {"model": "tuned"})
    stop = text(whole)[5:9]
    cut, streamed = ask(
        adapter,
        GREEDY | {"model": "tuned", "stop": stop},
        GREEDY | {"model": "tuned", "stop": stop, "stream": True},
    )
    assert text(cut) == text(whole)[: text(whole).index(stop)]
    assert cut.json()["choices"][0]["finish_reason"] == "stop"
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert stop not in streamed.text


def test_a_seed_makes_an_answer_come_again(adapter):
    wild = GREEDY | {"model": "tuned", "temperature": 1.5}
    one, again, other = ask(adapter, *(wild | {"seed": seed} for seed in (1, 1, 2)))
    assert text(one) == text(again) != text(other)


def test_what_it_cannot_do_is_a_400(adapter):
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    refused = ask(
        adapter,
        GREEDY | {"model": "tuned", "response_format": schema},
        GREEDY | {"model": "tuned", "frequency_penalty": 1},
        GREEDY | {"model": "tuned", "messages": [{"role": "user", "content": "pump " * 3000}]},
    )
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    codes = [answer.json()["error"]["code"] for answer in refused]
    assert codes == ["schema_not_enforceable", None, "context_length_exceeded"]


def test_a_text_goes_on(adapter):
    body = {"model": "base", "prompt": "GREASE", "max_tokens": 3, "temperature": 0}
    [answer] = ask(adapter, body, path="/v1/completions")
    assert answer.json()["object"] == "text_completion"
    assert answer.json()["usage"]["prompt_tokens"] < 5


def test_it_tells_likelihoods_so_a_weak_adapter_is_told_from_none(nano_model_path, tmp_path):
    weak = random_adapter(nano_model_path, tmp_path / "weak", spread=0.02)

    async def probes():
        engine = Transformers(find(weak))
        await engine.start()
        return await selftest.acts(engine)

    found = asyncio.run(probes())
    assert all(len(probe.tokens) == selftest.TOKENS for probe in found["tuned"])
    assert all(likelihood <= 0 for probe in found["base"] for _, likelihood in probe.tokens)


LAPTOP = Hardware("Linux", "Core i5", cores=4, cpu_bf16=False, ram_gb=8)


@pytest.mark.parametrize(
    ("machine", "precision"),
    [
        (LAPTOP, "fp32"),
        (replace(LAPTOP, cpu_bf16=True), "fp32"),  # as a CPU always answered
        (replace(LAPTOP, mps=True), "fp32"),
        (replace(LAPTOP, gpu_name="T4", gpu_memory_gb=14.7, capability=(7, 5)), "fp16"),
        (replace(LAPTOP, gpu_name="A100", gpu_memory_gb=39.4, capability=(8, 0)), "bf16"),
    ],
    ids=["laptop", "bf16", "mac", "T4", "A100"],
)
def test_a_gpu_holds_the_model_in_16_bits_a_cpu_in_32(machine, precision):
    assert precision_for(machine) == precision


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_model_of_16_bits_acts_with_an_adapter_of_32(adapter, monkeypatch, precision):
    """Here on a CPU, which is told that it is a GPU."""
    monkeypatch.setattr(local, "precision_for", lambda machine: precision)

    async def started():
        engine = Transformers(find(adapter))
        await engine.start()
        await selftest.acts(engine)
        return engine.model

    kinds = {"adapter": set(), "base": set()}
    for name, weights in asyncio.run(started()).named_parameters():
        kinds["adapter" if "lora_" in name else "base"].add(weights.dtype)
    assert kinds == {"adapter": {models.dtype_of("fp32")}, "base": {models.dtype_of(precision)}}


def test_a_machines_owner_decides_what_auto_takes(monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, "transformers")
    assert engines.choose("auto") == "transformers"
    assert engines.choose("llamacpp") == "llamacpp"
