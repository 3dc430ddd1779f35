"""`course data check` beside its verdict: what it searches, how far it is, what it writes."""

import gzip
import itertools
import json
import sys

import pytest
from typer.testing import CliRunner

from course_utils import records
from course_utils.commands import data
from course_utils.commands.main import command_line

NEAR = [
    {"instruction": "Fill in.", "input": text, "output": "done"}
    for text in ("replace broken joystick handle", "replace brocken joystick handle")
]


@pytest.fixture
def file(tmp_path):
    return records.write_records(tmp_path / "records.jsonl", NEAR)


def course(*words):
    return CliRunner().invoke(command_line(), ["data", *map(str, words)])


def test_no_near_leaves_the_search_out_and_says_so(file):
    assert "near-duplicate" in course("check", file).output
    done = course("check", file, "--no-near")
    assert done.exit_code == 0
    assert "near-duplicate" not in done.stdout
    assert "not searched" in done.stderr


def test_a_long_search_tells_how_far_it_is_and_a_short_one_is_silent(monkeypatch, capsys):
    clock = itertools.count(step=6)
    monkeypatch.setattr(data.time, "monotonic", lambda: next(clock))
    with data._progress_line() as progress:
        for done in range(0, 500, 100):
            progress("comparing prompts", done, 10_000)
    assert capsys.readouterr().err.splitlines() == [
        "comparing prompts: 100 of 10,000",
        "comparing prompts: 300 of 10,000",
    ]
    monkeypatch.setattr(data.time, "monotonic", lambda: 0.5)
    with data._progress_line() as progress:
        progress("counting tokens", 100, 200)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line_that_is_wiped_at_the_end(monkeypatch, capsys):
    clock = itertools.count(step=6)
    monkeypatch.setattr(data.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with data._progress_line() as progress:
        progress("counting tokens", 100, 10_000)
        progress("counting tokens", 200, 10_000)
    said = capsys.readouterr().err
    assert "\n" not in said
    assert said.count("\r") == 4
    assert said.endswith("\r")


def test_the_whole_file_is_checked_from_a_packed_array(tmp_path):
    path = tmp_path / "records.json.gz"
    path.write_bytes(gzip.compress(json.dumps(NEAR).encode()))
    done = course("check", path, "--write", tmp_path / "fixed.jsonl", "--json")
    assert json.loads(done.stdout)["counts"] == {"format": 1, "near-duplicate": 1}
    assert records.read_records(tmp_path / "fixed.jsonl") == NEAR


def test_what_was_put_right_and_left_out_is_said_in_words(tmp_path):
    rows = [{**row, "input": None, "instruction": f"Form {i}"} for i, row in enumerate(NEAR)]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    done = course("check", path, "--write", tmp_path / "fixed.jsonl")
    assert "2 records; put right: missing value written as empty text (2);" in done.output
    assert "left out: bad-json (1)" in done.output


@pytest.mark.parametrize("words", [["check", "--schema", "x"], ["convert", "--to", "x"]])
def test_an_unknown_schema_is_a_wrong_argument(file, words, tmp_path):
    verb, *more = words
    out = ["--out", tmp_path / "o.jsonl"] if verb == "convert" else []
    done = course(verb, file, *more, *out)
    assert type(done.exception).__name__ == "UsageError"
    assert "manufacturing" in done.exception.cure


@pytest.mark.parametrize("words", [["check", "--write"], ["convert", "--to", "geology", "--out"]])
def test_a_file_that_is_there_is_replaced_only_when_asked(file, tmp_path, words):
    mine = tmp_path / "mine.jsonl"
    mine.write_text("my notes\n", encoding="utf-8")
    command = [words[0], file, *words[1:], mine]
    refused = CliRunner().invoke(command_line(), ["data", *map(str, command)])
    assert "is there already" in str(refused.exception)
    assert mine.read_text(encoding="utf-8") == "my notes\n"
    course(*command, "--overwrite")
    assert json.loads(mine.read_text(encoding="utf-8").splitlines()[0])
