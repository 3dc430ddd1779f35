"""One source, two versions: the committed starter is the solution's, and it is the student's."""

import re
import shutil
import subprocess

import pytest

from course_utils import kit, ownership
from course_utils.assignments import handout, regions, release, submitted
from course_utils.assignments.checkers import checker_of
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.errors import CourseError

PLACEHOLDERS = {".py": "raise NotImplementedError()", ".md": "YOUR ANSWER HERE"}
PLACEHOLDERS |= {".yaml": "YOUR VALUES HERE", ".ipynb": "YOUR ANSWER HERE"}
WRITTEN = [(name, file) for name, about in ASSIGNMENTS.items() for file in about.solution.regions]


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module", params=ASSIGNMENTS)
def source(request, tmp_path_factory):
    """(the name of an assignment, its solution without what a run may have left in it)."""
    folder = tmp_path_factory.mktemp("handout") / "solution"
    own = ASSIGNMENTS[request.param].path / "solution"
    shutil.copytree(own, folder, ignore=shutil.ignore_patterns("__pycache__", "run"))
    return request.param, folder


def test_the_committed_starter_is_what_the_solution_gives(source, tmp_path):
    name, solution = source
    release.make_starter(solution, tmp_path / "starter", name)
    made, committed = files(tmp_path / "starter"), files(ASSIGNMENTS[name].path / "starter")
    made.pop(ownership.MARK), committed.pop(ownership.MARK)
    assert made.keys() == committed.keys()
    changed = [file for file in made if made[file] != committed[file]]
    assert not changed, f"run: course assignment release {name}"


@pytest.mark.parametrize(("name", "file"), WRITTEN, ids=[file for _, file in WRITTEN])
def test_no_line_of_a_solution_is_in_the_starter(name, file):
    about = ASSIGNMENTS[name]
    lines = release.solution_lines(about.path / "solution", about.solution)
    text = (about.path / "starter" / file).read_text(encoding="utf-8")
    given = {line.strip() for _, line in regions.source_lines(file, text)}
    assert len(lines) > 50
    assert given & lines.keys() == set()
    assert "SOLUTION" not in text


@pytest.mark.parametrize(("name", "file"), WRITTEN, ids=[file for _, file in WRITTEN])
def test_the_starter_says_where_the_student_writes(name, file):
    path = ASSIGNMENTS[name].path / "starter" / file
    text = path.read_text(encoding="utf-8")
    assert PLACEHOLDERS[path.suffix] in text
    if path.suffix == ".py":
        compile(text, file, "exec")


def test_the_starter_fails_its_check_and_hears_what_is_missing(tmp_path):
    folder = handout.start("manufacturing", tmp_path / "mine")
    report = checker_of("manufacturing").check_submission(folder)
    assert not report.ok
    said = "\n".join(report.lines())
    scripts = [file for file in ASSIGNMENTS["manufacturing"].solution.regions if ".py" in file]
    for file in (*scripts, "lora_config.yaml", "adapter_model.safetensors", "train.jsonl"):
        assert file in said
    wrong = {finding.path for finding in report.findings if finding.state == "wrong"}
    assert set(scripts) <= wrong


def test_a_release_replaces_its_own_files_and_leaves_all_others(source, tmp_path):
    name, solution = source
    target = tmp_path / "starter"
    release.make_starter(solution, target, name)
    (target / "notes.txt").write_text("mine", encoding="utf-8")
    (target / "old.py").write_text("x = 1", encoding="utf-8")
    ownership.note_files(target, ["old.py"])  # as an earlier release would have
    release.make_starter(solution, target, name)
    assert not (target / "old.py").exists()
    assert (target / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_release_into_somebody_elses_folder_is_refused(source, tmp_path):
    name, solution = source
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="did not make"):
        release.make_starter(solution, tmp_path, name)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


