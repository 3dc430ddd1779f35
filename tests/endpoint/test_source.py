"""What `course serve` and `course export` find in a folder."""

import json
from pathlib import Path

import pytest

from course_utils import models
from course_utils.endpoint import source
from course_utils.endpoint.launch import examples_of
from course_utils.errors import CourseError


@pytest.fixture
def folder(tmp_path, nano_model_path):
    """An adapter folder's two files, whose base model is named by a path of another machine."""

    def make(place=".", **config):
        target = tmp_path / place
        target.mkdir(parents=True, exist_ok=True)
        wanted = {"base_model_name_or_path": "/home/ada/cache/models/nano", "lora_alpha": 16}
        (target / "adapter_config.json").write_text(json.dumps(wanted | config), encoding="utf-8")
        (target / "adapter_model.safetensors").write_bytes(b"weights")
        return tmp_path

    return make


@pytest.mark.parametrize("place", source.PLACES)
def test_an_adapter_is_found_where_runs_and_submissions_keep_it(folder, place, nano_model_path):
    found = source.find(folder(place))
    assert found.adapter == found.folder / place
    assert (found.base_name, found.base) == ("nano", nano_model_path)
    assert found.names == ("base", "tuned")


def test_a_run_names_its_base_model_itself(folder):
    run = folder("adapter", base_model_name_or_path="/somewhere/else")
    (run / "settings.json").write_text('{"settings": {"base_model": "nano"}}', encoding="utf-8")
    assert source.find(run).base_name == "nano"


@pytest.mark.parametrize(
    "settings", ['{"settings": null}', '{"settings": [1]}', "[]", "null", "{", '{"settings": {}}']
)
def test_settings_of_another_form_name_no_base_model(folder, settings):
    run = folder("adapter")
    (run / "settings.json").write_text(settings, encoding="utf-8")
    assert source.find(run).base_name == "nano"  # the adapter's


@pytest.mark.parametrize("config", ["[]", "null", "7", "{"])
def test_a_configuration_that_is_no_object_is_named(folder, config):
    made = folder()
    (made / "adapter_config.json").write_text(config, encoding="utf-8")
    for base in (None, "nano"):
        with pytest.raises(CourseError, match="adapter_config.json") as caught:
            source.find(made, base)
        assert caught.value.cure


def test_the_base_model_can_be_named(folder, nano_model_path):
    made = folder(base_model_name_or_path="/home/ada/models/mine")
    assert source.find(made, base=str(nano_model_path)).base == nano_model_path
    with pytest.raises(CourseError, match="not on this machine") as caught:
        source.find(made)
    assert "--base" in caught.value.cure


def test_a_merged_model_has_one_name(nano_model_path):
    found = source.find(nano_model_path)
    assert (found.names, found.adapter, found.must_merge) == (("tuned",), None, False)


def test_a_merged_model_in_the_folder_that_one_is_in_has_its_name(nano_model_path, monkeypatch):
    monkeypatch.chdir(nano_model_path)
    assert source.find(Path(".")).base_name == nano_model_path.name


@pytest.mark.parametrize("name", source.MERGES)
def test_what_needs_merging_is_seen(folder, name):
    assert not source.find(folder()).must_merge
    assert source.find(folder(**{name: True})).must_merge


def test_an_empty_folder_no_folder_and_no_weights(tmp_path, folder):
    with pytest.raises(CourseError, match="no adapter is here"):
        source.find(tmp_path)
    with pytest.raises(CourseError, match="no such folder"):
        source.find(tmp_path / "nowhere")
    (folder() / "adapter_model.safetensors").unlink()
    with pytest.raises(CourseError, match="no adapter_model.safetensors"):
        source.find(tmp_path)


def test_equal_content_has_one_checksum_wherever_it_lies(folder, tmp_path):
    first = source.digest(folder("one") / "one")
    assert source.digest(folder("two") / "two") == first
    (tmp_path / "two" / "adapter_model.safetensors").write_bytes(b"other")
    assert source.digest(tmp_path / "two") != first


FILES = (
    *("model.safetensors", "config.json", "adapter_config.json", "chat_template.jinja"),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json"),
)


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_conversion_reads_is_in_the_checksum(tmp_path, name):
    for each in FILES:
        (tmp_path / each).write_bytes(b"{}")
    first = source.digest(tmp_path)
    (tmp_path / name).write_bytes(b"{} ")
    assert source.digest(tmp_path) != first
    (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "README.md").write_bytes(b"notes")
    assert source.digest(tmp_path) == first


def test_a_large_file_that_changes_has_another_checksum(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"a" * source.LARGE)
    first = source.digest(tmp_path)
    assert source.digest(tmp_path) == first  # remembered
    weights.write_bytes(b"b" * (source.LARGE + 1))
    assert source.digest(tmp_path) != first


def test_test_records_become_examples_and_broken_lines_do_not(tmp_path):
    (tmp_path / "data").mkdir()
    record = {"instruction": "Answer in JSON.", "input": "PUMP", "output": "{}"}
    lines = [json.dumps(record), "no JSON", json.dumps({"other": 1})]
    (tmp_path / "data" / "test.jsonl").write_text("\n".join(lines), encoding="utf-8")
    [example] = examples_of(tmp_path)
    assert [message["role"] for message in example.messages] == ["system", "user"]
    assert example.expected == "{}"
    assert examples_of(tmp_path / "nowhere") == ()


def test_lines_that_are_no_record_are_passed_over_whatever_is_wrong_with_them(tmp_path):
    (tmp_path / "data").mkdir()
    record = {"instruction": "Answer in JSON.", "input": "PUMP", "output": "{}"}
    lines = [
        *(b'{"input": "\xb5m"}', b"\xff\xfe", b"", b"[]", b"7", b"null", b"[" * 100_000),
        *(json.dumps(record | {name: 7}).encode() for name in record),
        json.dumps(record).encode(),
    ]
    for beginning in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "data" / "test.jsonl").write_bytes(beginning + b"\r\n".join(lines))
        assert len(examples_of(tmp_path)) == 1


def test_the_embedded_base_model_is_found_by_name(folder):
    wanted = f"C:\\\\models\\\\{models.EMBEDDED}"
    assert source.find(folder(base_model_name_or_path=wanted)).base_name == models.EMBEDDED
