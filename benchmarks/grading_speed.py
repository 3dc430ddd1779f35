"""Notebooks with the usual imports: the warm sandbox against plain papermill.

python benchmarks/grading_speed.py                 # 10 notebooks each way
python benchmarks/grading_speed.py --notebooks 3   # fewer
python benchmarks/grading_speed.py --light         # does it run at all? no heavy imports

Each notebook imports torch, transformers, peft and trl, as a submission does, then runs three small
cells; the last one tells its kernel's private memory (USS). Plain papermill runs them one after
the other in one process, so it imports itself once: its best case. The sandbox runs them one after
the other too, at the strongest level that works here, warm and fresh. Its server's imports are told
apart (once a batch). Processor time is that of all processes; on a machine that others use it says
more than seconds.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from shared import positive

from course_utils.console import console
from course_utils.execution.custody import Custody
from course_utils.execution.runner import execute_notebooks
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.levels import choose_level
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.workers import WorkerServer

HEAVY = """import torch, transformers, peft, trl, datasets
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer
from peft import LoraConfig, get_peft_model"""
CELLS = (
    "records = [{'instruction': 'i', 'output': str(n)} for n in range(100)]",
    "total = sum(len(record['output']) for record in records)\nprint(total)",
    "import psutil\nprint('USS', psutil.Process().memory_full_info().uss)",
)
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
MIB = 2**20


def write_notebooks(folder: Path, count: int, light: bool) -> list[Path]:
    sources = ("import json" if light else HEAVY, *CELLS)
    paths = []
    for number in range(count):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = folder / f"student_{number:02}" / "hw.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=PYTHON), path)
        paths.append(path)
    return paths


def private_memory(copies: Sequence[Path]) -> float:
    """MiB of a kernel of its own (USS), the mean."""
    found = []
    for copy in copies:
        text = nbformat.read(copy, as_version=4).cells[-1].outputs[0].text
        found.append(int(text.split()[1]) / MIB)
    return sum(found) / len(found)


def processor_seconds() -> float:
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(part) for part in parts]
    return sum(u.ru_utime + u.ru_stime for u in used)


def with_papermill(notebooks: Sequence[Path], folder: Path) -> dict[str, Any]:
    import papermill

    copies, started, cpu = [], time.monotonic(), processor_seconds()
    for notebook in notebooks:
        copies.append(folder / f"{notebook.parent.name}.ipynb")
        papermill.execute_notebook(
            str(notebook), str(copies[-1]), progress_bar=False, cwd=str(notebook.parent)
        )
    return told("plain papermill", started, cpu, copies)


def in_sandbox(notebooks: Sequence[Path], folder: Path, warm: bool, light: bool) -> dict[str, Any]:
    level = choose_level("auto").level
    imports = ("json", "ipykernel.kernelapp", "ipykernel.ipkernel") if light else None
    begun = time.monotonic()
    with Sandbox(level, warm=warm, imports=imports) as box:
        if box.warm:
            box.wait_until_warm()
        warm_up, started, cpu = time.monotonic() - begun, time.monotonic(), processor_seconds()
        with WorkerServer() if box.warm else contextlib.nullcontext() as workers:
            results = execute_notebooks(
                *(notebooks, folder, {}, {}, 30, False, True),
                console=console(file=io.StringIO()),
                custody=Custody(box, Limits(), workers=workers),
            )
        for result in results:
            assert result.verdict.ok, (result.verdict, result.log)
        name = f"sandbox ({level}), {'warm' if box.warm else 'fresh'}"
        row = told(name, started, cpu, [result.executed for result in results])
    if box.warm or level == "bwrap":  # what ran below these is not among this process's children
        inside = [result.usage["cpu"] + result.usage["watching"] for result in results]
        row["cpu"] += sum(inside) / len(inside)
    return {**row, "warm_up": warm_up}


def told(name: str, started: float, cpu: float, copies: Sequence[Path]) -> dict[str, Any]:
    count = len(copies)
    return {
        "name": name,
        "seconds": (time.monotonic() - started) / count,
        "cpu": (processor_seconds() - cpu) / count,
        "private": private_memory(copies),
        "warm_up": 0.0,
    }


def table(rows: Sequence[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    shown = Table(box=box.MARKDOWN)
    titles = (
        "way",
        "s a notebook",
        "CPU s a notebook",
        "times less",
        "private MiB a kernel",
        "once",
    )
    for title in titles:
        shown.add_column(title, justify="left" if title == "way" else "right")
    first = rows[0]
    for row in rows:
        less = f"{first['seconds'] / row['seconds']:.1f} ({first['cpu'] / row['cpu']:.1f} in CPU)"
        once = f"{row['warm_up']:.1f} s" if row["warm_up"] > 1 else ""
        numbers = (
            f"{row['seconds']:.2f}",
            f"{row['cpu']:.2f}",
            less,
            f"{row['private']:.0f}",
            once,
        )
        shown.add_row(row["name"], *numbers)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--notebooks", type=positive, default=10)
    parser.add_argument("--light", action="store_true", help="no heavy imports: a trial")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="grading-speed-") as name:
        folder = Path(name)
        notebooks = write_notebooks(folder / "in", options.notebooks, options.light)
        (folder / "papermill").mkdir()
        rows = [
            with_papermill(notebooks, folder / "papermill"),
            in_sandbox(notebooks, folder / "warm", True, options.light),
            in_sandbox(notebooks[:3], folder / "fresh", False, options.light),
        ]
    load = json.dumps([round(value, 1) for value in os.getloadavg()])
    console(width=120).print(table(rows))
    print(f"{options.notebooks} notebooks (fresh: {len(notebooks[:3])}); load at the end: {load}")


if __name__ == "__main__":
    main()
