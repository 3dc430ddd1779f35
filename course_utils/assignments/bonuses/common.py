"""What the bonuses share: variants of one training, run by the submission's own scripts.

Each variant is a folder of its own with run/, models/ and reports/; the data and the scripts are
the submission's. A variant that is finished is not run again.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from course_utils import drawing, hardware, tasks
from course_utils.assignments import markdown, pages
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic
from course_utils.privacy import shown_command
from course_utils.report import duration
from course_utils.runs import versions
from course_utils.tracks.manufacturing import plots as task_plots


@dataclass(frozen=True)
class Variant:
    """One training: its name, the configuration values it changes, and what it wrote."""

    name: str
    changes: tuple[str, ...]
    folder: Path

    @property
    def training(self) -> dict[str, Any]:
        return read_json(self.folder / "run" / "training.json")

    @property
    def evaluation(self) -> dict[str, Any]:
        return read_json(self.folder / "run" / "evaluation.json")


def options(
    description: str, out: str, train_records: int, trained: str, tested: str
) -> argparse.Namespace:
    """The arguments of a bonus that trains variants of a submission.

    `out`, bonus_NAME, is the folder in run/ for the results, which `write_bonus` calls NAME;
    `trained` and `tested` say what the two counts of records stand for. Raises CourseError where
    somebody wrote words of their own into the page NAME.md.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--folder", type=Path, default=Path("."), help="submission folder")
    add("--out", type=Path, help=f"results (default: FOLDER/run/{out})")
    add("--train-records", type=int, default=train_records, help=f"{trained}; {train_records}")
    add("--test-records", type=int, default=90, help=f"{tested}; 90")
    add("--seed", type=int, default=42)
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="of the configuration")
    chosen = parser.parse_args()
    chosen.out = chosen.out or chosen.folder / "run" / out
    name = out.removeprefix("bonus_")
    pages.check(chosen.out / f"{name}.md", partial(_page, name=name))
    return chosen


def run_variant(submission: Path, out: Path, name: str, changes: Sequence[str]) -> Variant:
    """Train and evaluate one variant in processes of their own, so that peaks are its own.

    Raises CourseError when the submission has no data or scripts, or a script fails.
    """
    submission = submission.expanduser().resolve()
    for needed in ("data/train.jsonl", "scripts/train.py", "configs/lora_config.yaml"):
        if not (submission / needed).is_file():
            raise CourseError(
                f"{submission / needed}: there is no such file",
                "give your submission's folder with --folder, after scripts/prepare_data.py",
            )
    variant = Variant(name, tuple(changes), out.resolve() / name)
    variant.folder.mkdir(parents=True, exist_ok=True)
    config = submission / "configs" / "lora_config.yaml"
    stamp = {"changes": list(changes), "files": _checksums(submission)}
    begun, done = variant.folder / "begun.json", variant.folder / "finished.json"
    if done.is_file() and read_json(done) == stamp:
        print(f"{name}: finished before, kept")
        return variant
    resume = begun.is_file() and read_json(begun) == stamp
    done.unlink(missing_ok=True)  # what it told of is replaced from here on
    write_json_atomic(begun, stamp)
    for script in ("train.py", "evaluate.py"):
        command = [sys.executable, str(submission / "scripts" / script)]
        command += ["--folder", str(variant.folder), "--data", str(submission / "data")]
        command += ["--config", str(config)]
        command += [word for change in changes for word in ("--set", change)]
        command += ["--resume"] if resume and script == "train.py" else []
        print(f"{name}: {script} {' '.join(changes)}", flush=True)
        if subprocess.run(command).returncode:
            raise CourseError(
                f"{name}: scripts/{script} failed", f"run it by itself: {shlex.join(command)}"
            )
    write_json_atomic(done, stamp)
    return variant


def _checksums(submission: Path) -> dict[str, str]:
    """Of all that a variant is made from: with other data or another script it is another."""
    made_from = ("configs/lora_config.yaml", "data/*.jsonl", "scripts/**/*.py")
    paths = sorted(path for pattern in made_from for path in submission.glob(pattern))
    return {path.relative_to(submission).as_posix(): sha256_of(path) for path in paths}


