"""Recorded sweeps: one parameter at a time around the centre, each run with its command and seed.

course sweep --resume                    # makes data/sweeps/*.json, goes on where it was stopped
course sweep --only learning_rate,lora_r --seeds 1,2,3 --resume
course sweep --resume --replace          # runs of another centre give way, a parameter at a time

Each run is the `main` of train_lora.py in a process of its own, and is scored on held-out records
afterwards. Files: start.json (the centre, shared by all parameters), one for each parameter, and
failures.json (the failure gallery). Runs of two centres never meet in one figure: while a
parameter's runs are replaced, the new ones wait in new/ until they are whole, and the old centre
stays in start_before.json as long as a parameter needs it.
"""

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from course_utils import chat, hardware, kit, models, records, runs, sources
from course_utils.console import console as make_console
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.generation import generate_answers
from course_utils.lab import parameters, recording
from course_utils.runs import find_root

FOLDER = kit.DATA / "sweeps"
BEFORE = "start_before.json"
# 60 optimiser steps of 4 records. It is a short run, so its learning rate is higher than the lab's
# start value, which is meant for long ones; accumulation is 2 and not 8, or 60 steps would be 960
# records; nothing is longer than 128 tokens; dropout is slow on a CPU; and fp32 is the one format
# that every processor is quick in, so anybody can make these runs again.
CENTRE: dict[str, parameters.Value] = parameters.start_values() | {
    "learning_rate": 1e-3,
    "gradient_accumulation_steps": 2,
    "max_length": 128,
    "max_new_tokens": 56,
    "lora_dropout": 0.0,
    "precision": "fp32",
    "logging_steps": 1,
}
# In the order in which they are recorded: what matters most first.
VALUES: dict[str, tuple[parameters.Value, ...]] = {
    "learning_rate": (2e-5, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3),
    "num_train_epochs": (0.5, 1, 2, 3, 5),
    "lora_r": (2, 4, 16, 32, 64),
    "lora_alpha": (8, 16, 32, 64, 128),
    "lora_dropout": (0.0, 0.05, 0.1, 0.2, 0.5),
    "include_mlp": (False, True),
    "per_device_train_batch_size": (1, 2, 4, 8, 16),
    "gradient_accumulation_steps": (1, 2, 4, 8, 16),
    "max_length": (40, 48, 56, 64, 128),
    "warmup_ratio": (0.0, 0.03, 0.1, 0.2, 0.4),
    "lr_scheduler_type": parameters.SCHEDULERS,
    "precision": ("fp32", "bf16"),
}
# Seeds of a parameter whose effect is small beside that of a seed, and of the others.
SEEDS, FEWER_SEEDS = (1, 2, 3), (1, 2)
MORE_SEEDS = ("start", "learning_rate", "num_train_epochs", "lora_r", "lora_alpha")
MORE_SEEDS += ("lora_dropout", "include_mlp")
WITHOUT_TEMPLATE = 24  # records, asked one by one
NEW_TOKENS = (4, 8, 12, 16, 24, 32, 40, 56)
# The gallery: what is done wrong, and the options of train_lora.py that do it.
FAILURES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "learning_rate_times_10": ({"learning_rate": 5e-2}, ()),  # of the highest that learned
    "padding_learned": ({}, ("--learn_padding", "true")),
    "eos_not_learned": ({}, ("--learn_eos", "false")),
    "answers_truncated": ({"max_length": 44}, ()),
    "fp16_adapter": ({}, ("--adapter_dtype", "fp16")),
    "no_warmup": ({"learning_rate": 1e-2, "warmup_ratio": 0.0}, ()),
    "long_warmup": ({"learning_rate": 1e-2, "warmup_ratio": 0.4}, ()),
}
# 64 records to validate on and 64 to be asked: one of them is 1.6 % of a mean.
SIZES = {"train": 120, "val": 64, "test": 64}
# Runs that differ in one of these were made in two ways, and do not compare.
KIND = ("centre", "base_model", "train_records", "val_records", "test_records")


