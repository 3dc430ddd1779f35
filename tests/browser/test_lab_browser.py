"""The lab in a real browser: sliders moved by keyboard, in JupyterLab and in Voila.

A short copy of the notebook (set-up, parameters, three sections), because a whole one takes longer
to open than to test. Needs Chromium, e.g. `apt-get install chromium`. The README's picture:
COURSE_SCREENSHOTS=docs python -m pytest tests/browser
"""

import os
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from chromium import NEEDED, fresh_page

from course_utils.commands import lab as lab_cli

ROOT = Path(__file__).parents[2]
SECTIONS = ("learning_rate", "lora_alpha", "warmup_ratio")
pytestmark = NEEDED
MODULES = {"jupyter": "jupyterlab", "voila": "voila"}


@pytest.fixture(params=MODULES)
def program(request):
    """JupyterLab, then Voila."""
    if not find_spec(MODULES[request.param]):
        pytest.skip(f"no {request.param}: pip install -r requirements-lab.txt")
    return request.param


@pytest.fixture
def short_lab(tmp_path) -> Path:
    """The lab with three sections, beside a link to the kit that its set-up cell finds."""
    whole = nbformat.read(ROOT / "notebooks" / lab_cli.NOTEBOOK, as_version=4)
    wanted = [f'lab.panel("{name}")' for name in SECTIONS]
    wanted += ["environment.prepare()", "explore.Lab(data", "static = None"]
    whole.cells = [
        cell
        for cell in whole.cells
        if cell.cell_type == "code" and any(text in cell.source for text in wanted)
    ]
    assert len(whole.cells) == 6
    path = tmp_path / lab_cli.NOTEBOOK
    nbformat.write(whole, path)
    for name in ("course_utils", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    return path


@pytest.fixture
def page():
    """Errors count, less those of a server that asks for its fonts on the internet."""
    # The window is high because JupyterLab leaves out what is not in view.
    with fresh_page(1280, 3200, counts=lambda message: "net::ERR_" not in message.text) as page:
        yield page


@pytest.fixture
def opened(program, short_lab, page, monkeypatch):
    """The page of a running lab with all its sliders."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(short_lab.parent / name))
    with lab_cli.server(program, short_lab, lab_cli.free_port()) as (address, _):
        page.goto(address)
        if program == "jupyter":
            page.get_by_text("(ipykernel) | Idle").wait_for()  # before, a click runs nothing
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).click()
        page.locator(".widget-hslider").nth(4).wait_for()
        yield page


def figures(page) -> list[str]:
    """Where the pictures of the panels come from: a new address for each redraw."""
    return [image.get_attribute("src") for image in page.locator("img.widget-image").all()]


def slider(page, name: str):
    return page.locator(".widget-hslider", has_text=name)


def press(page, name: str, key: str) -> None:
    """Move the first slider of this name by keyboard and wait until a picture has changed."""
    before, place = figures(page), slider(page, name).first
    said = place.locator(".widget-readout").inner_text()
    place.locator("[role=slider], .ui-slider-handle").first.focus()
    page.keyboard.press(key)
    page.wait_for_function(
        "before => [...document.querySelectorAll('img.widget-image')]"
        ".some((image, n) => image.src != before[n])",
        arg=before,
    )
    assert place.locator(".widget-readout").inner_text() != said


def test_three_sliders_moved_by_keyboard_change_figure_and_command(opened, program):
    press(opened, "learning_rate", "ArrowRight")
    press(opened, "lora_alpha", "ArrowRight")
    press(opened, "warmup_ratio", "ArrowRight")
    opened.wait_for_selector("text=--learning_rate 0.0005")
    opened.wait_for_selector("text=--lora_alpha 64")
    readouts = slider(opened, "warmup_ratio").locator(".widget-readout")
    opened.wait_for_function(
        "() => [...document.querySelectorAll('.widget-hslider')]"
        ".filter(s => s.innerText.includes('warmup_ratio'))"
        ".every(s => s.querySelector('.widget-readout').innerText == '0.05')"
    )
    assert readouts.count() >= 2  # the section on the learning rate and its own: one setting
    if keep := os.environ.get("COURSE_SCREENSHOTS"):  # docs: the picture of the README
        name = "lab.png" if program == "voila" else "lab_jupyter.png"
        box = opened.locator(".widget-vbox").first.bounding_box()
        opened.screenshot(path=f"{keep}/{name}", clip=box | {"width": min(box["width"], 880)})
    assert opened.problems == []
