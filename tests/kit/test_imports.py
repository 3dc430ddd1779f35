"""Importing the package stays cheap: nothing heavy is loaded by any of its modules."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import course_utils
from course_utils import kit

# Each of these takes between a tenth of a second and several seconds to import.
HEAVY = [
    *["torch", "transformers", "trl", "peft", "accelerate", "datasets", "evaluate"],
    *["bitsandbytes", "pandas", "numpy", "scipy", "sklearn", "matplotlib", "PIL", "jinja2"],
    *["papermill", "nbformat", "nbclient", "IPython", "ipykernel", "openai", "fastapi"],
]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(course_utils.__path__, "course_utils.")
    if not module.name.endswith("__main__")
]

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


def test_a_module_that_does_is_named(tmp_path):
    (tmp_path / "planted.py").write_text("import json, jinja2\n", encoding="utf-8")
    assert heavy_imports(["planted"], tmp_path) == {"planted": ["jinja2"]}
