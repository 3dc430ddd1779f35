"""The checklist of weeks 9-10: evidence, reports and documentation."""

import json

import pytest
from submissions import (
    README,
    check,
    edit_json,
    only,
    replace,
)

from course_utils import kit
from course_utils.assignments import setup_cell

# --- Evidence and reports -----------------------------------------------------------------------


def test_loss_edited_in_the_log_is_named(folder):
    replace(folder / "reports" / "training_log.txt", "1.5000", "0.1000")
    found = only(folder)
    assert found.id == "reports.training_log"
    assert "final train loss 0.1000, but run/training.json has 1.5000" in found.message


def test_perplexity_must_follow_from_the_loss(folder):
    edit_json(folder / "run" / "training.json", lambda t: t.update(perplexity=1.01))
    assert "is not exp(eval_loss)" in only(folder).message


def test_number_edited_in_a_report_is_wrong(folder):
    path = folder / "reports" / "comparison_baseline.md"
    line = next(x for x in path.read_text().splitlines() if x.startswith("| field F1"))
    replace(path, line, line.replace("1.000", "9.999"))
    found = only(folder)
    assert found.id == "reports.comparison"
    assert "edited by hand" in found.message
    assert "field F1" in found.message


def test_words_added_to_a_report_are_only_a_warning(folder):
    with (folder / "reports" / "evaluation_results.md").open("a") as file:
        file.write("\nThe model is wonderful.\n")
    found = only(folder, "warning")
    assert "edited by hand" in found.message


def test_score_that_does_not_follow_from_its_answers_is_wrong(folder):
    path = folder / "run" / "evaluation.json"
    edit_json(path, lambda e: e["tasks"]["qa"]["tuned"].update(token_f1=0.5))
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert "qa, tuned: token_f1 0.5, but its answers give 1" in found["evaluation.scores"]
    assert "reports.comparison" in found  # it still shows the old number


def test_an_evaluation_of_another_adapter_is_named_and_an_old_one_says_nothing(folder):
    path = folder / "run" / "evaluation.json"
    edit_json(path, lambda e: e.update(adapter="0" * 64))
    found = only(folder)
    assert found.id == "evaluation.adapter"
    assert (
        "it is of the adapter 000000000000000…, the one in models/finetuned_model/" in found.message
    )
    edit_json(path, lambda e: e.pop("adapter"))
    assert check(folder).ok


def test_interval_and_verdict_are_recomputed_too(folder):
    def change(content):
        content["tasks"]["qa"]["difference"]["token_f1"]["low"] = 0.99

    edit_json(folder / "run" / "evaluation.json", change)
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert "difference of token_f1" in found["evaluation.scores"]


def test_evaluation_of_records_that_are_not_in_the_test_part_is_named(folder):
    path = folder / "run" / "evaluation.json"
    edit_json(path, lambda e: e["predictions"][3].update(reference="Yes."))
    found = only(folder)
    assert found.id == "run.evaluation"
    assert "first: prediction 4" in found.message


def test_weakened_baseline_is_found(folder):
    def change(content):
        system = content["systems"]["few_shot"]
        system["answers"] = [""] * len(system["answers"])

    edit_json(folder / "run" / "baseline.json", change)
    found = only(folder)
    assert found.id == "baseline.scores"
    assert "few_shot" in found.message


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '"x"', "NaN", "[" * 100_000, '{"predictions": 3}', "1e999"]
)
def test_broken_evidence_is_wrong_and_never_a_crash(folder, content):
    names = [f"run/{name}.json" for name in ("training", "baseline", "evaluation", "data_summary")]
    for name in names:
        (folder / name).write_text(content)
    found = check(folder).of_state("wrong")
    assert {finding.path for finding in found} == set(names)
    assert all(finding.cure for finding in found)


# --- Cheap rivals -------------------------------------------------------------------------------


def test_a_rivals_score_that_does_not_follow_from_its_answers_is_wrong(folder):
    def change(content):
        content["rivals"]["qa"]["rows"][0]["rivals"]["majority"] = 0.9

    edit_json(folder / "run" / "evaluation.json", change)
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    told = "rivals.qa.rows[0].rivals.majority is not what the stored answers give"
    assert told in found["evaluation.rivals"]
    assert "reports.comparison" in found  # it still shows the other number


def test_a_rival_left_out_of_the_table_is_wrong(folder):
    edit_json(folder / "run" / "evaluation.json", lambda e: e["rivals"]["qa"]["methods"].popitem())
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert "rivals.qa.methods is not what" in found["evaluation.rivals"]


def test_answers_of_rivals_that_differ_between_the_files_are_named(folder):
    def change(content):
        content["rivals"]["qa"]["majority"]["answers"][0] = "another answer"

    edit_json(folder / "run" / "baseline.json", change)
    found = only(folder)
    assert found.id == "evaluation.rivals"
    assert "are not those of run/baseline.json" in found.message


