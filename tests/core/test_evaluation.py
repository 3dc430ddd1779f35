"""Drawing records, examples and answers; which baseline counts."""

import math
from collections import Counter

import pytest

from course_utils import chat, evaluation, models, tasks
from course_utils.errors import CourseError

TASKS = ("understanding", "report", "qa")


def record(task, number, output="It is worn.", document="quality_report"):
    return {
        "instruction": f"Question {number} of {task}?",
        "input": f"sheet {number}",
        "output": output,
        "task": task,
        "document": document,
    }


POOL = [record(task, n) for task in TASKS for n in range(30)]


# --- draw ---


@pytest.mark.parametrize("count", [1, 3, 30, 31, 90])
def test_records_are_drawn_evenly_and_none_twice(count):
    drawn = evaluation.draw(POOL, count, 1, TASKS)
    sizes = Counter(r["task"] for r in drawn)
    assert sum(sizes.values()) == count
    assert max(sizes.values()) - min(sizes[task] for task in TASKS) <= 1
    assert len({r["instruction"] for r in drawn}) == count


def test_records_are_drawn_evenly_from_the_forms_where_each_needs_an_interval():
    forms = ("name only", "number and unit only")
    pool = POOL[:60] + [{**r, "form": forms[n % 5 > 0]} for n, r in enumerate(POOL[60:])]
    drawn = evaluation.draw(pool, 20, 1, TASKS, by_form=True)
    assert Counter((r["task"], r.get("form")) for r in drawn) == {
        ("understanding", None): 5,
        ("report", None): 5,
        ("qa", "name only"): 5,
        ("qa", "number and unit only"): 5,
    }
    alone = evaluation.draw(pool, 10, 1, ["qa"], by_form=True)  # the bonus: one adapter a task
    assert {r["instruction"] for r in alone} == {
        r["instruction"] for r in drawn if r["task"] == "qa"
    }


def test_only_the_tasks_that_are_asked_for_are_drawn():
    drawn = evaluation.draw(POOL, 40, 1, ["qa", "report"])
    assert Counter(r["task"] for r in drawn) == {"qa": 20, "report": 20}


def test_a_small_task_gives_all_it_has_and_the_others_fill_up():
    pool = POOL[:2] + POOL[30:]  # 2 of understanding
    drawn = evaluation.draw(pool, 32, 1, TASKS)
    assert Counter(r["task"] for r in drawn) == {"understanding": 2, "report": 15, "qa": 15}


def test_a_task_with_a_larger_share_gives_more_and_the_same_records_first():
    drawn = evaluation.draw(POOL, 40, 1, TASKS, shares={"qa": 3})
    assert Counter(r["task"] for r in drawn) == {"understanding": 8, "report": 8, "qa": 24}
    evenly = {r["instruction"] for r in evaluation.draw(POOL, 40, 1, TASKS) if r["task"] == "qa"}
    assert evenly < {r["instruction"] for r in drawn}


FORMS = ("name only", "number and unit only", "one sentence")
FORMED = POOL[:60] + [{**r, "form": FORMS[n % 3]} for n, r in enumerate(POOL[60:])]


def test_a_form_can_be_given_a_share_or_left_out():
    shares = {"qa": 2, "qa/name only": 1, "qa/one sentence": 0}
    drawn = evaluation.draw(FORMED, 20, 1, TASKS, shares=shares)
    assert Counter((r["task"], r.get("form")) for r in drawn) == {
        ("understanding", None): 4,
        ("report", None): 4,
        ("qa", "name only"): 4,
        ("qa", "number and unit only"): 8,
    }


def test_forms_that_are_left_out_do_not_count_as_records_that_are_there():
    shares = {f"qa/{form}": 0 for form in FORMS[1:]}
    with pytest.raises(CourseError, match="40 records are wanted of the tasks qa; there are: qa/"):
        evaluation.draw(FORMED, 40, 1, ["qa"], shares=shares)


def test_a_form_that_no_record_has_is_named_with_those_there_are():
    with pytest.raises(CourseError, match="qa has no record .* one sentance") as problem:
        evaluation.draw(FORMED, 20, 1, TASKS, shares={"qa/one sentance": 2})
    assert "its forms: name only, number and unit only, one sentence" in problem.value.cure
    evaluation.draw(FORMED, 20, 1, ["report"], shares={"qa/one sentance": 2})  # not its task


def test_a_task_is_shared_out_by_documents_or_by_forms():
    pool = [{**r, "document": ("log", "manual")[n % 2]} for n, r in enumerate(FORMED)]
    shares = {"qa/manual": 3, "report/log": 0}
    drawn = evaluation.draw(pool, 24, 1, TASKS, shares=shares)
    assert Counter((r["task"], r["document"]) for r in drawn if r["task"] != "understanding") == {
        ("report", "manual"): 4,
        ("qa", "log"): 4,
        ("qa", "manual"): 12,
    }
    with pytest.raises(CourseError, match="by forms and by documents: manual, name only"):
        evaluation.draw(pool, 24, 1, TASKS, shares={"qa/manual": 3, "qa/name only": 2})


