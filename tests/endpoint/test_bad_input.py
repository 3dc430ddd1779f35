"""Wrong requests, against the running server: the right status, OpenAI's form, no crash."""

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import hang_up

CHAT = "/v1/chat/completions"
ASKED = {
    "model": "tuned",
    "messages": [{"role": "user", "content": "GREASE PUMP LEAKING"}],
    "max_tokens": 4,
    "temperature": 0,
}


@pytest.fixture(autouse=True)
def it_still_answers(http):
    """Whatever a test sends, the server goes on."""
    yield
    assert http.get("/health").json()["status"] == "ready"


def problem(answer) -> dict:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"model": "gpt-4"}, 404, "there are: base, tuned"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "role"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "content"),
        ({"tools": []}, 400, "tools: this server does not know this field"),
        ({"logit_bias": {"1": 1}}, 400, "logit_bias"),
        ({"temperature": -1}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 10**9}, 400, "max_tokens"),
        ({"n": 2}, 400, "n"),
        ({"seed": -1}, 400, "seed"),
        ({"stop": ["a"] * 9}, 400, "stop"),
        ({"response_format": {"type": "xml"}}, 400, "response_format"),
        ({"messages": [{"role": "user", "content": "pump " * 900}]}, 400, "context"),
        ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, 413, "1000000 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_field_is_named(http, change, status, word, stream):
    answer = http.post(CHAT, json=ASKED | {"stream": stream} | change)
    assert answer.status_code == status
    assert word in problem(answer)["message"] + str(problem(answer)["param"])


def test_options_of_a_stream_without_a_stream(http):
    answer = http.post(CHAT, json=ASKED | {"stream_options": {"include_usage": True}})
    assert (answer.status_code, "stream=true" in problem(answer)["message"]) == (400, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"model": NaN}', b"null"],
    ids=repr,
)
def test_a_body_that_is_no_request(http, body):
    answer = http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert problem(answer)["type"] == "invalid_request_error"


def test_a_body_that_declares_no_length_is_counted(http):
    def pieces():
        for _ in range(30):
            yield b" " * 50_000

    headers = {"Content-Type": "application/json"}
    answer = http.post(CHAT, content=pieces(), headers=headers)
    assert answer.status_code == 413
    assert "1000000 bytes" in problem(answer)["message"]


def test_odd_characters_come_back_whole(http):
    odd = "⛏ \u0000 \ud7ff \U0001f9ea ‮ \r\n"
    answer = http.post(CHAT, json=ASKED | {"messages": [{"role": "user", "content": odd}]})
    assert answer.status_code == 200


def test_half_a_character_is_refused_or_answered(http):
    body = json.dumps(ASKED).replace("GREASE", "\\ud800").encode()
    answer = http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400)


def test_a_page_of_the_web_may_not_ask_by_its_own_name(http):
    answer = http.get("/v1/models", headers={"Host": "evil.example"})
    assert (answer.status_code, problem(answer)["code"]) == (400, "wrong_host")


def test_no_other_origin_is_allowed(http):
    answer = http.get("/v1/models", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_unknown_path_and_a_wrong_method(http):
    assert problem(http.get("/v1/nothing"))["message"] == "Not Found"
    answer = http.get(CHAT)
    assert (answer.status_code, problem(answer)["message"]) == (405, "Method Not Allowed")


def test_two_hundred_at_once_two_run_four_wait_the_rest_is_sent_away(server):
    import httpx

    gate = threading.Barrier(200)
    long = ASKED | {"max_tokens": 100}

    def ask(_):
        with httpx.Client(base_url=server.url, timeout=120) as client:
            gate.wait(60)
            return client.post(CHAT, json=long)

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}
    assert codes.count(200) >= 6
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "2"
    assert problem(refused)["type"] == "rate_limit_error"


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_hangs_up_gives_the_place_back(http, server, stream):
    import httpx

    long = ASKED | {"max_tokens": 400, "stream": stream}

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=httpx.Timeout(60, read=0.3)) as client:
            if stream:
                with client.stream("POST", CHAT, json=long) as answer:
                    next(answer.iter_lines())
            else:
                with contextlib.suppress(httpx.ReadTimeout):
                    client.post(CHAT, json=long | {"temperature": 1.5, "max_tokens": 450})

    hang_up(http, ask)
