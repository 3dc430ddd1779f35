"""The grader's pages in a real browser: what students wrote does no harm, and marks come back.

Needs Chromium, e.g. `apt-get install chromium`. The README's pictures:
COURSE_SCREENSHOTS=docs python -m pytest tests/browser/test_grading_browser.py
"""

import json
import os

import pytest
from chromium import NEEDED, fresh_page
from grade_class import make_class, rubric, write_class

from course_utils.grading import publishing
from course_utils.grading.marks import codes_of, merge, read_marks
from course_utils.grading.results import results_of

pytestmark = NEEDED
SLOW = 60_000  # ms


@pytest.fixture(scope="module")
def grades(tmp_path_factory):
    folder = write_class(tmp_path_factory.mktemp("class") / "grades", make_class())
    publishing.publish(folder)
    return folder


@pytest.fixture
def page():
    with fresh_page(1200, 900, slow=SLOW, accept_downloads=True) as page:
        yield page


def picture(page, name):
    """Keep a picture for the README, when asked to."""
    if keep := os.environ.get("COURSE_SCREENSHOTS"):
        page.screenshot(path=f"{keep}/{name}.png")


PAGES = ("zoe-muller-1000/feedback.html", "overview.html", "integrity.html", "leaderboard.html",
         "marking.html")  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1200, 400])
