"""The training script at work: a tiny model, records that nobody could know, and what it leaves.

The script runs in the sandbox in a copy of the submission's scripts. Nothing it prints counts, nor
its exit status, nor a figure in a log of its own: the loss of the adapter that it leaves is
computed by a process of ours, on records whose answers are random words drawn for this run.
"""

import json
import os
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from course_utils.assignments.configuration import ALL_LINEAR, LoraFile
from course_utils.assignments.folder import MB, Folder, show
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Outcome
from course_utils.execution.sandbox.place import Place, hand_over, read_back, remove
from course_utils.files import write_text_atomic
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import WEEK09_10
from course_utils.grading.judging.judgement import Judgement, earned, failed, undecided
from course_utils.grading.judging.models.common import mean_loss
from course_utils.grading.judging.registry import check
from course_utils.grading.judging.saying import advise, say
from course_utils.grading.probing.adapter import CONFIG, WEIGHTS, Adapter, make_adapter
from course_utils.grading.probing.bases import NotGradable, find_base
from course_utils.grading.results import Evidence
from course_utils.messages import Said
from course_utils.training import ATTENTION, MLP

MODEL = "nano"
SCRIPT, ADAPTER = "scripts/train.py", "models/finetuned_model"
RECORDS = {"train": 48, "val": 12, "test": 12}  # in the files; the configuration draws fewer
CODE = 4  # random words that every answer of a run is made of
SCORED = 12  # of those it trained on, whose loss tells whether it did
WALL = 240.0  # seconds; the reference solution takes 15 on an idle core
MOST_FILES, MOST_ADAPTER, MOST_STATE = 5_000, 100 * MB, 5 * MB
# Of the configuration stays what gives the adapter its shape; the rest makes the run short, and
# long enough for a loss that falls: 24 steps with a high rate on the tiny model.
SHORT = {
    "base_model": MODEL,
    "quantization": "none",
    "precision": "fp32",
    "learning_rate": 0.02,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "gradient_checkpointing": False,
    "warmup_ratio": 0.0,
    "lora_dropout": 0.0,
    "max_length": 256,
    "early_stopping_patience": 100,
    "evaluations": 3,
    "train_records": 48,
    "val_records": 6,
    "test_records": 6,
    "few_shot_examples": 1,
    "eval_batch_size": 6,
    "task_shares": {},  # the drawn records have no forms, and one document
    "test_shares": {},
}
# Share of its loss on the drawn records that training must take away. The tiny model has random
# weights, and embeddings of length 0.16 that nothing trains, so no logit gets above 8 x 0.16 = 1.3;
# twenty tokens to say share that, and of a loss of 10.8 few per cent can go. Seen: 2.3 % with
# rank 4 on q_proj and v_proj, 1.8 % with rank 1 on v_proj, 3.1 % with rank 8 on all layers.
FALLS = 0.005
# What only moves attention is little felt in a random model (rank 1 on k_proj took 0.1 %): there
# any fall counts.
MOVES_ATTENTION = {"q_proj", "k_proj"}
WORDS = (
    "amber",
    "basalt",
    "copper",
    "dune",
    "ember",
    "flint",
    "garnet",
    "hollow",
    "indigo",
    "jade",
)


@dataclass
class Left:
    """What the script left, as far as it could be read."""

    outcome: Outcome
    adapter: Adapter | None = None
    refused: str = ""  # why there is no adapter
    checkpoints: int = 0  # folders with an adapter and the trainer's state
    evaluations: int = 0  # evaluations that the trainer's state tells of
    trained_on: list[dict[str, str]] = field(default_factory=list)


@check(WEEK09_10, needs=("config_valid",), runs=True)
def training_runs(case: Case) -> Judgement:
    """A third each: evaluated and saved on the way; an adapter of the shape; a loss that fell."""
    if SCRIPT not in case.folder.files:
        return failed(feedback=advise(say("week09_10.judged.no_train_script")))
    try:
        base = find_base(MODEL)
    except NotGradable as problem:
        return undecided(f"not judged: {problem.message} ({problem.cure})")
    left = run_training(case)
    evidence = [Evidence(label="how the run ended", found=left.outcome.verdict.text)]
    shares, said = [], []
    for share, row, *problems in (_on_the_way(left), _shape(case, left), _loss(case, base, left)):
        shares.append(share)
        evidence.append(row)
        said += problems
    if left.outcome.stderr and sum(shares) < len(shares):
        last = left.outcome.stderr.strip().splitlines()[-1:] or [""]
        evidence.append(Evidence(label="its last line", found=show(last[0], 200)))
    return earned(case, sum(shares) / len(shares), *evidence, feedback=advise(*said))


