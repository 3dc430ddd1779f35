"""Adapters as GGUF, and the self-test that compares the engine with PyTorch."""

import asyncio
import shutil

import pytest
from random_adapters import random_adapter

from course_utils import chat, models
from course_utils.endpoint import conversion, lora, selftest
from course_utils.endpoint.launch import Choice, engine_for
from course_utils.endpoint.source import find
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.generation import generate_answers

F16 = Choice(engine="llamacpp", form="f16", slots=2, context=512, threads=1)
ORDERS = [f"{part} {fault}" for part in ("PUMP", "CAB", "BOOM", "TRACK", "FAN") for fault in
          ("LEAKING", "BROKEN", "NOISY", "U/S")]  # fmt: skip
PROMPTS = [[{"role": "user", "content": order}] for order in ORDERS]


@pytest.fixture
def altered(adapter, tmp_path):
    """A copy of the adapter whose configuration is changed."""

    def make(**changes):
        folder = tmp_path / "altered"
        shutil.copytree(adapter, folder)
        config = read_json(folder / "adapter_config.json")
        write_json_atomic(folder / "adapter_config.json", config | changes)
        return folder

    return make


def probed(engine, prompts=selftest.PROMPTS):
    async def ask():
        await engine.start()
        try:
            return await selftest.probe(engine, prompts)
        finally:
            await engine.close()

    return asyncio.run(ask())


def differences(source) -> dict[str, float]:
    """Engine against PyTorch, nats a token."""
    engine, _ = engine_for(source, F16)
    return selftest._differences(source, selftest.PROMPTS, probed(engine))


def test_f16_answers_as_generate_does_on_at_least_19_of_20(serving, prepared, tmp_path):
    """On the embedded model: one of random numbers is undecided at every word."""
    source = find(random_adapter(models.prepare_model(), tmp_path / "adapter", spread=0.02))
    engine, _ = engine_for(source, F16)
    found = probed(engine, PROMPTS)
    tokenizer = models.load_tokenizer(str(source.base))
    model = models.load_adapter(models.load_model(str(source.base)), source.adapter)
    tuned = generate_answers(model, tokenizer, PROMPTS, selftest.TOKENS)
    with model.disable_adapter():
        base = generate_answers(model, tokenizer, PROMPTS, selftest.TOKENS)
    assert tuned != base
    for name, answers in (("tuned", tuned), ("base", base)):
        same = [a == probe.text.strip() for a, probe in zip(answers, found[name], strict=True)]
        assert sum(same) >= 19, name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_rslora": True},
        {"lora_alpha": 5},
        {"alpha_pattern": {"q_proj": 64, "layers.1.mlp.down_proj": 3}},
    ],
    ids=str,
)
def test_every_scale_that_peft_knows_is_kept(serving, altered, changes):
    found = differences(find(altered(**changes)))
    assert max(found.values()) < selftest.ALLOWED["f16"]


async def start(engine, check):
    """An engine is ready when its self-test has passed."""
    await engine.start()
    try:
        await check(engine)
    finally:
        await engine.close()


@pytest.mark.parametrize("wrong", ["scale", "rows"])
def test_a_wrong_conversion_is_seen(serving, adapter, monkeypatch, tmp_path, wrong):
    """Half the scale, or queries and keys whose rows were not reordered."""
    if wrong == "scale":
        real = lora.scaling
        monkeypatch.setattr(lora, "scaling", lambda *facts: real(*facts) / 2)
    else:
        monkeypatch.setattr(lora, "_interleaved", lambda heads: lora._as_it_is)
        monkeypatch.setattr(lora, "_same", lambda *facts: True)
    monkeypatch.setattr(conversion, "pair_folder", lambda source: tmp_path)
    engine, check = engine_for(find(adapter), F16)
    with pytest.raises(CourseError, match="tuned: the engine's likelihoods differ"):
        asyncio.run(start(engine, check))


def test_an_adapter_without_effect_is_not_served(serving, nano_model_path, tmp_path):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, target_modules=["q_proj"])  # B is zero before training
    get_peft_model(models.load_model("nano"), config).save_pretrained(tmp_path)
    engine, check = engine_for(find(tmp_path), F16)
    with pytest.raises(CourseError, match="the adapter has no effect"):
        asyncio.run(start(engine, check))


def test_an_adapter_of_another_model_is_named(serving, altered, tmp_path):
    source = find(altered(), base=models.EMBEDDED)
    with pytest.raises(CourseError, match="the adapter is for a matrix of 64 x 128"):
        conversion.adapter_file(source, "q8_0")


def test_dora_is_served_merged(serving, nano_model_path, tmp_path):
    source = find(random_adapter(nano_model_path, tmp_path / "dora", use_dora=True))
    assert source.must_merge
    assert max(differences(source).values()) < selftest.ALLOWED["f16"]


def test_what_the_chat_template_makes_of_a_prompt_is_the_same(serving, adapter, tokenizer):
    """The engine counts as many prompt tokens as training saw."""
    engine, _ = engine_for(find(adapter), F16)
    conversation = [
        {"role": "system", "content": "Answer in JSON."},
        {"role": "user", "content": "PUMP  LEAKING\n\n"},
        {"role": "assistant", "content": "{}"},
        {"role": "user", "content": "äöü ⛏"},
    ]

    async def ask():
        await engine.start()
        try:
            body = {"messages": conversation, "max_tokens": 1, "temperature": 0}
            return await engine.answer("chat", "base", body)
        finally:
            await engine.close()

    counted = asyncio.run(ask())["usage"]["prompt_tokens"]
    assert counted == len(chat.prompt_ids(conversation, tokenizer))
