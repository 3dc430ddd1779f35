"""What all submissions of a batch share: the sandbox, the cache, the secret, the hidden records.

    with Workshop(plan) as shop:
        grade_one(submission, shop)

A `Plan` is plain data, so another machine can open a workshop of its own from it.
"""

import contextlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from course_utils import hardware, models, packages
from course_utils.assignments.definition import find
from course_utils.assignments.rubric import Rubric
from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.levels import Tried, choose_level, is_for_strangers, probe
from course_utils.execution.sandbox.limits import GIB, Limits
from course_utils.execution.workers import WorkerServer
from course_utils.grading.cache import (
    FOLDER,
    BatchStopped,
    Shared,
    grader_fingerprint,
    versions,
)
from course_utils.grading.hidden import OWN, HiddenRecords, hidden_records, own_records
from course_utils.grading.inbox import Submission
from course_utils.grading.probing import preload
from course_utils.grading.probing.bases import NotGradable, find_base, readable
from course_utils.grading.results import rubric_fingerprint
from course_utils.grading.secret import Secret

WORK = ".work"  # in GRADES: archives unpacked, copies and logs of what runs now
LEAST_SPACE = 200_000_000  # bytes that must be free before a submission begins
LIMITS = Limits(wall=1200.0, memory=4 * GIB)  # of each run of a submission
# Where a submission names its base model, and how.
NAMING, LARGEST = ("configs/lora_config.yaml", "training.json"), 1_000_000
BASE = re.compile(rb"\"?base_model\"?\s*:\s*\"?([\w./-]+)")
SEED = 13  # of random steps where there is no secret


@dataclass(frozen=True)
class Plan:
    """How a class is graded. `assignment` is the short name, e.g. week05."""

    grades: Path
    assignment: str
    rubric: Rubric
    level: str
    jobs: int = 1
    warm: bool = True
    base: str = ""  # the model that most submissions were trained on: held by the warm server
    practice: bool = False  # at a student's own desk: no secret, no hidden records
    limits: Limits = field(default=LIMITS)
    work: Path | None = None  # for what runs now; a worker of a cluster has its own disk


def level_for(wanted: str, practice: bool = False) -> Tried:
    """The sandbox's level. Raises CourseError where `auto` finds none that keeps strangers in.

    One's own work may run at any level.
    """
    tried = choose_level(wanted)
    if wanted == "auto" and not practice and not is_for_strangers(tried.level):
        lines = "; ".join(one.line() for one in probe() if is_for_strangers(one.level))
        raise CourseError(
            f"no sandbox here that keeps strangers' work in ({lines})",
            f"mend one of these, or, for people you trust, --sandbox {tried.level}",
        )
    return tried


class Workshop:
    """The open resources of a plan; `with` opens and closes them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.work = plan.work or plan.grades / WORK
        self.box: Sandbox
        self.workers: WorkerServer | None = None
        self.told: dict[str, Any] = {}  # by the warm server
        self.guard = threading.Lock()
        self._hidden: HiddenRecords | None = None

    def __enter__(self) -> "Workshop":
        plan = self.plan
        with contextlib.ExitStack() as stack:
            self._clear()
            stack.callback(shutil.rmtree, self.work, ignore_errors=True)
            self.secret = None if plan.practice else Secret.of(plan.grades)
            self.shared = Shared(plan.grades / FOLDER, salt=self._salt())
            box = Sandbox(
                plan.level,
                warm=plan.warm,
                readable=readable(),
                cache=packages.cache_folder(),
                environment=environment_of(plan.jobs) | self._preloaded(),
                imports=preload.imports(),
            )
            self.box = stack.enter_context(box)
            if box.warm:
                self.workers = stack.enter_context(WorkerServer())
                self.told = box.wait_until_warm()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _preloaded(self) -> dict[str, str]:
        """What tells the warm server which base model to hold; nothing where it is not here."""
        if not (self.plan.warm and self.plan.base):
            return {}
        try:
            return preload.environment(find_base(self.plan.base))
        except NotGradable:
            return {}

    def _clear(self) -> None:
        """A new folder for what runs now; what `kill -9` left in an old one goes."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(mode=0o700, parents=True)

    def _salt(self) -> str:
        return self.secret.fingerprint if self.secret else ""

    @property
    def hidden(self) -> HiddenRecords | None:
        """Drawn when the first submission is judged, which takes a while; none in practice.

        Where assignment.yaml says `hidden: own` those of GRADES/hidden.jsonl; none without it.
        """
        with self.guard:
            if self._hidden is None and self.secret:
                assignment = self.plan.rubric.assignment
                if find(assignment).hidden == "kit":
                    self._hidden = hidden_records(assignment, self.secret, self.shared)
                elif (own := self.plan.grades / OWN).is_file():
                    self._hidden = own_records(own, self.seed)
            return self._hidden

    @property
    def seed(self) -> int:
        """Of every random step: the same for all, so equal submissions get equal marks."""
        return self.secret.derive("draw") if self.secret else SEED

    @cached_property
    def setting(self) -> str:
        """A digest of all but the submission that a result depends on, for the whole batch."""
        plan = self.plan
        parts = [grader_fingerprint(), rubric_fingerprint(plan.rubric), versions(), self._salt()]
        parts.append(find(plan.rubric.assignment).model_dump_json())
        own = plan.grades / OWN
        parts.append(sha256_of(own) if own.is_file() else "")
        return digest([*parts, plan.level, plan.limits.as_json(), plan.practice])

    def check_space(self) -> None:
        """BatchStopped where the disk of the grades, or of what runs, is nearly full.

        Whatever a student's program does on a full disk would be taken for its own fault.
        """
        for folder in (self.plan.grades, self.box.root):
            if shutil.disk_usage(folder).free < LEAST_SPACE:
                raise BatchStopped.no_space(folder)


def popular_base(submissions: Iterable[Submission]) -> str:
    """The base model that most submissions name, as far as folders tell; else the embedded one.

    Only a guess that saves time: each submission is judged on the one that it names itself.
    """
    found = Counter(name for own in submissions if (name := _named_base(own.path)))
    return found.most_common(1)[0][0] if found else models.EMBEDDED


def _named_base(folder: Path) -> str | None:
    for name in NAMING:
        path = folder / name
        with contextlib.suppress(OSError):  # its own grading says what is wrong with it
            small = path.is_file() and path.stat().st_size < LARGEST
            if small and (named := BASE.search(path.read_bytes())):
                return named[1].decode()
    return None


def environment_of(jobs: int) -> dict[str, str]:
    """The environment of submissions: the cores shared out among the jobs."""
    machine = hardware.detect()
    return hardware.kernel_environment(machine, max(machine.cores // jobs, 1))
