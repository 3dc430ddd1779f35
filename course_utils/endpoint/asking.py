"""OpenAI's client on a socket file, with limits: for a server that nobody trusts.

with asking.client_at(path, seconds=60) as client:
    client.chat.completions.create(model="tuned", ...)
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from openai import OpenAI

MOST_BYTES = 2_000_000  # of one answer, a stream of a few hundred tokens with room
QUIET_SECONDS = 60.0  # without a byte
HOST = "http://localhost"


class TooMuch(httpx.TransportError):
    """An answer that is longer, or takes longer, than an answer may."""


class _Bounded(httpx.SyncByteStream):
    """A body that ends in an error where it grows too long or comes too slowly."""

    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self.stream, self.deadline = stream, deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self.stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise TooMuch(f"an answer of more than {MOST_BYTES:,} bytes")
            if time.monotonic() > self.deadline:
                raise TooMuch("an answer that takes too long")
            yield piece

    def close(self) -> None:
        self.stream.close()


class _Transport(httpx.HTTPTransport):
    """Over the socket file; no answer after the deadline."""

    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__(uds=str(path))
        self.deadline = deadline

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TooMuch("an answer that takes too long")
        request.extensions["timeout"] = dict.fromkeys(
            ("connect", "read", "write", "pool"), min(left, QUIET_SECONDS)
        )
        answer = super().handle_request(request)
        answer.stream = _Bounded(answer.stream, self.deadline)  # type: ignore[arg-type]
        return answer


@contextlib.contextmanager
def http_at(path: Path, seconds: float) -> Iterator[httpx.Client]:
    """A client of the socket file, for so many seconds altogether."""
    transport = _Transport(path, time.monotonic() + seconds)
    with httpx.Client(
        base_url=HOST, transport=transport, follow_redirects=False, trust_env=False
    ) as client:
        yield client


@contextlib.contextmanager
def client_at(path: Path, seconds: float) -> Iterator["OpenAI"]:
    """OpenAI's client of the socket file; its errors are the library's own."""
    from openai import OpenAI

    with http_at(path, seconds) as http:
        yield OpenAI(base_url=f"{HOST}/v1", api_key="none", max_retries=0, http_client=http)


def is_ready(path: Path, seconds: float = 5.0) -> bool:
    """Whether /health says so; a server that does not answer is not ready."""
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        return http.get("/health").status_code == 200
    return False


def engine_of(path: Path, seconds: float = 10.0) -> str:
    """The engine's name as /health tells it, "" where it tells none."""
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        told = http.get("/health").json()
        return str(told.get("engine", ""))[:40] if isinstance(told, dict) else ""
    return ""


def answered(path: Path, model: str, seconds: float = 10.0) -> float:
    """How many requests to this model were answered so far, as /metrics counts them."""
    wanted = f'course_requests_total{{model="{model}",status="200"}} '
    with contextlib.suppress(httpx.HTTPError, OSError, ValueError), http_at(path, seconds) as http:
        for line in http.get("/metrics").text.splitlines():
            if line.startswith(wanted):
                return float(line.removeprefix(wanted))
    return 0.0
