"""Training settings side by side: the same minutes of one core for each, scored on gold.

    python benchmarks/training_settings.py                   # 16 variants, 5 minutes each
    python benchmarks/training_settings.py --only start,"batch 8" --resume
    python benchmarks/training_settings.py --quick           # does it run at all?

What is varied, what stays equal, and how to read it, is in benchmarks/README.md.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # works from a plain clone, installed or not

from shared import asked_for, lora_configuration, positive, run  # noqa: E402

from course_utils import (  # noqa: E402
    chat,
    compat,
    cpu_speed,
    evaluation,
    generation,
    hardware,
    models,
    sources,
    training,
)
from course_utils.files import read_json, write_json_atomic  # noqa: E402
from course_utils.metrics import perplexity  # noqa: E402
from course_utils.records import read_records, write_records  # noqa: E402
from course_utils.runs import versions  # noqa: E402
from course_utils.settings import Settings, preset_settings, resolve_precision  # noqa: E402

# The instruction of the first edition: 16 tokens a record more, with the names of the fields.
LONG_INSTRUCTION = (
    "Turn the work order into JSON: system, part, action, failure_mode, location. "
    "Only what is stated."
)
TIMED = (3, 11)  # steps of the throwaway run whose median tells how many fit into the minutes
NOT_STORED = ("out", "child", "resume", "jobs")  # of the options: what changes no result
PACK = 256  # tokens of a row into which records are packed: four on average, as in a batch
WHOLE_LENGTHS = 8  # widths are padded to a multiple of this, as in notebook 03


@dataclass(frozen=True)
class Variant:
    """What differs from the start: settings, the instruction, the loss, passes over the data."""

    name: str
    changes: dict[str, Any]
    instruction: str = ""  # "": today's
    passes: int = 1
    completion_only: bool = True
    compiled: bool = False
    by_length: bool = True  # False: in random order, with more padding
    packed: bool = False  # whole records behind each other in one row, none sees another


VARIANTS = (
    Variant("start", {}),
    Variant("batch 8", {"per_device_train_batch_size": 8}),
    Variant("batch 2", {"per_device_train_batch_size": 2}),
    Variant("learning rate 5e-4", {"learning_rate": 5e-4}),
    Variant("learning rate 1e-3", {"learning_rate": 1e-3}),
    Variant("learning rate 2e-3", {"learning_rate": 2e-3}),
    Variant("learning rate 4e-3", {"learning_rate": 4e-3}),
    Variant("half the records twice", {}, passes=2),
    Variant("attention only", {"include_mlp": False}),
    Variant("rank 64", {"lora_r": 64, "lora_alpha": 128}),
    Variant("loss on prompt too", {}, completion_only=False),
    Variant("long instruction", {}, instruction=LONG_INSTRUCTION),
    Variant("random order", {}, by_length=False),
    Variant("packing", {"per_device_train_batch_size": 1}, packed=True, by_length=False),
    Variant("torch.compile", {}, compiled=True),
    Variant("Gemma 3 270M", {"base_model": "gemma-3-270m"}),
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Example: python benchmarks/training_settings.py --minutes 10 --only start",
    )
    parser.add_argument("--preset", default="cpu", help="what all start from (%(default)s)")
    parser.add_argument("--learning-rate", type=float, help="that all start from; the preset's")
    parser.add_argument("--minutes", type=float, default=5, help="of one core (%(default)s)")
    parser.add_argument("--test", type=positive, default=160, help="gold orders (%(default)s)")
    parser.add_argument("--only", default="", help="names of variants, with commas between")
    parser.add_argument("--seed", type=int, default=42, help="data, adapters (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="keep what --out already has")
    parser.add_argument("--jobs", type=positive, default=1, help="variants at a time (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="smoke test: nano, a few seconds")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "training_settings.json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        options.preset, options.minutes, options.test = "nano", 0.05, 8
    return options


def chosen(options: argparse.Namespace) -> list[Variant]:
    """The variants asked for, in the table's order. Raises CourseError for an unknown name."""
    names = asked_for(options.only, [variant.name for variant in VARIANTS], "variant")
    if options.quick and not names:
        names = ["start", "half the records twice", "loss on prompt too"]
    return [variant for variant in VARIANTS if variant.name in names or not names]


