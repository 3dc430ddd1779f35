"""What to do about errors that a batch meets often: a missing file, a question nobody answers."""

import re
from pathlib import Path

from course_utils import kit
from course_utils.execution.notebooks import is_absolute
from course_utils.shell import command_line

MISSING_FILE = re.compile(r"^FileNotFoundError: .*?'([^']+)'|^FileNotFoundError: .*?\"([^\"]+)\"")
MISSING_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'")
LEVELS = 3  # folders above the notebook that are looked into


def cure_for(error: str, source: Path, ran_in: Path) -> str:
    """A cure for a cell's error ("Name: text"), or "" where none is known.

    `source` is the notebook, `ran_in` its working folder.
    """
    if error.startswith("StdinNotImplementedError"):
        return (
            "nobody can answer input() in a batch: write the value into the notebook, or make it a "
            "parameter (a cell tagged 'parameters') and give it with -p NAME VALUE"
        )
    if error.startswith("the kernel didn't start"):
        return (
            "the log says why; the kernel's environment may lack ipykernel: run there "
            "python -m pip install ipykernel, or choose another kernel in Jupyter and save"
        )
    if error.startswith("CalledProcessError") and "'git', 'clone'" in error:
        return (
            "its set-up cell is of an older kit, which it looks for above the working folder: "
            f"add {command_line(['--cwd', kit.ROOT])}"
        )
    if found := MISSING_MODULE.match(error):
        top = found[1].partition(".")[0]
        return _where_it_lies([f"{top}.py", top], source, ran_in)
    if found := MISSING_FILE.match(error):
        return _where_it_lies([found[1] or found[2]], source, ran_in)
    return ""


def _where_it_lies(names: list[str], source: Path, ran_in: Path) -> str:
    """Whether a file that was not found lies beside the notebook, where it ran, or above."""
    beside = source.parent
    for name in names:
        if is_absolute(name):
            last = re.split(r"[\\/]", name)[-1]
            if last and _exists(beside / last):
                return f"{last} lies beside the notebook: name it so, without the path"
            continue
        if _exists(ran_in / name):
            return f"{name} lies where the notebook ran ({ran_in}): does a cell change the folder?"
        if _exists(beside / name):
            return f"{name} lies beside the notebook, which ran in {ran_in}: leave out --cwd"
        for folder in [Path.cwd(), *beside.parents[:LEVELS]]:
            if _exists(folder / name):
                return f"{name} lies in {folder}: add {command_line(['--cwd', folder])}"
    return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
