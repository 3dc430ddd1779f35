"""One submission a GPU at a time: a lock that all batches and workers of this machine share.

Models of two submissions on one GPU may not fit, and the second would fail for want of memory that
is nobody's fault. Not tried on a GPU; what was tried without one: docs/cluster.md.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from course_utils.digests import digest

VISIBLE = "CUDA_VISIBLE_DEVICES"
_here = threading.Lock()  # where files can't be locked (Windows): at least within this process


@contextlib.contextmanager
def gpu_slot(devices: Sequence[str], folder: Path | None = None) -> Iterator[None]:
    """Hold the GPUs that this process sees; at once where there are none.

    Processes with different `CUDA_VISIBLE_DEVICES` do not wait for each other. The lock is the
    process's own: it is gone when the process is, in whatever way it ends.
    """
    if not devices:
        yield
        return
    try:
        import fcntl
    except ImportError:
        with _here:
            yield
        return
    name = f"course-gpu-{os.getuid()}-{digest(os.environ.get(VISIBLE, 'all'))[:16]}"
    path = (folder or Path(tempfile.gettempdir())) / name
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
