"""gradebook.csv: one row a submission, one column an item; no cell that a spreadsheet would run."""

from collections.abc import Sequence
from pathlib import Path

from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.grading.numbers import cell, points_of, points_text
from course_utils.grading.sheets import read_sheet, write_rows
from course_utils.grading.totals import Total

FILE = "gradebook.csv"
BEFORE = ("submission", "name", "status", "verdict", "late")
AFTER = ("points", "bonus", "total", "waiting", "not_judged", "warnings", "seconds")


def write_gradebook(grades: Path, totals: Sequence[Total], rubric: Rubric) -> Path:
    """The same bytes for the same totals. Items without points yet are empty, not 0."""
    header = [*BEFORE, *(item.id for item in rubric.items), *AFTER]
    rows = [_row(own) for own in sorted(totals, key=lambda own: own.result.submission)]
    return write_rows(Path(grades) / FILE, [header, *rows])


def _row(own: Total) -> list[str]:
    result = own.result
    gradable = own.points is not None
    late = {True: "late", False: "in time", None: ""}[result.owner.late]
    before = [result.submission, result.owner.name, result.status, result.verdict, late]
    sums = (own.regular, own.bonus, own.points) if gradable else (None, None, None)
    notes = [" ".join(own.waiting), " ".join(own.not_judged), "; ".join(result.warnings)]
    return [
        *map(cell, before),
        *(points_text(line.points) for line in own.lines),
        *map(points_text, sums),
        *map(cell, notes),
        f"{result.seconds:.1f}",
    ]


def read_totals(grades: Path) -> dict[str, float | None]:
    """Submission -> total as the gradebook has it; {} where there is none.

    A spreadsheet may have saved it in a code page: both columns are ASCII and read the same in all.
    Raises CourseError for what can't be read.
    """
    path, cure = Path(grades) / FILE, "make it anew with course grade totals"
    if not path.exists():
        return {}
    try:
        sheet = read_sheet(path, code_page="latin-1")
    except CourseError as problem:
        raise CourseError(problem.message, cure) from None
    name, total = sheet.column("submission"), sheet.column("total")
    if name is None or total is None:
        raise CourseError(f"{path}: no columns submission and total", cure)
    return {row[name]: points_of(row[total]) for row in sheet.rows[1:] if len(row) > total}
