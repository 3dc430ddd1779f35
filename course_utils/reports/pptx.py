"""The week-5 report as slides: native tables and charts that can be edited, and speaker notes.

Nothing overflows: each text is measured before it is placed, and what does not fit goes on on the
next slide.
"""

import functools
import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import drawing
from course_utils.errors import CourseError
from course_utils.files import atomic_path
from course_utils.reports import content as lab_report
from course_utils.reports.input import clip
from course_utils.reports.pdf import font_folder

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.slide import Slide

INSTALL = "install it: pip install -r requirements-report.txt"
WIDTH, HEIGHT = 13.333, 7.5  # inches: 16:9
LEFT, TOP, BOTTOM = 0.6, 1.45, 6.95  # of a slide's body
FULL = WIDTH - 2 * LEFT
LINE = 1.25  # height of a line, in font sizes
MARGIN_X, MARGIN_Y = 0.1, 0.06  # inside a table's cell, each side
TITLE_LETTERS = 84
SIZES = (17, 15, 13, 12)  # points, of a table that holds prose
DASHES = ("SOLID", "DASH", "DASH_DOT", "ROUND_DOT")
COLORS = (drawing.BLUE, drawing.ORANGE, drawing.GREEN, drawing.RED, drawing.INK, drawing.SOFT)


@dataclass(frozen=True)
class Column:
    """One column of a table: its width in inches and how its text is set."""

    width: float
    size: int = 13  # points
    bold: bool = False
    soft: bool = False
    right: bool = False
    mono: bool = False
    lead: bool = False  # the first line stands out


LABEL = Column(2.6, bold=True, soft=True)


def write_pptx(report: Mapping[str, Any], out: Path) -> Path:
    """Write the slides whole or not at all; CourseError when python-pptx is missing."""
    try:
        import pptx  # noqa: F401
    except ImportError:
        raise CourseError("slides need the package python-pptx", INSTALL) from None
    deck = new_deck()
    _title_slide(deck, report)
    _parameter_slides(deck, report)
    _experiment_slides(deck, report)
    _curve_slides(deck, report)
    _question_slides(deck, report)
    _closing_slides(deck, report)
    deck.core_properties.title = report["title"]
    deck.core_properties.author = clip(report["group"], 250)
    with atomic_path(out) as temporary:
        deck.save(temporary)
    return out


# ---------------------------------------------------------------- slides and text


def new_deck() -> "Presentation":
    """An empty 16:9 deck with two layouts: title slide, and a title over a free body."""
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    scale = WIDTH / 10  # python-pptx's own template is 4:3, 10 x 7.5 inches
    deck.slide_width, deck.slide_height = Inches(WIDTH), Inches(HEIGHT)
    for layout in list(deck.slide_layouts):
        if layout.name not in ("Title Slide", "Title Only"):
            deck.slide_layouts.remove(layout)
    for holder in [deck.slide_master, *deck.slide_layouts]:
        for shape in holder.placeholders:  # where they stood, on the wider slide
            place = (shape.left, shape.top, shape.width, shape.height)
            shape.left, shape.top, shape.width, shape.height = (
                round(place[0] * scale),
                place[1],
                round(place[2] * scale),
                place[3],
            )
    return deck


def add_slide(deck: "Presentation", title: str, notes: str = "") -> "Slide":
    """A slide with a title (one line), its number and speaker notes."""
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
    from pptx.util import Inches

    slide = deck.slides.add_slide(deck.slide_layouts.get_by_name("Title Only"))
    shape = slide.shapes.title
    shape.left, shape.top = Inches(LEFT - 0.1), Inches(0.4)
    shape.width, shape.height = Inches(FULL + 0.2), Inches(0.85)
    frame = shape.text_frame
    frame.text = clip(" ".join(title.split()), TITLE_LETTERS)
    frame.vertical_anchor = MSO_ANCHOR.MIDDLE
    paragraph = frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.LEFT
    _font(paragraph.runs[0].font, _title_size(frame.text), bold=True)
    _slide_number(slide)
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    return slide


def _title_size(title: str) -> int:
    """The largest size with which the title stays in its place."""
    fits = (s for s in (26, 20, 16) if len(wrap(title, FULL, s, bold=True)) * s * LINE / 72 <= 0.8)
    return next(fits, 12)


