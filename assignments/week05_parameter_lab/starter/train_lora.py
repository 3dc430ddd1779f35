"""Train a LoRA adapter on your own records, with the 13 parameters of week 5.

python train_lora.py --data records.jsonl --out adapter/
python train_lora.py --data records.jsonl --out adapter/ --learning_rate 5e-4 --lora_r 8
python train_lora.py --data records.jsonl --out adapter/ --resume    # after an interruption
python train_lora.py --data records.jsonl --out adapter/ --folds 5   # few records: see below

Writes the adapter (no base weights), training.json, and checkpoints/ with the TensorBoard log
(tensorboard --logdir checkpoints). For --out adapter/ the last two stand beside that folder, for
any other name (adapter_r8/) inside it, so trainings never meet. What you do not give has the lab's
start value.

A share of the records is kept for validation, and the checkpoint with the lowest validation loss
is saved. With --no_checkpoints that is the last one. With fewer than 80 records a tenth is too few
for a validation loss one can trust: --folds 5 trains five times on four fifths, validates on the
rest (the loss in training.json is of all records together, each scored by an adapter that never
saw it), and then trains the adapter that is saved on all records, to the last step.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

# torch, datasets, peft, transformers and trl take their time: they are imported in the functions
# that use them, after what is wrong with the command line or a file has been told.
from course_utils import (
    adapters,
    chat,
    compat,
    cpu_speed,
    files,
    hardware,
    kit,
    lab_runs,
    models,
    ownership,
    parameters,
    privacy,
    provenance,
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
    parser.add_argument(
        "--eval_data", type=Path, help="validation records (default: a share; hand in one of these)"
    )
    parser.add_argument("--val_share", type=float, default=0.1, help="share kept for validation")
    parser.add_argument("--folds", type=int, metavar="K", help="validate K times, train on all")
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


@dataclass(frozen=True)
class Trained:
    """A training that has ended, with its adapter saved."""

    trainer: object  # trl's SFTTrainer
    tokenizer: object
    lengths: list  # of the records, in training order
    records: int
    val_part: list
    folds: list  # with --folds: what each fold's records scored
    system: str
    checkpoint: Path | None  # that it went on from
    seconds: float
    cpu_seconds: float


def lora_configuration(settings):
    """The adapter: rank, loudness, dropout, and the layers it sits on."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=training.target_modules(settings.include_mlp),
        task_type="CAUSAL_LM",
    )


def sft_configuration(settings, options, logging_steps, eval_steps, validates, keeps):
    """The training: batches, learning rate and its schedule, precision, logs, checkpoints.

    `validates`: there are validation records; `keeps`: checkpoints are written.
    """
    import torch
    from trl import SFTConfig

    folder = lab_runs.checkpoint_folder(options.out) if keeps else lab_runs.scratch(options.out)
    return SFTConfig(
        output_dir=str(folder),
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
        eval_strategy="steps" if validates else "no",
        eval_steps=eval_steps,
        save_strategy="steps" if keeps else "no",
        save_steps=eval_steps,
        save_total_limit=2,  # the newest and the best
        load_best_model_at_end=validates and keeps,  # with few records the last one has overfitted
        metric_for_best_model="eval_loss",
        seed=settings.seed,
        report_to="tensorboard" if keeps else "none",
        use_cpu=not torch.cuda.is_available(),
    )


def build_dataset(part, tokenizer):
    """Prompt and completion messages; SFTTrainer renders them and masks the prompt."""
    from datasets import Dataset

    return Dataset.from_list([chat.record_messages(record, tokenizer) for record in part])


def build_faulty_dataset(part, tokenizer, options):
    """Two classic mistakes around pad = EOS, made on purpose for the failure gallery.

    With learn_eos false the mask of the padding hides the end of the answer too, so the end is
    never learned; with learn_padding true the padding is trained like an answer.
    """
    from datasets import Dataset

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


