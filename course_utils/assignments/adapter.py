"""An adapter, looked at through its two files; no tensor is unpickled and no model is loaded."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.assignments.findings import wrong
from course_utils.assignments.folder import json_object, listed, show, size_text

if TYPE_CHECKING:
    import numpy as np

    from course_utils.assignments.checklist import Visit

FILES = {
    *("adapter_config.json", "adapter_model.safetensors", "README.md", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "generation_config.json"),
}
# Names of the attention layers in the families of models that students use.
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value"}


def config(visit: "Visit") -> str:
    """adapter_config.json is a plain LoRA's: one rank and one alpha for all layers."""
    content = visit.adapter = json_object(
        visit.folder.json(f"{visit.checklist.adapter}/adapter_config.json")
    )
    if content.get("peft_type") != "LORA":
        kind = show(content.get("peft_type"), 30)
        raise wrong("adapter.not_lora", kind=kind, train=visit.checklist.train)
    if content.get("rank_pattern") or content.get("alpha_pattern"):
        raise wrong("adapter.rank_pattern")
    return f"LoRA, r {show(content['r'], 20)}, lora_alpha {show(content['lora_alpha'], 20)}"


def weights(visit: "Visit") -> str:
    """adapter_model.safetensors is one, and holds LoRA matrices only; no tensor is loaded."""
    from safetensors import SafetensorError, safe_open

    path = visit.folder.path(f"{visit.checklist.adapter}/adapter_model.safetensors")
    try:  # checks that the header fits the file; no tensor is loaded
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        train = visit.checklist.train
        raise wrong("adapter.not_safetensors", problem=error, train=train) from None
    visit.shapes = {name: shape for name, shape in shapes.items() if "lora_" in name}
    saved = visit.adapter.get("modules_to_save") or []
    others = [
        name
        for name in shapes.keys() - visit.shapes.keys()
        if not name.endswith(".bias") and not any(f".{module}." in name for module in saved)
    ]
    if others or not visit.shapes:
        raise wrong("adapter.other_weights", names=listed(others) or "nothing else")
    size = size_text(visit.folder.files[f"{visit.checklist.adapter}/adapter_model.safetensors"])
    return f"{len(shapes)} tensors, {size}, LoRA matrices only"


def trained(visit: "Visit") -> str:
    """Every value is finite, and not every B matrix is zero."""
    import numpy as np

    path = visit.folder.path(f"{visit.checklist.adapter}/adapter_model.safetensors")
    moved = False
    for name, values in _read_tensors(path, visit.checklist.train):
        if not np.isfinite(values).all():
            raise wrong("adapter.not_finite", name=show(name, 120))
        moved |= matrix_of(name) == "B" and bool(values.any())
    if not moved:
        raise wrong("adapter.never_trained", train=visit.checklist.train)
    return "every value is finite, and the B matrices are not zero"


def matrix_of(name: str) -> str:
    """ "A" or "B" for the two matrices of a LoRA layer, "" for anything else."""
    found = re.search(r"\.lora_(?:embedding_)?([AB])(?:\.|$)", name)
    return found[1] if found else ""


def _read_tensors(path: Path, train: str) -> Iterable[tuple[str, "np.ndarray"]]:
    """(name, float values) of the A and B matrices, one at a time.

    The file was checked by safetensors before; its numpy reader does not know bfloat16.
    """
    import numpy as np

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if not matrix_of(name):
                continue
            if entry["dtype"] not in kinds:
                kind = show(entry["dtype"], 20)
                raise wrong("adapter.number_type", name=show(name, 120), kind=kind, train=train)
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            values = np.frombuffer(file.read(end - start), kinds[entry["dtype"]])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                values = (values.astype("<u4") << 16).view("<f4")
            yield name, values
