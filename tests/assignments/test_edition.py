"""The student edition: no line of a solution is in it, and the hand-outs' commands work in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from course_utils import kit, ownership
from course_utils.assignments import edition
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.errors import CourseError

pytestmark = pytest.mark.skipif(not (kit.ROOT / ".git").exists(), reason="the kit is no clone")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("term") / "student edition"
    return edition.export(folder)


@pytest.fixture
def course(exported, tmp_path):
    """Run `course WORDS` of the edition, in another folder: its exit code and all that it said."""

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(exported.folder), "COLUMNS": "200"}
        command = [sys.executable, "-m", "course_utils", *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


# --- What is in it ------------------------------------------------------------------------------


def test_no_solution_test_or_history_is_in_it(exported):
    names = {path.relative_to(exported.folder).as_posix() for path in exported.folder.rglob("*")}
    parts = {part for name in names for part in name.split("/")}
    assert parts & {"solution", "solutions", "tests", "benchmarks", ".git", ".ci", "runs"} == set()
    assert {f"assignments/{about.folder}/starter" for about in ASSIGNMENTS.values()} <= names
    assert "prepare_records.py" not in parts


def test_every_line_of_a_solution_is_looked_for_and_none_is_there(exported):
    lines = edition.hidden_lines()
    assert len(lines) > 150
    lines = {line: where for line, where in lines.items() if line not in edition.contents().shown}
    texts = {}
    for name in exported.files:
        raw = (exported.folder / name).read_bytes()
        texts[name] = raw.decode("utf-8", errors="replace")
    assert [str(problem) for problem in edition.search(texts, lines)] == []


def test_a_line_that_is_shown_on_purpose_is_shown(exported):
    """A line that nothing shows any more would only blind the search."""
    everything = "\n".join(
        (kit.ROOT / name).read_text("utf-8", errors="ignore") for name in exported.files
    )
    escaped = everything.replace('\\"', '"')
    assert [line for line in edition.contents().shown if line not in escaped] == []


@pytest.mark.parametrize("name", ["docs/words.md", "notebooks/01_data_prep.ipynb", "deploy/x.html"])
def test_a_solution_in_a_page_a_notebook_or_another_file_is_found(name):
    about = ASSIGNMENTS["parameter_lab"]
    path = about.path / "solution" / "parameter_analysis.ipynb"
    source = next(
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if "BEGIN SOLUTION" in "".join(cell["source"])
    )
    answer = re.findall(r"BEGIN SOLUTION -->\n(.*?)\n", source)[0]
    planted = f"# A page\n\n  {answer}\n"
    if name.endswith(".ipynb"):
        output = {"output_type": "stream", "name": "stdout", "text": [f"{answer}\n"]}
        cell = {"cell_type": "code", "source": "", "outputs": [output]}
        planted = json.dumps({"cells": [cell]})
    [problem] = edition.leaks({name: planted, "README.md": "# Nothing\n"})
    assert problem.file == name
    assert problem.line.endswith(("line 3", "line 1"))
    assert problem.cure


def test_a_marker_alone_is_found():
    assert edition.leaks({"x.py": "a = 1\n### BEGIN SOLUTION\n"})


def test_the_edition_says_what_it_is(exported):
    readme = (exported.folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Fine-Tuning Course Kit\n\n> **Student edition**")
    about = json.loads((exported.folder / "edition.json").read_text(encoding="utf-8"))
    assert about["edition"] == "student"
    assert about["revision"].startswith(kit.revision())


def pages(exported):
    """path -> text of every page in it."""
    found = {p: p.read_text(encoding="utf-8") for p in exported.folder.rglob("*.md")}
    assert len(found) >= 10
    return found


def test_links_lead_to_files_of_the_edition(exported):
    for path, text in pages(exported).items():
        for target in (found[2].partition("#")[0] for found in edition.LINK.finditer(text)):
            if target and not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), (path, target)


def test_pages_name_no_target_of_make_that_cannot_work(exported):
    calls = re.compile(rf"^make ({'|'.join(edition.contents().targets)})\b", re.M)
    for path, text in pages(exported).items():
        assert not calls.search(text), path


def test_what_nobody_listed_stays_out(tmp_path):
    made = edition._chosen(tmp_path, ["README.md", "grades/secret", "tests/x.py", "data/a.txt"])
    assert made.files == ["README.md", "data/a.txt"]
    assert (made.left_out, made.unlisted) == (["tests"], ["grades"])


def test_every_name_of_the_kit_is_in_a_list():
    names = {PurePosixPath(name).parts[0] for name in edition.tracked()}
    known = {*edition.contents().takes, *edition.contents().leaves_out}
    assert names - known == set()


# --- Where it goes ------------------------------------------------------------------------------


def test_somebody_elses_folder_is_left(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="no student edition"):
        edition.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_edition_is_replaced_and_what_was_added_to_it_stays(exported):
    folder = exported.folder
    (folder / "tests").mkdir()
    (folder / "tests" / "old.py").write_text("", encoding="utf-8")
    ownership.note_files(folder, [*exported.files, "edition.json", "tests/old.py"])
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    edition.export(folder)
    assert not (folder / "tests").exists()
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    (folder / "notes.txt").unlink()


def test_without_git_nobody_says_what_belongs_to_the_kit(tmp_path, monkeypatch):
    monkeypatch.setattr("course_utils.kit.ROOT", tmp_path)
    with pytest.raises(CourseError, match="no clone"):
        edition.export(tmp_path / "out")


# --- The hand-outs' commands in it --------------------------------------------------------------


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_start_and_check_work_in_it(course, exported, tmp_path, name):
    code, said = course("assignment", "start", name, tmp_path / "mine")
    assert code == 0, said
    hand_out = Path(re.findall(r"Read first: (.*)", said)[0])
    assert hand_out.is_relative_to(exported.folder)
    assert f"revision {kit.revision()}" in (tmp_path / "mine" / "submission.yaml").read_text()
    code, said = course("submit", "check", tmp_path / "mine")
    assert code == 1
    assert "Not complete yet" in said
    assert "began with another starter" not in said


def test_a_release_in_it_says_that_there_is_no_solution(course):
    code, said = course("assignment", "release", "parameter_lab")
    assert code == 1
    assert "assignment.yaml lists it, and it is not there" in said or "nbgrader" in said


def test_make_says_that_an_edition_has_no_tests(exported):
    done = subprocess.run(
        ["make", "test"], cwd=exported.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "this is a student edition" in done.stdout


def test_rubric_check_works_in_it(course):
    assert course("rubric", "check")[0] == 0


SWEEP = """
from course_utils import kit
from course_utils.lab import sweeps
jobs = sweeps.plan([1], ["start"])
sizes = {"train": 8, "val": 2, "test": 2}
out, work = sys.argv[1:]
done = sweeps.run_sweep(jobs, Path(out), Path(work), base_model="nano", sizes=sizes)
print(kit.ROOT, done.made, done.failed)
"""


def test_a_sweep_trains_in_it(exported, tmp_path, prepared, nano_model_path):
    """As `course sweep` does, with fewer records."""
    program = f"import sys\nfrom pathlib import Path\n{SWEEP}"
    environment = {**os.environ, "PYTHONPATH": str(exported.folder)}
    command = [sys.executable, "-c", program, str(tmp_path / "out"), str(tmp_path / "work")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{exported.folder} 1 []"


def test_the_lab_is_drawn_in_it_without_sliders(course, tmp_path):
    code, said = course("lab", "--static", tmp_path / "lab.html")
    assert code == 0, said
    assert (tmp_path / "lab.html").stat().st_size > 100_000
