"""Each check of the doctor on constructed machines and version lists."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from course_utils.commands import doctor
from course_utils.commands.doctor import Finding
from course_utils.commands.main import command_line
from course_utils.environment import read_requirements
from course_utils.errors import CourseError
from course_utils.hardware import Hardware
from course_utils.messages import MORE, placeholders

LAPTOP = Hardware("Linux", "Core i5", cores=4, cpu_bf16=False, ram_gb=16, glibc=True)
T4 = Hardware("Linux", "Xeon", 2, False, 12.7, "Tesla T4", 14.7, (7, 5), glibc=True)
NARROW = Hardware("Linux", "Atom", cores=2, cpu_bf16=False, ram_gb=3.7)

TESTED = doctor.known_good_versions()


def package(name: str, installed: dict[str, str]) -> Finding:
    findings = doctor.check_packages(installed)
    return next(finding for finding in findings if finding.name == f"package {name}")


def test_tested_versions_have_no_problem_and_no_warning():
    findings = doctor.check_packages(TESTED)
    assert len(findings) == len(read_requirements(doctor.REQUIREMENTS)) > 25
    assert {finding.state for finding in findings} == {"ok"}


@pytest.mark.parametrize("name", ["trl", "torch", "rouge-score", "pyyaml"])
def test_missing_package_is_a_problem_with_the_pip_command(name):
    installed = {key: version for key, version in TESTED.items() if key != name}
    finding = package(name, installed)
    assert (finding.state, finding.found) == ("problem", "not installed")
    assert finding.cure.startswith('python -m pip install "')


@pytest.mark.parametrize(
    ("name", "version", "state"),
    [
        ("trl", "1.15.2", "problem"),  # older minor of a leading library
        ("transformers", "5.14.1", "problem"),  # below its lower end
        ("transformers", "5.15.0", "ok"),  # Colab's
        ("transformers", "5.24.0", "warning"),  # above its upper end
        ("trl", "1.16.1", "warning"),  # newer
        ("trl", "1.17.0", "warning"),
        ("gguf", "0.18.0", "warning"),  # pinned, not leading
        ("datasets", "4.0.0", "ok"),
        ("datasets", "3.6.0", "problem"),
        ("torch", "2.11.0+cu128", "ok"),  # not the tested one, but above its floor
        ("torch", "2.13.0+cpu", "ok"),
        ("torch", "2.9.1", "problem"),  # below its floor
        ("numpy", "2.0.2", "ok"),
        ("ipywidgets", "7.7.1", "ok"),
    ],
)
def test_state_of_a_version(name, version, state):
    assert package(name, TESTED | {name: version}).state == state


def test_cure_of_an_old_trl_is_the_exact_command():
    finding = package("trl", TESTED | {"trl": "1.2.0"})
    assert finding.cure == 'python -m pip install "trl==1.16.0"'


def test_floor_shows_the_tested_version_beside_it():
    assert package("torch", TESTED).expected == f">=2.11 (tested with {TESTED['torch']})"


def test_constraints_cover_every_requirement_and_meet_it():
    needs = read_requirements(doctor.REQUIREMENTS)
    assert [n for n, need in needs.items() if not need.specifier.contains(TESTED[n])] == []


def test_constraints_have_no_local_versions():
    assert [name for name, version in TESTED.items() if "+" in version] == []


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 12), "problem"), ((3, 11, 0), "ok"), ((3, 13, 15), "ok")]
)
def test_python_floor(version, state):
    assert doctor.check_python(version).state == state


def test_gpu_finding_names_the_gpu_or_none():
    assert "Tesla T4, 14.7 GiB, capability 7.5" in doctor.check_gpu(T4).found
    assert doctor.check_gpu(LAPTOP).found == "none"


def test_precision_and_preset_come_with_reasons():
    precision, preset = doctor.check_precision(T4), doctor.check_preset(T4)
    assert (precision.found, preset.found) == ("fp16", "t4")
    assert "7.5" in precision.expected
    assert "14.7 GiB" in preset.expected


def test_busy_core_is_a_warning_with_fewer_threads():
    assert doctor.check_cpu(LAPTOP, 0.1, {}).state == "ok"
    busy = doctor.check_cpu(LAPTOP, 1.2, {})
    assert busy.state == "warning"
    assert "3 threads" in busy.found


def test_wrong_course_threads_is_a_problem_with_a_cure():
    findings = doctor.run_check(
        "cpu", lambda: [doctor.check_cpu(LAPTOP, 0.0, {"COURSE_THREADS": "many"})]
    )
    assert [f.state for f in findings] == ["problem"]
    assert "COURSE_THREADS" in findings[0].cure


def test_little_memory_is_a_warning():
    assert doctor.check_memory(NARROW).state == "warning"
    assert doctor.check_memory(LAPTOP).state == "ok"


def test_full_disk_is_a_warning_for_that_folder_only():
    room = {Path("/cache"): 4.9, Path("/here"): 5.0}
    folders = {"cache": Path("/cache"), "working folder": Path("/here")}
    findings = doctor.check_disks(folders, free=room.__getitem__)
    assert [finding.state for finding in findings] == ["warning", "ok"]
    assert "/cache" in findings[0].cure.replace("\\", "/")


@pytest.mark.parametrize(
    ("version", "state"),
    [(None, "ok"), ("0.10.0", "problem"), ("0.9.0", "problem"), ("0.16.0", "ok")],
)
def test_old_torchao_is_a_problem(version, state):
    assert doctor.check_torchao(version).state == state


@pytest.mark.parametrize(
    ("version", "colab", "state"),
    [
        ("7.7.1", True, "ok"),
        ("8.1.9", False, "ok"),
        ("8.1.9", True, "warning"),
        (None, True, "problem"),
    ],
)
def test_widgets_version_fits_the_page_that_draws_them(version, colab, state):
    assert doctor.check_widgets(version, colab).state == state


def test_colab_is_known_by_its_environment():
    assert doctor.on_colab({"COLAB_RELEASE_TAG": "release-colab_2026"})
    assert not doctor.on_colab({})


def test_kernel_python3_must_be_there():
    assert doctor.check_kernel(["ir", "python3"]).state == "ok"
    assert doctor.check_kernel(["ir"]).state == "problem"
    assert doctor.check_kernel([]).found == "no kernel"


def test_a_crashing_check_becomes_a_finding():
    findings = doctor.run_check("gpu", lambda: 1 / 0)
    assert findings[0].name == "gpu"
    assert findings[0].state == "problem"
    assert "ZeroDivisionError" in findings[0].found


def test_a_course_error_keeps_its_cure():
    def check():
        raise CourseError("no model", "prepare it")

    expected = Finding("model", "problem", "no model", "", "prepare it", "doctor.refused")
    assert doctor.run_check("model", check) == [expected]


def test_model_and_data_are_missing_in_an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    model, data = doctor.check_model(), doctor.check_data()
    assert (model.state, data.state) == ("warning", "warning")
    assert str(tmp_path) in model.found
    assert model.cure == "course model prepare"
    assert data.cure


def test_run_of_other_versions_is_a_warning_that_names_them(tmp_path):
    versions = {"python": "3.13.0", "trl": "1.15.0", "peft": "0.21.2"}
    body = json.dumps({"versions": versions})
    (tmp_path / "settings.json").write_text(body, encoding="utf-8")
    same = doctor.check_run(tmp_path, {"trl": "1.15.0", "peft": "0.21.2"})
    other = doctor.check_run(tmp_path, {"trl": "1.16.0", "peft": "0.21.2"})
    assert [same[0].state, other[0].state] == ["ok", "warning"]
    assert "trl 1.15.0 (now 1.16.0)" in other[0].found
    assert "peft" not in other[0].found


@pytest.mark.parametrize("content", [None, "", "[1]", '{"settings": {}}', '{"versions": "new"}'])
def test_a_folder_that_is_no_run_is_a_problem(tmp_path, content):
    if content is not None:
        (tmp_path / "settings.json").write_text(content, encoding="utf-8")
    assert doctor.check_run(tmp_path, {})[0].state == "problem"


def test_the_command_compares_a_run(tmp_path):
    versions = json.dumps({"versions": {"trl": "0.1"}})
    (tmp_path / "settings.json").write_text(versions, encoding="utf-8")
    done = CliRunner().invoke(command_line(), ["doctor", "--run", str(tmp_path), "--json"])
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["run"]["message_id"] == "doctor.run_of_other_versions"
    assert "trl 0.1 (now " in found["run"]["found"]


def test_diagnosis_of_a_described_colab_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    installed = TESTED | {"torchao": "0.10.0", "ipywidgets": "7.7.1", "transformers": "5.9.0"}
    findings = doctor.diagnose(hardware=T4, installed=installed, environ={"COLAB_RELEASE_TAG": "x"})
    by_name = {finding.name: finding for finding in findings}
    assert by_name["torchao"].state == "problem"
    assert by_name["package transformers"].state == "problem"
    assert by_name["precision"].found == "fp16"
    assert by_name["preset"].found == "t4"
    assert "Colab's page draws" in by_name["widgets"].found
    assert by_name["jupyter kernel"].state == "ok"
    assert doctor.exit_code(findings) == 1


def test_what_is_not_ok_can_be_explained_and_the_rest_need_not(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    installed = TESTED | {"torchao": "0.10.0", "ipywidgets": "8.1.9", "trl": "1.2.0"}
    environ = {"COLAB_RELEASE_TAG": "x", "COURSE_THREADS": "many"}
    findings = doctor.diagnose(tmp_path, hardware=NARROW, installed=installed, environ=environ)
    bad = {f.message_id: f for f in findings if f.state != "ok"}
    assert len(bad) >= 8
    for name, finding in bad.items():
        message = doctor.MESSAGES.known[name]
        if not placeholders(message.cure):
            assert finding.cure == message.cure
    assert {f.message_id for f in findings if f.state == "ok"} == {""}


def test_only_a_problem_makes_the_exit_code_1():
    warning, problem = Finding("a", "warning", "", ""), Finding("b", "problem", "", "")
    assert doctor.exit_code([warning]) == 0
    assert doctor.exit_code([warning, problem]) == 1


def test_json_holds_every_field_and_the_counts():
    finding = Finding("torch [gpu]", "warning", "µ", "b", "c", "doctor.cpu_busy")
    body = doctor.to_dict([finding])
    assert (body["problems"], body["warnings"]) == (0, 1)
    shown = {"name": "torch [gpu]", "state": "warning", "found": "µ", "expected": "b", "cure": "c"}
    assert body["findings"] == [shown | {"message_id": "doctor.cpu_busy"}]


def test_rendered_table_has_the_worst_first_and_the_cures_last():
    findings = [
        Finding("package a", "ok", "1", "==1"),
        Finding("package b", "ok", "1", "==1"),
        Finding("memory", "warning", "3 GiB", "6 GiB", "buy [more]", "doctor.a"),
        Finding("torchao", "problem", "0.10", "none", "remove it", "doctor.b"),
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(doctor.render(findings))
    lines = [line for line in console.export_text().splitlines() if line.strip()]
    assert [line.split()[0] for line in lines[1:4]] == ["problem", "warning", "ok"]
    assert "2 as expected" in lines[3]
    cures = ["torchao: remove it (doctor.b)", "memory: buy [more] (doctor.a)"]
    assert lines[-3:] == [*cures, MORE]


@pytest.mark.parametrize("missing", ["yaml", "pydantic"])
def test_without_the_readers_of_messages_the_doctor_still_names_what_is_missing(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from course_utils.commands import doctor\n"
        "versions = {k: v for k, v in doctor.known_good_versions().items() if k != 'pyyaml'}\n"
        "found = [f for f in doctor.check_packages(versions) if f.state == 'problem']\n"
        "print([(f.name, f.cure) for f in found])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == f"[('package pyyaml', {doctor.REINSTALL!r})]"


def test_the_module_loads_without_the_heavy_libraries():
    code = (
        "import sys, course_utils.hardware, course_utils.environment\n"
        "import course_utils.commands.doctor\n"
        "print([m for m in ('torch', 'transformers', 'pydantic', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
