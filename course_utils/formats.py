"""Files of records: what kind of file it is, and its records as lines of JSON, whatever it is.

JSON lines are read as they are, also packed with gzip. Everything else that holds records without
doubt (a JSON array, column-wise JSON, a table, a sheet, UTF-16 text) is turned into such lines
here, so that one check and one repair serve all; `Source.what` names it in words.
"""

import contextlib
import csv
import difflib
import gzip
import io
import itertools
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from course_utils.errors import CourseError
from course_utils.jsonlines import JSON_WORDS, LINE_LIMIT, Row, decode
from course_utils.schemas import SCHEMAS, WRITE_COMMAND, Problem, plain_name, show
from course_utils.shell import command_line

DOCUMENT_LIMIT = 300_000_000  # bytes; arrays and tables are read whole, JSON lines are not
USUAL_NAMES = (".jsonl", ".ndjson", ".json")

# Columns by which a table or column-wise JSON is recognised, and its delimiter chosen.
COLUMNS = {field for rules in SCHEMAS.values() for field in rules.fields} | {
    *("prompt", "question", "query", "response", "completion", "category", "target", "text"),
}
# Lists of objects that are one conversation, not a list of records.
CONVERSATIONS = ("messages", "conversations", "conversation", "turns", "dialog", "dialogue")
# Fields that `course data convert` starts from.
FOREIGN_NAMES = {*CONVERSATIONS, "prompt", "question", "query", "response", "completion"}
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright strokes"}


@dataclass(frozen=True)
class Source:
    """A file of records. `rows()` gives its lines of JSON; `what` is "" for JSON lines itself."""

    path: Path
    rows: Callable[[], Iterator[Row]]
    what: str = ""  # in words, where it must be written as JSON lines before it can be read
    unit: str = "line"  # what a row's number counts
    problems: tuple[Problem, ...] = ()
    fixes: frozenset[str] = frozenset()

    def refusal(self, cure: str = "") -> CourseError:
        """The error of a reader that takes JSON lines only; its command works on this file."""
        return CourseError(f"{self.path}: this is {self.what}, not JSON lines", cure or self.cure)

    @property
    def cure(self) -> str:
        return f"Write it as JSON lines: {self.command}"

    @cached_property
    def command(self) -> str:
        """The line that writes a corrected copy of this file under a name that is free."""
        return check_command(self.path, _free_name(self.path))

    def named(self, problem: Problem) -> Problem:
        """The problem with the command on this very file in its cure."""
        if WRITE_COMMAND not in problem.cure:
            return problem
        return replace(problem, cure=problem.cure.replace(WRITE_COMMAND, self.command))


def check_command(path: Path, out: Path | None = None) -> str:
    """The `course data check` line for a file, its names quoted for this system's shell."""
    return _command("check", path, *(["--write", out] if out else []))


def convert_command(path: Path, to: str) -> str:
    """The `course data convert` line for a file of another form."""
    return _command("convert", path, "--to", to, "--out", _free_name(path))


def _command(verb: str, *words: str | Path) -> str:
    return command_line(["course", "data", verb, *words])


def _free_name(path: Path) -> Path:
    """NAME.jsonl beside the file, or NAME-fixed.jsonl: never one that is there already."""
    stem = path.name.removesuffix(".gz")
    stem = stem.removesuffix(Path(stem).suffix) or stem
    ends = itertools.chain(["", "-fixed"], (f"-fixed-{n}" for n in itertools.count(2)))
    names = (path.with_name(f"{stem}{end}.jsonl") for end in ends)
    return next(name for name in names if not name.exists())


def open_source(path: str | os.PathLike) -> Source:
    """What kind of file this is, judged by what is in it. CourseError where it holds no records."""
    path = existing_file(path)
    with _reading(path):
        head = _head(path)
        if head.startswith(b"PK\x03\x04"):
            return _sheet(path)
        if head.startswith(b"PAR1"):
            return _parquet(path)
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            raise CourseError(f"{path}: this is an old Excel file", "Save it as .xlsx or as CSV.")
        return _text_source(path)


# ---------------------------------------------------------------------------------------------
# The file and its bytes
# ---------------------------------------------------------------------------------------------


