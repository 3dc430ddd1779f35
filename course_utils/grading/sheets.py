"""CSV files that people and LMSs write: read with a message where they can't be, written whole."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.files import atomic_path

LARGEST = 20_000_000  # bytes


@dataclass
class Sheet:
    """A table as it stood in the file: written again, only changed cells differ."""

    path: Path
    rows: list[list[str]]  # with the header
    lines: list[int]  # of the file, where each row begins
    delimiter: str
    mark: bool  # a byte order mark, which Excel and Moodle write
    end: str  # of a line

    @property
    def header(self) -> list[str]:
        return self.rows[0]

    def column(self, *wanted: str) -> int | None:
        """The column of the first of these names, capitals and spaces apart."""
        plain = [name.strip().casefold() for name in self.header]
        return next((plain.index(w.casefold()) for w in wanted if w.casefold() in plain), None)

    def write(self, target: Path) -> Path:
        """The same table, with this file's own marks."""
        return write_rows(target, self.rows, self.delimiter, self.mark, self.end)


def read_sheet(path: Path, code_page: str = "") -> Sheet:
    """Read a CSV, in UTF-8 or else in `code_page`. CourseError that names the file and the line."""
    path = Path(path)
    again = "give the file as it was downloaded, saved as CSV (UTF-8)"
    try:
        if path.stat().st_size > LARGEST:
            raise CourseError(f"{path}: larger than {LARGEST:,} bytes", again)
        raw = path.read_bytes()
        text = _decoded(raw, code_page)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CourseError(f"{path}:{line}: not UTF-8 text", again) from None
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", again) from None
    end = "\r\n" if "\r\n" in text else "\n"
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines, before = [], [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(before)
            before = reader.line_num + 1
    except csv.Error as error:
        raise CourseError(f"{path}:{reader.line_num}: {error}", again) from None
    if not rows:
        raise CourseError(f"{path}: the file is empty", again)
    return Sheet(path, rows, lines, delimiter, raw.startswith(b"\xef\xbb\xbf"), end)


def _decoded(raw: bytes, code_page: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        if not code_page:
            raise
        return raw.decode(code_page)


def _delimiter(text: str) -> str:
    """What stands between the names of the first line; Excel writes ; where a comma is decimal."""
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def write_rows(
    target: Path,
    rows: Iterable[Sequence[str]],
    delimiter: str = ",",
    mark: bool = True,
    end: str = "\r\n",
) -> Path:
    """Write a CSV whole or not at all; with `mark`, Excel takes it for UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    encoding = "utf-8-sig" if mark else "utf-8"
    with atomic_path(target) as temporary:
        temporary.write_bytes(text.getvalue().encode(encoding, "replace"))
    return Path(target)
