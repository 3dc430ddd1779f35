"""`course explain`: why a message of a check matters, how to cure what it found, with an example.

course explain                           # the IDs of all messages, by room
course explain week05.records.too_few    # one message
course explain records_enough            # an item of a rubric, and the messages that bear on it
course explain --html messages.html      # all messages as one page

The texts are those that the checks print: they stand in each room's messages.yaml.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from course_utils import messages
from course_utils.assignments.definition import ASSIGNMENTS
from course_utils.assignments.explaining import bearing_on, item_parts
from course_utils.assignments.rubric import Item, load_rubric
from course_utils.console import console
from course_utils.errors import CourseError, UsageError
from course_utils.files import write_text_atomic
from course_utils.messages import HEADINGS, Message
from course_utils.templating import environment

TEMPLATES = Path(__file__).with_name("templates")
ROOMS = {
    "core": "The checks of the notebooks",
    "lab": "The parameter analysis (week 5)",
    "assignments": "course submit check",
    "commands": "course doctor",
    "grading": "The grader: inbox, marks, integrity",
    "judging": "The grader: what an item's feedback says",
}


def mount(app: typer.Typer) -> None:
    """Add `course explain` to the `course` command."""
    app.command("explain", epilog="Example:  course explain week05.records.too_few")(explain)


def explain(
    name: Annotated[
        str | None, typer.Argument(help="ID of a message or of a rubric item; default: list all.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="OUT.html", help="Write all messages as one page.")
    ] = None,
) -> None:
    """Say what a check's message means: why it matters, the cure, an example."""
    if html is not None:
        if name is not None:
            raise UsageError("--html writes all messages", "leave the ID out")
        print(f"Messages: {write_page(html)}")
        return
    known = {key: message for _, key, message in messages.everything()}
    if name is None:
        _print_list(known)
    elif name in known:
        _print_message(name, known[name])
    elif items := list(_items(name)):
        for assignment, item in items:
            _print_item(assignment, item)
    elif begin := {key: own for key, own in known.items() if key.startswith(f"{name}.")}:
        _print_list(begin)
    else:
        both = [*known, *(item.id for _, item in _items())]
        raise CourseError(f"there is no message {name!r}", messages.suggestion(name, both))


def write_page(target: Path) -> Path:
    """All messages as one self-contained page, whole or not at all."""
    from markupsafe import Markup

    rooms: dict[str, list[tuple[str, Any]]] = {title: [] for title in ROOMS.values()}
    for room, key, _ in messages.everything():
        rooms[ROOMS[room]].append((key, Markup(messages.fragment(key))))
    page = environment(TEMPLATES).get_template("messages.html.jinja").render(rooms=rooms)
    return write_text_atomic(target, page + "\n")


def _items(name: str | None = None) -> Iterator[tuple[str, Item]]:
    """(assignment, rubric item): those with this ID, or all."""
    for assignment, about in ASSIGNMENTS.items():
        rubric = load_rubric(about.path / "rubric.yaml")
        yield from ((assignment, item) for item in rubric.items if name in (None, item.id))


def _print_list(known: Mapping[str, Message]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("ID", "what was found", box=None, pad_edge=False)
    room_of = {key: room for room, key, _ in messages.everything()}
    room = ""
    for key, message in known.items():
        if room_of[key] != room:
            room = room_of[key]
            table.add_row(Text(f"\n{ROOMS[room]}", style="bold"))
        found = message.parts()[HEADINGS["found"]].splitlines()
        more = f" (or {len(found) - 1} more)" if found[1:] else ""
        table.add_row(Text(key), Text(f"{found[0]}{more}"))
    console().print(table)
    print("\nOne of them, or an item of a rubric: course explain ID")


def _print_message(name: str, message: Message) -> None:
    from rich.text import Text

    printer = console()
    printer.print(Text(name, style="bold"))
    for heading, text in message.parts().items():
        printer.print(Text(f"\n{heading}", style="bold"))
        # An example is copied: its lines are not broken.
        printer.print(Text(text), soft_wrap=heading == HEADINGS["example"])
    if message.values:
        print("\nNames and numbers in it are examples; the check prints those of your own.")
    if message.items:
        print(f"\nRubric items: {', '.join(message.items)}")


def _print_item(assignment: str, item: Item) -> None:
    from rich.padding import Padding
    from rich.text import Text

    printer = console()
    by = "the computer" if item.kind == "automatic" else "a person"
    printer.print(Text(f"{item.id}: {item.title}", style="bold"))
    print(f"{assignment}, part {item.part}: {item.points} points, scored by {by}")
    for heading, text in item_parts(item).items():
        printer.print(Text(f"\n{heading}", style="bold"))
        printer.print(Text(text))
    if own := bearing_on(item.id, assignment):
        printer.print(Text("\nWhat the checks say about it", style="bold"))
        for key, message in own.items():
            parts = message.parts()
            found, cure = parts[HEADINGS["found"]].splitlines()[0], parts[HEADINGS["cure"]]
            printer.print(Text(key))
            printer.print(Padding(Text(f"{found}\nCure: {cure}"), (0, 0, 0, 4)))
    print()
