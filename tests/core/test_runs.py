"""Run folders: files appear whole or not at all, and a folder keeps the settings it began with."""

import math
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from course_utils import files, runs
from course_utils.errors import CourseError

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def open_nano(folder, **changes):
    return runs.open_run(folder, preset="nano", **changes)


def interrupted_write(path):
    with files.atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt


# --- writing ---


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"a": [1, 2.5, None, True], "ü": "Grüße 漢字 🙂", "nested": {"x": []}}
    assert (
        files.read_json(files.write_json_atomic(tmp_path / "deep" / "a.json", content)) == content
    )


def test_the_written_file_is_utf8_that_a_person_can_read(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"ü": 1})
    assert path.read_bytes() == '{\n  "ü": 1\n}\n'.encode()


def test_nan_and_infinity_become_null(tmp_path):
    content = {"a": math.nan, "b": [math.inf, -math.inf, 1.0], "c": (numpy.float32("nan"),)}
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", content))
    assert found == {"a": None, "b": [None, None, 1.0], "c": [None]}


def test_numpy_numbers_and_number_keys_are_written(tmp_path):
    content = {1: numpy.int64(3), "x": numpy.float64(0.5), "y": numpy.bool_(True)}
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", content))
    assert found == {"1": 3, "x": 0.5, "y": True}


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff ok"])
def test_half_a_character_in_a_models_answer_can_be_written(tmp_path, text):
    found = files.read_json(files.write_json_atomic(tmp_path / "a.json", {"answer": text}))
    assert found["answer"] == text.encode("utf-8", "replace").decode()


