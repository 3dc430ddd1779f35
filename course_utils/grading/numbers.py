"""Points as people write and read them, and cells of a CSV that no spreadsheet runs."""

import re
from typing import Any

from course_utils.assignments.folder import show

# A cell that begins so is a formula, in Excel, LibreOffice or Google Sheets.
FORMULA = re.compile(r"^\s*[=+\-@\t\r＝＋－＠]")
PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def points_text(points: float | None) -> str:
    """At most two decimals, none where there is none to show; "" for no points."""
    return "" if points is None else f"{points:.2f}".rstrip("0").rstrip(".")


def points_of(text: str) -> float | None:
    """A number as people type it, with a point or a comma; None for anything else."""
    plain = text.strip().replace(",", ".")
    return float(plain) if PLAIN_NUMBER.fullmatch(plain) else None


def rounded(points: float) -> float:
    """Points to the hundredth, so that sums do not depend on the order of adding."""
    return round(points + 1e-9, 2)


def priced(points: float, before: float, now: float) -> float:
    """Points out of `before` as the same share of `now`."""
    return rounded(points if before == now else points * now / before)


def cell(value: Any, longest: int = 500) -> str:
    """A cell of a CSV: one printable line, and an apostrophe before what would be a formula."""
    text = show(value, longest)
    return f"'{text}" if FORMULA.match(text) and not PLAIN_NUMBER.fullmatch(text) else text
