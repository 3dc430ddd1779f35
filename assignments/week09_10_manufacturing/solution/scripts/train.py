"""Part 3: fine-tune a LoRA adapter on all three tasks.

python scripts/train.py
python scripts/train.py --set learning_rate=5e-4 --set lora_r=8
python scripts/train.py --resume                      # go on after an interruption
accelerate launch --config_file CONFIG scripts/train.py   # several processes: bonus `distributed`

Writes models/finetuned_model/ (the adapter, no base weights) as soon as training has ended, then
run/training.json and reports/training_log.txt; run/checkpoints/ holds what --resume needs.
"""

import time
from pathlib import Path

# torch, datasets, peft, transformers and trl take their time: they are imported in the functions
# that use them, after what is wrong with the command line or a file has been told.
from course_utils import (
    adapters,
    chat,
    compat,
    cpu_speed,
    evaluation,
    hardware,
    models,
    ownership,
    scripts,
    training,
    writeup,
)
from course_utils.generation import completion_nll
from course_utils.records import read_records


def lora_configuration(config):
    """The adapter: rank, scale and the layers it sits on."""
    from peft import LoraConfig

    ### BEGIN SOLUTION
    return LoraConfig(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=config.target_modules,
        bias=config.bias,
        task_type=config.task_type,
    )
    ### END SOLUTION


def sft_configuration(config, settings, schedule, output_dir):
    """The training: batches, learning rate, evaluation, checkpoints, early stopping."""
    import torch
    from trl import SFTConfig

    ### BEGIN SOLUTION
    return SFTConfig(
        output_dir=str(output_dir),
        completion_only_loss=True,  # the prompt is not learned
        max_length=config.max_length,
        per_device_train_batch_size=config.per_device_train_batch_size,
        per_device_eval_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        num_train_epochs=config.num_train_epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        **compat.warmup_arguments(config.warmup_ratio),
        **compat.precision_arguments(settings.precision),
        gradient_checkpointing=config.gradient_checkpointing,
        train_sampling_strategy="sequential",  # the order is made by length, see below
        pad_to_multiple_of=8,
        logging_steps=schedule.logging_steps,
        eval_strategy="steps",
        eval_steps=schedule.eval_steps,
        save_strategy="steps",
        save_steps=schedule.eval_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        restore_callback_states_from_checkpoint=True,  # a resumed run keeps count for stopping
        seed=config.seed,
        report_to="tensorboard",
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,  # every adapter takes part in every step
    )
    ### END SOLUTION


def train(workspace, resume):
    """Train, evaluate on the validation part with every token weighing the same, save."""
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, set_seed
    from trl import SFTTrainer

    config, run, (rank, world) = workspace.config, workspace.run, training.processes()
    settings = run.settings
    tokenizer = models.load_tokenizer(config.base_model)
    parts, part_lengths = {}, {}
    for part, count in (("train", config.train_records), ("val", config.val_records)):
        pool = read_records(workspace.data(part), "manufacturing")
        shares = config.task_shares if part == "train" else {}  # validation: every task alike
        drawn = evaluation.draw(pool, count, config.seed, config.tasks, shares=shares)
        tokens = [chat.tokenize_record(record, tokenizer) for record in drawn]
        # A record whose prompt alone fills max_length has no answer left to learn.
        parts[part], part_lengths[part] = training.usable(drawn, tokens, config.max_length, part)

    # Records of like length share a batch, so little of it is padding.
    lengths = part_lengths["train"]
    global_batch = config.per_device_train_batch_size * world
    order = training.order_by_length(lengths, global_batch, config.seed)
    ordered = [lengths[i] for i in order]
    train_dataset = Dataset.from_list(
        [chat.record_messages(parts["train"][i], tokenizer) for i in order]
    )
    by_length = sorted(range(len(parts["val"])), key=lambda i: part_lengths["val"][i])
    eval_dataset = Dataset.from_list(
        [chat.record_messages(parts["val"][i], tokenizer) for i in by_length]
    )

    schedule = training.plan_schedule(settings, len(train_dataset))
    output_dir = run.folder / "checkpoints"
    ownership.check_file(workspace.report("training_log.txt"))
    if rank == 0:
        print(f"{settings.base_model}, {settings.quantization}, {settings.precision}; {schedule}")
    # First of all: this joins the processes and gives each its device.
    arguments = sft_configuration(config, settings, schedule, output_dir)
    checkpoint = training.first_decides(
        lambda: training.prepare_checkpoints(
            run, workspace.data("train"), [config.model_dump(), world], workspace.adapter
        )
    )
    hardware.keep_heap()
    set_seed(config.seed)
    model = models.load_base(settings)
    training.check_targets(model, config.target_modules)
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        peft_config=lora_configuration(config),
        callbacks=[EarlyStoppingCallback(config.early_stopping_patience), training.run_log()],
    )
    compat.cast_adapters_to_fp32(trainer.model)  # 4-bit weights with fp16 fail without it
    cpu_speed.score_completions_only()  # on a CPU TRL looks at the prompts too
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if resume and checkpoint else None)
    seconds = time.perf_counter() - started

    # Every process saves and scores: when the weights are sharded, both need all of them. Saving
    # comes first, and into a folder aside: whatever fails from here on, an adapter is whole.
    saved = workspace.adapter / ownership.UNFINISHED
    trainer.save_model(str(saved))  # only the first one writes
    if rank == 0:
        adapters.describe(saved, config.base_model, len(train_dataset))
        ownership.place(workspace.adapter, without=["training_args.bin"])  # a pickle, not needed
        print(f"Adapter: {workspace.adapter}", flush=True)
    trainer.model.eval()
    tokens = [chat.tokenize_record(r, tokenizer).cut(config.max_length) for r in parts["val"]]
    scored = completion_nll(trainer.model, tokenizer, tokens, config.eval_batch_size)
    if rank == 0:
        resumed = training.resumed_from(checkpoint if resume else None)
        trained = training.tokens_trained(ordered, settings, trainer.state, resumed)
        summary = training.summarise_training(trainer, settings, scored, seconds, trained, resumed)
        more = {"processes": world, "made_from": writeup.made_from(workspace)}
        run.write("training.json", summary | more)
        training.mark_finished(run, workspace.adapter)
        print(writeup.write_training_log(workspace))
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()  # leaves the group of processes


if __name__ == "__main__":
    with scripts.command_line():
        parser = scripts.arguments(__doc__, Path(__file__).parents[1])
        parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
        workspace = scripts.open_workspace(parser, reads=["train", "val"])
        first = training.processes()[0] == 0
        if not (workspace.arguments.resume and writeup.is_trained(workspace)):
            train(workspace, workspace.arguments.resume)
        elif first:
            print("nothing to resume: this configuration and data are trained already")
            print(f"Adapter: {workspace.adapter}")
        if first:
            print(f"Log: {workspace.report('training_log.txt')}")
