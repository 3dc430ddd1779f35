"""The check of parameter_analysis.ipynb: it names what is missing, and only that."""

import copy
import json
import os
import sys
import types
from pathlib import Path

import pytest

from course_utils.errors import CourseError
from course_utils.lab import analysis
from course_utils.lab import questions as lab_questions
from course_utils.lab.parameters import PARAMETERS, QUESTIONS

ASSIGNMENT = Path(__file__).parents[2] / "assignments" / "week05_parameter_lab"
GOOD = (
    "The number decides how far one optimiser step moves the adapter, so at 2e-4 the loss "
    "falls slowly and steadily, as the figure above shows."
)


def read(name):
    return json.loads((ASSIGNMENT / name / analysis.NOTEBOOK).read_text(encoding="utf-8"))


SOLUTION = read("solution")


@pytest.fixture
def notebook():
    """A complete notebook that a test may break."""
    return copy.deepcopy(SOLUTION)


def section_cell(notebook, name):
    """The cell with the heading and the answers of one parameter."""
    texts = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return next(cell for cell in texts if "".join(cell["source"]).startswith(f"### {name}\n"))


def figure_cell(notebook, name):
    return notebook["cells"][notebook["cells"].index(section_cell(notebook, name)) + 1]


def answer(notebook, name, key, text):
    """Replace one answer; everything from its question to the next one."""
    cell = section_cell(notebook, name)
    source = "".join(cell["source"])
    start = source.index(QUESTIONS[key]) + len(QUESTIONS[key]) + 2  # behind the closing **
    end = source.find("\n**", start)
    cell["source"] = source[:start] + f"\n\n{text}\n" + (source[end:] if end > 0 else "")


def only(notebook, name, question, executed=False):
    """The one gap that is found; it is that section's and that question's."""
    gaps = analysis.find_gaps(notebook, executed)
    assert [(gap.parameter, gap.question) for gap in gaps] == [(name, question)], gaps
    assert gaps[0].cure
    return gaps[0].message


def test_the_reference_solution_has_no_gap(notebook):
    assert analysis.find_gaps(notebook) == []


def test_every_section_of_the_starter_lacks_four_answers_and_a_figure():
    gaps = analysis.find_gaps(read("starter"))
    asked = [(gap.parameter, gap.question) for gap in gaps]
    assert asked == [(name, key) for name in PARAMETERS for key in (*QUESTIONS, "figure")]
    assert all("placeholder" in gap.message for gap in gaps)


def test_the_starters_headings_and_questions_are_those_of_the_solution(notebook):
    assert analysis.read_sections(read("starter")).keys() == PARAMETERS.keys()
    for section in analysis.read_sections(notebook).values():
        assert section.answers.keys() == QUESTIONS.keys()


@pytest.mark.parametrize("key", QUESTIONS)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no answer"),
        ("<!-- " + GOOD + " -->", "no answer"),
        ("YOUR ANSWER HERE", "placeholder"),
        ("TODO: " + GOOD, "placeholder"),
        ("...", "placeholder"),
        ("Faster training at 1e-3.", "5 different words"),
        ("fast " * 40, "1 different word,"),
    ],
    ids=["empty", "comment", "marker", "todo", "dots", "short", "filler"],
)
def test_an_answer_that_is_not_there_is_named(notebook, key, text, said):
    answer(notebook, "lora_r", key, text)
    assert said in only(notebook, "lora_r", key)


def test_an_answer_copied_from_another_parameter_is_named_with_its_place(notebook):
    answer(notebook, "learning_rate", "what", GOOD)
    answer(notebook, "lora_alpha", "what", GOOD.replace("number", "value"))
    assert "learning_rate, “What does it control?”" in only(notebook, "lora_alpha", "what")


def test_one_answer_for_two_questions_of_a_section_is_a_copy(notebook):
    answer(notebook, "lora_r", "increase", GOOD)
    answer(notebook, "lora_r", "decrease", GOOD.upper())
    assert "this section, “What happens if we increase it?”" in only(notebook, "lora_r", "decrease")


def test_a_choice_without_number_figure_or_run_rests_on_nothing(notebook):
    text = "We would take a middle one, because extremes seemed dangerous to all of us somehow."
    answer(notebook, "lora_r", "choice", text)
    assert "names no number" in only(notebook, "lora_r", "choice")
    for evidence in ("It is 16.", "The figure shows it.", "Three runs say so."):
        answer(notebook, "lora_r", "choice", f"{text} {evidence}")
        assert analysis.find_gaps(notebook) == []


