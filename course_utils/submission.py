"""A submission of weeks 9-10: walk the checklist, say what is missing, pack it.

report = check_submission("my_submission"); Console().print(report.render())
pack_submission("my_submission")            # my_submission.zip, without base weights

The folder may be hostile. Nothing of it is executed, unpickled or unpacked: scripts are parsed,
safetensors are read as bytes, links are not followed, and no file above its limit is opened.
"""

import ast
import json
import math
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from course_utils import records as records_module
from course_utils.configuration import ALL_LINEAR, LoraFile, read_config
from course_utils.errors import CourseError
from course_utils.runs import atomic_path

if TYPE_CHECKING:
    import numpy as np

MINIMUM = 5000  # records that the assignment asks for
PARTS = ("train", "val", "test")
STATES = ("missing", "wrong", "warning", "ok")  # worst first
TITLES = {
    0: "The folder",
    1: "Part 1: data preparation",
    2: "Part 2: model selection",
    3: "Part 3: LoRA fine-tuning",
    4: "Part 4: evaluation",
    5: "Part 5: documentation and deployment",
}
PREPARE, TRAIN, EVALUATE = (
    f"run python scripts/{name}.py, which writes it"
    for name in ("prepare_data", "train", "evaluate")
)
WRITE = "write it"
STARTER = "copy it from a new starter: course assignment start week09_10 another_folder"
# Every file of the structure, and what to do when it is not there.
REQUIRED = {
    "README.md": WRITE,
    "finetuning_pipeline.ipynb": STARTER,
    "requirements.txt": STARTER,
    "data/train.jsonl": PREPARE,
    "data/val.jsonl": PREPARE,
    "data/test.jsonl": PREPARE,
    "scripts/prepare_data.py": STARTER,
    "scripts/train.py": STARTER,
    "scripts/evaluate.py": STARTER,
    "models/finetuned_model/adapter_config.json": TRAIN,
    "models/finetuned_model/adapter_model.safetensors": TRAIN,
    "configs/lora_config.yaml": "four lines do: r, lora_alpha, target_modules, lora_dropout",
    "reports/training_log.txt": TRAIN,
    "reports/evaluation_results.md": EVALUATE,
    "reports/comparison_baseline.md": EVALUATE,
    "run/settings.json": PREPARE,
    "run/data_summary.json": PREPARE,
    "run/baseline.json": EVALUATE,
    "run/training.json": TRAIN,
    "run/evaluation.json": EVALUATE,
}
ADAPTER = "models/finetuned_model"
ADAPTER_FILES = {
    *("adapter_config.json", "adapter_model.safetensors", "README.md", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "generation_config.json"),
}
# What else belongs to the structure: folder -> (levels below it, endings).
ALSO = {
    "scripts": (1, {".py"}),
    "configs": (1, {".yaml", ".yml", ".json"}),
    "reports": (4, {".md", ".txt", ".json", ".jsonl", ".csv", ".html", ".png", ".svg", ".pdf"}),
    # run/bonus_*/ holds what the bonuses write, run/model_comparison/ what part 2 measured
    "run": (3, {".json", ".md", ".png", ".html"}),
}
# Never walked into and never packed: they can be made again, or hold another's work.
ASIDE = {
    *("checkpoints", "notebook", "__pycache__", ".git", ".venv", "venv", "env"),
    ".ipynb_checkpoints",
    *(".pytest_cache", ".ruff_cache", "node_modules", ".idea", ".vscode", "wandb", "mlruns"),
}
CHECKPOINT = re.compile(r"checkpoint-\d+$")  # what the trainer calls its folders
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"}
WEIGHTS = re.compile(
    r"(model|pytorch_model|tf_model|consolidated).*\.(safetensors|h5|msgpack)|.*\.(gguf|onnx)"
)
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".whl"}
MB = 1_000_000
LIMITS = {  # bytes by ending; a larger file is not opened
    ".jsonl": 100 * MB,
    ".json": 100 * MB,
    ".ipynb": 20 * MB,
    ".safetensors": 2000 * MB,
    ".yaml": MB // 10,
    ".py": MB,
}
LIMIT = 20 * MB  # of every other file
MOST_FILES, MOST_LEVELS, MOST_RECORDS, MOST_ANSWERS = 10_000, 12, 60_000, 10_000
LONGEST_ANSWER = 20_000  # characters
README_WORDS = 80
PLACEHOLDER = re.compile(
    r"YOUR (?:CODE|ANSWER|VALUES) HERE|^\s*raise\s+NotImplementedError\b", re.M
)
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value"}


# --- What is found ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One line of the checklist."""

    id: str
    part: int
    state: str  # one of STATES
    path: str
    message: str
    cure: str = ""


