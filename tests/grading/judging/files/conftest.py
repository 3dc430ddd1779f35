"""Complete submissions of both assignments, made once, and copies that a test may break."""

import shutil
from pathlib import Path

import pytest
from lab_submissions import make_lab, save_adapter
from submissions import make_submission, small_track


@pytest.fixture(scope="session")
def week9_complete(prepared, tmp_path_factory):
    return make_submission(tmp_path_factory.mktemp("week9") / "mine", small_track(), adapter)


def adapter(target, **changes):
    """The files of the configured adapter; no model is needed to write them."""
    save_adapter(target, layers=("q_proj", "v_proj"), dropout=0.05, **changes)


@pytest.fixture
def week9(week9_complete, tmp_path):
    return Path(shutil.copytree(week9_complete, tmp_path / "mine"))


@pytest.fixture(scope="session")
def lab_complete(tmp_path_factory):
    return make_lab(tmp_path_factory.mktemp("week5") / "my_lab")


@pytest.fixture
def lab(lab_complete, tmp_path):
    return Path(shutil.copytree(lab_complete, tmp_path / "my_lab"))
