"""The five notebooks, executed by the `course` command on the nano model: LoRA, QLoRA, resume."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from course_utils import metrics, provenance

ROOT = Path(__file__).parents[2]
SCORES = set(metrics.RESULT_METRICS)
# Three passes instead of one: long enough to be killed in the middle.
EPOCHS = ["-p", "num_train_epochs", "3"]


def course(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "course_utils", *arguments]
    environment = {**os.environ, "COURSE_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def lora(tmp_path_factory, nano_model_path) -> tuple[Path, str]:
    """One uninterrupted run of all five notebooks: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "lora"
    done = course("run", "--preset", "nano", "--out", str(folder), *EPOCHS)
    return folder, done.stdout


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_five_notebooks_run_and_the_last_lines_name_results_and_report(lora):
    folder, printed = lora
    assert printed.strip().splitlines()[-2:] == [
        f"Results: {folder / 'results.json'}",
        f"Report:  {folder / 'report.html'}",
    ]
    assert len(list((folder / "notebooks").glob("0?_*.ipynb"))) == 5


def test_results_json_follows_the_contract(lora):
    results = read(lora[0], "results.json")
    assert {"track", "preset", "base_model", "seed", "test_records"} <= set(results)
    assert set(results["base"]) == set(results["tuned"]) == SCORES
    assert set(results["difference"]) == SCORES
    assert set(results["difference"]["perplexity"]) == {"mean", "low", "high"}


def test_training_lowers_the_completion_perplexity(lora):
    results = read(lora[0], "results.json")
    assert results["difference"]["perplexity"]["high"] < 0


def test_the_resume_drill_joined_exactly(lora):
    resume = read(lora[0], "training.json")["resume"]
    assert resume["steps_compared"] >= 1
    assert resume["max_difference"] == 0


def test_every_check_in_the_notebooks_says_correct_or_waits_for_the_student(lora):
    """With the answers filled in, those that wait are Correct too: test_solutions.py."""
    said = []
    for path in (lora[0] / "notebooks").glob("0?_*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "checks." in cell.source:
                text = "".join(o.get("text", "") for o in cell.outputs)
                wanted = (
                    "Your turn: " if re.search(r"^my_\w+ = None", cell.source, re.M) else "Correct"
                )
                said.append((path.stem, wanted in text, cell.source))
    wrong = [name for name, ok, source in said if not ok]
    assert len(said) >= 14
    assert not wrong


def test_every_figure_says_its_finding_to_those_who_do_not_see_it(lora):
    pictures = [
        (path.stem, output.metadata.get("image/png", {}).get("alt", ""))
        for path in (lora[0] / "notebooks").glob("0?_*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    drawing = {"01_data_prep", "03_lora_sft", "04_evaluation", "05_inference"}
    assert {name for name, _ in pictures} == drawing
    assert [(name, alt) for name, alt in pictures if len(alt.split()) < 4] == []


def test_the_endpoint_answered_and_was_stopped(lora):
    endpoint = read(lora[0], "inference.json")["endpoint"]
    assert endpoint["status"] == "answered and stopped"
    assert isinstance(endpoint["answer"], str)


def test_resume_skips_what_finished(lora):
    folder, _ = lora
    before = (folder / "training.json").stat().st_mtime_ns
    printed = course("run", "--preset", "nano", "--out", str(folder), "--resume", *EPOCHS).stdout
    assert printed.count("skipped") >= 5
    assert (folder / "training.json").stat().st_mtime_ns == before


def copy_of(folder: Path, target: Path) -> Path:
    """As the exercises say: `cp -r`, which gives every file a new time."""
    subprocess.run(["cp", "-r", str(folder), str(target)], check=True)
    return target


def test_a_copied_run_belongs_together_and_so_does_one_whose_data_come_out_the_same(lora, tmp_path):
    copy = copy_of(lora[0], tmp_path / "copy")
    assert list(provenance.lines(copy, provenance.stale(copy))) == []
    printed = course("run", "--only", "01", "--out", str(copy)).stdout
    assert "before a change" not in printed
    assert f"Results: {copy / 'results.json'}" in printed


def test_a_copied_run_split_again_is_not_evaluated_before_it_is_trained_again(lora, tmp_path):
    copy = copy_of(lora[0], tmp_path / "copy")
    split = ["run", "--only", "01", "--out", str(copy), "-p", "near_duplicate_threshold", "0.5"]
    printed = course(*split, "--seed", "7").stdout  # another draw, whatever the threshold drops
    assert "From before a change: the adapter was trained on another training part" in printed
    assert "No table: results.json is from before this change." in printed
    assert "Results:" not in printed
    course("run", "--only", "02", "--out", str(copy))
    cure = f"run notebook 03 again, then 04 and 05: course run --only 03,04,05 --out {copy}"
    for notebook in ("04", "05"):
        refused = course("run", "--only", notebook, "--out", str(copy), check=False)
        assert refused.returncode == 1
        said = " ".join((refused.stdout + refused.stderr).split())
        assert "the adapter was trained on another training part" in said
        assert cure in said
    assert "04,05" in (copy / "report.html").read_text(encoding="utf-8")
    again = course("run", "--only", "03,04,05", "--out", str(copy)).stdout  # the cure
    assert "before a change" not in again
    assert f"Results: {copy / 'results.json'}" in again


def test_qlora_runs_by_one_parameter(tmp_path, nano_model_path):
    folder = tmp_path / "nf4"
    course("run", "--preset", "nano", "--out", str(folder), "-p", "quantization", "nf4")
    training = read(folder, "training.json")
    assert training["quantization"] == "nf4"
    assert read(folder, "results.json")["tuned"]["perplexity"] > 1
    # Two weights a byte: the 4-bit model counts as many parameters as the 32-bit one.
    assert training["total_parameters"] - training["trainable_parameters"] > 3_000_000


def test_killed_in_training_and_resumed_equals_the_uninterrupted_run(lora, tmp_path):
    """kill -9 of the whole command in notebook 03, then --resume: the same numbers, bit for bit."""
    whole, _ = lora
    folder = tmp_path / "killed"
    arguments = ["run", "--preset", "nano", "--out", str(folder), *EPOCHS]
    kill_in_training(arguments, folder)
    assert not (folder / "training.json").exists()
    course(*arguments, "--resume")
    resumed, uninterrupted = (read(run, "results.json") for run in (folder, whole))
    for results in (resumed, uninterrupted):
        for rival in results["rivals"].values():
            assert rival.pop("seconds") >= 0  # a time, the only thing that may differ
    assert resumed == uninterrupted
    assert adapter_bytes(folder) == adapter_bytes(whole)
    assert losses(folder) == losses(whole)


def kill_in_training(arguments: list[str], folder: Path) -> None:
    """Start the command and kill -9 it, and all it started, once the resumed part is under way."""
    process = subprocess.Popen(
        [sys.executable, "-m", "course_utils", *arguments],
        cwd=ROOT,
        env={**os.environ, "COURSE_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    second = folder / "checkpoints" / "checkpoint-14" / "trainer_state.json"
    deadline = time.monotonic() + 300
    while not second.is_file():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(family, timeout=30)


def adapter_bytes(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def losses(folder: Path) -> list[tuple[int, float]]:
    log = read(folder, "training.json")["log"]
    return [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]
