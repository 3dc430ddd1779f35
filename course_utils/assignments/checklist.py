"""The checklist of a submission: what every assignment's check has in common.

An assignment brings a Checklist: its files, its parts, its checks (submission, lab_submission).
Here is what walks it, looks at the folder and at an adapter, reports, and packs the archive.

The folder may be hostile. Nothing of it is executed, unpickled or unpacked: scripts are parsed,
safetensors are read as bytes, links are not followed, and no file above its limit is opened.
"""

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

from course_utils import ownership
from course_utils.errors import CourseError
from course_utils.files import atomic_path

if TYPE_CHECKING:
    import numpy as np

STATES = ("missing", "wrong", "warning", "ok")  # worst first
WRITE = "write it"
ADAPTER_FILES = {
    *("adapter_config.json", "adapter_model.safetensors", "README.md", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "generation_config.json"),
}
# Names of the attention layers in the families of models that students use.
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value"}
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
MOST_FILES, MOST_LEVELS = 10_000, 12
PLACEHOLDER = re.compile(
    r"YOUR (?:CODE|ANSWER|VALUES) HERE|^\s*raise\s+NotImplementedError\b", re.M
)


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
    titles: Mapping[int, str]

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
        for part, title in self.titles.items():
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
        for part, title in self.titles.items():
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
    required: Mapping[str, str] = field(default_factory=dict)  # the checklist's

    def path(self, name: str) -> Path:
        """Where a file of `files` lies."""
        return self.root / name

    def size_problem(self, name: str) -> str:
        """Why a file is too large to open; "" when it is not."""
        limit = LIMITS.get(PurePosixPath(name).suffix.lower(), LIMIT)
        size = self.files[name]
        return f"{size_text(size)}; at most {size_text(limit)} are read" if size > limit else ""

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
            raise CourseError(f"broken JSON, {where}: {error.msg}", self.again(name)) from None
        except (ValueError, RecursionError):
            raise CourseError("broken JSON: NaN, or nested too deep", self.again(name)) from None

    def again(self, name: str) -> str:
        """The cure for a file that is there and not what it should be."""
        if name.endswith(".ipynb"):
            return "save it again from Jupyter"
        return self.required.get(name, WRITE)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def scan(root: Path, required: Mapping[str, str] | None = None) -> Folder:
    """List a folder without following links; at most MOST_FILES files and MOST_LEVELS levels."""
    folder = Folder(root, required=required or {})
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


def size_text(count: int) -> str:
    for unit, size in (("GB", 1000 * MB), ("MB", MB), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def show(text: object, limit: int = 300) -> str:
    """Text of the submission as one printable line: it goes to a terminal."""
    plain = " ".join(str(text).split())
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in plain)


