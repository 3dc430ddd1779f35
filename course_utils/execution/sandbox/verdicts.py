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
    "message": "output in one piece of more than {limit}",
    "ended": "ended from outside",
    "abandoned": "ended, because the run that started it was gone",
}
SIZES = ("memory", "disk", "output", "message")


@dataclass(frozen=True)
class Verdict:
    """How a run ended.

    `reason` is for programs: finished, failed, died, exited, protocol, rejected, not started, not
    gradable, ended, abandoned, or a limit (`SENTENCES`). `text` is for people. Cells are
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
    if reason == "message":
        return SENTENCES[reason].format(limit=as_size(limit or 0))
    if reason in SIZES and used is not None and limit is not None:
        first, second = as_size(used), as_size(limit)
        same = first.split()[1] == second.split()[1]
        return SENTENCES[reason].format(used=first.split()[0] if same else first, limit=second)
    return SENTENCES[reason].format(used=used, limit=limit)


def ending(code: int | None) -> str:
    """SIGSEGV, or exit code 3."""
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def notebook_verdict(
    judged: dict[str, Any], end: dict[str, Any], reached: list[int], failed: list[int]
) -> Verdict:
    """The verdict over a notebook.

    `judged` is what its executed copy says (status, cell, cells, error), `end` what its keeper and
    its guard told ({} for a run without them).
    """
    cell, error = judged.get("cell"), judged.get("error", "")
    common = {"cell": cell, "cells": judged.get("cells", 0), "reached": reached, "failed": failed}
    where = f" in cell {cell}" if cell else " before the first cell"
    reason, used, limit = end.get("reason"), end.get("used"), end.get("limit")
    if reason in ("wall", "cell"):
        what = "the notebook" if reason == "wall" else "a cell"
        text = f"time limit{where} ({limit:g} s for {what})"
        return Verdict(reason, text, used=used, limit=limit, **common)
    if reason and reason != "ended":  # `ended`: the client let go of a kernel that was done
        text = limit_sentence(reason, used, limit) + where
        return Verdict(reason, text, used=used, limit=limit, **common)
    if judged["status"] == "done":
        return Verdict("finished", "finished", **common)
    if judged["status"] == "invalid":
        return Verdict("rejected", f"rejected: {error}", **common)
    if judged["status"] == "timed_out":
        return Verdict("wall", f"time limit{where}", **common)
    if error.startswith("DeadKernelError"):
        code = end.get("code")
        how = "" if code is None else f" ({ending(code)})"
        return Verdict("died", f"kernel died{where}{how}", **common)
    if error.startswith("SystemExit"):
        return Verdict("exited", f"stopped by sys.exit{where}", **common)
    name = error.partition(":")[0] or judged["status"]
    if judged.get("protocol"):
        return Verdict("protocol", f"the kernel sent what is no message{where} ({name})", **common)
    return Verdict("failed", f"{name}{where}", **common)


def command_verdict(end: dict[str, Any]) -> Verdict:
    """The verdict over a command, from what its keeper told at the end."""
    reason, code = end.get("reason"), end.get("code")
    used, limit = end.get("used"), end.get("limit")
    if reason:
        return Verdict(reason, limit_sentence(reason, used, limit), used=used, limit=limit)
    if code == 0:
        return Verdict("finished", "finished")
    if code is None or code < 0:
        return Verdict("died", f"died ({ending(code)})")
    return Verdict("failed", f"ended with {ending(code)}")
