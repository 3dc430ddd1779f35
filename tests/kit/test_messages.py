"""Every message that code says exists, every one that exists is said, and each has its four parts.

The calls are read from the source: an ID, a case or a value that is misspelt would otherwise show
only to the student who meets it, as "not what the kit writes here (KeyError)".
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from course_utils import kit, messages
from course_utils.assignments.checkers import CHECKERS
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.rubric import load_rubric
from course_utils.checks import CHECKS
from course_utils.messages import placeholders

PACKAGE = kit.ROOT / "course_utils"
SAYERS = {"wrong", "warn", "say"}  # their first argument is an ID
KNOWN = {key: message for _, key, message in messages.everything()}
SHORTEST = {"why": 8, "cure": 2, "example": 1}  # words


@dataclass
class Call:
    """One place in the code that says a message."""

    path: Path
    room: str  # whose messages.yaml is asked
    line: int
    id: str
    cases: set[str]  # what the case may be
    values: set[str]
    complete: bool  # all values could be read from the source


def functions(tree: ast.Module) -> Iterator[ast.AST]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def calls(path: Path) -> Iterator[Call]:
    seen = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rooms = rooms_of(tree)
    for function in reversed(list(functions(tree))):  # the innermost first
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and id(node) not in seen and said(node):
                seen.add(id(node))
                yield read(path, rooms.get(sayer(node), path.parent.name), function, node)


def rooms_of(tree: ast.Module) -> dict[str, str]:
    """Sayer -> the room that a module imported it from; its own where it was not imported."""
    return {
        alias.name: str(node.module).split(".")[-2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in SAYERS
    }


def sayer(node: ast.Call) -> str:
    return getattr(node.func, "id", None) or getattr(node.func, "attr", "")


def said(node: ast.Call) -> bool:
    first = node.args[0] if node.args else None
    return sayer(node) in SAYERS and isinstance(first, ast.Constant) and "." in str(first.value)


def read(path: Path, room: str, function: ast.AST, node: ast.Call) -> Call:
    # The doctor's `say` takes the finding's name where the others take a case.
    named_case = len(node.args) > 1 and path.name != "doctor.py"
    cases = strings(node.args[1], function) if named_case else {""}
    values, complete = set(), True
    for keyword in node.keywords:
        if keyword.arg:
            values.add(keyword.arg)
        else:
            keys = keys_of(keyword.value, function)
            values |= keys or set()
            complete &= keys is not None
    return Call(path, room, node.lineno, node.args[0].value, cases, values, complete)


def assigned(name: ast.AST, function: ast.AST) -> list[ast.AST]:
    """What is assigned to this name in the function."""
    if not isinstance(name, ast.Name):
        return []
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name.id
    ]


def strings(node: ast.AST, function: ast.AST) -> set[str]:
    """The texts that a case can be: itself, or what its name is assigned."""
    places = [node, *assigned(node, function)]
    nodes = [part for place in places for part in ast.walk(place)]
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def keys_of(node: ast.AST, function: ast.AST) -> set[str] | None:
    """The keys of **values where they are written out."""
    found = assigned(node, function)
    if not found or not all(isinstance(value, ast.Dict) for value in found):
        return None
    return {key.value for value in found for key in value.keys if isinstance(key, ast.Constant)}


CALLS = [call for path in sorted(PACKAGE.rglob("*.py")) for call in calls(path)]


def test_there_are_calls_in_every_room():
    assert {call.room for call in CALLS} == {"lab", "assignments", "commands", "grading", "judging"}
    assert len(CALLS) > 100


def test_every_message_that_is_said_exists_in_the_room_that_says_it():
    rooms = {key: room for room, key, _ in messages.everything()}
    wrong = [call for call in CALLS if rooms.get(call.id) != call.room]
    assert wrong == []


def test_every_message_is_said_somewhere():
    said_ids = {call.id for call in CALLS} | {f"checks.{name}" for name in CHECKS}
    # What the values of all checks need, and what each says before there is one.
    assert KNOWN.keys() - said_ids == {"checks.value", "checks.unanswered"}


def test_every_case_that_is_said_exists_and_every_one_that_exists_is_said():
    for name, message in KNOWN.items():
        own = [call.cases for call in CALLS if call.id == name]
        if own:
            assert set().union(*own) == message.cases.keys(), name


def test_every_value_that_is_given_is_declared_and_every_one_needed_is_given():
    for call in CALLS:
        message = KNOWN[call.id]
        extra = {"name"} if call.path.name == "doctor.py" else set()
        assert call.values <= message.values.keys() | extra, call
        texts = [text for c in call.cases for text in (message.cases[c], message.cure_of(c))]
        if call.complete:
            assert set().union(*map(placeholders, texts)) <= call.values, call


def cases_of_checks() -> set[tuple[str, str]]:
    """(message, case) of each `_need` and NotYet in checks.py."""
    found = set()
    tree = ast.parse((PACKAGE / "checks.py").read_text(encoding="utf-8"))
    for function in functions(tree):
        for node in ast.walk(function):
            name = getattr(getattr(node, "func", None), "id", "")
            place = {"_need": 1, "NotYet": 0}.get(name)
            texts = [a.value for a in node.args if isinstance(a, ast.Constant)] if name else []
            if place is not None and texts and function.name != "_need":
                shared = "checks.value" in texts
                found.add(("value" if shared else function.name, texts[0]))
    return found


def test_every_case_of_a_notebooks_check_is_said_and_exists():
    said_cases = cases_of_checks()
    for name in [*CHECKS, "value"]:
        own = {case for message, case in said_cases if message == name}
        own |= set() if name == "value" else {"expects"}
        if name == "sft_config":  # it asks a function of its own
            own |= {case for message, case in said_cases if message == "_steps_meet"}
        assert own == KNOWN[f"checks.{name}"].cases.keys(), name


# --- What a message is ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_every_message_has_four_parts_that_say_something(name):
    message = KNOWN[name]
    for part, least in SHORTEST.items():
        text = message.parts()[messages.HEADINGS[part]]
        # A cure that is a command may be short, as may an example that is a line of JSON.
        assert len(text.split()) >= (1 if "{" in getattr(message, part) else least), part
    assert message.why.strip() not in (message.cure.strip(), *message.cases.values())
    assert message.why.strip().endswith("."), "a reason is a sentence"


def test_no_two_messages_share_their_reason():
    reasons = [message.why for message in KNOWN.values()]
    assert len(set(reasons)) == len(reasons)


def test_ids_are_lower_case_and_begin_with_what_they_are_about():
    begins = {name.split(".")[0] for name in KNOWN}
    shared = {"folder", "file", "notebook", "records", "adapter", "training", "hollow"}
    shared |= {"inbox", "overrides", "marks", "gradebook", "integrity", "export"}  # the grader's
    shared |= {"leaderboard", "judged", "submission"}
    assert begins == shared | {"checks", "analysis", "doctor", *CHECKERS}


def test_every_rubric_item_that_a_message_names_exists():
    items = set()
    for name in ASSIGNMENTS:
        rubric = load_rubric(ASSIGNMENTS[name].path / "rubric.yaml")
        items |= {item.id for item in rubric.items}
    assert [(n, i) for n, message in KNOWN.items() for i in message.items if i not in items] == []
