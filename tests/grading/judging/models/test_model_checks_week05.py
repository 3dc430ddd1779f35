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


@pytest.mark.parametrize(("kept", "stated"), [(0, []), (1, ["1 given again of 1 stored"])])
def test_a_question_that_nobody_asked_states_nothing_false(own_lab, box, kept, stated):
    path = own_lab / "test_questions.jsonl"
    rows = [json.loads(line) for line in path.open()]
    write_lines(path, rows[:kept] + [row | {"answer": ""} for row in rows[kept:]])
    own = case_of(own_lab, box, WEEK05)
    assert share(own, "answers_reproduced") < 1
    noted = [row for row in own.facts.get("stated", ()) if row.name.startswith("answers of")]
    assert [f"{row.found} of {row.stated}" for row in noted] == stated
    assert all(row.agrees for row in noted)


def test_shorter_answers_are_asked_again_as_answers_json_states(own_lab, box):
    rows = [json.loads(line) for line in (own_lab / "test_questions.jsonl").open()]
    short = own_answers(own_lab, rows, tokens=3)
    assert all(len(answer) < 40 for answer in short)  # too short to count as cut off
    write_lines(
        own_lab / "test_questions.jsonl",
        [row | {"answer": answer} for row, answer in zip(rows, short, strict=True)],
    )
    (own_lab / "answers.json").write_text(json.dumps({"max_new_tokens": 3}))
    found = judged(case_of(own_lab, box, WEEK05), "answers_reproduced")
    assert f"{len(rows)} letter by letter" in found.evidence[0].note


def own_answers(folder, rows, tokens):
    """What the adapter of a folder says, at most so many tokens of it."""
    from course_utils import chat, models
    from course_utils.generation import generate_answers
    from course_utils.grading.probing.bases import find_base
    from course_utils.lab.questions import question_of

    base = models.load_model("nano", find_base("nano").precision)
    tuned, tokenizer = models.load_adapter(base, folder / "adapter"), models.load_tokenizer("nano")
    records = [question_of(row).record("You are a geologist.") for row in rows]
    prompts = [chat.record_messages(record, tokenizer)["prompt"] for record in records]
    return generate_answers(tuned, tokenizer, prompts, tokens, 16)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"max_new_tokens": 10, "system": "Be brief."}, ("Be brief.", 10)),
        ({"max_new_tokens": 10**9, "system": "x" * 10**5}, ("You are a geologist.", 256)),
        ({"max_new_tokens": 0}, ("You are a geologist.", 1)),
        ({"max_new_tokens": True, "system": 7}, ("You are a geologist.", 64)),
        ({"max_new_tokens": "10"}, ("You are a geologist.", 64)),
        ([], ("You are a geologist.", 64)),
    ],
)
def test_what_answers_json_states_is_taken_within_bounds(own_lab, box, stated, expected):
    (own_lab / "answers.json").write_text(json.dumps(stated))
    own = case_of(own_lab, box, WEEK05)
    assert week05._asked_with(own) == expected


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"max_new_tokens": NaN}'])
def test_an_answers_json_that_can_not_be_read_states_nothing(own_lab, box, content):
    (own_lab / "answers.json").write_bytes(content)
    own = case_of(own_lab, box, WEEK05)
    assert week05._asked_with(own) == ("You are a geologist.", week05.NEW_TOKENS)


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


@pytest.mark.parametrize(("longest", "least", "most"), [(200, 60, 100), (4_000, 16, 16)])
def test_short_questions_are_asked_at_once_and_long_ones_a_few_at_a_time(longest, least, most):
    short = {"system": "", "instruction": "Which?", "context": "", "answer": "Quartz."}
    records = [short, {**short, "context": "x" * longest}, short]
    assert least <= week05.at_once(records) <= most
