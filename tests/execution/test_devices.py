"""Device files of a GPU are let into the sandbox, and no others; no GPU is needed for that.

What stands in for a GPU is a device file that every submission would be refused: one of the
system's, or one made for the test. Whether CUDA works behind such a file is not tested.
"""

import errno
import os
import stat

import pytest
from sandboxes import SMALL, STRONG, opened, run_code

from course_utils.errors import CourseError
from course_utils.execution.sandbox import system
from course_utils.execution.sandbox.system import DEVICES, gpu_devices

ORDINARY = ("/dev/fuse", "/dev/net/tun", "/dev/kvm")  # open to everybody on many systems
OPEN = """
import errno, fcntl, os, sys
number = os.open(sys.argv[1], os.O_RDWR)
print("open", os.major(os.fstat(number).st_rdev), os.minor(os.fstat(number).st_rdev))
try:
    fcntl.ioctl(number, 0x4701)  # drivers of GPUs are spoken to so; this one knows no such word
except OSError as error:
    print(errno.errorcode[error.errno])
"""
WARM = pytest.mark.parametrize("warm", [False, True], ids=["fresh", "warm"])
LEVELS = pytest.mark.parametrize("level", STRONG)


@pytest.fixture(scope="module")
def device():
    """A device file that a submission's user may open, and that no sandbox has of itself."""
    for path in ORDINARY:
        if os.path.exists(path) and os.stat(path).st_mode & 0o006 == 0o006:
            yield path
            return
    path = f"/dev/course-gpu-{os.getpid()}"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero under another name
    except OSError as error:
        pytest.skip(f"no device file can be made here ({error.strerror})")
    os.chmod(path, 0o666)
    yield path
    os.unlink(path)


@WARM
@LEVELS
def test_a_named_device_can_be_opened_and_spoken_to(device, level, warm, monkeypatch):
    monkeypatch.setenv(DEVICES, device)
    about = os.stat(device).st_rdev
    with opened(level, warm) as box:
        assert box.devices == [device]
        outcome = run_code(box, OPEN, device)
    first, answer = outcome.stdout.splitlines()
    assert first == f"open {os.major(about)} {os.minor(about)}", outcome.stderr
    assert answer not in (errno.errorcode[errno.EACCES], errno.errorcode[errno.EPERM])


@WARM
@LEVELS
def test_a_device_that_nobody_named_stays_outside(device, level, warm, monkeypatch):
    monkeypatch.setenv(DEVICES, "")
    with opened(level, warm) as box:
        outcome = run_code(box, OPEN, device)
    assert not outcome.stdout
    assert "PermissionError" in outcome.stderr or "FileNotFoundError" in outcome.stderr


@LEVELS
def test_memory_stays_limited_beside_a_gpu(device, level, monkeypatch):
    """No limit of addresses then (CUDA maps terabytes), so what is really held is watched."""
    monkeypatch.setenv(DEVICES, device)
    with opened(level) as box:
        code = "import time\nheld = bytearray(900_000_000)\ntime.sleep(20)"
        outcome = run_code(box, code, limits=SMALL)
    assert outcome.verdict.reason == "memory", outcome.verdict.text


def test_without_the_variable_the_usual_places_are_looked_at(monkeypatch, tmp_path):
    assert all(pattern.startswith("/dev/") for pattern in system.GPU)
    monkeypatch.delenv(DEVICES, raising=False)
    for name in ("nvidia0", "kfd"):
        (tmp_path / name).touch()
    patterns = [str(tmp_path / name) for name in ("nvidia*", "kfd", "dri")]
    monkeypatch.setattr(system, "GPU", patterns)
    assert gpu_devices() == [str(tmp_path / "kfd"), str(tmp_path / "nvidia0")]


@pytest.mark.parametrize("path", ["/dev/no-such-gpu", "/etc/passwd", "/", "/home"])
def test_what_is_no_device_is_refused_and_not_opened_to_all(monkeypatch, path):
    monkeypatch.setenv(DEVICES, f"/dev/null:{path}")
    with pytest.raises(CourseError, match=f"{path} is no device file"):
        gpu_devices()


def test_a_disk_is_no_gpu(monkeypatch):
    disks = [f"/dev/{name}" for name in os.listdir("/sys/block") if os.path.exists(f"/dev/{name}")]
    if not disks:
        pytest.skip("no disk is visible here")
    monkeypatch.setenv(DEVICES, disks[0])
    with pytest.raises(CourseError, match="no device file of a GPU"):
        gpu_devices()
