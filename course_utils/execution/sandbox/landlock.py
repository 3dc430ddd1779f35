"""Landlock: a process gives up files, network and signals for good (Linux, no privilege needed).

The system calls have no wrapper in the C library. Layout and numbers: linux/landlock.h, and
https://docs.kernel.org/userspace-api/landlock.html, where the ABI's versions are listed.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same number on every architecture
VERSION_FLAG, PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST_ABI_RIGHTS = (1 << 13) - 1
READING = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # what a rule for a file may say
BIND_CONNECT_TCP = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
TCP_ABI, SIGNAL_ABI = 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    call = ctypes.CDLL(None, use_errno=True).syscall
    return max(call(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG), 0)


def restrict(
    readable: Iterable[str],
    writable: Iterable[str],
    devices: Iterable[str],
    signals: bool = True,
    listable: Iterable[str] = (),
) -> None:
    """Allow this process and its children these paths only; no TCP, no signal to others.

    `readable` can be read and executed, of `listable` folders the names be listed. Paths that do
    not exist are left out. What the kernel's version does not know stays allowed (levels.py tells
    it). Raises OSError where Landlock fails.
    """
    version = abi()
    rights = _rights(version)
    ruleset = _Ruleset(
        rights,
        BIND_CONNECT_TCP if version >= TCP_ABI else 0,
        ABSTRACT_SOCKETS_AND_SIGNALS if version >= SIGNAL_ABI and signals else 0,
    )
    size = 8 if version < TCP_ABI else 16 if version < SIGNAL_ABI else 24
    number = _call(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    try:
        rules = ((readable, READING), (listable, READ_DIR), (writable, ~0), (devices, DEVICE))
        for paths, wanted in rules:
            for path in paths:
                _allow(number, path, wanted & rights)
        _call(RESTRICT_SELF, number, 0)
    finally:
        os.close(number)


def _rights(version: int) -> int:
    rights = FIRST_ABI_RIGHTS
    for first, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        rights |= right if version >= first else 0
    return rights


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= OF_FILES
        rule = _PathBeneath(rights, parent)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    answer = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return answer
