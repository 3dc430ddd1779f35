"""The packages a notebook needs, put in place without disturbing those already loaded.

A notebook's set-up cell calls `prepare()`. On Colab it must not replace torch, numpy, pandas,
pyarrow or Pillow: the running kernel has them loaded, and half-replaced packages break it later,
in cells that have nothing wrong. So whatever is loaded is pinned while pip works, and what Colab
has is good enough (requirements.txt; `make colab-twin` tries it).
"""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import compat, hardware
from course_utils.errors import CourseError
from course_utils.kit import ROOT

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

REQUIREMENTS = ROOT / "requirements.txt"

# Never replaced, loaded or not: a GPU machine's torch build and all that is compiled against it.
CORE = ("torch", "numpy", "pandas", "pillow")

# Installed without what they ask for. trl 1.16 asks for datasets 4.7 and pyarrow 21, which would
# replace the pyarrow that pandas has loaded; its supervised training uses nothing of both that is
# newer than Colab's 4.0 and 18.1. All that it needs is asked for by the other lines of
# requirements.txt.
ALONE = ("trl",)

# From this version on peft accepts it. An older one makes plain LoRA raise an ImportError in
# `get_peft_model`, although nothing here uses torchao; Colab comes with 0.10.
TORCHAO_FLOOR = "0.16.0"

RESTART = (
    "Restart the kernel (Colab: Runtime > Restart session; Jupyter: Kernel > Restart) and run "
    "this cell again. The packages are installed, so it takes a moment only."
)


def prepare(
    quiet: bool = False, offline: bool = False, requirements: str | Path = REQUIREMENTS
) -> None:
    """Install what is missing, remove what breaks the course, set the allocator.

    Prints a line for each thing done and a last line "ready: ..."; run again, it only checks.
    `offline` keeps the Hugging Face libraries from asking the network in this process.
    Raises CourseError: no network, a conflict, or a restart needed.
    """

    def say(line: str) -> None:
        if not quiet:
            print(line, flush=True)

    missing = missing_requirements(requirements)
    if missing:
        say(f"installing: {', '.join(missing)}")
        install(missing)
    if torchao_breaks_lora(installed_versions(["torchao"]).get("torchao")):
        remove_torchao()
        say(f"removed: torchao (older than {TORCHAO_FLOOR}, peft refuses to run beside it)")
    compat.quiet_known_noise()
    hardware.show_one_gpu()
    if hardware.keep_heap():
        say("set: freed memory stays in this process (faster training steps on a CPU)")
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
        say("set: HF_HUB_OFFLINE=1")
    say(f"ready: {_summary()}")


def missing_requirements(
    requirements: str | Path = REQUIREMENTS, installed: dict[str, str] | None = None
) -> list[str]:
    """The lines of a requirements file that the installed versions do not meet.

    `installed` maps package names to versions; by default, what this Python has.
    """
    wanted = read_requirements(requirements)
    if installed is None:
        installed = installed_versions(wanted)
    return [str(need) for name, need in wanted.items() if not meets(need, installed.get(name))]


def protected_constraints(
    installed: dict[str, str] | None = None, imported: Iterable[str] | None = None
) -> list[str]:
    """Constraint lines "name==version" for what pip must leave as it is.

    These are the packages of `CORE` and those `imported` in this process (package names),
    each at the version of `installed`. What is not installed gets no line, nor does a version
    that pip could not read in a constraint (some Linux distributions make them).
    """
    names = {*CORE, *(imported_packages() if imported is None else map(canonical, imported))}
    if installed is None:
        installed = installed_versions(names)
    kept = (name for name in sorted(names) if _is_version(installed.get(name)))
    return [f"{name}=={installed[name]}" for name in kept]


def install(needs: list[str]) -> None:
    """Install the requirement lines with pip, keeping the packages in use at their versions.

    If that cannot be done, only `CORE` is kept; a loaded package that then changed needs a
    restart, which is raised as a CourseError like any failure of pip.
    """
    wanted = {canonical(_requirement(need).name) for need in needs}
    _refuse_core(needs)
    loaded = imported_packages()
    before = installed_versions(loaded)
    try:
        _pip_install(needs, protected_constraints(imported=loaded - wanted))
    except PipError as error:
        if not error.is_conflict:
            raise _install_failed(needs, error) from None
        try:
            _pip_install(needs, protected_constraints(imported=()))
        except PipError as second:
            raise _install_failed(needs, second) from None
    importlib.invalidate_caches()
    after = installed_versions(loaded)
    changed = sorted(name for name in before if after.get(name) != before[name])
    if changed:
        raise CourseError(
            f"Installed, but this kernel still runs the old {', '.join(changed)}.", RESTART
        )


