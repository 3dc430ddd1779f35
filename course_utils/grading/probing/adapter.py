"""A submission's adapter as the grader takes it: two files, read as data, everything else refused.

    adapter = read_adapter(folder, "models/finetuned_model")    # CourseError with the reason

peft would import what `auto_mapping` names, fetch what `base_model_name_or_path` names, and make
room for whatever rank stands in the file. Here only numbers, names of layers and switches of a
plain LoRA get through, and the header of the weights has to be true before they are opened.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from course_utils.assignments.adapter import matrix_of
from course_utils.assignments.folder import Folder, kind_problem, listed, show, size_text
from course_utils.errors import CourseError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MOST_RANK, MOST_TENSORS, MOST_SIDE = 1024, 20_000, 2_000_000
MOST_HEADER = 20_000_000  # bytes
MOST_NAMES = 2_000
LARGEST = 1e9  # of a number in the configuration: a whole one of 400 digits is no float
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
TRAIN = "save it again with `save_pretrained`, or train again with the kit's script"
# What decides how a plain LoRA computes, and what it may be.
TAKEN = {
    "r": int,
    "lora_alpha": (int, float),
    "lora_dropout": (int, float),
    "target_modules": (list, str),
    "exclude_modules": (list, str),
    "modules_to_save": list,
    "layers_to_transform": (list, int),
    "layers_pattern": (list, str),
    "rank_pattern": dict,
    "alpha_pattern": dict,
    "bias": str,
    "fan_in_fan_out": bool,
    "use_rslora": bool,
    "use_dora": bool,
    "lora_bias": bool,
}
# Says nothing about the result: names, versions, how training began.
IGNORED = {
    *("peft_type", "task_type", "inference_mode", "base_model_name_or_path", "revision"),
    *("peft_version", "megatron_core", "qalora_group_size", "ensure_weight_tying", "auto_mapping"),
    *("init_lora_weights", "loftq_config", "eva_config"),
}
# Ways to begin that leave the base model as it is; others (pissa, olora, loftq) change it too.
PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class Adapter:
    """An adapter that passed: what peft may know of it, and its weights."""

    config: dict[str, Any]
    weights: bytes
    shapes: dict[str, tuple[int, ...]]

    @property
    def digest(self) -> str:
        """Of what decides the answers."""
        text = json.dumps(self.config, sort_keys=True).encode()
        return hashlib.sha256(text + b"\0" + self.weights).hexdigest()


def read_adapter(folder: Folder, where: str) -> Adapter:
    """The adapter below `where`. Raises CourseError that names what is missing or refused."""
    inside = [name for name in folder.files if name.startswith(f"{where}/")]
    for name in (f"{where}/{CONFIG}", f"{where}/{WEIGHTS}"):
        if name not in folder.files:
            link = " (only a link, and no link is followed)" if name in folder.links else ""
            raise CourseError(f"{name}: there is no such file{link}", TRAIN)
        if problem := folder.size_problem(name):
            raise CourseError(f"{name}: {problem}", TRAIN)
    for kind, words in (("pickle", "files that can run code"), ("weights", "base weights")):
        if found := [name for name in inside if kind_problem(name) == kind]:
            raise CourseError(f"{listed(found)}: {words}; an adapter needs none", "delete them")
    if code := [name for name in inside if name.endswith(".py")]:
        raise CourseError(f"{listed(code)}: code beside an adapter is never run", "delete it")
    return make_adapter(folder.json(f"{where}/{CONFIG}"), folder.bytes_of(f"{where}/{WEIGHTS}"))


def make_adapter(config: Any, weights: bytes) -> Adapter:
    """Check both parts, each for itself and against the other."""
    taken = checked_config(config)
    shapes = checked_header(weights)
    lora = {name: shape for name, shape in shapes.items() if matrix_of(name)}
    saved = taken.get("modules_to_save") or []
    others = [
        name
        for name in shapes.keys() - lora.keys()
        if not name.endswith(".bias")
        and ".lora_magnitude_vector" not in name  # DoRA's
        and not any(f".{module}." in name for module in saved)
    ]
    if others or not lora:
        what = listed(others) if others else "nothing of a LoRA"
        raise CourseError(f"{WEIGHTS}: holds {what}", f"it should hold LoRA matrices only; {TRAIN}")
    flat = [name for name, shape in lora.items() if len(shape) < 2]
    if flat:
        raise CourseError(f"{WEIGHTS}: {listed(flat)}: no matrix", TRAIN)
    ranks = {shape[0 if matrix_of(name) == "A" else 1] for name, shape in lora.items()}
    expected = {taken["r"], *taken.get("rank_pattern", {}).values()}
    if not ranks <= expected:
        raise CourseError(
            f"{CONFIG} says rank {taken['r']}, the matrices have rank "
            f"{', '.join(map(str, sorted(ranks)))}",
            f"the two files are of two trainings: {TRAIN}",
        )
    return Adapter(taken, weights, shapes)


def checked_config(config: Any) -> dict[str, Any]:
    """The values of a plain LoRA. Raises CourseError that names the first that is none."""
    if not isinstance(config, dict):
        raise CourseError(f"{CONFIG}: holds no object", TRAIN)
    if config.get("peft_type") != "LORA":
        raise CourseError(
            f"{CONFIG}: peft_type is {_told(config.get('peft_type'))}, not LORA", TRAIN
        )
    _refuse_code(config)
    if config.get("init_lora_weights") not in PLAIN_STARTS:
        raise CourseError(
            f"{CONFIG}: init_lora_weights is {_told(config['init_lora_weights'])}, which changes "
            "the base model too",
            "convert it when you save: `path_initial_model_for_weight_conversion` (peft)",
        )
    taken = {}
    for name, value in config.items():
        if name in TAKEN and value is not None:
            taken[name] = _checked(name, value)
        elif name not in IGNORED and name not in TAKEN and value not in (None, False, {}, [], ""):
            raise CourseError(
                f"{CONFIG}: {show(name, 40)} is set; the grader loads a plain LoRA",
                "train with r, lora_alpha, lora_dropout, target_modules and what stands beside "
                "them in the hand-out",
            )
    if not 1 <= taken.get("r", 0) <= MOST_RANK:
        raise CourseError(f"{CONFIG}: r is {_told(config.get('r'))}", f"1 to {MOST_RANK}")
    if "lora_alpha" not in taken or not taken.get("target_modules"):
        raise CourseError(f"{CONFIG}: lora_alpha or target_modules is missing", TRAIN)
    return taken


def _refuse_code(config: Mapping[str, Any]) -> None:
    """What would make a loader import or fetch something."""
    mapping = config.get("auto_mapping")
    if mapping:  # peft itself notes the class of the base model where no task type was given
        library = mapping.get("parent_library") if isinstance(mapping, dict) else None
        if not (isinstance(library, str) and library.startswith("transformers.models.")):
            raise CourseError(
                f"{CONFIG}: auto_mapping names {_told(mapping)}, code that would be imported",
                'give LoraConfig task_type="CAUSAL_LM", and save the adapter again',
            )
    base = config.get("base_model_name_or_path")
    if isinstance(base, str) and "://" in base:
        raise CourseError(
            f"{CONFIG}: base_model_name_or_path is an address, {_told(base)}",
            "the grader takes the base model that your configuration names, from its own registry",
        )
    if config.get("trust_remote_code"):
        raise CourseError(f"{CONFIG}: asks for trust_remote_code", "no remote code is run here")


def _checked(name: str, value: Any) -> Any:
    kinds = TAKEN[name]
    boolean = isinstance(value, bool) and kinds is not bool
    wrong = boolean or not isinstance(value, kinds)
    if isinstance(value, int | float) and not abs(value) < LARGEST:  # NaN is not less than it
        wrong = True
    if isinstance(value, list):
        wrong |= len(value) > MOST_NAMES or not all(
            isinstance(own, str | int) and len(str(own)) <= 200 for own in value
        )
    if isinstance(value, str):
        wrong |= len(value) > 2000
    if isinstance(value, dict):
        wrong |= len(value) > MOST_NAMES or not all(
            len(key) <= 200
            and isinstance(own, int | float)
            and not isinstance(own, bool)
            and 0 < own <= (MOST_RANK if name == "rank_pattern" else LARGEST)
            for key, own in value.items()
        )
    if wrong:
        raise CourseError(f"{CONFIG}: {name} is {_told(value)}", TRAIN)
    return value


def _told(value: Any) -> str:
    return show(value, 60)


def checked_header(content: bytes) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor, where the header tells the truth about the file.

    Raises CourseError for a header that is cut off, overlaps, leaves gaps, or claims more numbers
    than the file holds. https://huggingface.co/docs/safetensors describes the format.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, MOST_HEADER):
        raise _lies(f"announces a header of {size_text(length)} in {size_text(len(content))}")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        raise _lies("has no header in JSON") from None
    if not isinstance(header, dict):
        raise _lies("has no header in JSON")
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        raise _lies(f"announces {len(header):,} tensors, at most {MOST_TENSORS:,} are read")
    shapes, spans = {}, []
    for name, entry in header.items():
        shapes[name], span = _entry(name, entry)
        spans.append(span)
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise _lies("has tensors that overlap, or gaps between them")
        at = end
    if at != len(content) - 8 - length:
        found = size_text(len(content) - 8 - length)
        raise _lies(f"announces {size_text(at)} of numbers and holds {found}")
    return shapes


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    try:
        kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, end]
    except (KeyError, TypeError, ValueError):
        raise _lies(f"says nothing readable of {show(name, 80)}") from None
    if kind not in BYTES:
        raise CourseError(f"{WEIGHTS}: {show(name, 80)} has numbers of kind {_told(kind)}", TRAIN)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    if not whole or len(shape) > 4 or any(side > MOST_SIDE for side in shape):
        raise CourseError(
            f"{WEIGHTS}: {show(name, 80)} has the shape {_told(shape)}", "no adapter is that large"
        )
    if math.prod(shape) * BYTES[kind] != end - start:
        raise _lies(f"announces {_told(shape)} for {show(name, 80)}, in {end - start} bytes")
    return tuple(shape), (start, end)


def _lies(what: str) -> CourseError:
    return CourseError(f"{WEIGHTS}: {what}", f"it is cut off or was made by hand: {TRAIN}")