@dataclass(frozen=True)
class SubmissionReport:
    """What `check_submission` found, in the order of the parts."""

    folder: Path
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing is missing and nothing is wrong; warnings do not count."""
        return not any(finding.state in ("missing", "wrong") for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """State -> number of findings."""
        found = Counter(finding.state for finding in self.findings)
        return {state: found[state] for state in STATES}

    def of_state(self, *states: str) -> list[Finding]:
        """The findings in one of these states."""
        return [finding for finding in self.findings if finding.state in states]

    def verdict(self) -> str:
        """One sentence."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        return f"{'Complete' if self.ok else 'Not complete yet'}: {counts or 'nothing checked'}"

    def lines(self) -> list[str]:
        """The report as plain text: each part, each finding, each cure."""
        lines = []
        for part, title in TITLES.items():
            own = [finding for finding in self.findings if finding.part == part]
            lines += ["", title] if own else []
            for finding in own:
                lines.append(f"  {finding.state:<8} {finding.path}: {finding.message}")
                lines += [f"           Cure: {finding.cure}"] if finding.cure else []
        return [*lines[1:], "", self.verdict()]

    def render(self) -> Any:
        """The report for `rich.console.Console().print`."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        colours = {"missing": "bold red", "wrong": "bold red", "warning": "yellow", "ok": "green"}
        tables: list[Any] = []
        for part, title in TITLES.items():
            table = Table(title=Text(title), title_justify="left", box=None, show_header=False)
            for finding in (own for own in self.findings if own.part == part):
                what = Text(finding.message)
                what.append(f"\n{finding.cure}" if finding.cure else "", style="italic")
                state = Text(finding.state, style=colours[finding.state])
                table.add_row(state, Text(finding.path, overflow="fold"), what)
            tables += [table, Text()] if table.row_count else []
        style = "bold green" if self.ok else "bold red"
        return Group(*tables, Text(self.verdict(), style=style))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "folder": self.folder.name,
            "ok": self.ok,
            "counts": self.counts,
            "findings": [asdict(finding) for finding in self.findings],
        }


class Warn(CourseError):
    """Worth a look, but nothing that stops the submission."""


# --- The folder, looked at without following or opening anything --------------------------------


@dataclass
class Folder:
    """Every regular file below a root (name -> bytes), and what is there besides."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)
    links: dict[str, bool] = field(default_factory=dict)  # name -> does it leave the folder
    strange: list[str] = field(default_factory=list)  # pipes, devices, unreadable folders
    aside: list[str] = field(default_factory=list)
    crowded: bool = False

    def path(self, name: str) -> Path:
        """Where a file of `files` lies."""
        return self.root / name

    def size_problem(self, name: str) -> str:
        """Why a file is too large to open; "" when it is not."""
        limit = LIMITS.get(PurePosixPath(name).suffix.lower(), LIMIT)
        size = self.files[name]
        return f"{_size(size)}; at most {_size(limit)} are read" if size > limit else ""

    def bytes_of(self, name: str) -> bytes:
        """The content of a regular file within its limit; a link put there since is refused."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(self.path(name), flags), "rb") as file:
                return file.read(self.files[name])
        except OSError as error:
            raise CourseError(
                f"cannot be read ({error.strerror})", "check its permissions"
            ) from None

    def text(self, name: str) -> str:
        """The content as text. Raises CourseError with the line that is not UTF-8."""
        raw = self.bytes_of(name)
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise CourseError(
                f"not UTF-8: byte 0x{raw[error.start]:02X} in line {line}", "save it as UTF-8"
            ) from None

    def json(self, name: str) -> Any:
        """The content as JSON. Raises CourseError with line and column."""
        try:
            return json.loads(self.text(name), parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise CourseError(f"broken JSON, {where}: {error.msg}", _again(name)) from None
        except (ValueError, RecursionError):
            raise CourseError("broken JSON: NaN, or nested too deep", _again(name)) from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _again(name: str) -> str:
    return "save it again from Jupyter" if name.endswith(".ipynb") else REQUIRED.get(name, WRITE)


def scan(root: Path) -> Folder:
    """List a folder without following links; at most MOST_FILES files and MOST_LEVELS levels."""
    folder = Folder(root)
    waiting = [root]
    while waiting:
        current = waiting.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            folder.strange.append(current.relative_to(root).as_posix())
            continue
        for entry in entries:
            name = Path(entry.path).relative_to(root).as_posix()
            about = entry.stat(follow_symlinks=False)
            mode = about.st_mode
            if stat.S_ISLNK(mode) or _is_junction(entry):
                folder.links[name] = not _stays(Path(entry.path), root)
            elif stat.S_ISDIR(mode) and (entry.name in ASIDE or CHECKPOINT.match(entry.name)):
                folder.aside.append(f"{name}/")
            elif stat.S_ISDIR(mode) and name.count("/") < MOST_LEVELS:
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                folder.files[name] = about.st_size
            else:
                folder.strange.append(name)
            if len(folder.files) + len(folder.links) + len(folder.strange) >= MOST_FILES:
                folder.crowded = True
                return folder
    return folder


def _is_junction(entry: os.DirEntry) -> bool:
    return bool(getattr(entry, "is_junction", bool)())  # Windows, from Python 3.12


def _stays(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop
        return False


def _size(count: int) -> str:
    for unit, size in (("GB", 1000 * MB), ("MB", MB), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _show(text: object, limit: int = 300) -> str:
    """Text of the submission as one printable line: it goes to a terminal."""
    plain = " ".join(str(text).split())
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in plain)


def _names(names: Iterable[str], most: int = 4) -> str:
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(_show(name, 80) for name in names[:most]) + rest


# --- The checklist ------------------------------------------------------------------------------


@dataclass
class Visit:
    """What the checks of one submission share: each leaves behind what the later ones need."""

    folder: Folder
    minimum: int
    parts: dict[str, list[dict]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    config: LoraFile | None = None
    adapter: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One line of the checklist: `judge` returns what is right, or raises CourseError or Warn."""

    id: str
    part: int
    path: str
    judge: Callable[[Visit], str]
    needs: tuple[str, ...] = ()


CHECKS: list[Check] = []


def _check(name: str, part: int, path: str, *needs: str) -> Callable:
    def register(judge: Callable[[Visit], str]) -> Callable[[Visit], str]:
        CHECKS.append(Check(name, part, path, judge, needs))
        return judge

    return register


