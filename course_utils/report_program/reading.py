"""Numbers and lines of a sheet, and arithmetic that rounds half up as the sheets ask for."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

NUMBER = r"-?\d+(?:\.\d+)?"


class Unreadable(Exception):
    """The sheet does not look like those that the program was written for."""


def find(pattern: str, text: str, flags: int = re.M | re.I) -> re.Match:
    """The first match. Raises Unreadable where there is none."""
    found = re.search(pattern, text, flags)
    if not found:
        raise Unreadable(pattern, text[:200])
    return found


def numbers(text: str) -> list[Decimal]:
    """The numbers of a text, signs included, with the decimals they are written with."""
    return [Decimal(number) for number in re.findall(NUMBER, text)]


def decimals(number: Decimal) -> int:
    """Digits behind the point."""
    return max(0, -int(number.as_tuple().exponent))


def rounded(value: Decimal, digits: int) -> Decimal:
    """Half up, with exactly so many digits behind the point."""
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def percent(part: Decimal | int, whole: Decimal | int) -> Decimal:
    """A share in per cent with one decimal."""
    return rounded(100 * Decimal(part) / Decimal(whole), 1)


def listing(texts: Sequence[str]) -> str:
    """ "1, 2 and 6"; "" for none."""
    *first, last = texts or [""]
    return f"{', '.join(first)} and {last}" if first else last
