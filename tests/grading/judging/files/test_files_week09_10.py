"""Weeks 9-10: what each check of files gives; the comment beside an expected share argues it."""

import json
import re
import shutil

import pytest
from file_cases import case_of, judged, share, worth
from lab_submissions import save_adapter
from submissions import CONFIG, edit_json, replace

from course_utils import evaluation, splits
from course_utils.assignments import handout, writeup
from course_utils.grading.cache import Shared
from course_utils.grading.judging.files.common import WEEK09_10

AUTOMATIC = (
    *("data_valid", "data_no_leak", "data_coverage", "baseline_scores", "config_valid"),
    *("adapter_matches", "adapter_trained", "scores_true", "tuned_beats_base", "reports_true"),
    "requirements_complete",
)
EVALUATION, BASELINE = "run/evaluation.json", "run/baseline.json"


def case(folder, item, **more):
    return case_of(folder, WEEK09_10, item, **more)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def differing(own):
    return [stated.name for stated in own.facts.get("stated", ()) if not stated.agrees]


@pytest.mark.parametrize("item", AUTOMATIC)
def test_a_complete_submission_earns_all_points(week9_complete, item):
    own = case(week9_complete, item)
    assert share(own) == 1, judged(own)
    assert not differing(own)


@pytest.mark.parametrize("item", [*AUTOMATIC, "data_size"])
def test_the_untouched_starter_earns_its_requirements_and_nothing_else(tmp_path, item):
    # No data, no adapter, no run, placeholders in the configuration; requirements.txt comes
    # complete with the starter, and its scripts import nothing besides the kit.
    found = judged(case(handout.start("week09_10", tmp_path / "mine"), item))
    assert bool(found.points) is (item == "requirements_complete")
    assert found.points or found.feedback


def test_what_is_still_the_starters_is_noted(tmp_path):
    own = case(handout.start("week09_10", tmp_path / "mine"), "data_valid")
    judged(own)
    assert own.facts["hollow"] == ["hollow.starter"]


# --- Part 1 -------------------------------------------------------------------------------------


def orders(count):
    """Records that follow the schema and differ."""
    return [
        {"instruction": "Say what fails.", "input": f"order {n}: pump {n * 7919}", "output": "pump"}
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (orders(5000), 1),  # "at least 5,000 records that follow the schema"
        (orders(4999), 0),  # one short
        (orders(4999) + orders(40), 0),  # forty lines stand twice, and are no further records
        (orders(5000) + ["{broken"], 1),  # 5,000 follow the schema; the other is data_valid's
    ],
    ids=["5000", "4999", "duplicated", "one broken"],
)
def test_records_are_counted_again(tmp_path, lines, expected):
    (tmp_path / "data").mkdir()
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    for part, own in (("train", rows[:-20]), ("val", rows[-20:-10]), ("test", rows[-10:])):
        (tmp_path / "data" / f"{part}.jsonl").write_text("\n".join(own) + "\n")
    assert share(case(tmp_path, "data_size")) == expected


def test_a_stated_total_is_compared_and_not_believed(week9):
    # "the total in run/data_summary.json is only compared": it says 9,000.
    parts = {"train": 9000, "val": 500, "test": 500}
    edit_json(week9 / "run/data_summary.json", lambda told: told.update(parts=parts, kept=10_000))
    own = case(week9, "data_size")
    assert share(own) == 0
    assert len(differing(own)) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: lines + lines[:3],  # "no prompt stands twice in a part"
        lambda lines: [*lines[:-1], lines[-1][:40]],  # "Every line is UTF-8 JSON"
        lambda lines: [*lines, '{"instruction": "x", "input": "y"}'],  # "with ... output"
    ],
    ids=["twice", "cut", "no output"],
)
def test_one_bad_line_is_not_every_line(week9, spoil):
    path = week9 / "data" / "train.jsonl"
    path.write_text("\n".join(spoil(path.read_text().splitlines())) + "\n")
    found = judged(case(week9, "data_valid"))
    assert (found.points, "data/train.jsonl" in found.feedback) == (0, True)


