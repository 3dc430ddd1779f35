"""`course presets`: what each is for, where it was measured; and figures of a GPU check."""

from pathlib import Path
from typing import Annotated

import typer

from course_utils import preset_figures
from course_utils.console import console
from course_utils.settings import load_presets


def mount(app: typer.Typer) -> None:
    """Add the command to `course`."""
    example = "Example:  course presets --record runs/gpu_check.json"
    app.command("presets", epilog=example)(presets)


def presets(
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Enter the figures that benchmarks/gpu_check.sh left."),
    ] = None,
) -> None:
    """Show the presets and where they were measured; with --record, enter a GPU's figures."""
    if record is not None:
        for name, told in preset_figures.record(record).items():
            print(f"{name}: {told}")
        print(f"Entered: {preset_figures.PRESETS_FILE} and {preset_figures.PAGE}")
        return
    from rich.table import Table

    table = Table("preset", "for", "base model", "measured")
    for name, values in load_presets().items():
        table.add_row(name, values["purpose"], values["base_model"], values["measured"])
    console().print(table)
