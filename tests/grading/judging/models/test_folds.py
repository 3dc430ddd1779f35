"""Week 5 with --folds: one fold is trained again by the kit's own train_lora.py, on nano."""

import json
import math
import shutil

import pytest
from classroom import expectations, study, study_week05
from nano_cases import WEEK05, case_of, judged, share

from course_utils.lab import recording

FOLDS = 3


@pytest.fixture(scope="module")
def trained(nano_model_path, tmp_path_factory):
    """Records and an adapter as a student gets them with `--folds 3`."""
    folder = tmp_path_factory.mktemp("folds")
    study_week05.write_records(folder, seed=3, records=24)
    words = ["--data", "records.jsonl", "--out", "adapter/", "--seed", "3", "--folds", f"{FOLDS}"]
    with study.inside(folder):
        recording.load_script().main([*words, *study_week05.TRAINING])
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "lab")


def test_a_fold_that_was_trained_is_found_again_whatever_the_students_script_is_by_now(folder, box):
    (folder / "train_lora.py").write_text("raise SystemExit('mine')\n")
    case = case_of(folder, box, WEEK05)
    found = judged(case, "training_true")
    assert share(case, "training_true") == 1, found
    assert "trained again" in found.evidence[0].note
    stated = json.loads((folder / "training.json").read_text())["folds"]["losses"]
    assert len(stated) == FOLDS
    # In its eight steps a fold teaches nano little: what that earns follows from the hand-out.
    earned = [expectations.loss_share("week05", loss) for loss in stated]
    assert earned == [pytest.approx(1 / 3)] * FOLDS
    assert share(case, "validation_improves") == pytest.approx(1 / 3)


def test_losses_of_folds_that_were_written_in_by_hand_earn_nothing(folder, box):
    path = folder / "training.json"
    told = json.loads(path.read_text())
    told["folds"]["losses"] = [loss / 2 for loss in told["folds"]["losses"]]
    told["eval_loss"] /= 2
    told["perplexity"] = math.exp(told["eval_loss"])
    path.write_text(json.dumps(told))
    found = judged(case_of(folder, box, WEEK05), "training_true")
    assert found.points == 0
    assert "fold" in found.feedback
