"""`course grade`: a class judged, its marks taken together, changed, and handed to the LMS.

course grade inbox --assignment manufacturing --out grades
course grade my_submission --practice
course grade totals grades
course grade merge grades marks_ada.json marks_bob.json
course grade export grades --canvas gradebook.csv
"""

import os
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from course_utils.assignments.definition import find
from course_utils.assignments.handout import recognise
from course_utils.console import console
from course_utils.errors import Stopped, UsageError
from course_utils.execution.sandbox.limits import GIB
from course_utils.files import beside
from course_utils.grading import practice as practising
from course_utils.grading import publishing
from course_utils.grading.batch import grade_class
from course_utils.grading.canvas import write_canvas
from course_utils.grading.classroom50 import write_classroom50
from course_utils.grading.cluster import Cluster, open_cluster
from course_utils.grading.exporting import Exported
from course_utils.grading.gradescope import write_gradescope
from course_utils.grading.leaderboard import leaderboard
from course_utils.grading.marks import merge
from course_utils.grading.moodle import write_moodle
from course_utils.grading.numbers import points_text
from course_utils.grading.overview import Published
from course_utils.grading.results import results_of
from course_utils.grading.workshop import LIMITS, Plan, level_for
from course_utils.schemas import count_of

BATCH = "batch"  # the command that grades: `course grade SUBMISSIONS` is short for it


class GradeGroup(typer.core.TyperGroup):
    """A first word that is none of the commands is the folder of submissions to grade."""

    unnamed = BATCH

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [self.unnamed, *args]
        return super().parse_args(ctx, args)


grade_app = typer.Typer(
    cls=GradeGroup,
    no_args_is_help=True,
    help="The class: `course grade SUBMISSIONS` judges it (`course grade batch --help`); then "
    "marks of people, totals, exports to the LMS.",
)

GradesArgument = Annotated[Path, typer.Argument(help="The folder of grades.")]
RubricOption = Annotated[
    Path | None, typer.Option(help="A changed rubric.yaml. Default: the assignment's own.")
]
AnonymousOption = Annotated[
    bool, typer.Option("--anonymous", help="Codes for names on the pages about the class.")
]


def mount(app: typer.Typer) -> None:
    """Add the group to the `course` command."""
    app.add_typer(grade_app, name="grade")


