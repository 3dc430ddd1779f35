"""The lab in a real browser: sliders moved by keyboard, in JupyterLab and in Voila.

A short copy of the notebook (set-up, parameters, three sections), because a whole one takes longer
to open than to test. Needs Chromium, e.g. `apt-get install chromium`. The README's picture:
COURSE_SCREENSHOTS=docs python -m pytest tests/browser
"""

import os
from importlib.util import find_spec
from pathlib import Path

import lab_views
import lab_words
import nbformat
import pytest
from chromium import NEEDED, fresh_page
from lab_views import SECTIONS

from course_utils.commands import lab as lab_cli

ROOT = Path(__file__).parents[2]
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


# --- Without code, by ear, by keyboard, on a narrow screen ----------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return lab_views.write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def narrow(texts):
    """The texts in Voila, in a window of 900 pixels."""
    if not find_spec("voila"):
        pytest.skip("no voila: pip install -r requirements-lab.txt")
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_page(900, 1400, counts=lambda message: "net::ERR_" not in message.text) as page,
    ):
        for name in ("CONFIG", "DATA", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(texts.parent / name))
        with lab_cli.server("voila", texts, lab_cli.free_port()) as (address, _):
            page.goto(address)
            page.get_by_role("slider", name="warmup_ratio").nth(1).wait_for()
            page.get_by_text("Load from command").wait_for()
            page.wait_for_function(
                "() => [...document.querySelectorAll('.course-panel img')].every(i => i.alt)"
            )
            yield page


def test_voila_shows_no_sentence_about_code(narrow):
    lab_views.shoot(narrow, "voila")
    words = " ".join(narrow.locator("body").inner_text().split())
    assert "Which value would you choose here, and why?" in words
    assert "Failure gallery" in words
    assert lab_words.about_code(words) == []
    assert "Your turn" not in words


def test_a_screen_reader_hears_name_and_value_of_a_slider(narrow):
    rate = narrow.get_by_role("slider", name="learning_rate").first
    assert rate.get_attribute("aria-valuetext") == "0.0002"
    rate.focus()
    narrow.keyboard.press("ArrowRight")
    narrow.wait_for_function(
        "handle => handle.getAttribute('aria-valuetext') == '0.0005'", arg=rate.element_handle()
    )
    assert rate.get_attribute("aria-label") == "learning_rate"
    narrow.keyboard.press("ArrowLeft")


def test_every_control_has_a_name(narrow):
    names = narrow.evaluate(
        """() => [...document.querySelectorAll('[role=slider], select, textarea, button, input')]
        .filter(e => e.offsetParent)
        .map(e => e.getAttribute('aria-label') || (e.labels && e.labels[0]?.innerText)
                  || e.innerText || e.title)"""
    )
    assert len(names) >= 9
    assert all(name and name.strip() for name in names), names


def test_nothing_that_takes_the_focus_and_no_picture_is_without_a_word(narrow):
    assert lab_views.nameless(narrow) == []


def test_a_sliders_number_is_no_field_since_typing_into_it_would_move_nothing(narrow):
    slider = narrow.locator(".widget-hslider", has_text="learning_rate").first
    number, handle = slider.locator(".widget-readout"), slider.get_by_role("slider")
    number.click()
    narrow.keyboard.type("7")
    assert number.inner_text() == handle.get_attribute("aria-valuetext") == "0.0002"


def test_every_picture_says_its_finding(narrow):
    alts = narrow.evaluate(
        "() => [...document.querySelectorAll('.course-panel img')].map(i => i.alt)"
    )
    assert len(alts) == 2 * len(SECTIONS)
    assert any("The learning rate peaks at" in alt for alt in alts)
    assert all(len(alt.split()) > 4 for alt in alts)


def test_the_tabulator_reaches_every_control_of_a_section_and_the_command(narrow):
    narrow.get_by_role("slider", name="learning_rate").first.focus()
    seen = []
    for _ in range(120):  # headings are links to themselves, and stand between
        focused = narrow.evaluate(
            """() => {const e = document.activeElement;
            return e.getAttribute('aria-label') || (e.labels && e.labels[0]?.innerText)
                   || e.innerText || e.tagName}"""
        )
        seen.append(" ".join(focused.split()))
        if seen[-1] == "Load from command":
            break
        narrow.keyboard.press("Tab")
    assert seen[:3] == ["learning_rate", "warmup_ratio (share of steps)", "lr_scheduler_type"]
    assert seen[-3:] == ["copy:", "paste:", "Load from command"]


def test_a_line_is_loaded_by_keyboard_and_told(narrow):
    narrow.get_by_label("paste:").focus()
    narrow.keyboard.type("python train_lora.py --data x.jsonl --lora_alpha 64")
    narrow.keyboard.press("Tab")
    narrow.keyboard.press("Enter")
    narrow.get_by_text("Set from the line: lora_alpha 64.").wait_for()
    told = narrow.locator(".course-told")
    assert told.get_attribute("aria-live") == "polite"
    assert "Left aside, since it is no slider here: --data x.jsonl." in told.inner_text()


def test_at_900_pixels_nothing_runs_over_the_edge_in_voila(narrow):
    assert narrow.evaluate(lab_views.WIDER) == []
    assert narrow.problems == []
