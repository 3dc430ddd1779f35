"""Decisions from constructed machines, and what can be seen of the real one."""

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from course_utils import hardware
from course_utils.errors import CourseError
from course_utils.hardware import Hardware

LAPTOP = Hardware("Linux", "Core i5", cores=4, cpu_bf16=False, ram_gb=8, glibc=True)
XEON = Hardware("Linux", "Xeon", cores=2, cpu_bf16=True, ram_gb=16, glibc=True)
MAC = Hardware("Darwin", "arm", cores=8, cpu_bf16=False, ram_gb=16, mps=True)
WINDOWS = Hardware("Windows", "Core i7", cores=8, cpu_bf16=False, ram_gb=16)
ALPINE = Hardware("Linux", "Xeon", cores=2, cpu_bf16=False, ram_gb=16, glibc=False)

GLIBC_LINUX = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"


def with_gpu(name: str, memory: float, capability: tuple[int, int], cpu_bf16=False) -> Hardware:
    return Hardware("Linux", "Xeon", 2, cpu_bf16, 12.7, name, memory, capability, glibc=True)


T4 = with_gpu("Tesla T4", 14.7, (7, 5))
V100 = with_gpu("Tesla V100-SXM2-32GB", 31.7, (7, 0))
L4 = with_gpu("NVIDIA L4", 22.2, (8, 9))
A100 = with_gpu("NVIDIA A100-SXM4-40GB", 39.4, (8, 0))
H200 = with_gpu("NVIDIA H200", 139.8, (9, 0))
RTX_4080 = with_gpu("NVIDIA GeForce RTX 4080", 15.6, (8, 9))
GTX_1650 = with_gpu("NVIDIA GeForce GTX 1650", 3.8, (7, 5))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (T4, "fp16"),
        (V100, "fp16"),
        (L4, "bf16"),
        (A100, "bf16"),
        (H200, "bf16"),
        (LAPTOP, "fp32"),
        (XEON, "bf16"),
        (MAC, "fp32"),
        # The CPU's bf16 says nothing about the GPU that does the work.
        (with_gpu("Tesla T4", 14.7, (7, 5), cpu_bf16=True), "fp16"),
    ],
)
def test_precision_follows_the_device_that_computes(machine, expected):
    assert hardware.choose_precision(machine)[0] == expected


def test_reason_for_fp16_names_the_emulation_and_the_adapters():
    reason = hardware.choose_precision(T4)[1]
    assert "7.5" in reason
    assert "emulates" in reason
    assert "adapters kept in fp32" in reason


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (LAPTOP, "cpu"),
        (MAC, "cpu"),
        (GTX_1650, "cpu"),
        (T4, "t4"),
        (RTX_4080, "t4"),
        (V100, "t4"),  # 32 GB, but no bf16
        (L4, "l4"),
        (A100, "a100"),
        (H200, "a100"),
    ],
)
def test_preset_follows_gpu_memory_and_capability(machine, expected):
    assert hardware.choose_preset(machine)[0] == expected


@pytest.mark.parametrize(
    ("machine", "word"), [(LAPTOP, "no CUDA GPU"), (MAC, "MPS"), (GTX_1650, "3.8 GiB"), (T4, "T4")]
)
def test_preset_comes_with_its_reason(machine, word):
    assert word in hardware.choose_preset(machine)[1]


@pytest.mark.parametrize(
    ("cores", "load", "expected"),
    [(2, 0.0, 2), (2, 0.4, 2), (2, 1.1, 1), (2, 5.0, 1), (1, 1.0, 1), (16, 1.0, 15), (16, 4.7, 11)],
)
def test_threads_are_the_cores_left_free(cores, load, expected):
    assert hardware.choose_threads(cores, load, environ={}) == expected


def test_course_threads_overrides_the_load():
    assert hardware.choose_threads(2, 2.0, environ={"COURSE_THREADS": "3"}) == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_course_threads_must_be_a_whole_number(value):
    with pytest.raises(CourseError, match="COURSE_THREADS") as caught:
        hardware.choose_threads(2, 0.0, environ={"COURSE_THREADS": value})
    assert caught.value.cure


def test_kernel_gets_threads_and_on_glibc_the_allocator_settings():
    assert hardware.kernel_environment(LAPTOP, threads=3) == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "MALLOC_TOP_PAD_": "268435456",
    }


@pytest.mark.parametrize("machine", [MAC, WINDOWS, ALPINE])
def test_kernel_gets_no_allocator_settings_without_glibc(machine):
    assert not [n for n in hardware.kernel_environment(machine, 1) if n.startswith("MALLOC")]


