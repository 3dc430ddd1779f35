"""The lab as a static page, in a real browser.

In a file of its own: the other browser tests of the lab share a page, and Playwright opens one at
a time.
"""

import lab_views
from chromium import NEEDED, fresh_page

from course_utils.lab.page import execute, page_of

pytestmark = NEEDED


def test_at_900_pixels_nothing_runs_over_the_edge_of_the_page(tmp_path):
    texts = lab_views.write_texts(tmp_path)
    page_path = tmp_path / "lab.html"
    page_path.write_text(page_of(execute(texts, tmp_path / "run")), "utf-8")
    with fresh_page(900, 1400) as page:
        page.goto(page_path.as_uri())
        lab_views.shoot(page, "static")
        assert page.evaluate(lab_views.WIDER) == []
        assert page.evaluate(lab_views.BREAKS_WORDS) == []
        assert lab_views.nameless(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 900
        assert page.asked == [page_path.as_uri()] or not [
            asked for asked in page.asked if asked.startswith("http")
        ]
        assert page.problems == []
