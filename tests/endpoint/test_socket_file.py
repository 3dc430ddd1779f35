"""The endpoint on a socket file: for its user only, asked with limits, and led to by a bridge."""

import contextlib
import gzip
import http.server
import os
import socket
import socketserver
import stat
import subprocess
import sys
import threading
import time

import pytest

from course_utils.endpoint import asking, bridge, server
from course_utils.errors import CourseError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A short path: a socket file's has fewer than 104 characters."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_is_for_its_user_only(here):
    with server.listen_at(here / "s"):
        assert stat.S_IMODE((here / "s").stat().st_mode) == 0o600


def test_a_dead_servers_file_is_replaced(here):
    server.listen_at(here / "s").close()
    server.listen_at(here / "s").close()


def test_a_file_that_is_no_socket_stays(here):
    (here / "s").write_text("mine")
    (here / "link").symlink_to("s")
    for name in ("s", "link"):
        with pytest.raises(CourseError, match="this is no socket file") as caught:
            server.listen_at(here / name)
        assert "--uds" in caught.value.cure
    assert (here / "link").read_text() == "mine"


def test_the_file_of_a_server_that_listens_stays(here):
    with server.listen_at(here / "s") as first:
        with pytest.raises(CourseError, match="a server listens there") as caught:
            server.listen_at(here / "s")
        assert "--uds" in caught.value.cure
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(here / "s"))
            first.accept()[0].close()  # it is asked as before


def test_the_file_of_a_server_whose_queue_is_full_stays(here):
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as waiting:
        busy.bind(str(here / "s"))
        busy.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(here / "s"))
        with pytest.raises(CourseError, match="a server listens there"):
            server.listen_at(here / "s")
    assert stat.S_ISSOCK((here / "s").lstat().st_mode)


def test_a_socket_file_of_another_kind_stays(here):
    """As a system's log has: messages, no connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(here / "s"))
        with pytest.raises(CourseError, match="no socket file can be made here"):
            server.listen_at(here / "s")
    assert stat.S_ISSOCK((here / "s").lstat().st_mode)


def test_a_path_that_is_too_long_is_said(here):
    with pytest.raises(CourseError, match="fewer than 104") as caught:
        server.listen_at(here / ("s" * 120))
    assert "104" in caught.value.cure


class Answers(http.server.BaseHTTPRequestHandler):
    """/large: more than an answer may have; /slow: a byte now and then; else a few words."""

    def do_GET(self):
        self.send_response(200)
        if self.path == "/packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            if self.path == "/packed":
                self.wfile.write(gzip.compress(b"x" * 50_000_000))
            elif self.path == "/large":
                for _ in range(asking.MOST_BYTES // 65536 + 2):
                    self.wfile.write(b"x" * 65536)
            elif self.path == "/slow":
                for _ in range(1200):  # two minutes
                    self.wfile.write(b"x")
                    time.sleep(0.1)
            else:
                self.wfile.write(b"answered on a socket file")
        except OSError:
            pass

    def log_message(self, *_):
        pass

    def address_string(self):
        return "socket"


@pytest.fixture
def odd(here):
    """A server of our own on a socket file."""
    path = here / "s"
    with socketserver.ThreadingUnixStreamServer(str(path), Answers) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield path
        made.shutdown()


def test_an_answer_that_is_too_long_ends_in_an_error(odd):
    with asking.http_at(odd, 30) as client, pytest.raises(asking.TooMuch, match="more than"):
        client.get("/large")


def test_an_answer_that_unpacks_to_more_than_it_says_is_not_unpacked(odd):
    with asking.http_at(odd, 30) as client, pytest.raises(asking.TooMuch, match="compressed"):
        client.get("/packed")


def test_an_answer_that_drips_ends_at_the_deadline(odd):
    started = time.monotonic()
    with asking.http_at(odd, 2) as client, pytest.raises(asking.TooMuch, match="too long"):
        client.get("/slow")
    assert time.monotonic() - started < 60


DRIPS = {
    "promises": b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    "headers": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 800,
}


@pytest.fixture
def dripping(here, request):
    """A server that sends 20 bytes now and then, for some 2 s, and never comes to the answer."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(here / "s"))
    made.listen()
    made.settimeout(2)

    def drip():
        with contextlib.suppress(OSError), made.accept()[0] as client:
            for start in range(0, len(request.param), 20):
                client.sendall(request.param[start : start + 20])
                time.sleep(0.05)

    thread = threading.Thread(target=drip)
    thread.start()
    yield here / "s"
    thread.join()
    made.close()


@pytest.mark.parametrize("dripping", DRIPS.values(), ids=DRIPS, indirect=True)
def test_an_answer_that_never_begins_ends_at_the_deadline(dripping):
    """Not when the server has had enough, which is another error."""
    with asking.http_at(dripping, 0.4) as client, pytest.raises(asking.TooMuch, match="too long"):
        client.get("/")


def test_a_silent_server_is_waited_for_until_the_deadline(here):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(here / "s"))
        silent.listen()
        assert not asking.is_ready(here / "s", seconds=0.3)
        with asking.http_at(here / "s", 0.3) as client, pytest.raises(asking.TooMuch):
            client.post("/", content=b"x" * 3_000_000)  # more than the socket holds


def test_a_server_that_answers_nonsense_has_no_engine_and_no_count(odd):
    assert asking.engine_of(odd) == ""
    assert asking.answered(odd, "tuned") == 0
    assert not asking.is_ready(odd.with_name("nothing"))


def run_through(odd, code):
    command = [sys.executable, "-m", "course_utils.endpoint.bridge", str(odd)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, input=code, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    "code",
    [
        "import httpx; print(httpx.get('http://127.0.0.1:8000/v1').text)",
        "import urllib.request as u; print(u.urlopen('http://localhost:80/v1').read().decode())",
    ],
)
def test_a_clients_program_reaches_the_file_under_any_loopback_address(odd, code):
    done = run_through(odd, code)
    assert done.stdout.strip() == "answered on a socket file", done.stderr


def test_no_other_machine_is_reached(odd):
    done = run_through(odd, "import httpx; httpx.get('http://192.0.2.1/')")
    assert done.returncode == 1
    assert "only this machine can be reached here" in done.stderr


def test_the_bridge_keeps_the_other_options_of_a_socket(odd, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", socket.create_connection)
    bridge.lead_to(str(odd))
    with socket.create_connection(("127.0.0.1", 1), 3) as made:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert made.gettimeout() == 3
