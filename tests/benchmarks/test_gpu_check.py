"""The GPU check on this CPU: every step on tiny models, and what becomes of one that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import hardware, preset_figures
from course_utils.errors import CourseError

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_check.py"
STEPS = {
    *("machine", "fp16_qlora", "preset_t4", "preset_l4", "preset_a100", "7b_4bit", "7b_16bit"),
    *("8b_4bit", "8b_16bit", "generation", "endpoint", "sweep"),
}


def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_THREADS": "1", **variables}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", timeout=3000
    )


@pytest.fixture(scope="module")
def dry(prepared, tmp_path_factory) -> tuple[subprocess.CompletedProcess, dict, Path]:
    out = tmp_path_factory.mktemp("gpu") / "dry.json"
    done = start("--dry-run", "--out", str(out))
    return done, json.loads(out.read_text(encoding="utf-8")), out


def test_every_step_is_done(dry):
    done, report, out = dry
    assert {n: r.get("reason") for n, r in report["steps"].items() if r["status"] != "done"} == {}
    assert set(report["steps"]) == STEPS
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"written to {out}"
    assert list(out.parent.iterdir()) == [out]


def test_training_steps_have_a_peak_an_estimate_and_a_speed(dry):
    _, report, _ = dry
    for name in STEPS - {"machine", "generation", "endpoint", "sweep"}:
        row = report["steps"][name]
        assert row["peak_gib"] > 0
        assert row["tokens_per_second"] > 0
        error = row["estimate_gib"] / row["peak_gib"] - 1
        assert row["estimate_error"] == pytest.approx(error, abs=1e-3)


def test_models_keep_their_kind_and_their_number_format(dry):
    _, report, _ = dry
    steps = report["steps"]
    assert steps["preset_t4"]["architecture"] == "qwen2.5-1.5b"
    assert (
        steps["preset_l4"]["architecture"] == steps["preset_a100"]["architecture"] == "qwen2.5-7b"
    )
    assert {n for n in STEPS if steps[n].get("quantization") == "nf4"} == {
        *("fp16_qlora", "preset_t4", "preset_l4", "7b_4bit", "8b_4bit"),
    }
    assert steps["fp16_qlora"]["adapter_numbers"] == ["torch.float32"]


def test_a_dry_run_says_so_and_is_not_recorded(dry):
    _, report, out = dry
    assert report["about"]["dry_run"] is True
    with pytest.raises(CourseError, match="a dry run"):
        preset_figures.record(out)


def test_the_file_names_no_path_of_this_machine(dry):
    _, report, out = dry
    text = json.dumps(report)
    for private in (str(ROOT), str(out.parent), str(Path.home() / ".cache")):
        assert private not in text


def test_a_step_without_time_or_with_a_fault_leaves_the_others_alone(tmp_path):
    """The endpoint is started with a number of threads that is none."""
    out = tmp_path / "check.json"
    done = start(
        *("--dry-run", "--only", "fp16_qlora,generation,endpoint", "--budget", "fp16_qlora=0.01"),
        *("--out", str(out)),
        COURSE_THREADS="many",
    )
    steps = json.loads(out.read_text(encoding="utf-8"))["steps"]
    assert done.returncode == 1
    assert {name: row["status"] for name, row in steps.items()} == {
        **{"fp16_qlora": "timed out", "generation": "done", "endpoint": "failed"},
    }
    assert steps["fp16_qlora"]["reason"].startswith("not done after 0")
    assert "COURSE_THREADS" in steps["endpoint"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "machine,nothing"], "no step nothing"),
        (["--budget", "sweep=soon"], "no seconds"),
        (["--dry-run", "--out", "README.md"], "this kit did not make it"),
    ],
)
def test_wrong_arguments_are_named_in_two_lines(arguments, said, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    arguments = [str(tmp_path / "README.md") if a == "README.md" else a for a in arguments]
    done = start(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_gpu_it_says_so():
    if hardware.detect().gpu_name is not None:
        pytest.skip("there is a GPU")
    done = start("--only", "machine")
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "Error: there is no CUDA GPU here")
