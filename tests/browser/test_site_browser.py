"""The site in a real browser, opened from its folder: it asks nobody, and fits its window."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import site_runs
from chromium import NEEDED, fresh_page

from course_utils.reports import site

pytestmark = [
    *NEEDED,
    pytest.mark.skipif(
        not all(map(find_spec, ("sphinx", "myst_nb", "furo"))),
        reason="no Sphinx: pip install -r requirements-site.txt",
    ),
]
PAGES = (
    *("index.html", "docs/instructors.html", "assignments/week09_10_manufacturing/README.html"),
    "docs/architecture.html",
    *("notebooks/03_lora_sft.html", "notebooks/parameter_lab.html"),
)
WIDTHS = (1200, 900, 400)
# What ends to the right of the window and cannot be scrolled to in a box of its own.
WIDER = """() => [...document.querySelectorAll('article *')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().right > window.innerWidth + 0.5)
    .filter(e => { for (let up = e.parentElement; up; up = up.parentElement)
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(up).overflowX)) return false;
        return true; })
    .map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The site of a run; COURSE_SITE=FOLDER: one that is there already."""
    if ready := os.environ.get("COURSE_SITE"):
        return Path(ready)
    work = tmp_path_factory.mktemp("site")
    return site.build(work / "run", site_runs.make(work / "run"), work / "out").start.parent


@pytest.fixture(scope="module")
def page():
    with fresh_page(WIDTHS[0], 900) as page:
        yield page


def shoot(page, name):
    """A picture for whoever looks at it: COURSE_SITE_SHOTS=folder."""
    if keep := os.environ.get("COURSE_SITE_SHOTS"):
        page.screenshot(path=f"{keep}/{name}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_asks_no_other_host_has_no_error_and_fits_the_window(page, folder, name, width):
    page.problems.clear()
    page.asked.clear()
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((folder / name).as_uri())
    shoot(page, f"{name.rpartition('/')[2].removesuffix('.html')}-{width}")
    assert [asked for asked in page.asked if not asked.startswith(("file:", "data:"))] == []
    assert page.problems == []
    assert page.evaluate(WIDER) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_the_search_finds_a_word_without_a_server(page, folder):
    page.problems.clear()
    page.goto((folder / "search.html").as_uri() + "?q=perplexity")
    page.wait_for_selector("ul.search li a")
    assert page.problems == []


def test_from_the_start_page_one_reaches_notebook_and_lab(page, folder):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.goto((folder / "index.html").as_uri())
    page.click(".sidebar-tree a[href='notebooks/parameter_lab.html']")
    assert "what happens if we increase" in page.title()
