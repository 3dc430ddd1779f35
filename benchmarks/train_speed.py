"""The kit's training step against a plain script in hand-out style: same records, one run.

    python benchmarks/train_speed.py            # 20 to 30 minutes on two quiet cores
    python benchmarks/train_speed.py --quick    # half a minute, a random model: does it work?

What is measured, and how to read it, is in benchmarks/README.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # works from a plain clone, installed or not

from shared import keep_batches, lora_configuration, positive, run, variants_table  # noqa: E402

from course_utils import chat, compat, cpu_speed, hardware, models, sources, training  # noqa: E402
from course_utils.console import console  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.files import read_json, write_json_atomic  # noqa: E402
from course_utils.records import read_records, write_records  # noqa: E402
from course_utils.runs import versions  # noqa: E402
from course_utils.settings import Settings, preset_settings  # noqa: E402

QUICK = {
    "preset": "nano",
    "batch": 2,
    "plain_max_length": 128,
    "steps": 4,
    "warmup": 1,
    "eval_every": 3,
    "eval_records": 6,
}
QUICK_ROWS = 500  # rows of the work order table: cleaning all of them takes most of a smoke test
MOST_ROWS = 1024  # of a matrix product measured alone: beyond that its rate no longer changes
REPEATS = 5  # of each matrix product; the median counts
PROGRESS = "progress "  # a child's line on standard output that the parent shows
RAN_OUT_OF_MEMORY = -9  # exit code of a process that the kernel killed


@dataclass(frozen=True)
class Job:
    """What one child process trains and measures."""

    name: str
    style: str  # plain | kit
    settings: dict[str, Any]
    warmup: int  # first steps, trained but not timed
    steps: int  # timed steps
    eval_every: int
    rates: tuple[str, ...]  # precisions of the matrix products to time


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `--quick` only changes what is not given."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Example: python benchmarks/train_speed.py --steps 48 --out runs/speed48.json",
    )
    what = parser.add_argument_group("what is trained")
    what.add_argument("--preset", default="cpu", help="model and the kit's settings (%(default)s)")
    what.add_argument("--batch", type=positive, default=8, help="records a step (%(default)s)")
    what.add_argument("--seed", type=int, default=42, help="split, adapters, order (%(default)s)")
    plain = parser.add_argument_group("the plain script")
    plain.add_argument(
        "--plain-max-length", type=positive, default=512, help="tokens padded to (%(default)s)"
    )
    plain.add_argument(
        "--plain-learning-rate", type=float, default=2e-4, help="the hand-out's (%(default)s)"
    )
    budget = parser.add_argument_group("budget")
    budget.add_argument("--steps", type=positive, default=24, help="timed steps (%(default)s)")
    budget.add_argument("--warmup", type=positive, default=3, help="steps before (%(default)s)")
    budget.add_argument("--eval-every", type=positive, default=3, help="steps (%(default)s)")
    budget.add_argument("--eval-records", type=positive, default=48, help="(%(default)s)")
    budget.add_argument("--quick", action="store_true", help="smoke test: nano model, few steps")
    out = parser.add_argument_group("result")
    out.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark_train_speed.json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    if parser.parse_args(arguments).quick:
        parser.set_defaults(**QUICK)
    return parser.parse_args(arguments)


# ---------------------------------------------------------------- parent: plan, start, compare


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Run every variant in its own process, one after the other; the content of the JSON file."""
    with tempfile.TemporaryDirectory(prefix="course-benchmark-") as name:
        folder = Path(name)
        request = {
            key: value for key, value in vars(options).items() if key not in ("out", "child")
        }
        write_json_atomic(folder / "request.json", request)
        print("preparing records and model ...", flush=True)
        prepared = run_child(folder, "prepare", dict(os.environ), options.out)
        machine = hardware.Hardware(**prepared["hardware"])
        # Chosen once, here, so that all variants get the same: the load is our own afterwards.
        threads = hardware.choose_threads(machine.cores, hardware.current_load(machine.cores))
        print(f"{machine.cpu_model}, {machine.cores} cores, {threads} threads")
        results = []
        for job in prepared["jobs"]:
            write_json_atomic(folder / "job.json", job)
            environment = child_environment(job["style"], machine, threads)
            results.append(run_child(folder, job["name"], environment, options.out))
    return {
        "command": " ".join(["python", *sys.argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": request,
        "versions": versions(),
        "hardware": prepared["hardware"],
        "threads": threads,
        "parts": prepared["parts"],
        "target_loss": results[0]["evaluations"][-1]["loss"],
        "variants": compare(results),
    }


def child_environment(style: str, machine: hardware.Hardware, threads: int) -> dict[str, str]:
    """The kit's variables for the kit; for the plain script its threads, but no allocator ones."""
    allocator = {name for _, name, _ in hardware.HEAP_OPTIONS}
    inherited = {name: value for name, value in os.environ.items() if name not in allocator}
    ours = hardware.kernel_environment(machine, threads)
    if style == "plain":
        ours = {name: value for name, value in ours.items() if name not in allocator}
    return {**inherited, **ours}


def run_child(folder: Path, name: str, environment: dict[str, str], out: Path) -> dict[str, Any]:
    """Run one stage in a fresh process and return what it measured.

    Fresh, so that peak memory and allocator are its own. The parent imports neither torch nor
    pandas: on Linux a child's peak (ru_maxrss) starts at its parent's. This is a CPU benchmark,
    so GPUs are hidden. Raises CourseError with the child's own message, or with its log's path.
    """
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    log = out.with_suffix(f".{name.replace(' ', '-')}.log")
    command = [sys.executable, "-u", str(Path(__file__).resolve()), "--child", str(folder)]
    environment = {**environment, "CUDA_VISIBLE_DEVICES": "", "COURSE_BENCHMARK_STAGE": name}
    with log.open("w", encoding="utf-8") as sink:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=sink, encoding="utf-8"
        )
        try:
            show_progress(name, process.stdout, sink)
            code = process.wait()
        except KeyboardInterrupt:
            log.unlink(missing_ok=True)
            raise
        finally:
            process.kill()
            process.wait()
    content = read_json(answer) if answer.is_file() else {}
    if "error" in content:
        log.unlink()
        raise CourseError(*content["error"])
    if code != 0 or not content:
        raise child_failed(name, code, log)
    log.unlink()
    return content


def show_progress(name: str, lines: Any, sink: Any) -> None:
    """A bar with the time left, from the child's progress lines; all other lines go to its log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=console(), disable=name == "prepare") as progress:
        task = progress.add_task(name, total=None)
        for line in lines:
            if not line.startswith(PROGRESS):
                sink.write(line)
                sink.flush()  # the child writes its errors into the same file
                continue
            done, total = (int(word) for word in line.removeprefix(PROGRESS).split())
            progress.update(task, completed=done, total=total)


def child_failed(name: str, code: int, log: Path) -> CourseError:
    """What to tell about a child that died without a message of its own."""
    if code == RAN_OUT_OF_MEMORY:
        return CourseError(
            f"{name}: the process was killed, most likely because memory ran out",
            "close other programs, or choose a smaller --batch or --plain-max-length",
        )
    last = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    return CourseError(
        f"{name}: the process ended with code {code}: {last[-1] if last else 'it said nothing'}",
        f"the whole story is in {log}; `course doctor` checks the installation",
    )


def compare(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the seconds to the plain script's last loss, and the ratios to the plain script."""
    plain = results[0]
    target = plain["evaluations"][-1]["loss"]
    compared = []
    for result in results:
        seconds = seconds_to_loss(result["evaluations"], target)
        compared.append({**result, "seconds_to_target": seconds})
    for result in compared:
        result["times_the_text_per_second"] = (
            result["tokens_per_second"] / plain["tokens_per_second"]
        )
        # None where a loss was not reached, or where the plain script learned nothing to reach.
        ours, theirs = result["seconds_to_target"], compared[0]["seconds_to_target"]
        result["times_sooner_at_target"] = theirs / ours if ours and theirs else None
    return compared


def seconds_to_loss(evaluations: list[dict[str, float]], target: float) -> float | None:
    """Training seconds until the loss first is `target` or less, or None if it never was.

    Linear between two evaluations; `evaluations` have `seconds` and `loss`, in order of time.
    """
    before = evaluations[0]
    if before["loss"] <= target:
        return before["seconds"]
    for after in evaluations[1:]:
        if after["loss"] <= target:
            share = (before["loss"] - target) / (before["loss"] - after["loss"])
            return before["seconds"] + share * (after["seconds"] - before["seconds"])
        before = after
    return None


def comparison_table(report: dict[str, Any]) -> Any:
    """One column for each variant, in Markdown's table format: ready to be pasted."""
    table, row = variants_table(report["variants"])
    row("real text, tokens/s", lambda r: f"{r['tokens_per_second']:.1f}")
    row("... times the plain script", lambda r: f"{r['times_the_text_per_second']:.2f}")
    row("step, s (median)", lambda r: f"{r['step_seconds_median']:.3f}")
    row("padding, share of positions", lambda r: f"{r['padding_share']:.1%}")
    row("peak memory, GiB", lambda r: f"{r['peak_memory_gb']:.2f}")
    row("FLOP of a step, 10^12", lambda r: f"{r['flops_per_step'] / 1e12:.4g}")
    row("matrix rate, GFLOP/s", lambda r: f"{r['matrix_gflops'][r['precision']]:.0f}")
    row("... share reached in training", lambda r: f"{r['matrix_share']:.0%}")
    row("loss before training", lambda r: f"{r['evaluations'][0]['loss']:.3f}")
    row("loss at the end", lambda r: f"{r['evaluations'][-1]['loss']:.3f}")
    row(f"training s to loss {report['target_loss']:.3f}", time_cell)
    row("... times sooner", lambda r: number_or_dash(r["times_sooner_at_target"]))
    return table


def time_cell(result: dict[str, Any]) -> str:
    if result["seconds_to_target"] is None:
        return f"not reached in {result['training_seconds']:.0f} s"
    return f"{result['seconds_to_target']:.1f}"


def number_or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


# ---------------------------------------------------------------- child: prepare


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Model and records on disk, and the jobs: what the measured processes have in common."""
    settings = preset_settings(options.preset, seed=options.seed).with_changes(
        precision="fp32",
        quantization="none",
        per_device_train_batch_size=options.batch,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        num_train_epochs=1,
    )
    models.resolve(settings.base_model)  # made here, so that no variant's peak includes it
    machine = hardware.detect()
    parts = split_records(settings, options)
    for name, part in parts.items():
        write_records(folder / f"{name}.jsonl", part)
    return {
        "hardware": machine.to_dict(),
        "parts": {name: len(part) for name, part in parts.items()},
        "jobs": [asdict(job) for job in plan_jobs(settings, options, machine)],
    }


def split_records(settings: Settings, options: argparse.Namespace) -> dict[str, list[dict]]:
    """Training and validation records, cleaned and split as in notebook 01, cut to the budget."""
    table = sources.load_work_orders()
    cleaned = sources.clean_work_orders(table.head(QUICK_ROWS) if options.quick else table)
    wanted = {"train": (options.warmup + options.steps) * options.batch}
    wanted["val"] = options.eval_records
    sizes = {
        "test": settings.test_records,
        "val": max(settings.val_records, wanted["val"]),
        "train": max(settings.train_records, wanted["train"]),
    }
    parts = sources.split_work_orders(cleaned, sizes, settings.seed)
    for name, count in wanted.items():
        if len(parts[name]) < count:
            raise CourseError(
                f"{count} records wanted for {name}, {len(parts[name])} are there",
                "choose fewer --steps, a smaller --batch or fewer --eval-records",
            )
    return {name: parts[name][:count] for name, count in wanted.items()}


def plan_jobs(
    settings: Settings, options: argparse.Namespace, machine: hardware.Hardware
) -> list[Job]:
    """The plain script first (the others are compared with it), then the kit."""
    precisions = ["fp32"]
    if hardware.choose_precision(machine)[0] == "bf16":
        precisions.append("bf16")
    plain = settings.with_changes(
        max_length=options.plain_max_length,
        learning_rate=options.plain_learning_rate,
        lora_r=16,
        lora_alpha=32,
        lora_dropout=0.05,
    )
    budget = (options.warmup, options.steps, options.eval_every, tuple(precisions))
    kit = [settings.with_changes(precision=precision) for precision in precisions]
    return [
        Job("plain script", "plain", plain.model_dump(), *budget),
        *(Job(f"kit {s.precision}", "kit", s.model_dump(), *budget) for s in kit),
    ]


# ---------------------------------------------------------------- child: the two variants


def plain_trainer(
    model: Any, tokenizer: Any, train: list[dict], settings: Settings, folder: Path
) -> Any:
    """The script of many hand-outs: pad everything to max_length, train on all tokens, q and v."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments, default_data_collator

    def encode(record: dict) -> dict[str, list[int]]:
        ids = chat.tokenize_record(record, tokenizer).cut(settings.max_length).input_ids
        row = tokenizer.pad(
            {"input_ids": ids}, padding="max_length", max_length=settings.max_length
        )
        # By the mask, not by the pad id: pad and EOS are the same token, and EOS is learned.
        pairs = zip(row["input_ids"], row["attention_mask"], strict=True)
        return {**row, "labels": [token if real else -100 for token, real in pairs]}

    lora_config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=["q_proj", "v_proj"],
        task_type="CAUSAL_LM",
    )
    arguments = TrainingArguments(
        output_dir=str(folder / "plain"),
        per_device_train_batch_size=settings.per_device_train_batch_size,
        num_train_epochs=1,
        learning_rate=settings.learning_rate,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=True,
    )
    return Trainer(
        model=get_peft_model(model, lora_config),
        args=arguments,
        train_dataset=Dataset.from_list([encode(record) for record in train]),
        data_collator=default_data_collator,
    )


