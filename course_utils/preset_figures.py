"""Figures of the GPU presets, from the file that a GPU check left into the pages that say them.

    record(Path("runs/gpu_check.json"))      # course presets --record runs/gpu_check.json

presets.yaml says under `measured` what was measured where; docs/presets.md has a row each, and the
README a word. All are changed as text, so comments and everything else in them stay as they are.
"""

import re
import textwrap
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from course_utils import kit
from course_utils.errors import CourseError
from course_utils.files import read_json, write_text_atomic
from course_utils.settings import PRESETS_FILE

PAGE = kit.ROOT / "docs" / "presets.md"
README = kit.ROOT / "README.md"
COMMAND = "bash benchmarks/gpu_check.sh"
STEP = "preset_"  # the check's step of a preset
NOT_YET = (
    "No GPU was at hand, so the GPU presets have not been run.",
    "The five notebooks have not been run with the GPU presets; what a GPU check measured of them "
    "stands below.",
)
NOT_YET_README = (" (on GPUs: not measured)", "")
WIDTH = 96  # of a line in presets.yaml


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Answers(_Part):
    """One timed batch of answers."""

    batch: int = Field(ge=1)
    tokens_per_second: float = Field(gt=0, allow_inf_nan=False)


class Measured(_Part):
    """The step of one preset that was done."""

    status: Literal["done"]
    precision: Literal["fp32", "fp16", "bf16"]
    steps: int = Field(ge=1)
    memory_held_gib: float = Field(gt=0, allow_inf_nan=False)
    peak_gib: float = Field(gt=0, allow_inf_nan=False)
    estimate_gib: float = Field(gt=0, allow_inf_nan=False)
    tokens_per_second: float = Field(gt=0, allow_inf_nan=False)
    training_minutes: float = Field(gt=0, allow_inf_nan=False)
    answers: Answers


class About(_Part):
    """Which machine, when, and whether it was a dry run."""

    dry_run: bool
    machine: str = Field(min_length=1, max_length=100, pattern=r"^[\w ()./+@-]+$")
    started: str


class _Step(_Part):
    status: str
    reason: str = ""


class Check(_Part):
    """The file of a GPU check, as far as it is about presets."""

    about: About
    steps: dict[str, dict]


def read_check(path: Path) -> tuple[About, dict[str, Measured], dict[str, str]]:
    """(machine, preset -> its figures, preset -> why it has none).

    Raises CourseError for a dry run, a file that is none of a GPU check, and one without presets.
    """
    cure = f"on a machine with a GPU: {COMMAND}"
    try:
        check = Check.model_validate(read_json(path, COMMAND))
        started = datetime.fromisoformat(check.about.started)
        if check.about.dry_run:
            raise CourseError(f"{path}: a dry run; its figures are of tiny models on a CPU", cure)
        named = {n.removeprefix(STEP): s for n, s in check.steps.items() if n.startswith(STEP)}
        rows = {name: _Step.model_validate(step) for name, step in named.items()}
        done = {
            n: Measured.model_validate(named[n]) for n, row in rows.items() if row.status == "done"
        }
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise CourseError(f"{path}: not of a GPU check ({place}: {first['msg']})", cure) from None
    except ValueError as error:
        raise CourseError(f"{path}: not of a GPU check ({error})", cure) from None
    failed = {name: f"{row.status}: {row.reason}" for name, row in rows.items() if name not in done}
    if not done:
        told = "; ".join(f"{name} {why}" for name, why in failed.items()) or "no preset is in it"
        raise CourseError(f"{path}: no preset was measured ({told})", cure)
    about = check.about.model_copy(update={"started": f"{started:%B %Y}"})
    return about, done, failed


def sentence(about: About, found: Measured) -> str:
    """What `measured` of a preset says."""
    return (
        f"{about.machine}, {about.started}, {COMMAND}: {found.steps} training steps on random "
        f"weights in {found.precision}, memory held to {found.memory_held_gib:.1f} GiB: "
        f"{found.tokens_per_second:,.0f} tokens/s, peak {_peak(found)} (estimate "
        f"{found.estimate_gib:.2f}), so notebook 03 trains about {found.training_minutes:.1f} min; "
        f"answers in batches of {found.answers.batch}: {found.answers.tokens_per_second:,.0f} "
        "tokens/s. The time of the five notebooks is not measured"
    )


def _peak(found: Measured) -> str:
    return f"{found.peak_gib:.2f} GiB"


def record(
    path: Path, presets: Path = PRESETS_FILE, page: Path = PAGE, readme: Path = README
) -> dict[str, str]:
    """Enter the figures into the pages; returns preset -> what was entered, or why nothing was.

    Raises CourseError as `read_check` does, and where a page has no place for a preset; then
    nothing is written.
    """
    about, done, failed = read_check(path)
    if not page.is_file():
        raise CourseError(f"{page}: not here", "run it in a clone of the kit, which has docs/")
    values, text = presets.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
    told = {name: sentence(about, found) for name, found in done.items()}
    for name, found in done.items():
        values = _with_measured(values, name, told[name], presets)
        text = _with_row(text, name, _peak(found), page)
    text = text.replace(*NOT_YET)
    text = _with_source(text, f"{', '.join(f'`{name}`' for name in done)}, peak memory", about)
    write_text_atomic(presets, values)
    write_text_atomic(page, text)
    if readme.is_file():  # it says of all GPUs that nothing was measured
        write_text_atomic(readme, readme.read_text(encoding="utf-8").replace(*NOT_YET_README))
    return told | {name: f"not entered, {why}" for name, why in failed.items()}


def _with_measured(text: str, name: str, words: str, path: Path) -> str:
    """presets.yaml with another `measured` of one preset."""
    block = re.compile(
        rf"(^{re.escape(name)}:\n(?:(?:  .*)?\n)*?  measured:).*\n(?:    .*\n)*", re.M
    )
    indent = dict.fromkeys(("initial_indent", "subsequent_indent"), "    ")
    # A line is joined to the next by a space, so no word may be broken at its hyphen.
    lines = textwrap.fill(words, WIDTH, break_on_hyphens=False, break_long_words=False, **indent)
    changed, times = block.subn(lambda found: f"{found[1]} >-\n{lines}\n", text, count=1)
    if not times:
        raise CourseError(f"{path}: no `measured` of a preset {name}", "add the line")
    return changed


def _with_row(text: str, name: str, peak: str, path: Path) -> str:
    """docs/presets.md with another peak memory, the last cell of the preset's row."""
    row = re.compile(rf"^(\| `{re.escape(name)}` \|.*\|) [^|]+ \|$", re.M)
    changed, times = row.subn(lambda found: f"{found[1]} {peak} |", text, count=1)
    if not times:
        raise CourseError(f"{path}: no row of the preset {name}", "add it")
    return changed


def _with_source(text: str, figure: str, about: About) -> str:
    """docs/presets.md with a line on how the figures came about; that of an earlier check goes."""
    line = f"| {figure} | `{COMMAND}` on {about.machine}, {about.started}: random weights |\n"
    head, table, rest = text.partition("| figure | command |\n|---|---|\n")
    rest = re.sub(rf"^\| .* \| `{re.escape(COMMAND)}` on .*\n", "", rest, flags=re.M)
    return head + table + line + rest