def add_text(
    slide: "Slide", text: str, box: tuple[float, float, float, float], size: int = 14, **style: Any
) -> Any:
    """A text box at (left, top, width, height) in inches."""
    from pptx.util import Inches

    shape = slide.shapes.add_textbox(*(Inches(value) for value in box))
    shape.text_frame.word_wrap = True
    shape.text_frame.text = text
    for paragraph in shape.text_frame.paragraphs:
        for run in paragraph.runs:
            _font(run.font, size, **style)
    return shape


def _font(font: Any, size: int, bold: bool = False, color: str = drawing.INK) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    font.size, font.bold = Pt(size), bold
    font.color.rgb = RGBColor.from_string(color[1:])


def _slide_number(slide: "Slide") -> None:
    """A field that counts by itself, so that slides can be moved."""
    from lxml import etree

    shape = add_text(slide, "", (WIDTH - 1.3, 7.05, 0.9, 0.3), 10)
    paragraph = shape.text_frame.paragraphs[0]
    name = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
    field = etree.SubElement(paragraph._p, f"{name}fld", id=_FIELD_ID, type="slidenum")
    etree.SubElement(field, f"{name}rPr", lang="en-US", sz="1000")
    etree.SubElement(field, f"{name}t").text = "‹#›"
    paragraph.alignment = _right()


_FIELD_ID = "{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}"  # any, the same for each such field


def _right() -> Any:
    from pptx.enum.text import PP_ALIGN

    return PP_ALIGN.RIGHT


# ---------------------------------------------------------------- measuring


@functools.cache
def letter_width(letter: str) -> float:
    """Width of a letter in font sizes, in DejaVu Sans: wider than the fonts of slide programs."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    return _measuring_font().getlength(letter) / 100


@functools.cache
def _measuring_font() -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(font_folder() / "DejaVuSans.ttf"), 100)


def wrap(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """The lines that the text takes in `width` inches; joined, they are the text again."""
    room = width * 72 / size / (1.12 if bold else 1.0)
    lines, line, used, space = [], "", 0.0, 0  # space: letters up to the last place to break
    for letter in text:
        if letter == "\n":
            lines.append(line + letter)
            line, used, space = "", 0.0, 0
            continue
        wide = letter_width(letter)
        if used + wide > room and line and letter != " ":
            cut = space or len(line)
            lines.append(line[:cut])
            line = line[cut:]
            used, space = sum(map(letter_width, line)), 0
        line, used = line + letter, used + wide
        space = len(line) if letter == " " else space
    return [*lines, line]


def _lines(text: str, column: Column) -> list[str]:
    size = column.size * (1.03 if column.mono else 1.0)
    return wrap(text, column.width - 2 * MARGIN_X, size, column.bold)


def row_height(cells: Sequence[str], columns: Sequence[Column]) -> float:
    """Inches that a row needs: its tallest cell."""
    heights = [
        len(_lines(text, column)) * column.size * LINE / 72
        for text, column in zip(cells, columns, strict=True)
    ]
    return max(heights) + 2 * MARGIN_Y


def largest_fitting(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], least: float = 0.0
) -> tuple[Column, ...]:
    """The columns in the largest size with which all rows stand on one slide; else the smallest."""
    for size in SIZES:
        sized = tuple(replace(column, size=size) for column in columns)
        if sum(max(least, row_height(row, sized)) for row in rows) <= BOTTOM - TOP:
            break
    return sized


def split_row(
    cells: Sequence[str], columns: Sequence[Column], room: float
) -> list[tuple[str, ...]]:
    """A row as several that are no taller than `room` inches each; the label is repeated."""
    if row_height(cells, columns) <= room:
        return [tuple(cells)]
    parts: list[list[str]] = []
    for text, column in zip(cells, columns, strict=True):
        most = max(1, int((room - 2 * MARGIN_Y) * 72 / (column.size * LINE)))
        lines = _lines(text, column)
        chunks = ["".join(lines[i : i + most]).strip("\n") for i in range(0, len(lines), most)]
        parts.append(chunks)
    count = max(map(len, parts))
    first = parts[0][0]
    parts[0] += [clip(first, 40) + " (continued)"] * (count - len(parts[0]))
    return [tuple(p[i] if i < len(p) else "" for p in parts) for i in range(count)]


# ---------------------------------------------------------------- tables


def add_table_slides(
    deck: "Presentation",
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    header: Sequence[str] | None = None,
    notes: str = "",
    top: float = TOP,
    least: float = 0.0,
) -> list["Slide"]:
    """A native table on as many slides as it takes; `least` is a row's least height in inches."""
    heads = [replace(column, size=12, bold=True) for column in columns]
    head = row_height(header, heads) if header else 0.0
    room = BOTTOM - top - head
    pages: list[list[tuple[Sequence[str], float]]] = [[]]
    left = room
    for row in rows:
        for part in split_row(row, columns, room):
            height = max(least, row_height(part, columns))
            if height > left and pages[-1]:
                pages.append([])
                left = room
            pages[-1].append((part, height))
            left -= height
    slides = []
    for number, page in enumerate(pages, 1):
        suffix = f" ({number}/{len(pages)})" if len(pages) > 1 else ""
        slide = add_slide(deck, clip(title, TITLE_LETTERS - len(suffix)) + suffix, notes)
        if page:
            _add_table(slide, columns, page, header, head, top)
        slides.append(slide)
    return slides


