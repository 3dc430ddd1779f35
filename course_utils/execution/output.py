"""What is kept of a cell's output: bounded, and in time linear to its length.

A cell may print megabytes on one line, or redraw a progress bar a hundred thousand times. The copy
keeps the first and the last part of what a person would have seen on the screen, and a note between
them says how much was left out.
"""

from collections import deque
from typing import Any

KEPT_HEAD = 400_000  # characters of one stream of one cell, ...
KEPT_TAIL = 100_000  # ... and of its end, where results and errors stand
RICH_LIMIT = 10_000_000  # characters of one picture, table or page
RICH_TOTAL = 50_000_000  # ... and of all in one cell
MOST_OUTPUTS = 1_000  # pictures, tables, results of one cell


def left_out(count: int, what: str = "characters of output") -> str:
    """The note that stands where something was left out."""
    return f"[... {count:,} {what} left out of this copy ...]"


class Bounded:
    """The first and the last characters of a text that comes in pieces."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.head: list[str] = []
        self.tail: deque[str] = deque()
        self.head_size = self.tail_size = self.cut = 0

    def __bool__(self) -> bool:
        return bool(self.head)

    def append(self, text: str) -> None:
        """Add a piece; each character is looked at a bounded number of times."""
        if room := KEPT_HEAD - self.head_size:
            piece, text = text[:room], text[room:]
            if piece:
                self.head.append(piece)
                self.head_size += len(piece)
        if not text:
            return
        if len(text) >= KEPT_TAIL:
            self.cut += self.tail_size + len(text) - KEPT_TAIL
            self.tail, self.tail_size = deque([text[-KEPT_TAIL:]]), KEPT_TAIL
            return
        self.tail.append(text)
        self.tail_size += len(text)
        while self.tail_size - len(self.tail[0]) >= KEPT_TAIL:
            piece = self.tail.popleft()
            self.tail_size -= len(piece)
            self.cut += len(piece)

    def extend(self, other: "Bounded") -> None:
        """Add another text, with its own gap."""
        self.append("".join(other.head))
        if other.cut:  # its head alone filled ours: all before its end is a gap
            self.cut += self.tail_size + other.cut
            self.tail, self.tail_size = deque(), 0
        self.append("".join(other.tail))

    def ends_with(self, mark: str) -> bool:
        pieces = self.tail or self.head
        return bool(pieces) and pieces[-1].endswith(mark)

    def text(self) -> str:
        head, tail = "".join(self.head), "".join(self.tail)
        cut = self.cut + max(len(tail) - KEPT_TAIL, 0)
        tail = tail[-KEPT_TAIL:]
        return f"{head}\n{left_out(cut)}\n{tail}" if cut else head + tail


class Stream:
    """What a terminal would show of a stream: a line that begins anew (\\r) replaces the old one.

    A line is taken apart once, when it comes. (nbclient's own `coalesce_streams` searches a long
    line again from each of its characters.)
    """

    def __init__(self) -> None:
        self.done, self.line = Bounded(), Bounded()

    def write(self, text: str) -> None:
        complete, newline, last = text.rpartition("\n")
        if newline:
            first, more, rest = complete.partition("\n")
            self._continue_line(first + "\n")
            self.done.extend(self.line)
            self.line.clear()
            if more:
                self.done.append(_as_shown(rest) + "\n")
        self._continue_line(last)

    def _continue_line(self, text: str) -> None:
        """Add to the line that is not finished; `text` holds at most one newline, at its end."""
        if not text:
            return
        if self.line.ends_with("\r") and text != "\n":
            self.line.clear()
        if (start := _shown_from(text)) > 0:
            self.line.clear()
            text = text[start:]
        self.line.append(text)

    def text(self) -> str:
        whole = Bounded()
        whole.extend(self.done)
        whole.extend(self.line)
        return whole.text()


def _shown_from(line: str) -> int:
    """Where that begins which a terminal shows of a line; a last \\r still shows what it ends."""
    return line.rfind("\r", 0, len(line.rstrip("\n")) - 1) + 1 if "\r" in line else 0


def _as_shown(text: str) -> str:
    """Whole lines as a terminal shows them."""
    if "\r" not in text:
        return text
    lines = (line + "\n" for line in text.split("\n"))  # \n alone ends a line here
    return "".join(line[_shown_from(line) :] for line in lines)[:-1]


def shortened(text: str) -> str:
    """A text of a result or an error, with its middle left out where it is too long."""
    whole = Bounded()
    whole.append(text)
    return whole.text()


def shorten_message(message: dict[str, Any], room: int) -> int:
    """Shorten a kernel's result, picture or error in place; return the characters it now has.

    `room` is what the cell may still keep. Texts keep their beginning and end; of a picture or a
    page half is nothing, so one that is too large leaves a note.
    """
    content = message["content"]
    if message["msg_type"] == "error":
        content["evalue"] = shortened(str(content.get("evalue", "")))
        content["traceback"] = [shortened(line) for line in content.get("traceback", [])][-200:]
        return len(content["evalue"]) + sum(map(len, content["traceback"]))
    data = content.get("data")
    if not isinstance(data, dict):
        return 0
    plain_text, notes, total = _one_text(data.pop("text/plain", "")), [], 0
    for kind, value in list(data.items()):
        size = len(value) if isinstance(value, str) else len(repr(value))
        if size > RICH_LIMIT or total + size > room:
            del data[kind]
            notes.append(left_out(size, f"characters of {kind}"))
        else:
            total += size
    if said := "\n".join(filter(None, [*notes, plain_text])):
        data["text/plain"] = shortened(said)
    return total + len(data.get("text/plain", ""))


def _one_text(value: Any) -> str:
    return value if isinstance(value, str) else "".join(map(str, value))
