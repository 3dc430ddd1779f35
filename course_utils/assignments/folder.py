"""A submission's folder, looked at without following, running or opening what it should not.

The folder may be hostile. Nothing of it is executed, unpickled or unpacked: links are not followed,
and no file above its limit is opened.
"""

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from course_utils.assignments.findings import Warn, wrong
from course_utils.handwritten import Unique, Words, has_aliases
from course_utils.messages import Explained

Model = TypeVar("Model", bound=BaseModel)

WRITE = "write it"
# Never walked into and never packed: they can be made again, or hold another's work.
ASIDE = {
    *("checkpoints", "notebook", "__pycache__", ".git", ".venv", "venv", "env"),
    ".ipynb_checkpoints",
    *(".pytest_cache", ".ruff_cache", "node_modules", ".idea", ".vscode", "wandb", "mlruns"),
}
# What the trainer calls its folders, and `course run --fresh` the run it moved aside.
ASIDE_TOO = re.compile(r"checkpoint-\d+$|.+\.old-\d{8}-\d{6}$")
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"}
WEIGHTS = re.compile(
    r"(model|pytorch_model|tf_model|consolidated).*\.(safetensors|h5|msgpack)|.*\.(gguf|onnx)"
)
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".whl"}
MB = 1_000_000
LIMITS = {  # bytes by ending; a larger file is not opened
    ".jsonl": 100 * MB,
    ".json": 100 * MB,
    ".ipynb": 20 * MB,
    ".safetensors": 2000 * MB,
    ".yaml": MB // 10,
    ".py": MB,
}
LIMIT = 20 * MB  # of every other file
LEFT_OUT = "left_out.json"  # in a public archive: what is not in it (public.py)
MOST_FILES, MOST_LEVELS = 10_000, 12
LONGEST_NUMBER = 300  # digits of a whole one: float ends at 308
# Spaces of one line: `^\s*` would read the blank lines that follow anew from each of them.
PLACEHOLDER = re.compile(
    r"YOUR (?:CODE|ANSWER|VALUES) HERE|^[^\S\n]*raise[^\S\n]+NotImplementedError\b", re.M
)