def kit_trainer(
    model: Any, tokenizer: Any, train: list[dict], settings: Settings, folder: Path
) -> Any:
    """Notebook 03's training step; its checkpoints, evaluations and logs are left out."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    batch_size = settings.per_device_train_batch_size
    lengths = token_counts(train, tokenizer, settings)
    order = training.order_by_length(lengths, batch_size, settings.seed)
    arguments = SFTConfig(
        output_dir=str(folder / "kit"),
        completion_only_loss=True,
        max_length=settings.max_length,
        per_device_train_batch_size=batch_size,
        num_train_epochs=1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler_type,
        **compat.warmup_arguments(settings.warmup_ratio),
        **compat.precision_arguments(settings.precision),
        gradient_checkpointing=settings.gradient_checkpointing,
        train_sampling_strategy="sequential",
        pad_to_multiple_of=8,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=True,
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([chat.record_messages(train[i], tokenizer) for i in order]),
        processing_class=tokenizer,
        peft_config=lora_configuration(settings),
    )
    compat.cast_adapters_to_fp32(trainer.model)
    cpu_speed.score_completions_only()
    return trainer


def token_counts(records: list[dict], tokenizer: Any, settings: Settings) -> list[int]:
    """Tokens of each record, prompt and completion, as far as max_length lets them in."""
    tokens = (chat.tokenize_record(record, tokenizer) for record in records)
    return [len(token.cut(settings.max_length).input_ids) for token in tokens]


# ---------------------------------------------------------------- child: measure


def measure(folder: Path, job: Job) -> dict[str, Any]:
    """Train one variant and return its numbers; both variants take this path."""
    import torch
    from transformers import set_seed

    settings = Settings(**job.settings)
    tokenizer = models.load_tokenizer(settings.base_model)
    train, validation = (read_records(folder / f"{name}.jsonl") for name in ("train", "val"))
    model = models.load_base(settings)
    rows = min(MOST_ROWS, positions_of_a_batch(job, token_counts(train, tokenizer, settings)))
    rates = {precision: matrix_gflops(model, rows, precision) for precision in job.rates}
    peak_before = hardware.peak_memory_gb()
    set_seed(settings.seed)
    build = plain_trainer if job.style == "plain" else kit_trainer
    trainer = build(model, tokenizer, train, settings, folder)
    batches = keep_batches(trainer)
    meter = add_meter(trainer, tokenizer, validation, job)
    trainer.train()
    peak = hardware.peak_memory_gb()  # before the FLOP are counted, which needs memory too
    timed = batches[job.warmup :]
    middle = sorted(timed, key=lambda batch: batch["input_ids"].numel())[len(timed) // 2]
    allocator = [name for _, name, _ in hardware.HEAP_OPTIONS]
    return {
        "name": job.name,
        "style": job.style,
        "precision": settings.precision,
        "learning_rate": settings.learning_rate,
        "max_length": settings.max_length,
        "threads": torch.get_num_threads(),
        "allocator": {name: os.environ[name] for name in allocator if name in os.environ},
        "trainable_parameters": training.parameter_counts(trainer.model)[0],
        "memory_before_training_gb": peak_before,
        "peak_memory_gb": peak,
        "matrix_rows": rows,
        "matrix_gflops": rates,
        **speed(job, meter, batches, count_flops(trainer, middle), rates[settings.precision]),
    }


def speed(job: Job, meter: Any, batches: list, flops: int, gflops: float) -> dict[str, Any]:
    """Times, tokens and shares from the raw measurements.

    Warm-up steps are left out, except where all of training is meant: `all_real_tokens`,
    `training_seconds` and the seconds of the evaluations (they learn, so they count there).
    """
    seconds, timed = meter.seconds[job.warmup :], batches[job.warmup :]
    real = sum(int(batch["attention_mask"].sum()) for batch in timed)
    positions = sum(batch["input_ids"].numel() for batch in timed)
    median = statistics.median(seconds)
    return {
        "all_real_tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
        "real_tokens": real,
        "padding_share": 1 - real / positions,
        "step_seconds": seconds,
        "warmup_seconds": meter.seconds[: job.warmup],
        "step_seconds_median": median,
        "training_seconds": sum(meter.seconds),
        "tokens_per_second": real / sum(seconds),
        "flops_per_step": flops,
        "achieved_gflops": flops / median / 1e9,
        "matrix_share": flops / median / 1e9 / gflops,
        "evaluations": meter.evaluations,
    }


def positions_of_a_batch(job: Job, lengths: list[int]) -> int:
    """Tokens and padding in a typical batch: the rows of its matrix products."""
    size = job.settings["per_device_train_batch_size"]
    length = job.settings["max_length"] if job.style == "plain" else statistics.median(lengths)
    return int(size * length)


def matrix_gflops(model: Any, rows: int, precision: str) -> float:
    """GFLOP/s of bare matrix products in this model's layer shapes: what training can't exceed.

    For each linear layer the forward product (rows, in) x (in, out) and the input gradient
    (rows, out) x (out, in), weighted by how often the model has the shape. Results go into memory
    that is there already, so the allocator plays no part.
    """
    import torch

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    dtype = models.dtype_of(precision)
    flops = seconds = 0.0
    for (out, inside), count in Counter(tuple(layer.weight.shape) for layer in layers).items():
        weight = torch.randn(out, inside).to(dtype)
        x, gradient = torch.randn(rows, inside).to(dtype), torch.randn(rows, out).to(dtype)
        y, back = torch.empty_like(gradient), torch.empty_like(x)
        forward = median_seconds(lambda x=x, w=weight, y=y: torch.mm(x, w.t(), out=y))
        backward = median_seconds(lambda g=gradient, w=weight, b=back: torch.mm(g, w, out=b))
        flops += count * 2 * 2 * rows * inside * out
        seconds += count * (forward + backward)
    return flops / seconds / 1e9


def median_seconds(work: Any) -> float:
    """Seconds of one call, the median of REPEATS after one that does not count."""
    work()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def add_meter(trainer: Any, tokenizer: Any, validation: list[dict], job: Job) -> Any:
    """A callback on the trainer with `.seconds` of each step and `.evaluations` between them."""
    from transformers import TrainerCallback

    from course_utils.generation import completion_nll

    examples = [chat.tokenize_record(record, tokenizer) for record in validation]

    class Meter(TrainerCallback):
        """A step lasts from the end of the last one to its own: loading the batch counts.

        Evaluations stand outside: they begin after the clock was read and set it anew.
        """

        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.evaluations: list[dict[str, float]] = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.evaluate(0, state.max_steps)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.seconds.append(time.perf_counter() - self.mark)
            step = state.global_step
            print(f"{PROGRESS}{step} {state.max_steps}", flush=True)
            # Each of the first steps: the kit may reach the plain script's last loss by then.
            if step <= job.eval_every or step % job.eval_every == 0 or step == state.max_steps:
                self.evaluate(step, state.max_steps)
            self.mark = time.perf_counter()

        def evaluate(self, step: int, steps: int) -> None:
            """Token-weighted loss of the completions. Small batches: no peak of memory here."""
            trainer.model.eval()
            nll, counts = completion_nll(trainer.model, tokenizer, examples, batch_size=8)
            trainer.model.train()
            entry = {"step": step, "seconds": sum(self.seconds), "loss": sum(nll) / sum(counts)}
            self.evaluations.append(entry)
            self.mark = time.perf_counter()

    meter = Meter()
    trainer.add_callback(meter)
    return meter


def count_flops(trainer: Any, batch: dict[str, Any]) -> int:
    """FLOP of the matrix products and the attention in one step's forward and backward pass.

    Padding is counted like text: the machine multiplies it too. Not counted: the optimiser, norms,
    softmax and other elementwise work. torch has no count for its CPU attention, so it gets the
    one of the GPU's (the whole square of positions, as if nothing were masked).
    """
    import torch
    from torch.utils import flop_counter

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return flop_counter.sdpa_flop_count(query, key, value)

    def backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return flop_counter.sdpa_backward_flop_count(gradient, query, key, value)

    aten = torch.ops.aten
    attention = {
        aten._scaled_dot_product_flash_attention_for_cpu: forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }
    with flop_counter.FlopCounterMode(display=False, custom_mapping=attention) as counter:
        trainer.training_step(trainer.model, dict(batch))
    return counter.get_total_flops()


# ---------------------------------------------------------------- entry points


def child(folder: Path) -> None:
    """One stage in this process; its result, or its CourseError, goes into answer.json."""
    try:
        if os.environ["COURSE_BENCHMARK_STAGE"] == "prepare":
            request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
            answer = prepare(folder, argparse.Namespace(**request))
        else:
            job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
            answer = measure(folder, Job(**job))
    except CourseError as error:
        answer = {"error": [error.message, error.cure]}
    write_json_atomic(folder / "answer.json", answer)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 done, 1 a CourseError (two lines, no traceback), 2 wrong usage."""
    return run(parse_arguments(arguments), benchmark, comparison_table, child)


if __name__ == "__main__":
    sys.exit(main())
