"""The set-up cell, the first of every notebook: written from one template, for one address and tag.

    course adopt https://github.com/OWNER/REPOSITORY --tag TAG

writes it, and Colab's badges, into all notebooks (adoption.py). Both name what pyproject.toml says:
`Repository` under [project.urls], `revision` under [tool.course].
"""

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from course_utils import kit
from course_utils.errors import CourseError

TEMPLATE = Path(__file__).parent / "templates" / "setup_cell.py.jinja"
GITHUB = "https://github.com/"
BADGE = re.compile(r"(https://colab\.research\.google\.com/github/)[^/]+/[^/]+/blob/[^/]+/")


@dataclass(frozen=True)
class Address:
    """What Colab fetches: a public repository, and a tag (or branch) of it."""

    repository: str
    revision: str

    def setup_cell(self) -> str:
        """The source of the set-up cell."""
        import jinja2

        template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"))
        return template.render(repository=self.repository, revision=self.revision)

    def badge(self, text: str) -> str:
        """`text` with each Colab link leading to this address; only GitHub's can be opened so."""
        if not self.repository.startswith(GITHUB):
            return text
        owner = self.repository.removeprefix(GITHUB).removesuffix(".git")
        return BADGE.sub(rf"\g<1>{owner}/blob/{self.revision}/", text)


def stated(root: Path = kit.ROOT) -> Address:
    """What pyproject.toml says. Raises CourseError where it says nothing."""
    path = root / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
        repository = project["project"]["urls"]["Repository"]
        return Address(repository, project["tool"]["course"]["revision"])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise CourseError(
            f"{path}: names no repository and revision ({error!r})",
            'write Repository = "https://..." under [project.urls], revision = "TAG" under '
            "[tool.course]",
        ) from None


def in_notebook(text: str, address: Address, links: Callable[[str, Address], str]) -> str:
    """A notebook's file with the set-up cell where the first code cell prepares the environment.

    `links` rewrites the text cells before it, where a badge may stand.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            if "environment.prepare(" in source:
                source = address.setup_cell()
            cell["source"] = source.splitlines(keepends=True)
            break
        cell["source"] = links(source, address).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
