"""docs/your_own_track.md, done: data of another domain through the five notebooks, on nano.

The sixty brewing records are split by the command of the page; what it prints is what the page
says. Geology goes the same way, and is built where it is not there.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course_utils import kit, material, own_data, runs, tasks
from course_utils.records import read_records
from course_utils.tracks.geology import track as geology

PAGE = (kit.ROOT / "docs" / "your_own_track.md").read_text(encoding="utf-8")
EXAMPLE = kit.DATA / "examples" / "brewing.jsonl"
FOREIGN = re.compile(r"work order|excavator|L/H|hydraulic|bucket", re.IGNORECASE)


def course(*arguments: str, cwd: Path, code: int = 0) -> str:
    """A command in a folder of its own; returns what it printed."""
    command = [sys.executable, "-m", "course_utils", *arguments]
    found = [str(kit.ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "COURSE_THREADS": "1", "PYTHONPATH": os.pathsep.join(found)}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


# --- Quick ----------------------------------------------------------------------------------------


def test_the_split_prints_what_the_page_says(tmp_path):
    said = course("data", "split", str(EXAMPLE), "--out", "brewing", cwd=tmp_path)
    told = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    assert said.startswith(told)


def test_the_record_on_the_page_stands_in_the_example():
    shown = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    own = next(r for r in read_records(EXAMPLE) if r["instruction"] == shown["instruction"])
    assert {**own, "input": shown["input"]} == {**shown, "source": own["source"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--track", "brewing"], "data of your own: --data FOLDER"),
        (["--track", "geologie"], "did you mean geology"),
        (["--data", "nowhere"], "no train.jsonl, val.jsonl, test.jsonl in it"),
        (["--data", "nowhere", "--only", "03"], "--data is read by notebook 01"),
        (["-p", "data", "nowhere"], "use --data nowhere"),
    ],
)
def test_what_is_no_track_is_said_before_anything_runs(arguments, said, tmp_path):
    told = course("run", "--preset", "nano", *arguments, cwd=tmp_path, code=2)
    assert said in " ".join(told.split())
    assert not (tmp_path / "runs").exists()


def test_a_run_that_goes_on_asks_for_its_data(tmp_path):
    runs.open_run(tmp_path / "run", "nano", "brewing")
    told = course("run", "--resume", "--out", "run", cwd=tmp_path, code=2)
    assert "data of your own: --data FOLDER" in " ".join(told.split())


# --- The five notebooks ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brewing(tmp_path_factory, nano_model_path) -> Path:
    folder = tmp_path_factory.mktemp("brewing")
    course(
        *("data", "split", str(EXAMPLE), "--out", "parts", "--track", "brewing"),
        *("--source", "our brew log", "--licence", "our own"),
        cwd=folder,
    )
    course("run", "--data", "parts", "--preset", "nano", "--out", "run", cwd=folder)
    return folder / "run"


@pytest.mark.long
def test_all_five_notebooks_ran_on_the_track_of_the_data(brewing):
    assert len(list((brewing / "notebooks").glob("0?_*.ipynb"))) == 5
    results = read(brewing, "results.json")
    assert (results["track"], results["test_records"]) == ("brewing", 12)
    for part in own_data.NAMES:
        own = {record["group"] for record in read_records(brewing / "data" / f"{part}.jsonl")}
        assert all(group.startswith(("log/", "handbook/")) for group in own)


@pytest.mark.long
def test_the_lengths_follow_the_records_and_cut_none(brewing):
    settings = read(brewing, "settings.json")["settings"]
    assert settings["max_length"] > 128  # of the preset
    assert read(brewing, "data/summary.json")["tokens"]["cut"] == 0


@pytest.mark.long
def test_the_main_score_is_the_mean_of_the_tasks_everywhere(brewing):
    results = read(brewing, "results.json")
    test = read_records(brewing / "data" / "test.jsonl")
    assert tasks.main_of(test) == "task_score"
    answers = read(brewing, "evaluation.json")["predictions"]
    pairs = zip(answers, test, strict=True)
    mean = sum(tasks.record_score(text, record) for text, record in pairs) / len(test)
    assert results["tuned"]["task_score"] == pytest.approx(mean)
    assert set(results["difference"]["task_score"]) == {"mean", "low", "high"}
    assert results["rivals"][results["rival"]]["task_score"] is not None


@pytest.mark.long
def test_notebook_05_asked_the_test_part(brewing):
    shown = [material.shown(r) for r in read_records(brewing / "data" / "test.jsonl")]
    samples = read(brewing, "inference.json")["samples"]
    assert [sample["input"] for sample in samples] == shown[: material.SHOWN]


@pytest.mark.long
def test_the_report_speaks_of_beer_alone(brewing):
    page = (brewing / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert FOREIGN.findall(text) == []
    for word in ("brewing", "our brew log", "our own", "Mean task score"):
        assert word in text


@pytest.mark.long
def test_no_output_of_a_notebook_shows_a_work_order(brewing):
    for path in (brewing / "notebooks").glob("0?_*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                text = output.get("text") or output.get("data", {}).get("text/plain", "")
                told = text.replace("(work orders only; llama.cpp", "")
                assert not FOREIGN.search(told), (path.name, text)


@pytest.mark.long
@pytest.mark.skipif(not geology.is_prepared(), reason="run `course data prepare`")
def test_the_geology_track_runs_through_all_five(tmp_path, nano_model_path):
    course("run", "--track", "geology", "--preset", "nano", "--out", "run", cwd=tmp_path)
    results = read(tmp_path / "run", "results.json")
    assert results["track"] == "geology"
    assert results["tuned"]["fact_match"] is not None
    assert results["tuned"]["field_f1"] is None
    assert read(tmp_path / "run", "inference.json")["endpoint"]["status"] == "answered and stopped"
