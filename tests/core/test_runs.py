"""Run folders: a folder keeps the settings it began with."""

import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from course_utils import hardware as hardware_module
from course_utils import runs
from course_utils.errors import CourseError
from course_utils.hardware import Hardware

ROOT = Path(__file__).parents[2]


def open_nano(folder, **changes):
    return runs.open_run(folder, preset="nano", **changes)


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


def test_opening_again_without_a_seed_keeps_it_with_another_preset_too(tmp_path):
    open_nano(tmp_path, seed=7)
    assert runs.open_run(tmp_path).settings.seed == 7
    assert runs.open_run(tmp_path, preset="cpu").settings.seed == 7


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


def test_precision_auto_is_decided_anew_on_each_machine(tmp_path, monkeypatch):
    """Notebook 01 on a CPU with bf16, 03 on a T4, which only emulates it, 04 on a laptop."""
    cpu = Hardware("Linux", "EPYC", cores=2, cpu_bf16=True, ram_gb=12)
    t4 = Hardware("Linux", "Xeon", 2, False, 12.7, "Tesla T4", 14.7, (7, 5))
    laptop = Hardware("Linux", "i5", cores=2, cpu_bf16=False, ram_gb=8)
    for machine, precision in ((cpu, "bf16"), (t4, "fp16"), (laptop, "fp32")):
        monkeypatch.setattr(runs.hardware, "detect", lambda machine=machine: machine)
        run = runs.open_run(tmp_path, preset="cpu")
        saved = run.read("settings.json")
        assert run.settings.precision == saved["settings"]["precision"] == precision
        assert saved["hardware"]["cpu_model"] == machine.cpu_model
        assert saved["precision_reason"] == hardware_module.choose_precision(machine)[1]


def test_a_precision_that_was_asked_for_stays_on_every_machine(tmp_path, monkeypatch):
    runs.open_run(tmp_path, preset="cpu", precision="bf16")
    laptop = Hardware("Linux", "i5", cores=2, cpu_bf16=False, ram_gb=8)
    monkeypatch.setattr(runs.hardware, "detect", lambda: laptop)
    assert runs.open_run(tmp_path).settings.precision == "bf16"


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


@pytest.mark.parametrize(
    ("name", "content"),
    [("settings.json", '{"editor.fontSize": 12}'), ("results.json", "{}"), ("report.html", "x")],
)
def test_a_folder_with_results_of_somebody_else_is_no_run_folder(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(CourseError, match=f"{name}: "):
        open_nano(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == content


def test_data_of_ones_own_may_lie_in_a_new_run_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").touch()
    assert open_nano(tmp_path).read("settings.json")["settings"]


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


@pytest.mark.parametrize(("name", "notebook"), runs.WRITTEN_BY.items())
def test_what_is_missing_or_broken_names_the_one_notebook_that_writes_it(tmp_path, name, notebook):
    run = open_nano(tmp_path)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(CourseError) as caught:
        run.read(name)
    assert caught.value.cure == f"run notebook {notebook} first"
    assert list((ROOT / "notebooks").glob(f"{notebook}.ipynb"))
    run.path(name).write_text("{", encoding="utf-8")
    with pytest.raises(CourseError) as caught:
        run.read(name)
    assert caught.value.cure == f"delete it and run notebook {notebook} again"


def test_versions_are_those_of_the_installed_packages():
    assert runs.versions()["numpy"] == numpy.__version__


def test_importing_runs_loads_nothing_heavy():
    code = "import sys, course_utils.runs; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
