"""What `train_lora.py` does around the training: its settings, its records, its checkpoints.

The script itself shows LoraConfig, SFTConfig and SFTTrainer; this is the plumbing.
"""

import argparse
import math
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import hardware
from course_utils.errors import CourseError
from course_utils.files import read_json
from course_utils.lab import parameters
from course_utils.models import EMBEDDED
from course_utils.records import read_records
from course_utils.runs import Run
from course_utils.settings import preset_settings
from course_utils.splits import split_by_group
from course_utils.training import prepare_checkpoints

if TYPE_CHECKING:
    from course_utils.chat import Tokens
    from course_utils.settings import Settings

LEAST_RECORDS = 4  # two to train on, two to validate


def complete(options: argparse.Namespace) -> None:
    """Fill in what the command line left open; `options.parameters` has all values afterwards.

    Raises CourseError for values that cannot work here, before anything slow begins.
    """
    given = parameters.given(options)
    machine = hardware.detect()
    options.precision_reason = "as you asked"
    if "precision" not in given:
        given["precision"], options.precision_reason = hardware.choose_precision(machine)
    if given["precision"] == "fp16" and not machine.capability:
        raise CourseError(
            "--fp16 needs a CUDA GPU: a CPU has no loss scaling for it, and no speed to gain",
            "leave it out (this machine then chooses), or give --bf16 true",
        )
    options.parameters = parameters.checked(given)
    for name, low, high in (("val_share", 0.01, 0.5), ("evaluations", 1, 1000)):
        if not low <= getattr(options, name) <= high:
            value = getattr(options, name)
            raise CourseError(f"--{name} {value}: out of range", f"give {low} to {high}")
    options.out = Path(options.out).expanduser().absolute()
    if options.out.exists() and not options.out.is_dir():
        raise CourseError(f"{options.out}: this is a file", "give --out a folder")


def use_free_cores() -> None:
    """One thread for each core that nothing else uses, unless OMP_NUM_THREADS says how many.

    Two threads beside a busy neighbour wait for each other at every matrix product: beside a test
    suite on both cores, 15 steps on 18 short records took 283 s with two threads, 53 s with one.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    cores = hardware.usable_cores()
    torch.set_num_threads(hardware.choose_threads(cores, hardware.current_load(cores)))


def settings_of(options: argparse.Namespace) -> "Settings":
    """The options as the kit's Settings, which its helpers for training take.

    Sizes that are no option (such as how many records) keep the cpu preset's value, unused.
    """
    values = {k: v for k, v in options.parameters.items() if k != "logging_steps"}
    return preset_settings("cpu", seed=options.seed).with_changes(
        **values,
        base_model=options.base_model,
        quantization=options.quantization,
        evaluations=max(2, options.evaluations),
        eval_batch_size=options.eval_batch_size,
        # A GPU's memory is the bottleneck there, a CPU's time is here.
        gradient_checkpointing=_has_gpu(),
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def read_parts(options: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """(training records, validation records); a group never stands in both."""
    records = read_records(options.data)
    if options.eval_data:
        return records, read_records(options.eval_data)
    if len(records) < LEAST_RECORDS:
        raise CourseError(
            f"{options.data}: {len(records)} records are too few to train and validate",
            "collect at least 20, and check them: course data check " + str(options.data),
        )
    groups = [record.get("group") or f"line {i}" for i, record in enumerate(records)]
    # A group stays whole, so the validation part holds at least the smallest one.
    smallest = min(Counter(groups).values())
    validation = max(2, round(len(records) * options.val_share), smallest)
    sizes = {"train": len(records) - validation, "val": validation}
    parts = split_by_group(records, groups, sizes, options.seed)
    if not parts["train"] or not parts["val"]:
        raise CourseError(
            f"{options.data}: all records are of one group, so none can be kept for validation",
            "give different groups to different topics, or a file with --eval_data",
        )
    return parts["train"], parts["val"]


def usable(
    records: Sequence[dict], tokens: Sequence["Tokens"], max_length: int
) -> tuple[list[dict], list[int]]:
    """(records that keep a part of their answer at `max_length`, their lengths after the cut).

    The trainer drops the others without a word, and then does fewer steps than were planned.
    Raises CourseError when no answer is left at all: there would be nothing to learn.
    """
    kept = [i for i, example in enumerate(tokens) if example.prompt_length < max_length]
    longest = max(len(example.input_ids) for example in tokens)
    if not kept:
        raise CourseError(
            f"max_length {max_length} cuts off every answer: the prompts alone are longer",
            f"the longest record has {longest} tokens: --max_length {longest} keeps all",
        )
    if longest > max_length:
        cut = sum(len(example.input_ids) > max_length for example in tokens)
        print(
            f"max_length {max_length} cuts {cut} of {len(tokens)} records; "
            f"{len(tokens) - len(kept)} have no answer left and are not trained"
        )
    return [records[i] for i in kept], [min(len(tokens[i].input_ids), max_length) for i in kept]


def logging_steps(options: argparse.Namespace, total_steps: int) -> int:
    """The asked-for interval, or the whole run where that is shorter: at least one loss is kept."""
    wanted = options.parameters["logging_steps"]
    if wanted > total_steps:
        print(f"logging_steps {wanted} is longer than the run: the loss is logged once, at the end")
    return min(wanted, total_steps)


def checkpoint_folder(out: Path) -> Path:
    """checkpoints/ beside the adapter's folder."""
    return out.parent / "checkpoints"


def last_checkpoint(options: argparse.Namespace, settings: "Settings") -> Path | None:
    """With --resume, the checkpoint to go on from; leftovers of other settings are removed."""
    if options.no_checkpoints:
        return None
    run = Run(options.out.parent, settings)
    faults = [options.learn_eos, options.learn_padding, options.adapter_dtype]
    found = prepare_checkpoints(run, options.data, [options.parameters, *faults])
    if not options.resume:
        return None
    print(f"going on from {found}" if found else "nothing to resume: training starts at step 0")
    return found


def mark_finished(options: argparse.Namespace) -> None:
    """The next run begins at step 0, also with --resume."""
    (checkpoint_folder(options.out) / "settings.json").unlink(missing_ok=True)
    if options.no_checkpoints:
        shutil.rmtree(checkpoint_folder(options.out), ignore_errors=True)


def command_of(options: argparse.Namespace) -> str:
    """The line that does this run again, with every parameter written out."""
    more: list[str] = []
    for name, usual in (
        ("eval_data", None),
        ("val_share", 0.1),
        ("base_model", EMBEDDED),
        ("quantization", "none"),
        ("evaluations", 5),
        ("learn_eos", "true"),
        ("learn_padding", "false"),
        ("adapter_dtype", "fp32"),
    ):
        value = getattr(options, name)
        if value != usual:
            more += [f"--{name}", str(value)]
    if options.no_checkpoints:
        more.append("--no_checkpoints")
    more += ["--seed", str(options.seed)]
    out = f"{options.out.name}/"
    return parameters.to_command(options.parameters, str(options.data), out, more)


def trained_with(adapter: Path) -> dict[str, Any]:
    """What training.json beside an adapter says of it; empty without the file."""
    path = Path(adapter).parent / "training.json"
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def shown(value: float | None, digits: int = 3) -> str:
    """A score for the last lines of a script; a run that diverged has none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"
