"""The bonuses: variants of one training, compared on the same records."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import files
from course_utils.assignments import pages
from course_utils.assignments.bonuses import common as bonus
from course_utils.errors import CourseError

BONUSES = Path(__file__).parents[3] / "assignments" / "week09_10_manufacturing" / "bonuses"
SCRIPTS = ("qlora.py", "multi_task.py", "instruction_tuning.py", "benchmark.py")


def variant(folder: Path, name: str, answers: list[str], **figures) -> bonus.Variant:
    """A finished variant that answered two questions."""
    references = ["At most 90 °C.", "The breather."]
    rows = [
        {
            "task": "qa",
            "document": "equipment_manual",
            "instruction": f"Question {number}?",
            "input": f"text {number}",
            "reference": reference,
            "facts": "",
            "base": "",
            "tuned": answer,
            "nll": 2.0,
            "tokens": 4,
        }
        for number, (reference, answer) in enumerate(zip(references, answers, strict=True))
    ]
    tasks = {"qa": {"main": "token_f1", "tuned": {"token_f1": 0.5}}}
    training = {
        "peak_memory_gb": 2.0,
        "weights_gb": 0.5,
        "seconds": 60.0,
        "tokens_per_second": 100.0,
        "perplexity": 1.5,
        "final_train_loss": 0.4,
        "trainable_parameters": 1000,
    }
    files.write_json_atomic(folder / "run" / "training.json", training | figures)
    evaluation = {"tasks": tasks, "predictions": rows}
    files.write_json_atomic(folder / "run" / "evaluation.json", evaluation)
    return bonus.Variant(name, (), folder)


def test_the_difference_is_paired_over_the_records(tmp_path):
    first = variant(tmp_path / "a", "a", ["At most 90 °C.", "nothing"])
    second = variant(tmp_path / "b", "b", ["At most 90 °C.", "The breather."])
    interval = bonus.difference(first, second, "qa")["token_f1"]
    assert interval["mean"] == pytest.approx(0.5)  # one of two answers went from 0 to 1
    assert (interval["low"], interval["high"]) == (0.0, 1.0)


def test_variants_that_were_asked_other_records_are_not_compared(tmp_path):
    first = variant(tmp_path / "a", "a", ["x", "y"])
    second = variant(tmp_path / "b", "b", ["x", "y"])
    content = files.read_json(second.folder / "run" / "evaluation.json")
    content["predictions"][0]["input"] = "another text"
    files.write_json_atomic(second.folder / "run" / "evaluation.json", content)
    with pytest.raises(CourseError, match="different records"):
        bonus.difference(first, second, "qa")


def test_the_page_states_the_measured_figures_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bonuses/qlora.py", "--folder", "x"])
    rows = [
        bonus.row(variant(tmp_path / "a", "lora", ["x", "y"])),
        bonus.row(variant(tmp_path / "b", "qlora", ["x", "y"], peak_memory_gb=1.25)),
    ]
    interval = {"mean": -0.1, "low": -0.2, "high": 0.05}
    differences = {"qa, QLoRA minus LoRA": interval, "report": None}
    page = bonus.write_bonus(tmp_path, "qlora", "A title", rows, differences, "A finding.", 7)
    text = page.read_text(encoding="utf-8")
    assert "| lora | – | – | 0.500 | 2.00 |" in text
    assert "| qlora | – | – | 0.500 | 1.25 |" in text
    assert "python qlora.py --folder x" in text
    assert "not measured" in text
    assert (tmp_path / "qlora.png").read_bytes().startswith(b"\x89PNG")
    assert files.read_json(tmp_path / "qlora.json")["seed"] == 7
    page.write_text(pages.MARK.sub("", text), encoding="utf-8")  # as an earlier kit wrote it
    again = (tmp_path, "qlora", "A title", rows, differences, "Another finding.", 7)
    assert bonus.write_bonus(*again) == page
    page.write_text(f"{text}\nWhat we make of it.\n", encoding="utf-8")
    assert bonus.write_bonus(*again).name == "qlora_new.md"
    assert "What we make of it." in page.read_text(encoding="utf-8")


def test_a_folder_without_data_is_told_before_anything_is_trained(tmp_path):
    with pytest.raises(CourseError, match=r"train\.jsonl") as caught:
        bonus.run_variant(tmp_path, tmp_path / "out", "lora", [])
    assert "prepare_data.py" in caught.value.cure
    assert not (tmp_path / "out").exists()


def test_a_finished_variant_is_not_run_again(tmp_path, capsys):
    submission, out = tmp_path / "mine", tmp_path / "out"
    for name in ("data/train.jsonl", "scripts/train.py", "configs/lora_config.yaml"):
        files.write_text_atomic(submission / name, "one\n")
    finish(submission, out)
    assert bonus.run_variant(submission, out, "lora", ["r=4"]).name == "lora"
    assert "kept" in capsys.readouterr().out
    with pytest.raises(CourseError, match=r"scripts/train\.py failed"):
        bonus.run_variant(submission, out, "lora", ["r=8"])


def finish(submission, out):
    """A variant of scripts that do nothing, and that fail for another rank."""
    for name in ("train.py", "evaluate.py"):
        script = "import sys\nsys.exit('r=4' not in sys.argv)\n"
        files.write_text_atomic(submission / "scripts" / name, script)
    bonus.run_variant(submission, out, "lora", ["r=4"])


@pytest.mark.parametrize(
    "name", ["data/train.jsonl", "data/test.jsonl", "scripts/train.py", "scripts/own/parts.py"]
)
def test_a_variant_of_other_data_or_scripts_is_run_again_from_the_start(tmp_path, name, capfd):
    submission, out = tmp_path / "mine", tmp_path / "out"
    for file in ("data/train.jsonl", "data/test.jsonl", "configs/lora_config.yaml"):
        files.write_text_atomic(submission / file, "one\n")
    files.write_text_atomic(submission / "scripts/own/parts.py", "# one\n")
    finish(submission, out)
    told = "import sys\nprint('run with', *sys.argv)\n"
    files.write_text_atomic(submission / "scripts/evaluate.py", told)
    bonus.run_variant(submission, out, "lora", ["r=4"])
    files.write_text_atomic(submission / name, told if name.endswith("train.py") else "# two\n")
    capfd.readouterr()
    bonus.run_variant(submission, out, "lora", ["r=4"])
    said = capfd.readouterr().out
    assert "run with" in said
    assert "--resume" not in said


def test_an_interrupted_variant_goes_on_where_it_stopped(tmp_path, capfd):
    submission, out = tmp_path / "mine", tmp_path / "out"
    told = "import sys\nprint('run with', *sys.argv)\n"
    for file in ("data/train.jsonl", "configs/lora_config.yaml"):
        files.write_text_atomic(submission / file, "one\n")
    files.write_text_atomic(submission / "scripts/train.py", told)
    for _ in range(2):  # scripts/evaluate.py is not there
        with pytest.raises(CourseError, match=r"evaluate\.py failed"):
            bonus.run_variant(submission, out, "lora", ["r=4"])
    first, second = (line for line in capfd.readouterr().out.splitlines() if "run with" in line)
    assert "--resume" not in first
    assert "--resume" in second


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_bonus_explains_itself(name):
    done = subprocess.run(
        [sys.executable, str(BONUSES / name), "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    assert "--seed" in done.stdout


def test_qlora_measures_both_variants(tmp_path):
    """Nano model, real 4-bit weights: the whole script, with the submission's own scripts."""
    import shutil

    from course_utils.tracks.manufacturing import manuals

    submission = tmp_path / "mine"
    shutil.copytree(BONUSES.parent / "solution", submission)
    drafts = [draft.record for draft in manuals.manual_drafts(1)]
    pools = [[r for r in drafts if r["task"] == task] for task in ("understanding", "report", "qa")]
    for part, start in (("train", 0), ("val", 40), ("test", 60)):
        lines = [json.dumps(r) for pool in pools for r in pool[start : start + 20]]
        files.write_text_atomic(submission / "data" / f"{part}.jsonl", "\n".join(lines) + "\n")
    values = ("base_model=nano", "precision=fp32", "val_records=3", "few_shot_examples=1")
    values += ("task_shares={}",)  # the reference names documents that the manuals are not
    done = subprocess.run(
        [sys.executable, str(BONUSES / "qlora.py"), "--folder", str(submission)]
        + ["--train-records", "12", "--test-records", "6"]
        + [word for value in (*values, "evaluations=2") for word in ("--set", value)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    result = files.read_json(submission / "run" / "bonus_qlora" / "qlora.json")
    lora, qlora = result["rows"]
    assert qlora["weights_gb"] < lora["weights_gb"]
    assert lora["trainable_parameters"] == qlora["trainable_parameters"]
    assert len(result["differences"]) == 3