def _add_table(
    slide: "Slide",
    columns: Sequence[Column],
    rows: Sequence[tuple[Sequence[str], float]],
    header: Sequence[str] | None,
    head: float,
    top: float,
) -> None:
    from pptx.util import Inches

    heights = ([head] if header else []) + [height for _, height in rows]
    width = sum(column.width for column in columns)
    box = (Inches(LEFT), Inches(top), Inches(width), Inches(sum(heights)))
    table = slide.shapes.add_table(len(heights), len(columns), *box).table
    table.first_row, table.horz_banding = bool(header), False
    for place, column in enumerate(columns):
        table.columns[place].width = Inches(column.width)
    for place, height in enumerate(heights):
        table.rows[place].height = Inches(height)
    if header:
        for cell, text, column in zip(table.rows[0].cells, header, columns, strict=True):
            style = replace(column, size=12, bold=True, soft=False, mono=False, lead=False)
            _set_cell(cell, text, style, fill=drawing.BLUE, color="#ffffff")
    for place, (texts, _) in enumerate(rows):
        fill = "#ffffff" if place % 2 else "#eef4f9"
        cells = table.rows[place + bool(header)].cells
        for cell, text, column in zip(cells, texts, columns, strict=True):
            _set_cell(cell, text, column, fill, drawing.SOFT if column.soft else drawing.INK)


def _set_cell(cell: Any, text: str, column: Column, fill: str, color: str) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Inches, Pt

    cell.fill.solid()
    cell.fill.fore_color.rgb = RGBColor.from_string(fill[1:])
    cell.margin_left = cell.margin_right = Inches(MARGIN_X)
    cell.margin_top = cell.margin_bottom = Inches(MARGIN_Y)
    cell.text = text
    paragraphs = cell.text_frame.paragraphs
    first = paragraphs[0]
    for paragraph in paragraphs:
        if column.right:
            paragraph.alignment = _right()
        paragraph.font.size = Pt(column.size)  # of an empty cell too: it sets the row's height
        for run in paragraph.runs:
            lead = column.lead and paragraph is first
            _font(run.font, column.size, column.bold or lead, color)
            if column.mono:
                run.font.name = "Courier New"


# ---------------------------------------------------------------- the sections


def _title_slide(deck: "Presentation", report: Mapping[str, Any]) -> None:
    from pptx.enum.text import PP_ALIGN
    from pptx.util import Inches

    slide = deck.slides.add_slide(deck.slide_layouts.get_by_name("Title Slide"))
    places = ((0, 0.9, 1.1, report["title"], 40), (1, 2.0, 1.3, clip(report["finding"], 230), 18))
    for index, top, height, text, size in places:
        shape = slide.placeholders[index]
        shape.left, shape.top = Inches(LEFT), Inches(top)
        shape.width, shape.height = Inches(FULL), Inches(height)
        shape.text_frame.text = text
        for paragraph in shape.text_frame.paragraphs:
            paragraph.alignment = PP_ALIGN.LEFT
            for run in paragraph.runs:
                _font(run.font, size, index == 0, drawing.INK if index == 0 else drawing.SOFT)
    group = report["group"] or "(your names)"
    facts = [("Group", clip(group, 160)), ("Date", report["date"]), *map(tuple, report["facts"])]
    columns = (replace(LABEL, width=2.2, size=15), Column(FULL - 2.2, size=15))
    rows = [(tuple(clip(text, 200) for text in row)) for row in facts]
    sized = [(row, row_height(row, columns)) for row in rows]
    _add_table(slide, columns, sized, None, 0, 3.6)
    slide.notes_slide.notes_text_frame.text = (
        "Say in a minute what you trained, on which records, and what came out. "
        "All figures of these slides are from training.json of the runs."
    )


