"""What surrounds SFTTrainer: the step schedule, callbacks, checkpoints and training.json.

`LoraConfig`, `SFTConfig` and `SFTTrainer` themselves stand in the notebook.
"""

import json
import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.hardware import peak_memory_gb, trim_heap
from course_utils.metrics import perplexity
from course_utils.packages import sha256_of
from course_utils.progress import report_progress
from course_utils.runs import Run
from course_utils.settings import Settings

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
# Steps between two trims of the heap: batches of ever other widths leave holes in it.
TRIM_EVERY = 4


def target_modules(include_mlp: bool) -> list[str]:
    """The linear layers that get an adapter, by the names of Llama-like models."""
    return ATTENTION + MLP if include_mlp else ATTENTION


@dataclass(frozen=True)
class Schedule:
    """How many optimiser steps there are and when something happens, in steps."""

    steps_per_epoch: int
    total_steps: int
    eval_steps: int  # evaluation and checkpoint together: the best checkpoint can be loaded
    logging_steps: int


def processes() -> tuple[int, int]:
    """(number of this process, number of processes), as `accelerate launch` and torchrun set it.

    Raises CourseError under `accelerate launch --cpu --num_processes 2`: accelerate leaves a CPU's
    processes to mpirun, so it starts a single one, and that one would train alone without a word.
    """
    alone = "WORLD_SIZE" not in os.environ and os.environ.get("ACCELERATE_USE_CPU") == "True"
    if alone and "MASTER_PORT" in os.environ:
        raise CourseError(
            "accelerate was asked for several processes on the CPU and started one",
            "give it a configuration with distributed_type: MULTI_GPU and use_cpu: true, such as "
            "bonuses/distributed/cpu_2_processes.yaml, and leave --cpu out",
        )
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def first_decides(decide: Callable[[], Any]) -> Any:
    """What `decide()` returns in the first process, for all of them; its CourseError too.

    Call it after the training arguments are made: they join the processes. Two processes that look
    at a folder while one of them clears it do not see the same.
    """
    rank, world = processes()
    if world == 1:
        return decide()
    from accelerate.utils import broadcast_object_list

    outcome: list[Any] = [None, None]
    if rank == 0:
        try:
            outcome[0] = decide()
        except CourseError as error:
            outcome[1] = (error.message, error.cure)
    result, problem = broadcast_object_list(outcome)
    if problem:
        raise CourseError(*problem)
    return result


