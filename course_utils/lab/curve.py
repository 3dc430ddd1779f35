"""The learning curve: field F1 on gold work orders against the number of training records.

course curve --seeds 1,2,3 --resume      # makes data/curve/*.json, goes on where it was stopped

Each run trains the `cpu` preset's adapter on the first records of a pool that its seed has
shuffled, and fits the cheap rivals on the same records; all are asked the same gold orders. The
sets of one seed lie in each other: 50 records are the 20 and 30 more. A run has a file of its own,
which is there whole or not at all.

Rule for the length: as many passes as the preset trains, but at least `least_steps` optimiser
steps, in whole passes. One pass over 20 records is 5 steps, in which no adapter learns even the
form of an answer: the curve would show the number of steps and not that of records.
"""

import hashlib
import json
import math
import os
import random
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from course_utils import (
    chat,
    hardware,
    kit,
    metrics,
    models,
    records,
    rivals,
    sources,
)
from course_utils.console import console as make_console
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.generation import generate_answers
from course_utils.lab import parameters, recording
from course_utils.rival_results import best_rival, interval_of
from course_utils.runs import find_root
from course_utils.settings import preset_settings

FOLDER = kit.DATA / "curve"
PRESET = "cpu"
SIZES = (20, 50, 100, 200, 400, 800, 1600)  # and all that there are
DRAW = 1  # seed of the gold orders that are asked, and of the validation part: of no run
SHOWN = 3  # answers kept to read
# Of the settings: what a run's size or machine decides.
OWN = ("num_train_epochs", "logging_steps", "precision")


@dataclass(frozen=True)
class Scale:
    """What all runs of a curve have in common, beside the preset.

    220 of the 440 gold orders, drawn once: half the time of all of them, and an interval of about
    0.02 on each side of a field F1 of 0.9. The model's answers take most of a small run.
    """

    test_records: int = 220
    val_records: int = 64
    least_steps: int = 200


@dataclass(frozen=True)
class Job:
    """One run to make: so many training records, drawn with this seed."""

    size: int
    seed: int
    passes: int

    @property
    def name(self) -> str:
        """The file that keeps it, without the ending."""
        return f"records-{self.size:04d}-seed-{self.seed}"

    def estimate(self, scale: Scale) -> float:
        """Seconds that it may take on one thread."""
        passes = self.size * self.passes
        return recording.estimate(passes, 3 * scale.val_records, scale.test_records)

    def __str__(self) -> str:
        return f"{self.size} records, seed {self.seed}"


@dataclass(frozen=True)
class Data:
    """Where the records come from: a pool to train on, validation and gold orders."""

    pool: list[dict]
    val: list[dict]
    test: list[dict]

    def first(self, size: int, seed: int) -> list[dict]:
        """The first `size` records of the pool in the order that a seed draws."""
        return random.Random(seed).sample(self.pool, len(self.pool))[:size]


def load_data(scale: Scale) -> Data:
    """Silver records to train and validate on, no near copy in both; gold orders to be asked."""
    cleaned = sources.clean_work_orders(sources.load_work_orders())
    sizes = {"val": scale.val_records, "test": scale.test_records}
    parts = sources.split_work_orders(cleaned, sizes, DRAW)
    held = {record["group"] for record in parts["val"]}
    pool = [record for record in cleaned.records if record["group"] not in held]
    return Data(pool, parts["val"], parts["test"])


# ---------------------------------------------------------------- what is to be run
def settings_of() -> dict[str, parameters.Value]:
    """The preset's values of the lab's parameters; `OWN` ones are set by each run."""
    preset = preset_settings(PRESET)
    names = [name for name in parameters.SETTABLE if hasattr(preset, name) and name not in OWN]
    return {name: getattr(preset, name) for name in names}


def passes_for(size: int, least_steps: int) -> int:
    """Whole passes over so many records: the preset's, or more to reach the least steps."""
    steps = math.ceil(size / preset_settings(PRESET).effective_batch_size)  # of one pass
    return max(least_passes(), math.ceil(least_steps / steps))


def least_passes() -> int:
    """The preset's epochs, in whole ones."""
    return math.ceil(preset_settings(PRESET).num_train_epochs)


def plan(sizes: Iterable[int | str], seeds: Sequence[int], data: Data, scale: Scale) -> list[Job]:
    """All runs, seed by seed, so that an interrupted curve has every size at least once.

    `all` is the whole pool. Raises CourseError for a size that the pool does not have.
    """
    everything = len(data.pool)
    numbers = {everything if size == "all" else int(size) for size in sizes}
    for size in numbers:
        if not 2 <= size <= everything:
            raise CourseError(
                f"{size} training records: there are {everything}", f"choose 2 to {everything}"
            )
    return [
        Job(size, seed, passes_for(size, scale.least_steps))
        for seed in seeds
        for size in sorted(numbers)
    ]


