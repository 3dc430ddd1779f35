"""A saved adapter names its base by an id, and loads by it."""

import json
from pathlib import Path

import pytest
from nano_cases import adapter as save_adapter

from course_utils import adapters, models
from course_utils.endpoint import source


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("nano", "nano"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("/home/ada/.cache/fine_tuning_course/models/smollm2-135m-instruct", models.EMBEDDED),
        ("C:\\Users\\ada\\models\\nano", "nano"),
        ("/x/hub/models--Qwen--Qwen3-8B/snapshots/0a1b", "Qwen/Qwen3-8B"),
        ("my_models/mine", "my_models/mine"),
        ("/srv/models/mine", "/srv/models/mine"),
    ],
)
def test_a_base_model_in_a_cache_has_an_id_and_a_folder_of_ones_own_its_path(name, id_):
    assert models.id_of(name) == id_


def test_a_folder_at_home_is_named_from_there_and_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    mine = tmp_path / "models" / "mine"
    mine.mkdir(parents=True)
    assert models.id_of(str(mine)) == "~/models/mine"
    assert Path(models.resolve("~/models/mine")) == mine


@pytest.fixture
def described(tmp_path, nano_model_path):
    folder = save_adapter(tmp_path / "adapter")
    adapters.describe(folder, str(nano_model_path), records=12)
    return folder


def test_configuration_and_card_name_the_id_and_no_folder(described, nano_model_path):
    config = json.loads((described / "adapter_config.json").read_text())
    card = (described / "README.md").read_text()
    assert config["base_model_name_or_path"] == "nano"
    assert "base_model: nano\n" in card
    assert "| rank, alpha, dropout | 4, 8, 0.0 |\n| layers | q_proj, v_proj |" in card
    assert "| trained on | 12 records |" in card
    assert str(nano_model_path.parent) not in card + str(config)
    assert "More Information Needed" not in card


def test_an_adapter_that_names_an_id_loads_is_served_and_is_saved_again(described, tmp_path):
    found = source.find(described)
    assert (found.base_name, found.adapter) == ("nano", described)
    model = models.load_adapter(models.load_model("nano"), described)
    model.save_pretrained(tmp_path / "again")  # asks no network for a model called nano
    assert (tmp_path / "again" / "adapter_model.safetensors").is_file()


def test_a_base_of_ones_own_keeps_its_path_in_the_configuration_and_not_in_the_card(described):
    adapters.describe(described, "/srv/models/mine")
    config = json.loads((described / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "/srv/models/mine"
    card = (described / "README.md").read_text()
    assert "base_model: mine\n" in card
    assert "/srv" not in card
    assert "trained on |" not in card
