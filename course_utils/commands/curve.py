"""`course curve`: make the recorded runs behind the learning curve."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from course_utils import kit, models
from course_utils.commands.sweep import numbers_in, record
from course_utils.lab import curve as learning


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    example = "Example:  course curve --sizes 20,200,all --seeds 1,2,3 --resume"
    app.command("curve", epilog=example)(curve)


def curve(
    sizes: Annotated[
        str, typer.Option(help="Training records, each a run; 'all' for as many as there are.")
    ] = ",".join(map(str, (*learning.SIZES, "all"))),
    seeds: Annotated[str, typer.Option(help="Seeds, each a run of every size.")] = "1,2,3",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result files. Default: data/curve.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the runs that are there, make the missing ones.")
    ] = False,
    least_steps: Annotated[
        int, typer.Option(help="Small sizes are repeated until they make so many steps.", min=1)
    ] = learning.Scale.least_steps,
    test_records: Annotated[
        int, typer.Option(help="Gold orders to be asked.", min=2)
    ] = learning.Scale.test_records,
    jobs: Annotated[int, typer.Option(help="Runs at a time.", min=1)] = 1,
    base_model: Annotated[str, typer.Option(help="Base model; nano for a try.")] = models.EMBEDDED,
) -> None:
    """Score against training records: the tuned model and the cheap rivals, several seeds."""
    numbers = numbers_in(seeds, "--seeds")
    wanted = [word.strip() for word in sizes.split(",") if word.strip()]
    numbers_in(",".join(word for word in wanted if word != "all") or "0", "--sizes")
    scale = learning.Scale(test_records=test_records, least_steps=least_steps)
    data = learning.load_data(scale)
    planned = learning.plan(wanted, numbers, data, scale)
    folder = out.expanduser().absolute() if out else learning.FOLDER
    print(f"{len(planned)} runs, {jobs} at a time; results: {folder}")
    line = f"course curve --sizes {','.join(wanted)} --seeds {','.join(map(str, numbers))} --resume"
    work = kit.ROOT / "runs" / "curve"
    arguments = (planned, data, scale, folder, work, base_model, jobs, resume, line)
    record(partial(learning.run_curve, *arguments), f"Curve: {folder}")