def about_of(data: Data, base_model: str, scale: Scale) -> dict[str, Any]:
    """What makes runs comparable: two runs where this differs are not drawn in one curve."""
    return {
        "track": "manufacturing (real work orders, text to JSON)",
        "base_model": base_model,
        "preset": PRESET,
        **asdict(scale),
        "least_passes": least_passes(),
        "pool_records": len(data.pool),
        "settings": settings_of(),
        "pool_sha256": _digest(data.pool),
        "test_sha256": _digest(data.test),
    }


def _digest(part: Sequence[dict]) -> str:
    rows = sorted((r["instruction"], r["input"], r["output"]) for r in part)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


# ---------------------------------------------------------------- one run
def run_job(
    job: Job,
    target: Path,
    files: Mapping[int, Mapping[int, Path]],
    parts: Mapping[str, Path],
    about: Mapping[str, Any],
    made_by: str,
) -> None:
    """Train, ask, fit the rivals; write the RUN to `target`. A failure is recorded as such."""
    train = files[job.seed][job.size]
    settings = _run_settings(job, about)
    run: dict[str, Any] = {"records": job.size, "seed": job.seed, "passes": job.passes}
    run |= {"about": dict(about), "made_by": made_by, "settings": settings}
    run |= {"rivals": {}, "rival": None, "over_rival": None}

    def train_and_score(words: Sequence[str]) -> None:
        model, tokenizer = recording.train(words, run)  # stays where the scoring fails
        run.update(_scored(model, tokenizer, settings, train, parts["test"]))

    def words_of(work: Path) -> list[str]:
        return _arguments(settings, job.seed, about["base_model"], train, parts["val"], work)

    recording.record_run(run, target, words_of, train_and_score)


