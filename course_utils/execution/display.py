"""Showing where a run stands, and its table at the end."""

from collections.abc import Sequence
from typing import Any

from course_utils.execution.jobs import Job, NotebookResult
from course_utils.execution.state import plain

PLAIN_LINE_SECONDS = 60


def format_seconds(seconds: float) -> str:
    """45 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Where the whole run stands; `pace` is how much slower than expected this machine is."""

    def __init__(self, jobs: Sequence[Job], workers: int = 1):
        self.jobs, self.workers = list(jobs), workers
        self.took = self.should_take = 0.0

    def finished(self, job: Job, seconds: float) -> None:
        if job.expected:
            self.took, self.should_take = self.took + seconds, self.should_take + job.expected

    @property
    def pace(self) -> float:
        return min(max(self.took / self.should_take, 0.2), 5.0) if self.should_take else 1.0

    def remaining(self, index: int, elapsed: float, share: float = 0.0) -> float | None:
        """Seconds until all are done, while job `index` runs for `elapsed` seconds; None: unknown.

        `share` (0..1) is how much of its cells the job has done; it serves where no time is known.
        """
        if self.workers > 1:  # several at a time: which ones end when, nobody knows
            return None
        expected = [job.expected for job in self.jobs[index:]]
        if expected[0] is None and share > 0:
            expected[0] = elapsed / share / self.pace
        if any(seconds is None for seconds in expected):
            return None
        now, *later = [seconds * self.pace for seconds in expected]
        return max(now - elapsed, 0.0) + sum(later)


class PlainDisplay:
    """For logs: one line at the start and end of a notebook, one a minute between."""

    def __init__(self, console: Any, jobs: Sequence[Job], workers: int = 1):
        self.console, self.progress = console, Progress(jobs, workers)
        self.next_line: dict[int, float] = {}

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def say(self, text: str) -> None:
        self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def heading(self, index: int) -> str:
        return f"[{index + 1}/{len(self.progress.jobs)}] {self.progress.jobs[index].name}"

    def start(self, index: int) -> None:
        self.next_line[index] = PLAIN_LINE_SECONDS
        expected = self.progress.jobs[index].expected
        about = f" (about {format_seconds(expected * self.progress.pace)})" if expected else ""
        self.say(f"{self.heading(index)}: started{about}")

    def tick(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> None:
        if elapsed < self.next_line[index]:
            return
        self.next_line[index] = elapsed + PLAIN_LINE_SECONDS
        self.say(f"{self.heading(index)}: {self.describe(index, elapsed, cell, cells, fine)}")

    def describe(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> str:
        parts = [f"cell {cell}/{cells}" if cells else "starting", format_seconds(elapsed)]
        if fine:
            parts.insert(1, f"{fine['done'] / fine['total']:.0%} {fine['text']}".strip())
        left = self.progress.remaining(index, elapsed, _share(cell, cells, fine))
        parts += [f"about {format_seconds(left)} left"] if left else []
        return ", ".join(parts)

    def end(self, index: int, result: NotebookResult) -> None:
        if result.status == "done":
            self.progress.finished(self.progress.jobs[index], result.seconds)
        line = f"{self.heading(index)}: {result.status.replace('_', ' ')}"
        if result.status == "skipped":
            line += " (finished before with the same settings)"
        elif result.status != "invalid":
            line += f" after {format_seconds(result.seconds)}"
        self.say(line)


class TerminalDisplay(PlainDisplay):
    """A bar for each running notebook, redrawn in place; a line stays for each that ended."""

    def __init__(self, console: Any, jobs: Sequence[Job], workers: int = 1):
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        super().__init__(console, jobs, workers)
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")]
        self.bars = Bars(*columns, console=console, transient=True)
        self.tasks: dict[int, Any] = {}

    def __enter__(self) -> "TerminalDisplay":
        self.bars.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bars.stop()

    def start(self, index: int) -> None:
        from rich.markup import escape

        title = escape(self.heading(index))
        self.tasks[index] = self.bars.add_task(title, total=None, text="starting")

    def tick(self, index: int, elapsed: float, cell: int, cells: int, fine: dict) -> None:
        from rich.markup import escape

        text = escape(self.describe(index, elapsed, cell, cells, fine))
        done = _share(cell, cells, fine)
        self.bars.update(self.tasks[index], total=1.0 if cells else None, completed=done, text=text)

    def end(self, index: int, result: NotebookResult) -> None:
        if index in self.tasks:
            self.bars.remove_task(self.tasks.pop(index))
        super().end(index, result)


def _share(cell: int, cells: int, fine: dict) -> float:
    """The part of a notebook that is done, 0..1: the cells before this one, and part of this."""
    inside = fine["done"] / fine["total"] if fine else 0.0
    return max(cell - 1 + inside, 0.0) / cells if cells else 0.0


def failure_lines(result: NotebookResult) -> list[str]:
    """Three lines for a person: notebook and cell, the error (with its cure), the log's path."""
    place = "not started" if result.status == "invalid" else "before its first cell"
    if result.cell:
        place = f"cell {result.cell} of {result.cells}"
    error = "; ".join(filter(None, [result.error, result.cure]))
    where = f"Log: {result.log}" if result.log else f"Notebook: {result.source}"
    lines = [f"{result.name}, {place}", error or result.status, where]
    return [plain(line) for line in lines]


def _in_short(result: NotebookResult) -> str:
    """The verdict; the error where a cell failed, which says more than the cell's number."""
    if result.verdict is None or result.verdict.reason in ("failed", "rejected"):
        return result.error
    return "" if result.verdict.ok else result.verdict.text


def summary_table(results: Sequence[NotebookResult]) -> Any:
    """A rich table, one row a notebook: name, status, time, cell, error."""
    from rich.table import Table
    from rich.text import Text

    colours = {"done": "green", "skipped": "cyan", "interrupted": "yellow"}
    table = Table("Notebook", "Status", "Time", "Cell", "Verdict")
    for result in results:
        ran = result.status not in ("skipped", "invalid", "not_run")
        table.add_row(
            Text(result.name),
            Text(result.status.replace("_", " "), style=colours.get(result.status, "red")),
            format_seconds(result.seconds) if ran else "",
            f"{result.cell}/{result.cells}" if result.cell and result.status != "skipped" else "",
            Text(plain(_in_short(result))),
        )
    return table
