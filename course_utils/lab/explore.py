"""The parameter lab: sliders over arithmetic and recorded runs, each with a static twin.

    lab = explore.Lab()
    lab.panel("learning_rate")     # sliders, figure, warnings, recorded runs, command
    lab.command_box()              # the train_lora.py line for what all the sliders say

Where a person sits in front (JupyterLab, Colab, Voila) a panel is a widget, and its picture is
stored in the same output, so that a saved notebook shows it on GitHub. Where a notebook is only
executed (papermill, nbconvert) the picture and the words are all there is: no widget is made, so
no placeholder and no half-saved widget state is left behind. Works with ipywidgets 7.7 and 8.
"""

import asyncio
import base64
import html
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import chat, models, records, sources
from course_utils.errors import CourseError
from course_utils.lab import (
    architectures,
    cautions,
    controls,
    learning_curve,
    parameters,
    sweeps,
)
from course_utils.lab import plots as lab_plots
from course_utils.lab import recorded as lab_recorded
from course_utils.lab.canvas import DPI, WIDTH, packed
from course_utils.lab.controls import EXTRAS, label_of
from course_utils.lab.findings import finding
from course_utils.lab.parameters import PARAMETERS, SETTABLE, Value

if TYPE_CHECKING:
    import pandas

    from course_utils.lab.sweeps import Sweep

_PLAN = ("num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps")
_PLAN += ("records",)
# Section -> its sliders, the section's own first.
CONTROLS: dict[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate", "warmup_ratio", "lr_scheduler_type"),
    "num_train_epochs": ("num_train_epochs", "records"),
    "per_device_train_batch_size": ("per_device_train_batch_size", "max_length", "model", "device"),
    "gradient_accumulation_steps": (
        *("gradient_accumulation_steps", "per_device_train_batch_size", "records"),
    ),
    "max_length": ("max_length", "max_new_tokens"),
    "lora_r": ("lora_r", "include_mlp", "model"),
    "lora_alpha": ("lora_alpha", "lora_r"),
    "lora_dropout": ("lora_dropout",),
    "include_mlp": ("include_mlp", "lora_r", "model"),
    "warmup_ratio": ("warmup_ratio", "num_train_epochs", "lr_scheduler_type"),
    "lr_scheduler_type": ("lr_scheduler_type", "learning_rate", "warmup_ratio"),
    "precision": ("precision", "number", "device"),
    "logging_steps": ("logging_steps",),
}
# What else changes a section's figure, moved in another section.
ALSO_USES = {
    "learning_rate": _PLAN,
    "num_train_epochs": _PLAN,
    "gradient_accumulation_steps": _PLAN,
    "warmup_ratio": ("learning_rate", *_PLAN),
    "lr_scheduler_type": _PLAN,
    "per_device_train_batch_size": ("lora_r", "include_mlp", "precision", "lora_dropout"),
}
QUIET_SECONDS = 0.3  # other sections redraw when the slider has rested this long
WIDGET = "application/vnd.jupyter.widget-view+json"
WORDS = "max-width:860px;line-height:1.4"
BREAKS = "overflow-wrap:anywhere;white-space:pre-wrap"


# ---------------------------------------------------------------- who is looking


def is_static() -> bool:
    """Whether this notebook is only executed, with nobody to move a slider.

    The programs that execute notebooks use jupyter_client, whose messages are numbered
    "session_process_count"; a browser's have a plain identifier. Voila executes in the same way
    but shows the widgets, and says so in the environment.
    """
    if any(name.startswith("VOILA_") for name in os.environ):
        return False
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:  # plain Python, IPython in a terminal
        return True
    header = (kernel.get_parent() or {}).get("header", {})
    return bool(re.fullmatch(r".+_\d+_\d+", str(header.get("msg_id", ""))))


def _display(bundle: Mapping[str, Any], alt: str = "") -> None:
    """Show a bundle; `alt` is what its picture says to those who do not see it."""
    from IPython.display import display

    display(dict(bundle), raw=True, metadata={"image/png": {"alt": alt}} if alt else {})


