"""The commands around an assignment as a student meets them: exit codes and messages."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from course_utils import files
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.commands import main as cli

ROOT = Path(__file__).parents[2]
GROUPS = (
    ("assignment", "start"),
    ("assignment", "list"),
    ("assignment", "release"),
    ("assignment", "export"),
    ("rubric", "check"),
    ("submit", "check"),
    ("submit", "pack"),
    ("review", "make"),
    ("review", "import"),
    ("data", "build"),
    ("compare-models",),
)


@pytest.fixture
def course(monkeypatch, capsys):
    """Run `course ARGUMENTS` in this process: (exit code, everything printed on wide lines)."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["course", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code or 0, " ".join((said.out + said.err).split())

    return run


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_every_command_has_help_with_an_example(course, words):
    code, said = course(*words, "--help")
    assert code == 0
    assert f"Example: course {' '.join(words)}" in said


def test_the_starter_is_copied_and_the_hand_out_named(course, tmp_path):
    code, said = course("assignment", "start", "week09_10", tmp_path / "mine")
    assert code == 0
    assert (tmp_path / "mine" / "scripts" / "train.py").is_file()
    assert "week09_10_manufacturing/README.md" in said


def test_a_release_needs_its_name(course):
    code, said = course("assignment", "release")
    assert code == 2
    assert "Missing argument" in said


def test_the_list_has_ids_and_old_names(course):
    code, said = course("assignment", "list")
    assert code == 0
    for about in ASSIGNMENTS.values():
        assert all(name in said for name in (about.id, *about.aliases))


def test_hand_outs_that_say_otherwise_exit_1_until_they_are_written(course, tmp_path, monkeypatch):
    for about in ASSIGNMENTS.values():
        (tmp_path / about.folder).mkdir()
        for name in ("assignment.yaml", "rubric.yaml", "README.md"):
            shutil.copy(about.path / name, tmp_path / about.folder)
    monkeypatch.setattr("course_utils.kit.ASSIGNMENTS", tmp_path)
    page = tmp_path / "week05_parameter_lab" / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("| computer |", "| nobody |", 1), encoding="utf-8")
    code, said = course("rubric", "check", "week05")
    assert code == 1
    assert "README.md, line " in said
    assert "Cure: course rubric check --write" in said
    assert course("rubric", "check", "week05", "--write")[0] == 0
    assert course("rubric", "check", "parameter_lab")[0] == 0
    assert page.read_text(encoding="utf-8") == text


def test_an_unknown_assignment_is_one_message(course, tmp_path):
    code, said = course("assignment", "start", "week3", tmp_path / "mine")
    assert code == 1
    assert "Error: there is no assignment 'week3' Cure: choose one of: " in said


def test_the_check_of_the_starter_exits_1_and_as_json_too(course, tmp_path):
    course("assignment", "start", "week09_10", tmp_path / "mine")
    code, said = course("submit", "check", tmp_path / "mine")
    assert code == 1
    assert "missing" in said
    code, said = course("submit", "check", tmp_path / "mine", "--json")
    assert code == 1
    assert json.loads(said[: said.rindex("}") + 1])["ok"] is False  # then the progress bar


def test_an_incomplete_submission_is_not_packed(course, tmp_path):
    course("assignment", "start", "week09_10", tmp_path / "mine")
    code, said = course("submit", "pack", tmp_path / "mine")
    assert code == 1
    assert "Error:" in said
    assert "Cure:" in said
    assert not (tmp_path / "mine.zip").exists()


def test_a_review_needs_an_evaluation(course, tmp_path):
    code, said = course("review", "make", tmp_path)
    assert code == 1
    assert "evaluation.json" in said
    assert "Cure:" in said


def test_a_review_is_made_and_read_back(course, tmp_path):
    rows = [
        {
            "task": "qa",
            "document": "equipment_manual",
            "instruction": f"Question {number}?",
            "input": "text",
            "reference": "yes",
            "base": "no",
            "tuned": f"yes {number}",
        }
        for number in range(4)
    ]
    files.write_json_atomic(tmp_path / "run" / "evaluation.json", {"predictions": rows})
    code, said = course("review", "make", tmp_path, "--count", "4", "--seed", "3")
    assert code == 0
    assert "4 pairs of answers" in said
    code, said = course("review", "import", tmp_path / "review", tmp_path / "no_such.json")
    assert code == 1
    assert "no_such.json" in said


def test_comparing_models_needs_data(course, tmp_path):
    code, said = course("compare-models", tmp_path, "--model", "nano", "--out", tmp_path / "out")
    assert code == 1
    assert "train.jsonl" in said
    assert not (tmp_path / "out").exists()


def test_an_unknown_track_is_wrong_usage(course, tmp_path):
    code, said = course("data", "build", "--track", "chemistry", "--out", tmp_path)
    assert code == 2
    assert "choose manufacturing" in said