@pytest.mark.parametrize(
    "spoil",
    [lambda lines: lines + lines[:3], lambda lines: [*lines[:-1], lines[-1][:40]], list],
    ids=["twice", "cut", "blank"],
)
def test_a_line_that_is_broken_or_stands_twice_makes_no_count_false(week9, spoil):
    # The summary says how many records were written, and so many there are; a blank line is none.
    path = week9 / "data" / "train.jsonl"
    lines = spoil(path.read_text().splitlines())
    path.write_text("\n".join(lines) + "\n\n")
    summary = week9 / "run/data_summary.json"
    edit_json(summary, lambda told: told["parts"].update(train=len(lines)))
    own = case(week9, "data_size")
    judged(own)
    assert differing(own) == []


def test_a_broken_line_of_the_test_part_does_not_cost_the_evaluation(week9):
    # "instead of a chain of zeros": the other lines still hold the references.
    path = week9 / "data" / "test.jsonl"
    path.write_text(path.read_text() + "{broken\n")
    assert share(case(week9, "data_valid")) == 0
    for item in ("data_no_leak", "baseline_scores", "scores_true", "tuned_beats_base"):
        assert share(case(week9, item)) == 1, item


def test_one_group_in_two_parts_is_a_leak(week9):
    # "no group stands in two parts": one record of the test part bears a group of training.
    group = read(week9 / "data/train.jsonl")[0]["group"]
    rows = read(week9 / "data/test.jsonl")
    rows[0]["group"] = group
    write(week9 / "data/test.jsonl", rows)
    found = judged(case(week9, "data_no_leak"))
    assert found.points == 0
    assert ("groups in two parts", "1") in {(row.label, row.found) for row in found.evidence}


def test_a_prompt_of_the_test_part_in_training_is_a_leak_and_the_claim_is_noted(week9):
    # "No prompt ... stands in two parts": one does, and data_summary.json says that none does.
    overlap = {"exact": 0, "near": 0, "groups": 0}
    edit_json(week9 / "run/data_summary.json", lambda told: told.update(overlap=overlap))
    rows = read(week9 / "data/train.jsonl") + read(week9 / "data/test.jsonl")[:1]
    write(week9 / "data/train.jsonl", rows)
    own = case(week9, "data_no_leak")
    assert share(own) == 0
    assert "run/data_summary.json: overlap, exact" in differing(own)


def test_equal_data_are_compared_once_a_class_and_changed_data_again(week9, monkeypatch):
    compare, calls = splits.overlap, []
    monkeypatch.setattr(splits, "overlap", lambda parts: calls.append(1) or compare(parts))
    shared = Shared()
    for _ in range(2):
        assert share(case(week9, "data_no_leak", shared=shared)) == 1
    assert len(calls) == 1
    rows = read(week9 / "data/train.jsonl") + read(week9 / "data/test.jsonl")[:1]
    write(week9 / "data/train.jsonl", rows)
    assert share(case(week9, "data_no_leak", shared=shared)) == 0
    assert len(calls) == 2


def test_a_part_that_is_not_there_proves_no_absence_of_leaks(week9):
    (week9 / "data/val.jsonl").unlink()
    assert share(case(week9, "data_no_leak")) == 0


@pytest.mark.parametrize("kept", [0, 2])
def test_a_task_that_is_missing_or_rare_in_a_part_is_no_coverage(week9, kept):
    # "all three tasks, none with less than a tenth": no question, or two beside all others.
    path = week9 / "data" / "train.jsonl"
    rows = read(path)
    asked = [row for row in rows if row["task"] == "qa"]
    write(path, [row for row in rows if row["task"] != "qa"] + asked[:kept])
    assert share(case(week9, "data_coverage")) == 0


def test_one_kind_of_document_is_too_few(week9):
    # "at least two kinds of document".
    for part in ("train", "val", "test"):
        path = week9 / "data" / f"{part}.jsonl"
        write(path, [{**row, "document": "equipment_manual"} for row in read(path)])
    assert share(case(week9, "data_coverage")) == 0


# --- Part 2 and 4 -------------------------------------------------------------------------------