def _png_bundle(png: bytes, words: str) -> dict[str, str]:
    return {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": words}


@cache
def _script() -> dict[str, str]:
    """What names sliders and pictures to a screen reader, as an output of a cell."""
    text = Path(__file__).with_name("sliders.js").read_text(encoding="utf-8")
    return {"text/html": f"<script>{text}</script>", "text/plain": ""}


def told_of(command: parameters.Command, before: Mapping[str, Value]) -> str:
    """What loading a line did: set, set back to a start value, left aside."""

    def listed(names: Sequence[str], note: Callable[[str], str] = lambda name: "") -> str:
        return ", ".join(f"{n} {label_of(command.settings[n])}{note(n)}" for n in names)

    unnamed = [name for name in command.settings if name not in command.named]
    back = [name for name in unnamed if command.settings[name] != before[name]]
    told = [f"Set from the line: {listed(command.named) or 'nothing'}."]
    if back:
        was = listed(back, lambda name: f" (was {label_of(before[name])})")
        told.append(f"Not named in it, so back at the start value: {was}.")
    elif unnamed:
        told.append("What it does not name was at its start value already.")
    if command.ignored:
        told.append(f"Left aside, since it is no slider here: {shlex.join(command.ignored)}.")
    return " ".join(told)


def stacked(*pictures: bytes) -> bytes:
    """PNG pictures of one width, one below the other: the static twin of a panel."""
    import io

    import numpy as np
    from PIL import Image

    pixels = [np.asarray(Image.open(io.BytesIO(png))) for png in pictures]
    return packed(np.concatenate(pixels))


# ---------------------------------------------------------------- the lab


class Lab:
    """One set of settings behind all 13 sections.

    `data` is a JSON-lines file of your own records; without one the lengths are those of the
    real work orders, and the number of records is free. `command` sets the sliders to begin
    with. `static` None finds out whether somebody can move a slider.
    """

    def __init__(
        self,
        data: str | Path | None = None,
        model: str = lab_plots.MODELS[0],
        command: str = "",
        static: bool | None = None,
    ) -> None:
        if model not in lab_plots.MODELS:
            known = ", ".join(lab_plots.MODELS)
            raise CourseError(f"{model}: the lab has no such architecture", f"choose among {known}")
        self.static = is_static() if static is None else static
        self.state: dict[str, Any] = parameters.start_values()
        self.state |= {"model": model, "records": 400, "device": "cpu", "number": 65520.0}
        self.data = Path(data) if data else None
        if self.data:
            self.state["records"] = len(self._records)
        self.panels: dict[str, Panel] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._listeners: list[Callable[[], None]] = []
        if command:
            self.load(command)

    # ------------------------------------------------------------ what the sliders say

    @property
    def settings(self) -> dict[str, Value]:
        """The parameters as `train_lora.py` takes them."""
        return {name: self.state[name] for name in SETTABLE}

    def set(self, source: "Panel | None" = None, **values: Any) -> None:
        """Set parameters or extras by name; all sections follow.

        Raises CourseError for an unknown name or a value out of range.
        """
        checked = {
            name: (controls.check_extra if name in EXTRAS else parameters.check_value)(name, value)
            for name, value in values.items()
        }
        changed = {name for name, value in checked.items() if self.state[name] != value}
        self.state |= checked
        if source:
            source.redraw()
        others = [p for p in self.panels.values() if p is not source and p.depends_on(changed)]
        for panel in others:
            panel.follow()
        for panel in self.panels.values():  # each names all values that differ from the start's
            if panel is not source and panel not in others:
                panel.write()
        for listener in self._listeners:
            listener()
        self._soon(others) if source else [panel.redraw() for panel in others]

    def _soon(self, panels: Sequence["Panel"]) -> None:
        """Redraw when the slider rests: the section in view must not wait for the others."""
        for panel in panels:
            panel.stale = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no event loop: nobody is watching either
            self._refresh()
            return
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_later(QUIET_SECONDS, self._refresh)

    def _refresh(self) -> None:
        for panel in self.panels.values():
            if panel.stale:
                panel.redraw()

    def command(self, section: str = "") -> str:
        """The `train_lora.py` line; with a section, only what differs from the start values."""
        line = parameters.to_command(self.settings)
        if not section:
            return line
        words = shlex.split(line)
        fixed, options = words[:6], words[6:]
        start = parameters.start_values()
        told = {name for name in SETTABLE if self.state[name] != start[name]} | {section}
        told |= {"max_new_tokens"} if section == "max_length" else set()
        told |= {"bf16", "fp16"} if "precision" in told else set()
        kept = [
            word
            for name, value in zip(options[::2], options[1::2], strict=True)
            if name.removeprefix("--") in told
            for word in (name, value)
        ]
        return shlex.join([*fixed, *kept])

    def load(self, text: str) -> str:
        """Set all sliders to what a `train_lora.py` line says; returns what that changed.

        Raises CourseError when it is no such line.
        """
        command, before = parameters.read_command(text), self.settings
        self.set(**command.settings)
        return told_of(command, before)

    # ------------------------------------------------------------ data behind the figures

    @cached_property
    def _records(self) -> list[dict]:
        if self.data:
            return records.read_records(self.data)
        return sources.clean_work_orders(sources.load_work_orders()).records

    @cached_property
    def lengths(self) -> tuple[list[int], list[int]]:
        """Tokens of each record, and of its prompt (SmolLM2's tokenizer)."""
        tokenizer = models.load_tokenizer(models.EMBEDDED)
        tokens = [chat.tokenize_record(record, tokenizer) for record in self._records]
        return [len(t.input_ids) for t in tokens], [t.prompt_length for t in tokens]

    @cached_property
    def _log(self) -> list[dict]:
        """The loss of a recorded run at every step."""
        runs = sweep_of("start").runs
        return next((run["log"] for run in lab_recorded.good(runs)), [])

    def context(self, section: str) -> lab_plots.Context:
        """What a section's figure needs beside the settings; data are read where they are used."""
        lengths, prompts = self.lengths if section == "max_length" else ((), ())
        return lab_plots.Context(
            records=self.state["records"],
            model=self.state["model"],
            number=self.state["number"],
            lengths=lengths,
            prompt_lengths=prompts,
            log=self._log if section == "logging_steps" else (),
        )

    def warnings(self, section: str = "") -> list[str]:
        """What is known to hurt; with a section, only what its own sliders brought about."""
        if not section:
            return self._warnings(self.settings, self.__dict__.get("lengths"))
        start = parameters.start_values()
        own = {name: start[name] for name in CONTROLS[section] if name in start}
        # Going through all lengths twice would take longer than drawing the figure.
        lengths = self.lengths if section == "max_length" else None
        without = self._warnings({**self.settings, **own}, lengths)
        return [text for text in self._warnings(self.settings, lengths) if text not in without]

    def _warnings(self, settings: Mapping[str, Any], lengths: Any) -> list[str]:
        device = self.state["device"]
        return cautions.warnings(
            settings,
            self.state["records"],
            architectures.get(self.state["model"]),
            lengths=lengths,
            device=device,
            quantization="none32" if device == "cpu" else "nf4",
        )

    # ------------------------------------------------------------ what a cell shows

    def panel(self, section: str) -> None:
        """Show a section: its sliders with the figure, or the figure alone."""
        if section not in CONTROLS:
            known = ", ".join(CONTROLS)
            raise CourseError(f"{section}: the lab has no such section", f"choose among {known}")
        panel = self.panels[section] = Panel(self, section)
        panel.show()

    def about(self) -> None:
        """Print what the recorded runs were made with, and how they differ from the sliders."""
        sweep = sweep_of("start")
        told = [lab_recorded.about(sweep.about, sweep.runs)]
        told.append(lab_recorded.not_yet(sweep, [sweep_of(name) for name in sweeps.VALUES]))
        for text in filter(None, told):
            print(textwrap.fill(text, 100))

    def findings(self, section: str) -> None:
        """Print what the recorded runs of a section show; nothing where they show nothing."""
        for text in finding(section):
            print(textwrap.fill(text, 100))

    def command_box(self) -> None:
        """Show the command for all sliders and, where there are sliders, a place to load one."""
        if self.static:
            print(folded(self.command()))
            return
        self._show_command_widgets()

    def _show_command_widgets(self) -> None:
        import ipywidgets as widgets

        wide = widgets.Layout(width="100%", max_width="860px", height="110px")
        copy = widgets.Textarea(value=self.command(), description="copy:", layout=wide)
        paste = widgets.Textarea(
            description="paste:", layout=wide, placeholder="python train_lora.py …"
        )
        paste.continuous_update = False  # letter by letter, the click would overtake the last ones
        whole = widgets.Layout(width="auto")  # as wide as its words
        button = widgets.Button(description="Load from command", layout=whole)
        told = widgets.HTML()
        told.add_class("course-told")

        def refresh() -> None:
            copy.value = self.command()

        def load(_: Any) -> None:
            try:
                said = self.load(paste.value)
                told.value = f"<div style='{WORDS}'>{html.escape(said)}</div>"
            except CourseError as error:
                told.value = f"{html.escape(error.message)}<br>{html.escape(error.cure)}"

        button.on_click(load)
        self._listeners.append(refresh)
        left = widgets.Layout(align_items="flex-start")
        box = widgets.VBox([copy, paste, button, told], layout=left)
        _display({WIDGET: _view(box), "text/plain": folded(self.command())})
        _display(_script())

    def gallery(self) -> None:
        """Show the failures one by one: symptom, cause, cure, and the recorded curves."""
        from IPython.display import HTML, display

        for failure in lab_recorded.failures():
            display(HTML(gallery_html(failure)))
            if failure.runs:
                self._announce(f"{failure.title}: loss and score beside healthy runs")
                display(lab_recorded.plot_failure(failure))

    def learning_curve(self) -> None:
        """Show the recorded scores by number of training records, and who is ahead where."""
        recorded = learning_curve.read()
        if recorded.runs:
            self._announce(learning_curve.alternative_text(recorded))
        learning_curve.show(recorded)

    def _announce(self, alt: str) -> None:
        """Say what the next picture shows to those who do not see it: JupyterLab drops its text."""
        if not self.static:
            hidden = f"<span class='course-alt-next' hidden>{html.escape(alt)}</span>"
            _display({"text/html": hidden, "text/plain": ""})

    def table(self) -> "pandas.DataFrame":
        """A row for each section: what it has, and the recorded runs behind it."""
        import pandas

        rows = []
        for name, known in PARAMETERS.items():
            sweep = sweep_of(name)
            shown = name in self.panels
            row = {
                "section": known.title,
                "slider stops": len(known.values),
                "arithmetic": "yes" if shown and self.panels[name].pictures else "no",
                "recorded runs": len(sweep.runs),
                "values": len(lab_recorded.by_value(sweep)),
                "seeds": lab_recorded.seeds(sweep.runs),
                "command": "yes" if shown and name in _names_of(self.command(name)) else "no",
            }
            enough = row["values"] > 1 or (not known.trains and row["recorded runs"])
            whole = row["arithmetic"] == row["command"] == "yes" and enough
            rows.append({**row, "complete": "yes" if whole else "no"})
        return pandas.DataFrame(rows).set_index("section")


def _names_of(command: str) -> set[str]:
    names = {word.removeprefix("--") for word in shlex.split(command) if word.startswith("--")}
    return names | ({"precision"} if "bf16" in names else set())


def folded(command: str, width: int = 96) -> str:
    """A command over several lines that a shell still takes as one; a value stays by its name."""
    lines = [""]
    for part in re.split(r" (?=--)", command):
        if lines[-1] and len(lines[-1]) + len(part) + 7 > width:
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]} {part}".strip()
    return " \\\n    ".join(lines)


