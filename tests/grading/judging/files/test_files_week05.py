"""Week 5: what each check of files gives; the comment beside an expected share argues it."""

import json
import shutil

import pytest
from file_cases import case_of, judged, share, worth
from lab_submissions import (
    MINERALS,
    SOLUTION,
    ask,
    copy_solution,
    read_lines,
    save_adapter,
    write_lines,
)
from submissions import edit_json

from course_utils.assignments import handout
from course_utils.grading.judging.files.common import WEEK05
from course_utils.grading.judging.files.week05 import unreadable_records
from course_utils.lab import analysis, parameters

AUTOMATIC = (
    *("analysis_complete", "records_valid", "records_enough", "adapter_trained"),
    *("adapter_matches", "questions_complete", "questions_held_out", "scores_true"),
)


def case(folder, item, **more):
    return case_of(folder, WEEK05, item, **more)


@pytest.mark.parametrize("item", AUTOMATIC)
def test_a_complete_submission_earns_all_points(lab_complete, item):
    own = case(lab_complete, item)
    assert share(own) == 1
    assert all(stated.agrees for stated in own.facts.get("stated", ()))


@pytest.mark.parametrize("item", [*AUTOMATIC, "records_varied", "report_opens"])
def test_the_untouched_starter_earns_nothing(tmp_path, item):
    # Nothing is written, trained or asked; the notebook's sections hold placeholders.
    starter = handout.start("week05", tmp_path / "mine")
    own = case(starter, item)
    found = judged(own)
    assert (found.points, bool(found.feedback)) == (0, True)


def test_the_starters_notebook_is_noted_as_hollow(tmp_path):
    own = case(handout.start("week05", tmp_path / "mine"), "records_valid")
    judged(own)
    assert own.facts["hollow"] == ["hollow.starter"]
    assert "parameter_analysis.ipynb" in own.facts["warnings"][0]


# --- Part 1 -------------------------------------------------------------------------------------


def edit_sections(folder, names, edit):
    def change(notebook):
        for cell in notebook["cells"]:
            name = "".join(cell["source"]).partition("\n")[0].removeprefix("### ")
            if name in names:
                cell["source"] = edit("".join(cell["source"]))

    edit_json(folder / analysis.NOTEBOOK, change)


def test_each_incomplete_section_costs_its_point(lab):
    # "One point for each parameter whose section has its four answers": two lack some, 11 of 13.
    cut = lambda source: source[: source.index("**What happens")]  # noqa: E731
    edit_sections(lab, ("lora_r", "precision"), cut)
    own = case(lab, "analysis_complete")
    found = judged(own)
    assert found.points == worth(own.item, 11 / 13)
    assert {row.label for row in found.evidence[1:]} == {"lora_r", "precision"}


def test_the_solutions_answers_earn_nothing_even_with_its_marks_left_in(lab):
    # "In your own words": they are the solution's, word for word.
    solved = json.loads((SOLUTION / analysis.NOTEBOOK).read_text(encoding="utf-8"))
    theirs = {
        "".join(c["source"]).partition("\n")[0]: "".join(c["source"]) for c in solved["cells"]
    }
    edit_sections(lab, parameters.PARAMETERS, lambda source: theirs[source.partition("\n")[0]])
    found = judged(case(lab, "analysis_complete"))
    assert found.points == 0
    assert "analysis.not_own" in found.feedback
    assert "the reference solution" in found.evidence[1].found


def test_a_section_copied_from_another_is_not_in_its_own_words(lab):
    # "in your own words": the answers of lora_alpha say again what those of lora_r say.
    notebook = json.loads((lab / analysis.NOTEBOOK).read_text())
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    other = next(s for s in sources if s.startswith("### lora_r\n")).partition("\n")[2]
    edit_sections(lab, ("lora_alpha",), lambda source: f"### lora_alpha\n{other}")
    own = case(lab, "analysis_complete")
    assert judged(own).points == worth(own.item, 12 / 13)


def test_a_notebook_without_its_saved_figures_earns_nothing(lab):
    # "and a figure among the saved outputs": none is there, in no section.
    def clear(notebook):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = []

    edit_json(lab / analysis.NOTEBOOK, clear)
    assert judged(case(lab, "analysis_complete")).points == 0


@pytest.mark.parametrize("content", ["{", "[]", '{"cells": 3}', '{"cells": [{}]}', "[" * 90_000])
def test_a_broken_notebook_is_no_points_with_a_reason(lab, content):
    (lab / analysis.NOTEBOOK).write_text(content)
    found = judged(case(lab, "analysis_complete"))
    assert (found.points, bool(found.feedback)) == (0, True)


# --- Part 2 -------------------------------------------------------------------------------------