def test_effects_need_evidence_in_one_of_their_two_answers(notebook):
    text = "The adapter becomes {} and because of that the whole training feels rather {} to us."
    answer(notebook, "lora_r", "increase", text.format("large", "slow"))
    assert analysis.find_gaps(notebook) == []  # the other direction still has evidence
    answer(
        notebook,
        "lora_r",
        "decrease",
        "Then less is stored, so it soon forgets what was new before.",
    )
    assert "nor does the next" in only(notebook, "lora_r", "increase")


def test_a_section_without_heading_and_a_question_that_was_removed_are_named(notebook):
    cell = section_cell(notebook, "precision")
    cell["source"] = "".join(cell["source"]).replace(f"**{QUESTIONS['decrease']}**", "")
    assert "not asked" in only(notebook, "precision", "decrease")
    cell["source"] = "".join(cell["source"]).replace("### precision", "### number formats")
    assert "### precision" in only(notebook, "precision", "")


def test_answers_may_go_on_in_further_cells_and_hold_code_and_headings_of_their_own(notebook):
    answer(notebook, "lora_r", "choice", "")
    at = notebook["cells"].index(section_cell(notebook, "lora_r"))
    more = {"cell_type": "markdown", "metadata": {}, "source": "```\n# no heading\n```\n" + GOOD}
    notebook["cells"].insert(at + 1, more)
    assert analysis.find_gaps(notebook) == []


def test_a_heading_of_ones_own_below_that_of_the_parameter_ends_no_section(notebook):
    """What is asked behind it, and the figure, still belong to the section."""
    answer(run(notebook), "lora_r", "increase", f"{GOOD}\n\n#### In our records\n\nTen of them.")
    assert analysis.find_gaps(notebook, executed=True) == []
    own = analysis.read_sections(notebook)["lora_r"]
    assert "Ten of them." in own.answers["increase"]


@pytest.mark.parametrize("heading", ["### In our records", "# Part B"])
def test_a_heading_of_the_same_or_a_higher_level_ends_a_section(notebook, heading):
    answer(notebook, "lora_r", "increase", f"{GOOD}\n\n{heading}\n\nTen of them.")
    own = analysis.read_sections(notebook)["lora_r"]
    assert own.answers.keys() == {"what", "increase"}
    assert "Ten of them." not in own.answers["increase"]
    assert own.code == []


@pytest.mark.parametrize(
    "heading", ["## 6. `lora_r`", "###  lora_r  ###", "#### **lora_r**"], ids=str
)
def test_a_heading_may_be_numbered_or_marked(notebook, heading):
    cell = section_cell(notebook, "lora_r")
    cell["source"] = "".join(cell["source"]).replace("### lora_r", heading, 1)
    assert analysis.find_gaps(notebook) == []


def test_an_answer_may_stand_on_the_line_of_its_question(notebook):
    cell = section_cell(notebook, "lora_r")
    label = f"**{QUESTIONS['what']}**"
    cell["source"] = "".join(cell["source"]).replace(f"{label}\n\n", f"{label} ").replace("**", "")
    assert analysis.find_gaps(notebook) == []


# --- Figures ------------------------------------------------------------------------------------


def run(notebook):
    """Outputs as Jupyter stores them: a figure in each section."""
    picture = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}}
    for name in PARAMETERS:
        figure_cell(notebook, name)["outputs"] = [dict(picture)]
    return notebook


def test_a_figure_must_be_drawn_and_saved(notebook):
    assert {gap.question for gap in analysis.find_gaps(notebook, executed=True)} == {"figure"}
    assert analysis.find_gaps(run(notebook), executed=True) == []
    figure_cell(notebook, "lora_r")["outputs"] = []
    assert "not in the saved" in only(notebook, "lora_r", "figure", executed=True)


def test_a_cell_that_failed_and_a_cell_that_only_checks_are_no_figure(notebook):
    cell = figure_cell(run(notebook), "lora_r")
    cell["outputs"].append({"output_type": "error", "ename": "NameError"})
    assert "stopped with an error" in only(notebook, "lora_r", "figure", executed=True)
    cell["source"] = 'analysis.check("lora_r", folder)'
    assert "no figure's cell" in only(notebook, "lora_r", "figure")


# --- Whatever a file may hold -------------------------------------------------------------------


@pytest.mark.parametrize("content", [[], {}, {"cells": {}}, {"cells": None}, "text", None], ids=str)
def test_what_is_no_notebook_is_refused(content):
    with pytest.raises(CourseError, match="no notebook"):
        analysis.find_gaps(content)


def test_a_text_made_to_keep_the_reader_busy_is_read_in_no_time(notebook):
    cell = section_cell(notebook, "lora_r")
    cell["source"] = "".join(cell["source"]) + "<!--" * 100_000 + "\n" * 300_000 + "# " * 100_000
    assert {gap.parameter for gap in analysis.find_gaps(notebook)} <= {"lora_r"}
    cell["source"] = "x" * (analysis.LARGEST + 1)
    with pytest.raises(CourseError, match="characters"):
        analysis.find_gaps(notebook)


