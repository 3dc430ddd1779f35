"""What the week-5 report is made from, read as data from a stranger.

Nothing is executed, every text is cleaned of what does not print, pictures are decoded and
encoded anew, and a file that can't be read is a CourseError that names it.
"""

import base64
import binascii
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from course_utils import privacy
from course_utils.errors import CourseError
from course_utils.lab import analysis, parameters
from course_utils.report import UNPRINTABLE

ANALYSIS_FILES = ("analysis.json", analysis.NOTEBOOK)
MAX_FILE_MB = 64  # a notebook with figures has a few; what is larger was not meant for a report
MAX_PIXELS = 16_000_000
FIGURE_WIDTH = 1400  # pixels; a larger picture is made smaller
# What stands in the starter where an answer belongs.
PLACEHOLDERS = re.compile(
    r"^\W*(|todo\b.*|tbd|your answer( here)?|write( your answer)? here|not written yet|answer)\W*$",
    re.IGNORECASE | re.DOTALL,
)
# U+FFFE and U+FFFF have no place in XML, which a .pptx is.
NOT_IN_XML = re.compile("[\ufffe\uffff]")


def clean(value: Any) -> str:
    """Any value as text of printable characters and line feeds."""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    text = NOT_IN_XML.sub("\ufffd", UNPRINTABLE.sub("\ufffd", text))
    return privacy.scrubbed(text)  # a run names where it was made


def clip(text: str, limit: int) -> str:
    """The text, cut to `limit` characters and marked where it was cut."""
    text = str(text)
    return text if len(text) <= limit else text[: max(1, limit - 2)].rstrip() + " …"


def number_of(value: Any) -> float | None:
    """A finite number as a float; None for NaN, null, text, and for an integer without end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def sensible(value: float) -> str:
    """Three significant digits for numbers of any size: 0.671, 1.27, 44,356, 1.2e+12."""
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{value:.2e}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if size < 1 else f"{value:.2f}" if size < 100 else f"{value:.1f}"


# ---------------------------------------------------------------- files


def read_text(path: Path) -> str:
    """A file as UTF-8 text, with or without a byte order mark."""
    try:
        if path.stat().st_size > MAX_FILE_MB * 2**20:
            raise CourseError(f"{path}: larger than {MAX_FILE_MB} MB", "clear what is not needed")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{path}: not UTF-8 (byte {error.start})", "save it as UTF-8, then run this again"
        ) from None
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror or error}", "check the path") from None


def parse(text: str, where: str, cure: str) -> Any:
    """JSON text as Python values; broken, endless or bottomless JSON is a CourseError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CourseError(f"{where}: not readable as JSON ({what})", cure) from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object."""
    cure = "make it again: for training.json, train again; for others, run what wrote it"
    content = parse(read_text(path), str(path), cure)
    if not isinstance(content, dict):
        raise CourseError(f"{path}: it holds a {type(content).__name__}, not an object", cure)
    return content


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Objects of a .jsonl file, or of the list under "answers" in a .json file."""
    cure = "each question is an object: instruction, context, expected, answer"
    text = read_text(path)
    if path.suffix == ".jsonl":
        lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows = [(f"{path}, line {i}", parse(line, f"{path}, line {i}", cure)) for i, line in lines]
    else:
        content = parse(text, str(path), cure)
        content = content.get("answers") if isinstance(content, dict) else content
        content = content if isinstance(content, list) else []
        rows = [(f"{path}, item {i}", row) for i, row in enumerate(content, 1)]
    for where, row in rows:
        if not isinstance(row, dict):
            raise CourseError(f"{where}: this is a {type(row).__name__}, not an object", cure)
    return [row for _, row in rows]


# ---------------------------------------------------------------- the four answers


def read_analysis(folder: Path) -> dict[str, dict[str, Any]]:
    """Parameter -> {"what", "increase", "decrease", "choice", "figure"}; only what is written.

    From analysis.json, or from the cells of parameter_analysis.ipynb; empty without both.
    """
    for name in ANALYSIS_FILES:
        path = Path(folder) / name
        if not path.is_file():
            continue
        content = read_object(path)
        if found := _from_notebook(content) if path.suffix == ".ipynb" else _from_object(content):
            return found
    return {}


def _from_object(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{"learning_rate": {"what": text}}, at the top or one level down."""
    levels = [content, *(part for part in content.values() if isinstance(part, dict))]
    for level in levels:
        parts = {name: level[name] for name in parameters.PARAMETERS if name in level}
        found = {name: _answers(part) for name, part in parts.items() if isinstance(part, dict)}
        if any(found.values()):
            return {name: answers for name, answers in found.items() if answers}
    return {}


def _from_notebook(notebook: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    cells = notebook.get("cells")
    cells = cells if isinstance(cells, list) else []
    cells = [_sound_cell(cell) for cell in cells if isinstance(cell, dict)]
    found = {}
    for name, section in analysis.read_sections({"cells": cells}).items():
        answers = _answers(section.answers)
        pictures = (_picture(cell["outputs"]) for cell in section.code)
        if picture := next(filter(None, pictures), None):
            answers["figure"] = picture
        if answers:
            found[name] = answers
    return found


def _sound_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell with the fields that are read, whatever the file holds in their places."""
    outputs = cell.get("outputs")
    outputs = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    source = _joined(cell.get("source"))
    return {"cell_type": cell.get("cell_type"), "source": source, "outputs": outputs}


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _answers(part: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: part.get(key) for key in parameters.QUESTIONS}
    written = {key: answer_text(text) for key, text in texts.items() if isinstance(text, str)}
    return {key: text for key, text in written.items() if text}


def answer_text(text: str) -> str:
    """The answer without a placeholder; empty when nothing was written."""
    text = clean(text).strip()
    return "" if len(text) < 200 and PLACEHOLDERS.match(text) else text


# ---------------------------------------------------------------- pictures


def _picture(outputs: list[dict[str, Any]]) -> bytes | None:
    """The first figure among a cell's outputs, as a PNG that was decoded and encoded anew."""
    for output in outputs:
        data = output.get("data")
        encoded = _joined(data.get("image/png")) if isinstance(data, dict) else ""
        if encoded and (picture := sound_png(encoded)):
            return picture
    return None


def sound_png(encoded: str) -> bytes | None:
    """Base64 of a PNG -> a PNG of a size fit for a page; None for anything else."""
    from PIL import Image

    try:
        raw = base64.b64decode(encoded, validate=False)
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS or min(image.size) < 16:
                return None
            image = image.convert("RGBA")
            image.thumbnail((FIGURE_WIDTH, FIGURE_WIDTH))
            page = Image.new("RGB", image.size, "white")  # a transparent figure is drawn for paper
            page.paste(image, mask=image.getchannel("A"))
            buffer = io.BytesIO()
            page.save(buffer, "PNG")
            return buffer.getvalue()
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