def check_submission(folder: str | Path, minimum: int = MINIMUM) -> SubmissionReport:
    """Walk the checklist; `minimum` is the number of records asked for.

    Each missing file is named once; a check that needs a failed one is left out, so that one fault
    gives one finding. Raises CourseError only when there is no folder to look at.
    """
    from tqdm.auto import tqdm

    visit = Visit(scan(_root(folder)), minimum)
    findings: dict[str, Finding] = {}
    passed = ("ok", "warning")
    for check in tqdm(CHECKS, desc="checking", unit="check", leave=False):
        if check.path in REQUIRED and check.path not in visit.folder.files:
            due = all(known.path != check.path for known in findings.values())
        else:
            due = all(need in findings and findings[need].state in passed for need in check.needs)
        if due:
            findings[check.id] = _judge(check, visit)
    ordered = sorted(findings.values(), key=lambda finding: finding.part)
    return SubmissionReport(visit.folder.root, tuple(ordered))


def _root(folder: str | Path) -> Path:
    path = Path(folder).expanduser()
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        raise CourseError(f"{path}: this is an archive", "unpack it and give the folder")
    if not path.is_dir():
        cure = "give the folder that holds README.md, data/, scripts/, models/ and so on"
        raise CourseError(f"{path}: there is no such folder", cure)
    return path.resolve()


def _judge(check: Check, visit: Visit) -> Finding:
    """The finding of one check; whatever a submission makes it raise is that one's fault."""

    def found(state: str, message: str, cure: str = "") -> Finding:
        # Paths in messages are the submission's own; the machine's part of them says nothing.
        short = message.replace(f"{visit.folder.root}{os.sep}", "")
        return Finding(check.id, check.part, state, check.path, _show(short, 600), cure)

    if check.path in REQUIRED and check.path not in visit.folder.files:
        return found(*_absent(check.path, visit.folder))
    if check.path in visit.folder.files and (problem := visit.folder.size_problem(check.path)):
        return found("wrong", f"too large: {problem}", "hand in a smaller file")
    try:
        return found("ok", check.judge(visit))
    except Warn as warning:
        return found("warning", warning.message, warning.cure)
    except CourseError as error:
        return found("wrong", error.message, error.cure)
    except Exception as error:  # any content may come in: keys missing, lists for numbers, ...
        what = f"not what the kit writes here ({type(error).__name__}: {_show(error, 80)})"
        return found("wrong", what, _again(check.path))


def _absent(name: str, folder: Folder) -> tuple[str, str, str]:
    parents = [name, *(parent.as_posix() for parent in PurePosixPath(name).parents)]
    if any(parent in folder.links for parent in parents):
        return "missing", "only a link is there, and links are not followed", "copy the file itself"
    last = PurePosixPath(name).name.casefold()
    like = [
        other
        for other in folder.files
        if PurePosixPath(other).name.casefold() == last and not belongs(other)
    ]
    hint = f"; there is {_show(like[0], 80)}: move or rename it" if like else ""
    return "missing", "not there", f"{REQUIRED[name]}{hint}"


# --- The folder as a whole ----------------------------------------------------------------------


@_check("folder.links", 0, ".")
def _links(visit: Visit) -> str:
    links = visit.folder.links
    outside = [name for name, leaves in links.items() if leaves]
    if outside:
        raise CourseError(
            f"{_names(outside)}: a symbolic link that leaves the folder",
            "replace the link by the file itself: what lies elsewhere is not handed in",
        )
    if links:
        raise CourseError(
            f"{_names(links)}: a symbolic link; links are not followed",
            "replace the link by the file itself",
        )
    return "no symbolic links"


@_check("folder.kinds", 0, ".")
def _kinds(visit: Visit) -> str:
    if visit.folder.crowded:
        raise CourseError(
            f"more than {MOST_FILES:,} files", "keep only what the structure asks for"
        )
    if visit.folder.strange:
        raise CourseError(
            f"{_names(visit.folder.strange)}: no file, or not readable",
            "remove pipes and devices, and make every folder readable",
        )
    return f"{len(visit.folder.files)} files, {_size(sum(visit.folder.files.values()))}"


@_check("folder.size", 0, ".")
def _sizes(visit: Visit) -> str:
    large = {name for name in visit.folder.files if visit.folder.size_problem(name)}
    large -= {name for name in large if _kind_problem(name)}  # named by the next two checks
    if large:
        name = min(large)
        raise CourseError(
            f"{_names(large)}: too large ({visit.folder.size_problem(name)})",
            "remove it, or hand in a smaller one",
        )
    return "no file is too large"


def _kind_problem(name: str) -> str:
    """Why a file has no place in a submission: "pickle", "weights", "archive" or ""."""
    path = PurePosixPath(name.casefold())
    if path.suffix in PICKLES:
        return "pickle"
    if WEIGHTS.fullmatch(path.name):
        return "weights"
    return "archive" if path.suffix in ARCHIVES else ""


def _of_kind(visit: Visit, kind: str) -> list[str]:
    return [name for name in visit.folder.files if _kind_problem(name) == kind]


@_check("folder.pickles", 0, ".")
def _pickles(visit: Visit) -> str:
    if found := _of_kind(visit, "pickle"):
        raise CourseError(
            f"{_names(found)}: a format that can run code when it is loaded; it was not opened",
            "delete it; save the adapter with model.save_pretrained(...), which writes safetensors",
        )
    return "no pickle files"


@_check("folder.weights", 0, ".")
def _weights(visit: Visit) -> str:
    if found := _of_kind(visit, "weights"):
        sizes = _size(sum(visit.folder.files[name] for name in found))
        raise CourseError(
            f"{_names(found)}: base model weights ({sizes}) are not part of a submission",
            "delete them; the adapter is enough, and the base model is named in the configuration",
        )
    return "no base model weights"


