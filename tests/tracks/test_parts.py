"""The files of a track go into a folder that is the kit's."""

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.parts import write_parts

PARTS = {"train": [{"instruction": "x", "input": "", "output": "y"}]}


def test_records_of_ones_own_are_never_replaced(tmp_path):
    mine = tmp_path / "data" / "train.jsonl"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="did not make"):
        write_parts(PARTS, {}, mine.parent)
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_track_may_be_built_again_in_its_folder(tmp_path):
    for _ in range(2):
        assert write_parts(PARTS, {"a": 1}, tmp_path / "track") == {"a": 1}
