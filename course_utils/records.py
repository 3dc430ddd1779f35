"""Training records: the two schemas, a line-numbered check, cleaning, and leak-free splits.

A data file is UTF-8 JSON lines: one record, as one JSON object, on each line.
Check a file and write a corrected copy:  course data check FILE --write FIXED
"""

import codecs
import difflib
import json
import os
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.files import atomic_path

# ---------------------------------------------------------------------------------------------
# The two schemas
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schema:
    """Which fields a record has. All values are strings; `may_be_empty` fields must still exist."""

    name: str
    required: tuple[str, ...]
    may_be_empty: tuple[str, ...]
    optional: tuple[str, ...]
    answer: str
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: int = 0  # records a file needs to be worth training on, unless the caller says otherwise

    @property
    def fields(self) -> tuple[str, ...]:
        return self.required + self.optional


SCHEMAS = {
    "manufacturing": Schema(
        name="manufacturing",
        required=("instruction", "input", "output"),
        may_be_empty=("input",),
        optional=("task", "document", "source", "group", "facts"),
        answer="output",
        choices={
            "task": ("understanding", "report", "qa"),
            "document": (
                "technical_documentation",
                "maintenance_log",
                "quality_report",
                "equipment_manual",
            ),
        },
    ),
    "geology": Schema(
        name="geology",
        required=("system", "instruction", "context", "answer"),
        may_be_empty=("system", "context"),
        optional=("source", "group", "facts"),
        answer="answer",
        least=20,
    ),
}

# Names other data sets use, for the hint only; "" stands for the schema's own answer field.
OTHER_NAMES = {"prompt": "instruction", "question": "instruction", "query": "instruction"} | (
    dict.fromkeys(("response", "completion", "target", "reply", "answer", "output"), "")
)
# ... for what the question is about: `context` in geology, `input` in manufacturing,
TEXT_NAMES = ("passage", "background", "text", "spectrum", "observation")
# ... and for the role the model plays.
SYSTEM_NAMES = ("system_prompt", "system_message", "role", "persona")


def detect_schema(record: Mapping) -> str | None:
    """Name of the schema whose own fields this record has more of; None if it has none of them."""
    own = {
        "manufacturing": sum(name in record for name in ("input", "output", "task", "document")),
        "geology": sum(name in record for name in ("system", "context", "answer")),
    }
    best = max(own, key=own.__getitem__)
    return best if own[best] and len(set(own.values())) > 1 else None


def text_of(record: Mapping[str, str]) -> str:
    """The part of the prompt that tells records apart; duplicates are searched in it.

    Manufacturing records often share one instruction ("Turn this work order into ..."), so the
    input alone is compared, and the instruction only where the input is empty. In geology the
    instruction is the question itself, so it is compared together with its context.
    """
    instruction = record.get("instruction", "")
    if "context" in record:
        return f"{instruction}\n{record['context']}".strip()
    text = record.get("input", "")
    return text if text.strip() else instruction


# ---------------------------------------------------------------------------------------------
# What the check reports
# ---------------------------------------------------------------------------------------------

LINE_LIMIT = 1_000_000  # bytes; no record is this long, and reading it would fill the memory

