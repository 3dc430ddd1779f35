"""Users for submissions: numbers that nobody has, in blocks that no two sandboxes share.

Limits on processes count a user's over the whole machine. So where two batches gave out the same
numbers, what one submission starts would be taken from another's.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST, LAST = 60001, 61183  # given to nobody on Debian, Fedora and their kin
BLOCK = 64  # submissions that one sandbox may run at a time


@contextlib.contextmanager
def claimed(folder: Path | None = None) -> Iterator[range]:
    """A block of user ids, held by a lock on a file until the end; all of them where none is free.

    The lock is the process's own: it is gone when the process is, in whatever way it ends.
    """
    import fcntl  # only root gives out users, and Windows has none

    for first in range(FIRST, LAST - BLOCK + 2, BLOCK):
        path = (folder or Path(tempfile.gettempdir())) / f"course-users-{first}"
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = stack.pop_all()
            break
    else:
        yield range(FIRST, LAST + 1)
        return
    with held:
        yield range(first, first + BLOCK)
