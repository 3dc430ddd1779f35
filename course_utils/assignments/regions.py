"""The regions of a solution: what stands between BEGIN SOLUTION and END SOLUTION, and in what.

A marker is a line of its own: `### BEGIN SOLUTION`, in Markdown `<!-- ### BEGIN SOLUTION -->`. Any
line that looks like one and is none is a problem: a marker that nobody reads gives a solution away.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

MARKER = re.compile(r"\s*(?:<!-- ?)?### (BEGIN|END) SOLUTION(?: ?-->)?\s*")
NAMED = re.compile(r"\b(?:BEGIN|END) SOLUTION\b")  # wherever on a line it stands
WRITE = "### BEGIN SOLUTION and ### END SOLUTION, each alone on its line (in Markdown as a comment)"
DEFINED = re.compile(r"\s*(?:async )?(?:def|class) (\w+)")
HEADING = re.compile(r"#{1,6} +(.+?)\s*$")
TOP = "top"  # what a region belongs to that stands before any function or heading
ALIKE = 0.75  # difflib's ratio from which a word may be meant for another
WORDS = 4  # a line of more words is a sentence, no marker


@dataclass(frozen=True)
class Problem:
    """Why a solution must not be released as it is: file, line, cure."""

    file: str
    line: str  # "line 7"; in a notebook "cell 4, line 2"; "" for the whole file
    what: str
    cure: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.line}" if self.line else self.file
        return f"{where}: {self.what}\n      Cure: {self.cure}"


@dataclass(frozen=True)
class Region:
    """What is taken out between two markers."""

    of: str  # the function, in Markdown the heading, that it stands in
    line: str
    lines: tuple[str, ...]


@dataclass
class Marked:
    """What the markers of one file say."""

    regions: list[Region] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def counts(self) -> Counter:
        """What a region belongs to -> lines taken out there."""
        counts: Counter = Counter()
        for region in self.regions:
            counts[region.of] += len(region.lines)
        return counts


@dataclass(frozen=True)
class _Piece:
    """Lines whose markers must close among themselves: a file, or a cell of a notebook."""

    lines: list[str]
    kind: str  # .py, .md, ...
    where: str = ""


def read_regions(name: str, text: str) -> Marked:
    """The regions of a file, and what is wrong with its markers.

    Raises ValueError, KeyError, TypeError or AttributeError for a notebook that is none.
    """
    found, of = Marked(), TOP
    for piece in _pieces(name, text):
        of = _read_piece(piece, name, found, of)
    return found


def source_lines(name: str, text: str) -> Iterator[tuple[str, str]]:
    """(where, line) of a file's lines; of a notebook those of its cells and their outputs."""
    try:
        pieces = list(_pieces(name, text, outputs=True))
    except (ValueError, KeyError, TypeError, AttributeError):  # no notebook, whatever its name
        pieces = list(_pieces(f"{name}.txt", text))
    for piece in pieces:
        for number, line in enumerate(piece.lines, start=1):
            yield f"{piece.where}line {number}", line


def _pieces(name: str, text: str, outputs: bool = False) -> Iterator[_Piece]:
    if not name.endswith(".ipynb"):
        yield _Piece(text.splitlines(), Path(name).suffix)
        return
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ValueError("no notebook")
    for number, cell in enumerate(content["cells"], start=1):
        kind = {"markdown": ".md", "code": ".py"}.get(cell.get("cell_type"), "")
        source = cell["source"]
        lines = (source if isinstance(source, str) else "".join(source)).splitlines()
        yield _Piece(lines, kind, f"cell {number}, ")
        if outputs:
            told = "\n".join(_strings(cell.get("outputs", [])))
            yield _Piece(told.splitlines(), "", f"output of cell {number}, ")


def _strings(content: Any) -> Iterator[str]:
    """Every text in a piece of JSON; a list of lines as they follow each other."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _strings(value)


def _read_piece(piece: _Piece, name: str, found: Marked, of: str) -> str:
    """Put a piece's regions and problems into `found`; returns what its end belongs to."""
    in_notebook, fenced = name.endswith(".ipynb"), False
    begun, lines = 0, []

    def problem(number: int, what: str, cure: str) -> None:
        found.problems.append(Problem(name, f"{piece.where}line {number}", what, cure))

    for number, line in enumerate(piece.lines, start=1):
        marker = MARKER.fullmatch(line)
        if marker and marker[1] == "BEGIN":
            if begun:
                what = f"BEGIN SOLUTION, but that of line {begun} is still open"
                problem(number, what, "close it with END SOLUTION, or remove one of the two")
            begun, lines = number, []
        elif marker and not begun:
            cure = "put BEGIN SOLUTION back above what students write"
            problem(number, "END SOLUTION without BEGIN SOLUTION", cure)
        elif marker:
            kept = tuple(own for own in lines if own.strip())
            if not kept:
                problem(begun, "a region with nothing in it", "remove both markers, or move them")
            found.regions.append(Region(of, f"{piece.where}line {begun}", kept))
            begun = 0
        elif looks_like_a_marker(line):
            problem(number, f"{line.strip()!r} is no marker, but looks like one", f"write {WRITE}")
        elif begun:
            lines.append(line)
        elif piece.kind == ".md":
            fenced ^= line.lstrip().startswith(("```", "~~~"))
            of = heading[1] if not fenced and (heading := HEADING.match(line)) else of
        elif piece.kind == ".py" and not in_notebook and (defined := DEFINED.match(line)):
            of = defined[1]
    if begun:
        problem(begun, "BEGIN SOLUTION without END SOLUTION", "put END SOLUTION back")
    return of


def looks_like_a_marker(line: str) -> bool:
    """Whether a line seems to be meant as a marker: two words like its own, and hardly any more."""
    if NAMED.search(line):  # on a line with something else
        return True
    words = re.findall(r"[a-z]+", line.lower())
    if not 1 <= len(words) <= WORDS:
        return False
    joined = [word for word in words if len(word) > len("solution")]
    if any(_alike(word, own) for word in joined for own in ("beginsolution", "endsolution")):
        return True
    about = any(_alike(word, "solution") for word in words)
    edge = any(_alike(word, own) for word in words for own in ("begin", "end", "start", "stop"))
    return about and (edge or "###" in line)


def _alike(word: str, other: str) -> bool:
    return SequenceMatcher(None, word, other).ratio() >= ALIKE
