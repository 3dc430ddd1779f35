"""What an engine's failures and gaps become: an answer in OpenAI's form that is counted."""

import asyncio
import json

import httpx
import pytest

from course_utils.endpoint.app import Options, build

KEY = "a-key-of-more-than-16-characters"
PAGE = "https://a.example"
ASKED = {"model": "tuned", "messages": [{"role": "user", "content": "PUMP"}], "temperature": 0}
SAID = {"message": {"role": "assistant", "content": "leaks"}, "finish_reason": "stop"}
PIECE = {"choices": [{"delta": {"content": "leaks"}, "finish_reason": None}]}
END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


class Odd:
    """An engine whose answer and chunks are given; an exception among them is raised."""

    name = "odd"
    models = ("tuned",)
    slots = 1
    enforces_schemas = True
    tells_likelihoods = False

    def __init__(self, *chunks, answer=None):
        self.chunks, self.whole = chunks, answer

    async def start(self):
        pass

    async def close(self):
        pass

    async def answer(self, kind, model, body):
        return self._given(self.whole)

    async def stream(self, kind, model, body):
        for chunk in self.chunks:
            yield self._given(chunk)

    def _given(self, found):
        if isinstance(found, Exception):
            raise found
        return found


def asked(engine, *bodies, options=None, method="POST", **more):
    """The answers to these bodies, and after them the server's figures."""

    async def run():
        app = build(engine, options or Options(hosts=("test",)))
        async with app.router.lifespan_context(app):
            await app.state.starting
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                path = "/v1/chat/completions"
                answers = [await client.request(method, path, json=b, **more) for b in bodies]
                return [*answers, (await client.get("/metrics")).text]

    return asyncio.run(run())


def events(answer) -> list:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


COUNTED = 'course_requests_total{model="tuned",status="502"} 1.0'
FAILURES = [RuntimeError("out of memory"), KeyError("choices"), AssertionError()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)
def test_a_failure_in_the_middle_of_a_stream_is_its_last_event_and_is_counted(failure, caplog):
    answer, figures = asked(Odd(PIECE, failure), ASKED | {"stream": True})
    assert events(answer)[-1]["error"]["code"] == "engine_error"
    assert COUNTED in figures
    assert type(failure).__name__ in caplog.text  # for whoever runs the server, with its place


@pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_first_token_is_a_502_and_is_counted(failure, stream):
    answer, figures = asked(Odd(failure, answer=failure), ASKED | {"stream": stream})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_error")
    assert COUNTED in figures


@pytest.mark.parametrize(
    "chunk", [{"choices": [7]}, {"choices": [{"delta": {"content": 7}}]}, {"usage": [7]}], ids=str
)
def test_a_chunk_of_another_form_is_the_engines_failure(chunk):
    answer, figures = asked(Odd(PIECE, chunk), ASKED | {"stream": True})
    assert events(answer)[-1]["error"]["code"] == "engine_error"
    assert COUNTED in figures


def test_what_no_engine_can_do_is_still_told_as_it_was():
    """A failure of the request is no failure of the engine."""
    from course_utils.endpoint.problems import ApiError

    answer, _ = asked(Odd(answer=ApiError(400, "too long", "context_length_exceeded")), ASKED)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "too long")


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {}}], ids=str)
def test_an_answer_whose_tokens_nobody_counted_has_none(usage):
    answer, _ = asked(Odd(answer={"choices": [SAID]} | usage), ASKED)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "leaks"
    assert set(answer.json()["usage"].values()) == {0}


def test_a_stream_whose_tokens_nobody_counted_has_none():
    wanted = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
    answer, _ = asked(Odd(PIECE, END), wanted)
    assert events(answer)[-1]["usage"] == dict.fromkeys(
        ("prompt_tokens", "completion_tokens", "total_tokens"), 0
    )


LARGE = {"model": "tuned", "messages": [{"role": "user", "content": "x" * 1_000_001}]}
RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [(ASKED, {}, 401), (LARGE, RIGHT, 413), (ASKED | {"model": "x"}, RIGHT, 404)],
    ids=["401", "413", "404"],
)
def test_a_named_page_can_read_why_it_was_refused(body, headers, status):
    """A browser hides an answer without these headers from the page, as if nobody had answered."""
    options = Options(key=KEY, origins=(PAGE,))
    answer, _ = asked(Odd(), body, options=options, headers=headers | {"Origin": PAGE})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    other, _ = asked(
        Odd(), body, options=options, headers=headers | {"Origin": "https://b.example"}
    )
    assert other.status_code == status
    assert "access-control-allow-origin" not in other.headers


def test_a_page_asks_first_without_the_key():
    wanted = {"Access-Control-Request-Method": "POST"}
    wanted |= {"Origin": PAGE, "Access-Control-Request-Headers": "authorization,content-type"}
    options = Options(key=KEY, origins=(PAGE,))
    answer, _ = asked(Odd(), None, options=options, method="OPTIONS", headers=wanted)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Authorization" in answer.headers["access-control-allow-headers"]
