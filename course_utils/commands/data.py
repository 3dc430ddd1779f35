"""`course data`: fetch the sources, build a track, check, convert or split a file of records."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import chat, conversion, drawing, formats, models, ownership, records, sources
from course_utils.assignments import writeup
from course_utils.assignments.bonuses.harness import questions
from course_utils.commands import gold, selfcheck, split
from course_utils.console import print_json
from course_utils.errors import CourseError, UsageError
from course_utils.runs import find_root
from course_utils.tracks.geology import minerals, spectra
from course_utils.tracks.geology import plots as geology_plots
from course_utils.tracks.geology import track as geology
from course_utils.tracks.manufacturing import plots as task_plots
from course_utils.tracks.manufacturing import track as tracks

data_app = typer.Typer(
    no_args_is_help=True,
    help="Training data: fetch the sources, build a track, check, convert or split a file.",
)


def mount(app: typer.Typer) -> None:
    """Add `course data …` to the `course` command."""
    gold.mount(data_app)
    selfcheck.mount(data_app, _progress_line)
    split.mount(data_app)
    app.add_typer(data_app, name="data")


@data_app.command("prepare", epilog="Example:  course data prepare")
def data_prepare(
    benchmarks: Annotated[
        bool,
        typer.Option("--benchmarks", help="And the questions of the bonus benchmark (86 MB)."),
    ] = False,
) -> None:
    """Fetch work orders, spectra and minerals, once; afterwards they are read from the cache."""
    print(f"work orders: {sources.work_orders_path()}")
    print(f"spectra: {spectra.prepare()}")
    print(f"minerals: {minerals.prepare()}")
    if benchmarks:
        print(f"questions of the bonus benchmark: {questions.prepare_questions()}")


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
    builders = {"manufacturing": _build_manufacturing, "geology": _build_geology}
    if track not in builders:
        raise UsageError(f"--track {track}: unknown", f"choose {' or '.join(builders)}")
    folder = Path.cwd() / out if out else find_root() / "data" / track
    ownership.check_folder(folder, of="a track")  # before the minutes that it takes
    summary, figure, wrong = builders[track](folder, seed)
    overlap = summary["overlap"]
    print(
        f"overlap between the parts: {overlap['exact']} exact, {overlap['near']} near, "
        f"{overlap['groups']} groups, of {overlap['compared']:,} pairs compared"
    )
    saved = drawing.save_figure(figure, folder / "track.png")
    if wrong:
        raise CourseError("the track keeps not all it promises: " + "; ".join(wrong))
    print(f"Figure: {saved}")
    print(f"Data: {folder}")


def _build_manufacturing(folder: Path, seed: int) -> tuple[dict[str, Any], Any, list[str]]:
    sources.work_orders_path()
    summary = tracks.write_track(tracks.build_manufacturing(seed), folder, seed)
    print(writeup.data_table(summary))
    print(writeup.diversity_table(summary))
    return summary, task_plots.plot_track(summary), tracks.shortfalls(summary)


def _build_geology(folder: Path, seed: int) -> tuple[dict[str, Any], Any, list[str]]:
    geology.prepare()
    summary = geology.write_track(geology.build_geology(seed), folder, seed)
    print(geology.summary_table(summary))
    print(writeup.diversity_table(summary))
    return summary, geology_plots.plot_track(summary), geology.shortfalls(summary)


@data_app.command(
    "check", epilog="Example:  course data check my.jsonl --max-length 256 --write my_fixed.jsonl"
)
def data_check(
    file: Annotated[
        Path, typer.Argument(help="JSON lines (also .gz); or an array, a CSV, an Excel sheet.")
    ],
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --write, if it exists.")
    ] = False,
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Search prompts that are nearly the same.")
    ] = True,
    show: Annotated[int, typer.Option(help="Problems to print.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check a data file line by line: JSON, fields, encoding, duplicates, leakage, length.

    A geology file needs 20 usable records or more: --min-records sets another number. Arrays,
    column-wise JSON, tables and sheets are checked too, and --write makes JSON lines of them.
    """
    if schema not in ("auto", *records.SCHEMAS):
        known = ", ".join(["auto", *records.SCHEMAS])
        raise UsageError(f"--schema {schema}: unknown", f"choose one of: {known}")
    if write:
        _refuse_to_replace(write, overwrite)
    counter = _token_counter(base_model) if max_length else None
    with _progress_line() as progress:
        report = records.check_file(
            file,
            schema,
            counter,
            max_length,
            against or [],
            near=records.NEAR if near else None,
            progress=progress,
        )
    records.require_number(report, min_records)
    if not near:
        print("not searched: prompts that are nearly the same (--no-near)", file=sys.stderr)
    if as_json:
        print_json(report.to_dict())
    else:
        print("\n".join(report.summary_lines(limit=show)))
    if write:
        done = records.write_corrected(report, write)
        fixed = {records.FIX_WORDS[fix]: count for fix, count in done["fixed"].items()}
        print(
            f"Corrected file: {write} ({done['written']} records; put right: {_counts(fixed)}; "
            f"left out: {_counts(done['dropped'])})",
            file=sys.stderr if as_json else sys.stdout,
        )
    sys.exit(0 if report.ok else 1)


