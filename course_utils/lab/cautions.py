"""Which settings are known to hurt, in plain words, and who says so.

cautions.warnings(settings, records=1000, architecture=architectures.get("mistral-7b-v0.1"))
"""

from collections.abc import Mapping, Sequence
from typing import Any

from course_utils.lab import memory
from course_utils.lab.architectures import Architecture
from course_utils.lab.arithmetic import (
    LARGE_BATCH,
    answers_cut,
    scale,
    steps,
    truncation,
    warmup_steps,
)
from course_utils.lab.parameters import checked, text_of

NEW_CARDS = {"L4", "A100 40", "A100 80"}  # compute capability 8 or newer: with bf16 units
ENOUGH_STEPS = 20


def warnings(
    settings: Mapping[str, Any],
    records: int,
    architecture: Architecture,
    lengths: tuple[Sequence[int], Sequence[int]] | None = None,
    device: str = "T4",
    quantization: str = "nf4",
) -> list[str]:
    """In plain words, which of these settings are known to hurt, and who says so.

    `lengths` is (tokens of each record, tokens of its prompt); `device` a card of `memory.CARDS`
    or "cpu". An empty list is no promise that the run will be good.
    """
    values = checked(settings)
    return [
        *_rate_warnings(values),
        *_step_warnings(values, records),
        *_adapter_warnings(values),
        *_precision_warnings(values, device),
        *(_length_warnings(values, *lengths) if lengths else []),
        *_memory_warnings(values, architecture, lengths, device, quantization),
    ]


def _rate_warnings(s: Mapping[str, Any]) -> list[str]:
    rate = s["learning_rate"]
    if rate > 5e-3:
        return [
            f"learning rate {text_of(rate)}: far above the range that LoRA is used with (QLoRA, "
            "Unsloth and TRL start at 2e-4); the loss is likely to jump or become NaN"
        ]
    if rate <= 2e-5:
        return [
            f"learning rate {text_of(rate)}: the size for training all weights. LoRA wants about "
            "10 times as much (LoRA Without Regret); the adapter will hardly move"
        ]
    return []


def _step_warnings(s: Mapping[str, Any], records: int) -> list[str]:
    plan = steps(
        records,
        s["per_device_train_batch_size"],
        s["gradient_accumulation_steps"],
        s["num_train_epochs"],
    )
    found = []
    if plan.effective_batch > LARGE_BATCH:
        found.append(
            f"effective batch {plan.effective_batch}: LoRA bears large batches less well than full "
            f"training, keep it at {LARGE_BATCH} or below (LoRA Without Regret, TRL)"
        )
    if plan.effective_batch > records:
        found.append(
            f"effective batch {plan.effective_batch} is more than all {records} records: "
            "each epoch is one step"
        )
    if plan.total < ENOUGH_STEPS:
        found.append(
            f"{plan.total} optimiser steps: too few to learn much, aim at 100 (tinker's guide); "
            "make the effective batch smaller or train longer"
        )
    warm = warmup_steps(plan.total, s["warmup_ratio"])
    if s["lr_scheduler_type"] == "constant" and s["warmup_ratio"] > 0:
        found.append(
            "warmup_ratio does nothing with the scheduler `constant`; choose constant_with_warmup"
        )
    elif warm > plan.total / 3:
        found.append(
            f"warm-up takes {warm} of {plan.total} steps: more than a third of the run goes by at "
            "a low learning rate (Unsloth's guide: 5 to 10 %)"
        )
    if s["logging_steps"] > plan.total:
        found.append(
            f"logging_steps {s['logging_steps']} is more than the {plan.total} steps of the run: "
            "the training loss is one point, at the end"
        )
    elif s["logging_steps"] > plan.total / 5:
        found.append(
            f"logging_steps {s['logging_steps']} leaves {plan.total // s['logging_steps']} points "
            f"of {plan.total} steps: too few to see a curve; {max(1, plan.total // 50)} gives more"
        )
    return found


