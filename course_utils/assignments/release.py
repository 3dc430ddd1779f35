"""A starter made from a solution, or nothing at all: no release gives a solution away.

    release("parameter_lab")        # course assignment release parameter_lab

assignment.yaml lists every file of solution/, and how many lines are taken out where. What the
markers say has to be that; then the regions are cut out by nbgrader's own preprocessor, in
notebooks and (each file taken as one cell) in scripts, Markdown and YAML; then the result is
searched for every line of the solution. Any problem stops all of it, and all are told at once.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from course_utils import kit, ownership
from course_utils.assignments.definition import FILE, Definition, Solution, find
from course_utils.assignments.regions import MARKER, Marked, Problem, read_regions, source_lines
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic
from course_utils.schemas import count_of

TEXT_STUBS = {
    ".md": "YOUR ANSWER HERE",
    ".yaml": "# YOUR VALUES HERE",
}
TELLING = 12  # letters and digits from which on a line is looked for: shorter ones are anybody's


def release(name: str) -> list[Path]:
    """Make the starter of an assignment anew; returns its files. Raises CourseError with a list."""
    about = find(name)
    return make_starter(about.path / "solution", about.path / "starter", name)


def make_starter(solution: Path, target: Path, name: str) -> list[Path]:
    """Write the starter of the assignment `name` into `target`; returns its files.

    Files of an earlier starter that no longer belong to it go; what the kit did not make stays.
    Raises CourseError when nbgrader is missing, when `target` is somebody else's, or when anything
    about the solution is not as assignment.yaml says: then nothing is written.
    """
    about = find(name)
    stripper = _stripper()
    texts, marked, problems = _read(solution, about.solution)
    problems += _unlisted(marked, about.solution)
    _refuse(problems, solution, name)
    starter = {file: _strip(file, text, stripper) for file, text in texts.items()}
    starter |= {file: _copied(source) for file, source in about.solution.made.items()}
    _refuse(list(search(starter, _lines_of(marked))), solution, name)
    starter |= {f"{folder}/.gitkeep": "" for folder in about.empty}
    _write(target, starter, about)
    return sorted(target / path for path in starter)


def solution_lines(solution: Path, listed: Solution) -> dict[str, str]:
    """Every telling line of a solution's regions -> file and line where it stands."""
    return _lines_of(_read(solution, listed)[1])


def _lines_of(marked: Mapping[str, Marked]) -> dict[str, str]:
    return {
        line: f"{file}, {region.line}"
        for file, own in marked.items()
        for region in own.regions
        for line in telling(region.lines)
    }


def telling(lines: Iterable[str], least: int = TELLING) -> list[str]:
    """The lines that say something by themselves, without the blanks around them."""
    return [line.strip() for line in lines if len(re.sub(r"\W", "", line)) >= least]


def search(texts: Mapping[str, str], lines: Mapping[str, str]) -> Iterable[Problem]:
    """A problem for each place at which a marker, or one of the solution's lines stands."""
    for file, text in texts.items():
        for where, line in source_lines(file, text):
            if MARKER.fullmatch(line):
                yield Problem(file, where, "a marker of a solution", "no student gets this file")
            elif line.strip() in lines:
                what = f"{_short(line)} is a line of the solution ({lines[line.strip()]})"
                yield Problem(file, where, what, "move the marker, or reword one of the two lines")


def _short(line: str) -> str:
    line = line.strip()
    return repr(line if len(line) <= 60 else f"{line[:57]}...")


# --- What stops a release -----------------------------------------------------------------------


def _read(
    solution: Path, listed: Solution
) -> tuple[dict[str, str], dict[str, Marked], list[Problem]]:
    """(texts, what their markers say, problems) of the files that a student gets."""
    texts: dict[str, str] = {}
    marked: dict[str, Marked] = {}
    problems: list[Problem] = []
    for path in sorted(solution.rglob("*")):
        name = path.relative_to(solution).as_posix()
        if not _belongs(path, name, listed):
            continue
        if name not in {*listed.regions, *listed.given}:
            what = f"it is new: {FILE} does not list it, so nobody decided who gets it"
            cure = "list it under regions, given or kept_back, or move it out of solution/"
            problems.append(Problem(name, "", what, cure))
            continue
        try:
            texts[name] = path.read_text(encoding="utf-8")
            marked[name] = read_regions(name, texts[name])
        except (ValueError, KeyError, TypeError, AttributeError):
            texts.pop(name, None)
            what, cure = "it is no text, or no notebook", "list it under kept_back, or mend it"
            problems.append(Problem(name, "", what, cure))
        else:
            problems += marked[name].problems
    return texts, marked, problems


def _belongs(path: Path, name: str, listed: Solution) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return not path.is_dir() and not hidden and parts[0] not in listed.kept_back


def _unlisted(marked: Mapping[str, Marked], listed: Solution) -> list[Problem]:
    """Where the markers say something else than the list: both ways."""
    problems = []
    for name in sorted({*listed.regions, *listed.given} - set(marked)):
        cure = f"put it back, or take it out of {FILE}"
        problems.append(Problem(name, "", f"{FILE} lists it, and it is not there", cure))
    for name, own in marked.items():
        found, wanted = own.counts(), listed.regions.get(name, {})
        first = {region.of: region.line for region in reversed(own.regions)}
        for of in dict.fromkeys((*wanted, *found)):
            if found[of] != wanted.get(of, 0):
                what = f"{FILE} lists {count_of(wanted.get(of, 0), 'line')} of {of!r}, "
                what += f"the markers take out {found[of]}"
                cure = "put the markers back where they were; if you changed the solution, write "
                cure += f"{of!r}: {found[of]}" if found[of] else f"no {of!r}"
                problems.append(Problem(name, first.get(of, ""), what, f"{cure} into {FILE}"))
    return problems


def _refuse(problems: list[Problem], solution: Path, name: str) -> None:
    if problems:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        told = "".join(f"\n    {problem}" for problem in problems)
        cure = f"mend what is listed, then: course assignment release {name}"
        raise CourseError(f"{solution}: {count}, so nothing was written:{told}", cure)


# --- Cutting ------------------------------------------------------------------------------------


def _stripper() -> Any:
    try:
        from nbgrader.preprocessors import ClearSolutions
    except ImportError:
        raise CourseError(
            "nbgrader is not installed", "pip install -r requirements-dev.txt"
        ) from None
    # Our cells carry no nbgrader metadata: graders go by names, and Colab loses metadata.
    return ClearSolutions(enforce_metadata=False)


def _strip(name: str, text: str, stripper: Any) -> str:
    """The student's text of one file."""
    import nbformat

    suffix = Path(name).suffix
    if suffix == ".ipynb":
        notebook = nbformat.reads(text, as_version=4)
        stripper.text_stub = TEXT_STUBS[".md"]
        for cell in notebook.cells:
            stripper._replace_solution_region(cell, "python")
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        return nbformat.writes(notebook) + "\n"
    if suffix in TEXT_STUBS:
        stripper.text_stub = TEXT_STUBS[suffix]
        cell = nbformat.v4.new_markdown_cell(text)
    else:
        cell = nbformat.v4.new_code_cell(text)
    stripper._replace_solution_region(cell, "python")
    return cell.source


def _copied(source: str) -> str:
    """A file of the kit that the starter holds a copy of."""
    return (kit.ROOT / source).read_text(encoding="utf-8")


def _write(target: Path, texts: Mapping[str, str], about: Definition) -> None:
    about.claim(target, "starter")
    ownership.forget_files(target, keep=texts)
    for path, text in texts.items():
        write_text_atomic(target / path, text)
    ownership.note_files(target, texts)