def run_training(case: Case) -> Left:
    """Run scripts/train.py of this submission on random records, and read what it leaves."""
    place = case.box.place()
    try:
        records = _furnish(case, place)
        limits = case.limits.with_changes(wall=min(WALL, case.limits.wall or WALL))
        command = [sys.executable, str(place.folder / SCRIPT)]
        environment = {"OMP_NUM_THREADS": str(case.models.threads)}
        outcome = case.box.run_command(command, place, limits, environment=environment)
        # The folder of the copy is another in every run, and what it printed is shown.
        outcome = replace(outcome, stderr=place.outside(outcome.stderr))
        case.facts["train.py"] = outcome
        return _read_left(place, outcome, records["train"])
    finally:
        remove(place)


def _furnish(case: Case, place: Place) -> dict[str, list[dict[str, str]]]:
    """The submission's scripts, a short configuration of its own shape, and drawn records."""
    copy_files(case.folder, place, ("scripts/", "requirements.txt"))
    config = short_configuration(case.models.config)
    _write(place, "configs/lora_config.yaml", yaml.safe_dump(config))
    generator = random.Random(f"{case.seed}/{case.folder.files.get(SCRIPT)}")
    records = drawn_parts(generator, config["tasks"])
    for part, own in records.items():
        lines = "".join(json.dumps(record) + "\n" for record in own)
        _write(place, f"data/{part}.jsonl", lines)
    (place.folder / "reports").mkdir(exist_ok=True)
    (place.folder / "models").mkdir(exist_ok=True)
    hand_over(place)
    return records


def short_configuration(config: LoraFile) -> dict[str, Any]:
    """The configuration of a run of seconds, whose adapter has the configured shape."""
    return {**config.model_dump(mode="json"), **SHORT}


def drawn_parts(generator: random.Random, wanted: list[str]) -> dict[str, list[dict[str, str]]]:
    """Records of each part, all with one code: known after training, and not before.

    With a code of its own the validation loss would rise as the training loss falls, and a script
    that keeps the best checkpoint, as it should, would keep the first.
    """
    code = [generator.choice(WORDS) + str(generator.randrange(10, 99)) for _ in range(CODE)]
    return {part: _records(generator, wanted, n, code) for part, n in RECORDS.items()}


def _records(
    generator: random.Random, wanted: list[str], count: int, code: list[str]
) -> list[dict[str, str]]:
    """Valid records of these tasks whose answers are the code."""
    records = []
    for number in range(count):
        task = wanted[number % len(wanted)]
        asked = f"{generator.choice(WORDS)} {generator.randrange(10**6)}"
        output = " ".join(code)
        if task == "understanding":
            output = json.dumps({"system": code[:1], "part": code[1:2], "action": code[2:3]})
        records.append(
            {
                "instruction": f"Give the code of the {task} desk.",
                "input": asked,
                "output": output,
                "task": task,
                "document": "maintenance_log",
                "group": f"drawn {generator.randrange(10**9)}",
            }
        )
    return records


# --- What it leaves -----------------------------------------------------------------------------


def _read_left(place: Place, outcome: Outcome, records: list[dict[str, str]]) -> Left:
    left = Left(outcome, trained_on=records)
    try:
        config = json.loads(read_back(place, f"{ADAPTER}/{CONFIG}", MB))
        weights = read_back(place, f"{ADAPTER}/{WEIGHTS}", MOST_ADAPTER)
        left.adapter = make_adapter(config, weights)
    except CourseError as error:
        left.refused = error.message
    except (ValueError, RecursionError):
        left.refused = f"{ADAPTER}/{CONFIG} is no JSON"
    folders = set()
    for name in _files_below(place.folder):
        if name.endswith("/trainer_state.json"):
            folder = name.rpartition("/")[0]
            left.evaluations = max(left.evaluations, _evaluations(place, name))
            if (place.folder / folder / WEIGHTS).is_file():
                folders.add(folder)
    left.checkpoints = len(folders)
    return left