def test_with_shares_each_form_of_a_task_is_tested_as_often():
    drawn = evaluation.draw(FORMED, 32, 1, TASKS, by_form=True, shares={"qa": 2})
    counts = Counter((r["task"], r.get("form")) for r in drawn)
    assert counts == {("understanding", None): 4, ("report", None): 4} | {
        ("qa", form): 8 for form in FORMS
    }


def test_the_draw_follows_the_seed_is_mixed_and_leaves_the_pool_alone():
    before = list(POOL)
    first, again, other = (evaluation.draw(POOL, 30, seed, TASKS) for seed in (1, 1, 2))
    assert first == again != other
    assert before == POOL
    order = [r["task"] for r in first]
    assert order != sorted(order)
    assert order != list(TASKS) * 10


def test_a_task_gives_the_same_records_whatever_the_others():
    alone = evaluation.draw(POOL, 10, 5, ["qa"])
    mixed = [r for r in evaluation.draw(POOL, 30, 5, TASKS) if r["task"] == "qa"]
    assert {r["instruction"] for r in alone} == {r["instruction"] for r in mixed}


@pytest.mark.parametrize(
    ("count", "only", "said"),
    [(91, TASKS, "qa 30"), (31, ["qa"], "there are: qa 30"), (1, ["x"], "there are: none")],
)
def test_too_few_records_are_refused_with_what_there_is(count, only, said):
    with pytest.raises(CourseError, match=f"{count} records are wanted.*{said}"):
        evaluation.draw(POOL, count, 1, only)


def test_nothing_is_drawn_when_nothing_is_asked_for():
    assert evaluation.draw(POOL, 0, 1, TASKS) == []
    assert evaluation.draw([], 0, 1, TASKS) == []


# --- lengths and examples ---


def test_the_room_for_an_answer_is_the_longest_of_its_task_in_training(tokenizer):
    train = [record("qa", 1, "yes"), record("qa", 2, "a much longer answer"), record("report", 1)]
    tokens = len(tokenizer("a much longer answer", add_special_tokens=False)["input_ids"])
    lengths = evaluation.answer_lengths(train, tokenizer)
    assert lengths["qa"] == tokens + evaluation.ROOM
    assert set(lengths) == {"qa", "report"}


def test_the_examples_are_of_different_documents_where_possible():
    documents = ["a", "a", "a", "b", "b", "c"] * 5
    train = [record("qa", n, document=name) for n, name in enumerate(documents)]
    pool = evaluation.few_shot_pool(train, 3, seed=1)
    assert sorted(r["document"] for r in pool["qa"]) == ["a", "b", "c"]
    assert len(evaluation.few_shot_pool(train[:3], 3, seed=1)["qa"]) == 3  # all of "a"
    assert len(evaluation.few_shot_pool(train[:2], 3, seed=1)["qa"]) == 2


def test_the_examples_are_short_distinct_and_drawn_from_the_seed():
    train = [record("qa", n, "long " * n + "end") for n in range(200)]
    pools = [evaluation.few_shot_pool(train, 4, seed)["qa"] for seed in (1, 1, 2)]
    assert pools[0] == pools[1] != pools[2]
    assert len({r["instruction"] for r in pools[0]}) == 4
    mean = sum(len(r["output"]) for r in train) / 200
    assert max(len(r["output"]) for r in pools[0]) < mean


# --- answers of a real model ---


@pytest.fixture(scope="module")
def nano(nano_model_path):
    return models.load_model("nano")


MIXED = [
    record("qa", 1) | {"facts": "state=worn", "form": "one sentence"},
    record("report", 2),
    record("qa", 3) | {"facts": "state=worn", "form": "one sentence"},
    record("understanding", 4, '{"part": "hose"}'),
]
ROOM = dict.fromkeys(TASKS, 4)


def test_answers_and_likelihoods_come_in_the_order_of_the_records(nano, tokenizer):
    columns = evaluation.answer(nano, tokenizer, MIXED, ROOM, batch_size=2)
    for index, own in enumerate(MIXED):
        alone = evaluation.answer(nano, tokenizer, [own], ROOM, batch_size=1)
        assert columns["answers"][index] == alone["answers"][0]
        assert columns["nll"][index] == pytest.approx(alone["nll"][0], rel=1e-3)
        assert columns["tokens"][index] == alone["tokens"][0]
        assert alone["tokens"][0] == chat.tokenize_record(own, tokenizer).completion_length
    assert all(math.isfinite(nll) and nll > 0 for nll in columns["nll"])


