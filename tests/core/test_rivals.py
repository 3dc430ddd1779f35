"""Cheap rivals answer what their method says, from the training records alone."""

import json

import pytest

from course_utils import metrics, rivals
from course_utils.errors import CourseError


def order(text, **labels):
    return {"instruction": "To JSON.", "input": text, "output": json.dumps(labels)}


ORDERS = [order(f"replace bucket tooth {n}", action="Replace", part="Tooth") for n in range(6)] + [
    order(f"repair engine leak {n}", action="Repair", system="Engine") for n in range(5)
]


def question(instruction, text, output, **more):
    return {"instruction": instruction, "input": text, "output": output, "task": "qa", **more}


MANUAL = "The pump moves water.\nThe sump holds 45 l of oil.\nThe bearing may reach 90 °C."


def answers(name, train, test):
    return rivals.answer(train, test)[name].answers


def test_the_majority_says_the_most_frequent_answer_whatever_is_asked():
    told = answers("majority", ORDERS, [order("grease the track")])
    assert json.loads(told[0]) == {"action": "Replace", "part": "Tooth"}


def test_the_nearest_neighbour_copies_the_answer_of_the_most_similar_text():
    told = answers("nearest neighbour", ORDERS, [order("engine leaks"), order("bucket teeth")])
    assert [json.loads(text)["action"] for text in told] == ["Repair", "Replace"]


def test_the_nearest_neighbour_of_a_training_text_is_itself():
    told = answers("nearest neighbour", ORDERS, ORDERS)
    assert metrics.field_f1(told, [one["output"] for one in ORDERS]) == 1.0


def test_the_linear_model_joins_labels_that_never_stood_together():
    told = answers("linear model", ORDERS, [order("replace engine")])
    found = json.loads(told[0])
    assert found["system"] == "Engine"
    assert "Tooth" not in found.get("part", "")


def test_the_linear_model_states_a_label_that_every_training_record_carries():
    train = [order(f"text {n} {'a' * n}", action="Repair", part=f"Part {n % 2}") for n in range(8)]
    told = answers("linear model", train, [order("something else")])
    assert json.loads(told[0])["action"] == "Repair"


@pytest.mark.parametrize(
    "form",
    [
        "```json\n{}\n```",
        "Answer: {}",
        "[{}]",
        "It calls f({}) once.",
    ],
)
def test_the_linear_model_reads_the_same_object_as_the_score(form):
    train = [one | {"output": form.format(one["output"])} for one in ORDERS]
    told = answers("linear model", train, [order("replace bucket tooth"), order("repair engine")])
    assert [json.loads(text)["action"] for text in told] == ["Replace", "Repair"]


def test_the_linear_model_learns_each_value_of_a_list_and_nothing_of_null():
    train = [order(f"pump seal {n}", part=["Pump", "Seal"], note=None) for n in range(5)]
    train += [order(f"engine {n}", part=["Engine"]) for n in range(5)]
    told = answers("linear model", train, [order("pump seal")])
    assert json.loads(told[0]) == {"part": "Pump; Seal"}


def test_the_best_sentence_is_the_one_that_shares_most_with_the_question():
    asked = question("How hot may the bearing become?", MANUAL, "at most 90 °C")
    assert answers("best sentence", [asked], [asked]) == ["The bearing may reach 90 °C."]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("How much oil does the sump hold?", "45 l"),
        ("What temperature may the bearing reach?", "90 °C"),
        ("What moves the water?", "The pump moves water."),  # no number there: the sentence
    ],
)
def test_where_a_number_is_asked_for_the_best_sentence_gives_its_number(asked, told):
    record = question(asked, MANUAL, told, form="number and unit only")
    assert answers("best sentence", [record], [record]) == [told]


def test_a_limit_keeps_its_direction():
    record = question("How hot may it become?", "It may become at most 90 °C hot.", "at most 90 °C")
    record["form"] = "number and unit only"
    assert answers("best sentence", [record], [record]) == ["at most 90 °C"]
    record["input"] = "It may become between 40 and 90 °C hot."
    assert answers("best sentence", [record], [record]) == ["between 40 and 90 °C"]


def test_where_yes_or_no_is_asked_the_usual_word_stands_first():
    form = {"form": "yes or no, then the reason"}
    train = [question("Is it hot?", MANUAL, text, **form) for text in ("No: cold.", "No.", "Yes.")]
    asked = question("Does the pump move water?", MANUAL, "Yes: water.", **form)
    assert answers("best sentence", train, [asked]) == ["No: The pump moves water."]


def test_a_method_leaves_empty_what_it_is_not_made_for():
    asked = question("What moves?", MANUAL, "the pump")
    found = rivals.answer([*ORDERS, asked], [ORDERS[0], asked])
    assert found["linear model"].answers[1] == ""
    assert found["best sentence"].answers[0] == ""
    assert all(found["majority"].answers)


def test_each_kind_of_record_learns_from_its_own_training_records():
    report = {"instruction": "Report.", "input": "a b", "output": "All well.", "task": "report"}
    asked = question("What moves?", MANUAL, "the pump")
    told = answers("majority", [report, report, asked], [asked, report])
    assert told == ["the pump", "All well."]


def test_json_and_prose_get_the_methods_that_can_answer_them():
    asked = question("What moves?", MANUAL, "the pump")
    assert "best sentence" not in rivals.answer(ORDERS, ORDERS[:2])
    assert "linear model" not in rivals.answer([asked], [asked])


def test_records_of_the_geology_schema_are_answered_too():
    record = {
        "system": "",
        "instruction": "Which?",
        "context": "Quartz is hard.",
        "answer": "Quartz",
    }
    assert answers("nearest neighbour", [record], [record]) == ["Quartz"]
    assert answers("best sentence", [record], [record]) == ["Quartz is hard."]


def test_an_input_without_a_word_still_gets_an_answer():
    record = question("What is it?", "", "nothing")
    assert answers("best sentence", [record], [record]) == ["What is it?"]


def test_the_same_records_give_the_same_answers():
    first, again = (rivals.answer(ORDERS, ORDERS) for _ in range(2))
    assert {name: one.answers for name, one in first.items()} == {
        name: one.answers for name, one in again.items()
    }
    assert all(one.seconds >= 0 for one in first.values())


@pytest.mark.parametrize(("train", "test"), [([], ORDERS), (ORDERS, [])])
def test_an_empty_part_is_an_error_with_a_cure(train, test):
    with pytest.raises(CourseError, match="rivals need both parts"):
        rivals.answer(train, test)
