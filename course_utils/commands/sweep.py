"""`course sweep`: make the recorded runs behind the parameter lab."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from course_utils import kit
from course_utils.errors import Stopped, UsageError
from course_utils.lab import recording, sweeps


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    example = "Example:  course sweep --only learning_rate,lora_r --seeds 1,2,3 --resume"
    app.command("sweep", epilog=example)(sweep)


def sweep(
    only: Annotated[
        str | None, typer.Option(help="Parameters, 'start' and 'failures'; default: all.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds, each a run of every value. Default: 1,2,3 or 1,2, by parameter."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result files. Default: data/sweeps.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Runs at a time (default: what fits here).", min=1),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the runs that are there, make the missing ones.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Runs of another centre give way, a parameter at a time."),
    ] = False,
    base_model: Annotated[
        str, typer.Option(help="Base model; nano for a try.")
    ] = "smollm2-135m-instruct",
) -> None:
    """One parameter at a time around the centre: train, score and record each value and seed."""
    try:
        numbers = sorted({int(word) for word in seeds.split(",")}) if seeds else []
    except ValueError:
        raise UsageError(f"--seeds {seeds}: not numbers", "give for example 1,2,3") from None
    names = [word.strip() for word in (only or "").split(",") if word.strip()]
    planned = sweeps.plan(numbers, names)
    folder = out.expanduser().absolute() if out else sweeps.FOLDER
    parallel = jobs or recording.choose_parallel()
    print(f"{len(planned)} runs, {parallel} at a time; results: {folder}")
    work = kit.ROOT / "runs" / "sweep"
    # Both end the runs that are under way; a shell's background job would ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    given = f" --seeds {','.join(map(str, numbers))}" if numbers else ""
    try:
        outcome = sweeps.run_sweep(
            planned, folder, work, base_model, parallel, resume,
            f"course sweep{given} --resume", replace=replace,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise Stopped("Finished runs are kept: course sweep --resume") from None
    for line in outcome.failed:
        print(f"failed: {line}", file=sys.stderr)
    print(f"{outcome.made} runs made, {outcome.kept} were there. Sweeps: {folder}")
    if outcome.failed:
        sys.exit(1)
