"""What only a submission of weeks 9-10 can have wrong, or forged."""

import json
import re
from pathlib import Path
from typing import Any

from classroom import study
from classroom.changes import change

from course_utils import evaluation
from course_utils.assignments import writeup

PARTS = ("train", "val", "test")


# --- Data (before training) ---------------------------------------------------------------------


@change
def few_records(folder: Path, count: int) -> None:
    """Only this many records in all; every part keeps its share of each task."""
    parts = {name: study.read_lines(folder / "data" / f"{name}.jsonl") for name in PARTS}
    share = count / sum(map(len, parts.values()))
    for name, records in parts.items():
        kept = [
            record for at, record in enumerate(records) if int(at * share) < int((at + 1) * share)
        ]
        study.write_lines(folder / "data" / f"{name}.jsonl", kept)


@change
def leak(folder: Path, count: int) -> None:
    """Records of the test part stand in the training part too, word for word."""
    train, test = (folder / "data" / f"{name}.jsonl" for name in ("train", "test"))
    study.write_lines(train, study.read_lines(train) + study.read_lines(test)[:count])


@change
def one_task(folder: Path, task: str) -> None:
    """No record of this task in the validation part."""
    path = folder / "data" / "val.jsonl"
    study.write_lines(path, [r for r in study.read_lines(path) if r["task"] != task])


@change
def twice(folder: Path, count: int) -> None:
    """The first records of the training part stand in it twice."""
    path = folder / "data" / "train.jsonl"
    records = study.read_lines(path)
    study.write_lines(path, records + records[:count])


@change
def broken_line(folder: Path) -> None:
    """A line of the validation part is cut off."""
    path = folder / "data" / "val.jsonl"
    lines = path.read_text("utf-8").splitlines()
    lines[20] = lines[20][:40]
    path.write_text("\n".join(lines) + "\n", "utf-8")


# --- Code and configuration ---------------------------------------------------------------------


@change
def misspelt(folder: Path) -> None:
    """`lora_alpha` is written `lora_aplha`."""
    path = folder / "configs" / "lora_config.yaml"
    path.write_text(path.read_text("utf-8").replace("lora_alpha", "lora_aplha"), "utf-8")


@change
def unnamed_import(folder: Path) -> None:
    """A script imports a package that requirements.txt does not name (in a function, uncalled)."""
    path = folder / "scripts" / "prepare_data.py"
    lines = "\n\ndef boost(rows):\n    import lightgbm\n\n    return lightgbm.Dataset(rows)\n\n\n"
    text = path.read_text("utf-8").replace(
        '\n\nif __name__ == "__main__":', f'{lines}if __name__ == "__main__":'
    )
    path.write_text(text, "utf-8")


@change
def train_unfinished(folder: Path) -> None:
    """scripts/train.py stops at the head of its `train`."""
    path = folder / "scripts" / "train.py"
    text = path.read_text("utf-8")
    head = "def train(workspace, resume):\n"
    path.write_text(text.replace(head, head + '    raise RuntimeError("later")\n'), "utf-8")


@change
def train_forges(folder: Path) -> None:
    """scripts/train.py writes a log of a training that never was, and last week's adapter."""
    path = folder / "scripts" / "train.py"
    text = path.read_text("utf-8")
    forged = (
        "def train(workspace, resume):\n"
        '    log = [{"step": n, "loss": 9 - n, "eval_loss": 8 - n} for n in range(1, 5)]\n'
        '    summary = {"log": log, "eval_loss": 1.0, "final_train_loss": 1.0, "steps": 4}\n'
        '    workspace.run.write("training.json", summary | {"perplexity": 2.718281828})\n'
        "    return\n\n\ndef unused(workspace, resume):\n"
    )
    path.write_text(text.replace("def train(workspace, resume):\n", forged), "utf-8")


# --- Evidence -----------------------------------------------------------------------------------


def rewrite(folder: Path, content: dict[str, Any]) -> None:
    """run/evaluation.json with its two pages, as a forger would who knows the kit."""
    (folder / "run" / "evaluation.json").write_text(json.dumps(content), "utf-8")
    for name, page in (
        ("evaluation_results.md", writeup.evaluation_page),
        ("comparison_baseline.md", writeup.comparison_page),
    ):
        (folder / "reports" / name).write_text(page(content), "utf-8")


def evidence(folder: Path, name: str) -> dict[str, Any]:
    """A file of run/."""
    return json.loads((folder / "run" / name).read_text("utf-8"))


@change
def score_raised(folder: Path, task: str) -> None:
    """A higher main score than the answers give, in the evidence and in both pages."""
    content = evidence(folder, "evaluation.json")
    content["tasks"][task]["tuned"][content["tasks"][task]["main"]] = 0.871
    rewrite(folder, content)


@change
def report_edited(folder: Path) -> None:
    """The first score of comparison_baseline.md was changed by hand."""
    path = folder / "reports" / "comparison_baseline.md"
    text = path.read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| field F1"))
    path.write_text(text.replace(row, re.sub(r"0\.\d+", "0.912", row)), "utf-8")


@change
def answers_improved(folder: Path, task: str) -> None:
    """The stored tuned answers of a task are the references; all scores follow from them."""
    content, baseline = evidence(folder, "evaluation.json"), evidence(folder, "baseline.json")
    rows = content["predictions"]
    for row in rows:
        if row["task"] == task:
            row["tuned"] = row["reference"]
    test = [{**row, "output": row["reference"]} for row in rows]
    tuned = {name: [row[name] for row in rows] for name in ("nll", "tokens")}
    tuned["answers"] = [row["tuned"] for row in rows]
    content["tasks"] = evaluation.compare(test, baseline["systems"], tuned, seed=content["seed"])
    rewrite(folder, content)


@change
def log_lowered(folder: Path, loss: float) -> None:
    """A lower validation loss, with the perplexity and the log that would belong to it."""
    study.edit_json(
        folder / "run" / "training.json",
        lambda told: told.update(eval_loss=loss, perplexity=2.718281828459045**loss),
    )
    path = folder / "reports" / "training_log.txt"
    text = path.read_text("utf-8")
    text = re.sub(r"(validation loss +)[\d.]+( \(every)", rf"\g<1>{loss:.4f}\2", text)
    text = re.sub(
        r"(perplexity +)[\d.]+$", rf"\g<1>{2.718281828459045**loss:.3f}", text, flags=re.M
    )
    path.write_text(text, "utf-8")


@change
def no_few_shot(folder: Path) -> None:
    """The baseline was asked zero-shot only."""
    study.edit_json(folder / "run" / "baseline.json", lambda told: told["systems"].pop("few_shot"))


@change
def baseline_replaced(folder: Path) -> None:
    """The base model's stored answers are not what it says: other words, with scores to match."""
    content, baseline = evidence(folder, "evaluation.json"), evidence(folder, "baseline.json")
    rows = content["predictions"]
    test = [{**row, "output": row["reference"]} for row in rows]
    for system in baseline["systems"].values():
        system["answers"] = [row["reference"] for row in rows]
        system["scores"] = evaluation.score(test, system)
    tuned = {name: [row[name] for row in rows] for name in ("nll", "tokens")}
    tuned["answers"] = [row["tuned"] for row in rows]
    content["tasks"] = evaluation.compare(test, baseline["systems"], tuned, seed=content["seed"])
    rows[:] = evaluation.prediction_rows(test, baseline["systems"], tuned, content["tasks"])
    (folder / "run" / "baseline.json").write_text(json.dumps(baseline), "utf-8")
    rewrite(folder, content)
