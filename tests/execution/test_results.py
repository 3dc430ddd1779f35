"""results.json and results.csv: a row each, and nothing that a spreadsheet would compute."""

import csv
import io
import json
from pathlib import Path

from course_utils.execution.jobs import NotebookResult
from course_utils.execution.results import as_csv, write_results


def result(name: str, status: str = "done", **more) -> NotebookResult:
    return NotebookResult(name, Path(f"/class/{name}.ipynb"), status, **more)


def names(folder: Path) -> list[tuple[str, str]]:
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))["notebooks"]
    return [(row["name"], row["status"]) for row in rows]


def test_no_text_of_a_notebook_acts_as_a_formula(tmp_path):
    formulas = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "\r=1"]
    write_results(tmp_path, [result(str(i), "failed", error=f) for i, f in enumerate(formulas)])
    text = (tmp_path / "results.csv").read_bytes().decode("utf-8")
    errors = [row["error"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert errors == [f"'{formula}" for formula in formulas]


def test_commas_quotes_and_line_breaks_stay_one_field():
    columns = {"name": "a,b", "error": 'say "hi"\nagain'}
    empty = ("notebook", "status", "seconds", "cell", "cells", "cure", "copy", "log")
    sheet = as_csv([{**dict.fromkeys(empty), **columns}])
    [row] = csv.DictReader(io.StringIO(sheet, newline=""))
    assert (row["name"], row["error"], row["cell"]) == ("a,b", 'say "hi"\nagain', "")


def test_rows_of_notebooks_that_did_not_run_now_stay(tmp_path):
    write_results(tmp_path, [result("alice-hw"), result("carol-hw", "failed")])
    write_results(tmp_path, [result("bob-hw"), result("carol-hw", "not_run")])
    assert names(tmp_path) == [("alice-hw", "done"), ("bob-hw", "done"), ("carol-hw", "failed")]


def test_a_file_name_in_odd_bytes_is_written(tmp_path):
    write_results(tmp_path, [result("pr\udcfcfung")])
    assert "pr%FCfung" in (tmp_path / "results.csv").read_text(encoding="utf-8")
