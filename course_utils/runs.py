"""Run folders: written whole or not at all, read back, compared.

Layout of `runs/<name>/`: settings.json, notebooks/, data/, adapter/, checkpoints/, baseline.json,
training.json, evaluation.json, inference.json, results.json, report.html.
"""

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from course_utils import hardware, kit
from course_utils.errors import CourseError
from course_utils.files import read_json, read_object, write_json_atomic
from course_utils.settings import Settings, explain, preset_settings, resolve_precision

VERSIONED = (
    *("torch", "transformers", "trl", "peft", "datasets", "bitsandbytes", "accelerate"),
    *("evaluate", "papermill", "pandas", "numpy"),
)
# File of a run folder -> the notebook that writes it; settings.json is the folder's mark.
WRITTEN_BY = {
    "settings.json": "01_data_prep",
    "data/train.jsonl": "01_data_prep",
    "data/val.jsonl": "01_data_prep",
    "data/test.jsonl": "01_data_prep",
    "data/summary.json": "01_data_prep",
    "baseline.json": "02_baseline",
    "adapter/adapter_model.safetensors": "03_lora_sft",
    "training.json": "03_lora_sft",
    "evaluation.json": "04_evaluation",
    "results.json": "04_evaluation",
    "inference.json": "05_inference",
    "report.html": "05_inference",
}
# What nobody else's folder may hold when a run is made in it; data of one's own may lie there.
CONTRACT = [name for name in WRITTEN_BY if "/" not in name and name != "settings.json"]
# These say what a machine is or what a preset was measured at; a changed one changes no result.
NOT_A_RESULT = {"purpose", "measured", "expected_minutes"}


@dataclass(frozen=True)
class Run:
    """One run folder and the settings it was opened with."""

    folder: Path
    settings: Settings

    def path(self, *parts: str) -> Path:
        """A path inside the run folder; its parent folder exists afterwards."""
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, content: Any) -> Path:
        """Write a JSON file of the contract, for example `run.write("training.json", {...})`."""
        return write_json_atomic(self.folder / name, content)

    def read(self, name: str) -> Any:
        """Read a JSON file of the contract; CourseError names the notebook that writes it."""
        return read_written(self.folder, name)

    def fingerprint(self) -> str:
        """The settings as text: equal for runs whose results must be equal."""
        return settings_fingerprint(self.settings)


def read_written(folder: Path, name: str) -> Any:
    """A JSON file of a run folder; a missing or broken one names the one notebook to run."""
    notebook = WRITTEN_BY.get(name)
    return read_json(Path(folder) / name, f"notebook {notebook}" if notebook else "")


def settings_fingerprint(settings: Settings) -> str:
    """Settings that shape a result, as sorted JSON."""
    values = {k: v for k, v in settings.model_dump().items() if k not in NOT_A_RESULT}
    return json.dumps(values, sort_keys=True)


def find_root(start: Path | None = None) -> Path:
    """The kit's folder: the nearest parent that holds course_utils, else the working folder."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "course_utils" / "__init__.py").is_file():
            return folder
    return start


def open_run(
    folder: str | Path,
    preset: str = "auto",
    track: str | None = None,
    seed: int | None = None,
    **changes: Any,
) -> Run:
    """Open a run folder, or make it; relative names count from the kit's folder.

    A folder that was made before keeps its settings, so that notebooks 02 to 05 go on where 01
    began; `changes` that are not None replace single values (and are saved). `track` and `seed`
    None: what the folder has, at first manufacturing and 42. Precision `auto` is decided anew on
    each machine: on Colab every notebook may have another.
    """
    folder = Path(folder)
    folder = folder if folder.is_absolute() else find_root() / folder
    saved = folder / "settings.json"
    if saved.is_file():
        settings = saved_settings(saved)
        track = track or settings.track
        seed = settings.seed if seed is None else seed
        if preset not in ("auto", settings.preset):
            settings = preset_settings(preset, track, seed)
        changes = {"track": track, "seed": seed, **changes}
    else:
        settings = preset_settings(preset, track, seed)
    asked = settings.with_changes(**changes)
    settings, reason = resolve_precision(asked)
    run = Run(folder, settings)
    save_settings(run, reason, asked.precision)
    return run


def settings_in(folder: Path) -> dict[str, Any]:
    """The settings in a run folder's settings.json as they stand; empty where there are none."""
    settings = read_object(Path(folder) / "settings.json").get("settings")
    return settings if isinstance(settings, dict) else {}


def saved_settings(path: Path) -> Settings:
    """The settings in a run folder's settings.json; CourseError when they do not fit.

    Precision is what was asked for, so `auto` where the machine of that time decided.
    """
    values = read_json(path)
    try:
        settings = Settings(**values["settings"])
        return settings.with_changes(precision=values.get("precision_asked"))
    except (KeyError, TypeError, ValueError) as error:
        what = explain(error) if isinstance(error, ValidationError) else f"{error!r}"
        raise CourseError(
            f"{path}: these settings do not fit this version of the kit ({what})",
            "choose another run folder, or delete this one",
        ) from None


def save_settings(run: Run, precision_reason: str = "", precision_asked: str = "") -> None:
    """Write settings.json: settings, versions, seed, hardware; nothing when nothing changed.

    `precision_asked`: `auto` where this machine decided; without it, what the settings have.
    Raises CourseError where a file of that name, or of a result's, is there and not of a run.
    """
    path = run.folder / "settings.json"
    old = read_json(path) if path.is_file() else {}
    _refuse_foreign(run.folder, old)
    new = {
        "settings": run.settings.model_dump(),
        "seed": run.settings.seed,
        "precision_asked": precision_asked or run.settings.precision,
        "precision_reason": precision_reason or old.get("precision_reason", ""),
        "versions": versions(),
        "kit": kit.version(),
        "hardware": hardware.detect().to_dict(),
        "created": old.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
    }
    decides = ("settings", "precision_asked", "versions", "hardware")
    if any(old.get(name) != new[name] for name in decides):
        write_json_atomic(path, new)


def _refuse_foreign(folder: Path, old: Any) -> None:
    """CourseError where a run would replace files of somebody else."""
    if isinstance(old, dict) and "settings" in old:
        return
    found = ["settings.json"] if old else [name for name in CONTRACT if (folder / name).exists()]
    if found:
        raise CourseError(
            f"{folder / found[0]}: is there already, and is not of a run of this kit",
            "choose another run folder, or rename that file",
        )


def versions() -> dict[str, str]:
    """Installed versions of the libraries that shape a result."""
    import platform
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in VERSIONED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
