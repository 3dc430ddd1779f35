"""Weeks 9-10: what is true earns its points, what is not does not; on the nano model."""

import json
import math
from collections import Counter
from types import SimpleNamespace

import pytest
from nano_cases import adapter, case_of, judged, share

from course_utils import tasks
from course_utils.grading.judging.models import week09_10
from course_utils.grading.probing.bases import NotGradable


@pytest.fixture(scope="module")
def case(pipeline, box):
    return case_of(pipeline, box)


@pytest.mark.parametrize(
    "name", ["adapter_loads", "training_log_true", "baseline_reproduced", "answers_reproduced"]
)
def test_evidence_that_is_true_earns_all_points(case, name):
    assert share(case, name) == 1, judged(case, name)


def test_a_line_of_the_test_part_that_stands_twice_costs_no_answer(work, box):
    # "no prompt stands twice in a part" is asked for by `data_valid` alone.
    path = work / "data" / "test.jsonl"
    text = path.read_text()
    path.write_text(text + text.splitlines()[0] + "\n")
    assert share(case_of(work, box), "answers_reproduced") == 1


def test_a_broken_line_leaves_a_drawn_sample_and_not_the_records_of_the_run(work, box):
    """`validation_improves` draws from the part; the log is about the records that the run drew."""
    path = work / "data" / "val.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:40]]) + "\n")
    own = case_of(work, box)
    assert judged(own, "validation_improves").points is not None
    log = judged(own, "training_log_true")
    assert log.points is None
    assert f"1 of {len(lines)} lines of data/val.jsonl" in log.feedback


def test_an_adapter_of_random_numbers_does_not_improve_the_loss(case):
    found = judged(case, "validation_improves")
    assert found.points <= case.rubric.item("validation_improves").points / 2
    assert "20% earn all points" in found.feedback


def test_nobody_is_judged_on_hidden_records_in_practice(case):
    found = judged(case, "unseen_records")
    assert found.points is None
    assert "instructor" in found.feedback


class Hidden:
    """Records that this class was not given: here those of its own test part."""

    def __init__(self, records):
        self.own = records
        self.tasks = list(tasks.by_task(records))

    def records(self, task, count, unlike=()):
        return [record for record in self.own if record["task"] == task][:count]


def test_hidden_records_are_asked_of_both_models_and_shown_to_nobody(pipeline, box):
    rows = [json.loads(line) for line in (pipeline / "data" / "test.jsonl").open()]
    case = case_of(pipeline, box, hidden=Hidden(rows))
    found = judged(case, "unseen_records")
    assert found.points is not None
    assert len(found.evidence) == 3
    told = json.dumps([str(row) for row in found.evidence]) + found.feedback
    assert not any(row["output"][:30] in told or row["input"][:30] in told for row in rows)


class Models:
    """Base: never right. Tuned: as `knows` says."""

    def __init__(self, knows):
        self.knows, self.asked = knows, Counter()

    def answers(self, records, tuned, like=()):
        self.asked.update((record["task"], tuned) for record in records)
        return [r["output"] if tuned and self.knows(r) else "nothing" for r in records]


def test_a_task_that_was_not_won_is_asked_more_of_and_the_others_are_not(monkeypatch):
    """Understanding is won at once, qa on the further records, report never."""
    answers = {"understanding": '{"system": "Pump"}', "report": "4.5 l", "qa": "4.5 l"}
    rows = [
        {"task": task, "input": str(n), "output": text, "facts": f"answer={text}"}
        for task, text in answers.items()
        for n in range(30)
    ]
    knows = {"understanding": 0, "qa": 6, "report": 99}
    models = Models(lambda record: int(record["input"]) >= knows[record["task"]])
    monkeypatch.setattr(week09_10, "_part", lambda case, part: [])
    case = SimpleNamespace(
        hidden=Hidden(rows),
        assignment="week09_10_manufacturing",
        models=models,
        item=SimpleNamespace(points=6.0),
    )
    asked = week09_10._hidden_questions(case)
    case.facts = {"answers": {"hidden": models.answers(asked, tuned=True)}}
    found = week09_10.unseen_records(case)
    assert found.points == 4
    assert [row.note.partition("; ")[2] for row in found.evidence] == [
        "6 hidden records",
        "18 hidden records",
        "18 hidden records",
    ]
    assert models.asked[("understanding", True)] == 6
    assert models.asked[("qa", True)] == models.asked[("report", False)] == 18


