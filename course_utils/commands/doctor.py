"""Preflight: what this machine has, what the course expects, and the cure for each difference.

    course doctor              a table, worst first, with cures; exit 1 if there is a problem
    course doctor --run RUN    also whether a run was made with the versions installed now
    course doctor --json       the same findings for a script

A check is a function that returns findings. One that crashes becomes a finding itself: the
doctor is run on broken installations.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import environment
from course_utils import hardware as machine
from course_utils.console import console, print_json
from course_utils.environment import REQUIREMENTS, ROOT, canonical, meets, parse_version
from course_utils.errors import CourseError
from course_utils.files import read_object
from course_utils.messages import MORE, Room
from course_utils.packages import cache_folder

MESSAGES = Room(__file__)
REINSTALL = "python -m pip install -r requirements.txt"
CONSTRAINTS = ROOT / "constraints.txt"
PYTHON_FLOOR = (3, 11)
RAM_FLOOR_GIB = 6
DISK_FLOOR_GIB = 5

# Notebook cells call these libraries' newest names: with an older minor release, cells fail.
LEADING = ("trl", "transformers", "peft")

STATES = ("problem", "warning", "ok")  # worst first


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `cure` is empty when there is nothing to do."""

    name: str
    state: str  # one of STATES
    found: str
    expected: str
    cure: str = ""
    message_id: str = ""  # for `course explain`


def say(message: str, name: str, state: str, expected: str, **values: Any) -> Finding:
    """A finding whose words are a message of messages.yaml."""
    try:
        said = MESSAGES.say(message, **values)
    except ImportError:  # PyYAML or pydantic is what is missing: name what was seen without them
        seen = ", ".join(map(str, values.values())) or "not as expected"
        return Finding(name, state, seen, expected, REINSTALL, message)
    return Finding(name, state, said.found, expected, said.cure, said.id)


