"""How much memory a fine-tuning run needs: counted from what the libraries allocate.

    from course_utils import architectures, memory, parameters
    mistral = architectures.get("mistral-7b-v0.1")
    memory.memory_estimate(mistral, "nf4", parameters.start_values(), 512).total   # GiB

Counted for transformers 5.23, peft 0.21 and TRL 1.16, whose SFTTrainer makes the logits in tiles
and never as a whole. On a CPU the kit's trainings keep few of them whole (cpu_speed.py) since the
estimate was checked against measured peaks (data/memory/measured.json); its figures for a GPU were
not measured.
Measure again:  python benchmarks/memory_estimate.py --measure
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_utils import cpu_speed, kit
from course_utils.errors import CourseError
from course_utils.hardware import GIB
from course_utils.lab import architectures
from course_utils.lab.architectures import Architecture
from course_utils.lab.arithmetic import adapter_size
from course_utils.models import NF4_BYTES
from course_utils.training import target_modules

MEASURED_FILE = kit.DATA / "memory" / "measured.json"
# GiB that torch reports as a card's whole memory, each read in an out-of-memory message there:
# T4 GitHub Zheng-Chong/CatVTON#133, L4 ArcInstitute/evo2#190, A100 TianheWu/CoSeR#10 and
# wbfwonderful/Vad-R1#11. The number in a card's name counts differently and is larger.
CARDS = {"T4": 14.56, "L4": 22.03, "A100 40": 39.5, "A100 80": 79.25}
QUANTIZATIONS = ("none32", "none16", "int8", "nf4")

# TRL's tiles of the logits (trl/kernels/chunked_logprob.py): at most so many rows and columns.
TILE_ROWS, TILE_COLUMNS = 4096, 32768
# Backward pass of a tile without Triton: five fp32 tensors of its size (y, z, log p, p, gradient),
# a mask of one byte and two more fp32 tensors while the gradient is formed.
TILE_BYTES = 5 * 4 + 1 + 2 * 4
# Logits as a whole (plain Trainer): their fp32 copy, the log-softmax and the gradient.
WHOLE_LOGITS_BYTES = 4 + 4 + 4
# fp32 tensors of the MLP's width that are alive while one layer runs backward.
BACKWARD_TENSORS = 4

# GiB of a process before its first step, weights and adapter aside: Python, torch, transformers,
# TRL and their libraries. Measured, like the shares below, with glibc 2.36.
CPU_RUNTIME = 0.57
# GiB of a CUDA context: assumed, not measured. It counts on the card, not in torch's own figures.
CUDA_CONTEXT = 0.5
# glibc's heap often cannot give a freed block to the next tensor of the same size: with its
# alignment the request is a little larger, and small objects keep the blocks apart. So a share of
# the short-lived tensors stays behind as holes. Chosen with twelve runs ("chosen_with" in
# measured.json); the estimate is checked with six others ("runs").
HOLES, HOLES_CHECKPOINTING, HOLES_LOGITS = 0.5, 0.3, 0.4


@dataclass(frozen=True)
class Memory:
    """An estimate in GiB, part by part, in the order in which a figure stacks them."""

    weights: float
    adapter: float
    gradients: float
    optimizer: float
    activations: float  # what the forward pass keeps for the backward pass
    logits: float  # the output layer's scratch memory
    overhead: float  # libraries, and what the allocator cannot use again
    measured: bool  # whether estimates of this kind were compared with measurements

    @property
    def parts(self) -> dict[str, float]:
        """Name -> GiB."""
        names = ("weights", "adapter", "gradients", "optimizer", "activations", "logits")
        return {name: getattr(self, name) for name in (*names, "overhead")}

    @property
    def total(self) -> float:
        """GiB at the highest point of the run."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class _Batch:
    """One forward pass: its size, and the bytes of a number in it."""

    size: int
    length: int
    compute: int  # bytes of a number in the layers
    residual: int  # bytes of a number between the layers
    dropout: bool
    noise: int  # bytes that dropout keeps of an input
    products: bool  # attention as plain products (cpu_speed), not PyTorch's fused one

    @property
    def tokens(self) -> int:
        return self.size * self.length


def weights_bytes(architecture: Architecture, quantization: str, compute: int = 2) -> float:
    """Bytes of the frozen base model. Quantization leaves embeddings and norms as they are."""
    linear, other = architecture.linear_parameters, architecture.other_parameters
    if quantization == "none32":
        return 4 * (linear + other)
    if quantization == "none16":
        return 2 * (linear + other)
    if quantization == "nf4":
        return NF4_BYTES * linear + compute * other
    if quantization == "int8":  # a 4-byte scale for each output
        outputs = sum(outputs for _, outputs in architecture.linear_shapes.values())
        return linear + 4 * architecture.num_hidden_layers * outputs + compute * other
    raise CourseError(
        f"quantization {quantization!r} is unknown", f"use {', '.join(QUANTIZATIONS)}"
    )


