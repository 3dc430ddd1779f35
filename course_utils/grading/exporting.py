"""What all exports share: who goes out, with which total, and what has to be told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

    def lines(self) -> list[str]:
        """For the terminal."""
        return [
            f"{self.written} written: {self.path}",
            *(f"changed: {name}: {what}" for name, what in sorted(self.changed.items())),
            *(f"left out: {name}: {why}" for name, why in sorted(self.left_out.items())),
        ]


def ready(own: Total, provisional: bool) -> str:
    """Why a total can't go out yet; "" when it can."""
    if own.points is None:
        return own.result.verdict
    if own.waiting and not provisional:
        return f"waits for a person: {', '.join(own.waiting)}"
    return ""


def check_most(where: Path, most: float | None, totals: Sequence[Total]) -> None:
    """The LMS counts to the same number of points. Raises Explained where it does not."""
    expected = totals[0].most
    if most is not None and most != expected:
        values = {"file": where, "found": points_text(most), "expected": points_text(expected)}
        raise wrong("export.other_points", **values)
