"""What a view of the lab says to a reader, and what of it makes no sense there."""

import re

# Sentences for those who see code: cells to run, values to replace, objects to call.
CODE = re.compile(
    r"\bcells?\b|\bformula\b|\bin code\b|\bpaste\b(?!:)|in place of .?None|"
    r'(?<!")\breplace\b|'  # in quotes it is a label, of a work order
    r"\bthis notebook\b|\bchecks\.|\.hint\(|\bvariable\b|course_utils|\bimport\b",
    re.I,
)
# Sentences for those who can move or type something.
SLIDERS = re.compile(
    r"\barrow keys\b|\bto type\b|\bpaste\b|\bclick\b|\bbutton\b|put in another|one set of sliders",
    re.I,
)


def visible(page: str) -> str:
    """The words of a page of HTML, without scripts and styles."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    for hidden in soup(["script", "style", "title"]):
        hidden.decompose()
    return " ".join(soup.get_text(" ").split())


def about_code(words: str) -> list[str]:
    """The places that speak of code, each with its neighbourhood."""
    return _found(CODE, words)


def about_sliders(words: str) -> list[str]:
    """The places that speak of something to move."""
    return _found(SLIDERS, words)


def _found(pattern: re.Pattern, words: str) -> list[str]:
    return [words[max(0, m.start() - 40) : m.end() + 40] for m in pattern.finditer(words)]