def kept_by_a_layer(
    architecture: Architecture, settings: Mapping[str, Any], batch: _Batch
) -> float:
    """Bytes that autograd keeps of one layer's forward pass.

    A LoRA module keeps its input for the gradient of A, and r numbers for that of B; the frozen
    layer below keeps nothing. Without dropout in fp32 modules with the same input share it.
    """
    hidden, query, inner = (
        architecture.hidden_size,
        architecture.query_size,
        architecture.intermediate_size,
    )
    with_mlp, modules = settings["include_mlp"], 7 if settings["include_mlp"] else 4
    inputs = 3 * hidden + query + (2 * hidden + inner if with_mlp else 0)
    shared = hidden + (hidden + inner if with_mlp else 0)  # o's input is kept by attention
    own = batch.dropout or batch.compute == 2
    a_token = (
        2 * (4 * hidden + 4)  # two norms, in fp32
        + 3 * query * batch.compute  # queries, keys and values of all heads
        + _kept_by_attention(architecture, batch, own)
        + 3 * inner * batch.compute  # gate, its activation, up
        + (inputs if own else shared) * batch.compute
        + modules * settings["lora_r"] * batch.compute
        + (inputs * batch.noise if batch.dropout else 0)
    )
    return a_token * batch.tokens


def _kept_by_attention(architecture: Architecture, batch: _Batch, own: bool) -> float:
    """Bytes a token of what comes after queries, keys and values.

    `own`: the next module keeps a copy of the result for itself, so it isn't counted here unless
    the fused attention needs it too.
    """
    result = architecture.query_size * batch.compute
    if not batch.products:
        sums = 4 * architecture.num_attention_heads  # softmax's
        return result + sums + batch.length * batch.compute  # the last is the mask
    weights = batch.compute + (4 if batch.compute == 2 else 0)  # in 16 bit, and softmax's in fp32
    mask = 1
    scores = batch.length * (architecture.num_attention_heads * weights + mask)
    return scores + (0 if own else result)


def short_lived(architecture: Architecture, settings: Mapping[str, Any], batch: _Batch) -> float:
    """Bytes of a forward pass's tensors that are soon freed again: three for each adapted layer.

    They are the frozen layer's result, the adapter's, and the adapter's times alpha / r.
    """
    shapes = architecture.linear_shapes
    outputs = sum(shapes[name][1] for name in target_modules(settings["include_mlp"]))
    return architecture.num_hidden_layers * 3 * outputs * batch.compute * batch.tokens


def _loading(architecture: Architecture, weights: float, batch: _Batch) -> float:
    """Bytes of a process that loads the model: both copies of the weights, if it converts them."""
    converted = batch.residual != architecture.file_bytes
    file = architecture.file_bytes * architecture.parameters if converted else 0
    return CPU_RUNTIME * GIB + weights + file


def learned_logits(
    architecture: Architecture, rows: int, compute: int, device: str, whole: bool = False
) -> float:
    """Bytes of scratch memory for `rows` positions at the output layer, at its highest point."""
    vocabulary = architecture.vocab_size
    if whole:
        return rows * vocabulary * (compute + WHOLE_LOGITS_BYTES)
    tile_rows = min(rows, TILE_ROWS)
    gradient = 4 * rows * architecture.hidden_size  # of the hidden states, summed up in fp32
    tile = tile_rows * TILE_COLUMNS * compute
    if device == "cuda":  # Triton works inside the tile
        return tile + gradient
    return tile + gradient + tile_rows * min(vocabulary, TILE_COLUMNS) * TILE_BYTES


