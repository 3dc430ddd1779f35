"""A blind review of a run of the five notebooks, where each notebook keeps what it made."""

import json

import pytest

from course_utils.assignments.review.folder import review_make
from course_utils.errors import CourseError


def course_run(folder, answers):
    """A run folder as notebooks 01, 02 and 04 leave it, as far as a review reads it."""
    orders = [f"pump {number} leaks" for number in range(3)]
    (folder / "data").mkdir(parents=True)
    lines = [
        json.dumps({"instruction": "To JSON.", "input": order, "output": "{}"}) for order in orders
    ]
    (folder / "data" / "test.jsonl").write_text("\n".join(lines) + "\n")
    before = [
        {"input": order, "zero_shot": "prose", "few_shot": f"base {order}"} for order in orders
    ]
    (folder / "baseline.json").write_text(json.dumps({"predictions": before}))
    (folder / "evaluation.json").write_text(json.dumps({"predictions": answers}))
    return folder


def test_a_run_of_the_five_notebooks_can_be_reviewed_too(tmp_path):
    run = course_run(tmp_path / "run-a", ["tuned 0", "tuned 1", "tuned 2"])
    made = review_make(run, tmp_path / "review", seed=3)
    assert len(made.items) == 3
    shown = {text for item in made.items for text in (item["answer_a"], item["answer_b"])}
    assert shown == {*(f"tuned {n}" for n in range(3)), *(f"base pump {n} leaks" for n in range(3))}


def test_a_run_with_too_few_answers_names_the_notebooks_to_run(tmp_path):
    run = course_run(tmp_path / "run-a", ["tuned 0"])
    with pytest.raises(CourseError, match="course run --only 02,04"):
        review_make(run, tmp_path / "review")