def existing_file(path: str | os.PathLike) -> Path:
    """The path of a file that is there; CourseError with a cure otherwise."""
    path = Path(path)
    try:
        path.stat()
    except FileNotFoundError:
        pass  # the message below looks for a similar name
    except (OSError, ValueError) as error:  # no permission; a name too long; a NUL in the name
        message = f"{show(str(path), 200)}: cannot be opened ({error})"
        raise CourseError(message, "Check the path and its permissions.") from error
    if path.is_dir():
        inside = ", ".join(sorted(p.name for p in path.glob("*.jsonl"))[:5])
        cure = f"Name one file in it: {inside}." if inside else "Name a .jsonl file."
        raise CourseError(f"{path}: this is a folder, not a file", cure)
    if path.is_file():
        return path
    if path.exists():
        raise CourseError(
            f"{path}: this is a pipe or a device, not a file",
            "Save its content in a file first: it is read more than once.",
        )
    if path.is_symlink():
        raise CourseError(
            f"{path}: a link to {path.readlink()}, which is not there",
            "Put the file there, or name the file itself.",
        )
    near = difflib.get_close_matches(path.name, _names_beside(path), n=1)
    cure = f"Did you mean {path.parent / near[0]}?" if near else "Check the path and the name."
    raise CourseError(f"{path}: there is no such file", cure)


