"""Pieces of Markdown that the pages of assignments and bonuses share, and a section read back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")


def section(text: str, heading: str, level: int = 2) -> str | None:
    """What stands below a heading of this level or a deeper one; None where there is no such.

    It ends at the next heading of this level or a higher one. In a fenced block no line is a
    heading: `# x` is a comment there.
    """
    begin = re.compile(rf"#{{{level},}}[ \t]+{re.escape(heading)}[ \t]*", re.I)
    end = re.compile(rf"#{{1,{level}}}[ \t]")
    found: list[str] | None = None
    for line, is_text in _lines(text):
        if found is None:
            found = [] if is_text and begin.fullmatch(line) else None
        elif is_text and end.match(line):
            break
        else:
            found.append(line)
    return None if found is None else "".join(f"{line}\n" for line in found)


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it stands outside fenced blocks."""
    opened = ""
    for line in text.split("\n"):
        fence = FENCE.fullmatch(line)
        yield line, not (opened or fence)
        if fence and not opened:
            opened = fence[1]
        elif fence and fence[1].startswith(opened) and not fence[2].strip():
            opened = ""


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int | None = None
) -> list[str]:
    """A table, a line a row; columns from `numbers_from` on (counted from 0) are right-aligned."""
    left = len(heads) if numbers_from is None else numbers_from
    rule = "|" + "---|" * left + "---:|" * (len(heads) - left)
    head, *lines = (f"| {' | '.join(cells)} |" for cells in (heads, *rows))
    return [head, rule, *lines]


def made_with(made: Mapping[str, Any], threads: str = "") -> list[str]:
    """What a result was measured on and with: its "hardware" and its "versions", a line each."""
    machine = made["hardware"]
    name = machine["gpu_name"]
    if not name:
        name = f"{machine['cpu_model']}{threads and f', threads: {threads}'}, no GPU"
    libraries = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    return [f"hardware: {name}, {machine['ram_gb']} GiB RAM", f"versions: {libraries}"]
