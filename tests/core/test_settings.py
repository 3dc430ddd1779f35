"""Presets and parameters: what is accepted, and what is said about the rest."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from course_utils import hardware, models, settings
from course_utils.errors import CourseError

PRESETS = sorted(settings.load_presets())


def preset(name="nano", **changes):
    return settings.preset_settings(name).with_changes(**changes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_names_a_model_of_the_registry(name):
    found = settings.preset_settings(name, seed=7)
    assert (found.preset, found.track, found.seed) == (name, "manufacturing", 7)
    assert found.base_model in models.registry()
    assert found.max_new_tokens < found.max_length


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_says_where_it_was_measured_and_gives_minutes_for_each_notebook(name):
    found = settings.preset_settings(name)
    assert found.measured
    assert found.purpose
    assert sorted(found.expected_minutes) == ["01", "02", "03", "04", "05"]
    assert min(found.expected_minutes.values()) > 0


def test_the_presets_are_those_the_command_line_promises():
    assert set(PRESETS) == {"nano", "quick", "cpu", "cpu-long", "t4", "l4", "a100"}


def test_the_preset_file_explains_every_choice_of_precision_and_quantization():
    text = settings.PRESETS_FILE.read_text(encoding="utf-8")
    assert all(word in text for word in ("nf4", "auto", "fp32", "fp16", "bf16"))


@pytest.mark.parametrize(
    ("asked", "meant"), [("cpuu", "cpu"), ("a10", "a100"), ("Nano", "nano"), ("l40", "l4")]
)
def test_an_unknown_preset_is_named_with_the_nearest_one(asked, meant):
    with pytest.raises(CourseError) as caught:
        settings.preset_settings(asked)
    assert repr(asked) in caught.value.message
    assert f"did you mean {meant!r}?" in caught.value.cure
    assert all(name in caught.value.cure for name in [*PRESETS, "auto"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rat": 1e-3}, "learning_rat is not a parameter.*did you mean learning_rate"),
        ({"lora_rank": 8}, "lora_rank is not a parameter"),
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type = 'cosin'.*did you mean cosine"),
        ({"precision": "pf16"}, "precision = 'pf16'.*did you mean fp16"),
        ({"quantization": "nf5"}, "quantization = 'nf5'.*did you mean nf4"),
        ({"track": "My Brewery"}, "track = 'My Brewery': .*match pattern"),
        ({"lora_dropout": 1.0}, "lora_dropout = 1.0: .*less than 1"),
        ({"learning_rate": -1}, "learning_rate = -1: .*greater than 0"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast': .*number"),
        ({"num_train_epochs": float("nan")}, "num_train_epochs = nan"),
        ({"max_length": 160.5}, "max_length = 160.5: .*integer"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_a_wrong_parameter_or_value_is_named_in_one_line(changes, said):
    with pytest.raises(CourseError) as caught:
        preset(**changes)
    assert re.search(said, caught.value.message)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250


def test_every_wrong_value_of_a_set_is_named_at_once():
    with pytest.raises(CourseError, match="lora_r = 0.*learning_rat is not"):
        preset(lora_r=0, learning_rat=1)


def test_settings_are_frozen():
    found = preset()
    with pytest.raises(ValidationError, match="frozen"):
        found.seed = 3


def test_a_change_is_a_new_object_and_the_old_one_stays():
    old = preset()
    new = old.with_changes(lora_r=4)
    assert (old.lora_r, new.lora_r) == (16, 4)
    assert new.with_changes(lora_r=16) == old


def test_another_base_model_brings_its_own_learning_rate_and_the_first_one_has_its_own_again():
    ours = preset("cpu")
    gemma = ours.with_changes(base_model="gemma-3-270m")
    assert gemma.learning_rate == ours.learning_rates["gemma-3-270m"] != ours.learning_rate
    assert gemma.with_changes(lora_r=4).learning_rate == gemma.learning_rate
    assert gemma.with_changes(base_model=ours.base_model) == ours
    assert ours.with_changes(base_model="gemma-3-270m", learning_rate=5e-4).learning_rate == 5e-4
    assert ours.with_changes(base_model="nano").learning_rate == ours.learning_rate  # not known


def test_a_change_of_none_keeps_the_value():
    assert preset(lora_r=None, quantization=None) == preset()


def test_text_from_the_command_line_becomes_a_number():
    assert preset(lora_r="8", learning_rate="2e-4").learning_rate == 2e-4


def test_the_effective_batch_multiplies_batch_and_accumulation():
    changed = preset(per_device_train_batch_size=3, gradient_accumulation_steps=5)
    assert changed.effective_batch_size == 15


def test_precision_auto_becomes_what_this_machine_computes_with_the_reason():
    found, reason = settings.resolve_precision(preset(precision="auto"))
    assert (found.precision, reason) == hardware.choose_precision(hardware.detect())
    assert found.precision in ("fp32", "fp16", "bf16")


def test_a_precision_that_was_set_is_kept():
    found, reason = settings.resolve_precision(preset(precision="bf16"))
    assert found.precision == "bf16"
    assert "set by" in reason


def test_fp16_without_a_gpu_is_refused(monkeypatch):
    laptop = hardware.Hardware("Linux", "i5", cores=2, cpu_bf16=False, ram_gb=8)
    monkeypatch.setattr(hardware, "detect", lambda: laptop)
    with pytest.raises(CourseError, match="fp16 needs a CUDA GPU"):
        settings.resolve_precision(preset(precision="fp16"))


def test_preset_auto_is_chosen_from_the_hardware_and_printed(capsys):
    found = settings.preset_settings("auto")
    assert found.preset in PRESETS
    assert f"preset auto -> {found.preset}: " in capsys.readouterr().out


def test_reading_the_presets_file_twice_gives_settings_that_do_not_share_state():
    settings.preset_settings("cpu").expected_minutes["03"] = -1
    assert settings.preset_settings("cpu").expected_minutes["03"] > 0


def test_another_presets_file_can_be_read(tmp_path):
    path = Path(tmp_path / "mine.yaml")
    path.write_text("tiny:\n  lora_r: 2\n", encoding="utf-8")
    assert settings.load_presets(path) == {"tiny": {"lora_r": 2}}
