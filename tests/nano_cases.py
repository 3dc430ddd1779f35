"""Submissions on the nano model with evidence that is true, and cases to judge them in."""

import json
import math
import random
from dataclasses import replace

from submissions import SCRIPTS, without_marks

from course_utils import kit
from course_utils.assignments.folder import scan
from course_utils.assignments.rubric import load_rubric
from course_utils.execution.sandbox.limits import GIB, Limits
from course_utils.grading.cache import Shared
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.registry import checks_of
from course_utils.grading.probing.bases import find_base
from course_utils.grading.probing.evidence import ModelEvidence

WEEK05, WEEK09_10 = "week05_parameter_lab", "week09_10_manufacturing"
LIMITS = Limits(wall=600, memory=3 * GIB)
CONFIG = """\
base_model: nano
precision: fp32
r: 4
lora_alpha: 8
lora_dropout: 0.0
target_modules: [q_proj, v_proj]
max_length: 256
val_records: 9
test_records: 9
train_records: 12
seed: 7
"""
TRAIN_COMMAND = (
    "python train_lora.py --data records.jsonl --out adapter/ --lora_r 4 --lora_alpha 8 "
    "--num_train_epochs 1 --include_mlp false --max_length 256 --base_model nano --seed 42"
)


def case_of(folder, box, assignment=WEEK09_10, shared=None, limits=LIMITS, **fields):
    """A case for this folder; its item is set by `judged`."""
    rubric = load_rubric(kit.ASSIGNMENTS / assignment / "rubric.yaml")
    found, shared = scan(folder.resolve()), shared or Shared()
    models = ModelEvidence(found, assignment, box, limits, shared)
    values = {"box": box, "limits": limits, "models": models, "shared": shared, "seed": 3}
    return Case(assignment, rubric, rubric.items[0], found, **(values | fields))


def judged(case, name):
    """What the check of this name makes of the case."""
    item = next(item for item in case.rubric.items if item.check == name)
    return checks_of(case.assignment)[name](replace(case, item=item))


def share(case, name):
    """The share of its points that a check gives."""
    item = next(item for item in case.rubric.items if item.check == name)
    found = judged(case, name)
    return None if found.points is None else found.points / item.points


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def adapter(folder, spread=0.02, seed=7, **options):
    """A random adapter of rank 4 on q_proj and v_proj of nano; `spread` 0 leaves B zero."""
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(seed)
    wanted = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | options
    model = get_peft_model(
        models.load_model("nano", "fp32"), LoraConfig(task_type="CAUSAL_LM", **wanted)
    )
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name and spread:
                weights.normal_(0, spread)
    model.save_pretrained(folder)
    return folder


# --- Weeks 9-10 ---------------------------------------------------------------------------------


def make_pipeline(folder):
    """Data from the manuals, a random adapter, and what the scripts would store of both models."""
    from course_utils import chat, evaluation, models, records
    from course_utils.assignments import scripts, writeup
    from course_utils.generation import completion_nll
    from course_utils.tracks.manufacturing import manuals
    from course_utils.tracks.manufacturing import track as tracks
    from course_utils.tracks.parts import handed_out

    drafts = manuals.manual_drafts(7)
    random.Random(7).shuffle(drafts)
    parts = handed_out(tracks.assemble(drafts[:500], 7).parts)
    for name in ("scripts", "configs", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG)
    for script in SCRIPTS.glob("*.py"):
        (folder / "scripts" / script.name).write_text(without_marks(script.read_text()))
    for name, part in parts.items():
        records.write_records(folder / "data" / f"{name}.jsonl", part)
    adapter(folder / "models" / "finetuned_model")

    workspace = scripts.open_workspace(scripts.arguments("", folder), [])
    config, tokenizer = workspace.config, models.load_tokenizer("nano")
    draw = [
        evaluation.draw(parts[part], count, config.seed, config.tasks)
        for part, count in (("val", config.val_records), ("test", config.test_records))
    ]
    val, test = draw
    lengths = evaluation.answer_lengths(parts["train"], tokenizer)
    base = models.load_model("nano", find_base("nano").precision)
    shown = evaluation.few_shot_pool(parts["train"], 1, config.seed)
    baseline = {}
    for name, examples in (("zero_shot", None), ("few_shot", shown)):
        columns = evaluation.answer(base, tokenizer, test, lengths, 8, examples)
        baseline[name] = {**columns, "scores": evaluation.score(test, columns)}
    writeup.write_baseline(workspace, test, baseline)
    tuned = models.load_adapter(base, workspace.adapter)
    columns = evaluation.answer(tuned, tokenizer, test, lengths, 8)
    writeup.write_evaluation(
        workspace, test, baseline, columns, {"base": 30.0, "tuned": 33.0, "words": 100}
    )
    tokens = [chat.tokenize_record(record, tokenizer).cut(config.max_length) for record in val]
    nll, counts = completion_nll(tuned, tokenizer, tokens, 8)
    log = [{"step": s, "epoch": s / 4, "loss": 3 - s / 2, "eval_loss": 1.0} for s in (1, 2)]
    workspace.run.write("training.json", {**training(nll, counts, log), "made_from": "another run"})
    writeup.write_training_log(workspace)
    return folder


