"""`course data split`: a file of one's own records into parts, whole groups in one part."""

from pathlib import Path
from typing import Annotated

import typer

from course_utils import own_data, ownership
from course_utils.errors import CourseError, UsageError
from course_utils.shell import command_line


def mount(app: typer.Typer) -> None:
    """Add `split` to the `course data` commands."""

    @app.command(
        "split", epilog="Example:  course data split data/examples/brewing.jsonl --out data/brewing"
    )
    def data_split(
        file: Annotated[Path, typer.Argument(help="Records, as course data check reads them.")],
        out: Annotated[Path, typer.Option(help="Folder for train, val, test and summary.json.")],
        track: Annotated[
            str | None, typer.Option(help="What the data are called. Default: the file's name.")
        ] = None,
        val: Annotated[
            float, typer.Option(help="Share of the records to validate on.", min=0.01, max=0.5)
        ] = 0.15,
        test: Annotated[
            float, typer.Option(help="Share of the records to test on.", min=0.01, max=0.5)
        ] = 0.2,
        seed: Annotated[int, typer.Option(help="Same seed, same parts.", min=0)] = 42,
        source: Annotated[
            str, typer.Option(help="Where the records come from: it stands in the report.")
        ] = "",
        licence: Annotated[
            str, typer.Option(help="What others may do with them: it stands in the report.")
        ] = "",
    ) -> None:
        """Split a file of records by group into train, val and test, and check what leaks.

        Records with the same `group`, or with nearly the same text, stand in one part; every task
        is in each part. The file is checked as by `course data check`, and nothing is written when
        a line is broken.
        """
        name = track or own_data.track_name(file)
        if not own_data.NAME.fullmatch(name):
            raise UsageError(
                f"--track {name}: no name for a track", "small letters, digits, - and _: brewing"
            )
        ownership.check_folder(out, of=own_data.OWNER)
        found = own_data.split_file(file, val, test, seed)
        if any(found.overlap[kind] for kind in ("exact", "near", "groups")):
            raise CourseError(f"{file}: the parts overlap: {found.overlap}", "please report it")
        about = {"track": name, "seed": seed, "source": source, "licence": licence}
        own_data.write_split(found, ownership.claim(out, of=own_data.OWNER), about)
        warnings = found.report.warnings
        if warnings:
            print(f"{len(warnings)} warnings: course data check {file} tells them")
        print("\n".join(found.lines()))
        next_step = command_line(
            ["course", "run", "--data", str(out), "--preset", "cpu", "--out", f"runs/{name}"]
        )
        print(f"Next: {next_step}")
        print(f"Data: {out}")
