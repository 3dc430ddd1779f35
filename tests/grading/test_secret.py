"""The instructor's secret: made once, for her alone, never shown and never replaced."""

import os
import stat
import subprocess

import pytest

from course_utils.errors import CourseError
from course_utils.grading.secret import NAME, Secret

posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")


def test_the_first_run_makes_it_and_later_runs_read_the_same(tmp_path):
    first = Secret.of(tmp_path / "grades")
    assert Secret.of(tmp_path / "grades") == first
    assert Secret.of(tmp_path / "other") != first


def test_git_sees_nothing_of_a_folder_of_grades(tmp_path):
    Secret.of(tmp_path / "grades")
    (tmp_path / "grades" / "gradebook.csv").write_text("jane,3\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    status = ["git", "-C", tmp_path, "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == ""


@posix
def test_only_its_owner_may_read_it_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        Secret.of(tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_seed_is_the_names_own_and_tells_nothing_of_the_secret(tmp_path):
    own = Secret(bytes(32))
    assert own.derive("a") == Secret(bytes(32)).derive("a")
    assert len({own.derive("a"), own.derive("b"), Secret(b"\1" * 32).derive("a")}) == 3
    assert 0 <= own.derive("a") < 2**63


def test_it_is_not_in_any_text_about_it(tmp_path):
    own = Secret.of(tmp_path)
    told = f"{own!r} {own} {own.fingerprint}"
    assert own.key.hex()[:8] not in told
    assert str(own.key) not in told


@pytest.mark.parametrize(
    ("content", "what"),
    [("", "is empty"), ("\n", "is empty"), ("secret", "is damaged"), ("0" * 63, "is damaged")],
)
def test_a_damaged_file_is_named_with_its_cure_and_stays_as_it_is(tmp_path, content, what):
    path = tmp_path / NAME
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(CourseError, match=what) as error:
        Secret.of(tmp_path)
    assert "put it back" in error.value.cure
    assert path.read_text() == content


@posix
def test_a_file_that_others_may_read_is_refused(tmp_path):
    Secret.of(tmp_path)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(CourseError, match="others on this machine") as error:
        Secret.of(tmp_path)
    assert "chmod 600" in error.value.cure


@posix
def test_a_link_a_pipe_and_a_folder_are_no_secret(tmp_path):
    Secret.of(tmp_path / "grades")
    for number, make in enumerate((
        lambda path: path.symlink_to(tmp_path / "grades" / NAME),
        lambda path: path.symlink_to(tmp_path / "nowhere"),
        os.mkfifo,
        os.mkdir,
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / NAME)
        with pytest.raises(CourseError):
            Secret.of(folder)
