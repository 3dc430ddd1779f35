"""Scores of the three tasks, worked out by hand."""

import math

import numpy as np
import pytest

from course_utils import tasks
from course_utils.errors import CourseError


def qa(output, facts=""):
    return {"instruction": "?", "input": "x", "output": output, "task": "qa", "facts": facts}


def report(facts, output="r"):
    return qa(output, facts) | {"task": "report"}


def understanding(output):
    return qa(output) | {"task": "understanding"}


def columns(answers, nll=1.0, tokens=1):
    return {"answers": answers, "nll": [nll] * len(answers), "tokens": [tokens] * len(answers)}


# --- Token F1 ---


@pytest.mark.parametrize(
    ("told", "asked", "expected"),
    [
        ("at most 4.5 mm/s", "At most 4.5 mm/s.", 1.0),
        ("the pump", "a pump!", 1.0),
        ("4.5", "45", 0.0),
        ("1,500 AUD", "1500 AUD", 1.0),
        ("1,500,000", "1500000.", 1.0),
        ("15,00", "1500", 0.0),
        ("-5 °C", "5 °C", 0.5),
        ("(5 °C)", "5 °C", 1.0),
        ("bucket cylinder seal", "bucket hose", 2 / 5),  # 1 shared of 3 told and 2 asked
        ("pump pump pump", "pump", 2 / 4),  # bags: one of the three counts
        ("pump", "pump pump", 2 / 3),
        ("", "pump", 0.0),
        ("pump", "", 0.0),
        ("...", "pump", 0.0),
        ("", "", 1.0),
        ("BUCKET\n\tCYL", "bucket cyl", 1.0),
        ("leak", "leaks", 0.0),
    ],
)
def test_token_f1_counts_the_words_that_both_have(told, asked, expected):
    assert tasks.token_f1(told, asked) == pytest.approx(expected)


def test_token_f1_does_not_care_which_side_is_which_nor_for_the_order():
    for told, asked in (("a b c", "c d"), ("red pump", "pump red"), ("", "x")):
        assert tasks.token_f1(told, asked) == tasks.token_f1(asked, told)
    assert tasks.token_f1("red pump", "pump red") == 1


def test_an_empty_answer_is_never_right_where_an_article_was_asked_for():
    assert tasks.token_f1("", "A") == 0
    assert tasks.token_f1("A", "A") == 1


# --- The scores of a record ---


def test_a_report_without_facts_is_not_scored():
    records = [report("cost=12 AUD; system=Engine"), report("")]
    scores = tasks.record_scores(["12 AUD in 3 days", "x"], records)
    assert scores["fact_f1"][0] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))  # no engine, and 3 days
    assert scores["fact_recall"][0] == scores["fact_precision"][0] == 0.5
    assert all(math.isnan(column[1]) for column in scores.values())


def test_questions_are_matched_where_they_have_facts_and_compared_where_they_are_prose():
    records = [qa("4.5 mm/s", "answer=4.5 mm/s"), qa("It leaks.", "a=leak"), qa("the bucket")]
    scores = tasks.record_scores(["4.50 mm/s", "no leak", "bucket"], records)
    assert scores["fact_match"][:2].tolist() == [1, 0]
    assert math.isnan(scores["fact_match"][2])
    assert math.isnan(scores["token_f1"][0])
    assert scores["token_f1"][2] == 1


def test_an_answer_that_was_cut_is_counted():
    records = [qa("4.5 mm/s", "answer=4.5 mm/s")] * 2
    assert tasks.record_scores(["4.5 mm/s", "x " * 50], records)["cut"].tolist() == [0, 1]


def test_the_main_score_of_one_answer():
    assert tasks.main_score("4.50 mm/s", qa("4.5 mm/s", "answer=4.5 mm/s")) == 1
    assert tasks.main_score("12 AUD", report("cost=12 AUD; days=3 d")) == pytest.approx(2 / 3)
    assert tasks.main_score('{"a": "x"}', understanding('{"a": "x"}')) == 1
    assert tasks.main_score("x", qa("x")) is None
    assert tasks.main_score("x", report("")) is None


def test_records_of_geology_are_questions():
    record = {"system": "", "instruction": "?", "context": "", "answer": "2.65", "facts": "a=2.65"}
    assert tasks.task_of(record) == "qa"
    scores = tasks.score_task(["2.65"], [record], [1.0], [1])
    assert scores["fact_match"] == 1


def test_a_broken_facts_line_is_a_course_error():
    with pytest.raises(CourseError, match="NAME=VALUE"):
        tasks.record_scores(["x"], [report("twelve")])


# --- Which task ---


