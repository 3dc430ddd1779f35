"""The kit's cache: shared by COURSE_CACHE, or the user's own where that may only be read."""

from course_utils import packages


def test_a_cache_that_can_be_written_is_the_shared_one(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "shared"))
    assert packages.writable_cache_folder() == packages.cache_folder() == tmp_path / "shared"


def test_a_cache_that_can_not_be_written_leaves_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder can be made below this")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    assert packages.writable_cache_folder() == tmp_path / "own" / "fine_tuning_course"
