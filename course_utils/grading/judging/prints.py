"""The fingerprints of one submission, for the integrity report of its class.

    result.integrity = prints_of(case)

Nothing here gives or takes a point, and what can't be read leaves its print empty: the check of
that file says why. What the kit hands out, starters and reference solutions alike, is taken away
before code and text are compared.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from course_utils import kit, ownership, provenance, tasks
from course_utils.assignments import hollow, week05
from course_utils.assignments.adapter import matrix_of
from course_utils.assignments.checkers import checker_of
from course_utils.assignments.folder import Folder, scan, show
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.grading import integrity
from course_utils.grading.cache import BatchStopped
from course_utils.grading.fingerprints import adapter_sketch, code_prints, text_prints
from course_utils.grading.hidden import Record
from course_utils.grading.judging.case import Case
from course_utils.grading.judging.files.common import readable_records
from course_utils.grading.results import Fingerprints, Prints, Stated
from course_utils.lab.questions import question_of

if TYPE_CHECKING:
    import numpy as np

WEEK05, WEEK09_10 = "week05_parameter_lab", "week09_10_manufacturing"
# What tells of the adapter, and where in it the adapter's checksum stands.
EVIDENCE = {
    WEEK05: {
        "answers.json": (provenance.PRINTS, "adapter"),
        "training.json": (provenance.PRINTS, "adapter"),
    },
    WEEK09_10: {"run/evaluation.json": ("adapter",)},
}
Rows = Sequence[tuple[float, int]]  # (nats, tokens) of each record
SAMPLE = {WEEK05: 24, WEEK09_10: 12}  # records of a task, on each side of the comparison
QUICK = ("understanding", "qa")  # a report takes as long as five of these and tells no more
LEAST_SAMPLE = 5  # below, a mean says nothing
# Half of the sample is enough where the test part's loss is this share of the new records' or more
# (integrity.LOSS_SHARE is 0.6), or their gap no more than this share of what would be told.
CLEARLY, FAR = 0.8, 0.5
MOST_FILES = 40  # of code and of text; nobody hands in more
MOST_TEXTS = 300  # of records.jsonl
BOOTSTRAP = 400


def prints_of(case: Case) -> Fingerprints:
    """All that the class's report compares. Raises what no file of a student causes."""
    checklist = checker_of(case.assignment).CHECKLIST
    adapter = f"{checklist.adapter}/adapter_model.safetensors"
    digest = _digest(case.folder, adapter)
    found = Fingerprints(
        adapter=digest,
        sketch=_sketch(case, adapter),
        code=_of_files(case, ".py", code_prints),
        text=_of_files(case, ".md", text_prints) | _of_records(case),
        stated=[*case.facts.get("stated", ()), *_adapter_named(case, digest)],
        untouched=hollow.untouched(case.folder, checklist.starter),
        hollow=[name for name in case.facts.get("hollow", ()) if name != "hollow.starter"],
    )
    losses = _losses(case)
    return found.model_copy(update=losses.as_prints()) if losses else found


# --- The adapter --------------------------------------------------------------------------------


def _digest(folder: Folder, name: str) -> str:
    if name not in folder.files or folder.size_problem(name):
        return ""
    return sha256_of(folder.path(name))


def _sketch(case: Case, name: str) -> list[float]:
    """[] for an adapter that can't be read."""
    try:
        config = case.folder.json(name.replace("adapter_model.safetensors", "adapter_config.json"))
        if name not in case.folder.files or case.folder.size_problem(name):
            return []
        return adapter_sketch(layers_of(case.folder.bytes_of(name), config))
    except (CourseError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def layers_of(
    weights: bytes, config: Mapping[str, Any]
) -> Iterator[tuple[str, "np.ndarray", "np.ndarray", float]]:
    """(layer, A, B, scale) of a safetensors file, by name; every layer needs both matrices.

    The scale is alpha / r, or alpha / sqrt(r) with use_rslora. Raises ValueError or KeyError for
    what is no such file.
    """
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])
    pairs: dict[str, dict[str, str]] = {}
    for name in header:
        if matrix := matrix_of(name):
            layer = name.partition(".lora_")[0]
            pairs.setdefault(layer, {})[matrix] = name
    for layer, names in sorted(pairs.items()):
        a, b = (_matrix(weights, 8 + length, header[names[side]]) for side in ("A", "B"))
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise ValueError(layer)
        root = 0.5 if config.get("use_rslora") else 1.0
        yield layer, a, b, float(config["lora_alpha"]) / a.shape[0] ** root


def _matrix(weights: bytes, start: int, entry: Mapping[str, Any]) -> "np.ndarray":
    import numpy as np

    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    begin, end = entry["data_offsets"]
    values = np.frombuffer(weights[start + begin : start + end], kinds[entry["dtype"]])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        values = (values.astype("<u4") << 16).view("<f4")
    return values.reshape(entry["shape"])


