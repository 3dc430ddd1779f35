"""Where a batch stands: submissions done of all, and what runs now."""

import threading
import time
from typing import Any

from course_utils.assignments.folder import show
from course_utils.execution.display import format_seconds
from course_utils.grading.numbers import points_text
from course_utils.grading.results import Result

LINE_SECONDS = 60  # for logs: a line about what runs, so often


class PlainDisplay:
    """For logs: a line for each submission that ended, one a minute about what runs."""

    def __init__(self, console: Any, total: int, done: int) -> None:
        self.console, self.total, self.done = console, total, done
        self.running: dict[str, tuple[float, str]] = {}  # submission -> since, the item
        self.guard = threading.Lock()
        self.began = self.told = time.monotonic()
        self.before = done  # finished before this run

    def __enter__(self) -> "PlainDisplay":
        if self.before:
            self.say(f"{self.before} of {self.total} submissions are graded already")
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        self.console.print(show(text, 400), markup=False, highlight=False, soft_wrap=True)

    def start(self, name: str) -> None:
        with self.guard:
            self.running[name] = (time.monotonic(), "opening")

    def at(self, name: str, item: str) -> None:
        """The item that is looked at now."""
        with self.guard:
            since, _ = self.running.get(name, (time.monotonic(), ""))
            self.running[name] = (since, item)

    def end(self, name: str, result: Result) -> None:
        with self.guard:
            self.running.pop(name, None)
            self.done += 1
            self.say(f"[{self.done}/{self.total}] {name}: {in_short(result)}")

    def tick(self) -> None:
        if time.monotonic() - self.told > LINE_SECONDS:
            self.told = time.monotonic()
            self.say(f"{self.done} of {self.total}: {self.now()}")

    def now(self) -> str:
        """What runs, since when, and how long the rest will take at this pace."""
        with self.guard:
            parts = [
                f"{name} ({item}, {format_seconds(time.monotonic() - since)})"
                for name, (since, item) in sorted(self.running.items())
            ]
            own, left = self.done - self.before, self.total - self.done
        pace = (time.monotonic() - self.began) / own if own else None
        if pace and left:
            parts.append(f"about {format_seconds(pace * left)} left")
        return ", ".join(parts)


class TerminalDisplay(PlainDisplay):
    """One bar, redrawn in place; a line stays for each submission that ended."""

    def __init__(self, console: Any, total: int, done: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__(console, total, done)
        columns = [TextColumn("graded {task.completed:.0f}/{task.total:.0f}"), BarColumn()]
        self.bars = Progress(
            *columns, TextColumn("{task.description}"), console=console, transient=True
        )
        self.bar = self.bars.add_task("", total=total, completed=done)

    def __enter__(self) -> "TerminalDisplay":
        super().__enter__()
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def tick(self) -> None:
        from rich.markup import escape

        self.bars.update(self.bar, completed=self.done, description=escape(self.now()))


def display_for(console: Any, total: int, done: int) -> PlainDisplay:
    """A bar on a terminal, lines elsewhere."""
    return (TerminalDisplay if console.is_terminal else PlainDisplay)(console, total, done)


def in_short(result: Result) -> str:
    """The verdict, the points of the computer's items, the time."""
    judged = [item for item in result.items if item.points is not None]
    points = f"{points_text(sum(item.points or 0 for item in judged))} of "
    points += f"{points_text(sum(item.max for item in judged))} points judged so far, "
    return f"{result.verdict}; {points if judged else ''}{format_seconds(result.seconds)}"
