"""How a run ended, in a name and a sentence: never a library's own status."""

import signal
from dataclasses import asdict, dataclass, field
from typing import Any

from course_utils.execution.sandbox.limits import as_size

# What a keeper tells -> the sentence, with {used} and {limit}.
SENTENCES = {
    "memory": "memory {used} of {limit}",
    "disk": "disk {used} of {limit}",
    "output": "output {used} of {limit}",
    "files": "{used:.0f} files of at most {limit:.0f}",
    "processes": "{used:.0f} processes and threads of at most {limit:.0f}",
    "cpu": "CPU time {used:.0f} of {limit:.0f} s",
    "wall": "time limit {limit:g} s",
    "cell": "time limit {limit:g} s for a cell",
    "ended": "ended from outside",
    "abandoned": "ended, because the run that started it was gone",
}
SIZES = ("memory", "disk", "output")


@dataclass(frozen=True)
class Verdict:
    """How a run ended.

    `reason` is for programs: finished, failed, died, exited, rejected, not gradable, or a limit
    (wall, cell, cpu, memory, processes, disk, files, output). `text` is for people. Cells are
    counted as Jupyter's In [n]; `reached` began, `failed` raised. Bytes or seconds for `used`.
    """

    reason: str
    text: str
    cell: int | None = None
    cells: int = 0
    reached: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    used: float | None = None
    limit: float | None = None

    @property
    def ok(self) -> bool:
        return self.reason == "finished"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def limit_sentence(reason: str, used: float | None, limit: float | None) -> str:
    """'memory 3.1 of 3.0 GiB'."""
    if reason in SIZES and used is not None and limit is not None:
        first, second = as_size(used), as_size(limit)
        same = first.split()[1] == second.split()[1]
        return SENTENCES[reason].format(used=first.split()[0] if same else first, limit=second)
    return SENTENCES[reason].format(used=used, limit=limit)


def death(code: int | None) -> str:
    """'died (SIGSEGV)', 'ended with exit code 3'."""
    if code is not None and code < 0:
        return f"died ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


def command_verdict(end: dict[str, Any]) -> Verdict:
    """The verdict over a command, from what its keeper told at the end."""
    reason, code = end.get("reason"), end.get("code")
    used, limit = end.get("used"), end.get("limit")
    if reason:
        return Verdict(reason, limit_sentence(reason, used, limit), used=used, limit=limit)
    if code == 0:
        return Verdict("finished", "finished")
    return Verdict("died" if code is None or code < 0 else "failed", death(code))
