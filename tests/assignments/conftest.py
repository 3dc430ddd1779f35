"""A complete submission of weeks 9-10, made once, and a copy for each test that breaks it."""

import random
import shutil
from pathlib import Path

import pytest
from submissions import (
    CONFIG,
    README,
    SCRIPTS,
    deploy,
    evaluate,
    save_adapter,
    training,
    without_marks,
    write_notebook,
)


@pytest.fixture(scope="session")
def track():
    """A small track from the manuals: all three tasks, whole groups in one part."""
    from course_utils.tracks.manufacturing import manuals
    from course_utils.tracks.manufacturing import track as tracks

    drafts = manuals.manual_drafts(7)
    random.Random(7).shuffle(drafts)
    return tracks.assemble(drafts[:900], 7)


@pytest.fixture(scope="session")
def complete(track, nano_model_path, tmp_path_factory):
    """A complete submission: data, adapter, evidence and reports as the scripts write them."""
    from course_utils import records
    from course_utils.assignments import scripts, writeup
    from course_utils.tracks.parts import handed_out

    folder = tmp_path_factory.mktemp("complete") / "my_submission"
    for name in ("data", "scripts", "configs", "reports"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "lora_config.yaml").write_text(CONFIG)
    (folder / "README.md").write_text(README)
    (folder / "requirements.txt").write_text("peft==0.21.2\ntrl==1.16.0  # training\n")
    for script in SCRIPTS.glob("*.py"):
        (folder / "scripts" / script.name).write_text(without_marks(script.read_text()))
    parser = scripts.arguments("", folder)
    workspace = scripts.open_workspace(parser, [])
    parts = handed_out(track.parts)
    for name, part in parts.items():
        records.write_records(workspace.data(name), part)
    counts = {name: len(part) for name, part in parts.items()}
    workspace.run.write("data_summary.json", {"parts": counts, "drafts": track.drafts})
    save_adapter(workspace.adapter, nano_model_path)
    workspace.run.write("training.json", training())
    writeup.write_training_log(workspace)
    evaluate(workspace, track.parts["test"])
    deploy(workspace)
    write_notebook(folder / "finetuning_pipeline.ipynb")
    return folder


@pytest.fixture
def folder(complete, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(complete, tmp_path / "my_submission"))
