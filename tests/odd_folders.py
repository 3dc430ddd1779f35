"""Folders that raise where nobody expects it."""

import contextlib
from pathlib import Path


def inbox_too_deep(folder: Path) -> Path:
    """An inbox of one submission, deep: a file's whole name is longer than the system takes."""
    while len(str(folder)) < 700:
        folder /= "y" * 200
    inbox = folder / ("y" * (950 - len(str(folder))))
    deepest = inbox.joinpath("deep", *["d" * 250] * 12)
    deepest.mkdir(parents=True)
    with contextlib.chdir(deepest):
        Path("x" * 250).touch()
    return inbox
