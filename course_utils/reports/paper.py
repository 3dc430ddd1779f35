"""A hand-out on paper: its README.md as PDF, A4 or letter, set by Typst from `handout.typ`.

    write_handout("parameter_lab", "a4", Path("parameter_lab.pdf"))

The page is read as Markdown and reaches the template as JSON: blocks, and in them runs of text.
Links have no use on paper, so each is also a footnote: where in the kit, or the address.
"""

import json
import posixpath
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import kit, ownership
from course_utils.assignments import setup_cell
from course_utils.assignments.definition import find
from course_utils.errors import CourseError
from course_utils.reports.pdf import break_words, typeset

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

TEMPLATE = Path(__file__).with_name("templates") / "handout.typ"
PAPERS = {"a4": "a4", "letter": "us-letter"}  # ours -> Typst's
NARROW = 24  # letters: a column of no longer cells is as wide as they are
WEIGHTS = (16, 90)  # letters a cell on average, at least and at most, by which the others share
TICK = "[ ] "
LIST_KINDS = {"bullet_list": "bullets", "ordered_list": "numbers"}


def write_handout(
    name: str, paper: str = "a4", out: Path | None = None, overwrite: bool = False
) -> Path:
    """Write the hand-out of an assignment as PDF; by default NAME_PAPER.pdf in this folder.

    Raises CourseError for an unknown assignment or paper, when Typst is missing, and, without
    `overwrite`, when a file that the kit did not make has that name.
    """
    about = find(name)
    if paper not in PAPERS:
        raise CourseError(f"there is no paper {paper!r}", f"choose one of: {', '.join(PAPERS)}")
    out = out or Path(f"{about.id}_{paper}.pdf")
    if not overwrite:
        ownership.check_file(out, "add --overwrite to replace it, or --out for another file")
    page = read_page(about.path / "README.md")
    page |= {"paper": PAPERS[paper], "version": f"Fine-Tuning Course Kit {kit.version()}"}
    with tempfile.TemporaryDirectory(prefix="course-handout-") as folder:
        data = json.dumps(page, ensure_ascii=False, allow_nan=False)
        (Path(folder) / "handout.json").write_text(data, encoding="utf-8")
        source = Path(folder) / TEMPLATE.name
        source.write_bytes(TEMPLATE.read_bytes())
        return typeset(source, out)


def read_page(path: Path) -> dict[str, Any]:
    """Title and blocks of a page of Markdown, as the template takes them."""
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    reader = _Reader(path)
    first, *blocks = reader.blocks(SyntaxTreeNode(tokens).children)
    if first["kind"] != "heading":
        raise CourseError(f"{path}: it does not begin with a title", "begin it with '# ...'")
    return {"title": "".join(run["text"] for run in first["runs"]), "blocks": blocks}


def slug(title: str) -> str:
    """What GitHub makes of a heading, where links to it lead."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class _Reader:
    """Blocks and runs of one page; knows what the links were that it met before."""

    def __init__(self, path: Path):
        self.folder = path.parent.resolve()
        self.noted: set[str] = set()

    def blocks(self, nodes: Iterable["SyntaxTreeNode"]) -> list[dict[str, Any]]:
        return [block for node in nodes if (block := self.block(node))]

    def block(self, node: "SyntaxTreeNode") -> dict[str, Any]:
        """One block; empty for a comment."""
        if node.type in LIST_KINDS:
            return self.items(node)
        if node.type in ("fence", "code_block"):
            lines = node.content.rstrip("\n").split("\n")
            return {"kind": "code", "lines": [break_words(line) for line in lines]}
        if node.type == "heading":
            runs = self.runs(node.children[0].children)
            anchor = slug("".join(run["text"] for run in runs))
            return {"kind": "heading", "level": int(node.tag[1]), "runs": runs, "anchor": anchor}
        if node.type == "table":
            return self.table(node)
        if node.type == "blockquote":
            return {"kind": "quote", "blocks": self.blocks(node.children)}
        if node.type == "html_block" and node.content.lstrip().startswith("<!--"):
            return {}
        if node.type == "paragraph":
            return {"kind": "paragraph", "runs": self.runs(node.children[0].children)}
        raise CourseError(
            f"{self.folder / 'README.md'}, line {(node.map or [0])[0] + 1}: {node.type} has no "
            "form on paper",
            "write it as text, list, table or code",
        )

    def items(self, node: "SyntaxTreeNode") -> dict[str, Any]:
        """Items, numbered or not; a box to tick where every item begins with `[ ]`."""
        items = [self.blocks(item.children) for item in node.children]
        firsts = [item[0]["runs"][0] for item in items if item and item[0].get("runs")]
        if len(firsts) < len(items) or not all(run["text"].startswith(TICK) for run in firsts):
            return {"kind": LIST_KINDS[node.type], "items": items}
        for run in firsts:
            run["text"] = run["text"].removeprefix(TICK)
        return {"kind": "ticks", "items": items}

    def table(self, node: "SyntaxTreeNode") -> dict[str, Any]:
        rows = [
            [self.runs(cell.children[0].children if cell.children else ()) for cell in row.children]
            for part in node.children
            for row in part.children
        ]
        return {"kind": "table", "widths": widths(rows), "rows": rows}

    def runs(self, nodes: Iterable["SyntaxTreeNode"], **style: Any) -> list[dict[str, Any]]:
        """Pieces of text with their style: strong, em, code, link."""
        found: list[dict[str, Any]] = []
        for node in nodes:
            if node.type in ("strong", "em"):
                found += self.runs(node.children, **style, **{node.type: True})
            elif node.type == "link":
                found += self.link(node, style)
            elif node.type == "code_inline":
                found.append({**style, "code": True, "text": break_words(node.content)})
            elif node.type in ("softbreak", "hardbreak"):
                found.append({**style, "text": " " if node.type == "softbreak" else "\n"})
            elif node.type == "text":
                found.append({**style, "text": break_words(node.content)})
        return found

    def link(self, node: "SyntaxTreeNode", style: dict[str, Any]) -> list[dict[str, Any]]:
        """The link's own words; the last of them has the footnote, where it is the first to it."""
        href = str(node.attrs["href"])
        if href.startswith("#"):
            return self.runs(node.children, **style, anchor=href[1:])
        where, address = self.target(href)
        runs = self.runs(node.children, **style, link=address)
        if where not in self.noted and where != "".join(run["text"] for run in runs):
            self.noted.add(where)
            runs[-1]["note"] = break_words(where)
        return runs

    def target(self, href: str) -> tuple[str, str]:
        """What a footnote says of a link, and the address that it leads to on a screen."""
        if re.match(r"[a-z]+:", href):
            return href, href
        path, _, anchor = href.partition("#")
        folder = self.folder.relative_to(kit.ROOT.resolve()).as_posix()
        name = posixpath.normpath(posixpath.join(folder, path))
        address = setup_cell.stated().place(name)
        return f"{name} in the kit", f"{address}#{anchor}" if anchor else address


def widths(rows: Sequence[Sequence[Sequence[dict[str, Any]]]]) -> list[int]:
    """For each column its share of the page, in letters; 0 for one as wide as what is in it."""
    shares = []
    for column in zip(*rows, strict=True):
        lengths = [sum(len(run["text"]) for run in runs) for runs in column]
        mean = sum(lengths[1:]) // max(1, len(lengths) - 1)
        least, most = WEIGHTS
        shares.append(0 if max(lengths) <= NARROW else min(max(mean, least), most))
    return shares
