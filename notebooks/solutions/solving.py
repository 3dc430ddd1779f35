"""What the solutions share: a copy of a run that ran again, answers filled in, facts printed.

    python notebooks/solutions/01_data_prep.py runs/my-run        # all exercises of notebook 01
    python notebooks/solutions/03_lora_sft.py runs/my-run 2 4     # two of them

A solution is a module of the notebook's name. ANSWERS holds what a student writes in place of
`None`; `exercise_N(run)` (in the parameter lab `exercise_N()`) does exercise N and returns what it
found, and its docstring is the answer in words. The tests run all of them on the nano model and
look whether what they found is so.
"""

import argparse
import inspect
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from course_utils import chat, kit, scripts
from course_utils.errors import CourseError
from course_utils.records import read_records
from course_utils.runs import Run, saved_settings
from course_utils.settings import resolve_precision

NOT_COPIED = ("checkpoints", "merged", "notebooks")  # large, or made again


def opened(folder: str | Path) -> Run:
    """A run folder as it is; nothing is written into it."""
    folder = Path(folder).resolve()
    return Run(folder, resolve_precision(saved_settings(folder / "settings.json"))[0])


def part(run: Run, name: str) -> list[dict]:
    """The records of a part of the run's data."""
    return read_records(run.folder / "data" / f"{name}.jsonl")


def questions(records: list[dict], tokenizer: Any) -> list[Any]:
    """What the model is asked for each of these records."""
    return [chat.record_messages(record, tokenizer)["prompt"] for record in records]


def carry_out(command: list[str], place: Path | None = None) -> None:
    """Run a command, in a folder of its own if one is given; CourseError with what it said."""
    environment = {**os.environ, "PYTHONPATH": str(kit.ROOT)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise CourseError(f"{shlex.join(command)}: {done.stdout}{done.stderr}", "see its message")


@contextmanager
def again(run: Run, only: str, **changes: Any) -> Iterator[Run]:
    """A copy of the run in which these notebooks ran again with other settings, and then goes."""
    with tempfile.TemporaryDirectory(prefix="solution-") as place:
        copy = Path(place) / run.folder.name
        shutil.copytree(run.folder, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        command = [sys.executable, "-m", "course_utils", "run", "--only", only, "--out", str(copy)]
        for name, value in changes.items():
            command += ["-p", f"{name}={value}"]
        carry_out(command)
        yield opened(copy)


def with_answers(notebook: Any, answers: Mapping[str, str]) -> Any:
    """The notebook with each `name = None` of `answers` filled in; the comments stay."""
    for cell in notebook.cells:
        for name, answer in answers.items():
            cell.source = cell.source.replace(f"\n{name} = None", f"\n{name} = {answer}")
    return notebook


def exercises(module: ModuleType) -> dict[int, Any]:
    """Number -> function."""
    found = {name: value for name, value in vars(module).items() if name.startswith("exercise_")}
    return {int(name.removeprefix("exercise_")): value for name, value in sorted(found.items())}


def main(module: ModuleType, of_a_run: bool = True) -> None:
    """Print the answers in words and what was found, for the run and exercises that were named."""
    parser = argparse.ArgumentParser(description=module.__doc__)
    if of_a_run:
        parser.add_argument("run", help="a finished run folder, which stays as it is")
    parser.add_argument("exercise", nargs="*", type=int, help="only these")
    given = parser.parse_args()
    with scripts.command_line():  # errors in two lines, and the libraries' known noise is quieted
        asked = [opened(given.run)] if of_a_run else []
        for number, solve in exercises(module).items():
            if not given.exercise or number in given.exercise:
                print(f"\n--- Exercise {number} ---\n{inspect.getdoc(solve)}\n")
                for name, value in solve(*asked).items():
                    print(f"{name}: {value}")
