"""The same automatic checks at a student's own desk: what it would earn, and what is missing.

    result = practise("my_submission", plan, console)
    console.print(practice_table(result, plan.rubric))

Records that nobody was given stay with the grader, so what is judged on them is not judged here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.assignments.folder import show
from course_utils.assignments.rubric import Rubric
from course_utils.errors import CourseError
from course_utils.grading import publishing
from course_utils.grading.displays import display_for
from course_utils.grading.feedback import write_feedback
from course_utils.grading.inbox import Submission, looks_like_inbox
from course_utils.grading.journal import Journal
from course_utils.grading.judging.judge import check_rubric
from course_utils.grading.names import slug
from course_utils.grading.numbers import points_text
from course_utils.grading.results import Item, Result
from course_utils.grading.secret import keep_out_of_git
from course_utils.grading.single import grade_one, keep
from course_utils.grading.totals import total
from course_utils.grading.workshop import Plan, Workshop

if TYPE_CHECKING:
    from rich.table import Table


def practise(folder: Path, plan: Plan, console: Any) -> tuple[Result, Path]:
    """Judge one's own submission into `plan.grades`: its result and the feedback page.

    Raises CourseError where the folder is none, or holds those of several.
    """
    if not folder.exists():
        raise CourseError(f"{folder}: there is no such folder", "give your submission's folder")
    if looks_like_inbox(folder):
        raise CourseError(
            f"{folder}: no submission, but a folder of them",
            "give one submission, or leave --practice out to grade them all",
        )
    check_rubric(plan.rubric)
    name = folder.resolve().name
    submission = Submission(name, slug(name), folder)
    keep_out_of_git(publishing.claim(plan.grades, plan.assignment))
    with Journal(plan.grades), Workshop(plan) as shop, display_for(console, 1, 0) as display:
        display.start(submission.slug)
        graded = grade_one(submission, shop, lambda item: display.at(submission.slug, item))
        keep(graded, plan.grades)
        display.end(submission.slug, graded.result)
    own = total(graded.result, plan.rubric)
    page = write_feedback(plan.grades, own, plan.rubric, plan.assignment, [graded.result])
    return graded.result, page


def practice_table(result: Result, rubric: Rubric) -> "Table":
    """Each automatic item: its points, what was found, what is missing."""
    from rich.table import Table
    from rich.text import Text

    titles = {item.id: item.title for item in rubric.items}
    table = Table(title=f"{rubric.title}: {result.verdict}", title_justify="left")
    table.add_column("item", max_width=22)
    table.add_column("points", justify="right")
    table.add_column("what was found, and what is missing")
    for item in result.items:
        if item.state == "manual":
            continue
        colour = "green" if item.points == item.max else "yellow" if item.points else "red"
        points = "-" if item.points is None else points_text(item.points)
        table.add_row(
            Text(titles.get(item.id, item.id)),
            Text(f"{points}/{points_text(item.max)}", "" if item.points is None else colour),
            Text(told(item)),
        )
    return table


def told(item: Item) -> str:
    """Evidence and feedback of an item, a line each; of one with all points the first line."""
    lines = []
    for one in item.evidence:
        stated = f" (stated: {one.stated})" if one.stated else ""
        note = f"; {one.note}" if one.note else ""
        lines.append(show(f"{one.label}: {one.found}{stated}{note}"))
    if item.points == item.max:
        return "".join(lines[:1])
    what = "why" if item.points is None else "to do"
    return "\n".join([*lines, *([show(f"{what}: {item.feedback}", 600)] if item.feedback else [])])


def practice_sum(result: Result, rubric: Rubric) -> str:
    """What it would earn, and what nobody looked at."""
    bonuses = {item.id for item in rubric.items if item.part == "bonus"}
    automatic = [item for item in result.items if item.state != "manual"]
    judged = [item for item in automatic if item.points is not None]
    regular = _sum([item for item in judged if item.id not in bonuses])
    own = [item for item in judged if item.id in bonuses]
    bonus = f", and {_sum(own)} bonus points" if own else ""
    by_hand = [i for i in result.items if i.state == "manual" and i.id not in bonuses]
    lines = [
        f"It would earn {regular} points that were judged here{bonus}; "
        f"a person marks up to {points_text(sum(item.max for item in by_hand))} more."
    ]
    titles = {item.id: item.title for item in rubric.items}
    if left := [titles.get(item.id, item.id) for item in automatic if item.points is None]:
        lines.append(f"Not judged here: {', '.join(left)}.")
    return "\n".join(lines)


def _sum(items: Sequence[Item]) -> str:
    """'42 of 55'."""
    earned, most = sum(item.points or 0 for item in items), sum(item.max for item in items)
    return f"{points_text(earned)} of {points_text(most)}"