def row(variant: Variant) -> dict[str, Any]:
    """The figures of one variant: main scores, memory (GiB), seconds, perplexity."""
    training, evaluation = variant.training, variant.evaluation
    return {
        "name": variant.name,
        "changes": list(variant.changes),
        "scores": {
            task: result["tuned"][result["main"]] for task, result in evaluation["tasks"].items()
        },
        "intervals": None,
        "memory_gb": training["peak_memory_gb"],
        "weights_gb": training.get("weights_gb"),
        "seconds": training["seconds"],
        "tokens_per_second": training["tokens_per_second"],
        "perplexity": training["perplexity"],
        "train_loss": training["final_train_loss"],
        "trainable_parameters": training["trainable_parameters"],
    }


def difference(
    first: Variant, second: Variant, task: str, seed: int = 0
) -> dict[str, dict[str, float] | None]:
    """{score: {"mean", "low", "high"}} of second minus first, paired over their common records.

    Raises CourseError when they were not asked the same records of the task.
    """
    sides = [_columns(variant, task) for variant in (first, second)]
    if [r["input"] for r in sides[0][0]] != [r["input"] for r in sides[1][0]]:
        raise CourseError(
            f"{first.name} and {second.name} were asked different records of {task}",
            "run both with the same seed, test_records and data",
        )
    return tasks.compare_task(sides[0][0], sides[0][1], sides[1][1], seed=seed)


def _columns(variant: Variant, task: str) -> tuple[list[dict[str, Any]], dict[str, list]]:
    rows = [r for r in variant.evaluation["predictions"] if r["task"] == task]
    rows.sort(key=lambda r: (r["input"], r["instruction"]))
    records = [{**r, "output": r["reference"]} for r in rows]
    return records, {
        "answers": [r["tuned"] for r in rows],
        "nll": [r["nll"] for r in rows],
        "tokens": [r["tokens"] for r in rows],
    }


def write_bonus(
    out: Path,
    name: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    differences: Mapping[str, Mapping[str, float] | None],
    finding: str,
    seed: int,
) -> Path:
    """NAME.json, NAME.md and NAME.png in `out`; returns the Markdown file."""
    page = pages.place(out / f"{name}.md", partial(_page, name=name))
    command = shown_command(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
    content = {
        "title": title,
        "finding": finding,
        "rows": list(rows),
        "differences": dict(differences),
        "command": command,
        "seed": seed,
        "versions": versions(),
        "hardware": hardware.detect().to_dict(),
    }
    write_json_atomic(out / f"{name}.json", content)
    drawing.save_figure(task_plots.plot_adapters(rows), out / f"{name}.png")
    return pages.write(page, _page(content, name))


def _page(content: Mapping[str, Any], name: str) -> str:
    heads = ["variant", *(f"{t}, {tasks.NAMES[tasks.MAIN_SCORE[t]]}" for t in tasks.TASKS)]
    heads += ["peak memory, GiB", "training", "tokens/s", "train loss", "perplexity"]
    lines = [f"# {content['title']}", "", content["finding"], ""]
    rows = []
    for one in content["rows"]:
        scores = [one["scores"].get(task) for task in tasks.TASKS]
        cells = [one["name"], *("–" if s is None else f"{s:.3f}" for s in scores)]
        cells += [f"{one['memory_gb']:.2f}", duration(one["seconds"])]
        cells += [f"{one['tokens_per_second']:.0f}", f"{one['train_loss']:.3f}"]
        rows.append([*cells, f"{one['perplexity']:.3f}"])
    lines += markdown.table(heads, rows)
    lines += ["", "Differences of the main scores, 95 % paired bootstrap over the records:", ""]
    for label, interval in content["differences"].items():
        told = drawing.interval_text(interval, digits=3) if interval else "not measured"
        lines.append(f"- {label}: {told}")
    lines += [
        "",
        f"![{content['title']}]({name}.png)",
        "",
        f"Made by `{content['command']}`, seed {content['seed']}.",
        "",
        *(f"- {line}" for line in markdown.made_with(content)),
        "",
    ]
    return "\n".join(lines)
