"""`course submit check INBOX`: the quick check of every submission of an inbox, as one table.

Nothing of a submission is run. Each is opened as the grader would open it, so what is refused here
is refused there.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.assignments.checkers import checker_of
from course_utils.assignments.definition import there
from course_utils.assignments.findings import SubmissionReport
from course_utils.assignments.folder import scan, show
from course_utils.assignments.handout import recognise
from course_utils.assignments.submitted import Submitted, read_submitted
from course_utils.errors import CourseError
from course_utils.grading.inbox import Submission, find_submissions, opened
from course_utils.grading.numbers import cell
from course_utils.grading.sheets import read_sheet, write_rows
from course_utils.messages import Explained

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = (
    *("submission", "name", "from", "late", "assignment", "complete"),
    *("missing", "wrong", "warning", "ok", "verdict", "first", "group", "members", "starter"),
)
SHOWN = 3  # findings of a row


@dataclass(frozen=True)
class Row:
    """What the check says of one submission; without a report it could not be opened."""

    submission: Submission
    assignment: str
    report: SubmissionReport | None
    problem: str = ""
    submitted: Submitted = Submitted()  # what its submission.yaml says

    @property
    def ok(self) -> bool:
        return self.report is not None and self.report.ok

    @property
    def verdict(self) -> str:
        return self.report.verdict() if self.report else self.problem

    @property
    def first(self) -> str:
        """The findings that come first, worst first, and the notes of the inbox."""
        worst = self.report.of_state("missing", "wrong") if self.report else []
        worst += self.report.of_state("warning") if self.report else []
        told = [f"{finding.path}: {finding.message}" for finding in worst[:SHOWN]]
        more = [f"and {len(worst) - SHOWN} more"] if worst[SHOWN:] else []
        return "; ".join([*told, *more, *self.submission.notes])

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON: that of the single check, with who it is."""
        about = {"submission": self.submission.slug, "assignment": self.assignment, "ok": self.ok}
        report = self.report.to_dict() if self.report else {"problem": self.problem}
        named = {"group": self.submitted.group, "members": self.submitted.members}
        named["starter"] = self.submitted.starter
        return {**report, **about, **named, "notes": list(self.submission.notes)}

    def cells(self) -> list[str]:
        """The row of the CSV."""
        counts = self.report.counts if self.report else {}
        own = self.submission
        late = {True: "late", False: "in time", None: ""}[own.late]
        texts = [own.slug, own.name, own.lms, late, self.assignment, "yes" if self.ok else "no"]
        numbers = [str(counts.get(state, "")) for state in COLUMNS[6:10]]
        who = self.submitted
        named = [show(who.group), "; ".join(who.names), show(who.starter)]
        told = [cell(self.verdict), cell(self.first, 1000), *map(cell, named)]
        return [*map(cell, texts), *numbers, *told]


def survey(inbox: Path, assignment: str | None = None) -> list[Row]:
    """A row for each submission. Raises CourseError only for no inbox, or no assignments."""
    from tqdm.auto import tqdm

    there()  # else each row would name the kit's fault as its own
    found = find_submissions(inbox)
    with tempfile.TemporaryDirectory(prefix="course-check-") as work:
        rows = tqdm(found, desc="submissions", unit="submission", leave=False)
        return [_row(submission, assignment, Path(work)) for submission in rows]


def _row(submission: Submission, assignment: str | None, work: Path) -> Row:
    try:
        with opened(submission, work) as folder:
            name = assignment or recognise(folder)
            report = checker_of(name).check_submission(folder)
            return Row(submission, name, report, submitted=_submitted(folder))
    except CourseError as error:
        problem = show(error.message.replace(str(work), "").replace(str(submission.path), ""), 300)
        return Row(submission, assignment or "", None, problem.lstrip("/: "))
    except Exception as error:  # a row of its own: the class is checked all the same
        reason = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
        problem = show(f"the check itself failed here: {reason}", 300)
        return Row(submission, assignment or "", None, problem)


def _submitted(folder: Path) -> Submitted:
    try:
        return read_submitted(scan(folder)) or Submitted()
    except Explained:  # the report says what is wrong with it
        return Submitted()


def write_survey(path: Path, rows: Sequence[Row]) -> Path:
    """The rows as CSV. Raises CourseError rather than replace a file that is no such table."""
    if path.exists() and tuple(read_sheet(path).header) != COLUMNS:
        raise CourseError(f"{path}: is there already, and is no such table", "choose another name")
    return write_rows(path, [COLUMNS, *(row.cells() for row in rows)])


def survey_table(rows: Sequence[Row]) -> "Table":
    """For the terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table("submission", "", box=None, pad_edge=False)
    for state in ("missing", "wrong", "warning", "ok"):
        table.add_column(state, justify="right")
    for row in rows:
        style = "green" if row.ok and not row.first else "yellow" if row.ok else "bold red"
        counts = row.report.counts if row.report else {}
        numbers = [str(counts.get(state) or "") for state in ("missing", "wrong", "warning", "ok")]
        verdict = Text(row.verdict, style=style)
        verdict.append(f"\n{row.first}" if row.first else "", style="not bold default")
        who = Text(show(row.submission.name, 60), overflow="fold")
        table.add_row(who, verdict, *numbers)
    return table


def summary(rows: Sequence[Row]) -> str:
    """The last line: how many are complete."""
    complete = sum(row.ok for row in rows)
    noted = sum(row.ok and bool(row.first) for row in rows)
    more = f", {noted} of them with warnings" if noted else ""
    return f"{complete} of {len(rows)} complete{more}"
