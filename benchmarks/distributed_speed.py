"""One training process against two that share the work: same records, same batch, one run.

    python benchmarks/distributed_speed.py            # some minutes on two quiet cores
    python benchmarks/distributed_speed.py --quick    # a minute, a random model: does it work?

What is measured, and how to read it, is in benchmarks/README.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # works from a plain clone, installed or not

from shared import keep_batches, positive, run, variants_table  # noqa: E402

from course_utils import chat, cpu_speed, evaluation, hardware, models, training  # noqa: E402
from course_utils.assignments.configuration import LoraFile  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.files import read_json, write_json_atomic  # noqa: E402
from course_utils.records import read_records, write_records  # noqa: E402
from course_utils.runs import versions  # noqa: E402
from course_utils.tasks import TASKS  # noqa: E402
from course_utils.tracks.manufacturing import manuals  # noqa: E402

ASSIGNMENT = ROOT / "assignments" / "week09_10_manufacturing"
TRAIN_SCRIPT = ASSIGNMENT / "solution" / "scripts" / "train.py"
TWO_PROCESSES = ASSIGNMENT / "bonuses" / "distributed" / "cpu_2_processes.yaml"
QUICK = {"model": "nano", "batch": 4, "steps": 3, "warmup": 1}


@dataclass(frozen=True)
class Variant:
    """One way to spend two cores."""

    processes: int
    threads: int  # of each process

    @property
    def name(self) -> str:
        several = "processes" if self.processes > 1 else "process"
        return f"{self.processes} {several} x {self.threads} thread{'s' * (self.threads > 1)}"


VARIANTS = (Variant(1, 1), Variant(1, 2), Variant(2, 1))


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `--quick` only changes what is not given."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Example: python benchmarks/distributed_speed.py --steps 24 --batch 16",
    )
    what = parser.add_argument_group("what is trained")
    what.add_argument("--model", default=models.EMBEDDED, help="base model (%(default)s)")
    what.add_argument(
        "--batch", type=positive, default=8, help="records a step, all processes together, even"
    )
    what.add_argument("--max-length", type=positive, default=448, help="tokens (%(default)s)")
    what.add_argument("--seed", type=int, default=42, help="records, adapters (%(default)s)")
    budget = parser.add_argument_group("budget")
    budget.add_argument("--steps", type=positive, default=12, help="timed steps (%(default)s)")
    budget.add_argument("--warmup", type=positive, default=3, help="steps before (%(default)s)")
    budget.add_argument("--quick", action="store_true", help="smoke test: nano model, few steps")
    out = parser.add_argument_group("result")
    out.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmark_distributed_speed.json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    if parser.parse_args(arguments).quick:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(arguments)
    if options.batch % 2:
        parser.error(f"--batch {options.batch}: two processes can't share an odd number of records")
    return options


# ---------------------------------------------------------------- parent: start, compare


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Run the variants one after the other; the content of the JSON file."""
    machine = hardware.detect()
    if machine.cores < 2:
        raise CourseError("two processes need two cores; this machine has one", "use another one")
    asked = {name: value for name, value in vars(options).items() if name not in ("out", "child")}
    with tempfile.TemporaryDirectory(prefix="course-benchmark-") as name:
        folder = Path(name)
        prepare(folder, options)
        print(f"{machine.cpu_model}, {machine.cores} cores")
        results = []
        for variant in VARIANTS:
            print(f"{variant.name} ...", flush=True)
            write_json_atomic(folder / "job.json", {**asked, **asdict(variant)})
            results.append(run_variant(folder, variant, machine, options.out))
    return {
        "command": " ".join(["python", *sys.argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": asked,
        "versions": versions(),
        "hardware": machine.to_dict(),
        "variants": compare(results),
    }


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Model and records on disk: records of the manufacturing manuals, evenly from the tasks."""
    models.resolve(options.model)
    pool = [draft.record for draft in manuals.manual_drafts(options.seed)]
    count = (options.warmup + options.steps) * options.batch
    write_records(folder / "train.jsonl", evaluation.draw(pool, count, options.seed, TASKS))


def run_variant(
    folder: Path, variant: Variant, machine: hardware.Hardware, out: Path
) -> dict[str, Any]:
    """Start the processes of one variant and put together what they measured.

    Raises CourseError with the last line they said, and the path of their log.
    """
    for old in folder.glob("answer_*.json"):
        old.unlink()
    environment = {
        **os.environ,
        **hardware.kernel_environment(machine, variant.threads),
        "OMP_NUM_THREADS": str(variant.threads),
        "MKL_NUM_THREADS": str(variant.threads),
        "CUDA_VISIBLE_DEVICES": "",  # a benchmark of the CPU
    }
    this = [str(Path(__file__).resolve()), "--child", str(folder)]
    launch = [sys.executable, *this]
    if variant.processes > 1:
        launch = [sys.executable, "-m", "accelerate.commands.launch"]
        launch += ["--config_file", str(TWO_PROCESSES), "--num_processes", str(variant.processes)]
        launch += ["--num_cpu_threads_per_process", str(variant.threads), *this]
    log = out.with_suffix(f".{variant.name.replace(' ', '-')}.log")
    with log.open("w", encoding="utf-8") as sink:
        code = subprocess.run(launch, env=environment, stdout=sink, stderr=sink).returncode
    if code:
        told = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        said = next((line for line in told if "Error" in line), told[-1] if told else "nothing")
        raise CourseError(f"{variant.name}: ended with code {code}: {said}", f"see {log}")
    log.unlink()
    answers = [read_json(folder / f"answer_{rank}.json") for rank in range(variant.processes)]
    return summarise(variant, answers)


def summarise(variant: Variant, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """One variant's numbers from those of its processes (warm-up steps are in neither list).

    The processes wait for each other in every step, so the first one's clock holds for all.
    """
    seconds = answers[0]["seconds"]
    tokens = sum(sum(answer["tokens"]) for answer in answers)
    return {
        "name": variant.name,
        **asdict(variant),
        "tokens": tokens,
        "step_seconds": seconds,
        "step_seconds_median": statistics.median(seconds),
        "tokens_per_second": tokens / sum(seconds),
        "padding_share": 1 - tokens / sum(sum(answer["positions"]) for answer in answers),
        "peak_memory_gb": [answer["peak_memory_gb"] for answer in answers],
        "losses": answers[0]["losses"],
        "adapter_megabytes": answers[0]["trainable"] * 4 / 1e6,
    }


def compare(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add each variant's tokens/s as a multiple of every other variant's."""
    speeds = {result["name"]: result["tokens_per_second"] for result in results}
    return [
        {**r, "times": {name: r["tokens_per_second"] / speed for name, speed in speeds.items()}}
        for r in results
    ]


def comparison_table(report: dict[str, Any]) -> Any:
    """One column for each variant, in Markdown's table format: ready to be pasted."""
    table, row = variants_table(report["variants"])
    row("real text, tokens/s", lambda r: f"{r['tokens_per_second']:.1f}")
    for variant in VARIANTS[:2]:
        name = variant.name
        row(f"... times {name}", lambda r, name=name: f"{r['times'][name]:.2f}")
    row("step, s (median)", lambda r: f"{r['step_seconds_median']:.3f}")
    row("padding, share of positions", lambda r: f"{r['padding_share']:.1%}")
    row("peak memory of a process, GiB", lambda r: f"{max(r['peak_memory_gb']):.2f}")
    row("... of all processes, GiB", lambda r: f"{sum(r['peak_memory_gb']):.2f}")
    row("loss of the last step", lambda r: f"{r['losses'][-1]:.4f}")
    return table


# ---------------------------------------------------------------- child: one process of a variant


def child(folder: Path) -> None:
    """Train as scripts/train.py does, without evaluations and checkpoints; write the numbers."""
    import torch

    job = read_json(folder / "job.json")
    rank, world = training.processes()
    torch.set_num_threads(job["threads"])
    hardware.keep_heap()
    trainer = build_trainer(folder, job, world)
    batches, meter = keep_batches(trainer), add_meter(trainer)
    trainer.train()
    timed = batches[job["warmup"] : job["warmup"] + job["steps"]]
    log = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    answer = {
        "seconds": meter.seconds[job["warmup"] :],
        "tokens": [int(batch["attention_mask"].sum()) for batch in timed],
        "positions": [batch["input_ids"].numel() for batch in timed],
        "peak_memory_gb": hardware.peak_memory_gb(),
        "losses": log,
        "trainable": training.parameter_counts(trainer.model)[0],
    }
    write_json_atomic(folder / f"answer_{rank}.json", answer)
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


def build_trainer(folder: Path, job: dict[str, Any], world: int) -> Any:
    """The assignment's trainer: its own functions make the adapter and the training arguments."""
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTTrainer

    script = load_script()
    config = LoraFile(
        base_model=job["model"],
        precision="fp32",
        per_device_train_batch_size=job["batch"] // world,
        gradient_accumulation_steps=1,
        lora_dropout=0.0,  # processes would draw other masks
        max_length=job["max_length"],
        seed=job["seed"],
    )
    settings = config.settings()
    tokenizer = models.load_tokenizer(config.base_model)
    records = read_records(folder / "train.jsonl", "manufacturing")
    lengths = [min(chat.count_tokens(r, tokenizer), config.max_length) for r in records]
    order = training.order_by_length(lengths, job["batch"], config.seed)
    schedule = replace(training.plan_schedule(settings, len(records)), logging_steps=1)
    arguments = script.sft_configuration(config, settings, schedule, folder / "checkpoints")
    for name in ("eval_strategy", "save_strategy"):
        setattr(arguments, name, type(getattr(arguments, name))("no"))
    arguments.load_best_model_at_end = False
    arguments.report_to, arguments.disable_tqdm = [], True
    set_seed(config.seed)
    cpu_speed.score_completions_only()
    return SFTTrainer(
        model=models.load_base(settings),
        args=arguments,
        train_dataset=Dataset.from_list(
            [chat.record_messages(records[i], tokenizer) for i in order]
        ),
        processing_class=tokenizer,
        peft_config=script.lora_configuration(config),
    )


def load_script() -> Any:
    """scripts/train.py as a module."""
    spec = spec_from_file_location("assignment_train", TRAIN_SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_meter(trainer: Any) -> Any:
    """A callback on the trainer with `.seconds` of each step, loading the batch included."""
    from transformers import TrainerCallback

    class Meter(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.mark = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            now = time.perf_counter()
            self.seconds.append(now - self.mark)
            self.mark = now

    meter = Meter()
    trainer.add_callback(meter)
    return meter


# ---------------------------------------------------------------- entry point


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 done, 1 a CourseError (two lines, no traceback), 2 wrong usage."""
    return run(parse_arguments(arguments), benchmark, comparison_table, child)


if __name__ == "__main__":
    sys.exit(main())