def sweep_of(name: str) -> "Sweep":
    """The recorded runs of a parameter; an empty sweep where none is there yet."""
    try:
        return sweeps.read_sweep(name)
    except CourseError:
        return sweeps.Sweep(name, {}, [])


def gallery_html(failure: lab_recorded.Failure) -> str:
    """One entry of the gallery; its words break anywhere, as an answer may be one long word."""
    rows = {
        "Symptom": failure.symptom,
        "Cause": failure.cause,
        "Cure": failure.cure,
        "Recorded": failure.recorded(),
    }
    items = [f"<li><i>{name}</i>: {html.escape(text)}.</li>" for name, text in rows.items()]
    if answer := failure.answer():
        said = html.escape(lab_recorded.label_text(answer["answer"], 160))
        items.append(f"<li><i>An answer of such a model</i>: <code style='{BREAKS}'>{said}</code>")
    title = f"<p><b>{html.escape(failure.title)}</b></p>"
    return f"<div style='{WORDS};{BREAKS}'>{title}<ul>{''.join(items)}</ul></div>"


# ---------------------------------------------------------------- one section


class Panel:
    """A section's sliders, figure, warnings, recorded runs and command."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.drawing = lab_plots.Drawing()
        sweep = sweep_of(name)
        self.sweep = sweep
        # With one recorded value there is nothing to compare: the curve itself is the figure.
        several = len(lab_recorded.by_value(sweep)) > 1
        self.marked = lab_recorded.Marked(sweep) if several else None
        self.pictures: list[bytes] = []  # the figure and, where several values were recorded, those
        self.stale = False
        self.controls: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}
        self._following = False

    def depends_on(self, names: set[str]) -> bool:
        """Whether a change of these names changes what the section shows."""
        return bool(names & {*CONTROLS[self.name], *ALSO_USES.get(self.name, ())})

    def draw(self) -> bytes:
        """The arithmetic figure for what the sliders say, as PNG."""
        lab = self.lab
        return self.drawing.png(self.name, lab.settings, lab.context(self.name))

    def told(self) -> str:
        """What was recorded at this value, in a sentence."""
        if self.marked is None:
            return lab_recorded.one_value(self.sweep)
        return lab_recorded.sentence(self.sweep, self.lab.state[self.name])

    def titles(self) -> list[str]:
        """What each picture states: its alternative text."""
        return [self.drawing.title, *([self.marked.title] if self.marked else [])]

    def show(self) -> None:
        """The widget with its picture in one output, or the picture and the words."""
        box = None if self.lab.static else self.box()
        if box is None:
            self.redraw()
        alt = ". ".join(self.titles())
        twin = _png_bundle(stacked(*self.pictures), alt)
        if box is None:
            _display(twin, alt)
            print("\n".join(self.words()))
        else:
            _display({WIDGET: _view(box), **twin}, alt)
            _display(_script())

    def words(self) -> list[str]:
        """What a panel says beside its figures, as plain lines."""
        at = ", ".join(f"{name} {label_of(self.lab.state[name])}" for name in CONTROLS[self.name])
        warnings = [f"Careful: {text}" for text in self.lab.warnings(self.name)]
        return [f"Shown for: {at}", *warnings, self.told(), folded(self.lab.command(self.name))]

    # ------------------------------------------------------------ widgets

    def box(self) -> Any:
        """The panel's widgets."""
        import ipywidgets as widgets

        names = CONTROLS[self.name]
        label = 16 + max(len(controls.description(name)) for name in names) * 7  # pixels
        state = self.lab.state
        self.controls = {name: controls.control(name, state[name], label) for name in names}
        for name, widget in self.controls.items():
            widget.observe(self._moved(name), names="value")
        picture = widgets.Layout(max_width="100%", width=f"{WIDTH * DPI:.0f}px")
        self.parts = {"figure": widgets.Image(format="png", layout=picture)}
        self.parts["careful"] = widgets.HTML()
        if self.marked:
            self.parts["recorded"] = widgets.Image(format="png", layout=picture)
        self.parts["told"] = widgets.HTML()
        self.redraw()
        rows = widgets.Layout(flex_flow="row wrap")
        moved = widgets.HBox(list(self.controls.values()), layout=rows)
        box = widgets.VBox([moved, *self.parts.values()])
        box.add_class("course-panel")
        return box

    def _moved(self, name: str) -> Callable[[Mapping[str, Any]], None]:
        def moved(change: Mapping[str, Any]) -> None:
            if not self._following and change["new"] is not None:
                self.lab.set(source=self, **{name: change["new"]})

        return moved

    def follow(self) -> None:
        """Put the sliders where the settings are, without telling it back."""
        self._following = True
        try:
            for name, widget in self.controls.items():
                controls.put(widget, name, self.lab.state[name])
        finally:
            self._following = False

    def redraw(self) -> None:
        """Draw the figures for the current settings and write the words."""
        self.stale = False
        value = self.lab.state[self.name]
        self.pictures = [self.draw()] + ([self.marked.png(value)] if self.marked else [])
        if not self.parts:
            return
        for part, png in zip(("figure", "recorded"), self.pictures, strict=False):
            self.parts[part].value = png
        self.write()

    def write(self) -> None:
        """Write the words beside the figures: what was recorded, the command, what to mind."""
        if not self.parts:
            return
        self.parts["careful"].value = warning_html(self.lab.warnings(self.name))
        line = html.escape(self.lab.command(self.name))
        hidden = [f"<span class='course-alt' hidden>{html.escape(t)}</span>" for t in self.titles()]
        self.parts["told"].value = (
            f"<div style='{WORDS}'>{html.escape(self.told())}<br>"
            f"<code style='white-space:pre-wrap'>{line}</code>{''.join(hidden)}</div>"
        )


def _view(widget: Any) -> dict[str, Any]:
    return {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}


def warning_html(texts: Sequence[str]) -> str:
    """Warnings as a list; the word stands beside the colour."""
    rows = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    style = "max-width:840px;border-left:4px solid #d55e00;padding:2px 0 2px 10px;line-height:1.4"
    return (
        f"<div style='{style}'><b>Careful</b><ul style='margin:0'>{rows}</ul></div>" if rows else ""
    )
