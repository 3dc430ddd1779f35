"""Ending processes, and all that they started; a worker's leash to the run that started it."""

import contextlib
import ctypes
import os
import select
import sys
import time
from collections.abc import Callable, Iterable

import psutil


def is_gone(process: psutil.Process) -> bool:
    """Ended; a zombie counts, because a container's first process may never collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_gone(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait at most `seconds`; return the processes that still run."""
    deadline = time.monotonic() + seconds
    while (alive := [p for p in processes if not is_gone(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def descendants(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end_processes(processes: Iterable[psutil.Process], grace: float) -> None:
    """Ask the processes to end, wait at most `grace` seconds, then kill what is left."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in wait_gone(processes, grace):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_gone(processes, 5)


def adopt_orphans() -> None:
    """On Linux, a daemon that a cell starts becomes our child, so it can be found and ended."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def hold_leash(parent: int, cleanup: Callable[[], None]) -> None:
    """Block until the parent is gone, then end everything that this worker started."""
    # The pipe closes with the parent. Its process number is asked for as well, every second, since
    # another process that inherited the pipe would hold it open.
    if os.name == "posix":
        while os.getppid() == parent and not select.select([0], [], [], 1.0)[0]:
            pass
    else:
        os.read(0, 1)
    end_processes(descendants(os.getpid()), grace=1)
    cleanup()
    os._exit(1)