# --- In the notebook ----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, notebook):
    """Write the notebook as a student saves it."""

    def save():
        path = tmp_path / analysis.NOTEBOOK
        path.write_text(json.dumps(notebook), encoding="utf-8")
        os.utime(path, (0, 0))
        return tmp_path

    return save


def test_a_section_is_checked_as_it_was_saved(notebook, saved, capsys):
    assert analysis.check("lora_r", saved())
    assert "Complete: lora_r" in capsys.readouterr().out
    answer(notebook, "lora_r", "what", "")
    assert not analysis.check("lora_r", saved())
    said = capsys.readouterr().out
    assert "“What does it control?” has no answer" in said
    assert "as saved at" in said
    assert analysis.check("lora_alpha", saved())


def test_all_sections_are_listed_with_what_the_first_gap_is(notebook, saved, capsys):
    assert analysis.check_all(saved())
    answer(notebook, "lora_r", "what", "")
    assert not analysis.check_all(saved())
    said = capsys.readouterr().out
    assert said.count("complete\n") >= 25
    assert "1 of 13 sections are not complete" in said


@pytest.mark.parametrize("content", [None, "{", "[]", '{"cells": [1]}'], ids=str)
def test_a_file_that_is_not_there_or_no_notebook_is_said_and_nothing_raised(
    tmp_path, capsys, content
):
    if content:
        (tmp_path / analysis.NOTEBOOK).write_text(content)
    assert not analysis.check("lora_r", tmp_path)
    assert not analysis.check_all(tmp_path)
    said = capsys.readouterr().out
    assert said.count("Not yet: ") == 2
    assert analysis.NOTEBOOK in said


def test_an_unknown_parameter_names_the_known_ones(tmp_path, capsys):
    assert not analysis.check("lora_rank", tmp_path)
    assert "lora_r, lora_alpha" in capsys.readouterr().out


def test_on_colab_the_open_notebook_is_asked_for(tmp_path, notebook, monkeypatch, capsys):
    """There the notebook is no file of the machine; outside a browser the file is read."""
    message = types.SimpleNamespace(blocking_request=lambda *_, **__: {"ipynb": notebook})
    colab = types.ModuleType("google.colab")
    colab._message = message
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert analysis.check("lora_r", tmp_path)
    message.blocking_request = lambda *_, **__: None
    assert not analysis.check("lora_r", tmp_path)
    assert "is not there" in capsys.readouterr().out


def test_settings_are_those_of_the_training_or_the_start_values(tmp_path):
    assert analysis.own_settings(tmp_path)["lora_r"] == PARAMETERS["lora_r"].start
    (tmp_path / "training.json").write_text('{"parameters": {"lora_r": 8}}')
    assert analysis.own_settings(tmp_path)["lora_r"] == 8
    (tmp_path / "training.json").write_text("[1]")
    with pytest.raises(CourseError, match="names no parameters"):
        analysis.own_settings(tmp_path)


# --- Part B -------------------------------------------------------------------------------------


def test_the_scores_of_part_b_are_shown_with_the_cheap_rivals(tmp_path, capsys):
    row = {"instruction": "Hardness of quartz?", "expected": "7", "facts": "answer=7 | 9"}
    questions = [lab_questions.question_of(row)] * 6
    cheap = lab_questions.rivals(
        questions, [{"instruction": row["instruction"], "context": "", "answer": "9"}]
    )
    base, tuned = ({"answers": [a] * 6, "nll": [1.0] * 6, "tokens": [2] * 6} for a in ("9", "7"))
    content = lab_questions.compare(questions, base, tuned, cheap)
    (tmp_path / "answers.json").write_text(json.dumps(content))
    analysis.show_answers(tmp_path)
    told = capsys.readouterr().out
    assert told.startswith("answers.json:")
    assert "tuned - nearest neighbour +1.00 [+1.00, +1.00]" in told


def test_before_part_b_the_cell_says_what_makes_the_answers(tmp_path, capsys):
    analysis.show_answers(tmp_path)
    assert "run this cell again after inference_lora.py" in capsys.readouterr().out


@pytest.mark.parametrize("content", [3, {}, {"questions": 3, "base": 1, "answers": []}])
def test_answers_of_another_shape_are_named(tmp_path, content):
    (tmp_path / "answers.json").write_text(json.dumps(content))
    with pytest.raises(CourseError, match=r"answers.json: not what inference_lora.py writes"):
        analysis.show_answers(tmp_path)