@pytest.mark.parametrize("rivals", [3, [], {"qa": 3}, {"qa": {"majority": {"answers": [1]}}}])
def test_rivals_of_another_shape_are_wrong_and_never_a_crash(folder, rivals):
    edit_json(folder / "run" / "baseline.json", lambda b: b.update(rivals=rivals))
    assert check(folder).of_state("wrong")


def test_a_run_from_before_there_were_rivals_still_passes(folder):
    from course_utils.assignments import writeup

    def without(content):
        content.pop("rivals")
        for row in content.get("predictions", []):
            row.pop("rivals")

    for name in ("baseline", "evaluation"):
        edit_json(folder / "run" / f"{name}.json", without)
    content = json.loads((folder / "run" / "evaluation.json").read_text())
    for name, write in (
        ("evaluation_results", writeup.evaluation_page),
        ("comparison_baseline", writeup.comparison_page),
    ):
        page = folder / "reports" / f"{name}.md"
        assert "rival" in page.read_text()
        page.write_text(write(content))
        assert "rival" not in page.read_text()
    report = check(folder)
    assert report.ok
    assert report.of_state("wrong", "warning") == []


# --- Documentation ------------------------------------------------------------------------------


def test_readme_that_is_not_utf8_is_named_with_byte_and_line(folder):
    (folder / "README.md").write_bytes(b"# Title\nF\xfchrung\n")
    found = only(folder)
    assert "not UTF-8: byte 0xFC in line 2" in found.message


def test_short_readme_and_placeholder_are_named(folder):
    (folder / "README.md").write_text("# My work\n\nIt works.\n\n```\n" + "code " * 200 + "\n```\n")
    assert only(folder).message.startswith("2 words of your own")
    (folder / "README.md").write_text(README + "\nYOUR ANSWER HERE\n")
    assert "left open (YOUR ANSWER HERE)" in only(folder).message


def test_notebook_defects_are_named(folder):
    path = folder / "finetuning_pipeline.ipynb"
    good = path.read_text()
    path.write_text(good[:-20])
    assert "broken JSON, line" in only(folder).message
    path.write_text(good.replace("What the data look like.", "YOUR ANSWER HERE"))
    assert "cell 1: left open" in only(folder).message
    path.write_text(good.replace('"output_type": "stream"', '"output_type": "error"'))
    assert "stopped with an error" in only(folder).message
    path.write_text('{"nbformat": 3, "worksheets": []}')
    assert "no notebook of format 4" in only(folder).message


def test_notebook_that_was_not_run_is_only_a_warning(folder):
    def change(content):
        content["cells"][1] |= {"outputs": [], "execution_count": None}

    edit_json(folder / "finetuning_pipeline.ipynb", change)
    assert "0 of 1 code cells were run" in only(folder, "warning").message


def test_requirements_that_do_not_parse_are_named_with_their_line(folder):
    (folder / "requirements.txt").write_text("torch>=2\nthe newest transformers please\n")
    assert "line 2" in only(folder).message


STARTER = kit.ASSIGNMENTS / "week09_10_manufacturing" / "starter" / "requirements.txt"
KIT = setup_cell.stated()


@pytest.mark.parametrize(
    "text",
    [
        STARTER.read_text(encoding="utf-8"),
        f"Fine_Tuning.Course-Kit @ git+{KIT.repository}.git@2027-spring\ntrl==1.16.0\n",
    ],
    ids=["the starter's", "written otherwise, another tag"],
)
def test_requirements_that_name_the_kit_by_its_address_are_as_the_hand_out_tells(folder, text):
    (folder / "requirements.txt").write_text(text)
    report = check(folder)
    assert report.ok
    assert report.of_state("warning") == []


@pytest.mark.parametrize(
    "line",
    [
        "trl @ git+https://github.com/huggingface/trl@v1.16.0",
        f"trl @ git+{KIT.repository}@{KIT.revision}",
        "fine-tuning-course-kit @ git+https://example.org/somebody/else@v0.1.0",
        f"fine-tuning-course-kit @ git+{KIT.repository}-copy@{KIT.revision}",
        f"fine-tuning-course-kit @ git+{KIT.repository}",
        f"fine-tuning-course-kit @ git+https://example.org@{KIT.repository[8:]}@{KIT.revision}",
        "fine-tuning-course-kit @ file:///tmp/kit",
    ],
)
def test_any_other_address_among_the_requirements_is_warned_of(folder, line):
    (folder / "requirements.txt").write_text(f"torch>=2\n{line}\n")
    found = only(folder, "warning")
    name = line.partition(" ")[0]
    assert f"{name}: from another address than the kit's" in found.message
    assert KIT.requirement() in found.cure


def test_what_classroom_50_lays_beside_a_submission_is_not_the_students(folder):
    (folder / "result.json").write_text('{"schema": "classroom50/result/v1"}')
    assert check(folder).of_state("warning") == []