def listed(names: Iterable[str], most: int = 4) -> str:
    names = sorted(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(show(name, 80) for name in names[:most]) + rest


# --- The checklist ------------------------------------------------------------------------------


@dataclass
class Visit:
    """What the checks of one submission share: each leaves behind what the later ones need."""

    folder: Folder
    checklist: "Checklist"
    adapter: dict[str, Any] = field(default_factory=dict)  # adapter_config.json
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of the LoRA matrices


@dataclass(frozen=True)
class Check:
    """One line of the checklist: `judge` returns what is right, or raises CourseError or Warn."""

    id: str
    part: int
    path: str
    judge: Callable[[Any], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checklist:
    """One assignment's structure, and the checks that walk it."""

    titles: Mapping[int, str]  # part -> its heading in the report
    required: Mapping[str, str]  # file -> what to do when it is not there
    belongs: Callable[[str], bool]  # whether a file is part of the structure, and so is packed
    adapter: str  # its folder
    train: str  # the cure for an adapter that is broken
    checks: list[Check] = field(default_factory=list)

    def check(self, name: str, part: int, path: str, *needs: str) -> Callable:
        """Decorator: enter a judge; `needs` are the checks that must have passed before."""

        def register(judge: Callable[[Any], str]) -> Callable[[Any], str]:
            self.checks.append(Check(name, part, path, judge, needs))
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
        self.check("adapter.config", part, config)(adapter_config)
        self.check("adapter.weights", part, weights, "adapter.config")(adapter_weights)
        self.check("adapter.trained", part, weights, "adapter.weights")(adapter_trained)


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
    return SubmissionReport(visit.folder.root, tuple(ordered), checklist.titles)


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

    def found(state: str, message: str, cure: str = "") -> Finding:
        # Paths in messages are the submission's own; the machine's part of them says nothing.
        short = message.replace(f"{visit.folder.root}{os.sep}", "")
        return Finding(check.id, check.part, state, check.path, show(short, 600), cure)

    if check.path in visit.checklist.required and check.path not in visit.folder.files:
        return found(*_absent(check.path, visit))
    if check.path in visit.folder.files and (problem := visit.folder.size_problem(check.path)):
        return found("wrong", f"too large: {problem}", "hand in a smaller file")
    try:
        return found("ok", check.judge(visit))
    except Warn as warning:
        return found("warning", warning.message, warning.cure)
    except CourseError as error:
        return found("wrong", error.message, error.cure)
    except Exception as error:  # any content may come in: keys missing, lists for numbers, ...
        what = f"not what the kit writes here ({type(error).__name__}: {show(error, 80)})"
        return found("wrong", what, visit.folder.again(check.path))


def _absent(name: str, visit: Visit) -> tuple[str, str, str]:
    folder, checklist = visit.folder, visit.checklist
    parents = [name, *(parent.as_posix() for parent in PurePosixPath(name).parents)]
    if any(parent in folder.links for parent in parents):
        return "missing", "only a link is there, and links are not followed", "copy the file itself"
    last = PurePosixPath(name).name.casefold()
    like = [
        other
        for other in folder.files
        if PurePosixPath(other).name.casefold() == last and not checklist.belongs(other)
    ]
    hint = f"; there is {show(like[0], 80)}: move or rename it" if like else ""
    return "missing", "not there", f"{checklist.required[name]}{hint}"


# --- The folder as a whole ----------------------------------------------------------------------


def _links(visit: Visit) -> str:
    links = visit.folder.links
    outside = [name for name, leaves in links.items() if leaves]
    if outside:
        raise CourseError(
            f"{listed(outside)}: a symbolic link that leaves the folder",
            "replace the link by the file itself: what lies elsewhere is not handed in",
        )
    if links:
        raise CourseError(
            f"{listed(links)}: a symbolic link; links are not followed",
            "replace the link by the file itself",
        )
    return "no symbolic links"


def _kinds(visit: Visit) -> str:
    if visit.folder.crowded:
        raise CourseError(
            f"more than {MOST_FILES:,} files", "keep only what the structure asks for"
        )
    if visit.folder.strange:
        raise CourseError(
            f"{listed(visit.folder.strange)}: no file, or not readable",
            "remove pipes and devices, and make every folder readable",
        )
    return f"{len(visit.folder.files)} files, {size_text(sum(visit.folder.files.values()))}"


def _sizes(visit: Visit) -> str:
    large = {name for name in visit.folder.files if visit.folder.size_problem(name)}
    large -= {name for name in large if kind_problem(name)}  # named by the next two checks
    if large:
        name = min(large)
        raise CourseError(
            f"{listed(large)}: too large ({visit.folder.size_problem(name)})",
            "remove it, or hand in a smaller one",
        )
    return "no file is too large"


def kind_problem(name: str) -> str:
    """Why a file has no place in a submission: "pickle", "weights", "archive" or ""."""
    path = PurePosixPath(name.casefold())
    if path.suffix in PICKLES:
        return "pickle"
    if WEIGHTS.fullmatch(path.name):
        return "weights"
    return "archive" if path.suffix in ARCHIVES else ""


def in_folders(name: str, adapter: str, folders: Mapping[str, tuple[int, set[str]]]) -> bool:
    """Whether a file is one of the adapter's, or lies where a submission may hold some.

    `folders`: name -> (levels below it, endings).
    """
    path = PurePosixPath(name)
    if kind_problem(name) or any(part.startswith(".") for part in path.parts):
        return False
    if path.parent.as_posix() == adapter:
        return path.name in ADAPTER_FILES
    levels, endings = folders.get(path.parts[0], (0, set()))
    return 0 < len(path.parts) - 1 <= levels and path.suffix.lower() in endings


def _of_kind(visit: Visit, kind: str) -> list[str]:
    return [name for name in visit.folder.files if kind_problem(name) == kind]


def _pickles(visit: Visit) -> str:
    if found := _of_kind(visit, "pickle"):
        raise CourseError(
            f"{listed(found)}: a format that can run code when it is loaded; it was not opened",
            "delete it; save the adapter with model.save_pretrained(...), which writes safetensors",
        )
    return "no pickle files"


def _weights(visit: Visit) -> str:
    if found := _of_kind(visit, "weights"):
        sizes = size_text(sum(visit.folder.files[name] for name in found))
        raise CourseError(
            f"{listed(found)}: base model weights ({sizes}) are not part of a submission",
            "delete them; the adapter is enough, and the base model is named in the configuration",
        )
    return "no base model weights"


def _others(visit: Visit) -> str:
    if archives := _of_kind(visit, "archive"):
        cure = "unpack what belongs to the structure and remove the archive"
        raise Warn(f"{listed(archives)}: archives are neither opened nor packed", cure)
    rest = [name for name in visit.folder.files if not visit.checklist.belongs(name)]
    rest = [name for name in rest if not name.endswith(ownership.MARK)]  # the kit put it there
    if rest:
        cure = "nothing to do, unless you meant it to be read: then put it under reports/"
        raise Warn(f"{listed(rest)}: not part of the structure, so it is not packed", cure)
    if visit.folder.aside:
        return f"nothing besides the structure ({listed(visit.folder.aside)} will not be packed)"
    return "nothing besides the structure"


FOLDER_CHECKS: dict[str, Callable[[Visit], str]] = {
    "links": _links,
    "kinds": _kinds,
    "size": _sizes,
    "pickles": _pickles,
    "weights": _weights,
    "others": _others,
}


# --- An adapter, from its two files -------------------------------------------------------------


def adapter_config(visit: Visit) -> str:
    """adapter_config.json is a plain LoRA's: one rank and one alpha for all layers."""
    content = visit.adapter = json_object(
        visit.folder.json(f"{visit.checklist.adapter}/adapter_config.json")
    )
    if content.get("peft_type") != "LORA":
        kind = show(content.get("peft_type"), 30)
        raise CourseError(f"peft_type is {kind}, not LORA", visit.checklist.train)
    if content.get("rank_pattern") or content.get("alpha_pattern"):
        raise CourseError(
            "single layers have their own rank (rank_pattern, alpha_pattern)",
            "use one rank and one alpha for all layers, as the configuration does",
        )
    return f"LoRA, r {show(content['r'], 20)}, lora_alpha {show(content['lora_alpha'], 20)}"


def adapter_weights(visit: Visit) -> str:
    """adapter_model.safetensors is one, and holds LoRA matrices only; no tensor is loaded."""
    from safetensors import SafetensorError, safe_open

    path = visit.folder.path(f"{visit.checklist.adapter}/adapter_model.safetensors")
    try:  # checks that the header fits the file; no tensor is loaded
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CourseError(f"not a safetensors file ({error})", visit.checklist.train) from None
    visit.shapes = {name: shape for name, shape in shapes.items() if "lora_" in name}
    saved = visit.adapter.get("modules_to_save") or []
    others = [
        name
        for name in shapes.keys() - visit.shapes.keys()
        if not name.endswith(".bias") and not any(f".{module}." in name for module in saved)
    ]
    if others or not visit.shapes:
        raise CourseError(
            f"it holds weights that are no LoRA matrices: {listed(others) or 'nothing else'}",
            "save the adapter alone: model.save_pretrained(...) of the PEFT model",
        )
    size = size_text(visit.folder.files[f"{visit.checklist.adapter}/adapter_model.safetensors"])
    return f"{len(shapes)} tensors, {size}, LoRA matrices only"


def adapter_trained(visit: Visit) -> str:
    """Every value is finite, and not every B matrix is zero."""
    import numpy as np

    path = visit.folder.path(f"{visit.checklist.adapter}/adapter_model.safetensors")
    moved = False
    for name, values in _read_tensors(path, visit.checklist.train):
        if not np.isfinite(values).all():
            raise CourseError(
                f"{show(name, 120)} holds NaN or infinity",
                "train again with a lower learning_rate, or with precision: fp32",
            )
        moved |= matrix_of(name) == "B" and bool(values.any())
    if not moved:
        raise CourseError(
            "every B matrix is zero: this adapter was never trained and changes nothing",
            visit.checklist.train,
        )
    return "every value is finite, and the B matrices are not zero"


def matrix_of(name: str) -> str:
    """ "A" or "B" for the two matrices of a LoRA layer, "" for anything else."""
    found = re.search(r"\.lora_(?:embedding_)?([AB])(?:\.|$)", name)
    return found[1] if found else ""


def _read_tensors(path: Path, cure: str) -> Iterable[tuple[str, "np.ndarray"]]:
    """(name, float values) of the A and B matrices, one at a time.

    The file was checked by safetensors before; its numpy reader does not know bfloat16.
    """
    import numpy as np

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if not matrix_of(name):
                continue
            if entry["dtype"] not in kinds:
                raise CourseError(f"{show(name, 120)} is of type {entry['dtype']}", cure)
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            values = np.frombuffer(file.read(end - start), kinds[entry["dtype"]])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                values = (values.astype("<u4") << 16).view("<f4")
            yield name, values


# --- Small helpers of the checks ----------------------------------------------------------------


def json_object(content: Any) -> dict[str, Any]:
    """The content, if it is an object."""
    if not isinstance(content, dict):
        raise CourseError("no JSON object {...}", "run the script that writes it again")
    return content


def number_in(value: Any, name: str) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CourseError(f"{name} is {show(value, 30)}, not a number", "run its script again")
    return float(value)


def no_placeholder(text: str) -> None:
    """Raises CourseError with the line where a marker of the starter still stands."""
    if found := PLACEHOLDER.search(text):
        line = text.count("\n", 0, found.start()) + 1 + found[0].count("\n")
        raise CourseError(
            f"line {line}: left open ({' '.join(found[0].split())})",
            "write your own code or answer there and remove the marker",
        )


# --- Packing ------------------------------------------------------------------------------------


def archive_path(root: Path, target: str | Path | None, overwrite: bool) -> Path:
    """Where the archive goes: FOLDER.zip beside the folder by default.

    Raises CourseError for another ending, and for a file that exists (with `overwrite`: only for
    one that `pack` did not make).
    """
    target = Path(target).expanduser() if target else root.with_name(f"{root.name}.zip")
    if target.is_dir() or target.suffix.lower() != ".zip":
        raise CourseError(f"{target}: not the name of a .zip file", "for example submission.zip")
    if target.exists() and not overwrite:
        raise CourseError(f"{target}: exists already", "choose another name, or overwrite it")
    if overwrite:  # an archive of an earlier time, and nothing else
        ownership.check_file(target, "choose another name, or remove it yourself")
    return target


def pack(report: SubmissionReport, checklist: Checklist, target: Path, force: bool) -> Path:
    """Write the structure's files as one .zip, the same bytes for the same files; print sizes.

    Raises CourseError when the report is not ok (unless `force`). Links, pickle files, base
    weights and files above their limit are left out even with `force`.
    """
    root = report.folder
    if not report.ok and not force:
        bad = report.of_state("missing", "wrong")
        named = "; ".join(f"{finding.path}: {finding.message}" for finding in bad[:3])
        more = f"; and {len(bad) - 3} more" if bad[3:] else ""
        cure = f"course submit check {root} shows all of it and how to mend it"
        raise CourseError(f"not packed, the submission is not complete: {named}{more}", cure)
    found = scan(root)
    names = sorted(
        name
        for name in found.files
        if checklist.belongs(name) and not kind_problem(name) and not found.size_problem(name)
    )
    left = sorted({*found.files, *found.links, *found.strange} - set(names)) + found.aside
    with atomic_path(target) as temporary:
        _write_archive(temporary, found, names)
    print("\n".join(_packing_lines(target, found, names, left)))
    return target


def _write_archive(target: Path, found: Folder, names: Sequence[str]) -> None:
    """Sorted names, one date, one mode: equal files give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.comment = ownership.MAKER.encode()
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
    lines = [f"{size_text(size):>12}  {name}" for name, size in sizes.items()]
    lines.append(f"left out: {listed(left, 8)}" if left else "left out: nothing")
    return [*lines, f"{size_text(target.stat().st_size):>12}  {target.name}, {len(names)} files"]