@dataclass(frozen=True)
class Job:
    """One run to make: which parameter takes which value, with which seed."""

    parameter: str  # a parameter's name, "start" or a failure's name
    value: parameters.Value | None
    seed: int
    changes: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file that keeps it, without the ending."""
        return "failures" if self.parameter in FAILURES else self.parameter

    @property
    def key(self) -> tuple[str, str, int]:
        return self.parameter, json.dumps(self.value), self.seed

    def estimate(self, sizes: Mapping[str, int]) -> float:
        """Seconds that it may take on one thread."""
        passes = sizes["train"] * float((CENTRE | self.changes)["num_train_epochs"])
        more = sizes["test"] if self.parameter == "start" else 0  # asked again, another way
        return recording.estimate(passes, 3 * sizes["val"], sizes["test"] + more)

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {parameters.text_of(self.value)}"
        return f"{self.parameter}{value}, seed {self.seed}"


@dataclass(frozen=True)
class Sweep:
    """The recorded runs of one parameter; the centre's runs are among them."""

    parameter: str
    about: dict[str, Any]
    runs: list[dict[str, Any]]

    def values(self) -> list[parameters.Value]:
        """The values with runs, in slider order: numbers by size, whichever are planned today."""
        order = list(VALUES.get(self.parameter, ()))
        found = {json.dumps(run["value"]): run["value"] for run in self.runs}
        if all(isinstance(value, int | float) for value in found.values()):
            return sorted(found.values())
        place = {json.dumps(value): i for i, value in enumerate(order)}
        return sorted(found.values(), key=lambda value: place.get(json.dumps(value), len(order)))

    def of_value(self, value: parameters.Value) -> list[dict[str, Any]]:
        """All runs (one a seed) with this value."""
        return [run for run in self.runs if run["value"] == value]


def read_sweep(parameter: str, folder: Path = FOLDER) -> Sweep:
    """The recorded runs of a parameter, of "start" or of "failures".

    A parameter that does not change the training has the centre's runs alone. Raises CourseError
    for an unknown name, for a file that is missing or broken, and where the runs of a parameter
    and of the centre were made in two ways.
    """
    known = {*parameters.PARAMETERS, "start", "failures"}
    if parameter not in known:
        raise CourseError(f"{parameter}: no such sweep", f"choose among {', '.join(sorted(known))}")
    own = folder / f"{parameter}.json"
    if parameter in ("start", "failures"):
        content = _read_file(own)
        return Sweep(parameter, content["about"], content["runs"])
    own = own if own.is_file() else folder / "start.json"
    about, runs = _read_file(own)["about"], []
    start = start_of(about, own, folder)
    if own.name != "start.json":
        runs = _read_file(own)["runs"]
        seeds = {run["seed"] for run in runs}  # the centre may have more
        start = [run for run in start if run["seed"] in seeds]
    value = about["centre"][parameter]
    return Sweep(
        parameter, about, runs + [{**run, "parameter": parameter, "value": value} for run in start]
    )


