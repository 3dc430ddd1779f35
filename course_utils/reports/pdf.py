"""The week-5 report as PDF, set by Typst from `templates/report.typ`.

Everything a run holds reaches the template as JSON, never as Typst source: a text that looks like
markup is printed as it stands.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from course_utils import drawing
from course_utils.errors import CourseError
from course_utils.files import atomic_path
from course_utils.reports import content as lab_report

TEMPLATE = Path(__file__).with_name("templates") / "report.typ"
BREAK_AFTER = 16  # letters of one word: a break is allowed there, or it would leave the page
ONE_PAGE = 2000  # letters of the four answers that surely fit on one page, kept together
INSTALL = "install it: pip install -r requirements-report.txt"


def write_pdf(report: Mapping[str, Any], out: Path) -> Path:
    """Write the PDF whole or not at all; CourseError when Typst is missing or fails."""
    with tempfile.TemporaryDirectory(prefix="course-report-") as folder:
        source = prepare(report, Path(folder))
        cure = "try --format html, and report this as an error of the kit"
        return typeset(source, out, cure)


def typeset(source: Path, out: Path, cure: str = "report this as an error of the kit") -> Path:
    """Set a template, with the data and pictures beside it, and write the PDF whole or not at all.

    Raises CourseError when Typst is missing or fails.
    """
    try:
        import typst
    except ImportError:
        raise CourseError("a PDF needs the package typst", INSTALL) from None
    try:
        # No packages and no fonts from elsewhere: the same pages on every machine.
        pdf = typst.compile(source, root=source.parent, font_paths=[font_folder()])
    except RuntimeError as error:
        raise CourseError(f"{out}: Typst could not set it ({error})", cure) from None
    with atomic_path(out) as temporary:
        temporary.write_bytes(pdf)
    return out


def prepare(report: Mapping[str, Any], folder: Path) -> Path:
    """Lay template, data and pictures into `folder`; returns the template's path there."""
    view = dict(report)
    view["parameters"] = []
    for section in report["parameters"]:
        name = f"{section['name']}.png" if section["figure"] else None
        if name:
            (folder / name).write_bytes(section["figure"])
        answers = [one.values() for one in section["answers"]]
        long = _letters(answers) > (ONE_PAGE // 2 if name else ONE_PAGE)
        view["parameters"].append({**section, "figure": name, "long": long})
    view["curves"] = []
    for number, group in enumerate(lab_report.curve_groups(report["curves"])):
        figure = lab_report.plot_curves(group)
        (folder / f"curves{number}.png").write_bytes(drawing.to_png(figure, 200))
        text = drawing.figure_title(figure)
        view["curves"].append({"file": f"curves{number}.png", "text": text})
    rows = report["questions"]["rows"]
    view["questions"] = report["questions"] | {
        "rows": [{**row, "long": _letters(row["parts"]) > ONE_PAGE} for row in rows]
    }
    data = json.dumps(breakable(view), ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(data, encoding="utf-8")
    source = folder / "report.typ"
    source.write_bytes(TEMPLATE.read_bytes())
    return source


def _letters(rows: Iterable[Iterable[str]]) -> int:
    return sum(len(text) + 60 * text.count("\n") for row in rows for text in row)


def font_folder() -> Path:
    """DejaVu, as matplotlib brings it: Greek, Cyrillic, Hebrew, Arabic and signs on any machine."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def breakable(value: Any) -> Any:
    """The same data, with a place to break (U+200B) in every word that is longer than a line."""
    if isinstance(value, dict):
        keep = ("file", "figure")
        return {k: v if k in keep else breakable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [breakable(item) for item in value]
    return break_words(value) if isinstance(value, str) else value


def break_words(text: str) -> str:
    """Allow a break in long words: after a sign where there is one, else every 16 letters."""
    pieces, run = [], 0
    for letter in text:
        run = 0 if letter.isspace() else run + 1
        pieces.append(letter)
        if run >= BREAK_AFTER or (run >= 8 and letter in "/\\_-.=,;:"):
            pieces.append("\u200b")
            run = 0
    return "".join(pieces)
