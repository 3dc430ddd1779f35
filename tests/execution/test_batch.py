"""`course run FOLDER`: a row for each notebook, whatever its file holds, one or two at a time."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from execution.odd_notebooks import notebook, write, write_twelve

ROOT = Path(__file__).parents[2]
GOOD = 18


def course(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "course_utils", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """(folder, names of the odd ones, the command's end at --jobs 1, at --jobs 2)."""
    folder = tmp_path_factory.mktemp("batch")
    odd = write_twelve(folder / "class")
    for number in range(GOOD):
        write(folder / "class" / f"good_{number:02}.ipynb", notebook(f"print({number} * 2)"))
    ends = [
        course("run", "class", "--out", f"out{jobs}", "--jobs", str(jobs), cwd=folder)
        for jobs in (1, 2)
    ]
    return folder, odd, *ends


def rows(folder: Path) -> list[dict]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["notebooks"]


def test_thirty_notebooks_of_which_twelve_are_odd_give_thirty_rows(batches):
    folder, odd, one, _ = batches
    assert len(rows(folder / "out1")) == 30
    assert one.returncode == 1
    assert "Traceback" not in one.stdout + one.stderr
    assert f"{GOOD} of 30 notebooks ran" in one.stdout
    bad = {row["name"]: row for row in rows(folder / "out1") if row["status"] != "done"}
    assert set(bad) == set(odd)
    assert {row["status"] for row in bad.values()} == {"invalid"}
    assert all(row["error"] and row["cure"] for row in bad.values())


def test_the_good_ones_of_a_batch_are_executed(batches):
    for number in range(GOOD):
        copy = nbformat.read(batches[0] / "out1" / f"good_{number:02}.ipynb", as_version=4)
        assert copy.cells[0].outputs[0].text == f"{number * 2}\n"


def test_two_at_a_time_give_the_same_as_one(batches):
    folder = batches[0]

    def told(out: str) -> list[tuple]:
        same = ("name", "notebook", "status", "cell", "cells", "error", "cure")
        return [tuple(row[key] for key in same) for row in rows(folder / out)]

    assert told("out1") == told("out2")
    names = [{p.name for p in (folder / out).iterdir()} for out in ("out1", "out2")]
    assert names[0] == names[1]


def test_the_csv_has_the_same_rows(batches):
    with (batches[0] / "out1" / "results.csv").open(encoding="utf-8", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert [row["name"] for row in sheet] == [row["name"] for row in rows(batches[0] / "out1")]
    assert [row["status"] for row in sheet].count("done") == GOOD


def test_a_second_call_is_refused_and_only_selects_by_the_label_of_the_table(batches):
    folder = batches[0]
    refused = course("run", "class", "--out", "out1", cwd=folder)
    assert refused.returncode == 2
    assert "already holds a run of good_00 and 17 more" in refused.stderr
    one = course("run", "class", "--out", "out1", "--resume", "--only", "good_03", cwd=folder)
    assert one.returncode == 0, one.stdout + one.stderr
    assert "1 of 1 notebooks ran" in one.stdout
    assert len(rows(folder / "out1")) == 30
