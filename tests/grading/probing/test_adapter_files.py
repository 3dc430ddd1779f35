"""An adapter's two files as data: what passes, and what is refused with its reason."""

import json
import struct

import pytest

from course_utils.assignments.folder import scan
from course_utils.errors import CourseError
from course_utils.grading.probing.adapter import (
    checked_config,
    checked_header,
    make_adapter,
    read_adapter,
)

PLAIN = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "/home/jane/models/nano",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj"],
    "init_lora_weights": True,
    "inference_mode": True,
    "auto_mapping": None,
    "rank_pattern": {},
}
NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


def weights(shapes=None, header=None, data=None):
    """A safetensors file, by default an A of 4 x 8 and a B of 8 x 4."""
    shapes = shapes or {NAME.format("A"): (4, 8), NAME.format("B"): (8, 4)}
    entries, at = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(entries if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + (b"\0" * at if data is None else data)


def test_a_plain_adapter_passes_with_what_decides_its_answers():
    adapter = make_adapter(PLAIN, weights())
    assert adapter.config == {
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "target_modules": ["q_proj"],
        "rank_pattern": {},
    }
    assert adapter.shapes[NAME.format("A")] == (4, 8)


def test_the_class_that_peft_notes_itself_is_no_code_of_the_students():
    noted = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama"}
    assert "auto_mapping" not in checked_config(PLAIN | {"auto_mapping": noted})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"auto_mapping": {"base_model_class": "X", "parent_library": "evil"}}, "auto_mapping"),
        ({"auto_mapping": "os.system"}, "auto_mapping"),
        ({"base_model_name_or_path": "https://evil.example/model"}, "is an address"),
        ({"trust_remote_code": True}, "trust_remote_code"),
        ({"lora_alpha": 10**400}, "lora_alpha is 1000"),
        ({"lora_dropout": float("nan")}, "lora_dropout is nan"),
        ({"alpha_pattern": {"q_proj": 10**400}}, "alpha_pattern is"),
        ({"peft_type": "IA3"}, "not LORA"),
        ({"r": 10**9}, "r is 1000000000"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": float("inf")}, "lora_alpha is inf"),
        ({"target_modules": [["q_proj"]]}, "target_modules"),
        ({"layer_replication": [[0, 4000]]}, "layer_replication is set"),
        ({"init_lora_weights": "pissa"}, "changes the base model too"),
        ({"rank_pattern": {"q_proj": 10**9}}, "rank_pattern"),
    ],
)
def test_a_configuration_that_asks_for_more_than_a_plain_lora_is_refused(change, said):
    with pytest.raises(CourseError, match=said) as problem:
        checked_config(PLAIN | change)
    assert problem.value.cure


A = NAME.format("A")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "announces a header"),
        (struct.pack("<Q", 2**60) + b"{}", "announces a header"),
        (struct.pack("<Q", 4) + b"[[[[", "no header in JSON"),
        (struct.pack("<Q", 2) + b"[]", "no header in JSON"),
        (weights(header={A: {"dtype": "F32"}}), "nothing readable"),
        (weights(data=b"\0" * 100), "of numbers and holds"),
        (
            weights(header={A: {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 256]}}),
            "announces",
        ),
        (
            weights(header={A: {"dtype": "F32", "shape": [10**12, 1], "data_offsets": [0, 4]}}),
            "has the shape",
        ),
        (weights(header={A: {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 4]}}), "of kind"),
        (
            weights(
                header={
                    A: {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]},
                    "x": {"dtype": "F32", "shape": [4, 8], "data_offsets": [64, 192]},
                }
            ),
            "overlap",
        ),
        (weights({A: (-4, -8)}), "has the shape"),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_opened(content, said):
    with pytest.raises(CourseError, match=said):
        checked_header(content)


def test_weights_of_a_base_model_in_the_adapter_are_refused():
    with pytest.raises(CourseError, match="LoRA matrices only"):
        make_adapter(PLAIN, weights({A: (4, 8), "model.embed_tokens.weight": (100, 8)}))


def test_two_files_of_two_trainings_are_refused():
    with pytest.raises(CourseError, match="says rank 4, the matrices have rank 16"):
        make_adapter(PLAIN, weights({A: (16, 8), NAME.format("B"): (8, 16)}))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(PLAIN))
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(weights())
    return tmp_path


def test_an_adapter_is_read_from_its_two_files(folder):
    assert read_adapter(scan(folder), "adapter").config["r"] == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("training_args.bin", "can run code"),
        ("model.safetensors", "base weights"),
        ("modeling_mine.py", "never run"),
    ],
)
def test_what_lies_beside_it_is_refused_by_name(folder, name, said):
    (folder / "adapter" / name).write_bytes(b"x")
    with pytest.raises(CourseError, match=said):
        read_adapter(scan(folder), "adapter")


def test_a_link_to_somebody_elses_adapter_is_not_followed(folder):
    path = folder / "adapter" / "adapter_model.safetensors"
    path.rename(folder / "theirs.safetensors")
    path.symlink_to(folder / "theirs.safetensors")
    with pytest.raises(CourseError, match="only a link"):
        read_adapter(scan(folder), "adapter")
