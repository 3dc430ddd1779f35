"""Unpacking a stranger's archive: bounded, and nothing of it leaves the folder it goes to.

Names are looked at before anything is written; sizes are counted while writing, since a header may
lie. What does not belong into a submission (links, devices, names that lead elsewhere) refuses the
whole archive: a half unpacked submission would be judged as if it were all.
"""

import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from course_utils.assignments.folder import MB, MOST_FILES, MOST_LEVELS, show
from course_utils.assignments.folder import size_text as size
from course_utils.files import FULL
from course_utils.grading.finding import wrong

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST = 3000 * MB  # bytes that an archive may unpack to
RATIO, FLOOR = 200, 100 * MB  # no more than RATIO times its own size, but FLOOR always
PIECE = 1 << 20
# What the libraries raise at an archive with bytes changed, cut off or invented; besides OSError.
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError),
    OverflowError,  # a size beyond every number of the system
    RuntimeError,  # headers that name each other, a compression that Python does not know
)
JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Member:
    """One file of an archive, before it is opened."""

    name: str
    handle: Any


def is_archive(path: Path) -> bool:
    """Whether the name is one of an archive that `unpack` reads."""
    return path.name.lower().endswith(ENDINGS)


def unpack(path: Path, target: Path) -> Path:
    """Write the archive's files below `target`, a new folder. Raises Explained when it is refused.

    On refusal files may lie in `target`: the caller throws it away.
    """
    limit = min(MOST, max(FLOOR, RATIO * path.stat().st_size))
    with _opened(path) as archive:
        members = list(_members(archive))
        _check_names(member.name for member in members)
        target.mkdir(parents=True, exist_ok=False)
        for member in members:
            limit -= _write(archive, member, target / member.name, limit)
    return target


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                yield archive
        else:
            with tarfile.open(path) as archive:
                yield archive
    except DAMAGED as error:
        raise wrong("inbox.archive_broken", problem=show(error, 80)) from None
    except OSError as error:
        if error.errno in FULL:  # our disk's fault
            raise
        raise wrong("inbox.archive_broken", problem=error.strerror or show(error, 80)) from None


def _members(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[Member]:
    """The files, as they would lie on disk; folders come of themselves."""
    members = _of_zip(archive) if isinstance(archive, zipfile.ZipFile) else _of_tar(archive)
    for count, member in enumerate(members, start=1):
        if count > MOST_FILES:
            raise wrong("inbox.too_many_files", most=MOST_FILES)
        if not set(PurePosixPath(member.name).parts) & set(JUNK):
            yield member


def _of_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        name = _zip_name(info)
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
        if info.flag_bits & 1:
            raise wrong("inbox.encrypted", name=show(name, 80))
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise wrong("inbox.link", name=show(name, 80))
        if not name.endswith("/"):
            yield Member(name, info)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name, if it is UTF-8: old zips keep the bytes of some code page, which nobody notes."""
    name = info.orig_filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")  # macOS: UTF-8 without saying so
    except UnicodeError:
        raise wrong("inbox.name_not_utf8", name=show(name, 80)) from None


def _of_tar(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if info.isdir():
            continue
        if not info.isreg():
            raise wrong("inbox.link", name=show(info.name, 80))
        if any("\udc80" <= c <= "\udcff" for c in info.name):
            raise wrong("inbox.name_not_utf8", name=show(info.name, 80))
        yield Member(info.name.removeprefix("./"), info)


def _check_names(names: Iterator[str]) -> None:
    """No name leads out of the folder, none stands twice, none is a folder and a file at once."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        parts = path.parts or ("",)  # of an empty name, or "."
        outside = path.is_absolute() or ".." in parts or "\\" in name or ":" in parts[0]
        if not path.parts or outside or not name.isprintable() or max(map(len, parts)) > 200:
            raise wrong("inbox.name_leads_out", name=show(name, 80))
        if len(parts) > MOST_LEVELS + 1:
            raise wrong("inbox.too_deep", name=show(name, 80), most=MOST_LEVELS)
        key = _key(path)
        folders |= {_key(parent): name for parent in path.parents if parent.parts}
        if key in seen:
            raise wrong("inbox.name_twice", name=show(name, 80))
        seen[key] = name
    if both := seen.keys() & folders.keys():
        raise wrong("inbox.name_twice", name=show(seen[min(both)], 80))


def _key(path: PurePosixPath) -> str:
    """What two names have in common that are one file on some system."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _write(archive: Any, member: Member, target: Path, limit: int) -> int:
    """Write one file and count its bytes; refuse what grows beyond what is left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with _source(archive, member) as source, target.open("xb") as file:
        while piece := source.read(PIECE):
            count += len(piece)
            if count > limit:
                raise wrong("inbox.bomb", name=show(member.name, 80), limit=size(limit))
            file.write(piece)
    return count


def _source(archive: Any, member: Member) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(member.handle)
    return archive.extractfile(member.handle)