def start_of(about: Mapping[str, Any], of: Path, folder: Path = FOLDER) -> list[dict[str, Any]]:
    """The centre's runs that were made as `about` says; CourseError where there are none."""
    differs: list[str] = []
    for path in (folder / "start.json", folder / BEFORE):
        if path.is_file() or path.name == "start.json":
            content = _read_file(path)
            found = differences(content["about"], about)
            if not found:
                return content["runs"]
            differs = differs or found
    raise CourseError(
        f"{of}: its runs and those of start.json have another {differs[0]}",
        "runs of two kinds do not compare: course sweep --resume --replace",
    )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In what of `KIND` two recordings differ."""
    return [name for name in KIND if one.get(name) != other.get(name)]


def _read_file(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not (isinstance(content, dict) and isinstance(content.get("runs"), list)):
        raise CourseError(f"{path}: this is no sweep file", "make it anew: course sweep --resume")
    return content


# ---------------------------------------------------------------- what is to be run
def plan(seeds: Sequence[int] = (), only: Iterable[str] = ()) -> list[Job]:
    """All runs, parameter by parameter, so that an interrupted sweep has whole ones.

    Without seeds each parameter has its own number of them. Raises CourseError for a name that is
    no parameter with runs of its own.
    """
    known = ["start", *VALUES]
    known.insert(known.index(MORE_SEEDS[-1]) + 1, "failures")
    wanted = set(only or known)
    for name in wanted - set(known):
        raise CourseError(f"{name}: nothing to sweep", f"choose among {', '.join(known)}")
    return [job for name in known if name in wanted for job in _jobs_of(name, seeds)]


def _jobs_of(name: str, seeds: Sequence[int]) -> list[Job]:
    seeds = seeds or (SEEDS if name in MORE_SEEDS else FEWER_SEEDS)
    if name == "start":
        return [Job("start", None, seed) for seed in seeds]
    if name == "failures":  # one run shows a symptom
        return [Job(n, None, seeds[0], c, options) for n, (c, options) in FAILURES.items()]
    others = [value for value in VALUES[name] if value != CENTRE[name]]
    return [Job(name, value, seed, {name: value}) for seed in seeds for value in others]


def prepare_data(folder: Path, sizes: Mapping[str, int] = SIZES, seed: int = 1) -> dict[str, Path]:
    """train, val and test.jsonl of real work orders; near copies never stand in two parts."""
    cleaned = sources.clean_work_orders(sources.load_work_orders())
    parts = sources.split_work_orders(cleaned, dict(sizes), seed)
    return {n: records.write_records(folder / f"{n}.jsonl", part) for n, part in parts.items()}


def arguments_of(job: Job, work: Path, data: Mapping[str, Path], base_model: str) -> list[str]:
    """The words after `train_lora.py` that make this run."""
    settings = CENTRE | job.changes
    more = ["--eval_data", str(data["val"]), "--evaluations", "2", "--no_checkpoints"]
    more += ["--eval_batch_size", "20", "--seed", str(job.seed), "--base_model", base_model]
    line = parameters.to_command(
        settings, str(data["train"]), str(work / "adapter"), [*more, *job.options]
    )
    return shlex.split(line)[2:]


# ---------------------------------------------------------------- one run
def run_job(job: Job, target: Path, data: Mapping[str, Path], base_model: str) -> None:
    """Train and score; write the RUN to `target`. A run that fails is recorded with its error."""
    record: dict[str, Any] = {
        "parameter": job.parameter,
        "value": job.value,
        "seed": job.seed,
        "settings": CENTRE | job.changes,
    }

    def train_and_score(words: Sequence[str]) -> None:
        model, tokenizer = recording.train(words, record)  # stays where the scoring fails
        record.update(_scored(job, model, tokenizer, records.read_records(data["test"])))

    def words_of(work: Path) -> list[str]:
        return arguments_of(job, work, data, base_model)

    recording.record_run(record, target, words_of, train_and_score)


def _scored(job: Job, model: Any, tokenizer: Any, test: Sequence[dict]) -> dict[str, Any]:
    """Scores of greedy answers to held-out records, with three of them to read."""
    prompts = [chat.record_messages(record, tokenizer)["prompt"] for record in test]
    limit = int((CENTRE | job.changes)["max_new_tokens"])
    answers = generate_answers(model, tokenizer, prompts, limit, len(test))
    references = [record["output"] for record in test]
    found = recording.scores(answers, references)
    found["answers"] = [
        {"input": r["input"], "reference": r["output"], "answer": a[:400]}
        for r, a in list(zip(test, answers, strict=True))[:3]
    ]
    if job.parameter == "start":
        found["new_tokens"] = _cut_answers(answers, references, tokenizer)
        few = slice(WITHOUT_TEMPLATE)
        wrong = _without_template(model, tokenizer, test[few], limit)
        wrong["with_template"] = recording.scores(answers[few], references[few])
        found["wrong_template"] = wrong
    return found


def _cut_answers(answers: Sequence[str], references: Sequence[str], tokenizer: Any) -> list[dict]:
    """What a smaller max_new_tokens would have scored: the same answers, cut by tokens.

    Greedy decoding writes the same beginning whatever the limit, so no second run is needed.
    """
    ids = [tokenizer(answer, add_special_tokens=False)["input_ids"] for answer in answers]
    rows = []
    for limit in NEW_TOKENS:
        cut = [tokenizer.decode(row[:limit]) for row in ids]
        rows.append({"max_new_tokens": limit, **recording.scores(cut, references)})
    return rows


def _without_template(model: Any, tokenizer: Any, test: Sequence[dict], limit: int) -> dict:
    """The same adapter asked without the chat template: the failure gallery's third picture."""
    import torch

    answers = []
    for record in test:
        text = f"{record['instruction']}\n{record['input']}\n"
        ids = tokenizer(text, return_tensors="pt").to(model.device)
        with torch.no_grad():
            row = model.generate(
                **ids,
                max_new_tokens=limit,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                disable_compile=True,
            )[0]
        answers.append(tokenizer.decode(row[ids["input_ids"].shape[1] :], skip_special_tokens=True))
    rows = [
        {"input": r["input"], "reference": r["output"], "answer": a.strip()[:400]}
        for r, a in zip(test, answers, strict=True)
    ]
    scores = recording.scores(answers, [record["output"] for record in test])
    return {**scores, "records": len(test), "answers": rows[:3]}


# ---------------------------------------------------------------- many runs
def run_sweep(
    jobs: Sequence[Job],
    folder: Path,
    work: Path,
    base_model: str = models.EMBEDDED,
    parallel: int = 1,
    resume: bool = False,
    made_by: str = "course sweep --resume",
    sizes: Mapping[str, int] = SIZES,
    console: Any = None,
    replace: bool = False,
) -> recording.Outcome:
    """Make the runs that are missing, `parallel` at a time; each is kept as soon as it is done.

    Raises CourseError when `folder` holds runs and `resume` is false, or runs of another kind and
    `replace` is false.
    """
    models.prepare_model(base_model) if base_model in models.MADE_HERE else None
    about = _about(base_model, made_by, sizes)
    store = Store(folder, about, resume, replace)
    done = store.done()
    todo = [job for job in jobs if job.key not in done]
    outcome = recording.Outcome(kept=len(jobs) - len(todo))
    data = prepare_data(work / "data", sizes)
    # Relative names stand in the recorded commands: they hold on every machine.
    data = {name: Path(os.path.relpath(path, find_root())) for name, path in data.items()}
    body = partial(run_job, data=data, base_model=base_model)
    estimates = [job.estimate(sizes) for job in todo]
    clock = recording.Clock(estimates, console or make_console(), parallel)
    store.publish()
    for job, found, seconds in recording.in_processes(todo, body, work, parallel):
        run = found or _lost(job, seconds)
        store.add(job, run)
        outcome.made += 1
        if run["status"] == "failed" and job.parameter not in FAILURES:
            outcome.failed.append(f"{job}: {run['error']}")
        clock.tell(f"{job}: {_told(run)}", job.estimate(sizes), seconds)
    return outcome


