"""The lab where nothing can be moved: executed with pictures, and as one page without code.

page_of(execute(notebook, Path("runs/lab/static")))     # course lab --static lab.html
"""

import html
import re
from pathlib import Path
from typing import Any

from course_utils.errors import CourseError
from course_utils.execution.display import failure_lines
from course_utils.execution.runner import execute_notebooks

# Tags of cells that mean nothing where no code is seen, or where nothing can be moved.
ONLY_WITH_CODE, ONLY_WITH_SLIDERS = "only-with-code", "only-with-sliders"
# Jupyter's own style breaks what a cell printed in the middle of a word.
WHOLE_WORDS = (
    "<style>body .jp-OutputArea-output pre "
    "{word-break: normal; overflow-wrap: anywhere}</style></head>"
)


def execute(source: Path, folder: Path) -> Path:
    """The executed copy of the notebook in `folder`; CourseError when a cell fails."""
    values = {"static": True}
    options = {"resume": False, "stop_on_failure": True, "cwd": Path.cwd()}
    result = execute_notebooks([source], folder, values, {}, None, **options)[0]
    if result.status != "done":
        raise CourseError("; ".join(failure_lines(result)), f"read {result.log}")
    return result.executed


def page_of(executed: Path) -> str:
    """An executed notebook as one HTML page without code; it asks no other server for anything."""
    import nbformat
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.TagRemovePreprocessor.remove_cell_tags = {ONLY_WITH_CODE, ONLY_WITH_SLIDERS}
    exporter = HTMLExporter(config=config, exclude_input=True, exclude_input_prompt=True)
    exporter.exclude_output_prompt = True
    exporter.require_js_url = exporter.mathjax_url = exporter.jquery_url = ""
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            put_alt(output)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": executed.stem}})
    page = page.replace("</head>", WHOLE_WORDS, 1)
    page = page.replace(' tabindex="0"', "")  # nbconvert stops the tabulator at every output
    # A badge lies on another server: its words do as well.
    return re.sub(r'<img[^>]*alt="([^"]*)"[^>]*src="https?:[^>]*>', r"\1", page)


def put_alt(output: Any) -> None:
    """A picture becomes HTML with its alternative text, which page templates leave out."""
    alt = output.get("metadata", {}).get("image/png", {}).get("alt")
    png = output.get("data", {}).get("image/png")
    if alt and png:
        source = f"data:image/png;base64,{''.join(png.split())}"
        output.data = {"text/html": f'<img alt="{html.escape(alt)}" src="{source}">'}
