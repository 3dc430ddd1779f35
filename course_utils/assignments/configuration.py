"""The assignment's configuration: `configs/lora_config.yaml`, read and checked.

Four lines are a complete file:

    r: 16
    lora_alpha: 32
    target_modules: [q_proj, v_proj]
    lora_dropout: 0.05
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from course_utils import hardware
from course_utils.assignments import definition
from course_utils.digests import digest, sha256_of
from course_utils.errors import CourseError
from course_utils.handwritten import read_yaml
from course_utils.settings import Settings, resolve_precision
from course_utils.tasks import TASKS
from course_utils.training import MLP

# What people write for the same thing; the kit's settings and peft differ in two names.
SYNONYMS = {
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "lora_r": "r",
    "rank": "r",
    "epochs": "num_train_epochs",
    "model": "base_model",
    "batch_size": "per_device_train_batch_size",
    "max_seq_length": "max_length",
}
ALL_LINEAR = "all-linear"
# What only the evaluation reads, and the file that the data came from.
NOT_OF_TRAINING = {"test_records", "test_shares", "few_shot_examples", "eval_batch_size", "records"}
Task = Literal["understanding", "report", "qa"]
# A task, or TASK/FORM such as "qa/one sentence" -> records of it in a round; 0 leaves a form out.
Shares = dict[str, Annotated[int, Field(ge=0, le=1000)]]


def asked_tasks() -> list[str]:
    """The tasks that assignment.yaml asks for; all of them where the kit lies without it."""
    if not definition.ASSIGNMENTS:
        return list(TASKS)
    return list(definition.of_checker("week09_10").thresholds.tasks) or list(TASKS)


class LoraFile(BaseModel):
    """Every value that a configuration file may hold, with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_model: str = Field("smollm2-135m-instruct", min_length=1)
    quantization: Literal["none", "nf4"] = "none"
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"

    r: int = Field(16, ge=1, le=1024, description="rank of the adapter matrices")
    lora_alpha: int = Field(32, ge=1, description="the adapter is scaled by lora_alpha / r")
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: list[str] | Literal["all-linear"] = ALL_LINEAR
    bias: Literal["none", "all", "lora_only"] = "none"
    task_type: Literal["CAUSAL_LM"] = "CAUSAL_LM"

    learning_rate: float = Field(1e-3, gt=0, le=1)
    num_train_epochs: float = Field(1, gt=0, le=100)
    per_device_train_batch_size: int = Field(2, ge=1)
    gradient_accumulation_steps: int = Field(2, ge=1)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    # The longest record of the built data has 938 tokens (embedded model's tokenizer): none is cut.
    max_length: int = Field(960, ge=16, le=131072, description="tokens, prompt + completion")
    gradient_checkpointing: bool = False
    early_stopping_patience: int = Field(2, ge=1)
    evaluations: int = Field(5, ge=2, description="evaluations and checkpoints during training")

    records: str = Field("", description="a file of your own records; empty: the kit's track")
    tasks: list[Task] = Field(default_factory=asked_tasks, min_length=1)
    train_records: int = Field(1500, ge=2, description="drawn from the tasks by task_shares")
    task_shares: Shares = Field(
        {},
        description="training records of a task, TASK/FORM or TASK/DOCUMENT in a round; 1 where "
        "none is named",
    )
    val_records: int = Field(60, ge=2)
    # 30 of each of the seven forms: a gain that varies by 0.5 a record is then known to 0.18 in a
    # form and to 0.09 in a task of four.
    test_records: int = Field(
        210, ge=2, description="drawn from the forms of the tasks by test_shares"
    )
    # Whole tasks only: a test of the forms that went well would flatter.
    test_shares: dict[Task, Annotated[int, Field(ge=1, le=1000)]] = Field(
        {}, description="test records of each form of a task in a round; 1 where it is not named"
    )
    few_shot_examples: int = Field(3, ge=1, le=64)
    eval_batch_size: int = Field(16, ge=1)
    seed: int = Field(42, ge=0, le=2**32 - 1)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_is_yes(cls, value: Any, info: ValidationInfo) -> Any:
        inside = value.values() if isinstance(value, dict) else [value]
        said = any(isinstance(own, bool) for own in inside)
        if said and info.field_name != "gradient_checkpointing":
            raise ValueError("yes, no, true and false are no value for it")
        return value

    @field_validator("target_modules")
    @classmethod
    def _some_modules(cls, modules: list[str] | str) -> list[str] | str:
        if not modules or not all(str(name).strip() for name in modules):
            raise ValueError("names at least one layer, such as q_proj, or is all-linear")
        return modules

    @field_validator("task_shares")
    @classmethod
    def _of_known_tasks(cls, shares: dict[str, int]) -> dict[str, int]:
        for name, share in shares.items():
            task, slash, part = name.partition("/")
            if task not in TASKS or (slash and not part):
                known = ", ".join(TASKS)
                raise ValueError(f"{name} is no task, TASK/FORM or TASK/DOCUMENT; tasks: {known}")
            if not share and not part:
                raise ValueError(f"{name}: 0 leaves the task out; name the others under `tasks`")
        return shares

    @field_validator("tasks")
    @classmethod
    def _each_once(cls, tasks: list[str]) -> list[str]:
        return [task for task in TASKS if task in tasks]

    def settings(self) -> Settings:
        """The kit's settings object, precision resolved for this machine.

        fp16 is a GPU's: who reads the submission without one takes what that machine is quick in.
        """
        others = {"r", "target_modules", "bias", "task_type", "tasks", "records"}
        others |= {"task_shares", "test_shares"}
        own = self.model_dump(exclude=others)
        if self.precision == "fp16" and not hardware.detect().capability:
            own["precision"] = "auto"
        settings = Settings(
            **own,
            preset="assignment",
            purpose="weeks 9-10",
            lora_r=self.r,
            include_mlp=self.adapts_mlp,
            max_new_tokens=min(self.max_length, 256),  # evaluation takes what each task needs
        )
        return resolve_precision(settings)[0]

    def training_digest(self, train: Path, val: Path) -> str:
        """What a training depends on: these values without the test part's, and its data."""
        own = self.model_dump(exclude=NOT_OF_TRAINING)
        return digest([own, [sha256_of(train), sha256_of(val)]])

    @property
    def adapts_mlp(self) -> bool:
        """Whether the adapter reaches the MLP layers."""
        return self.target_modules == ALL_LINEAR or bool(set(MLP) & set(self.target_modules))