def _parameter_slides(deck: "Presentation", report: Mapping[str, Any]) -> None:
    rows = [
        (
            part["name"],
            part["controls"],
            part["start"],
            part["used"],
            f"{sum(bool(one['answer']) for one in part['answers'])} of {len(part['answers'])}",
        )
        for part in report["parameters"]
    ]
    columns = (
        Column(3.3, 11, bold=True),
        Column(5.6, 11),
        Column(1.1, 11, right=True),
        Column(1.1, 11, right=True),
        Column(FULL - 11.1, 11, right=True),
    )
    header = ("Parameter", "What it controls", "Start", "Here", "Answers")
    notes = f"{report['answered']}. Start: the lab's start value. Here: the value of the first run."
    add_table_slides(deck, "Parameter analysis: the 13 parameters", columns, rows, header, notes)
    for part in report["parameters"]:
        _parameter_slide(deck, part)


def _parameter_slide(deck: "Presentation", part: Mapping[str, Any]) -> None:
    wide = 4.1 if part["figure"] else FULL - 3.4
    columns = (replace(LABEL, width=3.4 if not part["figure"] else 2.4), Column(wide, 13))
    rows = [(one["question"], one["answer"] or "not written yet") for one in part["answers"]]
    title = f"{part['title']}: start {part['start']}, here {part['used']}"
    notes = f"{part['name']}: {part['controls']}."
    columns = largest_fitting(columns, rows, 1.2)
    slides = add_table_slides(deck, title, columns, rows, notes=notes, least=1.2)
    if part["figure"]:
        left = LEFT + sum(column.width for column in columns) + 0.25
        add_picture(slides[0], part["figure"], left, TOP, WIDTH - LEFT - left, BOTTOM - TOP)


def add_picture(
    slide: "Slide", png: bytes, left: float, top: float, width: float, height: float
) -> None:
    """A picture as large as the box allows, its shape kept."""
    from PIL import Image
    from pptx.util import Inches

    with Image.open(io.BytesIO(png)) as image:
        scale = min(width / image.width, height / image.height)
        size = (Inches(image.width * scale), Inches(image.height * scale))
    slide.shapes.add_picture(io.BytesIO(png), Inches(left), Inches(top), *size)


def _experiment_slides(deck: "Presentation", report: Mapping[str, Any]) -> None:
    header, rows = report["overview"]["header"], report["overview"]["rows"]
    narrow = (FULL - 3.0) / (len(header) - 1)
    columns = (Column(3.0, 13, bold=True), *[Column(narrow, 13, right=True)] * (len(header) - 1))
    notes = "Losses in nats per token; the validation loss and perplexity are weighted by tokens."
    add_table_slides(deck, "Experiments: the runs side by side", columns, rows, header, notes)
    rows = [
        (
            f"{run['name']}\n{run['question']}" + (f"\n{report['diverged']}" * run["diverged"]),
            clip(run["command"], 460),
            "\n".join(": ".join(pair) for pair in run["result"]),
            "",
        )
        for run in report["experiments"]
    ]
    columns = (
        Column(2.9, 12, lead=True),
        Column(3.5, 9, mono=True),
        Column(2.7, 10),
        Column(FULL - 9.1, 12),
    )
    header = ("Run and question", "Command", "Result", "Interpretation (yours)")
    commands = "\n\n".join(f"{run['name']}:\n{run['command']}" for run in report["experiments"])
    notes = f"What does each result mean? Write it into the last column.\n\n{commands}"
    add_table_slides(
        deck, "Experiments: question, command, result", columns, rows, header, clip(notes, 20_000)
    )


def _curve_slides(deck: "Presentation", report: Mapping[str, Any]) -> None:
    groups = lab_report.curve_groups(report["curves"])
    if not groups:
        slide = add_slide(deck, "Curves")
        add_text(slide, "No loss was logged.", (LEFT, TOP, FULL, 0.5), 16)
    for group in groups:
        slide = add_slide(
            deck,
            lab_report.curves_finding(group),
            "Right-click a chart and choose Edit data to see the values. The validation loss of "
            "the curve is averaged over batches; the tables weight it by tokens.",
        )
        half = (FULL - 0.3) / 2
        for place, (key, name) in enumerate((("train", "Training"), ("eval", "Validation"))):
            series = [(i, c["name"], c[key]) for i, c in enumerate(group) if c[key]]
            box = (LEFT + place * (half + 0.3), TOP, half, BOTTOM - TOP)
            if series:
                _add_chart(slide, f"{name} loss", series, box)
            else:
                add_text(slide, f"{name} loss: not logged", box, 16)


