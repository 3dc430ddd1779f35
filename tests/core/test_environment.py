"""The set-up: pure decisions on version lists, then real pip in a throw-away environment.

The throw-away environment stands for Colab: it has (tiny) packages named numpy, torch, pyarrow
and torchao at Colab's versions, and pip sees nothing but a folder of such wheels.
"""

import ast
import os
import subprocess
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from course_utils import environment
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
COLAB_LIST = ROOT / "tests" / "colab" / "packages_2026-08-19.txt"


def write(folder: Path, text: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_missing_lists_what_is_absent_below_its_floor_or_off_its_pin(tmp_path):
    path = write(tmp_path, "a>=2\nb>=2\nc==1.5\nd==1.5\ne\nf>=2.11\n")
    installed = {"a": "2.0", "b": "1.9", "c": "1.6", "d": "1.5", "f": "2.11.0+cu128"}
    assert environment.missing_requirements(path, installed) == ["b>=2", "c==1.5", "e"]


def colab_image() -> dict[str, str]:
    """Package -> version of Colab's image; make colab-twin builds this very list."""
    lines = COLAB_LIST.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_on_colab_nothing_is_replaced_and_what_it_lacks_comes_at_its_exact_version():
    missing = environment.missing_requirements(installed=colab_image())
    assert [line for line in missing if "==" not in line] == []
    assert "trl==1.16.0" in missing
    names = {environment.canonical(line.partition("==")[0]) for line in missing}
    assert names & set(colab_image()) == set()


def test_what_is_installed_alone_finds_all_that_it_needs_in_the_other_requirements():
    """trl comes without what it asks for, so each of that must come with another line."""
    needs = environment.read_requirements(environment.REQUIREMENTS)
    reached, names = set(), [name for name in needs if name not in environment.ALONE]
    while names:
        name = names.pop()
        if name not in reached:
            reached.add(name)
            names += asked_for_by(name)
    for alone in environment.ALONE:
        assert set(asked_for_by(alone)) - reached == set()


def asked_for_by(name: str) -> list[str]:
    """What an installed package asks for on this machine, without extras."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    needs = map(Requirement, lines)
    return [environment.canonical(n.name) for n in needs if not n.marker or n.marker.evaluate()]


def test_names_are_compared_in_their_canonical_spelling(tmp_path):
    path = write(tmp_path, "rouge_score==0.1.2\nPyYAML>=6\n")
    assert environment.missing_requirements(path, {"rouge-score": "0.1.2", "pyyaml": "6.0"}) == []


def test_comments_options_and_other_platforms_are_skipped(tmp_path):
    path = write(tmp_path, "# why\n-r other.txt\n\na>=1  # reason\nb; python_version < '3'\n")
    assert environment.missing_requirements(path, {}) == ["a>=1"]


def test_a_release_candidate_above_the_floor_is_enough(tmp_path):
    assert environment.missing_requirements(write(tmp_path, "a>=2"), {"a": "2.1rc1"}) == []


def test_a_broken_line_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"requirements\.txt, line 2: 'b = = 2'"):
        environment.missing_requirements(write(tmp_path, "a\nb = = 2\n"), {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CourseError, match="absent.txt does not exist"):
        environment.missing_requirements(tmp_path / "absent.txt", {})


def test_core_and_imported_packages_are_pinned_to_what_is_installed():
    installed = {"torch": "2.11.0+cu128", "numpy": "2.0.2", "pyarrow": "18.1.0", "trl": "1.0"}
    lines = environment.protected_constraints(installed, imported=["pyarrow", "not_installed"])
    assert lines == ["numpy==2.0.2", "pyarrow==18.1.0", "torch==2.11.0+cu128"]


def test_a_version_pip_cannot_read_is_left_out():
    lines = environment.protected_constraints({"distro-info": "1.1build"}, ["distro-info"])
    assert lines == []


def test_this_process_protects_what_it_has_imported():
    lines = environment.protected_constraints()
    names = {line.partition("==")[0] for line in lines}
    assert {"torch", "numpy", "pandas", "pillow", "pytest"} <= names
    assert f"pytest=={pytest.__version__}" in lines


@pytest.mark.parametrize(
    ("version", "breaks"),
    [(None, False), ("0.9.0", True), ("0.10.0", True), ("0.16.0", False), ("0.18.1", False)],
)
def test_torchao_below_its_floor_breaks_lora(version, breaks):
    assert environment.torchao_breaks_lora(version) is breaks


def test_prepare_has_nothing_to_install_here_and_is_quiet_when_asked(capsys):
    environment.prepare()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("ready: Python 3.")
    assert not [line for line in lines if line.startswith(("installing", "removed"))]
    environment.prepare(quiet=True)
    assert capsys.readouterr().out == ""


def test_the_hub_is_switched_off_only_when_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "restore me afterwards")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    environment.prepare(quiet=True)
    assert "HF_HUB_OFFLINE" not in os.environ
    environment.prepare(quiet=True, offline=True)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


# Real pip, real installations, in an environment of their own.

WHEELS = {  # name, version: what it requires
    ("numpy", "2.0.2"): [],
    ("numpy", "2.4.6"): [],
    ("torch", "2.11.0+cu128"): [],
    ("torch", "2.13.0"): [],
    ("torchao", "0.10.0"): [],
    ("pyarrow", "18.1.0"): [],
    ("pyarrow", "24.0.0"): [],
    ("trl", "1.16.0"): ["numpy", "torch", "pyarrow>=21", "not-to-be-had"],
    ("datasets", "5.2.0"): ["numpy", "pyarrow>=24"],
    ("wants-new-numpy", "1.0"): ["numpy>=2.4"],
}
COLAB = ["numpy==2.0.2", "torch==2.11.0+cu128", "torchao==0.10.0", "pyarrow==18.1.0"]


def write_wheel(folder: Path, name: str, version: str, requires: list[str]) -> None:
    """A wheel with one module that says its version."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    files = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/top_level.txt": f"{module}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


class Colab:
    """A small environment with Colab's versions, and scripts that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "env", with_pip=True)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = folder / "env" / scripts / "python"
        (folder / "wheels").mkdir()
        for (name, version), requires in WHEELS.items():
            write_wheel(folder / "wheels", name, version, requires)

    def run(self, code: str, wheels: str = "wheels") -> str:
        """stdout of a script; its last line is "CourseError: ..." if it ended in one."""
        caught = (
            "from course_utils.errors import CourseError\n"
            "from course_utils import environment\n"
            f"try:\n    {code}\n"
            "except CourseError as error:\n    print('CourseError:', error.message, error.cure)\n"
        )
        environ = {n: v for n, v in os.environ.items() if not n.startswith(("PIP_", "PYTHON"))}
        environ |= {
            "PYTHONPATH": str(ROOT),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder / wheels),
            "PIP_NO_CACHE_DIR": "1",
        }
        done = subprocess.run(
            [self.python, "-c", caught], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def prepare(self, requirements: str, imports: str = "sys") -> str:
        path = write(self.folder, requirements)
        return self.run(f"import {imports}; environment.prepare(requirements={str(path)!r})")

    def versions(self) -> dict[str, str]:
        names = sorted({name for name, _ in WHEELS})
        return ast.literal_eval(self.run(f"print(environment.installed_versions({names}))"))

    def reset(self) -> None:
        self.run("environment._pip('uninstall', '-y', 'trl', 'datasets', 'wants-new-numpy')")
        self.run(f"environment._pip('install', '--quiet', *{COLAB})")


@pytest.fixture(scope="module")
def colab_once(tmp_path_factory):
    return Colab(tmp_path_factory.mktemp("colab"))


@pytest.fixture
def colab(colab_once):
    colab_once.reset()
    return colab_once


def test_setup_adds_what_is_missing_leaves_torch_and_numpy_and_removes_old_torchao(colab):
    first = colab.prepare("numpy>=2.0\ntorch>=2.11\ntrl==1.16.0\n", imports="numpy, pyarrow")
    assert first.splitlines()[0] == "installing: trl==1.16.0"
    assert "removed: torchao" in first
    assert colab.versions() == {
        "numpy": "2.0.2",
        "torch": "2.11.0+cu128",
        "pyarrow": "18.1.0",
        "trl": "1.16.0",
    }
    second = colab.prepare("numpy>=2.0\ntorch>=2.11\ntrl==1.16.0\n")
    assert not [line for line in second.splitlines() if line.startswith(("install", "removed"))]


def test_replacing_a_loaded_package_ends_in_a_restart_and_then_all_is_well(colab):
    first = colab.prepare("datasets==5.2.0\n", imports="pyarrow")
    assert "still runs the old pyarrow" in first
    assert "Restart the kernel" in first
    assert colab.versions()["pyarrow"] == "24.0.0"
    assert colab.versions()["numpy"] == "2.0.2"
    again = colab.prepare("datasets==5.2.0\n", imports="pyarrow")
    assert again.splitlines()[-1].startswith("ready: ")


def test_a_package_not_loaded_is_replaced_without_a_restart(colab):
    output = colab.prepare("datasets==5.2.0\n")
    assert output.splitlines()[-1].startswith("ready: ")
    assert colab.versions()["pyarrow"] == "24.0.0"


def test_a_package_that_needs_another_numpy_is_refused_and_numpy_stays(colab):
    output = colab.prepare("wants-new-numpy==1.0\n")
    assert "CourseError: pip could not install wants-new-numpy==1.0" in output
    assert "fresh environment" in output
    assert colab.versions()["numpy"] == "2.0.2"


def test_a_core_package_below_its_floor_is_the_students_to_replace(colab):
    output = colab.prepare("torch>=2.13\n")
    assert (
        "CourseError: torch 2.11.0+cu128 is installed, but the course needs torch>=2.13" in output
    )
    assert colab.versions()["torch"] == "2.11.0+cu128"


def test_without_a_network_the_message_says_so(colab):
    path = write(colab.folder, "trl==1.16.0\n")
    output = colab.run(f"environment.prepare(requirements={str(path)!r})", wheels="nowhere")
    assert "CourseError: pip could not install trl==1.16.0" in output
    assert "Check the network connection" in output


def test_without_pip_the_message_says_how_to_get_it(tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from course_utils import environment\n"
        "try: environment.install(['trl==1.16.0'])\n"
        "except environment.CourseError as error: print(error)\n"
    )
    # Lend it `packaging` alone: without pip there is no copy of it either.
    import packaging

    lent = tmp_path / "lent"
    lent.mkdir()
    os.symlink(Path(packaging.__file__).parent, lent / "packaging")
    done = subprocess.run(
        [python, "-c", code, str(ROOT), str(lent)], capture_output=True, text=True, check=False
    )
    assert "ensurepip" in done.stdout, done.stderr


def test_requirements_say_why_each_group_is_there():
    blocks = environment.REQUIREMENTS.read_text(encoding="utf-8").strip().split("\n\n")
    assert [block for block in blocks if not block.startswith("# ")] == []
