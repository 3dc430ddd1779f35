"""The benchmark of fooled scores, on the example records of the weeks 9-10 hand-out."""

import json
import re
import subprocess
import sys

import pytest

from course_utils import kit
from course_utils.files import read_json

SCRIPT = kit.ROOT / "benchmarks" / "fooled_scores.py"
HAND_OUT = kit.ROOT / "assignments" / "week09_10_manufacturing" / "README.md"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(what was printed, the figures) with the hand-out's records as both parts."""
    folder = tmp_path_factory.mktemp("data")
    blocks = re.findall(r"```json\n(\{\"instruction.*?\})\n```", HAND_OUT.read_text("utf-8"), re.S)
    records = [json.loads(block) for block in blocks]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    for part in ("train", "test"):
        (folder / f"{part}.jsonl").write_text(lines, encoding="utf-8")
    command = [sys.executable, SCRIPT, "--data", folder, "--out", folder / "out.json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return ran.stdout, read_json(folder / "out.json")


def test_a_copy_of_a_complete_lot_sheet_states_most_facts(done):
    rows = done[1]["report"]["rows"]
    assert rows["echo of the input"]["fact_accuracy"] == pytest.approx(7 / 8)  # not the decision
    assert rows["echo + closed values"]["fact_accuracy"] == 1


def test_the_right_values_alone_score_less_than_their_sentence(done):
    bare = done[1]["qa"]["rows"]["bare answer"]
    assert bare["numeric_accuracy"] == 1
    assert bare["token_f1"] < 1


def test_a_copy_is_no_record_and_the_right_record_is(done):
    rows = done[1]["understanding"]["rows"]
    assert rows["echo of the input"]["field_f1"] == 0
    assert rows["bare answer"]["field_f1"] == 1


def test_the_table_has_a_row_for_each_answer_of_each_task(done):
    for row in ("echo of the input", "all closed values", "echo + closed values", "bare answer"):
        assert done[0].count(f"  {row} ") == 3


def test_a_folder_without_records_is_named_with_its_cure(tmp_path):
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--data", tmp_path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "train.jsonl" in ran.stdout
    assert "Cure:" in ran.stdout
    assert "Traceback" not in ran.stderr
