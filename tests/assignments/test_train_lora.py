"""train_lora.py and inference_lora.py, as a student runs them, on the nano model."""

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils import provenance, tasks, training
from course_utils.errors import CourseError
from course_utils.lab import parameters, recording
from course_utils.lab import runs as lab_runs
from course_utils.records import write_records
from course_utils.reports.content import run_folder

FOLDER = Path(__file__).parents[2] / "assignments" / "week05_parameter_lab" / "starter"
SMALL = ["--base_model", "nano", "--max_length", "64", "--lora_r", "4"]
SMALL += ["--gradient_accumulation_steps", "1"]
QUICK = ["--num_train_epochs", "0.5"]
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
    return recording.load_script().read_arguments(["--data", str(data), *SMALL, *words])


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
    assert told["prints"] == {
        "adapter": provenance.of_weights(folder / "adapter"),
        "records": provenance.of_records(folder / "records.jsonl"),
    }
    assert list(folder.glob("checkpoints/runs/*/events*")), "no TensorBoard log"
    assert "only 2 validation records: their loss is a guess" in done.stdout
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
    assert told["prints"] == {"adapter": provenance.of_weights(folder / "adapter")}
    assert set(told["base"]) == set(tasks.SCORES["qa"])
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


# --- Nothing of somebody else's goes, nothing that was trained is lost ---


@pytest.fixture(scope="module")
def script():
    return recording.load_script()


def train_here(script, data, out, *words):
    """train_lora.py in this process: starting Python and torch takes longer than training."""
    script.main(["--data", str(data), "--out", str(out), *SMALL, *QUICK, *map(str, words)])


def read_training(folder):
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", [[], ["--no_checkpoints"]])
def test_a_foreign_folder_called_checkpoints_is_never_deleted(
    script, data, tmp_path, words, nano_model_path
):
    thesis = tmp_path / "checkpoints" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("three years", encoding="utf-8")
    if words:  # nothing is written there, so it is in nobody's way
        train_here(script, data, tmp_path / "adapter", *words)
        assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    else:
        with pytest.raises(CourseError, match=r"checkpoints: it holds files that this kit did not"):
            train_here(script, data, tmp_path / "adapter")
        assert not (tmp_path / "adapter").exists()
    assert [path.name for path in thesis.parent.iterdir()] == ["thesis.txt"]


def test_a_foreign_training_json_is_never_replaced(script, data, tmp_path):
    mine = tmp_path / "training.json"
    mine.write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(CourseError, match=r"training\.json: is there already"):
        train_here(script, data, tmp_path / "adapter", "--no_checkpoints")
    assert mine.read_text(encoding="utf-8") == '{"mine": 1}'


def test_two_adapters_in_one_folder_have_their_own_state(script, data, tmp_path, nano_model_path):
    for rank in (4, 8):
        train_here(script, data, tmp_path / f"adapter_r{rank}", "--lora_r", rank)
    assert {p.name for p in tmp_path.iterdir()} == {"adapter_r4", "adapter_r8", data.name}
    for rank in (4, 8):
        adapter = tmp_path / f"adapter_r{rank}"
        assert read_training(adapter)["parameters"]["lora_r"] == rank
        assert lab_runs.trained_with(adapter)["parameters"]["lora_r"] == rank
        assert run_folder(adapter) == adapter
        assert list(adapter.glob("checkpoints/checkpoint-*"))


