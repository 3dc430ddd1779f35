"""Week 5: what is true earns its points, what is not does not; on the nano model."""

import json
import math

import pytest
from nano_cases import WEEK05, case_of, judged, share, write_lines

from course_utils.grading.judging.models import week05


@pytest.fixture(scope="module")
def case(lab, box):
    return case_of(lab, box, WEEK05)


@pytest.mark.parametrize("name", ["adapter_loads", "training_true", "answers_reproduced"])
def test_evidence_that_is_true_earns_all_points(case, name):
    assert share(case, name) == 1, judged(case, name)


def test_a_loss_that_was_written_in_by_hand_earns_nothing(own_lab, box):
    path = own_lab / "training.json"
    content = json.loads(path.read_text())
    content["eval_loss"] += 0.5
    content["perplexity"] = math.exp(content["eval_loss"])
    path.write_text(json.dumps(content))
    found = judged(case_of(own_lab, box, WEEK05), "training_true")
    assert found.points == 0
    assert "another loss" in found.feedback


def test_a_file_that_was_not_handed_in_is_no_zero(own_lab, box):
    path = own_lab / "training.json"
    content = json.loads(path.read_text())
    content["command"] += " --eval_data other.jsonl"
    path.write_text(json.dumps(content))
    found = judged(case_of(own_lab, box, WEEK05), "training_true")
    assert found.points is None
    assert "--eval_data" in found.feedback


def test_answers_that_the_adapter_does_not_give_earn_nothing(own_lab, box):
    path = own_lab / "test_questions.jsonl"
    rows = [json.loads(line) for line in path.open()]
    write_lines(path, [row | {"answer": "Kaolinite, at 2207 nm."} for row in rows])
    assert share(case_of(own_lab, box, WEEK05), "answers_reproduced") == 0


def test_the_bonus_asks_for_forty_questions_that_no_record_holds(own_lab, box):
    records = [json.loads(line) for line in (own_lab / "records.jsonl").open()]
    asked = [{"instruction": r["instruction"], "expected": r["answer"]} for r in records]
    more = [{"instruction": f"Name the colour of ore {n}.", "expected": "red"} for n in range(30)]
    write_lines(own_lab / "held_out.jsonl", [*asked, *more])
    found = judged(case_of(own_lab, box, WEEK05), "interval")
    assert found.points == 0
    assert "40 are asked for" in found.feedback


def test_the_bonus_without_its_file_asks_no_model(case):
    before = dict(case.models.cpu_seconds)
    assert judged(case, "interval").points == 0
    assert case.models.cpu_seconds == before


@pytest.mark.parametrize(
    ("command", "folds"),
    [("x.py --folds 5 --seed 3", 5), ("x.py", None)],
)
def test_the_command_says_how_the_validation_part_was_drawn(case, command, folds):
    from course_utils.grading.judging.files.common import visit_of

    own = case_of(case.folder.root, case.box, WEEK05)
    visit_of(own).training = {"command": command, "seed": 3}
    options = week05._options(own)
    assert (options.folds, options.seed) == (folds, 3)
