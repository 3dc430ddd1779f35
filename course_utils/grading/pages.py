"""Pages of the grader: one file each, with everything in it, and everything escaped.

A page loads nothing and sends nothing; its own policy forbids it. Whatever a student wrote goes in
as text: autoescape is on, control characters and direction overrides are replaced.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from course_utils import messages, ownership
from course_utils.files import write_text_atomic
from course_utils.grading.numbers import points_text
from course_utils.report import UNPRINTABLE
from course_utils.templating import environment

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")


@cache
def _environment() -> "Environment":
    from markupsafe import Markup

    html = environment(TEMPLATES)
    html.filters |= {"points": points_text, "address": quote, "digits": digits}
    html.globals |= {"maker": ownership.MAKER, "explained": _explained(Markup)}
    return html


def _explained(markup: type) -> Any:
    """`explained(id)`: what `course explain ID` prints, as HTML."""
    fragment = cache(messages.fragment)
    # Without its id: a message may stand under several items of one page.
    return lambda name: markup(fragment(name).replace(f' id="{name}"', ""))


def digits(value: float | None, count: int = 3) -> str:
    """A figure with so many significant digits; an en dash for none."""
    return "–" if value is None else f"{value:.{count}g}"


def render(template: str, **view: Any) -> str:
    """A template of this room, filled."""
    html = _environment().get_template(f"{template}.html.jinja").render(view)
    return UNPRINTABLE.sub("\ufffd", html)


def write_page(path: Path, template: str, **view: Any) -> Path:
    """Write a page whole or not at all. Raises CourseError for a file that the kit did not make."""
    return write_text_atomic(ownership.check_file(path), render(template, **view))
