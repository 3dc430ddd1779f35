"""The geology track is built once for all its tests."""

import pytest

from course_utils.tracks.geology import track as geology

SEED = 42


@pytest.fixture(scope="session")
def track(prepared):
    return geology.build_geology(SEED)


@pytest.fixture(scope="session")
def all_records(track):
    return [record for part in track.parts.values() for record in part]


@pytest.fixture(scope="session")
def drafts(prepared):
    """Drafts before the split, with the wording that made them; without mixtures."""
    return [draft for build in geology.BUILDERS.values() for draft in build(SEED)]
