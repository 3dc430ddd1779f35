"""The week-5 report as one HTML page that asks nothing of the network, and as Markdown.

Both escape everything that comes from a run; Markdown's pictures lie in a folder beside the file.
"""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from course_utils import drawing
from course_utils.files import atomic_path, write_text_atomic
from course_utils.reports import content as lab_report
from course_utils.templating import environment

HTML, MARKDOWN = "report.html.jinja", "report.md.jinja"
# What Markdown or GitHub's formulas read as more than a sign: anywhere, around words, at a line's
# beginning. The rest stays as it is, so that the file can be read and edited.
ANYWHERE = re.compile(r"([\\`*\[\]|$~])")
UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
TEMPLATES = Path(__file__).with_name("templates")
AT_START = re.compile(r"^([#+\-=>]|\d+(?=[.)](?:\s|$)))")


class Raw(str):
    """Text that the Markdown template made itself, or that was escaped before."""


def write_html(report: Mapping[str, Any], out: Path) -> Path:
    """One self-contained file, whole or not at all."""
    view = _view(report, lambda name, png: data_uri(png))
    return write_text_atomic(out, environment(TEMPLATES).get_template(HTML).render(view))


def write_markdown(report: Mapping[str, Any], out: Path) -> Path:
    """The Markdown file, whole or not at all; its pictures are written before it."""
    folder = out.with_name(f"{out.stem}_pictures")

    def keep(name: str, png: bytes) -> str:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(png)
        return Raw(re.sub(r"[^\w./-]", _percent, f"{folder.name}/{name}"))

    markdown = environment(
        TEMPLATES, html=False, finalize=lambda v: v if isinstance(v, Raw) else escape_markdown(v)
    )
    markdown.filters |= {"fenced": fenced, "cell": table_cell, "lines": quoted}
    text = markdown.get_template(MARKDOWN).render(_view(report, keep))
    return write_text_atomic(out, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8"))


def _view(report: Mapping[str, Any], place: Callable[[str, bytes], str]) -> dict[str, Any]:
    """The report with pictures where the page finds them, and the curves drawn."""
    sections = [
        {**part, "figure": place(f"{part['name']}.png", part["figure"]) if part["figure"] else None}
        for part in report["parameters"]
    ]
    curves = []
    for number, group in enumerate(lab_report.curve_groups(report["curves"]), 1):
        figure = lab_report.plot_curves(group)
        picture = place(f"curves_{number}.png", drawing.to_png(figure, 130))
        curves.append({"src": picture, "alt": drawing.figure_title(figure)})
    return {**report, "parameters": sections, "curves": curves}


# ---------------------------------------------------------------- Markdown


def escape_markdown(value: Any) -> Raw:
    """Text on one line that Markdown shows letter by letter."""
    text = " ".join(str(value).split())
    text = re.sub(r"&(?=#|\w)", "&amp;", text).replace("<", "&lt;")
    text = UNDERSCORE.sub(r"\\_", ANYWHERE.sub(r"\\\1", text))
    return Raw(AT_START.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", text))


def table_cell(value: Any) -> Raw:
    """Text for a cell of a table: its lines are kept."""
    return Raw("<br>".join(map(escape_markdown, str(value).split("\n"))))


def quoted(value: Any) -> Raw:
    """Text of several lines as a quotation, each line on its own."""
    lines = [escape_markdown(line) for line in str(value).split("\n")]
    return Raw(
        "\n".join(f"> {line}\\" if line else ">" for line in lines[:-1]) + f"\n> {lines[-1]}"
    )


def fenced(value: Any) -> Raw:
    """Text as a code block; the fence is longer than any within the text."""
    longest = max((len(run) for run in re.findall(r"`+", str(value))), default=0)
    fence = "`" * max(3, longest + 1)
    return Raw(f"{fence}\n{value}\n{fence}")
