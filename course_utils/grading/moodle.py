"""Moodle: its own grading worksheet with Grade and Feedback comments filled.

View all submissions > Download grading worksheet gives the file (the assignment's feedback types
must have "Offline grading worksheet"); Upload grading worksheet takes the filled one. It passes
over a grade above the maximum without a word ("Out of range" in Moodle's own
mod/assign/feedback/offline/importgradesform.php), so with bonus points the maximum is written, and
the comment says what was earned.
"""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.assignments.folder import show
from course_utils.grading.exporting import FOLDER, Exported, check_most, ready, twice
from course_utils.grading.finding import wrong
from course_utils.grading.numbers import points_of, points_text
from course_utils.grading.sheets import read_sheet
from course_utils.grading.totals import Line, Total

FILE = "moodle.csv"
NUMBER = re.compile(r"(\d+)\s*$")  # "Participant 123456"


def write_moodle(
    grades: Path, totals: Sequence[Total], template: Path, provisional: bool = False
) -> Exported:
    """Fill the worksheet and write GRADES/exports/moodle.csv. Raises Explained for another file."""
    sheet = read_sheet(template)
    who, grade, feedback = map(sheet.column, ("Identifier", "Grade", "Feedback comments"))
    most, open_ = sheet.column("Maximum Grade"), sheet.column("Grade can be changed")
    if who is None or grade is None:
        raise wrong("export.no_moodle", file=template, names=show(", ".join(sheet.header), 200))
    rows = {}
    for row in sheet.rows[1:]:
        if (found := NUMBER.search(row[who])) and len(row) == len(sheet.header):
            rows[found[1]] = row
    if most is not None and rows:
        check_most(template, points_of(next(iter(rows.values()))[most]), totals)
    comma = sheet.delimiter == ";"  # where Moodle writes ; a comma is decimal
    done = Exported(Path(grades) / FOLDER / FILE)
    doubled = twice(totals, "moodle")
    for own in totals:
        number = own.result.owner.ids.get("moodle", "")
        row = rows.get(number)
        name = own.result.submission
        if why := ready(own, provisional) or doubled.get(name) or _closed(row, number, open_):
            done.left_out[name] = why
            continue
        top = points_of(row[most]) if most is not None else None
        over = top is not None and own.points > top
        text = points_text(top if over else own.points)
        if over:
            earned = points_text(own.points)
            done.changed[name] = f"{text} in place of {earned}: Moodle takes no more"
        row[grade] = text.replace(".", ",") if comma else text
        if feedback is not None:
            row[feedback] = comment(own, over)
        done.written += 1
    sheet.write(done.path)
    return done


def _closed(row: list[str] | None, number: str, open_: int | None) -> str:
    if not number:
        return "it did not come from Moodle: the name in the inbox has no participant's number"
    if row is None:
        return f"no row of Moodle is of participant {number}"
    locked = open_ is not None and row[open_].strip().casefold() == "no"
    return "Moodle says that this grade can't be changed" if locked else ""


def comment(own: Total, over: bool = False) -> str:
    """What each item earned, and what to do, as the HTML that Moodle shows; everything escaped.

    `over`: the grade beside it is Moodle's maximum, and the points are told here.
    """
    earned = f"; {points_text(own.points)} points of {points_text(own.most)}" if over else ""
    lines = "".join(f"<li>{html.escape(_line(line))}</li>" for line in own.lines)
    return f"<p>{html.escape(own.result.verdict)}{earned}</p><ul>{lines}</ul>"


def _line(line: Line) -> str:
    points = "–" if line.points is None else points_text(line.points)
    what = "" if line.full or not line.found else show(line.found.feedback, 300)
    return f"{line.item.title}: {points} / {line.item.points}" + (f" ({what})" if what else "")
