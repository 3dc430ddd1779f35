"""What only a GPU can tell, in 8 minutes on one card; one JSON file is left.

    bash benchmarks/gpu_check.sh                       # everything, into runs/gpu_check.json
    bash benchmarks/gpu_check.sh --only preset_t4,endpoint
    bash benchmarks/gpu_check.sh --dry-run             # no GPU: every step on tiny models
    course presets --record runs/gpu_check.json        # enter the presets' figures

Each step is a process of its own with a time budget. One that fails or takes too long is written
down with its reason, and the others go on; the file is written whole after each step. Nothing is
downloaded: large models have their real shapes and random weights, which is all that memory and
speed depend on.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # works from a plain clone, installed or not

import memory_estimate  # noqa: E402
from shared import check_output, positive  # noqa: E402

from course_utils import (  # noqa: E402
    adapters,
    generation,
    hardware,
    kit,
    models,
    ownership,
    privacy,
    serving,
    settings,
    training,
)
from course_utils.embedded import EMBEDDED, NANO  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.files import read_json, write_json_atomic  # noqa: E402
from course_utils.lab import architectures, memory  # noqa: E402
from course_utils.runs import versions  # noqa: E402

MINUTES = 8
LEAST = 5  # seconds that must be left for a step to begin
LARGE = (4, 512, 16, True, True, "bf16", 0.05)  # memory_estimate.NAMES
PRESETS = {"t4": ("T4", "fp16"), "l4": ("L4", "bf16"), "a100": ("A100 40", "bf16")}
STEPS = 6  # optimiser steps that are measured; the first warms up
QUESTION = [{"role": "user", "content": "Work order to JSON: L/H TRACK MOTOR LEAKING OIL"}]
DRY_TOKENS, TOKENS = 4, 32  # of an answer that is timed


@dataclass(frozen=True)
class Step:
    """A part of the check: its time budget in seconds, and what it does."""

    budget: float
    work: Callable[[bool], dict[str, Any]]


# ---------------------------------------------------------------- the steps, each in a child


def machine(dry: bool) -> dict[str, Any]:
    """What the card is, what follows from it, and how fast it multiplies in each format."""
    import torch

    found = hardware.detect()
    precision, reason = hardware.choose_precision(found)
    preset, why = hardware.choose_preset(found)
    size = 256 if dry else 8192
    formats = ("fp32", "bf16") if dry else ("fp32", "fp16", "bf16")
    return {
        "hardware": found.to_dict(),
        "cuda": torch.version.cuda,
        "precision": {"chosen": precision, "reason": reason},
        "preset": {"chosen": preset, "reason": why},
        "teraflops": {name: teraflops(name, size) for name in formats},
    }


def teraflops(precision: str, size: int) -> float:
    """10^12 operations a second of one square matrix product (2 n^3 operations each)."""
    import torch

    a = torch.randn(size, size, device=device()).to(models.dtype_of(precision))
    a @ a
    wait()
    started = time.perf_counter()
    for _ in range(5):
        a @ a
    wait()
    return round(5 * 2 * size**3 / (time.perf_counter() - started) / 1e12, 2)


def fp16_qlora(dry: bool) -> dict[str, Any]:
    """The embedded model, really loaded in 4-bit, trained in fp16 in a T4's memory: no NaN?"""
    given = settings.preset_settings("t4").with_changes(
        base_model=NANO if dry else EMBEDDED,
        precision="fp32" if dry else "fp16",  # a CPU has no loss scaling
    )
    request = request_of(given, dry) | {"steps": 4 if dry else 20, "tiny": False, "real": True}
    request["architecture"] = given.base_model
    held = hold_memory("T4")
    trainer, run = memory_estimate.trained(request)
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    if not all(value == value and value < 50 for value in losses):  # NaN is not itself
        raise CourseError(f"the loss is no number, or explodes: {losses}", "")
    kinds = {str(p.dtype) for p in trainer.model.parameters() if p.requires_grad}
    return figures(run, request) | {
        "memory_held_gib": held,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "adapter_numbers": sorted(kinds),
    }


def shape(name: str, quantization: str) -> Callable[[bool], dict[str, Any]]:
    """A step: a large model of random weights, trained; peak against the lab's estimate."""

    def work(dry: bool) -> dict[str, Any]:
        wanted = (*LARGE[:5], "fp32", 0.05) if dry else LARGE
        wanted = (2, 64, *wanted[2:]) if dry else wanted
        kind = "none32" if dry and quantization == "none16" else quantization
        request = memory_estimate.request_of(wanted, name, kind, device())
        request |= {"steps": 3 if dry else STEPS, "tiny": dry}
        return figures(memory_estimate.trained(request)[1], request)

    return work


