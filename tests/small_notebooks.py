"""Small notebooks for the tests of the runner: written, executed, read back."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rich.console import Console

from course_utils.execution.jobs import NotebookResult
from course_utils.execution.runner import execute_notebooks

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COURSE_FLAG": "flag"}
PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def write_notebook(
    path: Path, *sources: str, parameters: str = "", metadata: dict = PYTHON, tag: str = ""
) -> Path:
    """A notebook with a title, an optional `parameters` cell, and code cells (the last tagged)."""
    cells = [new_markdown_cell("# A title")]
    if parameters:
        cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(source) for source in sources]
    if tag:
        cells[-1].metadata["tags"] = [tag]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def run(notebooks: list[Path], out: Path, parameters: dict | None = None, **options):
    """execute_notebooks with quiet defaults; returns the results by name."""
    console = options.pop("console", Console(file=io.StringIO()))
    defaults = {"time_limit_minutes": 5, "resume": False, "stop_on_failure": False}
    settings = {**defaults, **options}
    results = execute_notebooks(
        notebooks, out, parameters or {}, ENVIRONMENT, console=console, **settings
    )
    return {result.name: result for result in results}


def wait_until(condition: Callable[[], object], seconds: float = 60) -> object:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)
    return found


def outputs(result: NotebookResult) -> str:
    """All that the cells of an executed copy printed."""
    cells = nbformat.read(result.executed, as_version=4).cells
    return "".join(o.get("text", "") for c in cells for o in c.get("outputs", []))
