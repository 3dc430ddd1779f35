"""The course as static pages that are read from a folder, without network and without a server.

    build(Path("runs/manufacturing-quick"), executed_lab, Path("runs/site"))    # course site

The pages of Markdown and the notebooks as a run executed them are laid out as in the kit, so their
links hold, and Sphinx with MyST-NB makes HTML of them. Nothing on a page is fetched from elsewhere.
"""

import io
import posixpath
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from course_utils import kit, ownership
from course_utils.assignments import edition, setup_cell
from course_utils.assignments.scrubbing import Scrubber
from course_utils.errors import CourseError
from course_utils.files import atomic_path, read_json
from course_utils.lab.page import ONLY_WITH_CODE, ONLY_WITH_SLIDERS, put_alt

if TYPE_CHECKING:
    from nbformat import NotebookNode

STYLE = Path(__file__).with_name("templates") / "site.css"
OF = "site"  # in the folder's mark
INSTALL = "install it: pip install -r requirements-site.txt -c constraints.txt"
START, LAB = "README.md", "notebooks/parameter_lab.ipynb"
# What stands in the margin. A page of docs/ that is in no group joins OTHERS.
GROUPS = {
    "Notebooks": ("notebooks/0*.ipynb", LAB),
    "Assignments": ("assignments/*/README.md",),
    "For students": tuple(
        f"docs/{name}.md" for name in ("students", "colab", "your_own_track", "presets", "words")
    ),
    "Reference": ("docs/results.md", "docs/endpoint.md", "data/README.md", "benchmarks/README.md"),
    "For instructors": ("docs/instructors.md", "docs/cluster.md", "docs/licences.md"),
    "Change the kit": ("docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md"),
}
OTHERS = "Reference"
BADGE = re.compile(r"\[!\[([^\]]*)\]\([^()\s]*\)\]\(([^()\s]+)\)")
PLAIN = re.compile(r"^([ ]*)```csv$", re.M)  # Sphinx has no colours for it
WIDGET = "application/vnd.jupyter.widget-view+json"
CONFIGURATION = {
    "project": "Fine-Tuning Course Kit",
    "extensions": ["myst_nb", "sphinx.ext.githubpages"],  # the latter: .nojekyll
    "root_doc": "index",
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_code_prompt_show": "Show the code",
    "nb_code_prompt_hide": "Hide the code",
    "nb_ipywidgets_js": {},  # else from a content delivery network
    "myst_enable_extensions": [],  # a dollar is a dollar
    "myst_heading_anchors": 6,
    "highlight_language": "none",
    "html_theme": "furo",
    "html_static_path": ["_static"],
    "html_css_files": [STYLE.name],
    "html_copy_source": False,
    "html_use_index": False,
    "html_show_sourcelink": False,
    "html_show_search_summary": False,  # would fetch pages, which a browser refuses to a folder
}


@dataclass
class Site:
    """What was built: the start page, the pages, and what Sphinx says is wrong with them."""

    start: Path
    pages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def build(run: Path, lab: Path, out: Path) -> Site:
    """Write the site of a run's notebooks, the executed lab and the kit's pages into `out`.

    Raises CourseError as `check` does, and when a notebook was not executed or a line of a solution
    would stand on a page.
    """
    check(out)
    links = Links(sources(run, lab))
    texts = _texts(run, links)
    refuse_solutions(texts)
    with tempfile.TemporaryDirectory(prefix="course-site-") as folder:
        staged, made = Path(folder) / "pages", Path(folder) / "html"
        for where, text in texts.items():
            _put(staged / where, text.encode("utf-8"))
        for where in links.pictures:
            _put(staged / where, (kit.ROOT / where).read_bytes())
        _put(staged / "_static" / STYLE.name, STYLE.read_bytes())
        warnings = _sphinx(staged, made)
        _replace(made, out)
    return Site(out / "index.html", sorted(texts), warnings)


def check(out: Path) -> None:
    """CourseError when Sphinx is missing, or the folder holds files that the kit did not make."""
    for name in ("sphinx", "myst_nb", "furo"):
        if not find_spec(name):
            raise CourseError(f"a site needs the package {name}", INSTALL)
    ownership.check_folder(out, OF)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _sphinx(source: Path, out: Path) -> list[str]:
    """Make HTML of the pages; returns the warnings."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    said = io.StringIO()
    settings = CONFIGURATION | {"release": kit.version(), "html_title": CONFIGURATION["project"]}
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            srcdir=source,
            confdir=None,
            outdir=out,
            doctreedir=source.with_name("doctrees"),
            buildername="html",
            confoverrides=settings,
            status=None,
            warning=said,
        )
        app.build()
    colours = re.compile(r"\x1b\[[\d;]*m")
    return [colours.sub("", line) for line in said.getvalue().splitlines() if line.strip()]


def _replace(made: Path, out: Path) -> None:
    """The new site in the place of the last one; files that the kit did not make stay."""
    (made / ".buildinfo").unlink(missing_ok=True)
    names = [path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()]
    ownership.claim(out, of=OF)
    ownership.forget_files(out, keep=names)
    for name in names:
        with atomic_path(out / name) as temporary:
            shutil.copyfile(made / name, temporary)
    ownership.note_files(out, names)


# --- Which pages --------------------------------------------------------------------------------


def groups() -> dict[str, list[str]]:
    """Heading in the margin -> the kit's pages under it, those that are there."""
    found = {
        title: [path for pattern in patterns for path in _matching(pattern)]
        for title, patterns in GROUPS.items()
    }
    named = {path for paths in found.values() for path in paths}
    found[OTHERS] += [path for path in _matching("docs/*.md") if path not in named]
    return {title: paths for title, paths in found.items() if paths}