def test_the_task_is_read_from_the_record_or_from_its_answer():
    assert tasks.task_of({"task": "report", "output": "{}"}) == "report"
    assert tasks.task_of({"output": '{"part": "hose"}'}) == "understanding"
    assert tasks.task_of({"output": "the hose", "task": ""}) == "qa"


def test_records_are_found_by_task_in_a_fixed_order():
    records = [qa("x"), understanding("{}"), qa("y")]
    assert tasks.by_task(records) == {"understanding": [1], "qa": [0, 2]}
    assert list(tasks.by_task(records)) == ["understanding", "qa"]
    assert tasks.by_task([]) == {}


def test_tasks_are_not_scored_together():
    with pytest.raises(CourseError, match="2 tasks cannot be scored together"):
        tasks.record_scores(["a", "b"], [qa("a"), report("x=1")])
    with pytest.raises(CourseError, match="0 tasks"):
        tasks.record_scores([], [])


def test_every_score_has_a_name_and_every_task_a_main_score():
    assert set(tasks.MAIN_SCORE) == set(tasks.SCORES) == set(tasks.TASKS)
    for task, scores in tasks.SCORES.items():
        assert tasks.MAIN_SCORE[task] == scores[0]
        assert set(scores) <= set(tasks.NAMES)


# --- Scores of a set ---


def test_scores_of_questions_are_means_over_the_records_they_apply_to():
    records = [qa("4.5 mm/s", "answer=4.5 mm/s"), qa("the bucket cylinder"), qa("3", "Cp=3")]
    answers = ["4.5 mm/s", "bucket", "4"]
    scores = tasks.score_task(answers, records, nll=[1, 2, 3], tokens=[1, 1, 2])
    assert list(scores) == list(tasks.SCORES["qa"])
    assert scores["fact_match"] == 1 / 2
    assert scores["token_f1"] == pytest.approx(2 / 3)  # the bare numbers are no prose
    assert scores["cut"] == 0
    assert scores["perplexity"] == pytest.approx(math.exp(6 / 4))


def test_scores_of_questions_without_facts_have_no_fact_match():
    assert tasks.score_task(["x"], [qa("x")], [1.0], [1])["fact_match"] is None


def test_scores_of_reports():
    records = [report("cost=12 AUD", "cost 12 AUD"), report("", "nothing"), report("days=3 d")]
    scores = tasks.score_task(["cost 12 AUD", "nothing", "3 AUD"], records, [2.0] * 3, [2] * 3)
    assert list(scores) == list(tasks.SCORES["report"])
    assert scores["fact_f1"] == scores["fact_recall"] == scores["fact_precision"] == 1 / 2
    assert scores["perplexity"] == pytest.approx(math.e)
    assert 0 < scores["rougeL"] < 1