def rewrite(folder, change):
    """evaluation.json after `change`, and both pages as a forger would write them again."""
    content = json.loads((folder / EVALUATION).read_text())
    baseline = json.loads((folder / BASELINE).read_text())
    change(content, baseline["systems"])
    (folder / EVALUATION).write_text(json.dumps(content))
    (folder / BASELINE).write_text(json.dumps(baseline))
    pages = {
        "evaluation_results": writeup.evaluation_page,
        "comparison_baseline": writeup.comparison_page,
    }
    for name, page in pages.items():
        (folder / "reports" / f"{name}.md").write_text(page(content))


def measure(content, systems):
    """All scores and intervals of these answers, as scripts/evaluate.py computes them."""
    rows = content["predictions"]
    test = [{**row, "output": row["reference"]} for row in rows]
    tuned = {name: [row[name] for row in rows] for name in ("nll", "tokens")}
    tuned["answers"] = [row["tuned"] for row in rows]
    for system in systems.values():
        system["scores"] = evaluation.score(test, system)
    content["tasks"] = evaluation.compare(test, systems, tuned, seed=content["seed"])
    rows[:] = evaluation.prediction_rows(test, systems, tuned, content["tasks"])


def test_a_raised_score_is_false_and_the_pages_are_those_of_the_file(week9):
    # "Every score ... is computed again": one does not follow. The pages follow from the file, and
    # the intervals from the answers, so neither of their items is lost.
    rewrite(week9, lambda content, _: content["tasks"]["qa"]["tuned"].update(token_f1=0.123))
    own = case(week9, "scores_true")
    assert share(own) == 0
    assert differing(own) == ["run/evaluation.json: qa, tuned, token F1"]
    assert share(case(week9, "reports_true")) == 1
    assert share(case(week9, "tuned_beats_base")) == 1


def test_a_lowered_perplexity_does_not_follow_from_the_stored_likelihoods(week9):
    edit_json(
        week9 / EVALUATION, lambda told: told["tasks"]["report"]["tuned"].update(perplexity=1.1)
    )
    assert share(case(week9, "scores_true")) == 0


def test_an_edited_interval_is_false(week9):
    def change(told):
        told["tasks"]["qa"]["difference"]["fact_match"]["low"] = 0.99

    edit_json(week9 / EVALUATION, change)
    assert share(case(week9, "scores_true")) == 0


def test_a_changed_answer_no_longer_gives_its_score(week9):
    # One stored answer of the tuned model is another one, the scores stayed.
    edit_json(week9 / EVALUATION, lambda told: told["predictions"][0].update(tuned="No idea."))
    assert share(case(week9, "scores_true")) == 0


def test_a_record_that_is_counted_twice_is_no_evaluation_of_the_test_part(week9):
    # A lucky record stands for another one of its task: the references are in data/test.jsonl once.
    def change(told):
        rows = told["predictions"]
        same = [row for row in rows if row["task"] == rows[0]["task"]]
        same[1].update(same[0])

    edit_json(week9 / EVALUATION, change)
    assert share(case(week9, "scores_true")) == 0
    assert share(case(week9, "tuned_beats_base")) == 0


def test_a_baseline_without_few_shot_is_half_a_baseline_and_earns_nothing(week9):
    # "under both prompts". The scores in evaluation.json still follow from its own answers.
    edit_json(week9 / BASELINE, lambda told: told["systems"].pop("few_shot"))
    assert share(case(week9, "baseline_scores")) == 0
    assert share(case(week9, "tuned_beats_base")) == 0
    assert share(case(week9, "scores_true")) == 1


def test_a_baseline_of_fewer_records_is_not_the_one_of_the_evaluation(week9):
    # "answers to all test records of the evaluation".
    edit_json(week9 / BASELINE, lambda told: told["systems"]["zero_shot"]["answers"].pop())
    assert share(case(week9, "baseline_scores")) == 0