def training(nll, counts, log):
    loss = sum(nll) / sum(counts)
    return {
        **{"train_loss": 2.0, "final_train_loss": 1.5, "eval_loss": loss},
        **{"perplexity": math.exp(loss), "steps": 2, "planned_steps": 2, "tokens": 900},
        **{"seconds": 3.0, "tokens_per_second": 300.0, "stopped_early": False},
        "validation_losses": [list(row) for row in zip(nll, counts, strict=True)],
        **{"peak_memory_gb": 0.5, "trainable_parameters": 1000, "total_parameters": 100000},
        "log": log,
    }


# --- Week 5 -------------------------------------------------------------------------------------


def make_lab(folder):
    """Records, a random adapter with its true loss, and questions with its own answers."""
    import argparse

    from course_utils import chat, models
    from course_utils.generation import completion_nll, generate_answers
    from course_utils.lab import parameters, runs
    from course_utils.lab.questions import question_of

    names = ("quartz", "calcite", "gypsum", "talc", "illite", "topaz", "beryl", "pyrite")
    rows = [
        {
            "system": "You are a geologist.",
            "instruction": f"Where would {name} number {n} be looked up?",
            "context": "" if n % 2 else f"{name} stands on page {n}.",
            "answer": f"On page {n} of our field book.",
            "source": "field book",
            "group": f"{name} {n}",
        }
        for n in range(3)
        for name in names
    ]
    write_lines(folder / "records.jsonl", rows)
    adapter(folder / "adapter")
    tokenizer = models.load_tokenizer("nano")
    base = models.load_model("nano", find_base("nano").precision)
    tuned = models.load_adapter(base, folder / "adapter")
    options = argparse.Namespace(
        data=folder / "records.jsonl", eval_data=None, folds=None, val_share=0.1, seed=42
    )
    held = runs.read_parts(options)[1]
    nll, counts = completion_nll(
        tuned, tokenizer, [chat.tokenize_record(r, tokenizer) for r in held], 8
    )
    told = training(nll, counts, [{"step": 1, "loss": 2.0}]) | {
        "parameters": parameters.from_command(TRAIN_COMMAND),
        "command": TRAIN_COMMAND,
        "base_model": "nano",
        "quantization": "none",
        "seed": 42,
        "data": {"file": "records.jsonl", "train": len(rows) - len(held), "validation": len(held)},
        "system": "You are a geologist.",
    }
    (folder / "training.json").write_text(json.dumps(told))
    asked = [
        {
            "instruction": f"Which colour has {name}?",
            "context": "",
            "expected": f"{name} is white.",
        }
        for name in names
    ]
    prompts = [
        chat.record_messages(question_of(row).record("You are a geologist."), tokenizer)["prompt"]
        for row in asked
    ]
    answers = generate_answers(tuned, tokenizer, prompts, 64, 16)
    lines = [row | {"answer": text} for row, text in zip(asked, answers, strict=True)]
    write_lines(folder / "test_questions.jsonl", lines)
    return folder
