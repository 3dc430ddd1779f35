"""The checklist on a complete submission, on broken ones and on hostile ones; and the archive."""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from course_utils.assignments import packing
from course_utils.assignments import week09_10 as submission
from course_utils.assignments.week09_10 import check_submission, pack_submission
from course_utils.errors import CourseError

MINIMUM = 60
SCRIPTS = Path(__file__).parents[2] / "assignments/week09_10_manufacturing/solution/scripts"
CONFIG = """\
base_model: nano
r: 4
lora_alpha: 8
target_modules: [q_proj, v_proj]
lora_dropout: 0.05
"""
README = """\
# Fine-tuning a small model for a maintenance workshop

This folder holds an adapter that reads work orders, writes short maintenance reports and answers
questions about machine manuals. The data were built with the course kit, cleaned, and split so
that records of one fault stay together. Training took place on two processor cores without a
graphics card; the log says how long it took and how much memory it needed.

To run it again, install the requirements, then call the three scripts in their order: first the
data, then the training, then the evaluation. Every report is written by these scripts.

The tuned model answers in the wanted format, which the base model seldom does. It must not be
used to decide on safety: a person checks each limit against the manual before work begins.

```
python scripts/prepare_data.py
```
"""


@pytest.fixture(scope="session")
def track():
    """A small track from the manuals: all three tasks, whole groups in one part."""
    from course_utils.tracks.manufacturing import manuals
    from course_utils.tracks.manufacturing import track as tracks

    drafts = manuals.manual_drafts(7)
    random.Random(7).shuffle(drafts)
    return tracks.assemble(drafts[:150], 7)


@pytest.fixture(scope="session")
def complete(track, nano_model_path, tmp_path_factory):
    """A complete submission: data, adapter, evidence and reports as the scripts write them."""
    from course_utils import records
    from course_utils.assignments import scripts, writeup

    folder = tmp_path_factory.mktemp("complete") / "my_submission"
    for name in ("data", "scripts", "configs", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG)
    (folder / "README.md").write_text(README)
    (folder / "requirements.txt").write_text("peft==0.21.2\ntrl==1.16.0  # training\n")
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, folder / "scripts")
    parser = scripts.arguments("", folder)
    workspace = scripts.open_workspace(parser, [])
    for name, part in track.parts.items():
        records.write_records(workspace.data(name), part)
    counts = {name: len(part) for name, part in track.parts.items()}
    workspace.run.write("data_summary.json", {"parts": counts, "drafts": track.drafts})
    save_adapter(workspace.adapter, nano_model_path)
    workspace.run.write("training.json", training())
    writeup.write_training_log(workspace)
    evaluate(workspace, track.parts["test"])
    workspace.run.write("inference.json", {"latency_ms": 12.5})
    write_notebook(folder / "finetuning_pipeline.ipynb")
    return folder


