"""The files that lm-eval reads: a YAML and a JSON-lines file for each task, and their list."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils.assignments.bonuses.harness.questions import QUESTION_SETS, load_questions
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.files import read_json, write_json_atomic, write_text_atomic

MANIFEST = "tasks.json"

MANUFACTURING = "kit_manufacturing"


def write_tasks(
    folder: Path,
    limit: int | None = None,
    seed: int = 42,
    shots: int = 0,
    held_out: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Write a YAML and a JSON-lines file for each task, and tasks.json; returns the task names.

    Questions are put in an order drawn by `seed`, so that the first `limit` are a fair sample.
    `shots` (0 to 5) shows MMLU's own example questions first, always the same ones. `held_out` is
    what `manufacturing_questions` made. The files also serve lm-eval's own command:
    `lm-eval run --include_path FOLDER`, as long as the folder stays where it is.
    """
    check_counts(limit, shots)
    folder = Path(folder).resolve()
    manifest: dict[str, Any] = {"seed": seed, "limit": limit, "shots": shots, "tasks": {}}
    for one in QUESTION_SETS:
        rows = _drawn(load_questions(one), one.most, limit, f"{seed}:{one.task}")
        examples = load_questions(one, "shots")[:shots] if shots and "shots" in one.files else []
        about = {"title": one.title, "licence": one.licence, "source": one.source}
        manifest["tasks"][one.task] = (
            _write_task(folder, one.task, one.layout, rows, examples) | about
        )
    if held_out:
        rows = _drawn(list(held_out), None, limit, f"{seed}:{MANUFACTURING}")
        about = {
            "title": "manufacturing (held out)",
            "licence": "that of the records (data/README.md)",
            "source": "qa records of the test part",
            "held_out": True,
        }
        manifest["tasks"][MANUFACTURING] = _write_task(folder, MANUFACTURING, "qa", rows) | about
    write_json_atomic(folder / MANIFEST, manifest)
    return list(manifest["tasks"])


def check_counts(limit: int | None, shots: int = 0) -> None:
    """Refuse a limit below 2 (one question has no standard error) and shots outside 0 to 5."""
    if limit is not None and limit < 2:
        raise CourseError(f"limit {limit}: too few", "ask at least 2 questions a task, better 100")
    if not 0 <= shots <= 5:
        raise CourseError(f"shots {shots}: MMLU brings five examples", "choose 0 to 5")


def _drawn(rows: list[dict], most: int | None, limit: int | None, seed: str) -> list[dict]:
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    sizes = [size for size in (most, limit) if size is not None]
    return rows[: min(sizes)] if sizes else rows


def _write_task(
    folder: Path, task: str, layout: str, rows: Sequence[Mapping], examples: Sequence[Mapping] = ()
) -> dict[str, Any]:
    import yaml

    keep = ("question", "choices", "answer")
    parts = {"test": rows} | ({"shots": examples} if examples else {})
    files = {part: folder / f"{task}_{part}.jsonl" for part in parts}
    for part, content in parts.items():
        lines = (json.dumps({k: row[k] for k in keep}, ensure_ascii=False) for row in content)
        write_text_atomic(files[part], "\n".join(lines) + "\n")
    config = task_config(task, layout, files, len(examples))
    write_text_atomic(folder / f"{task}.yaml", yaml.safe_dump(config, sort_keys=False))
    return {"questions": len(rows), "sha256": {p.name: sha256_of(p) for p in files.values()}}


def task_config(task: str, layout: str, files: Mapping[str, Path], shots: int) -> dict[str, Any]:
    """lm-eval's description of a task. The choices are scored as text, not as letters A to D.

    A small model cannot yet use letters: it would stay at chance however much it knows.
    """
    score = {"aggregation": "mean", "higher_is_better": True}
    config = {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {part: str(path) for part, path in files.items()},
            "cache_dir": str(next(iter(files.values())).parent / ".cache"),
        },
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{question}}"
        if layout == "hellaswag"
        else "Question: {{question}}\nAnswer:",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "num_fewshot": shots,
        "metric_list": [{"metric": "acc", **score}, {"metric": "acc_norm", **score}],
        "metadata": {"version": 1.0},
    }
    if shots:  # first_n: the same examples in every run; lm-eval's default draws them
        config |= {"fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}
    return config


def read_manifest(folder: Path) -> dict[str, Any]:
    """tasks.json, after a look at every file it names; CourseError where one is not as written."""
    folder = Path(folder)
    cure = "write the tasks again: delete the folder and run benchmark.py (harness.write_tasks)"
    if not (folder / MANIFEST).is_file():
        raise CourseError(f"{folder}: there is no {MANIFEST}, so no tasks", cure)
    try:
        manifest = read_json(folder / MANIFEST)
        sums = {
            name: sha for one in manifest["tasks"].values() for name, sha in one["sha256"].items()
        }
        descriptions = [f"{task}.yaml" for task in manifest["tasks"]]
    except (CourseError, KeyError, TypeError, AttributeError):
        raise CourseError(f"{folder / MANIFEST}: damaged", cure) from None
    for name in [*sums, *descriptions]:
        if not (folder / name).is_file():
            raise CourseError(f"{folder / name}: the file is missing", cure)
    for name, checksum in sums.items():
        if sha256_of(folder / name) != checksum:
            raise CourseError(f"{folder / name}: changed since it was written", cure)
    for name in descriptions:
        if str(folder.resolve()) not in (folder / name).read_text(
            encoding="utf-8", errors="replace"
        ):
            raise CourseError(f"{folder / name}: names files elsewhere (was it moved?)", cure)
    return manifest
