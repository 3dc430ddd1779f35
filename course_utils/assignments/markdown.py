"""Pieces of Markdown that the pages of assignments and bonuses share."""

from collections.abc import Mapping, Sequence
from typing import Any


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
