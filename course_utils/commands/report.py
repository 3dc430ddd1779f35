"""The command that writes runs up.

course report my_lab --format pdf --group "Ada, Bo and Cy"
course report runs/r8 runs/r16 runs/r32 --format pptx --out ranks.pptx
"""

from pathlib import Path
from typing import Annotated

import typer

from course_utils.reports import write


def mount(app: typer.Typer) -> None:
    """Add `course report` to the `course` command."""
    app.command(
        "report",
        epilog="Examples:\n\ncourse report my_lab --format pdf --group 'Ada, Bo and Cy'"
        "\n\ncourse report runs/r8 runs/r16 runs/r32 --format pptx",
    )(report)


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders in which training.json lies.")
    ],
    form: Annotated[str, typer.Option("--format", help="pdf, pptx, html or md.")] = "pdf",
    out: Annotated[
        Path | None, typer.Option(help="The file. Default: report.FORMAT in the first RUN.")
    ] = None,
    group: Annotated[str, typer.Option(help="Your names, for the title page.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what you may have written or made.")
    ] = False,
) -> None:
    """Write runs up: parameters, experiments, curves, test questions, room for your thoughts."""
    if form not in write.FORMATS:
        known = ", ".join(write.FORMATS)
        raise typer.BadParameter(f"{form!r} is not one of: {known}", param_hint="--format")
    print(f"Report: {write.write_report(runs, form, out, group, overwrite)}")
