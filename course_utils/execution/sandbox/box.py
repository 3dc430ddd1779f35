"""The sandbox: places for submissions, keepers that run them, and what came of it.

with Sandbox("auto") as box:
    place = box.place()
    outcome = box.run_command([sys.executable, "train.py"], place, Limits())
    outcome.verdict.text   # "finished", "memory 3.1 of 3.0 GiB", ...
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.execution.sandbox import bubblewrap, landlock, users
from course_utils.execution.sandbox import place as places
from course_utils.execution.sandbox.confinement import Confinement
from course_utils.execution.sandbox.filter import compile_filter
from course_utils.execution.sandbox.leash import Leash
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.sandbox.place import Place
from course_utils.execution.sandbox.privileges import closed_to_others
from course_utils.execution.sandbox.system import (
    environment_for,
    gpu_devices,
    inside_folders,
    kit_folders,
    python_folders,
    system_folders,
)
from course_utils.execution.sandbox.verdicts import Verdict, command_verdict

LEVELS = ("bwrap", "landlock", "limits", "none")  # from the strongest
KEEPER = "from course_utils.execution.sandbox.keeper import main; main()"
ZYGOTE = "from course_utils.execution.warm.zygote import main; main()"
CALL = "course_utils.execution.warm.call"
PREFIX = "course-box-"
KEPT_TEXT = 1_000_000  # bytes of stdout and of stderr that an outcome keeps


@dataclass(frozen=True)
class Outcome:
    """What came of a command: the verdict, what it printed, what it used."""

    verdict: Verdict
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    level: str
    warm: bool


class Sandbox:
    """One level for a batch of submissions; with `warm`, a zygote that has imported everything.

    `readable` are further files and folders that submissions may read (a base model). `environment`
    is that of all submissions, `cache` the kit's folder of prepared models. `imports` replaces the
    zygote's list: "module", "module:name", or "module:function()", which is called once; no tensor
    operation may happen there. Raises CourseError for a level that this machine has not.
    """

    def __init__(
        self,
        level: str,
        warm: bool = False,
        readable: Iterable[Path] = (),
        environment: Mapping[str, str] | None = None,
        cache: Path | None = None,
        imports: Sequence[str] | None = None,
    ):
        if level not in LEVELS:
            raise CourseError(f"sandbox {level}: no such level", f"use one of {', '.join(LEVELS)}")
        self.level, self.environment = level, dict(environment or {})
        self.root_user = hasattr(os, "getuid") and os.getuid() == 0
        self.cache = cache or Path(os.environ.get("COURSE_CACHE", "/nonexistent"))
        extra = [str(Path(path).resolve()) for path in readable]
        self.extra = [*extra, *([str(self.cache)] if self.cache.exists() else [])]
        self.imports = imports
        self.devices = gpu_devices()
        self.warm_problem = self._why_not_warm() if warm else "--no-warm"
        self.warm = not self.warm_problem
        self.numbers = itertools.count(1)
        self.zygote: subprocess.Popen | None = None
        self.zygote_lock = threading.Lock()

    def _why_not_warm(self) -> str:
        """Why children can not be forked from a zygote here; "" if they can."""
        if sys.platform != "linux":
            return "fork is not safe on this system"
        scoped = landlock.abi() >= landlock.SIGNAL_ABI
        if self.level in ("bwrap", "landlock") and not (self.root_user or scoped):
            return "this kernel can not keep one submission's signals from another"
        return ""

    def __enter__(self) -> "Sandbox":
        self.stack = contextlib.ExitStack()
        # bwrap's children end with the thread that started it, which may be any judge's.
        self.starter = self.stack.enter_context(ThreadPoolExecutor(1, "zygote"))
        if self.root_user:
            self.users = self.stack.enter_context(users.claimed())
        sweep(Path(tempfile.gettempdir()))
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
        self.root.chmod(0o711)
        self.library = self.root / "library"
        self.library.mkdir(mode=0o755)
        (self.library / "course_utils").symlink_to(kit.ROOT / "course_utils")
        self.readable = self._readable()
        self.filter = compile_filter(network=False, connect=self.may_connect())
        if self.warm:
            self.starter.submit(self._start_zygote).result()
        return self

    def __exit__(self, *_: Any) -> None:
        self._end_zygote()
        self.stack.close()
        for outer in self.root.glob("[0-9]*"):
            places.remove(Place(outer))
        shutil.rmtree(self.root, ignore_errors=True)

    def may_connect(self) -> bool:
        """With its own user or process table, a submission finds no service that obeys it."""
        return self.root_user or self.level == "bwrap"

    def _readable(self) -> tuple[str, ...]:
        paths = [*system_folders(), *python_folders(), *kit_folders(), *self.extra]
        paths.append(str(self.library))
        if self.level == "bwrap" and self.devices:
            paths.append("/sys")
        kept: list[str] = []
        for path in sorted(dict.fromkeys(paths), key=len):
            if not any(path.startswith(f"{other}/") for other in kept):
                kept.append(path)
        return tuple(kept)

    # --- Places -------------------------------------------------------------------------------

    def place(self) -> Place:
        """A new folder that one submission may write to, with a user of its own under root."""
        number = next(self.numbers)
        own = self.root_user and self.level in ("bwrap", "landlock")
        uid = self.users[(number - 1) % len(self.users)] if own else None
        return places.make_place(self.root / str(number), uid)

    # --- Keepers ------------------------------------------------------------------------------

    def lease(self, place: Place) -> Leash:
        """A keeper that waits for a request (`Leash.begin`)."""
        ours, theirs = socket.socketpair()
        with theirs:
            if self.warm and self._fork_keeper(theirs):
                return Leash(ours)
            return Leash(ours, self._start_keeper(theirs, place))

    def _start_keeper(self, connection: socket.socket, place: Place) -> subprocess.Popen:
        words = [sys.executable, "-P", "-c", KEEPER, str(connection.fileno())]
        if self.level == "bwrap":
            writable = [str(place.outer)]
            words = bubblewrap.command(words, self.readable, writable, self.devices)
        with (self.root / f"{place.outer.name}.log").open("wb") as log:
            return subprocess.Popen(
                words,
                pass_fds=[connection.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment_for(place.folder, self.library, self.cache, self.environment),
                start_new_session=True,
            )

    def request(
        self,
        place: Place,
        argv: Sequence[str],
        limits: Limits,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> dict[str, Any]:
        """What a keeper is asked for."""
        more = {**self.environment, **(environment or {})}
        confined = self.level in ("bwrap", "landlock")
        inside = self.level == "landlock" or (self.level == "bwrap" and self.warm)
        writable = [str(place.outer)]
        readable = [*self.readable, *inside_folders(self.devices)]
        shared = self.level == "bwrap" and (self.root_user or not self.warm)
        writable += ["/dev/shm"] if shared else []
        closed = any(closed_to_others(path) for path in self.readable)
        confinement = Confinement(
            level=self.level,
            uid=place.uid,
            readable=tuple(readable),
            listable=(str(kit.ASSIGNMENTS),),  # how the kit finds what an assignment asks for
            writable=tuple(writable),
            devices=tuple(self.devices),
            landlock=inside and landlock.abi() > 0,
            keep_reading=self.level == "landlock" and self.root_user and closed,
            seccomp=base64.b64encode(self.filter).decode() if confined else "",
            own_user=place.uid is not None or (self.level == "bwrap" and not self.warm),
        )
        return {
            "argv": [str(word) for word in argv],
            "cwd": str(cwd or place.folder),
            "environment": environment_for(place.folder, self.library, self.cache, more),
            "limits": limits.as_json(),
            "confinement": confinement.as_json(),
            "watched": [str(place.outer)],
            "shared": place.uid if self.level == "bwrap" and self.warm else None,
        }

    # --- The zygote ---------------------------------------------------------------------------

    def _start_zygote(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [sys.executable, "-P", "-c", ZYGOTE, str(theirs.fileno())]
        words += [json.dumps(list(self.imports))] if self.imports is not None else []
        if self.level == "bwrap":
            words = bubblewrap.command(
                words, self.readable, [str(self.root)], self.devices, several=True
            )
        (self.root / "nobody" / ".home" / "tmp").mkdir(parents=True, exist_ok=True)
        environment = environment_for(
            self.root / "nobody", self.library, self.cache, self.environment
        )
        with theirs, (self.root / "zygote.log").open("wb") as log:
            self.zygote = subprocess.Popen(
                words,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def wait_until_warm(self, seconds: float = 300) -> dict[str, Any]:
        """What the zygote tells when it has imported everything: {"seconds", "bytes", "modules"}.

        Raises CourseError where it does not come up, with the end of its log.
        """
        self.control.settimeout(seconds)
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self.control.recv(65536))
        log = (self.root / "zygote.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise CourseError(
            f"the warm server did not come up: {' '.join(log) or 'no word'}", "--no-warm"
        )

    def _fork_keeper(self, connection: socket.socket) -> bool:
        """Let the zygote fork a keeper; where it died, start a new one, once."""
        with self.zygote_lock:
            for _ in range(2):
                with contextlib.suppress(OSError):
                    socket.send_fds(self.control, [b"keep"], [connection.fileno()])
                    return True
                self._end_zygote()
                self.starter.submit(self._start_zygote).result()
        return False

    def _end_zygote(self) -> None:
        if self.zygote is None:
            return
        self.control.close()
        try:
            self.zygote.wait(5)
        except subprocess.TimeoutExpired:
            self.zygote.kill()
            self.zygote.wait()
        self.zygote = None

    # --- Commands -----------------------------------------------------------------------------

    def run_command(
        self,
        argv: Sequence[str],
        place: Place,
        limits: Limits,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        begun: Callable[[Leash], object] = lambda leash: None,
    ) -> Outcome:
        """Run a program in a place and wait for its end, whatever that is.

        `begun` gets its leash, by which another thread can end it.
        """
        started = time.monotonic()
        leash = self.lease(place)
        try:
            printed = _Printed(leash, limits.output, stdin)
            leash.begin(self.request(place, argv, limits, environment, cwd), printed.theirs)
            printed.let_go()
            begun(leash)
            wall = limits.wall + 60 if limits.wall else None  # the keeper's own clock comes first
            try:
                leash.wait(wall)
            except subprocess.TimeoutExpired:
                leash.kill("wall", limits.wall, limits.wall)
            stdout, stderr = printed.texts()
        finally:
            leash.close()
        end = leash.end or {"lost": True}
        return Outcome(
            self._not_started(place) if end.get("lost") else command_verdict(end),
            end.get("code"),
            stdout,
            stderr,
            round(time.monotonic() - started, 3),
            end.get("cpu", 0.0),
            end.get("peak", 0),
            self.level,
            self.warm,
        )

    def _not_started(self, place: Place) -> Verdict:
        """The keeper is gone without a word: bwrap failed, or something killed it."""
        log, text = self.root / f"{place.outer.name}.log", ""
        with contextlib.suppress(OSError):
            text = log.read_text(errors="replace").strip()
        return Verdict("not started", text[-300:] or "its keeper was killed")

    def call(
        self, function: str, arguments: Any, place: Place, limits: Limits
    ) -> tuple[Outcome, Any]:
        """Call "package.module:function" with one JSON value; (outcome, its answer or None).

        The answer is JSON in a file, read as `read_json_back` does: what a stranger's code could
        have written, so its form must be checked by whoever uses it.
        """
        asked = json.dumps(arguments).encode()
        command = [sys.executable, "-P", "-m", CALL, function, "answer.json"]
        with contextlib.suppress(OSError):
            (place.home / "answer.json").unlink()
        outcome = self.run_command(command, place, limits, stdin=asked)
        if not outcome.verdict.ok:
            return outcome, None
        return outcome, read_json_back(place, ".home/answer.json", limits)


def read_json_back(place: Place, name: str, limits: Limits) -> Any:
    """JSON that a submission wrote. Raises CourseError where it is no plain, small, valid file."""
    content = places.read_back(place, name, limits.answer)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CourseError(f"{name}: not valid JSON ({error})", "") from None


def sweep(folder: Path) -> None:
    """Remove what sandboxes of ours left that were ended by `kill -9`."""
    for left in folder.glob(f"{PREFIX}[0-9]*-*"):
        pid = int(left.name.removeprefix(PREFIX).partition("-")[0])
        with contextlib.suppress(OSError):
            if left.stat().st_uid == os.getuid() and not psutil.pid_exists(pid):
                places.remove(Place(left))


class _Printed:
    """The pipes of a command, read by threads: a bounded text stays, and too much ends it."""

    def __init__(self, leash: Leash, most: int, stdin: bytes):
        self.leash, self.most, self.size = leash, most, 0
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        self.theirs = [read_in, write_out, write_err]
        self.kept: list[bytearray] = [bytearray(), bytearray()]
        work = [
            (self._read, read_out, 0),
            (self._read, read_err, 1),
            (self._write, write_in, stdin),
        ]
        self.threads = [threading.Thread(target=t, args=a, daemon=True) for t, *a in work]
        for thread in self.threads:
            thread.start()

    def let_go(self) -> None:
        for number in self.theirs:
            os.close(number)

    def _read(self, number: int, index: int) -> None:
        kept = self.kept[index]
        with open(number, "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                self.size += len(piece)
                kept += piece[: KEPT_TEXT - len(kept)]
                if self.size > self.most:
                    self.leash.kill("output", self.size, self.most)
                    return

    def _write(self, number: int, text: bytes) -> None:
        with contextlib.suppress(OSError), open(number, "wb", buffering=0) as pipe:
            while text:
                text = text[pipe.write(text) :]

    def texts(self) -> tuple[str, str]:
        for thread in self.threads:
            thread.join(5)
        stdout, stderr = (bytes(kept).decode("utf-8", "replace") for kept in self.kept)
        return stdout, stderr
