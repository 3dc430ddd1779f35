"""What the kit made carries its mark; whatever carries none is somebody else's, and is left.

A folder is marked by a small file in it, which says what the folder is of; a text, JSON or HTML
file by the kit's name inside it. Before anything slow begins, `claim` and `check_file` refuse what
is foreign, with a cure. In a marked folder only entries of the names its maker writes are removed,
or of those that it noted.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.files import as_the_umask_says, read_json, write_json_atomic

MAKER = "Fine-Tuning Course Kit"
MARK = ".course-kit.json"
NOTE = "The kit may remove or replace what it made in this folder. Delete this file to forbid it."
HALF_MARK = f".{MARK}." + "[0-9a-f]" * 8  # as files.atomic_path names what it is writing
UNFINISHED = ".saving"  # in a marked folder: what is being saved, before it takes its place
READ = 65_536  # bytes at a file's beginning and end in which its mark is looked for

_locks: dict[Path, int] = {}  # folder -> open file; the system frees them however we end


# --- Files --------------------------------------------------------------------------------------


def is_ours(path: Path) -> bool:
    """Whether a file carries the kit's name near its beginning or its end."""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        head = file.read(READ)
        file.seek(max(0, os.fstat(file.fileno()).st_size - READ))
        return MAKER.encode() in head + file.read()
    return False


def check_file(path: Path, cure: str = "rename it, or choose another folder") -> Path:
    """CourseError when something that the kit did not make has the name that it wants to write."""
    path = Path(path)
    if os.path.lexists(path) and not (path.is_file() and is_ours(path)):
        raise CourseError(f"{path}: is there already, and this kit did not make it", cure)
    return path


# --- Folders ------------------------------------------------------------------------------------


def owner_of(folder: Path) -> str | None:
    """What a marked folder is of, as its mark says; None without the kit's mark."""
    try:
        found = read_json(Path(folder) / MARK)
    except CourseError:
        return None
    ours = isinstance(found, dict) and found.get("made_by") == MAKER
    return str(found.get("of", "")) if ours else None


def check_folder(folder: Path, of: str = "") -> None:
    """CourseError unless the folder is new, empty, or marked as one of `of`."""
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise CourseError(f"{folder}: this is a file", "rename it, or choose another folder")
    owner = owner_of(folder)
    # A process that was killed while it marked the folder leaves the mark's unfinished file.
    if owner is None and any(not path.match(HALF_MARK) for path in folder.iterdir()):
        raise CourseError(
            f"{folder}: it holds files that this kit did not make; nothing was touched",
            "rename or move that folder, or choose another one with --out",
        )
    if owner not in (None, of):
        raise CourseError(
            f"{folder}: it belongs to another training ({owner})",
            "choose another folder with --out, or rename that one",
        )


def claim(folder: Path, of: str = "") -> Path:
    """Make the folder ours, with its mark; CourseError when it is somebody else's."""
    check_folder(folder, of)
    if owner_of(folder) is None:
        write_json_atomic(Path(folder) / MARK, {"made_by": MAKER, "of": of, "note": NOTE})
    return Path(folder)


def note_files(folder: Path, names: Iterable[str]) -> None:
    """Write into a claimed folder's mark which files we made, for `forget_files` at the next time.

    For folders whose files have no pattern in their names, such as a starter.
    """
    mark = read_json(Path(folder) / MARK)
    write_json_atomic(Path(folder) / MARK, mark | {"files": sorted(names)})


def forget_files(folder: Path, keep: Iterable[str] = ()) -> None:
    """Remove the files that `note_files` named, except `keep`, and folders left empty by that.

    A mark may come from a stranger: a name that leads out of the folder is passed over.
    """
    if owner_of(folder) is None:
        return
    root = Path(folder).resolve()
    for name in set(read_json(Path(folder) / MARK).get("files", ())) - set(keep):
        path = root / str(name)
        if not path.parent.resolve().is_relative_to(root) or path.is_dir():
            continue
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other files are in it
            path.parent.rmdir()


def clear(folder: Path, names: Sequence[str]) -> None:
    """Remove what the kit made in a marked folder: entries that fit `names` (as `checkpoint-*`).

    Anything else stays, and the folder with it; nothing at all happens without the mark.
    """
    folder = Path(folder)
    if folder.is_symlink() or owner_of(folder) is None:
        return
    for name in names:
        for path in folder.glob(name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def remove(folder: Path, names: Sequence[str]) -> None:
    """As `clear`; then the folder goes too, unless something else lies in it."""
    folder = Path(folder)
    clear(folder, (*names, HALF_MARK))
    if owner_of(folder) is not None and [path.name for path in folder.iterdir()] == [MARK]:
        (folder / MARK).unlink()
        folder.rmdir()


@contextlib.contextmanager
def saving(folder: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to save into; when the block ends well, its files take their place in `folder`.

    A process that is killed while saving so leaves the old files whole. Files named in `without`
    are dropped. `folder` must be claimed.
    """
    temporary = Path(folder) / UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    yield temporary
    place(folder, without)


def place(folder: Path, without: Sequence[str] = ()) -> None:
    """Move what `saving` collected into its place; the weights last."""
    temporary = Path(folder) / UNFINISHED
    if not temporary.is_dir():
        return
    for path in sorted(temporary.iterdir(), key=lambda path: path.suffix == ".safetensors"):
        if path.name in without:
            continue
        target = Path(folder) / path.name
        if target.is_file():
            shutil.copymode(target, path)
        elif path.is_file():
            as_the_umask_says(path)
        os.replace(path, target)
    shutil.rmtree(temporary, ignore_errors=True)


# --- One at a time ------------------------------------------------------------------------------


def lock(folder: Path, message: str, cure: str) -> None:
    """Hold the folder for this process until `unlock`, or until the process ends in any way.

    Locks the folder itself, so no file is left, and none can be stale. Raises CourseError when
    another process holds it. Windows and some network drives can't lock: then nothing happens.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    folder = Path(folder).resolve()
    if folder in _locks:
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise CourseError(f"{folder}: {message}", cure) from None
    except OSError:
        os.close(handle)
        return
    _locks[folder] = handle


def unlock(folder: Path) -> None:
    """Let another process have the folder."""
    handle = _locks.pop(Path(folder).resolve(), None)
    if handle is not None:
        os.close(handle)
