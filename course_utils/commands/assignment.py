"""The commands around an assignment: starter, submission, model comparison, review by people.

course assignment start week09_10 my_submission
course submit check my_submission
course compare-models my_submission/data
course review make my_submission
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from course_utils import models
from course_utils.assignments import handout, review, selection
from course_utils.assignments import week05 as lab_submission
from course_utils.assignments import week09_10 as submission
from course_utils.console import console, print_json
from course_utils.errors import UsageError
from course_utils.grading import survey
from course_utils.grading.inbox import looks_like_inbox

if TYPE_CHECKING:
    from types import ModuleType

assignment_app = typer.Typer(no_args_is_help=True, help="Assignments: get the starter.")
submit_app = typer.Typer(no_args_is_help=True, help="Your submission: check it, pack it.")
review_app = typer.Typer(
    no_args_is_help=True, help="Blind A/B review by people: base model against tuned model."
)


def mount(app: typer.Typer) -> None:
    """Add the commands of this module to the `course` command."""
    app.add_typer(assignment_app, name="assignment")
    app.add_typer(submit_app, name="submit")
    app.add_typer(review_app, name="review")
    app.command(
        "compare-models",
        epilog="Example:  course compare-models my_submission/data --records 24 --out comparison",
    )(compare_models)


@assignment_app.command("start", epilog="Example:  course assignment start week09_10 my_submission")
def assignment_start(
    name: Annotated[str, typer.Argument(help="week05 or week09_10.")],
    folder: Annotated[Path, typer.Argument(help="A new folder for your submission.")],
) -> None:
    """Copy the starter of an assignment into a new folder."""
    print(f"Starter: {handout.start(name, folder)}")
    print(f"Read first: {handout.assignment_folder(name) / 'README.md'}")


@assignment_app.command("release", epilog="Example:  course assignment release")
def assignment_release(
    name: Annotated[str, typer.Argument(help="week05 or week09_10.")] = "week09_10",
) -> None:
    """Make the starter anew from the reference solution (needs nbgrader)."""
    folder = handout.assignment_folder(name)
    files = handout.make_starter(folder / "solution", folder / "starter", name)
    print(f"{len(files)} files: {folder / 'starter'}")


AssignmentOption = Annotated[
    str | None,
    typer.Option("--assignment", help="week05 or week09_10. Default: known by the folder's files."),
]


def _checker(folder: Path, assignment: str | None) -> "ModuleType":
    """The module that checks and packs this assignment's submissions."""
    modules = {"week05": lab_submission, "week09_10": submission}
    if assignment is not None:
        handout.assignment_folder(assignment)  # says which names there are
    return modules[assignment or handout.recognise(folder)]


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
        handout.assignment_folder(assignment)  # says which names there are
    rows = survey.survey(inbox, assignment)
    written = survey.write_survey(table or inbox.with_name(f"{inbox.name}.check.csv"), rows)
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
) -> None:
    """Make the archive that you hand in: without base weights, checkpoints and caches."""
    checker = _checker(folder, assignment)
    made = checker.pack_submission(folder, out, force=force, overwrite=overwrite)
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
    print(result["recommendation"]["text"])
    print(f"Comparison: {out / 'model_comparison.md'}")
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
