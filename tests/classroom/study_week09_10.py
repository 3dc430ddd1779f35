"""Weeks 9-10 done honestly on the nano model, by as many students as the class has.

`reference` runs what they share (data, the executed notebook, what the base model's package gives)
once; `study` trains one student's adapter with a seed of its own, asks it, and writes the reports.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from classroom import study

from course_utils import kit
from course_utils.assignments import scripts

Change = Callable[[Path], None]
NOTEBOOK = "finetuning_pipeline.ipynb"
COUNT = """\
from pathlib import Path

parts = [Path("data") / f"{name}.jsonl" for name in ("train", "val", "test")]
print(f"{sum(len(part.read_text().splitlines()) for part in parts):,} records")"""
SOLUTION = kit.ASSIGNMENTS / "week09_10_manufacturing" / "solution"
# Small enough for a test: what is learned is the likelihood of frequent words, and no more.
CONFIG = """\
base_model: nano
precision: fp32
r: {r}
lora_alpha: {alpha}
target_modules: {layers}
lora_dropout: 0.0
learning_rate: 0.03
num_train_epochs: 1
per_device_train_batch_size: 2
gradient_accumulation_steps: 1
max_length: 224
evaluations: 2
train_records: 36
val_records: 12
test_records: 12
few_shot_examples: 1
"""
# Every student chooses other values. One seed for all of them, as the default says: so they share
# the base model's answers; the adapters begin differently, since they have other shapes.
RANKS = (4, 6, 3, 8, 5, 2, 7)
LAYERS = (
    *("all-linear", "[q_proj, v_proj, down_proj]", "[q_proj, k_proj, v_proj, o_proj]"),
    *("[gate_proj, up_proj, down_proj]", "[o_proj, down_proj]", "[v_proj, o_proj, up_proj]"),
)
# A student's cleaning: what a small model can't read goes, and of the rest every second record.
CLEANING = """\
    def is_kept(record):
        short = len(record["output"]) <= 220 and len(record["input"]) <= 800
        drawn = record["task"] == "report" or zlib.crc32(record["input"].encode()) % 20 < 11
        return bool(record["output"].strip()) and short and drawn

    parts = {part: [r for r in built if is_kept(r)] for part, built in parts.items()}
"""


def short_reference(folder: Path) -> None:
    """Data of at least 5,000 records, a first student's answers, and a notebook of a second."""
    shutil.copytree(SOLUTION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__py*"))
    _write_cleaning(folder / "scripts" / "prepare_data.py")
    configure(folder, 0)
    study.say("weeks 9-10: building the data")
    with study.inside(folder):
        prepare = study.load(folder / "scripts" / "prepare_data.py")
        prepare.run(_workspace(folder))
    train_and_evaluate(folder)
    path = folder / NOTEBOOK
    notebook = nbformat.read(path, as_version=4)
    texts = [cell for cell in notebook.cells if "BEGIN SOLUTION" in cell.source]
    counting = nbformat.v4.new_code_cell(COUNT, execution_count=1)
    counting.outputs = [nbformat.v4.new_output("stream", text="5,000 records\n")]
    notebook.cells = [notebook.cells[0], counting, *texts]
    nbformat.write(notebook, path)


def reference(folder: Path) -> None:
    """The same with the whole notebook, run to its end."""
    short = study.kept("week09_10-short_reference", short_reference)
    shutil.copytree(short, folder, dirs_exist_ok=True)
    shutil.copy(SOLUTION / NOTEBOOK, folder)
    study.say("weeks 9-10: running the notebook")
    command = [sys.executable, "-m", "course_utils", "run", NOTEBOOK]
    command += ["--out", "run/notebook", "-p", "compare_records", "3"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    shutil.copy(folder / "run" / "notebook" / NOTEBOOK, folder)
    for made in ("run/notebook", "run/checkpoints", "run/model_comparison", "run/review"):
        shutil.rmtree(folder / made, ignore_errors=True)


def configure(folder: Path, seed: int) -> None:
    """configs/lora_config.yaml of one student: rank and layers, another pair for each of 42."""
    rank = RANKS[seed % len(RANKS)]
    values = {"r": rank, "alpha": 4 * rank, "layers": LAYERS[seed % len(LAYERS)]}
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG.format(**values), "utf-8")


def study_alone(shared: Path, folder: Path, seed: int, before: Change | None = None) -> Path:
    """One student's work: the shared data, an own adapter, own answers; the solution's words.

    `before` changes the data that all the rest is made from.
    """
    shutil.copytree(shared, folder, dirs_exist_ok=True)
    configure(folder, seed)
    if before:
        before(folder)
    train_and_evaluate(folder)
    return folder


def finish(folder: Path, seed: int) -> None:
    """Own words."""
    study.reword(folder, seed)


def train_and_evaluate(folder: Path) -> None:
    """What `python scripts/train.py` and `python scripts/evaluate.py` do."""
    study.say(f"weeks 9-10: training {folder.name}")
    with study.inside(folder):
        workspace = _workspace(folder)
        study.load(folder / "scripts" / "train.py").train(workspace, resume=False)
        study.load(folder / "scripts" / "evaluate.py").run(workspace)
    shutil.rmtree(folder / "run" / "checkpoints", ignore_errors=True)


def _workspace(folder: Path):
    return scripts.open_workspace(scripts.arguments("", folder), [])


def _write_cleaning(path: Path) -> None:
    text = path.read_text("utf-8")
    region = re.compile(r"(    # An answer longer.*?)(    ### END SOLUTION)", re.S)
    changed = region.sub(lambda found: CLEANING + found[2], text, count=1)
    if changed == text:
        raise RuntimeError(f"{path}: no region to clean in")
    path.write_text(changed.replace("from pathlib", "import zlib\nfrom pathlib", 1), "utf-8")
