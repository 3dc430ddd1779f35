"""Week 5: hand-out, rubric and starter say the same; the reference solution passes its own check.

The path is run with the nano model: its scores mean nothing, the code is the real one.
"""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from lab_submissions import copy_solution

from course_utils import records
from course_utils.assignments.week05 import check_submission
from course_utils.lab import analysis, parameters, recording
from course_utils.reports import write

ASSIGNMENT = Path(__file__).parents[2] / "assignments" / "week05_parameter_lab"
SOLUTION, STARTER = ASSIGNMENT / "solution", ASSIGNMENT / "starter"
HANDOUT = (ASSIGNMENT / "README.md").read_text(encoding="utf-8")


# --- Hand-out, rubric, starter ------------------------------------------------------------------


def test_records_and_questions_in_the_handout_are_valid():
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", HANDOUT, re.S)]
    asked = [row for row in shown if "expected" in row]
    assert (len(shown), len(asked)) == (3, 1)
    for row in shown:
        row = dict(row)
        row.setdefault("answer", row.pop("expected", ""))
        assert records.validate(row, "geology") == []


def test_the_handout_asks_the_four_questions_about_all_parameters():
    assert all(question in HANDOUT for question in parameters.QUESTIONS.values())
    assert all(f"`{name}`" in HANDOUT for name in parameters.PARAMETERS)


def test_options_that_the_handout_uses_are_known_to_the_scripts():
    text = re.sub(r"\\\n\s*", "", HANDOUT)
    commands = re.findall(r"^python my_lab/(\w+)\.py([^#\n]*)", text, re.M)
    assert {script for script, _ in commands} == {"train_lora", "inference_lora"}
    for script, words in commands:
        load(STARTER / f"{script}.py").read_arguments(words.split())


def load(path):
    """A script as a module of its own."""
    spec = spec_from_file_location(f"week05_{path.stem}", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_starter_has_the_scripts_whole_and_no_answer():
    whole = [SOLUTION / "inference_lora.py", recording.HANDED_OUT / "train_lora.py"]
    for script in whole:
        assert (STARTER / script.name).read_bytes() == script.read_bytes()
    assert not (STARTER / "prepare_records.py").exists()
    given = (STARTER / analysis.NOTEBOOK).read_text(encoding="utf-8")
    solved = json.loads((SOLUTION / analysis.NOTEBOOK).read_text(encoding="utf-8"))
    for name, section in analysis.read_sections(solved).items():
        for text in section.answers.values():
            assert json.dumps(text.strip())[1:-1] not in given, name
        assert f'analysis.recorded(\\"{name}\\")' in given


# --- The reference solution, from its README ----------------------------------------------------


@pytest.fixture(scope="module")
def submission(nano_model_path, tmp_path_factory):
    """Records, adapter, answers, executed notebook and report, made in a copy of the solution."""
    from course_utils.tracks.geology import track as geology

    if not geology.is_prepared():
        pytest.skip("run `course data prepare`")
    folder = copy_solution(tmp_path_factory.mktemp("week05") / "my_lab")
    prepare, train, ask = (
        load(folder / f"{name}.py") for name in ("prepare_records", "train_lora", "inference_lora")
    )
    prepare.main(prepare.read_arguments(["--records", "24", "--held_out", "8"]))
    adapter, words = str(folder / "adapter"), "--base_model nano --max_length 256 --lora_r 4"
    data = ["--data", str(folder / "records.jsonl"), "--out", adapter, "--bf16", "false"]
    train.main([*data, *words.split(), "--lora_alpha", "8", "--num_train_epochs", "1"])
    for name, more in (("test_questions", []), ("held_out", ["held_out_answers.json"])):
        questions = ["--adapter", adapter, "--questions", str(folder / f"{name}.jsonl")]
        out = ["--out", str(folder / more[0])] if more else []
        ask.main([*questions, *out, "--max_new_tokens", "6"])
    run_notebook(folder)
    write.write_report([folder], "pdf")
    return folder


def run_notebook(folder):
    out = folder / "run" / "notebook"
    command = [sys.executable, "-m", "course_utils", "run", str(folder / analysis.NOTEBOOK)]
    command += ["--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shutil.copy(out / analysis.NOTEBOOK, folder / analysis.NOTEBOOK)


def test_the_reference_solution_passes_its_check(submission):
    report = check_submission(submission)
    assert report.ok, report.lines()
    odd = [finding.message for finding in report.of_state("warning")]
    # A random model may say nothing, and its submission is complete in form only.
    known = ("answers are empty", "reference solution", "for trying out (", "0.000", "zero")
    assert [message for message in odd if not any(words in message for words in known)] == []


def test_the_executed_notebook_says_that_all_sections_are_complete(submission):
    notebook = json.loads((submission / analysis.NOTEBOOK).read_text(encoding="utf-8"))
    assert analysis.find_gaps(notebook, executed=True) == []
    printed = "".join(notebook["cells"][-1]["outputs"][0]["text"])
    assert "Complete: all 13 are complete" in printed


def test_questions_are_five_held_out_and_from_different_groups(submission):
    lines = (submission / "test_questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    trained = records.read_records(submission / "records.jsonl", "geology")
    assert len({row["group"] for row in asked}) == len(asked) == 5
    assert not {row["group"] for row in asked} & {row["group"] for row in trained}
    assert all(isinstance(row["answer"], str) for row in asked)


def test_both_models_answered_the_held_out_questions_with_an_interval(submission):
    content = json.loads((submission / "held_out_answers.json").read_text(encoding="utf-8"))
    assert content["questions"] == 8
    assert content["difference"]["token_f1"].keys() == {"mean", "low", "high"}
