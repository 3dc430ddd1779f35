"""A class of trained submissions, graded: seconds a submission, and where they go.

python benchmarks/grading_class.py runs/week09_10            # as `make assignment` leaves it
python benchmarks/grading_class.py runs/week05 --members 12  # as `make week05` leaves it
python benchmarks/grading_class.py runs/week09_10 --members 1 --jobs 1    # where the time goes

Each member hands in a copy of SUBMISSION whose adapter is another one by a factor near 1, with the
evidence that names it. So nothing that was computed of one member's adapter is known of another,
and all share what the base model says, as a class with the hand-out's data does. (The integrity
report finds the copies, as it should.) Class and grades lie in a folder beside --out, made anew.
"""

import argparse
import re
import shutil
import statistics
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from classroom.whole import graded  # noqa: E402
from shared import positive, run  # noqa: E402

from course_utils import hardware, ownership  # noqa: E402
from course_utils.assignments import week05, week09_10  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402
from course_utils.files import read_json  # noqa: E402
from course_utils.grading.probing.adapter import WEIGHTS  # noqa: E402
from course_utils.grading.results import results_of  # noqa: E402
from course_utils.packages import sha256_of  # noqa: E402
from course_utils.provenance import LENGTH  # noqa: E402
from course_utils.runs import versions  # noqa: E402

# Assignment -> where its submission has the adapter.
ADAPTERS = {"week05": week05.ADAPTER, "week09_10": week09_10.ADAPTER}
NOT_HANDED_IN = shutil.ignore_patterns("checkpoints", "notebook", "__pycache__", "*.zip")
STEP = 1e-3  # relative: another file, and an answer changes where two words are nearly as likely
SPENT = re.compile(r"^([\w.-]+): (?:.*, )?([\d.]+) s$")  # an item's line in log.txt
GIB = 2**30


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submission", type=Path, help="a finished submission's folder")
    parser.add_argument("--members", type=positive, default=8, help="of the class (%(default)s)")
    parser.add_argument("--jobs", type=positive, default=2, help="at a time (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "grading_class.json")
    return parser.parse_args(arguments)


def assignment_of(submission: Path) -> str:
    """By where the adapter lies. Raises CourseError where none does."""
    for assignment, adapter in ADAPTERS.items():
        if (submission / adapter / WEIGHTS).is_file():
            return assignment
    raise CourseError(
        f"{submission}: no adapter in {' or '.join(ADAPTERS.values())}",
        "give a finished submission: make assignment, or make week05",
    )


def hand_in(submission: Path, assignment: str, number: int, inbox: Path) -> None:
    """One member's copy: an adapter of its own, and evidence of that adapter."""
    from safetensors.torch import load_file, save_file

    folder = inbox / f"member-{number:02}"
    shutil.copytree(submission, folder, ignore=NOT_HANDED_IN)
    path = folder / ADAPTERS[assignment] / WEIGHTS
    before = sha256_of(path)
    weights = load_file(path)
    factor = 1 + STEP * (number + 1)
    changed = {n: w * factor if ".lora_B." in n else w for n, w in weights.items()}
    save_file(changed, path, metadata={"format": "pt"})
    after = sha256_of(path)
    for evidence in folder.rglob("*.json"):
        text = evidence.read_text("utf-8")
        if before[:LENGTH] in text:
            new = text.replace(before, after).replace(before[:LENGTH], after[:LENGTH])
            evidence.write_text(new, "utf-8")


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Build the class, grade it, read what came out."""
    assignment = assignment_of(options.submission)
    work = ownership.claim(options.out.with_suffix(""), of="graded class")
    ownership.clear(work, ["inbox", "grades", "grades.measured.json"])
    for number in range(options.members):
        hand_in(options.submission, assignment, number, work / "inbox")
    grades = work / "grades"
    started = time.monotonic()
    if status := graded(assignment, work, grades, options.jobs):
        raise CourseError(f"course grade ended with {status}", "its messages are above")
    results = results_of(grades)
    return {
        "command": " ".join(["python", *sys.argv]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "assignment": assignment,
        "members": options.members,
        "jobs": options.jobs,
        "versions": versions(),
        "hardware": hardware.detect().to_dict(),
        "batch_seconds": time.monotonic() - started,
        "peak_bytes": read_json(grades.with_name(f"{grades.name}.measured.json"))["peak"],
        "seconds": [result.seconds for result in results],
        "verdicts": [result.verdict for result in results],
        "points": [sum(item.points or 0 for item in result.items) for result in results],
        "items": seconds_of_items(grades),
    }


def seconds_of_items(grades: Path) -> dict[str, list[float]]:
    """Item -> seconds in each submission, from their logs."""
    found: dict[str, list[float]] = defaultdict(list)
    for log in sorted(grades.glob("*/log.txt")):
        for line in log.read_text("utf-8").splitlines():
            if spent := SPENT.match(line):
                found[spent[1]].append(float(spent[2]))
    return found


def table(report: dict[str, Any]) -> Any:
    """The class in four lines, then its dearest items."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.MARKDOWN)
    shown.add_column(f"{report['assignment']}, {report['members']} members")
    shown.add_column(f"--jobs {report['jobs']}", justify="right")
    seconds = report["seconds"]
    shown.add_row("the batch, s", f"{report['batch_seconds']:.0f}")
    each = report["batch_seconds"] / report["members"]
    shown.add_row("the batch, s a submission", f"{each:.0f}")
    own = (statistics.mean(seconds), statistics.median(seconds), max(seconds))
    shown.add_row("of its own: mean, median, most", ", ".join(f"{value:.0f}" for value in own))
    shown.add_row("most memory of all processes (PSS), GiB", f"{report['peak_bytes'] / GIB:.2f}")
    shown.add_row("points", f"{min(report['points']):g} to {max(report['points']):g}")
    means = {item: statistics.median(spent) for item, spent in report["items"].items()}
    for item, spent in sorted(means.items(), key=lambda pair: -pair[1])[:12]:
        shown.add_row(f"{item}, median s", f"{spent:.1f}")
    return shown


if __name__ == "__main__":
    sys.exit(run(parse_arguments(), benchmark, table))
