"""Files of records: what kind of file it is, its lines, and the record in each line of JSON."""

import codecs
import difflib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.schemas import CONTROL, Problem, control_character, field_names, show

LINE_LIMIT = 1_000_000  # bytes; no record is this long, and reading it would fill the memory

# ---------------------------------------------------------------------------------------------
# One line: bytes -> text -> values
# ---------------------------------------------------------------------------------------------


def decode(
    number: int, start: int, raw: bytes, fixes: set[str]
) -> tuple[str | None, list[Problem]]:
    """Bytes -> text, by way of Windows-1252 if need be. Positions in messages count from 1."""
    problems = []
    skip = 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    if skip:
        fixes.add("bom")
        message = "an invisible byte-order mark (EF BB BF) stands before the record"
        cure = "Save the file as UTF-8 without BOM."
        problems.append(Problem(number, "bom", "warning", message, cure))
    try:
        text = raw[skip:].decode("utf-8")
    except UnicodeDecodeError as error:
        text = _windows_text(raw[skip:])
        problems.append(_not_utf8(number, start, raw, skip + error.start, text))
        if text is None:
            return None, problems
        fixes.add("cp1252")
    bad = CONTROL.search(text)
    if bad:
        where = f"at column {bad.start() + 1}"
        problems.append(control_character(bad[0], where, number))
        fixes.add("control-character")
        text = CONTROL.sub("", text)
    return text, problems


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Decode only the bytes that are not UTF-8: files put together from two sources mix both."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252"), error.end


codecs.register_error("course-cp1252", _as_windows)


