"""What was computed once for a batch, kept by its content in GRADES/.cache.

    shared = Shared(grades / ".cache", salt=secret_fingerprint)
    answers = shared.get(["answers", digest_of(records), base, sources(inside)], ask_the_model)

A key names everything that the value depends on: the adapter's bytes, the records, the base model,
the source of the functions used. Another rubric, or a mended check, asks for the same keys, so
nothing heavy runs again. Values are JSON. What raises an error is not kept, so it is tried again.
"""

import hashlib
import importlib.metadata
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from course_utils import kit
from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic

FOLDER = ".cache"
# Of these another version may give other losses and answers.
PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "tokenizers", "numpy")
SOURCES = ("*.py", "*.yaml", "*.jinja")


class BatchStopped(CourseError):
    """Something that no submission can be blamed for and that stops them all: a full disk."""

    @classmethod
    def no_space(cls, path: Path) -> "BatchStopped":
        """A file could not be written, or too little is left for the next submission."""
        return cls(
            f"{path}: no space left on the disk; the batch stopped, nothing graded is lost",
            "free some disk space, then go on with the same command and --resume",
        )


class Shared:
    """Values by key: in memory, and in a folder where there is one; for many threads.

    Two threads that ask for the same key at a time compute it once. `salt` enters every key.
    """

    def __init__(self, folder: Path | None = None, salt: str = "") -> None:
        self.folder, self.salt = folder, [salt, versions()]
        self.known: dict[str, Any] = {}
        self.locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self.guard = threading.Lock()
        self.computed = self.found = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # answers to hidden records are in it

    def get(self, key: Any, compute: Callable[[], Any]) -> Any:
        """The value of this key (anything that JSON can write), computed where it is not known."""
        name = digest([self.salt, key])
        with self.guard:
            lock = self.locks[name]
        with lock:
            if name in self.known:
                self.found += 1
                return self.known[name]
            value = self._read(name)
            if value is None:
                value = {"value": json.loads(json.dumps(compute()))}  # the same, warm or cold
                self._write(name, value)
                self.computed += 1
            else:
                self.found += 1
            self.known[name] = value["value"]
            return value["value"]

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        """The kept value; None where there is none, or its file is broken."""
        if self.folder is None:
            return None
        try:
            found = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and "value" in found else None

    def _write(self, name: str, value: dict[str, Any]) -> None:
        if self.folder is None:
            return
        try:
            write_text_atomic(self._path(name), json.dumps(value))
        except CourseError as error:  # a check's CourseError would be taken for the student's
            raise BatchStopped(error.message, error.cure) from None


@cache
def versions() -> str:
    """The versions of the packages that decide what a model answers."""
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def sources(*modules: ModuleType) -> str:
    """A digest of the files of these modules, for the key of what they compute."""
    return digest_of_files(Path(module.__file__) for module in modules)


@cache
def grader_fingerprint() -> str:
    """A digest of the whole kit that grades: another one means that checks may have changed."""
    package = kit.ROOT / "course_utils"
    found = {path for pattern in SOURCES for path in package.rglob(pattern)}
    return digest_of_files(path for path in found if "__pycache__" not in path.parts)


def digest_of_files(paths: Iterable[Path]) -> str:
    """One digest of several files and their names, whatever their order."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()[:32]
