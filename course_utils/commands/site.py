"""`course site`: the course as static pages, from a run's executed notebooks.

course site runs/manufacturing-quick --out runs/site      # make site
"""

from pathlib import Path
from typing import Annotated

import typer

from course_utils.commands.lab import lab_notebook
from course_utils.lab.page import execute
from course_utils.reports import site as pages
from course_utils.runs import find_root


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    app.command("site", epilog="Example:  course site runs/manufacturing-quick --out runs/site")(
        site
    )


def site(
    run: Annotated[Path, typer.Argument(help="A finished run of the five notebooks.")],
    out: Annotated[Path | None, typer.Option(help="The site's folder. Default: runs/site.")] = None,
    lab: Annotated[
        Path | None,
        typer.Option(help="The lab's notebook, executed. Default: it is executed, without models."),
    ] = None,
) -> None:
    """Write the course as static pages: executed notebooks, lab, hand-outs, documentation.

    They are read from the folder, without network (needs requirements-site.txt).
    """
    root = find_root()
    out = out or root / "runs" / "site"
    pages.check(out)
    pages.sources(run, lab or lab_notebook())  # what is missing is told before the lab is executed
    made = pages.build(run, lab or execute(lab_notebook(), root / "runs" / "lab" / "static"), out)
    for warning in made.warnings:
        print(f"Warning: {warning}")
    print(f"Site: {made.start} ({len(made.pages)} pages)")
