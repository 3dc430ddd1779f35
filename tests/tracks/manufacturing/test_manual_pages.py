"""Pages of a manual: each failure mode on one page, and rivals for every answer."""

import random

from course_utils.tracks.knowledge import load
from course_utils.tracks.manufacturing.manual_pages import excerpt, pages, shown_items, shown_parts
from course_utils.tracks.wording import Realiser

PAGES = [page for equipment in load() for page in pages(equipment)]


def test_each_failure_mode_is_on_one_page_of_four():
    for equipment in load():
        own = [mode for page in pages(equipment) for mode in page.modes]
        assert own == list(equipment.failure_modes)
    assert {len(page.modes) for page in PAGES} == {4}
    assert len({page.group for page in PAGES}) == len(PAGES)


def test_an_excerpt_shows_what_it_must_of_every_entry():
    for page in PAGES:
        say = Realiser(random.Random(1), "test")
        text = excerpt(say, page, ["checks", "safe_remedies", "component"])
        for mode in page.modes:
            assert mode.name in text
            assert mode.component in text
            for one in mode.remedies:
                assert f"{one.cause} -> {one.action} [first: {one.safety}]" in text
            for check in mode.checks:
                assert check.name in text


def test_stop_signs_stand_apart_from_ordinary_signs():
    for page in PAGES:
        for mode in page.modes:
            stop, other = shown_items(mode, "stop"), shown_items(mode, "symptoms")
            assert set(stop) - {"none"} == {sign.text for sign in mode.reported if sign.stop}
            assert set(other) - {"none"} == {sign.text for sign in mode.reported if not sign.stop}


def test_an_excerpt_around_a_mode_keeps_the_group_and_shows_the_mode():
    for page in PAGES:
        for count in (1, 2, 4):
            part = page.around(page.modes[1], count, random.Random(count))
            assert page.modes[1] in part.modes
            assert len(part.modes) == count
            assert part.group == page.group


def test_the_parts_of_a_page_hold_those_of_its_faults_and_rivals():
    for page in PAGES:
        shown = shown_parts(page)
        assert {mode.component for mode in page.modes} <= set(shown)
        assert {part for mode in page.modes for part in mode.origins} <= set(shown)
        assert len(shown) >= 4
