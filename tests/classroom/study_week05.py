"""Week 5 done honestly on the nano model: `reference` once, `study_alone` for each student."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from classroom import study, words
from lab_submissions import copy_solution

from course_utils import kit
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.reports import write

Change = Callable[[Path], None]
SOLUTION = kit.ASSIGNMENTS / ASSIGNMENTS["week05"].folder / "solution"
STARTER = SOLUTION.with_name("starter")
FIRST = 1
SHORT = ("learning_rate", "lora_r")  # the sections of the short notebook
FIGURE = """\
import matplotlib.pyplot as plt

_, axes = plt.subplots(figsize=(2, 1))
axes.plot([3, 2, 1])
plt.show()"""
PIXEL = (  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NOTEBOOK = "parameter_analysis.ipynb"
RECORDS, QUESTIONS, HELD_OUT = 32, 6, 40
TRAINING = [
    *("--base_model", "nano", "--bf16", "false", "--max_length", "160", "--lora_r", "4"),
    *("--lora_alpha", "64", "--lora_dropout", "0", "--learning_rate", "0.1"),
    *("--num_train_epochs", "1", "--per_device_train_batch_size", "2"),
    *("--gradient_accumulation_steps", "1", "--logging_steps", "4", "--evaluations", "2"),
]


def reference(folder: Path) -> None:
    """The notebook with its outputs, run in the folder of a first student."""
    copy_solution(folder)
    _make(folder, FIRST)
    study.say("week 5: running the notebook")
    command = [sys.executable, "-m", "course_utils", "run", NOTEBOOK, "--out", "run/notebook"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    shutil.copy(folder / "run" / "notebook" / NOTEBOOK, folder)
    shutil.rmtree(folder / "run")


def short_reference(folder: Path) -> None:
    """A notebook of two sections that is drawn in a second, for classes that must be quick."""
    copy_solution(folder)
    path = folder / NOTEBOOK
    notebook = nbformat.read(path, as_version=4)
    texts = {c.source.split("\n")[0][4:]: c for c in notebook.cells if c.source.startswith("### ")}
    notebook.cells = []
    for number, name in enumerate(SHORT):
        cell = nbformat.v4.new_code_cell(FIGURE, execution_count=number + 1)
        picture = {"image/png": PIXEL, "text/plain": "<Figure>"}
        cell.outputs = [nbformat.v4.new_output("display_data", data=picture)]
        notebook.cells += [texts[name], cell]
    notebook.cells += study.quick_cells(STARTER / NOTEBOOK)
    nbformat.write(notebook, path)


def study_alone(shared: Path, folder: Path, seed: int, before: Change | None = None) -> Path:
    """One student's work: own records, adapter, answers; the words are still the solution's.

    `before` changes the records and questions that all the rest is made from. The bonus
    (held_out.jsonl) is the first student's.
    """
    shutil.copytree(shared, folder, dirs_exist_ok=True)
    _make(folder, seed, before)
    return folder


def finish(folder: Path, seed: int) -> None:
    """Own words, and the report on them."""
    study.reword(folder, seed)
    (folder / "prepare_records.py").unlink()
    write.write_report([folder], "pdf")


def _make(folder: Path, seed: int, before: Change | None = None) -> None:
    study.say(f"week 5: training {folder.name}")
    write_records(folder, seed)
    if before:
        before(folder)
    asked = {"test_questions": []}
    if seed == FIRST:
        asked["held_out"] = ["--out", "held_out_answers.json"]
    else:
        (folder / "held_out.jsonl").unlink()
        (folder / "held_out_answers.json").unlink(missing_ok=True)
    with study.inside(folder):
        train, ask = (
            study.load(folder / f"{name}.py") for name in ("train_lora", "inference_lora")
        )
        data = ["--data", "records.jsonl", "--out", "adapter/", "--seed", str(seed)]
        train.main([*data, *TRAINING])
        for name, more in asked.items():
            questions = ["--adapter", "adapter/", "--questions", f"{name}.jsonl"]
            ask.main([*questions, *more, "--show", "0"])
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


MINERALS = (
    "kaolinite",
    "alunite",
    "hematite",
    "calcite",
    "chlorite",
    "epidote",
    "jarosite",
    "opal",
)
PLACES = (
    "Fels",
    "Harzgrund",
    "Silberberg",
    "Oberau",
    "Steinach",
    "Kupferhain",
    "Rotenfels",
    "Moos",
)


def write_records(folder: Path, seed: int, records: int = RECORDS) -> None:
    """Records, test questions and held-out questions of one student, as if written by hand.

    Half of the words of an answer is "of": what a model without knowledge can learn in ten steps,
    so that the adapter has a gain that can be measured.
    """
    rng = random.Random(seed)
    rows = [_record(rng, number) for number in range(records + QUESTIONS + HELD_OUT)]
    asked = [{**row, "expected": row.pop("answer")} for row in rows[records:]]
    study.write_lines(folder / "records.jsonl", rows[:records])
    study.write_lines(folder / "test_questions.jsonl", asked[:QUESTIONS])
    study.write_lines(folder / "held_out.jsonl", asked[QUESTIONS:])


def _record(rng: random.Random, number: int) -> dict[str, str]:
    mineral, place, other = rng.choice(MINERALS), rng.choice(PLACES), rng.choice(PLACES)
    figure = rng.randrange(11, 999)
    return {
        "system": "You are a geologist. Answer briefly, with units.",
        "instruction": f"Which {mineral} is it, where {words.sentence(rng)[:-1]}?",
        "context": words.prose(rng, 1) if number % 2 else "",
        "answer": f"That of {place} of the vein of {mineral} of {figure} mm of the wall of "
        f"{other}, of the age of the dyke of the mine of the north of level {figure % 9}.",
        "source": f"field book, page {figure}",
        "group": mineral,
    }