def test_what_was_trained_is_saved_before_anything_else_can_fail(
    script, data, contrary, tmp_path, monkeypatch, nano_model_path
):
    words = [*contrary, "--num_train_epochs", 1]  # the best checkpoint is not the last one

    def out_of_memory(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(script, "completion_nll", out_of_memory)
        with pytest.raises(RuntimeError, match="out of memory"):
            train_here(script, data, tmp_path / "adapter", *words)
    weights = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert not (tmp_path / "training.json").exists()
    train_here(script, data, tmp_path / "adapter", *words, "--resume")
    told = read_training(tmp_path)
    assert told["resume"]["resumed_from"] == told["steps"] > told["best_step"]
    assert (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes() == weights


def test_a_further_column_of_any_kind_does_not_end_a_training(script, tmp_path, nano_model_path):
    rows = [
        {"instruction": f"Sort {n}", "input": f"pump {n}", "output": "leak", "system": ["a"]}
        for n in range(8)
    ]
    path = tmp_path / "mfg.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    train_here(script, path, tmp_path / "adapter", "--no_checkpoints")
    assert read_training(tmp_path)["system"] == ""


def test_validation_records_that_are_all_too_long_are_told_before_training(script, data, tmp_path):
    long = [{**r, "context": "Read this first. " * 40, "group": "v"} for r in records(3)]
    path = write_records(tmp_path / "val.jsonl", long)
    with pytest.raises(CourseError, match=r"of the validation part \(3 of 3 records\)"):
        train_here(script, data, tmp_path / "adapter", "--eval_data", path)
    assert not (tmp_path / "adapter").exists()


# --- Few records ---


@pytest.fixture
def contrary(tmp_path):
    """Options with which the validation loss rises: what is validated is never trained."""
    part = [{**r, "answer": "Granite, perhaps gneiss; who knows?"} for r in records(3)]
    path = write_records(tmp_path / "val.jsonl", part)
    return ["--eval_data", path, "--learning_rate", "0.05", "--evaluations", "4"]


def validation_losses(folder):
    log = read_training(folder)["log"]
    return {entry["step"]: entry["eval_loss"] for entry in log if "eval_loss" in entry}


def test_the_checkpoint_with_the_lowest_validation_loss_is_kept(
    script, data, contrary, tmp_path, nano_model_path, capsys
):
    train_here(script, data, tmp_path / "adapter", *contrary, "--num_train_epochs", 1)
    told, losses = read_training(tmp_path), validation_losses(tmp_path)
    best = min(losses, key=losses.get)
    assert (told["kept"], told["best_step"]) == ("best", best)
    assert best < told["steps"] == max(losses), "the loss should rise again in this test"
    assert told["eval_loss"] == pytest.approx(losses[best], rel=0.02)
    assert f"kept: the checkpoint of step {best} of" in capsys.readouterr().out


def test_without_checkpoints_the_last_adapter_is_kept(
    script, data, contrary, tmp_path, nano_model_path
):
    words = [*contrary, "--num_train_epochs", 1, "--no_checkpoints"]
    train_here(script, data, tmp_path / "adapter", *words)
    told, losses = read_training(tmp_path), validation_losses(tmp_path)
    assert told["kept"] == "last"
    assert told["eval_loss"] == pytest.approx(losses[told["steps"]], rel=0.02)


def test_folds_validate_on_every_record_once_and_never_split_a_group(tmp_path):
    part = records(24, groups=7)
    wanted = options(tmp_path / "r.jsonl", "--folds", "3")
    folds = lab_runs.split_folds(part, wanted)
    held = [r["instruction"] for _, fold in folds for r in fold]
    assert sorted(held) == sorted(r["instruction"] for r in part)
    for rest, fold in folds:
        assert len(rest) + len(fold) == len(part)
        assert not {r["group"] for r in rest} & {r["group"] for r in fold}
        assert 6 <= len(fold) <= 10


def test_folds_give_one_adapter_of_all_records_and_a_loss_with_its_spread(
    script, data, tmp_path, nano_model_path, capsys
):
    train_here(script, data, tmp_path / "adapter", "--folds", "3")
    told = read_training(tmp_path)
    folds = told["folds"]
    assert told["data"] == {"file": data.name, "train": 24, "validation": 0}
    assert (folds["records"], len(folds["losses"])) == ([8, 8, 8], 3)
    assert folds["mean"] == pytest.approx(sum(folds["losses"]) / 3)
    assert folds["spread"] == pytest.approx(statistics.stdev(folds["losses"]))
    assert min(folds["losses"]) < told["eval_loss"] < max(folds["losses"])
    assert parameters.from_command(told["command"]) == told["parameters"]
    assert "--folds 3" in told["command"]
    assert "3 folds: validation loss" in capsys.readouterr().out


def test_folds_that_were_finished_are_not_trained_again(
    script, data, tmp_path, monkeypatch, nano_model_path
):
    words = ["--folds", "2"]
    with monkeypatch.context() as broken:
        broken.setattr(script.training, "run_log", interrupted_at(3))
        with pytest.raises(KeyboardInterrupt):
            train_here(script, data, tmp_path / "adapter", *words)
    calls = []
    monkeypatch.setattr(script, "score", lambda *a: calls.append(a))
    train_here(script, data, tmp_path / "adapter", *words, "--resume")
    assert calls == []
    assert len(read_training(tmp_path)["folds"]["losses"]) == 2


def interrupted_at(trainer):
    """A `run_log` that is interrupted when the trainer of that number is made."""
    made, real = [], training.run_log

    def run_log():
        made.append(1)
        if len(made) == trainer:
            raise KeyboardInterrupt
        return real()

    return run_log


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--folds", "1"], "out of range"),
        (["--folds", "3", "--eval_data", "v.jsonl"], "each record is validated on"),
    ],
)
def test_folds_that_make_no_sense_are_refused(data, words, told):
    with pytest.raises(CourseError, match=told):
        lab_runs.complete(options(data, *words))