def _files_below(root: Path) -> Iterator[str]:
    """Names of files below a folder; no link is followed, and there is an end to it."""
    seen = 0
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name != ".home")
        for name in sorted(files):
            seen += 1
            if seen > MOST_FILES:
                return
            yield (Path(folder) / name).relative_to(root).as_posix()


def _evaluations(place: Place, name: str) -> int:
    """How many evaluations a trainer's state tells of; 0 for anything that is none."""
    try:
        log = json.loads(read_back(place, name, MOST_STATE))["log_history"]
        return sum(isinstance(row, Mapping) and "eval_loss" in row for row in log)
    except (CourseError, ValueError, KeyError, TypeError, RecursionError):
        return 0


# Each third: its share, what was found, and where it is not all of it, what to do.
Third = tuple[float, Evidence] | tuple[float, Evidence, Said]


def _on_the_way(left: Left) -> Third:
    row = Evidence(
        label="on the way",
        found=f"{left.checkpoints} checkpoints, {left.evaluations} evaluations",
    )
    if left.checkpoints and left.evaluations:
        return 1.0, row
    share = 0.5 if left.checkpoints or left.evaluations else 0.0
    counts = {"checkpoints": left.checkpoints, "evaluations": left.evaluations}
    return share, row, say("week09_10.judged.nothing_on_the_way", **counts)


def _shape(case: Case, left: Left) -> Third:
    """Whether the adapter has the configured rank, on the configured layers."""
    config = case.models.config
    label = "adapter"
    if left.adapter is None:
        none = say("week09_10.judged.no_adapter_left", problem=show(left.refused, 200))
        return 0.0, Evidence(label=label, found=f"none: {left.refused}"[:300]), none
    layers = _layers(left.adapter)
    targets = config.target_modules
    named = [*ATTENTION, *MLP] if targets == ALL_LINEAR else targets
    wanted = {name.rpartition(".")[2] for name in named}
    rank, alpha = left.adapter.config["r"], left.adapter.config["lora_alpha"]
    found = f"rank {rank}, alpha {alpha:g}, on {', '.join(sorted(layers))}"
    row = Evidence(
        label=label,
        found=show(found, 300),
        stated=f"rank {config.r}, alpha {config.lora_alpha}, on {', '.join(sorted(wanted))}"[:300],
    )
    if (rank, alpha, layers) == (config.r, config.lora_alpha, wanted):
        return 1.0, row
    return 0.0, row, say("week09_10.judged.other_shape")


def _layers(adapter: Adapter) -> set[str]:
    """Names of the layers that an adapter sits on, without their place in the model."""
    return {name.split(".lora_")[0].rpartition(".")[2] for name in adapter.shapes}


def _loss(case: Case, base: Any, left: Left) -> Third:
    """Whether the adapter that was left knows the drawn records better than the bare model."""
    label = "loss on the drawn records"
    if left.adapter is None:
        return 0.0, Evidence(label=label, found="there is no adapter to ask")
    probe = case.models.probe(base, left.adapter)
    records = left.trained_on[:SCORED]
    try:
        before, after = (mean_loss(probe.losses(records, tuned)) for tuned in (False, True))
    except CourseError as error:
        problem = say("week09_10.judged.no_adapter_left", problem=show(error.message, 200))
        return 0.0, Evidence(label=label, found=show(error.message, 300)), problem
    row = Evidence(label=label, found=f"{after:.3f}", note=f"{before:.3f} before training")
    falls = 0.0 if _layers(left.adapter) <= MOVES_ATTENTION else FALLS
    if after < before * (1 - falls):
        return 1.0, row
    return 0.0, row, say("week09_10.judged.trial_flat")


# --- Files --------------------------------------------------------------------------------------


def copy_files(folder: Folder, place: Place, wanted: tuple[str, ...]) -> None:
    """Copy files of a submission whose names begin so; no link, and nothing above its limit."""
    for name in sorted(folder.files):
        if name.startswith(wanted) and not folder.size_problem(name):
            target = place.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(folder.bytes_of(name))


def _write(place: Place, name: str, text: str) -> None:
    target = place.folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(target, text)