def test_a_loss_that_was_written_in_by_hand_earns_nothing(work, box):
    path = work / "run" / "training.json"
    content = json.loads(path.read_text())
    content["eval_loss"], content["perplexity"] = 1.0, 2.718281828459045
    path.write_text(json.dumps(content))
    case = case_of(work, box)
    found = judged(case, "training_log_true")
    assert found.points == 0
    assert [e.stated for e in found.evidence if e.label == "validation loss"] == ["1.0000"]
    assert [s.agrees for s in case.facts["stated"]] == [False]


def test_losses_of_the_records_that_were_lowered_with_their_mean_earn_nothing(work, box):
    path = work / "run" / "training.json"
    content = json.loads(path.read_text())
    rows = [[nll * 0.9, tokens] for nll, tokens in content["validation_losses"]]
    mean = sum(nll for nll, _ in rows) / sum(tokens for _, tokens in rows)
    content |= {"validation_losses": rows, "eval_loss": mean, "perplexity": math.exp(mean)}
    path.write_text(json.dumps(content))
    found = judged(case_of(work, box), "training_log_true")
    assert found.points == 0
    assert "another loss" in found.feedback


def test_answers_of_another_adapter_lose_points(work, box):
    path = work / "run" / "evaluation.json"
    content = json.loads(path.read_text())
    for row in content["predictions"]:
        row["tuned"] = row["reference"]
    path.write_text(json.dumps(content))
    assert share(case_of(work, box), "answers_reproduced") == 0


def test_a_baseline_with_other_scores_loses_its_points(work, box):
    path = work / "run" / "baseline.json"
    content = json.loads(path.read_text())
    rows = json.loads((work / "run" / "evaluation.json").read_text())["predictions"]
    content["systems"]["zero_shot"]["answers"] = [row["reference"] for row in rows]
    path.write_text(json.dumps(content))
    assert share(case_of(work, box), "baseline_reproduced") == 0


@pytest.mark.parametrize("options", [{"target_modules": ["up_proj"]}, {"r": 4}])
def test_an_adapter_with_files_of_two_trainings_does_not_load(work, box, options):
    folder = work / "models" / "finetuned_model"
    config = (folder / "adapter_config.json").read_text()
    adapter(folder, **({"target_modules": ["k_proj"]} | options))
    (folder / "adapter_config.json").write_text(config)
    found = judged(case_of(work, box), "adapter_loads")
    assert found.points == 0
    assert "two trainings" in found.feedback or "judged.adapter_incomplete" in found.feedback


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("meta-llama/Llama-3.1-8B", "not on this machine"),
        ("someone/unknown-7b", "not in the grader's registry"),
    ],
)
def test_a_base_model_that_is_not_here_is_no_zero(work, box, name, said):
    path = work / "configs" / "lora_config.yaml"
    path.write_text(path.read_text().replace("base_model: nano", f"base_model: {name}"))
    with pytest.raises(NotGradable, match=said) as problem:
        judged(case_of(work, box), "adapter_loads")
    assert problem.value.cure


def test_what_the_base_model_says_is_computed_once_for_a_class(pipeline, box):
    case = case_of(pipeline, box)
    judged(case, "baseline_reproduced")
    again = case_of(pipeline, box, shared=case.shared)
    before = case.shared.computed
    judged(again, "baseline_reproduced")
    assert case.shared.computed == before
    assert again.models.cpu_seconds == {}
