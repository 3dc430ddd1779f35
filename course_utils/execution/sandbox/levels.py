"""What this machine can do: each level is tried for real, and tells why it does not work here."""

import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.sandbox import bubblewrap, landlock
from course_utils.execution.sandbox.box import LEVELS, Outcome, Sandbox
from course_utils.execution.sandbox.filter import CURE as FILTER_CURE
from course_utils.execution.sandbox.filter import compile_filter
from course_utils.execution.sandbox.limits import MIB, Limits

STRANGERS = "landlock"  # the weakest level for work of people that one does not trust
TRIAL = Limits(wall=60, memory=512 * MIB, processes=64, disk=16 * MIB)
# Runs inside: what of the outside can be reached? Only this Python and the kit may be.
CHECK = """
import json, socket, sys
secret, port = sys.argv[1], int(sys.argv[2])
found = {"read": False, "write": False, "network": False, "datagrams": False}
try:
    open(secret).read(); found["read"] = True
except OSError: pass
try:
    open(secret, "a"); found["write"] = True
except OSError: pass
try:
    socket.create_connection(("127.0.0.1", port), 2); found["network"] = True
except OSError: pass
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
    found["datagrams"] = "net" not in sys.argv[3:]
except OSError: pass
open("mine", "w").write("x")
import course_utils, psutil, encodings.idna
print(json.dumps(found))
"""
OPEN = {
    "read": "a file outside could be read",
    "write": "a file outside could be written",
    "network": "the network could be reached",
}


@dataclass(frozen=True)
class Tried:
    """A level on this machine. `notes` are weaknesses that it has here although it works."""

    level: str
    works: bool
    why: str = ""
    cure: str = ""
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        if self.works:
            return "; ".join([f"{self.level}: works", *self.notes])
        return f"{self.level}: {self.why}" + (f" (cure: {self.cure})" if self.cure else "")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@cache
def probe() -> tuple[Tried, ...]:
    """Try each level, the strongest first; under a second for each."""
    return tuple(_try(level) for level in LEVELS)


def choose_level(wanted: str = "auto") -> Tried:
    """The strongest level that works, or the one that is wanted.

    Raises CourseError where that one does not work here, with the reason and its cure.
    """
    if wanted == "auto":
        return next(tried for tried in probe() if tried.works)
    if wanted not in LEVELS:
        raise CourseError(
            f"--sandbox {wanted}: no such level", f"use auto or one of {', '.join(LEVELS)}"
        )
    [tried] = [tried for tried in probe() if tried.level == wanted]
    if not tried.works:
        raise CourseError(f"--sandbox {wanted} does not work here: {tried.why}", tried.cure)
    return tried


def is_for_strangers(level: str) -> bool:
    """Whether a level keeps a hostile submission from the machine."""
    return LEVELS.index(level) <= LEVELS.index(STRANGERS)


def _try(level: str) -> Tried:
    if sys.platform == "win32":
        works = level == "none"
        return Tried(level, works, "" if works else "not on Windows", "run the kit in WSL2")
    if level == "none":
        return Tried(level, True, notes=["submissions run with your rights"])
    missing = _missing(level)
    if missing:
        return Tried(level, False, *missing)
    with _bait() as (secret, port), Sandbox(level) as box:
        own_network = ["net"] if level == "bwrap" else []
        command = [sys.executable, "-P", "-c", CHECK, str(secret), str(port), *own_network]
        try:
            outcome = box.run_command(command, box.place(), TRIAL)
        except OSError as error:
            return Tried(level, False, f"{error.filename or ''}: {error.strerror}", "")
    return _judge(level, outcome)


def _missing(level: str) -> tuple[str, str] | None:
    if level == "bwrap" and not bubblewrap.program():
        return (
            "bubblewrap is not installed",
            "apt-get install bubblewrap, or dnf install bubblewrap",
        )
    if level == "landlock" and not landlock.abi():
        return "this kernel has no Landlock", "Linux 5.13 or newer with Landlock in CONFIG_LSM"
    if level == "landlock" and os.getuid() != 0 and not compile_filter():
        return "services of your own session could be reached over their sockets", FILTER_CURE
    return None


@contextlib.contextmanager
def _bait() -> Iterator[tuple[Path, int]]:
    """A file and a server of ours that nobody inside may reach."""
    with tempfile.TemporaryDirectory(prefix="course-bait-") as folder, socket.socket() as server:
        secret = Path(folder) / "secret"
        secret.write_text("of the grader", encoding="utf-8")
        Path(folder).chmod(0o755)
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield secret, server.getsockname()[1]


def _judge(level: str, outcome: Outcome) -> Tried:
    if not outcome.verdict.ok:
        text = f"{outcome.verdict.text}\n{outcome.stderr}".strip()
        if level == "bwrap":
            return Tried(level, False, *bubblewrap.failure(text))
        return Tried(level, False, text.splitlines()[-1][:300], _cure(text))
    found = json.loads(outcome.stdout)
    is_open = [words for what, words in OPEN.items() if found[what]]
    if is_open and is_for_strangers(level):
        return Tried(level, False, ", ".join(is_open), FILTER_CURE)
    return Tried(level, True, notes=_notes(level, found["datagrams"]))


def _cure(text: str) -> str:
    if "past closed folders" in text or "Permission denied" in text:
        return "chmod o+x the folder that holds Python or the kit, or work as an ordinary user"
    return ""


def _notes(level: str, datagrams: bool) -> list[str]:
    if level == "limits":
        return ["time, memory, processes and disk are limited; files and network stay open"]
    notes = []
    if not compile_filter():
        notes.append(f"no filter of system calls: {FILTER_CURE}")
    if level == "landlock" and landlock.abi() < landlock.SIGNAL_ABI:
        notes.append("signals to processes of the same user are not stopped (Linux 6.12 does)")
    if datagrams:
        notes.append("UDP packets are not stopped")
    if level == "landlock":
        notes.append("no /dev/shm: a DataLoader needs num_workers=0")
    return notes
