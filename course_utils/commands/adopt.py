"""`course adopt`: make a fork your own, in every file that names the kit's address.

course adopt https://github.com/ada/fine-tuning --tag 2027-spring
course adopt --check
"""

from typing import Annotated

import typer

from course_utils import kit
from course_utils.assignments import adoption, setup_cell
from course_utils.errors import UsageError


def mount(app: typer.Typer) -> None:
    """Add `course adopt` to the `course` command."""
    app.command(
        "adopt",
        epilog="Examples:\n\ncourse adopt https://github.com/ada/fine-tuning --tag 2027-spring"
        "\n\ncourse adopt --check",
    )(adopt)


def adopt(
    repository: Annotated[
        str | None,
        typer.Argument(help="Address of your fork: https://HOST/OWNER/REPOSITORY."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(help="Tag (or branch) that Colab fetches.", show_default="the present one"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: do all files name one address?")
    ] = False,
) -> None:
    """Write your fork's address into badges, set-up cells, hand-outs, citation and requirements."""
    if check == bool(repository):
        raise UsageError(
            "an address or --check is needed, and not both",
            "course adopt https://github.com/OWNER/REPOSITORY, afterwards course adopt --check",
        )
    if check:
        _check()
        return
    address = adoption.read_address(repository, tag)
    for path in (changed := adoption.adopt(address)):
        print(f"written: {path.relative_to(kit.ROOT)}")
    if not address.on_github:
        print(
            "Colab opens notebooks by a link from GitHub only, so the badges were taken out. "
            "Students upload a notebook to Colab (File > Upload notebook); its first cell fetches "
            f"the kit from {address.repository}, if that is public."
        )
    if changed:
        print(
            f"Next: git commit -am 'Our own address'; that repository needs the tag "
            f"{address.revision} before students open a notebook (docs/instructors.md)."
        )
    print(f"{address.repository} at {address.revision}: {len(changed)} files changed")


def _check() -> None:
    address = setup_cell.stated()
    lines = adoption.disagreements()
    for line in lines:
        print(f"{line.path.relative_to(kit.ROOT)}:{line.number}: {line.found[:160]}")
    if lines:
        print(f"Cure: course adopt {address.repository} --tag {address.revision}")
        print(f"{len(lines)} lines do not name {address.repository} at {address.revision}")
        raise typer.Exit(1)
    print(f"all files name {address.repository} at {address.revision}")
