"""A run folder as the site reads it: the kit's notebooks with outputs that no model printed."""

import json
from pathlib import Path

import nbformat

from course_utils import kit
from course_utils.reports import site

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)
SETTINGS = {
    "settings": {"preset": "quick", "base_model": "nano", "train_records": 3, "seed": 42},
    "hardware": {"gpu_name": None, "cpu_model": "a CPU", "cores": 2},
    "created": "2026-11-28T18:00:11+00:00",
}
LONG = "x" * 300
WIDE = "".join(f"<th>a column with a long name {n}</th>" for n in range(12))


def make(folder: Path) -> Path:
    """Write the run; every code cell has the same outputs. Returns the executed lab."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    for path in kit.NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = outputs(folder)
        notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
        nbformat.write(notebook, folder / "notebooks" / path.name)
    return lab_of(folder)


def lab_of(folder: Path) -> Path:
    return folder / "notebooks" / Path(site.LAB).name


def outputs(folder: Path) -> list:
    """A path of the machine and a long line, a progress bar, a figure, a wide table."""
    new = nbformat.v4.new_output
    widget = {site.WIDGET: {"model_id": "1"}, "text/plain": "a bar"}
    figure = {"image/png": PNG, "text/plain": "<Figure>"}
    table = {"text/html": f"<table><tr>{WIDE}</tr></table>", "text/plain": "a table"}
    return [
        new("stream", text=f"written: {folder}/data/train.jsonl\n{LONG}\n"),
        new("display_data", data=widget),
        new("display_data", data=figure, metadata={"image/png": {"alt": "The loss falls"}}),
        new("display_data", data=table),
    ]
