"""Chat and instruction files of others -> records of a track, and what could not be mapped.

course data convert chats.jsonl --to geology --out records.jsonl
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.formats import CONVERSATIONS, open_source
from course_utils.jsonlines import read_line
from course_utils.records import write_records
from course_utils.schemas import SCHEMAS, is_missing, plain_name, repair, show, validate

# Names that other data sets give to the four parts of a record, the usual one first.
PARTS = {
    "system": ("system", "system_prompt", "system_message"),
    "instruction": ("instruction", "prompt", "question", "query"),
    "context": ("input", "context", "passage", "background"),
    "answer": ("output", "response", "completion", "answer", "target"),
}
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}


class NotMapped(Exception):
    """This line cannot become one record; the text says why, and lines are counted by it."""


@dataclass(frozen=True)
class Parts:
    """One question with its answer, before it takes the names of a schema."""

    form: str  # "messages (OpenAI chat)", "Dolly", ...
    instruction: Any
    answer: Any
    context: Any = ""
    system: Any = ""


@dataclass
class Conversion:
    """What came of a file: its records, the forms that were read, and what was left out."""

    path: Path
    schema: str
    unit: str = "line"
    read: int = 0
    records: list[dict] = field(default_factory=list)
    forms: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, list[int]] = field(default_factory=dict)  # reason -> line numbers
    dropped: Counter[str] = field(default_factory=Counter)  # fields that the schema does not know

    def summary_lines(self, numbers: int = 10) -> list[str]:
        """Plain lines for a terminal: what was read, what was left out and where."""
        forms = ", ".join(f"{n} {form}" for form, n in self.forms.most_common()) or "nothing"
        count = f"{self.read} {self.unit}{'' if self.read == 1 else 's'}"
        lines = [f"{self.path}: {count}: {forms}"]
        for reason, where in sorted(self.left_out.items(), key=lambda row: -len(row[1])):
            shown = ", ".join(map(str, where[:numbers])) + (", …" if where[numbers:] else "")
            noun = self.unit if len(where) == 1 else f"{self.unit}s"
            lines.append(f"  not mapped: {len(where)} with {reason} ({noun} {shown})")
        for name, n in self.dropped.most_common():
            lines.append(f"  no place for `{show(name)}` in the {self.schema} schema: {n} dropped")
        return lines


def convert_file(path: str | Path, schema: str, system: str = "") -> Conversion:
    """Read a file of any known form as records of a schema; nothing is written.

    `system`: the role of the model for records that name none (geology only). Raises CourseError
    where the file cannot be read at all.
    """
    if schema not in SCHEMAS:
        raise CourseError(f"schema `{schema}` is not known", f"Use {' or '.join(SCHEMAS)}.")
    source = open_source(path)
    result = Conversion(source.path, schema, source.unit)
    for row in source.rows():
        content, _, problems = read_line(row, set())
        if content is None and [p.kind for p in problems] == ["blank-line"]:
            continue
        result.read += 1
        try:
            if content is None:
                raise NotMapped(f"no record that can be read ({problems[-1].kind})")
            parts = parts_of(content)
            result.records.append(_as_record(parts, content, schema, system))
        except NotMapped as reason:
            result.left_out.setdefault(str(reason), []).append(row[0])
            continue
        result.forms[parts.form] += 1
        result.dropped.update(_dropped(parts, content, schema))
    return result


def write_conversion(result: Conversion, path: str | Path) -> Path:
    """Write the records that were mapped; refuses to write none, or over the file that was read."""
    path = Path(path)
    if path.exists() and path.samefile(result.path):
        raise CourseError(f"{path}: this is the file that was read", "Choose another name.")
    if not result.records:
        raise CourseError(
            f"{result.path}: no {result.unit} could be mapped to a record of {result.schema}",
            "\n".join(result.summary_lines()[1:]).strip()
            or "Look at the file: is it the right one?",
        )
    return write_records(path, result.records)


# ---------------------------------------------------------------------------------------------
# One record of another form
# ---------------------------------------------------------------------------------------------


def parts_of(content: Mapping[str, Any]) -> Parts:
    """The parts of one record, whatever form it has; NotMapped says why it has none."""
    named = {plain_name(name): value for name, value in content.items() if not is_missing(value)}
    for name in CONVERSATIONS:
        if isinstance(named.get(name), list):
            is_openai = any(isinstance(t, dict) and "role" in t for t in named[name])
            form = f"{name} ({'OpenAI chat' if is_openai else 'ShareGPT'})"
            return _from_turns(form, named[name], named.get("system", ""))
    if isinstance(named.get("prompt"), list):
        answer = named.get("completion", [])
        return _from_turns(
            "prompt/completion (messages)", named["prompt"] + _list(answer), named.get("system", "")
        )
    if named.get("history"):
        raise NotMapped("several turns")
    found = {part: next((n for n in names if n in named), "") for part, names in PARTS.items()}
    if not found["instruction"] and not found["answer"]:
        raise NotMapped(f"fields that are not known ({', '.join(map(show, content)) or 'none'})")
    if not found["instruction"]:
        raise NotMapped("no question")
    if not found["answer"]:
        raise NotMapped("no answer")
    for part, names in PARTS.items():  # which of two is meant, only who made the file can say
        several = [name for name in names if name in named and named[name] != named[found[part]]]
        if several:
            raise NotMapped(f"two fields for one part ({show(found[part])}, {show(several[0])})")
    values = {part: named[name] if name else "" for part, name in found.items()}
    return Parts(_form(found), **values)


def _list(value: Any) -> list:
    return value if isinstance(value, list) else [{"role": "assistant", "content": value}]


def _form(found: Mapping[str, str]) -> str:
    pair = (found["instruction"], found["answer"])
    forms = {
        ("instruction", "output"): "Alpaca",
        ("instruction", "response"): "Dolly",
        ("instruction", "answer"): "geology",
    }
    return forms.get(pair, "/".join(pair))


def _from_turns(form: str, turns: list, system: Any) -> Parts:
    told = [_turn(turn) for turn in turns]
    roles = [role for role, _ in told]
    lead = [text for role, text in told if role == "system"]
    talk = [text for role, text in told if role != "system"]
    spoken = [role for role in roles if role != "system"]
    if "assistant" not in spoken:
        raise NotMapped("no answer")
    if "user" not in spoken:
        raise NotMapped("no question")
    if spoken != ["user", "assistant"]:
        raise NotMapped("several turns")
    return Parts(form, talk[0], talk[1], system="\n\n".join(lead) or system)


def _turn(turn: Any) -> tuple[str, str]:
    """(role, text) of one turn of either form: role and content, or from and value."""
    if not isinstance(turn, dict):
        raise NotMapped("a turn that is no object")
    role = ROLES.get(plain_name(str(turn.get("role", turn.get("from", "")))))
    text = turn.get("content", turn.get("value"))
    if isinstance(text, list) and all(isinstance(p, dict) for p in text):
        if any(not isinstance(part.get("text"), str) for part in text):
            raise NotMapped("an image or another part that is no text")
        text = "".join(part["text"] for part in text)
    if role is None or turn.get("tool_calls"):
        raise NotMapped("a tool's turn or an unknown role")
    if not isinstance(text, str):
        raise NotMapped("a turn without text")
    return role, text


# ---------------------------------------------------------------------------------------------
# Parts -> a record of the schema
# ---------------------------------------------------------------------------------------------


def _as_record(parts: Parts, content: Mapping[str, Any], schema: str, system: str) -> dict:
    """The record, right by the schema; NotMapped names the first thing that is not."""
    if schema == "geology":
        record = {
            "system": parts.system or system,
            "instruction": parts.instruction,
            "context": parts.context,
            "answer": parts.answer,
        }
    elif parts.system and not parts.context:  # as chat renders it: instruction = system message
        record = {
            "instruction": parts.system,
            "input": parts.instruction,
            "output": parts.answer,
        }
    else:
        record = {
            "instruction": parts.instruction,
            "input": parts.context,
            "output": parts.answer,
        }
    rules = SCHEMAS[schema]
    more = {n: content[n] for n in rules.optional if isinstance(content.get(n), str)}
    kept = {n: v for n, v in more.items() if n not in rules.choices or v in rules.choices[n]}
    record, _ = repair(record | kept, schema)
    for problem in validate(record, schema):
        if problem.severity == "error":
            raise NotMapped(_reason(problem.message))
    return record


def _reason(message: str) -> str:
    if message.endswith("is empty") or message.endswith("only spaces"):
        field_name = message.split("`")[1]
        return "an empty answer" if field_name in ("answer", "output") else "an empty question"
    return message


def _dropped(parts: Parts, content: Mapping[str, Any], schema: str) -> list[str]:
    """Fields that came along and have no place: reported once, with their number."""
    known = {name for names in PARTS.values() for name in names}
    known.update(CONVERSATIONS, SCHEMAS[schema].optional)
    lost = [n for n, v in content.items() if plain_name(n) not in known and not is_missing(v)]
    if schema == "manufacturing" and parts.system and parts.context:
        lost.append("system")
    return lost
