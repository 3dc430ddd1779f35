"""The memory estimate against measured peaks, against autograd, and where it must grow."""

import importlib.util
import json
import time
import timeit
from pathlib import Path

import pytest

from course_utils.errors import CourseError
from course_utils.lab import architectures, memory, parameters

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "memory_estimate.py"
NANO = architectures.get("nano")
MISTRAL = architectures.get("mistral-7b-v0.1")
START = parameters.start_values()


def settings_of(**changes):
    return START | {"gradient_accumulation_steps": 1} | changes


def runs(key="runs"):
    return memory.read_measured()[key]


# ---------------------------------------------------------------- against measurements


@pytest.mark.parametrize("run", runs(), ids=lambda run: f"{run['settings']['precision']}")
def test_the_estimate_is_within_15_percent_of_a_measured_peak(run):
    """Six runs that no constant was chosen with; each in a process of its own."""
    assert memory.estimate_for(run).total == pytest.approx(run["peak_gib"], rel=0.15)


def test_the_six_runs_differ_in_everything_the_estimate_looks_at():
    assert len(runs()) == 6
    for name in ("lora_r", "include_mlp", "precision", "lora_dropout"):
        assert len({run["settings"][name] for run in runs()}) > 1, name
    assert len({run["settings"]["per_device_train_batch_size"] for run in runs()}) > 2
    assert len({run["sequence_length"] for run in runs()}) > 3
    assert {run["checkpointing"] for run in runs()} == {True, False}


def test_no_measured_run_was_used_to_choose_a_constant():
    def key(run):
        return json.dumps([run["settings"], run["sequence_length"], run["checkpointing"]])

    assert not {key(run) for run in runs()} & {key(run) for run in runs("chosen_with")}


def test_the_measurements_say_where_they_were_made():
    about = memory.read_measured()["about"]
    assert about["hardware"]["cpu_model"]
    assert {"torch", "transformers", "trl", "peft"} <= set(about["versions"])
    assert "VmHWM" in about["peak"]


# ---------------------------------------------------------------- against autograd


@pytest.mark.parametrize(
    ("precision", "dropout", "include_mlp", "checkpointing"),
    [
        ("fp32", 0.0, True, False),
        ("fp32", 0.05, True, False),
        ("fp32", 0.0, False, False),
        ("bf16", 0.0, True, False),
        ("bf16", 0.05, False, False),
        ("bf16", 0.05, True, True),
    ],
)
def test_kept_bytes_are_those_that_autograd_keeps(
    precision, dropout, include_mlp, checkpointing, nano_model_path
):
    """Every tensor that waits for the backward pass, on a real model. The estimate leaves out
    labels and rotary angles, below 3 % at this small size."""
    settings = settings_of(
        precision=precision, lora_dropout=dropout, include_mlp=include_mlp, lora_r=4,
        per_device_train_batch_size=2,
    )  # fmt: skip
    quantization = {"fp32": "none32", "bf16": "none16"}[precision]
    batch = memory._batch_of(settings, quantization, 24, "cpu")
    expected = memory._kept(NANO, settings, batch, quantization, checkpointing)
    assert kept_by_autograd(settings, checkpointing) == pytest.approx(expected, rel=0.03)


def kept_by_autograd(settings, checkpointing):
    """Bytes of all tensors that one forward pass of 2 x 24 tokens saves, parameters left out."""
    import torch
    from peft import LoraConfig, get_peft_model
    from trl.trainer.utils import add_fused_lm_head

    from course_utils import models, training

    model = models.load_model("nano", settings["precision"])
    if checkpointing:
        model.gradient_checkpointing_enable()
    add_fused_lm_head(model, outputs=("log_probs",))
    config = LoraConfig(
        r=settings["lora_r"],
        lora_dropout=settings["lora_dropout"],
        target_modules=training.target_modules(settings["include_mlp"]),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, config).train()
    if checkpointing:
        model.enable_input_require_grads()
    ids = torch.randint(5, 1000, (2, 24))
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0  # padding, as in real batches
    parameters_at = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters_at:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    half = torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bf16")
    with half, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(input_ids=ids, attention_mask=mask, labels=ids, fused_lm_head=True)
    assert outputs.loss.requires_grad
    return sum(size for size, _ in kept.values())


# ---------------------------------------------------------------- how it moves


