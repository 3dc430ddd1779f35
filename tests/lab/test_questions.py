"""Test questions: what a file may hold, and the scores of both models."""

import json

import pytest

from course_utils.errors import CourseError
from course_utils.lab import questions as lab_questions

GOOD = {"instruction": "Hardness of quartz?", "context": "", "expected": "7", "answer": ""}


def written(tmp_path, *rows):
    path = tmp_path / "questions.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "questions.jsonl:2: not valid JSON at column 2"),
        ("[1]", "questions.jsonl:2: the line is not a record"),
        ({"instruction": "", "expected": "7"}, "`instruction` is missing"),
        ({"instruction": "x"}, "`expected` is missing"),
        ({"instruction": "x", "expected": 7}, "`expected` is missing or empty"),
        ({"instruction": "x", "expected": "7", "context": 3}, "`context` is not text"),
    ],
)
def test_a_bad_question_is_named_by_its_line(tmp_path, row, told):
    with pytest.raises(CourseError) as error:
        lab_questions.read_questions(written(tmp_path, GOOD, row))
    assert told in error.value.message
    assert error.value.cure


def test_a_file_without_a_question_is_refused(tmp_path):
    with pytest.raises(CourseError, match="the file is empty"):
        lab_questions.read_questions(written(tmp_path, ""))


def test_a_missing_file_and_one_that_is_not_utf8_are_named(tmp_path):
    with pytest.raises(CourseError, match="there is no such file"):
        lab_questions.read_questions(tmp_path / "none.jsonl")
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xe9\n")
    with pytest.raises(CourseError, match=r"latin.jsonl:2: not UTF-8"):
        lab_questions.read_questions(path)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029"])
def test_a_line_separator_inside_a_question_ends_no_line(tmp_path, mark):
    rows = [{**GOOD, "instruction": f"Hard?{mark}Or soft?"}, GOOD]
    path = tmp_path / "questions.jsonl"
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")
    assert [q.instruction for q in lab_questions.read_questions(path)] == [
        rows[0]["instruction"],
        GOOD["instruction"],
    ]


def test_a_file_of_another_kind_shows_what_a_question_looks_like(tmp_path):
    path = written(tmp_path, json.dumps([GOOD, GOOD]))
    with pytest.raises(CourseError, match="one JSON array") as error:
        lab_questions.read_questions(path)
    assert "write one question a line" in error.value.cure


def test_an_answer_of_the_model_is_never_taken_for_the_expected_one(tmp_path):
    """Questions or records is decided for the whole file, not guessed line by line."""
    answered = {"instruction": "Hardness of talc?", "answer": "what the model said"}
    with pytest.raises(CourseError, match="questions.jsonl:2: `expected` is missing"):
        lab_questions.read_questions(written(tmp_path, GOOD, answered))


def test_null_is_no_context(tmp_path):
    (question,) = lab_questions.read_questions(written(tmp_path, {**GOOD, "context": None}))
    assert question.context == ""


def test_a_record_is_a_question_whose_answer_is_expected(tmp_path):
    record = {"system": "s", "instruction": "i", "context": "c", "answer": "a", "group": "g"}
    question = lab_questions.read_questions(written(tmp_path, record))[0]
    assert question.expected == "a"
    assert question.record("other")["system"] == "s"


def test_a_question_gets_the_system_message_of_the_training(tmp_path):
    question = lab_questions.read_questions(written(tmp_path, GOOD))[0]
    assert question.record("You are a geologist.")["system"] == "You are a geologist."


def columns(answers):
    return {"answers": answers, "nll": [1.0] * len(answers), "tokens": [2] * len(answers)}


def test_scores_and_interval_of_six_questions(tmp_path):
    rows = [{**GOOD, "expected": f"{n} km", "facts": f"answer={n} km"} for n in range(1, 7)]
    questions = lab_questions.read_questions(written(tmp_path, *rows))
    base = columns(["no idea"] * 6)
    tuned = columns([f"{n} km" for n in range(1, 6)] + ["9 km"])
    content = lab_questions.compare(questions, base, tuned)
    assert content["base"]["fact_match"] == 0
    assert content["tuned"]["fact_match"] == pytest.approx(5 / 6)
    assert content["tuned"]["token_f1"] is None  # bare numbers are no prose
    assert content["difference"]["fact_match"]["low"] > 0
    assert "fact_match" in lab_questions.table(content)
    assert content["answers"][5]["scores"] == {
        **{"fact_match": 0, "token_f1": 0.5},
        **{"base_fact_match": 0, "base_token_f1": 0},
    }
    assert content["answers"][5]["facts"] == "answer=6 km"


