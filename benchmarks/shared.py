"""What the speed benchmarks share: their command line, and a trainer's batches kept aside."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from course_utils import drawing, training
from course_utils.console import console
from course_utils.errors import CourseError
from course_utils.files import write_json_atomic
from course_utils.settings import Settings


def positive(text: str) -> int:
    """A whole number of at least 1, or argparse's message and exit code 2."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def asked_for(text: str, known: Sequence[str], kind: str, between: str = ",") -> list[str]:
    """The names of `--only`, in the order of the known ones; CourseError for an unknown one."""
    names = {name.strip() for name in text.split(between) if name.strip()}
    if unknown := sorted(names - set(known)):
        message = f"no {kind} is called {unknown[0]!r}"
        raise CourseError(message, f"one of: {f'{between} '.join(known)}")
    return [name for name in known if name in names]


def check_output(out: Path) -> None:
    """Half an hour of work must not end at a path that can't be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise CourseError(
            f"{out}: can't be written ({error.strerror or error})", "choose another file with --out"
        ) from None
    if out.is_dir():
        raise CourseError(f"{out}: is a folder", "name a file with --out, for example speed.json")


def run(
    options: argparse.Namespace,
    benchmark: Callable[[argparse.Namespace], dict[str, Any]],
    table: Callable[[dict[str, Any]], Any],
    child: Callable[[Any], object] | None = None,
    figure: Callable[[dict[str, Any]], Any] | None = None,
) -> int:
    """A benchmark's work: of one child process, or the whole with its table, file and figure."""
    if child and options.child:
        child(options.child)
        return 0
    try:
        check_output(options.out)
        report = benchmark(options)
        written = [write_json_atomic(options.out, report)]
        if figure:
            written.append(drawing.save_figure(figure(report), options.out.with_suffix(".png")))
    except CourseError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    console(width=160).print(table(report))
    print(f"written to {' and '.join(map(str, written))}")
    return 0


def lora_configuration(settings: Settings) -> Any:
    """The adapter of notebook 03."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=training.target_modules(settings.include_mlp),
        task_type="CAUSAL_LM",
    )


def keep_batches(trainer: Any) -> list[dict[str, Any]]:
    """The list that will hold every batch as the trainer collates it, in order."""
    batches: list[dict[str, Any]] = []
    collate = trainer.data_collator

    def keep(rows: list) -> dict[str, Any]:
        batches.append(collate(rows))
        return dict(batches[-1])

    trainer.data_collator = keep
    return batches


def variants_table(variants: Sequence[Mapping[str, Any]]) -> tuple[Any, Callable[..., None]]:
    """One column for each variant, in Markdown's table format, and what adds a row to it.

    A row is its title and a function that makes a variant's cell.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    table.add_column("measured")
    for variant in variants:
        table.add_column(variant["name"], justify="right")

    def row(title: str, cell: Callable[[Mapping[str, Any]], str]) -> None:
        table.add_row(title, *map(cell, variants))

    return table, row
