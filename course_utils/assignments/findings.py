"""What a check found, and the report of a submission: as text, as a rich table, as JSON.

Findings that say the same are shown as one line: thirteen empty sections are one thing to mend.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from course_utils.messages import MORE, Explained, Room

MESSAGES = Room(__file__)
STATES = ("missing", "wrong", "warning", "ok")  # worst first


class Warn(Explained):
    """Worth a look, but nothing that stops the submission."""


def wrong(name: str, case: str = "", /, **values: Any) -> Explained:
    """The error that a check raises: a message of this room with its values."""
    return Explained(MESSAGES.say(name, case, **values))


def warn(name: str, case: str = "", /, **values: Any) -> Warn:
    """The same, for what does not stop the submission."""
    return Warn(MESSAGES.say(name, case, **values))


@dataclass(frozen=True)
class Finding:
    """One line of the checklist. `message_id` is what `course explain` takes; "" when all is ok."""

    id: str
    part: int
    state: str  # one of STATES
    path: str
    message: str
    cure: str = ""
    message_id: str = ""
    subject: str = ""  # which of several like things in the file: a parameter, a section


@dataclass(frozen=True)
class Row:
    """Findings of one part that say the same."""

    findings: list[Finding]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def paths(self) -> list[str]:
        """The files, each once."""
        return list(dict.fromkeys(finding.path for finding in self.findings))

    @property
    def message(self) -> str:
        """What is said, behind the names of those it is said of."""
        names = [finding.subject for finding in self.findings if finding.subject]
        return f"{', '.join(names)}: {self.first.message}" if names else self.first.message

    @property
    def cure(self) -> str:
        """The cure, and the ID that tells more; "" when there is nothing to do."""
        own = self.first
        return f"{own.cure} ({own.message_id})" if own.message_id else own.cure


@dataclass(frozen=True)
class SubmissionReport:
    """What `check_submission` found, in the order of the parts."""

    folder: Path
    findings: tuple[Finding, ...]
    titles: Mapping[int, str]

    @property
    def ok(self) -> bool:
        """Nothing is missing and nothing is wrong; warnings do not count."""
        return not any(finding.state in ("missing", "wrong") for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """State -> number of findings."""
        found = Counter(finding.state for finding in self.findings)
        return {state: found[state] for state in STATES}

    def of_state(self, *states: str) -> list[Finding]:
        """The findings in one of these states."""
        return [finding for finding in self.findings if finding.state in states]

    def verdict(self) -> str:
        """One sentence."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        complete = "Complete in form only" if self.hollow else "Complete"
        return f"{complete if self.ok else 'Not complete yet'}: {counts or 'nothing checked'}"

    @property
    def hollow(self) -> list[str]:
        """IDs of the messages which say that there is nothing in it (hollow.py)."""
        names = (finding.message_id for finding in self.findings)
        return sorted({name for name in names if name.startswith("hollow.")})

    def rows(self, part: int) -> Iterator[Row]:
        """The findings of a part, those that say the same together, in order of appearance."""
        alike: dict[tuple[str, ...], list[Finding]] = {}
        for own in (finding for finding in self.findings if finding.part == part):
            key = own.state, own.message, own.cure, own.message_id
            alike.setdefault(key, []).append(own)
        yield from map(Row, alike.values())

    def closing(self) -> list[str]:
        """The verdict, and where to read more if there is something to mend."""
        more = [MORE] if any(finding.message_id for finding in self.findings) else []
        return [self.verdict(), *more]

    def lines(self) -> list[str]:
        """The report as plain text: each part, each finding, each cure."""
        lines = []
        for part, title in self.titles.items():
            rows = list(self.rows(part))
            lines += ["", title] if rows else []
            for row in rows:
                lines.append(f"  {row.first.state:<8} {', '.join(row.paths)}: {row.message}")
                lines += [f"           Cure: {row.cure}"] if row.cure else []
        return [*lines[1:], "", *self.closing()]

    def render(self) -> Any:
        """The report for `console().print` (course_utils.console)."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        colours = {"missing": "bold red", "wrong": "bold red", "warning": "yellow", "ok": "green"}
        tables: list[Any] = []
        for part, title in self.titles.items():
            table = Table(title=Text(title), title_justify="left", box=None, show_header=False)
            for row in self.rows(part):
                what = Text(row.message)
                what.append(f"\n{row.cure}" if row.cure else "", style="italic")
                state = Text(row.first.state, style=colours[row.first.state])
                table.add_row(state, Text("\n".join(row.paths), overflow="fold"), what)
            tables += [table, Text()] if table.row_count else []
        verdict, *more = self.closing()
        style = "bold green" if self.ok else "bold red"
        return Group(*tables, Text(verdict, style=style), *map(Text, more))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "folder": self.folder.name,
            "ok": self.ok,
            "counts": self.counts,
            "findings": [asdict(finding) for finding in self.findings],
        }
