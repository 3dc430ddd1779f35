"""`course curve`: make the recorded runs behind the learning curve."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from course_utils import kit, models
from course_utils.errors import Stopped, UsageError
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
    numbers = _numbers(seeds, "--seeds")
    wanted = [word.strip() for word in sizes.split(",") if word.strip()]
    _numbers(",".join(word for word in wanted if word != "all") or "0", "--sizes")
    scale = learning.Scale(test_records=test_records, least_steps=least_steps)
    data = learning.load_data(scale)
    planned = learning.plan(wanted, numbers, data, scale)
    folder = out.expanduser().absolute() if out else learning.FOLDER
    print(f"{len(planned)} runs, {jobs} at a time; results: {folder}")
    # Both end the runs that are under way; a shell's background job would ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    line = f"course curve --sizes {','.join(wanted)} --seeds {','.join(map(str, numbers))} --resume"
    work = kit.ROOT / "runs" / "curve"
    try:
        outcome = learning.run_curve(
            planned, data, scale, folder, work, base_model, jobs, resume, line
        )
    except KeyboardInterrupt:
        raise Stopped("Finished runs are kept: course curve --resume") from None
    for failed in outcome.failed:
        print(f"failed: {failed}", file=sys.stderr)
    print(f"{outcome.made} runs made, {outcome.kept} were there. Curve: {folder}")
    if outcome.failed:
        sys.exit(1)


def _numbers(text: str, option: str) -> list[int]:
    try:
        return sorted({int(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"{option} {text}: not numbers", "give for example 1,2,3") from None
