"""A notebook that is run far from the kit's folder uses the installed kit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import kit

NOTEBOOKS = [*kit.NOTEBOOKS.glob("*.ipynb"), *kit.ASSIGNMENTS.glob("*/starter/*.ipynb")]


def set_up(notebook: Path) -> str:
    """The part of the set-up cell that finds the kit."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = next("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    found, between, _ = source.partition("from course_utils import environment")
    assert between, "not the set-up cell"
    return found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_set_up_cell_clones_nothing_where_the_kit_is_installed(notebook, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", set_up(notebook)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(kit.ROOT), "PATH": ""},  # without git
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
