"""The solutions to the notebooks' exercises as modules; where a notebook waits for an answer."""

import importlib
import importlib.util
import re
import sys
from functools import cache
from types import ModuleType

from course_utils import kit

FOLDER = kit.NOTEBOOKS / "solutions"
OPEN = re.compile(r"^(my_\w+) = None", re.MULTILINE)

sys.path.insert(0, str(FOLDER))  # as Python does where a student runs one of them
solving = importlib.import_module("solving")


@cache
def solution(name: str) -> ModuleType:
    """The module of the solutions to this notebook."""
    spec = importlib.util.spec_from_file_location(f"solution_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
