"""What all tests share: one thread, no network, and the prepared models.

The network is shut in three ways: the Hugging Face libraries are told so, pytest-socket refuses
connections of the test process, and tests/offline/sitecustomize.py does the same in every Python
process that a test starts (and writes down what was tried, which fails the test run at its end).
"""

import os
import signal
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

OFFLINE = Path(__file__).parent / "offline"
HOSTS = "127.0.0.1,::1,localhost"


def shut_off(environ: os._Environ) -> None:
    """Settings that libraries read when they are imported, so they must come before any import."""
    environ |= {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "MPLBACKEND": "Agg",
    }
    handle, environ["COURSE_NETWORK_LOG"] = tempfile.mkstemp(prefix="course-network-")
    os.close(handle)
    paths = [str(OFFLINE), environ.get("PYTHONPATH")]
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    for name in ("http_proxy", "https_proxy", "all_proxy"):  # one on loopback would be a hole
        environ.pop(name, None)
        environ.pop(name.upper(), None)


shut_off(os.environ)
# A shell that starts the tests in the background makes them ignore Ctrl-C, and so would every
# child that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402


def _load_guard():
    spec = spec_from_file_location("offline_guard", OFFLINE / "sitecustomize.py")
    guard = module_from_spec(spec)
    spec.loader.exec_module(guard)
    return guard


guard = _load_guard()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.option.allow_hosts = HOSTS  # pytest-socket's options, for every test
    config.option.allow_unix_socket = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    guard.install()  # again for each test: pytest-socket puts the originals back after a test


@pytest.fixture(scope="session", autouse=True)
def nothing_asked_the_network():
    """At the end of the run: no process of it tried to reach another machine."""
    log = Path(os.environ["COURSE_NETWORK_LOG"])
    yield
    tried = log.read_text(encoding="utf-8")
    log.unlink()
    assert not tried, f"these processes tried to reach the network:\n{tried}"


def missing_preparation() -> str:
    """What set-up has not prepared, with the cure; empty when all is there."""
    from course_utils import models, packages, sources
    from course_utils.tracks.geology import track as geology

    found = {f"base model {models.EMBEDDED}": models.is_prepared()}
    found["work orders"] = sources.is_prepared()
    found["spectra and minerals"] = geology.is_prepared()
    missing = " and ".join(name for name, there in found.items() if not there)
    cure = "run `make setup` first (it calls `course model prepare` and fetches the data)"
    return f"not in {packages.cache_folder()}: {missing}; {cure}" if missing else ""


@pytest.fixture(scope="session")
def prepared():
    """The embedded model and the work orders lie in the cache; without them tests stop here."""
    if problem := missing_preparation():
        pytest.fail(problem, pytrace=False)


@pytest.fixture(scope="session")
def nano_model_path(prepared) -> Path:
    """The folder of the random two-layer model."""
    import torch

    from course_utils import models

    torch.set_num_threads(1)
    return models.prepare_model("nano")


@pytest.fixture(scope="session")
def tokenizer(nano_model_path):
    """The tokenizer of the embedded model and of nano."""
    from course_utils import models

    return models.load_tokenizer("nano")