@_check("folder.others", 0, ".")
def _others(visit: Visit) -> str:
    if archives := _of_kind(visit, "archive"):
        cure = "unpack what belongs to the structure and remove the archive"
        raise Warn(f"{_names(archives)}: archives are neither opened nor packed", cure)
    rest = [name for name in visit.folder.files if not belongs(name)]
    if rest:
        cure = "nothing to do, unless you meant it to be read: then put it under reports/"
        raise Warn(f"{_names(rest)}: not part of the structure, so it is not packed", cure)
    if visit.folder.aside:
        return f"nothing besides the structure ({_names(visit.folder.aside)} will not be packed)"
    return "nothing besides the structure"


def belongs(name: str) -> bool:
    """Whether a file is part of the submission's structure (and so goes into the archive)."""
    if name in REQUIRED:
        return True
    path = PurePosixPath(name)
    if _kind_problem(name) or any(part.startswith(".") for part in path.parts):
        return False
    if path.parent.as_posix() == ADAPTER:
        return path.name in ADAPTER_FILES
    levels, endings = ALSO.get(path.parts[0], (0, set()))
    return 0 < len(path.parts) - 1 <= levels and path.suffix.lower() in endings


# --- Part 1: data -------------------------------------------------------------------------------


def _data_file(part: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        name = f"data/{part}.jsonl"
        # near=1: look-alikes inside a part are no fault, and searching them takes the longest.
        report = records_module.check_file(visit.folder.path(name), "manufacturing", near=1.0)
        if report.errors:
            first = report.errors[0]
            count = f" (and {len(report.errors) - 1} more errors)" if report.errors[1:] else ""
            where = f"line {first.line}: " if first.line else ""
            raise CourseError(
                f"{where}{first.message}{count}",
                f"{first.cure} All of them: course data check {name}",
            )
        if len(report.records) > MOST_RECORDS:
            raise CourseError(f"more than {MOST_RECORDS:,} records", "hand in a sample of them")
        visit.parts[part] = [record for _, record in report.records]
        visit.lines[part] = [line for line, _ in report.records]
        return f"{len(report.records):,} records, every line right"

    return judge


for _part in PARTS:
    _check(f"data.{_part}", 1, f"data/{_part}.jsonl")(_data_file(_part))
_DATA = tuple(f"data.{part}" for part in PARTS)


@_check("data.size", 1, "data", *_DATA)
def _data_size(visit: Visit) -> str:
    total = sum(map(len, visit.parts.values()))
    if total < visit.minimum:
        raise CourseError(
            f"{total:,} records, {visit.minimum:,} are asked for",
            "run python scripts/prepare_data.py again, or add records of your own",
        )
    return f"{total:,} records, at least {visit.minimum:,} are asked for"


@_check("data.tasks", 1, "data", *_DATA)
def _data_tasks(visit: Visit) -> str:
    from course_utils import tasks

    for part, own in visit.parts.items():
        absent = [task for task in tasks.TASKS if task not in tasks.by_task(own)]
        if absent:
            raise CourseError(
                f"data/{part}.jsonl has no record of the task {', '.join(absent)}",
                'each part needs all three; a record names its task: "task": "qa"',
            )
    return f"{', '.join(tasks.TASKS)} in every part"


@_check("data.leak", 1, "data", *_DATA)
def _data_leak(visit: Visit) -> str:
    found = records_module.overlap(visit.parts)
    if found["exact"] or found["near"] or found["groups"]:
        raise CourseError(
            f"the parts overlap: {found['exact']} equal prompts, {found['near']} nearly equal, "
            f"{found['groups']} shared groups; {_first_leak(visit)}",
            "split by `group`, and drop from train what is like val or test: records.close_to",
        )
    return f"no overlap in {found['compared']:,} pairs of records"


def _first_leak(visit: Visit) -> str:
    """Where the first record stands that is in two parts."""
    for part, other in (("test", "train"), ("val", "train"), ("test", "val")):
        own, others = visit.parts[part], visit.parts[other]
        close = records_module.close_to(own, others)
        groups = {record["group"] for record in others if record.get("group")}
        close |= {i for i, record in enumerate(own) if record.get("group") in groups}
        if close:
            return (
                f"first: data/{part}.jsonl, line {visit.lines[part][min(close)]}, also in {other}"
            )
    return ""


@_check("run.data_summary", 1, "run/data_summary.json", *_DATA)
def _data_summary(visit: Visit) -> str:
    told = _dict(visit.folder.json("run/data_summary.json"))["parts"]
    for part, own in visit.parts.items():
        if told.get(part) != len(own):
            raise CourseError(
                f"it says {_show(told.get(part), 20)} records for {part}, the file has {len(own)}",
                "run python scripts/prepare_data.py again: data and summary come from one run",
            )
    return "its counts are those of the data files"


def _script(name: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        text = visit.folder.text(name)
        _no_placeholder(text)
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            where = f"line {error.lineno}: " if error.lineno else ""
            raise CourseError(
                f"{where}{error.msg}", f"correct it, then run python {name}"
            ) from None
        except (RecursionError, MemoryError, ValueError):
            raise CourseError("not readable as Python", "write it by hand") from None
        if not any(not isinstance(node, ast.Expr) for node in tree.body):
            raise CourseError("there is no code in it", STARTER)
        return "parses as Python, nothing left open"

    return judge


def _no_placeholder(text: str) -> None:
    if found := PLACEHOLDER.search(text):
        line = text.count("\n", 0, found.start()) + 1 + found[0].count("\n")
        raise CourseError(
            f"line {line}: left open ({' '.join(found[0].split())})",
            "write your own code or answer there and remove the marker",
        )


for _part_number, _name in ((1, "prepare_data"), (3, "train"), (4, "evaluate")):
    _check(f"scripts.{_name}", _part_number, f"scripts/{_name}.py")(_script(f"scripts/{_name}.py"))


# --- Part 3: configuration, adapter, training ---------------------------------------------------


@_check("config", 3, "configs/lora_config.yaml")
def _config(visit: Visit) -> str:
    import yaml

    name = "configs/lora_config.yaml"
    text = visit.folder.text(name)
    _no_placeholder(text)
    try:  # a few aliases of aliases stand for gigabytes
        aliased = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
    except yaml.YAMLError:
        aliased = False  # the reader below says what is wrong, with its line
    if aliased:
        raise CourseError("it uses YAML aliases (*name)", "write each value out")
    config = visit.config = read_config(visit.folder.path(name))
    targets = config.target_modules
    layers = targets if isinstance(targets, str) else ", ".join(targets)
    return f"r {config.r}, lora_alpha {config.lora_alpha}, {_show(layers, 80)}"


@_check("adapter.config", 3, f"{ADAPTER}/adapter_config.json")
def _adapter_config(visit: Visit) -> str:
    content = visit.adapter = _dict(visit.folder.json(f"{ADAPTER}/adapter_config.json"))
    if content.get("peft_type") != "LORA":
        kind = _show(content.get("peft_type"), 30)
        raise CourseError(f"peft_type is {kind}, not LORA", TRAIN)
    if content.get("rank_pattern") or content.get("alpha_pattern"):
        raise CourseError(
            "single layers have their own rank (rank_pattern, alpha_pattern)",
            "use one rank and one alpha for all layers, as the configuration does",
        )
    return f"LoRA, r {_show(content['r'], 20)}, lora_alpha {_show(content['lora_alpha'], 20)}"


@_check("adapter.weights", 3, f"{ADAPTER}/adapter_model.safetensors", "adapter.config")
def _adapter_weights(visit: Visit) -> str:
    from safetensors import SafetensorError, safe_open

    path = visit.folder.path(f"{ADAPTER}/adapter_model.safetensors")
    try:  # checks that the header fits the file; no tensor is loaded
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CourseError(f"not a safetensors file ({error})", TRAIN) from None
    visit.shapes = {name: shape for name, shape in shapes.items() if "lora_" in name}
    saved = visit.adapter.get("modules_to_save") or []
    others = [
        name
        for name in shapes.keys() - visit.shapes.keys()
        if not name.endswith(".bias") and not any(f".{module}." in name for module in saved)
    ]
    if others or not visit.shapes:
        raise CourseError(
            f"it holds weights that are no LoRA matrices: {_names(others) or 'nothing else'}",
            "save the adapter alone: model.save_pretrained(...) of the PEFT model",
        )
    size = _size(visit.folder.files[f"{ADAPTER}/adapter_model.safetensors"])
    return f"{len(shapes)} tensors, {size}, LoRA matrices only"


_BOTH = ("config", "adapter.config", "adapter.weights")
_AGREE = "train again after changing the configuration, or put back the one that you trained with"


@_check("adapter.rank", 3, ADAPTER, *_BOTH)
def _adapter_rank(visit: Visit) -> str:
    expected = visit.config.r
    ranks = {shape[0] for name, shape in visit.shapes.items() if _matrix(name) == "A"}
    if visit.adapter["r"] != expected or ranks != {expected}:
        told = _show(visit.adapter["r"], 20)
        found = ", ".join(map(str, sorted(ranks))) or "none"
        raise CourseError(
            f"rank: {expected} in the configuration, {told} in adapter_config.json, {found} in the "
            "tensors",
            _AGREE,
        )
    return f"rank {expected} in configuration, adapter_config.json and tensors"


@_check("adapter.alpha", 3, f"{ADAPTER}/adapter_config.json", "config", "adapter.config")
def _adapter_alpha(visit: Visit) -> str:
    config, adapter = visit.config, visit.adapter
    for key in ("lora_alpha", "lora_dropout"):
        if adapter.get(key) != getattr(config, key):
            told = _show(adapter.get(key), 20)
            raise CourseError(
                f"{key}: {getattr(config, key)} in the configuration, {told} in the adapter", _AGREE
            )
    return f"lora_alpha {config.lora_alpha} and lora_dropout {config.lora_dropout} agree"


@_check("adapter.targets", 3, ADAPTER, *_BOTH)
def _adapter_targets(visit: Visit) -> str:
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name in visit.shapes}
    wanted = visit.config.target_modules
    if wanted == ALL_LINEAR:
        if layers <= ATTENTION:
            raise CourseError(
                f"layers: {ALL_LINEAR} in the configuration, only {_names(layers)} adapted", _AGREE
            )
    elif layers != (asked := {name.rpartition(".")[2] for name in wanted}):
        raise CourseError(
            f"layers: {_names(asked, 9)} in the configuration, {_names(layers, 9)} adapted", _AGREE
        )
    return f"adapts {_names(layers, 9)}"


@_check("adapter.trained", 3, f"{ADAPTER}/adapter_model.safetensors", "adapter.weights")
def _adapter_trained(visit: Visit) -> str:
    import numpy as np

    tensors = _read_tensors(visit.folder.path(f"{ADAPTER}/adapter_model.safetensors"))
    moved = False
    for name, values in tensors:
        if not np.isfinite(values).all():
            raise CourseError(
                f"{_show(name, 120)} holds NaN or infinity",
                "train again with a lower learning_rate, or with precision: fp32",
            )
        moved |= _matrix(name) == "B" and bool(values.any())
    if not moved:
        raise CourseError(
            "every B matrix is zero: this adapter was never trained and changes nothing", TRAIN
        )
    return "every value is finite, and the B matrices are not zero"


def _matrix(name: str) -> str:
    """ "A" or "B" for the two matrices of a LoRA layer, "" for anything else."""
    found = re.search(r"\.lora_(?:embedding_)?([AB])(?:\.|$)", name)
    return found[1] if found else ""


def _read_tensors(path: Path) -> Iterable[tuple[str, "np.ndarray"]]:
    """(name, float values) of the A and B matrices, one at a time.

    The file was checked by safetensors before; its numpy reader does not know bfloat16.
    """
    import numpy as np

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if not _matrix(name):
                continue
            if entry["dtype"] not in kinds:
                raise CourseError(f"{_show(name, 120)} is of type {entry['dtype']}", TRAIN)
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            values = np.frombuffer(file.read(end - start), kinds[entry["dtype"]])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                values = (values.astype("<u4") << 16).view("<f4")
            yield name, values


@_check("run.training", 3, "run/training.json")
def _training(visit: Visit) -> str:
    content = visit.training = _dict(visit.folder.json("run/training.json"))
    train, loss, value = (
        _number(content[name], name) for name in ("final_train_loss", "eval_loss", "perplexity")
    )
    if loss > 50 or not math.isclose(math.exp(loss), value, rel_tol=1e-4):
        raise CourseError(
            f"perplexity {value:.4g} is not exp(eval_loss) with eval_loss {loss:.4g}",
            "run python scripts/train.py again; numbers in run/ are not edited",
        )
    if not any(isinstance(row, dict) and "eval_loss" in row for row in content["log"]):
        raise CourseError("its log holds no evaluation", "set eval_strategy in scripts/train.py")
    return f"final train loss {train:.4f}, validation loss {loss:.4f}, perplexity {value:.3f}"


@_check("reports.training_log", 3, "reports/training_log.txt", "run.training")
def _training_log(visit: Visit) -> str:
    text = visit.folder.text("reports/training_log.txt")
    for title, name, form in (
        ("final train loss", "final_train_loss", ".4f"),
        ("perplexity", "perplexity", ".3f"),
    ):
        found = re.findall(rf"^{title}[ :]+([\d.]+)", text, re.M | re.I)
        expected = f"{visit.training[name]:{form}}"
        if not found:
            raise CourseError(f"it does not state the {title}", TRAIN)
        if found[-1] != expected:
            raise CourseError(
                f"{title} {found[-1][:20]}, but run/training.json has {expected}: edited by hand, "
                "or of another run",
                "run python scripts/train.py again; it writes both",
            )
    return "its final loss and perplexity are those of run/training.json"


# --- Part 2 and 4: baseline and evaluation ------------------------------------------------------


def _dict(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise CourseError("no JSON object {...}", "run the script that writes it again")
    return content


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CourseError(f"{name} is {_show(value, 30)}, not a number", "run its script again")
    return float(value)


@_check("run.evaluation", 4, "run/evaluation.json", "data.test")
def _evaluation(visit: Visit) -> str:
    content = _dict(visit.folder.json("run/evaluation.json"))
    rows = content["predictions"]
    if not rows or len(rows) > MOST_ANSWERS:
        raise CourseError(f"{len(rows)} stored answers", "evaluate 200 records or a few more")
    texts = ("task", "instruction", "input", "reference", "facts", "base", "tuned")
    for number, row in enumerate(rows, start=1):
        long = [key for key in texts if len(_string(row[key])) > LONGEST_ANSWER]
        if long:
            raise CourseError(f"prediction {number}: {long[0]} is too long", EVALUATE)
    known = {_identity(record, "output") for record in visit.parts["test"]}
    strangers = [i for i, row in enumerate(rows, 1) if _identity(row, "reference") not in known]
    if strangers:
        raise CourseError(
            f"{len(strangers)} of {len(rows)} evaluated records are not in data/test.jsonl "
            f"(first: prediction {strangers[0]})",
            "run python scripts/evaluate.py again with the data that you hand in",
        )
    counts = Counter(row["task"] for row in rows)
    if content["test_records"] != len(rows) or counts != {
        task: result["records"] for task, result in content["tasks"].items()
    }:
        raise CourseError("its counts are not those of its stored answers", EVALUATE)
    visit.evaluation = content
    return f"{len(rows)} records of data/test.jsonl, answers of base and tuned model stored"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise CourseError(f"a stored answer is {_show(value, 30)}, not a text", EVALUATE)
    return value


def _identity(record: Mapping[str, str], answer: str) -> tuple[str, str, str, str]:
    facts = record.get("facts", "")
    return record["instruction"], record["input"], record[answer], facts


@_check("evaluation.scores", 4, "run/evaluation.json", "run.evaluation")
def _evaluation_scores(visit: Visit) -> str:
    from course_utils import tasks

    content = visit.evaluation
    for task, result in content["tasks"].items():
        rows = [row for row in content["predictions"] if row["task"] == task]
        sides = {side: [row[side] for row in rows] for side in ("base", "tuned")}
        for side, answers in sides.items():
            _same(result[side], _scores(answers, rows), f"{task}, {side}")
        own = _records(rows)
        tables = [_columns(answers) for answers in sides.values()]
        difference = tasks.compare_task(own, *tables, seed=content["seed"])
        main = tasks.MAIN_SCORE[task]
        for name, interval in difference.items():
            if name != "perplexity" and interval is not None:
                _same(result["difference"][name], interval, f"{task}, difference of {name}")
        if result["main"] != main or result["gain"] is not tasks.is_gain(main, difference[main]):
            raise CourseError(f"{task}: its verdict does not follow from its answers", _HONEST)
    return "scores and intervals follow from the stored answers (perplexity is not recomputed here)"


_HONEST = "run python scripts/evaluate.py again; numbers in run/ are not edited"


def _records(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{**row, "output": row["reference"]} for row in rows]


def _columns(answers: Sequence[str]) -> dict[str, list]:
    # The likelihoods are not stored with the answers; these only fill their place.
    return {"answers": list(answers), "nll": [0.0] * len(answers), "tokens": [1] * len(answers)}


def _scores(answers: Sequence[str], rows: Sequence[Mapping[str, str]]) -> dict[str, float | None]:
    from course_utils import tasks

    columns = _columns(answers)
    scores = tasks.score_task(columns["answers"], _records(rows), columns["nll"], columns["tokens"])
    return {name: value for name, value in scores.items() if name != "perplexity"}


def _same(told: Mapping[str, Any], computed: Mapping[str, float | None], where: str) -> None:
    """Raises CourseError for the first value that is not the recomputed one."""
    for name, value in computed.items():
        own = told[name]
        if value is None or own is None:
            equal = value is own
        else:
            equal = math.isclose(_number(own, name), value, rel_tol=1e-4, abs_tol=1e-4)
        if not equal:
            given, right = (f"{v:.4g}" if v is not None else "nothing" for v in (own, value))
            raise CourseError(f"{where}: {name} {given}, but its answers give {right}", _HONEST)


@_check("run.baseline", 2, "run/baseline.json")
def _baseline(visit: Visit) -> str:
    systems = _dict(visit.folder.json("run/baseline.json"))["systems"]
    for name in ("zero_shot", "few_shot"):
        answers = systems[name]["answers"]
        if any(len(_string(text)) > LONGEST_ANSWER for text in answers) or not answers:
            raise CourseError(f"{name}: no answers, or one that is too long", EVALUATE)
    visit.baseline = systems
    return f"{len(systems['zero_shot']['answers'])} answers zero-shot and few-shot"


@_check("baseline.scores", 2, "run/baseline.json", "run.baseline", "run.evaluation")
def _baseline_scores(visit: Visit) -> str:
    """Both prompts' scores from their answers, and the evaluation's base is the better of them."""
    from course_utils import evaluation

    rows = visit.evaluation["predictions"]
    for prompt in ("zero_shot", "few_shot"):
        system = visit.baseline[prompt]
        if len(system["answers"]) != len(rows):
            raise CourseError(
                f"{len(system['answers'])} answers {prompt}, {len(rows)} records were evaluated",
                "run python scripts/evaluate.py --again",
            )
        for task, result in visit.evaluation["tasks"].items():
            own = [i for i, row in enumerate(rows) if row["task"] == task]
            computed = _scores([system["answers"][i] for i in own], [rows[i] for i in own])
            _same(system["scores"][task], computed, f"{task}, {prompt}")
            _same(result[prompt], system["scores"][task], f"{task}, {prompt} in evaluation.json")
    for task, result in visit.evaluation["tasks"].items():
        both = {name: visit.baseline[name]["scores"] for name in ("zero_shot", "few_shot")}
        chosen = evaluation.better_prompt(both, task)
        answers = visit.baseline[chosen]["answers"]
        same = all(row["base"] == answers[i] for i, row in enumerate(rows) if row["task"] == task)
        if result["base_prompt"] != chosen or not same:
            raise CourseError(f"{task}: compared with a baseline other than {chosen}", _HONEST)
    return "scores of both prompts follow from the answers; the better one is the baseline"


def _page(name: str, write: str) -> Callable[[Visit], str]:
    def judge(visit: Visit) -> str:
        from course_utils import writeup

        expected = getattr(writeup, write)(visit.evaluation).split("\n")
        own = [line.rstrip() for line in visit.folder.text(name).split("\n")]
        rest = Counter(own)
        rest.subtract(line.rstrip() for line in expected)
        # Examples are indented; elsewhere a line with digits is a line with results.
        lost = [line for line in expected if rest[line.rstrip()] < 0]
        figures = [line for line in lost if re.search(r"\d", line) and not line.startswith("    ")]
        if figures:
            raise CourseError(
                f"edited by hand, or of another run: run/evaluation.json gives “{figures[0]}”",
                "run python scripts/evaluate.py again; write your reading into the notebook",
            )
        if lost or any(count for line, count in rest.items() if line):
            raise Warn(
                "edited by hand: the text is not the one that scripts/evaluate.py writes",
                "write your own reading into the notebook or the README",
            )
        return "word for word what run/evaluation.json gives"

    return judge


for _id, _file, _write in (
    ("reports.evaluation", "reports/evaluation_results.md", "evaluation_page"),
    ("reports.comparison", "reports/comparison_baseline.md", "comparison_page"),
):
    _check(_id, 4, _file, "run.evaluation")(_page(_file, _write))


# --- Part 5: documentation ----------------------------------------------------------------------


@_check("readme", 5, "README.md")
def _readme(visit: Visit) -> str:
    text = visit.folder.text("README.md")
    _no_placeholder(text)
    prose = re.sub(r"```.*?(```|\Z)|^#[^\n]*$", " ", text, flags=re.S | re.M)
    given = set(_starter_lines())
    own = [line for line in prose.splitlines() if line.strip() not in given]
    words = len(re.findall(r"[^\W\d_]{2,}", " ".join(own)))
    if words < README_WORDS:
        kept = " beside the starter's text" if given else ""
        raise CourseError(
            f"{words} words of your own{kept}, at least {README_WORDS} are asked for",
            "say what it is, how to run it, on what hardware, what came out, what its limits are",
        )
    return f"{words} words of your own"


def _starter_lines() -> list[str]:
    """Lines of the README that the starter comes with; none where the kit has no starter folder."""
    starter = Path(__file__).parents[1] / "assignments" / "week09_10_manufacturing" / "starter"
    try:
        text = (starter / "README.md").read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


@_check("notebook", 5, "finetuning_pipeline.ipynb")
def _notebook(visit: Visit) -> str:
    content = _dict(visit.folder.json("finetuning_pipeline.ipynb"))
    if content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise CourseError("this is no notebook of format 4", "save it again from Jupyter")
    cells = [(cell["cell_type"], "".join(cell["source"]), cell) for cell in content["cells"]]
    for number, (_, source, _) in enumerate(cells, start=1):
        if found := PLACEHOLDER.search(source):
            raise CourseError(
                f"cell {number}: left open ({' '.join(found[0].split())})",
                "write your own code or answer there and remove the marker",
            )
    code = [cell for kind, source, cell in cells if kind == "code" and source.strip()]
    if not code:
        raise CourseError("there is no code in it", STARTER)
    for number, cell in enumerate(code, start=1):
        if any(output.get("output_type") == "error" for output in cell.get("outputs", ())):
            raise CourseError(
                f"code cell {number} stopped with an error", "correct it and run all cells again"
            )
    run = sum(bool(cell.get("outputs") or cell.get("execution_count")) for cell in code)
    if run < len(code):
        raise Warn(
            f"{run} of {len(code)} code cells were run",
            "restart the kernel, run all cells, save: a reader wants to see the outputs",
        )
    return f"{len(cells)} cells, all code cells were run"


@_check("requirements", 5, "requirements.txt")
def _requirements(visit: Visit) -> str:
    from course_utils.environment import read_requirements

    visit.folder.text("requirements.txt")  # says where it is not UTF-8
    needs = read_requirements(visit.folder.path("requirements.txt"))
    if not needs:
        raise CourseError("it names no package", "one a line, for example trl==1.16.0")
    if direct := [name for name, need in needs.items() if need.url]:
        raise Warn(f"{_names(direct)}: from an address", "name a version of the package index")
    return f"{len(needs)} package{'s' if len(needs) > 1 else ''}"


@_check("run.settings", 5, "run/settings.json")
def _settings(visit: Visit) -> str:
    content = _dict(visit.folder.json("run/settings.json"))
    versions = ", ".join(
        f"{name} {_show(content['versions'][name], 20)}" for name in ("python", "torch", "trl")
    )
    return f"made with {versions}"


@_check("run.inference", 5, "run/inference.json")
def _inference(visit: Visit) -> str:
    if "run/inference.json" not in visit.folder.files:
        raise Warn("not there", "run the notebook's section on inference, which writes it")
    return f"{len(_dict(visit.folder.json('run/inference.json')))} entries"


# --- Packing ------------------------------------------------------------------------------------


def pack_submission(
    folder: str | Path,
    target: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
    minimum: int = MINIMUM,
) -> Path:
    """Write the structure's files as one .zip, the same bytes for the same files; print sizes.

    `target` is FOLDER.zip beside the folder by default. Raises CourseError when something is
    missing or wrong (unless `force`) and when the target exists (unless `overwrite`). Links,
    pickle files, base weights and files above their limit are left out even with `force`.
    """
    root = _root(folder)
    target = Path(target).expanduser() if target else root.with_name(f"{root.name}.zip")
    if target.is_dir() or target.suffix.lower() != ".zip":
        raise CourseError(f"{target}: not the name of a .zip file", "for example submission.zip")
    if target.exists() and not overwrite:
        raise CourseError(f"{target}: exists already", "choose another name, or overwrite it")
    report = check_submission(root, minimum)
    if not report.ok and not force:
        bad = report.of_state("missing", "wrong")
        named = "; ".join(f"{finding.path}: {finding.message}" for finding in bad[:3])
        more = f"; and {len(bad) - 3} more" if bad[3:] else ""
        cure = f"course submit check {folder} shows all of it and how to mend it"
        raise CourseError(f"not packed, the submission is not complete: {named}{more}", cure)
    found = scan(root)
    names = sorted(name for name in found.files if belongs(name) and not found.size_problem(name))
    left = sorted({*found.files, *found.links, *found.strange} - set(names)) + found.aside
    with atomic_path(target) as temporary:
        _write_archive(temporary, found, names)
    print("\n".join(_packing_lines(target, found, names, left)))
    return target


def _write_archive(target: Path, found: Folder, names: Sequence[str]) -> None:
    """Sorted names, one date, one mode: equal files give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, found.bytes_of(name))


def _packing_lines(
    target: Path, found: Folder, names: Sequence[str], left: Sequence[str]
) -> list[str]:
    sizes: Counter[str] = Counter()
    for name in names:
        top = name.partition("/")[0]
        sizes[f"{top}/" if "/" in name else top] += found.files[name]
    lines = [f"{_size(size):>12}  {name}" for name, size in sizes.items()]
    lines.append(f"left out: {_names(left, 8)}" if left else "left out: nothing")
    return [*lines, f"{_size(target.stat().st_size):>12}  {target.name}, {len(names)} files"]
