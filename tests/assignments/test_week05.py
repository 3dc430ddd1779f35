"""The check of a week-5 folder: a complete one, one fault at a time, and which assignment it is."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from lab_submissions import (
    MINERALS,
    SOLUTION,
    ask,
    make_lab,
    read_lines,
    save_adapter,
    write_lines,
)
from submissions import edit_json

from course_utils import provenance
from course_utils.assignments import handout
from course_utils.assignments import week05 as lab_submission
from course_utils.assignments.week05 import check_submission, pack_submission
from course_utils.commands import main as cli
from course_utils.errors import CourseError
from course_utils.lab import analysis, own_words, parameters


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A complete submission, made once."""
    return make_lab(tmp_path_factory.mktemp("complete") / "my_lab")


@pytest.fixture
def folder(complete, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(complete, tmp_path / "my_lab"))


def only(folder, state="wrong"):
    """The one finding in this state; nothing else may be missing or wrong."""
    report = check_submission(folder)
    bad = report.of_state("missing", "wrong", *([state] if state == "warning" else []))
    assert [finding.state for finding in bad] == [state], report.lines()
    assert bad[0].cure
    assert report.ok is (state == "warning")
    return bad[0]


# --- Complete, and what is not there ------------------------------------------------------------


def test_a_complete_submission_has_nothing_missing_wrong_or_odd(complete):
    report = check_submission(complete)
    assert report.ok
    assert report.counts["warning"] == 0, report.lines()
    known = {check.id for check in lab_submission.CHECKLIST.checks}
    assert {finding.id for finding in report.findings} == known


@pytest.mark.parametrize("name", lab_submission.REQUIRED)
def test_each_missing_file_is_one_finding_with_its_cure(folder, name):
    (folder / name).unlink()
    finding = only(folder, "missing")
    assert finding.path == name
    assert finding.cure == lab_submission.REQUIRED[name]


def names_weights(folder, file, told):
    edit_json(folder / file, lambda content: content.update(prints={"adapter": told}))


def test_training_and_answers_name_the_adapter_that_is_handed_in(folder):
    own = provenance.of_weights(folder / "adapter")
    for file in ("training.json", "answers.json"):
        names_weights(folder, file, own)
    assert check_submission(folder).ok
    names_weights(folder, "answers.json", "0" * 16)
    found = only(folder)
    assert (found.id, found.path) == ("questions.adapter", "answers.json")
    assert f"of the adapter {'0' * 16}, the one in adapter/ is {own}" in found.message


def test_training_on_as_many_other_records_is_a_warning(folder):
    own = provenance.of_records(folder / "records.jsonl")
    edit_json(folder / "training.json", lambda told: told.update(prints={"records": own}))
    assert check_submission(folder).counts["warning"] == 0
    rows = read_lines(folder / "records.jsonl")
    rows[0]["answer"] = "Quartz: page 99."
    write_lines(folder / "records.jsonl", rows)
    assert "other records than records.jsonl holds now" in only(folder, "warning").message


def test_training_of_another_run_with_the_same_settings_is_named_once(folder):
    for file in ("training.json", "answers.json"):
        names_weights(folder, file, "0" * 16)
    found = only(folder)
    assert found.id == "training.weights"
    assert "checksum of the weights" in found.message


def test_one_report_is_enough_and_none_is_not(folder):
    (folder / "report.pdf").rename(folder / "report.pptx")
    assert "not a PPTX file" in only(folder).message
    (folder / "report.pptx").write_bytes(b"PK\x03\x04...")
    assert check_submission(folder).ok
    (folder / "report.pptx").unlink()
    assert "neither" in only(folder).message


def test_the_starter_hears_what_is_missing_and_left_open(tmp_path):
    report = check_submission(handout.start("week05", tmp_path / "mine"))
    assert {f.path for f in report.of_state("missing")} == (
        set(lab_submission.REQUIRED) - {analysis.NOTEBOOK}
    )
    wrong = [finding for finding in report.of_state("wrong") if finding.path == analysis.NOTEBOOK]
    assert len(wrong) == 13
    assert all("placeholder" in finding.message for finding in wrong)


