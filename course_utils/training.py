"""What surrounds SFTTrainer: the step schedule, callbacks, checkpoints and training.json.

`LoraConfig`, `SFTConfig` and `SFTTrainer` themselves stand in the notebook.
"""

import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from course_utils import ownership
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.hardware import peak_memory_gb, trim_heap
from course_utils.metrics import loss_rows, perplexity
from course_utils.progress import report_progress
from course_utils.runs import Run
from course_utils.settings import Settings

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
# Steps between two trims of the heap: batches of ever other widths leave holes in it.
TRIM_EVERY = 4
# What a training writes into checkpoints/: nothing else is removed there.
STATE = (
    *("checkpoint-*", "runs", "README.md"),  # the trainer's
    *("settings.json", "first_log.json", "folds.json"),  # ours
)


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


def usable(
    records: Sequence[dict], tokens: Sequence[Any], max_length: int, part: str = "training"
) -> tuple[list[dict], list[int]]:
    """(records that keep a part of their answer at `max_length`, their lengths after the cut).

    The trainer drops the others without a word: it does fewer steps than were planned, or has
    nothing to validate on. `tokens` are the records' chat.Tokens. Prints the share that is cut;
    raises CourseError when no answer is left at all.
    """
    kept = [i for i, example in enumerate(tokens) if example.prompt_length < max_length]
    longest = max(len(example.input_ids) for example in tokens)
    if not kept:
        raise CourseError(
            f"max_length {max_length} cuts off every answer of the {part} part "
            f"({len(tokens)} of {len(tokens)} records): the prompts alone are longer",
            f"the longest record has {longest} tokens: max_length {longest} keeps all; or shorten "
            "the records",
        )
    if longest > max_length and processes()[0] == 0:
        cut = sum(len(example.input_ids) > max_length for example in tokens)
        print(
            f"max_length {max_length} cuts {cut} of {len(tokens)} {part} records "
            f"({cut / len(tokens):.0%}); {len(tokens) - len(kept)} have no answer left and are not "
            f"used; the longest has {longest} tokens"
        )
    return [records[i] for i in kept], [min(len(tokens[i].input_ids), max_length) for i in kept]


def padding_share(lengths: Sequence[int], batch_size: int) -> float:
    """Share of a padded batch that is padding, 0..1, for records taken in the given order."""
    batches = [lengths[start : start + batch_size] for start in range(0, len(lengths), batch_size)]
    padded = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / padded


