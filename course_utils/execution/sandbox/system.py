"""What of this machine a submission may see: folders, devices, environment variables."""

import contextlib
import glob
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_utils import kit
from course_utils.errors import CourseError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt/rocm")
SYSTEM_FILES = (
    *["alternatives", "fonts", "group", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"],
    *["locale.alias", "localtime", "magic", "matplotlibrc", "mime.types", "nsswitch.conf"],
    *["os-release", "passwd", "resolv.conf", "ssl/certs", "ssl/openssl.cnf", "timezone"],
)
HARDWARE = ("/sys/devices/system", "/sys/fs/cgroup", "/sys/bus/pci", "/sys/class/drm")
# Of other processes nothing, not even their command lines: Landlock can say "my own" only so.
PROC = (
    *["self", "cpuinfo", "meminfo", "stat", "loadavg", "uptime", "version", "filesystems"],
    *["vmstat", "sys", "driver/nvidia"],
)
GPU = ("/dev/nvidia*", "/dev/kfd", "/dev/dri", "/dev/dxg")
DEVICES = "COURSE_GPU_DEVICES"  # names others in their place, ":" between them; empty: none
KIT = ("course_utils", "data", "notebooks", "pyproject.toml", "requirements.txt", "constraints.txt")
HANDED_OUT = ("README.md", "assignment.yaml", "rubric.yaml")  # of each assignment: checks read them
# Variables of the caller that a submission gets; everything else, tokens too, stays outside.
PASSED = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "CUDA_VISIBLE_DEVICES", "MPLBACKEND")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def named_libraries() -> list[str]:
    """Folders of packages that the caller named in PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in named if path.endswith(("site-packages", "dist-packages"))]


def python_folders() -> list[str]:
    """Where this Python and its libraries lie."""
    libraries = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    return _existing([sys.prefix, sys.base_prefix, *libraries])


def kit_folders() -> list[str]:
    """What of the kit may be read: of an assignment what was handed out of it, no solution."""
    given = [path for name in HANDED_OUT for path in sorted(kit.ASSIGNMENTS.glob(f"*/{name}"))]
    return _existing([*(str(kit.ROOT / name) for name in KIT), *map(str, given)])


def system_folders() -> list[str]:
    """Programs, libraries and settings of the system; no shadow, no keys, no home."""
    return _existing([*SYSTEM, *(f"/etc/{name}" for name in SYSTEM_FILES)])


def inside_folders(devices: Sequence[str]) -> list[str]:
    """What a process may read of the kernel's own folders. /proc/self is the asking process's."""
    hardware = ["/sys"] if devices else HARDWARE
    return [*hardware, *(f"/proc/{name}" for name in PROC)]


def gpu_devices() -> list[str]:
    """The device files of the machine's GPUs, which every submission may open.

    Raises CourseError where COURSE_GPU_DEVICES names what is no such file.
    """
    named = os.environ.get(DEVICES)
    if named is None:
        return sorted(path for pattern in GPU for path in glob.glob(pattern))
    return [_device(path) for path in named.split(os.pathsep) if path]


def _device(path: str) -> str:
    """Any other file or folder would be open to every submission; a disk above all."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if stat.S_ISCHR(mode) or (stat.S_ISDIR(mode) and path.startswith("/dev/")):
            return path
    raise CourseError(
        f"{DEVICES}: {path} is no device file of a GPU",
        f"name such files, as {DEVICES}=/dev/nvidiactl:/dev/nvidia0, or leave the variable out",
    )


def _existing(paths: object) -> list[str]:
    return list(dict.fromkeys(os.path.abspath(p) for p in paths if os.path.exists(p)))


def environment_for(
    folder: Path, library: Path, cache: Path, more: Mapping[str, str]
) -> dict[str, str]:
    """All variables of a submission: none of the caller's but the few in `PASSED`."""
    home = folder / ".home"
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    programs = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "LANG": "C.UTF-8",
        **passed,
        **OFFLINE,
        "PATH": os.pathsep.join(programs),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": os.pathsep.join([str(library), *named_libraries()]),
        "PYTHONHASHSEED": "0",  # of warm and of fresh processes alike
        "PYTHONDONTWRITEBYTECODE": "1",
        "COURSE_CACHE": str(cache),
        "OPENBLAS_NUM_THREADS": "1",  # threads of its own at import, in the zygote too
        "USER": "submission",
        **more,
    }