def new_trainer(options, settings, tokenizer, train_part, val_part, keeps):
    """(a trainer with a fresh adapter, the lengths of its records in training order)."""
    import torch
    from transformers import set_seed
    from trl import SFTTrainer

    # Records of like length share a batch, so little of it is padding.
    tokens = [chat.tokenize_record(record, tokenizer) for record in train_part]
    lengths = [min(len(example.input_ids), settings.max_length) for example in tokens]
    order = training.order_by_length(lengths, settings.per_device_train_batch_size, settings.seed)
    in_order = [train_part[i] for i in order]
    faulty = options.learn_eos == "false" or options.learn_padding == "true"
    if faulty:
        train_dataset = build_faulty_dataset(in_order, tokenizer, options)
    else:
        train_dataset = build_dataset(in_order, tokenizer)

    schedule = training.plan_schedule(settings, len(train_part))
    eval_steps = max(1, schedule.total_steps // settings.evaluations)
    logging_steps = lab_runs.logging_steps(options, schedule.total_steps)
    validates = bool(val_part)
    arguments = sft_configuration(settings, options, logging_steps, eval_steps, validates, keeps)
    set_seed(settings.seed)  # the adapter's first weights, dropout
    trainer = SFTTrainer(
        model=models.load_base(settings),
        args=arguments,
        train_dataset=train_dataset,
        eval_dataset=build_dataset(val_part, tokenizer) if validates else None,
        processing_class=tokenizer,
        peft_config=lora_configuration(settings),
        callbacks=[training.run_log(), training.evaluate_last()],
    )
    compat.cast_adapters_to_fp32(trainer.model)  # 4-bit weights with fp16 fail without it
    cpu_speed.score_completions_only()  # on a CPU TRL looks at the prompts too
    if options.adapter_dtype == "fp16":
        compat.cast_adapters(trainer.model, torch.float16)  # a mistake, made on purpose
    return trainer, [lengths[i] for i in order]


def score(trainer, tokenizer, part, options):
    """(negative log-likelihoods, numbers of tokens) of the answers, a record each."""
    trainer.model.eval()
    # Whole records, also where training cuts them: runs with another max_length stay comparable.
    tokens = [chat.tokenize_record(record, tokenizer) for record in part]
    return completion_nll(trainer.model, tokenizer, tokens, options.eval_batch_size)


def cross_validate(options, settings, tokenizer, records):
    """Train on all folds but one and score that one, for each; nothing of it is kept but scores."""
    folds = lab_runs.saved_folds(options)
    for number, (rest, held) in enumerate(lab_runs.split_folds(records, options), 1):
        if number > len(folds):
            trainer, _ = new_trainer(options, settings, tokenizer, rest, [], keeps=False)
            trainer.train()
            nll, counts = score(trainer, tokenizer, held, options)
            folds.append({"nll": [float(n) for n in nll], "tokens": [int(c) for c in counts]})
            lab_runs.save_folds(options, folds)
        loss = lab_runs.shown(lab_runs.fold_loss(folds[number - 1]))
        print(f"fold {number} of {options.folds}: {len(held)} records, loss {loss}", flush=True)
    return folds


def train(options):
    """Train, and save the adapter at once; what `summarise` needs of it is returned."""
    settings = lab_runs.settings_of(options)
    train_part, val_part = lab_runs.read_parts(options)
    tokenizer = models.load_tokenizer(settings.base_model)
    parts = {"training": train_part, "validation": val_part}
    for name, part in parts.items():
        tokens = [chat.tokenize_record(record, tokenizer) for record in part]
        if part:  # what max_length leaves of the answers; with folds no validation part
            parts[name], _ = training.usable(part, tokens, settings.max_length, name)
    if not options.folds:
        lab_runs.warn_of_few(parts["validation"])
    system = lab_runs.system_of(parts["training"])
    steps = training.plan_schedule(settings, len(parts["training"])).total_steps
    print(
        f"{len(parts['training'])} records, effective batch {settings.effective_batch_size}, "
        f"{steps} steps; {settings.precision}: {options.precision_reason}"
    )
    checkpoint = lab_runs.last_checkpoint(options, settings)
    hardware.keep_heap()

    folds = []
    if options.folds:
        folds = cross_validate(options, settings, tokenizer, parts["training"])
    trainer, lengths = new_trainer(
        options, settings, tokenizer, *parts.values(), keeps=not options.no_checkpoints
    )
    started, cpu_started = time.perf_counter(), time.process_time()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    with ownership.saving(options.out) as folder:  # first of all: what comes now can fail
        trainer.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        adapters.describe(folder, settings.base_model, len(parts["training"]))
    print(f"Adapter: {options.out}", flush=True)
    return Trained(
        trainer, tokenizer, lengths, len(parts["training"]), val_part, folds, system, checkpoint,
        seconds, cpu_seconds,
    )  # fmt: skip


def summarise(options, trained):
    """Score the validation part, or take the folds' scores; returns training.json."""
    settings, trainer = lab_runs.settings_of(options), trained.trainer
    if trained.folds:
        scored = [sum((fold[name] for fold in trained.folds), []) for name in ("nll", "tokens")]
    else:
        scored = score(trainer, trained.tokenizer, trained.val_part, options)
    resumed = training.resumed_from(trained.checkpoint)
    tokens = training.tokens_trained(trained.lengths, settings, trainer.state, resumed)
    summary = training.summarise_training(
        trainer, settings, scored, trained.seconds, tokens, resumed, may_diverge=True
    )
    best = summary["best_step"]  # none where every validation loss was no number
    return summary | {
        "cpu_seconds": trained.cpu_seconds,
        "kept": "best" if trainer.args.load_best_model_at_end and best else "last",
        "folds": lab_runs.fold_summary(trained.folds),
        "parameters": options.parameters,
        "command": lab_runs.command_of(options),
        "base_model": models.id_of(settings.base_model),
        "seed": settings.seed,
        "prints": {  # whose losses these are, and on which records it was trained
            "adapter": provenance.of_weights(options.out),
            "records": provenance.of_records(options.data),
        },
        "data": {
            "file": privacy.shown(options.data),
            "train": trained.records,
            "validation": len(trained.val_part),
        },
        "system": trained.system,
        "versions": runs.versions(),
        "kit": kit.version(),
        "hardware": hardware.detect().to_dict(),
    }


def main(given=None):
    options = read_arguments(given)
    lab_runs.complete(options)
    lab_runs.use_free_cores()
    summary = summarise(options, train(options))
    path = files.write_json_atomic(lab_runs.training_file(options.out), summary)
    lab_runs.mark_finished(options)
    print(f"Log: {path}")
    if summary["kept"] == "best":
        print(f"kept: the checkpoint of step {summary['best_step']} of {summary['steps']}")
    if summary["folds"]:
        mean, spread = (lab_runs.shown(summary["folds"][name]) for name in ("mean", "spread"))
        print(f"{options.folds} folds: validation loss {mean}, standard deviation {spread}")
    print(f"final train loss {lab_runs.shown(summary['final_train_loss'])}")
    print(f"perplexity {lab_runs.shown(summary['perplexity'])} (validation, tokens of the answers)")


if __name__ == "__main__":
    with scripts.command_line():
        main()
