"""What `train_lora.py` does around the training: its settings, its records, its checkpoints.

The script itself shows LoraConfig, SFTConfig and SFTTrainer; this is the plumbing.
"""

import argparse
import math
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import formats, hardware, models, ownership, privacy, training
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.lab import parameters
from course_utils.models import EMBEDDED
from course_utils.records import read_records
from course_utils.runs import Run
from course_utils.settings import preset_settings, require_fp16
from course_utils.splits import split_by_group

if TYPE_CHECKING:
    from course_utils.settings import Settings

LEAST_RECORDS = 4  # two to train on, two to validate
FEW = 8  # validation records: with fewer, one odd record decides the number


def complete(options: argparse.Namespace) -> None:
    """Fill in what the command line left open; `options.parameters` has all values afterwards.

    Raises CourseError for values and files that cannot work here, before anything slow begins.
    """
    given = parameters.given(options)
    parameters.checked(given)
    _check(options)
    options.out = Path(options.out).expanduser().absolute()
    if options.out.exists() and not options.out.is_dir():
        raise CourseError(f"{options.out}: this is a file", "give --out a folder")
    read_parts(options)  # for its errors: from here on torch is imported, which takes its time
    hardware.show_one_gpu()
    machine = hardware.detect()
    options.precision_reason = "as you asked"
    if "precision" not in given:
        given["precision"], options.precision_reason = hardware.choose_precision(machine)
    if given["precision"] == "fp16":
        require_fp16(machine)
    options.parameters = parameters.checked(given)


def _check(options: argparse.Namespace) -> None:
    """CourseError for an option out of its range, or two that exclude each other."""
    bounds = (("val_share", 0.01, 0.5), ("evaluations", 2, 1000), ("eval_batch_size", 1, 10_000))
    for name, low, high in bounds:
        if not low <= getattr(options, name) <= high:
            value = getattr(options, name)
            raise CourseError(f"--{name} {value}: out of range", f"give {low} to {high}")
    if options.folds is not None and options.folds < 2:
        raise CourseError(f"--folds {options.folds}: out of range", "give 2 or more, usually 5")
    if options.folds and options.eval_data:
        raise CourseError(
            "--folds and --eval_data: with folds each record is validated on, a file is not used",
            "leave one of the two out",
        )


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
        evaluations=options.evaluations,
        eval_batch_size=options.eval_batch_size,
        # A GPU's memory is the bottleneck there, a CPU's time is here.
        gradient_checkpointing=_has_gpu(),
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def read_parts(options: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """(training records, validation records); a group never stands in both.

    With --folds all records are trained, and the validation part is empty.
    """
    records = read_records(options.data)
    if options.eval_data:
        return records, read_records(options.eval_data)
    if len(records) < LEAST_RECORDS:
        raise CourseError(
            f"{options.data}: {len(records)} records are too few to train and validate",
            f"collect at least 20, and check them: {formats.check_command(options.data)}",
        )
    if options.folds:
        split_folds(records, options)  # raises where there are too few groups
        return records, []
    groups = _groups(records)
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
    # Whole groups rarely add up to the wanted sizes; what no part took is trained on.
    taken = {id(record) for part in parts.values() for record in part}
    left = [record for record in records if id(record) not in taken]
    return parts["train"] + left, parts["val"]


def _groups(records: Sequence[dict]) -> list[str]:
    return [record.get("group") or f"line {i}" for i, record in enumerate(records)]


def warn_of_few(validation: Sequence[dict]) -> None:
    """Say when the validation loss is a guess."""
    if len(validation) < FEW:
        print(
            f"only {len(validation)} validation records: their loss is a guess, and so is the "
            "choice of the best checkpoint; --folds 5 validates on every record once"
        )


# --- Folds --------------------------------------------------------------------------------------


def split_folds(
    records: Sequence[dict], options: argparse.Namespace
) -> list[tuple[list[dict], list[dict]]]:
    """--folds pairs of (records to train on, records to validate on), nearly equal in size.

    A group stays whole; each record is validated on once. CourseError for fewer groups than folds.
    """
    members: dict[str, list[int]] = {}
    for i, group in enumerate(_groups(records)):
        members.setdefault(group, []).append(i)
    if len(members) < options.folds:
        raise CourseError(
            f"{options.data}: {len(members)} groups cannot make {options.folds} folds",
            f"give --folds {len(members)} or fewer"
            if len(members) > 1
            else "give different groups to different topics",
        )
    order = sorted(members)
    random.Random(options.seed).shuffle(order)
    held: list[list[int]] = [[] for _ in range(options.folds)]
    for group in sorted(order, key=lambda name: -len(members[name])):
        min(held, key=len).extend(members[group])
    return [
        ([r for i, r in enumerate(records) if i not in set(fold)], [records[i] for i in fold])
        for fold in held
    ]


def saved_folds(options: argparse.Namespace) -> list[dict[str, list]]:
    """With --resume, what the folds that were finished gave: "nll" and "tokens" of each record."""
    path = checkpoint_folder(options.out) / "folds.json"
    if options.no_checkpoints or not options.resume or not path.is_file():
        return []
    folds = read_json(path)
    for fold in folds:  # JSON has no NaN: a likelihood of a fold that diverged is null there
        fold["nll"] = [math.nan if value is None else value for value in fold["nll"]]
    return folds


def save_folds(options: argparse.Namespace, folds: Sequence[dict[str, list]]) -> None:
    """Keep the finished folds for --resume."""
    if not options.no_checkpoints:
        write_json_atomic(checkpoint_folder(options.out) / "folds.json", list(folds))


def fold_loss(fold: dict[str, list]) -> float:
    """Validation loss of one fold: every token of an answer weighs the same."""
    return sum(fold["nll"]) / sum(fold["tokens"])


def fold_summary(folds: Sequence[dict[str, list]]) -> dict[str, Any] | None:
    """What training.json says of the folds: losses, their mean, and their standard deviation."""
    if not folds:
        return None
    losses = [fold_loss(fold) for fold in folds]
    mean = sum(losses) / len(losses)
    return {
        "losses": losses,
        "mean": mean,
        "spread": math.sqrt(sum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)),
        "records": [len(fold["nll"]) for fold in folds],
    }