def _windows_text(raw: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8", errors="course-cp1252")
    return None


def _not_utf8(number: int, start: int, raw: bytes, at: int, text: str | None) -> Problem:
    message = (
        f"not UTF-8: byte 0x{raw[at]:02X} at byte {at + 1} of the line "
        f"(byte {start + at + 1} of the file)"
    )
    cure = "Save the file again as UTF-8 from the program that made it."
    if text is not None:
        position = len(raw[:at].decode("utf-8").lstrip("\ufeff"))  # all before `at` is UTF-8
        near = show(text[max(0, position - 12) : position + 12])
        message += f"; read as Windows-1252 (cp1252) it says “{near}”"
        cure = (
            "Save the file as UTF-8 (Notepad: Save as, Encoding UTF-8), "
            "or let course data check FILE --write FIXED convert it."
        )
    return Problem(number, "not-utf-8", "error", message, cure)


# How Python's JSON reader words a problem -> (plain words, cure)
_JSON_WORDS = {
    "Expecting property name": (
        "a field name in straight double quotes was expected",
        'Write names as "instruction", in straight double quotes, and no comma before the last }.',
    ),
    "Illegal trailing comma": ("a comma too many", "Remove the comma before the last }."),
    "Expecting ':'": ("a colon was expected", 'Write "name": "text".'),
    "Expecting ','": (
        "a comma or the closing } was expected",
        'Put a comma between two fields; a double quote inside a text is written \\".',
    ),
    "Expecting value": (
        "a value was expected",
        'Put texts in straight double quotes: "instruction": "text" (not \' or “ ”, not None).',
    ),
    "Extra data": (
        "the record has ended, but something follows it",
        "Put one record on each line, with no comma at the end of the line.",
    ),
    "Unterminated string": (
        "a text begins here and has no end",
        'Close the text with "; a line break inside a text is written \\n.',
    ),
    "Invalid \\": (
        "a backslash stands alone",
        "Write a backslash as \\\\, for example in file names and formulas.",
    ),
}


def parse(number: int, text: str, fixes: set[str]) -> tuple[dict | None, list[Problem]]:
    """JSON text -> one record, or None and the problem."""
    repeated: list[str] = []
    problems: list[Problem] = []

    def collect(pairs: list[tuple[str, object]]) -> dict:
        names = Counter(name for name, _ in pairs)
        repeated.extend(name for name, n in names.items() if n > 1)
        return dict(pairs)

    try:
        try:
            value = json.loads(text, object_pairs_hook=collect)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Invalid control character"):
                raise
            value = json.loads(text, object_pairs_hook=collect, strict=False)
            where = f"inside a text, at column {error.pos + 1}"
            problems.append(control_character(text[error.pos], where, number))
            fixes.add("control-character")
    except json.JSONDecodeError as error:
        return None, [_bad_json(number, text, error)]
    except (ValueError, RecursionError):  # a number of thousands of digits; [[[[[[...
        message = "not a record: a number or a nesting of brackets that is far too long"
        return None, [Problem(number, "bad-json", "error", message, "Remove this line.")]
    if not isinstance(value, dict):
        message = f"the line is not a record in braces {{...}} but {show(text, 30)}"
        cure = 'Write each line as {"instruction": "...", ...}.'
        return None, [Problem(number, "not-an-object", "error", message, cure)]
    for name in dict.fromkeys(repeated):
        message = f"field `{show(name)}` stands twice in the record"
        cure = "Keep one of the two; a program would silently use the last."
        problems.append(Problem(number, "repeated-field", "error", message, cure))
    return value, problems


def _bad_json(number: int, text: str, error: json.JSONDecodeError) -> Problem:
    found = [words for start, words in _JSON_WORDS.items() if error.msg.startswith(start)]
    words, cure = found[0] if found else (error.msg, "Correct the line by hand.")
    at = error.pos
    saw = f"`{show(text[at])}`" if at < len(text) else "the end of the line"
    near = f"{show(text[max(0, at - 15) : at])}»{show(text[at : at + 15])}"
    message = f"not valid JSON at column {at + 1}: {words}, saw {saw} (near {near})"
    if not text.lstrip().startswith("{") and "," in text:
        cure = f"Each line must begin with {{ ; this one looks like a table (CSV). {cure}"
    return Problem(number, "bad-json", "error", message, cure)


# ---------------------------------------------------------------------------------------------
# One file
# ---------------------------------------------------------------------------------------------

_SIGNATURES = {
    b"\xff\xfe": ("UTF-16 text", "Save it as UTF-8 (Notepad: Save as, Encoding UTF-8)."),
    b"\xfe\xff": ("UTF-16 text", "Save it as UTF-8 (Notepad: Save as, Encoding UTF-8)."),
    b"PK\x03\x04": ("an Excel or zip file", "Export the sheet as CSV, or unpack the archive."),
    b"\x1f\x8b": ("a gzip file", "Unpack it first with gunzip."),
    b"PAR1": ("a Parquet file", "Convert it: pandas.read_parquet(FILE).to_json(...)."),
}
_TO_LINES = "to_json('{out}', orient='records', lines=True, force_ascii=False)"
_READERS = {
    ".csv": "read_csv('{path}', dtype=str, keep_default_na=False)",
    ".tsv": "read_csv('{path}', sep='\\t', dtype=str, keep_default_na=False)",
    ".xlsx": "read_excel('{path}', dtype=str, keep_default_na=False)",
    ".xls": "read_excel('{path}', dtype=str, keep_default_na=False)",
    ".parquet": "read_parquet('{path}')",
}


def to_path(path: str | os.PathLike) -> Path:
    """The path of a readable, non-empty file in JSON lines; CourseError with a cure otherwise."""
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
    if not path.is_file():
        near = difflib.get_close_matches(path.name, _names_beside(path), n=1)
        cure = f"Did you mean {path.parent / near[0]}?" if near else "Check the path and the name."
        raise CourseError(f"{path}: there is no such file", cure)
    suffix = path.suffix.lower()
    if suffix in _READERS:
        call = f"{_READERS[suffix]}.{_TO_LINES}".format(
            path=path.as_posix(), out=path.with_suffix(".jsonl").as_posix()
        )
        cure = (
            f'Convert it:\n  python -c "import pandas; pandas.{call}"\n'
            f"The columns must be named as the fields: {field_names()}."
        )
        raise CourseError(f"{path}: a {suffix} table, not JSON lines", cure)
    if suffix not in (".jsonl", ".ndjson", ".json"):
        cure = "Write one JSON object on each line and name the file with .jsonl at the end."
        raise CourseError(f"{path}: the name ends in {suffix or 'nothing'}, not .jsonl", cure)
    return path


def _names_beside(path: Path) -> list[str]:
    with suppress(OSError):
        return [p.name for p in path.parent.iterdir()]
    return []


def lines_of(path: Path) -> Iterator[tuple[int, int, bytes | None]]:
    """(line number, byte where it starts, bytes with line end) one by one; None = too big."""
    try:
        with path.open("rb") as file:
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
    except OSError as error:
        raise CourseError(
            f"{path}: cannot be read ({error.strerror or error})", "Check the file's permissions."
        ) from error


def refuse_signature(path: Path, head: bytes) -> None:
    for signature, (what, cure) in _SIGNATURES.items():
        if head.startswith(signature):
            raise CourseError(f"{path}: this is {what}, not UTF-8 JSON lines", cure)


def refuse_document(path: Path, first: str, second: str) -> None:
    """Refuse one JSON array or object that is spread over the file; single bad lines pass."""
    out = path.with_name(path.stem + "-lines.jsonl").as_posix()
    read = f"read_json('{path.as_posix()}', dtype=False, convert_dates=False)"
    cure = (
        "Convert it to one record on each line:\n"
        f'  python -c "import pandas; pandas.{read}.{_TO_LINES.format(out=out)}"'
    )
    try:
        alone = isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        alone = False
    if first.startswith("[") and (not second if alone else re.match(r"\[\s*(\{|$)", first)):
        raise CourseError(f"{path}: this is one JSON array [...], not JSON lines", cure)
    if first == "{" and not second.startswith("{"):
        cure = "Write each record on one line: json.dumps(record, ensure_ascii=False), no indent."
        raise CourseError(f"{path}: a JSON object is spread over several lines", cure)
