"""What a batch gave, beside what the class file expects: points, verdicts, integrity report.

python tests/classroom/compare.py OUT/expected.yaml GRADES    # a line for each disagreement
"""

import argparse
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from course_utils.grading.integrity import suspicions
from course_utils.grading.results import Result, results_of

TOLERANCE = 1.0  # points in total: what rounding of each item to half points may add up to


def differences(expected: Path, grades: Path, without: Collection[str] = ()) -> list[str]:
    """A line for each member whose points, verdict or findings are not the expected ones.

    `without`: items that can't be judged on this machine.
    """
    wanted = yaml.safe_load(expected.read_text("utf-8"))
    for entry in wanted.values():
        entry["points"] = {n: p for n, p in entry["points"].items() if n not in without}
    results = {result.submission: result for result in results_of(grades)}
    reported = _reported(list(results.values()))
    lines = [f"{name}: in no result" for name in wanted.keys() - results.keys()]
    lines += [f"{name}: nobody expected it" for name in results.keys() - wanted.keys()]
    for name in sorted(wanted.keys() & results.keys()):
        lines += [
            f"{name} ({wanted[name]['member']}): {problem}"
            for problem in (
                *_points(wanted[name]["points"], results[name]),
                *_status(wanted[name]["status"], results[name]),
                *_findings(wanted[name], reported.get(name, set())),
            )
        ]
    return lines


def _points(wanted: dict[str, list[float]], result: Result) -> Iterator[str]:
    found = {item.id: item.points or 0.0 for item in result.items if item.id in wanted}
    total = sum(found.values())
    low, high = (sum(points[side] for points in wanted.values()) for side in (0, 1))
    if low - TOLERANCE <= total <= high + TOLERANCE:
        return
    odd = [
        f"{name} {found.get(name, 0):g} (expected {_range(points)})"
        for name, points in wanted.items()
        if not points[0] <= found.get(name, 0.0) <= points[1]
    ]
    yield f"{total:g} points, expected {_range([low, high])}: {', '.join(odd)}"


def _range(points: list[float]) -> str:
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
    found = differences(options.expected, options.grades)
    print("\n".join(found) or "as expected")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
