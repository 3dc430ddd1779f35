"""What the notebooks start from: a folder of parts cleaned, records as they are asked and shown."""

from pathlib import Path

import pytest

from course_utils import kit, material, own_data, tasks
from course_utils.errors import CourseError
from course_utils.records import write_records
from course_utils.splits import overlap

EXAMPLE = kit.DATA / "examples" / "brewing.jsonl"
TEXTS = ["alpha alpha number", "beta beta number", "gamma gamma number", "delta delta number"]
TEXTS += ["sigma stands alone", "omega stands alone", "a wholly other text on malt"]
TEXTS += ["a wholly other text on hops", "a wholly other text on yeast"]


def records_of(texts: list[str]) -> list[dict[str, str]]:
    return [{"instruction": "Say it.", "input": text, "output": "x"} for text in texts]


def written(folder: Path, **parts: list[dict[str, str]]) -> Path:
    for name, records in parts.items():
        write_records(folder / f"{name}.jsonl", records)
    return folder


def test_what_leaks_between_parts_made_by_hand_is_dropped(tmp_path):
    copy, *others = records_of(TEXTS)
    folder = written(tmp_path, train=[copy, *others[:4]], val=others[4:6], test=[copy, others[7]])
    own = material.material_of("mine", folder)
    cleaned = own.clean(0.7)
    assert cleaned.raw == sum(cleaned.dropped.values()) + cleaned.kept
    assert copy not in cleaned.records
    parts = own.split(cleaned, {"test": 2, "val": 2, "train": 3}, 42)
    assert {name: len(part) for name, part in parts.items()} == {"test": 2, "val": 2, "train": 3}
    assert overlap(parts)["exact"] == overlap(parts)["near"] == 0


def test_a_track_without_data_is_told_what_makes_them():
    for track, maker in (("geology", "course data build"), ("brewing", "course data split")):
        with pytest.raises(CourseError, match="has no data here") as error:
            material.material_of(track)
        assert maker in error.value.cure


def test_a_record_of_geology_keeps_role_question_context_and_facts():
    record = {"system": "You are a geologist.", "instruction": "Which mineral?", "context": "Band."}
    record |= {"answer": "Kaolinite", "form": "name only", "facts": "answer=Kaolinite"}
    own = material.as_task(record)
    assert own["instruction"] == "You are a geologist. Which mineral?"
    assert (own["input"], own["output"], own["task"]) == ("Band.", "Kaolinite", "qa")
    assert tasks.main_score("Kaolinite", own) == 1


def test_the_report_is_told_where_parts_come_from(tmp_path):
    found = own_data.split_file(EXAMPLE)
    told = {}
    for name in ("brewing", "geology"):
        folder = own_data.write_split(found, tmp_path / name, {"track": name})
        own = material.material_of(name, folder)
        told[name] = (own.source, own.licence)
    assert told["brewing"] == ("data of one's own", "not told")
    assert told["geology"] == ("the kit's track geology", "see data/README.md")
