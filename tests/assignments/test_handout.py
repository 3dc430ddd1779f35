"""One source, two versions: the starter is made from the solution and gives nothing away."""

import json
import re
import shutil
from pathlib import Path

import pytest

from course_utils import ownership
from course_utils.assignments import handout
from course_utils.assignments.week09_10 import check_submission
from course_utils.errors import CourseError

ASSIGNMENT = Path(__file__).parents[2] / "assignments" / "week09_10_manufacturing"
SOLUTION, STARTER = ASSIGNMENT / "solution", ASSIGNMENT / "starter"
SCRIPTS = ("prepare_data.py", "train.py", "evaluate.py", "serve.py")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The solution without what a run may have left in it."""
    folder = tmp_path_factory.mktemp("handout") / "solution"
    shutil.copytree(SOLUTION, folder, ignore=shutil.ignore_patterns("__pycache__", *["run"]))
    return folder


def test_the_committed_starter_is_what_the_solution_gives(source, tmp_path):
    handout.make_starter(source, tmp_path / "starter")
    made, committed = files(tmp_path / "starter"), files(STARTER)
    assert made.keys() == committed.keys()
    changed = [name for name in made if made[name] != committed[name]]
    assert not changed, "run: course assignment release"


def solution_lines(text: str) -> set[str]:
    regions = re.findall(r"BEGIN SOLUTION[^\n]*\n(.*?)\n[^\n]*END SOLUTION", text, re.DOTALL)
    return {line.strip() for region in regions for line in region.splitlines() if len(line) > 30}


@pytest.mark.parametrize(
    "name",
    [
        *(f"scripts/{name}" for name in SCRIPTS),
        *("README.md", "configs/lora_config.yaml", "configs/new_samples.yaml"),
    ],
)
def test_no_line_of_a_solution_is_in_the_starter(name):
    lines = solution_lines((SOLUTION / name).read_text(encoding="utf-8"))
    text = (STARTER / name).read_text(encoding="utf-8")
    assert lines
    assert not [line for line in lines if line in text]
    assert "SOLUTION" not in text


def test_no_line_of_a_solution_is_in_the_starters_notebook():
    cells = json.loads((SOLUTION / "finetuning_pipeline.ipynb").read_text(encoding="utf-8"))
    sources = "\n".join("".join(cell["source"]) for cell in cells["cells"])
    text = (STARTER / "finetuning_pipeline.ipynb").read_text(encoding="utf-8")
    lines = solution_lines(sources)
    assert len(lines) >= 5
    assert not [line for line in lines if json.dumps(line)[1:-1] in text]
    assert text.count("YOUR ANSWER HERE") == 6


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_starters_scripts_are_python_and_stop_where_the_student_writes(name):
    text = (STARTER / "scripts" / name).read_text(encoding="utf-8")
    compile(text, name, "exec")
    assert "raise NotImplementedError()" in text


def test_the_starter_fails_its_check_and_hears_what_is_missing(tmp_path):
    folder = handout.start("week09_10", tmp_path / "mine")
    report = check_submission(folder)
    assert not report.ok
    said = "\n".join(report.lines())
    for name in (*SCRIPTS, "lora_config.yaml", "adapter_model.safetensors", "train.jsonl"):
        assert name in said
    wrong = {finding.path for finding in report.findings if finding.state == "wrong"}
    assert {f"scripts/{name}" for name in SCRIPTS} <= wrong


def test_a_release_replaces_its_own_files_and_leaves_all_others(source, tmp_path):
    target = tmp_path / "starter"
    handout.make_starter(source, target)
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    (source / "scripts" / "further.py").write_text("x = 1\n", encoding="utf-8")
    handout.make_starter(source, target)
    (source / "scripts" / "further.py").unlink()
    assert (target / "scripts" / "further.py").is_file()
    handout.make_starter(source, target)
    assert not (target / "scripts" / "further.py").exists()
    assert (target / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_release_into_somebody_elses_folder_is_refused(source, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="did not make"):
        handout.make_starter(source, tmp_path)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


def test_a_students_copy_is_the_students_and_carries_no_mark(tmp_path):
    folder = handout.start("week05", tmp_path / "mine")
    assert not (folder / ownership.MARK).exists()


def test_start_never_writes_into_a_folder_with_files(tmp_path):
    (tmp_path / "work.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="already there"):
        handout.start("week09_10", tmp_path)
    assert files(tmp_path) == {"work.txt": b"mine"}


def test_an_unknown_assignment_names_the_known_ones(tmp_path):
    with pytest.raises(CourseError, match="week11") as caught:
        handout.start("week11", tmp_path / "x")
    assert "week09_10" in caught.value.cure


def test_a_solution_without_regions_is_never_released(tmp_path):
    (tmp_path / "solution").mkdir()
    (tmp_path / "solution" / "train.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(CourseError, match="no file holds"):
        handout.make_starter(tmp_path / "solution", tmp_path / "starter")
    assert not (tmp_path / "starter").exists()


def test_a_region_without_its_end_is_never_released(tmp_path):
    (tmp_path / "solution").mkdir()
    path = tmp_path / "solution" / "train.py"
    path.write_text("### BEGIN SOLUTION\nx = 1\n", encoding="utf-8")
    with pytest.raises(CourseError, match=r"train\.py"):
        handout.make_starter(tmp_path / "solution", tmp_path / "starter")