def test_questions_without_facts_are_compared_word_by_word(tmp_path):
    questions = lab_questions.read_questions(written(tmp_path, *[GOOD] * 6))
    content = lab_questions.compare(questions, columns(["x"] * 6), columns(["7"] * 6))
    assert content["tuned"]["token_f1"] == 1
    assert content["tuned"]["fact_match"] is None
    assert content["answers"][0]["scores"] == {"token_f1": 1, "base_token_f1": 0}


def test_facts_that_cannot_be_read_are_named_by_their_line(tmp_path):
    with pytest.raises(CourseError, match=r"questions.jsonl:2: facts: 'seven' is not NAME=VALUE"):
        lab_questions.read_questions(written(tmp_path, GOOD, {**GOOD, "facts": "seven"}))


def test_four_questions_have_no_interval(tmp_path):
    questions = lab_questions.read_questions(written(tmp_path, *[GOOD] * 4))
    content = lab_questions.compare(questions, columns(["x"] * 4), columns(["7"] * 4))
    assert content["difference"]["token_f1"] is None


def test_answers_are_filled_into_questions_but_not_into_records(tmp_path):
    path = written(tmp_path, {**GOOD, "note": "keep"})
    questions = lab_questions.read_questions(path)
    assert lab_questions.fill(path, questions, ["seven"])
    assert json.loads(path.read_text()) == {**GOOD, "note": "keep", "answer": "seven"}
    record = {"system": "", "instruction": "i", "context": "", "answer": "a"}
    path = written(tmp_path, record)
    assert not lab_questions.fill(path, lab_questions.read_questions(path), ["b"])
    assert json.loads(path.read_text()) == record


ADDED = json.dumps({**GOOD, "instruction": "Hardness of talc?", "expected": "1"}) + "\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + ADDED,
        lambda text: ADDED,
        lambda text: text.replace('"7"', '"8"'),
        lambda text: text.replace('"keep"', '"my own note"'),
        lambda text: text[:20],
    ],
    ids=["a question more", "another one", "corrected", "another field", "half written"],
)
def test_what_was_written_while_the_models_answered_is_not_written_over(tmp_path, capsys, change):
    path = written(tmp_path, {**GOOD, "note": "keep"})
    questions = lab_questions.read_questions(path)
    path.write_text(change(path.read_text()))
    mine = path.read_bytes()
    assert not lab_questions.fill(path, questions, ["seven"])
    assert path.read_bytes() == mine
    said = capsys.readouterr().out
    assert "changed while the models answered" in said
    assert "file of answers" in said


def test_a_file_that_is_gone_is_not_made_anew(tmp_path):
    path = written(tmp_path, GOOD)
    questions = lab_questions.read_questions(path)
    path.unlink()
    assert not lab_questions.fill(path, questions, ["seven"])
    assert not path.exists()


def test_cheap_rivals_stand_beside_both_models(tmp_path):
    rows = [{**GOOD, "instruction": f"Stone {n}?", "facts": "answer=7 | 9"} for n in range(6)]
    questions = lab_questions.read_questions(written(tmp_path, *rows))
    record = {"system": "", "instruction": "Stone 1?", "context": "", "answer": "9"}
    cheap = lab_questions.rivals(questions, [record])
    assert set(cheap) == {"majority", "nearest neighbour", "best sentence"}
    base, tuned = columns(["x"] * 6), columns(["7"] * 6)
    content = lab_questions.compare(questions, base, tuned, cheap)
    whole = content["rivals"]["table"]["rows"][0]
    assert whole["rivals"]["nearest neighbour"] == 0
    assert whole["over"]["nearest neighbour"]["low"] == 1
    told = lab_questions.table(content)
    assert "tuned - nearest neighbour +1.00 [+1.00, +1.00]" in told


def test_without_training_records_there_are_no_rivals(tmp_path):
    questions = lab_questions.read_questions(written(tmp_path, *[GOOD] * 6))
    assert lab_questions.rivals(questions, []) == {}
    content = lab_questions.compare(questions, columns(["x"] * 6), columns(["7"] * 6), {})
    assert "rivals" not in content


def test_the_rivals_learn_from_the_records_of_the_adapter(tmp_path):
    from argparse import Namespace

    record = {"system": "", "instruction": "Hard?", "context": "", "answer": "9"}
    (tmp_path / "records.jsonl").write_text(json.dumps(record) + "\n")
    options = Namespace(
        adapter=tmp_path / "adapter", questions=tmp_path / "questions.jsonl", records=None
    )
    assert len(lab_questions.training_records(options)) == 1
    options.records = tmp_path / "none.jsonl"
    with pytest.raises(CourseError, match="no such file"):
        lab_questions.training_records(options)
