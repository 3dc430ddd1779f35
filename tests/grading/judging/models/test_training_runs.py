"""scripts/train.py at work in the sandbox: what it leaves earns points, what it says does not."""

import random

import pytest
import yaml
from nano_cases import CONFIG, LIMITS, case_of, judged
from submissions import SCRIPTS, without_marks

from course_utils import evaluation
from course_utils.assignments.configuration import LoraFile, read_config
from course_utils.grading.judging.models import trial
from course_utils.records import validate

FORGED = """
import json, pathlib
root = pathlib.Path(__file__).parents[1]
folder = root / "run" / "checkpoints" / "checkpoint-8"
folder.mkdir(parents=True)
log = [{"step": 8, "eval_loss": 0.01, "loss": 0.01}]
(folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))
(folder / "adapter_model.safetensors").write_bytes(b"nothing")
(root / "run" / "training.json").write_text(json.dumps({"eval_loss": 0.01, "log": log}))
print("final train loss 0.0100")
print("perplexity 1.010")
"""
UNTRAINED = """
import pathlib, torch
from peft import LoraConfig, get_peft_model
from course_utils import models
root = pathlib.Path(__file__).parents[1]
lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
model = get_peft_model(models.load_model("nano"), lora)
torch.manual_seed(1)
for name, weights in model.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(weights, std=0.02)
model.save_pretrained(root / "models" / "finetuned_model")
print("final train loss 0.0100")
"""
BAR = """
import sys, warnings
from tqdm import tqdm
for _ in tqdm(range(300), desc="a bar of my own"): pass
warnings.warn("something old")
print("on stderr", file=sys.stderr)
"""


@pytest.fixture
def small(tmp_path):
    """Nothing but a configuration and a script."""
    for name in ("configs", "scripts"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "lora_config.yaml").write_text(CONFIG)
    return tmp_path


def run(small, box, script, **limits):
    (small / "scripts" / "train.py").write_text(script)
    case = case_of(small, box, limits=LIMITS.with_changes(**limits))
    return judged(case, "training_runs"), case


@pytest.fixture(scope="module")
def solution():
    return without_marks((SCRIPTS / "train.py").read_text())


def test_the_reference_solution_with_bars_and_warnings_earns_all_points(small, box, solution):
    body = solution.replace("import time\n", "import time\n" + BAR, 1)
    found, case = run(small, box, body)
    assert found.points == case.rubric.item("training_runs").points, found
    assert case.facts["train.py"].verdict.ok


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"target_modules": ["q_proj"]},  # only moves attention: hardly felt in a random model
        {"r": 64, "lora_alpha": 1, "lr_scheduler_type": "linear"},
        {"tasks": ["understanding"], "learning_rate": 1e-6},
    ],
)
def test_the_loss_falls_with_any_honest_configuration(small, box, solution, change):
    config = yaml.safe_load(CONFIG) | change
    (small / "configs" / "lora_config.yaml").write_text(yaml.safe_dump(config))
    found, case = run(small, box, solution)
    assert found.points == case.rubric.item("training_runs").points, found


def test_a_log_that_a_script_writes_itself_earns_next_to_nothing(small, box):
    found, case = run(small, box, FORGED)
    assert found.points <= case.rubric.item("training_runs").points / 3
    assert "none" in [e.found[:4] for e in found.evidence if e.label == "adapter"]


def test_an_adapter_that_was_not_trained_on_these_records_has_no_loss_that_fell(small, box):
    found, case = run(small, box, UNTRAINED)
    assert found.points <= case.rubric.item("training_runs").points / 3
    assert "did not fall" in found.feedback


@pytest.mark.parametrize("script", ["", "import os; os._exit(0)"])
def test_to_end_well_without_a_trace_earns_nothing(small, box, script):
    found, case = run(small, box, script)
    assert case.facts["train.py"].verdict.ok
    assert found.points == 0


def test_a_script_that_never_ends_is_ended_and_named(small, box):
    found, case = run(small, box, "while True: pass", wall=3)
    assert found.points == 0
    assert case.facts["train.py"].verdict.reason == "wall"
    assert "time limit" in found.evidence[0].found


def test_the_short_configuration_keeps_what_shapes_the_adapter():
    config = LoraFile(r=3, lora_alpha=7, target_modules=["q_proj"], base_model="Qwen/Qwen3-1.7B")
    short = LoraFile(**trial.short_configuration(config))
    assert (short.r, short.lora_alpha, short.target_modules) == (3, 7, ["q_proj"])
    assert (short.base_model, short.quantization) == ("nano", "none")


def test_every_configuration_that_names_shares_can_draw_the_short_run():
    """The reference shares out forms and documents; the drawn records have none of them."""
    config = read_config(SCRIPTS.parent / "configs" / "lora_config.yaml")
    assert config.task_shares
    short = LoraFile(**trial.short_configuration(config))
    for part, count in (("train", short.train_records), ("val", short.val_records)):
        shares = short.task_shares if part == "train" else {}
        found = evaluation.draw(drawn(1)[part], count, short.seed, short.tasks, shares=shares)
        assert len(found) == count


def drawn(seed):
    return trial.drawn_parts(random.Random(seed), ["understanding", "report", "qa"])


def test_drawn_records_are_valid_and_differ_from_run_to_run():
    assert drawn(1) == drawn(1) != drawn(2)
    records = [record for part in drawn(1).values() for record in part]
    assert all(validate(record, "manufacturing") == [] for record in records)


def test_what_is_learned_in_training_helps_on_the_validation_part():
    answers = {
        part: {record["output"] for record in records if record["task"] == "qa"}
        for part, records in drawn(1).items()
    }
    assert answers["train"] == answers["val"]
    assert len(answers["train"]) == 1
