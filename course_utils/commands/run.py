"""`course run`: execute notebooks, those of the course or any others, into one folder.

course run --preset cpu
course run my_notebooks/ --out runs/check --jobs 2
"""

import contextlib
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import hardware, kit, provenance, report
from course_utils.commands import parts
from course_utils.commands.batch import BatchOptions, chosen_by, keep_aside, run_batch
from course_utils.console import console as make_console
from course_utils.errors import CourseError, UsageError
from course_utils.execution.display import failure_lines, summary_table
from course_utils.execution.notebooks import (
    declared_parameters,
    declared_values,
    parse_parameter,
)
from course_utils.execution.reading import read_notebook
from course_utils.execution.runner import execute_notebooks
from course_utils.runs import NOT_A_RESULT, Run, find_root, save_settings, saved_settings
from course_utils.settings import Settings, preset_settings, resolve_precision

LIMIT_FACTOR = 5  # a notebook may take this many times its expected minutes ...
LEAST_LIMIT = 15  # ... and at least this many minutes
# More than one setting hangs on these.
OWN_OPTION = {"preset": "--preset", "track": "--track", "run_dir": "--out", "data": "--data"}


def mount(app: typer.Typer) -> None:
    """Add `course run` to the `course` command."""
    app.command(
        "run",
        epilog="Examples:\n\ncourse run --preset cpu\n\ncourse run -p lora_r 8 --out runs/r8"
        "\n\ncourse run --data data/brewing --preset cpu --out runs/brewing"
        "\n\ncourse run my_notebooks/ --out runs/check --jobs 2"
        "\n\ncourse run inbox/ --sandbox auto --jobs 2",
    )(run)


def run(
    notebooks: Annotated[
        list[Path] | None,
        typer.Argument(help="Notebooks or folders; default: the five of the course."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="nano, quick, cpu, cpu-long, t4, l4, a100, or auto: by the hardware.",
            show_default="auto",
        ),
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(
            help="Which data: manufacturing or geology; with --data a name of your own.",
            show_default="manufacturing",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Parts of your own instead, as `course data split` writes them."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder. Default: runs/TRACK-PRESET; of other notebooks runs/batch."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME VALUE",
            help="Change one setting, as in -p learning_rate 5e-4; repeatable.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every random step. Default: 42.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Only notebooks whose name in the table begins so: 03, or 02,04."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip what finished with the same settings.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again; the old run folder is kept aside.")
    ] = False,
    time_limit: Annotated[
        float | None, typer.Option(help="Minutes that one notebook may take.", min=0.01)
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="So many of your notebooks at a time.", metavar="N", min=1)
    ] = 1,
    cwd: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where your notebooks run. Default: each in its own."),
    ] = None,
    sandbox: Annotated[
        str,
        typer.Option(
            metavar="LEVEL",
            help="For other people's notebooks: auto, bwrap, landlock, limits or none.",
        ),
    ] = "none",
    warm: Annotated[
        bool | None,
        typer.Option(
            "--warm/--no-warm",
            help="Fork kernels from a process that has imported the libraries.",
            show_default="warm from 3 notebooks in the sandbox",
        ),
    ] = None,
    cell_limit: Annotated[
        float | None, typer.Option(help="Minutes that a cell may take (sandbox).", min=0.01)
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="GiB that a notebook may use (sandbox).", min=0.1, show_default="4"),
    ] = None,
) -> None:
    """Execute the course's notebooks (or any others) with papermill into one run folder."""
    values = _parameters(parameter or [])
    if resume and fresh:
        raise UsageError("--resume and --fresh were both given", "give one of them")
    if notebooks:
        if data:
            raise UsageError("--data is for the notebooks of the course", "leave it out")
        values = _with_options(values, {"preset": preset, "track": track, "seed": seed})
        folder = _absolute(out or Path("runs/batch"))
        options = BatchOptions(
            *(folder, resume, fresh, time_limit, only, jobs, _existing(cwd)),
            *(sandbox, warm, cell_limit, memory),
        )
        run_batch([Path(path) for path in notebooks], values, options)
        return
    if jobs > 1 or cwd or sandbox != "none" or warm:
        option = "--cwd" if cwd else "--jobs" if jobs > 1 else "--warm" if warm else "--sandbox"
        raise UsageError(
            f"{option} is for your own notebooks",
            "leave it out, or name notebooks: those of the course run one after the other, each "
            "reads what the one before wrote",
        )
    found = sorted(kit.NOTEBOOKS.glob("0*.ipynb"))
    if not found:
        raise CourseError(
            f"{kit.NOTEBOOKS}: the course's notebooks are not here",
            "install the kit from its folder (git clone, make setup), or name the notebooks to run",
        )
    chosen = _chosen(found, only)
    single = len(chosen) < len(found)  # these always work on what is there
    keep = not fresh and (resume or single)
    with _wrong_usage():
        reads = any(path.stem.startswith("01") for path in chosen)
        if keep and data is None:
            track = track or parts.saved_track(out)
        track, own = parts.choose(track, _absolute(data) if data else None, reads)
    begun = (preset or "auto", track, out, values, seed)
    _run_course(chosen, own, *begun, resume, keep, fresh, time_limit)


