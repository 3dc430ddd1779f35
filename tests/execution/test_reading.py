"""Notebook files of every encoding and structure: read, or refused with a cure that works."""

import copy
import json
import logging
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from execution.odd_notebooks import HARMLESS, STRUCTURES, cell, notebook, write
from hypothesis import given, settings
from hypothesis import strategies as st
from small_notebooks import outputs, run

from course_utils.errors import CourseError
from course_utils.execution.jobs import notebook_fingerprint
from course_utils.execution.kernels import choose_kernel
from course_utils.execution.notebooks import declared_parameters, declared_values
from course_utils.execution.reading import read_notebook
from course_utils.execution.worker import WholeFiles, code_numbers


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_no_run_could_work_with_is_named_with_its_cure(tmp_path, name):
    content, words = STRUCTURES[name]
    path = write(tmp_path / "n.ipynb", content)
    with pytest.raises(CourseError) as error:
        read_notebook(path)
    assert words in error.value.message
    assert str(path) in error.value.message
    assert error.value.cure


def test_harmless_oddities_run(tmp_path):
    paths = [write(tmp_path / f"{name}.ipynb", content) for name, content in HARMLESS.items()]
    results = run(paths, tmp_path / "out", workers=2)
    assert {name: r.error for name, r in results.items()} == dict.fromkeys(HARMLESS, "")
    assert all("ran" in outputs(result) for result in results.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(tmp_path, encoding):
    text = json.dumps(notebook("print('Prüfung')"), ensure_ascii=False)
    (tmp_path / "n.ipynb").write_bytes(text.encode(encoding))
    assert read_notebook(tmp_path / "n.ipynb")["cells"][0]["source"] == "print('Prüfung')"


def test_the_cure_for_a_windows_encoding_works_as_printed(tmp_path):
    path = tmp_path / "hand in's.ipynb"
    text = json.dumps(notebook("print('Prüfung')"), ensure_ascii=False)
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(CourseError) as error:
        read_notebook(path)
    words = shlex.split(error.value.cure.partition("run that: ")[2])
    subprocess.run([sys.executable, *words[1:]], check=True)
    converted = tmp_path / "hand in's_utf8.ipynb"
    assert read_notebook(converted)["cells"][0]["source"] == "print('Prüfung')"


def test_a_picture_called_ipynb_is_no_text_file(tmp_path):
    (tmp_path / "n.ipynb").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(CourseError, match="not a text file"):
        read_notebook(tmp_path / "n.ipynb")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_keep_the_reader_waiting(tmp_path):
    os.mkfifo(tmp_path / "n.ipynb")
    with pytest.raises(CourseError, match="not a file"):
        read_notebook(tmp_path / "n.ipynb")


def test_what_an_earlier_run_left_is_dropped(tmp_path):
    """papermill's injected cell would set the old run's values, and count as a cell."""
    injected = cell(source="x = 'old'", metadata={"tags": ["injected-parameters"]})
    declared = cell(source="x = 'declared'", metadata={"tags": ["parameters"], "papermill": 7})
    printed = cell(source="print(x)\n1 / 0", outputs=[{"output_type": "stream"}])
    path = write(tmp_path / "n.ipynb", notebook(cells=[declared, injected, printed]))
    result = run([path], tmp_path / "out")["n"]
    assert (result.cell, result.cells) == (2, 2)
    assert outputs(result) == "declared\n"


# --- Any JSON value in any place of a notebook -------------------------------------------------

WHOLE = notebook(
    cells=[
        cell(source=["x = 1\n", "y = 2"], metadata={"tags": ["parameters"], "papermill": {}}),
        {"cell_type": "markdown", "source": "# T", "metadata": {}, "attachments": {"a": {}}},
        cell(source="print(x)", id="abc", outputs=[{"output_type": "stream", "text": "1"}]),
    ],
    metadata={
        "kernelspec": {"name": "python3", "display_name": "P", "language": "python"},
        "language_info": {"name": "python", "version": "3.11"},
        "papermill": {"parameters": {}},
        "widgets": {"state": {}},
    },
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, part in inner:
        yield from places(part, (*path, key))


def with_value(whole, path: tuple, value):
    if not path:
        return value
    whole = copy.deepcopy(whole)
    part = whole
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return whole


@given(st.sampled_from(list(places(WHOLE))), VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_place_is_refused_with_a_cure_or_can_be_run(path, value):
    from nbformat import reads, writes
    from papermill.execute import remove_error_markers
    from papermill.iorw import load_notebook_node, papermill_io

    papermill_io.register(tempfile.gettempdir(), WholeFiles())
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "n.ipynb", with_value(WHOLE, path, value))
        read, cure = None, ""
        try:
            read = read_notebook(file)
        except CourseError as refused:
            cure = refused.cure
        if not read:
            assert cure
            return
        declared_parameters(read)
        declared_values(read)
        notebook_fingerprint(read, {}, "")
        code_numbers(read)
        choose_kernel(read, logging.getLogger("test"))
        loaded = remove_error_markers(load_notebook_node(str(file)))
        assert reads(writes(loaded), as_version=4).cells == loaded.cells
