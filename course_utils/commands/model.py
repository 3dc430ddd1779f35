"""`course model`: prepare the embedded base models, list all that the course knows."""

from dataclasses import asdict
from typing import Annotated

import typer

from course_utils import models
from course_utils.console import console, print_json

model_app = typer.Typer(
    no_args_is_help=True, help="Base models: prepare the embedded one, list all."
)


def mount(app: typer.Typer) -> None:
    """Add `course model …` to the `course` command."""
    app.add_typer(model_app, name="model")


@model_app.command("prepare", epilog="Example:  course model prepare")
def model_prepare(
    name: Annotated[
        str, typer.Argument(help="smollm2-135m-instruct, gemma-3-270m or nano.")
    ] = "smollm2-135m-instruct",
    verify: Annotated[bool, typer.Option("--verify", help="Compare the checksum too.")] = False,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="You have read the model's terms and agree."),
    ] = False,
) -> None:
    """Make an embedded base model ready, once; the second call is instant."""
    folder = models.prepare_model(name, verify=verify, accept_licence=accept_licence)
    print(f"{name}: {folder}")


@model_app.command("list", epilog="Example:  course model list --json")
def model_list(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """The base models that the course knows, with licence and computed memory."""
    known = models.registry().values()
    if as_json:
        print_json([asdict(model) for model in known])
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 1, 0))
    # The note stands below the name, so that 80 columns show the names in full.
    table.add_column("Model", min_width=max(len(model.name) for model in known))
    for title in ("Billion", "16-bit\nGiB", "nf4\nGiB"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Licence")
    for model in known:
        name = Text.assemble((model.name, "bold"), "\n", (model.note, "dim"))
        memory = [f"{model.memory_gib(form):.1f}" for form in ("none", "nf4")]
        table.add_row(
            name, f"{model.billions:g}", *memory, model.licence + ("\ngated" if model.gated else "")
        )
    console().print(table)
    print("Memory: of the weights, computed. Gated: accept the licence on the Hub first.")
    print("Choose one: course run -p base_model NAME")
