"""A twin of Colab's machine: the set-up cell, the five notebooks and the lab run in it.

    make colab-twin            # builds tests/colab/packages_2026-08-19.txt once, then runs this

python tests/colab/twin.py PYTHON WORK: PYTHON is that of an environment with Colab's versions. It
is left as it is: each try gets a copy. The kit comes from a repository on this machine that stands
for the one on GitHub: the student edition, at the tag that the set-up cell names. The network is
needed: the set-up cell installs packages.

WORK/report.md says how long the set-up cell took and what it changed. Exit status 1: something was
replaced that the kernel had loaded, a restart was asked for, a cell failed, or it took too long.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell

from course_utils import kit
from course_utils.assignments import edition, setup_cell
from course_utils.environment import canonical

FIRST_SECONDS, AGAIN_SECONDS = 90, 3  # of the set-up cell
DATE = "2026-08-19"  # of packages_2026-08-19.txt
LOADED = {  # package: the module that Colab's kernel has loaded
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "matplotlib": "matplotlib.pyplot",
    "pillow": "PIL.Image",
    "torch": "torch",
}
KEPT = {*LOADED, "transformers", "peft", "accelerate", "datasets"}
NOTEBOOKS = [*sorted(kit.NOTEBOOKS.glob("0?_*.ipynb")), kit.NOTEBOOKS / "parameter_lab.ipynb"]
KERNEL = "colab-twin"
VERSIONS = (
    "import json; from importlib.metadata import distributions as all; "
    "print(json.dumps({d.name: d.version for d in all() if d.name}))"
)
# Processor seconds of the kernel and of the programs that it has run, pip among them.
USED = "import os; print(sum(os.times()[:4]))"


@dataclass
class Cell:
    """One execution of the set-up cell."""

    seconds: float
    processor_seconds: float
    printed: str


@dataclass
class Result:
    """One notebook; `error` is empty when it ran to its end."""

    name: str
    seconds: float
    error: str = ""
    setup: tuple[Cell, ...] = ()


class Twin:
    """A copy of the environment, a repository of the kit, and a folder to work in."""

    def __init__(self, python: Path, work: Path) -> None:
        self.work = work.resolve()
        self.content = self.work / "content"
        shutil.rmtree(self.work, ignore_errors=True)
        self.content.mkdir(parents=True)
        self.python = self._copy_of(python)
        self.environment = self._environment(self._repository())
        self._write_kernel()

    def _copy_of(self, python: Path) -> Path:
        """The environment of `python` again, as links to its files: pip replaces files whole."""
        home = python.absolute().parents[1]
        _run("cp", "-al", home, self.work / "env")
        return self.work / "env" / "bin" / "python"

    def _repository(self) -> Path:
        """What students fetch: the student edition of this kit, with the tag."""
        folder, tag = self.work / "repository", setup_cell.stated().revision
        edition.export(folder)
        git = ("git", "-C", folder, "-c", "user.name=twin", "-c", "user.email=twin@localhost")
        for words in (
            ["init", "-q"],
            ["add", "-A", "-f"],
            ["commit", "-q", "-m", "kit"],
            ["tag", tag],
        ):
            _run(*git, *words)
        return folder

    def _environment(self, repository: Path) -> dict[str, str]:
        """As on Colab: nothing of the kit to be imported, and git finds the repository."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return kept | {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "COLAB_RELEASE_TAG": "twin",
            "COURSE_CACHE": str(self.work / "cache"),  # empty: models and data are made there
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": setup_cell.stated().repository,
            "JUPYTER_PATH": str(self.work / "jupyter"),
        }

    def _write_kernel(self) -> None:
        folder = self.work / "jupyter" / "kernels" / KERNEL
        folder.mkdir(parents=True)
        command = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": KERNEL, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))

    def versions(self) -> dict[str, str]:
        """Package name -> version of all that is installed in the copy."""
        found = json.loads(_run(self.python, "-c", VERSIONS))
        return {canonical(name): version for name, version in found.items()}

    def run(self, path: Path) -> Result:
        """Execute a notebook as a student does, alone in a folder, on the nano model."""
        notebook = nbformat.read(path, as_version=4)
        first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        setup = notebook.cells[first]
        loaded = new_code_cell("\n".join(f"import {module}" for module in LOADED.values()))
        used = [new_code_cell(USED) for _ in range(3)]
        again = new_code_cell(setup.source)
        notebook.cells[first : first + 1] = [loaded, used[0], setup, used[1], again, used[2]]
        _set_parameters(notebook)
        client = NotebookClient(
            notebook,
            timeout=3600,
            startup_timeout=600,
            kernel_name=KERNEL,
            record_timing=True,
            resources={"metadata": {"path": str(self.content)}},
        )
        start, error = time.monotonic(), ""
        os.environ["JUPYTER_PATH"] = self.environment["JUPYTER_PATH"]
        try:
            client.execute(env=self.environment)
        except (CellExecutionError, DeadKernelError) as failed:
            error = str(failed)
        nbformat.write(notebook, self.work / path.name)
        cells = tuple(_measured([setup, again], [float(_printed(c) or "nan") for c in used]))
        return Result(path.stem, time.monotonic() - start, error, cells)


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _set_parameters(notebook: nbformat.NotebookNode) -> None:
    """Below the parameters cell, as `course run -p` does it."""
    for index, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []) and "preset =" in cell.source:
            notebook.cells.insert(index + 1, new_code_cell('preset = "nano"'))
            return


