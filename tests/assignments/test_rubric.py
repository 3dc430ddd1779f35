"""The rubric adds up and refuses what does not; what its hand-out shows is right."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_utils import records, tasks
from course_utils.assignments.rubric import load_rubric
from course_utils.errors import CourseError

FOLDER = Path(__file__).parents[2] / "assignments" / "week09_10_manufacturing"
RUBRIC = FOLDER / "rubric.yaml"


@pytest.fixture
def content():
    return yaml.safe_load(RUBRIC.read_text(encoding="utf-8"))


@pytest.fixture
def written(tmp_path):
    """Write a content as rubric.yaml and give its path."""

    def write(content):
        path = tmp_path / "rubric.yaml"
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path, *parts):
    """The message of the CourseError; it names the file and each of the parts."""
    with pytest.raises(CourseError) as error:
        load_rubric(path)
    for part in (str(path), *parts):
        assert part in error.value.message
    assert error.value.cure
    return error.value.message


def test_each_automatic_item_has_a_check_of_its_own():
    checks = [item.check for item in load_rubric(RUBRIC).of_kind("automatic")]
    assert len(set(checks)) == len(checks) > 15


def test_item_by_id_and_unknown_id():
    rubric = load_rubric(RUBRIC)
    assert rubric.item("data_no_leak").part == 1
    with pytest.raises(CourseError, match="no item 'nonsense'"):
        rubric.item("nonsense")


# --- The hand-out says the same -----------------------------------------------------------------


def handout():
    return (FOLDER / "README.md").read_text(encoding="utf-8")


def in_handout(pattern):
    """What of the hand-out fits, each line of a command whole."""
    found = re.findall(pattern, re.sub(r"\\\n\s*", "", handout()))
    assert len(found) >= 4, pattern
    return found


def test_records_in_the_handout_are_valid_and_state_their_facts():
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", handout(), re.S)]
    assert {record["task"] for record in shown} == {"understanding", "report", "qa"}
    assert len({record["document"] for record in shown}) == 4
    for record in shown:
        assert records.validate(record, "manufacturing") == []
        if record.get("facts"):
            assert tasks.main_score(record["output"], record) == 1, record


def test_configuration_in_the_handout_is_valid(tmp_path):
    from course_utils.assignments.configuration import read_config

    path = tmp_path / "lora_config.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", handout(), re.S)[1])
    config = read_config(path)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (16, 32, 0.05)


def test_files_that_the_handout_names_exist():
    for name in in_handout(r"\$B/([\w/.]+)"):
        assert (FOLDER / "bonuses" / name).is_file(), name
    for link in in_handout(r"\]\(([^)]+)\)"):
        assert (FOLDER / link.partition("#")[0]).is_file(), link


def test_options_that_the_handout_uses_are_known_to_the_scripts():
    for script, options in in_handout(r"python \$B/(\w+\.py)([^#\n]*)"):
        command = [sys.executable, FOLDER / "bonuses" / script, "--help"]
        known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"--[\w-]+", options)) <= set(re.findall(r"--[\w-]+", known)), script


# --- Rubrics that are refused -------------------------------------------------------------------


def test_wrong_sum_of_a_part_is_named(content, written):
    content["items"][0]["points"] += 1
    points = content["parts"][0]["points"]
    refused(written(content), f"the items of part 1 add up to {points + 1} points, not {points}")


def test_wrong_totals_are_named(content, written):
    points, bonus = content["points"], content["bonus_points"]
    content["points"] -= 10
    refused(written(content), f"the parts add up to {points} points, not {points - 10}")
    content["points"] = points
    content["bonus_points"] -= 10
    refused(written(content), f"the bonuses add up to {bonus} points, not {bonus - 10}")


def test_a_new_bonus_is_told_where_the_sum_stands(content, written):
    content["items"].append({**content["items"][-1], "id": "video", "points": 5})
    with pytest.raises(CourseError) as error:
        load_rubric(written(content))
    assert f"bonus_points: {content['bonus_points'] + 5}" in error.value.cure


def test_a_bonus_may_have_any_size_that_the_sum_knows(content, written):
    content["items"][-1]["points"] -= 5
    content["bonus_points"] -= 5
    assert load_rubric(written(content)).bonus_points == content["bonus_points"]


def test_id_that_stands_twice_is_named(content, written):
    content["items"][1]["id"] = "data_size"
    refused(written(content), "item data_size stands 2 times")


def test_points_that_stand_twice_in_an_item_are_named(content, written):
    text = yaml.safe_dump(content)
    doubled = text.replace("  points: ", "  points: 1\n  points: ", 1)
    refused(written(doubled), "points stands twice", "line ")


def test_unknown_part_is_named(content, written):
    content["items"][0]["part"] = 9
    refused(written(content), "item data_size: there is no part 9")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check": None}, "an automatic item needs `check`"),
        ({"kind": "manual"}, "takes no `check`"),
        ({"kind": "guess"}, "kind"),
        ({"points": 0}, "points"),
        ({"points": "many"}, "points"),
        ({"description": ""}, "description"),
        ({"color": "red"}, "color"),
        ({"check": "os.system"}, "check"),
    ],
)
def test_defect_of_an_item_is_named_with_the_item(content, written, change, message):
    content["items"][0] |= change
    refused(written(content), "item data_size", message)


def test_item_without_an_id_is_named_by_its_number(content, written):
    del content["items"][2]["id"]
    refused(written(content), "item no. 3", "id: Field required")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "just words", "a: [", "a: 1\n\tb: 2", "items: 3", "items: [3]", "{}", "- " * 9],
)
def test_broken_files_are_errors_with_a_cure(written, text):
    refused(written(text))


def test_missing_folder_and_bytes_are_errors_with_a_cure(tmp_path):
    refused(tmp_path / "none.yaml", "no such file")
    refused(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"title: F\xfchrung")
    refused(tmp_path / "latin.yaml", "not UTF-8")
