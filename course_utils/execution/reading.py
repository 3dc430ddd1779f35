"""Reading a notebook's file, whatever bytes it holds: one reader for the run and its worker."""

import json
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.structure import AGAIN, as_run, check_structure
from course_utils.shell import command_line

TO_UTF_8 = (
    "import pathlib, sys; old, new = map(pathlib.Path, sys.argv[1:]); "
    'new.write_text(old.read_text("{codec}"), "utf-8")'
)


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook in format 4, as a run starts from it (`structure.as_run`).

    Raises CourseError when the file can't be one, with what is wrong and where.
    """
    path = Path(path)
    text = _text(path, _bytes(path))
    if not text.strip():
        raise CourseError(f"{path}: the file is empty", AGAIN)
    raw = _json(path, text)
    try:
        check_structure(raw)
        if raw["nbformat"] < 4:
            raw = _converted(text)
            check_structure(raw)
        return as_run(raw)
    except CourseError as slip:
        raise CourseError(f"{path}: not a valid notebook, {slip.message}", slip.cure) from None


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a named pipe would keep the reader waiting
        raise CourseError(f"{path}: not a file", "take it out of the list")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CourseError(f"{path}: no such file", "check the path") from None
    except OSError as error:
        raise CourseError(
            f"{path}: can't be read ({error.strerror or error})", "check who may read the file"
        ) from None


def _text(path: Path, content: bytes) -> str:
    """UTF-8, with or without a byte order mark, and UTF-16 and UTF-32, as JSON itself has them."""
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError as error:
        where = f"byte {error.object[error.start]:#04x} at position {error.start}"
    codec = _windows_codec(content)
    if not codec:
        raise CourseError(f"{path}: not a text file ({where})", "name another file")
    new = path.with_name(f"{path.stem}_utf8.ipynb")
    words = ["python", "-c", TO_UTF_8.format(codec=codec), path, new]
    raise CourseError(
        f"{path}: can't be read as UTF-8 text ({where}); it seems to be {codec}",
        f"make a UTF-8 copy and run that: {command_line(words)}",
    )


def _windows_codec(content: bytes) -> str:
    """The one-byte encoding in which the content is JSON, or ""."""
    for codec in ("cp1252", "latin-1"):
        try:
            json.loads(content.decode(codec))
        except (ValueError, RecursionError):
            continue
        return codec
    return ""


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise CourseError(f"{path}: not a notebook, JSON nested too deep", AGAIN) from None
    except ValueError as error:
        raise CourseError(f"{path}: not a notebook, broken JSON ({error})", AGAIN) from None


def _converted(text: str) -> dict[str, Any]:
    """An old notebook in format 4. nbformat costs a second to import: only for old formats."""
    import nbformat

    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:  # nbformat raises whatever it trips over
        reason = f"{type(error).__name__}: {error}"
        raise CourseError(
            f"of an old format, which can not be converted ({reason})", AGAIN
        ) from None