def _printed(cell: nbformat.NotebookNode) -> str:
    return "".join(out.get("text", "") for out in cell.outputs).strip()


def _measured(cells: list[nbformat.NotebookNode], used: list[float]) -> Iterator[Cell]:
    for cell, (before, after) in zip(cells, pairwise(used), strict=True):
        times = cell.metadata.get("execution", {})
        ends = [times.get(name) for name in ("iopub.execute_input", "shell.execute_reply")]
        if all(ends):
            start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in ends)
            yield Cell((end - start).total_seconds(), after - before, _printed(cell))


# --- What came of it ----------------------------------------------------------------------------


def problems(before: dict, after: dict, results: list[Result]) -> list[str]:
    """What a student on Colab would not forgive; empty when all is well."""
    found = [f"{result.name}: {result.error}" for result in results if result.error]
    found += [
        f"{name} was replaced: {before[name]} -> {after.get(name)}"
        for name in LOADED
        if after.get(name) != before[name]
    ]
    first, again = (*results[0].setup, None, None)[:2]
    for cell, limit, which in ((first, FIRST_SECONDS, "first"), (again, AGAIN_SECONDS, "second")):
        if cell is None or "ready: " not in cell.printed:
            found.append(f"the set-up cell's {which} run did not end with `ready`")
        elif cell.seconds >= limit:
            found.append(f"the set-up cell's {which} run took {cell.seconds:.1f} s, not {limit}")
    return found


def report(python: str, before: dict, after: dict, results: list[Result], wrong: list[str]) -> str:
    """The page: times, versions before and after, problems."""
    first, again = (*results[0].setup, *[Cell(float("nan"), float("nan"), "")] * 2)[:2]
    lines = [f"# The twin of Colab, {datetime.now():%Y-%m-%d %H:%M}", ""]
    lines += [f"Python {python}, torch {before['torch']}, list of {DATE}.", ""]
    lines += ["| | seconds | processor seconds |", "|---|---|---|"]
    for cell, which in ((first, "fresh environment"), (again, "second run")):
        name = f"set-up cell, {which}"
        lines.append(f"| {name} | {cell.seconds:.1f} | {cell.processor_seconds:.1f} |")
    for result in results:
        lines.append(f"| {result.name} | {result.seconds:.0f} | {result.error[:60] or 'done'} |")
    lines += ["", "| package | before | after |", "|---|---|---|"]
    for name in sorted({*before, *after}):
        old, new = before.get(name, "-"), after.get(name, "-")
        if old != new or name in KEPT:
            lines.append(f"| {name} | {old} | {new} |")
    lines += ["", *(f"- {problem}" for problem in wrong or ["no problem"]), ""]
    return "\n".join(lines)


def main(given: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", type=Path, help="of an environment with Colab's versions")
    parser.add_argument("work", type=Path, help="a folder for this; what is in it goes")
    parser.add_argument("--only", default="", help="names of notebooks that hold this")
    options = parser.parse_args(given)
    chosen = [path for path in NOTEBOOKS if options.only in path.stem]
    if not chosen:  # before the work folder is emptied
        names = ", ".join(path.stem for path in NOTEBOOKS)
        parser.error(f"--only {options.only}: no notebook's name holds this; choose among {names}")
    twin = Twin(options.python, options.work)
    version = _run(twin.python, "-V").split()[1]
    before = twin.versions()
    results = []
    for path in chosen:
        results.append(twin.run(path))
        told = results[-1].error.strip().splitlines()[-1:] or ["done"]
        print(f"{path.stem}: {results[-1].seconds:.0f} s, {told[0]}", flush=True)
    after = twin.versions()
    wrong = problems(before, after, results)
    page = report(version, before, after, results, wrong)
    (twin.work / "report.md").write_text(page, encoding="utf-8")
    print(f"\n{page}\n{twin.work / 'report.md'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