def test_examples_change_the_prompt_and_not_what_is_scored(nano, tokenizer):
    examples = {"qa": [record("qa", 8), record("qa", 9)]}
    plain = evaluation.answer(nano, tokenizer, MIXED, ROOM, 2)
    shown = evaluation.answer(nano, tokenizer, MIXED, ROOM, 2, examples)
    assert shown["tokens"] == plain["tokens"]
    assert shown["nll"][1] == pytest.approx(plain["nll"][1], rel=1e-3)  # no example of a report
    assert shown["nll"][0] != pytest.approx(plain["nll"][0], rel=1e-3)


def test_a_task_that_was_not_trained_on_is_a_course_error(nano, tokenizer):
    with pytest.raises(CourseError, match="no training record is of the task understanding"):
        evaluation.answer(nano, tokenizer, MIXED, {"qa": 4, "report": 4}, 2)


# --- baseline and comparison ---


def prompts(zero, few, zero_perplexity=2.0, few_perplexity=3.0):
    return {
        "zero_shot": {"qa": {"fact_match": zero, "perplexity": zero_perplexity}},
        "few_shot": {"qa": {"fact_match": few, "perplexity": few_perplexity}},
    }


@pytest.mark.parametrize(
    ("scores", "better"),
    [
        (prompts(0.2, 0.1), "zero_shot"),
        (prompts(0.1, 0.2), "few_shot"),
        (prompts(0.1, 0.1), "zero_shot"),
        (prompts(0.1, 0.1, 3.0, 2.0), "few_shot"),
        (prompts(0.1, 0.1, None, 9.0), "few_shot"),
        (prompts(None, 0.0), "few_shot"),
        (prompts(0.0, None), "zero_shot"),
    ],
)
def test_the_tuned_model_has_to_beat_the_better_prompt(scores, better):
    assert evaluation.better_prompt(scores, "qa") == better


def columns(answers, nll=1.0):
    return {"answers": answers, "nll": [nll] * len(answers), "tokens": [1] * len(answers)}


def system(records, answers, nll=1.0):
    own = columns(answers, nll)
    return {**own, "scores": evaluation.score(records, own)}


def test_scores_are_taken_task_by_task():
    scores = evaluation.score(MIXED, columns(["It is worn.", "x", "y", MIXED[3]["output"]]))
    assert list(scores) == ["understanding", "report", "qa"]
    assert scores["qa"]["fact_match"] == scores["qa"]["token_f1"] == 0.5
    assert scores["understanding"]["exact_match"] == 1
    assert scores["report"]["fact_f1"] is None


def test_each_task_is_compared_with_its_own_better_prompt():
    zero = system(MIXED, ["It is worn.", "x", "It is worn.", "no"])
    few = system(MIXED, ["x", "It is worn.", "x", MIXED[3]["output"]])
    tuned = columns([own["output"] for own in MIXED])
    result = evaluation.compare(MIXED, {"zero_shot": zero, "few_shot": few}, tuned, samples=20)
    assert result["qa"]["base_prompt"] == "zero_shot"
    assert result["understanding"]["base_prompt"] == "few_shot"
    for task, own in result.items():
        assert own["main"] == tasks.MAIN_SCORE[task]
        assert own["base"] == own[own["base_prompt"]]
        assert set(own["difference"]) == set(tasks.SCORES[task])
        assert own["gain"] is False
    assert result["qa"]["records"] == 2
    rows = evaluation.prediction_rows(MIXED, {"zero_shot": zero, "few_shot": few}, tuned, result)
    assert [row["base"] for row in rows][::3] == ["It is worn.", MIXED[3]["output"]]
    assert [row["tuned"] for row in rows] == tuned["answers"]
    assert [row["form"] for row in rows] == ["one sentence", "", "one sentence", ""]


def test_a_gain_that_every_record_shows_is_a_gain():
    base = system(MIXED, ["x"] * 4, nll=2.0)
    tuned = columns(["It is worn.", "x", "It is worn.", "no"])
    result = evaluation.compare(MIXED, {"zero_shot": base, "few_shot": base}, tuned, samples=50)
    assert result["qa"]["gain"] is True
    assert result["qa"]["difference"]["fact_match"]["mean"] == 1
    assert result["report"]["gain"] is False


def test_forgetting_is_measured_with_and_without_the_adapter(tokenizer):
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(models.load_model("nano"), LoraConfig(r=2, target_modules=["q_proj"]))
    untrained = evaluation.forgetting(model, tokenizer)
    assert untrained["base"] == pytest.approx(untrained["tuned"])  # B = 0: the adapter adds nothing
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=100.0)
    changed = evaluation.forgetting(model, tokenizer)
    assert changed["base"] == pytest.approx(untrained["base"])
    assert changed["tuned"] != pytest.approx(untrained["tuned"], rel=1e-3)
    assert changed["words"] > 100
