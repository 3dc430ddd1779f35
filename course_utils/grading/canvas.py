"""Canvas: its own exported gradebook with one column filled, and no column added.

Gradebook > Export in Canvas gives the file; Gradebook > Import takes the filled one. A column that
Canvas does not know would become a new assignment, so none is ever added.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from course_utils.assignments.folder import show
from course_utils.grading.exporting import FOLDER, Exported, check_most, ready, twice
from course_utils.grading.finding import wrong
from course_utils.grading.numbers import points_of, points_text
from course_utils.grading.sheets import Sheet, read_sheet
from course_utils.grading.totals import Total

FILE = "canvas.csv"
ASSIGNMENT = re.compile(r".+ \(\d+\)")  # "Week 5: the parameter lab (12345)"


def write_canvas(
    grades: Path,
    totals: Sequence[Total],
    template: Path,
    column: str | None = None,
    provisional: bool = False,
) -> Exported:
    """Fill the column and write GRADES/exports/canvas.csv. Raises Explained for another file."""
    sheet = read_sheet(template)
    number = sheet.column("ID")
    if number is None or sheet.column("Student") is None:
        raise wrong("export.no_canvas", file=template, names=show(", ".join(sheet.header), 200))
    at = _column(sheet, column)
    most = next((row[at] for row in sheet.rows[1:] if _is_points(row) and len(row) > at), "")
    check_most(template, points_of(most), totals)
    comma = "," in most
    rows = {row[number].strip(): row for row in sheet.rows[1:] if len(row) > max(number, at)}
    done = Exported(Path(grades) / FOLDER / FILE)
    doubled = twice(totals, "canvas")
    for own in totals:
        user = own.result.owner.ids.get("canvas", "")
        if why := ready(own, provisional) or doubled.get(own.result.submission):
            done.left_out[own.result.submission] = why
        elif not user or user not in rows:
            done.left_out[own.result.submission] = _unknown(user)
        else:
            text = points_text(own.points)
            rows[user][at] = text.replace(".", ",") if comma else text
            done.written += 1
    sheet.write(done.path)
    return done


def _column(sheet: Sheet, wanted: str | None) -> int:
    """The assignment's column: the one that was named, or the only one there is."""
    known = [n for n, name in enumerate(sheet.header) if ASSIGNMENT.fullmatch(name.strip())]
    if wanted:
        plain = wanted.strip().casefold()
        known = [n for n in known if sheet.header[n].strip().casefold().startswith(plain)]
    if len(known) != 1:
        names = "; ".join(name for name in sheet.header if ASSIGNMENT.fullmatch(name.strip()))
        case = "none" if not known else "several"
        raise wrong("export.column", case, file=sheet.path, names=show(names, 300))
    return known[0]


def _is_points(row: Sequence[str]) -> bool:
    return row[0].strip().casefold() == "points possible"


def _unknown(user: str) -> str:
    if not user:
        return "it did not come from Canvas: the name in the inbox has no ID of its"
    return f"no row of Canvas has the ID {user}"
