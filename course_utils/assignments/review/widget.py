"""The review inside a notebook: the same questions and the same JSON as on the page."""

import functools
import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.assignments.review.answers import answers_document, answers_name
from course_utils.assignments.review.making import CHOICES, Review, shown_text
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.progress import PROGRESS_FILE

if TYPE_CHECKING:
    from ipywidgets import VBox


def review_widget(
    review: Review, folder: Path | str = ".", *, static: bool | None = None, first: int = 3
) -> "VBox":
    """The review as a widget that saves the same JSON as the page, into `folder`.

    Its HTML twin with the first pairs is stored beside it, for a reader of an executed copy; with
    `static` (by default: under `course run`, where nobody can click) the twin is all that is shown.
    """
    static = bool(os.environ.get(PROGRESS_FILE)) if static is None else static
    return _box_class()(_Panel(review, Path(folder)), static_twin(review, first), static)


@functools.cache
def _box_class() -> type:
    import ipywidgets

    class ReviewBox(ipywidgets.VBox):
        """A VBox that leaves a readable HTML text beside the widget."""

        _ipython_display_ = None  # ipywidgets 7 would show the widget alone through it

        def __init__(self, panel: _Panel, twin: str, static: bool) -> None:
            super().__init__(panel.children)
            self.panel, self.twin, self.static = panel, twin, static

        def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
            bundle: dict[str, Any] = {"text/html": self.twin, "text/plain": "blind review"}
            if not self.static:
                view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
                bundle["application/vnd.jupyter.widget-view+json"] = view
            return bundle

    return ReviewBox


class _Panel:
    """The controls of the widget and what they write down."""

    def __init__(self, review: Review, folder: Path) -> None:
        import ipywidgets as widgets

        self.review, self.folder = review, folder
        self.answers = {item["id"]: {"choice": None, "comment": ""} for item in review.items}
        wide = widgets.Layout(width="100%")
        self.name = widgets.Text(description="Your name", layout=widgets.Layout(width="24em"))
        self.pair = widgets.IntSlider(1, 1, len(review.items), description="Pair")
        self.shown = widgets.HTML(layout=wide)
        options = [(label, choice) for choice, label in CHOICES.items()]
        self.choice = widgets.ToggleButtons(options=options, value=None)
        self.comment = widgets.Textarea(placeholder="Comment (optional)", layout=wide)
        self.back = widgets.Button(description="Back")
        self.forward = widgets.Button(description="Next")
        self.save = widgets.Button(description="Save my answers", button_style="primary")
        self.status = widgets.HTML()
        buttons = widgets.HBox([self.back, self.forward, self.save])
        self.children = (
            *(self.name, self.pair, self.shown, self.choice, self.comment, buttons, self.status),
        )
        self.pair.observe(self.show, "value")
        self.choice.observe(self.keep, "value")
        self.comment.observe(self.keep, "value")
        self.back.on_click(lambda _: self.step(-1))
        self.forward.on_click(lambda _: self.step(1))
        self.save.on_click(self.write)
        self.show()

    def step(self, by: int) -> None:
        self.pair.value = min(max(1, self.pair.value + by), len(self.review.items))

    def show(self, *_: Any) -> None:
        item = self.review.items[self.pair.value - 1]
        # Setting a control calls `keep`; after the second one both are written as they were.
        choice, comment = self.answers[item["id"]].values()
        self.shown.value = _pair_html(item, self.pair.value, len(self.review.items))
        self.choice.value, self.comment.value = choice, comment
        self.tell()

    def keep(self, *_: Any) -> None:
        item = self.review.items[self.pair.value - 1]
        self.answers[item["id"]] = {"choice": self.choice.value, "comment": self.comment.value}
        self.tell()

    def tell(self, text: str = "") -> None:
        left = sum(answer["choice"] is None for answer in self.answers.values())
        open_pairs = f"{left} of {len(self.answers)} pairs are open."
        self.status.value = html.escape(f"{text} {open_pairs}".strip())

    def write(self, *_: Any) -> None:
        name = " ".join(shown_text(self.name.value).split())
        if not name:
            return self.tell("Not saved: type your name first.")
        content = answers_document(self.review, name, self.answers)
        try:
            path = self.folder / answers_name(self.review.title, name)
            write_json_atomic(path, content)
        except CourseError as error:  # a traceback would end in a log that nobody sees
            return self.tell(str(error))
        return self.tell(f"Saved to {path}.")


def static_twin(review: Review, first: int = 3) -> str:
    """The first pairs as plain HTML, for where no widget runs; it needs no script and no style."""
    count = len(review.items)
    pairs = [_pair_html(item, n, count) for n, item in enumerate(review.items[:first], 1)]
    more = f"<p>The first {len(pairs)} of {count} pairs. Which answer is better?</p>"
    return f"<h4>Blind review: {html.escape(review.title)}</h4>{more}{''.join(pairs)}"


def _pair_html(item: Mapping[str, Any], number: int, count: int) -> str:
    """One pair, every text escaped."""

    def text(name: str) -> str:
        style = "white-space:pre-wrap;overflow-wrap:anywhere;text-align:left;line-height:1.45"
        return f'<div style="{style}">{html.escape(item[name]) or "<i>(empty)</i>"}</div>'

    cell = 'style="width:50%;vertical-align:top;text-align:left;border:1px solid #b8c0c9"'
    answers = "".join(f"<td {cell}>{text(name)}</td>" for name in ("answer_a", "answer_b"))
    heads = "".join(f"<th {cell}>Answer {side}</th>" for side in "AB")
    table = (
        f'<table style="width:100%;table-layout:fixed"><tr>{heads}</tr><tr>{answers}</tr></table>'
    )
    reference = ""
    if item["reference"] is not None:
        reference = f"<details><summary>Show the reference</summary>{text('reference')}</details>"
    return (
        f"<p><b>Pair {number} of {count}</b> ({html.escape(item['task'])})</p>"
        f"<p><b>Instruction</b></p>{text('instruction')}<p><b>Input</b></p>{text('input')}"
        f"{reference}{table}"
    )