def test_more_folds_than_groups_are_refused(tmp_path):
    path = write_records(tmp_path / "r.jsonl", records(24, groups=3))
    with pytest.raises(CourseError, match="3 groups cannot make 5 folds") as caught:
        lab_runs.read_parts(options(path, "--folds", "5"))
    assert "--folds 3" in caught.value.cure


# --- What cannot work is told at once ---


def test_fp16_without_a_gpu_is_refused_before_anything_is_loaded(data):
    wanted = options(data, "--fp16")
    with pytest.raises(CourseError, match="needs a CUDA GPU"):
        lab_runs.complete(wanted)


def test_a_length_that_cuts_off_every_answer_is_refused_with_one_that_does_not(data, tokenizer):
    from course_utils import chat

    tokens = [chat.tokenize_record(record, tokenizer) for record in records(3)]
    with pytest.raises(CourseError) as error:
        training.usable(records(3), tokens, 8)
    longest = max(len(t.input_ids) for t in tokens)
    assert f"max_length {longest}" in error.value.cure
    assert training.usable(records(3), tokens, longest)[0] == records(3)


def test_a_record_whose_prompt_fills_the_length_is_not_trained(tokenizer, capsys):
    from course_utils import chat

    part = records(2)
    part[0]["context"] = "Read this first. " * 20
    tokens = [chat.tokenize_record(record, tokenizer) for record in part]
    kept, lengths = training.usable(part, tokens, 64)
    assert kept == part[1:]
    assert lengths == [len(tokens[1].input_ids)]
    assert "cuts 1 of 2 training records (50%); 1 have no answer left" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "groups"), [(60, 12), (100, 25), (150, 15)])
def test_every_record_is_trained_or_validated_on(tmp_path, count, groups):
    """Whole groups do not add up to the wanted sizes: none of them may be left out for that."""
    part = records(count, groups=groups)
    train, val = lab_runs.read_parts(options(write_records(tmp_path / "r.jsonl", part)))
    assert len(train) + len(val) == len(part)
    assert {r["group"] for r in train}.isdisjoint(r["group"] for r in val)


@pytest.mark.parametrize("words", [["--evaluations", "1"], ["--eval_batch_size", "0"]])
def test_an_option_out_of_its_range_is_refused(data, words):
    with pytest.raises(CourseError, match="out of range"):
        lab_runs.complete(options(data, *words))


def test_a_fold_that_diverged_is_read_again(data, tmp_path):
    told = options(data, "--folds", "2", "--out", str(tmp_path / "adapter"), "--resume")
    told.out = Path(told.out)
    lab_runs.save_folds(told, [{"nll": [math.nan, 1.0], "tokens": [3, 2]}])
    [fold] = lab_runs.saved_folds(told)
    assert math.isnan(lab_runs.fold_loss(fold))


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
    try:
        lab_runs.use_free_cores()
        assert torch.get_num_threads() == before
        monkeypatch.delenv("OMP_NUM_THREADS")
        lab_runs.use_free_cores()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
