"""The checklist of a submission: what every assignment's check has in common.

An assignment brings a Checklist: its files, its parts, its checks (week05, week09_10). Here is what
walks it, and the checks of the folder as a whole. What a check says is in messages.yaml, beside
this file; folder.py looks at files, adapter.py at the adapter, packing.py makes the archive.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from course_utils import ownership
from course_utils.assignments import adapter as adapter_module
from course_utils.assignments import hollow, leaderboard, submitted
from course_utils.assignments.definition import Definition, of_checker
from course_utils.assignments.findings import Finding, SubmissionReport, Warn, warn, wrong
from course_utils.assignments.folder import (
    ARCHIVES,
    MOST_FILES,
    Folder,
    kind_problem,
    listed,
    show,
    size_text,
)
from course_utils.errors import CourseError
from course_utils.messages import Explained

if TYPE_CHECKING:
    from course_utils.records import CheckReport

RELEASE = "result.json"  # Classroom 50 lays it beside a submission's files


@dataclass
class Visit:
    """What the checks of one submission share: each leaves behind what the later ones need."""

    folder: Folder
    checklist: "Checklist"
    adapter: dict[str, Any] = field(default_factory=dict)  # adapter_config.json
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of the LoRA matrices
    findings: dict[str, Finding] = field(default_factory=dict)  # of `finding_of`, by check


@dataclass(frozen=True)
class Check:
    """One line of the checklist: `judge` returns what is right, or raises `wrong` or `warn`."""

    id: str
    part: int
    path: str
    judge: Callable[[Any], str]
    needs: tuple[str, ...] = ()
    subject: str = ""  # which of several like things in the file


@dataclass(frozen=True)
class Checklist:
    """One assignment's structure, and the checks that walk it."""

    checker: str  # as assignment.yaml names it
    required: Mapping[str, str]  # file -> what to do when it is not there
    belongs: Callable[[str], bool]  # whether a file is part of the structure, and so is packed
    adapter: str  # its folder
    train: str  # the cure for an adapter that is broken
    checks: list[Check] = field(default_factory=list)

    @property
    def about(self) -> Definition:
        """The assignment as data: thresholds, parts, groups."""
        return of_checker(self.checker)

    @property
    def starter(self) -> Path:
        """The starter's folder: what is still as in it was not written."""
        return self.about.path / "starter"

    def check(self, name: str, part: int, path: str, *needs: str, subject: str = "") -> Callable:
        """Decorator: enter a judge; `needs` are the checks that must have passed before."""

        def register(judge: Callable[[Any], str]) -> Callable[[Any], str]:
            self.checks.append(Check(name, part, path, judge, needs, subject))
            return judge

        return register

    def check_folder(self) -> None:
        """Enter the checks of the folder as a whole, as part 0."""
        for name, judge in FOLDER_CHECKS.items():
            self.check(f"folder.{name}", 0, ".")(judge)

    def check_adapter(self, part: int) -> None:
        """Enter the checks that need nothing but the adapter's two files."""
        config, weights = (
            f"{self.adapter}/{name}"
            for name in ("adapter_config.json", "adapter_model.safetensors")
        )
        self.check("adapter.config", part, config)(adapter_module.config)
        self.check("adapter.weights", part, weights, "adapter.config")(adapter_module.weights)
        self.check("adapter.trained", part, weights, "adapter.weights")(adapter_module.trained)
        self.check("adapter.model", part, config, "adapter.config")(hollow.model)


def walk(visit: Visit) -> SubmissionReport:
    """Walk the checklist of a visit.

    Each missing file is named once; a check that needs a failed one is left out, so that one fault
    gives one finding.
    """
    from tqdm.auto import tqdm

    checklist, files = visit.checklist, visit.folder.files
    findings: dict[str, Finding] = {}
    passed = ("ok", "warning")
    for check in tqdm(checklist.checks, desc="checking", unit="check", leave=False):
        if check.path in checklist.required and check.path not in files:
            due = all(known.path != check.path for known in findings.values())
        else:
            due = all(need in findings and findings[need].state in passed for need in check.needs)
        if due:
            findings[check.id] = _judge(check, visit)
    ordered = sorted(findings.values(), key=lambda finding: finding.part)
    return SubmissionReport(visit.folder.root, tuple(ordered), checklist.about.titles)


