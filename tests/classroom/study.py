"""What both assignments' honest members share: their own words, scripts loaded, what is kept.

A member is trained with its own seed, on the nano model and in this process: two would otherwise
hand in one adapter, and the integrity report would be right to say so.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
from classroom import words

from course_utils import kit

REGION = re.compile(
    r"[ \t]*(?:<!-- )?### BEGIN SOLUTION.*?\n(.*?)[ \t]*(?:<!-- )?### END SOLUTION[^\n]*", re.S
)
KEPT = Path(os.environ.get("COURSE_CLASSROOM", kit.ROOT / "runs" / "classroom"))
# What honest work depends on; the grader is not part of it, nor what is done to honest work.
SOURCES = ("assignments", "course_utils", "data")
ASIDE = {"__pycache__", "grading", "execution", "commands", "endpoint", "reports"}
OWN = ("study*.py", "words.py")  # beside this file


def load(path: Path):
    """A script as a module of its own."""
    spec = spec_from_file_location(f"classroom_{path.stem}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """As a student works: in the submission's folder, so that no path names this machine."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, once for these sources: runs/classroom/NAME-<digest>."""
    folder = KEPT / f"{name}-{digest_of_sources()}"
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        make(unfinished)
        unfinished.rename(folder)
    return folder


def digest_of_sources() -> str:
    """A name for what honest work depends on, as it is now."""
    digest = hashlib.sha256()
    found = [p for source in SOURCES for p in sorted((kit.ROOT / source).rglob("*"))]
    found += [p for pattern in OWN for p in sorted(Path(__file__).parent.glob(pattern))]
    for path in found:
        name = path.relative_to(kit.ROOT)
        if path.is_file() and not ASIDE & set(name.parts):
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


# --- Own words ----------------------------------------------------------------------------------


def solved(text: str) -> str:
    """The solution without its marks, as a student's own file is."""
    return REGION.sub(lambda found: found[1], text)


def reworded(text: str, rng: random.Random) -> str:
    """Each text of the solution replaced by other sentences, of about the same length.

    Code in it stays, as the README's example of how to ask the endpoint.
    """

    def other(found: re.Match) -> str:
        code = "".join(re.findall(r"^```.*?^```\n", found[1], re.S | re.M))
        return f"{words.prose(rng, max(3, len(found[1]) // 90))}\n\n{code}"

    return REGION.sub(other, text)


def reword(folder: Path, seed: int) -> None:
    """README, scripts and notebooks of one member: own sentences, own functions beside the task's.

    A notebook's outputs stay: they show figures, which the words are about.
    """
    for path in sorted(folder.rglob("*")):
        rng = random.Random(f"{seed}/{path.relative_to(folder)}")
        if path.suffix == ".md":
            path.write_text(reworded(path.read_text("utf-8"), rng), "utf-8")
        elif path.suffix == ".py":
            path.write_text(_with_own_code(path.read_text("utf-8"), rng), "utf-8")
        elif path.suffix == ".yaml":
            path.write_text(solved(path.read_text("utf-8")), "utf-8")
        elif path.suffix == ".ipynb":
            _reword_notebook(path, rng)


def _with_own_code(text: str, rng: random.Random) -> str:
    if not REGION.search(text):  # given whole: nothing of it is a student's
        return text
    own, mark = words.code(rng), 'if __name__ == "__main__":'
    return solved(text).replace(mark, f"{own}\n\n{mark}")


def _reword_notebook(path: Path, rng: random.Random) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        change = solved if cell.cell_type == "code" else reworded
        own = rng if cell.cell_type == "markdown" else None
        cell.source = change(cell.source, own) if own else change(cell.source)
    # Ids of their own: nbformat's are drawn by chance, and a copy would be another in each class.
    text, code = words.prose(rng, 6), words.code(rng)
    notebook.cells.append(nbformat.v4.new_markdown_cell(text, id="own-text"))
    notebook.cells.append(nbformat.v4.new_code_cell(code, execution_count=99, id="own-code"))
    nbformat.write(notebook, path)


def quick_cells(starter: Path) -> list[nbformat.NotebookNode]:
    """Half as many code cells as the starter's notebook has, each run in no time.

    A notebook of fewer would have left the steps out that the hand-out walks through.
    """
    given = nbformat.read(starter, as_version=4).cells
    count = sum(cell.cell_type == "code" for cell in given) // 2 + 1
    return [
        nbformat.v4.new_code_cell(f"step_{number} = {number} * 2\nstep_{number}", execution_count=9)
        for number in range(count)
    ]


# --- Files --------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[dict]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_lines(path: Path, records: list[dict]) -> None:
    """The records as JSON lines."""
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    """A JSON file after `change` was called with its content."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")
