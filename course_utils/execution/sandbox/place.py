"""A submission's place: the one folder it may write to, and how files get in and out."""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from course_utils.errors import CourseError
from course_utils.execution.sandbox.limits import Limits, as_size


@dataclass(frozen=True)
class Place:
    """`outer` may be written to; the submission's files lie in `folder`, where it runs."""

    outer: Path
    uid: int | None = None  # of the submission, where we are root

    @property
    def folder(self) -> Path:
        return self.outer / "work"

    @property
    def home(self) -> Path:
        return self.outer / "work" / ".home"

    @property
    def sockets(self) -> Path:
        """For a kernel's sockets: a path must stay under 104 bytes."""
        return self.outer / "k"

    def outside(self, text: str) -> str:
        """The text as somebody outside reads it: the place's own path says nothing there."""
        return text.replace(f"{self.folder}/", "")


def make_place(outer: Path, uid: int | None) -> Place:
    place = Place(outer, uid)
    for path in (place.outer, place.folder, place.home, place.home / "tmp", place.sockets):
        path.mkdir(mode=0o700, exist_ok=True)
    hand_over(place)
    return place


def hand_over(place: Place) -> None:
    """Give everything in the place to the submission's user; links are not followed."""
    if place.uid is None:
        return
    os.lchown(place.outer, place.uid, place.uid)
    for folder, folders, files in os.walk(place.outer):
        for name in (*folders, *files):
            os.lchown(os.path.join(folder, name), place.uid, place.uid)


def copy_in(
    source: Path,
    place: Place,
    limits: Limits,
    leave_out: Callable[[Path], bool] = lambda path: False,
) -> None:
    """Copy a folder into the place. Links stay links, pipes and devices are left out.

    Raises CourseError where it holds more than the limits allow.
    """
    size = 0
    for number, path in enumerate(_walk(source, leave_out)):
        if limits.files and number > limits.files:
            raise CourseError(f"{source}: more than {limits.files} files", "take some out")
        target = place.folder / path.relative_to(source)
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            target.mkdir(mode=0o755, exist_ok=True)
        elif stat.S_ISLNK(status.st_mode):
            target.symlink_to(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            size += status.st_size
            if limits.disk and size > limits.disk:
                raise CourseError(
                    f"{source}: its files have more than {as_size(limits.disk)}", "take some out"
                )
            shutil.copyfile(path, target, follow_symlinks=False)
    hand_over(place)


def _walk(folder: Path, leave_out: Callable[[Path], bool]) -> Iterator[Path]:
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if leave_out(path):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, leave_out)


def read_back(place: Place, name: str, most: int) -> bytes:
    """A file that the submission wrote: a plain file within the place, at most `most` bytes.

    No link is followed in any part of the path, and a pipe does not keep the reader waiting.
    Raises CourseError for anything else.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise CourseError(f"{name}: not a path within the submission", "")
    with contextlib.ExitStack() as stack:
        try:
            at = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, at)
            for part in parts[:-1]:
                at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                stack.callback(os.close, at)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            number = os.open(parts[-1], flags, dir_fd=at)
        except OSError as error:
            raise CourseError(f"{name}: {error.strerror}", "no link is followed") from None
        stack.callback(os.close, number)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise CourseError(f"{name}: not a plain file", "")
        pieces, size = [], 0
        while piece := os.read(number, min(1 << 20, most + 1 - size)):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise CourseError(f"{name}: more than {as_size(most)}", "")
    return b"".join(pieces)


@contextlib.contextmanager
def socket_of(place: Place, name: str) -> Iterator[Path]:
    """The path of a socket in `place.sockets` that the submission made, to connect to it.

    The path names the very socket that was looked at: a link that is put there since leads nowhere
    else. Raises CourseError for anything but a socket of the submission's user.
    """
    with contextlib.ExitStack() as stack:
        try:
            at = os.open(place.outer, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, at)
            folder = os.open(
                place.sockets.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at
            )
            stack.callback(os.close, folder)
            handle = getattr(os, "O_PATH", None)  # Linux; elsewhere no sandbox is that strict
            if handle is None:
                status, path = os.stat(name, dir_fd=folder, follow_symlinks=False), None
            else:
                number = os.open(name, handle | os.O_NOFOLLOW, dir_fd=folder)
                stack.callback(os.close, number)
                status, path = os.fstat(number), Path(f"/proc/self/fd/{number}")
        except OSError as error:
            raise CourseError(f"{name}: {error.strerror}", "no link is followed") from None
        owner = os.getuid() if place.uid is None else place.uid
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != owner:
            raise CourseError(f"{name}: not a socket of the submission", "")
        yield path or place.sockets / name


def remove(place: Place) -> None:
    """Remove the place, whatever modes and depths it was left with."""
    with contextlib.suppress(OSError):
        os.chmod(place.outer, 0o700)
    shutil.rmtree(place.outer, onerror=_open_and_retry)


def _open_and_retry(function: Callable, path: str, _: object) -> None:
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        if not os.path.islink(path):
            os.chmod(path, 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
