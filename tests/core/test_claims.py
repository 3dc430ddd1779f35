"""A training's folders: whose they are, where its state lies, and what max_length leaves of it."""

import json
import shutil

import pytest

from course_utils import chat, ownership, runs, sources, training
from course_utils.errors import CourseError
from course_utils.settings import preset_settings

RECORD = sources.work_order_record("pump leaking", '{"part": "pump"}')


@pytest.fixture
def run(tmp_path):
    """A run folder with data, not yet trained."""
    run = runs.Run(tmp_path / "run", preset_settings("nano"))
    run.path("data", "train.jsonl").write_text("{}\n", encoding="utf-8")
    return run


@pytest.fixture(autouse=True)
def unlocked(run):
    yield
    training.mark_finished(run)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["checkpoints/thesis.txt", "adapter/mine.bin", "training.json"])
def test_what_somebody_else_made_ends_the_training_before_it_begins(run, name):
    run.path(*name.split("/")).write_text('{"mine": 1}', encoding="utf-8")
    before = contents(run.folder)
    with pytest.raises(CourseError, match="this kit did not make") as caught:
        training.prepare_checkpoints(run)
    assert "rename" in caught.value.cure
    assert contents(run.folder) == before


def test_checkpoints_of_another_adapter_are_refused(run):
    training.prepare_checkpoints(run)
    with pytest.raises(CourseError, match="belongs to another training"):
        training.prepare_checkpoints(run, adapter=run.folder / "adapter_r8")


def test_what_a_student_put_among_our_checkpoints_stays(run):
    training.prepare_checkpoints(run)
    notes = run.path("checkpoints", "notes.txt")
    notes.write_text("mine", encoding="utf-8")
    run.path("checkpoints", "checkpoint-3", "optimizer.pt").touch()
    changed = runs.Run(run.folder, run.settings.with_changes(seed=9))
    training.prepare_checkpoints(changed)
    assert notes.read_text(encoding="utf-8") == "mine"
    assert not (run.folder / "checkpoints" / "checkpoint-3").exists()
    training.remove_checkpoints(run, run.folder / "adapter")
    assert notes.read_text(encoding="utf-8") == "mine"


def test_a_copied_run_folder_is_still_its_own(run, tmp_path):
    training.prepare_checkpoints(run)
    copy = runs.Run(shutil.copytree(run.folder, tmp_path / "ex1"), run.settings)
    training.prepare_checkpoints(copy)
    training.mark_finished(copy)


def test_what_a_killed_training_was_saving_goes(run):
    training.prepare_checkpoints(run)
    run.path("adapter", ownership.UNFINISHED, "adapter_model.safetensors").touch()
    training.prepare_checkpoints(run)
    assert not (run.folder / "adapter" / ownership.UNFINISHED).exists()


WHOLE = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")


def write_checkpoint(run, step, epoch, last=6):
    folder = run.path("checkpoints", f"checkpoint-{step}", "x").parent
    for name in WHOLE:
        (folder / name).touch()
    state = {"epoch": epoch, "global_step": step, "max_steps": last}
    (folder / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")


def test_a_training_that_ended_within_an_epoch_goes_on_from_the_checkpoint_before(run):
    training.prepare_checkpoints(run)
    write_checkpoint(run, 4, 1 / 3)
    write_checkpoint(run, 6, 0.5)
    assert training.prepare_checkpoints(run).name == "checkpoint-4"


def test_a_training_that_ended_with_an_epoch_goes_on_from_its_end(run):
    training.prepare_checkpoints(run)
    write_checkpoint(run, 4, 2 / 3)
    write_checkpoint(run, 6, 1.0)
    assert training.prepare_checkpoints(run).name == "checkpoint-6"


def test_state_lies_beside_adapter_and_inside_any_other_name(tmp_path):
    assert training.state_folder(tmp_path / "adapter") == tmp_path
    assert training.state_folder(tmp_path / "adapter_r8") == tmp_path / "adapter_r8"


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_part_whose_answers_are_all_cut_off_is_told_before_training(tokenizer, part):
    tokens = [chat.tokenize_record(RECORD, tokenizer)] * 3
    with pytest.raises(CourseError, match=rf"every answer of the {part} part \(3 of 3") as caught:
        training.usable([RECORD] * 3, tokens, 8, part)
    assert f"max_length {len(tokens[0].input_ids)}" in caught.value.cure


def test_the_share_that_is_cut_is_told(tokenizer, capsys):
    tokens = [chat.tokenize_record(RECORD, tokenizer)]
    length = len(tokens[0].input_ids) - 1
    assert training.usable([RECORD], tokens, length, "validation") == ([RECORD], [length])
    assert "cuts 1 of 1 validation records (100%)" in capsys.readouterr().out
