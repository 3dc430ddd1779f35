"""The assignment's scripts as a user calls them: help, and errors in two lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import kit
from course_utils.assignments import scripts
from course_utils.errors import CourseError
from course_utils.files import read_json

SOLUTION = kit.ROOT / "assignments/week09_10_manufacturing/solution"
SCRIPTS = SOLUTION / "scripts"


def call(script, *arguments, cwd=None):
    """A script in a process of its own, as in a terminal."""
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        timeout=120,
        check=False,
    )


def two_lines(done):
    """What a refused call said: an error and its cure, no traceback, nothing else."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Error", "Cure"], done.stderr
    return lines[0]


@pytest.fixture
def submission(tmp_path):
    """An empty submission with a configuration."""
    config = tmp_path / "configs" / "lora_config.yaml"
    config.parent.mkdir()
    config.write_text("r: 8\nprecision: fp32\n", encoding="utf-8")
    return tmp_path


def workspace(folder, *given):
    parser = scripts.arguments("What it does.", folder)
    return scripts.open_workspace(parser, given)


# --- In processes of their own ---


@pytest.mark.parametrize("name", ["prepare_data", "evaluate"])
def test_help_says_what_the_script_does_and_takes(name, tmp_path):
    done = call(SCRIPTS / f"{name}.py", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("Part ", "--folder", "--config", "--run", "--set NAME=VALUE"):
        assert text in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "rnak=8"], "unknown key rnak"),
        (["--set", "r"], "--set r: this is not NAME=VALUE"),
        (["--folder", "nowhere"], "there is no such folder"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
    ],
)
def test_a_wrong_call_ends_in_two_lines(arguments, said, tmp_path):
    done = call(SCRIPTS / "prepare_data.py", *arguments, "--run", tmp_path / "run", cwd=tmp_path)
    assert said in two_lines(done)
    assert not (tmp_path / "run").exists()


def test_a_folder_without_configuration_ends_in_two_lines(tmp_path):
    done = call(SCRIPTS / "prepare_data.py", "--folder", tmp_path)
    assert "lora_config.yaml: there is no such file" in two_lines(done)


def test_evaluation_before_the_data_ends_in_two_lines(submission):
    done = call(SCRIPTS / "evaluate.py", "--folder", submission)
    assert "train.jsonl" in two_lines(done)


def test_training_before_the_data_ends_in_two_lines(submission):
    done = call(SCRIPTS / "train.py", "--folder", submission)
    assert "train.jsonl" in two_lines(done)
    assert not (submission / "models").exists()


def test_the_script_evaluate_does_not_hide_the_package_evaluate(tmp_path):
    """Python puts the script's folder first on its path; metrics import the package."""
    script = tmp_path / "evaluate.py"
    script.write_text(
        "from course_utils import scripts\nimport evaluate\nprint(evaluate.__file__)\n"
        "import beside\nprint(beside.NUMBER)\n"
    )
    (tmp_path / "beside.py").write_text("NUMBER = 7\n")
    done = call(script)
    assert done.returncode == 0, done.stderr
    package, number = done.stdout.split()
    assert Path(package).parent != tmp_path
    assert package.endswith("__init__.py")
    assert number == "7"  # the script's folder is still searched


def test_without_the_kits_help_the_script_would_hide_the_package(tmp_path):
    """The control of the test above."""
    script = tmp_path / "evaluate.py"
    script.write_text("import evaluate\nif __name__ == '__main__':\n print(evaluate.__file__)\n")
    assert call(script).stdout.split()[-1] == str(script)


# --- Arguments ---


def test_the_workspace_lies_in_the_submission(submission):
    space = workspace(submission)
    assert space.folder == submission
    assert space.config.r == 8
    assert space.run.folder == submission / "run"
    assert space.adapter == submission / "models" / "finetuned_model"
    assert space.data("val") == submission / "data" / "val.jsonl"
    assert space.report("a.md") == submission / "reports" / "a.md"
    saved = read_json(submission / "run" / "settings.json")
    assert saved["settings"]["lora_r"] == 8
    assert saved["seed"] == 42


def test_folders_and_configuration_can_be_given(submission, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("r: 2\nprecision: fp32\n")
    given = ["--config", str(other), "--run", str(tmp_path / "elsewhere")]
    space = workspace(Path("unused"), "--folder", str(submission), *given)
    assert (space.config.r, space.run.folder) == (2, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "settings.json").is_file()
    assert not (submission / "run").exists()


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("learning_rate=5e-4", "learning_rate", 5e-4),
        ("lora_r=4", "r", 4),
        ("target_modules=[q_proj, v_proj]", "target_modules", ["q_proj", "v_proj"]),
        ("target_modules=all-linear", "target_modules", "all-linear"),
        ("tasks=[qa]", "tasks", ["qa"]),
        ("gradient_checkpointing=true", "gradient_checkpointing", True),
        ("base_model=/a=b", "base_model", "/a=b"),
        (" seed = 7", "seed", 7),
    ],
)
def test_set_replaces_one_value(submission, given, name, value):
    assert getattr(workspace(submission, "--set", given).config, name) == value


def test_set_can_be_given_again_and_the_last_one_counts(submission):
    config = workspace(submission, "--set", "r=4", "--set", "seed=7", "--set", "r=2").config
    assert (config.r, config.seed) == (2, 7)


@pytest.mark.parametrize(
    "given",
    ["r", "=8", "", "r=", "r=~", "r=[8", "r='8", "r=a: b: c", " =8", "r=\t8", "tasks=qa", "r=yes"],
)
def test_a_wrong_set_is_a_course_error(submission, given):
    with pytest.raises(CourseError):
        workspace(submission, "--set", given)


def test_a_file_in_place_of_the_folder_is_refused(submission):
    with pytest.raises(CourseError, match="there is no such folder"):
        workspace(submission, "--folder", str(submission / "configs" / "lora_config.yaml"))


def test_a_run_folder_that_is_a_file_is_refused(submission):
    (submission / "run").write_text("")
    with pytest.raises(CourseError, match="run"):
        workspace(submission)


def test_only_the_first_of_several_processes_writes(submission, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    workspace(submission)
    assert not (submission / "run" / "settings.json").exists()


def test_the_command_line_shows_a_problem_and_lets_others_pass(capsys):
    with pytest.raises(SystemExit) as stopped, scripts.command_line():
        raise CourseError("broken", "mend it")
    assert stopped.value.code == "Error: broken\nCure: mend it"
    with pytest.raises(SystemExit) as stopped, scripts.command_line():
        raise CourseError("broken")
    assert stopped.value.code == "Error: broken"
    with pytest.raises(SystemExit) as stopped, scripts.command_line():
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert "Interrupted" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError), scripts.command_line():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        Exception("No space left on device (os error 28)"),  # tokenizers
        RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/3"),  # torch
    ],
)
def test_a_full_disk_is_told_without_a_traceback(error):
    with pytest.raises(SystemExit) as end, scripts.command_line():
        raise error
    assert "the disk is full" in end.value.code
    assert "--resume" in end.value.code


def test_any_other_error_of_a_script_is_not_hidden():
    with pytest.raises(ZeroDivisionError), scripts.command_line():
        raise ZeroDivisionError
