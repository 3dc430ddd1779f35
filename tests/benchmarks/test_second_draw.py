"""Further test records: none that the evaluation asked, the same forms, its own table."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from random_adapters import random_adapter
from submissions import CONFIG, small_track

from course_utils import evaluation
from course_utils.assignments.configuration import read_config
from course_utils.records import write_records
from course_utils.tracks.parts import handed_out

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import second_draw


@pytest.fixture(scope="module")
def folder(nano_model_path, tmp_path_factory):
    """Records, configuration and an adapter of random numbers."""
    folder = tmp_path_factory.mktemp("finished")
    for name, part in handed_out(small_track().parts).items():
        write_records(folder / "data" / f"{name}.jsonl", part)
    (folder / "configs").mkdir()
    (folder / "configs" / "lora_config.yaml").write_text(
        f"{CONFIG}test_records: 12\ntest_shares: {{qa: 2}}\n"
    )
    random_adapter(nano_model_path, folder / "models" / "finetuned_model")
    return folder


def test_the_adapter_and_the_rivals_are_asked_what_nobody_asked(folder, tmp_path, capsys):
    out = tmp_path / "draw.json"
    assert second_draw.main([str(folder), "--records", "8", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    whole = report["rows"][0]
    assert (report["task"], report["score"], whole["records"]) == ("qa", "fact_match", 8)
    assert set(whole["rivals"]) >= {"best sentence", "nearest neighbour"}
    assert "base" not in whole
    assert "qa: fact_match of records not asked before" in capsys.readouterr().out


def test_no_record_of_the_evaluation_is_drawn(folder):
    pool = small_track().parts["test"]
    config = read_config(folder / "configs" / "lora_config.yaml")
    asked = evaluation.draw(pool, 12, config.seed, config.tasks, True, config.test_shares)
    of_qa = [record for record in pool if record["task"] == "qa"]
    rest = len(of_qa) - sum(record["task"] == "qa" for record in asked)
    found = second_draw.unseen(pool, config, "qa", rest)
    assert not [record for record in found if record in asked]
    few = second_draw.unseen(pool, config, "qa", 8)
    assert set(Counter(record["form"] for record in few).values()) == {2}


def test_what_can_not_be_asked_is_told(folder, tmp_path, capsys):
    assert second_draw.main([str(tmp_path), "--out", str(tmp_path / "x.json")]) == 1
    assert "finetuned_model" in capsys.readouterr().err
    many = [str(folder), "--records", "99999", "--out", str(tmp_path / "x.json")]
    assert second_draw.main(many) == 1
    assert "99999 records are wanted of the tasks qa" in capsys.readouterr().err