def test_a_baseline_score_that_was_lowered_is_false(week9):
    def change(told):
        told["systems"]["few_shot"]["scores"]["report"]["rougeL"] = 0.01

    edit_json(week9 / BASELINE, change)
    own = case(week9, "baseline_scores")
    assert share(own) == 0
    assert differing(own) == ["run/baseline.json: report, few_shot, ROUGE-L"]


def test_comparing_with_the_weaker_prompt_is_seen_and_earns_no_gain_over_the_better(week9):
    # Few-shot answers are right, and the evaluation compares with zero-shot: "tuned minus the
    # better of the two baselines" is 0, so no task earns anything; the file's base is the weaker.
    def change(content, systems):
        systems["few_shot"]["answers"] = [row["reference"] for row in content["predictions"]]
        right = json.loads(json.dumps(content["tasks"]))
        measure(content, systems)
        for task, result in content["tasks"].items():
            result.update({name: right[task][name] for name in ("base", "difference", "gain")})
            result["base_prompt"] = "zero_shot"
        for row, answer in zip(
            content["predictions"], systems["zero_shot"]["answers"], strict=True
        ):
            row["base"] = answer

    rewrite(week9, change)
    assert share(case(week9, "baseline_scores")) == 1
    assert share(case(week9, "tuned_beats_base")) == 0
    own = case(week9, "scores_true")
    assert share(own) == 0
    assert "run/evaluation.json: qa: answers of the base model" in differing(own)


def test_points_for_each_task_by_its_interval(week9):
    # 2 points: understanding as it was, all right against nothing. 0: qa answers as the baseline
    # does. 1: of the reports one of six is better, so the mean is above 0 and the interval holds 0.
    def change(content, systems):
        best = [dict(row) for row in content["predictions"]]
        better = {name: system["answers"] for name, system in systems.items()}
        seen = 0
        for at, row in enumerate(content["predictions"]):
            prompt = content["tasks"][row["task"]]["base_prompt"]
            if row["task"] == "qa":
                row["tuned"] = better[prompt][at]
            if row["task"] == "report":
                seen += 1
                row["tuned"] = best[at]["reference"] if seen == 1 else better[prompt][at]
        measure(content, systems)

    rewrite(week9, change)
    own = case(week9, "tuned_beats_base")
    found = judged(own)
    assert found.points == worth(own.item, 3 / 6), found
    assert "report, qa" in found.feedback


def test_a_task_whose_answers_were_not_the_adapters_shows_no_gain(week9):
    # answers_reproduced asks again; of qa hardly any stored answer was the adapter's: 4 of 6.
    own = case(week9, "tuned_beats_base", facts={"reproduced": {"qa": 0.1, "report": 0.9}})
    found = judged(own)
    assert found.points == worth(own.item, 4 / 6)
    assert "10% of the stored answers" in found.evidence[-1].found


def test_scores_of_nothing_but_zero_are_noted(week9):
    def change(content, systems):
        for row in content["predictions"]:
            row["tuned"] = "?"
        measure(content, systems)

    rewrite(week9, change)
    own = case(week9, "scores_true")
    assert share(own) == 1
    assert own.facts["hollow"] == ["hollow.zero"]
    assert share(case(week9, "tuned_beats_base")) == 0


def test_a_figure_edited_in_a_page_costs_the_item(week9):
    path = week9 / "reports" / "comparison_baseline.md"
    line = next(x for x in path.read_text().splitlines() if x.startswith("| field F1"))
    replace(path, line, re.sub(r"\d\.\d+", "0.912", line, count=1))
    own = case(week9, "reports_true")
    assert share(own) == 0
    (name,) = differing(own)
    assert name.startswith("reports/comparison_baseline.md")


def test_words_added_to_a_page_cost_half(week9):
    # "compared with yours, text by text": the figures are those of the run, the text is not.
    with (week9 / "reports" / "evaluation_results.md").open("a") as file:
        file.write("\nThe model is wonderful.\n")
    own = case(week9, "reports_true")
    assert judged(own).points == own.item.points / 2


def test_a_page_that_is_not_there_costs_the_item(week9):
    (week9 / "reports" / "comparison_baseline.md").unlink()
    assert share(case(week9, "reports_true")) == 0


# --- Part 3 -------------------------------------------------------------------------------------