@data_app.command(
    "convert", epilog="Example:  course data convert chats.jsonl --to geology --out records.jsonl"
)
def data_convert(
    file: Annotated[Path, typer.Argument(help="JSON lines, a JSON array, a CSV, an Excel sheet.")],
    to: Annotated[str, typer.Option(help="Whose schema: manufacturing or geology.")],
    out: Annotated[Path, typer.Option(help="The file of records to write.")],
    system: Annotated[
        str, typer.Option(help="Geology: the model's role, where a record names none.")
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --out, if it exists.")
    ] = False,
) -> None:
    """Turn a chat or instruction file into records of a track, and say what could not be mapped.

    Read are messages (OpenAI chat), conversations (ShareGPT), Alpaca, Dolly, prompt/completion and
    question/answer. A record is one question with one answer: talks of several turns are left out.
    """
    if to not in records.SCHEMAS:
        raise UsageError(f"--to {to}: unknown", f"choose {' or '.join(records.SCHEMAS)}")
    _refuse_to_replace(out, overwrite)
    result = conversion.convert_file(file, to, system)
    conversion.write_conversion(result, out)
    print("\n".join(result.summary_lines()))
    print(f"Next: {formats.check_command(out)}")
    print(f"Records: {out} ({len(result.records)} of {result.read})")


def _refuse_to_replace(path: Path, overwrite: bool) -> None:
    """Records carry no mark of who made them: a file that is there is replaced only when asked."""
    if os.path.lexists(path) and not path.is_dir() and not overwrite:
        raise CourseError(
            f"{path}: is there already", "name another file, or add --overwrite to replace it"
        )


@contextlib.contextmanager
def _progress_line() -> Iterator[Callable[[str, int, int], None]]:
    """How far a long check is, on standard error: one line that is rewritten on a terminal.

    Elsewhere (a log, a pipe) a line every ten seconds; a check of a second says nothing.
    """
    terminal = sys.stderr.isatty()
    every = 0.2 if terminal else 10.0
    started = told = time.monotonic()
    shown = False

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told, shown
        now = time.monotonic()
        if now - told < every or now - started < 1:
            return
        told, shown = now, True
        text = f"{what}: {done:,} of {total:,}"
        print(
            f"\r{text}" if terminal else text,
            file=sys.stderr,
            end="" if terminal else "\n",
            flush=True,
        )

    try:
        yield tell
    finally:
        if shown and terminal:
            print("\r" + " " * 60 + "\r", file=sys.stderr, end="", flush=True)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} ({count})" for what, count in counts.items()) or "nothing"


def _token_counter(base_model: str) -> Any:
    tokenizer = models.load_tokenizer(base_model)
    return lambda record: chat.count_tokens(record, tokenizer)
