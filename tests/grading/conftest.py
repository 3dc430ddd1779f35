"""A class's folder of grades, published once; a copy for a test that changes it."""

import shutil

import pytest
import quick_checks
from grade_class import make_class, write_class

from course_utils.grading import publishing, workshop
from course_utils.grading.judging import registry


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """14 students of weeks 9-10, with names and answers that do harm."""
    folder = write_class(tmp_path_factory.mktemp("class") / "grades", make_class())
    publishing.publish(folder)
    return folder


@pytest.fixture
def grades(published, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(published, tmp_path / "grades")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Quick checks in place of those that need a model, for this test alone."""
    registry.check_modules()  # registered once a process: not into the dictionary of this test
    monkeypatch.setattr(registry, "CHECKS", {})
    monkeypatch.setattr(registry, "NEEDS", {})
    monkeypatch.setattr(workshop, "hidden_records", workshop.hidden_records)
    monkeypatch.chdir(tmp_path)
    quick_checks.install()
