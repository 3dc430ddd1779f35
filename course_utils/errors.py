"""The one error class for problems a user can cause and cure."""


class CourseError(Exception):
    """A problem with a cure: the command line prints both lines and no traceback.

    `message` names the file, the line and what was wrong; `cure` says what to do about it.
    """

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}\nCure: {self.cure}" if self.cure else self.message

    def _render_traceback_(self) -> list[str]:
        """What IPython shows below a notebook's cell: the same two lines, no traceback."""
        return [str(self)]


class UsageError(CourseError):
    """Wrong arguments: exit code 2 instead of 1."""


class Stopped(Exception):
    """Ctrl-C in a command that says itself what is kept and how it goes on: exit code 130."""