# --- Part 1 -------------------------------------------------------------------------------------


def test_an_incomplete_section_is_named_by_itself(folder):
    def empty(notebook):
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if source.startswith("### lora_r\n"):
                cell["source"] = source[: source.index("**What happens")]

    edit_json(folder / analysis.NOTEBOOK, empty)
    finding = only(folder)
    assert finding.subject == "lora_r"
    assert finding.message.startswith("“What happens if we increase it?”")
    assert finding.message.endswith("(and 2 more)")


def test_a_notebook_that_was_not_run_lacks_its_figures(folder):
    def clear(notebook):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)

    edit_json(folder / analysis.NOTEBOOK, clear)
    report = check_submission(folder)
    assert len(report.of_state("wrong")) == 13
    assert "0 of" in report.of_state("warning")[0].message


def stop_at(name):
    """An edit: the section's figure stopped with an error, and nothing below it was run."""

    def edit(notebook):
        stopped = False
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and stopped:
                cell.update(outputs=[], execution_count=None)
            elif f'analysis.recorded("{name}")' in source:
                stopped = True
                cell["outputs"] = [{"output_type": "error", "ename": "NameError"}]

    return edit


def test_a_cell_that_stopped_is_named_with_its_section_beside_all_that_is_missing(folder):
    edit_json(folder / analysis.NOTEBOOK, stop_at("num_train_epochs"))
    report = check_submission(folder)
    (stopped,) = [finding for finding in report.findings if finding.id == "analysis.run"]
    assert "in the section num_train_epochs, stopped with an error" in stopped.message
    assert stopped.message.startswith("code cell ")
    wrong = {finding.subject for finding in report.of_state("wrong")}
    assert wrong == {"", *parameters.PARAMETERS} - {"learning_rate"}


def test_a_cell_that_stopped_hides_no_nonsense_above_it_and_no_empty_section_below(folder):
    def edit(notebook):
        stop_at("lora_r")(notebook)
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if source.startswith("### learning_rate\n"):
                cell["source"] = source[: source.index("**What happens if we increase")]

    edit_json(folder / analysis.NOTEBOOK, edit)
    report = check_submission(folder)
    found = {finding.subject: finding.message for finding in report.of_state("wrong")}
    assert found["learning_rate"].startswith("“What happens if we increase it?”")
    assert "not in the saved notebook" in found["logging_steps"]


def test_answers_of_the_lab_are_named_section_by_section(folder):
    """What was verbatim the lab's own text used to be complete."""
    lab = json.loads(own_words.LAB.read_text(encoding="utf-8"))
    given = ["".join(cell["source"]) for cell in lab["cells"] if cell["cell_type"] == "markdown"]
    given = [text for text in given if re.match(r"## \d+\. ", text)]

    def copy(notebook):
        for cell in notebook["cells"]:
            name = "".join(cell["source"]).partition("\n")[0].removeprefix("### ")
            if name in parameters.PARAMETERS:
                text = given[list(parameters.PARAMETERS).index(name)]
                cell["source"] = f"### {name}\n" + text.partition("\n")[2].replace("- **", "\n**")

    edit_json(folder / analysis.NOTEBOOK, copy)
    report = check_submission(folder)
    wrong = report.of_state("wrong")
    assert {finding.subject for finding in wrong} == set(parameters.PARAMETERS)
    assert {finding.message_id for finding in wrong} == {"analysis.not_own"}


def test_a_broken_notebook_is_one_finding(folder):
    for content in ("{", "[]", '{"cells": [{"cell_type": "code"}]}', '{"cells": "x"}'):
        (folder / analysis.NOTEBOOK).write_text(content)
        assert only(folder).path == analysis.NOTEBOOK


