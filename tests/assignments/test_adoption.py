"""`course adopt`: one address in every file of a fork, and what a merge brings back is named."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from course_utils import kit
from course_utils.assignments import adoption, setup_cell
from course_utils.assignments.setup_cell import Address
from course_utils.errors import CourseError

FORK = Address("https://github.com/ada/course", "2027-spring")
GITLAB = Address("https://gitlab.example/ada/teaching/course", "v2")


@pytest.fixture
def fork(tmp_path) -> Path:
    """The files of the kit that may name an address, where they lie in the kit."""
    for path in {path for place in adoption.PLACES for path in kit.ROOT.glob(place)}:
        name = path.relative_to(kit.ROOT)
        if adoption.NOT_OURS.isdisjoint(name.parts):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, tmp_path / name)
    return tmp_path


def texts(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def test_the_kit_itself_names_one_address():
    assert adoption.disagreements() == []


def test_no_file_of_the_kit_names_its_address_outside_the_places_that_are_rewritten():
    tracked = subprocess.run(
        ["git", "-C", kit.ROOT, "grep", "-lI", adoption.UPSTREAM.removeprefix("https://")],
        capture_output=True,
        text=True,
    ).stdout.split()
    rewritten = {str(p.relative_to(kit.ROOT)) for at in adoption.PLACES for p in kit.ROOT.glob(at)}
    assert set(tracked) <= rewritten | {"course_utils/assignments/setup_cell.py"}


def test_a_fork_names_its_own_address_everywhere_and_nothing_else_changes(fork):
    before = texts(fork)
    changed = adoption.adopt(FORK, fork)
    assert adoption.disagreements(fork) == []
    assert setup_cell.stated(fork) == FORK
    assert adoption.adopt(FORK, fork) == []
    old = setup_cell.stated()
    for name, text in texts(fork).items():
        assert old.repository.removeprefix("https://github.com/") not in text, name
        assert (text != before[name]) == (fork / name in changed)
        assert len(text.splitlines()) == len(before[name].splitlines())


def test_back_to_the_first_address_is_the_first_text(fork):
    before = texts(fork)
    adoption.adopt(FORK, fork)
    adoption.adopt(setup_cell.stated(), fork)
    assert texts(fork) == before


def test_what_a_merge_brings_back_is_named_by_file_and_line(fork):
    adoption.adopt(FORK, fork)
    page = fork / "docs" / "students.md"
    text = page.read_text(encoding="utf-8").replace(FORK.repository, adoption.UPSTREAM)
    page.write_text(f"{text}\n\n{adoption.UPSTREAM}/issues\n", encoding="utf-8")
    last = adoption.disagreements(fork)[-1]
    assert last.path == page
    assert last.number == len(page.read_text(encoding="utf-8").splitlines())
    assert (last.found, last.wanted) == (f"{adoption.UPSTREAM}/issues", f"{FORK.repository}/issues")


def test_a_repository_whose_name_begins_alike_is_another_one(fork):
    page = fork / "docs" / "students.md"
    page.write_text(f"{adoption.UPSTREAM}-2027 and {adoption.UPSTREAM}.\n", encoding="utf-8")
    adoption.adopt(FORK, fork)
    expected = f"{adoption.UPSTREAM}-2027 and {FORK.repository}.\n"
    assert page.read_text(encoding="utf-8") == expected


def test_no_requirement_names_a_package_that_the_adopter_may_not_own(fork):
    adoption.adopt(FORK, fork)
    paths = list(fork.glob("assignments/*/*/requirements.txt"))
    assert len(paths) == 2  # of starter and solution
    for path in paths:
        lines = [line for line in path.read_text().splitlines() if "course-kit" in line]
        wanted = "fine-tuning-course-kit @ git+https://github.com/ada/course@2027-spring"
        assert [line for line in lines if not line.startswith("#")] == [wanted]


def test_elsewhere_than_on_github_no_badge_leads_to_a_stranger(fork):
    adoption.adopt(GITLAB, fork)
    assert adoption.disagreements(fork) == []
    for name, text in texts(fork).items():
        assert "colab.research.google.com/github/" not in text, name
    assert "`notebooks/01_data_prep.ipynb`" in (fork / "README.md").read_text(encoding="utf-8")
    lab = (fork / "notebooks" / "parameter_lab.ipynb").read_text(encoding="utf-8")
    assert GITLAB.repository in lab


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ada/course", "no address"),
        ("http://github.com/ada/course", "no address"),
        ("git@github.com:ada/course.git", "no address"),
        ("https://github.com/ada", "no address"),
        ('https://github.com/ada/course"', "no address"),
        ("https://github.com/ada/course/tree/main", "give https://github.com/ada/course"),
        ("", "no address"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form_it_should_have(typed, said):
    with pytest.raises(CourseError, match=re.escape(said)):
        adoption.read_address(typed, "v1")


def test_an_address_is_read_as_the_browser_shows_it_and_the_tag_stays_unless_given():
    same = adoption.read_address("https://github.com/ada/course.git", None)
    assert same == Address("https://github.com/ada/course", setup_cell.stated().revision)
    assert adoption.read_address("https://github.com/ada/course/", "2027-spring") == FORK
    with pytest.raises(CourseError, match="no tag"):
        adoption.read_address("https://github.com/ada/course", 'v1"; import os')
