"""One source, two versions: the reference solution, and the student's starter made from it.

Regions between `BEGIN SOLUTION` and `END SOLUTION` are cut out by nbgrader's own preprocessor, in
notebooks and (each file taken as one cell) in scripts, Markdown and YAML.

course assignment release week09_10     # for those who change the solution
course assignment start week09_10 my_submission
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import kit, ownership
from course_utils.assignments.checklist import root_of
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic


@dataclass(frozen=True)
class Assignment:
    """Where an assignment lies, and what of its solution no student gets."""

    folder: str
    kept_back: tuple[str, ...]  # top-level names: what a run leaves behind, what only we need
    marks: tuple[str, ...]  # by any of these a submission's folder is known
    empty: tuple[str, ...] = ()  # folders that the starter has, with nothing in them


ASSIGNMENTS = {
    "week09_10": Assignment(
        "week09_10_manufacturing",
        kept_back=("data", "models", "reports", "run"),
        marks=("finetuning_pipeline.ipynb", "scripts", "configs", "models"),
        empty=("data", "models", "reports"),
    ),
    "week05": Assignment(
        "week05_parameter_lab",
        kept_back=(
            *("prepare_records.py", "records.jsonl", "held_out.jsonl", "test_questions.jsonl"),
            *("adapter", "training.json", "answers.json", "held_out_answers.json"),
            *("checkpoints", "run"),
            *("report.pdf", "report.pptx", "report.html", "report.md"),
        ),
        marks=("parameter_analysis.ipynb", "records.jsonl", "test_questions.jsonl", "adapter"),
    ),
}
TEXT_STUBS = {
    ".md": "YOUR ANSWER HERE",
    ".yaml": "# YOUR VALUES HERE",
}


def assignment_folder(name: str) -> Path:
    """The folder of an assignment in the kit; CourseError for an unknown name."""
    if name not in ASSIGNMENTS:
        raise CourseError(
            f"there is no assignment {name!r}", f"choose one of: {', '.join(ASSIGNMENTS)}"
        )
    folder = kit.ASSIGNMENTS / ASSIGNMENTS[name].folder
    if not folder.is_dir():
        raise CourseError(f"{folder}: not there", "change into the folder of the kit (git clone)")
    return folder


def make_starter(solution: Path, target: Path, name: str = "week09_10") -> list[Path]:
    """Write the starter of the assignment `name` into `target`; returns its files.

    Files of an earlier starter that no longer belong to it go; what the kit did not make stays.
    Raises CourseError when nbgrader is missing, when `target` is somebody else's, or when no file
    has a solution region: a starter that gives the solution away must never be released.
    """
    stripper = _stripper()
    assignment = ASSIGNMENTS[name]
    kept_back = assignment.kept_back
    sources = [p for p in sorted(solution.rglob("*")) if _belongs(p, solution, kept_back)]
    stripped = {path.relative_to(solution): _strip(path, stripper) for path in sources}
    if not any(changed for _, changed in stripped.values()):
        raise CourseError(
            f"{solution}: no file holds a BEGIN SOLUTION region", "mark what students write"
        )
    texts = {path.as_posix(): text for path, (text, _) in stripped.items()}
    texts |= {f"{folder}/.gitkeep": "" for folder in assignment.empty}
    ownership.claim(target, of=f"starter of {name}")
    ownership.forget_files(target, keep=texts)
    for path, text in texts.items():
        write_text_atomic(target / path, text)
    ownership.note_files(target, texts)
    return sorted(target / path for path in texts)


def _belongs(path: Path, solution: Path, kept_back: tuple[str, ...]) -> bool:
    parts = path.relative_to(solution).parts
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return path.is_file() and not hidden and parts[0] not in kept_back


def _stripper() -> Any:
    try:
        from nbgrader.preprocessors import ClearSolutions
    except ImportError:
        raise CourseError(
            "nbgrader is not installed", "pip install -r requirements-dev.txt"
        ) from None
    # Our cells carry no nbgrader metadata: graders go by names, and Colab loses metadata.
    return ClearSolutions(enforce_metadata=False)


def _strip(path: Path, stripper: Any) -> tuple[str, bool]:
    """(the student's text, whether anything was cut out) of one file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return _strip_notebook(text, stripper, path)
    import nbformat

    if path.suffix in TEXT_STUBS:
        stripper.text_stub = TEXT_STUBS[path.suffix]
        cell = nbformat.v4.new_markdown_cell(text)
    else:
        cell = nbformat.v4.new_code_cell(text)
    return _cut(cell, stripper, path), cell.source != text


def _cut(cell: Any, stripper: Any, path: Path) -> str:
    """Cut the solution regions out of a cell, in place; returns its source."""
    try:
        stripper._replace_solution_region(cell, "python")
    except RuntimeError as error:  # nested regions, or one without its end
        raise CourseError(f"{path}: {error}", "close each BEGIN SOLUTION") from None
    return cell.source


def _strip_notebook(text: str, stripper: Any, path: Path) -> tuple[str, bool]:
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    stripper.text_stub = TEXT_STUBS[".md"]
    changed = False
    for cell in notebook.cells:
        before = cell.source
        changed |= _cut(cell, stripper, path) != before
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n", changed


def start(name: str, folder: Path) -> Path:
    """Copy the starter of an assignment into a new folder; never over an existing one."""
    starter = assignment_folder(name) / "starter"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder}: already there", "choose a new folder, or empty this one")
    if not starter.is_dir():
        raise CourseError(f"{starter}: not there", "clone the kit again")
    unmarked = shutil.ignore_patterns(ownership.MARK)  # from now on it is the student's
    was_there = folder.exists()
    try:
        shutil.copytree(starter, folder, dirs_exist_ok=True, ignore=unmarked)
    except shutil.Error as error:  # half a starter would stand in the way of the next try
        _take_back(folder, was_there)
        raise CourseError(
            f"{folder}: the starter was not copied ({error.args[0][0][2]})",
            "free some disk space or choose another folder, then start again",
        ) from None
    for empty in ASSIGNMENTS[name].empty:
        (folder / empty / ".gitkeep").unlink(missing_ok=True)
    return folder


def _take_back(folder: Path, was_there: bool) -> None:
    """Remove what was copied into a folder that was empty, or not there at all."""
    for path in folder.iterdir() if was_there else [folder]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def recognise(folder: Path) -> str:
    """The name of the assignment that a submission's folder belongs to.

    Raises CourseError when there is no such folder, or when its files fit none or two of them.
    """
    root = root_of(folder)
    found = [n for n, a in ASSIGNMENTS.items() if any((root / mark).exists() for mark in a.marks)]
    if len(found) == 1:
        return found[0]
    why = "files of several assignments" if found else "none of an assignment's files"
    names = " or ".join(f"--assignment {name}" for name in ASSIGNMENTS)
    raise CourseError(f"{folder}: it holds {why}", f"say which it is: {names}")
