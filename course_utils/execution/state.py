"""What an output folder remembers of its runs, whose files lie in it, and its lock.

`state.json` is the runner's mark: a file that it does not list is somebody else's, and no run
replaces or removes it.
"""

import contextlib
import json
import os
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.files import write_json_atomic

LOCK_SECONDS = 15  # more than a worker needs to end after its parent was killed
STATE, LOCK = "state.json", ".lock"
ENDINGS = (".ipynb", ".partial.ipynb", ".failed.ipynb", ".log")
FORMAT = 2


def read_state(folder: Path) -> dict[str, dict[str, Any]]:
    """name -> what is known of its runs; a missing or broken file is no state.

    An entry has `source` (the notebook, seen from the folder) and `started`; once it finished,
    also `fingerprint`, `seconds`, `cells`, `finished`. Entries of older kits have no `source`.
    """
    state = _load(folder)
    entries = state.get("notebooks") if state.get("format") == FORMAT else state
    if not isinstance(entries, dict):
        return {}
    marks = ("source", "fingerprint")
    return {n: e for n, e in entries.items() if isinstance(e, dict) and any(m in e for m in marks)}


def own_files(folder: Path) -> list[str]:
    """Names of further files that runs wrote here, such as results.json."""
    files = _load(folder).get("files")
    return [f for f in files if isinstance(f, str)] if isinstance(files, list) else []


def _load(folder: Path) -> dict[str, Any]:
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def remember(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write a notebook's entry in state.json, in place of an older one."""
    _save(folder, {**read_state(folder), name: entry}, own_files(folder))


def remember_file(folder: Path, name: str) -> None:
    """Mark a further file as ours, before it is written."""
    files = own_files(folder)
    if name not in files:
        _save(folder, read_state(folder), [*files, name])


def _save(folder: Path, entries: dict[str, Any], files: list[str]) -> None:
    write_json_atomic(folder / STATE, {"format": FORMAT, "notebooks": entries, "files": files})


# --- Whose is it? -----------------------------------------------------------------------------


def plain(text: str) -> str:
    """A file name as text that any file and any terminal takes: odd bytes become %E4."""
    return "".join(
        f"%{ord(letter) - 0xDC00:02X}" if "\udc80" <= letter <= "\udcff" else letter
        for letter in text
    )


def source_key(notebook: Path, folder: Path) -> str:
    """A notebook's place seen from the output folder: the same when both move together."""
    path = os.path.realpath(notebook)
    with contextlib.suppress(ValueError):  # another drive
        path = os.path.relpath(path, os.path.realpath(folder))
    return plain(path.replace(os.sep, "/"))


def files_of(name: str) -> set[str]:
    """The files of an output name, as a file system without capitals compares them."""
    return {unicodedata.normalize("NFC", name + ending).casefold() for ending in ENDINGS}


def foreign_file(folder: Path, name: str, state: dict[str, Any]) -> Path | None:
    """A file that a notebook of this output name would replace, and that is not ours."""
    paths = (folder / f"{name}{ending}" for ending in ENDINGS)
    return None if name in state else next((p for p in paths if os.path.lexists(p)), None)


def check_state(folder: Path) -> None:
    """Raise CourseError where the folder's state.json is somebody else's: it is not replaced."""
    path = folder / STATE
    if not path.exists() or _load(folder).get("format") == FORMAT:
        return
    if not read_state(folder) and path.read_bytes().strip() != b"{}":
        raise CourseError(
            f"{path}: not of this command, or broken, so it is left as it is",
            "move it elsewhere, or choose another output folder (--out)",
        )


def foreign_files(folder: Path) -> list[str]:
    """Everything in the folder that no run of ours wrote."""
    ours = {STATE, LOCK, *own_files(folder)}
    ours |= {f"{name}{ending}" for name in read_state(folder) for ending in ENDINGS}
    return sorted(name for name in os.listdir(folder) if name not in ours)


def choose_names(notebooks: Iterable[Path], folder: Path) -> tuple[list[str], list[str]]:
    """(an output name for each notebook, notes on names that were taken).

    A name is the notebook's own, with as many of its folders before it as make it the only one, in
    this run and in what the folder already holds. A notebook that ran here before keeps its name.
    """
    notebooks = list(notebooks)
    state = read_state(folder)
    known = {entry["source"]: name for name, entry in state.items() if "source" in entry}
    before = [known.get(source_key(path, folder)) for path in notebooks]
    stems = [plain(path.stem) for path in notebooks]
    wanted = Counter(file for stem in stems for file in files_of(stem))
    taken = {file for name in before if name for file in files_of(name)}
    names, notes = [], []
    for path, name, stem in zip(notebooks, before, stems, strict=True):
        left = None
        for candidate in () if name else _candidates(path, stem):
            files = files_of(candidate)
            crowd = 1 if candidate == stem else 0
            if any(wanted[file] > crowd for file in files) or files & taken:
                continue
            if "source" in state.get(candidate, {}):  # another notebook's
                continue
            if found := foreign_file(folder, candidate, state):
                left = left or found
                continue
            name = candidate
            break
        taken |= files_of(name)
        names.append(name)
        if left:
            notes.append(f"{left} is not of this command and is left: {path} is called {name}")
    return names, notes


def _candidates(path: Path, stem: str) -> Iterator[str]:
    """hw, alice-hw, week1-alice-hw, ..., alice-hw-2, alice-hw-3, ..."""
    yield stem
    name = stem
    parents = [plain(folder.name) for folder in Path(os.path.realpath(path)).parents if folder.name]
    for parent in parents:
        name = f"{parent}-{name}"
        yield name
    number = 2
    while True:
        yield f"{'-'.join([*parents[:1], stem])}-{number}"
        number += 1


def claim(folder: Path, name: str, entry: dict[str, Any], any_source: bool = False) -> None:
    """Mark the files of an output name as ours, before the first of them is touched.

    Raises CourseError where they belong to somebody else, or (unless `any_source`) to another
    notebook.
    """
    state = read_state(folder)
    if found := foreign_file(folder, name, state):
        raise CourseError(
            f"{found}: not of this command, so it is left as it is",
            "move it elsewhere, or choose another output folder (--out)",
        )
    known = state.get(name, {}).get("source", entry["source"])
    if known != entry["source"] and not any_source:
        raise CourseError(
            f"{folder / name}: another run has just taken this name for {known}", "run it again"
        )
    remember(folder, name, entry)


# --- The lock ---------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[list[int]]:
    """Hold the output folder for this run; yields the file number that the child inherits.

    After `kill -9` the old child still holds the lock while it ends itself, so a resumed run waits.
    Raises CourseError when another run keeps it. Some network drives can't lock: then nothing.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield []
        return
    with (folder / LOCK).open("a", encoding="utf-8") as lock:  # "w" would empty a foreign file
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{folder}: another run is writing into this folder"
                    cure = "wait for it, end it, or choose another output folder"
                    raise CourseError(message, cure) from None
                time.sleep(0.1)
            except OSError:
                break
        yield [lock.fileno()]
