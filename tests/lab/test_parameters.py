"""The 13 parameters: one vocabulary for sliders, command line and recorded sweeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.errors import CourseError
from course_utils.lab import parameters


def values_of(parameter):
    return st.sampled_from(parameter.values)


SETTINGS = st.fixed_dictionaries({n: values_of(p) for n, p in parameters.SETTABLE.items()})


def test_there_are_thirteen():
    assert len(parameters.PARAMETERS) == 13


@pytest.mark.parametrize("parameter", parameters.SETTABLE.values(), ids=lambda p: p.name)
def test_every_stop_of_a_slider_is_accepted_and_the_start_value_is_in_its_range(parameter):
    for value in (*parameter.values, parameter.start):
        assert parameters.check_value(parameter.name, value) == value
    assert parameter.controls
    assert parameter.source


@pytest.mark.parametrize("parameter", parameters.SETTABLE.values(), ids=lambda p: p.name)
def test_the_start_value_is_a_stop(parameter):
    assert parameter.start in parameter.values


@given(SETTINGS)
def test_a_command_gives_back_the_settings_it_was_made_from(settings):
    assert parameters.from_command(parameters.to_command(settings)) == settings


def test_a_command_that_names_one_value_has_the_start_values_elsewhere():
    found = parameters.from_command("python train_lora.py --data x.jsonl --lora_r 8")
    assert found == parameters.start_values() | {"lora_r": 8}


def test_a_command_over_several_lines_is_read():
    text = "!python /content/train_lora.py --data x.jsonl \\\n  --bf16 \\\n --seed 3 --lora_r 4"
    found = parameters.from_command(text)
    assert (found["precision"], found["lora_r"]) == ("bf16", 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("python train.py --lora_r 8", "no train_lora.py"),
        ("python train_lora.py --lora_rank 8", "lora_rank"),
        ("python train_lora.py --lora_r 0", "whole number from 1"),
        ("python train_lora.py --lora_r eight", "whole number"),
        ("python train_lora.py --lora_r inf", "whole number"),
        ("python train_lora.py --learning_rate nan", "number from"),
        ("python train_lora.py --include_mlp maybe", "true or false"),
        ("python train_lora.py --lr_scheduler_type sine", "choose one of"),
        ("python train_lora.py --bf16 true --fp16 true", "both given"),
        ("python train_lora.py 'open", "no command line"),
        ("", "no train_lora.py"),
    ],
)
def test_a_wrong_command_is_told_what_fits(text, told):
    with pytest.raises(CourseError) as error:
        parameters.from_command(text)
    assert told in str(error.value)


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(CourseError, match="did you mean learning_rate"):
        parameters.check_value("lerning_rate", 1e-3)


def test_a_truth_value_is_no_number():
    with pytest.raises(CourseError):
        parameters.check_value("lora_r", True)
