"""What follows from the 13 parameters by arithmetic alone, before anything is trained.

    from course_utils.lab import arithmetic
    arithmetic.steps(records=1000, batch=2, accumulation=8, epochs=2).total     # 126

Steps and learning-rate curve are those of transformers 5.23, adapter sizes those of peft 0.21;
tests compare them with the libraries. Each function takes a few milliseconds at most.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from course_utils.errors import CourseError
from course_utils.lab.architectures import Architecture
from course_utils.lab.parameters import SCHEDULERS
from course_utils.training import target_modules

if TYPE_CHECKING:
    import numpy as np

LARGE_BATCH = 32  # records a step; LoRA Without Regret: keep the effective batch at or below

# ---------------------------------------------------------------- steps


@dataclass(frozen=True)
class Steps:
    """What becomes of the records in training. A step is one move of the weights."""

    per_epoch: int
    total: int
    effective_batch: int  # records behind one step


def steps(records: int, batch: int, accumulation: int, epochs: float) -> Steps:
    """Optimiser steps as the Trainer counts them: an epoch's last, smaller step counts too.

    Raises CourseError for counts below 1.
    """
    for name, value in [("records", records), ("batch", batch), ("accumulation", accumulation)]:
        if value < 1:
            raise CourseError(f"{name} is {value}", "give at least 1")
    per_epoch = math.ceil(math.ceil(records / batch) / accumulation)
    return Steps(per_epoch, max(1, math.ceil(per_epoch * epochs)), batch * accumulation)


# ---------------------------------------------------------------- learning rate


def warmup_steps(total_steps: int, ratio: float) -> int:
    """Steps in which the learning rate climbs; transformers rounds up."""
    return math.ceil(total_steps * ratio)


def learning_rate_curve(
    learning_rate: float, total_steps: int, warmup_ratio: float, scheduler: str
) -> list[float]:
    """The learning rate of each optimiser step, as transformers' get_scheduler sets it.

    With a warm-up the first step has rate 0. Raises CourseError for an unknown scheduler.
    """
    if scheduler not in SCHEDULERS:
        raise CourseError(
            f"lr_scheduler_type: {scheduler!r} is unknown",
            f"choose one of: {', '.join(SCHEDULERS)}",
        )
    warmup = warmup_steps(total_steps, warmup_ratio)
    factors = (_factor(step, total_steps, warmup, scheduler) for step in range(total_steps))
    return [learning_rate * factor for factor in factors]


def _factor(step: int, total: int, warmup: int, scheduler: str) -> float:
    """Share of the full learning rate at a step, 0..1 (transformers/optimization.py)."""
    if scheduler == "constant":  # has no warm-up, whatever the ratio says
        return 1.0
    if step < warmup:
        return step / warmup
    if scheduler == "constant_with_warmup":
        return 1.0
    if scheduler == "inverse_sqrt":
        timescale = warmup or 10_000
        return 1 / math.sqrt((step + timescale - warmup) / timescale)
    left = (total - step) / max(1, total - warmup)
    return left if scheduler == "linear" else 0.5 * (1 + math.cos(math.pi * (1 - left)))


# ---------------------------------------------------------------- lengths


@dataclass(frozen=True)
class Truncation:
    """What max_length cuts. Shares are 0..1; tokens are counted over all records."""

    records_cut: float
    answers_cut: float  # records that lose at least one token of their answer
    answer_tokens_cut: float  # of all answer tokens
    fully_masked: float  # records without any answer token left: nothing to learn


def truncation(
    lengths: Sequence[int], prompt_lengths: Sequence[int], max_length: int
) -> Truncation:
    """What is cut off the end of records of `lengths` tokens, whose answers follow the prompts.

    Raises CourseError when there are no records or the two lists do not fit together.
    """
    import numpy as np

    whole, prompts = _arrays(lengths, prompt_lengths)
    answers, kept = whole - prompts, np.maximum(0, np.minimum(whole, max_length) - prompts)
    all_answers = int(answers.sum())
    return Truncation(
        records_cut=float(np.mean(whole > max_length)),
        answers_cut=float(np.mean(kept < answers)),
        answer_tokens_cut=1 - int(kept.sum()) / all_answers if all_answers else 0.0,
        fully_masked=float(np.mean(kept == 0)),
    )


def _arrays(lengths: Sequence[int], prompts: Sequence[int]) -> "tuple[np.ndarray, np.ndarray]":
    """Both as arrays: thousands of records are counted at every move of a slider."""
    import numpy as np

    if not len(lengths):
        raise CourseError("there are no records to look at", "give at least one record")
    if len(lengths) != len(prompts):
        raise CourseError(
            f"{len(lengths)} records and {len(prompts)} prompts do not fit together",
            "give the length of each record and of its prompt, in the same order",
        )
    whole, before = np.asarray(lengths), np.asarray(prompts)
    if (before > whole).any():
        raise CourseError("a prompt is longer than its record", "count the answer in, too")
    return whole, before


def answers_cut(answer_lengths: Sequence[int], max_new_tokens: int) -> float:
    """Share (0..1) of the reference answers that `max_new_tokens` would cut."""
    answers, _ = _arrays(answer_lengths, answer_lengths)
    return float((answers > max_new_tokens).mean())


# ---------------------------------------------------------------- adapter


@dataclass(frozen=True)
class AdapterSize:
    """A LoRA adapter, counted: r (inputs + outputs) for each layer that it sits on."""

    parameters: int
    by_module: dict[str, int]  # "q_proj" -> parameters in all layers together
    megabytes: float  # of adapter_model.safetensors, 4 bytes a parameter, 1 MB = 10**6 bytes
    share_of_model: float  # 0..1, of base model and adapter together, as peft prints it


def adapter_size(architecture: Architecture, r: int, include_mlp: bool) -> AdapterSize:
    """Parameters and size of an adapter of rank r on attention, or on all linear layers."""
    shapes = architecture.linear_shapes
    by_module = {
        name: architecture.num_hidden_layers * r * sum(shapes[name])
        for name in target_modules(include_mlp)
    }
    count = sum(by_module.values())
    share = count / (architecture.parameters + count)
    return AdapterSize(count, by_module, 4e-6 * count, share)


def scale(alpha: float, r: int) -> float:
    """What the adapter's output is multiplied by: alpha / r (LoRA, arXiv 2106.09685)."""
    return alpha / r