def _adapter_named(case: Case, digest: str) -> list[Stated]:
    """The evidence names the adapter it is about by its checksum; here beside the file's own.

    Nothing is told of evidence that names none: by the files' times a copy would look forged.
    """
    stated = []
    for file, place in EVIDENCE[case.assignment].items():
        named = _named(case.folder, file, place)
        if digest and named:
            stated.append(
                Stated(
                    name=f"{file}: checksum of the adapter",
                    stated=show(named, 12),
                    found=digest[:12],
                    agrees=len(named) >= provenance.LENGTH and digest.startswith(named),
                )
            )
    return stated


def _named(folder: Folder, file: str, place: Sequence[str]) -> str:
    """The checksum that a file of evidence names at this place; "" where it names none."""
    try:
        content = folder.json(file) if file in folder.files else {}
    except CourseError:
        return ""
    for name in place:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""


# --- Code and text ------------------------------------------------------------------------------


def _of_files(case: Case, ending: str, prints: Any) -> dict[str, Prints]:
    """Prints of the files with this ending, and of the notebooks' cells of that kind."""
    given = _handed_out(case.assignment, ending)
    texts = list(_texts(case.folder, ending))[:MOST_FILES]
    return {name: prints(text, given) for name, text in texts}


def _texts(folder: Folder, ending: str) -> Iterator[tuple[str, str]]:
    """(name, text) of what a person wrote: no page that a script of the kit wrote."""
    for name in sorted(folder.files):
        if not name.endswith((ending, ".ipynb")) or folder.size_problem(name):
            continue
        if str(PurePosixPath(name).parent / "adapter_config.json") in folder.files:
            continue  # the model card that PEFT saves with every adapter
        try:
            text = folder.text(name)
            text = _cells(text, ending) if name.endswith(".ipynb") else text
        except (CourseError, ValueError, KeyError, TypeError, RecursionError):
            continue  # its own check says what is wrong
        if not (name.startswith("reports/") and ownership.is_ours(folder.path(name))):
            yield name, text


def _cells(text: str, ending: str) -> str:
    """Code cells for .py, others for .md; lines with a % or ! are no Python."""
    kind = "code" if ending == ".py" else "markdown"
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == kind]
    sources = [
        cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        for cell in cells
    ]
    lines = "\n".join(sources).split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


@cache
def _handed_out(assignment: str, ending: str) -> str:
    """All code or all text that everybody has: starter, reference solution, hand-out."""
    folder = scan(kit.ASSIGNMENTS / assignment)
    return "\n".join(text for _, text in _texts(folder, ending))


def _of_records(case: Case) -> dict[str, Prints]:
    """Of week 5's own records, without those that the kit hands out."""
    name = week05.RECORDS
    if case.assignment != WEEK05 or name not in case.folder.files or case.hidden is None:
        return {}
    try:
        own = readable_records(case, name, "geology")
    except CourseError:
        return {}
    written = [record for record in own if not case.hidden.was_given(record)][:MOST_TEXTS]
    told = [f"{one['instruction']} {one['context']} {one['answer']}" for one in written]
    return {name: text_prints("\n".join(told))}


# --- Losses on the test part and on new records -------------------------------------------------


@dataclass(frozen=True)
class Losses:
    """Mean losses (nats a token) on both sides, and the standard error of their difference."""

    test: float
    new: float
    error: float

    def as_prints(self) -> dict[str, float]:
        return {"test_loss": self.test, "new_loss": self.new, "loss_error": self.error}


def _losses(case: Case) -> Losses | None:
    """None where there is nothing to compare, or the adapter can't be asked."""
    if case.hidden is None or case.models is None:
        return None
    try:
        return _of_questions(case) if case.assignment == WEEK05 else _of_test_part(case)
    except BatchStopped:
        raise
    except (CourseError, KeyError, TypeError, ValueError):
        return None


def _of_test_part(case: Case) -> Losses | None:
    """Weeks 9-10: records of the test part against hidden ones of the same task and document."""
    test = [
        record
        for record in readable_records(case, "data/test.jsonl", "manufacturing")
        if _is_the_kits(record)
    ]
    random.Random(f"{case.seed} known test part").shuffle(test)
    pairs: list[tuple[Record, Record]] = []
    for task in QUICK:
        if task not in case.hidden.tasks:
            continue
        own = [record for record in test if tasks.task_of(record) == task]
        hidden = case.hidden.records(task, len(own), unlike=test)
        pairs += _matched(own, hidden)[: SAMPLE[WEEK09_10]]
    if len(pairs) < LEAST_SAMPLE:
        return None
    known, new = (list(side) for side in zip(*pairs, strict=True))

    def compared(rows: Sequence[Rows]) -> Losses:
        return _compared(*rows, case.seed)

    return _of_halves(known, new, partial(_tuned, case), compared)


