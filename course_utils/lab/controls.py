"""The controls of the lab: a slider over stops, a list, a tick box or a field for a number.

control("lora_r", 16)            # a slider
control("records", 120)          # a field to type into
put(widget, "lora_r", 24)        # moved there, with a stop of its own
"""

import math
from typing import Any

from course_utils.errors import CourseError
from course_utils.lab import plots as lab_plots
from course_utils.lab.parameters import PARAMETERS, SETTABLE, text_of

# Controls that are no parameter of the training: they say what it is about. Label and stops; the
# number of records is free.
EXTRAS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "model": ("model", lab_plots.MODELS),
    "records": ("training records", ()),
    "device": ("device", ("cpu", "T4", "L4", "A100 40", "A100 80")),
    "number": ("number to store", lab_plots.EXAMPLE_NUMBERS),
}
MOST_RECORDS = 100_000  # as many as a figure of their steps is drawn for while a slider moves
# Short enough for a label in front of a slider.
UNITS = {
    "num_train_epochs": "passes",
    "per_device_train_batch_size": "records",
    "gradient_accumulation_steps": "batches",
    "max_length": "tokens",
    "max_new_tokens": "tokens",
    "warmup_ratio": "share of steps",
    "logging_steps": "steps",
}


def check_extra(name: str, value: Any) -> Any:
    """The value of an extra in its own type; CourseError says what it takes."""
    label, stops = EXTRAS[name]
    if name == "records":
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
        if not whole or not 1 <= value <= MOST_RECORDS:
            cure = f"give a whole number from 1 to {MOST_RECORDS:,}"
            raise CourseError(f"{label}: {value!r} does not fit", cure)
        return int(value)
    if name == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not value:
            raise CourseError(f"{label}: {value!r} does not fit", "give a number other than 0")
        return value
    if value not in stops:
        cure = f"choose among {', '.join(map(str, stops))}"
        raise CourseError(f"{label}: {value!r} is not there", cure)
    return value


def control(name: str, value: Any, label_width: int = 240) -> Any:
    """The widget of a parameter or an extra: slider over stops, list, tick box or field."""
    import ipywidgets as widgets

    style, layout = {"description_width": f"{label_width}px"}, widgets.Layout(width="425px")
    common = {"description": description(name), "style": style, "layout": layout, "value": value}
    if name in PARAMETERS and PARAMETERS[name].kind == "bool":
        return widgets.Checkbox(**common, indent=False)
    if name == "records":
        return widgets.BoundedIntText(**common, min=1, max=MOST_RECORDS)
    options = options_of(name, value)
    if name in ("model", "device") or (name in SETTABLE and SETTABLE[name].kind == "choice"):
        return widgets.Dropdown(**common, options=options)
    return widgets.SelectionSlider(**common, options=options, continuous_update=True)


def description(name: str) -> str:
    """A slider's label, with its unit in brackets."""
    label = EXTRAS[name][0] if name in EXTRAS else name
    return f"{label} ({UNITS[name]})" if name in UNITS else label


def options_of(name: str, value: Any) -> list[tuple[str, Any]]:
    """(label, value) for each stop; a value between the stops gets one of its own."""
    stops = EXTRAS[name][1] if name in EXTRAS else SETTABLE[name].values
    if value not in stops:
        stops = (*stops, value)
        stops = stops if isinstance(value, str) else tuple(sorted(stops))
    return [(label_of(stop), stop) for stop in stops]


def label_of(value: Any) -> str:
    """A value beside its slider: 0.0002, 16, true."""
    if isinstance(value, float) and value and not math.isinf(value):
        return f"{value:.6g}"
    return text_of(value)


def put(widget: Any, name: str, value: Any) -> None:
    """Set a slider, with a new stop where the value lies between the old ones."""
    if hasattr(widget, "options") and value not in [stop for _, stop in widget.options]:
        widget.options = options_of(name, value)
    if widget.value != value:
        widget.value = value
