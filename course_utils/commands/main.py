"""The `course` command: run the notebooks, look after the machine, the models and the data.

course run --preset cpu
course doctor
course data check my_records.jsonl
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from course_utils.commands import assignment as assignment_cli
from course_utils.commands import lab as lab_cli
from course_utils.commands import report as report_cli
from course_utils.commands import sweep as sweep_cli
from course_utils.errors import CourseError

if TYPE_CHECKING:
    from course_utils.settings import Settings

app = typer.Typer(
    name="course",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="The fine-tuning course: data, baseline, adapter, evaluation, inference.",
)
model_app = typer.Typer(
    no_args_is_help=True, help="Base models: prepare the embedded one, list all."
)
data_app = typer.Typer(
    no_args_is_help=True, help="Training data: fetch the sources, build a track, check a file."
)
app.add_typer(model_app, name="model")
app.add_typer(data_app, name="data")
assignment_cli.mount(app)
lab_cli.mount(app)
report_cli.mount(app)
sweep_cli.mount(app)

LIMIT_FACTOR = 5  # a notebook may take this many times its expected minutes ...
LEAST_LIMIT = 15  # ... and at least this many minutes
OWN_OPTION = {"preset": "--preset", "run_dir": "--out"}  # more than one setting hangs on these


class UsageError(CourseError):
    """Wrong arguments: exit code 2 instead of 1."""


@contextlib.contextmanager
def _wrong_usage() -> Iterator[None]:
    """What fails inside is the caller's argument."""
    try:
        yield
    except CourseError as error:
        raise UsageError(error.message, error.cure) from None