def test_four_bits_need_about_a_quarter_of_the_weights():
    """0.516 bytes a weight instead of 2, with embeddings and output layer left in 16 bit."""
    nf4 = memory.memory_estimate(MISTRAL, "nf4", START, 512)
    none16 = memory.memory_estimate(MISTRAL, "none16", START, 512)
    assert none16.weights == pytest.approx(7.2417e9 * 2 / 2**30, rel=1e-4)
    assert 0.25 < nf4.weights / none16.weights < 0.30


@pytest.mark.parametrize("quantization", ["none16", "nf4"])
def test_weights_have_the_size_of_a_real_model_in_that_format(quantization, benchmark_module):
    """The model of random weights that the benchmark trains on a GPU, made here in small."""
    request = {"architecture": "nano", "quantization": quantization, "device": "cpu"}
    request["settings"] = {"precision": "bf16"}
    model = benchmark_module.random_model(request)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        if state is not None:  # the scales of 4-bit blocks, and the scales of these
            size += state.absmax.numel() + 4 * state.state2.absmax.numel()
    assert size == pytest.approx(memory.weights_bytes(NANO, quantization), rel=0.001)


def test_a_small_model_keeps_the_kind_of_the_large_one(benchmark_module):
    """Qwen2's queries, keys and values have biases, Mistral's have none."""
    found = {}
    for name in ("qwen2.5-7b", "mistral-7b-v0.1"):
        request = {"architecture": name, "quantization": "nf4", "device": "cpu", "tiny": True}
        model = benchmark_module.random_model(request | {"settings": {"precision": "fp32"}})
        parts = {part for part, _ in model.named_parameters()}
        found[type(model).__name__] = "model.layers.0.self_attn.q_proj.bias" in parts
        assert all(parameter.device.type == "cpu" for parameter in model.parameters())
    assert found == {"Qwen2ForCausalLM": True, "LlamaForCausalLM": False}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_parts_add_up_and_grow_with_batch_length_and_rank(device):
    def total(**changes):
        length = changes.pop("length", 512)
        return memory.memory_estimate(MISTRAL, "none16", settings_of(**changes), length, device)

    base = total()
    assert base.total == pytest.approx(sum(base.parts.values()))
    assert total(per_device_train_batch_size=4).total > base.total
    # As many tokens in longer records: attention's mask grows with the square of the length.
    twice = total(per_device_train_batch_size=4)
    assert total(length=1024).activations > twice.activations > base.activations
    assert total(lora_r=32).optimizer == pytest.approx(2 * base.optimizer)


def test_checkpointing_trades_activations_for_time():
    plain = memory.memory_estimate(MISTRAL, "nf4", START, 512)
    again = memory.memory_estimate(MISTRAL, "nf4", START, 512, checkpointing=True)
    assert again.activations < plain.activations / 3


def test_whole_logits_cost_more_than_tiles():
    tiles = memory.memory_estimate(MISTRAL, "nf4", START, 512)
    whole = memory.memory_estimate(MISTRAL, "nf4", START, 512, whole_logits=True)
    assert whole.logits > 3 * tiles.logits


def test_only_what_was_measured_says_so():
    assert memory.memory_estimate(NANO, "none32", START, 64, "cpu").measured
    assert not memory.memory_estimate(MISTRAL, "nf4", START, 64, "cuda").measured


def test_unknown_names_are_refused_with_a_cure():
    with pytest.raises(CourseError, match="int2"):
        memory.memory_estimate(NANO, "int2", START, 64)
    with pytest.raises(CourseError, match="tpu"):
        memory.memory_estimate(NANO, "nf4", START, 64, "tpu")


def test_an_estimate_takes_less_than_a_millisecond_or_so():
    def estimate():
        memory.memory_estimate(MISTRAL, "nf4", START, 512)

    assert min(timeit.repeat(estimate, timer=time.process_time, number=20, repeat=5)) / 20 < 0.005


# ---------------------------------------------------------------- the benchmark


@pytest.fixture(scope="module")
def benchmark_module(prepared):
    spec = importlib.util.spec_from_file_location("memory_estimate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_prints_a_line_for_each_measured_run(benchmark_module, capsys):
    assert benchmark_module.main([]) == 0
    assert capsys.readouterr().out.count("smollm2-135m-instruct") == 6


def test_without_a_gpu_the_gpu_mode_says_so_in_two_lines(benchmark_module, capsys):
    from course_utils import hardware

    if hardware.detect().gpu_name is not None:
        pytest.skip("there is a GPU")
    assert benchmark_module.main(["--gpu"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Error: there is no CUDA GPU here"
    assert len(lines) == 2
