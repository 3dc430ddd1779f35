"""`course run NOTEBOOKS`: anybody's notebooks, a row for each, one that fails stops no other."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from course_utils import hardware, packages
from course_utils.console import console as make_console
from course_utils.errors import CourseError, UsageError
from course_utils.execution.custody import Custody
from course_utils.execution.display import failure_lines, summary_table
from course_utils.execution.jobs import BatchEnded, Interrupted, NotebookResult
from course_utils.execution.notebooks import (
    declared_parameters,
    find_notebooks,
    validate_parameters,
)
from course_utils.execution.reading import read_notebook
from course_utils.execution.results import write_results
from course_utils.execution.runner import execute_notebooks
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.levels import choose_level, is_for_strangers, probe
from course_utils.execution.sandbox.limits import GIB, Limits
from course_utils.execution.state import check_state, choose_names, foreign_files, read_state
from course_utils.execution.workers import WorkerServer

WARM_FROM = 3  # notebooks: for fewer, importing everything once is not worth its time
OWN_RIGHTS = "These notebooks run with your rights. Other people's: --sandbox auto"
MINUTES = 60  # that a notebook may take, unless --time-limit says otherwise


@dataclass(frozen=True)
class BatchOptions:
    """What the command line says about a batch."""

    folder: Path
    resume: bool = False
    fresh: bool = False
    time_limit: float | None = None
    only: str | None = None
    jobs: int = 1
    cwd: Path | None = None
    sandbox: str = "none"
    warm: bool | None = None  # None: where there are enough notebooks for it
    cell_limit: float | None = None  # minutes
    memory: float | None = None  # GiB


def run_batch(paths: Sequence[Path], values: dict[str, Any], options: BatchOptions) -> None:
    """Run the notebooks, print and write the table; exit code 1 when one of them did not run."""
    console, folder = make_console(), options.folder
    found = find_notebooks(paths)
    check_state(folder)
    names, notes = choose_names(found, folder)
    picked = chosen_by(names, options.only)
    notebooks, names = [found[i] for i in picked], [names[i] for i in picked]
    _check_parameters(notebooks, values)
    _make_way(folder, names, options)
    for note in notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)
    end: BaseException | None = None
    try:
        with _custody(len(notebooks), options, console) as custody:
            results = _execute(notebooks, names, values, options, console, custody)
    except (Interrupted, BatchEnded) as stopped:
        results, end = stopped.results, stopped
    reached = {result.name: result for result in results}
    results = [
        reached.get(name) or NotebookResult(name, Path(os.path.realpath(path)), "not_run")
        for name, path in zip(names, notebooks, strict=True)
    ]
    _report(console, folder, results)
    if end:
        raise end
    if not all(result.ok for result in results):
        sys.exit(1)


def chosen_by(names: Sequence[str], only: str | None) -> list[int]:
    """Places of the names that begin as `--only` says; all without it."""
    starts = tuple(part.strip() for part in (only or "").split(",") if part.strip())
    picked = [i for i, name in enumerate(names) if not only or name.startswith(starts)]
    if not picked:
        known = ", ".join(names)
        raise UsageError(f"--only {only}: no notebook begins so", f"there are: {known}")
    return picked


def _check_parameters(notebooks: Sequence[Path], values: dict[str, Any]) -> None:
    """Refuse what no notebook would get: a parameter that some declare is passed to those."""
    try:
        validate_parameters(notebooks, values)
    except CourseError as error:
        raise UsageError(error.message, error.cure) from None
    if values and not any(_declares(path, values) for path in notebooks):
        name = next(iter(values))
        option = f"--{name}" if name in ("preset", "track", "seed") else f"-p {name}"
        raise UsageError(
            f"{option}: none of these notebooks has a parameter {name}",
            "leave it out, or tag the cell that sets it 'parameters' (in Jupyter: cell tags)",
        )


def _declares(path: Path, values: dict[str, Any]) -> bool:
    try:
        return bool(set(values) & (declared_parameters(read_notebook(path)) or set()))
    except CourseError:
        return False


def _make_way(folder: Path, names: Sequence[str], options: BatchOptions) -> None:
    """Never mix two runs of a notebook, never delete one; other notebooks' copies may lie there."""
    before = [name for name in names if name in read_state(folder)]
    if options.resume or not before:
        return
    if not options.fresh:
        more = f" and {len(before) - 1} more" if len(before) > 1 else ""
        raise UsageError(
            f"{folder} already holds a run of {before[0]}{more}",
            "add --resume to go on with it, --fresh to start again (the old one is kept aside), "
            "or --out for another folder",
        )
    if foreign := foreign_files(folder):
        raise UsageError(
            f"{folder} can't be kept aside: it holds {foreign[0]}, which is not of this command",
            "move that elsewhere, or choose --out for another folder",
        )
    keep_aside(folder)


