"""A folder that was made to do harm: nothing of it is run, followed or opened."""

import contextlib
import io
import os
import re
import zipfile

import pytest
from rich.console import Console
from submissions import (
    check,
    only,
)

from course_utils.assignments.folder import PLACEHOLDER
from course_utils.grading.judging.files import imports, work

# --- Hostile folders ----------------------------------------------------------------------------


def test_link_out_of_the_folder_is_refused_and_not_read(folder, tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text("TOP-SECRET " * 100)
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(secret)
    report = check(folder)
    found = {f.id: f for f in report.of_state("missing", "wrong")}
    assert found.keys() == {"folder.links", "readme"}
    assert "README.md: a symbolic link that leaves the folder" in found["folder.links"].message
    assert "TOP-SECRET" not in "".join(report.lines())


def test_linked_folder_is_not_walked(folder, tmp_path):
    (folder / "data").rename(tmp_path / "elsewhere")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    found = check(folder).of_state("missing", "wrong")
    assert {f.path for f in found} >= {"data/train.jsonl", "data/val.jsonl", "data/test.jsonl"}


def test_circles_of_links_end(folder):
    (folder / "reports" / "again").symlink_to(folder)
    (folder / "reports" / "self").symlink_to("self")
    assert only(folder).id == "folder.links"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipe_in_place_of_a_file_does_not_block(folder):
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    found = {f.id for f in check(folder).of_state("missing", "wrong")}
    assert found == {"folder.kinds", "readme"}


def test_blank_lines_are_read_once(folder):
    """Patterns that begin a line with any space read a million blank lines from each of them."""
    blank = "\n" * 1_000_000
    for name in ("README.md", "requirements.txt", "scripts/train.py"):
        path = folder / name
        path.write_text(path.read_text() + (blank[:900_000] if name.endswith(".py") else blank))
    assert check(folder).verdict()
    for pattern in (PLACEHOLDER, imports.IMPORT, imports.MAGIC, work.PART):
        assert pattern.search(blank) is None


def test_huge_file_is_named_and_not_opened(folder):
    path = folder / "finetuning_pipeline.ipynb"
    with path.open("r+b") as file:  # sparse: 3 GB that take no disk space
        file.truncate(3_000_000_000)
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert found.keys() == {"folder.size", "notebook"}
    assert "3.0 GB; at most 20.0 MB are read" in found["notebook"]


def test_archives_are_left_closed(folder):
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.txt", "0" * 1_000_000)
    found = only(folder, "warning")
    assert "bomb.zip: archives are neither opened nor packed" in found.message
    assert not list(folder.parent.rglob("escaped.txt"))


def test_a_whole_number_that_is_no_float_is_told_and_breaks_nothing(folder):
    """Python reads it, and every sum with it would be an OverflowError."""
    path = folder / "run" / "training.json"
    path.write_text(re.sub(r'"eval_loss": [^,]+', f'"eval_loss": 1{"0" * 400}', path.read_text()))
    told = [line for line in check(folder).lines() if "run/training.json" in line]
    assert any("a whole number of hundreds of digits" in line for line in told)


def test_names_with_control_characters_print_plainly(folder):
    with contextlib.suppress(OSError):
        (folder / "reports" / "a\x1b[2Jb\n.exe").write_text("x")
    report = check(folder)
    assert "\x1b" not in "".join(report.lines())
    Console(file=io.StringIO()).print(report.render())
