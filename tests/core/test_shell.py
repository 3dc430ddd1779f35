"""A command that a message prints works when it is typed into a shell."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.shell import command_line

NAMES = ["a b.csv", "it's.csv", 'a "b".csv', "-dash.csv", "line\nbreak.csv", "$HOME.csv", "ü\\.csv"]
NAMES += [os.fsdecode(b"lat\xe9.csv"), os.fsdecode(b"\xe9'1\n.csv")]


@pytest.mark.parametrize("name", NAMES)
def test_a_typed_command_reaches_the_file_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_text("reached", encoding="utf-8")
    line = command_line(["cat", Path(name)])
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "reached", line


def test_a_command_of_odd_names_is_one_line_of_printable_characters():
    assert command_line(["a", Path(NAMES[-1])]).isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_the_cure_for_a_table_makes_the_file_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_text("instruction,input,output\na,b,c\n", encoding="utf-8")
    course = [sys.executable, "-m", "course_utils"]
    words = [*course, "data", "check", "--", name]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True).stdout
    line = told.partition("JSON lines: course ")[2].partition("\n")[0]
    typed = subprocess.run(["bash", "-c", f"{shlex.join(course)} {line}"], cwd=tmp_path)
    made = [p for p in tmp_path.iterdir() if p.suffix == ".jsonl"]
    assert (typed.returncode, len(made)) == (1, 1), told
