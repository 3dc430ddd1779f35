"""What the recorded sweeps show, as sentences; what they do not show is said too.

Every number in a sentence is computed from data/sweeps/ when it is printed, and a difference is
only called one when it is larger than the spread over seeds. tests/lab/test_findings.py works the
sentences out again from the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.lab import parameters, recording, sweeps
from course_utils.schemas import count_of

# What a run is compared by, and how a sentence names it.
LOSS = "eval_loss"
# Processor times that differ by a smaller share are about the same: seeds of one value do by 0.08.
ABOUT = 0.15


@dataclass(frozen=True)
class Level:
    """All seeds of one value: the mean of a figure and its ends."""

    value: parameters.Value
    mean: float
    low: float
    high: float
    seeds: int

    @property
    def spread(self) -> float:
        return self.high - self.low


def levels(sweep: sweeps.Sweep, key: str = LOSS) -> list[Level]:
    """The values of a sweep with mean and spread of `key` over seeds; values without it left out.

    A value with a run that diverged is left out as well: its mean would hide that.
    """
    found = []
    for value in sweep.values():
        runs = sweep.of_value(value)
        numbers = [run[key] for run in runs if run["status"] == "ok" and run[key] is not None]
        if numbers and len(numbers) == len(runs):
            mean = sum(numbers) / len(numbers)
            found.append(Level(value, mean, min(numbers), max(numbers), len(numbers)))
    return found


def noise(found: Sequence[Level]) -> float:
    """The largest spread over seeds at one value: differences below it mean nothing here."""
    return max((level.spread for level in found), default=0.0)


def diverged(sweep: sweeps.Sweep) -> list[parameters.Value]:
    """The values with at least one run that diverged."""
    return [
        value
        for value in sweep.values()
        if any(run["status"] == "diverged" for run in sweep.of_value(value))
    ]


def finding(parameter: str, folder: Path = sweeps.FOLDER) -> list[str]:
    """Sentences on one of the 13 parameters; empty without recorded runs.

    Raises CourseError for an unknown parameter.
    """
    if not (folder / "start.json").is_file():
        return []
    sweep = sweeps.read_sweep(parameter, folder)
    own = _OWN.get(parameter)
    if not parameters.PARAMETERS[parameter].trains:
        return own(sweep) if own else []
    if len(sweep.values()) < 2:
        return []
    sentences = _loss_sentences(sweep)
    return sentences + (own(sweep) if own else [])


def _loss_sentences(sweep: sweeps.Sweep) -> list[str]:
    found = levels(sweep)
    sentences = []
    if gone := diverged(sweep):
        names = ", ".join(_text(value) for value in gone)
        sentences.append(f"Training diverged at {names} in at least one run.")
    if len(found) < 2:
        return sentences
    best = min(found, key=lambda level: level.mean)
    worst = max(found, key=lambda level: level.mean)
    least_seeds = min(level.seeds for level in found)
    if worst.mean - best.mean <= noise(found):
        sentences.append(
            f"Validation loss lies between {best.mean:.2f} and {worst.mean:.2f} for all "
            f"{len(found)} values, within the spread over seeds (up to {noise(found):.2f}): these "
            "runs do not tell the values apart."
        )
        return sentences
    varies = f"one value varies by up to {noise(found):.2f} over {count_of(least_seeds, 'seed')}"
    sentences.append(
        f"Validation loss is lowest at {_text(best.value)} ({best.mean:.2f}) and highest at "
        f"{_text(worst.value)} ({worst.mean:.2f}); "
        f"{varies if least_seeds > 1 else 'of one seed, so chance is not measured'}."
    )
    same = [
        level.value
        for level in found
        if level is not best and level.mean - best.mean <= noise(found)
    ]
    if same:
        names = ", ".join(_text(value) for value in same)
        sentences.append(f"Not told apart from the best by these runs: {names}.")
    return sentences


def _text(value: parameters.Value) -> str:
    return parameters.text_of(value)


def _ends(sweep: sweeps.Sweep, key: str) -> tuple[Level, Level] | None:
    """The levels of the first and the last value; None when there are not two."""
    found = levels(sweep, key)
    return (found[0], found[-1]) if len(found) > 1 else None


def _change(sweep: sweeps.Sweep, key: str, name: str, unit: str, digits: int = 1) -> list[str]:
    """'Peak memory goes from 3.1 GiB at 1 to 5.2 GiB at 16', where the ends differ."""
    ends = _ends(sweep, key)
    if ends is None:
        return []
    first, last = ends
    if abs(last.mean - first.mean) <= max(noise(levels(sweep, key)), _one_record(sweep, key)):
        return []
    return [
        f"{name} goes from {first.mean:.{digits}f}{unit} at {_text(first.value)} to "
        f"{last.mean:.{digits}f}{unit} at {_text(last.value)}."
    ]


def _one_record(sweep: sweeps.Sweep, key: str) -> float:
    """What one record more or less can change a score by: no finding rests on it."""
    records = sweep.about.get("test_records")
    return 1 / records if records and key in recording.SCORES else 0.0


def _learning_rate(sweep: sweeps.Sweep) -> list[str]:
    found = {level.value: level for level in levels(sweep)}
    default, start = found.get(2e-5), found.get(2e-4)
    if not (default and start) or default.mean - start.mean <= noise(list(found.values())):
        return []
    best = min(found.values(), key=lambda level: level.mean)
    steps = levels(sweep, "steps")[0].mean
    return [
        f"After these {steps:.0f} steps the library's default of 2e-05 is at {default.mean:.2f}, "
        f"the lab's start value of 0.0002 at {start.mean:.2f}, {_text(best.value)} at "
        f"{best.mean:.2f}: a short run needs a higher rate."
    ]


def _epochs(sweep: sweeps.Sweep) -> list[str]:
    train = {level.value: level.mean for level in levels(sweep, "final_train_loss")}
    found = levels(sweep)
    sentences = _change(sweep, "cpu_seconds", "Processor time", " s", 0)
    if len(found) < 2 or not train:
        return sentences
    first, last = found[0], found[-1]
    gaps = [level.mean - train[level.value] for level in (first, last)]
    if gaps[1] > gaps[0] + noise(found):
        best = min(found, key=lambda level: level.mean)
        turned = (
            f"it is lowest at {_text(best.value)} epochs and rises again"
            if last.mean > best.mean + noise(found)
            else "it has not turned yet"
        )
        sentences.append(
            f"Training loss ({train[last.value]:.2f} at {_text(last.value)}) falls faster than "
            f"validation loss ({last.mean:.2f}): {turned}."
        )
    return sentences


def _batch(sweep: sweeps.Sweep) -> list[str]:
    steps = _change(sweep, "steps", "The number of optimiser steps", "", 0)
    return steps + _change(sweep, "peak_memory_gb", "Peak memory", " GiB")


def _accumulation(sweep: sweeps.Sweep) -> list[str]:
    sentences = _change(sweep, "steps", "The number of optimiser steps", "", 0)
    sentences += _same_time(sweep)
    found = levels(sweep, "peak_memory_gb")
    if len(found) > 1:
        low, high = min(x.mean for x in found), max(x.mean for x in found)
        sentences.append(
            f"Peak memory stays between {low:.1f} and {high:.1f} GiB: accumulation adds batches "
            "one after the other."
            if high - low < 0.1 * high
            else f"Peak memory lies between {low:.1f} and {high:.1f} GiB."
        )
    return sentences


def _same_time(sweep: sweeps.Sweep) -> list[str]:
    """The processor time, where the values need about the same."""
    found = levels(sweep, "cpu_seconds")
    if len(found) < 2:
        return []
    low, high = min(x.mean for x in found), max(x.mean for x in found)
    if high - low >= ABOUT * high:
        return []
    return [
        f"Processor time stays between {low:.0f} and {high:.0f} s: the passes through the model "
        "are the same ones, only the optimiser acts less often."
    ]


def _max_length(sweep: sweeps.Sweep) -> list[str]:
    sentences = _change(sweep, "field_f1", "Field F1", "", 2)
    rows = [run["new_tokens"] for run in sweep.runs if run.get("new_tokens")]
    if rows:
        # Mean over seeds for each limit on the answer.
        limits = [row["max_new_tokens"] for row in rows[0]]
        means = {
            limit: sum(row[i]["field_f1"] for row in rows) / len(rows)
            for i, limit in enumerate(limits)
        }
        full = means[limits[-1]]
        enough = next(limit for limit in limits if means[limit] >= 0.99 * full)
        sentences.append(
            f"max_new_tokens: the start's answers reach their full field F1 of {full:.2f} from "
            f"{enough} tokens on; cut at {limits[0]} they score {means[limits[0]]:.2f}."
        )
    return sentences


def _rank(sweep: sweeps.Sweep) -> list[str]:
    ends = _ends(sweep, "adapter_mb")
    if ends is None:
        return []
    first, last = ends
    return [
        f"The adapter's file grows from {first.mean:.1f} MB at r = {_text(first.value)} to "
        f"{last.mean:.1f} MB at r = {_text(last.value)}. Alpha stayed the same, so alpha / r, the "
        "loudness, fell at the same time."
    ]


def _mlp(sweep: sweeps.Sweep) -> list[str]:
    ends = _ends(sweep, "trainable_parameters")
    if ends is None:
        return []
    sentences = [
        f"The adapter has {ends[0].mean / 1e6:.2f} million parameters on attention only and "
        f"{ends[1].mean / 1e6:.2f} million with the MLP layers."
    ]
    return sentences + _change(sweep, "cpu_seconds", "Processor time", " s", 0)


def _precision(sweep: sweeps.Sweep) -> list[str]:
    seconds = {level.value: level.mean for level in levels(sweep, "cpu_seconds")}
    memory = {level.value: level.mean for level in levels(sweep, "peak_memory_gb")}
    if not {"fp32", "bf16"} <= seconds.keys():
        return []
    has = "has" if sweep.about.get("hardware", {}).get("cpu_bf16") else "does not have"
    return [
        f"On the processor of these runs, which {has} instructions for it, bf16 takes "
        f"{seconds['bf16'] / seconds['fp32']:.1f} times the processor time of fp32 and "
        f"{memory['bf16'] / memory['fp32']:.1f} times the memory. fp16 needs a GPU and was not "
        "run; the failure gallery has a stand-in."
    ]


def _dropout(sweep: sweeps.Sweep) -> list[str]:
    return _change(sweep, "cpu_seconds", "Processor time", " s", 0)


def _logging(sweep: sweeps.Sweep) -> list[str]:
    runs = [run for run in sweep.runs if run["status"] == "ok"]
    if not runs:
        return []
    losses = [entry["loss"] for entry in runs[0]["log"] if "loss" in entry]
    return [
        f"The start's run has {len(losses)} steps: logged at every step its curve has "
        f"{len(losses)} points, every 8 steps only {len(losses) // 8}. The trained weights are the "
        "same, so no run was made for it."
    ]


_OWN: dict[str, Any] = {
    "learning_rate": _learning_rate,
    "num_train_epochs": _epochs,
    "per_device_train_batch_size": _batch,
    "gradient_accumulation_steps": _accumulation,
    "max_length": _max_length,
    "lora_r": _rank,
    "lora_dropout": _dropout,
    "include_mlp": _mlp,
    "precision": _precision,
    "logging_steps": _logging,
}