# ---------------------------------------------------------------- parent: one child a variant


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Every variant in a fresh process with one thread; the file is written after each of them."""
    report = {
        "command": " ".join(["python", *sys.argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {k: v for k, v in vars(options).items() if k not in NOT_STORED},
        "versions": versions(),
        "hardware": hardware.detect().to_dict(),
        "variants": [],
    }
    if options.resume and options.out.is_file():
        report["variants"] = read_json(options.out)["variants"]
    done = {row["name"] for row in report["variants"]}
    order = {variant.name: place for place, variant in enumerate(VARIANTS)}
    writing = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="course-benchmark-") as name:
        folder = Path(name)
        prepare(folder, options)

        def measure(variant: Variant) -> None:
            print(f"{variant.name} ...", flush=True)
            row = run_child(folder, variant, report["options"], options.out)
            with writing:
                report["variants"].append(row)
                report["variants"].sort(key=lambda row: order.get(row["name"], len(order)))
                write_json_atomic(options.out, report)
            print(f"{variant.name}: {line(row)}", flush=True)

        wanted = [variant for variant in chosen(options) if variant.name not in done]
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(measure, wanted))
    return report


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Records as notebook 01 draws them for the preset; all test records are gold."""
    settings = preset_settings(options.preset, seed=options.seed)
    sizes = {"train": settings.train_records, "val": settings.val_records, "test": options.test}
    cleaned = sources.clean_work_orders(sources.load_work_orders())
    for name, part in sources.split_work_orders(cleaned, sizes, settings.seed).items():
        write_records(folder / f"{name}.jsonl", part)


def run_child(data: Path, variant: Variant, options: dict[str, Any], out: Path) -> dict[str, Any]:
    """What one variant's process measured, or {"name", "failed"}: the others are worth having."""
    plain = variant.name.replace(" ", "-")
    folder, log = data / plain, out.with_suffix(f".{plain}.log")
    answer = folder / "answer.json"
    write_json_atomic(folder / "job.json", {"variant": asdict(variant), **options})
    machine = hardware.detect()
    environment = {**os.environ, **hardware.kernel_environment(machine, 1)}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder)]
    with log.open("w", encoding="utf-8") as sink:
        code = subprocess.run(command, env=environment, stdout=sink, stderr=sink).returncode
    if code or not answer.is_file():
        lines = [text for text in log.read_text(encoding="utf-8").splitlines() if text.strip()]
        return {"name": variant.name, "failed": lines[-1] if lines else f"exit code {code}"}
    log.unlink()
    return read_json(answer)


# ---------------------------------------------------------------- child: train and score


def child(folder: Path) -> None:
    """Measure a step, train as many as fit into the minutes, score on gold."""
    job = read_json(folder / "job.json")
    variant = Variant(**job["variant"])
    settings, _ = resolve_precision(preset_settings(job["preset"], seed=job["seed"]))
    settings = settings.with_changes(**{"learning_rate": job["learning_rate"]} | variant.changes)
    names = ("train", "val", "test")
    parts = {name: read_records(folder.parent / f"{name}.jsonl") for name in names}
    if variant.instruction:
        for record in (record for part in parts.values() for record in part):
            record["instruction"] = variant.instruction
    tokenizer = models.load_tokenizer(settings.base_model)
    clock = step_clock()
    trainer_for(settings, variant, parts["train"], tokenizer, TIMED[1], folder, [clock]).train()
    step = statistics.median(clock.seconds[TIMED[0] :])
    steps = max(TIMED[1], int(job["minutes"] * 60 / step))
    clock = step_clock()
    trainer = trainer_for(settings, variant, parts["train"], tokenizer, steps, folder, [clock])
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    records, tokens = seen(trainer)
    row = {
        "name": variant.name,
        "steps": steps,
        "records": records,
        "tokens": tokens,
        "core_seconds": sum(clock.seconds),
        "seconds": seconds,
        "final_train_loss": trainer.state.log_history[-2].get("loss"),
        "peak_memory_gb": hardware.peak_memory_gb(),
        **scores(trainer.model, tokenizer, parts, settings),
    }
    write_json_atomic(folder / "answer.json", row)


def seen(trainer: Any) -> tuple[int, int]:
    """Records and tokens of all steps; a packed row names the lengths of its records."""
    rows = trainer.args.max_steps * trainer.args.per_device_train_batch_size
    if trainer.args.packing:
        lengths = trainer.train_dataset[:rows]["seq_lengths"]
        return sum(map(len, lengths)), sum(map(sum, lengths))
    return rows, trainer.state.num_input_tokens_seen


def step_clock() -> Any:
    """A callback that keeps the core seconds of every step (of all threads of the process)."""
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.process_time() - self.begun)

    return StepClock()


