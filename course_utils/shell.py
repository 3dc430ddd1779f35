"""Commands in messages: written so that they work when typed, whatever the names of the files."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path


def command_line(words: Sequence[str | Path]) -> str:
    """The words as one line for this system's shell.

    A path that begins with a dash gets ./ in front, or it would be read as an option.
    """
    texts = [_path(word) if isinstance(word, Path) else word for word in words]
    if os.name == "nt":
        return subprocess.list2cmdline(texts)
    return " ".join(_word(text) for text in texts)


def _path(path: Path) -> str:
    return os.path.join(os.curdir, path) if str(path).startswith("-") else str(path)


def _word(text: str) -> str:
    """Quoted; bytes that are no UTF-8 and line breaks as $'...', which bash, zsh and ksh know."""
    return shlex.quote(text) if text.isprintable() else f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
