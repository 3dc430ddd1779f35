"""The `course` command: its groups, one file each, and what becomes of their errors.

course run --preset cpu
course doctor
course data check my_records.jsonl
"""

import sys
from importlib import import_module
from typing import NoReturn

import typer

from course_utils import compat, files
from course_utils.console import make_printable, printable
from course_utils.errors import CourseError, Stopped, UsageError

# In the order of the help. A module is named like its command, or like one of its commands.
GROUPS = (
    *("run", "doctor", "explain", "model", "data", "assignment", "lab"),
    *("report", "sweep", "curve", "grade", "serve", "export", "adopt", "presets", "site"),
)


def command_line(only: str = "") -> typer.Typer:
    """`course` with all its groups; with the one named `only`, it is there half a second sooner.

    Raises CourseError where a package is missing or broken; `doctor` alone needs none.
    """
    app = typer.Typer(
        name="course",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="The fine-tuning course: data, baseline, adapter, evaluation, inference.",
    )
    names = (only,) if only in GROUPS else GROUPS
    try:
        # Late: the others' packages may be missing, and take their time.
        groups = [import_module(f"course_utils.commands.{name}") for name in names]
    except ImportError as error:
        raise CourseError(
            f"the installation is not complete: {error}",
            "`course doctor` says what is missing; `make setup` puts it right",
        ) from None
    if len(groups) == 1:
        app.callback()(lambda: None)  # with one command alone, typer would take no name for it
    for group in groups:
        group.mount(app)
    return app


def main() -> None:
    """Run the command; a CourseError prints its two lines, never a traceback."""
    make_printable()
    compat.quiet_known_noise()
    try:
        command_line(*sys.argv[1:2])(args=join_pairs(sys.argv[1:]))
    except CourseError as error:
        _end(error)
    except Stopped as stopped:
        print(f"\nInterrupted. {stopped}", file=sys.stderr)
        sys.exit(130)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            more = " Go on: the same command and --resume." if sys.argv[1:2] == ["run"] else ""
            print(f"Interrupted.{more}", file=sys.stderr)
        raise
    except BrokenPipeError:  # `course model list | head`
        sys.exit(0)
    except OSError as error:
        if (known := files.told(error)) is None:
            raise
        _end(known)


def _end(error: CourseError) -> NoReturn:
    typer.secho(printable(f"Error: {error.message}", sys.stderr), fg="red", err=True)
    if error.cure:
        print(f"Cure: {error.cure}", file=sys.stderr)
    sys.exit(2 if isinstance(error, UsageError) else 1)


def join_pairs(arguments: list[str]) -> list[str]:
    """`-p NAME VALUE` as papermill has it -> `-p NAME=VALUE`, which typer can read."""
    joined, rest = [], iter(arguments)
    for argument in rest:
        joined.append(argument)
        if argument in ("-p", "--parameter"):
            name = next(rest, None)
            value = next(rest, None) if name and "=" not in name else None
            joined += [f"{name}={value}"] if value is not None else [name] if name else []
    return joined