def test_scores_of_understanding_are_those_of_the_fields():
    records = [understanding('{"a": "x", "b": "y"}'), understanding('{"a": "z"}')]
    answers = ['Sure: {"a": "x", "c": "q"}', '{"a": "Z"}']
    scores = tasks.score_task(answers, records, [1, 1], [1, 1])
    assert list(scores) == ["field_f1", "exact_match", "perplexity"]
    assert scores["field_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores["exact_match"] == 1 / 2


def test_as_many_answers_as_records_are_needed():
    with pytest.raises((CourseError, ValueError)):
        tasks.score_task(["x"], [qa("x"), qa("y")], [1, 1], [1, 1])


# --- Differences ---


def test_the_interval_of_equal_gains_is_that_gain():
    records = [qa("pump")] * 4
    result = tasks.compare_task(records, columns(["x"] * 4), columns(["pump"] * 4), samples=50)
    assert result["token_f1"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert result["rougeL"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert result["fact_match"] is None
    assert result["perplexity"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_the_interval_of_one_gain_in_two_records_reaches_from_none_to_all():
    """Draws of two records: gains 0, 1/2, 1 with the chances 1/4, 1/2, 1/4."""
    records = [qa("pump"), qa("hose")]
    result = tasks.compare_task(records, columns(["x", "x"]), columns(["pump", "x"]), 2000)
    assert result["token_f1"] == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_the_interval_is_that_of_the_draws_worked_out_again():
    gains = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    records = [qa("pump")] * 5
    tuned = columns(["pump" if gain else "x" for gain in gains])
    found = tasks.compare_task(records, columns(["x"] * 5), tuned, samples=300, seed=9)["token_f1"]
    rng = np.random.default_rng(9)
    means = sorted(gains[rng.integers(0, 5, (300, 5))].mean(axis=1))
    assert found["mean"] == pytest.approx(0.6)
    assert found["low"] == pytest.approx(np.percentile(means, 2.5))
    assert found["high"] == pytest.approx(np.percentile(means, 97.5))


def test_records_without_facts_do_not_thin_the_gain():
    records = [qa("3", "Cp=3"), qa("pump"), qa("hose")]
    base, tuned = columns(["4", "x", "x"]), columns(["3", "x", "x"])
    result = tasks.compare_task(records, base, tuned, samples=20)
    assert result["fact_match"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_the_interval_of_fact_f1_is_that_of_its_mean_over_records():
    """Gains 1 and 0 in two records: draws give 0, 1/2, 1 with the chances 1/4, 1/2, 1/4."""
    records = [report("cost=12 AUD"), report("cost=13 AUD")]
    result = tasks.compare_task(records, columns(["x", "x"]), columns(["12 AUD", "x"]), 2000)
    assert result["fact_f1"] == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_the_same_seed_gives_the_same_interval():
    records = [qa(word) for word in ("pump", "hose", "seal", "belt", "gear")]
    sides = columns(["pump", "x", "x", "belt", "x"]), columns(["x", "hose", "x", "belt", "gear"])
    first, again, other = (tasks.compare_task(records, *sides, 40, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_score_of_a_task_has_a_difference():
    reports = [report("cost=12 AUD", "cost is 12 AUD"), report("cost=3 AUD", "cost is 3 AUD")]
    result = tasks.compare_task(
        reports, columns(["x", "y"], 2.0), columns(["12 AUD", "cost is 3 AUD"], 1.0), 20
    )
    assert list(result) == list(tasks.SCORES["report"])
    assert result["fact_f1"]["mean"] == 1
    assert result["perplexity"]["high"] < 0
    fields = [understanding('{"a": "x"}')]
    result = tasks.compare_task(fields, columns(["no"]), columns(['{"a": "x"}']), 20)
    assert list(result) == list(tasks.SCORES["understanding"])
    assert result["field_f1"]["mean"] == result["exact_match"]["mean"] == 1


@pytest.mark.parametrize(
    ("score", "low", "high", "gain"),
    [
        ("token_f1", 0.01, 0.2, True),
        ("token_f1", 0.0, 0.2, False),
        ("token_f1", -0.2, -0.1, False),
        ("perplexity", -0.2, -0.1, True),
        ("perplexity", -0.2, 0.0, False),
        ("perplexity", 0.1, 0.2, False),
        ("cut", -0.2, -0.1, True),
    ],
)
def test_a_gain_needs_the_whole_interval_on_the_better_side(score, low, high, gain):
    assert tasks.is_gain(score, {"mean": 0, "low": low, "high": high}) is gain


def test_a_score_that_does_not_apply_is_no_gain():
    assert tasks.is_gain("token_f1", None) is False


# --- Several tasks together: what the notebooks score ---


def test_the_main_score_follows_from_task_and_facts():
    fact = "answer=5 °C"
    assert tasks.main_of([understanding('{"a": "b"}')]) == "field_f1"
    assert tasks.main_of([report("mean=5 °C"), report("")]) == "fact_f1"
    assert tasks.main_of([report("")]) == "rougeL"
    assert tasks.main_of([qa("5 °C", fact), qa("x")]) == "fact_match"
    assert tasks.main_of([qa("x")]) == "token_f1"
    assert tasks.main_of([qa("5 °C", fact), understanding('{"a": "b"}')]) == "task_score"


def test_the_score_of_several_tasks_is_the_mean_over_their_records():
    records = [qa("5 °C", "answer=5 °C"), qa("the red pump"), understanding('{"a": "b", "c": "d"}')]
    scores = tasks.score_all(["5 °C", "red", '{"a": "b"}'], records)
    assert scores["fact_match"] == 1
    assert scores["token_f1"] == pytest.approx(2 / 3)  # of the answer in prose alone
    assert scores["task_score"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert scores["fact_f1"] is None


def test_records_of_one_task_have_no_mean_of_tasks():
    scores = tasks.score_all(['{"a": "b"}'], [understanding('{"a": "b"}')])
    assert scores["field_f1"] == 1
    assert [scores[name] for name in ("task_score", "fact_match", "token_f1")] == [None] * 3


def test_an_interval_over_several_tasks_holds_the_gain():
    records = [qa("5 °C", "answer=5 °C"), understanding('{"a": "b"}')] * 10
    right = [record["output"] for record in records]
    references = {"references": right, "records": records}
    base = {"predictions": ["no"] * 20, **references}
    difference = tasks.paired_bootstrap(base, {"predictions": right, **references}, 50, 1)
    assert difference["task_score"] == {"mean": 1, "low": 1, "high": 1}
    assert difference["fact_match"] == {"mean": 1, "low": 1, "high": 1}
    assert difference["fact_f1"] is None
