"""The two schemas of training records: what a record must be, what is wrong with it, its repair."""

import difflib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from course_utils.errors import CourseError

# What an answer looks like, announced in the instruction: of a report, and of a question.
REPORT_FORMS = ("working shown", "figures given")
QUESTION_FORMS = ("number and unit only", "name only", "yes or no, then the reason", "one sentence")


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
        optional=("task", "document", "form", "source", "group", "facts"),
        answer="output",
        choices={
            "task": ("understanding", "report", "qa"),
            "document": (
                "technical_documentation",
                "maintenance_log",
                "quality_report",
                "equipment_manual",
            ),
            "form": REPORT_FORMS + QUESTION_FORMS,
        },
    ),
    "geology": Schema(
        name="geology",
        required=("system", "instruction", "context", "answer"),
        may_be_empty=("system", "context"),
        optional=("form", "source", "group", "facts"),
        answer="answer",
        choices={"form": QUESTION_FORMS},
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


# Fields that only one of the two schemas has.
OWN_FIELDS = {
    "manufacturing": ("input", "output", "task", "document"),
    "geology": ("system", "context", "answer"),
}


def plain_name(name: str) -> str:
    """A field's name without capitals and spaces around it, as schemas spell theirs."""
    return name.strip().casefold()


def detect_schema(record: Mapping) -> str | None:
    """Name of the schema whose own fields this record has more of; None if it has none of them."""
    names = {plain_name(name) for name in record}
    own = {schema: len(names.intersection(fields)) for schema, fields in OWN_FIELDS.items()}
    best = max(own, key=own.__getitem__)
    return best if own[best] and len(set(own.values())) > 1 else None


def schema_of(record: Mapping) -> str:
    """Name of the schema that this record follows; CourseError where it follows neither.

    The one place that tells a record's schema. A record that was read has the fields of its
    file's schema and no other, so the answer is the one that the reader gave.
    """
    name = detect_schema(record)
    missing = [field for field in SCHEMAS[name].required if field not in record] if name else []
    if name is None or missing:
        what = f"has no `{missing[0]}`" if missing else "is of neither schema"
        raise CourseError(
            f"a record {what}: its fields are {', '.join(map(show, record)) or '(none)'}",
            f"The fields are {field_names()}. Read files with records.read_records.",
        )
    return name


def only_fields(record: Mapping, schema: str) -> dict:
    """The record without what its schema does not know: nothing further reaches a reader."""
    return {name: value for name, value in record.items() if name in SCHEMAS[schema].fields}


FIX_WORDS = {
    "bom": "byte-order mark removed",
    "crlf": "Windows line end replaced",
    "cp1252": "text converted from Windows-1252 to UTF-8",
    "control-character": "control characters removed",
    "whitespace": "spaces around a text removed",
    "number": "number written as text",
    "null": "missing value written as empty text",
    "empty-field": "empty optional field dropped",
    "format": "written as JSON lines",
    "utf-16": "text converted from UTF-16 to UTF-8",
    "unknown-field": "unknown field dropped",
    "field-name": "field name respelled",
    "label": "task, document or form respelled",
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
        return self.told()

    def told(self, unit: str = "line") -> str:
        """The problem in one line; `unit` is what its number counts."""
        where = f"{unit} {self.line}" if self.line else "file"
        return f"{where}: {self.severity}: {self.message} [{self.kind}]"


def count_of(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def show(value: object, limit: int = 40) -> str:
    """A value as short printable text: control characters would garble the terminal."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


# ---------------------------------------------------------------------------------------------
# Validate and repair
# ---------------------------------------------------------------------------------------------

# C0 and C1 controls other than tab and line ends, and half surrogate pairs: none is text, and
# the latter cannot even be written as UTF-8.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


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
            problems.append(_wrong_type(rules, name, value, line))
        else:
            problems += _text_problems(rules, name, value, line)
    return problems


# Stands in a cure for the command on the very file, which `CheckReport` and readers know.
WRITE_COMMAND = "course data check FILE --write FIXED"
_OR_WRITE = f", or let {WRITE_COMMAND} do it"


def _missing_field(record: Mapping, rules: Schema, name: str, line: int) -> Problem:
    like = _stand_ins(record, rules, name)
    message = f"field `{name}` is missing"
    cure = f'Add "{name}": "..." to the record'
    if name in rules.may_be_empty:
        cure += f" (it may be an empty text){_OR_WRITE}"
    if like:
        message += f"; there is a field `{show(like[0])}`"
        respelled = plain_name(like[0]) == name
        cure = f"Rename `{show(like[0])}` to `{name}`{_OR_WRITE if respelled else ''}"
    elif detect_schema(record) not in (None, rules.name):
        message += f"; the record looks like the {detect_schema(record)} schema"
        cure = "Keep the records of the two schemas in two files"
    return Problem(line, "missing-field", "error", message, cure + ".")


def _stand_ins(record: Mapping, rules: Schema, name: str) -> list[str]:
    """Unknown fields of the record that are probably the field `name` under another name."""
    return [o for o in record if o not in rules.fields and _meant(rules, o) == name]


def _meant(rules: Schema, name: str) -> str:
    """The field of the schema that an unknown name probably stands for, or ""."""
    plain = plain_name(name)
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
        f"field `{show(name)}` is not part of the {rules.name} schema{hint}",
        f"Known fields are {', '.join(rules.fields)}. Rename or remove it; it is not used.",
    )


def is_missing(value: object) -> bool:
    """null, or NaN: what an empty cell of a table becomes."""
    return value is None or value != value  # NaN is the one value that differs from itself


def _wrong_type(rules: Schema, name: str, value: object, line: int) -> Problem:
    kinds = {bool: "true/false", int: "a number", float: "a number", list: "a list"}
    kind = kinds.get(type(value), "an object in braces")
    cure = f'Write the value as text in double quotes: "{name}": "..."'
    if is_missing(value):
        kind = "empty (null)" if value is None else "NaN, an empty cell of a table"
        if name in rules.may_be_empty:
            cure = f'Write "{name}": "" for an empty text{_OR_WRITE}'
        elif name in rules.optional:
            cure = f"Leave the field out{_OR_WRITE}"
    return Problem(line, "wrong-type", "error", f"field `{name}` is {kind}, not text", cure + ".")


def _text_problems(rules: Schema, name: str, text: str, line: int) -> list[Problem]:
    problems = []
    bad = CONTROL.search(text)
    if bad:
        problems.append(control_character(bad[0], f"in field `{name}`", line))
    if not text.strip() and name not in rules.may_be_empty:
        why = "has only spaces" if text else "is empty"
        cure = f"Write a text for `{name}`, or remove the {_whole(rules, name)}."
        problems.append(Problem(line, "empty-field", "error", f"field `{name}` {why}", cure))
    elif text != text.strip():
        message = f"field `{name}` begins or ends with spaces or line breaks"
        cure = "Remove them: they change how the text is cut into tokens."
        problems.append(Problem(line, "whitespace", "warning", message, cure))
    if text.strip() and not is_visible(text):
        message = (
            f"field `{name}` has only invisible characters (such as U+{ord(text.strip()[0]):04X})"
        )
        cure = f"Write a text that can be read, or remove the {_whole(rules, name)}."
        problems.append(Problem(line, "invisible-text", "warning", message, cure))
    if token := _SPECIAL_TOKEN.search(text):
        message = f"field `{name}` holds {token[0]}, a token of chat templates"
        cure = "Remove it: the model reads it as the end of a turn, and so learns to stop there."
        problems.append(Problem(line, "special-token", "warning", message, cure))
    allowed = rules.choices.get(name)
    if allowed and text.strip() and text.strip() not in allowed:
        labels = {_label(choice): choice for choice in allowed}
        near = difflib.get_close_matches(_label(text), labels, n=1)
        hint = f"; did you mean `{labels[near[0]]}`?" if near else ""
        message = f"`{name}` is `{show(text)}`, which is not one of the known values{hint}"
        cure = f"Use one of {', '.join(allowed)}, or leave the field out."
        problems.append(Problem(line, "unknown-value", "error", message, cure))
    return problems


# <|im_end|> and its kin, [INST], <start_of_turn>, </s>: marks that templates put between turns.
_SPECIAL_TOKEN = re.compile(
    r"<\|[a-z0-9_ -]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]",
    re.IGNORECASE,
)
# Control and format characters, separators, marks without a letter to stand on.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me"))
# Letters and symbols that are blank all the same: fillers of Hangul, the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def is_visible(text: str) -> bool:
    """Whether a reader sees anything of it: not only spaces, zero-width and filling characters."""
    return any(unicodedata.category(c) not in _UNSEEN and c not in _BLANK for c in text)


def _whole(rules: Schema, name: str) -> str:
    return "record" if name in rules.required else "field"


def _label(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().casefold())


def control_character(char: str, where: str, line: int) -> Problem:
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
            target = plain_name(name)
            if target not in rules.fields or target in record or target in fixed:
                fixes.add("unknown-field")
                continue
            fixes.add("field-name")
        if target in rules.optional and (is_missing(value) or _is_blank(value)):
            fixes.add("empty-field")
            continue
        fixed[target] = _repair_value(rules, target, value, fixes)
    for name in rules.may_be_empty:  # absent is empty, unless it stands there under another name
        if name not in fixed and not _stand_ins(record, rules, name):
            fixes.add("null")
            fixed[name] = ""
    return fixed, tuple(sorted(fixes))


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _repair_value(rules: Schema, name: str, value: object, fixes: set[str]) -> object:
    if is_missing(value) and name in rules.may_be_empty:
        fixes.add("null")
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_missing(value):
        fixes.add("number")
        value = json.dumps(value)
    if not isinstance(value, str):
        return value
    text = CONTROL.sub("", value)
    if text != value:
        fixes.add("control-character")
    if text != text.strip():
        fixes.add("whitespace")
        text = text.strip()
    allowed = rules.choices.get(name, (text,))
    meant = {_label(choice): choice for choice in allowed}.get(_label(text))
    if text not in allowed and meant:
        fixes.add("label")
        text = meant
    return text


def field_names() -> str:
    """'instruction, input, output (manufacturing) or system, ... (geology)'."""
    return " or ".join(f"{', '.join(s.required)} ({s.name})" for s in SCHEMAS.values())


def renaming(record: Mapping) -> str:
    """What the unknown fields probably are in the schema that they come nearest to."""
    meant = {
        rules.name: {name: _meant(rules, name) for name in record} for rules in SCHEMAS.values()
    }
    # geology first: its records are the ones that people write themselves
    best = max(("geology", "manufacturing"), key=lambda name: len({*meant[name].values()} - {""}))
    told = [f"`{show(name)}` to `{to}`" for name, to in meant[best].items() if to and to != name]
    return f" For {best} rename {', '.join(told)}." if told else ""