@lru_cache
def callback_classes() -> tuple[type, type, type]:
    """The callbacks; made here because transformers is imported late."""
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

    class EvaluateLast(TrainerCallback):
        """Evaluates after the last step too, so that it can be the best one."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= state.max_steps and args.eval_strategy != "no":
                control.should_evaluate = True

    return RunLog, StopAt, EvaluateLast


def run_log() -> Any:
    """A callback that logs perplexity and reports progress."""
    return callback_classes()[0]()


def stop_at(step: int) -> Any:
    """A callback that stops training after `step` optimiser steps."""
    return callback_classes()[1](step)


def evaluate_last() -> Any:
    """A callback that evaluates after the last step, whatever `eval_steps` is."""
    return callback_classes()[2]()


# --- What belongs to a training, and where it goes on -------------------------------------------


def state_folder(adapter: Path) -> Path:
    """Where training.json and checkpoints/ of an adapter lie, so that no two adapters share them.

    Beside a folder called `adapter`, as a run and a submission want it; else inside its folder.
    """
    adapter = Path(adapter)
    return adapter.parent if adapter.name == "adapter" else adapter


def claim(run: Run, adapter: Path | None = None, keeps_checkpoints: bool = True) -> None:
    """Make adapter, checkpoints/ and training.json ours for this process, before anything slow.

    Raises CourseError, and touches nothing, where something of somebody else has their names, or
    another process trains this adapter now.
    """
    adapter = Path(adapter or run.folder / "adapter")
    of = _relative(adapter, run.folder)
    ownership.check_folder(adapter, of="adapter")
    ownership.check_file(run.folder / "training.json")
    if keeps_checkpoints:
        ownership.check_folder(run.folder / "checkpoints", of)
    ownership.claim(adapter, of="adapter")
    ownership.lock(
        adapter,
        "another training writes this adapter now",
        "wait for it or end it (a notebook: shut its kernel down), or choose another folder",
    )
    ownership.clear(adapter, [ownership.UNFINISHED])  # of a training that was killed
    if keeps_checkpoints:
        ownership.claim(run.folder / "checkpoints", of)


def _relative(adapter: Path, folder: Path) -> str:
    """The adapter as seen from its state, so that both may be copied or moved together."""
    try:
        return Path(os.path.relpath(adapter, folder)).as_posix()
    except ValueError:  # Windows: on another drive
        return Path(adapter).as_posix()


def checkpoints(run: Run) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    found = [
        path
        for path in (run.folder / "checkpoints").glob("checkpoint-*")
        if (path / "trainer_state.json").is_file() and path.name.split("-")[1].isdigit()
    ]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def prepare_checkpoints(
    run: Run, train_file: Path | None = None, more: Any = None, adapter: Path | None = None
) -> Path | None:
    """The checkpoint to go on from, or None; leftovers of other settings are removed.

    A run that finished, or whose settings or data (`train_file`, by default the run folder's) or
    `more` changed, starts anew. Claims the folders of `adapter` (by default the run's) first.
    """
    folder = run.folder / "checkpoints"
    state = folder / "settings.json"
    data = _data_digest(train_file or run.folder / "data" / "train.jsonl")
    wanted = {"settings": run.fingerprint(), "data": data}
    if more is not None:
        wanted["more"] = more
    claim(run, adapter)
    if state.is_file() and read_json(state) == wanted:
        found = [path for path in checkpoints(run) if _is_whole(path) and _leads_on(path)]
        return found[-1] if found else None
    ownership.clear(folder, STATE)
    write_json_atomic(state, wanted)
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


def _leads_on(checkpoint: Path) -> bool:
    """Not the one of the last step where that ends within an epoch.

    From there transformers would train one step more than an uninterrupted run. At the end of an
    epoch it trains none, so nothing that was trained is trained twice.
    """
    state = read_json(checkpoint / "trainer_state.json")
    epoch, step, last = (state.get(name) or 0 for name in ("epoch", "global_step", "max_steps"))
    return epoch == int(epoch) or step < last


def _data_digest(path: Path) -> str:
    if not path.is_file():
        raise CourseError(
            f"{path}: there is no such file",
            "prepare the data first: notebook 01, or scripts/prepare_data.py",
        )
    return sha256_of(path)


def mark_finished(run: Run, adapter: Path | None = None) -> None:
    """After the last cell of training: the next run of the notebook starts from step 0."""
    if ownership.owner_of(run.folder / "checkpoints") is not None:
        (run.folder / "checkpoints" / "settings.json").unlink(missing_ok=True)
    ownership.unlock(adapter or run.folder / "adapter")


def remove_checkpoints(run: Run, adapter: Path) -> None:
    """Remove checkpoints/ of this adapter; another's, and foreign files in it, are left."""
    folder = run.folder / "checkpoints"
    if ownership.owner_of(folder) == _relative(adapter, run.folder):
        ownership.remove(folder, STATE)


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
    are weighted by tokens, and `validation_losses` has both of each record (None: not finite), in
    their order; the evaluations in `log` are SFTTrainer's, averaged over batches.
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
        "made_by": ownership.MAKER,
        "train_loss": sum(losses) / len(losses),
        "final_train_loss": sum(losses[-5:]) / len(losses[-5:]),
        "eval_loss": math.log(value),
        "perplexity": value,
        "validation_losses": loss_rows(*validation),
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
