"""Giving up privileges: rlimits, the user, capabilities, and getting them back (Linux, macOS)."""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

import psutil

from course_utils.execution.sandbox.limits import GIB, Limits

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_SET_NO_NEW_PRIVS = 4, 8, 47, 38
AMBIENT_RAISE = 2
DAC_READ_SEARCH = 2
CAPABILITY_VERSION = 0x20080522
OPEN_FILES = 2048
STACK_AND_LIBRARIES = (
    8 * GIB
)  # of address space; torch and its threads reserve much that they never use
CPU_GRACE = 5  # seconds: the keeper, which can say why, comes first


def set_rlimits(limits: Limits, own_user: bool, address_space: bool) -> None:
    """The system's own limits for this process and its children.

    They are the second line: the keeper sees memory, time and processes of the whole submission
    and names the reason. `own_user` says that no other process has this process's user.
    `address_space` must be False where a GPU's driver reserves hundreds of GiB.
    """
    import resource

    wanted = {"CORE": 0, "NOFILE": OPEN_FILES}
    if limits.cpu:
        wanted["CPU"] = int(limits.cpu) + CPU_GRACE
    if limits.disk:
        wanted["FSIZE"] = limits.disk
    if limits.memory and address_space and sys.platform == "linux":
        wanted["AS"] = 2 * limits.memory + STACK_AND_LIBRARIES
    if limits.processes:
        wanted["NPROC"] = limits.processes + (0 if own_user else _tasks_of_user())
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (value, value))


def _tasks_of_user() -> int:
    """Processes and threads that already count against this user's RLIMIT_NPROC."""
    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                found += process.num_threads()
    return found


def become(uid: int, keep_reading: bool) -> None:
    """Take another user and group, for good.

    With `keep_reading` the capability to read past closed folders stays: for a Python under /root,
    which only root may enter. Landlock then is what keeps other files closed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if keep_reading:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        _keep_only(libc, DAC_READ_SEARCH)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own /proc/self belongs to root


def _keep_only(libc: ctypes.CDLL, capability: int) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    bit = 1 << capability
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable
    if libc.capset(header, data) or libc.prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, capability, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"the right to read past closed folders: {os.strerror(error)}")


def no_new_privileges() -> None:
    """From here on no program gains rights by being started (sudo, setuid files)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def be_first_victim() -> None:
    """Where the machine's memory ends, the kernel kills a submission, not the grader."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def closed_to_others(path: str | os.PathLike) -> str:
    """The folder on the way to a path that another user can not enter; "" if there is none."""
    path = os.path.realpath(path)
    folders = [path, *map(str, Path(path).parents)]
    closed = (f for f in folders if os.path.isdir(f) and not os.stat(f).st_mode & 0o001)
    return next(closed, "")
