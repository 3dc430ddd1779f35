"""Base models: a registry, loading, adapters. embedded.py makes those that need no Hub.

course model list
"""

import os
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from course_utils import cpu_speed
from course_utils.embedded import (
    EMBEDDED,
    MADE_HERE,
    is_prepared,
    offline_models,
    prepare_model,
    quiet_transformers,
)
from course_utils.errors import CourseError
from course_utils.hardware import GIB, trim_heap
from course_utils.settings import Settings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What notebooks and scripts call models.NAME, wherever it is written down.
__all__ = [
    "EMBEDDED",
    "MADE_HERE",
    "PLAIN_TEMPLATE",
    "BaseModel",
    "dtype_of",
    "hub_reachable",
    "id_of",
    "is_prepared",
    "load_adapter",
    "load_base",
    "load_model",
    "load_tokenizer",
    "offline_models",
    "prepare_model",
    "quantization_for",
    "registry",
    "resolve",
]

# Bytes of a weight in nf4 with double quantization (QLoRA, arXiv 2305.14314): 4 bits, 8 bits for
# each block of 64 weights, 32 bits for each 256 blocks. Embeddings and norms stay as they are.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)

LOOKED_UP = 20  # seconds for which it is known whether the Hub answers

# A base model has no chat format. This one marks the roles in words and ends with EOS.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '### ' + message['role'] + '\n' + message['content'] }}"
    "{{ eos_token + '\n' if message['role'] == 'assistant' else '\n' }}"
    "{% endfor %}{{ '### assistant\n' if add_generation_prompt else '' }}"
)


def plain_template(tokenizer: "PreTrainedTokenizerBase") -> str:
    """PLAIN_TEMPLATE, after the token with which this tokenizer begins every text, if it does.

    Gemma, Llama and Mistral never saw a text without theirs in pre-training. A chat template is
    rendered without the tokenizer's own special tokens, so the template has to name it.
    """
    ids = tokenizer("a")["input_ids"]
    begins = len(ids) > 1 and ids[0] == tokenizer.bos_token_id
    return "{{ bos_token }}" + PLAIN_TEMPLATE if begins else PLAIN_TEMPLATE


@dataclass(frozen=True)
class BaseModel:
    """One line of the registry; `hub` is None for models that this kit prepares itself."""

    name: str
    hub: str | None
    billions: float
    licence: str
    chat_template: bool
    gated: bool
    note: str
    embeddings: float = 0.0  # billions in embeddings and output layer; 0: not known

    def memory_gib(self, quantization: str = "none") -> float:
        """GiB of the weights, computed: 2 bytes a parameter, NF4_BYTES for linear layers in nf4."""
        linear = NF4_BYTES if quantization == "nf4" else 2.0
        weights = linear * (self.billions - self.embeddings) + 2.0 * self.embeddings
        return weights * 1e9 / GIB


@lru_cache
def registry() -> dict[str, BaseModel]:
    """All known base models by name, smallest embedded ones first."""
    import yaml

    text = Path(__file__).with_name("models.yaml").read_text(encoding="utf-8")
    return {entry["name"]: BaseModel(**entry) for entry in yaml.safe_load(text)}


def resolve(name: str) -> str:
    """What `from_pretrained` takes: a folder for embedded models and paths, else a Hub name."""
    if name in MADE_HERE:
        return str(prepare_model(name))
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser())
    return name


def id_of(name: str) -> str:
    """The base model's name as a file may hold it: an id, not where this machine keeps it.

    A folder of one's own has no other name: its path stays, from home where it lies there.
    """
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if parts[-1] in MADE_HERE:  # in this machine's cache, or another's
        return parts[-1]
    kept = next((part for part in parts if part.startswith("models--")), "")  # the Hub's cache
    if kept.count("--") == 2:
        return kept.removeprefix("models--").replace("--", "/")
    path, home = Path(name), Path.home()
    if path.is_absolute() and path.is_relative_to(home) and len(home.parts) > 1:
        return f"~/{path.relative_to(home).as_posix()}"
    return name


def licence_of(name: str) -> str:
    """The licence of a base model of the registry; of any other, where to look."""
    known = registry().get(name)
    return known.licence if known else "see the base model's own card"


def _offline(name: str) -> bool:
    """Whether to look on disk only: one quick try instead of the Hub client's minute of retries."""
    return Path(resolve(name)).is_dir() or not hub_reachable()


def hub_reachable() -> bool:
    """Whether the Hub answers; looked up anew after a while, for whoever reconnects meanwhile."""
    return _reachable(int(time.monotonic() / LOOKED_UP))


