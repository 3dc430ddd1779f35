"""One submission while it is judged: all that a check may look at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.assignments.folder import Folder
from course_utils.assignments.rubric import Item, Rubric
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import Limits
from course_utils.execution.workers import WorkerServer
from course_utils.grading.cache import Shared

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
    shared: Shared = field(default_factory=Shared)  # the batch's cache: `shared.get(key, compute)`
    out: Path | None = None  # a folder for executed.ipynb and logs, outside the sandbox
    workers: WorkerServer | None = None  # for Custody(box, limits, workers), where kernels fork
