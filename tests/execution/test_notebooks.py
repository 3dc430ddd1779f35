"""Finding and reading notebooks, and the parameters that they declare."""

import json

import pytest
from small_notebooks import run, write_notebook

from course_utils.errors import CourseError
from course_utils.execution.notebooks import (
    find_notebooks,
    parse_parameter,
    validate_parameters,
)
from course_utils.execution.reading import read_notebook

# --- Parameters -------------------------------------------------------------------------------


def test_unknown_parameter_is_named_with_the_nearest_known_one(tmp_path):
    cell = "learning_rate = 1e-4  # per step, a = b\nepochs: int = 3\nprint(seed)"
    notebook = write_notebook(tmp_path / "n.ipynb", "1", parameters=cell)
    with pytest.raises(CourseError, match=r"learning_rat \(did you mean learning_rate\?\)"):
        run([notebook], tmp_path / "out", {"learning_rat": 1, "epochs": 2})
    assert validate_parameters([notebook], {"learning_rate": 1, "epochs": 2}) == []
    with pytest.raises(CourseError, match="seed"):
        validate_parameters([notebook], {"seed": 1})


def test_parameters_for_foreign_notebooks_are_a_warning(tmp_path):
    notebook = write_notebook(tmp_path / "foreign.ipynb", "1")
    assert "foreign.ipynb" in validate_parameters([notebook], {"seed": 1})[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("true", True),
        ("False", False),
        ("None", None),
        ("no", "no"),
        ("cpu", "cpu"),
        ("[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("'3'", "3"),
        ("", ""),
    ],
)
def test_parameter_text_becomes_a_value(text, value):
    found = parse_parameter(text)
    assert (found, type(found)) == (value, type(value))


def test_broken_yaml_parameter_is_refused():
    with pytest.raises(CourseError, match="not valid YAML"):
        parse_parameter("[1, 2")


# --- Files ---------------------------------------------------------------


def test_finding_takes_files_and_folders_once_and_skips_checkpoints(tmp_path):
    second = write_notebook(tmp_path / "b.ipynb", "1")
    first = write_notebook(tmp_path / "a.ipynb", "1")
    write_notebook(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.ipynb", "1")
    write_notebook(tmp_path / "a.failed.ipynb", "1")
    assert find_notebooks([tmp_path]) == [first, second]
    assert find_notebooks([second, tmp_path]) == [second, first]


@pytest.mark.parametrize("name", ["missing.ipynb", "folder", "notes.txt"])
def test_path_without_a_notebook_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CourseError, match=name):
        find_notebooks([tmp_path / name])


def test_old_notebook_format_is_read(tmp_path):
    cell = {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "language": "python"}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}}
    old["worksheets"] = [{"cells": [{**cell, "outputs": [], "metadata": {}}], "metadata": {}}]
    (tmp_path / "old.ipynb").write_text(json.dumps(old), encoding="utf-8")
    assert read_notebook(tmp_path / "old.ipynb")["cells"][0]["source"] == "x = 1\ny = 2"


@pytest.mark.parametrize("cells", [None, [1], [{"cell_type": "code", "metadata": {}}]])
def test_json_that_is_no_notebook_is_refused(tmp_path, cells):
    (tmp_path / "n.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}), "utf-8")
    with pytest.raises(CourseError, match="not a"):
        read_notebook(tmp_path / "n.ipynb")
