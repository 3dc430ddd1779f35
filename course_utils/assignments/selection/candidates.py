"""Candidates: which base models in which precisions can be measured here, and why others cannot."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from course_utils import hardware
from course_utils import models as base_models
from course_utils.errors import CourseError
from course_utils.hardware import GIB, Hardware

PRECISIONS = ("fp32", "bf16", "nf4")

# GiB a process needs beside the weights: the libraries, activations, the key/value cache.
BESIDE_WEIGHTS = 1.0


@dataclass(frozen=True)
class Candidate:
    """A base model (name of the registry, of the Hub, or a folder) in one precision.

    `reason` says why it is skipped and `cure` what would change that; both are empty when it fits.
    """

    name: str
    precision: str
    reason: str = ""
    cure: str = ""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise CourseError(
                f"{self.precision!r} is not a precision that candidates are compared in",
                f"choose from: {', '.join(PRECISIONS)}",
            )

    @property
    def fits(self) -> bool:
        """Whether it is going to be measured."""
        return not self.reason


def candidates(
    names: Sequence[str],
    precisions: Sequence[str],
    machine: Hardware,
    free_gb: float | None = None,
) -> list[Candidate]:
    """Every name in every precision, once; those that cannot run here carry the reason.

    `free_gb`: GiB to fit into, by default what is free on the GPU, else in RAM. Raises CourseError
    for an empty list or an unknown precision; an unknown name is a skipped candidate.
    """
    if not names or not precisions:
        what = "model" if not names else "precision"
        raise CourseError(f"there is no {what} to compare", f"name at least one {what}")
    free_gb = free_memory_gb(machine) if free_gb is None else free_gb
    pairs = dict.fromkeys((name, precision) for name in names for precision in precisions)
    found = []
    for name, precision in pairs:
        Candidate(name, precision)  # an unknown precision is the caller's mistake, no row
        try:
            _refuse(describe(name), precision, machine, free_gb)
            found.append(Candidate(name, precision))
        except CourseError as error:
            found.append(Candidate(name, precision, error.message, error.cure))
    return found


def _refuse(
    known: base_models.BaseModel, precision: str, machine: Hardware, free_gb: float
) -> None:
    """Raise CourseError with the first reason that keeps a candidate from running here."""
    if precision == "bf16" and hardware.choose_precision(machine)[0] != "bf16":
        device = machine.gpu_name or "this CPU"
        raise CourseError(f"bf16 is slow: {device} has no bf16 units", "compare fp32 and nf4")
    if precision == "nf4" and not _installed("bitsandbytes"):
        raise CourseError("bitsandbytes is not installed", "pip install -r requirements.txt")
    if known.hub and not _in_hub_cache(known.hub):
        if not base_models.hub_reachable():
            raise CourseError(
                "the Hub is not reachable, and the model is not in its cache",
                "connect to the network, or compare local folders and the embedded model",
            )
        if known.gated and not _hub_token():
            raise CourseError(
                "gated: the Hub asks for permission",
                f"accept the licence on https://huggingface.co/{known.hub}, then `hf auth login`",
            )
    needed = needed_gb(known, precision)
    if needed > free_gb:
        raise CourseError(
            f"too big: needs about {needed:.1f} GiB, {free_gb:.1f} GiB are free",
            "take nf4 or a smaller model, close other programs, or use a larger machine",
        )


def needed_gb(known: base_models.BaseModel, precision: str) -> float:
    """GiB to run a candidate, computed: its weights, a tenth more for activations, and the rest."""
    weights = known.memory_gib("nf4" if precision == "nf4" else "none")
    weights *= 2 if precision == "fp32" else 1
    return 1.1 * weights + BESIDE_WEIGHTS


def free_memory_gb(machine: Hardware) -> float:
    """GiB that are free right now: on the GPU if there is one, else in RAM."""
    if machine.gpu_memory_gb:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.mem_get_info()[0] / GIB
        return machine.gpu_memory_gb
    import psutil

    return min(machine.ram_gb, psutil.virtual_memory().available / GIB)


def describe(name: str) -> base_models.BaseModel:
    """What is known of a model before it is loaded: size, licence, whether it is gated.

    From the registry, from a folder's weights, or from the Hub. Raises CourseError for a name that
    is none of them.
    """
    known = base_models.registry().get(name)
    if known:
        return known
    folder = Path(name).expanduser()
    if folder.is_dir():
        billions = _folder_parameters(folder) / 1e9
        return base_models.BaseModel(name, None, billions, "local", True, False, "a local folder")
    if name.count("/") != 1 or folder.is_absolute() or name.startswith("."):
        raise CourseError(
            "neither a folder nor a model that this kit knows",
            "take a name that `course model list` prints, a Hub name (owner/name) or a folder",
        )
    if not base_models.hub_reachable():
        raise CourseError(
            "not in the kit's list, and the Hub is not reachable to ask about it",
            "take a name that `course model list` prints, or a local folder",
        )
    return _ask_hub(name)


@lru_cache
def _ask_hub(name: str) -> base_models.BaseModel:
    """Size and licence from the model's page on the Hub."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(name, timeout=20)
    except Exception as error:  # the client's errors share no base class
        first = str(error).strip().splitlines()[0][:120]
        raise CourseError(f"the Hub does not give this model ({first})", "check the name") from None
    if not info.safetensors:
        raise CourseError("its weights on the Hub are not safetensors", "choose another model")
    licence = (info.card_data or {}).get("license") or "see its card"
    billions, gated = info.safetensors.total / 1e9, bool(info.gated)
    return base_models.BaseModel(name, name, billions, str(licence), True, gated, "from the Hub")


def _folder_parameters(folder: Path) -> int:
    """Numbers in a folder's weights, read from the headers of its safetensors files.

    The format begins with the header's length (8 bytes, little endian) and the header as JSON.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise CourseError(
            "this folder holds no model", "it needs config.json, a tokenizer and *.safetensors"
        )
    total = 0
    for path in files:
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), 2**27)))
            shapes = [entry["shape"] for key, entry in header.items() if key != "__metadata__"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CourseError(f"{path.name} is no safetensors file", "copy it again") from None
        for shape in shapes:
            size = 1
            for length in shape:
                size *= length
            total += size
    return total


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _in_hub_cache(hub: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub, "config.json"), str)


def _hub_token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def short_name(name: str) -> str:
    """A name for people: of a path its last part, of a Hub name the model without its owner."""
    return Path(name).name or name
