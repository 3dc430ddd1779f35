"""Notebooks that are odd in different ways, as classes hand them in."""

import json
import os
from pathlib import Path
from typing import Any

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(*sources: str, tags: Any = (), **changes: Any) -> dict[str, Any]:
    """A notebook's JSON with code cells; `tags` of the first, `changes` of the outermost level."""
    cells = [
        {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": None}
        for s in sources
    ]
    if cells and tags != ():
        cells[0]["metadata"]["tags"] = tags
    whole = {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": KERNEL}, "cells": cells}
    return {key: value for key, value in {**whole, **changes}.items() if value is not ...}


def cell(**changes: Any) -> dict[str, Any]:
    whole = notebook("print(1)")["cells"][0] | changes
    return {key: value for key, value in whole.items() if value is not ...}


# name -> (what the file holds, words of its message)
STRUCTURES = {
    "tags_null": (notebook("1", tags=None), "'tags' is null"),
    "tags_of_numbers": (notebook("1", tags=[1]), "'tags' is a list"),
    "kernelspec_null": (notebook("1", metadata={"kernelspec": None}), "'kernelspec' is null"),
    "kernelspec_text": (notebook("1", metadata={"kernelspec": "python"}), "'kernelspec' is a text"),
    "language_list": (notebook("1", metadata={"language_info": []}), "'language_info' is a list"),
    "nbformat_5": (notebook("1", nbformat=5), "nbformat 5"),
    "nbformat_true": (notebook("1", nbformat=True), "JSON without 'nbformat'"),
    "no_metadata": (notebook("1", metadata=...), "'metadata' is missing"),
    "cells_null": (notebook(cells=None), "'cells' is null"),
    "no_cells": (notebook(cells=...), "'cells' is missing"),
    "cell_null": (notebook(cells=[None]), "cell 1 of 1 is null"),
    "cell_type": (notebook(cells=[cell(cell_type="heading")]), "the type 'heading'"),
    "cell_source": (notebook(cells=[cell(), cell(source=7)]), "cell 2 of 2: 'source' is a number"),
    "cell_without_source": (notebook(cells=[cell(source=...)]), "'source' is null"),
    "cell_metadata": (notebook(cells=[cell(metadata=...)]), "'metadata' is missing"),
    "half_character": (notebook(cells=[cell(source="'\ud83d'")]), "half of a character"),
    "old_and_broken": ({"nbformat": 3, "worksheets": None}, "old format"),
    "list": ([1, 2], "JSON without 'nbformat'"),
}
# Odd, and yet a run can work with it.
HARMLESS = {
    "no_kernelspec": notebook("print('ran')", metadata={}),
    "minor_null": notebook("print('ran')", nbformat_minor=None),
    "papermill_null": notebook("print('ran')", metadata={"papermill": None, "widgets": None}),
    "outputs_null": notebook(cells=[cell(source="print('ran')", outputs=None, id=None)]),
    "equal_ids": notebook(
        cells=[cell(source="print('ran')", id="same"), cell(id="same")], nbformat_minor=5
    ),
}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_twelve(folder: Path) -> list[str]:
    """Twelve that can't run; returns their names without .ipynb."""
    chosen = ["tags_null", "kernelspec_null", "nbformat_5", "no_metadata", "cells_null"]
    chosen += ["cell_source", "half_character"]
    for name in chosen:
        write(folder / f"{name}.ipynb", STRUCTURES[name][0])
    (folder / "empty.ipynb").write_bytes(b"")
    (folder / "cut.ipynb").write_bytes(json.dumps(notebook("1")).encode()[:40])
    (folder / "nested.ipynb").write_text('{"cells": ' + "[" * 100_000, encoding="utf-8")
    os.symlink("nowhere.ipynb", folder / "gone.ipynb")
    long = "n" * 245
    write(folder / f"{long}.ipynb", notebook("1"))
    return [*chosen, "empty", "cut", "nested", "gone", long]