def _run_settings(job: Job, about: Mapping[str, Any]) -> dict[str, parameters.Value]:
    names = ("per_device_train_batch_size", "gradient_accumulation_steps")
    steps = job.passes * math.ceil(job.size / math.prod(about["settings"][name] for name in names))
    return parameters.checked(
        {
            **about["settings"],
            "num_train_epochs": job.passes,
            "logging_steps": max(1, steps // 50),  # enough for a curve, little in the file
            "precision": hardware.choose_precision(hardware.detect())[0],
        }
    )


def _arguments(
    settings: Mapping[str, Any], seed: int, base_model: str, train: Path, val: Path, work: Path
) -> list[str]:
    """The words after `train_lora.py` that make this run."""
    more = ["--eval_data", str(val), "--evaluations", "2", "--no_checkpoints"]
    more += ["--eval_batch_size", "16", "--seed", str(seed), "--base_model", base_model]
    line = parameters.to_command(settings, str(train), str(work / "adapter"), more)
    return shlex.split(line)[2:]


def _scored(
    model: Any, tokenizer: Any, settings: Mapping[str, Any], train: Path, test: Path
) -> dict[str, Any]:
    """Scores of tuned model and rivals on the gold orders, and tuned minus the best rival."""
    asked, known = records.read_records(test), records.read_records(train)
    references = [record["output"] for record in asked]
    prompts = [chat.record_messages(record, tokenizer)["prompt"] for record in asked]
    batch = preset_settings(PRESET).eval_batch_size  # batches of like length, longest first
    answers = generate_answers(model, tokenizer, prompts, settings["max_new_tokens"], batch)
    others = rivals.answer(known, asked)
    scored = {
        name: {**recording.scores(one.answers, references), "seconds": round(one.seconds, 3)}
        for name, one in others.items()
    }
    best = best_rival(scored, "field_f1")
    before = {"predictions": others[best].answers, "references": references}
    difference = metrics.paired_bootstrap(
        before, {"predictions": answers, "references": references}, 1000, DRAW
    )
    return {
        **recording.scores(answers, references),
        "rivals": scored,
        "rival": best,
        "over_rival": interval_of(difference["field_f1"]),
        "answers": [
            {"input": r["input"], "reference": r["output"], "answer": a[:400]}
            for r, a in zip(asked[:SHOWN], answers, strict=False)
        ],
    }


# ---------------------------------------------------------------- many runs
def run_curve(
    jobs: Sequence[Job],
    data: Data,
    scale: Scale,
    folder: Path,
    work: Path,
    base_model: str = models.EMBEDDED,
    parallel: int = 1,
    resume: bool = False,
    made_by: str = "course curve --resume",
    console: Any = None,
) -> recording.Outcome:
    """Make the runs that are missing; each has its file as soon as it is done.

    Raises CourseError when `folder` holds runs and `resume` is false, or runs of another kind.
    """
    models.prepare_model(base_model) if base_model in models.MADE_HERE else None
    about = about_of(data, base_model, scale)
    done = _done(folder, about, resume)
    todo = [job for job in jobs if job.name not in done]
    outcome = recording.Outcome(kept=len(jobs) - len(todo))
    files, parts = _write_data(todo, data, work / "data")
    body = partial(run_job, files=files, parts=parts, about=about, made_by=made_by)
    estimates = [job.estimate(scale) for job in todo]
    clock = recording.Clock(estimates, console or make_console(), parallel)
    for job, run, seconds in recording.in_processes(todo, body, work, parallel):
        if run is None or run["status"] == "failed":
            outcome.failed.append(f"{job}: {run['error'] if run else recording.DIED}")
            clock.tell(f"{job}: failed", job.estimate(scale), seconds)
            continue
        write_json_atomic(folder / f"{job.name}.json", run)
        outcome.made += 1
        clock.tell(f"{job}: {_told(run)}", job.estimate(scale), seconds)
    return outcome


def _told(run: Mapping[str, Any]) -> str:
    rival = run["rivals"][run["rival"]]["field_f1"]
    return (
        f"{run['steps']} steps, field F1 {run['field_f1']:.3f} "
        f"(best rival: {run['rival']} {rival:.3f})"
    )


def _done(folder: Path, about: Mapping[str, Any], resume: bool) -> set[str]:
    """Names of the runs that are there; CourseError where they cannot be gone on with."""
    found = sorted(folder.glob("records-*.json"))
    if found and not resume:
        raise CourseError(
            f"{folder} already holds runs",
            "add --resume to make those that are missing, or --out for another folder",
        )
    for path in found:
        if other := _differences(_read_run(path)["about"], about):
            raise CourseError(
                f"{path}: its run has another {other[0]}",
                "runs of two kinds do not compare: give --out another folder",
            )
    return {path.stem for path in found}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    names = {**one, **other}
    return [name for name in names if one.get(name) != other.get(name)]


def _write_data(
    jobs: Sequence[Job], data: Data, folder: Path
) -> tuple[dict[int, dict[int, Path]], dict[str, Path]]:
    """({seed: {size: training file}}, {"val", "test": file}), their names relative to the kit."""

    def write(name: str, part: Sequence[dict]) -> Path:
        path = records.write_records(folder / f"{name}.jsonl", part)
        # Relative names stand in the recorded commands: they hold on every machine.
        return Path(os.path.relpath(path, find_root()))

    files: dict[int, dict[int, Path]] = {}
    for job in jobs:
        part = data.first(job.size, job.seed)
        files.setdefault(job.seed, {})[job.size] = write(f"train-{job.seed}-{job.size}", part)
    return files, {"val": write("val", data.val), "test": write("test", data.test)}


# ---------------------------------------------------------------- reading
@dataclass(frozen=True)
class Curve:
    """The recorded runs, by size and seed, and what they have in common."""

    about: dict[str, Any]
    runs: list[dict[str, Any]]

    def sizes(self) -> list[int]:
        """Numbers of training records, ascending."""
        return sorted({run["records"] for run in self.runs})

    def seeds(self) -> list[int]:
        return sorted({run["seed"] for run in self.runs})

    def methods(self) -> list[str]:
        """The tuned model and the rivals that every run has."""
        return ["tuned", *(self.runs[0]["rivals"] if self.runs else ())]

    def scores(self, method: str, size: int) -> list[float]:
        """Field F1 of a method with so many records, one a seed."""
        at = [run for run in self.runs if run["records"] == size]
        return [run["field_f1"] if method == "tuned" else run["rivals"][method]["field_f1"]
                for run in at]  # fmt: skip


def read_curve(folder: Path = FOLDER) -> Curve:
    """The recorded runs of a folder; none is an empty curve.

    Raises CourseError for a broken file, and where two runs were made in two ways.
    """
    found = [(path, _read_run(path)) for path in sorted(folder.glob("records-*.json"))]
    if not found:
        return Curve({}, [])
    first, about = found[0][0], found[0][1]["about"]
    for path, run in found:
        if other := _differences(run["about"], about):
            raise CourseError(
                f"{path}: its run and that of {first.name} have another {other[0]}",
                "runs of two kinds do not compare: keep one kind in the folder",
            )
    return Curve(about, sorted((run for _, run in found), key=_order))


def _order(run: Mapping[str, Any]) -> tuple[int, int]:
    return run["records"], run["seed"]


def _read_run(path: Path) -> dict[str, Any]:
    run = read_json(path)
    needed = ("about", "records", "seed", "field_f1", "rivals")
    if not isinstance(run, dict) or any(name not in run for name in needed):
        raise CourseError(f"{path}: this is no run of a learning curve", "remove it")
    return run
