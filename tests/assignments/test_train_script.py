"""scripts/train.py of weeks 9-10: saved before it is scored, and nothing foreign is replaced."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from course_utils.assignments import scripts
from course_utils.errors import CourseError
from course_utils.records import write_records

ASSIGNMENT = Path(__file__).parents[2] / "assignments" / "week09_10_manufacturing"
LORA = """\
base_model: nano
precision: fp32
r: 4
lora_alpha: 8
target_modules: [q_proj]
learning_rate: 0.01
num_train_epochs: 1
per_device_train_batch_size: 4
gradient_accumulation_steps: 1
max_length: 256
train_records: 12
val_records: 4
evaluations: 2
"""


@pytest.fixture(scope="module")
def script():
    spec = spec_from_file_location("train", ASSIGNMENT / "solution" / "scripts" / "train.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A submission with records of three tasks and a small configuration."""
    for part, count in (("train", 24), ("val", 12)):
        rows = [
            {"instruction": f"Sort {part} {n}.", "input": f"pump {n} leaks", "output": f"leak {n}",
             "task": ("understanding", "report", "qa")[n % 3]}
            for n in range(count)
        ]  # fmt: skip
        write_records(tmp_path / "data" / f"{part}.jsonl", rows)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "lora_config.yaml").write_text(LORA, encoding="utf-8")
    return tmp_path


def workspace(folder, *words):
    return scripts.open_workspace(scripts.arguments("", folder), words)


def weights(folder):
    path = folder / "models" / "finetuned_model" / "adapter_model.safetensors"
    return path.read_bytes() if path.is_file() else None


def out_of_memory(*_):
    raise RuntimeError("out of memory")


def test_an_adapter_is_saved_before_it_is_scored_and_a_resume_finishes(
    script, folder, monkeypatch, nano_model_path
):
    with monkeypatch.context() as broken:
        broken.setattr(script, "completion_nll", out_of_memory)
        with pytest.raises(RuntimeError, match="out of memory"):
            script.train(workspace(folder), resume=False)
    saved = weights(folder)
    assert saved
    assert not (folder / "run" / "training.json").exists()
    script.train(workspace(folder), resume=True)
    told = json.loads((folder / "run" / "training.json").read_text(encoding="utf-8"))
    assert told["resume"]["resumed_from"] == told["steps"]
    assert weights(folder) == saved
    assert (folder / "reports" / "training_log.txt").is_file()
    assert not list((folder / "models").rglob("*.bin")), "a pickle lies beside the adapter"


@pytest.mark.parametrize(
    "name", ["run/checkpoints/thesis.txt", "models/finetuned_model/mine.safetensors"]
    + ["reports/training_log.txt"]
)  # fmt: skip
def test_what_the_kit_did_not_make_ends_the_training_before_it_begins(script, folder, name):
    opened = workspace(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="this kit did not make"):
        script.train(opened, resume=False)
    assert (folder / name).read_text(encoding="utf-8") == "mine"
    assert name.startswith("models") or weights(folder) is None


def test_validation_records_that_are_all_too_long_are_told_before_training(script, folder):
    rows = [
        {"instruction": "Sort.", "input": f"pump {n} " * 200, "output": "leak", "task": "qa"}
        for n in range(12)
    ]
    write_records(folder / "data" / "val.jsonl", rows)
    with pytest.raises(CourseError, match="every answer of the val part"):
        script.train(workspace(folder), resume=False)
    assert not (folder / "models").exists()