def save_adapter(target, base, rank=4, trained=True):
    import torch
    from peft import LoraConfig, get_peft_model

    from course_utils import models

    torch.manual_seed(7)
    lora = LoraConfig(r=rank, lora_alpha=8, lora_dropout=0.05, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(models.load_model("nano", "fp32"), lora)
    for name, weight in model.named_parameters():
        if trained and "lora_B" in name:
            torch.nn.init.normal_(weight)
    model.save_pretrained(target)


def training():
    log = [{"step": s, "epoch": s / 4, "loss": 3 - s / 2, "eval_loss": 2.0} for s in (1, 2, 4)]
    return {
        "train_loss": 2.0,
        "final_train_loss": 1.5,
        "eval_loss": 0.5,
        "perplexity": 2.718281828**0.5,
        "steps": 4,
        "planned_steps": 4,
        "tokens": 900,
        "seconds": 3.0,
        "tokens_per_second": 300.0,
        "stopped_early": False,
        "peak_memory_gb": 0.5,
        "trainable_parameters": 1000,
        "total_parameters": 100000,
        "log": log,
    }


def evaluate(workspace, test):
    """Answers of three systems, scored and written by the kit's own functions."""
    from course_utils import evaluation
    from course_utils.assignments import writeup

    test = evaluation.draw(test, 18, 7, ("understanding", "report", "qa"))
    words = [record["output"].split() for record in test]
    systems = {
        "zero_shot": [" ".join(own[:2]) for own in words],
        "few_shot": [" ".join(own[: len(own) // 2]) for own in words],
        "tuned": [record["output"] for record in test],
    }
    columns = {
        name: {"answers": answers, "nll": [len(a) + 1.0 for a in answers], "tokens": [9] * 18}
        for name, answers in systems.items()
    }
    baseline = {
        name: {**columns[name], "scores": evaluation.score(test, columns[name])}
        for name in ("zero_shot", "few_shot")
    }
    writeup.write_baseline(workspace, test, baseline)
    forgetting = {"base": 30.0, "tuned": 33.0, "words": 100}
    writeup.write_evaluation(workspace, test, baseline, columns["tuned"], forgetting)


def write_notebook(path):
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    printed = new_output("stream", text="12 records\n")
    cells = [
        new_markdown_cell("# Pipeline\nWhat the data look like."),
        new_code_cell("print(len(records), 'records')", outputs=[printed], execution_count=1),
    ]
    nbformat.write(new_notebook(cells=cells), path)


@pytest.fixture
def folder(complete, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(complete, tmp_path / "my_submission"))


def check(folder, minimum=MINIMUM):
    return check_submission(folder, minimum)


def only(folder, state="wrong", minimum=MINIMUM):
    """The one finding in this state; nothing else may be missing or wrong."""
    report = check(folder, minimum)
    bad = report.of_state("missing", "wrong", *([state] if state == "warning" else []))
    assert [finding.state for finding in bad] == [state], report.lines()
    assert bad[0].cure
    assert report.ok is (state == "warning")
    return bad[0]


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


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
    report = check(folder)
    assert report.ok is fine
    assert {f.id for f in report.of_state("wrong")} <= {"adapter.trained"}


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


# --- Evidence and reports -----------------------------------------------------------------------


def test_loss_edited_in_the_log_is_named(folder):
    replace(folder / "reports" / "training_log.txt", "1.5000", "0.1000")
    found = only(folder)
    assert found.id == "reports.training_log"
    assert "final train loss 0.1000, but run/training.json has 1.5000" in found.message


def test_perplexity_must_follow_from_the_loss(folder):
    edit_json(folder / "run" / "training.json", lambda t: t.update(perplexity=1.01))
    assert "is not exp(eval_loss)" in only(folder).message


def test_number_edited_in_a_report_is_wrong(folder):
    path = folder / "reports" / "comparison_baseline.md"
    line = next(x for x in path.read_text().splitlines() if x.startswith("| field F1"))
    replace(path, line, line.replace("1.000", "9.999"))
    found = only(folder)
    assert found.id == "reports.comparison"
    assert "edited by hand" in found.message
    assert "field F1" in found.message


def test_words_added_to_a_report_are_only_a_warning(folder):
    with (folder / "reports" / "evaluation_results.md").open("a") as file:
        file.write("\nThe model is wonderful.\n")
    found = only(folder, "warning")
    assert "edited by hand" in found.message


def test_score_that_does_not_follow_from_its_answers_is_wrong(folder):
    path = folder / "run" / "evaluation.json"
    edit_json(path, lambda e: e["tasks"]["qa"]["tuned"].update(token_f1=0.5))
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert "qa, tuned: token_f1 0.5, but its answers give 1" in found["evaluation.scores"]
    assert "reports.comparison" in found  # it still shows the old number


def test_interval_and_verdict_are_recomputed_too(folder):
    def change(content):
        content["tasks"]["qa"]["difference"]["token_f1"]["low"] = 0.99

    edit_json(folder / "run" / "evaluation.json", change)
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert "difference of token_f1" in found["evaluation.scores"]


def test_evaluation_of_records_that_are_not_in_the_test_part_is_named(folder):
    path = folder / "run" / "evaluation.json"
    edit_json(path, lambda e: e["predictions"][3].update(reference="Yes."))
    found = only(folder)
    assert found.id == "run.evaluation"
    assert "first: prediction 4" in found.message


def test_weakened_baseline_is_found(folder):
    def change(content):
        system = content["systems"]["few_shot"]
        system["answers"] = [""] * len(system["answers"])

    edit_json(folder / "run" / "baseline.json", change)
    found = only(folder)
    assert found.id == "baseline.scores"
    assert "few_shot" in found.message


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '"x"', "NaN", "[" * 100_000, '{"predictions": 3}', "1e999"]
)
def test_broken_evidence_is_wrong_and_never_a_crash(folder, content):
    names = [f"run/{name}.json" for name in ("training", "baseline", "evaluation", "data_summary")]
    for name in names:
        (folder / name).write_text(content)
    found = check(folder).of_state("wrong")
    assert {finding.path for finding in found} == set(names)
    assert all(finding.cure for finding in found)


# --- Documentation ------------------------------------------------------------------------------


def test_readme_that_is_not_utf8_is_named_with_byte_and_line(folder):
    (folder / "README.md").write_bytes(b"# Title\nF\xfchrung\n")
    found = only(folder)
    assert "not UTF-8: byte 0xFC in line 2" in found.message


def test_short_readme_and_placeholder_are_named(folder):
    (folder / "README.md").write_text("# My work\n\nIt works.\n\n```\n" + "code " * 200 + "\n```\n")
    assert only(folder).message.startswith("2 words of your own")
    (folder / "README.md").write_text(README + "\nYOUR ANSWER HERE\n")
    assert "left open (YOUR ANSWER HERE)" in only(folder).message


def test_notebook_defects_are_named(folder):
    path = folder / "finetuning_pipeline.ipynb"
    good = path.read_text()
    path.write_text(good[:-20])
    assert "broken JSON, line" in only(folder).message
    path.write_text(good.replace("What the data look like.", "YOUR ANSWER HERE"))
    assert "cell 1: left open" in only(folder).message
    path.write_text(good.replace('"output_type": "stream"', '"output_type": "error"'))
    assert "stopped with an error" in only(folder).message
    path.write_text('{"nbformat": 3, "worksheets": []}')
    assert "no notebook of format 4" in only(folder).message


def test_notebook_that_was_not_run_is_only_a_warning(folder):
    def change(content):
        content["cells"][1] |= {"outputs": [], "execution_count": None}

    edit_json(folder / "finetuning_pipeline.ipynb", change)
    assert "0 of 1 code cells were run" in only(folder, "warning").message


def test_requirements_that_do_not_parse_are_named_with_their_line(folder):
    (folder / "requirements.txt").write_text("torch>=2\nthe newest transformers please\n")
    assert "line 2" in only(folder).message


# --- Hostile folders ----------------------------------------------------------------------------


def test_link_out_of_the_folder_is_refused_and_not_read(folder, tmp_path):
    secret = tmp_path / "secret.md"
    secret.write_text("TOP-SECRET " * 100)
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(secret)
    report = check(folder)
    found = {f.id: f for f in report.of_state("missing", "wrong")}
    assert found.keys() == {"folder.links", "readme"}
    assert "README.md: a symbolic link that leaves the folder" in found["folder.links"].message
    assert "TOP-SECRET" not in "".join(report.lines())


def test_linked_folder_is_not_walked(folder, tmp_path):
    (folder / "data").rename(tmp_path / "elsewhere")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    found = check(folder).of_state("missing", "wrong")
    assert {f.path for f in found} >= {"data/train.jsonl", "data/val.jsonl", "data/test.jsonl"}


def test_circles_of_links_end(folder):
    (folder / "reports" / "again").symlink_to(folder)
    (folder / "reports" / "self").symlink_to("self")
    assert only(folder).id == "folder.links"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipe_in_place_of_a_file_does_not_block(folder):
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    found = {f.id for f in check(folder).of_state("missing", "wrong")}
    assert found == {"folder.kinds", "readme"}


def test_huge_file_is_named_and_not_opened(folder):
    path = folder / "finetuning_pipeline.ipynb"
    with path.open("r+b") as file:  # sparse: 3 GB that take no disk space
        file.truncate(3_000_000_000)
    found = {f.id: f.message for f in check(folder).of_state("wrong")}
    assert found.keys() == {"folder.size", "notebook"}
    assert "3.0 GB; at most 20.0 MB are read" in found["notebook"]


def test_archives_are_left_closed(folder):
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.txt", "0" * 1_000_000)
    found = only(folder, "warning")
    assert "bomb.zip: archives are neither opened nor packed" in found.message
    assert not list(folder.parent.rglob("escaped.txt"))


def test_names_with_control_characters_print_plainly(folder):
    with contextlib.suppress(OSError):
        (folder / "reports" / "a\x1b[2Jb\n.exe").write_text("x")
    report = check(folder)
    assert "\x1b" not in "".join(report.lines())
    Console(file=io.StringIO()).print(report.render())


# --- Packing ------------------------------------------------------------------------------------


def pack(folder, target=None, **options):
    return pack_submission(folder, target, minimum=MINIMUM, **options)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_archive_holds_the_structure_and_the_same_bytes_each_time(folder, tmp_path, capsys):
    first = pack(folder)
    assert first == folder.with_name("my_submission.zip")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    second = pack(folder, tmp_path / "again.zip")
    assert digest(first) == digest(second)
    names = zipfile.ZipFile(first).namelist()
    assert set(submission.REQUIRED) <= set(names)
    assert names == sorted(names)
    printed = capsys.readouterr().out
    assert "data/" in printed
    assert f"my_submission.zip, {len(names)} files" in printed


def test_unpacked_archive_passes_the_check_again(folder, tmp_path):
    with zipfile.ZipFile(pack(folder)) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert check(tmp_path / "unpacked").counts["warning"] == 0
    assert check(tmp_path / "unpacked").ok


def test_what_is_left_out_is_named(folder, capsys):
    left = ["run/checkpoints/checkpoint-4/optimizer.pt", ".git/config", "scripts/__pycache__/t.pyc"]
    left += [".venv/pyvenv.cfg", "notes.docx", "run/bonus_qlora/checkpoint-20/optimizer.pt"]
    for name in left:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (folder / "run" / "bonus_qlora" / "qlora.md").write_text("# QLoRA\n")
    names = zipfile.ZipFile(pack(folder)).namelist()
    assert not set(left) & set(names)
    assert "run/bonus_qlora/qlora.md" in names
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("left out"))
    for name in ("run/checkpoints/", ".git/", "scripts/__pycache__/", ".venv/", "notes.docx"):
        assert name in line


def test_broken_submission_is_refused_unless_forced_and_weights_stay_out(folder, tmp_path):
    weights = folder / "models" / "finetuned_model" / "model.safetensors"
    weights.write_bytes(b"x" * 100)
    (folder / "data" / "stolen.jsonl").symlink_to(tmp_path)
    with pytest.raises(CourseError, match="not packed") as refused:
        pack(folder)
    assert "base model weights" in refused.value.message
    assert not folder.with_name("my_submission.zip").exists()
    names = zipfile.ZipFile(pack(folder, force=True)).namelist()
    assert set(submission.REQUIRED) <= set(names)
    assert not [name for name in names if "model.safetensors" in name and "adapter" not in name]
    assert "data/stolen.jsonl" not in names


def test_archive_is_never_overwritten_silently_nor_left_half_written(folder, monkeypatch):
    target = pack(folder)
    before = target.read_bytes()
    with pytest.raises(CourseError, match="exists already"):
        pack(folder)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_archive", no_space)
        with pytest.raises(CourseError, match="not written"):
            pack(folder, overwrite=True)
    assert target.read_bytes() == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["my_submission", "my_submission.zip"]
    assert pack(folder, overwrite=True) == target
    target.write_bytes(b"mine")
    with pytest.raises(CourseError, match="this kit did not make it"):
        pack(folder, overwrite=True)
    assert target.read_bytes() == b"mine"


def test_target_must_be_a_zip_file(folder, tmp_path):
    for target in (tmp_path, tmp_path / "work.rar"):
        with pytest.raises(CourseError, match=r"not the name of a \.zip file"):
            pack(folder, target)
