"""Notebook files of every encoding and structure: read, or refused with a cure that works."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from execution.odd_notebooks import HARMLESS, STRUCTURES, cell, notebook, write
from small_notebooks import outputs, run

from course_utils.errors import CourseError
from course_utils.execution.reading import read_notebook


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
    copy = tmp_path / "hand in's_utf8.ipynb"
    assert read_notebook(copy)["cells"][0]["source"] == "print('Prüfung')"


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
