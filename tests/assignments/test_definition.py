"""assignment.yaml: found by id and old names; what it cannot hold is named with its place."""

import os
import shutil
import subprocess
import sys

import pytest
import yaml

from course_utils import kit
from course_utils.assignments import definition
from course_utils.assignments.checkers import CHECKERS, checker_of
from course_utils.assignments.definition import ASSIGNMENTS, Assignments, find
from course_utils.assignments.handout import recognise
from course_utils.assignments.rubric import load_rubric
from course_utils.errors import CourseError


@pytest.fixture
def kit_folder(tmp_path):
    """A folder of assignments, and how to put one into it."""

    def put(folder, **changes):
        own = ASSIGNMENTS["manufacturing"].path / definition.FILE
        content = yaml.safe_load(own.read_text(encoding="utf-8")) | changes
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / definition.FILE
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return tmp_path

    return put


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_every_old_name_and_the_folder_find_the_assignment(name):
    for other in (name, *ASSIGNMENTS[name].aliases, ASSIGNMENTS[name].folder):
        assert find(other).id == name


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_an_id_and_a_title_say_no_week_in_code(name):
    about = ASSIGNMENTS[name]
    assert "week" not in about.id
    assert checker_of(name) is CHECKERS[about.checker]
    assert set(about.titles) == {
        0,
        *(p.part for p in load_rubric(about.path / "rubric.yaml").parts),
    }


def test_a_class_reads_the_rubric_for_its_titles_once(monkeypatch):
    about = find("week05").model_copy()
    assert about.titles[0] == "The folder"
    monkeypatch.setattr(definition, "load_rubric", None)  # a second reading would fail
    assert about.titles[0] == "The folder"


def test_every_folder_of_the_kit_has_its_assignment():
    folders = {path.name for path in kit.ASSIGNMENTS.iterdir() if (path / "rubric.yaml").is_file()}
    assert {about.folder for about in ASSIGNMENTS.values()} == folders


def test_a_third_assignment_is_a_folder_and_no_code(kit_folder):
    kit_folder("week03_ores", id="ores", aliases=["week03"], title="Week 3: ores")
    found = Assignments(kit_folder("another", id="another", aliases=[]))
    assert list(found) == ["another", "ores"]
    assert found["week03"].title == "Week 3: ores"
    assert found["week03_ores"].thresholds.records == 5000


def test_a_package_without_the_kit_around_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(definition, "ASSIGNMENTS", Assignments(tmp_path / "assignments"))
    (tmp_path / "records.jsonl").touch()
    for look_up in (lambda: find("week05"), lambda: recognise(tmp_path)):
        with pytest.raises(CourseError, match="no assignment is there.*\n.*git clone"):
            look_up()


@pytest.fixture(scope="module")
def package_alone(tmp_path_factory):
    """What a wheel installs, without the kit's other folders; and a submission beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(kit.ROOT / "course_utils", folder / "site" / "course_utils", ignore=ignored)
    (folder / "inbox" / "ada").mkdir(parents=True)
    (folder / "inbox" / "ada" / "records.jsonl").touch()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "submit check inbox/ada",
        "submit check inbox",
        "submit pack inbox/ada",
        "assignment list",
        "rubric check",
        "grade inbox --assignment week05 --out grades",
        "grade inbox/ada --practice",
    ],
)
def test_an_installed_wheel_says_that_the_assignments_are_not_in_it(package_alone, words):
    done = subprocess.run(
        [sys.executable, "-m", "course_utils", *words.split()],
        cwd=package_alone,
        env=os.environ | {"PYTHONPATH": str(package_alone / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no assignment is there" in done.stderr
    assert "install the kit from its folder" in done.stderr
    assert not list(package_alone.glob("grades*")), "nothing was begun"


def test_two_assignments_of_one_name_are_refused(kit_folder):
    kit_folder("one", id="ores", aliases=["week03"])
    with pytest.raises(CourseError, match="week03 names one too") as error:
        list(Assignments(kit_folder("two", id="rocks", aliases=["week03"])))
    assert error.value.cure


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"id": "Week 3"}, "id"),
        ({"title": ""}, "title"),
        ({"group": {"least": 4, "most": 2}}, "group"),
        ({"thresholds": {"records": 0}}, "thresholds.records"),
        ({"marks": []}, "marks"),
        ({"colour": "red"}, "colour"),
        ({"solution": {"regions": {"a.py": {"f": 2}}, "given": ["a.py"]}}, "listed twice"),
    ],
)
def test_what_it_cannot_hold_is_named_with_file_and_place(kit_folder, change, place):
    with pytest.raises(CourseError) as error:
        list(Assignments(kit_folder("one", **change)))
    assert definition.FILE in error.value.message
    assert place in error.value.message


def test_group_sizes_in_words():
    sizes = {(1, 1): "one person", (2, 4): "two to four people", (3, 3): "three people"}
    for (least, most), words in sizes.items():
        assert str(definition.Group(least=least, most=most)) == words


@pytest.mark.parametrize(
    ("title", "shown"), [("Data preparation", "data preparation"), ("LoRA tuning", "LoRA tuning")]
)
def test_a_title_after_a_colon(title, shown):
    assert definition.in_a_line(title) == shown