def _batch_of(settings: Mapping[str, Any], quantization: str, length: int, device: str) -> _Batch:
    half = quantization in ("none16", "int8") or settings["precision"] != "fp32"
    length = -(-length // 8) * 8  # padded to a multiple of 8
    return _Batch(
        size=settings["per_device_train_batch_size"],
        length=length,
        compute=2 if half else 4,
        residual=2 if half and quantization != "none32" else 4,
        dropout=settings["lora_dropout"] > 0,
        noise=1 if device == "cuda" else 4,
        products=device == "cpu" and length <= cpu_speed.LONGEST,
    )


def memory_estimate(
    architecture: Architecture,
    quantization: str,
    settings: Mapping[str, Any],
    sequence_length: int,
    device: str = "cuda",
    checkpointing: bool = False,
    answer_share: float = 1.0,
    whole_logits: bool = False,
) -> Memory:
    """GiB at the highest point of LoRA training with SFTTrainer, for the widest batch.

    `sequence_length` is the longest record in tokens; `answer_share` the part of the positions
    that is learned (a GPU makes logits only there). `whole_logits` is the plain Trainer's way.
    On a "cpu" the process is counted, as the system reports it (VmHWM on Linux with glibc); on
    "cuda" torch's allocations and the context. Raises CourseError for an unknown name.
    """
    if device not in ("cpu", "cuda"):
        raise CourseError(f"device {device!r} is unknown", "use cpu or cuda")
    batch = _batch_of(settings, quantization, sequence_length, device)
    weights = weights_bytes(architecture, quantization, batch.residual)
    adapter = 4 * adapter_size(architecture, settings["lora_r"], settings["include_mlp"]).parameters
    rows = batch.size * (batch.length - 1)  # the last position predicts nothing
    if device == "cuda":
        rows = max(1, round(rows * answer_share))
    logits = learned_logits(architecture, rows, batch.compute, device, whole_logits)
    kept = _kept(architecture, settings, batch, quantization, checkpointing)
    working = _backward(architecture, settings, batch, quantization, checkpointing)
    if device == "cpu":
        overhead = CPU_RUNTIME * GIB + HOLES_LOGITS * logits
        share = HOLES_CHECKPOINTING if checkpointing else HOLES
        overhead += share * short_lived(architecture, settings, batch)
        trained = weights + 4 * adapter + kept + max(logits, working) + overhead
        overhead += max(0.0, _loading(architecture, weights, batch) - trained)
    else:
        overhead = CUDA_CONTEXT * GIB
    parts = {
        "weights": weights,
        "adapter": adapter,
        "gradients": adapter,
        "optimizer": 2 * adapter,  # Adam's two means
        "activations": kept + max(0.0, working - logits),  # one of the two is the highest point
        "logits": logits,
        "overhead": overhead,
    }
    gib = {name: size / GIB for name, size in parts.items()}
    return Memory(**gib, measured=device == "cpu" and quantization.startswith("none"))


def _kept(
    architecture: Architecture,
    settings: Mapping[str, Any],
    batch: _Batch,
    quantization: str,
    checkpointing: bool,
) -> float:
    """Bytes that wait for the backward pass when the logits are made."""
    hidden, layers = architecture.hidden_size, architecture.num_hidden_layers
    last = batch.tokens * hidden * (4 + batch.compute)  # the last norm, in fp32, and its result
    if checkpointing:  # only each layer's input
        return layers * batch.tokens * hidden * batch.residual + last
    kept = layers * kept_by_a_layer(architecture, settings, batch) + last
    # The first layer's input needs no gradient: its norm and its dropout keep nothing for it.
    kept -= batch.tokens * hidden * (4 + (3 * batch.noise if batch.dropout else 0))
    return kept + _autocast_copies(architecture, settings, batch, quantization)


def _autocast_copies(
    architecture: Architecture, settings: Mapping[str, Any], batch: _Batch, quantization: str
) -> float:
    """Bytes of 16-bit copies that autocast makes of fp32 weights and keeps for the backward."""
    if batch.compute == 4:
        return 0.0
    size = adapter_size(architecture, settings["lora_r"], settings["include_mlp"]).parameters
    return 2 * (size + (architecture.linear_parameters if quantization == "none32" else 0))


def _backward(
    architecture: Architecture,
    settings: Mapping[str, Any],
    batch: _Batch,
    quantization: str,
    checkpointing: bool,
) -> float:
    """Bytes of scratch memory while one layer runs backward; it begins when the logits are gone."""
    working = BACKWARD_TENSORS * 4 * batch.tokens * architecture.intermediate_size
    if checkpointing:  # the layer is computed once more, and kept
        working += kept_by_a_layer(architecture, settings, batch)
    if quantization in ("nf4", "int8"):  # one weight matrix at a time in 16 bit or more
        shapes = architecture.linear_shapes.values()
        working += batch.compute * max(inputs * outputs for inputs, outputs in shapes)
    return working


# ---------------------------------------------------------------- measured values


@lru_cache
def read_measured(path: Path = MEASURED_FILE) -> dict[str, Any]:
    """The measured peaks: {"about": …, "runs": [one dictionary a run, in GiB]}."""
    if not path.is_file():
        raise CourseError(
            f"{path}: there is no such file",
            "measure: python benchmarks/memory_estimate.py --measure",
        )
    return json.loads(path.read_text(encoding="utf-8"))


def estimate_for(run: Mapping[str, Any]) -> Memory:
    """The estimate for a measured run, from its settings alone."""
    return memory_estimate(
        architectures.get(run["architecture"]),
        run["quantization"],
        run["settings"],
        run["sequence_length"],
        device=run["device"],
        checkpointing=run["checkpointing"],
        answer_share=run.get("answer_share", 1.0),
    )
