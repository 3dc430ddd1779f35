"""What a marker sees beside a manual item: the student's own passages, and nothing unbounded."""

import base64
import json

import pytest
from file_cases import case_of
from grade_class import picture
from submissions import edit_json

from course_utils.assignments import handout
from course_utils.grading.judging.files import work
from course_utils.grading.judging.files.common import WEEK05, WEEK09_10
from course_utils.grading.judging.files.reports import Report
from course_utils.grading.results import Item

PNG = picture().partition(",")[2]


def shown(folder, assignment, item, **more):
    """The works of an item; each must fit into a result."""
    found = work.work_for(case_of(folder, assignment, item, **more))
    Item(id=item, title=item, points=None, max=1, state="manual", work=found).model_dump_json()
    return found


def texts(works):
    return "\n".join(own.content for own in works if own.kind != "image")


@pytest.fixture
def pipeline(tmp_path):
    """The starter with two answers, a changed cell, and outputs."""
    folder = handout.start("week09_10", tmp_path / "mine")

    def change(notebook):
        figure = {"output_type": "display_data", "data": {"image/png": PNG}}
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if "Read the curves" in source:
                cell["source"] = source.replace("YOUR ANSWER HERE", "It still falls at step 60.")
            if "Your choice, and why" in source:
                cell["source"] = source.replace("YOUR ANSWER HERE", "Memory decided.")
            if "plot_training" in source:
                cell["source"] = [*source.splitlines(keepends=True), "\n# my own reading"]
                cell["outputs"] = [figure]

    edit_json(folder / work.PIPELINE, change)
    return folder


def test_own_text_code_and_figures_of_the_items_part_are_shown(pipeline):
    found = shown(pipeline, WEEK09_10, "training_reading")
    assert "It still falls at step 60." in texts(found)
    assert "# my own reading" in texts(found)
    assert [own.content for own in found if own.kind == "image"] == [picture()]
    assert "Memory decided." not in texts(found)  # part 2
    assert "Only the green tokens are trained" not in texts(found)  # the starter's own words


def test_where_nothing_was_written_a_line_says_so(pipeline):
    (own,) = shown(pipeline, WEEK09_10, "error_analysis")
    assert own.title == "Nothing found"
    assert "Part 4" in own.content


def test_the_readme_is_shown_as_it_stands(pipeline):
    (pipeline / "README.md").write_text("# Ours\n\nRun `train.py`.\n")
    (pipeline / "models" / "README.md").write_text("written by a library")
    (own,) = shown(pipeline, WEEK09_10, "readme")
    assert own.content == "# Ours\n\nRun `train.py`.\n"


def test_a_bonus_shows_its_pages_and_pictures(pipeline):
    folder = pipeline / "run" / "bonus_qlora"
    folder.mkdir(parents=True)
    (folder / "report.md").write_text("4 bits saved a third.")
    (folder / "memory.png").write_bytes(base64.b64decode(PNG))
    (folder / "harm.png").write_bytes(b"<svg onload=alert(1)>")
    found = shown(pipeline, WEEK09_10, "qlora")
    assert [own.kind for own in found] == ["text", "image"]


def test_a_broken_notebook_says_why_nothing_is_shown(pipeline):
    for content in ("{", "[]", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'):
        (pipeline / work.PIPELINE).write_text(content)
        (own,) = shown(pipeline, WEEK09_10, "data_looked_at")
        assert own.title == "Nothing can be shown"


def test_what_is_shown_is_bounded_and_the_rest_is_counted(pipeline):
    def change(notebook):
        figure = {"output_type": "display_data", "data": {"image/png": PNG}}
        large = {"output_type": "display_data", "data": {"image/png": "A" * 5_000_000}}
        at = next(i for i, c in enumerate(notebook["cells"]) if "# Part 1" in "".join(c["source"]))
        notebook["cells"][at + 1 : at + 1] = [
            {"cell_type": "markdown", "source": f"{n} {'long ' * 9_000}"} for n in range(9)
        ]
        notebook["cells"][at + 10]["outputs"] = [large, *[figure] * 9]

    edit_json(pipeline / work.PIPELINE, change)
    found = shown(pipeline, WEEK09_10, "data_decisions")
    assert sum(own.kind == "image" for own in found) == work.MOST_PICTURES
    assert len(texts(found)) < 1.5 * work.MOST_TEXT
    assert found[-1].title == "Not shown"


def test_an_output_that_is_cut_says_so(pipeline):
    def print_much(notebook):
        cell = next(c for c in notebook["cells"] if "plot_training" in "".join(c["source"]))
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "step " * 1_000}]

    edit_json(pipeline / work.PIPELINE, print_much)
    assert "(3,000 further characters)" in texts(shown(pipeline, WEEK09_10, "training_reading"))


