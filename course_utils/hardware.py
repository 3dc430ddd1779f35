"""What this machine is, and what follows from it: precision, preset, threads, allocator.

`detect()` looks once; everything else decides from the `Hardware` it returns, so a T4, an A100
or a Mac can be reasoned about (and tested) on any laptop. Each decision comes with its reason.
"""

import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    import ctypes

GIB = 2**30

# A CPU flag that says "this CPU multiplies bfloat16 matrices itself".
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}

# Name for mallopt (glibc's malloc.h), its environment variable, and the value for both.
# Together they make glibc keep freed blocks instead of returning them to the kernel and
# faulting them in again at the next training step, which can take most of a step's time.
HEAP_OPTIONS = (
    (-4, "MALLOC_MMAP_MAX_", 0),  # M_MMAP_MAX: no block gets a mapping of its own
    (-1, "MALLOC_TRIM_THRESHOLD_", 2147483647),  # M_TRIM_THRESHOLD: the heap never shrinks
    (-2, "MALLOC_TOP_PAD_", 268435456),  # M_TOP_PAD: it grows by 256 MiB at a time
)


@dataclass(frozen=True)
class Hardware:
    """One machine as this process may use it. Memory is in GiB; `capability` is CUDA's."""

    system: str  # "Linux", "Darwin", "Windows"
    cpu_model: str
    cores: int  # cores this process may use, not those the machine has
    cpu_bf16: bool
    ram_gb: float
    gpu_name: str | None = None
    gpu_memory_gb: float | None = None
    capability: tuple[int, int] | None = None
    mps: bool = False  # Apple's GPU, seen through torch
    glibc: bool = False  # its allocator has the options of `HEAP_OPTIONS`

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON can hold them (`capability` becomes a list)."""
        fields = asdict(self)
        fields["capability"] = list(self.capability) if self.capability else None
        return fields

    def free_disk_gb(self, folder: str | Path) -> float:
        """Free GiB on the disk of `folder`, which need not exist yet."""
        return free_disk_gb(folder)


def detect() -> Hardware:
    """Look at this machine. Without torch, or with a broken one, the GPU fields stay empty."""
    cpuinfo = _read(Path("/proc/cpuinfo"))
    return Hardware(
        system=platform.system(),
        cpu_model=_cpu_model(cpuinfo),
        cores=usable_cores(),
        cpu_bf16=has_bf16_flag(cpuinfo),
        ram_gb=_ram_gb(),
        glibc=platform.libc_ver()[0] == "glibc",
        **_gpu(),
    )


def choose_precision(hardware: Hardware) -> tuple[str, str]:
    """("bf16" | "fp16" | "fp32", the reason).

    Decided by compute capability: `torch.cuda.is_bf16_supported()` also says yes when bf16
    is only emulated, as on a T4.
    """
    if hardware.capability and hardware.capability[0] >= 8:
        return "bf16", f"{_gpu_text(hardware)} has bf16 units: fp32's range at half the memory"
    if hardware.capability:
        return "fp16", (
            f"{_gpu_text(hardware)} is older than 8.0 and has no bf16 units (torch says bf16 is "
            "supported, but emulates it slowly); fp16, with the adapters kept in fp32 because "
            "fp16 gradients cannot be unscaled on fp16 or bf16 weights"
        )
    if hardware.cpu_bf16:
        return "bf16", "no CUDA GPU; this CPU multiplies bf16 itself (avx512_bf16 or amx_bf16)"
    return "fp32", "no CUDA GPU, and this CPU has no bf16 instructions: half precision is slower"


def choose_preset(hardware: Hardware) -> tuple[str, str]:
    """("cpu" | "t4" | "l4" | "a100", the reason), by GPU memory and compute capability."""
    if hardware.mps and not hardware.capability:
        return "cpu", "Apple's GPU (MPS) is not used: the GPU presets need CUDA"
    if not hardware.capability or hardware.gpu_memory_gb is None:
        return "cpu", "no CUDA GPU found"
    memory, recent = hardware.gpu_memory_gb, hardware.capability[0] >= 8
    text = f"{_gpu_text(hardware)}, {memory:.1f} GiB"
    if memory >= 35 and recent:
        return "a100", f"{text}: at least 35 GiB and bf16"
    if memory >= 20 and recent:
        return "l4", f"{text}: at least 20 GiB and bf16"
    if memory >= 14:
        return "t4", f"{text}: at least 14 GiB" + ("" if recent else ", no bf16")
    return "cpu", f"{text}: less than the 14 GiB that the smallest GPU preset needs"


def choose_threads(cores: int, load_1min: float, environ: Mapping[str, str] | None = None) -> int:
    """Threads for torch: the cores that other work leaves free, at least 1.

    Two OpenMP threads beside a busy neighbour wait for each other at every matrix product, so
    one thread less is faster. COURSE_THREADS overrides. Choose once, before the work starts:
    afterwards the load is one's own. Raises CourseError if COURSE_THREADS is not a whole number.
    """
    wanted = (os.environ if environ is None else environ).get("COURSE_THREADS", "").strip()
    if wanted:
        if not (wanted.isascii() and wanted.isdigit() and int(wanted) > 0):
            raise CourseError(
                f"COURSE_THREADS is {wanted!r}, not a whole number of at least 1.",
                "Set it to a number of threads (for example COURSE_THREADS=2) or unset it.",
            )
        return int(wanted)
    busy = int(load_1min + 0.5)  # a load of 0.5 to 1.5 is one busy core
    return max(1, cores - busy)


def current_load(cores: int, seconds: float = 1.0) -> float:
    """Cores that are busy right now, as far as they fall on our `cores`; looks for a second.

    Not the load average: right after an installation that still counts our own work, and a
    thread less would then cost the whole run half its speed.
    """
    import psutil

    machine_cores = os.cpu_count() or cores
    busy = psutil.cpu_percent(interval=seconds) / 100 * machine_cores
    return share_of_load(busy, cores, machine_cores)


def share_of_load(load: float, cores: int, machine_cores: int) -> float:
    """The system counts the whole machine: on 2 of its 64 cores one meets 2/64 of the load."""
    return load * min(1.0, cores / machine_cores)


def kernel_environment(hardware: Hardware, threads: int) -> dict[str, str]:
    """Environment variables for a notebook kernel (or any training process) about to start.

    The allocator settings need them: glibc reads these variables only when a process starts.
    """
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        # The tokenizers' own threads compete with torch's, and warn after every fork.
        "TOKENIZERS_PARALLELISM": "false",
    }
    if hardware.system == "Linux" and hardware.glibc:
        variables |= {name: str(value) for _, name, value in HEAP_OPTIONS}
    return variables


def show_one_gpu(devices: Path = Path("/dev")) -> None:
    """Of several GPUs, let this process and its children see the first; a launcher knows better.

    TRL refuses to train in one process that sees two (Kaggle's pair of T4s, a workstation). Call
    it before torch looks for them.
    """
    launched = {"RANK", "LOCAL_RANK", "WORLD_SIZE"} & set(os.environ)
    several = len([path for path in devices.glob("nvidia*") if path.name[6:].isdigit()]) > 1
    if several and not launched:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def keep_heap() -> bool:
    """Make the running process keep freed memory (see `HEAP_OPTIONS`). True if it was done.

    Only glibc on Linux has these options; elsewhere nothing happens. Call it before training.
    """
    libc = _glibc()
    if libc is None:
        return False
    done = [libc.mallopt(option, value) for option, _, value in HEAP_OPTIONS]
    return done == [1, 1, 1]  # mallopt returns 1 when it accepted the value


def trim_heap(collect: bool = True) -> None:
    """Give freed memory back to the system, between two phases of a run (Linux with glibc).

    `keep_heap` never does; batches of ever other sizes then leave holes that add up. `collect`
    frees what Python holds in cycles first, such as a model that nothing names any more, and what
    torch keeps of a GPU for its next tensors: another process may need it.
    """
    import gc

    if collect:
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@lru_cache
def _glibc() -> "ctypes.CDLL | None":
    """The C library, where it is glibc on Linux."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    import ctypes

    return ctypes.CDLL("libc.so.6")


def peak_memory_gb() -> float:
    """GiB at the highest point so far: on the GPU if torch uses one, else this process's RAM."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / GIB
    if platform.system() == "Windows":
        import psutil

        return psutil.Process().memory_info().peak_wset / GIB
    # getrusage on Linux begins with the peak of the process that started this one, so a notebook
    # with a model in memory would lend its own to every child. VmHWM is this process alone.
    status = re.search(r"^VmHWM:\s+(\d+) kB", _read(Path("/proc/self/status")), re.MULTILINE)
    if status:
        return int(status[1]) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / GIB if platform.system() == "Darwin" else peak / 2**20  # Linux counts KiB


def free_disk_gb(folder: str | Path) -> float:
    """Free GiB on the disk of `folder`; for a folder not made yet, of its nearest parent."""
    folder = Path(folder).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free / GIB


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores this process may use: CPU affinity, and a container's quota where there is one."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def has_bf16_flag(cpuinfo: str) -> bool:
    """Whether the text of /proc/cpuinfo lists a bf16 instruction set."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    return bool(BF16_FLAGS & set(flags.split()))


def _cpu_model(cpuinfo: str) -> str:
    for line in cpuinfo.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _ram_gb(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """GiB of memory this process may use: the machine's, or its container's limit if smaller."""
    if hasattr(os, "sysconf"):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        import psutil

        total = psutil.virtual_memory().total
    limit = _read(cgroup / "memory.max").strip()
    return round((min(total, int(limit)) if limit.isdigit() else total) / GIB, 1)


def _gpu() -> dict[str, object]:
    """The GPU fields of `Hardware`, from torch; empty without a GPU or without torch."""
    try:
        import torch
    except (ImportError, OSError):  # OSError: torch is there, one of its libraries is not
        return {}
    if not torch.cuda.is_available():
        return {"mps": torch.backends.mps.is_available()}
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu_name": properties.name,
        "gpu_memory_gb": round(properties.total_memory / GIB, 1),
        "capability": (properties.major, properties.minor),
    }


def _gpu_text(hardware: Hardware) -> str:
    major, minor = hardware.capability
    return f"{hardware.gpu_name} (compute capability {major}.{minor})"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # only Linux has these files
        return ""
