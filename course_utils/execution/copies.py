"""The executed copy of a notebook, as others may read it: without paths of this machine.

papermill notes where the notebook lay, the injected parameters name the run folder, and cells print
paths. All of it becomes relative to the folder that the notebook ran in. What the cells themselves
say stays: it is their author's.
"""

import json
from pathlib import Path
from typing import Any

from course_utils import kit, privacy
from course_utils.execution.structure import INJECTED
from course_utils.files import write_text_atomic

HALVES = ("utf-8", "surrogatepass")  # a cell may print half a character


def without_paths(copy: Path, cwd: Path) -> None:
    """Clean an executed copy in place; one that can't be read (a worker died) stays as it is."""
    scrubber = privacy.Scrubber(privacy.relative_to(cwd, kit.ROOT))

    def clean(value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False)
        return json.loads(scrubber.clean("part.ipynb", text.encode(*HALVES)).decode(*HALVES))

    try:
        notebook = json.loads(copy.read_text(encoding="utf-8"))
        notebook["metadata"] = clean(notebook["metadata"])
        for cell in notebook["cells"]:
            if INJECTED in cell["metadata"].get("tags", []):
                cell["source"] = clean(cell["source"])
            if cell.get("outputs"):
                cell["outputs"] = clean(cell["outputs"])
        text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    if scrubber.found.total():
        write_text_atomic(copy, text)
