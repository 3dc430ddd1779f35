"""What is done to a finished submission: work left out, broken or forged. Both assignments.

A row of the class names a change, with its argument where it takes one; `apply` finds it here or in
the assignment's own table.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from classroom import study

from course_utils import kit
from course_utils.assignments.definition import ASSIGNMENTS

CHANGES: dict[tuple[str, str], Callable[..., None]] = {}  # (module, name)
ADAPTERS = ("adapter", "models/finetuned_model")
NOTEBOOKS = ("parameter_analysis.ipynb", "finetuning_pipeline.ipynb")


def change(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function (folder, argument...) known to the rows by its name."""
    CHANGES[function.__module__, function.__name__] = function
    return function


def apply(folder: Path, changes: list[str | dict[str, Any]], own: str = "") -> None:
    """Do to a submission what a row of the class says.

    `own`: the module with the assignment's own changes.
    """
    for entry in changes:
        (name, argument), *_ = entry.items() if isinstance(entry, dict) else [(entry, None)]
        function = CHANGES.get((own, name)) or CHANGES[__name__, name]
        function(folder) if argument is None else function(folder, argument)


def only(folder: Path, names: tuple[str, ...]) -> Path:
    """The one of these that the submission has."""
    return next(folder / name for name in names if (folder / name).exists())


# --- Left out -----------------------------------------------------------------------------------


@change
def remove(folder: Path, names: list[str]) -> None:
    """Files or folders that were not handed in."""
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@change
def empty(folder: Path) -> None:
    """A folder with nothing in it."""
    shutil.rmtree(folder)
    folder.mkdir()


@change
def starter(folder: Path, assignment: str) -> None:
    """What `course assignment start` gives, as it was given."""
    shutil.rmtree(folder)
    given = kit.ASSIGNMENTS / ASSIGNMENTS[assignment].folder / "starter"
    shutil.copytree(given, folder, ignore=shutil.ignore_patterns(".*", "__py*"))


# --- Adapters -----------------------------------------------------------------------------------


def edit_adapter(folder: Path, edit: Callable[[str, Any], Any]) -> None:
    """Each tensor replaced by what `edit(name, values)` gives."""
    from safetensors.numpy import load_file, save_file

    path = only(folder, ADAPTERS) / "adapter_model.safetensors"
    save_file({name: edit(name, values) for name, values in load_file(path).items()}, path)


def edit_config(folder: Path, **values: Any) -> None:
    """Values of adapter_config.json."""
    path = only(folder, ADAPTERS) / "adapter_config.json"
    study.edit_json(path, lambda config: config.update(values))


@change
def untrained(folder: Path) -> None:
    """Every B is zero, as training begins."""
    edit_adapter(folder, lambda name, values: values * 0 if "lora_B" in name else values)


@change
def noisy(folder: Path, share: float) -> None:
    """Noise of a share of each tensor's own length: another file, the same adapter."""
    import numpy as np

    rng = np.random.default_rng(7)

    def edit(_: str, values: Any) -> Any:
        noise = rng.standard_normal(values.shape) * values.std() * share
        return (values + noise).astype(values.dtype)

    edit_adapter(folder, edit)


@change
def rescaled(folder: Path, factor: float) -> None:
    """B times a factor, A divided by it: every byte differs, the product is the same."""
    edit_adapter(folder, lambda n, v: v * v.dtype.type(factor if "lora_B" in n else 1 / factor))


@change
def padded(folder: Path) -> None:
    """Twice the rank, filled with zeros; alpha doubled too, so the model is the same."""
    import numpy as np

    def edit(name: str, values: Any) -> Any:
        return np.concatenate([values, values * 0], axis=1 if "lora_B" in name else 0)

    edit_adapter(folder, edit)
    config = json.loads((only(folder, ADAPTERS) / "adapter_config.json").read_text("utf-8"))
    edit_config(folder, r=2 * config["r"], lora_alpha=2 * config["lora_alpha"])


@change
def adapter_config(folder: Path, values: dict[str, Any]) -> None:
    """What an attacker writes into adapter_config.json."""
    edit_config(folder, **values)


@change
def lying_header(folder: Path) -> None:
    """A safetensors file whose header names more bytes than there are."""
    path = only(folder, ADAPTERS) / "adapter_model.safetensors"
    content = path.read_bytes()
    path.write_bytes((2**40).to_bytes(8, "little") + content[8:])


# --- Notebooks ----------------------------------------------------------------------------------

BAR = """\
import sys, time, warnings
from tqdm.auto import tqdm
for _ in tqdm(range(20), desc="training"):
    time.sleep(0.01)
warnings.warn("a library will change in its next version")
print("said on stderr", file=sys.stderr)"""
FAULT = "raise ValueError('this cell was never finished')"


def insert_cell(folder: Path, source: str, share: float) -> None:
    """A code cell after a share of the code cells, as if it had been run."""
    path = only(folder, NOTEBOOKS)
    notebook = nbformat.read(path, as_version=4)
    code = [at for at, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    at = code[int(share * (len(code) - 1))] + 1
    own = nbformat.v4.new_code_cell(source, execution_count=50, id=f"inserted-{at}")
    notebook.cells.insert(at, own)
    nbformat.write(notebook, path)


@change
def progress_bar(folder: Path) -> None:
    """A progress bar, a warning and words on stderr, which cost nothing."""
    insert_cell(folder, BAR, 0.2)


@change
def notebook_fault(folder: Path, share: float) -> None:
    """A cell that fails, after this share of the code cells."""
    insert_cell(folder, FAULT, share)


@change
def cell(folder: Path, source: str) -> None:
    """One more cell at the end, with this code."""
    insert_cell(folder, source, 1.0)


@change
def not_a_notebook(folder: Path) -> None:
    """The notebook is a text file under that name."""
    only(folder, NOTEBOOKS).write_text("my analysis, see the report\n", "utf-8")


@change
def other_kernel(folder: Path) -> None:
    """The notebook asks for a kernel that runs another language."""
    path = only(folder, NOTEBOOKS)
    metadata = {
        "kernelspec": {"name": "bash", "display_name": "Bash", "language": "bash"},
        "language_info": {"name": "bash"},
    }
    study.edit_json(path, lambda notebook: notebook["metadata"].update(metadata))


# --- Copied words -------------------------------------------------------------------------------


@change
def words_of(folder: Path, source: str) -> None:
    """README, scripts and notebook taken from another member, with other names and spaces.

    `source` is the other's folder, as `build.py` gives it.
    """
    other = Path(source)
    for path in sorted(other.rglob("*")):
        name = path.relative_to(other)
        if path.suffix == ".py" and name.parts[0] == "scripts":
            text = path.read_text("utf-8")
            (folder / name).write_text(renamed(text), "utf-8")
        elif path.name in ("README.md", *NOTEBOOKS) and path.parent == other:
            shutil.copyfile(path, folder / name)


def renamed(text: str) -> str:
    """Own functions and variables under other names, as one does who hopes not to be seen.

    Names of the kit that hold such a word stay: a copy has to run.
    """
    for old, new in (
        (r"\bown_(?=\d)", "my_helper_"),
        (r"\btotal\b", "amount"),
        (r"\bvalue\b", "entry"),
    ):
        text = re.sub(old, new, text)
    return text.replace("    return amount", "    # the result\n    return amount")


@change
def said(folder: Path, text: str) -> None:
    """A sentence at the end of README.md."""
    path = folder / "README.md"
    path.write_text(path.read_text("utf-8") + f"\n{text}\n", "utf-8")
