"""Files appear whole or not at all, with the mode that is expected; what can't be read says why."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from course_utils import files
from course_utils.errors import CourseError

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupted_write(path):
    with files.atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt


# --- writing ---


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"a": [1, 2.5, None, True], "ü": "Grüße 漢字 🙂", "nested": {"x": []}}
    assert (
        files.read_json(files.write_json_atomic(tmp_path / "deep" / "a.json", content)) == content
    )


def test_the_written_file_is_utf8_that_a_person_can_read(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"ü": 1})
    assert path.read_bytes() == '{\n  "ü": 1\n}\n'.encode()


def test_nan_and_infinity_become_null(tmp_path):
    content = {"a": math.nan, "b": [math.inf, -math.inf, 1.0], "c": (numpy.float32("nan"),)}
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", content))
    assert found == {"a": None, "b": [None, None, 1.0], "c": [None]}


def test_numpy_numbers_and_number_keys_are_written(tmp_path):
    content = {1: numpy.int64(3), "x": numpy.float64(0.5), "y": numpy.bool_(True)}
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", content))
    assert found == {"1": 3, "x": 0.5, "y": True}


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff ok"])
def test_half_a_character_in_a_models_answer_can_be_written(tmp_path, text):
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", {"answer": text}))
    assert found["answer"] == text.encode("utf-8", "replace").decode()


def test_what_json_cannot_hold_leaves_the_old_file_and_no_leftover(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        files.write_json_atomic(path, {"new": object()})
    assert files.read_json(path) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_an_error_inside_the_block_leaves_the_old_file_and_no_leftover(tmp_path):
    path = files.write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


SHORT_WRITE = """
import resource, sys
from course_utils import files
from course_utils.errors import CourseError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_json_atomic(sys.argv[1], {"new": "x" * 100_000})
except CourseError as error:
    print(error)
"""


def test_a_write_that_the_disk_cuts_short_leaves_the_old_file_and_says_so(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"old": 1})
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITE, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.startswith(f"{path}: not written (File too large)\nCure: free some disk")
    assert files.read_json(path) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_target_that_is_a_folder_is_one_message_and_leaves_nothing(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(CourseError, match="a.json: this is a folder"):
        files.write_json_atomic(tmp_path / "a.json", {})
    assert names(tmp_path) == ["a.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
def test_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(CourseError, match="a.json: this is a pipe or a device"):
        files.write_json_atomic(tmp_path / "a.json", {})
    assert (tmp_path / "a.json").is_fifo()


def test_a_parent_that_is_a_file_is_one_message(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CourseError, match="not written") as told:
        files.write_text_atomic(tmp_path / "file" / "a.txt", "x")
    assert told.value.cure == "a folder in its path is a file: choose another place"


@pytest.fixture
def mask():
    """Sets the umask; the old one comes back after the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_umask_gives(mask, tmp_path, umask, mode):
    mask(umask)
    assert files.write_text_atomic(tmp_path / "a", "x").stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_replaced_file_keeps_its_mode(mask, tmp_path, mode):
    path = files.write_text_atomic(tmp_path / "a", "old")
    path.chmod(mode)
    files.write_text_atomic(path, "new")
    assert (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777) == ("new", mode)


# --- reading ---


def test_a_missing_file_names_itself_and_what_writes_it(tmp_path):
    with pytest.raises(CourseError, match="baseline.json: there is no such file") as caught:
        files.read_json(tmp_path / "baseline.json", "notebook 02_baseline")
    assert caught.value.cure == "run notebook 02_baseline first"


@pytest.mark.parametrize("text", [None, "{", "[1]", "7", '"a"'])
def test_where_no_object_can_be_read_it_is_an_empty_one(tmp_path, text):
    path = tmp_path / "a.json"
    if text:
        path.write_text(text, encoding="utf-8")
    assert files.read_object(path) == {}


def test_an_object_is_read_as_it_is(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"a": [1]})
    assert files.read_object(path) == {"a": [1]}


def test_a_missing_file_of_no_notebook_speaks_of_none(tmp_path):
    with pytest.raises(CourseError) as caught:
        files.read_json(tmp_path / "other.json")
    assert "notebook" not in caught.value.cure


@pytest.mark.parametrize("content", [b'{"a": ', b"", b"\xff\xfe", b"{'a': 1}"])
def test_a_broken_file_is_one_message_that_names_it(tmp_path, content):
    path = tmp_path / "training.json"
    path.write_bytes(content)
    with pytest.raises(CourseError, match="training.json: not readable as JSON"):
        files.read_json(path)


def test_a_folder_in_the_files_place_is_one_message(tmp_path):
    with pytest.raises(CourseError, match=f"{tmp_path}: "):
        files.read_json(tmp_path)
