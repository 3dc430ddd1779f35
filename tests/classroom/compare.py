"""What a batch gave, beside what the class file expects: points, verdicts, integrity report.

python tests/classroom/compare.py OUT/expected.yaml GRADES    # a row for each member
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml

from course_utils.grading.integrity import suspicions
from course_utils.grading.results import Result, results_of

TOLERANCE = 1.0  # points in total: what rounding of each item to half points may add up to
# A PDF is read by pypdf of requirements-grading.txt, which `make test` does without.
WITHOUT = () if find_spec("pypdf") else ("report_opens",)
HEAD = "| member | expected | found | s | GiB | differs |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Compared:
    """One member: what was expected of the automatic items, what came out, what differs."""

    name: str  # its folder in GRADES
    member: str  # its row in the class file
    expected: tuple[float, float]  # least and most points
    result: Result | None
    found: float = 0.0
    problems: tuple[str, ...] = ()

    def row(self) -> str:
        """A row of the table under `HEAD`."""
        told = self.result
        memory = f"{told.memory_gb:.2f}" if told and told.memory_gb is not None else ""
        cells = [self.member.replace("|", " "), _range(self.expected), f"{self.found:g}"]
        cells += [f"{told.seconds:.0f}" if told else "", memory, "; ".join(self.problems)]
        return f"| {' | '.join(cells)} |"


def compared(expected: Path, grades: Path, without: Collection[str] = WITHOUT) -> list[Compared]:
    """Every member, and whoever was graded without being one.

    `without`: items that can't be judged on this machine.
    """
    wanted = yaml.safe_load(expected.read_text("utf-8"))
    results = {result.submission: result for result in results_of(grades)}
    reported = _reported(list(results.values()))
    found = [
        _compared(name, entry, results.get(name), reported.get(name, set()), without)
        for name, entry in wanted.items()
    ]
    strange = sorted(results.keys() - wanted.keys())
    return [
        *found,
        *(Compared(n, n, (0, 0), results[n], problems=("nobody expected it",)) for n in strange),
    ]


def _compared(
    name: str, entry: dict, result: Result | None, reported: set[str], without: Collection[str]
) -> Compared:
    points = {n: p for n, p in entry["points"].items() if n not in without}
    low, high = (sum(own[side] for own in points.values()) for side in (0, 1))
    about = {"name": name, "member": entry["member"], "expected": (low, high), "result": result}
    if result is None:
        return Compared(**about, problems=("in no result",))
    found = {item.id: item.points or 0.0 for item in result.items if item.id in points}
    total = sum(found.values())
    problems = [] if low - TOLERANCE <= total <= high + TOLERANCE else list(_odd(points, found))
    problems += [*_status(entry["status"], result), *_findings(entry, reported)]
    return Compared(**about, found=total, problems=tuple(problems))


def differences(expected: Path, grades: Path, without: Collection[str] = WITHOUT) -> list[str]:
    """A line for each member whose points, verdict or findings are not the expected ones."""
    return [
        f"{own.name} ({own.member}): {problem}"
        for own in compared(expected, grades, without)
        for problem in own.problems
    ]


def _odd(wanted: dict[str, list[float]], found: dict[str, float]) -> Iterator[str]:
    for name, points in wanted.items():
        if not points[0] <= found.get(name, 0.0) <= points[1]:
            yield f"{name} {found.get(name, 0):g} (expected {_range(points)})"


def _range(points: Sequence[float]) -> str:
    low, high = points
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _status(wanted: str, result: Result) -> Iterator[str]:
    if result.status != wanted:
        yield f"{result.status} ({result.verdict}), expected {wanted}"


def _reported(results: list[Result]) -> dict[str, set[str]]:
    """Submission -> kinds of findings that name it."""
    found: dict[str, set[str]] = {}
    for finding in suspicions(results):
        for name in finding.submissions:
            found.setdefault(name, set()).add(finding.kind)
    return found


def _findings(wanted: dict, found: set[str]) -> Iterator[str]:
    allowed = set(wanted["may_be_reported"])
    for entry in wanted["reported"]:
        kinds = set(entry.split("|"))
        allowed |= kinds
        if not kinds & found:
            yield f"not in the integrity report: {entry}"
    if strange := found - allowed:
        yield f"reported without a reason: {', '.join(sorted(strange))}"


def same_marks(one: Path, other: Path) -> list[str]:
    """Where two batches of one class differ: verdicts, points, evidence; times are no marks."""
    left, right = ({r.submission: r for r in results_of(folder)} for folder in (one, other))
    lines = [f"{name}: only in one batch" for name in left.keys() ^ right.keys()]
    for name in sorted(left.keys() & right.keys()):
        if left[name].verdict != right[name].verdict:
            lines.append(f"{name}: {left[name].verdict} and {right[name].verdict}")
        items = {item.id: item for item in right[name].items}
        lines += [
            f"{name}, {item.id}: {item.points} and {items[item.id].points}"
            for item in left[name].items
            if item.points != items[item.id].points
        ]
    return lines


def main() -> int:
    """The command line; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expected", type=Path, help="expected.yaml, as build.py wrote it")
    parser.add_argument("grades", type=Path, help="what `course grade --out` filled")
    options = parser.parse_args()
    found = compared(options.expected, options.grades)
    print("\n".join([HEAD, *(own.row() for own in found)]))
    differing = [own for own in found if own.problems]
    print(f"\n{len(found) - len(differing)} of {len(found)} as expected")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
