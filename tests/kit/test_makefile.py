"""`make assignment` and `make week05` fill a folder of their own and no other."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from course_utils.assignments.definition import ASSIGNMENTS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture
def environment(tmp_path):
    """A virtual environment that is up to date and whose programs do nothing."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "course"):
        (folder / "bin" / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    for name in (".installed", ".prepared", ".report", ".serve"):
        (folder / name).touch()
    return folder


def make(environment, target, variable, work):
    words = ["make", target, f"VENV={environment}", f"{variable}={work}"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(("target", "variable"), [("assignment", "WORK"), ("week05", "LAB_WORK")])
def test_a_folder_with_files_of_ones_own_is_left(environment, tmp_path, target, variable):
    work = tmp_path / "work"
    work.mkdir()
    (work / "README.md").write_text("mine", encoding="utf-8")
    done = make(environment, target, variable, work)
    assert f"Error: {work}: it holds files that make did not put there" in done.stdout
    assert f"{variable}=runs/other" in done.stdout
    assert [path.name for path in work.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("target", "variable", "assignment"),
    [("assignment", "WORK", "manufacturing"), ("week05", "LAB_WORK", "parameter_lab")],
)
def test_a_folder_that_make_filled_is_filled_again(
    environment, tmp_path, target, variable, assignment
):
    work = tmp_path / "new" / "work"
    solution = ASSIGNMENTS[assignment].path / "solution" / "README.md"
    for _ in range(2):
        done = make(environment, target, variable, work)
        assert "it holds files" not in done.stdout
        assert (work / "README.md").read_bytes() == solution.read_bytes()
        (work / "README.md").write_text("old", encoding="utf-8")


def test_every_long_test_is_run_by_a_target():
    """`make test` leaves them out, and what no target runs is never run to its end."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    calls = [line for line in text.splitlines() if "-m pytest" in line and '"not long"' not in line]
    named = {word for line in calls for word in re.findall(r"(?<!=)tests/\w+", line)}
    [rest] = [line for line in calls if "-m long" in line]
    assert set(re.findall(r"--ignore=(tests/\w+)", rest)) == named
