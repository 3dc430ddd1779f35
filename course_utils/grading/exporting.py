"""What all exports share: who goes out, with which total, and what has to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_utils.files import write_json_atomic
from course_utils.grading.finding import wrong
from course_utils.grading.numbers import points_text
from course_utils.grading.totals import Total

FOLDER = "exports"


@dataclass
class Exported:
    """What was written, whom it leaves out or changes: neither happens in silence."""

    path: Path
    written: int = 0
    left_out: dict[str, str] = field(default_factory=dict)  # submission -> why
    changed: dict[str, str] = field(default_factory=dict)  # submission -> what stands there instead
    removed: list[Path] = field(default_factory=list)  # of an earlier export, and no longer true

    def lines(self) -> list[str]:
        """For the terminal."""
        return [
            f"{self.written} written: {self.path}",
            *(f"changed: {name}: {what}" for name, what in sorted(self.changed.items())),
            *(f"removed: {path}: of an earlier export" for path in self.removed),
            *(f"left out: {name}: {why}" for name, why in sorted(self.left_out.items())),
        ]


def write_each(done: Exported, name: str, contents: Mapping[str, Any]) -> None:
    """A file of this name in a folder for each of `contents`; those of an earlier export go."""
    for folder, content in contents.items():
        write_json_atomic(done.path / folder / name, content)
    done.written = len(contents)
    for path in sorted(done.path.glob(f"*/{name}")):
        if path.parent.name not in contents:
            path.unlink()
            done.removed.append(path)


def ready(own: Total, provisional: bool) -> str:
    """Why a total can't go out yet; "" when it can."""
    if own.points is None:
        return own.result.verdict
    if own.waiting and not provisional:
        return f"waits for a person: {', '.join(own.waiting)}"
    return ""


def twice(totals: Sequence[Total], kind: str) -> dict[str, str]:
    """Submission -> why it can't go out: another one has its ID of this kind too."""
    found: dict[str, list[str]] = {}
    for own in totals:
        if number := own.result.owner.ids.get(kind):
            found.setdefault(number, []).append(own.result.submission)
    return {
        name: f"{number} is also that of {', '.join(n for n in names if n != name)}: grade "
        f"only the right one (move the other out of the inbox and out of the folder of grades)"
        for number, names in found.items()
        if len(names) > 1
        for name in names
    }


def check_most(where: Path, most: float | None, totals: Sequence[Total]) -> None:
    """The LMS counts to the same number of points. Raises Explained where it does not."""
    expected = totals[0].most
    if most is not None and most != expected:
        values = {"file": where, "found": points_text(most), "expected": points_text(expected)}
        raise wrong("export.other_points", **values)
