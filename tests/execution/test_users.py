"""Blocks of user ids: no two sandboxes of a machine share one, and a block comes back."""

import sys

import pytest

from course_utils.execution.sandbox import users

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only root gives out users")


def test_two_at_once_have_no_user_in_common_and_an_ended_one_gives_its_own_back(tmp_path):
    with users.claimed(tmp_path) as one, users.claimed(tmp_path) as two:
        assert len(one) == len(two) == users.BLOCK
        assert not set(one) & set(two)
    with users.claimed(tmp_path) as again:
        assert again == one


def test_every_block_lies_within_what_nobody_has_and_after_the_last_all_is_shared(tmp_path):
    taken, held = [], []
    while not taken or len(taken[-1]) == users.BLOCK:
        held.append(users.claimed(tmp_path))
        taken.append(held[-1].__enter__())
    for block in held:
        block.__exit__(None, None, None)
    *blocks, rest = taken
    numbers = [uid for block in blocks for uid in block]
    assert len(numbers) == len(set(numbers)) > 1000
    assert rest == range(users.FIRST, users.LAST + 1)
    assert set(numbers) <= set(rest)


def test_a_link_that_somebody_left_in_its_place_is_not_followed(tmp_path):
    target = tmp_path / "theirs"
    (tmp_path / f"course-users-{users.FIRST}").symlink_to(target)
    with users.claimed(tmp_path) as block:
        assert block.start == users.FIRST + users.BLOCK
    assert not target.exists()