def configured(folder, **changes):
    """An adapter as CONFIG asks for it, but for `changes`."""
    target = folder / "models" / "finetuned_model"
    save_adapter(target, layers=("q_proj", "v_proj"), dropout=0.05, **changes)


@pytest.mark.parametrize(
    "text",
    [
        CONFIG.replace("lora_alpha", "lora_aplha"),  # "every key is known"
        CONFIG.replace("r: 4", "r: 0"),  # "every value within its limits"
        "# YOUR VALUES HERE\n",
        "r: [\n",
        "a: &a [1]\nb: [*a, *a]\n",
    ],
    ids=["misspelt", "limit", "placeholder", "broken", "aliases"],
)
def test_a_configuration_that_the_scripts_would_refuse_earns_nothing(week9, text):
    (week9 / "configs" / "lora_config.yaml").write_text(text)
    assert share(case(week9, "config_valid")) == 0


def test_an_adapter_of_another_rank_is_not_the_configured_one(week9):
    # "Rank ... compared with the configuration": 8 in the files, 4 in lora_config.yaml.
    shutil.rmtree(week9 / "models")
    configured(week9, rank=8)
    own = case(week9, "adapter_matches")
    assert share(own) == 0
    assert "configs/lora_config.yaml: rank, in the tensors" in differing(own)


def test_an_adapter_of_other_layers_is_not_the_configured_one(week9):
    replace(week9 / "configs" / "lora_config.yaml", "q_proj, v_proj", "q_proj, k_proj")
    assert share(case(week9, "adapter_matches")) == 0


def test_an_adapter_whose_b_is_zero_was_never_trained(week9):
    shutil.rmtree(week9 / "models")
    configured(week9, trained=False)
    assert share(case(week9, "adapter_trained")) == 0
    assert share(case(week9, "adapter_matches")) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import lightgbm\n", 0),  # named nowhere
        ("def f():\n    from lightgbm import Dataset\n", 0),  # wherever the import stands
        ("try:\n    import json, os.path\nexcept ImportError:\n    pass\n", 1),  # Python's own
        ("import sklearn.svm, yaml, PIL\n", 1),  # the kit brings them, under other names
        ("import helper\nfrom . import other\n", 1),  # the student's own module
        ("import lightgbm\nthis is no python\n", 0),  # its imports can still be read
    ],
)
def test_what_scripts_import_is_named_or_the_kits(week9, code, expected):
    (week9 / "scripts" / "helper.py").write_text(code)
    assert share(case(week9, "requirements_complete")) == expected


def test_what_the_notebook_imports_counts_and_a_named_package_is_enough(week9):
    def change(told):
        told["cells"][1]["source"] = ["%pip install x\n", "!ls\n", "import lightgbm\n"]

    edit_json(week9 / "finetuning_pipeline.ipynb", change)
    found = judged(case(week9, "requirements_complete"))
    assert (found.points, "lightgbm (finetuning_pipeline.ipynb)" in found.feedback) == (0, True)
    with (week9 / "requirements.txt").open("a") as file:
        file.write("LightGBM>=4\n")
    assert share(case(week9, "requirements_complete")) == 1


def test_a_line_that_does_not_parse_costs_the_point(week9):
    (week9 / "requirements.txt").write_text("peft==0.21.2\ntrl 1.16 or so\n")
    assert share(case(week9, "requirements_complete")) == 0


SCORES = ("baseline_scores", "scores_true", "reports_true")


@pytest.mark.parametrize(
    ("name", "items"),
    [
        (EVALUATION, SCORES),
        (BASELINE, SCORES),
        ("run/data_summary.json", ("data_no_leak",)),
        ("finetuning_pipeline.ipynb", ("requirements_complete",)),
    ],
)
def test_hostile_files_are_no_points_and_never_a_crash(week9, name, items):
    for content in ("", "{", "[]", "{}", "NaN", '{"predictions": 3}', '{"systems": []}'):
        (week9 / name).write_text(content)
        for item in items:  # those that read the file
            assert 0 <= share(case(week9, item)) <= 1
