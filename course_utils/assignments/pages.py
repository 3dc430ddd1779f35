"""Pages that a run writes anew, and what happens to the words that somebody added to one.

    pages.check(out / "benchmark.md", report_text)     # before anything is measured
    page = pages.place(out / "benchmark.md", report_text)
    pages.write(page, report_text(comparison))

A page's last line is the kit's mark, with a checksum of what stands above it. Whoever writes into
the page spoils the checksum, and then the page is theirs: no run replaces it.
"""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from course_utils.digests import digest
from course_utils.errors import CourseError
from course_utils.files import read_object, write_text_atomic
from course_utils.ownership import MAKER

LENGTH = 16  # characters of the checksum
SAYS = f"Written by the {MAKER}, and written anew at each run until somebody else writes into it"
MARK = re.compile(rf"\n<!-- {re.escape(SAYS)}: ([0-9a-f]{{{LENGTH}}}) -->\s*\Z")

TextOf = Callable[[Mapping[str, Any]], str]  # the page of what its JSON file holds


def check(page: Path, text_of: TextOf) -> Path:
    """CourseError when the page holds words that are not the kit's.

    `text_of` makes the page of NAME.json beside it: so the page of an earlier kit, which set no
    mark, is known too, and one whose paths were taken out when it was packed.
    """
    if _is_somebodys(page, text_of):
        raise CourseError(
            f"{page}: it holds words that this kit did not write; a new page would replace them",
            "rename it (words of your own stay in a page of another name), then run this again",
        )
    return page


def place(page: Path, text_of: TextOf) -> Path:
    """Where a page goes after all was measured: beside one with somebody's words, which is said."""
    own, number = page, 0
    while _is_somebodys(own, text_of):
        number += 1
        own = page.with_stem(f"{page.stem}_new{number if number > 1 else ''}")
    if own != page:
        print(f"{page}: holds words that this kit did not write, so it stays; new page: {own}")
    return own


def write(page: Path, text: str) -> Path:
    """Write the page with its mark; returns its path."""
    return write_text_atomic(page, f"{text.rstrip()}\n\n<!-- {SAYS}: {_checksum(text)} -->\n")


def _is_somebodys(page: Path, text_of: TextOf) -> bool:
    if not os.path.lexists(page):
        return False
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    mark = MARK.search(text)
    body = text[: mark.start()] if mark else text
    if mark and mark[1] == _checksum(body):
        return False
    with contextlib.suppress(Exception):  # JSON of any content, from any kit
        return _checksum(text_of(read_object(page.with_suffix(".json")))) != _checksum(body)
    return True


def _checksum(text: str) -> str:
    """Of the words: an editor that only saves a page may change the ends of its lines."""
    return digest([line.rstrip() for line in text.strip().splitlines()])[:LENGTH]
