"""Start and stop: ports, keys, signals, what other machines may do."""

import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from served import running

from course_utils import kit, serving
from course_utils.commands import main

QUICK = ("--format", "f16", "--threads", "1", "--slots", "2", "--context", "512")
KEY = "a-key-of-more-than-16-characters"
ASKED = {"model": "tuned", "messages": [{"role": "user", "content": "PUMP"}], "temperature": 0}


def refused(*words, before=()) -> str:
    """What `course serve` says when it does not start; its exit code is in front."""
    command = [*before, sys.executable, "-m", "course_utils", "serve", *map(str, words)]
    done = subprocess.run(command, cwd=kit.ROOT, capture_output=True, text=True, timeout=120)
    return f"{done.returncode} {done.stderr}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "2 Error: what is to be served?"),
        (("nowhere", "--upstream", "http://127.0.0.1:1"), "2 Error: what is to be served?"),
        (("nowhere",), "1 Error: nowhere: there is no such folder"),
        (("nowhere", "--format", "q4_0"), "2 Error: --format q4_0: unknown"),
        (("nowhere", "--host", "0.0.0.0"), "2 Error: --host 0.0.0.0: other machines could ask"),
        (("nowhere", "--api-key", "short"), "2 Error: the key is shorter than 16"),
        (("nowhere", "--api-key", KEY, "--api-key-file", "x"), "2 Error: --api-key and"),
        (("nowhere", "--api-key-file", "nowhere"), "2 Error: nowhere: no key can be read"),
        (("nowhere", "--origin", "*"), "2 Error: --origin *: not an origin"),
        (("nowhere", "--origin", "https://a.example/x"), "2 Error: --origin https://a.example/x"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_said_in_two_lines(serving, words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["course", "serve", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert f"{ended.value.code} {(told := capsys.readouterr().err)}".startswith(said)
    assert "Cure: " in told


def test_a_server_that_is_not_there_cannot_stand_behind():
    found = refused("--upstream", "http://127.0.0.1:9")
    assert found.startswith("1 Error: http://127.0.0.1:9: /v1/models gave")
    assert "Cure: " in found
    assert "Traceback" not in found


def test_a_port_in_use_is_said_before_anything_is_loaded(serving, adapter):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = refused(adapter, *QUICK, "--port", port)
    assert found.startswith(f"1 Error: 127.0.0.1:{port}: this address can't be used")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_too_little_memory_is_said(server, adapter):
    limited = ("bash", "-c", 'ulimit -v 4000000; exec "$@"', "limited")  # kB
    room = ("--context", "4000000")  # times two slots and 256 bytes of cache, and more to work in
    found = refused(adapter, *QUICK[:-2], *room, before=limited)
    assert found.splitlines()[0].startswith("1 Error: ")
    assert "llama.cpp could not load it" in found
    assert "Cure: free some memory" in found
    assert "Traceback" not in found


@pytest.fixture(scope="module")
def locked(server, adapter, tmp_path_factory):
    """A second start of the same, with a key and one origin; what it said never held the key."""
    key = tmp_path_factory.mktemp("key") / "key.txt"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    with running(
        adapter, *QUICK, "--api-key-file", key, "--origin", "https://a.example"
    ) as started:
        yield started
        assert KEY not in started.stop()


@pytest.fixture
def stranger(locked):
    """A client of it without the key."""
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        yield client


def test_a_second_start_converts_nothing_and_loads_no_pytorch(locked):
    assert "converting" not in locked.said
    assert "PyTorch" not in locked.said


def test_a_key_is_asked_for_everywhere_but_where_nothing_is_told(locked, stranger):
    for path in ("/v1/models", "/v1/models/base", "/metrics", "/examples"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    for path in ("/health", "/", "/docs", "/openapi.json"):
        assert stranger.get(path).status_code == 200
    wrong = {"Authorization": "Bearer another-key-of-16-characters"}
    answer = stranger.post("/v1/chat/completions", content=b"{", headers=wrong)
    assert answer.json()["error"]["type"] == "authentication_error"  # before the body is read
    right = locked.client(api_key=KEY)
    assert [model.id for model in right.models.list()] == ["base", "tuned"]


def test_a_page_of_a_named_origin_may_ask_without_cookies_and_no_other(stranger):
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    allowed = stranger.options("/v1/chat/completions", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://a.example"
    assert "access-control-allow-credentials" not in allowed.headers
    other = stranger.options(
        "/v1/chat/completions", headers=asked | {"Origin": "https://b.example"}
    )
    assert "access-control-allow-origin" not in other.headers


def streamed_after(server, tokens, stop):
    """The lines of an answer that come after its first one, when the server was told to stop."""
    wanted = ASKED | {"stream": True, "max_tokens": tokens}
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=wanted, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        stop(server.process.send_signal)
        return [line for line in lines if line]


def first_answer(url, seconds=60) -> httpx.Response:
    """What a server that is just being started answers first."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, timeout=60)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_signal_while_the_model_loads_ends_it(server, adapter):
    """Loading can't be broken off, and llama.cpp must not be stopped in the middle of it."""
    port = serving.free_port()
    command = [sys.executable, "-m", "course_utils", "serve", str(adapter), *QUICK]
    process = subprocess.Popen([*command, "--port", str(port)], cwd=kit.ROOT)
    try:
        assert first_answer(f"http://127.0.0.1:{port}/health").json()["status"] == "starting"
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()


def test_a_signal_lets_an_answer_end(server, adapter):
    with running(adapter, *QUICK) as stopping:
        rest = streamed_after(stopping, 200, lambda send: send(signal.SIGTERM))
        assert rest[-1] == "data: [DONE]"
        assert '"finish_reason": "length"' in rest[-2]
        assert "stopping; answers being written: 1" in stopping.stop()
        assert stopping.process.returncode == 0


def test_an_answer_that_may_not_end_says_so(server, adapter):
    """A second Ctrl-C does not wait."""

    def again(send):
        """When it has said that it heard the first: of two at once a busy server hears one."""
        for line in stopping.process.stdout:
            if "answers being written" in line:
                send(signal.SIGINT)
                break

    def twice(send):
        send(signal.SIGINT)
        threading.Thread(target=again, args=[send]).start()

    with running(adapter, *QUICK) as stopping:
        rest = streamed_after(stopping, 450, twice)
        assert rest[-1] == "data: [DONE]"
        assert "server_stopping" in rest[-2]
        stopping.stop()
        assert stopping.process.returncode == 0


def test_another_server_can_stand_behind(server):
    """As vLLM would: its names and answers come through, and so do its refusals."""
    with running("--upstream", server.url) as front:
        behind, before = server.client(), front.client()
        assert [model.id for model in before.models.list()] == ["base", "tuned"]
        options = {"messages": ASKED["messages"], "max_tokens": 6, "temperature": 0}
        for model in ("base", "tuned"):
            texts = [
                client.chat.completions.create(model=model, **options).choices[0].message.content
                for client in (behind, before)
            ]
            assert texts[0] == texts[1]
        chunks = before.chat.completions.create(model="tuned", stream=True, **options)
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == texts[1]
        long = [{"role": "user", "content": "pump " * 900}]
        answer = httpx.post(
            f"{front.url}/v1/chat/completions", json=ASKED | {"messages": long}, timeout=60
        )
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
