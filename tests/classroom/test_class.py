"""A class of each assignment: marks as the hand-out says, every cheat reported, nobody else.

The small class runs with `make test`; the whole ones with `make classroom`: tests/classroom/
whole.py. What was trained once is kept in runs/classroom.
"""

import json
import random
from pathlib import Path

import pytest
import yaml
from classroom import changes, whole, words
from classroom.batches import grade
from classroom.build import STUDIES, build, read_class
from classroom.compare import compared, differences
from sandboxes import level_or_skip

from course_utils.grading.results import results_of


def test_the_small_class_gets_the_marks_that_the_handout_promises(small):
    assert differences(small / "expected.yaml", small / "grades") == []


def test_the_comparison_tells_whose_points_and_verdicts_differ(small, tmp_path):
    wanted = yaml.safe_load((small / "expected.yaml").read_text("utf-8"))
    wanted["bruno"]["points"]["records_valid"] = [0, 0]
    wanted["empty"]["status"] = "graded"
    nobody = {"member": "nobody", "status": "graded", "points": {}, "reported": []}
    wanted["nobody"] = nobody | {"may_be_reported": []}
    del wanted["log_lowered"]
    (tmp_path / "expected.yaml").write_text(yaml.safe_dump(wanted), "utf-8")
    found = {own.name: own for own in compared(tmp_path / "expected.yaml", small / "grades")}
    assert found["bruno"].problems == ("records_valid 4 (expected 0)",)
    assert found["empty"].problems[0].startswith("rejected")
    assert found["nobody"].problems == ("in no result",)
    assert found["log_lowered"].problems == ("nobody expected it",)
    assert not found["no_adapter"].problems


def test_a_second_run_changes_no_mark(small):
    before = [result.model_dump(exclude={"seconds", "memory_gb"}) for result in _results(small)]
    grade(small / "inbox", "week05", small / "grades", "--resume")
    after = [result.model_dump(exclude={"seconds", "memory_gb"}) for result in _results(small)]
    assert before == after


def _results(folder):
    return results_of(folder / "grades")


def test_a_class_that_is_built_again_is_the_same_but_for_the_time_in_its_reports(small, tmp_path):
    """Cells have no ids by chance: each build would hold another copy."""
    again = build("week05", tmp_path / "class", "noisy_adapter") / "inbox"
    for path in filter(Path.is_file, sorted(again.rglob("*"))):
        before = small / "inbox" / path.relative_to(again)
        assert path.suffix == ".pdf" or path.read_bytes() == before.read_bytes(), path


def test_whose_words_are_copied_is_built_before_who_copies_them():
    assert list(read_class("week09_10", "copied_words").members) == ["bruno", "copied_words"]


def test_a_script_copied_under_other_names_still_is_that_script():
    kits = "quiet_known_noise, own_data, own_summary = print, len, sorted\n"
    text = kits + words.code(random.Random(5))
    renamed = changes.renamed(text)
    assert renamed.startswith(kits), "names of the kit are not the student's to change"
    assert "own_" not in renamed.removeprefix(kits)
    back = renamed.replace("    # the result\n", "")
    for new, old in (("my_helper_", "own_"), ("amount", "total"), ("entry", "value")):
        back = back.replace(new, old)
    assert back == text


@pytest.mark.parametrize("assignment", STUDIES)
def test_a_class_has_thirty_members_and_an_argument_for_each(assignment):
    members = read_class(assignment).members
    assert len(members) >= 30
    assert all(len(row.why.split()) >= 5 for row in members.values())


@pytest.mark.parametrize("assignment", STUDIES)
def test_an_untouched_starter_earns_what_it_deserves(prepared, tmp_path, assignment):
    level_or_skip("auto")
    folder = build(assignment, tmp_path / "class", "starter")
    grade(folder / "inbox", assignment, folder / "grades")
    [own] = compared(folder / "expected.yaml", folder / "grades")
    assert not own.problems
    low, high = own.expected
    assert low <= own.found <= high <= 1, "exactly: a starter is the same for everybody"


@pytest.mark.long
def test_the_command_for_whole_classes_goes_on_where_it_was(prepared, tmp_path, capfd):
    level_or_skip("auto")
    words = ["week05", "--only", "empty", "--out", str(tmp_path)]
    assert whole.main(words) == 0
    inbox = tmp_path / "week05-empty" / "inbox"
    first = inbox.stat().st_mtime_ns
    capfd.readouterr()
    assert whole.main(words) == 0
    assert inbox.stat().st_mtime_ns == first, "it was not built again"
    told = capfd.readouterr().out
    assert "1 of 1 submissions are graded already" in told
    assert "1 of 1 as expected" in told
    assert json.loads((tmp_path / "week05-empty.grades.measured.json").read_text())["peak"] > 0
    assert "| empty | 0 |" in (tmp_path / "week05-empty.md").read_text()
