"""The calls of OpenAI's own client, against the running server."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from served import until_idle

QUESTION = [{"role": "user", "content": "L/H TRACK MOTOR LEAKING OIL"}]
GREEDY = {"messages": QUESTION, "max_tokens": 12, "temperature": 0}


def ask(client, **changes) -> str:
    reply = client.chat.completions.create(**{"model": "tuned", **GREEDY, **changes})
    return reply.choices[0].message.content


def test_base_and_tuned_are_two_names(client):
    assert [model.id for model in client.models.list()] == ["base", "tuned"]
    assert client.models.retrieve("tuned").id == "tuned"


def test_the_list_of_models_holds_what_other_clients_read(http):
    """Open WebUI takes `data`, from each entry `id`, and `name` only where it is not null."""
    found = http.get("/v1/models").json()
    created = found["data"][0]["created"]
    assert created > 1_700_000_000  # seconds
    entry = {"object": "model", "created": created, "owned_by": "course"}
    assert found == {"object": "list", "data": [{"id": n, **entry} for n in ("base", "tuned")]}


def test_base_and_tuned_answer_differently(client):
    assert ask(client, model="base") != ask(client, model="tuned")


def test_switching_between_the_models_leaves_no_trace(client):
    first = ask(client, model="tuned"), ask(client, model="base")
    assert (ask(client, model="tuned"), ask(client, model="base")) == first


def test_usage_counts_the_tokens(client):
    usage = client.chat.completions.create(model="tuned", **GREEDY).usage
    assert usage.completion_tokens == 12
    assert usage.total_tokens == usage.prompt_tokens + 12


def test_a_stream_gives_the_same_text_and_ends_with_the_usage(client):
    chunks = list(
        client.chat.completions.create(
            model="tuned", stream=True, stream_options={"include_usage": True}, **GREEDY
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == ask(client)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 12
    assert {c.id for c in chunks} == {chunks[0].id}


def test_without_the_wish_a_stream_has_no_usage(client):
    chunks = client.chat.completions.create(model="tuned", stream=True, **GREEDY)
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_a_seed_makes_a_random_answer_come_again(client):
    wild = {"temperature": 1.5, "max_tokens": 12}
    assert ask(client, seed=5, **wild) == ask(client, seed=5, **wild)
    assert ask(client, seed=5, **wild) != ask(client, seed=6, **wild)


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client):
    whole = ask(client)
    stop = whole[len(whole) // 2 :][:4]
    reply = client.chat.completions.create(model="tuned", stop=[stop], **GREEDY)
    assert reply.choices[0].message.content == whole[: whole.index(stop)]
    assert reply.choices[0].finish_reason == "stop"


def test_text_completion_applies_no_chat_template(client):
    wanted = {"model": "tuned", "prompt": "GREASE PUMP", "max_tokens": 8, "temperature": 0}
    reply = client.completions.create(**wanted)
    assert reply.usage.prompt_tokens < 10
    streamed = client.completions.create(stream=True, **wanted)
    assert "".join(chunk.choices[0].text for chunk in streamed) == reply.choices[0].text


def test_eight_at_once_get_the_answers_of_one_by_one(server):
    client = server.client(max_retries=8)  # six have a place, two are told to come again
    questions = [[{"role": "user", "content": f"order {number}"}] for number in range(8)]
    alone = [ask(client, messages=q) for q in questions]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda q: ask(client, messages=q), questions))
    # Batches of another size round differently, and a random model is often undecided.
    assert sum(a == b for a, b in zip(alone, together, strict=True)) >= 6


def test_a_client_that_does_not_wait_gets_its_timeout(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.001).chat.completions.create(model="tuned", **GREEDY)


def test_a_cancelled_stream_gives_its_place_back(client, http):
    stream = client.chat.completions.create(
        model="tuned", stream=True, **(GREEDY | {"max_tokens": 400})
    )
    next(iter(stream))
    stream.close()
    until_idle(http)
    assert ask(client)
