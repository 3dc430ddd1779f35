"""Weeks 9-10 end to end on the nano model: the reference solution passes its own check.

The scripts run as a student runs them, in processes of their own. Scores of a random model mean
nothing; the code path is the real one.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import files, sources
from course_utils.assignments.week09_10 import check_submission, pack_submission

ROOT = Path(__file__).parents[2]
SOLUTION = ROOT / "assignments" / "week09_10_manufacturing" / "solution"
NANO = {
    "base_model": "nano",
    "precision": "fp32",
    "train_records": 24,
    "val_records": 6,
    "test_records": 9,
    "few_shot_examples": 1,
    "max_length": 256,
    "evaluations": 2,
}

pytestmark = pytest.mark.skipif(not sources.is_prepared(), reason="run `course data prepare`")


def run(*command: str) -> str:
    environment = os.environ | {"COURSE_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    """The solution, run from its README with the sizes of a test in its configuration."""
    folder = tmp_path_factory.mktemp("weeks09_10") / "submission"
    shutil.copytree(SOLUTION, folder, ignore=shutil.ignore_patterns("__pycache__", "run"))
    path = folder / "configs" / "lora_config.yaml"
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.partition(":")[0] not in NANO
    ]
    lines += [f"{name}: {value}" for name, value in NANO.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = [run(str(folder / "scripts" / "prepare_data.py"))]
    said += [run(str(folder / "scripts" / name)) for name in ("train.py", "evaluate.py")]
    said.append(run(str(folder / "scripts" / "serve.py"), "--measure"))
    return folder, said


@pytest.fixture(scope="module")
def executed(submission):
    """The same submission after its notebook, the executed copy in its place."""
    folder, _ = submission
    out = folder / "run" / "notebook"
    notebook = folder / "finetuning_pipeline.ipynb"
    said = run(
        *("-m", "course_utils", "run", str(notebook), "--out", str(out)),
        *("-p", "compare_records", "3"),
    )
    shutil.copyfile(out / notebook.name, notebook)
    return folder, said


def test_the_scripts_say_at_their_end_where_the_results_are(submission):
    folder, (prepared, trained, evaluated, measured) = submission
    assert f"Data: {folder / 'data'}" in prepared
    assert f"Adapter: {folder / 'models' / 'finetuned_model'}" in trained
    assert f"Comparison: {folder / 'reports' / 'comparison_baseline.md'}" in evaluated
    assert f"Latency: {folder / 'reports' / 'latency.md'}" in measured


def test_the_data_keeps_what_the_track_promises(submission):
    folder, _ = submission
    summary = files.read_json(folder / "run" / "data_summary.json")
    assert summary["kept"] >= 8000
    assert min(summary["tasks"].values()) >= 1500
    assert min(summary["documents"].values()) >= 1000
    assert [summary["overlap"][name] for name in ("exact", "near", "groups")] == [0, 0, 0]
    lines = (folder / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == summary["parts"]["train"]


def test_the_notebook_runs_to_its_end_and_shows_its_figures(executed):
    folder, _ = executed
    cells = json.loads((folder / "finetuning_pipeline.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    pictures = [
        output
        for cell in code
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 5


def test_no_cell_shows_the_name_of_an_object_instead_of_its_content(executed):
    folder, _ = executed
    cells = json.loads((folder / "finetuning_pipeline.ipynb").read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    plain = [output["data"] for output in outputs if set(output.get("data", ())) == {"text/plain"}]
    assert not [shown for shown in plain if " at 0x" in "".join(shown["text/plain"])]


def test_the_endpoint_was_measured_and_answered_the_new_samples(submission):
    folder, _ = submission
    endpoint = files.read_json(folder / "run" / "endpoint.json")
    assert len(endpoint["before"]["requests"]) == len(endpoint["after"]["requests"]) == 9
    assert {sample["task"] for sample in endpoint["samples"]} == {"understanding", "report", "qa"}
    assert all(isinstance(sample["tuned"], str) for sample in endpoint["samples"])


def test_the_solution_passes_its_check(executed):
    folder, _ = executed
    report = check_submission(folder)
    assert report.ok, "\n".join(report.lines())


def test_the_archive_of_the_solution_holds_no_base_weights(executed, tmp_path):
    import zipfile

    folder, _ = executed
    archive = pack_submission(folder, tmp_path / "packed.zip")
    names = zipfile.ZipFile(archive).namelist()
    weights = [name for name in names if name.endswith((".safetensors", ".bin", ".pt"))]
    assert [Path(name).name for name in weights] == ["adapter_model.safetensors"]
    assert not any("checkpoint" in name for name in names)


def test_evaluating_again_keeps_the_baseline_and_gives_the_same_reports(submission):
    folder, _ = submission
    page = folder / "reports" / "comparison_baseline.md"
    before, stamp = page.read_bytes(), (folder / "run" / "baseline.json").stat().st_mtime_ns
    run(str(folder / "scripts" / "evaluate.py"))
    assert page.read_bytes() == before
    assert (folder / "run" / "baseline.json").stat().st_mtime_ns == stamp


def test_training_again_gives_the_same_adapter(submission, tmp_path):
    folder, _ = submission
    (tmp_path / "again").mkdir()
    run(
        str(folder / "scripts" / "train.py"),
        *("--folder", str(tmp_path / "again"), "--data", str(folder / "data")),
        *("--config", str(folder / "configs" / "lora_config.yaml")),
    )
    name = "models/finetuned_model/adapter_model.safetensors"
    assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
