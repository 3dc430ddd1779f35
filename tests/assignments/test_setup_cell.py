"""The set-up cell: one template for all notebooks, and what it says when nothing can be fetched."""

import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.assignments import setup_cell
from course_utils.assignments.setup_cell import Address
from course_utils.errors import CourseError

FORK = Address("https://github.com/ada/course", "2027-spring")
KIT = '[project.urls]\nRepository = "https://github.com/ada/course"\n'

BRANCH = "Cure: put another tag, or main, into REVISION; run this again."
NETWORK = "Cure: check the network and REPOSITORY; run this again."

# As in a machine that does not have the kit. IPython is what shows a notebook's errors.
ALONE = """
import importlib.util, sys
importlib.util.find_spec = lambda name: None
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance(colors="NoColor", history_length=0).run_cell(sys.stdin.read())
"""


def test_address_and_tag_are_the_first_two_lines():
    first, second = FORK.setup_cell().splitlines()[:2]
    assert first == 'REPOSITORY = "https://github.com/ada/course"'
    assert second.startswith('REVISION = "2027-spring"  #')


@pytest.mark.parametrize("text", ["", KIT, "[project.urls]\nRepository ="])
def test_a_project_without_address_or_revision_says_what_to_write(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=r"pyproject\.toml.*\n.*\[tool\.course\]"):
        setup_cell.stated(tmp_path)


# --- The cell, run where the kit is not ---------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository with the tag v1, whose kit says only that it is ready, and a later commit."""
    folder = tmp_path_factory.mktemp("repository")
    package = folder / "course_utils"
    package.mkdir()
    (package / "__init__.py").touch()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for tag in ("v1", "v2-not-yet"):
        (package / "environment.py").write_text(f"def prepare(): print('ready: kit {tag}')\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", tag)
        if tag == "v1":
            git(folder, "tag", tag)
    return folder


def run_cell(folder: Path, address: Address) -> str:
    """All that a notebook in `folder` shows below its set-up cell."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        input=address.setup_cell(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_kit_is_fetched_at_its_tag_and_once(tmp_path, repository):
    address = Address(repository.as_uri(), "v1")
    assert run_cell(tmp_path, address) == "ready: kit v1\n"
    assert run_cell(tmp_path, Address("file:///nowhere", "v1")) == "ready: kit v1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["course-kit"]


@pytest.mark.parametrize(
    ("address", "tag", "said", "cure"),
    [
        (None, "v9", "has no tag v9 (git: Remote branch", BRANCH),
        ("file:///nowhere/course", "v1", "is private, not there, or out of reach (git: ", NETWORK),
        ("http://127.0.0.1:9/ada/course", "v1", "is private, not there, or out of reach", NETWORK),
    ],
    ids=["no such tag", "no such repository", "no network"],
)
def test_what_cannot_be_fetched_is_said_in_a_sentence_without_traceback(
    tmp_path, repository, address, tag, said, cure
):
    shown = run_cell(tmp_path, Address(address or repository.as_uri(), tag))
    assert said in shown
    assert "Traceback" not in shown
    assert shown.splitlines()[1] == cure
    assert len(shown.splitlines()) == 2


def test_until_the_tag_is_there_a_branch_does(tmp_path, repository):
    assert run_cell(tmp_path, Address(repository.as_uri(), "main")) == "ready: kit v2-not-yet\n"


def test_a_starter_from_before_the_kit_was_adopted_names_the_kit_too():
    name = setup_cell.PACKAGE
    assert FORK.installs(name, f"git+{FORK.repository}@2026-autumn")
    assert FORK.installs(name, f"git+{setup_cell.UPSTREAM}@v0.1.0")
    assert not FORK.installs(name, "git+https://github.com/eve/course@2027-spring")