def keep_aside(folder: Path) -> None:
    """Move an earlier run out of the way, under its name and the time; nothing is deleted."""
    aside = folder.with_name(f"{folder.name}.old-{datetime.now():%Y%m%d-%H%M%S}")
    shutil.move(folder, aside)
    print(f"the earlier run was moved to {aside}")


def _execute(
    notebooks: Sequence[Path],
    names: Sequence[str],
    values: dict[str, Any],
    options: BatchOptions,
    console: Any,
    custody: Custody | None,
) -> list[NotebookResult]:
    return execute_notebooks(
        notebooks,
        options.folder,
        values,
        _environment(options),
        time_limit_minutes=options.time_limit or MINUTES,
        resume=options.resume,
        stop_on_failure=False,
        console=console,
        cwd=options.cwd,
        names=names,
        workers=options.jobs,
        custody=custody,
    )


def _environment(options: BatchOptions) -> dict[str, str]:
    machine = hardware.detect()
    threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
    return hardware.kernel_environment(machine, max(threads // options.jobs, 1))


@contextlib.contextmanager
def _custody(count: int, options: BatchOptions, console: Any) -> Iterator[Custody | None]:
    """The sandbox for a batch, or None: then the notebooks run with our rights, in their folders.

    Raises CourseError where `auto` finds nothing that keeps strangers in.
    """
    if options.sandbox == "none" and not options.warm:
        if options.warm is None:
            _say(console, OWN_RIGHTS)
        yield None
        return
    if options.cwd:
        raise UsageError("--cwd and --sandbox were both given", "in the sandbox, leave --cwd out")
    tried = choose_level(options.sandbox)
    if options.sandbox == "auto" and not is_for_strangers(tried.level):
        lines = "; ".join(one.line() for one in probe() if is_for_strangers(one.level))
        raise CourseError(
            f"no sandbox here that keeps strangers' work in ({lines})",
            f"mend one of these, or, for people you trust, --sandbox {tried.level}",
        )
    warm = options.warm if options.warm is not None else count >= WARM_FROM
    limits = _limits(options)
    with Sandbox(
        tried.level, warm=warm, cache=packages.cache_folder(), environment=_environment(options)
    ) as box:
        start = "warm" if box.warm else f"fresh ({box.warm_problem})" if warm else "fresh"
        _say(console, f"sandbox {tried.line()}; processes start {start}")
        if box.warm:
            told = box.wait_until_warm()
            _say(console, f"the warm server imported its libraries in {told['seconds']:.0f} s")
        with WorkerServer() if box.warm else contextlib.nullcontext() as workers:
            yield Custody(box, limits, workers=workers)


def _limits(options: BatchOptions) -> Limits:
    limits = Limits(wall=(options.time_limit or MINUTES) * 60)
    if options.cell_limit:
        limits = limits.with_changes(cell=options.cell_limit * 60)
    if options.memory:
        limits = limits.with_changes(memory=int(options.memory * GIB))
    return limits


def _say(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _report(console: Any, folder: Path, results: Sequence[NotebookResult]) -> None:
    """The table and what went wrong, on the screen and as files."""
    console.print(summary_table(results))
    ran = [result for result in results if result.ok]
    for result in results:
        if not result.ok and result.status != "not_run":
            console.print("\n".join(failure_lines(result)), markup=False, soft_wrap=True)
    console.print(
        f"{len(ran)} of {len(results)} notebooks ran. Copies: {folder}",
        markup=False,
        soft_wrap=True,
    )
    try:
        table, sheet = write_results(folder, results)
        console.print(f"Results: {table} and {sheet}", markup=False, soft_wrap=True)
    except CourseError as error:  # what went wrong before it matters more
        console.print(f"{error.message}; {error.cure}", markup=False, soft_wrap=True)
