"""The checklist of weeks 9-10: a complete submission, and its data, configuration and adapter."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from submissions import (
    CONFIG,
    check,
    edit_json,
    only,
    replace,
    save_adapter,
)

from course_utils.assignments import week09_10 as submission
from course_utils.assignments.configuration import read_config
from course_utils.assignments.week09_10 import check_submission
from course_utils.errors import CourseError

# --- A complete submission ----------------------------------------------------------------------


def test_complete_submission_has_nothing_missing_wrong_or_odd(complete):
    report = check(complete)
    assert report.ok
    assert report.of_state("missing", "wrong", "warning") == []
    assert {finding.id for finding in report.findings} == {c.id for c in submission.CHECKS}


def test_checking_changes_nothing_in_the_folder(folder):
    def state():
        return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*"))}

    before = state()
    check(folder)
    assert state() == before


def test_lines_and_rendering_name_every_part_and_the_verdict(complete):
    report = check(complete)
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(report.render())
    for text in ("\n".join(report.lines()), console.export_text()):
        for part in range(1, 6):
            assert f"Part {part}:" in text
        assert f"Complete: {len(report.findings)} ok" in text


def test_report_as_json_holds_every_finding(complete):
    content = json.loads(json.dumps(check(complete).to_dict()))
    assert content["ok"] is True
    assert content["counts"] == {
        "missing": 0, "wrong": 0, "warning": 0, "ok": len(content["findings"])
    }  # fmt: skip
    fields = {"id", "part", "state", "path", "message", "cure", "message_id", "subject"}
    assert set(content["findings"][0]) == fields


def test_empty_folder_names_every_file_of_the_structure(tmp_path):
    report = check(tmp_path)
    assert {f.path for f in report.of_state("missing")} == set(submission.REQUIRED)
    assert all(finding.cure for finding in report.of_state("missing"))


def test_no_folder_is_an_error_with_a_cure(tmp_path):
    with pytest.raises(CourseError, match="no such folder"):
        check(tmp_path / "nowhere")
    (tmp_path / "handed_in.zip").write_bytes(b"PK")
    with pytest.raises(CourseError, match="unpack it"):
        check(tmp_path / "handed_in.zip")


@pytest.mark.parametrize(
    "name",
    ["data/train.jsonl", f"{submission.ADAPTER}/adapter_model.safetensors", "run/evaluation.json"],
)
def test_missing_file_is_named_with_the_script_that_writes_it(folder, name):
    (folder / name).unlink()
    found = only(folder, "missing")
    assert found.path == name
    assert "run python scripts/" in found.cure


def test_file_in_the_wrong_place_is_pointed_at(folder):
    (folder / "README.md").rename(folder / "docs_readme.md")
    (folder / "docs").mkdir()
    (folder / "docs_readme.md").rename(folder / "docs" / "readme.md")
    found = only(folder, "missing")
    assert "docs/readme.md" in found.cure


# --- Data ---------------------------------------------------------------------------------------


def test_fewer_than_5000_records_are_too_few_by_default(complete):
    found = {f.id: f for f in check_submission(complete).of_state("wrong")}
    assert "5,000 are asked for" in found["data.size"].message


def test_broken_line_is_named_with_its_number(folder):
    path = folder / "data" / "val.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:-3]
    path.write_text("\n".join(lines) + "\n")
    found = only(folder)
    assert (found.id, found.path) == ("data.val", "data/val.jsonl")
    assert "line 3: not valid JSON" in found.message
    assert "course data check data/val.jsonl" in found.cure


def test_record_in_two_parts_is_a_leak(folder):
    leaked = (folder / "data" / "train.jsonl").read_text().splitlines()[0]
    with (folder / "data" / "test.jsonl").open("a") as file:
        file.write(leaked + "\n")
    count = len((folder / "data" / "test.jsonl").read_text().splitlines())
    edit_json(folder / "run" / "data_summary.json", lambda s: s["parts"].update(test=count))
    found = only(folder)
    assert found.id == "data.leak"
    assert "1 equal prompts" in found.message
    assert f"data/test.jsonl, line {count}" in found.message


def test_part_without_a_task_is_named(folder):
    path = folder / "data" / "val.jsonl"
    kept = [line for line in path.read_text().splitlines() if '"task": "qa"' not in line]
    path.write_text("\n".join(kept) + "\n")
    edit_json(folder / "run" / "data_summary.json", lambda s: s["parts"].update(val=len(kept)))
    found = only(folder)
    assert found.id == "data.tasks"
    assert "data/val.jsonl has no record of the task qa" in found.message


def test_summary_of_other_data_is_named(folder):
    edit_json(folder / "run" / "data_summary.json", lambda s: s["parts"].update(train=9999))
    assert "it says 9999 records for train" in only(folder).message


# --- Scripts, configuration, adapter ------------------------------------------------------------


@pytest.mark.parametrize(
    "left", ["    raise NotImplementedError\n", "    # YOUR CODE HERE\n    pass\n"]
)
def test_placeholder_left_in_a_script_is_named_with_its_line(folder, left):
    path = folder / "scripts" / "train.py"
    number = len(path.read_text().splitlines()) + 2
    path.write_text(path.read_text() + f"def more():\n{left}")
    found = only(folder)
    assert found.path == "scripts/train.py"
    assert f"line {number}: left open" in found.message


def test_script_that_does_not_parse_is_named_and_never_run(folder, tmp_path):
    canary = tmp_path / "was_run"
    (folder / "scripts" / "evaluate.py").write_text(
        f"import pathlib\npathlib.Path({str(canary)!r}).touch()\nif True\n"
    )
    assert "line 3" in only(folder).message
    (folder / "scripts" / "evaluate.py").write_text(
        f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
    )
    assert check(folder).ok
    assert not canary.exists()


@pytest.mark.parametrize("bomb", ["-" * 150_000 + "1", "a" + ".b" * 100_000, "\0", "(" * 5000])
def test_python_made_to_break_the_parser_is_only_wrong(folder, bomb):
    (folder / "scripts" / "train.py").write_text(bomb)
    assert only(folder).path == "scripts/train.py"


def test_unknown_configuration_key_is_named_with_the_nearest_one(folder):
    path = folder / "configs" / "lora_config.yaml"
    path.write_text(CONFIG + "learning_rat: 0.001\n")
    found = only(folder)
    assert "unknown key learning_rat; did you mean learning_rate?" in found.message
    assert str(folder) not in found.message


def test_yaml_aliases_are_refused_before_they_grow(folder):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (folder / "configs" / "lora_config.yaml").write_text("\n".join(rows))
    assert "aliases" in only(folder).message


def test_rank_that_differs_from_the_configuration_is_named(folder):
    replace(folder / "configs" / "lora_config.yaml", "r: 4", "r: 16")
    found = only(folder)
    assert found.id == "adapter.rank"
    assert "16 in the configuration, 4 in adapter_config.json, 4 in the tensors" in found.message


def test_rank_in_the_tensors_counts_even_if_both_texts_agree(folder):
    replace(folder / "configs" / "lora_config.yaml", "r: 4", "r: 16")
    edit_json(folder / "models/finetuned_model/adapter_config.json", lambda c: c.update(r=16))
    assert "4 in the tensors" in only(folder).message


def test_alpha_and_layers_that_differ_are_named(folder):
    replace(folder / "configs" / "lora_config.yaml", "lora_alpha: 8", "lora_alpha: 32")
    replace(folder / "configs" / "lora_config.yaml", "[q_proj, v_proj]", "all-linear")
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert found.keys() == {"adapter.alpha", "adapter.targets"}
    assert "32 in the configuration, 8 in the adapter" in found["adapter.alpha"]
    assert "only q_proj, v_proj adapted" in found["adapter.targets"]


def test_a_training_of_other_values_or_data_is_a_warning(folder):
    """A learning rate does not stand in the adapter: only what training.json was made from does."""
    config = folder / "configs" / "lora_config.yaml"
    parts = [folder / "data" / f"{part}.jsonl" for part in ("train", "val")]
    made_from = read_config(config).training_digest(*parts)
    edit_json(folder / "run" / "training.json", lambda t: t.update(made_from=made_from))
    assert not check(folder).of_state("warning", "wrong")
    unchanged = config.read_text()
    config.write_text(unchanged + "\nlearning_rate: 0.5\n")
    warned = check(folder).of_state("warning")
    assert [finding.id for finding in warned] == ["training.made_from"]
    config.write_text(unchanged + "\nfew_shot_examples: 2\n")  # of the evaluation alone
    assert not check(folder).of_state("warning", "wrong")


def test_untrained_adapter_is_named(folder, nano_model_path):
    save_adapter(folder / "models" / "finetuned_model", nano_model_path, trained=False)
    found = only(folder)
    assert found.id == "adapter.trained"
    assert "never trained" in found.message


@pytest.mark.parametrize(("kind", "fine"), [("zero", False), ("one", True), ("nan", False)])
def test_bfloat16_adapters_are_read_too(folder, kind, fine):
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "models" / "finetuned_model" / "adapter_model.safetensors"
    value = {"zero": 0.0, "one": 1.0, "nan": float("nan")}[kind]
    tensors = {
        name: torch.full_like(tensor, value if "lora_B" in name else 1.0, dtype=torch.bfloat16)
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path)
    wrong = {finding.id for finding in check(folder).of_state("wrong")}
    assert ("adapter.trained" not in wrong) is fine
    assert wrong <= {"adapter.trained", "evaluation.adapter"}  # what was scored is another one now


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}"])
def test_broken_or_empty_adapter_is_wrong(folder, content):
    (folder / "models/finetuned_model/adapter_model.safetensors").write_bytes(content)
    assert only(folder).id == "adapter.weights"


def test_base_weights_under_the_adapters_name_are_found(folder):
    import torch
    from safetensors.torch import save_file

    path = folder / "models" / "finetuned_model" / "adapter_model.safetensors"
    save_file({"model.layers.0.mlp.up_proj.weight": torch.ones(4, 4)}, path)
    assert "model.layers.0.mlp.up_proj.weight" in only(folder).message


@pytest.mark.parametrize(
    ("name", "check_id"),
    [
        ("models/finetuned_model/training_args.bin", "folder.pickles"),
        ("models/finetuned_model/adapter_model.pt", "folder.pickles"),
        ("reports/scores.pkl", "folder.pickles"),
        ("models/finetuned_model/model.safetensors", "folder.weights"),
        ("models/base/model-00001-of-00002.safetensors", "folder.weights"),
        ("models/base.gguf", "folder.weights"),
    ],
)
def test_pickles_and_base_weights_are_named_and_not_opened(folder, tmp_path, name, check_id):
    import pickle

    canary = tmp_path / "unpickled"

    class Trap:
        def __reduce__(self):
            return Path.touch, (canary,)

    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Trap()))
    found = only(folder)
    assert found.id == check_id
    assert name in found.message
    assert not canary.exists()