def finding_of(visit: Visit, name: str, met: Sequence[str] = ()) -> Finding:
    """The finding of one check, made once; of the first that it needs, where that one failed.

    For those who ask for single checks, as the grader does; `walk` asks for all. `met`: needs that
    are known to be met.
    """
    if name not in visit.findings:
        check = next(check for check in visit.checklist.checks if check.id == name)
        for need in (need for need in check.needs if need not in met):
            first = finding_of(visit, need)
            if first.state in ("missing", "wrong"):
                return first
        visit.findings[name] = _judge(check, visit)
    return visit.findings[name]


def root_of(folder: str | Path) -> Path:
    """The folder itself, links resolved. Raises CourseError when there is none to look at."""
    path = Path(folder).expanduser()
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        raise CourseError(f"{path}: this is an archive", "unpack it and give the folder")
    if not path.is_dir():
        cure = "give the folder that holds README.md, data/, scripts/, models/ and so on"
        raise CourseError(f"{path}: there is no such folder", cure)
    return path.resolve()


def _judge(check: Check, visit: Visit) -> Finding:
    """The finding of one check; whatever a submission makes it raise is that one's fault."""

    def found(state: str, message: str, cure: str = "", name: str = "") -> Finding:
        # Paths in messages are the submission's own; the machine's part of them says nothing.
        short = show(message.replace(f"{visit.folder.root}{os.sep}", ""), 600)
        place = check.id, check.part, state, check.path
        return Finding(*place, short, cure, name, check.subject)

    def told(state: str, error: Explained) -> Finding:
        return found(state, error.message, error.cure, error.id)

    if check.path in visit.checklist.required and check.path not in visit.folder.files:
        return told("missing", _absent(check.path, visit))
    try:
        if check.path in visit.folder.files and (size := visit.folder.size_problem(check.path)):
            raise wrong("file.too_large", problem=size)
        if check.path in visit.folder.files and visit.folder.not_rebuilt(check.path):
            raise wrong("file.left_out", "other", again=visit.folder.again(check.path))
        return found("ok", check.judge(visit))
    except Warn as warning:
        return told("warning", warning)
    except Explained as error:
        return told("wrong", error)
    except CourseError as error:  # of a reader of the kit, which knows nothing of submissions
        return told("wrong", wrong("file.refused", problem=error.message, cure=error.cure))
    except Exception as error:  # any content may come in: keys missing, lists for numbers, ...
        what = f"{type(error).__name__}: {show(error, 80)}"
        again = visit.folder.again(check.path)
        return told("wrong", wrong("file.not_as_written", problem=what, again=again))


def _absent(name: str, visit: Visit) -> Explained:
    folder, checklist = visit.folder, visit.checklist
    parents = [name, *(parent.as_posix() for parent in PurePosixPath(name).parents)]
    if any(parent in folder.links for parent in parents):
        return wrong("file.only_a_link")
    last = PurePosixPath(name).name.casefold()
    like = [
        other
        for other in folder.files
        if PurePosixPath(other).name.casefold() == last and not checklist.belongs(other)
    ]
    make = checklist.required[name]
    if name in folder.left_out:
        return wrong("file.left_out", "absent", again=make)
    if like:
        return wrong("file.elsewhere", make=make, other=show(like[0], 80))
    return wrong("file.missing", make=make)


# --- The folder as a whole ----------------------------------------------------------------------


def _links(visit: Visit) -> str:
    links = visit.folder.links
    outside = [name for name, leaves in links.items() if leaves]
    if outside:
        raise wrong("folder.link", "outside", names=listed(outside))
    if links:
        raise wrong("folder.link", "inside", names=listed(links))
    return "no symbolic links"


def _kinds(visit: Visit) -> str:
    if visit.folder.crowded:
        raise wrong("folder.too_many_files", most=MOST_FILES)
    if visit.folder.strange:
        raise wrong("folder.not_a_file", names=listed(visit.folder.strange))
    return f"{len(visit.folder.files)} files, {size_text(sum(visit.folder.files.values()))}"


def _sizes(visit: Visit) -> str:
    large = {name for name in visit.folder.files if visit.folder.size_problem(name)}
    large -= {name for name in large if kind_problem(name)}  # named by the next two checks
    if large:
        problem = visit.folder.size_problem(min(large))
        raise wrong("folder.too_large", names=listed(large), problem=problem)
    return "no file is too large"