def plan_schedule(settings: Settings, records: int) -> Schedule:
    """Spread the evaluations evenly; log about ten times between two of them.

    `eval_steps` is a multiple of `logging_steps`, so a resumed run logs at the same steps. With
    several processes each takes a batch of its own in a step.
    """
    batches = math.ceil(records / (settings.per_device_train_batch_size * processes()[1]))
    per_epoch = math.ceil(batches / settings.gradient_accumulation_steps)
    total = max(1, math.ceil(per_epoch * settings.num_train_epochs))
    between = max(1, total // settings.evaluations)
    logging = max(1, between // 10)
    return Schedule(per_epoch, total, max(logging, between // logging * logging), logging)


def order_by_length(lengths: Sequence[int], batch_size: int, seed: int) -> list[int]:
    """Record indices such that the records of a batch have like lengths; batches are shuffled.

    Padding is wasted work. transformers' own `group_by_length` draws a new order after a resume
    (its sampler has no seed of its own), so the order is fixed here and read sequentially.
    """
    order = list(range(len(lengths)))
    generator = random.Random(seed)
    generator.shuffle(order)
    order.sort(key=lambda index: lengths[index])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    generator.shuffle(batches)
    # The one short batch goes last, or it would shift the borders of all batches behind it.
    batches.sort(key=lambda batch: len(batch) < batch_size)
    return [index for batch in batches for index in batch]


def padding_share(lengths: Sequence[int], batch_size: int) -> float:
    """Share of a padded batch that is padding, 0..1, for records taken in the given order."""
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / padded


@lru_cache
def callback_classes() -> tuple[type, type]:
    """The two callbacks; made here because transformers is imported late."""
    from transformers import TrainerCallback

    class RunLog(TrainerCallback):
        """Adds perplexity to evaluation logs and tells `course run` how far training is."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if state.log_history and "eval_loss" in (logs or {}):
                loss = logs["eval_loss"]
                state.log_history[-1]["eval_perplexity"] = math.exp(min(loss, 50))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report_progress(state.global_step, state.max_steps, "training")
            if state.global_step % TRIM_EVERY == 0:
                trim_heap(collect=False)

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trim_heap()  # the batches of evaluation have other sizes

    class StopAt(TrainerCallback):
        """Stops the run after a step, as a lost connection would; checkpoints stay."""

        def __init__(self, step: int) -> None:
            self.step = step

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= self.step:
                control.should_training_stop = True

    return RunLog, StopAt


def run_log() -> Any:
    """A callback that logs perplexity and reports progress."""
    return callback_classes()[0]()


def stop_at(step: int) -> Any:
    """A callback that stops training after `step` optimiser steps."""
    return callback_classes()[1](step)


def checkpoints(run: Run) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    found = [
        path
        for path in (run.folder / "checkpoints").glob("checkpoint-*")
        if (path / "trainer_state.json").is_file() and path.name.split("-")[1].isdigit()
    ]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def prepare_checkpoints(run: Run, train_file: Path | None = None, more: Any = None) -> Path | None:
    """The checkpoint to go on from, or None; leftovers of other settings are removed.

    A run that finished, or whose settings or data (`train_file`, by default the run folder's) or
    `more` changed, starts anew.
    """
    folder = run.folder / "checkpoints"
    owner = folder / "settings.json"
    data = _data_digest(train_file or run.folder / "data" / "train.jsonl")
    wanted = {"settings": run.fingerprint(), "data": data}
    if more is not None:
        wanted["more"] = more
    if owner.is_file() and read_json(owner) == wanted:
        found = [path for path in checkpoints(run) if _is_whole(path)]
        return found[-1] if found else None
    shutil.rmtree(folder, ignore_errors=True)
    write_json_atomic(owner, wanted)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """A run killed while saving leaves a checkpoint without its last files."""
    needed = ("adapter_model.safetensors", "scheduler.pt", "trainer_state.json")
    optimiser = ("optimizer.pt", "optimizer.bin", "latest")  # plain or DDP, FSDP, DeepSpeed
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    rng = list(checkpoint.glob("rng_state*.pth"))  # one from each process
    found = [name for name in (*needed, *optimiser) if (checkpoint / name).is_file()]
    return len(rng) == processes()[1] and len(found) == len(needed) + 1


def _data_digest(path: Path) -> str:
    if not path.is_file():
        raise CourseError(
            f"{path}: there is no such file",
            "prepare the data first: notebook 01, or scripts/prepare_data.py",
        )
    return sha256_of(path)


def mark_finished(run: Run) -> None:
    """After the last cell of training: the next run of the notebook starts from step 0."""
    (run.folder / "checkpoints" / "settings.json").unlink(missing_ok=True)


def resumed_from(checkpoint: Path | None) -> dict[str, Any]:
    """What training.json says of a run that went on from a checkpoint, or of one that did not."""
    step = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    return {"stopped_at": None, "resumed_from": step, "steps_compared": 0, "max_difference": None}


def check_targets(model: Any, targets: Sequence[str] | str) -> None:
    """CourseError when a target module names no linear layer of the model, with the names it has.

    peft itself only complains when none of them fits.
    """
    import torch

    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head")
    }
    wrong = [] if isinstance(targets, str) else [name for name in targets if name not in linear]
    if wrong:
        raise CourseError(
            f"target_modules: this model has no linear layer {', '.join(wrong)}",
            f"choose among: {', '.join(sorted(linear))}, or all-linear",
        )


def drill_step(schedule: Schedule) -> int:
    """Where the resume drill stops: a few logging steps after the first checkpoint."""
    stop = schedule.eval_steps + 3 * schedule.logging_steps
    return min(stop, max(schedule.eval_steps + 1, schedule.total_steps - 1))


def saved_first_log(run: Run) -> list[dict]:
    """The log of the drill's first part, if an interrupted run got that far."""
    path = run.folder / "checkpoints" / "first_log.json"
    return read_json(path) if path.is_file() else []


def compare_resumed(
    first: Sequence[dict], again: Sequence[dict], resumed_from: int
) -> dict[str, Any]:
    """How the steps that were trained twice agree, as training.json stores it.

    `first` is the log up to the stop, `again` what the resumed trainer logged after
    `resumed_from`. Without common steps (the notebook itself was interrupted) nothing is claimed.
    """
    steps = {entry["step"] for entry in first if "loss" in entry and entry["step"] > resumed_from}
    compared = len(steps & {entry["step"] for entry in again if "loss" in entry})
    return {
        "stopped_at": max((entry["step"] for entry in first), default=None),
        "resumed_from": resumed_from,
        "steps_compared": compared,
        "max_difference": joined_difference(first, again) if compared else None,
    }


def tokens_trained(
    lengths: Sequence[int], settings: Settings, state: Any, resume: dict[str, Any]
) -> int:
    """Tokens of real text (no padding) that this session trained, steps trained twice included.

    `lengths` are the record lengths in training order.
    """
    size = settings.effective_batch_size * processes()[1]
    per_epoch = math.ceil(len(lengths) / size)

    def first_steps(steps: int) -> int:
        epochs, rest = divmod(steps, per_epoch)
        return epochs * sum(lengths) + sum(lengths[: rest * size])

    total = first_steps(state.global_step)
    if resume["stopped_at"] and resume["steps_compared"]:
        return total + first_steps(resume["stopped_at"]) - first_steps(resume["resumed_from"])
    return total - first_steps(resume["resumed_from"])


def joined_difference(first: Sequence[dict], resumed: Sequence[dict], key: str = "loss") -> float:
    """Largest difference of a logged value over the steps that both logs have.

    Raises CourseError when they share no step: then nothing was compared.
    """
    values = {entry["step"]: entry[key] for entry in first if key in entry}
    shared = [
        abs(entry[key] - values[entry["step"]])
        for entry in resumed
        if key in entry and entry["step"] in values
    ]
    if not shared:
        raise CourseError(
            "the two logs share no step, so the resume was not checked",
            "let the first part run a few logging steps past the checkpoint",
        )
    return max(shared, key=lambda difference: (math.isnan(difference), difference))  # NaN shows


def adapter_parameters(model: Any, targets: Sequence[str], rank: int) -> int:
    """Trainable parameters of a LoRA adapter: r (in + out), summed over the target layers."""
    layers = (
        module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in targets and hasattr(module, "in_features")
    )
    return sum(rank * (layer.in_features + layer.out_features) for layer in layers)


def parameter_counts(model: Any) -> tuple[int, int]:
    """(trainable, all) parameters; a 4-bit layer stores two weights in one byte."""
    trainable = total = 0
    for parameter in model.parameters():
        count = parameter.numel()
        if parameter.__class__.__name__ == "Params4bit":
            count *= 2 * parameter.element_size()
        total += count
        trainable += count if parameter.requires_grad else 0
    return trainable, total


def summarise_training(
    trainer: Any,
    settings: Settings,
    validation: tuple[Sequence[float], Sequence[int]],
    seconds: float,
    tokens: int,
    resume: dict[str, Any] | None = None,
    may_diverge: bool = False,
) -> dict[str, Any]:
    """The content of training.json.

    `validation` is (nll sums, token counts) of the final adapter, so `eval_loss` and `perplexity`
    are weighted by tokens; the evaluations in `log` are SFTTrainer's, averaged over batches.
    `train_loss` is the mean of the logged losses: the trainer's own figure forgets the steps
    before a resume. A model that gives no finite likelihood raises CourseError, or with
    `may_diverge` has NaN in both places.
    """
    log = trainer.state.log_history
    losses = [entry["loss"] for entry in log if "loss" in entry] or [math.nan]
    trainable, total = parameter_counts(trainer.model)
    try:
        value = perplexity(*validation)
    except CourseError:
        if not may_diverge:
            raise
        value = math.nan
    return {
        "train_loss": sum(losses) / len(losses),
        "final_train_loss": sum(losses[-5:]) / len(losses[-5:]),
        "eval_loss": math.log(value),
        "perplexity": value,
        "steps": trainer.state.global_step,
        "planned_steps": trainer.state.max_steps,
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "stopped_early": trainer.state.global_step < trainer.state.max_steps,
        "best_step": trainer.state.best_global_step,
        "peak_memory_gb": peak_memory_gb(),
        "weights_gb": trainer.model.get_memory_footprint() / 2**30,
        "trainable_parameters": trainable,
        "total_parameters": total,
        "quantization": settings.quantization,
        "precision": settings.precision,
        "resume": resume,
        "log": [entry for entry in log if "train_runtime" not in entry],
    }