FIX_WORDS = {
    "bom": "byte-order mark removed",
    "crlf": "Windows line end replaced",
    "cp1252": "text converted from Windows-1252 to UTF-8",
    "control-character": "control characters removed",
    "whitespace": "spaces around a text removed",
    "number": "number written as text",
    "unknown-field": "unknown field dropped",
    "field-name": "field name respelled",
    "label": "task or document respelled",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `line` counts from 1; 0 means the file as a whole."""

    line: int
    kind: str
    severity: str  # "error" | "warning"
    message: str
    cure: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        return f"{where}: {self.severity}: {self.message} [{self.kind}]"


@dataclass(frozen=True)
class Line:
    """A line after the check: as parsed if it was right, and as put right if it could be."""

    number: int
    record: dict | None = None
    corrected: dict | None = None
    fixes: tuple[str, ...] = ()


@dataclass
class CheckReport:
    """What `check_file` found; `records` are the (line, record) pairs that follow the schema.

    `lines` counts the lines read. `fixable` holds every line that can be written, right or put
    right; `dropped` says for the others (line -> kind) why `write_corrected` leaves them out.
    """

    path: Path
    schema: str
    lines: int = 0
    records: list[tuple[int, dict]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    fixable: list[Line] = field(default_factory=list)
    dropped: dict[int, str] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self.problems if p.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [p for p in self.problems if p.severity == "warning"]

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def counts(self) -> dict[str, int]:
        """Number of problems of each kind, most frequent first."""
        return dict(Counter(p.kind for p in self.problems).most_common())

    def summary_lines(self, limit: int = 20) -> list[str]:
        """Plain lines for a terminal: the verdict, up to `limit` problems with cures, the rest."""
        head = (
            f"{self.path}: {_count(self.lines, 'line')}, {_count(len(self.records), 'record')} "
            f"that follow the {self.schema} schema, {_count(len(self.errors), 'error')}, "
            f"{_count(len(self.warnings), 'warning')}"
        )
        lines = [head]
        # Errors first, and of each kind the first before the second: ten lines of one kind
        # must not hide the only one of another.
        shown = self._spread()[:limit]
        cures: set[str] = set()
        for problem in sorted(shown, key=lambda p: (p.severity, p.line)):
            lines.append(f"  {problem}")
            if problem.cure and problem.cure not in cures:
                lines.append(f"    Cure: {problem.cure}")
            cures.add(problem.cure)
        rest = Counter(p.kind for p in self.problems) - Counter(p.kind for p in shown)
        if rest:
            more = ", ".join(f"{n} {kind}" for kind, n in rest.most_common())
            lines.append(f"  and more of the same: {more}")
        return lines

    def _spread(self) -> list[Problem]:
        seen: Counter[str] = Counter()
        ranked = []
        for problem in self.problems:
            seen[problem.kind] += 1
            ranked.append((problem.severity, seen[problem.kind], problem.line, problem))
        return [problem for *_, problem in sorted(ranked, key=lambda row: row[:3])]

    def to_dict(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "path": str(self.path),
            "schema": self.schema,
            "ok": self.ok,
            "lines": self.lines,
            "records": len(self.records),
            "counts": self.counts,
            "problems": [asdict(problem) for problem in self.problems],
        }


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _show(value: object, limit: int = 40) -> str:
    """A value as short printable text: control characters would garble the terminal."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


# ---------------------------------------------------------------------------------------------
# One record: validate and repair
# ---------------------------------------------------------------------------------------------

# C0 and C1 controls other than tab and line ends, and half surrogate pairs: none is text, and
# the latter cannot even be written as UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def validate(record: Mapping, schema: str, line: int = 0) -> list[Problem]:
    """Problems of one parsed record against the schema of that name; empty if it is right."""
    rules = SCHEMAS[schema]
    problems = [
        _missing_field(record, rules, name, line) for name in rules.required if name not in record
    ]
    for name, value in record.items():
        if name not in rules.fields:
            problems.append(_unknown_field(rules, name, line))
        elif not isinstance(value, str):
            problems.append(_wrong_type(name, value, line))
        else:
            problems += _text_problems(rules, name, value, line)
    return problems


def _missing_field(record: Mapping, rules: Schema, name: str, line: int) -> Problem:
    like = [other for other in record if other not in rules.fields and _meant(rules, other) == name]
    message = f"field `{name}` is missing"
    cure = f'Add "{name}": "..." to the record'
    if name in rules.may_be_empty:
        cure += " (it may be an empty text)"
    if like:
        message += f"; there is a field `{_show(like[0])}`"
        cure = f"Rename `{_show(like[0])}` to `{name}`"
    elif detect_schema(record) not in (None, rules.name):
        message += f"; the record looks like the {detect_schema(record)} schema"
        cure = "Keep the records of the two schemas in two files"
    return Problem(line, "missing-field", "error", message, cure + ".")


def _meant(rules: Schema, name: str) -> str:
    """The field of the schema that an unknown name probably stands for, or ""."""
    plain = name.strip().casefold()
    if plain in OTHER_NAMES and plain not in rules.fields:
        return OTHER_NAMES[plain] or rules.answer
    if plain in TEXT_NAMES and plain not in rules.fields:
        return "context" if "context" in rules.fields else "input"
    if plain in SYSTEM_NAMES and "system" in rules.fields:
        return "system"
    return next(iter(difflib.get_close_matches(plain, rules.fields, n=1)), "")


def _unknown_field(rules: Schema, name: str, line: int) -> Problem:
    meant = _meant(rules, name)
    hint = f"; did you mean `{meant}`?" if meant else ""
    return Problem(
        line,
        "unknown-field",
        "warning",
        f"field `{_show(name)}` is not part of the {rules.name} schema{hint}",
        f"Known fields are {', '.join(rules.fields)}. Rename or remove it; it is not used.",
    )


def _wrong_type(name: str, value: object, line: int) -> Problem:
    kinds = {bool: "true/false", int: "a number", float: "a number", list: "a list"}
    kind = "empty (null)" if value is None else kinds.get(type(value), "an object in braces")
    if value != value:  # NaN is the one value that differs from itself
        kind = "NaN, an empty cell of a table"
    cure = f'Write the value as text in double quotes: "{name}": "..."'
    return Problem(line, "wrong-type", "error", f"field `{name}` is {kind}, not text", cure + ".")


def _text_problems(rules: Schema, name: str, text: str, line: int) -> list[Problem]:
    problems = []
    bad = _CONTROL.search(text)
    if bad:
        problems.append(_control_character(bad[0], f"in field `{name}`", line))
    if not text.strip() and name not in rules.may_be_empty:
        why = "has only spaces" if text else "is empty"
        cure = f"Write a text for `{name}`, or remove the {_whole(rules, name)}."
        problems.append(Problem(line, "empty-field", "error", f"field `{name}` {why}", cure))
    elif text != text.strip():
        message = f"field `{name}` begins or ends with spaces or line breaks"
        cure = "Remove them: they change how the text is cut into tokens."
        problems.append(Problem(line, "whitespace", "warning", message, cure))
    allowed = rules.choices.get(name)
    if allowed and text.strip() and text.strip() not in allowed:
        near = difflib.get_close_matches(_label(text), allowed, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        message = f"`{name}` is `{_show(text)}`, which is not one of the known values{hint}"
        cure = f"Use one of {', '.join(allowed)}, or leave the field out."
        problems.append(Problem(line, "unknown-value", "error", message, cure))
    return problems


def _whole(rules: Schema, name: str) -> str:
    return "record" if name in rules.required else "field"


def _label(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().casefold())


def _control_character(char: str, where: str, line: int) -> Problem:
    names = {0: "NUL (binary zero)", 9: "a raw tab", 10: "a raw line break", 27: "escape"}
    name = names.get(ord(char), "a control character")
    if "\ud800" <= char <= "\udfff":
        name = "half of a two-part character (a cut emoji)"
    return Problem(
        line,
        "control-character",
        "error",
        f"{name}, \\u{ord(char):04x}, {where}",
        "Delete it; it often comes from copying out of a PDF or a terminal. A tab is written \\t.",
    )


def repair(record: Mapping, schema: str) -> tuple[dict, tuple[str, ...]]:
    """A copy with everything put right that needs no judgement, and the names of the fixes."""
    rules = SCHEMAS[schema]
    fixed: dict = {}
    fixes: set[str] = set()
    for name, value in record.items():
        target = name
        if name not in rules.fields:
            target = name.strip().casefold()
            if target not in rules.fields or target in record or target in fixed:
                fixes.add("unknown-field")
                continue
            fixes.add("field-name")
        fixed[target] = _repair_value(rules, target, value, fixes)
    return fixed, tuple(sorted(fixes))


def _repair_value(rules: Schema, name: str, value: object, fixes: set[str]) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        fixes.add("number")
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub("", value)
    if text != value:
        fixes.add("control-character")
    if text != text.strip():
        fixes.add("whitespace")
        text = text.strip()
    if text not in rules.choices.get(name, (text,)) and _label(text) in rules.choices[name]:
        fixes.add("label")
        text = _label(text)
    return text


# ---------------------------------------------------------------------------------------------
# One line: bytes -> record
# ---------------------------------------------------------------------------------------------


def _check_line(number: int, start: int, raw: bytes | None, schema: str) -> tuple[Line, list]:
    """Check one line of bytes that begins at byte `start` of the file; raw None = too big."""
    if raw is None:
        message = f"the line is longer than {LINE_LIMIT:,} bytes and was not read"
        cure = "One line is one record of a few sentences: is a line break missing in between?"
        return Line(number), [Problem(number, "huge-line", "error", message, cure)]
    if not raw.strip():
        cure = "Remove the empty line; it is skipped."
        return Line(number), [Problem(number, "blank-line", "warning", "the line is empty", cure)]
    fixes = {"crlf"} if raw.endswith(b"\r\n") else set()
    text, problems = _decode(number, start, raw.rstrip(b"\r\n"), fixes)
    if text is None:
        return Line(number), problems
    record, more = _parse(number, text, fixes)
    problems += more
    if record is None:
        return Line(number), problems
    problems += validate(record, schema, number)
    right = record if all(p.severity == "warning" for p in problems) else None
    if any(type(value) in (int, float) for value in record.values()):
        # Keep a number's digits as they were written: 2.50 must not become 2.5.
        literal = json.loads(text, strict=False, parse_int=str, parse_float=str)
        fixes |= {"number"} & set(repair(record, schema)[1])
        record = {name: literal.get(name, value) for name, value in record.items()}
    corrected, repaired = repair(record, schema)
    if any(p.kind == "repeated-field" for p in problems) or validate(corrected, schema):
        return Line(number, right), problems
    fixes.update(repaired)
    return Line(number, right, corrected if fixes else right, tuple(sorted(fixes))), problems


def _decode(
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
    bad = _CONTROL.search(text)
    if bad:
        where = f"at column {bad.start() + 1}"
        problems.append(_control_character(bad[0], where, number))
        fixes.add("control-character")
        text = _CONTROL.sub("", text)
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
        near = _show(text[max(0, position - 12) : position + 12])
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


def _parse(number: int, text: str, fixes: set[str]) -> tuple[dict | None, list[Problem]]:
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
            problems.append(_control_character(text[error.pos], where, number))
            fixes.add("control-character")
    except json.JSONDecodeError as error:
        return None, [_bad_json(number, text, error)]
    except (ValueError, RecursionError):  # a number of thousands of digits; [[[[[[...
        message = "not a record: a number or a nesting of brackets that is far too long"
        return None, [Problem(number, "bad-json", "error", message, "Remove this line.")]
    if not isinstance(value, dict):
        message = f"the line is not a record in braces {{...}} but {_show(text, 30)}"
        cure = 'Write each line as {"instruction": "...", ...}.'
        return None, [Problem(number, "not-an-object", "error", message, cure)]
    for name in dict.fromkeys(repeated):
        message = f"field `{_show(name)}` stands twice in the record"
        cure = "Keep one of the two; a program would silently use the last."
        problems.append(Problem(number, "repeated-field", "error", message, cure))
    return value, problems


def _bad_json(number: int, text: str, error: json.JSONDecodeError) -> Problem:
    found = [words for start, words in _JSON_WORDS.items() if error.msg.startswith(start)]
    words, cure = found[0] if found else (error.msg, "Correct the line by hand.")
    at = error.pos
    saw = f"`{_show(text[at])}`" if at < len(text) else "the end of the line"
    near = f"{_show(text[max(0, at - 15) : at])}»{_show(text[at : at + 15])}"
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


def _to_path(path: str | os.PathLike) -> Path:
    """The path of a readable, non-empty file in JSON lines; CourseError with a cure otherwise."""
    path = Path(path)
    try:
        path.stat()
    except FileNotFoundError:
        pass  # the message below looks for a similar name
    except (OSError, ValueError) as error:  # no permission; a name too long; a NUL in the name
        message = f"{_show(str(path), 200)}: cannot be opened ({error})"
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
            f"The columns must be named as the fields: {_field_names()}."
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


def _lines(path: Path) -> Iterator[tuple[int, int, bytes | None]]:
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


def _choose_schema(path: Path, schema: str) -> str:
    """The schema to check against: the given one, or the one most of the first 200 lines follow.

    Also refuses what is not JSON lines at all, where a message for each line would only confuse.
    """
    if schema not in ("auto", *SCHEMAS):
        raise CourseError(f"schema `{schema}` is not known", f"Use auto, {', '.join(SCHEMAS)}.")
    votes: Counter[str] = Counter()
    strange: tuple[int, dict] | None = None
    first, filled = None, 0
    for number, _, raw in _lines(path):
        if number == 1:
            _refuse_signature(path, raw or b"")
        if raw is not None and not raw.strip():
            continue
        filled += 1
        text = (raw or b"").decode("utf-8-sig", errors="replace").strip()
        first = text if first is None else first
        if filled == 2:
            _refuse_document(path, first, text)
        record, _ = _parse(number, text, set())
        if record is not None:
            name = detect_schema(record)
            votes.update([name] if name else [])
            strange = strange or ((number, record) if not name else None)
        if filled and number >= 200:
            break
    if not filled:
        raise CourseError(f"{path}: the file is empty", "Put one JSON record on each line.")
    if filled == 1:
        _refuse_document(path, first, "")
    if schema != "auto":
        return schema
    if not votes and strange:
        raise CourseError(
            f"{path}:{strange[0]}: the fields {', '.join(map(_show, strange[1])) or '(none)'} "
            "are of neither schema",
            f"The fields are {_field_names()}.{_renaming(strange[1])}",
        )
    return votes.most_common(1)[0][0] if votes else "manufacturing"


def _field_names() -> str:
    """'instruction, input, output (manufacturing) or system, ... (geology)'."""
    return " or ".join(f"{', '.join(s.required)} ({s.name})" for s in SCHEMAS.values())


def _renaming(record: Mapping) -> str:
    """What the unknown fields probably are in the geology schema, whose records people write."""
    rules = SCHEMAS["geology"]
    pairs = [(name, _meant(rules, name)) for name in record]
    told = [f"`{_show(name)}` to `{meant}`" for name, meant in pairs if meant]
    return f" For geology rename {', '.join(told)}." if told else ""


def _refuse_signature(path: Path, head: bytes) -> None:
    for signature, (what, cure) in _SIGNATURES.items():
        if head.startswith(signature):
            raise CourseError(f"{path}: this is {what}, not UTF-8 JSON lines", cure)


def _refuse_document(path: Path, first: str, second: str) -> None:
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


def check_file(
    path: str | os.PathLike,
    schema: str = "auto",
    count_tokens: Callable[[dict], int] | None = None,
    max_length: int | None = None,
    against: Sequence[str | os.PathLike] = (),
    near: float | None = None,
) -> CheckReport:
    """Check a data file line by line and report every problem with its line and its cure.

    `count_tokens(record)` > `max_length` tokens is reported as too long (both or neither).
    `against`: other parts of the same data; no prompt, near-duplicate or group may be in both.
    `near`: Jaccard similarity from which two prompts are near-duplicates, NEAR (0.7) by default.
    Raises CourseError only where there is no line to name: no file, a folder, a table, an array.
    """
    if (max_length is None) != (count_tokens is None):
        raise CourseError(
            "the length check needs a limit and a tokenizer", "Give both, or neither of them."
        )
    near = NEAR if near is None else near
    _check_threshold(near)
    path = _to_path(path)
    schema = _choose_schema(path, schema)
    report = CheckReport(path, schema)
    for number, start, raw in _lines(path):
        line, problems = _check_line(number, start, raw, schema)
        report.lines = number
        report.problems += problems
        if line.record is not None:
            report.records.append((number, line.record))
        if line.corrected is not None:
            report.fixable.append(line)
        elif problems:
            errors = [p.kind for p in problems if p.severity == "error"]
            report.dropped[number] = errors[0] if errors else problems[0].kind
    _check_line_ends(report)
    if count_tokens is not None and max_length is not None:
        _check_lengths(report, count_tokens, max_length)
    _check_duplicates(report)
    others = _read_against(report, against)
    _check_leakage(report, others)
    _check_near(report, others, near)
    report.problems.sort(key=lambda p: (p.line, p.severity, p.kind))
    return report


def require_number(report: CheckReport, least: int | None = None) -> CheckReport:
    """Add an error where fewer than `least` records can be used (by default the schema's number).

    Lines with errors, duplicates and conflicts do not count. Returns the report.
    """
    least = SCHEMAS[report.schema].least if least is None else least
    usable = sum(line not in report.dropped for line, _ in report.records)
    if usable < least:
        message = f"{_count(usable, 'usable record')}; a training file needs at least {least}"
        cure = f"Write {least - usable} more, or correct the lines with errors."
        report.problems.insert(0, Problem(0, "too-few-records", "error", message, cure))
    return report


def _check_line_ends(report: CheckReport) -> None:
    ends = [line.number for line in report.fixable if "crlf" in line.fixes]
    if ends:
        message = f"Windows line ends (CRLF) on {_count(len(ends), 'line')}"
        cure = "Harmless here, but some tools stumble: save with Unix line ends (LF)."
        report.problems.append(Problem(ends[0], "crlf", "warning", message, cure))


def _check_lengths(
    report: CheckReport, count_tokens: Callable[[dict], int], max_length: int
) -> None:
    for line in report.fixable:
        tokens = count_tokens(line.corrected)
        if tokens > max_length:
            message = f"too long: {tokens} tokens, the limit is {max_length}; the end would be cut"
            cure = f"Shorten the record, split it in two, or set max_length to at least {tokens}."
            report.problems.append(Problem(line.number, "too-long", "error", message, cure))
            report.dropped[line.number] = "too-long"


# ---------------------------------------------------------------------------------------------
# Duplicates in a file and leakage between files
# ---------------------------------------------------------------------------------------------


def normalise(text: str) -> str:
    """Text for comparing: one Unicode form, lower case, single spaces. Punctuation stays."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _prompt(record: Mapping[str, str]) -> tuple[str, str]:
    """(instruction, what it is about), normalised."""
    body = record.get("input") or record.get("context") or ""
    return normalise(record["instruction"]), normalise(body)


def _prompt_key(record: Mapping[str, str]) -> tuple[str, ...]:
    return (*_prompt(record), normalise(record.get("system", "")))


def _check_duplicates(report: CheckReport) -> None:
    """Same prompt twice: with the same answer a duplicate, with another answer a conflict."""
    answer = SCHEMAS[report.schema].answer
    first: dict[tuple, int] = {}
    first_answer: dict[tuple, int] = {}
    conflicts = set()
    for line in report.fixable:
        key = _prompt_key(line.corrected)
        pair = (*key, normalise(line.corrected[answer]))
        if pair in first_answer:
            message = f"duplicate: same prompt and answer as line {first_answer[pair]}"
            cure = "Keep one of the two; repeated records are learnt by heart."
            problem = Problem(line.number, "duplicate", "error", message, cure)
            report.dropped.setdefault(line.number, "duplicate")
        elif key in first:
            message = f"conflict: same prompt as line {first[key]}, but a different {answer}"
            cure = "Decide which answer is right and remove the other record."
            problem = Problem(line.number, "conflict", "error", message, cure)
            conflicts.add(key)
        else:
            first[key] = first_answer[pair] = line.number
            continue
        first_answer.setdefault(pair, line.number)
        report.problems.append(problem)
    for line in report.fixable:  # no program can know which answer is right: drop them all
        if _prompt_key(line.corrected) in conflicts:
            report.dropped[line.number] = "conflict"


@dataclass(frozen=True)
class _Place:
    """Where a record stands; `file` is "" for the checked file itself."""

    file: str
    line: int
    record: dict


def _read_against(report: CheckReport, against: Sequence[str | os.PathLike]) -> list[_Place]:
    """The readable records of the other files; what could not be compared becomes a warning."""
    places = []
    for other in map(_to_path, against):
        if other.samefile(report.path):
            raise CourseError(
                f"{other}: the file is compared with itself", "Name another part of the data."
            )
        schema = _choose_schema(other, "auto")
        unread = 0
        for number, start, raw in _lines(other):
            line, problems = _check_line(number, start, raw, schema)
            if line.corrected is not None:
                places.append(_Place(str(other), number, line.corrected))
            unread += line.corrected is None and any(p.severity == "error" for p in problems)
        if unread:
            message = f"{_count(unread, 'line')} of {other} could not be read for the comparison"
            cure = f"Check that file first: course data check {other}"
            report.problems.append(Problem(0, "against-unread", "warning", message, cure))
    return places


def _check_leakage(report: CheckReport, others: Sequence[_Place]) -> None:
    """Exactly the same prompt, or the same `group`, in another file."""
    prompts = {_prompt_key(place.record): place for place in reversed(others)}
    groups = {g: p for p in reversed(others) if (g := p.record.get("group"))}
    shared: dict[str, list[int]] = {}
    for line in report.fixable:
        place = prompts.get(_prompt_key(line.corrected))
        if place:
            message = f"leakage: the same prompt is in {place.file}, line {place.line}"
            _add_leak(report, line.number, "leakage", message)
        if line.corrected.get("group") in groups:
            shared.setdefault(line.corrected["group"], []).append(line.number)
            report.dropped.setdefault(line.number, "leakage-group")
    for group, lines in shared.items():
        place = groups[group]
        message = (
            f"leakage: group `{_show(group)}` ({_count(len(lines), 'record')} here) is also in "
            f"{place.file}, line {place.line}"
        )
        _add_leak(report, lines[0], "leakage-group", message)


def _add_leak(report: CheckReport, line: int, kind: str, message: str) -> None:
    cure = "Keep it in one part only: a model that has seen the question is not tested by it."
    report.problems.append(Problem(line, kind, "error", message, cure))
    report.dropped.setdefault(line, kind)


def _check_near(report: CheckReport, others: Sequence[_Place], threshold: float) -> None:
    """Nearly the same prompt: a warning within the file, leakage when in another file."""
    own = [_Place("", line.number, line.corrected) for line in report.fixable]
    first: dict[tuple, _Place] = {}
    for place in (*others, *own):
        first.setdefault(_prompt_key(place.record), place)
    places = list(first.values())
    prompts = [_prompt(place.record) for place in places]
    number_others = sum(bool(place.file) for place in places)
    for (i, leaks), (j, similarity) in _near_prompts(prompts, number_others, threshold).items():
        here, there = places[i], places[j]
        if leaks:
            message = (
                f"leakage: nearly the same prompt is in {there.file}, line {there.line} "
                f"(similarity {similarity:.2f})"
            )
            _add_leak(report, here.line, "leakage-near", message)
            continue
        if here.record.get("group") and here.record.get("group") == there.record.get("group"):
            continue  # known already, and a split keeps them together
        message = f"nearly the same prompt as line {there.line} (similarity {similarity:.2f})"
        cure = "Give both the same `group`, so that a split keeps them in one part."
        problem = Problem(here.line, "near-duplicate", "warning", message, cure)
        report.problems.append(problem)


def _near_prompts(
    prompts: Sequence[tuple[str, str]], number_others: int, threshold: float
) -> dict[tuple[int, bool], tuple[int, float]]:
    """(prompt, is it one of the others) -> (an earlier near prompt, similarity); one each.

    Both halves of a prompt must be near: a shared instruction, or a shared context, alone makes
    no duplicate. Candidates come from the half with more different texts, so that an instruction
    that all records share costs nothing. The first `number_others` prompts are of other files.
    """
    side = 0 if len({p[0] for p in prompts}) > len({p[1] for p in prompts}) else 1
    members: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        members.setdefault(prompt[side], []).append(i)
    texts = list(members)
    found: dict[tuple[int, bool], tuple[int, float]] = {}
    for v, candidates in _earlier_candidates(texts, threshold):
        for u in (*candidates, v):
            first_half = None
            pairs = ((x, y) for x in members[texts[v]] for y in members[texts[u]] if x != y)
            for i, j in ((max(pair), min(pair)) for pair in pairs):
                slot = (i, j < number_others)
                if i < number_others or slot in found:
                    continue
                first_half = jaccard(texts[v], texts[u]) if first_half is None else first_half
                if first_half < threshold:
                    break
                similarity = min(first_half, jaccard(prompts[i][1 - side], prompts[j][1 - side]))
                if similarity >= threshold:
                    found[slot] = (j, similarity)
    return found


# ---------------------------------------------------------------------------------------------
# Near-duplicates
# ---------------------------------------------------------------------------------------------

NGRAM = 3  # characters
NEAR = 0.7
# Why 3: a work order has about 27 characters. One wrong letter spoils n of its n-grams: with n=3
# the similarity stays 0.8, above 0.7; with n=5 it falls to 0.65 and the typo would hide a
# duplicate. With n=2 too many different texts look alike.

_PERMUTATIONS = 126


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    """Character n-grams of a normalised text, with a space before and after it."""
    padded = f" {text} "
    return frozenset(padded[i : i + NGRAM] for i in range(len(padded) - NGRAM + 1))


def jaccard(a: str, b: str) -> float:
    """Shared character n-grams over all n-grams of two texts, normalised; 0..1, exact."""
    left, right = _grams(normalise(a)), _grams(normalise(b))
    shared = len(left & right)
    union = len(left) + len(right) - shared
    return shared / union if union else 1.0


def _earlier_candidates(
    texts: Sequence[str], threshold: float, seed: int = 0
) -> Iterator[tuple[int, list[int]]]:
    """For each of the distinct, normalised texts: earlier ones that may be near; verify them.

    Locality-sensitive hashing: a pair of similarity s shares one of b bands of r hash values with
    probability 1 - (1 - s^r)^b. r is the largest for which a pair right at the threshold is missed
    less than once in a million: the exact count over a split must come out as 0, not as "few".
    """
    if len(texts) <= 64:  # comparing all is quicker than hashing
        yield from ((i, list(range(i))) for i in range(len(texts)))
        return
    import zlib

    from datasketch import MinHash, MinHashLSH

    n = _PERMUTATIONS
    rows = max(r for r in range(1, 17) if r == 1 or (1 - threshold**r) ** (n // r) < 1e-6)
    # crc32 tells all n-grams of up to 4 bytes apart, and is quicker than the default SHA-1
    sketches = MinHash.generator(
        ([gram.encode("utf-8", "surrogatepass") for gram in _grams(text)] for text in texts),
        num_perm=n,
        seed=seed,
        hashfunc=zlib.crc32,
    )
    index = MinHashLSH(num_perm=n, params=(n // rows, rows))
    for i, sketch in enumerate(sketches):
        yield i, sorted(index.query(sketch))
        index.insert(i, sketch, check_duplication=False)


def _check_threshold(threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise CourseError(
            f"the near-duplicate threshold is {threshold}", "Give a similarity above 0, up to 1."
        )


def near_duplicate_groups(
    texts: Sequence[str], threshold: float = NEAR, seed: int = 0
) -> list[int]:
    """Group number of each text, counted from 0 in order of appearance.

    Texts are in one group if a chain of pairs of Jaccard similarity >= threshold joins them.
    Candidates come from MinHash, each is verified exactly, so `seed` does not show in the result.
    """
    _check_threshold(threshold)
    plain = [normalise(text) for text in texts]
    distinct = list(dict.fromkeys(plain))
    parent = list(range(len(distinct)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, candidates in _earlier_candidates(distinct, threshold, seed):
        for j in candidates:  # joined already: nothing to verify
            if root(i) != root(j) and jaccard(distinct[i], distinct[j]) >= threshold:
                parent[max(root(i), root(j))] = min(root(i), root(j))
    numbers: dict[int, int] = {}
    group = {text: numbers.setdefault(root(i), len(numbers)) for i, text in enumerate(distinct)}
    return [group[text] for text in plain]


def overlap(
    parts: Mapping[str, Sequence[Mapping[str, str]]], threshold: float = NEAR
) -> dict[str, object]:
    """Duplicates ACROSS parts, counted by comparing every pair of records, without hashing.

    Returns {"threshold", "compared": pairs of records, "exact", "near": pairs that are not exact,
    "groups": values of `group` in more than one part, "pairs": {"train/val": {"exact", "near"}}}.
    """
    _check_threshold(threshold)
    texts = {name: [normalise(text_of(r)) for r in records] for name, records in parts.items()}
    names = list(texts)
    pairs = {}
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            left, right = Counter(texts[a]), Counter(texts[b])
            exact = sum(n * right[text] for text, n in left.items())
            close = _count_close(texts[a], texts[b], threshold)
            pairs[f"{a}/{b}"] = {"exact": exact, "near": close - exact}
    inside = [{r["group"] for r in records if r.get("group")} for records in parts.values()]
    sizes = [len(records) for records in parts.values()]
    return {
        "threshold": threshold,
        "compared": (sum(sizes) ** 2 - sum(n * n for n in sizes)) // 2,
        "exact": sum(pair["exact"] for pair in pairs.values()),
        "near": sum(pair["near"] for pair in pairs.values()),
        "groups": sum(n > 1 for n in Counter(g for part in inside for g in part).values()),
        "pairs": pairs,
    }


def close_to(
    records: Sequence[Mapping[str, str]],
    others: Sequence[Mapping[str, str]],
    threshold: float = NEAR,
) -> set[int]:
    """Indices of the records that are exact or near duplicates of one of the others."""
    _check_threshold(threshold)
    left, right = ([normalise(text_of(r)) for r in part] for part in (records, others))
    return {row for rows in _close_rows(left, right, threshold) for row in rows}


def _count_close(left: Sequence[str], right: Sequence[str], threshold: float) -> int:
    """Number of pairs (one of left, one of right) with Jaccard similarity >= threshold."""
    return sum(len(rows) for rows in _close_rows(left, right, threshold))


def _close_rows(
    left: Sequence[str], right: Sequence[str], threshold: float
) -> Iterator[Sequence[int]]:
    """The left row of every pair whose Jaccard similarity is >= threshold, a block at a time."""
    import numpy as np

    vocabulary: dict[str, int] = {}
    a, b = _incidence(left, vocabulary), _incidence(right, vocabulary)
    a.resize((a.shape[0], len(vocabulary)))
    size_a, size_b = np.diff(a.indptr), np.diff(b.indptr)
    for start in range(0, len(left), 512):  # rows at a time, to bound the memory
        shared = (a[start : start + 512] @ b.T).tocoo()  # (512, len(right)) common n-grams
        union = size_a[start + shared.row] + size_b[shared.col] - shared.data
        yield (start + shared.row)[shared.data / union >= threshold].tolist()
    # Texts without any n-gram (empty) share no entry above, yet are equal to each other.
    empty = np.flatnonzero(size_a == 0).tolist()
    yield empty * int((size_b == 0).sum())


def _incidence(texts: Sequence[str], vocabulary: dict[str, int]):
    """Sparse 0/1 matrix (texts, n-grams); new n-grams are added to the vocabulary."""
    import numpy as np
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    ends = [0]
    for text in texts:
        columns += [vocabulary.setdefault(gram, len(vocabulary)) for gram in _grams(text)]
        ends.append(len(columns))
    data = np.ones(len(columns), dtype=np.int32)
    return csr_matrix((data, columns, ends), shape=(len(texts), len(vocabulary)), dtype=np.int32)


# ---------------------------------------------------------------------------------------------
# Splits
# ---------------------------------------------------------------------------------------------


def split_by_group(
    records: Sequence[dict], groups: Sequence[Hashable], sizes: Mapping[str, int], seed: int
) -> dict[str, list[dict]]:
    """Parts of the wanted sizes with each group whole in one part; the rest is left out.

    The smallest part is filled first, with groups in an order drawn from `seed`; a group that
    would overshoot is passed by. Sizes come out exactly wherever whole groups allow it.
    """
    if len(groups) != len(records):
        raise CourseError(
            f"{len(records)} records but {len(groups)} group numbers", "Give one for each record."
        )
    if sum(sizes.values()) > len(records) or min(sizes.values(), default=0) < 0:
        raise CourseError(
            f"{sum(sizes.values())} records are wanted ({dict(sizes)}), there are {len(records)}",
            "Ask for fewer records, or bring more data.",
        )
    members: dict[Hashable, list[dict]] = {}
    for record, group in zip(records, groups, strict=True):
        members.setdefault(group, []).append(record)
    order = list(members)
    random.Random(seed).shuffle(order)
    parts: dict[str, list[dict]] = {name: [] for name in sizes}
    for name in sorted(sizes, key=lambda part: sizes[part]):
        chosen = _fill([len(members[group]) for group in order], sizes[name])
        parts[name] = [record for i in chosen for record in members[order[i]]]
        taken = set(chosen)
        order = [group for i, group in enumerate(order) if i not in taken]
    return parts


def _fill(sizes: Sequence[int], target: int) -> list[int]:
    """Positions of the groups to take so that their sizes add up to target, or nearly."""
    chosen, left = [], target
    for i, size in enumerate(sizes):
        if size <= left:
            chosen.append(i)
            left -= size
    if left == 0 or len(sizes) * target > 2e9:  # the search below would need that many bits
        return chosen
    # Bit s of reachable[i]: groups i, i+1, ... can add up to s. Then take, in the given order,
    # every group that leaves the rest reachable.
    reachable = [1]
    for size in reversed(sizes):
        reachable.append((reachable[-1] | reachable[-1] << size) & ((2 << target) - 1))
    reachable.reverse()
    chosen, left = [], reachable[0].bit_length() - 1
    for i, size in enumerate(sizes):
        if size <= left and reachable[i + 1] >> (left - size) & 1:
            chosen.append(i)
            left -= size
    return chosen


# ---------------------------------------------------------------------------------------------
# Reading and writing
# ---------------------------------------------------------------------------------------------


def read_records(path: str | os.PathLike, schema: str = "auto") -> list[dict]:
    """The records of a file; the first error is a CourseError "file:line: ...".

    Only what stands on one line counts here; duplicates and leakage are for `check_file`.
    """
    path = _to_path(path)
    schema = _choose_schema(path, schema)
    records = []
    for number, start, raw in _lines(path):
        line, problems = _check_line(number, start, raw, schema)
        for problem in problems:
            if problem.severity == "error":
                raise CourseError(f"{path}:{number}: {problem.message}", problem.cure)
        if line.record is not None:
            records.append(line.record)
    return records


def write_records(path: str | os.PathLike, records: Iterable[Mapping]) -> Path:
    """Write JSON lines; the file appears whole or not at all. Returns the path."""
    path = _to_target(path)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for number, record in enumerate(records, start=1):
            file.write(_to_line(path, number, record))
    return path


def _to_target(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.is_dir() or "\0" in str(path):
        raise CourseError(
            f"{_show(str(path), 200)}: a folder, not a file name", "Give the name of a new file."
        )
    return path


def _to_line(path: Path, number: int, record: Mapping) -> str:
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise CourseError(
            f"{path}: record {number} cannot be written as JSON ({_show(str(error), 80)})",
            "Use only texts in a record.",
        ) from error
    return text + "\n"


def write_corrected(report: CheckReport, path: str | os.PathLike) -> dict[str, object]:
    """Write the right records and those that could be put right without judgement.

    Returns {"written": records, "fixed": {fix: lines}, "dropped": {kind: lines}}. Left out are
    lines with an error that only a person can decide, duplicates, and both sides of a conflict.
    """
    path = _to_target(path)
    if path.exists() and path.samefile(report.path):
        raise CourseError(f"{path}: this is the checked file itself", "Choose another name.")
    kept = [line for line in report.fixable if line.number not in report.dropped]
    if not kept:
        raise CourseError(
            f"{report.path}: no record is left to write", "Correct the errors by hand first."
        )
    write_records(path, (line.corrected for line in kept))
    return {
        "written": len(kept),
        "fixed": dict(Counter(fix for line in kept for fix in line.fixes).most_common()),
        "dropped": dict(Counter(report.dropped.values()).most_common()),
    }