def _names_beside(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [p.name for p in path.parent.iterdir()]
    return []


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CourseError(
            f"{path}: a gzip file that is cut off or damaged ({error})",
            "Copy or download it again, and check its size.",
        ) from error
    except OSError as error:
        raise CourseError(
            f"{path}: cannot be read ({error.strerror or error})", "Check the file's permissions."
        ) from error


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where it is a gzip file, in UTF-8 where it was UTF-16."""
    if _head(path)[:2] in _WIDE:
        with _open_packed(path) as file:
            text = _whole(path, file).decode("utf-16", errors="replace")
        return io.BytesIO(text.encode("utf-8", errors="replace"))
    return _open_packed(path)


def _open_packed(path: Path) -> Any:
    return gzip.open(path, "rb") if _is_packed(path) else path.open("rb")


def _whole(path: Path, file: BinaryIO) -> bytes:
    content = file.read(DOCUMENT_LIMIT + 1)
    if len(content) > DOCUMENT_LIMIT:
        raise CourseError(
            f"{path}: more than {DOCUMENT_LIMIT // 1_000_000} MB, and not JSON lines in UTF-8",
            "Write it as JSON lines, one record on each line, or split it into smaller files.",
        )
    return content


def _head(path: Path) -> bytes:
    with _open_packed(path) as file:
        return file.read(8)


def lines_of(path: Path) -> Iterator[Row]:
    """(line number, byte where it starts, bytes with line end) one by one; None = too big.

    A line ends at \\n and nowhere else: the other line separators of Unicode may stand in a text.
    """
    with _reading(path), _open(path) as file:
        start, number = 0, 0
        while raw := file.readline(LINE_LIMIT + 1):
            number += 1
            size, end = len(raw), raw
            while size > LINE_LIMIT and not end.endswith(b"\n"):  # skip the rest unread
                raw, end = None, file.readline(LINE_LIMIT)
                size += len(end)
                if not end:
                    break
            if size > LINE_LIMIT:
                raw = None
            yield number, start, raw
            start += size


# ---------------------------------------------------------------------------------------------
# Text: lines of JSON, one JSON document, or a table
# ---------------------------------------------------------------------------------------------


def _text_source(path: Path) -> Source:
    first, second = _first_lines(path)
    if not first:
        raise CourseError(f"{path}: the file is empty", "Put one JSON record on each line.")
    source = None
    if _may_be_document(first, second):
        source = _document(path, first, second)
    elif first[0] not in "[{" and (delimiter := _delimiter(path, first)):
        source = _table(path, delimiter)
    source = source or _json_lines(path, first)
    if _head(path)[:2] in _WIDE:  # JSON lines in UTF-16, or whatever else
        what = "UTF-16 text" + (source.what and f", {source.what}")
        source = replace(source, what=what, fixes=source.fixes | {"format", "utf-16"})
    return source


def _json_lines(path: Path, first: str) -> Source:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"][-1:]
    problems = []
    if suffixes not in [[suffix] for suffix in USUAL_NAMES]:
        ends = f"the name ends in {suffixes[0] if suffixes else 'nothing'}, not .jsonl"
        cure = "Write one JSON object on each line and name the file with .jsonl at the end."
        if first[0] not in "[{":  # neither the name nor the content speaks of records
            raise CourseError(f"{path}: {ends}, and it begins with “{show(first, 20)}”", cure)
        cure = "It is read all the same, but other tools go by the name: end it in .jsonl."
        problems.append(Problem(0, "file-name", "warning", ends, cure))
    return Source(path, lambda: lines_of(path), problems=(*problems,))


CUT = "\ufffe"  # no character: stands for the rest of a line that is too long


def _first_lines(path: Path) -> tuple[str, str]:
    """The first two lines that are not empty, stripped; of a long one the beginning and CUT."""
    found: list[str] = []
    with _reading(path), _open(path) as file:
        while len(found) < 2 and (raw := file.readline(LINE_LIMIT + 1)):
            text = raw.decode("utf-8-sig", errors="replace").strip()
            if text:
                found.append(text + CUT if len(raw) > LINE_LIMIT else text)
            while len(raw) > LINE_LIMIT and not raw.endswith(b"\n"):
                raw = file.readline(LINE_LIMIT + 1)
    first, second = (*found, "", "")[:2]
    return first, second


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _may_be_document(first: str, second: str) -> bool:
    """Whether the file may be one array or object: its first line alone is no record of many."""
    if first.endswith(CUT) and second.startswith("{"):  # a record too long, and one after it
        return False
    if first[0] == "[":
        return not second if _is_json(first) else bool(re.match(r"\[\s*(\{|$)", first))
    return first[0] == "{" and not (second and _is_json(first))


def _document(path: Path, first: str, second: str) -> Source | None:
    """The file as one JSON array or object; None where it is lines of JSON after all."""
    with _open(path) as file:
        raw = _whole(path, file)
    fixes = {"format"}
    text, problems = decode(0, 0, raw, fixes)
    if text is None:
        return None
    try:
        what, slices = _slices(path, text)
    except (ValueError, RecursionError) as error:
        # Sure of the document: say where it breaks. Else it is lines, of which one is broken.
        if first[0] == "[" or (first == "{" and not second.startswith("{")):
            raise _broken(path, text, error) from None
        return None
    if not what:
        return None
    rows = [(i, 0, piece.encode("utf-8", "surrogatepass")) for i, piece in enumerate(slices, 1)]
    if not rows:
        raise CourseError(f"{path}: {what} without a record", "Put records into it.")
    return Source(path, lambda: _limited(rows), what, "record", (*problems,), frozenset(fixes))


def _limited(rows: Iterable[Row]) -> Iterator[Row]:
    for number, start, raw in rows:
        yield number, start, None if raw is not None and len(raw) > LINE_LIMIT else raw


def _broken(path: Path, text: str, error: Exception) -> CourseError:
    if not isinstance(error, json.JSONDecodeError):
        return CourseError(f"{path}: brackets or numbers that are far too long", "Write it anew.")
    found = [words for start, words in JSON_WORDS.items() if error.msg.startswith(start)]
    words, cure = found[0] if found else (error.msg, "Correct the line by hand.")
    near = f"{show(text[max(0, error.pos - 15) : error.pos])}»{show(text[error.pos :][:15])}"
    where = f"not valid JSON at column {error.colno}: {words} (near {near})"
    return CourseError(f"{path}:{error.lineno}: {where}", cure)


def _slices(path: Path, text: str) -> tuple[str, list[str]]:
    """(what the document is, the JSON of each record in it); ("", []) for JSON lines.

    Records are cut out as they were written: 2.50 must not become 2.5.
    """
    at = _skip(text, 0)
    members = _Members(text, at)
    found = list(members)
    if text[at] == "[":
        _expect_end(text, members.end)
        return "one JSON array [...]", [text[start:end] for _, start, end in found]
    rest = _skip(text, members.end)
    if rest == len(text):
        if lists := _inner_lists(text, found):
            return _inner(path, text, lists)
        if _is_columns(text, found):
            return "column-wise JSON", _turned(text, found)
    objects = [text[at : members.end]]
    while (at := _skip(text, members.end)) < len(text):
        members = _Members(text, at)
        list(members)
        objects.append(text[at : members.end])
    if len(objects) == 1 and "\n" not in objects[0]:
        return "", []  # one line, one record
    return "JSON objects spread over several lines", objects


class _Members:
    """(name or "", start, end) of each member of the array or object that begins at `at`."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.start, self.end = text, at, at
        self.read = json.JSONDecoder(strict=False).raw_decode

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        text, at = self.text, _skip(self.text, self.start + 1)
        if text[self.start : self.start + 1] not in ("[", "{"):
            raise json.JSONDecodeError("Expecting value", text, self.start)
        close = "]" if text[self.start] == "[" else "}"
        more = text[at : at + 1] != close
        while more:
            name = ""
            if close == "}":
                if text[at : at + 1] != '"':
                    raise json.JSONDecodeError("Expecting property name", text, at)
                name, at = self.read(text, at)
                at = _skip(text, at)
                if text[at : at + 1] != ":":
                    raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
                at = _skip(text, at + 1)
            value = at
            _, at = self.read(text, value)
            yield name, value, at
            at = _skip(text, at)
            more = text[at : at + 1] != close
            if more and text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _skip(text, at + 1) if more else at
        self.end = at + 1


_SPACE = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()


def _expect_end(text: str, at: int) -> None:
    if (end := _skip(text, at)) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)