def test_a_broken_line_costs_its_item_and_no_other(lab):
    # "Every line ... is UTF-8 JSON": one is not; 23 valid records are still at least 20.
    rows = (lab / "records.jsonl").read_text().splitlines()
    (lab / "records.jsonl").write_text("\n".join([*rows[:23], rows[23][:30]]) + "\n")
    assert share(case(lab, "records_valid")) == 0
    assert share(case(lab, "records_enough")) == 1


def test_a_question_that_stands_twice_is_not_valid_and_counts_once(lab):
    # "no question stands twice"; 20 lines hold 19 different questions.
    rows = read_lines(lab / "records.jsonl")[:19]
    write_lines(lab / "records.jsonl", [*rows, rows[0]])
    assert share(case(lab, "records_valid")) == 0
    assert share(case(lab, "records_enough")) == 0


def test_twenty_records_are_enough_and_near_copies_do_not_count(lab):
    # "one that is nearly the same as an earlier one does not count": 19 and ten variants.
    rows = read_lines(lab / "records.jsonl")[:20]
    write_lines(lab / "records.jsonl", rows)
    assert share(case(lab, "records_enough")) == 1
    long = "Which mineral of the alteration zone beside the vein was seen first in the drill core"
    variants = [{**rows[0], "instruction": f"{long} {n}?"} for n in range(10)]
    write_lines(lab / "records.jsonl", [*rows[:18], *variants])
    found = judged(case(lab, "records_enough"))
    assert found.points == 0
    assert "19 records count" in found.feedback


@pytest.mark.parametrize(
    ("change", "points"),
    [
        # A point each: 24 groups and a source everywhere, but no question has a context.
        (lambda rows: None, 2),
        # With contexts in some, all three hold.
        (lambda rows: [row.update(context="It is hard.") for row in rows[:3]], 3),
        # One group, no source, no context: none of the three.
        (lambda rows: [row.update(group="quartz", source="") for row in rows], 0),
        # Three groups are fewer than four; sources are there; every record has a context.
        (lambda rows: [r.update(group="abc"[i % 3], context="It.") for i, r in enumerate(rows)], 1),
    ],
    ids=["no context", "all", "none", "three groups"],
)
def test_variety_earns_a_point_for_each_of_three_things(lab, change, points):
    rows = read_lines(lab / "records.jsonl")
    change(rows)
    write_lines(lab / "records.jsonl", rows)
    assert judged(case(lab, "records_varied")).points == points


# --- Part 3 -------------------------------------------------------------------------------------


def test_an_adapter_whose_b_is_zero_was_never_trained(lab):
    # "not all zero": with B = 0 an adapter changes nothing.
    shutil.rmtree(lab / "adapter")
    save_adapter(lab / "adapter", trained=False)
    assert share(case(lab, "adapter_trained")) == 0
    assert share(case(lab, "adapter_matches")) == 1  # its shape is still the one of the training


def test_an_adapter_of_another_rank_is_not_the_one_of_this_training(lab):
    # "Rank ... compared with the parameters and the command": 8 in the files, 4 in training.json.
    shutil.rmtree(lab / "adapter")
    save_adapter(lab / "adapter", rank=8)
    own = case(lab, "adapter_matches")
    assert share(own) == 0
    differing = {stated.name for stated in own.facts["stated"] if not stated.agrees}
    assert differing == {"training.json: lora_r, in the tensors", "training.json: lora_r"}


def test_parameters_that_are_not_the_commands_match_nothing(lab):
    # "compared with the parameters and the command": the two contradict each other.
    edit_json(lab / "training.json", lambda t: t.update(command="train_lora.py --lora_r 16"))
    assert share(case(lab, "adapter_matches")) == 0


def test_the_nano_model_is_noted(lab):
    config = {"base_model_name_or_path": "/home/ada/models/nano"}
    edit_json(lab / "adapter" / "adapter_config.json", lambda told: told.update(config))
    own = case(lab, "adapter_trained")
    assert share(own) == 1
    assert own.facts["hollow"] == ["hollow.nano"]


# --- Part 4 -------------------------------------------------------------------------------------


def change_questions(folder, change):
    rows = read_lines(folder / "test_questions.jsonl")
    change(rows)
    write_lines(folder / "test_questions.jsonl", rows)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # "at least five different questions ... and the answer": six, and one lacks its answer.
        (lambda rows: rows[0].update(answer=""), 1),
        # Four are left.
        (lambda rows: rows.__delitem__(slice(4, None)), 0),
        # Six lines, four different questions.
        (lambda rows: [row.update(rows[0]) for row in rows[:3]], 0),
        # Nobody asked the adapter.
        (lambda rows: [row.update(answer="") for row in rows], 0),
    ],
    ids=["one unanswered", "four", "twice", "unanswered"],
)
def test_five_different_answered_questions_are_asked_for(lab, change, expected):
    change_questions(lab, change)
    assert share(case(lab, "questions_complete")) == expected


