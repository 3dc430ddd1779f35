"""Commands on terminals that are not UTF-8, and with file names that are not (F21, F25)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import kit

ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8:strict"]
LATIN = b"caf\xe9.txt"


def course(encoding: str, *arguments: str | Path | bytes) -> subprocess.CompletedProcess[bytes]:
    """`course ARGUMENTS` as a process of its own whose streams have this encoding."""
    words = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    paths = os.pathsep.join([str(kit.ROOT), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": encoding, "COLUMNS": "300"}
    command = [sys.executable.encode(), b"-m", b"course_utils", *words]
    return subprocess.run(command, capture_output=True, env=environ, check=False, timeout=120)


def said(done: subprocess.CompletedProcess[bytes], encoding: str) -> str:
    """Both outputs; whatever is printed can be read back in the encoding asked for."""
    text = (done.stdout + done.stderr).decode(encoding.partition(":")[0])
    assert "Traceback" not in text
    assert "UnicodeEncodeError" not in text
    return text


@pytest.fixture
def submission(tmp_path) -> Path:
    """A folder of week 5 whose notebook brings “quotes” into the report, and a Latin-1 name."""
    course("utf-8", "assignment", "start", "week05", tmp_path / "mine")
    (tmp_path / "mine" / os.fsdecode(LATIN)).write_text("x")
    return tmp_path / "mine"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_checklist_is_shown_on_any_terminal(submission, encoding):
    done = course(encoding, "submit", "check", submission)
    assert done.returncode == 1
    text = said(done, encoding)
    assert "What does it control?" in text
    assert "\\xe9.txt: not part of the structure" in text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_checklist_as_json_can_be_read_back(submission, encoding):
    done = course(encoding, "submit", "check", "--json", submission)
    content = json.loads(done.stdout.decode(encoding.partition(":")[0]))
    assert any("“What does it control?”" in row["message"] for row in content["findings"])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_doctor_speaks_on_any_terminal(encoding):
    text = said(course(encoding, "doctor"), encoding)
    assert "jupyter kernel" in text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_name_that_is_no_utf8_is_printed_with_escapes(encoding):
    done = course(encoding, "submit", "check", b"f\xfcr")
    assert done.returncode == 1
    assert "f\\xfcr: there is no such folder" in said(done, encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", [("model", "list"), ("submit", "--help"), ("nonsense",)])
def test_tables_and_help_are_shown_on_any_terminal(encoding, command):
    assert said(course(encoding, *command), encoding)
