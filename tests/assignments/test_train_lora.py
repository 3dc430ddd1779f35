"""train_lora.py and inference_lora.py, as a student runs them, on the nano model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils.errors import CourseError
from course_utils.lab import parameters, sweeps
from course_utils.lab import runs as lab_runs
from course_utils.records import write_records

FOLDER = Path(__file__).parents[2] / "assignments" / "week05_parameter_lab" / "solution"
SMALL = ["--base_model", "nano", "--max_length", "64", "--lora_r", "4"]
SMALL += ["--gradient_accumulation_steps", "1"]
SYSTEM = "You are a geologist."


def records(count=24, groups=None):
    return [
        {
            "system": SYSTEM,
            "instruction": f"What is the hardness of sample {n}?",
            "context": "",
            "answer": f"It is {n % 10} on the scale of Mohs.",
            "group": f"g{n % groups}" if groups else f"g{n}",
        }
        for n in range(count)
    ]


@pytest.fixture
def data(tmp_path):
    return write_records(tmp_path / "records.jsonl", records())


def command(script, *words):
    return [sys.executable, str(FOLDER / script), *map(str, words)]


def run(folder, script, *words):
    return subprocess.run(command(script, *words), cwd=folder, capture_output=True, text=True)


def options(data, *words):
    return sweeps.load_script().read_arguments(["--data", str(data), *SMALL, *words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, nano_model_path):
    """A folder with records.jsonl, adapter/ and training.json, and what the script printed."""
    folder = tmp_path_factory.mktemp("week05")
    write_records(folder / "records.jsonl", records())
    words = ["--data", "records.jsonl", "--out", "adapter/", *SMALL, "--logging_steps", "1"]
    return folder, run(folder, "train_lora.py", *words)


def test_training_writes_adapter_and_training_json_and_ends_with_the_perplexity(trained):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-2:]
    assert last[0].startswith("final train loss")
    assert last[1].startswith("perplexity")
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    told = json.loads((folder / "training.json").read_text())
    assert told["perplexity"] > 1
    assert told["system"] == SYSTEM
    assert told["parameters"]["lora_r"] == 4
    assert parameters.from_command(told["command"]) == told["parameters"]
    assert list(folder.glob("checkpoints/runs/*/events*")), "no TensorBoard log"
    assert not list((folder / "adapter").glob("*.bin")), "a pickle lies beside the adapter"


def test_questions_are_answered_beside_the_base_model(trained):
    folder, _ = trained
    rows = [
        {"instruction": r["instruction"], "context": "", "expected": r["answer"], "answer": ""}
        for r in records(5)
    ]
    path = folder / "test_questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--adapter", "adapter", "--questions", path.name, "--max_new_tokens", "4"]
    done = run(folder, "inference_lora.py", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads((folder / "answers.json").read_text())
    assert told["system"] == SYSTEM
    assert told["base_model"] == "nano"
    assert set(told["base"]) == {"token_f1", "rougeL", "numeric_accuracy", "perplexity"}
    assert told["difference"]["token_f1"].keys() == {"mean", "low", "high"}
    filled = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["answer"] for row in filled] == [row["answer"] for row in told["answers"]]


def test_an_adapter_that_is_not_there_is_named(trained):
    folder, _ = trained
    words = ["--adapter", "none", "--questions", "records.jsonl", "--base_model", "nano"]
    done = run(folder, "inference_lora.py", *words)
    assert done.returncode == 1
    assert "none: there is no adapter_model.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_training_goes_on_and_ends_with_the_same_adapter(data, tmp_path, nano_model_path):
    words = ["--data", data, *SMALL, "--num_train_epochs", "3"]
    whole = run(tmp_path, "train_lora.py", *words, "--out", "whole/adapter")
    assert whole.returncode == 0, whole.stderr
    cut = [*words, "--out", "cut/adapter"]
    process = subprocess.Popen(
        command("train_lora.py", *cut),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    states = "cut/checkpoints/checkpoint-*/trainer_state.json"
    while not list(tmp_path.glob(states)) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "training.json").exists()
    again = run(tmp_path, "train_lora.py", *cut, "--resume")
    assert again.returncode == 0, again.stderr
    assert "going on from" in again.stdout
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_fp16_without_a_gpu_is_refused_before_anything_is_loaded(data):
    wanted = options(data, "--fp16")
    with pytest.raises(CourseError, match="needs a CUDA GPU"):
        lab_runs.complete(wanted)


def test_a_length_that_cuts_off_every_answer_is_refused_with_one_that_does_not(data, tokenizer):
    from course_utils import chat

    tokens = [chat.tokenize_record(record, tokenizer) for record in records(3)]
    with pytest.raises(CourseError) as error:
        lab_runs.usable(records(3), tokens, 8)
    longest = max(len(t.input_ids) for t in tokens)
    assert f"--max_length {longest}" in error.value.cure
    assert lab_runs.usable(records(3), tokens, longest)[0] == records(3)


def test_a_record_whose_prompt_fills_the_length_is_not_trained(tokenizer, capsys):
    from course_utils import chat

    part = records(2)
    part[0]["context"] = "Read this first. " * 20
    tokens = [chat.tokenize_record(record, tokenizer) for record in part]
    kept, lengths = lab_runs.usable(part, tokens, 64)
    assert kept == part[1:]
    assert lengths == [len(tokens[1].input_ids)]
    assert "cuts 1 of 2 records; 1 have no answer left" in capsys.readouterr().out


def test_groups_stay_together_and_one_group_alone_is_told(tmp_path):
    path = write_records(tmp_path / "r.jsonl", records(24, groups=6))
    train, val = lab_runs.read_parts(options(path))
    assert not {r["group"] for r in train} & {r["group"] for r in val}
    path = write_records(tmp_path / "one.jsonl", records(24, groups=1))
    with pytest.raises(CourseError, match="all records are of one group"):
        lab_runs.read_parts(options(path))


def test_the_recorded_command_names_a_validation_share_of_its_own(data):
    wanted = options(data, "--val_share", "0.25")
    lab_runs.complete(wanted)
    assert "--val_share 0.25" in lab_runs.command_of(wanted)


def test_three_records_are_too_few(tmp_path):
    path = write_records(tmp_path / "r.jsonl", records(3))
    with pytest.raises(CourseError, match="3 records are too few"):
        lab_runs.read_parts(options(path))


def test_a_run_shorter_than_logging_steps_is_logged_once(data, capsys):
    wanted = options(data, "--logging_steps", "50")
    lab_runs.complete(wanted)
    assert lab_runs.logging_steps(wanted, 6) == 6
    assert "longer than the run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--lora_r", "none"], "whole number"), (["--learning_rate", "2"], "number from")],
)
def test_a_value_that_does_not_fit_is_told_in_one_line(tmp_path, words, told):
    done = run(tmp_path, "train_lora.py", "--data", "x.jsonl", *words)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]


def test_missing_records_are_named(tmp_path):
    done = run(tmp_path, "train_lora.py", "--data", "x.jsonl")
    assert done.returncode == 1
    assert "x.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_threads_are_left_as_they_are_where_the_environment_names_them(monkeypatch):
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COURSE_THREADS", str(before + 1))
    lab_runs.use_free_cores()
    assert torch.get_num_threads() == before
    monkeypatch.delenv("OMP_NUM_THREADS")
    lab_runs.use_free_cores()
    assert torch.get_num_threads() == before + 1
    torch.set_num_threads(before)
