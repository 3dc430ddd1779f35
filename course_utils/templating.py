"""Templates of pages and cards, read by Jinja from a room's own `templates` folder.

    environment(Path(__file__).with_name("templates")).get_template("report.html.jinja")

A name that a template asks for and nobody gave is an error, not an empty place.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(folder: Path, html: bool = True, **options: Any) -> "Environment":
    """Jinja's environment for a folder; `html`: what is filled in is escaped.

    `options` replace single settings of Jinja's, such as `keep_trailing_newline`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    settings = {"trim_blocks": True, "lstrip_blocks": True, **options}
    return Environment(
        loader=FileSystemLoader(folder), autoescape=html, undefined=StrictUndefined, **settings
    )