def _add_chart(
    slide: "Slide", title: str, series: Sequence[tuple[int, str, Sequence[Any]]], box: Any
) -> None:
    from pptx.chart.data import XyChartData
    from pptx.dml.color import RGBColor
    from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION
    from pptx.enum.dml import MSO_LINE
    from pptx.util import Inches, Pt

    data = XyChartData()
    for _, name, points in series:
        one = data.add_series(series_name(name))
        for step, value in points:
            one.add_data_point(step, value)
    few = max(len(points) for _, _, points in series) < 25
    kind = XL_CHART_TYPE.XY_SCATTER_LINES if few else XL_CHART_TYPE.XY_SCATTER_LINES_NO_MARKERS
    chart = slide.shapes.add_chart(kind, *map(Inches, box), data).chart
    chart.font.size = Pt(12)
    chart.has_title = True
    chart.chart_title.text_frame.text = title
    chart.chart_title.text_frame.paragraphs[0].runs[0].font.size = Pt(14)
    chart.has_legend = True
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    chart.category_axis.has_major_gridlines = False
    for axis, text in (
        (chart.category_axis, "optimiser step"),
        (chart.value_axis, "loss (nats per token)"),
    ):
        axis.has_title = True
        axis.axis_title.text_frame.text = text
        axis.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(12)
    grid = chart.value_axis.major_gridlines.format.line
    grid.color.rgb, grid.width = RGBColor.from_string(drawing.PALE[1:]), Pt(0.5)
    chart.category_axis.minimum_scale = 0
    for (place, _, _), line in zip(series, chart.plots[0].series, strict=True):
        color = RGBColor.from_string(COLORS[place % len(COLORS)][1:])
        line.smooth = False
        line.format.line.color.rgb, line.format.line.width = color, Pt(2.25)
        line.format.line.dash_style = getattr(MSO_LINE, DASHES[place % len(DASHES)])
        if few:
            line.marker.format.fill.solid()
            line.marker.format.fill.fore_color.rgb = color
            line.marker.format.line.color.rgb = color


def series_name(name: str) -> str:
    """A run's name for the chart's worksheet, where a leading = would begin a formula."""
    name = clip(" ".join(name.split()), 30)
    return f"run {name}" if name[:1] in "=+-@{" else name


def _question_slides(deck: "Presentation", report: Mapping[str, Any]) -> None:
    questions = report["questions"]
    columns = (replace(LABEL, width=2.0), Column(FULL - 2.0, 14))
    if questions["notes"]:
        slide = add_slide(deck, "Test questions")
        add_text(slide, "\n".join(questions["notes"]), (LEFT, TOP, FULL, 1.5), 16)
    wide = (Column(FULL - 7.6, 15), *[Column(2.2, 15, right=True)] * 2, Column(3.2, 15, right=True))
    for table in questions["tables"]:
        title = f"Scores on {table['title']}"
        notes = (
            "Differences are tuned minus the other, with their 95 % interval, where there is one."
        )
        add_table_slides(deck, title, wide, table["rows"], table["header"], notes)
    for row in questions["rows"]:
        rows = row["parts"]
        title = f"Test question {row['number']}"
        notes = "Where do the answers differ, and is the tuned one right for the right reason?"
        fitted = largest_fitting(columns, rows)
        add_table_slides(deck, title, fitted, rows, notes=notes)


def _closing_slides(deck: "Presentation", report: Mapping[str, Any]) -> None:
    columns = (replace(LABEL, width=4.6), Column(FULL - 4.6, 14))
    rows = [(prompt, "") for prompt in report["reflections"]]
    add_table_slides(deck, "Reflections", columns, rows, least=1.05)
    columns = (replace(LABEL, width=2.0, size=12), Column(FULL - 2.0, 12))
    rows = [tuple(pair) for run in report["reproducibility"] for pair in _named(run)]
    add_table_slides(deck, "Reproducibility", columns, rows)


def _named(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts of a run under its name."""
    return [("Run", run["name"]), *map(tuple, run["facts"])]
