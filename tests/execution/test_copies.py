"""An executed copy names no path of this machine, and keeps what its author wrote."""

import json
from pathlib import Path

import pytest
from execution.odd_notebooks import cell, notebook

from course_utils.execution.copies import without_paths
from course_utils.execution.runner import execute_notebooks


def test_a_notebook_that_ran_holds_no_path(tmp_path):
    """papermill's notes, the injected run folder, what a cell prints and a traceback."""
    source = tmp_path / "course" / "n.ipynb"
    source.parent.mkdir()
    declared = cell(source="run_dir = 'x'", metadata={"tags": ["parameters"]})
    printed = cell(source="import os\nprint(run_dir, os.getcwd())")
    failed = cell(source="open(run_dir + '/none.txt')")
    source.write_text(json.dumps(notebook(cells=[declared, printed, failed])))
    [result] = execute_notebooks(
        [source], tmp_path / "out", {"run_dir": str(tmp_path / "course" / "run")},
        environment={}, time_limit_minutes=2, resume=False, stop_on_failure=True,
    )  # fmt: skip
    text = Path(result.executed).read_text(encoding="utf-8")
    assert result.status == "failed"
    assert str(tmp_path) not in text
    assert 'run_dir = \\"run\\"' in text
    assert "none.txt" in text


@pytest.fixture
def copy(tmp_path):
    def made(*cells, **metadata):
        path = tmp_path / "copy.ipynb"
        path.write_text(json.dumps({"cells": list(cells), "metadata": metadata}))
        without_paths(path, tmp_path / "course")
        return json.loads(path.read_text())

    return made


def test_what_a_cell_says_is_its_authors(copy):
    own = {"cell_type": "code", "source": "open('/tmp/x/y')", "metadata": {}, "outputs": []}
    assert copy(own, papermill={"input_path": "/tmp/x/n.ipynb"}) == {
        "cells": [own],
        "metadata": {"papermill": {"input_path": "n.ipynb"}},
    }


def test_half_a_character_in_an_output_does_not_keep_the_paths(tmp_path):
    path = tmp_path / "copy.ipynb"
    printed = {"outputs": [{"text": "\ud800 /tmp/x/y"}], "metadata": {}, "source": ""}
    path.write_text(json.dumps({"cells": [printed], "metadata": {}}))
    without_paths(path, tmp_path / "course")
    assert json.loads(path.read_text())["cells"][0]["outputs"] == [{"text": "? y"}]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 1, "metadata": {}}', "[" * 100_000])
def test_half_a_copy_stays_as_it_is(tmp_path, content):
    path = tmp_path / "copy.ipynb"
    path.write_text(content)
    without_paths(path, tmp_path)
    assert path.read_text() == content