# --- Part 2 -------------------------------------------------------------------------------------


def test_nineteen_records_are_one_too_few(folder):
    rows = read_lines(folder / "records.jsonl")
    write_lines(folder / "records.jsonl", rows[:20])
    assert (
        "24 records were used in training, records.jsonl has 20" in only(folder, "warning").message
    )
    write_lines(folder / "records.jsonl", rows[:19])
    finding = only(folder)
    assert "19 records, at least 20" in finding.message
    assert "1 more" in finding.cure


def test_a_wrong_record_is_named_with_its_line(folder):
    rows = read_lines(folder / "records.jsonl")
    del rows[2]["answer"]
    write_lines(folder / "records.jsonl", rows)
    assert "line 3: field `answer` is missing" in only(folder).message


def test_records_without_a_source_are_a_warning(folder):
    rows = read_lines(folder / "records.jsonl")
    for row in rows[:5]:
        del row["source"]
    write_lines(folder / "records.jsonl", rows)
    assert "5 of 24" in only(folder, "warning").message


# --- Part 3 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("perplexity", 1.5, "not exp(eval_loss)"),
        ("eval_loss", None, "not a number"),
        ("log", [], "no training loss"),
        ("parameters", {"lora_rank": 4}, "no such parameter"),
        ("command", "python train_lora.py --lora_r 8", "not the one of its parameters"),
        ("command", "rm -rf .", "no train_lora.py"),
    ],
    ids=["perplexity", "nan", "log", "parameter", "command", "other command"],
)
def test_a_training_log_that_contradicts_itself_is_named(folder, name, value, said):
    edit_json(folder / "training.json", lambda content: content.update({name: value}))
    finding = only(folder)
    assert finding.path == "training.json"
    assert said in finding.message


@pytest.mark.parametrize(
    ("name", "value"), [("lora_r", 8), ("lora_alpha", 16), ("include_mlp", True)]
)
def test_an_adapter_of_another_training_is_named(folder, name, value):
    def change(content):
        content["parameters"][name] = value
        content["command"] = parameters.to_command(content["parameters"])

    edit_json(folder / "training.json", change)
    assert only(folder).message.startswith(f"{name}: ")


def test_an_untrained_adapter_is_named(folder):
    shutil.rmtree(folder / "adapter")
    save_adapter(folder / "adapter", trained=False)
    assert "never trained" in only(folder).message


def test_a_pickle_beside_the_adapter_is_never_welcome(folder):
    (folder / "adapter" / "training_args.bin").write_bytes(b"x")
    assert "can run code" in only(folder).message


# --- Part 4 -------------------------------------------------------------------------------------


def change_questions(folder, change):
    rows = read_lines(folder / "test_questions.jsonl")
    change(rows)
    write_lines(folder / "test_questions.jsonl", rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[0].pop("expected"), "line 1: field `expected` is missing"),
        (lambda rows: rows[1].update(instruction=" "), "line 2: field `instruction` is empty"),
        (lambda rows: rows[1].update(context=7), "line 2: field `context` is no text"),
        (lambda rows: rows[3].update(rows[2]), "twice"),
        (lambda rows: rows[0].update(answer=None), "question 1 has no answer"),
        (lambda rows: rows[0].update(answer="Edited."), "are not those in"),
    ],
    ids=["missing", "empty", "type", "twice", "unanswered", "edited"],
)
def test_questions_that_do_not_fit_are_named(folder, change, said):
    change_questions(folder, change)
    assert said in only(folder).message


def test_too_few_questions_are_named_and_what_was_answered_is_compared_all_the_same(folder):
    change_questions(folder, lambda rows: rows.__delitem__(slice(4, None)))
    count, answers = check_submission(folder).of_state("wrong")
    assert "4 questions, at least 5" in count.message
    assert "are not those in" in answers.message


