"""Whether a text quotes work orders, however the file that it stands in writes them.

    orders = Orders(["REPLACE BLOWN HYD HOSE ON BOOM"])
    orders.quoted_in("asked:\\n\\n    Replace blown\\n    hyd hose on boom\\n")     # 1

Words alone are compared: spaces, line ends, case, punctuation, and what JSON, HTML, Markdown and a
terminal add to a text, are nothing.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator

# Many orders are what anybody writes: "oil leak", "low coolant level". So within a sentence an
# order counts from three words and 18 characters on (9 of 10 have both), and a shorter one where it
# stands alone: a line, a cell, a value. Of 7,349 records on other documents 110 hold an order of
# two words, none one of three, and none a short one alone.
WORDS, INSIDE = 3, 18
ALONE, LONGEST = 12, 80  # the longest has 42, and a number or a name may stand before it
AT_ONCE = 5000  # lines whose words are looked through together

COLOUR = re.compile(r"(?:\x1b|\\+u001b|\\+x1b)\[[0-9;]*m", re.I)
CODE = re.compile(r"\\+u([0-9a-f]{4})", re.I)
BREAK = re.compile(r"\\+[nrt]")
TAGS = "a|b|br|code|div|em|font|i|li|mark|p|pre|small|span|strong|t[dhr]|tspan|u"
TAG = re.compile(rf"</?(?:{TAGS})\b[^<>]*>", re.I)
WORD = re.compile(r"[^\W_]+")
APART = re.compile(r"""[\n\r\t|"]|\s{2,}|(?<!\w)'|'(?!\w)""")
COUNTED = re.compile(r"\W*\d+[.):]?\s+|\s*(?:- )?[\w-]+:\s+")  # "12  ", "3. ", "input: "


class Orders:
    """The texts of work orders, ready to be looked for."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._alone: set[str] = set()
        self._inside: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for words in {tuple(_words(_plain(text))) for text in texts}:
            length = len(" ".join(words))
            if len(words) >= WORDS and length >= INSIDE:
                self._inside.setdefault(words[:WORDS], set()).add(words)
            elif length >= ALONE:
                self._alone.add(" ".join(words))
        self._ends = {text.rpartition(" ")[2] for text in self._alone}

    def __bool__(self) -> bool:
        return bool(self._alone or self._inside)

    def quoted_in(self, text: str) -> int:
        """How many times the text quotes an order."""
        return sum(map(self._within, _pieces(_plain(text)))) if self else 0

    def _within(self, text: str) -> int:
        words = _words(text)
        firsts = enumerate(zip(words, words[1:], words[2:], strict=False))
        found = sum(map(self._is_alone, APART.split(text)))
        for start, first in [(start, first) for start, first in firsts if first in self._inside]:
            for order in self._inside[first]:
                found += tuple(words[start : start + len(order)]) == order
        return found

    def _is_alone(self, piece: str) -> bool:
        if not ALONE <= len(piece) <= LONGEST:
            return False
        words = _words(piece)
        if not words or words[-1] not in self._ends:
            return False
        if " ".join(words) in self._alone:
            return True
        return bool(COUNTED.match(piece)) and " ".join(words[1:]) in self._alone


def _words(text: str) -> list[str]:
    return WORD.findall(text)


def _plain(text: str) -> str:
    """The text as a reader sees it, in one Unicode form and in lower case."""
    if "\x1b" in text or "1b[" in text.lower():
        text = COLOUR.sub("", text)
    if "\\" in text:
        text = BREAK.sub("\n", CODE.sub(lambda found: chr(int(found[1], 16)), text))
    if "<" in text:
        text = TAG.sub("\n", text)
    if "&" in text:
        text = html.unescape(text)
    return unicodedata.normalize("NFKC", text).casefold()


def _pieces(text: str) -> Iterator[str]:
    """Parts of a long text; each begins with the last lines of the one before: an order goes on."""
    lines = text.split("\n")
    for start in range(0, len(lines), AT_ONCE):
        yield "\n".join(lines[max(0, start - 2) : start + AT_ONCE])
