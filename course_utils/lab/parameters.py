"""The 13 parameters of week 5: names, start values, slider stops, and the command they make.

One vocabulary for the lab's sliders, `train_lora.py` and the recorded sweeps: what a slider says
is what the command line takes. Show them:  python -m course_utils.lab.parameters
"""

import argparse
import difflib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from course_utils.errors import CourseError

Value = float | int | str | bool
SCRIPT = "train_lora.py"
# The hand-out asks these of each parameter; `parameter_analysis.ipynb` has a place for each.
QUESTIONS = {
    "what": "What does it control?",
    "increase": "What happens if we increase it?",
    "decrease": "What happens if we decrease it?",
    "choice": "Which value would you choose here, and why?",
}
PRECISIONS = ("fp32", "bf16", "fp16")
SCHEDULERS = ("linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt")


@dataclass(frozen=True)
class Parameter:
    """One of the 13: what a slider offers, and where its start value comes from."""

    name: str
    title: str
    kind: Literal["float", "int", "bool", "choice"]
    start: Value
    values: tuple[Value, ...]  # the slider's stops, in order
    low: float | None = None  # what the command line takes, both ends included
    high: float | None = None
    unit: str = ""
    log: bool = False  # the axis of a figure, and the spacing of the stops
    trains: bool = True  # whether it changes the trained weights
    controls: str = ""  # one line, for --help and over the slider
    source: str = ""  # of the start value


_ALL = (
    Parameter(
        "learning_rate",
        "learning rate",
        "float",
        2e-4,
        (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2),
        low=1e-8,
        high=1.0,
        log=True,
        controls="how far one optimiser step moves the adapter's weights",
        source="QLoRA trains 7B and 13B with 2e-4; TRL's PEFT page: 2e-5 full, 2e-4 LoRA",
    ),
    Parameter(
        "num_train_epochs",
        "epochs",
        "float",
        2,
        (0.5, 1, 2, 3, 4, 5),
        low=0.01,
        high=100,
        unit="passes over the data",
        controls="how often each record is seen",
        source="Unsloth's guide: 1 to 3; Tulu 3 swept 2 to 7 and kept 2 (second-hand)",
    ),
    Parameter(
        "per_device_train_batch_size",
        "batch size per device",
        "int",
        2,
        (1, 2, 4, 8, 16),
        low=1,
        high=1024,
        unit="records",
        log=True,
        controls="records in one forward pass: the memory knob",
        source="Unsloth's notebooks use 2; QLoRA's scripts 1",
    ),
    Parameter(
        "gradient_accumulation_steps",
        "gradient accumulation",
        "int",
        8,
        (1, 2, 4, 8, 16, 32),
        low=1,
        high=1024,
        unit="batches per optimiser step",
        log=True,
        controls="batches that are added up before the weights move",
        source="Unsloth: effective batch 16 = 2 x 8; LoRA Without Regret: keep it below 32",
    ),
    Parameter(
        "max_length",
        "max_length / max_new_tokens",
        "int",
        512,
        (32, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024, 2048),
        low=16,
        high=131072,
        unit="tokens",
        log=True,
        controls="where a record is cut in training, prompt and answer together",
        source="the 95th to 99th percentile of your own lengths; QLoRA 512; TRL's default is 1024",
    ),
    Parameter(
        "lora_r",
        "LoRA rank r",
        "int",
        16,
        (1, 2, 4, 8, 16, 32, 64, 128),
        low=1,
        high=1024,
        log=True,
        controls="width of the adapter: how much it can store",
        source="Unsloth's guide: 16 or 32; QLoRA: rank hardly matters once all layers adapt",
    ),
    Parameter(
        "lora_alpha",
        "LoRA alpha",
        "int",
        32,
        (4, 8, 16, 32, 64, 128, 256),
        low=1,
        high=4096,
        log=True,
        controls="loudness of the adapter: its output is scaled by alpha / r",
        source="alpha = 2r: Raschka's LoRA experiments and Hugging Face's course",
    ),
    Parameter(
        "lora_dropout",
        "LoRA dropout",
        "float",
        0.05,
        (0.0, 0.05, 0.1, 0.2, 0.3, 0.5),
        low=0.0,
        high=0.95,
        controls="share of the adapter's inputs set to zero at random in training",
        source="QLoRA: 0.1 for 7B and 13B, 0.05 for 33B and 65B",
    ),
    Parameter(
        "include_mlp",
        "adapt the MLP layers too",
        "bool",
        True,
        (False, True),
        controls="adapters on attention only, or on gate, up and down projections as well",
        source="QLoRA and LoRA Without Regret: all linear layers",
    ),
    Parameter(
        "warmup_ratio",
        "warm-up ratio",
        "float",
        0.03,
        (0.0, 0.03, 0.05, 0.1, 0.2, 0.4),
        low=0.0,
        high=0.99,
        unit="share of the optimiser steps",
        controls="how long the learning rate climbs before it reaches its full value",
        source="Unsloth's guide: 5 to 10 %; QLoRA's 0.03 stands beside constant, which ignores it",
    ),
    Parameter(
        "lr_scheduler_type",
        "learning-rate schedule",
        "choice",
        "cosine",
        SCHEDULERS,
        controls="how the learning rate falls after the warm-up",
        source="Unsloth's guide: linear or cosine; QLoRA used constant",
    ),
    Parameter(
        "precision",
        "bf16 / fp16",
        "choice",
        "bf16",
        PRECISIONS,
        controls="the number format of the arithmetic in training",
        source="capability 8 or newer: bf16; T4 and V100: fp16; a CPU: fp32, or bf16 if it has it",
    ),
    Parameter(
        "logging_steps",
        "logging steps",
        "int",
        10,
        (1, 2, 4, 5, 8, 10, 16, 25, 50),
        low=1,
        high=100000,
        unit="optimiser steps",
        log=True,
        trains=False,
        controls="how often the loss is written down; the model does not notice",
        source="total steps / 50, at least 1; TRL's default is 10",
    ),
)
PARAMETERS: dict[str, Parameter] = {parameter.name: parameter for parameter in _ALL}
# The partner of max_length in the same section: it works at inference only.
NEW_TOKENS = Parameter(
    "max_new_tokens",
    "max_new_tokens",
    "int",
    64,
    (4, 8, 16, 24, 32, 48, 64, 128, 256),
    low=1,
    high=8192,
    unit="tokens",
    log=True,
    trains=False,
    controls="where an answer is cut when the model is asked",
    source="longer than the longest answer in your data",
)
SETTABLE: dict[str, Parameter] = {**PARAMETERS, NEW_TOKENS.name: NEW_TOKENS}


