"""A line of JSON: bytes -> text -> the record in it, and in plain words what is wrong with it."""

import codecs
import json
from collections import Counter
from contextlib import suppress

from course_utils.schemas import CONTROL, WRITE_COMMAND, Problem, control_character, show

LINE_LIMIT = 1_000_000  # bytes; no record is this long, and reading it would fill the memory


Row = tuple[int, int, bytes | None]  # number from 1, byte where it starts, the line; None = too big


def read_line(row: Row, fixes: set[str]) -> tuple[dict | None, str, list[Problem]]:
    """(the object on a line or None, its text, problems); what was put right is added to `fixes`.

    An empty line is a warning, all else that leaves no object is an error.
    """
    number, start, raw = row
    if raw is None:
        message = f"the line is longer than {LINE_LIMIT:,} bytes and was not read"
        cure = "One line is one record of a few sentences: is a line break missing in between?"
        return None, "", [Problem(number, "huge-line", "error", message, cure)]
    if not raw.strip():
        cure = "Remove the empty line; it is skipped."
        return None, "", [Problem(number, "blank-line", "warning", "the line is empty", cure)]
    if raw.endswith(b"\r\n"):
        fixes.add("crlf")
    text, problems = decode(number, start, raw.rstrip(b"\r\n"), fixes)
    if text is None:
        return None, "", problems
    record, more = parse(number, text, fixes)
    return record, text, problems + more


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
        text = windows_text(raw[skip:])
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


def windows_text(raw: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8", errors="course-cp1252")
    return None


def _not_utf8(number: int, start: int, raw: bytes, at: int, text: str | None) -> Problem:
    where = f"at byte {at + 1} of the line (byte {start + at + 1} of the file)"
    if not number:  # the file as a whole
        where = f"in line {raw[:at].count(10) + 1} (byte {at + 1} of the file)"
    message = f"not UTF-8: byte 0x{raw[at]:02X} {where}"
    cure = "Save the file again as UTF-8 from the program that made it."
    if text is not None:
        position = len(raw[:at].decode("utf-8").lstrip("\ufeff"))  # all before `at` is UTF-8
        near = show(text[max(0, position - 12) : position + 12])
        message += f"; read as Windows-1252 (cp1252) it says “{near}”"
        cure = (
            "Save the file as UTF-8 (Notepad: Save as, Encoding UTF-8), "
            f"or let {WRITE_COMMAND} convert it."
        )
    return Problem(number, "not-utf-8", "error", message, cure)


# How Python's JSON reader words a problem -> (plain words, cure)
JSON_WORDS = {
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
    found = [words for start, words in JSON_WORDS.items() if error.msg.startswith(start)]
    words, cure = found[0] if found else (error.msg, "Correct the line by hand.")
    at = error.pos
    saw = f"`{show(text[at])}`" if at < len(text) else "the end of the line"
    near = f"{show(text[max(0, at - 15) : at])}»{show(text[at : at + 15])}"
    message = f"not valid JSON at column {at + 1}: {words}, saw {saw} (near {near})"
    if text.lstrip().startswith("["):
        cure = f"Each line must be one object {{ ... }}, this one begins a list. {cure}"
    elif not text.lstrip().startswith("{") and "," in text:
        cure = f"Each line must begin with {{ ; this one looks like a table (CSV). {cure}"
    return Problem(number, "bad-json", "error", message, cure)
