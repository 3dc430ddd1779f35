"""Digests: sha256 of a file and of a value."""

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256_of(path: str | Path) -> str:
    """sha256 of a file as hexadecimal text. OSError where it cannot be read."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content: Any) -> str:
    """sha256 of a value that JSON can write, whatever the order of an object's names."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
