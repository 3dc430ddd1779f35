"""Files that appear whole or not at all, and JSON read with a message where it can't be."""

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it takes the name when the block ends without an error.

    A new file has the mode that the umask gives; a replaced one keeps the old file's. Raises
    CourseError when the disk is full or the folder can't be written; the old file stays. A pipe
    or a device is never replaced.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or a device"
        raise CourseError(f"{path}: this is {what}, not a file", "choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        temporary.open("xb").close()  # the umask decides who may read it (mkstemp: only oneself)
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        yield temporary
        if path.is_file():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path, ending: str) -> Path:
    """NAME + ending beside a file or folder, also where it was given as `.` or `..`."""
    whole = path.resolve()
    folder = path.parent if path.name not in ("", "..") else whole.parent
    return folder / f"{whole.name}{ending}"


def as_the_umask_says(path: Path) -> None:
    """Give a file in a folder that was just made the mode of other new files.

    safetensors writes weights that nobody but oneself may read.
    """
    path.chmod(path.parent.stat().st_mode & 0o666)


def _not_written(path: Path, error: OSError) -> CourseError:
    return CourseError(f"{path}: not written ({error.strerror or error})", _cure_of(error))


def _cure_of(error: OSError) -> str:
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "a folder in its path is a file: choose another place"
    if error.errno == errno.ENAMETOOLONG:
        return "choose a shorter name"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose a file or folder that you may read and write, then run the command again"
    if error.errno in (errno.ELOOP, errno.ENOENT):
        return "check the path"
    return "free some disk space or choose another folder, then run the command again"


def told(error: OSError) -> CourseError | None:
    """The error of a path that nobody looked at before it was used; None for any other.

    The last net of a command: a name too long, a folder that may not be entered, a link to itself;
    and a full disk, which standard output tells without a name.
    """
    if error.errno in FULL and error.filename is None:
        return CourseError(f"what was to be written: {error.strerror}", _cure_of(error))
    if error.filename is None or isinstance(error.filename, int):
        return None
    name = os.fsdecode(error.filename)
    return CourseError(f"{name}: {error.strerror or error}", _cure_of(error))


def write_text_atomic(path: Path, text: str) -> Path:
    """Write a UTF-8 text file whole or not at all.

    A lone surrogate (half a character, which a model can generate) is written as "?".
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return Path(path)


def write_json_atomic(path: Path, content: Any) -> Path:
    """Write JSON whole or not at all; NaN becomes null, since JSON has no NaN."""
    text = json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False)
    return write_text_atomic(path, text + "\n")


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    if hasattr(content, "item") and not isinstance(content, str):  # numpy and torch scalars
        content = content.item()
    if isinstance(content, float) and (content != content or abs(content) == float("inf")):
        return None
    return content


def read_json(path: Path, maker: str = "") -> Any:
    """Read a JSON file; a missing or broken one is a CourseError that names it, and its `maker`.

    `maker`: what writes the file, such as "notebook 02_baseline".
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        cure = f"run {maker} first" if maker else "check the path, or run what writes it first"
        raise CourseError(f"{path}: there is no such file", cure) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CourseError(
            f"{path}: not readable as JSON ({error})",
            f"delete it and run {maker or 'what wrote it'} again",
        ) from None
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", "check the path") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where none can be read: whoever needs it says so."""
    try:
        content = read_json(path)
    except CourseError:
        return {}
    return content if isinstance(content, dict) else {}
