"""Importing the package stays cheap: nothing heavy is loaded by any of its modules."""

import ast
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import course_utils
from course_utils import kit

# Each of these takes between a tenth of a second and several seconds to import.
HEAVY = [
    *["torch", "transformers", "trl", "peft", "accelerate", "datasets", "evaluate"],
    *["bitsandbytes", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "jinja2"],
    *["papermill", "nbformat", "nbclient", "IPython", "ipykernel", "openai", "fastapi"],
    *["dask", "distributed", "openpyxl"],
]
ALL = [
    module.name
    for module in pkgutil.walk_packages(course_utils.__path__, "course_utils.")
    if not module.name.endswith("__main__")
]
# The web application: its functions are written in FastAPI's types. Only `course serve` and
# `course export` import that room, when they run.
ENDPOINT = [name for name in ALL if name.startswith("course_utils.endpoint")]
MODULES = [name for name in ALL if name not in ENDPOINT]

# In one fresh process: after each import, which heavy modules are new?
PROBE = """
import importlib, json, sys
modules, heavy = json.loads(sys.argv[1])
sys.path[:0] = json.loads(sys.argv[2])
found, seen = {}, set(sys.modules)
for name in modules:
    importlib.import_module(name)
    new = sorted((set(sys.modules) - seen) & set(heavy))
    found |= {name: new} if new else {}
    seen |= set(sys.modules)
print(json.dumps(found))
"""


def heavy_imports(modules: list[str], path: Path | None = None) -> dict[str, list[str]]:
    """Module -> heavy modules that came with it, for a list of modules imported in turn."""
    paths = json.dumps([str(path)] if path else [])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([modules, HEAVY]), paths],
        cwd=kit.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_module_imports_anything_heavy():
    assert "course_utils.commands.main" in MODULES
    assert heavy_imports(["course_utils", *MODULES]) == {}


def test_the_endpoint_imports_its_web_framework_and_nothing_else_heavy():
    pytest.importorskip("fastapi_offline", reason="pip install -r requirements-serve.txt")
    found = heavy_imports(ENDPOINT)
    assert {name for names in found.values() for name in names} == {"fastapi"}


def test_a_module_that_does_is_named(tmp_path):
    (tmp_path / "planted.py").write_text("import json, jinja2\n", encoding="utf-8")
    assert heavy_imports(["planted"], tmp_path) == {"planted": ["jinja2"]}


FEW = 20


def late_imports(source: str) -> list[ast.stmt]:
    """Imports of our own modules that stand inside a function."""
    return [
        node
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and "course_utils" in ast.unparse(node)
    ]


def test_our_own_modules_are_imported_at_the_top_or_the_line_says_why():
    found = []
    for path in sorted((kit.ROOT / "course_utils").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in late_imports(source):
            near = lines[max(node.lineno - 4, 0) : node.lineno]
            found.append((path, node.lineno, any("late" in line.lower() for line in near)))
    assert len(found) < FEW, found
    assert all(reason for *_, reason in found), found


def test_a_late_import_is_seen():
    source = "import os\n\ndef f():\n    from course_utils import models\n    return models\n"
    assert [node.lineno for node in late_imports(source)] == [4]


def test_the_house_is_kept():
    """The layer contract of pyproject.toml: imports downwards only, no circle."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=kit.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_longer_than_700_lines():
    folders = ["course_utils", "assignments", "benchmarks", "tests"]
    sizes = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in (kit.ROOT / folder).rglob("*.py")
    }
    assert {path: lines for path, lines in sizes.items() if lines > 700} == {}


def test_what_hand_outs_import_keeps_its_short_name():
    for name in course_utils.STUDENT_NAMES:
        assert getattr(course_utils, name).__name__.startswith("course_utils.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        course_utils.nothing  # noqa: B018
