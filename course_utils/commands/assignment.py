"""The commands around an assignment: starter, submission, model comparison, review by people.

course assignment start manufacturing my_submission
course assignment release manufacturing
course submit check my_submission
course compare-models my_submission/data
course review make my_submission
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from course_utils import models
from course_utils.assignments import edition, handout, release, review, selection, tables
from course_utils.assignments.checkers import checker_of
from course_utils.assignments.definition import find, there
from course_utils.console import console, print_json
from course_utils.errors import UsageError
from course_utils.files import beside
from course_utils.grading import survey
from course_utils.grading.inbox import looks_like_inbox
from course_utils.reports import paper

if TYPE_CHECKING:
    from types import ModuleType

assignment_app = typer.Typer(
    no_args_is_help=True, help="Assignments: get the starter; for instructors: release, export."
)
rubric_app = typer.Typer(no_args_is_help=True, help="Rubrics, and what the hand-outs say of them.")
submit_app = typer.Typer(no_args_is_help=True, help="Your submission: check it, pack it.")
review_app = typer.Typer(
    no_args_is_help=True, help="Blind A/B review by people: base model against tuned model."
)


def mount(app: typer.Typer) -> None:
    """Add the commands of this module to the `course` command."""
    app.add_typer(assignment_app, name="assignment")
    app.add_typer(rubric_app, name="rubric")
    app.add_typer(submit_app, name="submit")
    app.add_typer(review_app, name="review")
    app.command(
        "compare-models",
        epilog="Example:  course compare-models my_submission/data --records 24 --out comparison",
    )(compare_models)


NAMES = "An assignment: its id or an old name, as `course assignment list` shows them."
Name = Annotated[str, typer.Argument(help=NAMES)]


@assignment_app.command("list", epilog="Example:  course assignment list")
def assignment_list() -> None:
    """The assignments: id, old names, title, who hands in together."""
    from rich.table import Table

    table = Table("id", "old names", "title", "handed in by", box=None, pad_edge=False)
    for own in there().values():
        table.add_row(own.id, ", ".join(own.aliases), own.title, str(own.group))
    console().print(table)


@assignment_app.command(
    "start", epilog="Example:  course assignment start manufacturing my_submission"
)
def assignment_start(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A new folder for your submission.")],
) -> None:
    """Copy the starter of an assignment into a new folder."""
    print(f"Starter: {handout.start(name, folder)}")
    print(f"Read first: {find(name).path / 'README.md'}")


@assignment_app.command("release", epilog="Example:  course assignment release manufacturing")
def assignment_release(name: Name) -> None:
    """Make the starter anew from the reference solution (needs nbgrader).

    Nothing is written when a marker, a region or a file is not as assignment.yaml lists it, or when
    a line of the solution would be left in the starter: all problems are told, each with its cure.
    """
    files = release.release(name)
    print(f"{len(files)} files: {find(name).path / 'starter'}")


@assignment_app.command("export", epilog="Example:  course assignment export student_edition")
def assignment_export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or an edition to replace.")],
) -> None:
    """Make the student edition: the kit without solutions, tests and history.

    It is searched for every line of a solution before anything is written.
    """
    made = edition.export(folder)
    print(f"left out: {', '.join(made.left_out)}")
    if made.unlisted:
        where = "course_utils/assignments/edition.yaml"
        print(f"left out, since {where} does not list it: {', '.join(made.unlisted)}")
    print(f"Student edition: {folder} ({len(made.files)} files)")


@assignment_app.command(
    "print", epilog="Example:  course assignment print manufacturing --paper letter"
)
def assignment_print(
    name: Name,
    sheet: Annotated[
        str, typer.Option("--paper", help=f"The paper: {' or '.join(paper.PAPERS)}.")
    ] = "a4",
    out: Annotated[
        Path | None, typer.Option(help="The file. Default: NAME_PAPER.pdf in this folder.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that this kit did not make.")
    ] = False,
) -> None:
    """Set the hand-out as PDF, to print it (needs requirements-report.txt)."""
    print(f"Hand-out: {paper.write_handout(name, sheet, out, overwrite)}")


@rubric_app.command("check", epilog="Example:  course rubric check --write")
def rubric_check(
    name: Annotated[str | None, typer.Argument(help=f"{NAMES} Default: all.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the tables between the marks anew.")
    ] = False,
) -> None:
    """Do the points add up, and do the hand-outs say the same? Exit code 1 where they do not."""
    if name is not None:
        find(name)  # says which names there are
    pages = tables.pages(name)
    if write:
        changed = tables.write(pages)
        print("\n".join(f"written: {path}" for path in changed) or "nothing to write")
        return
    problems = [problem for page in pages for problem in page.differs()]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        print("Cure: course rubric check --write", file=sys.stderr)
        sys.exit(1)
    print(f"the rubrics add up, and {len(pages)} pages say the same")


AssignmentOption = Annotated[
    str | None,
    typer.Option("--assignment", help=f"{NAMES} Default: known by the folder's files."),
]


def _checker(folder: Path, assignment: str | None) -> "ModuleType":
    """The module that checks and packs this assignment's submissions."""
    return checker_of(assignment or handout.recognise(folder))