@grade_app.command(
    BATCH,
    epilog="Example:  course grade inbox --assignment manufacturing --out grades --jobs 2",
)
def grade_batch(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="The folder of all submissions: folders, archives, or as the LMS hands them out."
        ),
    ],
    assignment: Annotated[
        str | None,
        typer.Option(
            help="A name of `course assignment list`. With --practice: known by its files."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of grades. Default: SUBMISSIONS.grades, beside it."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at a time.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: what is finished and unchanged stays.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only submissions whose folder begins so; repeatable."),
    ] = None,
    practice: Annotated[
        bool, typer.Option("--practice", help="Your own submission, at home: what it would earn.")
    ] = False,
    sandbox: Annotated[
        str, typer.Option(help="auto (the strongest that works), bwrap, landlock, limits or none.")
    ] = "auto",
    warm: Annotated[
        bool, typer.Option("--warm/--no-warm", help="Fork processes from one that imported all.")
    ] = True,
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Minutes for each run of a submission.")
    ] = (LIMITS.wall or 0) / 60,
    cell_limit: Annotated[
        float | None, typer.Option(min=0.05, help="Minutes for a cell of its notebook.")
    ] = None,
    memory: Annotated[float, typer.Option(min=0.5, help="GiB for a submission.")] = (
        LIMITS.memory or 0
    )
    / GIB,
    cluster: Annotated[
        str | None,
        typer.Option(help="Several machines: local:2, slurm:8, tls://HOST:PORT; docs/cluster.md."),
    ] = None,
    hidden: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Your own hidden records, where assignment.yaml says hidden: own."
        ),
    ] = None,
    rubric: RubricOption = None,
    anonymous: AnonymousOption = False,
) -> None:
    """Judge a class in a sandbox: every item that a computer scores, a verdict for each submission.

    SUBMISSIONS holds a folder or an archive for each student. Grades, evidence and feedback go to
    --out; marking.html there is for the items that people mark. A second run computes only what
    changed, also with another --rubric, and shows old and new totals; --resume goes on after an
    interruption. Students judge their own work at home with --practice.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of what is built on the way
    out = out or beside(submissions, ".grades")
    if practice:
        name = assignment or recognise(submissions)
    elif assignment:
        name = assignment
    else:
        raise UsageError(
            "--assignment is missing",
            "for example --assignment manufacturing; `course assignment list` has all names",
        )
    name = find(name).id
    if hidden and (practice or find(name).hidden != "own"):
        raise UsageError(
            f"--hidden {hidden}: the hidden records of {name} are the kit's, and none in practice",
            f"write `hidden: own` into {find(name).path / 'assignment.yaml'}, or leave it out",
        )
    screen = console()
    tried = level_for(sandbox, practice)
    screen.print(f"sandbox {tried.line()}", markup=False, highlight=False, soft_wrap=True)
    limits = LIMITS.with_changes(
        wall=time_limit * 60,
        cell=cell_limit * 60 if cell_limit else None,
        memory=int(memory * GIB),
    )
    used = publishing.rubric_of(name, rubric)
    plan = Plan(out, name, used, tried.level, jobs, warm, practice=practice, limits=limits)
    if practice:
        result, page = practising.practise(submissions, plan, screen)
        screen.print(practising.practice_table(result, used))
        print(practising.practice_sum(result, used))
        print(f"Feedback: {page}")
        return
    try:
        with _cluster(cluster) as workers:
            outcome = grade_class(submissions, plan, screen, resume, only or (), workers, hidden)
    except KeyboardInterrupt:
        told = f"What is finished is in {out}. Go on: the same command and --resume."
        raise Stopped(told) from None
    if outcome.before:
        print(f"{outcome.before} were graded before, {len(outcome.results)} now.")
    _tell(out, publishing.publish(out, rubric, anonymous=anonymous))


def _cluster(address: str | None) -> AbstractContextManager[Cluster | None]:
    return open_cluster(address) if address else nullcontext()


@grade_app.command("totals", epilog="Example:  course grade totals grades")
def grade_totals(
    grades: GradesArgument,
    rubric: RubricOption = None,
    anonymous: AnonymousOption = False,
    marking: Annotated[
        list[str] | None,
        typer.Option(help="Only this item on the marking page; repeatable."),
    ] = None,
) -> None:
    """Make gradebook and pages anew from results, marks, overrides and rubric; nothing is run."""
    _tell(grades, publishing.publish(grades, rubric, anonymous=anonymous, marking=marking or ()))


@grade_app.command("merge", epilog="Example:  course grade merge grades marks_ada.json")
def grade_merge(
    grades: GradesArgument,
    files: Annotated[list[Path], typer.Argument(help="What the markers saved from the page.")],
    rubric: RubricOption = None,
) -> None:
    """Take the marks of several people together; two marks for one item are shown, not averaged."""
    results = results_of(grades)
    submissions = [result.submission for result in results]
    used = publishing.rubric_of(results[0].assignment, rubric)
    publishing.claim(grades, results[0].assignment)
    for path in merge(grades, files, used, submissions):
        print(f"Marks: {path}")
    class_ = publishing.publish(grades, rubric)
    for own, line in class_.disagreements:
        told = ", ".join(f"{who} {points_text(mark.points)}" for who, mark in line.marks.items())
        where = f"{own.result.submission}, {line.item.id}"
        print(f"Disagreement: {where}: {told}; decide in {grades / 'overrides.csv'}")
    _tell(grades, class_)


def _tell(grades: Path, class_: Published) -> None:
    """Old and new totals, what waits, and where the pages are."""
    from rich.table import Table

    if class_.changes:
        table = Table("submission", title="Changed totals", title_justify="left", box=None)
        table.add_column("old", justify="right")
        table.add_column("new", justify="right")
        for change in class_.changes:
            table.add_row(
                change.submission, points_text(change.before) or "-", points_text(change.now) or "-"
            )
        console().print(table)
    waiting = [own for own in class_.totals if own.waiting]
    items = sum(len(own.waiting) for own in waiting)
    ends = Counter(own.result.status for own in class_.totals)
    told = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
    print(f"{len(class_.totals)} submissions: {told}")
    wait = "1 waits" if len(waiting) == 1 else f"{len(waiting)} wait"
    what = f"{wait} for a person, who marks {count_of(items, 'item')}"
    print(f"{what if waiting else 'None waits for a person'}: {grades / 'marking.html'}")
    found = count_of(len(class_.suspicions), "thing")
    print(f"Integrity: {found} to look at: {grades / 'integrity.html'}")
    print(f"Overview: {grades / 'overview.html'}")
    print(f"Gradebook: {grades / 'gradebook.csv'}")


@grade_app.command(
    "export", epilog="Example:  course grade export grades --canvas gradebook.csv --column 'Week 5'"
)
def grade_export(
    grades: GradesArgument,
    canvas: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Canvas' own exported gradebook, to fill.")
    ] = None,
    moodle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Moodle's own grading worksheet, to fill.")
    ] = None,
    gradescope: Annotated[
        bool, typer.Option("--gradescope", help="A results.json for each submission.")
    ] = False,
    classroom50: Annotated[
        bool, typer.Option("--classroom50", help="A result.json for each release.")
    ] = False,
    column: Annotated[
        str | None, typer.Option(help="Canvas: the beginning of the assignment's name.")
    ] = None,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="Also totals in which items are still open.")
    ] = False,
    rubric: RubricOption = None,
) -> None:
    """Fill the LMS's own file, or write what it reads; no column is added."""
    if not (canvas or moodle or gradescope or classroom50):
        raise UsageError("no export was chosen", "--canvas, --moodle, --gradescope, --classroom50")
    if column and not canvas:
        raise UsageError("--column is of --canvas", "leave it out")
    totals = publishing.totals_to_export(grades, rubric)
    done: list[Exported] = []
    if canvas:
        done.append(write_canvas(grades, totals, canvas, column, provisional))
    if moodle:
        done.append(write_moodle(grades, totals, moodle, provisional))
    if gradescope:
        done.append(write_gradescope(grades, totals, provisional))
    if classroom50:
        done.append(write_classroom50(grades, totals, provisional))
    for export in done:
        print("\n".join(export.lines()))