def test_a_question_from_the_records_is_not_held_out(lab):
    # "No question stands in records.jsonl, exactly": one does, in capitals.
    known = read_lines(lab / "records.jsonl")[0]["instruction"].upper()
    change_questions(lab, lambda rows: rows[0].update(instruction=known))
    assert share(case(lab, "questions_held_out")) == 0


@pytest.mark.parametrize(("near", "expected"), [(1, 0.5), (2, 0)])
def test_up_to_one_in_five_near_a_record_costs_half(lab, near, expected):
    # "half the points if up to one in five is nearly the same as a record": 1 of 6, then 2 of 6.
    known = [row["instruction"] for row in read_lines(lab / "records.jsonl")]

    def change(rows):
        for row, text in zip(rows[:near], known, strict=False):
            row["instruction"] = text.replace("looked", "looked  then").replace("  ", " ")

    change_questions(lab, change)
    assert share(case(lab, "questions_held_out")) == expected


@pytest.mark.parametrize("side", ["tuned", "base"])
def test_a_raised_score_of_either_model_is_false_and_noted(lab, side):
    # "the stored answers of both models": the score does not follow from them.
    edit_json(lab / "answers.json", lambda told: told[side].update(token_f1=0.93))
    own = case(lab, "scores_true")
    assert share(own) == 0
    (found,) = [stated for stated in own.facts["stated"] if not stated.agrees]
    assert (found.name, found.stated) == (f"answers.json: {side}, token F1", "0.93")


def test_an_answer_that_was_changed_is_not_the_scored_one(lab):
    # The scores are of other answers than those in test_questions.jsonl.
    change_questions(lab, lambda rows: rows[0].update(answer="Cold and heavy."))
    assert share(case(lab, "scores_true")) == 0


def test_scores_of_too_few_questions_are_judged_all_the_same(lab):
    # "computed again from the stored answers": three answers have scores too.
    ask(lab, [f"How does {name} feel in the hand?" for name in MINERALS[:3]])
    assert share(case(lab, "scores_true")) == 1
    assert share(case(lab, "questions_complete")) == 0


def test_a_repeated_question_costs_no_item_that_rests_on_the_training(lab):
    # "no question stands twice" is asked for by `records_valid` alone.
    records = read_lines(lab / "records.jsonl")
    write_lines(lab / "records.jsonl", [*records, records[0]])
    assert share(case(lab, "records_valid")) == 0
    assert unreadable_records(case(lab, "training_true")) is None


def test_a_line_that_is_cut_off_leaves_no_records_to_train_on(lab):
    path = lab / "records.jsonl"
    path.write_text(path.read_text()[:-40])
    assert unreadable_records(case(lab, "training_true")).points == 0


def test_without_answers_json_there_is_no_score(lab):
    (lab / "answers.json").unlink()
    found = judged(case(lab, "scores_true"))
    assert found.points == 0
    assert "inference_lora.py" in found.feedback


def test_scores_of_nothing_but_zero_are_true_and_noted(lab):
    # They follow from the answers; that there is nothing in them is for a person to see.
    ask(lab, [f"How does {name} feel in the hand?" for name in MINERALS[:6]], tuned="Quartz")
    own = case(lab, "scores_true")
    assert share(own) == 1
    assert own.facts["hollow"] == ["hollow.zero"]


def test_hostile_files_are_no_points_and_never_a_crash(lab):
    for name in ("test_questions.jsonl", "answers.json", "training.json", "records.jsonl"):
        for content in ("", "{", "[]", '{"a": NaN}', "null", '"x"', "[" * 90_000, "{}\n{}"):
            (lab / name).write_text(content)
            for item in ("questions_complete", "questions_held_out", "scores_true"):
                assert judged(case(lab, item)).points in (0, 1.5, 2, 3)
            assert share(case(lab, "records_varied")) <= 1
            assert share(case(lab, "adapter_matches")) <= 1


def test_links_are_not_followed(lab, tmp_path):
    outside = shutil.move(lab / "records.jsonl", tmp_path / "elsewhere.jsonl")
    (lab / "records.jsonl").symlink_to(outside)
    for item in ("records_valid", "records_enough", "records_varied", "questions_held_out"):
        assert share(case(lab, item)) == 0


def test_the_reference_solution_before_its_run_earns_its_texts_and_no_figures(tmp_path):
    # Its answers stand, but no output is saved and nothing was trained: nothing is complete yet.
    folder = copy_solution(tmp_path / "solution")
    own = case(folder, "analysis_complete")
    assert judged(own).points == 0
    assert own.facts.get("hollow", ["hollow.solution"]) == ["hollow.solution"]
    assert set(parameters.PARAMETERS) >= {row.label for row in judged(own).evidence[1:]}