def logging_steps(options: argparse.Namespace, total_steps: int) -> int:
    """The asked-for interval, or the whole run where that is shorter: at least one loss is kept."""
    wanted = options.parameters["logging_steps"]
    if wanted > total_steps:
        print(f"logging_steps {wanted} is longer than the run: the loss is logged once, at the end")
    return min(wanted, total_steps)


def checkpoint_folder(out: Path) -> Path:
    """checkpoints/ of an adapter: beside a folder called `adapter`, else inside its folder."""
    return training.state_folder(out) / "checkpoints"


def training_file(out: Path) -> Path:
    """training.json of an adapter, beside its checkpoints/."""
    return training.state_folder(out) / "training.json"


def scratch(out: Path) -> Path:
    """Where a trainer that keeps nothing may write: replaced when the adapter is saved."""
    return out / ownership.UNFINISHED


def last_checkpoint(options: argparse.Namespace, settings: "Settings") -> Path | None:
    """Claim the folders; with --resume, the checkpoint to go on from.

    Leftovers of other settings are removed. Raises CourseError, and touches nothing, where a
    folder or training.json is somebody else's, or another process trains this adapter.
    """
    run = Run(training.state_folder(options.out), settings)
    if options.no_checkpoints:
        training.claim(run, options.out, keeps_checkpoints=False)
        return None
    more = [options.parameters, options.learn_eos, options.learn_padding, options.adapter_dtype]
    validation = sha256_of(options.eval_data) if options.eval_data else options.val_share
    more += [options.folds, validation]
    found = training.prepare_checkpoints(run, options.data, more, options.out)
    if not options.resume:
        return None
    if found:
        print(f"going on from {found}")
    elif not saved_folds(options):
        print("nothing to resume: training starts at step 0")
    return found


def mark_finished(options: argparse.Namespace) -> None:
    """The next run begins at step 0, also with --resume."""
    run = Run(training.state_folder(options.out), settings_of(options))
    training.mark_finished(run, options.out)
    if options.no_checkpoints:  # those of an earlier run are of another adapter than this one
        training.remove_checkpoints(run, options.out)


def command_of(options: argparse.Namespace) -> str:
    """The line that does this run again, with every parameter written out."""
    more: list[str] = []
    for name, usual in (
        ("eval_data", None),
        ("val_share", 0.1),
        ("base_model", EMBEDDED),
        ("quantization", "none"),
        ("evaluations", 5),
        ("folds", None),
        ("learn_eos", "true"),
        ("learn_padding", "false"),
        ("adapter_dtype", "fp32"),
    ):
        value = getattr(options, name)
        if value != usual:
            value = models.id_of(value) if name == "base_model" else privacy.shown(str(value))
            more += [f"--{name}", value]
    if options.no_checkpoints:
        more.append("--no_checkpoints")
    more += ["--seed", str(options.seed)]
    out = f"{options.out.name}/"
    data = privacy.shown(options.data)
    return parameters.to_command(options.parameters, data, out, more)


def trained_with(adapter: Path) -> dict[str, Any]:
    """What training.json of an adapter says of it; empty without the file."""
    path = training_file(Path(adapter).absolute())
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def quantized_like(adapter: Path, precision: str) -> Any:
    """How the base model was loaded for training: bitsandbytes' configuration, or None.

    Asked on other weights than it was trained on, an adapter answers a little differently, and
    what was trained in 4 bit rarely fits whole into the same GPU.
    """
    if trained_with(adapter).get("quantization") != "nf4":
        return None
    if not _has_gpu():
        print("trained on a base model in 4 bit; without a GPU it is loaded whole")
        return None
    settings = preset_settings("cpu").with_changes(quantization="nf4", precision=precision)
    return models.quantization_for(settings)


def system_of(records: Sequence[dict]) -> str:
    """The system message that most records have: inference has to send the same one."""
    found = Counter(text for r in records if isinstance(text := r.get("system", ""), str))
    return found.most_common(1)[0][0] if found else ""


def shown(value: float | None, digits: int = 3) -> str:
    """A score for the last lines of a script; a run that diverged has none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"
