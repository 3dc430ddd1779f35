"""What a submission's processes and its folder use at a moment."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

SHARED = "/dev/shm"


@dataclass
class Usage:
    """The sum over a submission's processes."""

    processes: int = 0  # with their threads
    resident: int = 0  # bytes, pages that several processes share counted several times
    cpu: float = 0.0  # seconds of the living


def usage_of(processes: list[psutil.Process]) -> Usage:
    """What they take together; one that ended meanwhile counts nothing."""
    total = Usage()
    for process in processes:
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            total.cpu += times.user + times.system
            total.processes += process.num_threads()
            total.resident += process.memory_info().rss
    return total


def proportional(processes: list[psutil.Process]) -> int:
    """Bytes of memory, a shared page divided among those that share it (PSS); RSS elsewhere.

    Slower than `usage_of`: the kernel walks through all pages.
    """
    return sum(_pss(process) for process in processes)


def _pss(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(psutil.Error):
        return process.memory_info().rss
    return 0


def shared_memory(user: int | None, remove: bool = False) -> int:
    """Bytes of a user's files in /dev/shm, which several warm submissions have in common."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(SHARED) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == user:
                    size += status.st_blocks * 512
                    if remove and entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    elif remove:
                        os.unlink(entry.path)
    return size


def folder_size(folders: tuple[str, ...], most_files: int | None) -> tuple[int, int]:
    """(bytes on disk, files and folders), counting no further than a little past `most_files`.

    Links are not followed, and a file of holes counts what it really takes.
    """
    size = count = 0
    waiting = list(folders)
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    size += getattr(status, "st_blocks", 0) * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                if most_files and count > most_files:
                    return size, count
    return size, count