def read_requirements(path: str | Path) -> dict[str, "Requirement"]:
    """Package name -> packaging `Requirement`, for the lines that apply to this Python.

    Comments and pip options (lines that start with "-") are skipped. Raises CourseError with
    file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(
            f"{path} does not exist, so the needed packages are not known.",
            "Run from a clone of the course repository: the file lies in its top folder.",
        )
    needs = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text or text.startswith("-"):
            continue
        try:
            need = _requirement(text)
        except ValueError as error:  # packaging's InvalidRequirement is one
            raise CourseError(
                f"{path}, line {number}: {text!r} is not a requirement ({error}).",
                "Write a package name with a version, for example trl==1.16.0.",
            ) from None
        if need.marker is None or need.marker.evaluate():
            needs[canonical(need.name)] = need
    return needs


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Version of each of the packages that is installed, keyed by its canonical name."""
    versions = {}
    for name in names:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if version:  # None when an interrupted installation left an empty folder behind
            versions[canonical(name)] = version
    return versions


def imported_packages() -> set[str]:
    """Names of the installed packages of which a module is loaded in this process."""
    modules = {name.partition(".")[0] for name in list(sys.modules)}
    owners = metadata.packages_distributions()
    return {canonical(owner) for module in modules for owner in owners.get(module, ())}


def meets(need: "Requirement", version: str | None) -> bool:
    """Whether an installed version (None: not installed) meets a packaging `Requirement`."""
    return version is not None and need.specifier.contains(version, prereleases=True)


def torchao_breaks_lora(version: str | None) -> bool:
    """Whether peft would refuse to make a LoRA adapter beside this torchao (None: none)."""
    return version is not None and parse_version(version) < parse_version(TORCHAO_FLOOR)


def remove_torchao() -> None:
    """Uninstall torchao with pip. Raises CourseError."""
    try:
        _pip("uninstall", "--yes", "torchao")
    except PipError as error:
        raise CourseError(
            f"pip could not remove torchao. {_last_lines(error.output)}",
            f'Run "{sys.executable}" -m pip uninstall --yes torchao in a terminal.',
        ) from None


def parse_version(text: str) -> "Version":
    """A version that compares as versions do ("0.9" < "0.10"). Raises ValueError."""
    return _packaging("version").Version(text)


def canonical(name: str) -> str:
    """The one spelling of a package name: lower case, runs of "-_." become "-"."""
    return _packaging("utils").canonicalize_name(name)


class PipError(Exception):
    """pip ended with an error; `output` is what it printed."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output
        self.is_conflict = "ResolutionImpossible" in output or "conflicting" in output


def _pip_install(needs: list[str], constraints: list[str]) -> None:
    alone = [need for need in needs if canonical(_requirement(need).name) in ALONE]
    others = [need for need in needs if need not in alone]
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "constraints.txt"
        pins.write_text("".join(f"{line}\n" for line in constraints), encoding="utf-8")
        for group, options in ((others, []), (alone, ["--no-deps"])):
            if group:
                _pip("install", "--quiet", "--constraint", str(pins), *options, *group)


def _pip(*arguments: str) -> str:
    """Run pip for this very Python and return its output. Raises PipError."""
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise PipError(done.stdout)
    return done.stdout


def _refuse_core(needs: list[str]) -> None:
    """Raise CourseError if a package of `CORE` is there but too old: it is not ours to replace."""
    present = installed_versions(CORE)
    for need in map(_requirement, needs):
        name = canonical(need.name)
        if name in present:
            raise CourseError(
                f"{name} {present[name]} is installed, but the course needs {need}.",
                "Colab: choose a newer runtime version (Runtime > Change runtime type). "
                f'Elsewhere: make a fresh environment, or run "{sys.executable}" -m pip install '
                f'--upgrade "{need}" yourself and restart the kernel.',
            )


def _install_failed(needs: list[str], error: PipError) -> CourseError:
    if "No module named pip" in error.output:
        cure = f'Run "{sys.executable}" -m ensurepip --upgrade, then this cell again.'
    elif error.is_conflict:
        cure = "Make a fresh environment (python -m venv .venv), or restart the Colab runtime."
    else:
        cure = "Check the network connection (Colab: Runtime > Restart session), then run it again."
    return CourseError(
        f"pip could not install {', '.join(needs)}. {_last_lines(error.output)}", cure
    )


def _last_lines(output: str) -> str:
    """What of pip's output says why it failed, on one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return " ".join(errors[-3:])


def _is_version(text: str | None) -> bool:
    try:
        return bool(text) and bool(parse_version(text))
    except ValueError:
        return False


def _summary() -> str:
    names = ("torch", "transformers", "trl", "peft")
    versions = installed_versions(names)
    python = ".".join(map(str, sys.version_info[:3]))
    return ", ".join([f"Python {python}", *(f"{n} {versions[n]}" for n in names if n in versions)])


def _requirement(text: str) -> "Requirement":
    return _packaging("requirements").Requirement(text)


def _packaging(module: str):
    """A module of `packaging`, or of the copy in pip: a bare Python has only that one."""
    try:
        return importlib.import_module(f"packaging.{module}")
    except ImportError:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
