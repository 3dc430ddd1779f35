"""The lab's arithmetic against the libraries it speaks for, and its warnings."""

import math
import time
import timeit

import pytest

from course_utils import training
from course_utils.errors import CourseError
from course_utils.lab import architectures, arithmetic, cautions, parameters

NANO = architectures.get("nano")
QWEN = architectures.get("qwen2.5-1.5b")
START = parameters.start_values()


def warnings_of(records=1000, architecture=QWEN, lengths=None, device="T4", **changes):
    return cautions.warnings(
        {**START, "precision": "fp16", **changes}, records, architecture, lengths, device
    )


def said(word: str, **changes) -> bool:
    return any(word in line for line in warnings_of(**changes))


# ---------------------------------------------------------------- steps and learning rate


@pytest.mark.parametrize("scheduler", parameters.SCHEDULERS)
@pytest.mark.parametrize(("total", "ratio"), [(63, 0.03), (10, 0.0), (10, 0.4), (1, 0.1)])
def test_the_curve_is_that_of_transformers(scheduler, total, ratio):
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    warmup = arithmetic.warmup_steps(total, ratio)
    theirs = get_scheduler(scheduler, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    rates = []
    for _ in range(total):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert arithmetic.learning_rate_curve(2e-4, total, ratio, scheduler) == pytest.approx(rates)


@pytest.mark.parametrize(("total", "ratio"), [(63, 0.03), (100, 0.03), (7, 0.5), (9, 0)])
def test_warm_up_is_rounded_as_the_trainer_rounds_it(total, ratio, tmp_path):
    from transformers import TrainingArguments

    arguments = TrainingArguments(str(tmp_path), warmup_steps=ratio, use_cpu=True)
    assert arithmetic.warmup_steps(total, ratio) == arguments.get_warmup_steps(total)


def test_an_unknown_scheduler_names_the_known_ones():
    with pytest.raises(CourseError, match="cosine"):
        arithmetic.learning_rate_curve(1e-4, 10, 0, "stairs")


@pytest.mark.parametrize(
    ("records", "batch", "accumulation", "epochs"),
    [(1000, 2, 8, 2), (17, 2, 4, 1), (16, 4, 4, 3), (3, 8, 2, 0.5), (100, 8, 1, 1.5), (1, 1, 1, 1)],
)
def test_steps_are_those_of_the_schedule_and_of_the_trainer(
    records, batch, accumulation, epochs, tmp_path
):
    from transformers import Trainer, TrainingArguments

    from course_utils.settings import preset_settings

    plan = arithmetic.steps(records, batch, accumulation, epochs)
    settings = preset_settings("nano").with_changes(
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
    )
    schedule = training.plan_schedule(settings, records)
    assert (plan.per_epoch, plan.total) == (schedule.steps_per_epoch, schedule.total_steps)
    arguments = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        use_cpu=True,
    )
    import torch

    rows = [{"x": 0}] * records
    trainer = Trainer(torch.nn.Linear(1, 1), arguments, train_dataset=rows)
    found = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())
    assert plan.total == found[-1]


def test_the_last_step_of_an_epoch_takes_what_is_left():
    plan = arithmetic.steps(records=17, batch=2, accumulation=4, epochs=1)
    assert (plan.effective_batch, plan.per_epoch, plan.total) == (8, 3, 3)


def test_no_records_give_no_steps():
    with pytest.raises(CourseError, match="records is 0"):
        arithmetic.steps(0, 1, 1, 1)


# ---------------------------------------------------------------- lengths


def test_truncation_counts_records_answers_and_tokens():
    cut = arithmetic.truncation([10, 20, 30, 40], [5, 5, 25, 5], max_length=20)
    assert (cut.records_cut, cut.answers_cut, cut.fully_masked) == (0.5, 0.5, 0.25)
    assert cut.answer_tokens_cut == pytest.approx(1 - (5 + 15 + 0 + 15) / (5 + 15 + 5 + 35))


