"""What is to be served or exported: a run, an adapter, a submission or a merged model.

found = find(Path("runs/manufacturing-cpu"))
found.base, found.adapter
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import models
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.packages import writable_cache_folder
from course_utils.runs import settings_in

PLACES = (".", "adapter", "models/finetuned_model")  # where an adapter lies in a folder
# Weights, configurations, tokenizers in all their forms, chat templates.
HASHED = (
    *("*.safetensors", "config.json", "adapter_config.json", "*.jinja"),
    *("*token*.json", "vocab.json", "*.model"),
)
LARGE = 50_000_000  # bytes; below, a checksum is quicker than a note
MERGES = ("use_dora", "modules_to_save", "lora_bias")  # what no separate adapter file can say


@dataclass(frozen=True)
class Source:
    """A base model's folder and the adapter on it; no adapter for a merged model."""

    folder: Path  # what the user named
    base_name: str
    base: Path
    adapter: Path | None

    @property
    def names(self) -> tuple[str, ...]:
        """The model names that a client asks for."""
        return ("base", "tuned") if self.adapter else ("tuned",)

    @property
    def must_merge(self) -> bool:
        """Whether the adapter is more than two factors a layer, so that only merging serves it."""
        if self.adapter is None:
            return False
        config = _configuration(self.adapter)
        return any(config.get(name) for name in MERGES)


def find(folder: Path, base: str | None = None) -> Source:
    """The base model and adapter behind a folder; `base` overrides what the adapter names.

    Raises CourseError when the folder holds no model, or its base model can't be found.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CourseError(f"{folder}: there is no such folder", "give a run or an adapter")
    places = (folder / place for place in PLACES)
    adapter = next((p for p in places if (p / "adapter_config.json").is_file()), None)
    if adapter is None:
        if (folder / "config.json").is_file():
            return Source(folder, folder.absolute().name, folder, None)
        raise CourseError(
            f"{folder}: no adapter is here (adapter_config.json is missing)",
            "give the folder of a run whose notebook 03 is finished, of an adapter, or of a "
            "merged model",
        )
    if not (adapter / "adapter_model.safetensors").is_file():
        raise CourseError(
            f"{adapter}: there is no adapter_model.safetensors",
            "save the adapter again; weights in other formats are not read",
        )
    config = _configuration(adapter)
    name = base or _base_name(folder, config)
    return Source(folder, name, _folder_of(name, adapter), adapter)


def _configuration(adapter: Path) -> dict[str, Any]:
    """The adapter's configuration; CourseError where it is none."""
    path = adapter / "adapter_config.json"
    config = read_json(path, "the notebook or script that saved the adapter")
    if not isinstance(config, dict):
        raise CourseError(f"{path}: this is no adapter's configuration", "save the adapter again")
    return config


def _base_name(folder: Path, config: dict[str, Any]) -> str:
    """The run's setting; else the adapter's, whose path may be of another machine."""
    name = settings_in(folder).get("base_model")
    if isinstance(name, str):
        return name
    return models.id_of(str(config.get("base_model_name_or_path") or ""))


def _folder_of(name: str, adapter: Path) -> Path:
    """The base model on this disk; one of the Hub is fetched into its cache."""
    resolved = models.resolve(name) if name else ""
    if resolved and Path(resolved).is_dir():
        return Path(resolved)
    if not name or name.startswith("~") or Path(name).is_absolute():
        raise CourseError(
            f"{adapter}: its base model {name or '(none named)'} is not on this machine",
            "name it with --base, for example --base smollm2-135m-instruct",
        )
    from huggingface_hub import snapshot_download

    try:
        wanted = ["*.json", "*.safetensors", "*.jinja", "*.model"]
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (OSError, ValueError) as error:
        raise CourseError(
            f"{name}: the base model could not be fetched ({str(error).splitlines()[0][:160]})",
            "check the name and the network, or name a folder with --base",
        ) from None


def digest(folder: Path) -> str:
    """A checksum of a model's or adapter's content: equal for equal weights and configuration.

    Large files are read once; their checksum is remembered by size and time of change.
    """
    whole = hashlib.sha256()
    for path in sorted({p for pattern in HASHED for p in Path(folder).glob(pattern)}):
        whole.update(f"{path.name}\0{_remembered(path)}\0".encode())
    return whole.hexdigest()[:16]


def _remembered(path: Path) -> str:
    status = path.stat()
    if status.st_size < LARGE:
        return sha256_of(path)
    note = writable_cache_folder() / "gguf" / "checksums.json"
    mark = [status.st_size, status.st_mtime_ns]
    known: dict[str, Any] = {}
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known[str(path.resolve())][:2] == mark:
            return str(known[str(path.resolve())][2])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    found = sha256_of(path)
    known = known if isinstance(known, dict) else {}
    write_json_atomic(note, {**known, str(path.resolve()): [*mark, found]})
    return found
