"""One submission while it is judged: all that a check may look at."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from course_utils.assignments.folder import Folder
from course_utils.assignments.rubric import Item, Rubric
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import Limits

if TYPE_CHECKING:
    from course_utils.grading.hidden import HiddenRecords
    from course_utils.grading.probing.evidence import ModelEvidence


@dataclass
class Case:
    """A submission and the item that is being judged (dataclasses.replace for each item)."""

    assignment: str  # rubric.assignment, e.g. "week05_parameter_lab"
    rubric: Rubric
    item: Item
    folder: Folder  # scanned: its readers follow no link and open nothing above its limit
    box: Sandbox  # entered
    limits: Limits  # of this submission
    models: "ModelEvidence"  # lazy; what it found stays on it and in the batch's cache
    hidden: "HiddenRecords | None" = None  # None in practice
    facts: dict[str, Any] = field(default_factory=dict)  # what one check found for another
    jobs: int = 1  # submissions that are judged at the same time on this machine
    seed: int = 0  # of every random step of this submission