def main() -> None:
    """Run the command; a CourseError prints its two lines, never a traceback."""
    try:
        app(args=_join_pairs(sys.argv[1:]))
    except CourseError as error:
        typer.secho(f"Error: {error.message}", fg="red", err=True)
        if error.cure:
            typer.echo(f"Cure: {error.cure}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of Ctrl-C
            typer.echo("Interrupted. `course run` goes on with --resume.", err=True)
        raise
    except BrokenPipeError:  # `course model list | head`
        sys.exit(0)


@app.command(
    epilog="Examples:\n\ncourse run --preset cpu\n\ncourse run -p lora_r 8 --out runs/r8"
    "\n\ncourse run my_notebooks/ --out runs/check"
)
def run(
    notebooks: Annotated[
        list[Path] | None,
        typer.Argument(help="Notebooks or folders; default: the five of the course."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="nano, cpu, t4, l4, a100, or auto: chosen from the hardware.")
    ] = "auto",
    track: Annotated[
        str, typer.Option(help="Which data: manufacturing or geology.")
    ] = "manufacturing",
    out: Annotated[
        Path | None, typer.Option(help="Run folder. Default: runs/TRACK-PRESET.")
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
        str | None, typer.Option(help="Only notebooks whose name begins so: 03, or 02,04.")
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
) -> None:
    """Execute the course's notebooks (or any others) with papermill into one run folder."""
    from course_utils.runs import find_root

    root = find_root()
    values = _parameters(parameter or [])
    if notebooks:
        folder = _absolute(out or Path("runs/batch"))
        _run_batch([Path(path) for path in notebooks], folder, values, resume, time_limit, only)
        return
    found = sorted((root / "notebooks").glob("0*.ipynb"))
    if not found:
        raise CourseError(
            f"{root / 'notebooks'}: the course's notebooks are not here",
            "change into the folder of the kit (git clone), or name the notebooks to run",
        )
    chosen = _chosen(found, only)
    keep = resume or len(chosen) < len(found)  # single notebooks always work on what is there
    _run_course(chosen, preset, track, out, values, seed, resume, keep, fresh, time_limit)


def _join_pairs(arguments: list[str]) -> list[str]:
    """`-p NAME VALUE` as papermill has it -> `-p NAME=VALUE`, which typer can read."""
    joined, rest = [], iter(arguments)
    for argument in rest:
        joined.append(argument)
        if argument in ("-p", "--parameter"):
            name = next(rest, None)
            value = next(rest, None) if name and "=" not in name else None
            joined += [f"{name}={value}"] if value is not None else [name] if name else []
    return joined


def _parameters(pairs: list[str]) -> dict[str, Any]:
    from course_utils.execution.runner import parse_parameter

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
    if not only:
        return notebooks
    starts = tuple(part.strip() for part in only.split(",") if part.strip())
    chosen = [path for path in notebooks if path.name.startswith(starts)]
    if not chosen:
        names = ", ".join(path.stem for path in notebooks)
        raise UsageError(f"--only {only}: no notebook begins so", f"there are: {names}")
    return chosen


def _run_batch(
    paths: list[Path],
    folder: Path,
    values: dict[str, Any],
    resume: bool,
    time_limit: float | None,
    only: str | None,
) -> None:
    """Any notebooks: a row for each; one that fails does not stop the others."""
    from rich.console import Console

    from course_utils import hardware
    from course_utils.execution import runner as execution

    console = Console()
    machine = hardware.detect()
    threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
    notebooks = _chosen(execution.find_notebooks(paths), only)
    with _wrong_usage():
        execution.validate_parameters(notebooks, values)
    results = execution.execute_notebooks(
        notebooks,
        folder,
        values,
        hardware.kernel_environment(machine, threads),
        time_limit_minutes=time_limit or 60,
        resume=resume,
        stop_on_failure=False,
        console=console,
    )
    console.print(execution.summary_table(results))
    failed = [result for result in results if not result.ok]
    for result in failed:
        console.print("\n".join(execution.failure_lines(result)), markup=False, soft_wrap=True)
    console.print(
        f"{len(results) - len(failed)} of {len(results)} notebooks ran. Copies: {folder}",
        soft_wrap=True,
    )
    if failed:
        sys.exit(1)


def _run_course(
    notebooks: list[Path],
    preset: str,
    track: str,
    out: Path | None,
    values: dict[str, Any],
    seed: int | None,
    resume: bool,
    keep: bool,
    fresh: bool,
    time_limit: float | None,
) -> None:
    from rich.console import Console

    from course_utils import hardware
    from course_utils.execution import runner as execution
    from course_utils.settings import Settings, resolve_precision

    console = Console()
    settable = set(Settings.model_fields) - set(OWN_OPTION)
    known = {name: value for name, value in values.items() if name in settable}
    with _wrong_usage():
        settings = _begin_with(out, keep, preset, track, seed).with_changes(**known)
    others = {name: value for name, value in values.items() if name not in known}
    _check_names(notebooks, others)
    settings, reason = resolve_precision(settings)
    console.print(f"precision {settings.precision}: {reason}", soft_wrap=True, highlight=False)
    folder = _absolute(out) if out else _default_folder(settings.track, settings.preset)
    _make_way(folder, keep, fresh)
    _fetch_what_is_needed(settings.base_model)
    run_opened = _open_with(folder, settings, reason)
    machine = hardware.detect()
    threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
    expected = {path.stem: settings.expected_minutes.get(path.stem[:2], 5) for path in notebooks}
    results = execution.execute_notebooks(
        notebooks,
        folder / "notebooks",
        _declared(notebooks, {**_standard(run_opened, settings), **values}),
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
    out: Path | None, keep: bool, preset: str, track: str, seed: int | None
) -> "Settings":
    """The preset's settings; a run that goes on without naming a preset keeps its own."""
    from course_utils.runs import saved_settings
    from course_utils.settings import preset_settings

    saved = _absolute(out) / "settings.json" if out else None
    if keep and preset == "auto" and saved and saved.is_file():
        settings = saved_settings(saved)
        typer.echo(f"preset {settings.preset}: as saved in {saved}")
        return settings.with_changes(seed=seed)
    return preset_settings(preset, track, 42 if seed is None else seed)


def _check_names(notebooks: list[Path], values: dict[str, Any]) -> None:
    """Every -p name is a setting of the course or a parameter that a notebook declares."""
    import difflib

    from course_utils.execution.runner import declared_parameters, read_notebook
    from course_utils.settings import Settings

    declared: set[str] = set(Settings.model_fields) - {"purpose", "measured", "expected_minutes"}
    for path in notebooks:
        declared |= declared_parameters(read_notebook(path)) or set()
    declared -= set(OWN_OPTION)
    for name in values:
        if name in OWN_OPTION:
            option = f"{OWN_OPTION[name]} {values[name]}"
            raise UsageError(f"-p {name}: this has an option of its own", f"use {option}")
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"-p {name}: there is no such setting",
                f"{hint}known: {', '.join(sorted(declared))}",
            )


def _default_folder(track: str, preset: str) -> Path:
    from course_utils.runs import find_root

    return find_root() / "runs" / f"{track}-{preset}"


def _make_way(folder: Path, keep: bool, fresh: bool) -> None:
    """Never mix two runs in one folder, never delete one."""
    if not (folder / "settings.json").exists() or (keep and not fresh):
        return
    if not fresh:
        raise UsageError(
            f"{folder} already holds a run",
            "add --resume to go on with it, --fresh to start again (the old one is kept aside), "
            "or --out for another folder",
        )
    aside = folder.with_name(f"{folder.name}.old-{datetime.now():%Y%m%d-%H%M%S}")
    shutil.move(folder, aside)
    typer.echo(f"the earlier run was moved to {aside}")


def _fetch_what_is_needed(base_model: str) -> None:
    """The embedded model and the work orders, before any kernel starts."""
    from course_utils import models, sources

    if base_model in (models.EMBEDDED, "nano"):
        models.prepare_model(base_model)
    sources.work_orders_path()


def _open_with(folder: Path, settings: Any, reason: str) -> Any:
    from course_utils.runs import Run, save_settings

    opened = Run(folder, settings)
    save_settings(opened, reason)
    return opened


def _standard(run_opened: Any, settings: Any) -> dict[str, Any]:
    return {
        "run_dir": str(run_opened.folder),
        "preset": settings.preset,
        "track": settings.track,
        "seed": settings.seed,
    }


def _declared(notebooks: list[Path], values: dict[str, Any]) -> dict[str, Any]:
    """The values that some notebook declares; the rest reaches them through settings.json."""
    from course_utils.execution.runner import declared_parameters, read_notebook

    names: set[str] = set()
    for path in notebooks:
        names |= declared_parameters(read_notebook(path)) or set()
    return {name: value for name, value in values.items() if name in names}


def _finish(console: Any, folder: Path, results: list[Any]) -> None:
    from course_utils import report
    from course_utils.execution import runner as execution

    console.print(execution.summary_table(results))
    failed = [result for result in results if not result.ok]
    if failed:
        for line in execution.failure_lines(failed[0]):
            typer.secho(line, fg="red", err=True)
        sys.exit(1)
    if _evaluation_is_stale(folder):
        typer.secho("The evaluation is older than the adapter: run 04 and 05 too.", fg="yellow")
    page = report.write_report(folder)
    if (folder / "evaluation.json").is_file():
        written = report.write_results(folder)
        console.print(report.results_table(json.loads(written.read_text(encoding="utf-8"))))
        typer.echo(f"Results: {written}")
    typer.echo(f"Report:  {page}")


def _evaluation_is_stale(folder: Path) -> bool:
    """Whether notebook 03 ran again after 04, as with --only 03."""
    adapter, evaluation = folder / "adapter" / "adapter_config.json", folder / "evaluation.json"
    if not (adapter.is_file() and evaluation.is_file()):
        return False
    return evaluation.stat().st_mtime < adapter.stat().st_mtime


@app.command(epilog="Example:  course doctor --json > doctor.json")
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check versions, hardware, disk, model and data; each problem with its cure."""
    from course_utils.commands import doctor as doctor_module

    findings = doctor_module.diagnose()
    if as_json:
        typer.echo(doctor_module.to_json(findings))
    else:
        from rich.console import Console

        Console().print(doctor_module.render(findings))
    sys.exit(doctor_module.exit_code(findings))


@model_app.command("prepare", epilog="Example:  course model prepare")
def model_prepare(
    name: Annotated[str, typer.Argument(help="smollm2-135m-instruct or nano.")] = (
        "smollm2-135m-instruct"
    ),
    verify: Annotated[bool, typer.Option("--verify", help="Compare the checksum too.")] = False,
) -> None:
    """Make an embedded base model ready, once; the second call is instant."""
    from course_utils import models

    typer.echo(f"{name}: {models.prepare_model(name, verify=verify)}")


@model_app.command("list", epilog="Example:  course model list --json")
def model_list(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """The base models that the course knows, with licence and computed memory."""
    from dataclasses import asdict

    from course_utils import models

    known = models.registry().values()
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in known], indent=2))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 1, 0))
    # The note stands below the name, so that 80 columns show the names in full.
    table.add_column("Model", min_width=max(len(model.name) for model in known))
    for title in ("Billion", "16-bit\nGB", "nf4\nGB"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Licence")
    for model in known:
        name = Text.assemble((model.name, "bold"), "\n", (model.note, "dim"))
        sizes = [f"{model.billions:g}", f"{model.memory_gb():.1f}", f"{model.memory_gb('nf4'):.1f}"]
        table.add_row(name, *sizes, model.licence + ("\ngated" if model.gated else ""))
    Console().print(table)
    typer.echo("Memory: of the weights, computed. Gated: accept the licence on the Hub first.")
    typer.echo("Choose one: course run -p base_model NAME")


@data_app.command("prepare", epilog="Example:  course data prepare")
def data_prepare() -> None:
    """Fetch work orders, spectra and minerals, once; afterwards they are read from the cache."""
    from course_utils import sources
    from course_utils.tracks.geology import minerals, spectra

    typer.echo(f"work orders: {sources.work_orders_path()}")
    typer.echo(f"spectra: {spectra.prepare()}")
    typer.echo(f"minerals: {minerals.prepare()}")


@data_app.command(
    "build",
    epilog="Example:  course data build --track geology --out data/geology",
)
def data_build(
    track: Annotated[
        str, typer.Option(help="Which data: manufacturing or geology.")
    ] = "manufacturing",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the parts. Default: data/TRACK in the kit.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.", min=0)] = 42,
) -> None:
    """Build a whole track offline: train, val, test, with counts, diversity and overlap."""
    from course_utils.runs import find_root

    builders = {"manufacturing": _build_manufacturing, "geology": _build_geology}
    if track not in builders:
        raise UsageError(f"--track {track}: unknown", f"choose {' or '.join(builders)}")
    folder = _absolute(out) if out else find_root() / "data" / track
    summary, figure, wrong = builders[track](folder, seed)
    overlap = summary["overlap"]
    typer.echo(
        f"overlap between the parts: {overlap['exact']} exact, {overlap['near']} near, "
        f"{overlap['groups']} groups, of {overlap['compared']:,} pairs compared"
    )
    from course_utils import plots

    saved = plots.save_figure(figure, folder / "track.png")
    if wrong:
        raise CourseError("the track keeps not all it promises: " + "; ".join(wrong))
    typer.echo(f"Figure: {saved}")
    typer.echo(f"Data: {folder}")


def _build_manufacturing(folder: Path, seed: int) -> tuple[dict[str, Any], Any, list[str]]:
    from course_utils import sources
    from course_utils.assignments import writeup
    from course_utils.tracks.manufacturing import plots as task_plots
    from course_utils.tracks.manufacturing import track as tracks

    sources.work_orders_path()
    summary = tracks.write_track(tracks.build_manufacturing(seed), folder, seed)
    typer.echo(writeup.data_table(summary))
    typer.echo(writeup.diversity_table(summary))
    return summary, task_plots.plot_track(summary), tracks.shortfalls(summary)


def _build_geology(folder: Path, seed: int) -> tuple[dict[str, Any], Any, list[str]]:
    from course_utils.assignments import writeup
    from course_utils.tracks.geology import plots as spectra_plots
    from course_utils.tracks.geology import track as geology

    geology.prepare()
    summary = geology.write_track(geology.build_geology(seed), folder, seed)
    typer.echo(geology.summary_table(summary))
    typer.echo(writeup.diversity_table(summary))
    return summary, spectra_plots.plot_track(summary), geology.shortfalls(summary)


@data_app.command(
    "check", epilog="Example:  course data check my.jsonl --max-length 256 --write my_fixed.jsonl"
)
def data_check(
    file: Annotated[Path, typer.Argument(help="JSON lines, one record a line, UTF-8.")],
    schema: Annotated[str, typer.Option(help="manufacturing, geology or auto.")] = "auto",
    against: Annotated[
        list[Path] | None, typer.Option(help="Another part of the data: look for leakage.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Report records longer than this many tokens.", min=1)
    ] = None,
    base_model: Annotated[
        str, typer.Option(help="Whose tokenizer counts for --max-length.")
    ] = "smollm2-135m-instruct",
    min_records: Annotated[
        int | None,
        typer.Option(help="Least number of usable records. Default: 20 for geology.", min=0),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write a corrected file (never the same one).")
    ] = None,
    show: Annotated[int, typer.Option(help="Problems to print.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check a data file line by line: JSON, fields, encoding, duplicates, leakage, length.

    A geology file needs 20 usable records or more: --min-records sets another number.
    """
    from course_utils import records

    if schema not in ("auto", *records.SCHEMAS):
        known = ", ".join(["auto", *records.SCHEMAS])
        raise UsageError(f"--schema {schema}: unknown", f"choose one of: {known}")
    counter = _token_counter(base_model) if max_length else None
    report = records.check_file(file, schema, counter, max_length, against or [])
    records.require_number(report, min_records)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(report.summary_lines(limit=show)))
    if write:
        done = records.write_corrected(report, write)
        typer.echo(
            f"Corrected file: {write} ({done['written']} records; put right: "
            f"{_counts(done['fixed'])}; left out: {_counts(done['dropped'])})",
            err=as_json,
        )
    sys.exit(0 if report.ok else 1)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"


def _token_counter(base_model: str) -> Any:
    from course_utils import chat, models

    tokenizer = models.load_tokenizer(base_model)
    return lambda record: chat.count_tokens(record, tokenizer)
