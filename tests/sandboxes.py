"""Sandboxes for tests: a level that works here or a skip with the reason, programs run in it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from course_utils.errors import CourseError
from course_utils.execution.sandbox.box import Outcome, Sandbox
from course_utils.execution.sandbox.levels import choose_level
from course_utils.execution.sandbox.limits import MIB, Limits
from course_utils.execution.sandbox.place import Place

STRONG = ("bwrap", "landlock")
SMALL = Limits(wall=30, memory=300 * MIB, processes=64, disk=20 * MIB, output=2 * MIB)
LIGHT = ("json", "random", "tempfile", "ipykernel.kernelapp", "ipykernel.ipkernel")


def level_or_skip(level: str) -> str:
    try:
        return choose_level(level).level
    except CourseError as problem:
        pytest.skip(problem.message)


@contextmanager
def opened(level: str, warm: bool = False, **options) -> Iterator[Sandbox]:
    """A sandbox; a warm one imports little, so that it is there in a moment."""
    options = {"imports": LIGHT, **options}
    with Sandbox(level_or_skip(level), warm=warm, **options) as box:
        if box.warm:
            box.told = box.wait_until_warm()
        yield box


def run_code(
    box: Sandbox, code: str, *words: str, limits: Limits = SMALL, place: Place | None = None
) -> Outcome:
    """Run Python code in a place of its own."""
    place = place or box.place()
    return box.run_command([sys.executable, "-c", code, *words], place, limits)
