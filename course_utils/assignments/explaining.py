"""A rubric item in words: what `course explain` prints of it, and what a feedback page says."""

from course_utils import messages
from course_utils.assignments.definition import ASSIGNMENTS, find
from course_utils.assignments.rubric import Item
from course_utils.messages import Message


def item_parts(item: Item) -> dict[str, str]:
    """Heading -> text of a rubric item."""
    return {"What earns the points": item.description.strip(), "Why": item.rationale.strip()}


def bearing_on(item: str, assignment: str) -> dict[str, Message]:
    """The messages that bear on a rubric item, those of other assignments left out."""
    checkers = {own.checker for own in ASSIGNMENTS.values()} - {find(assignment).checker}
    others = tuple(f"{checker}." for checker in checkers)
    return {
        key: message
        for _, key, message in messages.everything()
        if item in message.items and not key.startswith(others)
    }