def trainer_for(
    settings: Settings,
    variant: Variant,
    records: Sequence[dict],
    tokenizer: Any,
    steps: int,
    folder: Path,
    callbacks: list[Any],
) -> Any:
    """The trainer of notebook 03 for so many steps, without evaluations and checkpoints."""
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    ordered = seen_records(settings, variant, records, tokenizer, steps)
    set_seed(settings.seed)
    base = models.load_model(settings.base_model, settings.precision, None)
    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            output_dir=str(folder / "trainer"),
            completion_only_loss=variant.completion_only,
            # The long instruction is not to be cut.
            max_length=PACK if variant.packed else 2 * settings.max_length,
            packing=variant.packed,
            shuffle_dataset=variant.packed,  # rows are made longest first
            per_device_train_batch_size=settings.per_device_train_batch_size,
            max_steps=steps,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.lr_scheduler_type,
            **compat.warmup_arguments(settings.warmup_ratio),
            **compat.precision_arguments(settings.precision),
            train_sampling_strategy="sequential",
            pad_to_multiple_of=WHOLE_LENGTHS,
            include_num_input_tokens_seen="non_padding",
            logging_steps=max(1, steps // 20),
            save_strategy="no",
            seed=settings.seed,
            report_to="none",
            use_cpu=True,
            torch_compile=variant.compiled,
        ),
        train_dataset=Dataset.from_list([chat.record_messages(r, tokenizer) for r in ordered]),
        processing_class=tokenizer,
        peft_config=lora_configuration(settings),
        callbacks=callbacks,
    )
    compat.cast_adapters_to_fp32(trainer.model)
    cpu_speed.score_completions_only()
    return trainer


def seen_records(
    settings: Settings, variant: Variant, records: Sequence[dict], tokenizer: Any, steps: int
) -> list[dict]:
    """The records of all steps in the order of training: passes over the first so many of them."""
    wanted = steps * settings.effective_batch_size
    if variant.packed:  # tokens of that many full rows make at least that many rows
        filled = accumulate(_length(record, tokenizer) for record in cycle(records))
        wanted = next(n for n, tokens in enumerate(filled, 1) if tokens >= steps * PACK)
    pool = list(records[: math.ceil(wanted / variant.passes)])
    lengths = [_length(record, tokenizer) for record in pool]
    ordered: list[dict] = []
    batch, seed = settings.per_device_train_batch_size, settings.seed
    batch = batch if variant.by_length else 1  # a batch of one is like nothing else
    while len(ordered) < wanted:  # again where a pass ends before the minutes do
        ordered += [pool[i] for i in training.order_by_length(lengths, batch, seed)]
        seed += 1
    return ordered[:wanted]


def _length(record: dict, tokenizer: Any) -> int:
    return len(chat.tokenize_record(record, tokenizer).input_ids)


def scores(model: Any, tokenizer: Any, parts: dict, settings: Settings) -> dict[str, Any]:
    """Field F1 and exact match on gold, perplexity on silver validation, seconds of answering."""
    model.eval()
    lengths = evaluation.answer_lengths(parts["train"], tokenizer)
    started = time.process_time()
    columns = evaluation.answer(model, tokenizer, parts["test"], lengths, settings.eval_batch_size)
    answering = time.process_time() - started
    (task_scores,) = evaluation.score(parts["test"], columns).values()
    tokens = [chat.tokenize_record(record, tokenizer) for record in parts["val"]]
    nll = generation.completion_nll(model, tokenizer, tokens, settings.eval_batch_size)
    names = ("field_f1", "exact_match")
    return {
        **{name: task_scores[name] for name in names},
        "perplexity": perplexity(*nll),
        "answering_core_seconds": answering,
    }


# ---------------------------------------------------------------- table


def line(row: dict[str, Any]) -> str:
    """One variant's outcome in words."""
    if "failed" in row:
        return f"failed: {row['failed']}"
    return (
        f"field F1 {row['field_f1']:.3f}, perplexity {row['perplexity']:.3f}, "
        f"{row['records']} records in {row['steps']} steps, {row['core_seconds'] / 60:.1f} core min"
    )


def settings_table(report: dict[str, Any]) -> Any:
    """One row a variant, in Markdown's table format: ready to be pasted."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    heads = ("varied", "steps", "records", "core min", "tokens/core s", "peak GiB")
    for head in (*heads, "perplexity", "field F1", "exact match"):
        table.add_column(head, justify="left" if head == "varied" else "right")
    for row in report["variants"]:
        if "failed" in row:
            table.add_row(f"{row['name']} (failed)")
            continue
        table.add_row(
            row["name"],
            str(row["steps"]),
            f"{row['records']:,}",
            f"{row['core_seconds'] / 60:.1f}",
            f"{row['tokens'] / row['core_seconds']:.0f}",
            f"{row['peak_memory_gb']:.1f}",
            f"{row['perplexity']:.3f}",
            f"{row['field_f1']:.3f}",
            f"{row['exact_match']:.3f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(run(parse_arguments(), benchmark, settings_table, child))
