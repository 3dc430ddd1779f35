"""`course data self-check`: what answers that understand nothing get from the scores."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from course_utils import selfcheck
from course_utils.files import write_json_atomic


def mount(app: typer.Typer, progress_line: Callable) -> None:
    """Add `self-check` to the `course data` commands; `progress_line` shows how far it is."""

    @app.command("self-check", epilog="Example:  course data self-check data/manufacturing")
    def data_self_check(
        folder: Annotated[
            Path, typer.Argument(help="Folder with train, val, test .jsonl; or one such file.")
        ],
        sample: Annotated[
            int | None,
            typer.Option(help="Records of each kind at most. Default: all of them.", min=1),
        ] = None,
        seed: Annotated[int, typer.Option(help="Which records --sample draws.", min=0)] = 0,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Write the figures, too.")
        ] = None,
    ) -> None:
        """Answer each record without a model, and see whether a score pays for it.

        By a copy of the input, by lists of all values, by the most frequent answer, by the
        reference denied or its limits turned round. The reference itself must score 1. Exit code
        1 where something can be fooled; "!" marks it.
        """
        parts = selfcheck.read_parts(folder)
        with progress_line() as progress:
            results = selfcheck.check(parts, sample, seed, progress)
        if json_file:
            write_json_atomic(json_file, selfcheck.to_dict(results))
        print(selfcheck.table(results))
        print(selfcheck.verdict(results))
        sys.exit(1 if any(result.faults() for result in results) else 0)