def _with_options(values: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The parameters of somebody's notebooks, with --preset, --track and --seed among them."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name in values:
            raise UsageError(f"--{name} and -p {name} were both given", "give one of them")
    return {**values, **given}


def _existing(folder: Path | None) -> Path | None:
    if folder and not folder.is_dir():
        raise UsageError(f"--cwd {folder}: there is no such folder", "check the path")
    return folder


@contextlib.contextmanager
def _wrong_usage() -> Iterator[None]:
    """What fails inside is the caller's argument."""
    try:
        yield
    except CourseError as error:
        raise UsageError(error.message, error.cure) from None


def _parameters(pairs: list[str]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"-p {pair}: a name and a value are needed", "for example -p lora_r 8")
        with _wrong_usage():
            values[name] = parse_parameter(text)
    return values


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else Path.cwd() / path


def _chosen(notebooks: list[Path], only: str | None) -> list[Path]:
    return [notebooks[index] for index in chosen_by([path.stem for path in notebooks], only)]


def _run_course(
    notebooks: list[Path],
    data: Path | None,
    preset: str,
    track: str | None,
    out: Path | None,
    values: dict[str, Any],
    seed: int | None,
    resume: bool,
    keep: bool,
    fresh: bool,
    time_limit: float | None,
) -> None:
    console = make_console()
    settable = set(Settings.model_fields) - set(OWN_OPTION)
    known = {name: value for name, value in values.items() if name in settable}
    others = {name: value for name, value in values.items() if name not in known}
    _check_others(notebooks, others)
    with _wrong_usage():
        folder, settings = _begin_with(out, keep, preset, track, seed)
        settings = settings.with_changes(**known)
    _make_way(folder, keep, fresh)
    asked = settings.precision
    settings, reason = resolve_precision(settings)  # imports torch, so after what is told at once
    console.print(f"precision {settings.precision}: {reason}", soft_wrap=True, highlight=False)
    parts.fetch(settings.base_model, data)
    settings = parts.fitted(settings, data, known)
    run_opened = Run(folder, settings)
    save_settings(run_opened, reason, asked)
    machine = hardware.detect()
    threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
    expected = {path.stem: settings.expected_minutes.get(path.stem[:2], 5) for path in notebooks}
    results = execute_notebooks(
        notebooks,
        folder / "notebooks",
        _declared(notebooks, {**_standard(run_opened, settings, data), **values}),
        hardware.kernel_environment(machine, threads),
        time_limit_minutes=time_limit
        or {name: max(LEAST_LIMIT, LIMIT_FACTOR * m) for name, m in expected.items()},
        resume=resume,
        stop_on_failure=True,
        fingerprint=run_opened.fingerprint(),
        expected_minutes=expected,
        console=console,
        chain=True,
        cwd=notebooks[0].parent.parent,
    )
    _finish(console, folder, results)


def _begin_with(
    out: Path | None, keep: bool, preset: str, track: str | None, seed: int | None
) -> tuple[Path, "Settings"]:
    """(run folder, settings): the preset's; a run that goes on with its preset keeps its own."""
    begun = None if out else preset_settings(preset, track, seed)  # its names are the folder's
    folder = _absolute(out) if out else _default_folder(begun.track, begun.preset)
    saved = folder / "settings.json"
    if keep and saved.is_file():
        settings = saved_settings(saved)
        if preset in ("auto", settings.preset):
            print(f"preset {settings.preset}: as saved in {saved}")
            return folder, settings.with_changes(seed=seed, track=track)
        track = track or settings.track
        seed = settings.seed if seed is None else seed
    return folder, begun or preset_settings(preset, track, seed)


def _check_others(notebooks: list[Path], values: dict[str, Any]) -> None:
    """Every -p that is no setting is a parameter of a notebook, and of its kind."""
    defaults: dict[str, Any] = {}
    names: set[str] = set()
    for path in notebooks:
        notebook = read_notebook(path)
        names |= declared_parameters(notebook) or set()
        defaults |= declared_values(notebook)
    _check_names(values, names)
    for name, value in values.items():
        if wanted := _other_kind(defaults.get(name), value):
            raise UsageError(
                f"-p {name} {value}: {wanted} is needed, {value!r} is none",
                f"for example -p {name} {defaults[name]}",
            )


def _other_kind(default: Any, value: Any) -> str:
    """What a parameter with this default takes, where the value is something else; else ""."""
    kinds = {bool: (bool, "True or False"), int: (int, "a whole number")}
    kinds |= {float: (int | float, "a number"), list: (list, "a list")}
    taken, words = kinds.get(type(default), (object, ""))
    fits = isinstance(value, taken) and not (isinstance(value, bool) and taken is not bool)
    return "" if fits or not words else words


def _check_names(values: dict[str, Any], declared: set[str]) -> None:
    """UsageError for names that nobody declares: all of them at once, each with its nearest."""
    known = declared | set(Settings.model_fields) - NOT_A_RESULT
    known -= set(OWN_OPTION)
    for name in values:
        if name in OWN_OPTION:
            option = f"{OWN_OPTION[name]} {values[name]}"
            raise UsageError(f"-p {name}: this has an option of its own", f"use {option}")
    unknown = [name for name in values if name not in known]
    if unknown:
        near = {name: difflib.get_close_matches(name, known, n=1) for name in unknown}
        raise UsageError(
            f"-p {', '.join(unknown)}: there is no such setting",
            f"{_meant(near)}known: {', '.join(sorted(known))}",
        )


def _meant(near: dict[str, list[str]]) -> str:
    """'did you mean lora_r? ', of several 'did you mean lora_r (lorar), size (sise)? '"""
    words = [
        found[0] if len(near) == 1 else f"{found[0]} ({n})" for n, found in near.items() if found
    ]
    return f"did you mean {', '.join(words)}? " if words else ""


def _default_folder(track: str, preset: str) -> Path:
    return find_root() / "runs" / f"{track}-{preset}"


def _make_way(folder: Path, keep: bool, fresh: bool) -> None:
    """Never mix two runs in one folder, never delete one."""
    if keep or not (folder / "settings.json").exists():
        return
    if not fresh:
        raise UsageError(
            f"{folder} already holds a run",
            "add --resume to go on with it, --fresh to start again (the old one is kept aside), "
            "or --out for another folder",
        )
    keep_aside(folder)


def _standard(run_opened: Any, settings: Any, data: Path | None) -> dict[str, Any]:
    own = {"data": str(data)} if data else {}
    return own | {
        "run_dir": str(run_opened.folder),
        "preset": settings.preset,
        "track": settings.track,
        "seed": settings.seed,
    }


def _declared(notebooks: list[Path], values: dict[str, Any]) -> dict[str, Any]:
    """The values that some notebook declares; the rest reaches them through settings.json."""
    names: set[str] = set()
    for path in notebooks:
        names |= declared_parameters(read_notebook(path)) or set()
    return {name: value for name, value in values.items() if name in names}


def _finish(console: Any, folder: Path, results: list[Any]) -> None:
    console.print(summary_table(results))
    failed = [result for result in results if not result.ok]
    if failed:
        for line in failure_lines(failed[0]):
            typer.secho(line, fg="red", err=True)
        sys.exit(1)
    page = report.write_report(folder)
    outdated = _tell_outdated(folder)
    if (folder / "evaluation.json").is_file() and not outdated:
        written = report.write_results(folder)
        results = json.loads(written.read_text(encoding="utf-8"))
        console.print(report.results_table(results))
        print(report.headline(results))
        print(f"Results: {written}")
    print(f"Report:  {page}")


def _tell_outdated(folder: Path) -> bool:
    """Say what in the run folder is from before a change; whether the table would be, too."""
    found = provenance.stale(folder)
    for line in provenance.lines(folder, found):
        typer.secho(line, fg="yellow")
    outdated = provenance.spoils_table(found)
    if outdated and (folder / "results.json").is_file():
        typer.secho("No table: results.json is from before this change.", fg="yellow")
    return outdated
