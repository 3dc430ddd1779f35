"""What a member of the class must earn: shares of an item's points, argued in the class file.

Points that depend on what a model learned are computed here from the honest run, by another way
than the grader's: a random model's loss is ln(vocabulary), and the intervals are those that the
student's own scripts printed.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classroom.study_week05 import SHORT

from course_utils.assignments.definition import find
from course_utils.assignments.rubric import Rubric, load_rubric

if TYPE_CHECKING:
    from classroom.build import ClassFile, Row

VOCABULARY = 49_152  # of nano's tokenizer; its weights are random, so each word is as likely
UNTAUGHT = math.log(VOCABULARY)  # 10.803 nats a token
# The loss that has to fall for full points, and what any fall earns (both hand-outs, part 3).
FAILS = ("this cell was never finished", "raise NotImplementedError")
COPIES = [
    f"integrity.{kind}"
    for kind in ("adapter_same", "adapter_near", "copied_same", "copied_code", "copied_text")
]
FALLS = {"week05": (0.10, 1 / 3), "week09_10": (0.20, 1 / 2)}


def expected(
    assignment: str, members: "ClassFile", row: "Row", work: Path, honest: Path | None
) -> dict[str, Any]:
    """One member's entry of expected.yaml: points of the items, findings, the argument."""
    rubric = load_rubric(find(assignment).path / "rubric.yaml")
    shares = _shares(assignment, members, row, honest)
    for name, share in shares.items():
        if share == "reached":
            shares[name] = reached(work)
    points = {
        item.id: _points(shares[item.id], item.points)
        for item in rubric.items
        if item.kind == "automatic"
    }
    return {
        "why": row.why,
        "status": row.status,
        "points": points,
        "reported": row.reported,
        "may_be_reported": [*members.may_be_reported],
    }


def name_the_copied(expected: dict[str, dict[str, Any]], members: "ClassFile") -> None:
    """Whose work was copied is named beside whom copied it, and other copies of it too."""
    by_member = {entry["member"]: entry for entry in expected.values()}
    families: dict[str, list[str]] = {}
    for name, row in members.members.items():
        for other in (row.like, *_copied_words(row)):
            if other:
                families.setdefault(other, [other]).append(name)
    for family in families.values():
        for name in family:
            by_member[name]["may_be_reported"] += COPIES


def _copied_words(row: "Row") -> list[str]:
    given = [entry for entry in row.changes if isinstance(entry, dict)]
    return [entry["words_of"] for entry in given if "words_of" in entry]


def _points(share: Any, points: float) -> list[float]:
    """[lowest, highest]; half points downwards, as every item is rounded."""
    low, high = share if isinstance(share, tuple | list) else (share, share)
    return [math.floor(2 * low * points + 1e-6) / 2, math.floor(2 * high * points + 1e-6) / 2]


def _shares(
    assignment: str, members: "ClassFile", row: "Row", honest: Path | None
) -> dict[str, Any]:
    if row.status in ("rejected", "not gradable"):
        return dict.fromkeys(automatic(assignment), 0.0)
    shares: dict[str, Any] = dict.fromkeys(automatic(assignment), 1.0)
    shares |= members.honest
    if assignment == "week05" and not row.whole:
        shares["analysis_complete"] = len(SHORT) / 13  # a point for each section
    shares |= COMPUTED[assignment](honest) if honest else {}
    if "all" in row.share:
        shares |= dict.fromkeys(shares, row.share["all"])
    shares |= {name: share for name, share in row.share.items() if name != "all"}
    return shares | dict.fromkeys(row.not_judged, 0.0)


def automatic(assignment: str) -> list[str]:
    """The items that a computer scores."""
    rubric: Rubric = load_rubric(find(assignment).path / "rubric.yaml")
    return [item.id for item in rubric.items if item.kind == "automatic"]


# --- What nano learned --------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def loss_share(assignment: str, told: float) -> float:
    """The share of `validation_improves` for the validation loss that the honest run printed."""
    enough, some = FALLS[assignment]
    fall = 1 - told / UNTAUGHT
    return 1.0 if fall >= enough else some if fall > 0 else 0.0


def _week05(honest: Path) -> dict[str, float]:
    loss = _read(honest / "training.json")["eval_loss"]
    answers = honest / "held_out_answers.json"
    return {
        "validation_improves": loss_share("week05", loss),
        "interval": _gain(_read(answers)["difference"]["token_f1"]) if answers.is_file() else 0.0,
    }


def _gain(interval: dict[str, float]) -> float:
    """All for an interval above 0, half for a mean above 0."""
    return 1.0 if interval["low"] > 0 else 0.5 if interval["mean"] > 0 else 0.0


def _week09_10(honest: Path) -> dict[str, float]:
    tasks = _read(honest / "run" / "evaluation.json")["tasks"].values()
    gains = [_gain(task["difference"][task["main"]]) for task in tasks]
    loss = _read(honest / "run" / "training.json")["eval_loss"]
    return {
        "validation_improves": loss_share("week09_10", loss),
        "tuned_beats_base": sum(gains) / 3,
    }


COMPUTED = {"week05": _week05, "week09_10": _week09_10}


def reached(work: Path) -> float:
    """The share of the notebook's code cells before the first that can't be run."""
    notebook = next(path for path in work.glob("*.ipynb"))
    code = [
        "".join(cell["source"])
        for cell in json.loads(notebook.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]
    failing = next(n for n, source in enumerate(code) if any(mark in source for mark in FAILS))
    return failing / len(code)
