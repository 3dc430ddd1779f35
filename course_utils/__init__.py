"""Plumbing for the fine-tuning course: the notebooks import it, and `course` runs it.

Nothing heavy is imported here: torch and transformers load where they are used, so
`import course_utils` stays well under 0.3 s.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

# What notebooks and hand-outs import by its short name, and the room it lives in.
STUDENT_NAMES = {
    "analysis": "lab.analysis",
    "architectures": "lab.architectures",
    "explore": "lab.explore",
    "deployment": "assignments.deployment",
    "geology": "tracks.geology.track",
    "lab_questions": "lab.questions",
    "lab_runs": "lab.runs",
    "learning_curve": "lab.learning_curve",
    "parameters": "lab.parameters",
    "review": "assignments.review",
    "scripts": "assignments.scripts",
    "selection": "assignments.selection",
    "submission": "assignments.week09_10",
    "task_plots": "tracks.manufacturing.plots",
    "writeup": "assignments.writeup",
}


def __getattr__(name: str) -> ModuleType:
    """`from course_utils import explore` finds a module that lives in a room."""
    if name in STUDENT_NAMES:
        return importlib.import_module(f"{__name__}.{STUDENT_NAMES[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
