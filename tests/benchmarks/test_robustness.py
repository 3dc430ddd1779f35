"""benchmarks/robustness.py: what it changes in a text, what it holds out, and a run of nano."""

import json
import random
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from random_adapters import random_adapter

from course_utils import sources
from course_utils.files import write_json_atomic
from course_utils.records import write_records
from course_utils.settings import preset_settings

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "robustness.py"


@pytest.fixture(scope="module")
def robustness():
    spec = spec_from_file_location("robustness", SCRIPT)
    module = module_from_spec(spec)
    sys.modules["robustness"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cleaned(prepared):
    return sources.clean_work_orders(sources.load_work_orders())


# ---------------------------------------------------------------- changes of a text


def test_the_same_seed_makes_the_same_mistakes_and_none_at_rate_0(robustness):
    text = "Replace leaking hose on L/H boom cylinder SHD24"
    wrong = [robustness.misspell(text, 0.2, random.Random(seed)) for seed in (1, 1, 2)]
    assert wrong[0] == wrong[1] != wrong[2]
    assert text not in wrong
    assert robustness.misspell(text, 0.0, random.Random(1)) == text


def test_codes_keep_their_digits_and_the_rate_is_that_of_the_letters(robustness):
    text = "abcdefghij 1234567890 " * 200
    wrong = robustness.misspell(text, 0.1, random.Random(1))
    assert wrong.count("1234567890") == 200
    hit = sum(part != "abcdefghij" for part in wrong.split()[::2]) / 200
    assert 0.5 < hit < 0.8  # 1 - 0.9 ** 10 = 0.65 of the words


def test_a_wrong_key_lies_beside_the_right_one(robustness):
    draws = random.Random(1)
    assert {robustness._neighbour("g", draws) for _ in range(50)} == {"f", "h"}
    assert {robustness._neighbour("Q", draws) for _ in range(20)} == {"W"}


def test_longer_phrases_go_first_and_parts_of_words_stay(robustness):
    words = {"not working": ["defunct"], "working": ["alive"], "hose": ["flexi pipe"]}
    told = robustness.reword("Hose NOT working, hosereel working", words, random.Random(1))
    assert told == "flexi pipe defunct, hosereel alive"


def test_no_word_of_the_list_stands_in_an_order_that_may_be_trained_on(robustness, cleaned):
    every = robustness.read_yaml(robustness.WORDS)
    unseen = robustness.read_words([record["input"] for record in cleaned.records])
    assert unseen == every


def test_a_word_that_training_holds_is_left_out(robustness):
    unseen = robustness.read_words(["lanterns and headlamps", "a LANTERN", "hp"])
    assert unseen["light"] == ["headlamp"]
    assert "lights" not in unseen


# ---------------------------------------------------------------- values that are held out


def test_values_are_held_out_that_can_be_read_and_are_rare_in_training(robustness, cleaned):
    values = robustness.choose_held_out(cleaned.records, cleaned.gold)
    assert ("part", "tank") in values
    assert ("action", "replace") not in values  # a third of the training records
    assert ("part", "drivers cabin") not in values  # nobody writes the name


def test_an_answer_is_cut_down_to_the_values(robustness):
    answer = '{"part": "Tank; Pump", "action": "Replace"}'
    assert robustness.only(answer, [("part", "tank"), ("part", "fan")]) == '{"part": ["tank"]}'
    assert robustness.only("no JSON", [("part", "tank")]) == "{}"


# ---------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def report(tmp_path_factory, cleaned, nano_model_path):
    """What the benchmark writes for a run folder of nano, values held out included."""
    folder = tmp_path_factory.mktemp("robustness")
    settings = preset_settings("nano").with_changes(num_train_epochs=0.1)
    write_json_atomic(folder / "run/settings.json", {"settings": settings.model_dump()})
    parts = {"train": cleaned.records[:200], "val": cleaned.records[200:220]}
    for name, part in {**parts, "test": cleaned.gold[:80]}.items():
        write_records(folder / f"run/data/{name}.jsonl", part)
    random_adapter(nano_model_path, folder / "run/adapter")
    words = [folder / "run", "--hold-out", "--out", folder / "robustness.json"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "robustness.json").read_text()), done.stdout, folder


def test_every_condition_has_all_methods_and_an_interval(report):
    rows = report[0]["conditions"]
    assert len(rows) == 8
    for row in rows:
        assert set(row["field_f1"]) == {"tuned", "majority", "nearest neighbour", "linear model"}
        assert row["over_rival"]["low"] <= row["over_rival"]["high"]


def test_rivals_fall_where_the_text_changes_and_cannot_say_what_they_never_saw(report):
    scores = {row["name"]: row["field_f1"] for row in report[0]["conditions"]}
    assert (
        scores["10 % of the letters wrong"]["linear model"] < scores["as written"]["linear model"]
    )
    assert scores["those values alone"]["linear model"] == 0


def test_the_table_is_printed_and_the_figure_written(report):
    _, printed, folder = report
    assert "| those values alone" in printed
    assert (folder / "robustness.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_an_adapter_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "there is no settings.json" in done.stderr