def test_truncation_agrees_with_the_cut_that_training_makes(tokenizer):
    from course_utils import chat

    record = {
        "instruction": "Say the code.",
        "input": "pump leaking",
        "output": "Assembly: hydraulic pump. Fault: leak. Code: H-12.",
    }
    tokens = chat.tokenize_record(record, tokenizer)
    prompt = tokens.prompt_length
    limit = prompt + 4
    cut = arithmetic.truncation([len(tokens.input_ids)], [prompt], limit)
    kept = tokens.cut(limit).completion_length
    assert cut.answer_tokens_cut == pytest.approx(1 - kept / tokens.completion_length)
    assert kept == 4


def test_lengths_that_do_not_fit_together_are_refused():
    for lengths, prompts in [([], []), ([5], [2, 3]), ([5], [9])]:
        with pytest.raises(CourseError):
            arithmetic.truncation(lengths, prompts, 10)


def test_new_tokens_cut_counts_answers_beyond_the_limit():
    assert arithmetic.answers_cut([4, 8, 12], 8) == pytest.approx(1 / 3)


# ---------------------------------------------------------------- adapter


@pytest.mark.parametrize("include_mlp", [False, True])
def test_adapter_size_is_what_peft_counts(include_mlp, nano_model_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(nano_model_path)
    targets = training.target_modules(include_mlp)
    config = LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM")
    trainable, total = get_peft_model(model, config).get_nb_trainable_parameters()
    size = arithmetic.adapter_size(NANO, 4, include_mlp)
    assert size.parameters == trainable == sum(size.by_module.values())
    assert size.share_of_model == pytest.approx(trainable / total)


def test_adapter_of_the_embedded_model_has_the_known_size():
    size = arithmetic.adapter_size(architectures.get("smollm2-135m-instruct"), 16, True)
    assert size.parameters == 4_884_480
    assert size.megabytes == pytest.approx(19.5, abs=0.1)


@pytest.mark.parametrize("architecture", architectures.registry().values(), ids=lambda a: a.name)
def test_parameters_follow_from_the_shapes(architecture):
    """The model's card says them with 2 or 3 digits."""
    assert architecture.parameters / 1e9 == pytest.approx(
        architecture.billions, rel=0.015, abs=5e-4
    )


def test_the_embedded_models_line_is_its_configuration(prepared):
    from transformers import AutoConfig

    from course_utils import models

    config = AutoConfig.from_pretrained(models.resolve("smollm2-135m-instruct"))
    line = architectures.get("HuggingFaceTB/SmolLM2-135M-Instruct")
    for name in ("hidden_size", "num_hidden_layers", "head_dim", "intermediate_size", "vocab_size"):
        assert getattr(line, name) == getattr(config, name)
    assert line.num_key_value_heads == config.num_key_value_heads


def test_the_model_of_every_preset_has_an_architecture():
    from course_utils.settings import load_presets

    for preset in load_presets().values():
        assert architectures.get(preset["base_model"]).parameters > 0


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(CourseError, match="is not known") as caught:
        architectures.get("mistral-7b")
    assert "mistral-7b-v0.1" in caught.value.cure


def test_scale_grows_with_alpha_and_falls_with_r():
    assert arithmetic.scale(32, 16) == 2
    assert arithmetic.rslora_scale(64, 64) == 8


# ---------------------------------------------------------------- number formats


@pytest.mark.parametrize(
    ("value", "precision", "kept", "state"),
    [
        (65504, "fp16", 65504, "ok"),
        (65520, "fp16", math.inf, "overflow"),
        (-70000, "fp16", -math.inf, "overflow"),
        (65520, "bf16", 65536, "rounded"),
        (1e-8, "fp16", 0, "underflow"),
        (1e-8, "bf16", None, "rounded"),
        (1.001, "bf16", 1.0, "rounded"),
        (1.001, "fp32", None, "ok"),
        (1e39, "bf16", math.inf, "overflow"),
        (0.0, "fp16", 0, "ok"),
    ],
)
def test_examples_of_the_formats(value, precision, kept, state):
    found = arithmetic.number_format(value, precision)
    assert found.state == state
    assert kept is None or found.value == kept


def test_formats_round_as_torch_does():
    import torch

    generator = torch.Generator().manual_seed(0)
    exponents = torch.rand(500, generator=generator) * 80 - 42
    numbers = torch.cat([10**exponents, torch.tensor([0.1, 257.0, 2049.0, 6e-8, 65519.0])])
    for precision, dtype in [("fp16", torch.float16), ("bf16", torch.bfloat16)]:
        ours = [arithmetic.number_format(float(x), precision).value for x in numbers]
        assert ours == numbers.to(dtype).tolist()


def test_the_table_has_a_row_a_number_and_a_column_a_format():
    (row,) = arithmetic.format_table([65520])
    assert {name: row[name].state for name in ("fp32", "bf16", "fp16")} == {
        "fp32": "ok",
        "bf16": "rounded",
        "fp16": "overflow",
    }


def test_an_unknown_format_is_refused():
    with pytest.raises(CourseError, match="fp8"):
        arithmetic.number_format(1.0, "fp8")


# ---------------------------------------------------------------- logging


def test_logged_points_are_means_since_the_last_one():
    log = [{"step": step, "loss": float(step)} for step in range(1, 8)] + [
        {"step": 4, "eval_loss": 9.0}
    ]
    points = arithmetic.logging_points(log, 3)
    assert points == [{"step": 3, "loss": 2.0}, {"step": 6, "loss": 5.0}]
    assert arithmetic.logging_points(log, 8) == []


# ---------------------------------------------------------------- warnings


def test_the_start_values_are_not_warned_about():
    assert warnings_of(records=1600) == []


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("learning rate 0.01", {"learning_rate": 1e-2}),
        ("10 times as much", {"learning_rate": 2e-5}),
        ("effective batch 64", {"gradient_accumulation_steps": 32}),
        ("optimiser steps: too few", {"records": 100}),
        ("more than all 8 records", {"records": 8}),
        ("warm-up takes", {"warmup_ratio": 0.4}),
        ("does nothing", {"lr_scheduler_type": "constant"}),
        ("the training loss is one point", {"records": 100, "logging_steps": 50}),
        ("too few to see a curve", {"records": 300, "logging_steps": 10}),
        ("very loud", {"lora_alpha": 256}),
        ("very quiet", {"lora_alpha": 4, "lora_r": 64}),
        ("attention only", {"include_mlp": False}),
        ("one pass over the data", {"num_train_epochs": 1}),
        ("more than the usual 1 to 3", {"num_train_epochs": 5}),
        ("bf16 on a T4", {"precision": "bf16"}),
        ("fp16 on a CPU", {"device": "cpu"}),
        ("bf16 on a CPU", {"device": "cpu", "precision": "bf16"}),
        ("fp16 on L4", {"device": "L4"}),
        ("cuts 50% of the answers", {"lengths": ([600, 60], [20, 20])}),
        ("no answer token left", {"lengths": ([600, 60], [560, 20])}),
        ("max_new_tokens 16", {"lengths": ([60, 60], [20, 20]), "max_new_tokens": 16}),
        ("GiB are needed", {"architecture": architectures.get("llama-3.1-8b"),
                            "per_device_train_batch_size": 16}),
    ],
)  # fmt: skip
def test_a_choice_known_to_hurt_is_named(word, changes):
    assert said(word, **changes)


@pytest.mark.parametrize(
    ("device", "precision"), [("cpu", "fp32"), ("L4", "bf16"), ("A100 40", "bf16"), ("T4", "fp16")]
)
def test_the_precision_that_fits_the_device_is_not_warned_about(device, precision):
    assert warnings_of(records=1600, device=device, precision=precision) == []


def test_all_numbers_of_the_lab_come_within_milliseconds():
    """A panel redraws while a slider moves. All four together take some 5 ms."""
    lengths = ([100 + n % 60 for n in range(2000)], [60] * 2000)

    def redraw():
        arithmetic.truncation(*lengths, 128)
        arithmetic.learning_rate_curve(2e-4, 1000, 0.03, "cosine")
        arithmetic.adapter_size(QWEN, 16, True)
        warnings_of(lengths=lengths)

    # Of the processor, the best of five: what else this machine does is not the lab's.
    assert min(timeit.repeat(redraw, timer=time.process_time, number=1, repeat=5)) < 0.1
