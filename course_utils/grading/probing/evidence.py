"""What the grader itself finds out about a submission's adapter.

    models = ModelEvidence(folder, "week09_10_manufacturing", box, limits, shared)
    models.base                                   # NotGradable where this machine has it not
    models.losses(records, tuned=True)

Nothing is read or asked before a check needs it. Only two files of the submission enter a sandboxed
process: the adapter's numbers and a checked list of its settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from course_utils import hardware
from course_utils.assignments import week05, week09_10
from course_utils.assignments.configuration import LoraFile, read_config
from course_utils.assignments.folder import Folder, json_object, show
from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Sandbox
from course_utils.execution.sandbox.limits import Limits
from course_utils.grading.cache import Shared
from course_utils.grading.probing.adapter import Adapter, read_adapter
from course_utils.grading.probing.bases import Base, NotGradable, find_base
from course_utils.grading.probing.probe import LoadReport, NotMeasured, Part, Probe, Record
from course_utils.handwritten import has_aliases

__all__ = ["LoadReport", "ModelEvidence", "NotGradable", "NotMeasured", "Part"]

WEEK09_10 = "week09_10_manufacturing"
CONFIG = "configs/lora_config.yaml"
MOST_CONFIG = 100_000  # bytes


@dataclass
class ModelEvidence:
    """The adapter of one submission, asked in the sandbox."""

    folder: Folder
    assignment: str
    box: Sandbox
    limits: Limits
    shared: Shared = field(default_factory=Shared)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def config(self) -> LoraFile:
        """The configuration of weeks 9-10. Raises CourseError where it can not be read."""
        return read_configuration(self.folder)

    @cached_property
    def training(self) -> dict[str, Any]:
        """training.json of week 5. Raises CourseError where it can not be read."""
        if week05.TRAINING not in self.folder.files:
            raise CourseError(f"{week05.TRAINING}: there is no such file", week05.TRAIN)
        return json_object(self.folder.json(week05.TRAINING))

    @cached_property
    def model(self) -> Base:
        """The base model as it is loaded here: see `base`."""
        if self.assignment == WEEK09_10:
            return find_base(self.config.base_model, self.config.quantization)
        name, quantization = (
            self.training.get("base_model"),
            self.training.get("quantization", "none"),
        )
        if not isinstance(name, str) or not name:
            raise CourseError(f"{week05.TRAINING}: names no base_model", week05.TRAIN)
        if quantization not in ("none", "nf4"):
            told = show(quantization, 30)
            raise CourseError(f"{week05.TRAINING}: quantization is {told}", week05.TRAIN)
        return find_base(name, quantization)

    @property
    def base(self) -> str:
        """The registry's name of the base model that the submission's own configuration names.

        Raises NotGradable where it is not on this machine, CourseError where none is named.
        """
        return self.model.name

    @cached_property
    def adapter(self) -> Adapter:
        """The adapter's two files, checked. Raises CourseError with the reason."""
        where = week09_10.ADAPTER if self.assignment == WEEK09_10 else week05.ADAPTER
        return read_adapter(self.folder, where)

    def load_report(self) -> LoadReport:
        """Which tensors found their layer. Raises CourseError for files that are refused."""
        return self._probe(tuned=True).load_report()

    def losses(
        self, records: Sequence[Record], tuned: bool, max_length: int | None = None
    ) -> list[tuple[float, int]]:
        """(nats, tokens) of each record's answer, only the answer's tokens counted."""
        return self._probe(tuned).losses(records, tuned, max_length)

    def answers(
        self,
        records: Sequence[Record],
        tuned: bool,
        max_new_tokens: int = 64,
        like: Sequence[Record] = (),
        **more: Any,
    ) -> list[str]:
        """Greedy answers in the order of the records; see `Probe.answers`."""
        return self._probe(tuned).answers(records, tuned, max_new_tokens, like, **more)

    def answers_of(self, parts: Sequence[Part], tuned: bool) -> list[list[str]]:
        """Greedy answers of several parts, asked at once; see `Probe.answers_of`."""
        return self._probe(tuned).answers_of(parts, tuned)

    def _probe(self, tuned: bool) -> Probe:
        return self.probe(self.model, self.adapter if tuned else None)

    def probe(self, base: Base, adapter: Adapter | None) -> Probe:
        """The same with another base model or adapter: that of a training in the sandbox."""
        return Probe(
            base, adapter, self.box, self.limits, self.shared, self.threads, self.cpu_seconds
        )

    @property
    def threads(self) -> int:
        """Of each process that computes: the same however many submissions are judged at a time.

        Another number of threads rounds in another order, and marks must not depend on --jobs.
        """
        return max(1, min(4, hardware.usable_cores() // 4))


def read_configuration(folder: Folder) -> LoraFile:
    """configs/lora_config.yaml, read like the scripts read it. CourseError says what is wrong."""
    if CONFIG not in folder.files:
        raise CourseError(f"{CONFIG}: there is no such file", "four lines are a complete file")
    if folder.files[CONFIG] > MOST_CONFIG:
        raise CourseError(f"{CONFIG}: larger than {MOST_CONFIG:,} bytes", "keep the values only")
    if has_aliases(folder.text(CONFIG)):
        raise CourseError(f"{CONFIG}: YAML aliases are not read", "write every value out")
    return read_config(folder.path(CONFIG))
