"""configs/lora_config.yaml: what may be written, and what is said of anything else."""

import pytest
import yaml

from course_utils import kit
from course_utils.assignments import configuration
from course_utils.assignments.configuration import LoraFile, read_config
from course_utils.errors import CourseError

SEED_EXAMPLE = """\
r: 16
lora_alpha: 32
target_modules:
  - q_proj
  - v_proj
lora_dropout: 0.05
bias: none
task_type: CAUSAL_LM
"""


@pytest.fixture
def config(tmp_path):
    """Writes a configuration and reads it."""

    def read(text, **changes):
        path = tmp_path / "lora_config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(path, **changes)

    return read


@pytest.fixture
def problem(config, tmp_path):
    """What is said of a configuration that is refused."""

    def said(text, **changes):
        with pytest.raises(CourseError) as caught:
            config(text, **changes)
        assert caught.value.message.startswith(f"{tmp_path / 'lora_config.yaml'}: ")
        assert "\n" not in caught.value.message
        assert caught.value.cure
        return caught.value.message

    return said


# --- What is right ---


def test_the_assignments_example_is_read_as_it_stands(config):
    values = config(SEED_EXAMPLE)
    assert (values.r, values.lora_alpha, values.lora_dropout) == (16, 32, 0.05)
    assert values.target_modules == ["q_proj", "v_proj"]
    assert (values.bias, values.task_type) == ("none", "CAUSAL_LM")
    assert values == LoraFile(target_modules=["q_proj", "v_proj"], lora_dropout=0.05)


def test_the_kits_own_configuration_is_right():
    path = kit.ROOT / "assignments/week09_10_manufacturing/solution/configs/lora_config.yaml"
    assert set(yaml.safe_load(path.read_text())) == set(LoraFile.model_fields) - {
        "bias",
        "task_type",
        "gradient_checkpointing",
        "evaluations",
        "records",  # of one's own: the solution builds the kit's track
    }
    assert read_config(path).tasks == ["understanding", "report", "qa"]


@pytest.mark.parametrize(("name", "meaning"), list(configuration.SYNONYMS.items()))
def test_other_names_mean_the_same(config, name, meaning):
    value = {"base_model": "nano", "lora_dropout": 0.5}.get(meaning, 64)
    assert config(f"{name}: {value}") == config(f"{meaning}: {value}") != LoraFile()


def test_sections_are_only_headings(config):
    flat = config("r: 8\nlora_alpha: 4\nlearning_rate: 0.01\n")
    assert config("lora:\n  r: 8\n  alpha: 4\ntraining: {learning_rate: 0.01}\n") == flat
    assert config("r: 8\nmodel:\n  alpha: 4\n  learning_rate: 0.01\n") == flat


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("learning_rate: 2e-4", "learning_rate", 2e-4),  # YAML 1.1 reads it as text
        ("learning_rate: 2.0e-4", "learning_rate", 2e-4),
        ('r: "8"', "r", 8),
        ("r: 8.0", "r", 8),
        ("num_train_epochs: 0.5", "num_train_epochs", 0.5),
        ("num_train_epochs: 3", "num_train_epochs", 3),
        ("target_modules: all-linear", "target_modules", "all-linear"),
        ("tasks: [qa, understanding, qa]", "tasks", ["understanding", "qa"]),
        ("task_shares: {qa: 3}", "task_shares", {"qa": 3}),
        ("task_shares:\n  report/working shown: 0", "task_shares", {"report/working shown": 0}),
        ("task_shares: {qa/quality_report: 2}", "task_shares", {"qa/quality_report": 2}),
        ("test_shares: {qa: 2}", "test_shares", {"qa": 2}),
        ("gradient_checkpointing: yes", "gradient_checkpointing", True),
        ("\ufeffr: 8", "r", 8),
        ("r: 8\r\nseed: 1\r\n", "r", 8),
        ("# note\n\nr: 8 # rank", "r", 8),
        ("base_model: /models/mein Größe", "base_model", "/models/mein Größe"),
    ],
)
def test_values_are_read_as_meant(config, text, name, value):
    assert getattr(config(text), name) == value


def test_changes_of_the_command_line_replace_the_files_values(config):
    values = config("r: 8\nlora_alpha: 64\n", rank=4, learning_rate="5e-4", seed=None)
    assert (values.r, values.lora_alpha, values.learning_rate, values.seed) == (4, 64, 5e-4, 42)


def test_a_configuration_cannot_be_changed(config):
    with pytest.raises(ValueError, match="frozen"):
        config("r: 8").r = 16


def test_the_kits_settings_hold_the_same_values(config):
    values = config("r: 8\nlora_alpha: 4\nmax_length: 100\nprecision: fp32\nseed: 7\n")
    settings = values.settings()
    assert (settings.lora_r, settings.lora_alpha, settings.seed) == (8, 4, 7)
    assert (settings.max_length, settings.max_new_tokens) == (100, 100)
    assert (settings.precision, settings.preset) == ("fp32", "assignment")
    assert config("precision: auto").settings().precision != "auto"


@pytest.mark.parametrize(
    ("targets", "mlp"),
    [("all-linear", True), ("[q_proj, v_proj]", False), ("[q_proj, up_proj]", True)],
)
def test_whether_the_mlp_is_adapted_follows_from_the_layers(config, targets, mlp):
    values = config(f"target_modules: {targets}\nprecision: fp32")
    assert values.adapts_mlp is values.settings().include_mlp is mlp


