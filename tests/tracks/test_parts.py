"""The files of a track go into a folder that is the kit's."""

import pytest

from course_utils.errors import CourseError
from course_utils.tracks.parts import LEAST_RESERVE, RESERVE, reserve_of, write_parts
from course_utils.tracks.parts import PARTS as SHARES

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


def test_the_reserve_is_counted_and_never_written(tmp_path):
    kept = [{**PARTS["train"][0], "group": group} for group in ("a", "a", "b")]
    parts = {"train": [{**PARTS["train"][0], "group": "c"}], RESERVE: kept}
    write_parts(parts, {"reserve": reserve_of(parts)}, tmp_path / "track")
    assert {path.name for path in (tmp_path / "track").glob("*.jsonl")} == {"train.jsonl"}
    assert reserve_of(parts) == {"records": 3, "groups": 2, "share": 0.75}


def test_the_shares_of_the_parts_are_a_whole():
    assert sum(SHARES.values()) == pytest.approx(1)
    assert SHARES[RESERVE] > LEAST_RESERVE