@lru_cache(maxsize=1)
def _reachable(period: int) -> bool:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    host = urlsplit(constants.ENDPOINT)
    try:
        port = host.port or (443 if host.scheme == "https" else 80)
        socket.create_connection((host.hostname, port), timeout=3).close()
    except OSError:
        # Behind a proxy only the proxy is reachable; let the Hub client find its way.
        return bool(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"))
    return True


def dtype_of(precision: str) -> "torch.dtype":
    """fp32, fp16 or bf16 as a torch dtype."""
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def load_tokenizer(name: str) -> "PreTrainedTokenizerBase":
    """The tokenizer of a base model or of a saved folder, with a chat template and a pad token."""
    from transformers import AutoTokenizer

    with _hub_errors(name):
        tokenizer = AutoTokenizer.from_pretrained(resolve(name), local_files_only=_offline(name))
    if tokenizer.chat_template is None:
        tokenizer.chat_template = plain_template(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    name: str,
    precision: str = "fp32",
    quantization_config: Any = None,
) -> "PreTrainedModel":
    """A base model on the machine's device (a GPU if there is one), in evaluation mode.

    Raises CourseError with the cure when it is gated, unknown, or the Hub can't be reached.
    """
    import torch
    from transformers import AutoModelForCausalLM

    trim_heap()  # what an earlier model left
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if _is_cut_into_pieces():  # FSDP and DeepSpeed put the weights in place themselves
        device = None
    with _hub_errors(name), quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            resolve(name),
            dtype=dtype_of(precision),
            quantization_config=quantization_config,
            device_map=device,
            local_files_only=_offline(name),
            **({"attn_implementation": cpu_speed.attention()} if device == "cpu" else {}),
        )
    cpu_speed.one_piece_before_head(model)
    return model.eval()


def _is_cut_into_pieces() -> bool:
    """Whether `accelerate launch` was given an FSDP or DeepSpeed configuration."""
    names = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    return any(os.environ.get(name) == "true" for name in names)


def quantization_for(settings: Settings) -> Any:
    """The BitsAndBytesConfig of `quantization="nf4"`, or None for a 16- or 32-bit base model."""
    if settings.quantization == "none":
        return None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype_of(settings.precision),
        # FSDP cuts only floating-point tensors: the same 4-bit codes, called bf16 (None: uint8).
        bnb_4bit_quant_storage=dtype_of(settings.precision) if _is_cut_into_pieces() else None,
    )


def load_base(settings: Settings) -> "PreTrainedModel":
    """The base model that the settings name, quantized when they say so."""
    return load_model(settings.base_model, settings.precision, quantization_for(settings))


def require_adapter(adapter: Path, cure: str = "") -> None:
    """CourseError where no trained adapter lies in the folder; needs no torch."""
    if not (Path(adapter) / "adapter_model.safetensors").is_file():
        raise CourseError(
            f"{adapter}: there is no adapter_model.safetensors",
            cure
            or "train first (notebook 03, or your assignment's script), or give the folder "
            "that the adapter was saved in",
        )


def load_adapter(model: "PreTrainedModel", adapter: Path) -> Any:
    """Put a saved adapter (safetensors) on a base model; adapters compute in float32."""
    require_adapter(adapter)
    from peft import PeftModel

    loaded = PeftModel.from_pretrained(model, adapter)
    # The adapter names its base by an id that may be the kit's own. Whoever saves this model again
    # would have PEFT look for it at the Hub.
    for config in loaded.peft_config.values():
        config.base_model_name_or_path = model.name_or_path
    return loaded.eval()


class _hub_errors:
    """Turn the Hub's many errors into one message with a cure."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> bool:
        if error is None or not isinstance(error, OSError | ValueError):
            return False
        if Path(self.name).expanduser().is_dir():
            raise CourseError(
                f"{self.name}: this folder holds no complete model "
                f"({str(error).splitlines()[0][:160]})",
                "give a folder with config.json, tokenizer.json and model.safetensors, or a name "
                "that `course model list` prints",
            ) from None
        text = f"{type(error).__name__}: {error}".lower()
        offline = "to work offline, use the embedded model: -p base_model smollm2-135m-instruct"
        if "gated" in text or "401" in text or "403" in text:
            raise CourseError(
                f"{self.name}: the Hub asks for permission (the model is gated)",
                f"accept its licence on https://huggingface.co/{self.name}, then log in with "
                f"`hf auth login` (Colab: add the secret HF_TOKEN); {offline}",
            ) from None
        if isinstance(error, OSError):
            raise CourseError(
                f"{self.name}: the model could not be loaded, neither from disk nor from the Hub "
                f"({str(error).splitlines()[0][:160]})",
                f"check the name (course model list) and the network; {offline}",
            ) from None
        return False
