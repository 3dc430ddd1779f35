"""`course sweep`: make the recorded runs behind the parameter lab."""

import signal
import sys
from collections.abc import Callable
from functools import partial
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
    numbers = numbers_in(seeds, "--seeds") if seeds else []
    names = [word.strip() for word in (only or "").split(",") if word.strip()]
    planned = sweeps.plan(numbers, names)
    folder = out.expanduser().absolute() if out else sweeps.FOLDER
    parallel = jobs or recording.choose_parallel()
    print(f"{len(planned)} runs, {parallel} at a time; results: {folder}")
    work = kit.ROOT / "runs" / "sweep"
    given = f" --seeds {','.join(map(str, numbers))}" if numbers else ""
    line = f"course sweep{given} --resume"
    arguments = (planned, folder, work, base_model, parallel, resume, line)
    record(partial(sweeps.run_sweep, *arguments, replace=replace), f"Sweeps: {folder}")


def numbers_in(text: str, option: str) -> list[int]:
    """Numbers with commas between, each once. Raises UsageError that names the option."""
    try:
        return sorted({int(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"{option} {text}: not numbers", "give for example 1,2,3") from None


def record(run: Callable[[], recording.Outcome], where: str) -> None:
    """Make runs until they are done or interrupted, and tell what came of it; exit 1 if one failed.

    `where` is the last line's end: the name and place of the results.
    """
    # Both end the runs that are under way; a shell's background job would ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        outcome = run()
    except KeyboardInterrupt:
        raise Stopped(
            "Finished runs are kept; to go on, give the same command with --resume"
        ) from None
    for line in outcome.failed:
        print(f"failed: {line}", file=sys.stderr)
    print(f"{outcome.made} runs made, {outcome.kept} were there. {where}")
    if outcome.failed:
        sys.exit(1)