def preset(name: str) -> Callable[[bool], dict[str, Any]]:
    """A step: a preset's model, batch and formats, in the memory of the card that it is for."""

    def work(dry: bool) -> dict[str, Any]:
        card, precision = PRESETS[name]
        given = settings.preset_settings(name).with_changes(precision="fp32" if dry else precision)
        request = request_of(given, dry) | {"steps": 3 if dry else STEPS}
        held = hold_memory(card)
        trainer, run = memory_estimate.trained(request)
        found = figures(run, request) | {"card": card, "memory_held_gib": held}
        steps = training.plan_schedule(given, given.train_records).total_steps
        seconds = steps * given.gradient_accumulation_steps * run["seconds_per_step"]
        found["training_minutes"] = round(seconds / 60, 2)
        size = 2 if dry else given.eval_batch_size
        return found | {"answers": answers(trainer.model.eval(), EMBEDDED, size, dry)}

    return work


def generated(dry: bool) -> dict[str, Any]:
    """The embedded model answers: one question, and many at once."""
    name = NANO if dry else EMBEDDED
    model = models.load_model(name, hardware.choose_precision(hardware.detect())[0])
    sizes = (1, 4) if dry else (1, 64)
    return {str(size): answers(model, name, size, dry) for size in sizes}


def endpoint(dry: bool) -> dict[str, Any]:
    """`course serve` with an adapter of random numbers: until it is ready, and its answers."""
    from peft import LoraConfig, get_peft_model

    name = NANO if dry else EMBEDDED
    with tempfile.TemporaryDirectory(prefix="course-gpu-check-") as folder:
        modules = training.target_modules(True)
        wanted = LoraConfig(r=8, target_modules=modules, task_type="CAUSAL_LM")
        model = get_peft_model(models.load_model(name), wanted)
        for part, weights in model.named_parameters():
            if "lora_B" in part:
                weights.data.normal_(0, 0.05)
        model.save_pretrained(folder)
        models.load_tokenizer(name).save_pretrained(folder)
        adapters.describe(Path(folder), name)
        with serving.serve(folder) as server:
            client, told = server.client(), server.health()
            tokens = DRY_TOKENS if dry else TOKENS
            seconds = [ask(client, kind, tokens) for kind in ("base", "tuned") * (1 if dry else 3)]
            return {
                "engine": told.get("engine"),
                "ready_seconds": round(server.load_seconds, 2),
                "memory_mb": round(server.memory()),
                "answer_tokens": tokens,
                "answer_seconds": [round(value, 3) for value in seconds],
            }


def ask(client: Any, name: str, tokens: int) -> float:
    """Seconds of one answer."""
    started = time.perf_counter()
    client.chat.completions.create(model=name, messages=QUESTION, max_tokens=tokens, temperature=0)
    return time.perf_counter() - started


