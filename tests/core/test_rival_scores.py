"""The tuned model beside cheap rivals: by task and form, with intervals, in words."""

import json

import pytest

from course_utils import rival_scores


def question(number, form="name only", answer="pump"):
    return {
        "instruction": f"Which part is number {number}?",
        "input": f"Part {number} is the {answer}.",
        "output": answer,
        "task": "qa",
        "form": form,
        "facts": f"answer={answer} | valve",
    }


def order(number):
    labels = {"part": "Tooth" if number % 2 else "Hose"}
    return {
        "instruction": "To JSON.",
        "input": f"replace {labels['part']} {number}",
        "output": json.dumps(labels),
        "task": "understanding",
    }


NAMES = [question(n) for n in range(24)]
SENTENCES = [question(n, "one sentence") for n in range(24, 36)]
QUESTIONS = NAMES + SENTENCES


def compared(records, tuned, cheap, base=None):
    return rival_scores.compare(records, base or ["?"] * len(records), tuned, cheap, seed=1)


def cheap(**answers):
    return {"qa": {name: {"seconds": 0.1, "answers": own} for name, own in answers.items()}}


def test_every_task_is_answered_by_the_methods_made_for_it():
    records = [order(n) for n in range(8)] + NAMES
    found = rival_scores.measure(records, records)
    assert list(found) == ["understanding", "qa"]
    assert "linear model" in found["understanding"]
    assert "best sentence" not in found["understanding"]
    assert "best sentence" in found["qa"]
    assert len(found["qa"]["majority"]["answers"]) == len(NAMES)
    assert found["qa"]["majority"]["seconds"] >= 0


def test_a_task_without_training_records_has_no_rival():
    assert rival_scores.measure([order(1)], NAMES) == {}


def test_each_form_has_a_row_and_only_one_with_enough_records_an_interval():
    half = ["pump"] * 12 + ["valve"] * 24
    table = compared(QUESTIONS, ["pump"] * 36, cheap(one=half, two=["valve"] * 36))["qa"]
    whole, names, sentences = table["rows"]
    assert [row["form"] for row in table["rows"]] == ["", "name only", "one sentence"]
    assert [row["records"] for row in table["rows"]] == [36, 24, 12]
    assert whole["rivals"] == {"one": pytest.approx(1 / 3), "two": 0}
    assert whole["rival"] == "one"
    assert whole["over"]["one"]["mean"] == pytest.approx(2 / 3)
    assert names["over"]["one"]["low"] > 0
    assert sentences["over"] == {}
    assert table["methods"]["two"]["seconds"] == 0.1


def test_a_program_written_by_hand_is_never_the_best_fitted_rival():
    answers = {"report program": ["pump"] * 36, "majority": ["valve"] * 36}
    table = compared(QUESTIONS, ["valve"] * 36, cheap(**answers))["qa"]
    assert table["rows"][0]["rival"] == "majority"
    assert table["rows"][0]["over"]["report program"]["high"] < 0
    told = rival_scores.verdict({"qa": table})
    assert "A program written by hand for the known rule beats it here: qa" in told


def test_the_verdict_says_who_wins_where():
    tuned = ["pump"] * 24 + ["valve"] * 12
    rival = ["valve"] * 10 + ["pump"] * 26
    told = rival_scores.verdict(compared(QUESTIONS, tuned, cheap(nearest=rival)))
    assert "beats every fitted rival here: qa, name only." in told
    assert "No clear difference here: qa." in told
    told = rival_scores.verdict(compared(NAMES, ["valve"] * 24, cheap(nearest=["pump"] * 24)))
    assert told == "The cheap method is the right choice here: qa (nearest)."


def test_questions_without_facts_are_compared_word_by_word():
    plain = [{**record, "facts": "", "form": ""} for record in NAMES]
    table = compared(plain, ["pump"] * 24, cheap(majority=["a valve"] * 24))["qa"]
    assert table["score"] == "token_f1"
    assert table["rows"][0]["tuned"] == 1
    assert table["rows"][0]["over"]["majority"]["low"] > 0


def test_understanding_is_compared_by_field_f1():
    records = [order(n) for n in range(10)]
    found = rival_scores.measure(records, records)
    right = [record["output"] for record in records]
    table = compared(records, right, found, base=["{}"] * 10)["understanding"]
    assert table["rows"][0]["tuned"] == 1
    assert table["rows"][0]["rivals"]["majority"] == 0.5
    assert table["rows"][0]["over"]["majority"]["low"] > 0
    assert table["rows"][0]["base"] == 0


def test_the_table_for_a_terminal_has_a_line_a_row_and_the_verdict():
    table = compared(QUESTIONS, ["pump"] * 36, cheap(one=["valve"] * 36))
    lines = rival_scores.table_text(table).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("qa, name only")
    assert lines[2].endswith("+1.00 [+1.00, +1.00]")
    assert lines[3].endswith("-")  # too few records