def _adapter_warnings(s: Mapping[str, Any]) -> list[str]:
    found = []
    ratio = scale(s["lora_alpha"], s["lora_r"])
    if ratio > 8:
        found.append(
            f"alpha / r = {text_of(ratio)}: the adapter is very loud (usual is 1 to 2, Hugging "
            "Face's course); it acts like a learning rate that is too high"
        )
    elif ratio < 0.25:
        found.append(
            f"alpha / r = {text_of(ratio)}: the adapter is very quiet (QLoRA's 16 / 64 = 0.25 is "
            "the lowest in common use); it acts like a learning rate that is too low"
        )
    if not s["include_mlp"]:
        found.append(
            "adapters on attention only: worse than with the MLP layers even at the same number "
            "of parameters (LoRA Without Regret; PEFT's own benchmark points the same way)"
        )
    if s["lora_dropout"] > 0 and s["num_train_epochs"] <= 1:
        found.append(
            f"lora_dropout {text_of(s['lora_dropout'])} with one pass over the data: dropout is "
            "there against learning records by heart, and none is seen twice"
        )
    if s["num_train_epochs"] > 3:
        found.append(
            f"{text_of(s['num_train_epochs'])} epochs: more than the usual 1 to 3 (Unsloth); watch "
            "whether the validation loss rises while the training loss falls"
        )
    return found


def _precision_warnings(s: Mapping[str, Any], device: str) -> list[str]:
    precision = s["precision"]
    if device == "cpu" and precision == "fp16":
        return ["fp16 on a CPU: not available for training; use fp32, or bf16 if the CPU has it"]
    if device == "cpu" and precision == "bf16":
        return [
            "bf16 on a CPU pays only with the instructions for it (avx512_bf16 or amx_bf16); "
            "without them it is several times slower than fp32"
        ]
    if device == "T4" and precision == "bf16":
        return [
            "bf16 on a T4: it has no bf16 units (compute capability 7.5, they came with 8.0), so "
            "bf16 is emulated and slow; use fp16 with the adapter kept in fp32"
        ]
    if device in NEW_CARDS and precision == "fp16":
        return [
            f"fp16 on {device}: numbers above 65504 overflow; this card has bf16, with fp32's range"
        ]
    return []


def _length_warnings(
    s: Mapping[str, Any], lengths: Sequence[int], prompts: Sequence[int]
) -> list[str]:
    found = []
    cut = truncation(lengths, prompts, s["max_length"])
    if cut.answers_cut > 0.05:
        found.append(
            f"max_length {s['max_length']} cuts {cut.answers_cut:.0%} of the answers: the model "
            "learns to stop in the middle; take the 95th to 99th percentile of your lengths"
        )
    if cut.fully_masked > 0:
        found.append(
            f"{cut.fully_masked:.1%} of the records have no answer token left: TRL drops them"
        )
    answers = [length - prompt for length, prompt in zip(lengths, prompts, strict=True)]
    short = answers_cut(answers, s["max_new_tokens"])
    if short > 0.05:
        found.append(
            f"max_new_tokens {s['max_new_tokens']}: {short:.0%} of the reference "
            "answers are longer, so right answers would be cut and scored as wrong"
        )
    return found


def _memory_warnings(
    s: Mapping[str, Any],
    architecture: Architecture,
    lengths: tuple[Sequence[int], Sequence[int]] | None,
    device: str,
    quantization: str,
) -> list[str]:
    if device not in memory.CARDS:
        return []
    width = s["max_length"]
    if lengths:
        width = min(width, max(lengths[0]))
    need = memory.memory_estimate(architecture, quantization, s, width).total
    if need <= memory.CARDS[device]:
        return []
    return [
        f"about {need:.1f} GiB are needed and {device} has {memory.CARDS[device]:g} (an estimate): "
        "halve the batch and double the accumulation, use gradient checkpointing or 4-bit weights"
    ]