@grade_app.command("leaderboard", epilog="Example:  course grade leaderboard grades")
def grade_leaderboard(grades: GradesArgument) -> None:
    """Scores on hidden records, of those who chose to be on it, with the cheap rivals."""
    from rich.table import Table
    from rich.text import Text

    results = results_of(grades)
    tasks, rows = leaderboard(results)
    table = Table("", "name", *tasks, "mean", "compute", box=None)
    for row in rows:
        scores = [f"{row.scores[t]:.3f}" if t in row.scores else "-" for t in tasks]
        mean = "-" if row.mean is None else f"{row.mean:.3f}"
        compute = "cheap method"
        if row.entry:
            minutes = "" if row.entry.minutes is None else f"{row.entry.minutes:.3g} min"
            tokens = "" if row.entry.tokens is None else f"{row.entry.tokens:,} tokens"
            compute = ", ".join(filter(None, (row.entry.preset, minutes, tokens)))
        table.add_row(str(row.place or ""), Text(row.name), *scores, mean, Text(compute))
    console().print(table)
    rubric = publishing.rubric_of(results[0].assignment)
    publishing.claim(grades, results[0].assignment)
    page = publishing.write_leaderboard(grades, results, rubric)
    print(f"Leaderboard: {page}" if page else "Nobody chose to be on it.")
