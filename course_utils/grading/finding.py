"""The grader's messages: what is refused, and what is noted about a class."""

from typing import Any

from course_utils.messages import Explained, Room, Said

MESSAGES = Room(__file__)


def wrong(name: str, case: str = "", /, **values: Any) -> Explained:
    """The error that turns a submission, or a file of a marker, away."""
    return Explained(MESSAGES.say(name, case, **values))


def say(name: str, case: str = "", /, **values: Any) -> Said:
    """A message about something that was found, for a report."""
    return MESSAGES.say(name, case, **values)