def swept(dry: bool) -> dict[str, Any]:
    """One recorded run of the parameter lab's sweep, with the embedded model."""
    name = NANO if dry else EMBEDDED
    with tempfile.TemporaryDirectory(prefix="course-gpu-check-") as folder:
        command = [sys.executable, "-m", "course_utils", "sweep", "--only", "start", "--seeds", "1"]
        command += ["--jobs", "1", "--out", folder, "--base-model", name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        files = sorted(Path(folder).glob("*.json"))
        runs = [run for path in files for run in read_json(path).get("runs", [])]
        if done.returncode or not runs:
            raise CourseError(f"course sweep: {last_line(done.stderr or done.stdout)}", "")
        kept = ("seconds", "tokens", "steps", "peak_memory_gb", "total_seconds", "eval_loss")
        return {name: runs[0].get(name) for name in kept}


# ---------------------------------------------------------------- what the steps share


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def wait() -> None:
    """Until the card has done what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def hold_memory(card: str) -> float | None:
    """Let torch have no more than it would get on such a card, in GiB; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    whole = torch.cuda.get_device_properties(0).total_memory / hardware.GIB
    held = min(whole, memory.CARDS[card] - memory.CUDA_CONTEXT)
    torch.cuda.set_per_process_memory_fraction(held / whole)
    return round(held, 2)


def request_of(given: settings.Settings, dry: bool) -> dict[str, Any]:
    """A preset's training, as memory_estimate.py trains it."""
    names = ("per_device_train_batch_size", "max_length", "lora_r", "lora_alpha", "lora_dropout")
    names += ("include_mlp", "learning_rate", "precision")
    plain = "none32" if given.precision == "fp32" else "none16"
    known = given.base_model in (NANO, EMBEDDED)
    return {
        "architecture": given.base_model if known else architectures.get(given.base_model).name,
        "quantization": plain if given.quantization == "none" else given.quantization,
        "device": device(),
        "settings": {name: getattr(given, name) for name in names},
        "checkpointing": given.gradient_checkpointing,
        "tiny": dry,
    }


def figures(run: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, beside the lab's estimate of memory (the context apart: torch's own)."""
    need = memory.memory_estimate(
        memory_estimate.shape_of(dict(request)),
        request["quantization"],
        request["settings"],
        run["sequence_length"],
        device=request["device"],
        checkpointing=request["checkpointing"],
        answer_share=run["answer_share"],
    )
    context = memory.CUDA_CONTEXT if request["device"] == "cuda" else 0.0
    estimate = need.total - context
    return {
        "architecture": request["architecture"],
        "quantization": request["quantization"],
        "precision": request["settings"]["precision"],
        "batch": request["settings"]["per_device_train_batch_size"],
        "length": run["sequence_length"],
        "steps": request["steps"],
        "peak_gib": run["peak_gib"],
        "estimate_gib": round(estimate, 3),
        "estimate_error": round(estimate / run["peak_gib"] - 1, 4),
        "seconds_per_step": run["seconds_per_step"],
        "tokens_per_second": run["tokens_per_second"],
    }


def answers(model: Any, tokenizer: str, size: int, dry: bool) -> dict[str, Any]:
    """So many equal questions in one batch: tokens a second, and the highest memory in GiB."""
    import torch

    tokens = DRY_TOKENS if dry else TOKENS
    asked = [QUESTION] * size
    if torch.cuda.is_available():  # the highest point of answering, not of the training before
        torch.cuda.reset_peak_memory_stats()
    told = generation.measure_latency(model, models.load_tokenizer(tokenizer), asked, "", tokens)
    return {
        "batch": size,
        "new_tokens": tokens,
        "tokens_per_second": round(told["tokens_per_second"], 1),
        "peak_gib": round(hardware.peak_memory_gb(), 3),
    }


ALL = {
    "machine": Step(60, machine),  # with the first imports, from a cold disk
    "fp16_qlora": Step(60, fp16_qlora),
    "preset_t4": Step(45, preset("t4")),
    "preset_l4": Step(60, preset("l4")),
    "preset_a100": Step(60, preset("a100")),
    "7b_4bit": Step(45, shape("mistral-7b-v0.1", "nf4")),
    "7b_16bit": Step(45, shape("mistral-7b-v0.1", "none16")),
    "8b_4bit": Step(45, shape("llama-3.1-8b", "nf4")),
    "8b_16bit": Step(45, shape("llama-3.1-8b", "none16")),
    "generation": Step(30, generated),
    "endpoint": Step(60, endpoint),
    "sweep": Step(60, swept),
}


# ---------------------------------------------------------------- the parent


def parse_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="without a GPU, on tiny models")
    parser.add_argument("--only", default="", help=f"of: {', '.join(ALL)}")
    parser.add_argument("--minutes", type=positive, default=MINUTES, help="in all (%(default)s)")
    parser.add_argument(
        "--budget", action="append", default=[], metavar="STEP=SECONDS", help="other than its own"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu_check.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def budgets_of(options: argparse.Namespace) -> dict[str, float]:
    """Step -> seconds, for the steps that were asked for. Raises CourseError for other names."""
    chosen = [name.strip() for name in options.only.split(",") if name.strip()] or list(ALL)
    given = dict(pair.partition("=")[::2] for pair in options.budget)
    if unknown := sorted({*chosen, *given} - set(ALL)):
        raise CourseError(f"no step {', '.join(unknown)}", f"choose among {', '.join(ALL)}")
    try:
        own = {name: float(seconds) for name, seconds in given.items()}
    except ValueError:
        raise CourseError(f"--budget {options.budget}: no seconds", "as in sweep=90") from None
    # A CPU that other work shares may take its time: a dry run asks whether each step works.
    usual = {name: step.budget * (6 if options.dry_run else 1) for name, step in ALL.items()}
    return {name: (usual | own)[name] for name in ALL if name in chosen}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """Every step in its process; returns what the file holds at the end."""
    budgets = budgets_of(options)
    ownership.check_file(options.out, "choose another file with --out")
    check_output(options.out)
    if not options.dry_run and hardware.detect().gpu_name is None:
        raise CourseError("there is no CUDA GPU here", "try it with --dry-run, or find a GPU")
    limit = time.monotonic() + 60 * options.minutes * (10 if options.dry_run else 1)
    report: dict[str, Any] = {"about": about(options), "steps": {}}
    with contextlib.ExitStack() as stack:
        waiting = stack.enter_context(child())
        for number, (name, budget) in enumerate(budgets.items(), 1):
            process = waiting
            if number < len(budgets):  # imports while this one works
                waiting = stack.enter_context(child())
            report["steps"][name] = found = one(process, name, budget, limit, options.dry_run)
            write_json_atomic(options.out, report)
            more = found.get("reason", "")
            line = f"[{number}/{len(budgets)}] {name}: {found['status']}, {found['seconds']:.0f} s"
            print(f"{line}  {more}".rstrip(), flush=True)
    report["about"]["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_json_atomic(options.out, report)
    return report


def about(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "made_by": ownership.MAKER,
        "command": privacy.shown_command(["python", *sys.argv]),
        "dry_run": options.dry_run,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "kit": kit.version(),
        "machine": hardware.detect().gpu_name or hardware.detect().cpu_model,
        "versions": versions(),
    }


@contextlib.contextmanager
def child() -> Iterator[subprocess.Popen]:
    """A process that imports what the steps need and waits for its step; killed with all it began.

    It stays away from the card until then.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """The process and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def one(
    process: subprocess.Popen, name: str, budget: float, limit: float, dry: bool
) -> dict[str, Any]:
    """The row of a step: status, seconds, and its figures or the reason why there are none."""
    left = limit - time.monotonic()
    row = {"budget": budget}
    if left < LEAST:
        return {"status": "skipped", "seconds": 0.0, **row, "reason": "the minutes are over"}
    started = time.monotonic()
    try:
        told, said = process.communicate(json.dumps([name, dry]), timeout=min(budget, left))
    except subprocess.TimeoutExpired:
        seconds = round(time.monotonic() - started, 1)
        end(process)
        reason = f"not done after {seconds:g} s"
        return {"status": "timed out", "seconds": seconds, **row, "reason": reason}
    row = {"seconds": round(time.monotonic() - started, 1), **row}
    answer = answer_in(told)
    if process.returncode or answer is None:
        reason = f"ended with code {process.returncode}: {last_line(said)}"
        return {"status": "failed", **row, "reason": privacy.scrubbed(reason)}
    if "reason" in answer:
        return {"status": "failed", **row, "reason": privacy.scrubbed(answer["reason"])}
    return {"status": "done", **row, **answer}


def answer_in(told: str) -> dict[str, Any] | None:
    """The last line that a child printed, as JSON; None where it is none."""
    with contextlib.suppress(ValueError, IndexError):
        answer = json.loads(told.strip().splitlines()[-1])
        return answer if isinstance(answer, dict) else None
    return None


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:400] if lines else "it said nothing"


def do_step() -> None:
    """The child: import, wait for a step's name, do it, print its figures or what went wrong."""
    for library in ("torch", "transformers", "datasets", "peft", "trl"):
        import_module(library)
    line = sys.stdin.read()
    if not line:  # the parent is gone, or needs no more
        return
    name, dry = json.loads(line)
    try:
        found = ALL[name].work(dry)
    except Exception as error:  # whatever it is, it is a finding
        text = getattr(error, "message", "") or str(error)
        found = {"reason": f"{type(error).__name__}: {' '.join(text.split())[:600]}"}
    print(json.dumps(found))


def main(given: Sequence[str] | None = None) -> int:
    """Exit code 0 when every step is done, 1 when one is not, or the check can't begin."""
    options = parse_arguments(given)
    if options.child:
        do_step()
        return 0
    try:
        report = check(options)
    except CourseError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"written to {options.out}")
    return 0 if all(row["status"] == "done" for row in report["steps"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