def _told(run: Mapping[str, Any]) -> str:
    loss = run["eval_loss"]
    return run["status"] if loss is None else f"validation loss {loss:.3f}"


def _lost(job: Job, seconds: float) -> dict[str, Any]:
    """The RUN of a process that died."""
    run = {"parameter": job.parameter, "value": job.value, "seed": job.seed}
    run |= {"settings": CENTRE | job.changes, "status": "failed", "log": [], "answers": []}
    run |= dict.fromkeys((*recording.KEPT, *recording.SCORES, "adapter_mb"))
    run |= {"error": recording.DIED, "total_seconds": round(seconds, 1), "finished": None}
    return run


def _about(base_model: str, made_by: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "track": "manufacturing (real work orders, text to JSON)",
        "base_model": base_model,
        **{f"{name}_records": count for name, count in sizes.items()},
        "centre": CENTRE,
        "made_by": made_by,
        "versions": runs.versions(),
        "hardware": hardware.detect().to_dict(),
    }


class Store:
    """The files of a recording: those of its own kind, and beside them what it will replace."""

    def __init__(self, folder: Path, about: dict[str, Any], resume: bool, replace: bool) -> None:
        self.folder, self.about = folder, about
        self.old: set[str] = set()  # names of files whose runs are of another kind
        self.files: dict[str, dict[str, Any]] = {}
        for name in ("start", *VALUES, "failures"):
            if (folder / f"{name}.json").is_file():
                self._open(name, folder / f"{name}.json", resume, replace)
            waiting = folder / "new" / f"{name}.json"
            if name not in self.files and waiting.is_file():
                content = _read_file(waiting)
                if not differences(content["about"], about):
                    self.files[name] = content
        for content in self.files.values():  # what failed is tried again
            content["runs"] = [run for run in content["runs"] if run["status"] != "failed"]

    def _open(self, name: str, path: Path, resume: bool, replace: bool) -> None:
        content = _read_file(path)
        if content["runs"] and not resume:
            raise CourseError(
                f"{self.folder} already holds runs",
                "add --resume to make those that are missing, or --out for another folder",
            )
        found = differences(content["about"], self.about)
        if found and not replace:
            raise CourseError(
                f"{path}: its runs have another {found[0]}",
                "runs of two kinds do not compare: give --out another folder, or --replace",
            )
        if found:
            self.old.add(name)
        else:
            self.files[name] = content

    def done(self) -> set[tuple[str, str, int]]:
        """Keys of the jobs whose runs are there."""
        return {_key(run) for content in self.files.values() for run in content["runs"]}

    def add(self, job: Job, run: dict[str, Any]) -> None:
        """Keep a run at once; where old runs stand in its place, it waits for the others."""
        content = self.files.setdefault(job.file, {"about": self.about, "runs": []})
        content["runs"].append(run)
        waits = self.folder / "new" if job.file in self.old else self.folder
        write_json_atomic(waits / f"{job.file}.json", content)
        self.publish()

    def publish(self) -> None:
        """Put whole sets of new runs in the place of the old ones, the centre first."""
        names = [name for name in ("start", *VALUES, "failures") if name in self.old]
        for name in names:
            centre_waits = name != "start" and "start" in self.old
            if not centre_waits and self._is_whole(name):
                path = self.folder / f"{name}.json"
                if name == "start":
                    os.replace(path, self.folder / BEFORE)
                os.replace(self.folder / "new" / path.name, path)
                self.old.remove(name)
        if names and not self.old:
            (self.folder / BEFORE).unlink(missing_ok=True)
            shutil.rmtree(self.folder / "new", ignore_errors=True)

    def _is_whole(self, name: str) -> bool:
        wanted = {job.key for job in plan(only=[name])}
        made = self.files.get(name, {"runs": []})["runs"]
        may_fail = name == "failures"
        return wanted <= {_key(run) for run in made if may_fail or run["status"] != "failed"}


def _key(run: Mapping[str, Any]) -> tuple[str, str, int]:
    return run["parameter"], json.dumps(run["value"]), run["seed"]