def start_values() -> dict[str, Value]:
    """The settings that the lab begins with: name -> value, all 13 and max_new_tokens."""
    return {name: parameter.start for name, parameter in SETTABLE.items()}


def checked(settings: Mapping[str, Any]) -> dict[str, Value]:
    """All settings, the given ones over the start values.

    Raises CourseError for an unknown name or a value outside its range.
    """
    return start_values() | {name: check_value(name, value) for name, value in settings.items()}


def check_value(name: str, value: Any) -> Value:
    """The value in its own type; CourseError says what the parameter takes."""
    if name not in SETTABLE:
        near = difflib.get_close_matches(name, SETTABLE, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise CourseError(
            f"{name}: there is no such parameter", f"{hint}known: {', '.join(SETTABLE)}"
        )
    parameter = SETTABLE[name]
    try:
        return _converted(parameter, value)
    except (TypeError, ValueError, OverflowError):  # the last one: infinity as a whole number
        raise CourseError(f"{name}: {value!r} does not fit", _takes(parameter)) from None


def _converted(parameter: Parameter, value: Any) -> Value:
    if parameter.kind == "bool":
        if isinstance(value, bool):
            return value
        words = {"true": True, "1": True, "false": False, "0": False}
        if str(value).strip().lower() not in words:
            raise ValueError(value)
        return words[str(value).strip().lower()]
    if parameter.kind == "choice":
        if value not in parameter.values:
            raise ValueError(value)
        return str(value)
    if isinstance(value, bool):
        raise TypeError(value)
    number = float(value)
    if parameter.kind == "int" and number != int(number):
        raise ValueError(value)
    if not parameter.low <= number <= parameter.high:  # NaN compares false
        raise ValueError(value)
    return int(number) if parameter.kind == "int" else number


def _takes(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "give true or false"
    if parameter.kind == "choice":
        return f"choose one of: {', '.join(map(str, parameter.values))}"
    whole = "a whole number" if parameter.kind == "int" else "a number"
    unit = f" {parameter.unit}" if parameter.unit else ""
    return f"give {whole} from {parameter.low:g} to {parameter.high:g}{unit}"


# ---------------------------------------------------------------- command line
def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The 13 parameters by their names; what is not given stays None ("start value")."""
    group = parser.add_argument_group("the 13 parameters")
    for parameter in SETTABLE.values():
        if parameter.name == "precision":
            _add_precision(group)
            continue
        group.add_argument(
            f"--{parameter.name}",
            type=_reader(parameter),
            metavar=_metavar(parameter),
            help=f"{parameter.controls} (start value: {text_of(parameter.start)})",
        )


def _add_precision(group: Any) -> None:
    for name in ("bf16", "fp16"):
        group.add_argument(
            f"--{name}",
            type=_reader(PARAMETERS["include_mlp"]),
            nargs="?",
            const=True,
            metavar="true|false",
            help=f"compute in {name} (neither given: what this machine computes well)",
        )


def _metavar(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "true|false"
    if parameter.kind == "choice":
        return "|".join(map(str, parameter.values))
    return "N" if parameter.kind == "int" else "X"


def _reader(parameter: Parameter) -> Any:
    def read(text: str) -> Value:
        try:
            return check_value(parameter.name, text)
        except CourseError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error.cure}") from None

    return read


def given(options: argparse.Namespace) -> dict[str, Value]:
    """The parameters that the command line named; CourseError for bf16 and fp16 together."""
    found = {
        name: getattr(options, name)
        for name in SETTABLE
        if name != "precision" and getattr(options, name) is not None
    }
    if options.bf16 and options.fp16:
        raise CourseError("--bf16 and --fp16 were both given", "give one: a run has one format")
    if options.bf16 or options.fp16:
        found["precision"] = "bf16" if options.bf16 else "fp16"
    elif options.bf16 is False or options.fp16 is False:
        found["precision"] = "fp32"
    return found


def text_of(value: Value) -> str:
    """A value as the command line takes it: 0.0002, 16, true, cosine."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def to_command(
    settings: Mapping[str, Any],
    data: str = "records.jsonl",
    out: str = "adapter/",
    more: Sequence[str] = (),
) -> str:
    """The `train_lora.py` line that trains with these settings; the same words each time."""
    values = checked(settings)
    words = ["python", SCRIPT, "--data", data, "--out", out, *more]
    for name, value in values.items():
        if name == "precision":
            for flag in ("bf16", "fp16"):
                words += [f"--{flag}", text_of(value == flag)]
        else:
            words += [f"--{name}", text_of(value)]
    return shlex.join(words)


@dataclass(frozen=True)
class Command:
    """What a `train_lora.py` line says: all settings, those it names, and its other words."""

    settings: dict[str, Value]
    named: tuple[str, ...]
    ignored: tuple[str, ...]


def from_command(text: str) -> dict[str, Value]:
    """The settings of a `train_lora.py` line, start values where it names none.

    Raises CourseError for text that is no such line, or for a value out of range.
    """
    return read_command(text).settings


def read_command(text: str) -> Command:
    """A `train_lora.py` line, read; CourseError as from_command."""
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError as error:
        raise CourseError(f"this is no command line: {error}", _EXAMPLE) from None
    place = next((i for i, word in enumerate(words) if word.endswith(SCRIPT)), None)
    if place is None:
        raise CourseError(f"there is no {SCRIPT} in {text.strip()[:60]!r}", _EXAMPLE)
    parser = _QuietParser(add_help=False, allow_abbrev=False)
    add_arguments(parser)
    options, others = parser.parse_known_args(words[place + 1 :])
    _refuse_unknown(words[place + 1 :])
    named = given(options)
    return Command(checked(named), tuple(named), tuple(others))


_EXAMPLE = f"for example: python {SCRIPT} --data records.jsonl --out adapter/ --learning_rate 5e-4"
_OTHER_OPTIONS = ("data", "out", "eval_data", "val_share", "base_model", "quantization", "seed")
_OTHER_OPTIONS += ("evaluations", "eval_batch_size", "resume", "no_checkpoints", "threads")
_OTHER_OPTIONS += ("folds", "learn_eos", "learn_padding", "adapter_dtype")


def _refuse_unknown(words: Sequence[str]) -> None:
    known = {*SETTABLE, "bf16", "fp16", *_OTHER_OPTIONS} - {"precision"}
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean --{near[0]}?" if near else _EXAMPLE
            raise CourseError(f"--{name}: {SCRIPT} has no such option", cure)


class _QuietParser(argparse.ArgumentParser):
    """argparse that raises instead of leaving the program."""

    def error(self, message: str) -> None:
        raise CourseError(f"the command does not fit: {message}", _EXAMPLE)


def main() -> None:
    """Print the 13 parameters with start values and slider stops."""
    for parameter in SETTABLE.values():
        stops = ", ".join(text_of(value) for value in parameter.values)
        print(f"{parameter.name}: {parameter.controls}")
        print(f"    start {text_of(parameter.start)}; stops {stops}")
        print(f"    source: {parameter.source}")


if __name__ == "__main__":
    main()
