"""What is not the kit's is left; what is can be replaced whole; one process at a time writes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import ownership
from course_utils.errors import CourseError

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def foreign(tmp_path):
    """A folder with an everyday name and somebody's work in it."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "thesis.txt").write_text("three years", encoding="utf-8")
    return folder


@pytest.fixture
def ours(tmp_path):
    folder = ownership.claim(tmp_path / "ours", of="adapter")
    (folder / "checkpoint-3").mkdir()
    (folder / "checkpoint-3" / "state.json").touch()
    (folder / "settings.json").touch()
    return folder


# --- folders ---


def test_a_folder_with_somebody_elses_files_is_refused_and_left(foreign):
    with pytest.raises(CourseError, match="did not make; nothing was touched") as caught:
        ownership.claim(foreign)
    assert "rename" in caught.value.cure
    assert names(foreign) == ["thesis.txt"]


@pytest.mark.parametrize("there", [True, False])
def test_a_new_or_empty_folder_is_claimed_and_may_be_claimed_again(tmp_path, there):
    folder = tmp_path / "x"
    if there:
        folder.mkdir()
    ownership.claim(folder, of="adapter")
    ownership.claim(folder, of="adapter")
    assert ownership.owner_of(folder) == "adapter"


def test_a_process_killed_while_it_marked_a_folder_leaves_it_claimable(tmp_path):
    folder = tmp_path / "own"
    killed = (
        "import os, pathlib\nfrom course_utils import files, ownership\n"
        f"with files.atomic_path(pathlib.Path({str(folder)!r}) / ownership.MARK): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", killed], cwd=ROOT, check=False).returncode == 9
    assert len(names(folder)) == 1
    assert ownership.claim(folder, of="a") == folder
    ownership.remove(folder, [])
    assert not folder.exists()


def test_a_folder_of_another_training_is_refused(tmp_path):
    ownership.claim(tmp_path / "x", of="adapter")
    with pytest.raises(CourseError, match=r"belongs to another training \(adapter\)"):
        ownership.claim(tmp_path / "x", of="adapter_r8")


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "x").write_text("", encoding="utf-8")
    with pytest.raises(CourseError, match="this is a file"):
        ownership.claim(tmp_path / "x")


@pytest.mark.parametrize("content", ["[]", "{", '{"made_by": "someone"}', ""])
def test_a_mark_that_is_not_ours_is_no_mark(tmp_path, content):
    (tmp_path / ownership.MARK).write_text(content, encoding="utf-8")
    assert ownership.owner_of(tmp_path) is None


def test_clearing_removes_only_the_names_that_its_maker_writes(ours):
    (ours / "notes.txt").touch()
    ownership.clear(ours, ["checkpoint-*", "settings.json"])
    assert names(ours) == [ownership.MARK, "notes.txt"]


def test_a_folder_without_a_mark_is_never_cleared(foreign):
    ownership.clear(foreign, ["*"])
    ownership.remove(foreign, ["*"])
    assert names(foreign) == ["thesis.txt"]


def test_a_removed_folder_goes_unless_something_else_lies_in_it(ours):
    (ours / "notes.txt").touch()
    ownership.remove(ours, ["checkpoint-*", "settings.json"])
    assert names(ours) == [ownership.MARK, "notes.txt"]
    (ours / "notes.txt").unlink()
    ownership.remove(ours, [])
    assert not ours.exists()


def test_a_link_inside_is_removed_and_its_target_left(ours, foreign):
    (ours / "checkpoint-9").symlink_to(foreign)
    ownership.clear(ours, ["checkpoint-*"])
    assert names(foreign) == ["thesis.txt"]
    assert names(ours) == [ownership.MARK, "settings.json"]


def test_noted_files_are_forgotten_and_others_stay(tmp_path):
    folder = ownership.claim(tmp_path / "starter")
    for name in ("scripts/old.py", "new.py", "mine.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    ownership.note_files(folder, ["scripts/old.py", "new.py"])
    ownership.forget_files(folder, keep=["new.py"])
    assert names(folder) == [ownership.MARK, "mine.py", "new.py"]


# --- files ---


def test_a_file_is_ours_when_it_says_so_near_its_beginning_or_end(tmp_path):
    path = tmp_path / "report.html"
    for text in (f"{ownership.MAKER}{'x' * 200_000}", f"{'x' * 200_000}{ownership.MAKER}"):
        path.write_text(text, encoding="utf-8")
        assert ownership.check_file(path) == path


@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
def test_what_we_did_not_make_is_not_replaced(tmp_path, kind):
    path = tmp_path / "training.json"
    make = {
        "file": lambda: path.write_text('{"mine": 1}', encoding="utf-8"),
        "folder": path.mkdir,
        "broken link": lambda: path.symlink_to(tmp_path / "nowhere"),
    }
    make[kind]()
    with pytest.raises(CourseError, match="this kit did not make it"):
        ownership.check_file(path)


# --- saving ---


def interrupted_save(folder):
    with ownership.saving(folder) as temporary:
        temporary.mkdir()
        (temporary / "adapter_model.safetensors").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt


def save(folder, text, without=()):
    with ownership.saving(folder, without) as temporary:
        temporary.mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (temporary / name).write_text(text, encoding="utf-8")


def test_an_interrupted_save_leaves_the_old_files_whole_and_the_next_one_works(tmp_path):
    folder = ownership.claim(tmp_path / "adapter")
    save(folder, "old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_save(folder)
    assert (folder / "adapter_model.safetensors").read_text(encoding="utf-8") == "old"
    save(folder, "new")
    assert (folder / "adapter_model.safetensors").read_text(encoding="utf-8") == "new"
    assert ownership.UNFINISHED not in names(folder)


def test_files_that_do_not_belong_are_dropped_while_saving(tmp_path):
    folder = ownership.claim(tmp_path / "adapter")
    save(folder, "x", without=["adapter_config.json"])
    assert names(folder) == [ownership.MARK, "adapter_model.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_weights_that_a_library_hid_from_others_get_the_usual_mode(tmp_path):
    folder = ownership.claim(tmp_path / "adapter")
    before = os.umask(0o027)
    try:
        with ownership.saving(folder) as temporary:
            temporary.mkdir()
            (temporary / "a.safetensors").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (folder / "a.safetensors").stat().st_mode & 0o777 == 0o640


# --- one at a time ---

HOLD = """
import sys
from course_utils import ownership
ownership.lock(sys.argv[1], "taken", "wait")
ownership.lock(sys.argv[1], "taken", "wait")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="no flock")
def test_a_folder_that_another_process_holds_is_refused_until_it_is_killed(tmp_path, holder):
    with pytest.raises(CourseError, match="taken"):
        ownership.lock(tmp_path, "taken", "wait")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    ownership.lock(tmp_path, "taken", "wait")
    ownership.unlock(tmp_path)
    ownership.unlock(tmp_path)
    assert names(tmp_path) == []


def test_a_strangers_mark_cannot_name_files_outside_its_folder(tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine", encoding="utf-8")
    folder = ownership.claim(tmp_path / "starter")
    (folder / "out").symlink_to(tmp_path)
    ownership.note_files(folder, ["../mine.txt", str(mine), "out/mine.txt", "."])
    ownership.forget_files(folder)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert folder.is_dir()
