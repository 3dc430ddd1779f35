"""A shorter lab to look at in a browser, and what is looked for in each of its views."""

import os
from pathlib import Path
from typing import Any

import nbformat

from course_utils import kit
from course_utils.commands import lab as lab_cli

SECTIONS = ("learning_rate", "lora_alpha", "warmup_ratio")
# What ends to the right of a window of 900 pixels.
WIDER = """() => [...document.querySelectorAll(
        'img, pre, code, table, textarea, .widget-hbox, p, li')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().right > 900.5)
    .map(e => e.outerHTML.slice(0, 120))"""

# What was printed, and would be broken in the middle of a word where the page is narrow.
BREAKS_WORDS = """() => [...document.querySelectorAll('pre')]
    .filter(e => e.offsetParent && getComputedStyle(e).wordBreak == 'break-all')
    .map(e => e.outerHTML.slice(0, 120))"""


def nameless(page: Any) -> list[str]:
    """What a screen reader meets without a word: places that take the focus, and pictures."""
    session = page.context.new_cdp_session(page)
    found = []
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value", "")
        stops = any(
            known["name"] == "focusable" and known["value"]["value"]
            for known in node.get("properties", [])
        )
        name = node.get("name", {}).get("value", "").strip()
        if not node["ignored"] and not name and (stops or role == "image"):
            found.append(f"{role} {node.get('value', {}).get('value', '')}".strip())
    return found


def write_texts(folder: Path) -> Path:
    """All texts of the lab with its checks, three sections and the command box."""
    whole = nbformat.read(kit.NOTEBOOKS / lab_cli.NOTEBOOK, as_version=4)
    wanted = [f'lab.panel("{name}")' for name in SECTIONS]
    wanted += ["environment.prepare()", "explore.Lab(data", "static = None", "lab.command_box()"]
    wanted += ["checks.", "explore.Lab(static=True)", "lab.gallery()"]
    whole.cells = [
        cell
        for cell in whole.cells
        if cell.cell_type == "markdown" or any(text in cell.source for text in wanted)
    ]
    path = folder / lab_cli.NOTEBOOK
    nbformat.write(whole, path)
    return path


def shoot(page: Any, name: str) -> None:
    """A picture for whoever looks at it: COURSE_LAB_SHOTS=folder."""
    if keep := os.environ.get("COURSE_LAB_SHOTS"):
        page.screenshot(path=f"{keep}/{name}.png", full_page=True)
