"""What is wrong with a call is told before torch is imported, and the imports say nothing.

Importing torch, transformers, peft and trl may take half a minute on a slow disk. A student who
mistyped a file's name should not wait for it, nor read what bitsandbytes says on the way.
"""

import os
import subprocess
import sys

import pytest

from course_utils import kit
from course_utils.records import write_records

HEAVY = ("torch", "transformers", "datasets", "peft", "trl", "bitsandbytes", "pandas", "sklearn")
RUN = f"""
import os, runpy, sys
sys.argv = sys.argv[1:]
try:
    if sys.argv[0].endswith(".py"):
        sys.path.insert(0, os.path.dirname(sys.argv[0]))  # as Python does with a script
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__")
finally:
    print("imported:", *[name for name in {HEAVY} if name in sys.modules])
"""
WEEK05 = kit.ROOT / "assignments/week05_parameter_lab"
WEEKS9 = kit.ROOT / "assignments/week09_10_manufacturing"
SCRIPTS = sorted(
    path for part in ("starter", "solution", "bonuses") for path in
    kit.ROOT.glob(f"assignments/*/{part}/**/*.py")
)  # fmt: skip


def call(script, *words, cwd):
    """(what a script or module said, which heavy packages it had imported at its end)."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(script), *map(str, words)],
        capture_output=True, text=True, cwd=cwd, timeout=300, check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    said, _, imported = done.stdout.rpartition("imported:")
    return said + done.stderr, imported.split()


@pytest.fixture
def folder(tmp_path):
    """A submission of weeks 9-10 with data and a configuration, without an adapter."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "lora_config.yaml").write_text("r: 8\n", encoding="utf-8")
    row = {"instruction": "Sort it.", "input": "pump leaks", "output": "leak"}
    for part in ("train", "val", "test"):
        write_records(tmp_path / "data" / f"{part}.jsonl", [row])
    question = {"instruction": "Which?", "context": "", "expected": "Kaolinite.", "answer": ""}
    write_records(tmp_path / "questions.jsonl", [question])
    (tmp_path / "empty.jsonl").touch()
    return tmp_path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(WEEK05.parent)))
def test_help_is_there_before_anything_heavy_is_imported(script, tmp_path):
    said, imported = call(script, "--help", cwd=tmp_path)
    assert "usage:" in said
    assert imported == []


CALLS = [
    ("week05", "train_lora.py", ["--data", "x.jsonl"], "x.jsonl: there is no such file"),
    ("week05", "train_lora.py", ["--data", "empty.jsonl"], "empty.jsonl: the file is empty"),
    ("week05", "train_lora.py", ["--data", "data"], "data: this is a folder"),
    (
        "week05", "train_lora.py", ["--data", "data/train.jsonl", "--eval_data", "v.jsonl"],
        "v.jsonl: there is no such file",
    ),
    ("week05", "inference_lora.py", ["--questions", "x.jsonl"], "x.jsonl: there is no such file"),
    (
        "week05", "inference_lora.py", ["--questions", "questions.jsonl"],
        "adapter: there is no adapter_model.safetensors",
    ),
    ("week09_10", "scripts/prepare_data.py", ["--set", "records=x.jsonl"], "no such file"),
    ("week09_10", "scripts/train.py", ["--data", "none"], "train.jsonl: there is no such file"),
    ("week09_10", "scripts/evaluate.py", ["--data", "none"], "train.jsonl: there is no such file"),
    ("week09_10", "scripts/evaluate.py", [], "there is no adapter_model.safetensors"),
    ("week09_10", "scripts/serve.py", [], "there is no adapter_model.safetensors"),
    ("week09_10", "scripts/serve.py", ["--measure"], "there is no adapter_model.safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(("assignment", "script", "words", "told"), CALLS)
def test_a_missing_file_is_told_before_anything_heavy_is_imported(
    folder, assignment, script, words, told
):
    if assignment == "week09_10":
        words = ["--folder", folder, *words]
    place = {"week05": WEEK05, "week09_10": WEEKS9}[assignment]
    said, imported = call(place / "starter" / script, *words, cwd=folder)
    lines = said.strip().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Error", "Cure"]
    assert told in lines[0]
    assert imported == []


def test_the_imports_themselves_say_nothing(tmp_path):
    """bitsandbytes looks for a kernel when it is imported, and tells on stderr that it has none."""
    script = tmp_path / "script.py"
    script.write_text(
        "from course_utils import scripts\n"
        "with scripts.command_line():\n"
        "    import bitsandbytes, peft, trl\n",
        encoding="utf-8",
    )
    said, imported = call(script, cwd=tmp_path)
    assert "bitsandbytes" in imported
    assert said.strip() == ""


COURSE = [
    ["run", "none.ipynb"],
    ["run", "--data", "none"],
    ["run", "-p", "lorar", "8"],
    ["run", "--preset", "huge"],
    ["data", "check", "none.jsonl"],
    ["data", "split", "none.jsonl", "--out", "parts"],
    ["data", "convert", "none.jsonl", "--to", "geology", "--out", "other.jsonl"],
    ["data", "self-check", "none"],
    ["submit", "check", "none"],
    ["submit", "pack", "none"],
    ["compare-models", "none"],
    ["review", "make", "none"],
    ["review", "import", "none", "answers.json"],
    ["report", "none"],
    ["grade", "none", "--assignment", "manufacturing"],
    ["serve", "none"],
    ["export", "none", "--merged"],
    ["site", "none"],
    ["sweep", "--only", "none"],
    ["curve", "--sizes", "many"],
    ["model", "prepare", "none"],
    ["assignment", "start", "none", "folder"],
    ["explain", "none"],
]


@pytest.mark.parametrize("words", COURSE, ids=" ".join)
def test_course_tells_what_is_not_there_before_torch_is_imported(words, tmp_path):
    said, imported = call("course_utils", *words, cwd=tmp_path)
    assert "none" in said or "lorar" in said or "huge" in said or "many" in said
    assert "Traceback" not in said
    assert set(imported) <= {"pandas"}


def test_a_folder_that_holds_a_run_is_told_before_torch_is_imported(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "settings.json").write_text("{}", encoding="utf-8")
    said, imported = call("course_utils", "run", "--preset", "quick", "--out", "old", cwd=tmp_path)
    assert "already holds a run" in said
    assert imported == []


@pytest.mark.parametrize(
    "script", sorted(kit.NOTEBOOKS.glob("solutions/0*.py")), ids=lambda p: p.stem
)
def test_a_solution_tells_of_a_missing_run_before_torch_is_imported(script, tmp_path):
    said, imported = call(script, "none", cwd=tmp_path)
    assert [line.partition(":")[0] for line in said.strip().splitlines()] == ["Error", "Cure"]
    assert imported == []
