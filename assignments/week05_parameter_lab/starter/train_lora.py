"""Train a LoRA adapter on your own records, with the 13 parameters of week 5.

python train_lora.py --data records.jsonl --out adapter/
python train_lora.py --data records.jsonl --out adapter/ --learning_rate 5e-4 --lora_r 8
python train_lora.py --data records.jsonl --out adapter/ --resume    # after an interruption

Writes the adapter (no base weights) and, beside its folder, training.json and checkpoints/ with
the TensorBoard log (tensorboard --logdir checkpoints). What you do not give has the lab's start
value.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

from course_utils import (
    chat,
    compat,
    files,
    hardware,
    lab_runs,
    models,
    parameters,
    runs,
    scripts,
    training,
)
from course_utils.generation import completion_nll


def read_arguments(given=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="training records, JSON lines")
    parser.add_argument("--out", type=Path, default=Path("adapter"), help="folder of the adapter")
    parser.add_argument("--eval_data", type=Path, help="validation records (default: a share)")
    parser.add_argument("--val_share", type=float, default=0.1, help="share kept for validation")
    parser.add_argument("--base_model", default=models.EMBEDDED, help="see `course model list`")
    parser.add_argument(
        "--quantization", choices=["none", "nf4"], default="none", help="nf4: QLoRA"
    )
    parser.add_argument("--seed", type=int, default=42, help="the same seed, the same adapter")
    parser.add_argument("--evaluations", type=int, default=5, help="evaluations during training")
    parser.add_argument("--eval_batch_size", type=int, default=8, help="records scored at once")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--no_checkpoints", action="store_true", help="save the adapter only")
    parameters.add_arguments(parser)
    faults = parser.add_argument_group("mistakes, for the failure gallery")
    truth = ["true", "false"]
    faults.add_argument("--learn_eos", choices=truth, default="true", help="false: end masked")
    faults.add_argument("--learn_padding", choices=truth, default="false", help="true: not masked")
    faults.add_argument(
        "--adapter_dtype", choices=["fp32", "fp16"], default="fp32", help="fp16: overflows"
    )
    return parser.parse_args(given)


def lora_configuration(settings):
    """The adapter: rank, loudness, dropout, and the layers it sits on."""
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=training.target_modules(settings.include_mlp),
        task_type="CAUSAL_LM",
    )


def sft_configuration(settings, options, logging_steps, eval_steps):
    """The training: batches, learning rate and its schedule, precision, logs, checkpoints."""
    return SFTConfig(
        output_dir=str(lab_runs.checkpoint_folder(options.out)),
        completion_only_loss=True,  # the prompt is not learned
        max_length=settings.max_length,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        per_device_eval_batch_size=options.eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        num_train_epochs=settings.num_train_epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        **compat.warmup_arguments(settings.warmup_ratio),  # the library renamed warmup_ratio
        **compat.precision_arguments(settings.precision),  # bf16 or fp16 or neither
        gradient_checkpointing=settings.gradient_checkpointing,
        train_sampling_strategy="sequential",  # the order is made by length, see below
        pad_to_multiple_of=8,
        logging_steps=logging_steps,
        eval_strategy="steps",
        eval_steps=eval_steps,
        save_strategy="no" if options.no_checkpoints else "steps",
        save_steps=eval_steps,
        save_total_limit=2,
        seed=settings.seed,
        report_to="none" if options.no_checkpoints else "tensorboard",
        use_cpu=not torch.cuda.is_available(),
    )


def build_dataset(part, tokenizer):
    """Prompt and completion messages; SFTTrainer renders them and masks the prompt."""
    return Dataset.from_list([chat.record_messages(record, tokenizer) for record in part])


def build_faulty_dataset(part, tokenizer, options):
    """Two classic mistakes around pad = EOS, made on purpose for the failure gallery.

    With learn_eos false the mask of the padding hides the end of the answer too, so the end is
    never learned; with learn_padding true the padding is trained like an answer.
    """
    rows = []
    for record in part:
        tokens = chat.tokenize_record(record, tokenizer)
        learned = [label != -100 for label in tokens.labels]
        if options.learn_eos == "false":
            ends = [token == tokenizer.eos_token_id for token in tokens.input_ids]
            learned = [learn and not end for learn, end in zip(learned, ends, strict=True)]
        padding = options.parameters["max_length"] - len(learned)
        padding = max(0, padding) if options.learn_padding == "true" else 0
        ids = tokens.input_ids + [tokenizer.eos_token_id] * padding
        mask = [int(learn) for learn in learned] + [1] * padding
        rows.append({"input_ids": ids, "completion_mask": mask})
    return Dataset.from_list(rows)


def train(options):
    """Train and score the validation part; returns (trainer, tokenizer, training.json)."""
    settings = lab_runs.settings_of(options)
    train_part, val_part = lab_runs.read_parts(options)
    tokenizer = models.load_tokenizer(settings.base_model)

    # Records of like length share a batch, so little of it is padding.
    tokens = [chat.tokenize_record(record, tokenizer) for record in train_part]
    train_part, lengths = lab_runs.usable(train_part, tokens, settings.max_length)
    order = training.order_by_length(lengths, settings.per_device_train_batch_size, settings.seed)
    ordered = [lengths[i] for i in order]
    in_order = [train_part[i] for i in order]
    faulty = options.learn_eos == "false" or options.learn_padding == "true"
    if faulty:
        train_dataset = build_faulty_dataset(in_order, tokenizer, options)
    else:
        train_dataset = build_dataset(in_order, tokenizer)
    eval_dataset = build_dataset(val_part, tokenizer)

    schedule = training.plan_schedule(settings, len(train_part))
    eval_steps = max(1, schedule.total_steps // settings.evaluations)
    logging_steps = lab_runs.logging_steps(options, schedule.total_steps)
    print(
        f"{len(train_part)} records, effective batch {settings.effective_batch_size}, "
        f"{schedule.total_steps} steps; {settings.precision}: {options.precision_reason}"
    )
    arguments = sft_configuration(settings, options, logging_steps, eval_steps)
    checkpoint = lab_runs.last_checkpoint(options, settings)
    hardware.keep_heap()
    set_seed(settings.seed)  # the adapter's first weights, dropout
    trainer = SFTTrainer(
        model=models.load_base(settings),
        args=arguments,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        peft_config=lora_configuration(settings),
        callbacks=[training.run_log()],
    )
    compat.cast_adapters_to_fp32(trainer.model)  # 4-bit weights with fp16 fail without it
    if options.adapter_dtype == "fp16":
        compat.cast_adapters(trainer.model, torch.float16)  # a mistake, made on purpose
    started, cpu_started = time.perf_counter(), time.process_time()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started

    trainer.model.eval()
    # Whole records, also where training cuts them: runs with another max_length stay comparable.
    tokens = [chat.tokenize_record(record, tokenizer) for record in val_part]
    scored = completion_nll(trainer.model, tokenizer, tokens, options.eval_batch_size)
    resumed = training.resumed_from(checkpoint)
    trained = training.tokens_trained(ordered, settings, trainer.state, resumed)
    summary = training.summarise_training(
        trainer, settings, scored, seconds, trained, resumed, may_diverge=True
    )
    return (
        trainer,
        tokenizer,
        summary
        | {
            "cpu_seconds": cpu_seconds,
            "parameters": options.parameters,
            "command": lab_runs.command_of(options),
            "base_model": settings.base_model,
            "seed": settings.seed,
            "data": {
                "file": str(options.data),
                "train": len(train_part),
                "validation": len(val_part),
            },
            "system": Counter(r.get("system", "") for r in train_part).most_common(1)[0][0],
            "versions": runs.versions(),
            "hardware": hardware.detect().to_dict(),
        },
    )


def main(given=None):
    options = read_arguments(given)
    lab_runs.complete(options)
    lab_runs.use_free_cores()
    trainer, tokenizer, summary = train(options)
    trainer.model.save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    path = files.write_json_atomic(options.out.parent / "training.json", summary)
    lab_runs.mark_finished(options)
    print(f"Adapter: {options.out}")
    print(f"Log: {path}")
    print(f"final train loss {lab_runs.shown(summary['final_train_loss'])}")
    print(f"perplexity {lab_runs.shown(summary['perplexity'])} (validation, tokens of the answers)")


if __name__ == "__main__":
    with scripts.command_line():
        compat.quiet_known_noise()
        main()
