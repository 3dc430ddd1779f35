"""The text of a report, page by page; it runs inside the sandbox, since it parses strangers' files.

    box.call("course_utils.grading.judging.files.report_text:read", {"kind": "pdf", "content": ...},
             place, limits)         # {"pages": ["title ...", ...], "count": 14}

A PDF is read by pypdf; slides are a zip archive of XML, and no more of it is needed than its text.
"""

import base64
import io
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

MOST_PAGES = 200  # that are read; all are counted
LONGEST_PAGE = 20_000  # characters
LARGEST_SLIDE = 5_000_000  # bytes of one slide's XML
SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml")
TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
PARAGRAPH = "{http://schemas.openxmlformats.org/drawingml/2006/main}p"


def read(asked: dict[str, str]) -> dict[str, Any]:
    """{"count": pages or slides, "pages": texts}, or {"problem": why it does not open}."""
    content = base64.b64decode(asked["content"])
    try:
        return {"pdf": _pdf, "pptx": _slides}[asked["kind"]](content)
    except Exception as error:  # whatever a broken file makes a reader raise
        return {"problem": f"{type(error).__name__}: {error}"[:200]}


def _pdf(content: bytes) -> dict[str, Any]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    count = len(reader.pages)
    texts = [_page_text(reader.pages[i]) for i in range(min(count, MOST_PAGES))]
    return {"count": count, "pages": [text[:LONGEST_PAGE] for text in texts]}


def _page_text(page: Any) -> str:
    """A page whose text can not be read is a page all the same: a scan, an odd font."""
    try:
        return page.extract_text()
    except Exception:
        return ""


def _slides(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {info.filename: info.file_size for info in archive.infolist()}
        if not {"[Content_Types].xml", "ppt/presentation.xml"} <= names.keys():
            return {"problem": "this is no presentation"}
        numbers = sorted(int(found[1]) for found in map(SLIDE.fullmatch, names) if found)
        texts = []
        for number in numbers[:MOST_PAGES]:
            name = f"ppt/slides/slide{number}.xml"
            if names[name] > LARGEST_SLIDE:
                return {"problem": f"slide {number} holds more than {LARGEST_SLIDE:,} bytes"}
            texts.append(_slide_text(archive.read(name))[:LONGEST_PAGE])
    return {"count": len(numbers), "pages": texts}


def _slide_text(xml: bytes) -> str:
    root = ElementTree.fromstring(xml)
    paragraphs = ("".join(t.text or "" for t in p.iter(TEXT)) for p in root.iter(PARAGRAPH))
    return "\n".join(paragraph for paragraph in paragraphs if paragraph.strip())
