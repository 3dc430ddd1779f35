"""What pages say of points, groups and late work, made from the data between two marks.

    <!-- rubric: part 1 -->
    (a table, written by `course rubric check --write`)
    <!-- rubric: end -->

A hand-out has a block for each part, `bonus`, `points` (the sentence it begins with) and `rules`;
docs/instructors.md has `assignments`. What stands between the marks is never edited by hand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course_utils import kit
from course_utils.assignments.definition import (
    ASSIGNMENTS,
    FILE,
    Definition,
    in_words,
    there,
)
from course_utils.assignments.rubric import Item, Rubric, load_rubric
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic

BLOCK = re.compile(r"<!-- rubric: (?!end )([\w ]+?) -->(.*?)<!-- rubric: end -->", re.S)
MARK = re.compile(r"<!-- rubric: ([\w ]+?) -->")
OVERVIEW = kit.ROOT / "docs" / "instructors.md"
SCORED_BY = {"automatic": "computer", "manual": "person"}


@dataclass(frozen=True)
class Page:
    """A page with blocks, and what has to stand between their marks."""

    path: Path
    blocks: dict[str, str]

    def now(self) -> str:
        """The page as it is. Raises CourseError for a mark that is lost, double or unknown."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CourseError(f"{self.path}: {error}", "write it as UTF-8 text") from None
        _check_marks(self, text)
        return text

    def made(self) -> str:
        """The page as the data say it."""
        return BLOCK.sub(lambda found: _filled(found, self.blocks[found[1]]), self.now())

    def differs(self) -> list[str]:
        """A line for each block that says something else than the data."""
        problems = []
        text = self.now()
        for found in BLOCK.finditer(text):
            wanted = _filled(found, self.blocks[found[1]])
            if found[0] != wanted:
                line = text.count("\n", 0, found.start()) + 1
                problems.append(
                    f"{self.path}, line {line}: `{found[1]}`: {_first(found[0], wanted)}"
                )
        return problems


def pages(name: str | None = None) -> list[Page]:
    """The hand-out of an assignment; without a name all of them, and the instructors' page."""
    chosen = [ASSIGNMENTS[name]] if name else list(there().values())
    found = [Page(about.path / "README.md", handout_blocks(about)) for about in chosen]
    if name is None and OVERVIEW.is_file():  # a student edition has none
        found.append(Page(OVERVIEW, {"assignments": _overview()}))
    return found


def write(found: list[Page]) -> list[Path]:
    """Write the pages that differ; none where one of them cannot be made. Returns what changed."""
    made = [(page.path, page.now(), page.made()) for page in found]
    return [write_text_atomic(path, new) for path, now, new in made if now != new]


def handout_blocks(about: Definition) -> dict[str, str]:
    """Name -> content of every block of an assignment's hand-out."""
    rubric = load_rubric(about.path / "rubric.yaml")
    blocks = {
        f"part {part.part}": item_table(rubric.of_part(part.part), part.points)
        for part in rubric.parts
    }
    if bonuses := rubric.of_part("bonus"):
        blocks["bonus"] = item_table(bonuses, rubric.bonus_points)
    return blocks | {"points": _sentence(about, rubric), "rules": _rules(about)}


def item_table(items: list[Item], points: int) -> str:
    """The table of a part: what earns how many points, and who says so."""
    rows = [
        f"| item | what earns the points | of {points} points | scored by |",
        "|---|---|---|---|",
    ]
    for item in items:
        words = " ".join(item.description.split())
        what = f"**{item.title}.** {words}"
        rows.append(f"| `{item.id}` | {what} | {item.points} | {SCORED_BY[item.kind]} |")
    return "\n".join(rows)


def _sentence(about: Definition, rubric: Rubric) -> str:
    text = f"{rubric.points} points in {_number(len(rubric.parts), 'part')}"
    if bonuses := rubric.of_part("bonus"):
        sizes = sorted({item.points for item in bonuses})
        each = f"{sizes[0]} points each" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} points"
        text += f", and {_number(len(bonuses), 'bonus', 'bonuses')} of {each}"
    alone = "Everybody hands in their own work."
    return f"{text}. {alone if about.group.most == 1 else f'Work in groups of {about.group}.'}"


def _rules(about: Definition) -> str:
    who = f"**Who.** A submission is the work of {about.group}, named in `submission.yaml`."
    late = f"**Late.** {' '.join(about.late.split())}"
    return f"{who}\n\n{late}\n\n**Again.** {' '.join(about.again.split())}"


def _overview() -> str:
    head = "| assignment | points | by a function | by a person | bonuses | handed in by |"
    rows = [head, "|---|---|---|---|---|---|"]
    for about in ASSIGNMENTS.values():
        rubric = load_rubric(about.path / "rubric.yaml")
        regular = [item for item in rubric.items if item.part != "bonus"]
        sums = [sum(i.points for i in regular if i.kind == kind) for kind in SCORED_BY]
        bonuses = f"{len(rubric.of_part('bonus'))}, {rubric.bonus_points} points"
        name = f"`{about.id}`: {about.title}"
        rows.append(
            f"| {name} | {rubric.points} | {sums[0]} | {sums[1]} | {bonuses} | {about.group} |"
        )
    return "\n".join(rows)


def _number(count: int, one: str, many: str = "") -> str:
    return f"{in_words(count)} {one if count == 1 else many or f'{one}s'}"


def _filled(found: re.Match, content: str) -> str:
    """A block with its content. A line that begins with a mark would be taken as HTML."""
    return f"<!-- rubric: {found[1]} -->\n{content}\n<!-- rubric: end -->"


def _first(now: str, wanted: str) -> str:
    """The first line in which two texts differ, as one prints it."""
    old, new = (iter(text.splitlines()[1:-1] or [text]) for text in (now, wanted))
    for line in new:
        if (other := next(old, None)) != line:
            return f"it says {_short(other)}, not {_short(line)}"
    return f"it says {_short(next(old, None))} too much"


def _short(line: str | None) -> str:
    if line is None:
        return "nothing"
    return repr(line if len(line) <= 90 else f"{line[:87]}...")


def _check_marks(page: Page, text: str) -> None:
    for problem in _mark_problems(page.blocks, text):
        cure = f"each block once, as <!-- rubric: NAME --> ... <!-- rubric: end -->; {FILE} and "
        cure += f"rubric.yaml give these: {', '.join(page.blocks)}"
        raise CourseError(f"{page.path}: {problem}", cure)


def _mark_problems(blocks: dict[str, str], text: str) -> Iterator[str]:
    opened, seen = "", []
    for found in MARK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if (found[1] == "end") != bool(opened):
            what = f"`{opened}` is still open" if opened else "an end without its beginning"
            yield f"line {line}: {what}"
        if found[1] != "end" and found[1] not in blocks:
            yield f"line {line}: there is no block `{found[1]}`"
        opened = "" if found[1] == "end" else found[1]
        seen += [opened] if opened else []
    if opened:
        yield f"`{opened}` has no end"
    for name in blocks:
        if seen.count(name) != 1:
            yield f"block `{name}` stands there {seen.count(name)} times"
