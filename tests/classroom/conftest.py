"""The small class of week 5, built and graded once for the tests of this room."""

import time

import pytest
from classroom.batches import grade
from classroom.build import build
from sandboxes import level_or_skip


@pytest.fixture(scope="session")
def small(prepared, tmp_path_factory):
    """(the class, its grades): honest, incomplete, forged, copied and empty."""
    level_or_skip("auto")  # strangers' work is not graded without a sandbox
    folder = build("week05", tmp_path_factory.mktemp("small") / "class", "small")
    started = time.monotonic()
    grade(folder / "inbox", "week05", folder / "grades")
    (folder / "seconds").write_text(f"{time.monotonic() - started}")
    return folder
