"""Data of one's own: split by group, with every task in each part."""

import json
from pathlib import Path

import pytest

from course_utils import own_data, selfcheck, tasks
from course_utils.errors import CourseError
from course_utils.records import read_records, write_records
from course_utils.splits import overlap

EXAMPLE = Path(__file__).parents[2] / "data" / "examples" / "brewing.jsonl"


def test_the_example_is_sixty_records_of_two_tasks_in_twenty_groups():
    records = read_records(EXAMPLE)
    assert len(records) == 60
    assert {task: len(own) for task, own in tasks.by_task(records).items()} == {
        "understanding": 30,
        "qa": 30,
    }
    assert len({record["group"] for record in records}) == 20


def test_no_answer_without_understanding_pays_in_the_example():
    results = selfcheck.check({"all": read_records(EXAMPLE)})
    assert [fault for result in results for fault in result.faults()] == []


def test_each_part_has_every_task_and_no_group_stands_in_two():
    found = own_data.split_file(EXAMPLE)
    assert {name: len(part) for name, part in found.parts.items()} == {
        "train": 42,
        "val": 6,
        "test": 12,
    }
    for part in found.parts.values():
        assert set(tasks.by_task(part)) == {"understanding", "qa"}
    groups = [{record["group"] for record in part} for part in found.parts.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 20
    assert found.overlap["exact"] == found.overlap["near"] == found.overlap["groups"] == 0


def test_same_seed_same_parts_another_seed_others():
    assert own_data.split_file(EXAMPLE).parts == own_data.split_file(EXAMPLE).parts
    assert own_data.split_file(EXAMPLE).parts != own_data.split_file(EXAMPLE, seed=7).parts


def records_of(texts: list[str], **more: str) -> list[dict[str, str]]:
    return [{"instruction": "Say it.", "input": text, "output": "x", **more} for text in texts]


FOURTEEN = [f"{word} {word} number" for word in ("alpha", "beta", "gamma", "delta", "kappa")]
FOURTEEN += [f"{word} stands alone" for word in ("sigma", "omega")]
FOURTEEN += [f"a wholly other text on {word}" for word in ("malt", "hops", "yeast", "water", "ice")]
FOURTEEN += ["replace left bearing of pump 12", "replace left bearing of pump 13"]


def test_near_texts_without_a_group_stay_together(tmp_path):
    file = write_records(tmp_path / "own.jsonl", records_of(FOURTEEN))
    for seed in range(5):
        parts = own_data.split_file(file, seed=seed).parts
        assert overlap(parts)["near"] == 0
        assert all(record["group"] for part in parts.values() for record in part)


def test_a_file_with_a_prompt_twice_is_not_split(tmp_path):
    file = write_records(tmp_path / "own.jsonl", records_of([*FOURTEEN, FOURTEEN[0]]))
    with pytest.raises(CourseError, match="1 errors; line 15: .*same prompt"):
        own_data.split_file(file)


def test_one_group_cannot_fill_three_parts(tmp_path):
    file = write_records(tmp_path / "own.jsonl", records_of(FOURTEEN, group="all"))
    with pytest.raises(CourseError, match="1 groups of qa cannot fill") as error:
        own_data.split_file(file)
    assert "more groups" in error.value.cure


def test_a_broken_line_is_told_before_anything_is_split(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text('{"instruction": "x", "input": "y"}\n' * 20, encoding="utf-8")
    with pytest.raises(CourseError, match="errors; line 1: error: field `output` is missing"):
        own_data.split_file(file)


def test_a_track_is_named_after_its_file():
    assert own_data.track_name(Path("My Brewing.v2.jsonl")) == "my-brewing"
    assert own_data.track_name(Path("酒.jsonl")) == "own"


def test_the_kept_summary_counts_what_is_in_the_files(tmp_path):
    found = own_data.split_file(EXAMPLE)
    own_data.write_split(found, tmp_path, {"track": "brewing", "seed": 42})
    summary = json.loads((tmp_path / "summary.json").read_text())
    told = {name: len(read_records(tmp_path / f"{name}.jsonl")) for name in own_data.NAMES}
    assert summary["parts"] == told
    assert own_data.track_of(tmp_path) == "brewing"
