"""The class of copies that benchmarks/grading_class.py grades."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils.errors import CourseError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import grading_class

A, B = "q_proj.lora_A.weight", "q_proj.lora_B.weight"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "finished"
    weights = folder / "models" / "finetuned_model" / "adapter_model.safetensors"
    weights.parent.mkdir(parents=True)
    save_file({A: torch.ones(2, 3), B: torch.ones(3, 2)}, weights)
    (folder / "run" / "checkpoints").mkdir(parents=True)
    (folder / "run" / "checkpoints" / "large.bin").write_text("not handed in")
    digest = sha256(weights)
    (folder / "run" / "training.json").write_text(json.dumps({"adapter": digest, "loss": 1.5}))
    (folder / "run" / "endpoint.json").write_text(json.dumps({"adapter": digest[:16]}))
    return folder


def test_members_have_adapters_of_their_own_and_evidence_that_names_them(submission, tmp_path):
    for number in range(2):
        grading_class.hand_in(submission, "week09_10", number, tmp_path / "inbox")
    digests = set()
    for number in range(2):
        member = tmp_path / "inbox" / f"member-{number:02}"
        weights = member / "models" / "finetuned_model" / "adapter_model.safetensors"
        found = load_file(weights)
        assert torch.equal(found[A], torch.ones(2, 3))
        assert torch.allclose(found[B], torch.full((3, 2), 1 + grading_class.STEP * (number + 1)))
        digest = sha256(weights)
        digests.add(digest)
        named = json.loads((member / "run" / "training.json").read_text())
        assert named == {"adapter": digest, "loss": 1.5}
        assert json.loads((member / "run" / "endpoint.json").read_text())["adapter"] == digest[:16]
        assert not (member / "run" / "checkpoints").exists()
    assert len(digests) == 2


def test_the_assignment_is_told_by_where_the_adapter_lies(submission, tmp_path):
    assert grading_class.assignment_of(submission) == "week09_10"
    with pytest.raises(CourseError, match="no adapter in"):
        grading_class.assignment_of(tmp_path)


def test_seconds_are_read_from_the_logs_that_the_grader_writes(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "log.txt").write_text(
        "config: scored, 2 of 2 points, 0.1 s\nnotebook: failed, - of 4 points, 12.5 s\n"
        "Traceback (most recent call last):\nintegrity: 3.0 s\n"
    )
    found = grading_class.seconds_of_items(tmp_path)
    assert found == {"config": [0.1], "notebook": [12.5], "integrity": [3.0]}