def read_config(path: Path, **changes: Any) -> LoraFile:
    """The file's values; `changes` that are not None replace single ones (command line).

    Raises CourseError that names the file, the key, what was wrong and the nearest known key.
    """
    path = Path(path)
    content = _parse(path)
    values = {SYNONYMS.get(name, name): value for name, value in content.items()}
    if len(values) < len(content):
        means = [SYNONYMS.get(name, name) for name in content]
        meant = next(name for name in means if means.count(name) > 1)
        twice = [name for name, mean in zip(content, means, strict=True) if mean == meant]
        raise CourseError(f"{path}: {' and '.join(twice)} name the same value", "keep one of them")
    values |= {SYNONYMS.get(k, k): value for k, value in changes.items() if value is not None}
    try:
        return LoraFile.model_validate(values)
    except ValidationError as error:
        raise CourseError(
            f"{path}: {_explain(error)}",
            "course_utils/assignments/configuration.py lists every key",
        ) from None


def _parse(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise CourseError(
            f"{path}: there is no such file",
            "write one; four lines are enough: r, lora_alpha, target_modules, lora_dropout",
        ) from None
    except UnicodeDecodeError:
        raise CourseError(f"{path}: this is not UTF-8 text", "save it as UTF-8") from None
    except (OSError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "strerror", None) or error
        raise CourseError(
            f"{path}: {where}{' '.join(str(what).split())}",
            "one `name: value` a line, indented alike, no tabs",
        ) from None
    if content is None:
        raise CourseError(f"{path}: the file is empty", "write at least one line, such as r: 16")
    if not isinstance(content, dict):
        raise CourseError(f"{path}: this is no list of names and values", "write r: 16")
    flat: dict[str, Any] = {}
    for name, value in content.items():  # sections (lora:, training:) are only headings
        heading = isinstance(value, dict) and name not in LoraFile.model_fields
        for key, own in (value if heading else {name: value}).items():
            if str(key) in flat:
                raise CourseError(f"{path}: {key} is there twice", "keep one of them")
            flat[str(key)] = own
    return flat


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else "the file"
        if item["type"] == "extra_forbidden":
            known = [*LoraFile.model_fields, *SYNONYMS]
            near = difflib.get_close_matches(name, known, n=1)
            lines.append(f"unknown key {name}" + (f"; did you mean {near[0]}?" if near else ""))
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{name} = {item['input']!r}: {message}")
    return "; ".join(dict.fromkeys(lines))
