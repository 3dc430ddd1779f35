"""overrides.csv: points that a person changes, each with a reason.

    submission,item,points,reason,who
    jane-doe,training_runs,4,"the script was given a path of another machine",A. Lovelace

A line that can't be read changes nothing at all: every bad line is named with its cure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from course_utils.assignments.folder import show
from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.grading.finding import say
from course_utils.grading.numbers import points_of, points_text
from course_utils.grading.sheets import Sheet, read_sheet, write_rows
from course_utils.messages import Said

FILE = "overrides.csv"
COLUMNS = ("submission", "item", "points", "reason", "who")
SHOWN = 10  # bad lines that are named


@dataclass(frozen=True)
class Override:
    """One line."""

    submission: str
    item: str
    points: float
    reason: str
    who: str


Overrides = dict[tuple[str, str], Override]  # (submission, item) -> the change


def read_overrides(path: Path, submissions: Collection[str], rubric: Rubric) -> Overrides:
    """The changes of a file; {} where there is none. Raises CourseError with each bad line."""
    if not Path(path).exists():
        return {}
    sheet = read_sheet(path)
    columns = [sheet.column(name) for name in COLUMNS]
    if None in columns:
        lacking = say("overrides.columns", names=", ".join(COLUMNS))
        raise CourseError(f"{path}:{sheet.lines[0]}: {lacking.found}", lacking.cure)
    found: Overrides = {}
    bad: list[tuple[int, Said]] = []
    for line, cells in zip(sheet.lines[1:], _cells(sheet, columns), strict=True):
        read = _read(cells, submissions, rubric, found)
        if isinstance(read, Said):
            bad.append((line, read))
        else:
            found[read.submission, read.item] = read
    if bad:
        lines = [f"line {line}: {said.found} ({said.cure})" for line, said in bad[:SHOWN]]
        more = f"; and {len(bad) - SHOWN} more" if bad[SHOWN:] else ""
        unread = say("overrides.unread", count=len(bad))
        raise CourseError(f"{path}: {'; '.join(lines)}{more}", unread.cure)
    return found


def _cells(sheet: Sheet, columns: list[int | None]) -> list[list[str]]:
    return [
        [row[at].strip() if at is not None and at < len(row) else "" for at in columns]
        for row in sheet.rows[1:]
    ]


def _read(
    cells: list[str], submissions: Collection[str], rubric: Rubric, found: Overrides
) -> Override | Said:
    """The change, or what is wrong with its line."""
    submission, item, points, reason, who = cells
    most = {known.id: known.points for known in rubric.items}
    value = points_of(points)
    if submission not in submissions:
        return say("overrides.no_submission", name=show(submission, 60) or "(empty)")
    if item not in most:
        return say("overrides.no_item", name=show(item, 60) or "(empty)", known=", ".join(most))
    if value is None or not 0 <= value <= most[item]:
        most_text = points_text(most[item])
        return say("overrides.points", points=show(points, 30) or "(empty)", most=most_text)
    if not reason or not who:
        return say("overrides.no_reason", name="reason" if not reason else "who")
    if (submission, item) in found:
        return say("overrides.twice", name=show(submission, 60), item=item)
    return Override(submission, item, value, show(reason, 500), show(who, 60))


def make_template(path: Path) -> Path:
    """An empty overrides.csv to write into; one that exists is left alone."""
    return path if Path(path).exists() else write_rows(path, [COLUMNS])
