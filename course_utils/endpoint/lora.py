"""A PEFT adapter as a GGUF adapter, for a base model that was converted before.

llama.cpp's converter reorders the rows of some matrices (queries and keys of Llama), and the
adapter's must be reordered alike. Which, is read off the converted base model itself: each
adapted matrix there equals the original one, as it is or reordered. Anything else is an error.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.errors import CourseError
from course_utils.files import atomic_path, read_json

if TYPE_CHECKING:
    import numpy as np

COLUMNS = 32  # so many of each matrix are compared; a block of Q8_0
CLOSE = 0.02  # relative error of an 8-bit weight, with room
Order = Callable[["np.ndarray"], "np.ndarray"]
Pair = tuple["np.ndarray", "np.ndarray"]  # A (r, in), B (out, r)


def write_adapter(adapter: Path, base: Path, base_gguf: Path, target: Path) -> Path:
    """Write the adapter beside its converted base model; whole or not at all.

    Raises CourseError when a matrix of the adapter is not one of the base model.
    """
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(base_gguf)
    config = read_json(adapter / "adapter_config.json")
    alpha = float(config["lora_alpha"])
    pairs = dict(_pairs(adapter))
    architecture = reader.fields["general.architecture"].contents()
    rows = _matching_rows(reader, architecture, base, pairs)
    with atomic_path(target) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture)
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", alpha)
        for module, (a, b) in pairs.items():
            name, order = rows[module]
            # llama.cpp scales by alpha / rank of the pair; whatever PEFT does beyond goes into B.
            factor = scaling(config, module, len(a)) * len(a) / alpha
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, np.float32))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(order(b) * factor, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return target


def scaling(config: dict[str, Any], module: str, rank: int) -> float:
    """What PEFT multiplies B A with: alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv 2312.03732).

    `alpha_pattern` gives single modules an alpha of their own.
    """
    from peft.utils.other import get_pattern_key  # of several patterns that fit, the first

    patterns = config.get("alpha_pattern") or {}
    alpha = float(patterns.get(get_pattern_key(list(patterns), module), config["lora_alpha"]))
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _pairs(adapter: Path) -> Iterator[tuple[str, Pair]]:
    """(module, its factors) of each adapted matrix."""
    from safetensors import safe_open

    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
        names = set(file.keys())
        for name in sorted(names):
            if not name.endswith(".lora_A.weight"):
                continue
            partner = name.replace(".lora_A.", ".lora_B.")
            if partner not in names:
                raise CourseError(f"{adapter}: {partner} is missing", "save the adapter again")
            a, b = (file.get_tensor(n).float().numpy() for n in (name, partner))
            yield name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"), (a, b)


def _matching_rows(
    reader: Any, architecture: str, base: Path, pairs: dict[str, Pair]
) -> dict[str, tuple[str, Order]]:
    """For each module: its tensor's name in the GGUF file, and how its rows are ordered there."""
    import gguf

    known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    blocks = int(reader.fields[f"{architecture}.block_count"].contents())
    names = gguf.get_tensor_name_map(known[architecture], blocks)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = read_json(base / "config.json")
    heads = {config.get("num_attention_heads"), config.get("num_key_value_heads")} - {None}
    orders: list[Order] = [_as_it_is, *(_interleaved(count) for count in sorted(heads))]
    found = {}
    for module, original in _originals(base, list(pairs)):
        name = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        stored = _first_columns(tensors[name]) if name in tensors else None
        fitting = [o for o in orders if stored is not None and _same(stored, o, original)]
        a, b = pairs[module]
        if name in tensors and [a.shape[1], len(b)] != tensors[name].shape.tolist():
            raise CourseError(
                f"{module}: the adapter is for a matrix of {len(b)} x {a.shape[1]}, the base "
                f"model's is another",
                "name the base model that the adapter was trained on with --base",
            )
        if not fitting:
            raise CourseError(
                f"{module}: this matrix of the adapter has no equal in the converted base model",
                "serve it merged (--merged), or with --engine transformers",
            )
        found[module] = (name, fitting[0])
    return found


def _as_it_is(matrix: "np.ndarray") -> "np.ndarray":
    return matrix


def _interleaved(heads: int) -> Order:
    """Llama's rotary halves of each head, brought side by side as llama.cpp keeps them."""

    def order(matrix: "np.ndarray") -> "np.ndarray":
        rows, columns = matrix.shape
        halves = matrix.reshape(heads, 2, rows // heads // 2, columns)
        return halves.swapaxes(1, 2).reshape(rows, columns)

    return order


def _same(stored: "np.ndarray", order: Order, original: "np.ndarray") -> bool:
    import numpy as np

    try:
        difference = np.abs(order(original) - stored)
    except ValueError:  # the rows do not fall into so many heads
        return False
    return float(difference.mean()) <= CLOSE * float(np.abs(stored).mean())


def _first_columns(tensor: Any) -> "np.ndarray":
    """The first COLUMNS columns of a tensor in a GGUF file, as float32."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

    plain = (GGMLQuantizationType.F32, GGMLQuantizationType.F16)
    if tensor.tensor_type in plain:
        return tensor.data[:, :COLUMNS].astype("float32")
    # Bytes of COLUMNS weights: one block of Q8_0; of BF16, whose blocks are single weights, more.
    blocks = COLUMNS // GGML_QUANT_SIZES[tensor.tensor_type][0]
    size = blocks * GGML_QUANT_SIZES[tensor.tensor_type][1]
    return quants.dequantize(tensor.data[:, :size], tensor.tensor_type)[:, :COLUMNS]


def _originals(base: Path, modules: list[str]) -> Iterator[tuple[str, "np.ndarray"]]:
    """(module, first columns of its weights (out, COLUMNS)) from the base model's safetensors."""
    from safetensors import safe_open

    waiting = set(modules)
    for path in sorted(base.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in sorted(waiting & {key.removesuffix(".weight") for key in file.keys()}):  # noqa: SIM118
                yield name, file.get_slice(f"{name}.weight")[:, :COLUMNS].float().numpy()
                waiting.discard(name)
    if waiting:
        raise CourseError(
            f"{sorted(waiting)[0]}: this matrix of the adapter is not in the base model {base}",
            "name the base model that the adapter was trained on with --base",
        )