@submit_app.command("check", epilog="Example:  course submit check my_submission")
def submit_check(
    folder: Annotated[
        Path, typer.Argument(help="The submission folder; or an inbox of folders and archives.")
    ],
    assignment: AssignmentOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Of an inbox: the table as CSV.")
    ] = None,
) -> None:
    """Walk the checklist and say what is missing or wrong; nothing of it is run."""
    if looks_like_inbox(folder):
        _check_inbox(folder, assignment, as_json, table)
    if table is not None:
        raise UsageError("--csv is of an inbox", "give the folder that holds the submissions")
    report = _checker(folder, assignment).check_submission(folder)
    if as_json:
        print_json(report.to_dict())
    else:
        console().print(report.render())
    sys.exit(0 if report.ok else 1)


def _check_inbox(
    inbox: Path, assignment: str | None, as_json: bool, table: Path | None
) -> NoReturn:
    """A row for each submission; exit code 1 when one of them is not complete."""
    if assignment is not None:
        assignment = find(assignment).id
    rows = survey.survey(inbox, assignment)
    written = survey.write_survey(table or beside(inbox, ".check.csv"), rows)
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        console().print(survey.survey_table(rows))
        print(survey.summary(rows))
        print(f"Table: {written}")
    sys.exit(0 if all(row.ok for row in rows) else 1)


@submit_app.command("pack", epilog="Example:  course submit pack my_submission")
def submit_pack(
    folder: Annotated[Path, typer.Argument(help="The submission folder.")],
    out: Annotated[
        Path | None, typer.Option(help="The archive. Default: FOLDER.zip beside the folder.")
    ] = None,
    assignment: AssignmentOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Pack although the check finds something.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier archive of this command.")
    ] = False,
    public: Annotated[
        bool,
        typer.Option(
            "--public", help="To publish, not to hand in: without files that quote work orders."
        ),
    ] = False,
) -> None:
    """Make the archive that you hand in: without base weights, checkpoints and caches."""
    checker = _checker(folder, assignment)
    made = checker.pack_submission(folder, out, force=force, overwrite=overwrite, public=public)
    print(f"Archive: {made}")


def compare_models(
    data: Annotated[
        Path, typer.Argument(help="Folder with train.jsonl and test.jsonl, or one file.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A name of `course model list`, or a folder; repeatable. Default: offline ones.",
        ),
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", help="fp32, bf16 or nf4; repeatable.")
    ] = None,
    records: Annotated[int, typer.Option(help="Test records to ask.", min=1)] = 40,
    out: Annotated[Path, typer.Option(help="Folder for table, figure and JSON.")] = Path(
        "runs/model-comparison"
    ),
    few_shot_examples: Annotated[int, typer.Option(help="Solved examples.", min=1)] = 3,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens an answer may take.", min=1)] = 128,
    batch_size: Annotated[int, typer.Option(help="Prompts at once.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="Chooses records and examples.")] = 42,
    timeout_minutes: Annotated[float, typer.Option(help="Of one candidate.", min=0.1)] = 60,
) -> None:
    """Ask several base models the same: memory, speed, licence, scores, bits per byte."""
    result = selection.run_comparison(
        data,
        model or models.offline_models(),
        precision or list(selection.PRECISIONS),
        records,
        out,
        seed,
        few_shot_examples=few_shot_examples,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        timeout_minutes=timeout_minutes,
    )
    console().print(selection.comparison_table(result))
    print(f"Comparison: {result['page']}")
    if not any(row["status"] == "done" for row in result["rows"]):
        sys.exit(1)


@review_app.command("make", epilog="Example:  course review make my_submission --count 30")
def review_make(
    run: Annotated[Path, typer.Argument(help="Submission or run folder with evaluation.json.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the review. Default: RUN/review.")
    ] = None,
    count: Annotated[
        int, typer.Option(help="Pairs of answers, evenly from the tasks.", min=1)
    ] = 30,
    seed: Annotated[
        int | None, typer.Option(help="Which pairs, which side. Default: drawn, kept in the key.")
    ] = None,
) -> None:
    """Write a page that an expert without Python opens, fills in and sends back."""
    import secrets

    folder = out or run / "review"
    made = review.review_make(run, folder, count, secrets.randbits(32) if seed is None else seed)
    print(f"{len(made.items)} pairs of answers")
    print(f"Send this to the reviewers: {folder / 'review.html'}")
    print(f"Keep this to yourself until they are done: {folder / 'review_key.json'}")


@review_app.command(
    "import", epilog="Example:  course review import my_submission/review answers_*.json"
)
def review_import(
    folder: Annotated[Path, typer.Argument(help="The folder that `course review make` wrote.")],
    files: Annotated[list[Path], typer.Argument(help="What the reviewers sent back.")],
) -> None:
    """Win rate with its interval, and how far the reviewers agree (Cohen's kappa)."""
    summary = review.review_import(folder, files)
    console().print(review.summary_table(summary))
    print(review.finding(summary))
    print(f"Review: {folder / 'human_review.md'}")
