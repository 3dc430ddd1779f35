"""Printing that never stops on a character: what a terminal's encoding lacks is written plainly.

    console().print(table)     # a rich console; a terminal without UTF-8 gets + - | for its lines
    make_printable()           # once at the start of a command: the same for print() and typer
    print_json(content)        # JSON stays JSON: its own escapes for what cannot be encoded

A terminal may know ASCII only (LC_ALL=C, PYTHONIOENCODING=ascii), Latin-1 or Windows' cp1252; and
a file name may hold bytes that are no UTF-8, which Python keeps as lone surrogates.
"""

import codecs
import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

HANDLER = "course_plain"  # the name under which codecs knows `_plainly`
# What Unicode's own decompositions do not lead to ASCII.
PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("‘’‚", "'"),
        **dict.fromkeys("‐‑‒–—−─━", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("•·∙", "*"),
        **{"×": "x", "⁄": "/", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "←": "<-"},
        **{"±": "+/-", "°": " deg", "µ": "u", "μ": "u", "✓": "+", "✗": "x", "█": "#"},
        **{"ß": "ss", "ø": "o", "æ": "ae"},
    }
)


def console(**options: Any) -> "Console":
    """A rich Console with these options, whose stream can take any text."""
    from rich.console import Console

    made = Console(**options)
    make_printable(made.file)
    return made


def make_printable(*streams: TextIO) -> None:
    """Let these streams (by default stdout and stderr) write plainly what they cannot encode.

    A stream that has no encoding to change, such as a notebook's, is left as it is.
    """
    for stream in streams or (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors != HANDLER:
            reconfigure(errors=HANDLER)


def printable(text: str, stream: TextIO) -> str:
    """The text as `stream` can show it; for printers that do not ask the stream, as typer's."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, HANDLER).decode(encoding)


def print_json(content: Any) -> None:
    """Print indented JSON; with JSON's escapes where stdout cannot take every character."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, indent=2)
    print(text)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    r"""A plain character for one that cannot be encoded; \xfc for a byte; \u0416 for the rest."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    place = error.start
    return _plain_character(error.object[place]), place + 1


def _plain_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    plain = unicodedata.normalize("NFKD", character).translate(PLAIN)
    plain = "".join(c for c in plain if c.isascii())
    return plain or character.encode("ascii", "backslashreplace").decode()


codecs.register_error(HANDLER, _plainly)