def record_error(report: "CheckReport", name: str) -> Explained:
    """The first error in a file of records, and how many there are besides."""
    first = report.errors[0]
    count = f" (and {len(report.errors) - 1} more errors)" if report.errors[1:] else ""
    where = f"line {first.line}: " if first.line else ""
    values = {"problem": f"{where}{first.message}{count}", "cure": first.cure, "name": name}
    return wrong("records.line_wrong", **values)


def in_folders(name: str, adapter: str, folders: Mapping[str, tuple[int, set[str]]]) -> bool:
    """Whether a file is one of the adapter's, or lies where a submission may hold some.

    `folders`: name -> (levels below it, endings).
    """
    path = PurePosixPath(name)
    if kind_problem(name) or any(part.startswith(".") for part in path.parts):
        return False
    if path.parent.as_posix() == adapter:
        return path.name in adapter_module.FILES
    levels, endings = folders.get(path.parts[0], (0, set()))
    return 0 < len(path.parts) - 1 <= levels and path.suffix.lower() in endings


def _of_kind(visit: Visit, kind: str) -> list[str]:
    return [name for name in visit.folder.files if kind_problem(name) == kind]


def _pickles(visit: Visit) -> str:
    if found := _of_kind(visit, "pickle"):
        raise wrong("folder.pickle", names=listed(found))
    return "no pickle files"


def _weights(visit: Visit) -> str:
    if found := _of_kind(visit, "weights"):
        size = size_text(sum(visit.folder.files[name] for name in found))
        raise wrong("folder.base_weights", names=listed(found), size=size)
    return "no base model weights"


def _others(visit: Visit) -> str:
    if archives := _of_kind(visit, "archive"):
        raise warn("folder.archive", names=listed(archives))
    rest = [name for name in visit.folder.files if not visit.checklist.belongs(name)]
    rest = [name for name in rest if not name.endswith(ownership.MARK)]  # the kit put it there
    rest = [name for name in rest if name not in (RELEASE, ".gitignore")]  # of the starter
    if rest:
        raise warn("folder.not_in_structure", names=listed(rest))
    if visit.folder.aside:
        return f"nothing besides the structure ({listed(visit.folder.aside)} will not be packed)"
    return "nothing besides the structure"


def _leaderboard(visit: Visit) -> str:
    """A leaderboard.yaml, where there is one, names who wants to stand on the leaderboard."""
    name = leaderboard.chosen_name(visit.folder)
    return f"on the leaderboard as {show(name)}" if name else "not on the leaderboard (your choice)"


def _submitted(visit: Visit) -> str:
    """submission.yaml names who hands in, and the starter that they began with."""
    return submitted.judge(visit.folder, visit.checklist.about)


FOLDER_CHECKS: dict[str, Callable[[Visit], str]] = {
    "links": _links,
    "kinds": _kinds,
    "size": _sizes,
    "pickles": _pickles,
    "weights": _weights,
    "others": _others,
    "starter": hollow.starter,
    "solution": hollow.solution,
    "leaderboard": _leaderboard,
    "submitted": _submitted,
}


def require_run(code: Sequence[Mapping[str, Any]], sections: Sequence[str] = ()) -> None:
    """A notebook's code cells have all run, none to an error; else a finding or a warning.

    `sections` names the section of each cell, "" where it stands in none.
    """
    for number, cell in enumerate(code, start=1):
        if any(output.get("output_type") == "error" for output in cell.get("outputs", ())):
            section = sections[number - 1] if sections else ""
            case = "section" if section else "cell"
            raise wrong("notebook.cell_error", case, number=number, section=section)
    run = sum(bool(cell.get("outputs") or cell.get("execution_count")) for cell in code)
    if run < len(code):
        raise warn("notebook.not_run", run=run, count=len(code))


def first_difference(told: Any, computed: Any, where: str) -> str:
    """The path of the first stored value that is not the computed one; "" where there is none."""
    if isinstance(computed, dict) and isinstance(told, dict) and told.keys() == computed.keys():
        parts = [(told[key], value, f"{where}.{key}") for key, value in computed.items()]
    elif isinstance(computed, list) and isinstance(told, list) and len(told) == len(computed):
        parts = [(told[i], value, f"{where}[{i}]") for i, value in enumerate(computed)]
    elif isinstance(computed, float) and isinstance(told, int | float):
        return "" if math.isclose(told, computed, rel_tol=1e-4, abs_tol=1e-4) else where
    else:
        return "" if told == computed else where
    return next(filter(None, (first_difference(*part) for part in parts)), "")