def test_half_a_pair_of_surrogates_does_not_break_the_result(pipeline):
    text = (pipeline / work.PIPELINE).read_text().replace("Memory decided.", "Memory \\ud800.")
    (pipeline / work.PIPELINE).write_text(text)
    assert "Memory ?." in texts(shown(pipeline, WEEK09_10, "model_choice"))


# --- Week 5 -------------------------------------------------------------------------------------


@pytest.fixture
def unreported(lab):
    """Without its report: test_files_report.py opens one in the sandbox."""
    (lab / "report.pdf").unlink()
    return lab


def test_each_item_of_the_analysis_shows_its_answers_of_all_sections(lab_complete):
    works = {name: shown(lab_complete, WEEK05, name) for name in ("mechanism", "effects")}
    assert [own.title for own in works["mechanism"]][:13] == list(work.parameters.PARAMETERS)
    assert "What does it control?" in texts(works["mechanism"])
    assert "if we increase it" in texts(works["effects"])
    assert "What does it control?" not in texts(works["effects"])


def test_answers_and_pages_that_are_cut_say_so(lab):
    def answer_much(notebook):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = "".join(cell["source"]) + "\n\n" + "why " * 900

    edit_json(lab / work.ANALYSIS, answer_much)
    (first, *_) = shown(lab, WEEK05, "choices")
    assert " further characters)" in first.content
    pages = {"reports": [Report("report.pdf", pages=("limits " * 500,))]}
    (page, *_) = shown(lab, WEEK05, "reflection", facts=pages)
    assert page.content.endswith("(500 further characters)")


def test_five_records_are_drawn_with_the_graders_seed(unreported):
    drawn, again, other = (
        [own.title for own in shown(unreported, WEEK05, "records_right", seed=seed)]
        for seed in (7, 7, 8)
    )
    assert drawn == again
    assert len(drawn) == 5
    assert drawn != other


def test_questions_are_shown_with_both_models_answers(unreported):
    found = texts(shown(unreported, WEEK05, "questions_read"))
    assert "expected: Cold and heavy." in found
    assert "answer: Cold and light." in found
    assert "base model: Stone." in found


def test_a_sweep_shows_its_commands(lab):
    for seed in (1, 2):
        (lab / "sweep" / f"r8_{seed}").mkdir(parents=True)
        told = {"command": f"train_lora.py --lora_r 8 --seed {seed}", "eval_loss": 1.5}
        (lab / "sweep" / f"r8_{seed}" / "training.json").write_text(json.dumps(told))
    assert "--lora_r 8 --seed 2 → 1.5" in texts(shown(lab, WEEK05, "own_sweep"))


def test_files_that_are_not_there_are_said_to_be_missing(unreported):
    for name in ("records.jsonl", "test_questions.jsonl", "parameter_analysis.ipynb"):
        (unreported / name).unlink()
    (unreported / "answers.json").write_text('{"answers": [1]}')
    for item in ("mechanism", "records_right", "questions_read"):
        assert [own.title for own in shown(unreported, WEEK05, item)] == ["Nothing found"]
    assert shown(unreported, WEEK05, "own_sweep") == []  # a bonus: nobody waits for it