def rslora_scale(alpha: float, r: int) -> float:
    """The same with `use_rslora=True`: alpha / sqrt(r) (rsLoRA, arXiv 2312.03732)."""
    return alpha / math.sqrt(r)


# ---------------------------------------------------------------- number formats


@dataclass(frozen=True)
class Rounded:
    """A number as a format keeps it. `error` is relative to the number; inf after an overflow."""

    value: float
    error: float
    state: Literal["ok", "overflow", "underflow", "rounded"]


# Smallest normal number: below it digits are lost one by one, until nothing is left.
SMALLEST_NORMAL = {"fp16": 2.0**-14, "bf16": 2.0**-126, "fp32": 2.0**-126}


def number_format(value: float, precision: str) -> Rounded:
    """The nearest number that fp16, bf16 or fp32 can hold, ties to even (IEEE 754).

    "underflow": it became 0, or so small that digits were lost. "rounded": off by more than fp32
    is, that is by more than 2**-24 of the number. Raises CourseError for another format.
    """
    if precision not in SMALLEST_NORMAL:
        raise CourseError(f"there is no format {precision!r}", "use fp32, bf16 or fp16")
    value = float(value)
    kept = {"fp32": _fp32, "bf16": _bf16, "fp16": _fp16}[precision](value)
    if not math.isfinite(kept):
        return Rounded(kept, 0.0 if kept == value else math.inf, "overflow")
    error = abs(kept - value) / abs(value) if value else 0.0
    if kept == value or error <= 2.0**-24:
        return Rounded(kept, error, "ok")
    small = abs(value) < SMALLEST_NORMAL[precision]
    return Rounded(kept, error, "underflow" if small else "rounded")


def _fp32(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _fp16(value: float) -> float:
    try:
        return struct.unpack("<e", struct.pack("<e", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def _bf16(value: float) -> float:
    """fp32 without its last 16 bits, rounded to even, as torch converts."""
    single = _fp32(value)
    if not math.isfinite(single):
        return single
    bits = struct.unpack("<I", struct.pack("<f", single))[0]
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def format_table(values: Iterable[float]) -> list[dict[str, Any]]:
    """One row a number: {"value", "fp32", "bf16", "fp16"}, the formats as `Rounded`."""
    return [
        {"value": value} | {name: number_format(value, name) for name in ("fp32", "bf16", "fp16")}
        for value in values
    ]


# ---------------------------------------------------------------- logging


def logging_points(log: Sequence[Mapping[str, Any]], logging_steps: int) -> list[dict[str, float]]:
    """A curve recorded at every step, as the Trainer would have logged it every N steps.

    It writes the mean of the losses since the last point; steps after the last multiple of N are
    never written. Entries without a loss (evaluations) are left out.
    """
    losses = {entry["step"]: entry["loss"] for entry in log if entry.get("loss") is not None}
    points, waiting = [], []
    for step in sorted(losses):
        waiting.append(losses[step])
        if step % logging_steps == 0:
            points.append({"step": step, "loss": sum(waiting) / len(waiting)})
            waiting = []
    return points