@pytest.mark.parametrize(
    "text",
    [
        "r: 1024\nmax_length: 131072\nfew_shot_examples: 64\nnum_train_epochs: 100",
        "r: 1\nmax_length: 16\nlearning_rate: 1\nlora_dropout: 0.99\nwarmup_ratio: 0.99",
        "train_records: 2\nval_records: 2\ntest_records: 2\nseed: 4294967295\nevaluations: 2",
    ],
)
def test_every_allowed_extreme_is_allowed_by_the_kits_settings_too(config, text):
    assert config(f"{text}\nprecision: fp32").settings()


# --- What is wrong ---


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lora_alhpa", "lora_alpha"),
        ("targetmodules", "target_modules"),
        ("learning_rte", "learning_rate"),
        ("rnak", "rank"),
        ("R", "r"),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_one(problem, name, hint):
    message = problem(f"{name}: 1")
    assert f"unknown key {name}" in message
    if name != "R":
        assert message.endswith(f"did you mean {hint}?")


def test_a_key_like_no_other_gets_no_hint(problem):
    message = problem("quux: 1")
    assert "unknown key quux" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    "text",
    [
        "r: sixteen",
        "r: 0",
        "r: -8",
        "r: 8.5",
        "r: [8]",
        "r: {a: {b: 1}}",
        "r: ~",
        "r: yes",
        "r: 2000",
        "r: 99999999999999999999999",
        "r: 2024-01-01",
        "lora_alpha: true",
        "lora_alpha: 0",
        "lora_dropout: 1",
        "lora_dropout: -0.1",
        "lora_dropout: 0,05",
        "learning_rate: 0",
        "learning_rate: .nan",
        "learning_rate: .inf",
        "learning_rate: fast",
        "num_train_epochs: 0",
        "num_train_epochs: on",
        "per_device_train_batch_size: 0",
        "warmup_ratio: 1",
        "lr_scheduler_type: cosinus",
        "max_length: 8",
        "quantization: nf8",
        "quantization: no",
        "precision: fp8",
        "bias: yes",
        "task_type: SEQ_CLS",
        "base_model: ''",
        "base_model: 7",
        "target_modules: []",
        "target_modules: ['']",
        "target_modules: [1, 2]",
        "target_modules: q_proj",
        "target_modules: ~",
        "tasks: []",
        "tasks: [qa, translation]",
        "tasks: qa",
        "task_shares: {qa: 0}",
        "task_shares: {translation: 2}",
        "task_shares: 2",
        "task_shares: {qa/: 2}",
        "task_shares: {qa: -1}",
        "task_shares: {qa: 1.5}",
        "task_shares: {qa: yes}",
        "test_shares: {qa: 0}",
        "test_shares: {qa/name only: 2}",
        "seed: -1",
        "seed: 4294967296",
        "gradient_checkpointing: maybe",
        "evaluations: 1",
        "test_records: 1",
    ],
)
def test_a_wrong_value_is_refused_with_its_name(problem, text):
    name = text.partition(":")[0]
    message = problem(text)
    assert f": {name} = " in message


def test_all_that_is_wrong_is_said_at_once(problem):
    message = problem("r: zero\nlora_dropout: 2\nalpha_lora: 3\n")
    assert "r = 'zero'" in message
    assert "lora_dropout = 2" in message
    assert "unknown key alpha_lora" in message


@pytest.mark.parametrize(
    "text",
    [
        "alpha: 8\nlora_alpha: 16",
        "lora_alpha: 16\nalpha: 8",
        "rank: 8\nlora_r: 16",
        "lora: {rank: 8}\ntraining: {r: 16}",
        "lora: {r: 8}\nr: 16",
        "lora: {r: 8}\ntraining: {r: 8}",
        "r: 8\nr: 16",
        "lora: {r: 8, r: 16}",
    ],
)
def test_one_value_under_two_names_is_refused(problem, text):
    message = problem(text)
    told = ("name the same value", "is there twice", "stands twice")
    assert any(words in message for words in told)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("r: 8\n\tlora_alpha: 16\n", "line 2"),
        ("lora:\n\tr: 8\n", "line 2"),
        ("r: 8\nlora_alpha: [16\n", "line 3"),
        ("r: 8: 9\n", "line 1"),
        ("r: 8\n lora_alpha: 16\n", "line 2"),
        ("base_model: 'nano\n", "line"),
        ("r: !!python/object:os.system 8", "line 1"),
        ("%r: 8", "line 1"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(problem, text, line):
    assert f": {line}" in problem(text)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a note\n", "---\n", "~"])
def test_an_empty_file_is_refused(problem, text):
    assert "the file is empty" in problem(text)


@pytest.mark.parametrize("text", ["- r: 8\n- alpha: 4", "r=8", "8", "[r, 8]"])
def test_a_file_that_is_no_mapping_is_refused(problem, text):
    assert "no list of names and values" in problem(text)


@pytest.mark.parametrize(
    "raw", ["base_model: Größe".encode("cp1252"), "r: 8".encode("utf-16"), b"\xff\xfe\x00r"]
)
def test_a_file_that_is_not_utf8_is_refused(problem, raw):
    assert "not UTF-8" in problem(raw)


def test_control_characters_are_refused_in_one_line(problem):
    assert problem(b"r: 8\x00\x07")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CourseError, match="there is no such file"):
        read_config(tmp_path / "lora_config.yaml")
    with pytest.raises(CourseError, match=str(tmp_path)):
        read_config(tmp_path)


def test_a_wrong_change_of_the_command_line_is_refused(problem):
    assert "r = 'x'" in problem("r: 8", r="x")
    assert "unknown key rn" in problem("r: 8", rn=1)
