"""What the assignment's scripts share: their arguments, their folder, their errors.

with scripts.command_line():
    parser = scripts.arguments(__doc__, Path(__file__).parents[1])
    workspace = scripts.open_workspace(parser, reads=["train"])

A script imports torch and its like inside functions: so the noise of their imports is quieted
before, and a wrong call or a missing file is told at once.
"""

import argparse
import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import compat, files, hardware, models
from course_utils.assignments.configuration import LoraFile, read_config
from course_utils.assignments.definition import Thresholds, of_checker
from course_utils.console import make_printable
from course_utils.errors import CourseError
from course_utils.formats import existing_file
from course_utils.records import read_records
from course_utils.runs import Run, save_settings
from course_utils.training import processes

TURN = 20  # seconds that a further process gives the first one to tell of a problem
CONFIG = Path("configs") / "lora_config.yaml"
ADAPTER = Path("models") / "finetuned_model"

# Python puts a script's folder first on its path, so scripts/evaluate.py would hide the package
# `evaluate` from the libraries that import it. Last on the path, it hides nothing.
_FOLDER = str(Path(sys.argv[0]).resolve().parent)
if _FOLDER in sys.path and (Path(_FOLDER) / "evaluate.py").is_file():
    sys.path.remove(_FOLDER)
    sys.path.append(_FOLDER)


@dataclass(frozen=True)
class Workspace:
    """A submission folder, its configuration and the run folder inside it."""

    folder: Path
    config: LoraFile
    run: Run
    arguments: argparse.Namespace

    @property
    def adapter(self) -> Path:
        """Where the adapter of the submission lies."""
        return self.folder / ADAPTER

    def data(self, part: str) -> Path:
        """data/train.jsonl, data/val.jsonl or data/test.jsonl."""
        folder = self.arguments.data or self.folder / "data"
        return folder / f"{part}.jsonl"

    def report(self, name: str) -> Path:
        """A file of reports/."""
        return self.folder / "reports" / name


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """Problems with a cure are printed in two lines; the exit code is 1, never a traceback."""
    make_printable()
    compat.quiet_known_noise()
    try:
        yield
    except CourseError as error:
        if _is_a_further_process():
            # Most problems are everyone's, and the first process tells them: its end makes the
            # launcher end this one. Was it this one's alone, it is told after the wait.
            time.sleep(TURN)
        sys.exit(f"Error: {error.message}" + (f"\nCure: {error.cure}" if error.cure else ""))
    except KeyboardInterrupt:
        if _is_a_further_process():
            sys.exit(130)
        print("\nInterrupted. What was finished is kept.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if is_full_disk(error):
            sys.exit(
                "Error: the disk is full\n"
                "Cure: free some space, then run the same again (with --resume a training goes on)"
            )
        known = files.told(error) if isinstance(error, OSError) else None
        if known is None:
            raise
        sys.exit(f"Error: {known.message}\nCure: {known.cure}")


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is a full disk; every library says it in its own way."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left" in str(error) or "PytorchStreamWriter" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_a_further_process() -> bool:
    """One that `accelerate launch` started beside the first."""
    return os.environ.get("RANK", "0") != "0"


def arguments(description: str, folder: Path) -> argparse.ArgumentParser:
    """The arguments that every script of the assignment takes; add your own to it."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=folder, help="submission folder (default: this script's)"
    )
    parser.add_argument(
        "--config", type=Path, help="configuration (default: configs/lora_config.yaml)"
    )
    parser.add_argument(
        "--run", type=Path, help="run folder for the evidence (default: run/ in the folder)"
    )
    parser.add_argument("--data", type=Path, help="folder of the parts (default: data/)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="replace one value of the configuration, as in --set learning_rate=5e-4; repeatable",
    )  # fmt: skip
    return parser


def open_workspace(
    parser: argparse.ArgumentParser,
    given: Sequence[str] | None = None,
    reads: Sequence[str] = (),
    adapter: bool = False,
) -> Workspace:
    """Read the arguments and the configuration; make the run folder and its settings.json.

    `reads`: the parts of the data that the script reads, or "records" for the file of that key;
    `adapter`: it needs a trained one. What is wrong with them is told here, before torch is
    imported to look for a GPU: that alone may take half a minute.
    """
    options = parser.parse_args(given)
    hardware.show_one_gpu()
    folder = options.folder.expanduser().resolve()
    if not folder.is_dir():
        raise CourseError(f"{folder}: there is no such folder", "give the submission's folder")
    config = read_config(options.config or folder / CONFIG, **_changes(options.set))
    _check_inputs(folder, options.data or folder / "data", config, reads)
    if adapter:
        models.require_adapter(folder / ADAPTER, "train first: python scripts/train.py")
    run = Run((options.run or folder / "run").expanduser().resolve(), config.settings())
    if processes()[0] == 0:  # of several processes, one writes
        save_settings(run)
    return Workspace(folder, config, run, options)


def _check_inputs(folder: Path, data: Path, config: LoraFile, reads: Sequence[str]) -> None:
    """CourseError for the first file that is missing, empty or no file of records."""
    for name in reads:
        if name != "records":
            read_records(data / f"{name}.jsonl", "manufacturing")
        elif config.records:
            existing_file(folder / config.records)


def asked_for() -> Thresholds:
    """What a submission must hold, as assignment.yaml says it."""
    return of_checker("week09_10").thresholds


def same_configuration(workspace: Workspace) -> list[str]:
    """The arguments with which another script of the folder reads the same configuration."""
    words = ["--folder", str(workspace.folder)]
    if workspace.arguments.config:
        words += ["--config", str(workspace.arguments.config)]
    return words + [word for change in workspace.arguments.set for word in ("--set", change)]


def _changes(pairs: Sequence[str]) -> dict[str, Any]:
    import yaml

    changes = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = None
        if not equals or not name.strip() or value is None:
            raise CourseError(f"--set {pair}: this is not NAME=VALUE", "for example --set r=8")
        changes[name.strip()] = value
    return changes