def test_what_json_cannot_hold_leaves_the_old_file_and_no_leftover(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        files.write_json_atomic(path, {"new": object()})
    assert files.read_json(path) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_an_error_inside_the_block_leaves_the_old_file_and_no_leftover(tmp_path):
    path = files.write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.txt"]


SHORT_WRITE = """
import resource, sys
from course_utils import files
from course_utils.errors import CourseError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_json_atomic(sys.argv[1], {"new": "x" * 100_000})
except CourseError as error:
    print(error)
"""


def test_a_write_that_the_disk_cuts_short_leaves_the_old_file_and_says_so(tmp_path):
    path = files.write_json_atomic(tmp_path / "a.json", {"old": 1})
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITE, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.startswith(f"{path}: not written (File too large)\nCure: free some disk")
    assert files.read_json(path) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_target_that_is_a_folder_is_one_message_and_leaves_nothing(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(CourseError, match="a.json: not written"):
        files.write_json_atomic(tmp_path / "a.json", {})
    assert names(tmp_path) == ["a.json"]


def test_a_parent_that_is_a_file_is_one_message(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CourseError, match="not written"):
        files.write_text_atomic(tmp_path / "file" / "a.txt", "x")


def test_others_may_read_the_written_file(tmp_path):
    assert files.write_text_atomic(tmp_path / "a", "x").stat().st_mode & 0o777 == 0o644


# --- reading ---


def test_a_missing_file_names_itself_and_the_notebook_to_run(tmp_path):
    with pytest.raises(CourseError, match="baseline.json: there is no such file") as caught:
        files.read_json(tmp_path / "baseline.json")
    assert "02 baseline" in caught.value.cure


@pytest.mark.parametrize("content", [b'{"a": ', b"", b"\xff\xfe", b"{'a': 1}"])
def test_a_broken_file_is_one_message_that_names_it(tmp_path, content):
    path = tmp_path / "training.json"
    path.write_bytes(content)
    with pytest.raises(CourseError, match="training.json: not readable as JSON"):
        files.read_json(path)


def test_a_folder_in_the_files_place_is_one_message(tmp_path):
    with pytest.raises(CourseError, match=f"{tmp_path}: "):
        files.read_json(tmp_path)


# --- run folders ---


def test_a_new_run_saves_settings_versions_seed_hardware_and_time(tmp_path):
    run = open_nano(tmp_path / "run", seed=5)
    saved = run.read("settings.json")
    assert saved["settings"] == run.settings.model_dump()
    assert saved["seed"] == run.settings.seed == 5
    assert saved["versions"]["trl"]
    assert saved["hardware"]
    assert saved["created"].endswith("+00:00")


def test_opening_again_keeps_the_saved_settings(tmp_path):
    first = open_nano(tmp_path, lora_r=4, train_records=20)
    again = runs.open_run(tmp_path)
    assert again.settings == first.settings
    assert again.settings.preset == "nano"


def test_opening_again_rewrites_nothing(tmp_path):
    path = open_nano(tmp_path).folder / "settings.json"
    before = (path.read_bytes(), path.stat().st_ino)
    runs.open_run(tmp_path)
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_opening_again_with_a_seed_and_a_change_replaces_only_these(tmp_path):
    first = open_nano(tmp_path, seed=1, lora_r=4)
    again = runs.open_run(tmp_path, seed=9, learning_rate=2e-4)
    assert again.settings == first.settings.with_changes(seed=9, learning_rate=2e-4)
    assert runs.open_run(tmp_path, seed=9).settings == again.settings


def test_opening_again_keeps_the_time_the_run_was_made(tmp_path):
    run = open_nano(tmp_path)
    stamp = {**run.read("settings.json"), "created": "2001-02-03T04:05:06+00:00"}
    run.write("settings.json", stamp)
    assert open_nano(tmp_path, seed=9).read("settings.json")["created"] == stamp["created"]


def test_another_preset_starts_from_that_presets_values(tmp_path):
    open_nano(tmp_path, lora_r=4)
    assert runs.open_run(tmp_path, preset="cpu").settings.lora_r == 16


def test_precision_auto_is_resolved_when_the_run_is_made(tmp_path):
    run = runs.open_run(tmp_path, preset="cpu")
    assert run.settings.precision in ("fp32", "fp16", "bf16")
    assert run.read("settings.json")["precision_reason"]


@pytest.mark.parametrize(
    "content", ['{"settings": ', "[]", "{}", '{"settings": {}}', '{"settings": 3}', "null"]
)
def test_broken_settings_are_one_message_that_names_the_file(tmp_path, content):
    (tmp_path / "settings.json").write_text(content, encoding="utf-8")
    with pytest.raises(CourseError, match="settings.json: ") as caught:
        runs.open_run(tmp_path)
    assert "\n" not in caught.value.message
    assert caught.value.cure


def test_settings_of_another_version_of_the_kit_are_one_message(tmp_path):
    run = open_nano(tmp_path)
    saved = run.read("settings.json")
    saved["settings"]["lora_rank"] = 3
    run.write("settings.json", saved)
    with pytest.raises(CourseError, match="do not fit this version of the kit.*lora_rank"):
        runs.open_run(tmp_path)


def test_a_wrong_change_leaves_no_run_folder(tmp_path):
    with pytest.raises(CourseError, match="lora_rank"):
        open_nano(tmp_path / "run", lora_rank=3)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A copy of the kit's layout with the working folder in its notebooks."""
    (tmp_path / "course_utils").mkdir()
    (tmp_path / "course_utils" / "__init__.py").touch()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    return tmp_path


def test_a_relative_run_folder_counts_from_the_kits_folder(kit):
    assert open_nano("runs/a").folder == kit / "runs" / "a"
    assert (kit / "runs" / "a" / "settings.json").is_file()


def test_an_absolute_run_folder_is_taken_as_it_is(kit, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert open_nano(elsewhere / "a").folder == elsewhere / "a"


def test_outside_the_kit_the_working_folder_is_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.find_root() == tmp_path.resolve()


def test_the_repository_is_its_own_root():
    assert runs.find_root(ROOT / "notebooks") == ROOT.resolve()


def test_a_run_makes_the_parent_folder_of_a_path(tmp_path):
    path = open_nano(tmp_path).path("data", "deep", "train.jsonl")
    assert path.parent.is_dir()
    assert not path.exists()


def test_the_fingerprint_changes_with_what_shapes_a_result_and_with_nothing_else(tmp_path):
    settings = open_nano(tmp_path).settings
    same = settings.with_changes(measured="on another day", expected_minutes={"03": 99})
    assert runs.settings_fingerprint(same) == runs.settings_fingerprint(settings)
    other = settings.with_changes(seed=settings.seed + 1)
    assert runs.settings_fingerprint(other) != runs.settings_fingerprint(settings)


def test_versions_are_those_of_the_installed_packages():
    assert runs.versions()["numpy"] == numpy.__version__


def test_importing_runs_loads_nothing_heavy():
    code = "import sys, course_utils.runs; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
