"""The archive of a submission: equal bytes for equal files, and nothing that may not go in."""

import hashlib
import os
import zipfile

import pytest
from submissions import (
    MINIMUM,
    check,
)

from course_utils.assignments import packing
from course_utils.assignments import week09_10 as submission
from course_utils.assignments.week09_10 import pack_submission
from course_utils.errors import CourseError

# --- Packing ------------------------------------------------------------------------------------


def pack(folder, target=None, **options):
    return pack_submission(folder, target, minimum=MINIMUM, **options)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_archive_holds_the_structure_and_the_same_bytes_each_time(folder, tmp_path, capsys):
    first = pack(folder)
    assert first == folder.with_name("my_submission.zip")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    second = pack(folder, tmp_path / "again.zip")
    assert digest(first) == digest(second)
    names = zipfile.ZipFile(first).namelist()
    assert set(submission.REQUIRED) <= set(names)
    assert names == sorted(names)
    printed = capsys.readouterr().out
    assert "data/" in printed
    assert f"my_submission.zip, {len(names)} files" in printed


def test_unpacked_archive_passes_the_check_again(folder, tmp_path):
    with zipfile.ZipFile(pack(folder)) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert check(tmp_path / "unpacked").counts["warning"] == 0
    assert check(tmp_path / "unpacked").ok


def test_what_is_left_out_is_named(folder, capsys):
    left = ["run/checkpoints/checkpoint-4/optimizer.pt", ".git/config", "scripts/__pycache__/t.pyc"]
    left += [".venv/pyvenv.cfg", "notes.docx", "run/bonus_qlora/checkpoint-20/optimizer.pt"]
    for name in left:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (folder / "run" / "bonus_qlora" / "qlora.md").write_text("# QLoRA\n")
    names = zipfile.ZipFile(pack(folder)).namelist()
    assert not set(left) & set(names)
    assert "run/bonus_qlora/qlora.md" in names
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("left out"))
    for name in ("run/checkpoints/", ".git/", "scripts/__pycache__/", ".venv/", "notes.docx"):
        assert name in line


def test_broken_submission_is_refused_unless_forced_and_weights_stay_out(folder, tmp_path):
    weights = folder / "models" / "finetuned_model" / "model.safetensors"
    weights.write_bytes(b"x" * 100)
    (folder / "data" / "stolen.jsonl").symlink_to(tmp_path)
    with pytest.raises(CourseError, match="not packed") as refused:
        pack(folder)
    assert "base model weights" in refused.value.message
    assert not folder.with_name("my_submission.zip").exists()
    names = zipfile.ZipFile(pack(folder, force=True)).namelist()
    assert set(submission.REQUIRED) <= set(names)
    assert not [name for name in names if "model.safetensors" in name and "adapter" not in name]
    assert "data/stolen.jsonl" not in names


def test_archive_is_never_overwritten_silently_nor_left_half_written(folder, monkeypatch):
    target = pack(folder)
    before = target.read_bytes()
    with pytest.raises(CourseError, match="exists already"):
        pack(folder)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_archive", no_space)
        with pytest.raises(CourseError, match="not written"):
            pack(folder, overwrite=True)
    assert target.read_bytes() == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["my_submission", "my_submission.zip"]
    assert pack(folder, overwrite=True) == target
    target.write_bytes(b"mine")
    with pytest.raises(CourseError, match="this kit did not make it"):
        pack(folder, overwrite=True)
    assert target.read_bytes() == b"mine"


def test_target_must_be_a_zip_file(folder, tmp_path):
    for target in (tmp_path, tmp_path / "work.rar"):
        with pytest.raises(CourseError, match=r"not the name of a \.zip file"):
            pack(folder, target)


def test_an_earlier_run_that_was_moved_aside_is_not_packed(folder):
    earlier = folder / "run" / "notebook.old-20261128-083000"
    earlier.mkdir(parents=True)
    (earlier / "results.json").write_text("{}", encoding="utf-8")
    with zipfile.ZipFile(pack(folder)) as archive:
        assert not [name for name in archive.namelist() if "old-" in name]