def diagnose(
    run_folder: str | Path | None = None,
    *,
    hardware: machine.Hardware | None = None,
    installed: dict[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[Finding]:
    """All findings, in the order of the checks. `run_folder`: a run whose versions to compare.

    By default this machine is examined; `hardware`, `installed` (canonical package name ->
    version) and `environ` describe another one.
    """
    environ = os.environ if environ is None else environ
    look = _once(lambda: machine.detect() if hardware is None else hardware)
    versions = _once(lambda: _installed() if installed is None else installed)
    findings = []
    for name, check in (
        ("python", lambda: [check_python(sys.version_info[:3])]),
        ("packages", lambda: check_packages(versions())),
        ("gpu", lambda: [check_gpu(look())]),
        ("precision", lambda: [check_precision(look())]),
        ("preset", lambda: [check_preset(look())]),
        ("cpu", lambda: [check_cpu(look(), machine.current_load(look().cores), environ)]),
        ("memory", lambda: [check_memory(look())]),
        ("disk", lambda: check_disks(_folders(run_folder))),
        ("base model", lambda: [check_model()]),
        ("data", lambda: [check_data()]),
        ("bitsandbytes", lambda: [check_bitsandbytes()]),
        ("torchao", lambda: [check_torchao(versions().get("torchao"))]),
        ("widgets", lambda: [check_widgets(versions().get("ipywidgets"), on_colab(environ))]),
        ("jupyter kernel", lambda: [check_kernel()]),
        ("run", lambda: check_run(run_folder, versions())),
    ):
        findings += run_check(name, check)
    return findings


def run_check(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings of a check, or one problem that says how the check itself failed."""
    try:
        return check()
    except CourseError as error:
        values = {"problem": error.message, "cure": error.cure}
        return [say("doctor.refused", name, "problem", "", **values)]
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return [say("doctor.check_failed", name, "problem", "", error=what)]


def check_python(version: tuple[int, int, int]) -> Finding:
    """Python 3.11 or newer."""
    found, expected = ".".join(map(str, version)), "3.11 or newer (tested with 3.11)"
    if version[:2] >= PYTHON_FLOOR:
        return Finding("python", "ok", found, expected)
    return say("doctor.python_old", "python", "problem", expected, found=found)


def check_packages(
    installed: dict[str, str],
    requirements: Path = REQUIREMENTS,
    constraints: Path = CONSTRAINTS,
) -> list[Finding]:
    """One finding for each direct requirement, named "package NAME"."""
    tested = known_good_versions(constraints)
    needs = environment.read_requirements(requirements)
    return [
        check_package(need, installed.get(name), tested.get(name)) for name, need in needs.items()
    ]


def check_package(need, version: str | None, tested: str | None) -> Finding:
    """One requirement (packaging's `Requirement`) against the installed and the tested version.

    A package may differ from the tested version between its two ends; one with an exact pin may
    not. Newer than the upper end is a warning, older than the lower one a problem.
    """
    name = canonical(need.name)
    title = f"package {name}"
    expected = f"{need.specifier}" + (f" (tested with {tested})" if tested else "")
    if version is None:
        return say("doctor.package_missing", title, "problem", expected, need=need)
    if meets(need, version):
        return Finding(title, "ok", version, expected)
    missed = [end for end in need.specifier if not end.contains(version, prereleases=True)]
    below = [end for end in missed if end.operator == ">="]
    pinned = [end for end in missed if end.operator == "==" and name in LEADING]
    too_old = below or any(_release(version) < _release(pin.version) for pin in pinned)
    state = "problem" if too_old else "warning"
    return say("doctor.package_other", title, state, expected, version=version, need=need)


def check_gpu(hardware: machine.Hardware) -> Finding:
    """Which GPU torch can use. None is fine: the cpu preset needs none."""
    expected = "none needed; a CUDA GPU allows larger models"
    if hardware.capability:
        major, minor = hardware.capability
        found = f"{hardware.gpu_name}, {hardware.gpu_memory_gb} GiB, capability {major}.{minor}"
    else:
        found = "Apple GPU (not used)" if hardware.mps else "none"
    return Finding("gpu", "ok", found, expected)


def check_precision(hardware: machine.Hardware) -> Finding:
    """The precision the kit would choose, and why."""
    precision, reason = machine.choose_precision(hardware)
    return Finding("precision", "ok", precision, reason)


def check_preset(hardware: machine.Hardware) -> Finding:
    """The preset that `--preset auto` would choose, and why."""
    preset, reason = machine.choose_preset(hardware)
    return Finding("preset", "ok", preset, reason)


def check_cpu(hardware: machine.Hardware, load: float, environ: Mapping[str, str]) -> Finding:
    """Cores, load and the threads the kit would use."""
    threads = machine.choose_threads(hardware.cores, load, environ)
    found = f"{hardware.cpu_model}: {hardware.cores} cores, load {load:.1f}, {threads} threads"
    if threads >= max(2, hardware.cores) or hardware.cores == 1:
        return Finding("cpu", "ok", found, "all cores free")
    return say("doctor.cpu_busy", "cpu", "warning", "all cores free", found=found)


def check_memory(hardware: machine.Hardware) -> Finding:
    """Memory for the cpu preset."""
    found, expected = f"{hardware.ram_gb:.1f} GiB", f"at least {RAM_FLOOR_GIB} GiB"
    if hardware.ram_gb >= RAM_FLOOR_GIB:
        return Finding("memory", "ok", found, expected)
    return say("doctor.memory_little", "memory", "warning", expected, found=found)


def check_disks(folders: dict[str, Path], free: Callable = machine.free_disk_gb) -> list[Finding]:
    """Room for models and runs, for each named folder; `free(folder)` gives its free GiB."""
    findings, expected = [], f"at least {DISK_FLOOR_GIB} GiB free"
    for name, folder in folders.items():
        gibibytes = free(folder)
        title, found = f"disk of the {name}", f"{gibibytes:.1f} GiB in {folder}"
        if gibibytes >= DISK_FLOOR_GIB:
            findings.append(Finding(title, "ok", found, expected))
        else:
            values = {"found": found, "folder": folder}
            findings.append(say("doctor.disk_full", title, "warning", expected, **values))
    return findings


def check_model() -> Finding:
    """Whether the embedded base model is ready in the cache folder."""
    from course_utils import models  # late: needs packages that may be missing

    folder = cache_folder()
    if models.is_prepared():
        return Finding("base model", "ok", f"prepared in {folder}", "prepared")
    return say("doctor.model_missing", "base model", "warning", "prepared", folder=folder)


def check_data() -> Finding:
    """Whether the work orders and, for week 5, spectra and minerals are there."""
    from course_utils import sources  # late: need packages that may be missing
    from course_utils.tracks.geology import track as geology

    parts = {"work orders": sources.is_prepared(), "spectra and minerals": geology.is_prepared()}
    missing = [name for name, there in parts.items() if not there]
    if not missing:
        return Finding("data", "ok", "prepared", "prepared")
    names = ", ".join(missing)
    return say("doctor.data_missing", "data", "warning", "prepared", missing=names)


def check_bitsandbytes() -> Finding:
    """Whether bitsandbytes can be imported; only quantization="nf4" (QLoRA) needs it."""
    expected = 'imports (needed for quantization="nf4" only)'
    try:
        import bitsandbytes
    except Exception as error:  # a missing CUDA library shows as RuntimeError, OSError, ...
        what = f"{type(error).__name__}: {error}"
        return say("doctor.bitsandbytes_broken", "bitsandbytes", "warning", expected, error=what)
    return Finding("bitsandbytes", "ok", f"imports, {bitsandbytes.__version__}", expected)


def check_torchao(version: str | None) -> Finding:
    """Colab's preinstalled torchao stops plain LoRA (see environment.TORCHAO_FLOOR)."""
    expected = f"none, or {environment.TORCHAO_FLOOR} and newer"
    if not environment.torchao_breaks_lora(version):
        return Finding("torchao", "ok", version or "none", expected)
    return say("doctor.torchao_old", "torchao", "problem", expected, version=version)


def check_widgets(version: str | None, colab: bool) -> Finding:
    """ipywidgets 7 is what Colab's page can draw; elsewhere 8 is current. Both are fine."""
    expected = "7.7 or newer; on Colab leave version 7"
    if version is None:
        return say("doctor.widgets_missing", "widgets", "problem", expected)
    if colab and parse_version(version).major >= 8:
        return say("doctor.widgets_new", "widgets", "warning", expected, version=version)
    meaning = ": what Colab's page draws; the sliders work" if colab else ""
    return Finding("widgets", "ok", f"ipywidgets {version}{meaning}", expected)


def check_kernel(names: list[str] | None = None) -> Finding:
    """Whether Jupyter knows a kernel "python3", the one the notebooks ask for."""
    if names is None:
        from jupyter_client.kernelspec import KernelSpecManager

        names = sorted(KernelSpecManager().find_kernel_specs())
    found, expected = ", ".join(names) or "no kernel", "python3"
    if "python3" in names:
        return Finding("jupyter kernel", "ok", found, expected)
    return say("doctor.kernel_missing", "jupyter kernel", "problem", expected, found=found)


def check_run(run_folder: str | Path | None, installed: dict[str, str]) -> list[Finding]:
    """Whether a run was made with the versions installed now; nothing without a run."""
    if run_folder is None:
        return []
    settings = Path(run_folder) / "settings.json"
    made_with = read_object(settings).get("versions")
    if not isinstance(made_with, dict):
        return [say("doctor.no_run", "run", "problem", "a run folder", path=settings)]
    different = [
        f"{name} {version} (now {installed.get(canonical(name), 'not installed')})"
        for name, version in sorted(made_with.items())
        if name != "python" and installed.get(canonical(name)) != version
    ]
    expected = "the versions installed now"
    if not different:
        return [Finding("run", "ok", f"{run_folder} was made with them", expected)]
    values = {"folder": run_folder, "different": ", ".join(different)}
    return [say("doctor.run_of_other_versions", "run", "warning", expected, **values)]


def on_colab(environ: Mapping[str, str]) -> bool:
    """Whether this is a Colab machine; its shell commands inherit the variable too."""
    return "COLAB_RELEASE_TAG" in environ or "google.colab" in sys.modules


def known_good_versions(constraints: Path = CONSTRAINTS) -> dict[str, str]:
    """Canonical package name -> version, from lines "name==version"."""
    needs = environment.read_requirements(constraints)
    return {name: next(iter(need.specifier)).version for name, need in needs.items()}


def exit_code(findings: list[Finding]) -> int:
    """1 if anything is a problem, else 0."""
    return int(any(finding.state == "problem" for finding in findings))


def to_dict(findings: list[Finding]) -> dict[str, Any]:
    """{"problems": n, "warnings": n, "findings": [...]}, for JSON."""
    count = {state: sum(finding.state == state for finding in findings) for state in STATES}
    return {
        "problems": count["problem"],
        "warnings": count["warning"],
        "findings": [asdict(finding) for finding in findings],
    }


def render(findings: list[Finding]):
    """A rich renderable for `console().print`: the table, then the cures, worst first."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "found", "expected", box=None, pad_edge=False)
    rows = sorted(_fold_packages(findings), key=lambda finding: STATES.index(finding.state))
    colours = {"problem": "bold red", "warning": "yellow", "ok": "green"}
    for row in rows:
        state = Text(row.state, style=colours[row.state])
        table.add_row(state, Text(row.name), Text(row.found), Text(row.expected))
    cures = [Text(f"{row.name}: {row.cure} ({row.message_id})") for row in rows if row.cure]
    return Group(table, *([Text("\nCures", style="bold"), *cures, Text(MORE)] if cures else []))


def _fold_packages(findings: list[Finding]) -> list[Finding]:
    """The findings with all packages that are fine put into one line."""
    fine = [f for f in findings if f.name.startswith("package ") and f.state == "ok"]
    rest = [f for f in findings if f not in fine]
    if not fine:
        return rest
    return [Finding("packages", "ok", f"{len(fine)} as expected", "requirements.txt"), *rest]


def _folders(run_folder: str | Path | None) -> dict[str, Path]:
    folders = {"cache": cache_folder(), "working folder": Path.cwd()}
    return folders | ({"run": Path(run_folder)} if run_folder is not None else {})


def _installed() -> dict[str, str]:
    from importlib import metadata

    names = {d.metadata["Name"] for d in metadata.distributions() if d.metadata["Name"]}
    return environment.installed_versions(names)


def _release(version: str) -> tuple[int, int]:
    parsed = parse_version(version)
    return parsed.major, parsed.minor


def _once(function: Callable) -> Callable:
    """`function`, called at the first use only (a crash is not remembered)."""
    from functools import cache

    return cache(function)


def mount(app: typer.Typer) -> None:
    """Add `course doctor` to the `course` command."""
    app.command("doctor", epilog="Example:  course doctor --json > doctor.json")(doctor)


def doctor(
    run: Annotated[
        Path | None,
        typer.Option("--run", help="Also: was this run made with the versions installed now?"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check versions, hardware, disk, model and data; each problem with its cure."""
    findings = diagnose(run)
    if as_json:
        print_json(to_dict(findings))
    else:
        console().print(render(findings))
    sys.exit(exit_code(findings))