def _matching(pattern: str) -> list[str]:
    return sorted(path.relative_to(kit.ROOT).as_posix() for path in kit.ROOT.glob(pattern))


def sources(run: Path, lab: Path) -> dict[str, Path]:
    """The kit's page -> the file that it is read from: notebooks as they were executed."""
    found = {START: kit.ROOT / START}
    for path in (path for paths in groups().values() for path in paths):
        executed = run / "notebooks" / PurePosixPath(path).name
        found[path] = kit.ROOT / path
        if path.endswith(".ipynb"):
            found[path] = lab if path == LAB else executed
            if not found[path].is_file():
                raise CourseError(
                    f"{found[path]}: this run has not executed the notebook",
                    "name a finished run, or make one: make course PRESET=quick",
                )
    return found


def place_of(path: str) -> str:
    """Where a page of the kit stands among the pages of the site."""
    return "index.md" if path == START else path


class Links:
    """Where links lead on the site: to its pages and pictures, or to the kit's address."""

    def __init__(self, pages: Mapping[str, Path]):
        self.pages = pages
        self.pictures: set[str] = set()
        self.home = setup_cell.stated()

    def turn(self, text: str, page: str) -> str:
        """The Markdown of a page with its links as the site has them."""

        def one(found: re.Match) -> str:
            target, hash_sign, anchor = found[2].partition("#")
            if not target or re.match(r"[a-z]+:", target):
                return found[0]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
            if found[0].startswith("!"):
                self.pictures.add(path)
                return found[0]
            if path in self.pages:
                folder = posixpath.dirname(place_of(page))
                address = posixpath.relpath(place_of(path), folder or ".")
            elif _is_solution(path) or not (kit.ROOT / path).exists():
                return found[1]
            else:
                address = self.home.place(path)
            return f"[{found[1]}]({address}{hash_sign}{anchor})"

        text = BADGE.sub(r"[\1](\2)", text)  # a badge lies on another server
        text = PLAIN.sub(r"\1```text", text)
        return edition.LINK.sub(one, text)


def _is_solution(path: str) -> bool:
    return not {"solution", "solutions"}.isdisjoint(PurePosixPath(path).parts)


# --- What stands on them ------------------------------------------------------------------------


def _texts(run: Path, links: Links) -> dict[str, str]:
    """Where a page stands on the site -> its text."""
    said, scrubber = executed_with(run), Scrubber(run)
    made = {}
    for page, path in links.pages.items():
        if page.endswith(".ipynb"):
            text = notebook_text(path, page, links, "" if page == LAB else said)
            text = scrubber.clean(page, text.encode("utf-8")).decode("utf-8")
        else:
            text = links.turn(path.read_text(encoding="utf-8"), page)
        made[place_of(page)] = text + _contents() if page == START else text
    return made


def _contents() -> str:
    """The tables of contents, of which the theme makes the margin."""
    blocks = [
        "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *paths, "```", ""])
        for title, paths in groups().items()
    ]
    return "".join(blocks)


def executed_with(run: Path) -> str:
    """One sentence: which run the outputs of the notebooks are of."""
    stored = read_json(run / "settings.json", "course run")
    settings, machine = stored["settings"], stored["hardware"]
    where = machine["gpu_name"] or f"{machine['cpu_model']}, {machine['cores']} cores, no GPU"
    return (
        f"*Outputs of* `course run --preset {settings['preset']}`*: base model "
        f"{settings['base_model']}, {settings['train_records']} training records, seed "
        f"{settings['seed']}, {where}, {stored['created'][:10]}. Work orders: "
        "M. Hodkiewicz and M. T.-W. Ho (2016).*"
    )


def notebook_text(path: Path, page: str, links: Links, said: str) -> str:
    """An executed notebook as the site shows it: no widgets, pictures with their words.

    Of the lab only text and outputs; `said` stands below the title of the others.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    if page == LAB:
        notebook.cells = _without_code(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = links.turn(cell.source, page)
        else:
            _tidy(cell)
    if said:
        title, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{title}\n\n{said}\n{rest}"
    return nbformat.writes(notebook)


def _without_code(notebook: "NotebookNode") -> list[Any]:
    """The lab's cells that mean something where nothing can be moved, their code taken away."""
    kept = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if {ONLY_WITH_CODE, ONLY_WITH_SLIDERS}.isdisjoint(tags) and cell.get("outputs", True):
            cell.metadata["tags"] = [*tags, "remove-input"]
            kept.append(cell)
    return kept


def _tidy(cell: "NotebookNode") -> None:
    """Outputs that need no live kernel; the set-up cell folded."""
    if "environment.prepare(" in cell.source:
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    outputs = cell.get("outputs", [])
    cell.outputs = [one for one in outputs if WIDGET not in one.get("data", {})]
    for output in cell.outputs:
        put_alt(output)


def refuse_solutions(texts: Mapping[str, str]) -> None:
    """CourseError when a line or marker of a solution stands on a page, with the places."""
    problems = edition.leaks(texts)
    if problems:
        told = "".join(f"\n    {problem}" for problem in problems)
        raise CourseError(
            f"a solution would stand on the site, so nothing was written:{told}",
            "run the notebooks of the course as they are handed out, and mend what is listed",
        )
