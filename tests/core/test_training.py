"""The step schedule, batches, checkpoints and the resume, against real trainers on `nano`."""

import json
import math
import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils import chat, compat, files, hardware, models, runs, sources, training
from course_utils.errors import CourseError
from course_utils.settings import preset_settings

NANO = preset_settings("nano")
PARTS = ["pump", "left bucket cylinder", "hose", "slew motor", "cabin door handle", "track"]
FAULTS = ["leaking", "broken again since the last night shift", "worn", "noisy"]
RECORDS = [
    sources.work_order_record(f"{part} {fault}", json.dumps({"part": part, "failure_mode": fault}))
    for part in PARTS
    for fault in FAULTS
]  # 24: with batches of 2, 12 steps


def settings(**changes):
    return NANO.with_changes(**changes)


@pytest.fixture(scope="module")
def new_trainer(nano_model_path, tokenizer, tmp_path_factory):
    """A real SFTTrainer on nano with a LoRA adapter, as notebook 03 makes it."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    hardware.keep_heap()  # as the notebooks' kernels do

    def make(*callbacks, records=RECORDS, folder=None, base=None, dropout=0.05, **arguments):
        set_seed(42)
        base = base or models.load_model("nano")
        adapter = LoraConfig(
            r=4, lora_alpha=8, lora_dropout=dropout, target_modules=training.target_modules(True)
        )
        arguments = {
            "per_device_train_batch_size": 2,
            "num_train_epochs": 1,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            **compat.precision_arguments("fp32"),
            **arguments,
        }
        config = SFTConfig(
            output_dir=str(folder or tmp_path_factory.mktemp("trainer")),
            completion_only_loss=True,
            max_length=160,
            train_sampling_strategy="sequential",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=42,
            **arguments,
        )
        rows = Dataset.from_list([chat.record_messages(r, tokenizer) for r in records])
        return SFTTrainer(
            model=base,
            args=config,
            train_dataset=rows,
            eval_dataset=rows.select(range(min(4, len(rows)))),
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=list(callbacks),
        )

    return make


EVERY_THREE = {
    "eval_strategy": "steps",
    "eval_steps": 3,
    "save_strategy": "steps",
    "save_steps": 3,
    "load_best_model_at_end": True,
    "metric_for_best_model": "eval_loss",
}


def losses(trainer):
    return {e["step"]: e["loss"] for e in trainer.state.log_history if "loss" in e}


def adapter(trainer):
    return {n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad}


def equal(first, second):
    import torch

    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


# --- interrupted and resumed ---


@pytest.fixture(scope="module")
def whole(new_trainer):
    """The run that nobody interrupted."""
    trainer = new_trainer(training.run_log(), **EVERY_THREE)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def stopped_run(new_trainer, tmp_path_factory):
    """A run folder whose training was stopped at step 7, with checkpoints 3 and 6."""
    run = make_run(tmp_path_factory.mktemp("run"))
    assert training.prepare_checkpoints(run) is None
    trainer = new_trainer(training.stop_at(7), folder=run.folder / "checkpoints", **EVERY_THREE)
    trainer.train()
    run.write("checkpoints/first_log.json", trainer.state.log_history)
    return run


@pytest.fixture(scope="module")
def resumed(new_trainer, stopped_run):
    """The same run, taken up from its newest checkpoint in a copy of its folder."""
    copy = stopped_run.folder.parent / "resumed"
    shutil.copytree(stopped_run.folder / "checkpoints", copy)
    trainer = new_trainer(training.run_log(), folder=copy, **EVERY_THREE)
    trainer.train(resume_from_checkpoint=str(copy / "checkpoint-6"))
    return trainer


def make_run(folder, **changes):
    run = runs.open_run(folder, preset="nano", **changes)
    run.path("data", "train.jsonl").write_text("{}\n", encoding="utf-8")
    return run


def test_a_run_stops_at_the_step_it_was_told_and_keeps_its_checkpoints(stopped_run):
    log = training.saved_first_log(stopped_run)
    assert max(entry["step"] for entry in log) == 7
    assert [path.name for path in training.checkpoints(stopped_run)] == [
        "checkpoint-3",
        "checkpoint-6",
    ]


def test_an_interrupted_and_resumed_run_has_the_losses_of_the_uninterrupted_one(whole, resumed):
    assert len(losses(whole)) == 12
    assert losses(resumed) == losses(whole)


def test_an_interrupted_and_resumed_run_ends_with_the_same_adapter(whole, resumed):
    assert equal(adapter(resumed), adapter(whole))


def test_an_interrupted_and_resumed_run_has_the_same_evaluations(whole, resumed):
    def evaluations(trainer):
        return {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}

    assert list(evaluations(whole)) == [3, 6, 9, 12]
    assert evaluations(resumed) == evaluations(whole)


def test_training_changed_the_adapter_and_dropout_was_on(new_trainer, whole):
    untrained = new_trainer()
    assert not equal(adapter(untrained), adapter(whole))
    without = new_trainer(training.stop_at(2), dropout=0.0)
    without.train()  # at step 1 the adapter still adds nothing, so dropout shows from step 2 on
    assert losses(without)[2] != losses(whole)[2]


def test_the_steps_trained_twice_agree_exactly(stopped_run, resumed):
    first = training.saved_first_log(stopped_run)
    again = [entry for entry in resumed.state.log_history if entry["step"] > 6]
    assert training.compare_resumed(first, again, 6) == {
        "stopped_at": 7,
        "resumed_from": 6,
        "steps_compared": 1,
        "max_difference": 0.0,
    }


def test_evaluations_are_logged_with_their_perplexity(whole):
    found = [entry for entry in whole.state.log_history if "eval_loss" in entry]
    assert len(found) == 4
    for entry in found:
        assert entry["eval_perplexity"] == pytest.approx(math.exp(entry["eval_loss"]))


# --- comparing logs ---


def log(**values):
    return [{"step": int(step[1:]), "loss": value} for step, value in values.items()]


def test_the_joined_difference_is_the_largest_over_the_shared_steps():
    assert training.joined_difference(log(s5=9, s6=2.0, s7=1.5), log(s6=2.25, s7=1.5, s8=7)) == 0.25


def test_logs_without_a_shared_step_are_not_called_equal():
    with pytest.raises(CourseError, match="share no step"):
        training.joined_difference(log(s1=1.0), log(s2=1.0))


def test_the_same_step_with_another_value_logged_is_not_shared():
    with pytest.raises(CourseError, match="share no step"):
        training.joined_difference(log(s1=1.0), [{"step": 1, "eval_loss": 1.0}])


@pytest.mark.parametrize("values", [(math.nan, 1.0), (1.0, math.nan)])
def test_a_loss_that_became_nan_is_never_hidden(values):
    again = log(s1=values[0], s2=values[1])
    assert math.isnan(training.joined_difference(log(s1=1.0, s2=1.0), again))


def test_where_no_step_was_trained_twice_nothing_is_claimed():
    found = training.compare_resumed([], log(s7=1.0), 6)
    assert (found["steps_compared"], found["max_difference"], found["stopped_at"]) == (
        0,
        None,
        None,
    )


# --- which checkpoint to go on from ---


@pytest.fixture
def run(stopped_run, tmp_path):
    """A copy of the stopped run that a test may damage."""
    shutil.copytree(stopped_run.folder, tmp_path / "run")
    return runs.open_run(tmp_path / "run")


def test_a_new_run_starts_from_step_zero_and_notes_its_settings(tmp_path):
    run = make_run(tmp_path)
    assert training.prepare_checkpoints(run) is None
    assert run.read("checkpoints/settings.json")["settings"] == run.fingerprint()
    assert training.prepare_checkpoints(run) is None


def test_an_interrupted_run_goes_on_from_its_newest_checkpoint(run):
    assert training.prepare_checkpoints(run) == run.folder / "checkpoints" / "checkpoint-6"


def test_the_newest_checkpoint_is_the_one_with_the_largest_number(run):
    folder = run.folder / "checkpoints"
    shutil.copytree(folder / "checkpoint-6", folder / "checkpoint-10")
    assert training.prepare_checkpoints(run).name == "checkpoint-10"


@pytest.mark.parametrize(
    "missing",
    ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
    + ["trainer_state.json"],
)
def test_a_checkpoint_that_was_cut_off_while_saving_is_passed_over(run, missing):
    (run.folder / "checkpoints" / "checkpoint-6" / missing).unlink()
    assert training.prepare_checkpoints(run).name == "checkpoint-3"


def test_a_checkpoint_with_half_a_state_file_is_passed_over(run):
    path = run.folder / "checkpoints" / "checkpoint-6" / "trainer_state.json"
    path.write_bytes(path.read_bytes()[:50])
    assert training.prepare_checkpoints(run).name == "checkpoint-3"


def test_without_a_whole_checkpoint_training_starts_anew(run):
    for checkpoint in training.checkpoints(run):
        (checkpoint / "optimizer.pt").unlink()
    assert training.prepare_checkpoints(run) is None


def test_checkpoints_of_other_settings_are_removed(run):
    changed = runs.open_run(run.folder, learning_rate=5e-4)
    assert training.prepare_checkpoints(changed) is None
    assert training.checkpoints(changed) == []
    assert training.saved_first_log(changed) == []


def test_checkpoints_of_other_data_are_removed(run):
    run.path("data", "train.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    assert training.prepare_checkpoints(run) is None
    assert training.checkpoints(run) == []


def test_a_finished_run_starts_anew(run):
    training.mark_finished(run)
    assert training.prepare_checkpoints(run) is None
    training.mark_finished(run)
    training.mark_finished(run)


def test_training_before_the_data_is_made_is_one_message(tmp_path):
    run = runs.open_run(tmp_path, preset="nano")
    with pytest.raises(CourseError, match="train.jsonl: there is no such file") as caught:
        training.prepare_checkpoints(run)
    assert "notebook 01" in caught.value.cure


def test_other_files_among_the_checkpoints_are_not_taken_for_one(run):
    folder = run.folder / "checkpoints"
    (folder / "checkpoint-best").mkdir()
    (folder / "checkpoint-best" / "trainer_state.json").write_text("{}", encoding="utf-8")
    (folder / "checkpoint-99").mkdir()
    assert [path.name for path in training.checkpoints(run)] == ["checkpoint-3", "checkpoint-6"]


# --- the schedule ---

SIZES = {
    "records": st.integers(1, 5000),
    "batch": st.integers(1, 32),
    "accumulation": st.integers(1, 16),
    "epochs": st.sampled_from([0.1, 0.5, 1, 1.5, 2, 3]),
    "evaluations": st.integers(2, 20),
}


def plan(records, batch=4, accumulation=1, epochs=1, evaluations=5):
    changed = settings(
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        evaluations=evaluations,
    )
    return training.plan_schedule(changed, records)


@given(**SIZES)
def test_there_is_an_evaluation_and_every_evaluation_falls_on_a_logged_step(**sizes):
    schedule = plan(**sizes)
    assert 1 <= schedule.logging_steps <= schedule.eval_steps <= schedule.total_steps
    assert schedule.eval_steps % schedule.logging_steps == 0


@given(**SIZES)
def test_the_resume_drill_stops_after_a_checkpoint_and_before_the_end(**sizes):
    schedule = plan(**sizes)
    stop = training.drill_step(schedule)
    assert stop > schedule.eval_steps
    if schedule.total_steps >= schedule.eval_steps + 2:
        assert stop < schedule.total_steps


@pytest.mark.parametrize(
    ("records", "batch", "accumulation", "epochs"),
    [(23, 4, 1, 1), (24, 2, 5, 1), (23, 3, 4, 2), (7, 2, 3, 1.5), (1, 4, 4, 1)],
)
def test_the_planned_steps_are_those_the_trainer_makes(
    new_trainer, records, batch, accumulation, epochs
):
    schedule = plan(records, batch, accumulation, epochs)
    trainer = new_trainer(
        training.stop_at(1),
        records=RECORDS[:records],
        eval_strategy="no",
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
    )
    trainer.train()
    assert trainer.state.global_step == 1
    assert trainer.state.max_steps == schedule.total_steps


def test_the_cpu_preset_is_evaluated_as_often_as_it_says():
    cpu = preset_settings("cpu")
    schedule = training.plan_schedule(cpu, cpu.train_records)
    assert schedule.total_steps == 850
    assert schedule.total_steps // schedule.eval_steps == cpu.evaluations


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant_with_warmup"])
@pytest.mark.parametrize(("ratio", "steps"), [(0.0, 0), (0.03, 6), (0.25, 50)])
def test_the_warm_up_lasts_the_share_of_the_steps_that_was_asked_for(
    new_trainer, kind, ratio, steps
):
    arguments = {"lr_scheduler_type": kind, **compat.warmup_arguments(ratio)}
    trainer = new_trainer(records=RECORDS[:1], **arguments)
    trainer.create_optimizer_and_scheduler(num_training_steps=200)
    factor = trainer.lr_scheduler.lr_lambdas[0]  # step -> share of the learning rate
    assert [factor(step) for step in range(steps)] == [step / steps for step in range(steps)]
    assert factor(steps) == 1


# --- batches ---

LENGTHS = random.Random(1).choices(range(20, 150), k=103)


@given(st.lists(st.integers(1, 200), min_size=1), st.integers(1, 16), st.integers(0, 9))
def test_the_order_by_length_takes_every_record_once(lengths, batch_size, seed):
    order = training.order_by_length(lengths, batch_size, seed)
    assert sorted(order) == list(range(len(lengths)))
    assert training.order_by_length(lengths, batch_size, seed) == order


def padding(order, batch_size):
    return training.padding_share([LENGTHS[i] for i in order], batch_size)


@pytest.mark.parametrize("batch_size", [2, 4, 8, 16])
def test_the_order_by_length_saves_most_of_the_padding(batch_size):
    ordered = training.order_by_length(LENGTHS, batch_size, seed=1)
    assert padding(ordered, batch_size) < 0.3 * padding(range(len(LENGTHS)), batch_size)


def test_the_batches_are_not_sorted_by_length_and_another_seed_shuffles_them_anew():
    first, second = (training.order_by_length(LENGTHS, 8, seed) for seed in (1, 2))
    heads = [LENGTHS[i] for i in first[::8]]
    assert heads != sorted(heads)
    assert heads != sorted(heads, reverse=True)
    assert first != second


def test_the_padding_share_is_padding_by_padded_tokens():
    assert training.padding_share([1, 3, 4, 4, 2], 2) == pytest.approx(1 - 14 / 16)
    assert training.padding_share([5, 5, 5], 2) == 0


def test_the_trainer_takes_the_records_in_the_order_given(new_trainer, tokenizer):
    trainer = new_trainer()
    batches = list(trainer.get_train_dataloader())
    lengths = [int(n) for batch in batches for n in batch["attention_mask"].sum(1)]
    assert lengths == [chat.count_tokens(record, tokenizer) for record in RECORDS]


def test_the_tokens_trained_are_those_of_the_batches(new_trainer, tokenizer):
    lengths = [chat.count_tokens(record, tokenizer) for record in RECORDS]
    sized = settings(per_device_train_batch_size=2)
    state, fresh = SimpleNamespace(global_step=12), {"stopped_at": None, "resumed_from": 0}
    assert training.tokens_trained(lengths, sized, state, {**fresh, "steps_compared": 0}) == sum(
        lengths
    )


@pytest.mark.parametrize(
    ("steps", "resume", "expected"),
    [
        (6, (None, 0, 0), 2 * (1 + 2 + 4 + 8 + 16)),  # two epochs of batches (1 2) (4 8) (16)
        (4, (None, 0, 0), 31 + 3),
        (6, (3, 2, 1), 62 + 16),  # step 3 was trained twice
        (6, (3, 2, 0), 62 - 15),  # steps 1 and 2 belong to an earlier session
    ],
)
def test_steps_trained_twice_count_twice_and_an_earlier_sessions_steps_do_not(
    steps, resume, expected
):
    resume = dict(zip(("stopped_at", "resumed_from", "steps_compared"), resume, strict=True))
    sized = settings(per_device_train_batch_size=2)
    state = SimpleNamespace(global_step=steps)
    assert training.tokens_trained([1, 2, 4, 8, 16], sized, state, resume) == expected


# --- parameters and precision ---


@pytest.fixture(scope="module")
def four_bit(new_trainer):
    """SFTTrainer with an adapter on a 4-bit nano: bitsandbytes quantizes on a CPU too."""
    quantization = models.quantization_for(settings(quantization="nf4"))
    base = models.load_model("nano", "fp32", quantization)
    return new_trainer(base=base, eval_strategy="no", max_steps=2)


def test_adapters_of_a_four_bit_model_are_cast_to_fp32_and_then_train(four_bit):
    import torch

    before = adapter(four_bit)
    assert {weight.dtype for weight in before.values()} == {torch.bfloat16}
    assert compat.cast_adapters_to_fp32(four_bit.model) == len(before)
    assert {weight.dtype for weight in adapter(four_bit).values()} == {torch.float32}
    assert compat.cast_adapters_to_fp32(four_bit.model) == 0
    four_bit.train()
    assert all(math.isfinite(loss) for loss in losses(four_bit).values())
    assert {weight.dtype for weight in adapter(four_bit).values()} == {torch.float32}
    assert not equal(adapter(four_bit), {n: w.float() for n, w in before.items()})


def test_parameters_are_counted_the_same_in_four_bits(four_bit, new_trainer):
    counts = training.parameter_counts(four_bit.model)
    assert counts == training.parameter_counts(new_trainer().model)
    packed = sum(parameter.numel() for parameter in four_bit.model.parameters())
    assert counts[1] > packed


@pytest.mark.parametrize("include_mlp", [True, False])
def test_the_computed_adapter_size_is_what_peft_makes(nano_model_path, include_mlp):
    from peft import LoraConfig, get_peft_model

    model, targets = models.load_model("nano"), training.target_modules(include_mlp)
    expected = training.adapter_parameters(model, targets, rank=4)
    made = get_peft_model(model, LoraConfig(r=4, target_modules=targets))
    assert training.parameter_counts(made)[0] == expected > 0


def test_attention_alone_is_a_part_of_all_linear_layers():
    assert set(training.target_modules(False)) < set(training.target_modules(True))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_trainer_computes_in_the_precision_that_was_asked_for(tmp_path, precision):
    from trl import SFTConfig

    flags = compat.precision_arguments(precision)
    config = SFTConfig(output_dir=str(tmp_path), report_to="none", use_cpu=True, **flags)
    assert (config.bf16, config.fp16) == (precision == "bf16", precision == "fp16")


# --- training.json ---


def test_training_json_holds_what_the_contract_names(whole, tmp_path):
    summary = training.summarise_training(whole, settings(), ([6.0, 2.0], [3, 1]), 2.0, 100)
    path = files.write_json_atomic(tmp_path / "training.json", summary)
    saved = files.read_json(path)
    assert (saved["steps"], saved["planned_steps"], saved["stopped_early"]) == (12, 12, False)
    assert saved["train_loss"] == pytest.approx(sum(losses(whole).values()) / 12)
    assert saved["eval_loss"] == pytest.approx(8 / 4)
    assert saved["perplexity"] == pytest.approx(math.exp(2))
    assert saved["tokens_per_second"] == 50
    assert 0 < saved["trainable_parameters"] < saved["total_parameters"]
    assert 0.1 < saved["peak_memory_gb"] < 50
    assert {entry["step"] for entry in saved["log"]} == set(range(1, 13))
    assert not any("train_runtime" in entry for entry in saved["log"])


def test_a_run_that_ended_before_its_plan_is_called_stopped_early(new_trainer):
    trainer = new_trainer(training.stop_at(2), eval_strategy="no")
    trainer.train()
    summary = training.summarise_training(trainer, settings(), ([1.0], [1]), 1.0, 1)
    assert (summary["steps"], summary["stopped_early"]) == (2, True)


def test_importing_training_loads_nothing_heavy():
    import subprocess

    code = "import sys, course_utils.training; print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "False"


# --- several processes, other files, target modules ---


def launched(monkeypatch, rank, world):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(world))


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "ACCELERATE_USE_CPU", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert training.processes() == (0, 1)


def test_the_launcher_tells_each_process_its_number(monkeypatch):
    launched(monkeypatch, 3, 4)
    assert training.processes() == (3, 4)


@pytest.mark.parametrize(
    ("world", "per_epoch"), [(1, 13), (2, 7), (4, 4), (25, 1), (100, 1)]
)  # 100 records in batches of 4, two batches a step: 25 batches in one process
def test_several_processes_share_the_steps_of_an_epoch(monkeypatch, world, per_epoch):
    launched(monkeypatch, 0, world)
    schedule = plan(100, batch=4, accumulation=2, epochs=3)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (per_epoch, 3 * per_epoch)


def test_a_step_of_several_processes_trains_the_tokens_of_all(monkeypatch):
    launched(monkeypatch, 0, 2)
    sized = settings(per_device_train_batch_size=1, gradient_accumulation_steps=1)
    fresh = training.resumed_from(None)
    trained = [
        training.tokens_trained([1, 2, 4, 8, 16], sized, SimpleNamespace(global_step=step), fresh)
        for step in (1, 2, 3)
    ]
    assert trained == [1 + 2, 1 + 2 + 4 + 8, 31]


@pytest.fixture
def data_run(tmp_path):
    """A run whose data lie elsewhere, with one whole checkpoint."""
    file = tmp_path / "elsewhere.jsonl"
    file.write_text("{}\n")
    run = runs.Run(tmp_path / "run", settings(precision="fp32"))
    training.prepare_checkpoints(run, file, ["more", 1])
    folder = run.folder / "checkpoints" / "checkpoint-5"
    folder.mkdir()
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        (folder / name).write_text("")
    (folder / "trainer_state.json").write_text("{}")
    return run, file


def test_the_data_may_lie_outside_the_run_folder(data_run):
    run, file = data_run
    assert training.prepare_checkpoints(run, file, ["more", 1]).name == "checkpoint-5"
    file.write_text("{}\n{}\n")
    assert training.prepare_checkpoints(run, file, ["more", 1]) is None
    assert training.checkpoints(run) == []


@pytest.mark.parametrize("more", [None, ["more", 2], ["more"], {"more": 1}])
def test_a_change_in_what_else_matters_starts_anew(data_run, more):
    run, file = data_run
    assert training.prepare_checkpoints(run, file, more) is None
    assert training.checkpoints(run) == []


def test_a_configuration_is_the_same_after_its_way_through_the_file(data_run):
    """A value that JSON changes (a tuple, a float) would end every resume."""
    from course_utils.assignments.configuration import LoraFile

    run, file = data_run
    more = [LoraFile(learning_rate=1 / 3, target_modules=["q_proj"]).model_dump(), 2]
    training.prepare_checkpoints(run, file, more)
    marker = run.path("checkpoints", "marker")
    marker.write_text("")
    training.prepare_checkpoints(run, file, more)
    assert marker.exists()


def test_missing_data_outside_the_run_folder_are_named(tmp_path):
    run = runs.Run(tmp_path, settings(precision="fp32"))
    with pytest.raises(CourseError, match=r"other\.jsonl: there is no such file"):
        training.prepare_checkpoints(run, tmp_path / "other.jsonl")


def test_training_json_says_where_a_run_went_on():
    assert training.resumed_from(Path("checkpoints/checkpoint-40"))["resumed_from"] == 40
    fresh = training.resumed_from(None)
    assert (fresh["resumed_from"], fresh["steps_compared"], fresh["stopped_at"]) == (0, 0, None)


@pytest.mark.parametrize("targets", ["all-linear", training.target_modules(True), ["q_proj"], []])
def test_target_modules_that_the_model_has_are_taken(nano_model_path, targets):
    training.check_targets(models.load_model("nano"), targets)  # raises nothing


@pytest.mark.parametrize(
    "wrong", ["query", "c_attn", "q_proj ", "lm_head", "embed_tokens", "Q_PROJ"]
)
def test_a_target_module_that_the_model_lacks_is_named_with_those_it_has(nano_model_path, wrong):
    with pytest.raises(CourseError, match=f"no linear layer {wrong}") as caught:
        training.check_targets(models.load_model("nano"), ["q_proj", wrong, "v_proj"])
    for name in (*training.target_modules(True), "all-linear"):
        assert name in caught.value.cure
