"""Long output on one line: seconds that a cell takes, by its length.

python benchmarks/long_output.py                   # 1, 5, 20 MB by the kit's runner
python benchmarks/long_output.py --sizes 20 50     # other lengths, in MB
python benchmarks/long_output.py --library         # and papermill with coalesce_streams, 50-200 kB

A training that prints without line breaks, or a table of one row, is such a line. Each length is a
notebook of its own with two cells: the line, printed at once or in flushed pieces of 1 kB, and
`print("next")`. The times are those of the whole notebook (kernel and worker) less those of one
with an empty line (the kernel's start); the processor's time is the better one on a machine that
others use too. Linear means: twice the length, at most about twice the time.
"""

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path

import nbformat

from course_utils.console import console
from course_utils.execution.runner import execute_notebooks

PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
MB = 1_000_000


WHOLE = "print('x' * {size})"
PIECES = """for _ in range({size} // 1000):
    print('x' * 1000, end='', flush=True)
print()"""


def write_notebook(folder: Path, size: int, line: str) -> Path:
    cells = [line.format(size=size), "print('next')"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=PYTHON
    )
    path = folder / f"line_{size}.ipynb"
    nbformat.write(notebook, path)
    return path


def with_kit(folder: Path, size: int, line: str) -> tuple[float, int]:
    """(seconds, bytes of the copy) by `course run`'s runner."""
    notebook = write_notebook(folder, size, line)
    [result] = execute_notebooks(
        *([notebook], folder / "kit" / line[:3], {}, {}, 30, False, True),
        console=console(file=io.StringIO()),
    )
    assert result.status == "done", result.error
    return result.seconds, result.executed.stat().st_size


def with_library(folder: Path, size: int, line: str) -> tuple[float, int]:
    """The same by papermill, which joins the pieces of a stream with nbclient's option."""
    import papermill

    notebook, copy = write_notebook(folder, size, line), folder / f"library_{size}.ipynb"
    started = time.perf_counter()
    papermill.execute_notebook(notebook, copy, progress_bar=False, coalesce_streams=True)
    return time.perf_counter() - started, copy.stat().st_size


def cpu_seconds() -> float:
    """What all ended child processes have used of the processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(run, folder: Path, size: int, line: str) -> tuple[float, float, int]:
    """(seconds, processor seconds, bytes of the copy)"""
    before = cpu_seconds()
    seconds, kept = run(folder, size, line)
    return seconds, cpu_seconds() - before, kept


def measure(title: str, run, folder: Path, sizes: list[float], line: str) -> None:
    run(folder, 2, line)  # the first start reads the libraries from the disk
    base, base_cpu, _ = timed(run, folder, 1, line)
    print(f"\n{title}; without a long line {base:.1f} s, {base_cpu:.1f} s of the processor")
    print("| line, MB | seconds more | processor, s more | copy, MB |\n|---|---|---|---|")
    for size in sizes:
        seconds, cpu, kept = timed(run, folder, int(size * MB), line)
        row = (f"{size:g}", f"{seconds - base:.1f}", f"{cpu - base_cpu:.2f}", f"{kept / MB:.2f}")
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 5, 20], metavar="MB")
    parser.add_argument("--library", action="store_true", help="papermill with coalesce_streams")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("The kit's runner, at once", with_kit, Path(folder), asked.sizes, WHOLE)
        measure("The kit's runner, in pieces", with_kit, Path(folder), asked.sizes, PIECES)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"largest process (kernel or worker): {peak:.0f} MiB")
        if asked.library:
            sizes = [0.05, 0.1, 0.2]
            measure("papermill with coalesce_streams", with_library, Path(folder), sizes, WHOLE)


if __name__ == "__main__":
    main()
