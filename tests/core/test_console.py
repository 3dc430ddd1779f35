"""A terminal of any encoding can be printed to, and JSON stays JSON."""

import io
import json
import re
import sys

import pytest

from course_utils import kit
from course_utils.console import console, make_printable, print_json, printable

SAID = "“What?” – 3 × 2 ≤ 7 °C, µ, café, Жук"
LATIN = "caf\udce9.txt"  # the byte E9 as Python keeps it


def terminal(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")


def shown(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


def table():
    from rich.table import Table

    made = Table("state", "what is said", title="Findings … all")
    made.add_row("wrong", SAID)
    made.add_row("file", LATIN)
    return made


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_a_table_is_printed_whatever_the_encoding(encoding):
    stream = terminal(encoding)
    console(file=stream, width=80).print(table())
    text = shown(stream)
    assert "caf\\xe9.txt" in text
    assert ("┃" in text) is (encoding == "utf-8")
    assert ("“What?”" in text) is (encoding in ("utf-8", "cp1252"))


def test_what_ascii_lacks_becomes_plain_characters():
    stream = terminal("ascii")
    make_printable(stream)
    print(SAID, file=stream)
    assert shown(stream) == '"What?" - 3 x 2 <= 7  degC, u, cafe, \\u0416\\u0443\\u043a\n'


def test_what_can_be_encoded_stays_as_it_is():
    assert printable(SAID, terminal("utf-8")) == SAID
    assert printable("café", terminal("latin-1")) == "café"
    assert printable("café", io.StringIO()) == "café"


def test_a_stream_without_an_encoding_is_left_alone():
    stream = io.StringIO()
    make_printable(stream)
    console(file=stream, width=80).print(SAID)
    assert stream.getvalue() == f"{SAID}\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_the_same_content_in_every_encoding(monkeypatch, encoding):
    stream = terminal(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    make_printable()
    print_json({"said": SAID, "file": LATIN})
    assert json.loads(shown(stream)) == {"said": SAID, "file": LATIN}


# --- Every place that prints --------------------------------------------------------------------

# Still to be switched over by those who work on them.


def code_of(*folders: str) -> dict[str, str]:
    return {
        path.relative_to(kit.ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in folders
        for path in (kit.ROOT / folder).rglob("*.py")
    }


def test_a_rich_console_is_made_in_one_place():
    found = {
        name
        for name, text in code_of("course_utils", "assignments", "benchmarks").items()
        if re.search(r"(?<![\w.])Console\(", text)
    }
    assert found == {"course_utils/console.py"}


def test_commands_print_by_print():
    """typer.echo writes UTF-8 to a terminal of ASCII, and a question mark for a byte of a name."""
    code = code_of("course_utils/commands").items()
    assert {name for name, text in code if "typer.echo(" in text} == set()