# Prints how many bytes of a freed 128 MiB block the process still holds.
FREED_BLOCK = """
import ctypes, sys
from pathlib import Path
from course_utils.hardware import keep_heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "keep":
    assert keep_heap()
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
size = 128 * 2**20
before = resident()
block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
ctypes.memset(block, 1, size)
libc.free(block)
print(resident() - before)
"""


def held_after_free(mode: str, **extra: str) -> int:
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("MALLOC", "GLIBC"))}
    command = [sys.executable, "-c", FREED_BLOCK, mode]
    done = subprocess.run(command, env=environ | extra, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not GLIBC_LINUX, reason="only glibc on Linux has these options")
def test_kept_heap_holds_a_freed_block_and_an_ordinary_one_gives_it_back():
    variables = {n: v for n, v in hardware.kernel_environment(XEON, 1).items() if "MALLOC" in n}
    assert held_after_free("plain") < 16 * 2**20
    assert held_after_free("keep") > 120 * 2**20
    assert held_after_free("plain", **variables) > 120 * 2**20


def test_keep_heap_says_whether_it_did_something():
    assert hardware.keep_heap() is GLIBC_LINUX


def test_cores_respect_affinity_and_container_quota(tmp_path):
    free = hardware.usable_cores(cgroup=tmp_path)  # no quota file
    assert 1 <= free <= os.cpu_count()
    (tmp_path / "cpu.max").write_text("100000 100000\n", encoding="utf-8")
    assert hardware.usable_cores(cgroup=tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n", encoding="utf-8")
    assert hardware.usable_cores(cgroup=tmp_path) == free


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx2 avx512_bf16", True), ("amx_bf16 amx_tile", True), ("avx2 avx512f", False)],
)
def test_bf16_is_read_from_the_cpu_flags(flags, expected):
    text = f"processor : 0\nmodel name : Any\nflags\t\t: {flags}\nbugs : none\n"
    assert hardware.has_bf16_flag(text) is expected


def test_bf16_is_false_where_there_is_no_cpuinfo():
    assert hardware.has_bf16_flag("") is False


def test_detected_machine_is_plausible_and_fits_in_json():
    machine = hardware.detect()
    assert machine.system == platform.system()
    assert 1 <= machine.cores <= os.cpu_count()
    assert 0.5 < machine.ram_gb < 10_000
    assert json.loads(json.dumps(machine.to_dict()))["cores"] == machine.cores


def test_capability_becomes_a_list_in_json():
    assert T4.to_dict()["capability"] == [7, 5]


def test_detection_works_without_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch')\n", encoding="utf-8")
    code = "from course_utils.hardware import detect; m = detect(); print(m.cores, m.gpu_name)"
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(hardware.usable_cores()), "None"]


def test_peak_memory_grows_with_a_large_block():
    before = hardware.peak_memory_gb()
    size = int((before + 0.1) * hardware.GIB)
    block = ctypes.create_string_buffer(size)
    ctypes.memset(block, 1, size)
    assert before + 0.1 <= hardware.peak_memory_gb() < before + 4


def test_free_disk_of_a_folder_not_made_yet_is_its_parents(tmp_path):
    missing = tmp_path / "not" / "yet"
    assert LAPTOP.free_disk_gb(missing) == pytest.approx(hardware.free_disk_gb(tmp_path), abs=0.5)


def test_a_part_of_the_cores_meets_a_part_of_the_load():
    assert hardware.share_of_load(32.0, cores=2, machine_cores=64) == 1.0
    assert hardware.share_of_load(1.5, cores=2, machine_cores=2) == 1.5
    assert hardware.current_load(1) >= 0


@pytest.mark.parametrize(
    ("names", "launcher", "seen"),
    [
        (["nvidia0", "nvidia1", "nvidiactl"], {}, "0"),
        (["nvidia0", "nvidiactl", "nvidia-uvm"], {}, None),
        (["nvidia0", "nvidia1"], {"LOCAL_RANK": "1"}, None),
        (["nvidia0", "nvidia1"], {"CUDA_VISIBLE_DEVICES": "1"}, "1"),
    ],
)
def test_of_two_gpus_one_is_shown_unless_a_launcher_or_the_user_decides(
    tmp_path, monkeypatch, names, launcher, seen
):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    for name in names:
        (tmp_path / name).touch()
    hardware.show_one_gpu(tmp_path)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