def test_a_starter_of_an_old_name_is_made_anew(source, tmp_path):
    name, solution = source
    ownership.claim(tmp_path / "starter", of=f"starter of {ASSIGNMENTS[name].aliases[0]}")
    assert release.make_starter(solution, tmp_path / "starter", name)


# --- What a student gets ------------------------------------------------------------------------


def test_a_students_copy_is_the_students_and_carries_no_mark(tmp_path):
    folder = handout.start("week05", tmp_path / "mine")
    assert not (folder / ownership.MARK).exists()


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_a_copy_says_which_assignment_kit_and_starter_it_began_with(name, tmp_path):
    folder = handout.start(ASSIGNMENTS[name].aliases[0], tmp_path / "mine")
    said = (folder / submitted.FILE).read_text(encoding="utf-8")
    assert f'assignment: "{name}"' in said
    assert f'kit: "{kit.version()}"' in said
    [starter] = re.findall(r'^starter: "([0-9a-f]{12})"$', said, re.M)
    assert starter == submitted.fingerprint(ASSIGNMENTS[name].path / "starter", ASSIGNMENTS[name])


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_a_hand_out_points_at_no_solution(name):
    assert "solution/" not in (ASSIGNMENTS[name].path / "README.md").read_text(encoding="utf-8")


def test_another_starter_has_another_fingerprint(tmp_path):
    about, starter = ASSIGNMENTS["manufacturing"], tmp_path / "starter"
    shutil.copytree(about.path / "starter", starter)
    before = submitted.fingerprint(starter, about)
    (starter / ownership.MARK).unlink()
    for left in (".DS_Store", ".ipynb_checkpoints/a.ipynb", "scripts/__pycache__/a.pyc"):
        (starter / left).parent.mkdir(exist_ok=True)
        (starter / left).write_text("left by a program", encoding="utf-8")
    assert submitted.fingerprint(starter, about) == before
    for own in ("scripts/train.py", ".gitignore"):
        (starter / own).write_text("", encoding="utf-8")
        found = submitted.fingerprint(starter, about)
        assert found != before
        before = found


def test_what_programs_left_beside_a_starter_is_not_handed_out(tmp_path, monkeypatch):
    about = ASSIGNMENTS["manufacturing"]
    starter = tmp_path / about.folder / "starter"
    shutil.copytree(about.path / "starter", starter)
    for left in (".DS_Store", ".ipynb_checkpoints/a.ipynb", "scripts/__pycache__/a.pyc"):
        (starter / left).parent.mkdir(exist_ok=True)
        (starter / left).write_text("left by a program", encoding="utf-8")
    monkeypatch.setattr(kit, "ASSIGNMENTS", tmp_path)
    names = files(handout.start("manufacturing", tmp_path / "mine"))
    assert {"scripts/train.py", ".gitignore"} <= names.keys()
    assert not [name for name in names if "left by a program" in names[name].decode()]


def test_git_keeps_what_quotes_work_orders_out_of_a_public_repository(tmp_path):
    folder = handout.start("manufacturing", tmp_path / "mine")
    quoting = ["data/train.jsonl", "run/evaluation.json", "reports/evaluation_results.md"]
    quoting += ["run/bonus_qlora/lora/run/evaluation.json", "reports/human_review/review.html"]
    others = ["README.md", "finetuning_pipeline.ipynb", "run/training.json", "data/.gitkeep"]
    others += ["reports/comparison_baseline.md", "reports/human_review/human_review.md"]
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    done = subprocess.run(
        [*git, "check-ignore", *quoting, *others], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == quoting


def test_start_never_writes_into_a_folder_with_files(tmp_path):
    (tmp_path / "work.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="already there"):
        handout.start("manufacturing", tmp_path)
    assert files(tmp_path) == {"work.txt": b"mine"}


def test_an_unknown_assignment_names_the_known_ones(tmp_path):
    with pytest.raises(CourseError, match="week11") as caught:
        handout.start("week11", tmp_path / "x")
    assert "manufacturing (week09_10)" in caught.value.cure
