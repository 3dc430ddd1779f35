"""Every exercise of the parameter lab has a solution that comes true, and every check an answer."""

import contextlib
import io
import re
import shlex

import nbformat
import pytest
from solved import OPEN, solution

from course_utils.lab import arithmetic, explore, memory, own_words, parameters, sweeps

lab = solution("parameter_lab")
CELLS = nbformat.read(own_words.LAB, as_version=4).cells


def exercises() -> str:
    return next(cell.source for cell in CELLS if cell.source.startswith("## Exercises"))


def test_every_exercise_has_a_solution_with_an_answer_in_words():
    asked = re.findall(r"^(\d)\. ", exercises(), re.MULTILINE)
    solved = [getattr(lab, f"exercise_{number}") for number in asked]
    assert len(solved) == 5
    assert all(len(solve.__doc__.split()) > 40 for solve in solved)
    assert not hasattr(lab, "exercise_6")


def test_with_the_solutions_answers_every_check_says_correct():
    cells = [cell.source for cell in CELLS if OPEN.search(cell.source)]
    assert {name for cell in cells for name in OPEN.findall(cell)} == set(lab.ANSWERS)
    names = {"lab": explore.Lab(static=True)}
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        for cell in cells:
            filled = OPEN.sub(lambda found: f"{found[1]} = {lab.ANSWERS[found[1]]}", cell)
            exec(filled, names)
    assert told.getvalue().count("Correct: ") == len(cells) == 3


def test_1_two_recorded_figures_together_have_pairs_of_one_scale_and_none_does_alone():
    pairs = lab.exercise_1()["same scale, losses and spread over seeds"]
    assert pairs
    for pair in pairs:
        small, one, large, other = map(int, re.findall(r"\d+", pair))
        assert arithmetic.scale(one, small) == arithmetic.scale(other, large)
        assert small < large
    for name in ("lora_r", "lora_alpha"):
        runs = [run["settings"] for run in sweeps.read_sweep(name).runs]
        scales = {arithmetic.scale(run["lora_alpha"], run["lora_r"]) for run in runs}
        assert len(scales) == len(sweeps.read_sweep(name).values())  # it changes along the axis


def test_2_the_line_takes_sixty_steps_on_a_t4_and_nothing_is_warned_about():
    found = lab.exercise_2()
    settings = parameters.from_command(found["command"])
    plan = arithmetic.steps(
        120,
        settings["per_device_train_batch_size"],
        settings["gradient_accumulation_steps"],
        settings["num_train_epochs"],
    )
    assert plan.total == found["steps"] >= 60
    assert settings["precision"] == "fp16"
    assert "T4" in memory.CARDS
    assert found["warnings"] == []


def test_2_what_the_exercise_asks_for_can_be_set_in_the_sections_that_it_names():
    numbers = {name: place for place, name in enumerate(parameters.PARAMETERS, start=1)}
    assert "records" in explore.CONTROLS["num_train_epochs"]
    assert "device" in explore.CONTROLS["per_device_train_batch_size"]
    said = exercises()
    assert f"section {numbers['num_train_epochs']}, the T4" in said
    assert f"section {numbers['per_device_train_batch_size']} and a number format" in said
    assert f"in section {numbers['precision']}; then" in said


def test_3_the_lab_says_whether_a_recorded_loss_has_turned_and_what_changes_nothing():
    found = lab.exercise_3()
    assert found["changes nothing in training"] == ["logging_steps"]
    assert found["recorded"]


def test_4_there_are_statements_marked_second_hand_and_addresses_to_look_them_up():
    found = lab.exercise_4()
    assert found["marked second-hand"] > 5
    assert "https://arxiv.org/abs/2412.13337" in found["addresses"]


def test_5_the_commands_come_in_an_order_that_works_and_train_two_seeds_of_each_value():
    lines = lab.commands(own_words.LAB.read_text(encoding="utf-8"))
    assert lines[0][:3] == ["course", "assignment", "start"]
    assert lines[1][:3] == ["course", "data", "build"]
    trained = [shlex.join(line) for line in lines[2:6]]
    values = {re.search(r"--lora_r (\d+) --seed (\d)", line).groups() for line in trained}
    assert values == {("4", "1"), ("4", "2"), ("32", "1"), ("32", "2")}
    assert lines[6][:2] == ["course", "report"]


def test_5_the_pair_is_trained_as_the_exercise_says(nano_model_path):
    """On nano and one seed of each value; the fourth line differs in its numbers only."""
    losses = lab.exercise_5(base_model="nano", runs=3)
    assert sorted(losses) == ["r32_1", "r4_1", "r4_2"]
    assert all(0 < loss < 20 for loss in losses.values())


@pytest.mark.parametrize("word", ["starter", "records"])
def test_5_says_what_has_to_be_there_first(word):
    before = exercises()[: exercises().index("train_lora.py --data")]
    assert word in before
