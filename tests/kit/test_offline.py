"""The guard that keeps tests off the network: here it is made to refuse, in every kind of process.

192.0.2.1 belongs to no machine (TEST-NET), so nothing is reached even if the guard should fail.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import guard, missing_preparation

CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)"
QUIET_TRIES = """
import errno, socket
for kind, call in [
    (socket.SOCK_STREAM, lambda s: s.connect(("192.0.2.1", 80))),
    (socket.SOCK_DGRAM, lambda s: s.sendto(b"x", ("192.0.2.2", 53))),
    (socket.SOCK_STREAM, lambda s: socket.getaddrinfo("example.invalid", 443)),
    (socket.SOCK_STREAM, lambda s: socket.gethostbyname("example.invalid")),
]:
    try:
        call(socket.socket(type=kind))
    except OSError as error:
        print("refused:", error)
print(socket.socket().connect_ex(("192.0.2.3", 80)) == errno.ENETUNREACH)
"""
LOOPBACK = """
import os, socket, sys
for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "localhost")]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1]); server.listen()
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
print("reached")
"""


@pytest.fixture
def own_log(tmp_path, monkeypatch) -> Path:
    """Children of this test write here, so that what they try on purpose fails nothing."""
    log = tmp_path / "network.log"
    monkeypatch.setenv("COURSE_NETWORK_LOG", str(log))
    return log


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_child_that_connects_fails_and_is_recorded(own_log):
    done = python(CONNECT)
    assert done.returncode == 1
    assert "no network in tests" in done.stderr
    assert "192.0.2.1" in own_log.read_text(encoding="utf-8")


def test_a_child_that_swallows_the_error_is_recorded(own_log):
    done = python(QUIET_TRIES)
    assert done.stdout.count("refused: ") == 4
    assert done.stdout.endswith("True\n")
    targets = [line.partition(" from ")[0] for line in own_log.read_text("utf-8").splitlines()]
    name = "the address of 'example.invalid'"
    assert targets == ["192.0.2.1:80", "192.0.2.2:53", name, name, "192.0.2.3:80"]


def test_loopback_and_unix_sockets_work_in_a_child(own_log, tmp_path):
    done = python(LOOPBACK, str(tmp_path / "s"))
    assert done.stdout == "reached\n", done.stderr
    assert not own_log.exists()


def test_another_sitecustomize_still_runs(own_log, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('the other one')\n", encoding="utf-8")
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path)])
    done = python(CONNECT, PYTHONPATH=paths)
    assert done.stdout == "the other one\n"
    assert "no network in tests" in done.stderr


def test_a_notebook_kernel_is_guarded_too(own_log, tmp_path):
    from course_utils.execution.runner import execute_notebooks

    cells = [nbformat.v4.new_code_cell(CONNECT)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "asks.ipynb")
    [result] = execute_notebooks(
        [tmp_path / "asks.ipynb"], tmp_path / "out", {}, {}, 5, False, True
    )
    assert "no network in tests" in result.error
    assert "192.0.2.1" in own_log.read_text(encoding="utf-8")


def test_the_test_process_can_not_connect(own_log):
    with (
        socket.socket() as sock,
        pytest.warns(UserWarning, match="tried to use socket"),
        pytest.raises(RuntimeError, match=r"192\.0\.2\.1"),
    ):
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(OSError, match="no network in tests"):
        socket.getaddrinfo("example.invalid", 443)
    assert "example.invalid" in own_log.read_text(encoding="utf-8")


def test_the_test_process_reaches_itself():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


@pytest.mark.parametrize("host", [None, "", b"localhost", "127.8.8.8", "::1", "0.0.0.0", "::1%lo"])
def test_this_machine_is_local(host):
    assert guard.is_local(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "127.evil.example", "huggingface.co", "2001:db8::1"])
def test_other_machines_are_not_local(host):
    assert not guard.is_local(host)


def test_all_processes_have_one_thread_and_no_hub():
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(python(code).stdout)
    assert (seen["OMP_NUM_THREADS"], seen["HF_HUB_OFFLINE"]) == ("1", "1")
    assert not [name for name in seen if name.lower().endswith("_proxy") and name[0] in "hHaA"]


def test_what_set_up_has_not_prepared_is_said_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    problem = missing_preparation()
    assert "smollm2-135m-instruct and work orders" in problem
    assert "make setup" in problem
    assert "course model prepare" in problem


def test_the_tokenizer_is_the_embedded_models(tokenizer, nano_model_path):
    assert tokenizer.eos_token == "<|im_end|>"
    assert (nano_model_path / "model.safetensors").is_file()
