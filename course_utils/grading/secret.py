"""The instructor's secret: what makes the hidden records of one class its own.

    secret = Secret.of("grades")               # GRADES/secret: read, or made at the first run;
                                               # with it a .gitignore that keeps the folder out
    secret.derive("hidden week09_10")          # a seed: the same for the same name, and no other's

Whoever has the kit has the builders of the hidden records, and lacks only this number. It is
printed nowhere and stands in no result; a damaged file is never replaced, since another secret
would mark the rest of a class on other records.
"""

import contextlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.errors import CourseError

NAME = "secret"
BYTES = 32
FORM = re.compile(rb"[0-9a-f]{%d}\n?" % (2 * BYTES))
CURE = (
    "put it back from a copy of the folder of grades; if nothing was graded with it yet, remove it "
    "and a new one is made"
)


@dataclass(frozen=True)
class Secret:
    """A key that seeds and cache keys are derived from; its text form shows nothing of it."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, grades: Path | str) -> "Secret":
        """The secret of a folder of grades, made where there is none yet.

        Raises CourseError for a file that is damaged, no plain file, or open to others.
        """
        path = Path(grades) / NAME
        if not os.path.lexists(path):
            _make(path)
            keep_out_of_git(path.parent)
        return cls(_read(path))

    def derive(self, name: str) -> int:
        """A seed of 63 bits for this name: HMAC-SHA256 (RFC 2104); it tells nothing of others."""
        return int.from_bytes(self._mac(f"seed {name}")[:8]) >> 1

    @property
    def fingerprint(self) -> str:
        """What stands for the secret in a cache key: another secret has another one."""
        return self._mac("fingerprint").hex()[:16]

    def _mac(self, name: str) -> bytes:
        return hmac.digest(self.key, name.encode(), "sha256")


def _make(path: Path) -> None:
    """A new file, for the owner alone from its first byte; one that came meanwhile is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        with open(handle, "wb") as file:
            file.write(secrets.token_hex(BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk: an empty file would stop every later run
        with contextlib.suppress(OSError):
            path.unlink()
        raise _unusable(path, error) from None


def keep_out_of_git(folder: Path) -> None:
    """A folder of grades lies in a fork that is public: `git add .` must not take marks and key."""
    own = folder / ".gitignore"
    with contextlib.suppress(OSError):  # a courtesy; grading goes on without it
        if not os.path.lexists(own):
            own.write_text("# Marks, evidence, the secret: for no repository.\n*\n", "utf-8")


def _read(path: Path) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise CourseError(f"{path}: this is no plain file", CURE)
            text = file.read(1000)
    except IsADirectoryError:
        raise CourseError(f"{path}: this is a folder, not the secret", CURE) from None
    except OSError as error:
        raise _unusable(path, error) from None
    if os.name == "posix" and about.st_mode & 0o077:
        raise CourseError(
            f"{path}: others on this machine may read or change the secret of the hidden records",
            f"chmod 600 {path}; where students could have read it, grade into a new folder",
        )
    if not FORM.fullmatch(text):
        found = "is empty" if not text.strip() else "is damaged"
        raise CourseError(
            f"{path}: {found}; it has to hold {2 * BYTES} characters from 0 to f", CURE
        )
    return bytes.fromhex(text.decode().strip())


def _unusable(path: Path, error: OSError) -> CourseError:
    return CourseError(
        f"{path}: {error.strerror or error}",
        "give --out a folder on a disk with room that only you may write to",
    )
