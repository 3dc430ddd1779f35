"""What can be read of a file to search it: rows and texts; None where nobody can say what it holds.

A picture and weights hold no text. PDF is read by pypdf, where that is installed.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import PurePosixPath
from typing import Any

WITHOUT_TEXT = {".png", ".jpg", ".jpeg", ".gif", ".safetensors"}
LARGEST = 100_000_000  # bytes of the slides of a presentation, unpacked
PARAGRAPH, RUN = re.compile(r"</a:p>"), re.compile(r"<a:t>([^<]*)</a:t>")


def holds_no_text(name: str) -> bool:
    """Whether files of this kind are pictures or weights."""
    return PurePosixPath(name).suffix.lower() in WITHOUT_TEXT


def is_json(name: str) -> bool:
    """Whether files of this kind are JSON, or a line of JSON after the other."""
    return PurePosixPath(name).suffix.lower() in (".jsonl", ".json", ".ipynb")


def objects_of(name: str, content: bytes) -> Iterator[Any]:
    """What a JSON file holds, line by line for .jsonl; what is no JSON gives a ValueError."""
    text = content.decode("utf-8-sig", errors="replace")
    lines = text.split("\n") if name.lower().endswith(".jsonl") else [text]
    return map(_parsed, filter(str.strip, lines))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return ValueError(str(error))


def parts_of(content: Any) -> Iterator[dict[str, Any] | str]:
    """Every object in it, at any depth, and every text that is no field of one.

    Lines of one text, as a notebook keeps them, are one text. Pictures are passed over.
    """
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            fields = value.items()
            waiting += [v for k, v in fields if not isinstance(v, str) and not _is_picture(k)]
        elif isinstance(value, list):
            texts = [own for own in value if isinstance(own, str)]
            yield "\n".join(texts)
            waiting += [own for own in value if not isinstance(own, str)]
        elif isinstance(value, str):
            yield value


def fields_of(row: dict[str, Any]) -> str:
    """The names and texts of an object, a line each; of a notebook's picture only the kind."""
    pairs = ((k, v if isinstance(v, str) and not _is_picture(k) else "") for k, v in row.items())
    return "\n".join(f"{name}\n{value}" for name, value in pairs)


def _is_picture(kind: str) -> bool:
    return kind.startswith("image/") and kind != "image/svg+xml"


def text_of(name: str, content: bytes) -> str | None:
    """The text of a file of any other kind; None where it cannot be read."""
    ending = PurePosixPath(name).suffix.lower()
    if ending in (".pdf", ".pptx"):
        try:
            return (_pdf if ending == ".pdf" else _slides)(content).strip() or None
        except Exception:  # whatever a broken file makes a reader raise; or no pypdf
            return None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # as Excel saves a table
        text = content.decode("utf-16", errors="replace")
    elif b"\0" in content:
        return None
    else:
        text = content.decode("utf-8-sig", errors="replace")
    return re.sub("[,;]", "\n", text) if ending == ".csv" else text  # a cell is a text of its own


def _pdf(content: bytes) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def _slides(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [file for file in archive.infolist() if file.filename.endswith(".xml")]
        if sum(file.file_size for file in files) > LARGEST:
            return ""
        pages = [archive.read(file).decode("utf-8", errors="replace") for file in files]
    paragraphs = (RUN.findall(text) for page in pages for text in PARAGRAPH.split(page))
    return "\n".join(unescape("".join(runs)) for runs in paragraphs if runs)