_OBJECTS = re.compile(r"\[\s*\{")  # how a list of objects begins


def _inner_lists(text: str, found: list[tuple[str, int, int]]) -> list[tuple[str, int]]:
    """Members such as "data": [{...}, ...], unless the object is a record itself."""
    names = {plain_name(name) for name, _, _ in found}
    if names & COLUMNS or names.intersection(CONVERSATIONS):
        return []
    return [(name, at) for name, at, _ in found if _OBJECTS.match(text, at)]


def _inner(path: Path, text: str, lists: list[tuple[str, int]]) -> tuple[str, list[str]]:
    if len(lists) > 1:
        names = ", ".join(f"`{show(name)}`" for name, _ in lists)
        raise CourseError(
            f"{path}: several lists of records in one file ({names})", "Write a file for each."
        )
    name, at = lists[0]
    return f"one JSON object with the records under `{show(name)}`", [
        text[start:end] for _, start, end in _Members(text, at)
    ]


def _is_columns(text: str, found: list[tuple[str, int, int]]) -> bool:
    """Whether each field holds all its values, as a list or by row number (pandas' to_json)."""
    names = {plain_name(name) for name, _, _ in found}
    if not names & COLUMNS or names.intersection(CONVERSATIONS):
        return False
    if any(_OBJECTS.match(text, at) for _, at, _ in found):  # turns of a conversation
        return False
    return {text[at] for _, at, _ in found} in ({"["}, {"{"})


def _turned(text: str, found: list[tuple[str, int, int]]) -> list[str]:
    """Columns -> the JSON of each record, by row number where the rows have one."""
    records: dict[str, list[str]] = {}
    for name, at, _ in found:
        for i, (key, start, end) in enumerate(_Members(text, at)):
            own = records.setdefault(key or str(i), [])
            own.append(f"{json.dumps(name, ensure_ascii=False)}: {text[start:end]}")
    keys = list(records)
    if all(re.fullmatch("[0-9]{1,18}", key) for key in keys):
        keys.sort(key=int)  # a row that the first column lacks stands at its place
    return ["{" + ", ".join(records[key]) + "}" for key in keys]


# ---------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------


def _delimiter(path: Path, header: str) -> str:
    """What stands between the columns: the delimiter that shows most known names; "" for none."""
    if header[:4].lower() == "sep=":
        return header[4:5] or "\t"  # the tab went with the spaces around the line
    best, known, count = "", 0, 0
    for delimiter in _DELIMITERS:
        names = [plain_name(cell.strip('"')) for cell in header.split(delimiter)]
        found = (len(COLUMNS.intersection(names)), len(names))
        if found > (known, count):
            best, (known, count) = delimiter, found
    is_table = known >= 2 or path.suffix.lower() in (".csv", ".tsv")
    return best if is_table and (count > 1 or path.suffix.lower() == ".csv") else ""


