"""Which packages a submission's code imports, read from the code; nothing is run.

imported(folder, "scripts/train.py")    # {"torch", "trl"}: names on the package index
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from course_utils import kit
from course_utils.assignments import setup_cell
from course_utils.assignments.folder import Folder, json_object
from course_utils.environment import canonical, read_requirements

NOTEBOOKS = ("finetuning_pipeline.ipynb", "parameter_analysis.ipynb")
# Modules that have another name than their package, beside those that are installed here.
PACKAGES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "google": "google-colab",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
NO_PACKAGE = {"google", "course_utils"}  # Colab's own, and the kit
IMPORT = re.compile(r"^[^\S\n]*(?:import|from)[^\S\n]+(\w+)", re.M)
MAGIC = re.compile(r"^[^\S\n]*[%!?].*$", re.M)  # lines of a notebook that are no Python


def named(requirements: Path) -> set[str]:
    """The packages that a requirements file names. Raises CourseError with the line."""
    return set(read_requirements(requirements))


@cache
def of_the_kit() -> frozenset[str]:
    """What a student has who installed the kit."""
    return frozenset({*read_requirements(kit.ROOT / "requirements.txt"), setup_cell.PACKAGE})


def code_files(folder: Folder) -> list[str]:
    """The scripts and the notebook, as far as they are small enough to be read."""
    names = (
        name
        for name in sorted(folder.files)
        if (name.startswith("scripts/") and name.endswith(".py")) or name in NOTEBOOKS
    )
    return [name for name in names if not folder.size_problem(name)]


def imported(folder: Folder, name: str) -> set[str]:
    """The packages that a script or a notebook imports, but Python's and the student's own."""
    own = {PurePosixPath(other).stem for other in folder.files if other.endswith(".py")}
    own |= {part for other in folder.files for part in PurePosixPath(other).parts[:-1]}
    modules = {module for source in _sources(folder, name) for module in _modules(source)}
    strange = modules - sys.stdlib_module_names - own - NO_PACKAGE
    return {_package(module) for module in strange}


def _sources(folder: Folder, name: str) -> Iterator[str]:
    text = folder.text(name)
    if not name.endswith(".ipynb"):
        yield text
        return
    for cell in json_object(folder.json(name))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.lstrip().startswith("%%"):
            yield MAGIC.sub("", source)


def _modules(source: str) -> Iterator[str]:
    """First names of the modules that a program imports by a statement, wherever it stands."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # its lines are still to be read
        yield from IMPORT.findall(source)
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _package(module: str) -> str:
    owners = _owners().get(module)
    return canonical(PACKAGES.get(module) or (owners[0] if owners else module))


@cache
def _owners() -> dict[str, list[str]]:
    return {module: list(owners) for module, owners in metadata.packages_distributions().items()}
