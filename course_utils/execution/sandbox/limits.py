"""What one submission may use, and the verdict when it used more."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from course_utils.errors import UsageError

MIB, GIB = 2**20, 2**30
SHARED_MEMORY = 128 * MIB  # of /dev/shm for each submission: the workers of a DataLoader


@dataclass(frozen=True)
class Limits:
    """Limits of one submission. None means no limit; the level `none` knows the wall limit only."""

    wall: float | None = 3600.0  # seconds, from start to end
    cell: float | None = None  # seconds that one cell of a notebook may take
    cpu: float | None = None  # seconds of all processes together
    memory: int | None = 4 * GIB  # bytes, proportional (PSS) over all processes
    processes: int | None = 128  # processes and threads; torch and a kernel need about 20
    disk: int | None = 2 * GIB  # bytes in the writable folder
    files: int | None = 50_000  # files and folders there
    output: int = 64 * MIB  # bytes printed, or sent by a kernel
    message: int = 8 * MIB  # bytes of one message of a kernel (ZMQ_MAXMSGSIZE)
    answer: int = 16 * MIB  # bytes of a JSON file that is read back

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and value <= 0:
                raise UsageError(f"limit {name} is {value}", "give a number above 0")

    def with_changes(self, **changes: Any) -> "Limits":
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def as_size(count: float) -> str:
    """3.0 GiB, 312 MiB, 17 kiB."""
    for unit, size in (("GiB", GIB), ("MiB", MIB)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if unit == "GiB" else f"{count / size:.0f} {unit}"
    return f"{count / 1024:.0f} kiB"
