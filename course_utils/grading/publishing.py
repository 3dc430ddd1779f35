"""All that people read of a class, made from what is stored: results, marks, overrides, rubric.

    class_ = publish("grades")              # gradebook, feedback, overview, marking, integrity

Nothing is run. It is called at the end of a batch, after marks were merged, and by `course grade
totals` when overrides.csv or the rubric has changed: a changed rubric prices the stored points
anew, and old and new totals are compared with the gradebook that was there.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from course_utils import ownership
from course_utils.assignments.definition import find
from course_utils.assignments.folder import listed
from course_utils.assignments.rubric import Rubric, load_rubric
from course_utils.errors import CourseError
from course_utils.grading import pages
from course_utils.grading.feedback import write_feedback
from course_utils.grading.finding import say
from course_utils.grading.gradebook import read_totals, write_gradebook
from course_utils.grading.integrity import TITLES, suspicions
from course_utils.grading.leaderboard import leaderboard
from course_utils.grading.marking import FILE as MARKING
from course_utils.grading.marking import manual_items, write_marking
from course_utils.grading.marks import read_codes, read_marks
from course_utils.grading.numbers import points_text
from course_utils.grading.overrides import FILE as OVERRIDES
from course_utils.grading.overrides import make_template, read_overrides
from course_utils.grading.overview import Published, write_overview
from course_utils.grading.results import Result, results_of
from course_utils.grading.totals import Total, changes, total
from course_utils.messages import Said
from course_utils.schemas import count_of

INTEGRITY, LEADERBOARD = "integrity.html", "leaderboard.html"


def claim(grades: Path | str, assignment: str) -> Path:
    """Make a folder of grades ours. Raises CourseError when it is somebody else's."""
    return find(assignment).claim(Path(grades), "grades")


def rubric_of(assignment: str, path: Path | None = None) -> Rubric:
    """The rubric of an assignment, or the one in `path`, which must be of it."""
    about = find(assignment)
    rubric = load_rubric(path or about.path / "rubric.yaml")
    if rubric.assignment != about.folder:
        raise CourseError(
            f"{path}: the rubric of {rubric.assignment}, not of {assignment}",
            f"give a rubric that begins with assignment: {about.folder}",
        )
    return rubric.model_copy(update={"title": about.title})


def totals_of(grades: Path | str, rubric_path: Path | None = None) -> tuple[list[Total], Rubric]:
    """The totals as they stand now, and the rubric they were priced by."""
    results = results_of(grades)
    return _totals(Path(grades), results, rubric_of(results[0].assignment, rubric_path))


def totals_to_export(grades: Path | str, rubric_path: Path | None = None) -> list[Total]:
    """The totals for the LMS. Raises CourseError where gradebook and feedback have others: they
    were made with another rubric, or before a line in overrides.csv.
    """
    totals, _ = totals_of(grades, rubric_path)
    if other := changes(read_totals(Path(grades)), totals):
        first, many = other[0], count_of(len(other), "submission")
        raise CourseError(
            f"{grades}: gradebook and feedback have other totals, of {many} "
            f"({first.submission}: {points_text(first.before)}, now {points_text(first.now)})",
            "make them anew with course grade totals, and give export the same --rubric",
        )
    return totals


def _totals(grades: Path, results: Sequence[Result], rubric: Rubric) -> tuple[list[Total], Rubric]:
    submissions = [result.submission for result in results]
    overrides = read_overrides(grades / OVERRIDES, submissions, rubric)
    given = read_marks(grades, submissions, rubric)
    found = [total(r, rubric, given.get(r.submission, {}), overrides) for r in results]
    return found, rubric


def publish(
    grades: Path | str,
    rubric_path: Path | None = None,
    *,
    anonymous: bool = False,
    marking: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> Published:
    """Write every page and the gradebook. `marking`: these items only on the marking page.

    Everything that people wrote is read before anything is written, so a bad line changes nothing.
    `tell` gets a line for what a person should know. Raises CourseError that names the file and the
    line.
    """
    grades = Path(grades)
    results = results_of(grades)
    assignment = results[0].assignment
    rubric = rubric_of(assignment, rubric_path)
    manual_items(rubric, marking)
    claim(grades, assignment)
    totals, rubric = _totals(grades, results, rubric)
    codes = read_codes(grades, [result.submission for result in results])
    names = codes.known if anonymous else {r.submission: r.owner.name for r in results}
    before = _totals_before(grades, tell)
    class_ = Published(totals, rubric, names, suspicions(results), changes(before, totals))
    for own in totals:
        write_feedback(grades, own, rubric, assignment, results)
    marked_on = write_marking(grades, results, rubric, codes, marking)
    write_integrity(grades, class_)
    write_leaderboard(grades, results, rubric)
    write_overview(grades, class_)
    make_template(grades / OVERRIDES)
    write_gradebook(grades, totals, rubric)
    if len(marked_on) > 1:
        _tell(tell, say("marks.pages", count=len(marked_on), path=grades / MARKING))
    again = [f"{own.result.submission} ({', '.join(own.earlier)})" for own in totals if own.earlier]
    if again:
        _tell(tell, say("marks.earlier", items=listed(again, 10)))
    return class_


def _totals_before(grades: Path, tell: Callable[[str], None]) -> dict[str, float | None]:
    """What the gradebook that is there says; one that can't be read stops nothing."""
    try:
        return read_totals(grades)
    except CourseError as problem:
        _tell(tell, say("gradebook.unread", problem=problem.message))
        return {}


def _tell(tell: Callable[[str], None], said: Said) -> None:
    tell(f"{said.found}; {said.cure}")


def write_integrity(grades: Path, class_: Published) -> Path:
    """integrity.html."""
    groups = [(kind, list(own)) for kind, own in groupby(class_.suspicions, lambda s: s.kind)]
    count = len(class_.totals)
    view = {"groups": groups, "titles": TITLES, "names": class_.names, "rubric": class_.rubric}
    return pages.write_page(grades / INTEGRITY, "integrity", count=count, **view)


def write_leaderboard(grades: Path, results: Sequence[Result], rubric: Rubric) -> Path | None:
    """leaderboard.html; None where nobody chose to be on it, and an old page goes."""
    tasks, rows = leaderboard(results)
    path = grades / LEADERBOARD
    if not rows:
        if path.is_file() and ownership.is_ours(path):
            path.unlink()
        return None
    return pages.write_page(path, "leaderboard", title=rubric.title, tasks=tasks, rows=rows)