@dataclass
class Folder:
    """Every regular file below a root (name -> bytes), and what is there besides."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)
    links: dict[str, bool] = field(default_factory=dict)  # name -> does it leave the folder
    strange: list[str] = field(default_factory=list)  # pipes, devices, unreadable folders
    aside: list[str] = field(default_factory=list)
    crowded: bool = False
    required: Mapping[str, str] = field(default_factory=dict)  # the checklist's

    def path(self, name: str) -> Path:
        """Where a file of `files` lies."""
        return self.root / name

    def size_problem(self, name: str) -> str:
        """Why a file is too large to open; "" when it is not."""
        limit = LIMITS.get(PurePosixPath(name).suffix.lower(), LIMIT)
        size = self.files[name]
        return f"{size_text(size)}; at most {size_text(limit)} are read" if size > limit else ""

    def bytes_of(self, name: str) -> bytes:
        """The content of a regular file within its limit; a link put there since is refused."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(self.path(name), flags), "rb") as file:
                return file.read(self.files[name])
        except OSError as error:
            raise wrong("file.unreadable", reason=error.strerror) from None

    def text(self, name: str) -> str:
        """The content as text. Raises Explained with the line that is not UTF-8."""
        raw = self.bytes_of(name)
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            byte = f"0x{raw[error.start]:02X}"
            raise wrong("file.not_utf8", byte=byte, line=line) from None

    def json(self, name: str) -> Any:
        """The content as JSON. Raises Explained with line and column."""
        try:
            return json.loads(self.text(name), parse_constant=_no_constant, parse_int=_whole_number)
        except json.JSONDecodeError as error:
            problem = f"line {error.lineno}, column {error.colno}: {error.msg}"
            raise wrong("file.broken_json", problem=problem, again=self.again(name)) from None
        except (ValueError, RecursionError):
            problem = "NaN, a whole number of hundreds of digits, or nested too deep"
            raise wrong("file.broken_json", problem=problem, again=self.again(name)) from None

    @cached_property
    def left_out(self) -> dict[str, dict]:
        """What a public archive leaves out: file -> what is said of it; {} in any other folder."""
        try:
            note = self.json(LEFT_OUT) if LEFT_OUT in self.files else {}
        except Explained:
            return {}
        files = note.get("files") if isinstance(note, dict) else None
        files = files if isinstance(files, dict) else {}
        return {name: about for name, about in files.items() if isinstance(about, dict)}

    def not_rebuilt(self, name: str) -> bool:
        """Whether a file lies where one was left out, and is another one than that."""
        told = self.left_out.get(name, {}).get("sha256")
        return bool(told) and hashlib.sha256(self.bytes_of(name)).hexdigest() != told

    def again(self, name: str) -> str:
        """The cure for a file that is there and not what it should be."""
        if name.endswith(".ipynb"):
            return "save it again from Jupyter"
        return self.required.get(name, WRITE)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _whole_number(text: str) -> int:
    """The number; ValueError for one that is no float, at which every later sum would break."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"{len(text)} digits")
    return int(text)


def scan(root: Path, required: Mapping[str, str] | None = None) -> Folder:
    """List a folder without following links; at most MOST_FILES files and MOST_LEVELS levels."""
    folder = Folder(root, required=required or {})
    waiting = [root]
    while waiting:
        current = waiting.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            folder.strange.append(current.relative_to(root).as_posix())
            continue
        for entry in entries:
            name = Path(entry.path).relative_to(root).as_posix()
            about = entry.stat(follow_symlinks=False)
            mode = about.st_mode
            if stat.S_ISLNK(mode) or _is_junction(entry):
                folder.links[name] = not _stays(Path(entry.path), root)
            elif stat.S_ISDIR(mode) and (entry.name in ASIDE or ASIDE_TOO.match(entry.name)):
                folder.aside.append(f"{name}/")
            elif stat.S_ISDIR(mode) and name.count("/") < MOST_LEVELS:
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                folder.files[name] = about.st_size
            else:
                folder.strange.append(name)
            if len(folder.files) + len(folder.links) + len(folder.strange) >= MOST_FILES:
                folder.crowded = True
                return folder
    return folder


def _is_junction(entry: os.DirEntry) -> bool:
    return bool(getattr(entry, "is_junction", bool)())  # Windows, from Python 3.12


def _stays(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop
        return False


def size_text(count: int) -> str:
    for unit, size in (("GB", 1000 * MB), ("MB", MB), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def show(text: object, limit: int = 300) -> str:
    """Text of the submission as one printable line: it goes to a terminal."""
    plain = " ".join(str(text).split())[: limit + 1]  # escaped it is no shorter
    plain = "".join(c if c.isprintable() else _escaped(c) for c in plain)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def _escaped(character: str) -> str:
    code = ord(character)  # a byte of a name that is no UTF-8 is kept as U+DC80 to U+DCFF
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def listed(names: Iterable[str], most: int = 4) -> str:
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(show(name, 80) for name in names[:most]) + rest


def kind_problem(name: str) -> str:
    """Why a file has no place in a submission: "pickle", "weights", "archive" or ""."""
    path = PurePosixPath(name.casefold())
    if path.suffix in PICKLES:
        return "pickle"
    if WEIGHTS.fullmatch(path.name):
        return "weights"
    return "archive" if path.suffix in ARCHIVES else ""


def yaml_as(
    model: type[Model],
    folder: Folder,
    name: str,
    largest: int,
    unreadable: Callable[[str], Warn],
    loader: type[Unique | Words] = Unique,
) -> Model | None:
    """A YAML file of the submission as a model of pydantic; None without the file.

    With the loader `Words` every value is text. Raises what `unreadable` makes of the problem where
    the file is longer than `largest` bytes, or not as `model` says.
    """
    if name not in folder.files:
        return None
    if folder.files[name] > largest:
        raise unreadable(f"longer than {largest:,} bytes")
    try:
        text = folder.text(name)
    except Explained as problem:
        raise unreadable(problem.message) from None
    if has_aliases(text):
        raise unreadable("YAML aliases are not read, write every value out")
    try:
        return model.model_validate(yaml.load(text, Loader=loader))
    except yaml.constructor.ConstructorError as error:  # it is YAML, with a key twice
        raise unreadable(show(error.problem, 80)) from None
    except (yaml.YAMLError, RecursionError):
        raise unreadable("no YAML") from None
    except ValueError as error:  # pydantic's, of which the input is not shown
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise unreadable(f"{show(place, 40)}: {show(first['msg'], 80)}") from None


def json_object(content: Any) -> dict[str, Any]:
    """The content, if it is an object."""
    if not isinstance(content, dict):
        raise wrong("file.no_object")
    return content


def number_in(value: Any, name: str) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong("file.no_number", name=name, value=show(value, 30))
    return float(value)


def no_placeholder(text: str) -> None:
    """Raises Explained with the line where a marker of the starter still stands."""
    if found := PLACEHOLDER.search(text):
        line = text.count("\n", 0, found.start()) + 1 + found[0].count("\n")
        raise wrong("file.left_open", place=f"line {line}", mark=" ".join(found[0].split()))
