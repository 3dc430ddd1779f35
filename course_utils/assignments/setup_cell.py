"""The kit's address and tag, and the set-up cell, the first of every notebook, written for them.

    course adopt https://github.com/OWNER/REPOSITORY --tag TAG

writes it, and Colab's badges, into all notebooks (adoption.py). Both name what pyproject.toml says:
`Repository` under [project.urls], `revision` under [tool.course].
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from course_utils import kit
from course_utils.environment import canonical
from course_utils.errors import CourseError

TEMPLATE = Path(__file__).parent / "templates" / "setup_cell.py.jinja"
GITHUB = "https://github.com/"
PACKAGE = "fine-tuning-course-kit"
# Where the kit comes from: an address that a merge from there brings back.
UPSTREAM = "https://github.com/fine-tuning-course-kit/fine-tuning-course-kit"


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

    def place(self, path: str) -> str:
        """Where a browser shows a file or folder of the kit, given from the kit's folder."""
        kind = "tree" if (kit.ROOT / path).is_dir() else "blob"
        return f"{self.repository}/{kind}/{self.revision}/{path}"

    def requirement(self) -> str:
        """The line that installs the kit: a bare name is fetched from whoever has registered it."""
        return f"{PACKAGE} @ git+{self.repository}@{self.revision}"

    def installs(self, name: str, url: str) -> bool:
        """Whether a requirement NAME @ URL is this kit, at whatever tag the line names.

        Whoever began before the kit was adopted names the address that it comes from.
        """
        found = re.fullmatch(r"git\+([^@]+?)(?:\.git)?@[^@]+", url)
        ours = (self.repository, UPSTREAM)
        return canonical(name) == PACKAGE and bool(found) and found[1] in ours

    @property
    def on_github(self) -> bool:
        """Whether Colab can open this repository's notebooks by a link."""
        return self.repository.startswith(GITHUB)


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
