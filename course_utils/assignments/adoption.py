"""A fork made one's own: one repository and one tag in every file that names them.

    adoption.adopt(Address("https://github.com/ada/course", "2027-spring"))
    adoption.disagreements()        # what a later merge brought back, file by file and line by line

pyproject.toml is where the address stands (`setup_cell.stated`). Everything else is written from
it: set-up cells, badges, the citation, links in hand-outs and docs, the starters' requirements.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from course_utils import kit
from course_utils.assignments import setup_cell
from course_utils.assignments.setup_cell import GITHUB, PACKAGE, UPSTREAM, Address
from course_utils.errors import CourseError
from course_utils.files import write_text_atomic

PROJECT = "pyproject.toml"
PLACES = (
    *(PROJECT, "README.md", "CITATION.cff", "docs/**/*.md", "data/*.md"),
    *("notebooks/**/*.ipynb", "assignments/**/*.ipynb"),
    *("assignments/**/*.md", "assignments/**/requirements.txt"),
)
NOT_OURS = {".git", ".venv", "runs", ".ipynb_checkpoints"}
COLAB = re.compile(r"(https://colab\.research\.google\.com/github/)[^/]+/[^/]+/blob/[^/]+/")
BADGE = re.compile(
    r"\[!\[[^\]]*\]\([^)]*colab-badge[^)]*\)\]"
    r"\(https://colab\.research\.google\.com/github/[^/]+/[^/]+/blob/[^/]+/(?P<path>[^)]+)\)"
)
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Line:
    """A line that names another address than pyproject.toml does."""

    path: Path
    number: int
    found: str
    wanted: str


def read_address(repository: str, revision: str | None, root: Path = kit.ROOT) -> Address:
    """The address that somebody typed. Raises CourseError where nothing could be fetched from it.

    Without `revision`, the one that the kit names already.
    """
    repository = repository.strip().removesuffix("/").removesuffix(".git")
    parts = urlsplit(repository)
    names = [name for name in parts.path.split("/") if name]
    if parts.scheme != "https" or not parts.netloc or len(names) < 2 or '"' in repository:
        raise CourseError(
            f"{repository}: this is no address of a repository",
            "give it as the browser shows it: https://HOST/OWNER/REPOSITORY",
        )
    if parts.netloc == "github.com" and len(names) > 2:
        raise CourseError(
            f"{repository}: a repository of GitHub has an owner and a name, and no more",
            f"give {GITHUB}{names[0]}/{names[1]}",
        )
    tag = revision or setup_cell.stated(root).revision
    if not TAG.fullmatch(tag):
        raise CourseError(f"{tag!r} is no tag", "use letters, digits, dots and hyphens")
    return Address(repository, tag)


def adopt(address: Address, root: Path = kit.ROOT) -> list[Path]:
    """Write the address into all files that name one; returns those that changed.

    Raises CourseError where pyproject.toml names no address yet.
    """
    old = setup_cell.stated(root)
    changed = []
    for path, before, after in _rewritten(address, (old.repository, UPSTREAM), root):
        if after != before:
            write_text_atomic(path, after)
            changed.append(path)
    return changed


def disagreements(root: Path = kit.ROOT) -> list[Line]:
    """Every line that says something else than pyproject.toml."""
    lines = []
    for path, before, after in _rewritten(setup_cell.stated(root), (UPSTREAM,), root):
        pairs = zip(before.splitlines(), after.splitlines(), strict=False)
        lines += [
            Line(path, number, found.strip(), wanted.strip())
            for number, (found, wanted) in enumerate(pairs, start=1)
            if found != wanted
        ]
    return lines


def _rewritten(
    address: Address, others: tuple[str, ...], root: Path
) -> Iterator[tuple[Path, str, str]]:
    """(file, its text, its text with this address) of every place."""
    for path in sorted({path for place in PLACES for path in root.glob(place)}):
        if NOT_OURS.isdisjoint(path.relative_to(root).parts):
            before = path.read_text(encoding="utf-8")
            yield path, before, _text(path, before, address, others)


def _text(path: Path, text: str, address: Address, others: tuple[str, ...]) -> str:
    if path.name == PROJECT:
        return _project(text, address)
    for other in others:
        # Not the beginning of a longer name: .../course and .../course-2027 are two.
        text = re.sub(rf"{re.escape(other)}(?![\w-])", address.repository, text)
    text = _requirement(text, address) if path.name == "requirements.txt" else text
    return _notebook(text, address) if path.suffix == ".ipynb" else _links(text, address)


def _project(text: str, address: Address) -> str:
    text = re.sub(r'(?m)^(Repository = ")[^"]*(")', rf"\g<1>{address.repository}\g<2>", text)
    return re.sub(
        r'(?m)^(\[tool\.course\]\nrevision = ")[^"]*(")', rf"\g<1>{address.revision}\g<2>", text
    )


def _requirement(text: str, address: Address) -> str:
    """The kit by this address, in requirements that name it."""
    return re.sub(rf"(?m)^{PACKAGE}( @ \S+)?$", address.requirement(), text)


def _notebook(text: str, address: Address) -> str:
    """A notebook's file with the set-up cell where the first code cell prepares the environment.

    A badge may stand in the text cells before it.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            if "environment.prepare(" in source:
                source = address.setup_cell()
            cell["source"] = source.splitlines(keepends=True)
            break
        cell["source"] = _links(source, address).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _links(text: str, address: Address) -> str:
    """Colab's links lead to this address; elsewhere than on GitHub, badges become plain names."""
    if not address.on_github:
        return BADGE.sub(lambda found: f"`{found['path']}`", text)
    owner = address.repository.removeprefix(GITHUB).removesuffix(".git")
    return COLAB.sub(rf"\g<1>{owner}/blob/{address.revision}/", text)