def test_a_question_from_the_training_data_is_named(folder):
    record = read_lines(folder / "records.jsonl")[0]
    ask(folder, [f"Feel of {name}?" for name in MINERALS[:5]] + [record["instruction"].upper()])
    assert "question 6 is a training record" in only(folder).message


def test_scores_that_do_not_follow_from_the_answers_are_named(folder):
    edit_json(folder / "answers.json", lambda content: content["tuned"].update(token_f1=0.99))
    assert "token F1 of the tuned model 0.99, but its answers give" in only(folder).message
    (folder / "answers.json").unlink()
    assert only(folder, "warning").path == "answers.json"


# --- Packing, and the command -------------------------------------------------------------------


def test_the_archive_holds_the_structure_and_nothing_else(folder):
    for name in ("notes.txt", "checkpoints/checkpoint-8/state.json", "figures/loss.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    target = pack_submission(folder)
    names = set(zipfile.ZipFile(target).namelist())
    assert set(lab_submission.REQUIRED) | {"report.pdf", "figures/loss.png"} <= names
    assert not names & {"notes.txt", "checkpoints/checkpoint-8/state.json"}
    (folder / "records.jsonl").unlink()
    with pytest.raises(CourseError, match="not complete"):
        pack_submission(folder, overwrite=True)


@pytest.fixture
def course(monkeypatch, capsys):
    """Run `course ARGUMENTS` in this process: (exit code, everything printed on one line)."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, " ".join((said.out + said.err).split())

    return run


def test_the_command_knows_the_assignment_by_the_folders_files(course, folder, tmp_path):
    code, said = course("submit", "check", folder)
    assert code == 0, said
    assert "Part 1: parameter analysis" in said
    code, said = course("submit", "check", handout.start("week09_10", tmp_path / "other"))
    assert code == 1
    assert "Part 3: LoRA fine-tuning" in said


def test_a_folder_of_no_or_two_assignments_asks_which(course, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (folder / "configs").mkdir()
    for where, why in ((tmp_path / "empty", "none of"), (folder, "several")):
        code, said = course("submit", "check", where)
        assert code == 1
        assert why in said
        assert "--assignment parameter_lab" in said
    assert course("submit", "check", folder, "--assignment", "week05")[0] == 0
    code, said = course("submit", "check", folder, "--assignment", "week7")
    assert (code, "no assignment 'week7'" in said) == (1, True)


# --- The form, and nothing in it ----------------------------------------------------------------


def hollow(folder):
    """The warnings that there is nothing in it; such a submission is complete in form only."""
    report = check_submission(folder)
    assert report.ok
    assert report.verdict().startswith("Complete in form only: ")
    return report.hollow


def test_the_nano_model_is_no_base_model(folder):
    config = {"base_model_name_or_path": "/home/ada/.cache/models/nano"}
    edit_json(folder / "adapter" / "adapter_config.json", lambda content: content.update(config))
    assert hollow(folder) == ["hollow.nano"]


def test_marks_of_the_reference_solution_are_named(folder):
    shutil.copy(SOLUTION / "README.md", folder)
    with (folder / "train_lora.py").open("a") as file:
        file.write("\n### BEGIN SOLUTION\n### END SOLUTION\n")
    assert hollow(folder) == ["hollow.solution"]
    (finding,) = (f for f in check_submission(folder).findings if f.message_id)
    assert "train_lora.py" in finding.message


def test_scores_of_nothing_but_zero_are_named(folder):
    ask(folder, [f"How does {name} feel in the hand?" for name in MINERALS[:6]], tuned="Quartz")
    assert hollow(folder) == ["hollow.zero"]


def test_what_is_still_the_starters_is_named_even_after_it_was_run(folder):
    starter = SOLUTION.parent / "starter"
    notebook = json.loads((starter / analysis.NOTEBOOK).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(execution_count=1, outputs=[])
    (folder / analysis.NOTEBOOK).write_text(json.dumps(notebook))
    report = check_submission(folder)
    assert not report.ok
    assert report.hollow == ["hollow.starter"]
