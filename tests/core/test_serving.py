"""The endpoint: starts on loopback, answers, and is gone afterwards."""

import json
import socket
import urllib.request

import pytest

from course_utils.errors import CourseError
from course_utils.serving import serve_folder


def test_an_adapter_folder_is_refused_with_the_cure(tmp_path):
    with pytest.raises(CourseError, match="merge the adapter first"), serve_folder(tmp_path):
        pass


def test_it_answers_on_loopback_and_is_gone_after_the_block(nano_model_path):
    with serve_folder(nano_model_path) as url:
        assert url.startswith("http://127.0.0.1:")
        body = {
            "model": str(nano_model_path),
            "messages": [{"role": "user", "content": "GREASE PUMP LEAKING"}],
            "max_tokens": 4,
        }
        request = urllib.request.Request(
            f"{url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            reply = json.load(answer)
    assert reply["choices"][0]["message"]["role"] == "assistant"
    host, port = url.removeprefix("http://").split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=5)


def test_an_exception_in_the_block_stops_the_server_too(nano_model_path):
    with pytest.raises(ZeroDivisionError), serve_folder(nano_model_path) as url:
        raise ZeroDivisionError
    host, port = url.removeprefix("http://").split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=5)


def test_a_server_that_cannot_start_is_reported_with_its_last_lines(nano_model_path):
    with (
        pytest.raises(CourseError, match="did not answer within"),
        serve_folder(nano_model_path, start_seconds=0.01),
    ):
        pass
