"""Exports: each agrees with its source, or nothing is written; a card says what it is."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from course_utils import models
from course_utils.commands.main import command_line
from course_utils.endpoint import card, conversion, export, lora, onnx, vllm
from course_utils.endpoint.source import find
from course_utils.errors import CourseError, UsageError

RECORD = {"instruction": "Answer in JSON.", "input": "PUMP", "output": '{"part": "Pump"}'}
RESULTS = {
    "test_records": 12,
    "base": {"field_f1": 0.16},
    "tuned": {"field_f1": 0.68},
    "difference": {"field_f1": {"mean": 0.52, "low": 0.49, "high": 0.55}},
}


@pytest.fixture
def run(adapter, tmp_path):
    """A run with an adapter, three test records and results."""
    shutil.copytree(adapter, tmp_path / "run" / "adapter")
    (tmp_path / "run" / "data").mkdir()
    records = (RECORD | {"input": f"PUMP\u2028{n}"} for n in range(3))
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (tmp_path / "run" / "data" / "test.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "run" / "results.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def few_questions(monkeypatch):
    """A random model is slow to be certain: answers of six tokens must do."""
    monkeypatch.setattr(export, "TOKENS", 6)


def test_a_merged_model_answers_as_its_source_and_loads_without_an_adapter(run, tmp_path):
    out, agreement = export.merged(find(run), tmp_path / "out")
    assert (agreement.same, agreement.of) == (3, 3)
    assert find(out).adapter is None
    assert models.load_model(str(out)).config.num_hidden_layers == 2


@pytest.mark.parametrize(
    ("kind", "asked", "least"),
    [
        ("merged", 20, 20),
        ("merged", 12, 12),
        ("onnx", 1, 1),
        ("f16", 20, 18),
        ("f16", 15, 14),  # 13.5, rounded up
        ("f16", 5, 4),  # one may always be turned by rounding
        ("f16", 1, 1),
        ("q8_0", 20, 0),
        ("q8_0", 3, 0),
    ],
)
def test_how_many_answers_must_agree_is_a_share_of_those_that_were_asked(kind, asked, least):
    assert export.needed(kind, asked) == least


def test_a_broken_test_record_is_named_with_its_line(run):
    path = run / "data" / "test.jsonl"
    path.write_text(json.dumps(RECORD) + "\n\n", encoding="utf-8")
    assert len(export._prompts(find(run))[0]) == 1  # an empty line is none
    for broken in (b"{", b"[1]", b'{"input": "\xff\xfe\x81"}', b'{"other": 1}'):
        path.write_bytes(json.dumps(RECORD).encode() + b"\n" + broken + b"\n")
        with pytest.raises(CourseError, match=r"test\.jsonl:2: "):
            export._prompts(find(run))


def test_a_run_without_a_test_part_is_asked_questions_an_empty_part_is_told(run):
    path = run / "data" / "test.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(CourseError, match="the file is empty"):
        export._prompts(find(run))
    path.unlink()
    prompts, truths = export._prompts(find(run))
    assert (len(prompts), truths) == (20, [])


def test_the_card_counts_records_of_any_encoding(run):
    (run / "data" / "train.jsonl").write_bytes(b'{"input": "\xb5m"}\n\n{}\n')
    (run / "settings.json").write_text('{"settings": [1]}', encoding="utf-8")
    assert "- train: 2 records" in card.text(find(run, "nano"), "merged", "")


def test_a_gguf_file_is_compared_too(serving, run, tmp_path):
    out, agreement = export.gguf(find(run), "q8_0", tmp_path / "out")
    assert (out / "model-q8_0.gguf").stat().st_size > 1_000_000
    assert agreement.of == 3
    facts = json.loads((out / "agreement.json").read_text(encoding="utf-8"))
    assert (facts["format"], facts["same"], facts["score"]) == ("q8_0", agreement.same, "field F1")


@pytest.fixture
def onnx_packages():
    """Only `course export --onnx` needs them."""
    for name in onnx.NEEDED:
        pytest.importorskip(name, reason="pip install -r requirements-onnx.txt")


def test_an_onnx_folder_answers_as_its_source_and_as_its_card_says(onnx_packages, run, tmp_path):
    out, agreement = export.onnx(find(run), tmp_path / "out")
    assert (agreement.same, agreement.of) == (3, 3)
    [code] = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text("utf-8"), re.S)
    assert "FOLDER" in code
    code = code.replace("FOLDER", str(out)).replace("+ 56", "+ 6")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    question = [{"role": "user", "content": "L/H TRACK MOTOR LEAKING OIL"}]
    assert done.stdout.strip() == export._answers_of_source(find(run), [question])[0]


def test_what_the_builder_does_not_take_is_no_export(onnx_packages, tmp_path, nano_model_path):
    shutil.copytree(nano_model_path, tmp_path / "odd")
    config = json.loads((tmp_path / "odd" / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["OddForCausalLM"]
    (tmp_path / "odd" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CourseError, match="builder does not take this model .*not.*supported"):
        onnx.build(tmp_path / "odd", tmp_path / "out")


def test_without_its_packages_onnx_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "NEEDED", ("onnx_of_nobody", "json"))
    with pytest.raises(CourseError, match="onnx_of_nobody not installed") as caught:
        export.onnx(find(run), tmp_path / "out")
    assert "requirements-onnx.txt" in caught.value.cure
    assert not (tmp_path / "out").exists()


def test_the_card_states_base_model_licence_scores_and_the_check(run, tmp_path):
    out, agreement = export.merged(find(run), tmp_path / "out")
    told = (out / "README.md").read_text(encoding="utf-8")
    assert "base_model: nano" in told
    assert f"license: {models.registry()['nano'].licence}" in told
    assert "| field F1 | 0.160 | 0.680 | 0.520 [0.490, 0.550] |" in told
    assert "- test: 3 records" in told
    assert agreement.told() in told


def test_an_export_that_answers_otherwise_is_not_kept(run, tmp_path, monkeypatch):
    def wrong(source, folder):
        models.load_model("nano").save_pretrained(folder)  # without the adapter
        models.load_tokenizer("nano").save_pretrained(folder)

    monkeypatch.setattr(conversion, "merge", wrong)
    with pytest.raises(CourseError, match="only 0 of 3 greedy answers agree"):
        export.merged(find(run), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_somebody_elses_folder_is_left(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CourseError, match="this kit did not make"):
        export.merged(find(run), tmp_path / "out")


def test_a_model_without_adapter_is_merged_already(nano_model_path, tmp_path):
    with pytest.raises(CourseError, match="merged already"):
        export.merged(find(nano_model_path), tmp_path / "out")


@pytest.mark.parametrize(
    "words",
    [[], ["--merged", "--gguf", "f16"], ["--merged", "--onnx"], ["--gguf", "q4_0"]],
    ids=" ".join,
)
def test_one_known_format_is_asked_for(run, words):
    done = CliRunner().invoke(command_line(), ["export", str(run), *words])
    assert isinstance(done.exception, UsageError)


def test_scales_of_peft():
    config = {"lora_alpha": 16, "use_rslora": True, "alpha_pattern": {"q_proj": 8}}
    assert lora.scaling(config, "model.layers.0.self_attn.q_proj", 4) == 8 / 2
    assert lora.scaling(config | {"use_rslora": False}, "model.layers.0.mlp.up_proj", 4) == 4


PATTERNS = {"self_attn.q_proj": 64, "q_proj": 3, "layers.1.mlp.down_proj": 5}


def test_where_two_patterns_fit_the_scale_is_the_one_that_peft_takes(nano_model_path):
    """Compared with the scale in PEFT's own layers, ranks of their own included."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    names = ["q_proj", "down_proj"]
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules=names, alpha_pattern=PATTERNS, rank_pattern={"mlp.*": 4}
    )
    model = get_peft_model(models.load_model(str(nano_model_path)), config)
    modules = model.base_model.model.named_modules()
    layers = {name: module for name, module in modules if isinstance(module, LoraLayer)}
    assert len(layers) == 4
    for name, layer in layers.items():
        told = lora.scaling(config.to_dict(), name, layer.r["default"])
        assert told == pytest.approx(layer.scaling["default"]), name


def test_vllm_is_told_the_largest_of_the_ranks(tmp_path):
    config = {"r": 4, "rank_pattern": {"q_proj": 40, "k_proj": 9}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert vllm._rank(tmp_path) == 64
    (tmp_path / "adapter_config.json").write_text('{"r": 4}', encoding="utf-8")
    assert vllm._rank(tmp_path) == 8
