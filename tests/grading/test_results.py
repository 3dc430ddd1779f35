"""result.json: strict, and read back as it was written."""

import json

import pytest
from grade_class import make_class, make_result, write_class
from pydantic import ValidationError

from course_utils.errors import CourseError
from course_utils.grading.results import Item, Work, read_result, results_of, write_result


def test_a_result_is_read_back_as_it_was_written(tmp_path):
    result = make_result(1)
    path = write_result(tmp_path, result)
    assert read_result(path.parent) == result


@pytest.mark.parametrize(
    ("points", "state"),
    [(1.0, "manual"), (1.0, "not judged"), (None, "scored"), (None, "failed"), (4.5, "scored")],
)
def test_points_that_contradict_the_state_are_refused(points, state):
    with pytest.raises(ValidationError):
        Item(id="readme", title="x", points=points, max=4, state=state)


@pytest.mark.parametrize("address", ["http://evil.example/x.png", "data:text/html,x", "x.png"])
def test_a_picture_is_only_ever_data(address):
    with pytest.raises(ValidationError):
        Work(kind="image", content=address)


@pytest.mark.parametrize(
    "change",
    [{"forged": 1}, {"seconds": -1.0}, {"submission": "../up"}, {"status": "perfect"}],
)
def test_an_unknown_or_impossible_field_is_named_with_its_file(tmp_path, change):
    path = write_result(tmp_path, make_result(0))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CourseError, match=str(path)) as told:
        read_result(path.parent)
    assert next(iter(change)) in told.value.message


def test_nan_is_no_number(tmp_path):
    path = write_result(tmp_path, make_result(0))
    path.write_text(path.read_text().replace('"seconds": 40.0', '"seconds": NaN'))
    with pytest.raises(CourseError, match="seconds"):
        read_result(path.parent)


def test_a_result_copied_into_another_folder_is_refused(tmp_path):
    write_class(tmp_path, make_class(2))
    first, second = sorted(p.parent for p in tmp_path.glob("*/result.json"))
    (second / "result.json").write_bytes((first / "result.json").read_bytes())
    with pytest.raises(CourseError, match="it says that it is of"):
        results_of(tmp_path)


def test_results_of_two_assignments_are_not_mixed(tmp_path):
    write_class(tmp_path, [make_result(0)])
    write_result(tmp_path, make_result(1, assignment="week05"))
    with pytest.raises(CourseError, match="two assignments"):
        results_of(tmp_path)


def test_an_empty_folder_has_no_results(tmp_path):
    with pytest.raises(CourseError, match="no result"):
        results_of(tmp_path)