def test_a_page_opens_alone_without_harm_and_fits_its_window(page, grades, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((grades / name).as_uri())
    assert page.evaluate("window.harmed") is None
    assert page.problems == []
    assert {url.partition(":")[0] for url in page.asked} <= {"file", "data"}
    assert len([url for url in page.asked if url.startswith("file:")]) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1200:
        picture(page, f"grade_{name.removesuffix('.html').rpartition('/')[2]}")


def test_every_text_of_the_feedback_can_be_unfolded(page, grades):
    page.goto((grades / PAGES[0]).as_uri())
    for fold in page.locator("details").all():
        fold.locator("summary").click()
    assert page.locator("section.message").first.is_visible()
    assert page.problems == []


def test_marks_given_by_keyboard_are_saved_and_merged(page, grades, tmp_path):
    page.goto((grades / "marking.html").as_uri())
    page.fill("#name", "Ada")
    page.keyboard.press("Enter")
    page.keyboard.press("f")  # full points
    page.keyboard.press("ArrowDown")  # half a point less
    page.keyboard.press("c")
    page.keyboard.type("Counted. <script>window.harmed = 2</script>")
    page.click("#keep")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    page.keyboard.press("1")  # the comment that was kept
    assert page.inner_text("#done").startswith("2 of 12 marked for this item")
    picture(page, "grade_marking")
    with page.expect_download() as saved:
        page.click("#save")
    path = tmp_path / "marks.json"
    saved.value.save_as(path)
    content = json.loads(path.read_text())
    first, second = sorted(content["marks"])
    assert content["marks"][first]["data_decisions"]["points"] == 2.5
    assert content["marks"][second]["data_decisions"]["points"] == 0
    submissions = [result.submission for result in results_of(grades)]
    merge(grades, [path], rubric(), submissions)
    given = read_marks(grades, submissions, rubric())
    marks = [mark for items in given.values() for mark in items["data_decisions"].values()]
    assert sorted(mark.points for mark in marks) == [0, 2.5]
    assert all(mark.comment.startswith("Counted.") for mark in marks)
    assert page.evaluate("window.harmed") is None
    assert page.problems == []


def test_a_page_that_was_closed_goes_on_where_it_was(page, grades):
    page.goto((grades / "marking.html").as_uri())
    page.fill("#name", "Bob")
    page.keyboard.press("Enter")
    page.keyboard.press("f")
    page.keyboard.press("]")
    page.wait_for_timeout(500)  # the browser writes what a page keeps a moment later
    page.reload()
    assert page.input_value("#name") == "Bob"
    page.click("text=Start")
    assert page.input_value("#item") == "1"
    page.keyboard.press("[")
    assert "1 of 12 marked" in page.inner_text("#done")
    assert page.problems == []


def test_points_that_are_too_many_are_not_taken(page, grades):
    page.goto((grades / "marking.html").as_uri())
    page.fill("#name", "Carl")
    page.keyboard.press("Enter")
    page.fill("#points", "9")
    assert page.locator("#wrong").is_visible()
    assert page.inner_text("#done").startswith("0 of 12")
    page.fill("#points", "1.5")
    assert not page.locator("#wrong").is_visible()
    assert page.inner_text("#done").startswith("1 of 12")


def resumed(page, grades, path, marks):
    """The page, gone on from a file of Dora's: code -> mark of data_decisions, of 3 points."""
    content = {"kind": "grading-marks", "assignment": rubric().assignment, "marker": "Dora"}
    given = {code: {"data_decisions": mark} for code, mark in marks.items()}
    path.write_text(json.dumps(content | {"saved": "2026-11-28T10:00:00+00:00", "marks": given}))
    page.goto((grades / "marking.html").as_uri())
    page.set_input_files("#file", path)
    page.locator("#work").wait_for(state="visible")


def saved(page, path):
    """Code -> mark of data_decisions, as the page saves them."""
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(path)
    marks = json.loads(path.read_text())["marks"]
    return {code: own["data_decisions"] for code, own in marks.items()}


def codes(grades):
    """Codes in the page's order."""
    results = [r for r in results_of(grades) if r.status not in ("rejected", "not gradable")]
    return sorted(codes_of(grades, [result.submission for result in results]).values())


def test_saved_marks_keep_their_share_of_a_changed_item_and_students_who_left(
    page, grades, tmp_path
):
    first, second, *_ = codes(grades)
    marks = {
        first: {"points": 4, "max": 6, "comment": "good"},
        second: {"points": 1.25, "max": 1.5},
        "S-000000": {"points": 2, "max": 3, "comment": "left"},
    }
    resumed(page, grades, tmp_path / "marks.json", marks)
    found = saved(page, tmp_path / "again.json")
    assert [(found[code]["points"], found[code]["max"]) for code in marks] == [
        *((2, 3), (2.5, 3), (2, 3)),
    ]
    assert found["S-000000"]["comment"] == "left"
    assert page.problems == []


def test_one_click_keeps_a_mark_of_an_earlier_hand_in(page, grades, tmp_path):
    first, second, *_ = codes(grades)
    mark = {"points": 2, "max": 3, "looked_at": "0" * 16}
    resumed(page, grades, tmp_path / "marks.json", {first: mark, second: mark})
    assert page.inner_text("#place").startswith(first)
    assert "earlier hand-in: 2 of 3" in page.inner_text("#before")
    assert "0 of 12 marked" in page.inner_text("#done")
    page.click("#still")
    assert not page.locator("#again").is_visible()
    assert "1 of 12 marked" in page.inner_text("#done")
    found = saved(page, tmp_path / "again.json")
    assert found[first]["looked_at"] not in ("", "0" * 16)
    assert found[second]["looked_at"] == "0" * 16


def test_pages_of_one_class_know_each_others_marks(page, tmp_path):
    folder = write_class(tmp_path / "grades", make_class(3))
    publishing.publish(folder, marking=["data_decisions"])
    for item, keys in ((["data_decisions"], "f"), (["readme"], "")):
        publishing.publish(folder, marking=item)
        page.goto((folder / "marking.html").as_uri())
        page.fill("#name", "Eve")
        page.keyboard.press("Enter")
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_timeout(500)  # the browser writes what a page keeps a moment later
    assert [mark["points"] for mark in saved(page, tmp_path / "marks.json").values()] == [3]


def test_a_file_of_another_page_is_not_taken(page, grades, tmp_path):
    other = tmp_path / "marks.json"
    other.write_text(json.dumps({"kind": "grading-marks", "marks": {"S-0": {}}, "marker": "x"}))
    page.goto((grades / "marking.html").as_uri())
    page.set_input_files("#file", other)
    page.locator("#problem").wait_for(state="visible")
    assert page.problems == []
