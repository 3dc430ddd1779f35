"""Presets and parameters: one immutable `Settings` object, saved in every run folder.

Show the presets:  course run --help   or   course_utils/presets.yaml
"""

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from course_utils import hardware
from course_utils.errors import CourseError

PRESETS_FILE = Path(__file__).with_name("presets.yaml")
TRACKS = ("manufacturing", "geology")  # the kit's; data of one's own have a name of their own


class Settings(BaseModel):
    """Every number that shapes a run. Frozen: a changed value is a new object.

    Start values and their sources: Unsloth's and QLoRA's guides for rank 16 and alpha = 2r,
    "LoRA Without Regret" for adapting the MLP layers too. The warm-up of 3 % is a choice of this
    course: QLoRA's scripts name it beside the schedule `constant`, which ignores it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    track: str = Field("manufacturing", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    seed: int = Field(42, ge=0, le=2**32 - 1)
    purpose: str = ""
    base_model: str
    quantization: Literal["none", "nf4"] = "none"
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    max_length: int = Field(ge=16, le=131072, description="tokens, prompt + completion")
    max_new_tokens: int = Field(ge=1, le=8192, description="tokens generated per answer")
    per_device_train_batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(1, ge=1)
    num_train_epochs: float = Field(gt=0, le=100)
    learning_rate: float = Field(gt=0, le=1)
    learning_rates: dict[str, float] = Field({}, description="of other base models, as measured")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the optimiser steps")
    lr_scheduler_type: Literal[
        "linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"
    ] = "cosine"
    lora_r: int = Field(16, ge=1, le=1024)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    include_mlp: bool = True
    gradient_checkpointing: bool = False
    early_stopping_patience: int = Field(2, ge=1, description="evaluations without improvement")
    evaluations: int = Field(5, ge=2, description="evaluations (and checkpoints) during training")
    train_records: int = Field(ge=2)
    val_records: int = Field(ge=2)
    test_records: int = Field(ge=2)
    few_shot_examples: int = Field(6, ge=1, le=64)
    eval_batch_size: int = Field(ge=1)
    asked_records: int = Field(12, ge=1, description="that every way of answering is timed with")
    expected_minutes: dict[str, float] = {}
    measured: str = "not measured"

    @property
    def effective_batch_size(self) -> int:
        """Records per optimiser step on one device."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def with_changes(self, **changes: Any) -> "Settings":
        """A new `Settings` with the given values; a value of None keeps the old one.

        Another base model brings its own learning rate with it where one is known and none given.
        """
        changes = {name: value for name, value in changes.items() if value is not None}
        if changes.get("base_model", self.base_model) != self.base_model:
            changes = {"learning_rate": self._learning_rate_of(changes["base_model"]), **changes}
        return _build({**self.model_dump(), **changes}, origin=f"preset {self.preset}")

    def _learning_rate_of(self, base_model: str) -> float:
        preset = load_presets().get(self.preset, {})
        if base_model == preset.get("base_model"):  # back from another one
            return preset["learning_rate"]
        return self.learning_rates.get(base_model, self.learning_rate)


@lru_cache
def load_presets(path: Path = PRESETS_FILE) -> dict[str, dict[str, Any]]:
    """The preset file as a dictionary: preset name -> values."""
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))


def preset_settings(preset: str, track: str | None = None, seed: int | None = None) -> Settings:
    """The settings of one preset; `auto` asks the hardware and prints why.

    `track` and `seed` None: manufacturing and 42.
    Raises CourseError for an unknown preset, with the nearest name.
    """
    if preset == "auto":
        preset, reason = hardware.choose_preset(hardware.detect())
        print(f"preset auto -> {preset}: {reason}")
    presets = load_presets()
    if preset not in presets:
        near = difflib.get_close_matches(preset, presets, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join([*presets, "auto"])
        raise CourseError(f"there is no preset {preset!r}", f"{hint}choose one of: {known}")
    values = {**presets[preset], "preset": preset, "track": track or "manufacturing"}
    values["seed"] = 42 if seed is None else seed
    return _build(values, origin=f"preset {preset}")


def require_track(track: str) -> None:
    """CourseError for a name that is no track of the kit; with data of one's own it may be any."""
    if track not in TRACKS:
        raise CourseError(
            f"track {track!r} is unknown{_nearest(track, TRACKS)}",
            f"known: {', '.join(TRACKS)}; data of your own: --data FOLDER, as course data split "
            "writes it",
        )


def resolve_precision(settings: Settings) -> tuple[Settings, str]:
    """Replace precision `auto` by what this machine computes well; return the reason too.

    Raises CourseError for fp16 where there is no CUDA GPU.
    """
    if settings.precision in ("fp32", "bf16"):
        return settings, f"{settings.precision}: set by the preset or by you"
    machine = hardware.detect()
    if settings.precision == "fp16":
        require_fp16(machine)
        return settings, "fp16: set by the preset or by you"
    precision, reason = hardware.choose_precision(machine)
    return settings.with_changes(precision=precision), reason


def require_fp16(machine: hardware.Hardware) -> None:
    """CourseError where fp16 is asked of a machine without a CUDA GPU."""
    if not machine.capability:
        raise CourseError(
            "fp16 needs a CUDA GPU: a CPU has no loss scaling for it, and no speed to gain",
            "leave it out (this machine then chooses), or ask for fp32 or bf16",
        )


def _build(values: dict[str, Any], origin: str) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        raise CourseError(
            f"settings ({origin}): {explain(error)}",
            "course_utils/presets.yaml holds the presets, course_utils/settings.py every parameter",
        ) from None


def explain(error: ValidationError) -> str:
    """What is wrong with which value, on one line."""
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            hint = _nearest(name, Settings.model_fields)
            lines.append(f"{name} is not a parameter of the course{hint}")
        elif item["type"] == "missing":
            lines.append(f"{name} is missing")
        elif not name:  # said about the whole object, whose text would fill the screen
            lines.append(item["msg"].removeprefix("Value error, "))
        else:
            choices = re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", "")))
            hint = _nearest(str(item["input"]), choices)
            lines.append(f"{name} = {item['input']!r}: {item['msg']}{hint}")
    return "; ".join(lines)


def _nearest(word: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f"; did you mean {near[0]}?" if near else ""