def _table(path: Path, delimiter: str) -> Source:
    with _open(path) as file:
        raw = _whole(path, file)
    fixes = {"format"}
    text, problems = decode(0, 0, raw, fixes)
    if text is None:
        raise CourseError(f"{path}: {problems[0].message}", problems[0].cure)
    rows = list(_table_rows(path, text, delimiter))
    if not rows:
        raise CourseError(f"{path}: a table without a row", "Write the records under the names.")
    what = f"a table (CSV, {_DELIMITERS.get(delimiter, repr(delimiter))} between its columns)"
    return Source(path, lambda: _limited(rows), what, "line", (*problems,), frozenset(fixes))


def _table_rows(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(LINE_LIMIT)  # the library's own limit is 131,072 characters
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    try:
        before = 0
        for cells in reader:
            number, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells) or cells[0][:4].lower() == "sep=":
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                continue
            if len(cells) > len(header) and any(cells[len(header) :]):
                raise CourseError(
                    f"{path}:{number}: {len(cells)} cells, but the table has {len(header)} columns",
                    f"Put double quotes around a text that holds {delimiter!r}.",
                )
            yield number, 0, _as_line(zip(header, cells, strict=False))
    except csv.Error as error:
        raise CourseError(
            f"{path}:{reader.line_num}: the table cannot be read ({error})",
            'Is a double quote missing? Inside a text it is written twice: "".',
        ) from None


def _as_line(cells: Iterable[tuple[str, Any]]) -> bytes:
    """One record as a line; a name that stands twice stays twice, for the check to say so."""
    parts = [f"{json.dumps(name)}: {json.dumps(value, default=str)}" for name, value in cells]
    return ("{" + ", ".join(parts) + "}").encode()


def _sheet(path: Path) -> Source:
    """The first sheet of an Excel file, where openpyxl is installed."""
    if "xl/workbook.xml" not in _names_in_archive(path):
        raise CourseError(f"{path}: this is a zip archive", "Unpack it, then name the file.")
    try:
        import openpyxl
    except ImportError:
        command = check_command(path.with_suffix(".csv"), path.with_suffix(".jsonl"))
        raise CourseError(
            f"{path}: this is an Excel file, and openpyxl, which reads it, is not installed",
            f"Save it as CSV in Excel, then {command} (or install openpyxl and try again).",
        ) from None
    try:
        with path.open("rb") as file:  # given the name, openpyxl would judge by its ending
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            rows = list(_sheet_rows(book.worksheets[0]))
    except Exception as error:  # openpyxl raises what it meets: KeyError, BadZipFile, ...
        raise CourseError(
            f"{path}: an Excel file that cannot be read ({type(error).__name__}: {error})",
            "Open it in Excel and save it again, or save it as CSV.",
        ) from None
    if not rows:
        raise CourseError(
            f"{path}: its first sheet has no row under the names", "Put the records there."
        )
    return Source(path, lambda: _limited(rows), "an Excel sheet", "row", (), frozenset({"format"}))


def _names_in_archive(path: Path) -> list[str]:
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return archive.namelist()
    return []


def _sheet_rows(sheet: Any) -> Iterator[Row]:
    header: list[str] = []
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        if all(cell is None for cell in cells):
            continue
        if not header:
            header = ["" if cell is None else str(cell).strip() for cell in cells]
            continue
        named = [(name, _cell(cell)) for name, cell in zip(header, cells, strict=False)]
        yield number, 0, _as_line((name, cell) for name, cell in named if name)


def _cell(value: Any) -> Any:
    """A cell as JSON takes it; an empty one is an empty text, a whole number has no point."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (str, int, float)) else str(value)


def _parquet(path: Path) -> Source:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise CourseError(
            f"{path}: a Parquet file that cannot be read ({show(str(error), 100)})",
            "Copy or download it again.",
        ) from None
    rows = [(i, 0, _as_line(record.items())) for i, record in enumerate(table, start=1)]
    if not rows:
        raise CourseError(f"{path}: a Parquet file without a record", "Name another file.")
    return Source(
        path, lambda: _limited(rows), "a Parquet file", "record", (), frozenset({"format"})
    )