def _tuned(case: Case, own: Sequence[Record], hidden: Sequence[Record]) -> tuple[Rows, Rows]:
    """The adapter's losses on both, asked at once."""
    both = case.models.losses([*own, *hidden], True)
    return both[: len(own)], both[len(own) :]


def _is_the_kits(record: Mapping[str, str]) -> bool:
    """Built by the kit, by what it says of itself; own data are of another kind than ours."""
    return record.get("source", "").startswith(("excavator ", "knowledge base: ", "simulated lot"))


def _matched(own: Sequence[Record], hidden: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Pairs of one document and form: so each side has the same kinds, as often."""
    waiting: dict[tuple[str, str], list[Record]] = {}
    for record in own:
        waiting.setdefault((record.get("document", ""), record.get("form", "")), []).append(record)
    pairs = []
    for record in hidden:
        same = waiting.get((record.get("document", ""), record.get("form", "")))
        if same:
            pairs.append((same.pop(), record))
    return pairs


def _of_questions(case: Case) -> Losses | None:
    """Week 5: the test questions against hidden ones, as far as the base model finds them equal.

    A small adapter learns the form of its own records first, and hidden ones have another. So what
    it gained on hidden records is carried over to the questions, and where its own validation part
    says that less is expected, that counts.
    """
    rows = case.folder.text(week05.QUESTIONS).split("\n")
    training = case.folder.json(week05.TRAINING)
    asked = [question_of(json.loads(row)) for row in rows if row.strip()][: SAMPLE[WEEK05]]
    own = [question.record(str(training.get("system") or "")) for question in asked]
    hidden = case.hidden.records("qa", SAMPLE[WEEK05], unlike=own)
    if min(len(own), len(hidden)) < LEAST_SAMPLE:
        return None
    validation = training.get("eval_loss")
    is_number = isinstance(validation, int | float) and not isinstance(validation, bool)

    def losses(own: Sequence[Record], hidden: Sequence[Record]) -> tuple[Rows, ...]:
        # Of the base model one by one: what it says of hidden records is the whole class's.
        base = [case.models.losses(records, False) for records in (own, hidden)]
        return (*base, *_tuned(case, own, hidden))

    def compared(rows: Sequence[Rows]) -> Losses:
        own_base, new_base, own_tuned, new_tuned = rows
        found = _compared(own_tuned, new_tuned, case.seed)
        carried = mean_loss(own_base) * mean_loss(new_tuned) / mean_loss(new_base)
        new = min(carried, validation) if is_number else carried
        return Losses(found.test, round(new, 4), found.error)

    return _of_halves(own, hidden, losses, compared)


def _of_halves(
    own: Sequence[Record],
    hidden: Sequence[Record],
    losses: Callable[[Sequence[Record], Sequence[Record]], tuple[Rows, ...]],
    compared: Callable[[Sequence[Rows]], Losses],
) -> Losses:
    """Half of each side, where a half is enough; the rest too where these leave a doubt."""
    (some, more), (new, newer) = _halves(own), _halves(hidden)
    rows = losses(some, new)
    found = compared(rows)
    if not (more or newer) or _is_clear(found):
        return found
    others = losses(more, newer)
    return compared([[*a, *b] for a, b in zip(rows, others, strict=True)])


def _halves(records: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
    return (records[::2], records[1::2]) if len(records) >= 2 * LEAST_SAMPLE else (records, [])


def _is_clear(found: Losses) -> bool:
    """Whether half of the records show that the test part is no better known than the rest."""
    gap, error = found.new - found.test, found.error / 2**0.5  # of twice as many records
    return found.test >= CLEARLY * found.new or gap <= FAR * integrity.LOSS_ERRORS * error


def mean_loss(columns: Sequence[tuple[float, int]]) -> float:
    """Nats a token, every token counted once."""
    return sum(nll for nll, _ in columns) / max(1, sum(count for _, count in columns))


def _compared(
    test: Sequence[tuple[float, int]], new: Sequence[tuple[float, int]], seed: int
) -> Losses:
    """Both means, and the bootstrap's standard error of their difference over records."""
    rng = random.Random(f"{seed} bootstrap")
    gaps = [
        mean_loss(rng.choices(new, k=len(new))) - mean_loss(rng.choices(test, k=len(test)))
        for _ in range(BOOTSTRAP)
    ]
    middle = sum(gaps) / len(gaps)
    error = (sum((gap - middle) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    return Losses(round(mean_loss(test), 4), round(mean_loss(new), 4), round(error, 4))
