"""One warm sandbox with the nano model in it, and a true submission of each assignment."""

import shutil

import pytest
from nano_cases import make_lab, make_pipeline
from sandboxes import level_or_skip

from course_utils import packages
from course_utils.execution.sandbox.box import Sandbox


@pytest.fixture(scope="session")
def box(nano_model_path):
    from course_utils.grading.probing import preload
    from course_utils.grading.probing.bases import find_base

    environment = preload.environment(find_base("nano"))
    options = {"imports": preload.imports(), "cache": packages.cache_folder()}
    with Sandbox(level_or_skip("auto"), warm=True, environment=environment, **options) as own:
        if own.warm:
            own.wait_until_warm(1200)  # importing all of it takes minutes beside busy neighbours
        yield own


@pytest.fixture(scope="session")
def pipeline(nano_model_path, tmp_path_factory):
    return make_pipeline(tmp_path_factory.mktemp("weeks09_10") / "submission")


@pytest.fixture(scope="session")
def lab(nano_model_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("week05") / "lab"
    folder.mkdir()
    return make_lab(folder)


@pytest.fixture
def work(pipeline, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(pipeline, tmp_path / "submission")


@pytest.fixture
def own_lab(lab, tmp_path):
    return shutil.copytree(lab, tmp_path / "lab")
