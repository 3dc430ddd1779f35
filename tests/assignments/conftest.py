"""A complete submission of weeks 9-10, made once, and a copy for each test that breaks it."""

import shutil
from pathlib import Path

import pytest
from submissions import make_submission, small_track


@pytest.fixture(scope="session")
def track():
    """All three tasks, whole groups in one part."""
    return small_track()


@pytest.fixture(scope="session")
def complete(track, nano_model_path, tmp_path_factory):
    """A complete submission, made once."""
    return make_submission(tmp_path_factory.mktemp("complete") / "my_submission", track)


@pytest.fixture
def folder(complete, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(complete, tmp_path / "my_submission"))
