"""bubblewrap (bwrap): a file system of its own, no network, processes of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache

from course_utils.execution.sandbox.limits import MIB, SHARED_MEMORY

MOST_SHARED = 1024 * MIB  # of /dev/shm, where several submissions have it in common
# Of root inside: taking a submission's user, ending its processes, reading their memory and folder.
CAPABILITIES = [
    "SETUID",
    "SETGID",
    "KILL",
    "SYS_PTRACE",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "CHOWN",
    "FOWNER",
]


def program() -> str | None:
    return shutil.which("bwrap")


@cache
def _options(bwrap: str) -> str:
    return subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False).stdout


def command(
    argv: Sequence[str],
    readable: Iterable[str],
    writable: Iterable[str],
    devices: Iterable[str],
    several: bool = False,
) -> list[str]:
    """The words that start `argv` inside, for one submission or the server of several."""
    bwrap = program() or "bwrap"
    words = [bwrap, "--die-with-parent", "--new-session"]
    words += ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    if os.getuid() == 0:  # no user namespace: in one there would be no other user to become
        words += [word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}")]
    words += ["--proc", "/proc", "--dev", "/dev"]
    sized = "--size" in _options(bwrap)
    if sized:
        words += ["--size", str(MOST_SHARED if several else SHARED_MEMORY)]
    words += ["--perms", "1777", "--tmpfs", "/dev/shm"]
    for device in devices:
        words += ["--dev-bind", device, device]
    made: set[str] = set()
    for path in sorted({*readable, *writable}, key=len):
        words += _parents(path, made)
    for path in readable:
        words += _read_only(path)
    for path in writable:
        words += ["--bind", path, path]
    words += ["--remount-ro", "/", "--chdir", "/", "--", *argv]
    return words


def _parents(path: str, made: set[str]) -> list[str]:
    """Folders on the way, open to every user: bwrap makes them for root alone."""
    words = []
    parts = path.strip("/").split("/")[:-1]
    for number in range(1, len(parts) + 1):
        folder = "/" + "/".join(parts[:number])
        if folder not in made:
            made.add(folder)
            words += ["--perms", "0755", "--dir", folder]
    return words


def _read_only(path: str) -> list[str]:
    if os.path.islink(path) and os.path.dirname(path) == "/":  # /bin -> usr/bin
        return ["--symlink", os.readlink(path), path]
    return ["--ro-bind", path, path]


def failure(text: str) -> tuple[str, str]:
    """(why bwrap does not work here, the cure), from what it printed."""
    if _reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids namespaces to programs without a profile (Ubuntu 24.04)",
            "as root: apt-get install apparmor-profiles && ln -s "
            "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && "
            "systemctl reload apparmor",
        )
    if _reads("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "namespaces are for root only", "as root: sysctl kernel.unprivileged_userns_clone=1"
    if _reads("/proc/sys/user/max_user_namespaces") == "0":
        return "namespaces are switched off", "as root: sysctl user.max_user_namespaces=15000"
    last = text.strip().splitlines()[-1:] or ["it ended without a word"]
    return last[0][:300], "containers forbid namespaces as a rule: run outside, or use landlock"


def _reads(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
